//! What the templates of the `ifdef FORMAL` sections are filled with.

use serde::Serialize;

use crate::context::template;

template!(ProcessingElementFormal, "processing_element_formal.v.tera");
template!(ProtocolFormal, "protocol_formal.v.tera");
template!(StreamRange, "stream_range_formal.v.tera");
template!(UnitFormal, "matrix_vector_formal.v.tera");
template!(IslandFormal, "island_formal.v.tera");
template!(ConnectorFormal, "connector_formal.v.tera");
template!(TopFormal, "top_formal.v.tera");

/// A memory of constants that claims look up.
#[derive(Clone, Debug, Serialize)]
pub struct FormalTable {
    /// Name of the word that is looked up.
    pub name: String,
    /// Bits of a word.
    pub bits: usize,
    /// Words.
    pub entries: usize,
    /// Which word: an expression.
    pub index: String,
    /// All words, the first in the low bits, as hexadecimal digits.
    pub words: String,
}

/// Vectors of a module that leave as one, because the reader takes an image as one vector.
#[derive(Clone, Debug, Serialize)]
pub struct FormalVectors {
    /// How many; 1 where nothing is joined.
    pub vectors: usize,
    /// Bits that count them.
    pub bits: usize,
    /// Beats of each.
    pub beats: usize,
}

/// `stream_range_formal.v.tera`: which codes a stream may carry.
#[derive(Clone, Debug, Serialize)]
pub struct StreamRange {
    /// Module name.
    pub module: String,
    /// Stream name, for the comment.
    pub stream: String,
    /// Bits of the beat number.
    pub beat_bits: usize,
    /// Beats of a vector.
    pub beats: usize,
    /// Module that watches the stream, or empty.
    pub watch: String,
    /// Module that watches a queue at the stream's end.
    pub queue: String,
    /// Bits of the sum of a beat number and a queue's level.
    pub queue_bits: usize,
    /// Bits of a beat.
    pub width: usize,
    /// Lanes.
    pub lanes: usize,
    /// Tables of the ends.
    pub tables: Vec<FormalTable>,
    /// One entry a lane.
    pub checks: Vec<LaneCheck>,
}

/// The range of one lane.
#[derive(Clone, Debug, Serialize)]
pub struct LaneCheck {
    /// Its value, or empty if the wires can carry nothing else.
    pub value: String,
    /// Bits of the value.
    pub bits: usize,
    /// Smallest code.
    pub lo: String,
    /// Largest code.
    pub hi: String,
}

/// `protocol_formal.v.tera`: how folds come to the processing elements.
#[derive(Clone, Debug, Serialize)]
pub struct ProtocolFormal {
    /// Name of the unit.
    pub module: String,
    /// Module that knows the input's ranges.
    pub range_module: String,
    /// Bits of the fold counter.
    pub fold_bits: usize,
    /// Folds of a frame.
    pub folds: usize,
    /// Bits of the input beat.
    pub x_bits: usize,
    /// Lanes of the input beat.
    pub simd: usize,
    /// Whether sums are accumulated.
    pub accumulator: bool,
    /// Bits of the neuron fold.
    pub neuron_bits: usize,
    /// The last neuron fold.
    pub neuron_last: usize,
    /// Bits of the synapse fold.
    pub synapse_bits: usize,
    /// Adder levels.
    pub levels: usize,
    /// Threshold stages.
    pub stages: usize,
    /// Entries of the flag tables.
    pub positions: usize,
    /// Flags of folds that begin a row.
    pub first: String,
    /// Flags of folds that end one.
    pub last: String,
    /// Tables.
    pub tables: Vec<FormalTable>,
    /// Synapse fold of the fold whose x is there.
    pub synapse: String,
    /// Neuron fold of the value.
    pub neuron: String,
    /// Points where a value stands.
    pub stage_list: Vec<StageStep>,
    /// Neuron fold ports.
    pub channels: Vec<String>,
}

/// A point in the threshold pipeline.
#[derive(Clone, Debug, Serialize)]
pub struct StageStep {
    /// Its number.
    pub index: usize,
    /// The port that names its neuron fold, or empty.
    pub channel: String,
    /// Whether it is the last.
    pub is_last: bool,
}

/// `processing_element_formal.v.tera`: the claims of a processing element.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessingElementFormal {
    /// Protocol module.
    pub protocol: String,
    /// Tables.
    pub tables: Vec<FormalTable>,
    /// Adder levels.
    pub levels: usize,
    /// Bits of the fold counter.
    pub fold_bits: usize,
    /// Bits of the neuron fold.
    pub neuron_bits: usize,
    /// Threshold stages.
    pub stage_count: usize,
    /// Expression of the fold.
    pub fold: String,
    /// The weights of the fold whose x is there, or empty if they are constants.
    pub weights: String,
    /// Whether the fold is a port for the claims only.
    pub fold_port: bool,
    /// Name of the port on which the claims see the beat.
    pub x: String,
    /// Whether sums are accumulated.
    pub accumulator: bool,
    /// Neuron fold ports.
    pub channels: Vec<String>,
    /// Lowest bit of each level's fold.
    pub folds: Vec<usize>,
    /// Lowest bit of each stage's neuron fold.
    pub neurons: Vec<usize>,
    /// Products and adders; none of a bit heap or an array.
    pub nodes: Vec<FormalNode>,
    /// Whether the sum is a bit heap or comes from an array: its interval is then assumed here, and shown by bookkeeping.
    pub heap: bool,
    /// The accumulator.
    pub sum: FormalSum,
    /// Bits of the accumulator's register.
    pub acc_bits: usize,
    /// Threshold stages.
    pub stages: Vec<FormalStage>,
    /// A count that is looked up in one step.
    pub direct: Option<FormalDirect>,
    /// Lane of the result.
    pub index: usize,
    /// Lanes of the output stream.
    pub out_lanes: usize,
    /// Module that knows the output's ranges.
    pub out_range: String,
    /// The result at its place in a beat.
    pub out_data: String,
}

/// How many threshold words a sum has reached, looked up in one step.
#[derive(Clone, Debug, Serialize)]
pub struct FormalDirect {
    /// Bits that hold sums and words.
    pub bits: usize,
    /// The sum at those bits.
    pub value: String,
    /// The words.
    pub words: Vec<String>,
    /// Bits of the count.
    pub count_bits: usize,
    /// Smallest count that a sum in its interval has.
    pub count_lo: String,
    /// Largest.
    pub count_hi: String,
}

/// A product or adder.
#[derive(Clone, Debug, Serialize)]
pub struct FormalNode {
    /// Register name.
    pub name: String,
    /// Bits that lose nothing.
    pub bits: usize,
    /// Operands at those bits.
    pub operands: Vec<String>,
    /// What it computes from `f_<name>_<operand>`.
    pub value: String,
    /// Adder level; 0 for products.
    pub level: usize,
    /// Smallest value in the fold that it holds.
    pub lo: String,
    /// Largest.
    pub hi: String,
    /// The register at those bits.
    pub held: String,
}

/// The accumulator.
#[derive(Clone, Debug, Serialize)]
pub struct FormalSum {
    /// Comment.
    pub comment: String,
    /// Bits that lose nothing.
    pub bits: usize,
    /// The tree's root at those bits.
    pub root: String,
    /// Bits more than the register's.
    pub extend: usize,
    /// Smallest value of the prefix.
    pub lo: String,
    /// Largest.
    pub hi: String,
}

/// A threshold stage.
#[derive(Clone, Debug, Serialize)]
pub struct FormalStage {
    /// Its number.
    pub index: usize,
    /// Cycles from the row's sum to the comparison.
    pub at: usize,
    /// What stands there: behind the registers of the read, where there are some.
    pub count: String,
    /// Cycles from the row's sum to where the value of the stage before has come.
    pub came_at: usize,
    /// That value, here.
    pub came: String,
    /// The stage before its word is read, where that takes a cycle of its own.
    pub read: Option<FormalRead>,
    /// Bits that lose nothing.
    pub bits: usize,
    /// The value at those bits.
    pub value: String,
    /// Smallest value.
    pub lo: String,
    /// Largest.
    pub hi: String,
    /// The word that it is compared with.
    pub word: String,
    /// Smallest count behind the stage.
    pub count_lo: String,
    /// Largest.
    pub count_hi: String,
}

/// A threshold stage in the cycle in which its word is read, and what must stand in the registers behind.
#[derive(Clone, Debug, Serialize)]
pub struct FormalRead {
    /// Cycles from the row's sum to the read.
    pub at: usize,
    /// The value before the read.
    pub value: String,
    /// Smallest value then.
    pub lo: String,
    /// Largest.
    pub hi: String,
    /// The register of the word, resized; empty if there is only one word.
    pub word: String,
    /// Smallest count behind the read; empty for the first stage, which has none.
    pub count_lo: String,
    /// Largest.
    pub count_hi: String,
}

/// `matrix_vector_formal.v.tera`: the claims of a matrix-vector unit.
#[derive(Clone, Debug, Serialize)]
pub struct UnitFormal {
    /// Name of the unit.
    pub module: String,
    /// Bits of the fold counter.
    pub fold_bits: usize,
    /// The last fold.
    pub fold_last: usize,
    /// Bits of the neuron fold.
    pub neuron_bits: usize,
    /// Bits of the synapse fold.
    pub synapse_bits: usize,
    /// Beats out of a vector.
    pub neuron_folds: usize,
    /// Passes over each part of the vector, which is one part if there are as many as neuron folds.
    pub passes: usize,
    /// Beats of a part.
    pub synapse_folds: usize,
    /// Their numbers.
    pub words: Vec<usize>,
    /// Bits of the number of a beat of the vector.
    pub beat_bits: usize,
    /// Of a vector in parts, for each fold: the beat of the stream that comes next.
    pub taken: String,
    /// And the first beat of its part.
    pub part: String,
    /// Adder levels.
    pub levels: usize,
    /// Threshold stages.
    pub stages: usize,
    /// Whether sums are accumulated.
    pub accumulator: bool,
    /// 1 if processing elements have copies of fold and beat, a cycle later; else 0.
    pub copied: usize,
    /// The processing elements with a copy of the beat.
    pub copies: Vec<usize>,
    /// Those with a copy of the fold.
    pub fold_copies: Vec<usize>,
    /// Bits of a beat in.
    pub x_bits: usize,
    /// Neuron fold ports.
    pub channels: Vec<String>,
    /// Watcher of the input stream.
    pub input_watch: String,
    /// Ranges of the input stream.
    pub input_range: String,
    /// Whether they exclude a code.
    pub ranges: bool,
    /// Ranges of the output stream.
    pub output_range: String,
    /// Watcher of the exit queue.
    pub output_queue: String,
    /// Lanes of the input.
    pub simd: usize,
    /// Lanes of the output.
    pub pe: usize,
    /// Places of the exit queue.
    pub queue: usize,
    /// Whether credits come back through a register.
    pub credit_late: bool,
    /// Entries of the flag tables.
    pub positions: usize,
    /// Flags of folds that begin a row.
    pub first: String,
    /// Flags of folds that end one.
    pub last: String,
    /// Cycles from a fold to its sum.
    pub sum: usize,
    /// Cycles from a row's last fold to the value that thresholds see.
    pub value: usize,
    /// Cycles from a producing fold to the queue.
    pub pipeline: usize,
    /// Vectors that leave as one.
    pub joined: FormalVectors,
}

/// `island_formal.v.tera`: the claims of an input map or a label selector.
#[derive(Clone, Debug, Serialize)]
pub struct IslandFormal {
    /// Cycles from a beat in to the queue.
    pub pipeline: usize,
    /// Beats of a frame.
    pub beats: usize,
    /// Bits that count them.
    pub beat_bits: usize,
    /// Whether only a frame's last beat makes a result.
    pub whole: bool,
    /// Watcher of the input stream.
    pub input_watch: String,
    /// Watcher of the exit queue.
    pub output_queue: String,
    /// Places of the exit queue.
    pub queue: usize,
    /// Whether credits come back through a register.
    pub credit_late: bool,
    /// Number of the result that enters the queue next: an expression of 32 bits.
    pub enters: String,
    /// Lowest bit of the beat's number in each stage.
    pub numbers: Vec<usize>,
    /// Statements, claimed after the first reset.
    pub claims: Vec<String>,
    /// What the claims need.
    pub lines: Vec<String>,
    /// Vectors that leave as one.
    pub joined: FormalVectors,
}

/// `connector_formal.v.tera`: the claims of a fixed module between two streams.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectorFormal {
    /// Module name.
    pub module: String,
    /// Name of the instance in the top.
    pub instance: String,
    /// The fixed module.
    pub kind: String,
    /// Its parameters, as they stand in Verilog.
    pub parameters: String,
    /// Whether it is a FIFO; else a width converter.
    pub fifo: bool,
    /// Bits of a beat in.
    pub s_bits: usize,
    /// Bits of a beat out.
    pub m_bits: usize,
    /// Watcher of the input stream.
    pub input_watch: String,
    /// Watcher of the output stream.
    pub output_watch: String,
    /// Watcher of a queue at the output stream.
    pub output_queue: String,
    /// Bits that a width converter holds.
    pub held_bits: usize,
    /// Places of its register.
    pub places: Vec<usize>,
    /// Lanes of a unit.
    pub unit: usize,
    /// Bits of a unit.
    pub unit_bits: usize,
    /// Units of a vector.
    pub units: usize,
    /// Units of a beat in.
    pub input_units: usize,
    /// Units of a beat out.
    pub output_units: usize,
    /// Bits of the sum of two unit numbers.
    pub number_bits: usize,
    /// Bits of a unit's number.
    pub unit_beat_bits: usize,
    /// Ranges of the units.
    pub unit_range: String,
    /// Whether they exclude a code.
    pub ranges: bool,
    /// Vectors that leave as one.
    pub joined: FormalVectors,
}

/// `top_formal.v.tera`: the claims of the top module.
#[derive(Clone, Debug, Serialize)]
pub struct TopFormal {
    /// Watcher of the first stream.
    pub input_watch: String,
    /// Watcher of the last stream.
    pub output_watch: String,
    /// First stream.
    pub input: String,
    /// Last stream.
    pub output: String,
    /// Beats of a frame in.
    pub s_beats: usize,
    /// Bits that count them.
    pub s_count: usize,
    /// Beats of a frame out.
    pub m_beats: usize,
    /// Bits that count them.
    pub m_count: usize,
}
