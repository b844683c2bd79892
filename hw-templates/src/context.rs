//! What each template is filled with. Strings are Verilog expressions or comment text, ready to print.

use serde::Serialize;

use crate::Template;
use crate::formal::{
    ConnectorFormal, IslandFormal, ProcessingElementFormal, ProtocolFormal, StreamRange, TopFormal, UnitFormal,
};

/// Every template with its text, to be parsed once.
pub(crate) const ALL: [(&str, &str); 26] = [
    (ProcessingElement::NAME, ProcessingElement::TEXT),
    (MatrixVector::NAME, MatrixVector::TEXT),
    (Map::NAME, Map::TEXT),
    (MapLane::NAME, MapLane::TEXT),
    (LabelSelect::NAME, LabelSelect::TEXT),
    (Top::NAME, Top::TEXT),
    (Monitor::NAME, Monitor::TEXT),
    (Testbench::NAME, Testbench::TEXT),
    (crate::HeapSum::NAME, crate::HeapSum::TEXT),
    (crate::UnrolledArray::NAME, crate::UnrolledArray::TEXT),
    (crate::UnrolledStream::NAME, crate::UnrolledStream::TEXT),
    (crate::StreamedElement::NAME, crate::StreamedElement::TEXT),
    (crate::StreamedUnit::NAME, crate::StreamedUnit::TEXT),
    (ProcessingElementFormal::NAME, ProcessingElementFormal::TEXT),
    (ProtocolFormal::NAME, ProtocolFormal::TEXT),
    (StreamRange::NAME, StreamRange::TEXT),
    (UnitFormal::NAME, UnitFormal::TEXT),
    (IslandFormal::NAME, IslandFormal::TEXT),
    (ConnectorFormal::NAME, ConnectorFormal::TEXT),
    (TopFormal::NAME, TopFormal::TEXT),
    (crate::FixedFormal::NAME, crate::FixedFormal::TEXT),
    (crate::WindowFormal::NAME, crate::WindowFormal::TEXT),
    (crate::UpsampleFormal::NAME, crate::UpsampleFormal::TEXT),
    (crate::PoolFormal::NAME, crate::PoolFormal::TEXT),
    (crate::AddFormal::NAME, crate::AddFormal::TEXT),
    (crate::ConcatFormal::NAME, crate::ConcatFormal::TEXT),
];

macro_rules! template {
    ($context:ident, $file:literal) => {
        impl crate::Template for $context {
            const NAME: &'static str = $file;
            const TEXT: &'static str = include_str!(concat!("../templates/", $file));
        }
    };
}
pub(crate) use template;

template!(ProcessingElement, "processing_element.v.tera");
template!(MatrixVector, "matrix_vector.v.tera");
template!(Map, "map.v.tera");
template!(MapLane, "map_lane.v.tera");
template!(LabelSelect, "label_select.v.tera");
template!(Top, "top.v.tera");
template!(Monitor, "monitor.v.tera");
template!(Testbench, "testbench.v.tera");

/// A code looked up from the pattern of a sum.
#[derive(Clone, Debug, Serialize)]
pub struct Lookup {
    /// Patterns: bits of a table.
    pub patterns: usize,
    /// Bits of the count.
    pub bits: usize,
    /// A table for each bit, lowest first, as hexadecimal digits.
    pub tables: Vec<String>,
    /// What is read from them.
    pub read: String,
}

/// A constant as its hexadecimal digits, and in decimal for the comment.
#[derive(Clone, Debug, Serialize)]
pub struct Word {
    /// Hexadecimal digits of the bits.
    pub bits: String,
    /// Decimal value.
    pub value: i64,
}

/// `processing_element.v.tera`: one output lane of a matrix-vector unit.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessingElement {
    /// Module name.
    pub module: String,
    /// Lane number.
    pub index: usize,
    /// Layer served, for the comment.
    pub layer: String,
    /// Rows served, for the comment.
    pub rows: String,
    /// The sum in words, for the comment.
    pub sum: String,
    /// Adder levels.
    pub levels: usize,
    /// Cycle, counted from `fold`'s, in which `y` is there.
    pub latency: usize,
    /// Bits of the fold counter.
    pub fold_bits: usize,
    /// Bits of the beat whose sum comes from an array, for the claims; 0 for other elements.
    pub beat_bits: usize,
    /// Bits of the input beat.
    pub x_bits: usize,
    /// Bits of the result.
    pub y_bits: usize,
    /// Whether sums are accumulated over several folds.
    pub accumulator: bool,
    /// Neuron fold at each point where it is needed; empty if there is only one.
    pub channel_ports: Vec<Port>,
    /// Bits of a neuron fold.
    pub channel_bits: usize,
    /// Expression of the inputs that are not used, or empty.
    pub unused: String,
    /// Weight memory; `None` where weights are constants.
    pub rom: Option<Rom>,
    /// Lane and width of each weight field, for the comment.
    pub fields: String,
    /// Products, adders and accumulator as text where a bit heap replaces them, or empty.
    pub heap: String,
    /// Products, one per lane with a weight.
    pub products: Vec<Product>,
    /// Adder levels.
    pub adders: Vec<Vec<Adder>>,
    /// What the sum's interval is, for the comment.
    pub sum_comment: String,
    /// Two's complement bits of the accumulator.
    pub acc_bits: usize,
    /// The tree's root at accumulator width.
    pub root: String,
    /// The code's count as tables of the sum, in the place of stages.
    pub lookup: Option<Lookup>,
    /// Threshold stages.
    pub stages: Vec<Stage>,
    /// Bits of a threshold word.
    pub word_bits: usize,
    /// Rows that fall; `None` if all rise, or if all fall (then it is in `y`).
    pub direction: Option<Direction>,
    /// Expression of the result.
    pub y: String,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
    /// Whether only the claims need the fold.
    pub formal_fold: bool,
}

/// A port with its comment.
#[derive(Clone, Debug, Serialize)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Comment.
    pub comment: String,
}

/// A weight memory.
#[derive(Clone, Debug, Serialize)]
pub struct Rom {
    /// Bits of a word.
    pub bits: usize,
    /// The attribute `rom_style`, or nothing.
    pub style: &'static str,
    /// A case item for each word, one a line.
    pub cases: String,
}

/// A product register.
#[derive(Clone, Debug, Serialize)]
pub struct Product {
    /// Register name.
    pub name: String,
    /// What its operands are called behind their `x` and `w`.
    pub suffix: String,
    /// `"signed "` or empty.
    pub sign: String,
    /// Bits.
    pub width: usize,
    /// Input operand, extended.
    pub x: String,
    /// Weight operand, extended; empty where it is a sign bit.
    pub weight: String,
    /// Product of the two.
    pub value: String,
    /// Exact interval, for the comment.
    pub interval: String,
}

/// An adder register.
#[derive(Clone, Debug, Serialize)]
pub struct Adder {
    /// Register name.
    pub name: String,
    /// Bits.
    pub width: usize,
    /// Sum of the extended operands.
    pub value: String,
    /// Exact interval, for the comment.
    pub interval: String,
}

/// One stage of a binary search.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// Stage number.
    pub index: usize,
    /// Whether the word is read into a register in a cycle of its own.
    pub ahead: bool,
    /// The value that the stage before has compared; empty for the first.
    pub before: String,
    /// The bit under test, for the comment.
    pub trial: usize,
    /// Words by address; empty if there is one.
    pub words: Vec<Word>,
    /// The word if there is only one.
    pub constant: Word,
    /// Address expression.
    pub address: String,
    /// Bits of the address.
    pub address_bits: usize,
    /// The value at word width.
    pub compared: String,
    /// Expression of the count after this stage.
    pub next: String,
}

/// Which rows fall.
#[derive(Clone, Debug, Serialize)]
pub struct Direction {
    /// Address expression.
    pub address: String,
    /// One flag (0 or 1) per neuron fold.
    pub flags: Vec<u8>,
}

/// `matrix_vector.v.tera`: sequencer, vector buffer, processing elements and exit queue of a dense layer.
#[derive(Clone, Debug, Serialize)]
pub struct MatrixVector {
    /// Module name.
    pub module: String,
    /// Layer served.
    pub layer: String,
    /// What it computes, for the comment.
    pub task: String,
    /// Rows in parallel.
    pub pe: usize,
    /// Columns in parallel.
    pub simd: usize,
    /// Beats out of a vector.
    pub neuron_folds: usize,
    /// Passes over each part of the vector, which is one part if there are as many as neuron folds.
    pub passes: usize,
    /// Parts of the vector.
    pub parts: usize,
    /// Beats of a part.
    pub synapse_folds: usize,
    /// Cycles of a vector.
    pub cycles: usize,
    /// Cycles from the last beat in to the queue.
    pub pipeline: usize,
    /// Bits of a beat in.
    pub s_bits: usize,
    /// Type of a lane in, for the comment.
    pub s_type: String,
    /// Bits of a beat out.
    pub m_bits: usize,
    /// Type of a lane out, for the comment.
    pub m_type: String,
    /// Bits of the fold counter.
    pub fold_bits: usize,
    /// Bits of the neuron fold counter.
    pub neuron_bits: usize,
    /// Bits of the synapse fold counter.
    pub synapse_bits: usize,
    /// Places of the exit queue.
    pub queue: usize,
    /// Sequencer outputs that are not used, or empty.
    pub unused: String,
    /// Control delays.
    pub delays: Vec<Delay>,
    /// Whether sums are accumulated.
    pub accumulate: bool,
    /// Whether each processing element has a copy of fold and beat.
    pub copied: bool,
    /// Names of the neuron fold ports.
    pub channel_ports: Vec<String>,
    /// Module of the array that makes all sums, or empty.
    pub array: String,
    /// Bits of its sums.
    pub sums_bits: usize,
    /// Processing elements.
    pub pes: Vec<PeInstance>,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
    /// Modules that the claims need, under `ifdef FORMAL`.
    pub formal_modules: String,
}

/// A `snug_delay`.
#[derive(Clone, Debug, Serialize)]
pub struct Delay {
    /// Name of the delayed signal.
    pub name: String,
    /// `"[3:0] "` or empty.
    pub range: String,
    /// Bits.
    pub width: usize,
    /// Stages.
    pub cycles: usize,
    /// 1 if a reset clears it.
    pub reset: u8,
    /// What is delayed.
    pub source: String,
}

/// A processing element in its unit.
#[derive(Clone, Debug, Serialize)]
pub struct PeInstance {
    /// Module name.
    pub module: String,
    /// Whether it has a `fold` port.
    pub fold: bool,
    /// What it reads: the beat, or its sum.
    pub x: String,
    /// Whether it has one under `ifdef FORMAL` only.
    pub formal_fold: bool,
    /// High bit of its result.
    pub high: usize,
    /// Low bit of its result.
    pub low: usize,
}

/// `map.v.tera`: the input map.
#[derive(Clone, Debug, Serialize)]
pub struct Map {
    /// Module name.
    pub module: String,
    /// Whether it reads the pins, where illegal codes can come and are reported.
    pub pins: bool,
    /// What it does, for the comment.
    pub task: String,
    /// Cycles from a beat in to the queue.
    pub pipeline: usize,
    /// Bits of a beat in.
    pub s_bits: usize,
    /// Type of a lane in.
    pub s_type: String,
    /// Bits of a beat out.
    pub m_bits: usize,
    /// Type of a lane out.
    pub m_type: String,
    /// Lanes.
    pub lanes: usize,
    /// Places of the exit queue.
    pub queue: usize,
    /// Which function each lane uses, if that depends on the position.
    pub select: Option<Select>,
    /// Module of one lane.
    pub lane_module: String,
    /// Bit ranges of each lane.
    pub lane_ports: Vec<LanePorts>,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
}

/// The memory that says which function a lane uses.
#[derive(Clone, Debug, Serialize)]
pub struct Select {
    /// Bits of the beat counter.
    pub beat_bits: usize,
    /// Last beat of a frame.
    pub last: usize,
    /// Bits of a word.
    pub bits: usize,
    /// Words as hexadecimal digits.
    pub words: Vec<String>,
}

/// Bit ranges (`high:low`) of one lane of a map.
#[derive(Clone, Debug, Serialize)]
pub struct LanePorts {
    /// In the select word.
    pub select: String,
    /// In the beat in.
    pub x: String,
    /// In the beat out.
    pub y: String,
}

/// `map_lane.v.tera`: one lane of the input map.
#[derive(Clone, Debug, Serialize)]
pub struct MapLane {
    /// Module name.
    pub module: String,
    /// What it does, for the comment.
    pub task: String,
    /// Cycles from x to y.
    pub latency: usize,
    /// Bits that name the function; 0 if there is one.
    pub index_bits: usize,
    /// Bits of a code in.
    pub x_bits: usize,
    /// Bits of a code out.
    pub y_bits: usize,
    /// Whether `x` is excluded by its type.
    pub illegal: String,
    /// The clamped code, or empty.
    pub clamp: String,
    /// The table, if it is one.
    pub table: Option<Table>,
    /// Search stages, if it is a search.
    pub stages: Vec<Stage>,
    /// Bits of a search word.
    pub word_bits: usize,
    /// The code at word width.
    pub value: String,
    /// Which functions fall, where some do and some do not.
    pub direction: Option<Direction>,
    /// Result of the search.
    pub y: String,
}

/// A table of codes.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Address expression.
    pub address: String,
    /// Bits of the address.
    pub address_bits: usize,
    /// Codes.
    pub words: Vec<Word>,
}

/// `label_select.v.tera`: index of the largest class value.
#[derive(Clone, Debug, Serialize)]
pub struct LabelSelect {
    /// Module name.
    pub module: String,
    /// Number of classes.
    pub classes: usize,
    /// Lanes in.
    pub lanes: usize,
    /// Cycles from the last beat in to the queue.
    pub pipeline: usize,
    /// Bits of a beat in.
    pub s_bits: usize,
    /// Type of a lane in.
    pub s_type: String,
    /// Bits of an index.
    pub index_bits: usize,
    /// Bits of the beat counter.
    pub beat_bits: usize,
    /// Beats of a frame.
    pub beats: usize,
    /// Places of the exit queue.
    pub queue: usize,
    /// Compare levels.
    pub levels: usize,
    /// Bits of a class value.
    pub value_bits: usize,
    /// Cycles to the winner of a beat.
    pub winner: usize,
    /// How class values are made step by step, if they are.
    pub steps: Option<ClassSteps>,
    /// Whether the winner of a beat is above the best so far: an expression.
    pub greater: String,
    /// One class value per lane.
    pub values: Vec<ClassValue>,
    /// Compare tree.
    pub tree: Vec<Vec<Compare>>,
    /// Suffix of the tree's root.
    pub root: String,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
}

/// Class values step by step.
#[derive(Clone, Debug, Serialize)]
pub struct ClassSteps {
    /// Cycles at which the number of the beat is needed, from 2 on.
    pub beats: Vec<usize>,
    /// The last of them: that of the class value.
    pub value: usize,
    /// Lanes.
    pub lanes: Vec<ClassLane>,
}

/// The steps of one lane.
#[derive(Clone, Debug, Serialize)]
pub struct ClassLane {
    /// Lane.
    pub index: usize,
    /// Whether its multiplier is read into a register.
    pub multiplier: bool,
    /// Whether its offset is.
    pub offset: bool,
    /// Whether its code is.
    pub reads: bool,
    /// What is added to the offset for terms that are complemented.
    pub lack: Word,
    /// Registers of the terms, if products take a cycle.
    pub products: Vec<ClassAdder>,
    /// Registers of each adder level.
    pub levels: Vec<Vec<ClassAdder>>,
    /// The class value: a register or expression.
    pub value: String,
    /// Index of the class.
    pub class: String,
}

/// A register and what goes into it.
#[derive(Clone, Debug, Serialize)]
pub struct ClassAdder {
    /// Register.
    pub name: String,
    /// Expression.
    pub value: String,
    /// What `<name>_factor` is, if the expression multiplies with it.
    pub factor: String,
}

/// The class value of one lane.
#[derive(Clone, Debug, Serialize)]
pub struct ClassValue {
    /// Lane.
    pub index: usize,
    /// Multiplier and offset by beat; empty if there is one beat.
    pub words: Vec<ClassWord>,
    /// Multiplier, if there is one beat.
    pub multiplier: Word,
    /// Offset, if there is one beat.
    pub offset: Word,
    /// The lane at value width.
    pub x: String,
    /// Index of the class.
    pub class: String,
}

/// Multiplier and offset of one class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassWord {
    /// Multiplier.
    pub multiplier: Word,
    /// Offset.
    pub offset: Word,
}

/// A node of the compare tree.
#[derive(Clone, Debug, Serialize)]
pub struct Compare {
    /// Suffix of its registers.
    pub name: String,
    /// Suffix of the operand with the lower indices.
    pub left: String,
    /// Suffix of the other operand; empty for a node that only waits.
    pub right: String,
    /// Whether the right one is above the left one, where comparison and choice are apart.
    pub greater: String,
}

/// `top.v.tera`: streams, modules, frame counters.
#[derive(Clone, Debug, Serialize)]
pub struct Top {
    /// Module name.
    pub top: String,
    /// One line.
    pub title: String,
    /// Comment lines.
    pub about: Vec<String>,
    /// What `frame_error` means here.
    pub frame_error: String,
    /// Bits of the input bus, whole bytes.
    pub s_bus: usize,
    /// Bits of it that carry data.
    pub s_bits: usize,
    /// Bits of the output bus, whole bytes.
    pub m_bus: usize,
    /// Output data with its padding.
    pub m_data: String,
    /// Streams.
    pub streams: Vec<StreamWires>,
    /// First stream.
    pub input: String,
    /// Last stream.
    pub output: String,
    /// Modules.
    pub modules: Vec<Instance>,
    /// Beats of a frame in.
    pub s_beats: usize,
    /// Bits that count them.
    pub s_count: usize,
    /// Beats of a frame out.
    pub m_beats: usize,
    /// Bits that count them.
    pub m_count: usize,
    /// Whether an input map reports illegal codes.
    pub illegal: bool,
    /// Modules that the claims need, under `ifdef FORMAL`.
    pub formal_modules: String,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
}

/// The wires of a stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamWires {
    /// Prefix.
    pub name: String,
    /// Bits of a beat.
    pub width: usize,
    /// What it carries.
    pub comment: String,
}

/// A module in the top.
#[derive(Clone, Debug, Serialize)]
pub struct Instance {
    /// Module name.
    pub module: String,
    /// Instance name.
    pub instance: String,
    /// Parameters, for a fixed module.
    pub parameters: Vec<Parameter>,
    /// Streams read, each with the prefix of its ports.
    pub inputs: Vec<StreamPort>,
    /// Streams written.
    pub outputs: Vec<StreamPort>,
    /// Whether it reports illegal codes.
    pub illegal: bool,
}

/// A stream at a module's ports.
#[derive(Clone, Debug, Serialize)]
pub struct StreamPort {
    /// `s_axis`, `s1_axis`, `m_axis` or `m1_axis`.
    pub port: &'static str,
    /// Name of the stream.
    pub stream: String,
}

/// A parameter of a fixed module.
#[derive(Clone, Debug, Serialize)]
pub struct Parameter {
    /// Name.
    pub name: &'static str,
    /// Value, as Verilog writes it.
    pub value: String,
}

/// `monitor.v.tera`: prints the handshakes of inner streams.
#[derive(Clone, Debug, Serialize)]
pub struct Monitor {
    /// Module name.
    pub module: String,
    /// The accelerator.
    pub top: String,
    /// Bits of the input bus.
    pub s_bus: usize,
    /// Bits of the output bus.
    pub m_bus: usize,
    /// Streams in order.
    pub streams: Vec<String>,
}

/// `testbench.v.tera`: the self-checking testbench.
#[derive(Clone, Debug, Serialize)]
pub struct Testbench {
    /// Module name.
    pub module: String,
    /// The accelerator.
    pub top: String,
    /// Bits of the input bus.
    pub s_bus: usize,
    /// Bits of the output bus.
    pub m_bus: usize,
    /// Frames sent.
    pub frames: usize,
    /// Beats in, all frames.
    pub in_beats: usize,
    /// Beats out, all frames.
    pub out_beats: usize,
    /// Beats in of a frame.
    pub in_frame: usize,
    /// Beats out of a frame.
    pub out_frame: usize,
    /// Beats in after which the first run is reset.
    pub reset_at: usize,
    /// Cycles without a beat that count as a deadlock.
    pub quiet: u64,
}
