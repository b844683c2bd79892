//! Cover runs: simulations by Yosys of the very Verilog that was proved, which show that its claims are not vacuous.
//!
//! A processing element is taken to both ends of its accumulator ([`element`]); of any other module beats leave, and the sums of
//! pools and additions stand at both ends of their intervals ([`stream`]). Inputs are the ends of the ranges that the dataflow
//! says. Where they come from does not matter: a run that reaches an end is one, whoever thought of it.

mod element;
mod stream;
mod wave;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::sync::Arc;

use serde::Deserialize;

use generator::dataflow::Encoding;
use quantizer::datatype::Range;

use super::heap::Sum;
use super::promise::Promise;
use super::script::{Job, Kind};

/// Inputs that take a processing element to the ends of its accumulator, one word of `x` for each fold, lane 0 in the low bits; of
/// a stream the ends of its ranges, one word for each beat of its vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// Bits of `x`.
    pub bits: usize,
    /// Words, as bits from the lowest, that make every term the largest.
    pub largest: Vec<Vec<bool>>,
    /// And the smallest.
    pub smallest: Vec<Vec<bool>>,
    /// What the element is to sum, for the check of a bit heap; nothing of a stream.
    pub sum: Sum,
    /// What the dataflow says of its input stream.
    pub promise: Option<Arc<Promise>>,
    /// Vectors of a frame, of a stream.
    pub vectors: usize,
}

/// What is needed of a dataflow.
#[derive(Deserialize)]
struct Dataflow {
    top: String,
    modules: Vec<Module>,
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Module {
    name: String,
    inputs: Vec<usize>,
    kind: Unit,
}

#[derive(Deserialize)]
struct Unit {
    #[serde(default)]
    synapse_folds: usize,
    #[serde(default)]
    neuron_folds: usize,
    /// Parts of the vector that have rows of their own.
    #[serde(default)]
    parts: usize,
    #[serde(default)]
    pes: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    weights: Vec<Vec<i64>>,
    weight_encodings: Vec<Encoding>,
    reduction: Reduction,
}

#[derive(Deserialize)]
struct Reduction {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    operation: Operation,
}

#[derive(Deserialize)]
struct Operation {
    /// Of a product alone.
    #[serde(default)]
    lane: Option<usize>,
}

#[derive(Deserialize)]
struct Stream {
    name: String,
    lanes: usize,
    encoding: Encoding,
    ranges: Vec<Range>,
    vectors: usize,
}

/// The witness of each processing element by the name of its module, and of each stream by that of the module that watches it, from
/// a dataflow as it is written to `dataflow.json`.
///
/// # Errors
/// If it is not a dataflow.
pub fn witnesses(dataflow: &serde_json::Value) -> Result<BTreeMap<String, Witness>, serde_json::Error> {
    let dataflow = Dataflow::deserialize(dataflow)?;
    let mut found = BTreeMap::new();
    for stream in &dataflow.streams {
        found.insert(format!("{}_{}_watch", dataflow.top, stream.name), Witness::of_stream(stream));
    }
    for module in &dataflow.modules {
        let Some(input) = module.inputs.first().and_then(|&i| dataflow.streams.get(i)) else { continue };
        let promise = Arc::new(Promise {
            module: format!("{}_{}_range", dataflow.top, input.name),
            lanes: input.lanes,
            encoding: input.encoding,
            ranges: input.ranges.clone(),
        });
        for (p, element) in module.kind.pes.iter().enumerate() {
            let witness = Witness { promise: Some(promise.clone()), ..Witness::of(element, &module.kind, input) };
            found.insert(format!("{}_{}_pe{p}", dataflow.top, module.name), witness);
        }
    }
    Ok(found)
}

impl Witness {
    fn of(element: &Element, unit: &Unit, input: &Stream) -> Self {
        let bits = input.encoding.bits as usize;
        let words = |largest: bool| {
            let word = |(fold, weights): (usize, &Vec<i64>)| {
                let lane = |l: usize| {
                    // What lies past the vector's end has no weight.
                    let at = unit.beat_of(fold) * input.lanes + l;
                    let range = input.ranges.get(at).copied().unwrap_or(Range::ZERO);
                    let positive = weights.get(l).is_some_and(|&w| w > 0);
                    let code = input.encoding.encode(if positive == largest { range.hi } else { range.lo });
                    (0..bits).map(move |b| code >> b & 1 == 1)
                };
                (0..input.lanes).flat_map(lane).collect()
            };
            element.weights.iter().enumerate().map(word).collect()
        };
        let sum = element.sum(unit, input);
        Witness { bits: bits * input.lanes, largest: words(true), smallest: words(false), sum, ..Witness::default() }
    }

    fn of_stream(stream: &Stream) -> Self {
        let bits = stream.encoding.bits as usize;
        let lanes = stream.lanes.max(1);
        let words = |largest: bool| {
            let lane = |range: &Range| {
                let code = stream.encoding.encode(if largest { range.hi } else { range.lo });
                (0..bits).map(move |b| code >> b & 1 == 1)
            };
            let word = |beat: &[Range]| {
                let mut word: Vec<bool> = beat.iter().flat_map(lane).collect();
                word.resize(lanes * bits, false);
                word
            };
            stream.ranges.chunks(lanes).map(word).collect()
        };
        Witness {
            bits: bits * lanes,
            largest: words(true),
            smallest: words(false),
            vectors: stream.vectors,
            ..Witness::default()
        }
    }
}

impl Unit {
    /// The beat of the vector that a fold reads, as the generator's `MatrixVector::beat_of` has it.
    fn beat_of(&self, fold: usize) -> usize {
        let folds = self.synapse_folds.max(1);
        let passes = (self.neuron_folds / self.parts.max(1)).max(1);
        fold / folds / passes * folds + fold % folds
    }
}

impl Element {
    /// What it is to sum: lanes with weights, lane by lane in the memory's word.
    fn sum(&self, unit: &Unit, input: &Stream) -> Sum {
        let (mut sum, mut low) = (Sum::default(), 0);
        for lane in self.reduction.nodes.iter().filter_map(|n| n.operation.lane) {
            let Some(&encoding) = self.weight_encodings.get(lane) else { continue };
            sum.lanes.push((lane * input.encoding.bits as usize, low, input.encoding, encoding));
            low += encoding.bits as usize;
        }
        let lanes: Vec<usize> = self.reduction.nodes.iter().filter_map(|n| n.operation.lane).collect();
        let mut prefix = Range::ZERO;
        for (fold, weights) in self.weights.iter().enumerate() {
            if fold % unit.synapse_folds.max(1) == 0 {
                prefix = Range::ZERO;
            }
            let mut word = Vec::new();
            for &lane in &lanes {
                let (Some(&weight), Some(encoding)) = (weights.get(lane), self.weight_encodings.get(lane)) else {
                    continue;
                };
                let code = encoding.encode(weight);
                word.extend((0..encoding.bits).map(|b| code >> b & 1 == 1));
                let range = input.ranges.get(unit.beat_of(fold) * input.lanes + lane).copied().unwrap_or(Range::ZERO);
                let (a, b) = (weight * range.lo, weight * range.hi);
                prefix = Range { lo: prefix.lo + a.min(b), hi: prefix.hi + a.max(b) };
            }
            sum.words.push(word);
            sum.prefixes.push(prefix);
        }
        if self.weights.len() == 1 {
            let range = |l: usize| input.ranges.get(l).copied().unwrap_or(Range::ZERO);
            let bits = input.encoding.bits as usize;
            sum.inputs = (0..input.lanes).map(|l| (l * bits, input.encoding, range(l))).collect();
        }
        sum
    }
}

/// Why a processing element has no run.
const NO_ENDS: &str = "nothing is known that would take it to the ends of its accumulator";

/// A cover run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// A Verilog module `snug_cover`, that gives the module its inputs.
    pub driver: String,
    /// Cycles that are simulated; the next number where those do not do.
    pub lengths: Vec<usize>,
    /// The module.
    module: String,
    files: Vec<String>,
    /// Commands between `flatten` and the simulation.
    cut: String,
    goal: Goal,
}

/// What a waveform must show.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Goal {
    Ends(element::Ends),
    Leaves(stream::Leaves),
}

/// What there is to show of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// That this run shows what it should.
    Run(Cover),
    /// Nothing: no `valid` goes through it.
    NotNeeded,
    /// Something, and no run is known that could; why.
    Unknown(String),
}

/// The cover run of a job.
///
/// `text` is the module's Verilog, `cells` the files of the primitives that an element may be made of.
#[must_use]
pub fn cover(job: &Job, text: &str, witnesses: &BTreeMap<String, Witness>, cells: &[String]) -> Coverage {
    match job.kind {
        Kind::Element => witnesses
            .get(&job.module)
            .and_then(|witness| element::cover(job, text, witness, cells))
            .map_or_else(|| Coverage::Unknown(NO_ENDS.to_owned()), Coverage::Run),
        Kind::Control => stream::cover(job, text, witnesses),
        Kind::Row => Coverage::NotNeeded,
    }
}

impl Cover {
    /// The script that simulates it for so many cycles: `driver` is the path of the driver's file, `vcd` that of the waveform to
    /// write.
    #[must_use]
    pub fn script(&self, length: usize, driver: &str, vcd: &str) -> String {
        let mut s = format!("# A run of {} that shows what its claims are about.\n", self.module);
        for file in &self.files {
            let _ = writeln!(s, "read_verilog -formal {file}");
        }
        let _ = write!(
            s,
            "read_verilog \"{driver}\"\nhierarchy -top snug_cover\nproc -norom\nflatten\n{}delete t:$assert\n\
             sim -clock aclk -n {length} -vcd \"{vcd}\" snug_cover\n",
            self.cut
        );
        s
    }

    /// Whether the waveform shows it.
    #[must_use]
    pub fn reached(&self, vcd: impl Read) -> bool {
        match &self.goal {
            Goal::Ends(ends) => ends.seen(vcd),
            Goal::Leaves(leaves) => leaves.seen(vcd),
        }
    }

    /// What was not found, where none of the runs shows it.
    #[must_use]
    pub fn missed(&self) -> &'static str {
        match self.goal {
            Goal::Ends(_) => "no run to both ends of its accumulator was found",
            Goal::Leaves(_) => "no run was found in which beats leave it, its sums at both ends of their intervals",
        }
    }
}

/// A wire of `width` bits that looks up the word `index` of `words`.
fn table(s: &mut String, wire: &str, index: &str, width: usize, words: &[bool]) {
    let _ = writeln!(
        s,
        "    localparam [{}:0] {wire}_words = {};\n    wire [{}:0] {wire} = {wire}_words[({index})*{width} +: {width}];",
        words.len() - 1,
        constant(words),
        width - 1
    );
}

/// Bits from the lowest as a Verilog constant.
fn constant(bits: &[bool]) -> String {
    let digit = |chunk: &[bool]| chunk.iter().rev().fold(0u32, |d, &b| d << 1 | u32::from(b));
    let digits: String = bits.chunks(4).rev().filter_map(|c| char::from_digit(digit(c), 16)).collect();
    format!("{}'h{digits}", bits.len())
}
