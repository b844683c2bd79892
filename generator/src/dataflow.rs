//! The dataflow: hardware modules joined by streams. It knows clock cycles and no floats.
//!
//! Everything that the Verilog will hold is here: ROM words, threshold words, register widths, queue depths, fold
//! orders. The emitter prints it, the cycle simulator runs it, the estimator prices it; none of them looks back
//! at the network, so they cannot disagree about what was built.

use serde::{Deserialize, Serialize};

use quantizer::datatype::{Range, Signedness};

mod image;
mod label;
mod matrix;

pub use image::{Add, Concat, Fork, Pool, Upsample, Window};
pub use label::{ClassSteps, LabelSelect};
pub use matrix::{MatrixVector, Pe, Search, SearchWords};

/// Index of a [`Stream`] in [`Dataflow::streams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct StreamId(pub usize);

/// A streaming accelerator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dataflow {
    /// Name of the top module, and the prefix of every other one.
    pub top: String,
    /// Modules in stream order: each reads what earlier ones write.
    pub modules: Vec<Module>,
    /// Streams between them; the first is the input, the last the output.
    pub streams: Vec<Stream>,
    /// What leaves the accelerator.
    pub output: Output,
    /// Cycles between two frames, where a simulation has shown that they are more than the slowest module needs by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sustained: Option<u64>,
}

impl Dataflow {
    /// The stream with this index.
    pub fn stream(&self, id: StreamId) -> &Stream {
        &self.streams[id.0]
    }

    /// The stream that the pins feed.
    pub fn input(&self) -> &Stream {
        &self.streams[0]
    }

    /// The stream that leaves.
    pub fn output_stream(&self) -> &Stream {
        &self.streams[self.streams.len() - 1]
    }

    /// Clock cycles between two frames when nothing stalls: the slowest module's, or more where a simulation has shown that.
    pub fn interval(&self) -> u64 {
        let slowest = self.modules.iter().map(|m| m.cycles(self)).max().unwrap_or(1);
        self.sustained.map_or(slowest, |s| s.max(slowest))
    }

    /// The module that limits the interval.
    pub fn bottleneck(&self) -> Option<&Module> {
        // max_by_key keeps the last of equals; the first is what a reader of the chain meets first.
        self.modules.iter().rev().max_by_key(|m| m.cycles(self))
    }
}

/// What leaves the accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// The last layer's integers, one per class, in source order.
    Logits,
    /// The index of the largest class value, ties to the lowest.
    Label,
}

/// An AXI4-Stream style connection: `lanes` elements a beat, lane 0 in the low bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stream {
    /// Name, unique in the dataflow; prefix of its wires.
    pub name: String,
    /// The ONNX tensor that it carries.
    pub tensor: String,
    /// Elements side by side in one beat.
    pub lanes: usize,
    /// How one element is carried.
    pub encoding: Encoding,
    /// Source index of the element at each position of a vector; its length is the number of elements in a vector.
    pub order: Vec<usize>,
    /// Reachable interval at each position.
    pub ranges: Vec<Range>,
    /// Vectors of a frame: 1, or the pixels of an image, row by row.
    pub vectors: usize,
}

impl Stream {
    /// Elements of one vector: of one pixel, or of the frame.
    pub fn vector_elements(&self) -> usize {
        self.order.len()
    }

    /// Beats of one vector; the last may be partial.
    pub fn vector_beats(&self) -> usize {
        self.vector_elements().div_ceil(self.lanes)
    }

    /// Elements of one frame.
    pub fn elements(&self) -> usize {
        self.vector_elements() * self.vectors
    }

    /// Beats of one frame.
    pub fn beats(&self) -> usize {
        self.vector_beats() * self.vectors
    }

    /// Source elements (ONNX order: channels first, row-major) in the lanes of beat `beat` of a frame.
    pub fn sources(&self, beat: usize) -> impl Iterator<Item = usize> + '_ {
        let (vector, first) = (beat / self.vector_beats(), beat % self.vector_beats() * self.lanes);
        let last = (first + self.lanes).min(self.vector_elements());
        self.order[first..last].iter().map(move |&channel| channel * self.vectors + vector)
    }

    /// Lanes that carry elements in beat `beat`, counted through all frames.
    pub fn lanes_of(&self, beat: usize) -> usize {
        self.lanes.min(self.vector_elements() - beat % self.vector_beats() * self.lanes)
    }

    /// Source elements of a whole frame, in the order in which they come.
    pub fn frame_order(&self) -> Vec<usize> {
        (0..self.beats()).flat_map(|beat| self.sources(beat)).collect()
    }

    /// Bits of one beat.
    pub fn width(&self) -> usize {
        self.lanes * self.encoding.bits as usize
    }
}

/// How a code is carried on wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// Wires per element.
    pub bits: u32,
    /// Plain binary, two's complement, or one wire for -1 / +1.
    pub sign: Signedness,
}

impl Encoding {
    /// The narrowest plain encoding of an interval, at least one bit.
    pub fn of(range: Range) -> Self {
        let sign = if range.lo < 0 { Signedness::Signed } else { Signedness::Unsigned };
        Encoding { bits: range.width().max(1), sign }
    }

    /// Wires of `code`, in the low `bits` bits. The code must be one that the encoding can carry.
    pub fn encode(self, code: i64) -> u64 {
        match self.sign {
            Signedness::Bipolar => u64::from(code > 0),
            _ => code as u64 & mask(self.bits),
        }
    }

    /// The code on wires `word`.
    pub fn decode(self, word: u64) -> i64 {
        match self.sign {
            Signedness::Bipolar => 2 * (word & 1) as i64 - 1,
            Signedness::Unsigned => (word & mask(self.bits)) as i64,
            Signedness::Signed => sign_extend(word, self.bits),
        }
    }
}

/// The low `bits` bits set (1 to 64).
pub fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits.clamp(1, 64))
}

/// Reads the low `bits` bits of `word` as two's complement.
pub fn sign_extend(word: u64, bits: u32) -> i64 {
    let shift = 64 - bits.clamp(1, 64);
    ((word << shift) as i64) >> shift
}

/// A hardware module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Module {
    /// Verilog name of the instance; the module is called `<top>_<name>`.
    pub name: String,
    /// The network layer that it serves.
    pub layer: String,
    /// Streams read: one, or two for a join.
    pub inputs: Vec<StreamId>,
    /// Streams written: one, or two for a fork.
    pub outputs: Vec<StreamId>,
    /// What it does.
    pub kind: Kind,
}

impl Module {
    /// The first (for most modules the only) stream read.
    pub fn input(&self) -> StreamId {
        self.inputs[0]
    }

    /// The first (for most modules the only) stream written.
    pub fn output(&self) -> StreamId {
        self.outputs[0]
    }

    /// Clock cycles that one frame keeps the module busy when nothing stalls it.
    pub fn cycles(&self, dataflow: &Dataflow) -> u64 {
        let (input, output) = (dataflow.stream(self.input()), dataflow.stream(self.output()));
        let beats = match &self.kind {
            Kind::MatrixVector(m) => m.neuron_folds * m.synapse_folds * input.vectors,
            _ => input.beats().max(output.beats()),
        };
        beats as u64
    }

    /// Cycles from the clock edge that takes the last input beat of an output to the edge that writes that output
    /// into the exit queue. 0 for width converters and FIFOs, which have no pipeline.
    pub fn pipeline(&self) -> usize {
        match &self.kind {
            Kind::Map(m) => m.pipeline(),
            Kind::MatrixVector(m) => m.pipeline(),
            Kind::LabelSelect(l) => l.pipeline(),
            Kind::Window(_) | Kind::Upsample(_) => 1,
            Kind::Pool(_) | Kind::Add(_) => 2,
            Kind::WidthConverter(_) | Kind::Fifo(_) | Kind::Fork(_) | Kind::Concat(_) => 0,
        }
    }

    /// Beats of a vector as the module makes it. The stream may join several to one, where its reader takes a whole image as one
    /// vector.
    pub fn vector_beats(&self, dataflow: &Dataflow) -> usize {
        let input = dataflow.stream(self.input()).vector_beats();
        match &self.kind {
            Kind::Map(_) | Kind::Fifo(_) | Kind::Fork(_) | Kind::Add(_) => input,
            Kind::MatrixVector(m) => m.neuron_folds,
            Kind::LabelSelect(_) => 1,
            Kind::WidthConverter(w) => (w.input_units * (w.beats - 1) + w.last_units) / w.output_units,
            Kind::Window(w) => w.beats(),
            Kind::Upsample(u) => u.out_chunks(),
            Kind::Pool(p) => input / p.beats,
            Kind::Concat(c) => c.beats[0] + c.beats[1],
        }
    }

    /// Whether the credit of a beat that left the exit queue comes back a cycle later, through a register.
    pub fn credit_late(&self) -> bool {
        match &self.kind {
            Kind::MatrixVector(m) => m.credit_late,
            Kind::LabelSelect(l) => l.credit_late,
            _ => false,
        }
    }

    /// Places of the queue at the module's exit, which is also its number of credits; of a FIFO, its
    /// depth. 0 without a queue.
    pub fn queue_depth(&self) -> usize {
        match &self.kind {
            Kind::Map(m) => m.queue_depth,
            Kind::MatrixVector(m) => m.queue_depth,
            Kind::LabelSelect(l) => l.queue_depth,
            Kind::Fifo(f) => f.depth,
            Kind::Window(w) => w.queue_depth,
            Kind::Upsample(u) => u.queue_depth,
            Kind::Pool(p) => p.queue_depth,
            Kind::Add(a) => a.queue_depth,
            Kind::Concat(_) => Concat::QUEUE,
            Kind::WidthConverter(_) | Kind::Fork(_) => 0,
        }
    }
}

/// The kinds of module.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Element by element requantization of the pins' codes.
    Map(Map),
    /// Dense layer with its thresholds.
    MatrixVector(MatrixVector),
    /// Same elements, another number of lanes.
    WidthConverter(WidthConverter),
    /// Keeps beats until their reader wants them.
    Fifo(Fifo),
    /// Index of the largest value.
    LabelSelect(LabelSelect),
    /// Windows of an image as vectors.
    Window(Window),
    /// Largest value or sum of consecutive beats.
    Pool(Pool),
    /// Pixels sent several times, or in parts.
    Upsample(Upsample),
    /// One stream for two readers.
    Fork(Fork),
    /// Sum of two streams.
    Add(Add),
    /// Channels of two streams one after the other.
    Concat(Concat),
}

/// Maps every pattern that the pins can carry to a legal code, lane by lane.
///
/// Codes that the declared type excludes (narrow, bipolar) are read as the nearest legal one and reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Map {
    /// How a lane finds its code.
    pub function: MapFunction,
    /// For each beat of a frame and each lane, the table or channel in use. Empty where there is only one.
    pub select: Vec<Vec<usize>>,
    /// Legal codes of the pins' type.
    pub legal: Range,
    /// Places of the exit queue.
    pub queue_depth: usize,
}

impl Map {
    /// See [`Module::pipeline`]: input register, then one stage for a table or a clamp, one a bit for a search.
    pub fn pipeline(&self) -> usize {
        match &self.function {
            MapFunction::Clamp | MapFunction::Table(_) => 2,
            MapFunction::Search { search, .. } => 1 + search.bits as usize,
        }
    }

    /// The code that a narrow type of `input` lacks: the most negative one, or the largest if it is unsigned.
    pub fn excluded(&self, input: Encoding) -> Option<i64> {
        let code = if input.sign == Signedness::Unsigned { self.legal.hi + 1 } else { self.legal.lo - 1 };
        let carried = input.sign != Signedness::Bipolar && input.decode(input.encode(code)) == code;
        carried.then_some(code)
    }

    /// The code for the pattern `word` on the pins, in table or channel `which`.
    pub fn apply(&self, input: Encoding, which: usize, word: u64) -> i64 {
        let code = input.decode(word);
        match &self.function {
            MapFunction::Clamp => code.clamp(self.legal.lo, self.legal.hi),
            MapFunction::Table(tables) => tables[which][(word & mask(input.bits)) as usize],
            MapFunction::Search { search, channels, .. } => search.apply(&channels[which], code),
        }
    }
}

/// How a [`Map`]'s lane finds its code.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MapFunction {
    /// The code itself, illegal ones moved to the nearest legal one.
    Clamp,
    /// One table per function, indexed by the wires' pattern.
    Table(Vec<Vec<i64>>),
    /// Binary search.
    Search {
        /// Stages and base.
        search: Search,
        /// Words of each function.
        channels: Vec<SearchWords>,
        /// Two's complement width of a word, at least the code's.
        word_bits: u32,
    },
}

/// Changes the number of lanes. A vector's last beat may be partial on either side.
///
/// It is a shift register counted in units of `unit` lanes: a beat in appends `input_units` (the last of a vector
/// `last_units`, padding included, so that a vector fills whole output beats), a beat out removes `output_units`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WidthConverter {
    /// Lanes of a unit: what all the counts below are multiples of.
    pub unit: usize,
    /// Units appended by every beat of a vector but the last; as `last_units` if there is no other.
    pub input_units: usize,
    /// Units appended by the last beat of a vector.
    pub last_units: usize,
    /// Lanes of the last beat that carry elements; the rest of its units is padding.
    pub last_lanes: usize,
    /// Beats in of a vector.
    pub beats: usize,
    /// Units that a beat out removes.
    pub output_units: usize,
    /// Units that the register holds: a beat is taken while as many as it may append are free.
    pub capacity: usize,
}

/// A queue between two modules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fifo {
    /// Beats held.
    pub depth: usize,
    /// Whether it is a register slice: two beats, data in registers and not in a memory. Cycle for cycle it is the queue of two.
    pub slice: bool,
}
