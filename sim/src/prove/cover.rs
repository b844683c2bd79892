//! Runs that reach both ends of a processing element's accumulator: its claims are not vacuous, and its intervals are tight.
//!
//! The run is a simulation by Yosys of the very Verilog that was proved, from its initial state, with the inputs that make each
//! term of a row as large (then as small) as its input's range allows. It is looked at fold by fold: the protocol must say
//! that the row is in order, and the sum must stand at the end of its claimed interval. Where the inputs come from does not
//! matter: a run that reaches an end is one, whoever thought of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::sync::Arc;

use serde::Deserialize;

use generator::dataflow::Encoding;
use quantizer::datatype::Range;

use super::heap::Sum;
use super::intervals::claimed;
use super::promise::Promise;
use super::script::{Job, Kind};

/// Inputs that take a processing element to the ends of its accumulator, one word of `x` for each fold, lane 0 in the low bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// Bits of `x`.
    pub bits: usize,
    /// Words, as bits from the lowest, that make every term the largest.
    pub largest: Vec<Vec<bool>>,
    /// And the smallest.
    pub smallest: Vec<Vec<bool>>,
    /// What the element is to sum, for the check of a bit heap.
    pub sum: Sum,
    /// What the dataflow says of its input stream.
    pub promise: Option<Arc<Promise>>,
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
}

/// The witness of each processing element by the name of its module, from a dataflow as it is written to `dataflow.json`.
///
/// # Errors
/// If it is not a dataflow.
pub fn witnesses(dataflow: &serde_json::Value) -> Result<BTreeMap<String, Witness>, serde_json::Error> {
    let dataflow = Dataflow::deserialize(dataflow)?;
    let mut found = BTreeMap::new();
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
        Witness { bits: bits * input.lanes, largest: words(true), smallest: words(false), sum, promise: None }
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

/// A cover run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// A Verilog module `snug_cover`, that gives the element its inputs.
    pub driver: String,
    /// The element.
    module: String,
    files: Vec<String>,
    /// What must be seen: cycle, fold, value of the sum.
    expected: Vec<(u64, u64, i64)>,
    /// Cycles.
    length: usize,
}

/// The cover run of a job, or `None` for a module without an accumulator of its own or without a readable claim.
///
/// Two rows run, one behind the other: that with the largest value that any prefix may have, and that with the smallest.
/// `text` is the element's Verilog, `cells` the files of the primitives that it may be made of.
#[must_use]
pub fn cover(job: &Job, text: &str, witness: &Witness, cells: &[String]) -> Option<Cover> {
    if job.kind != Kind::Element {
        return None;
    }
    let shape = Shape::of(text)?;
    let sums = claimed(text, shape.neuron_folds * shape.synapse_folds)?;
    let accumulator = usize::from(shape.synapse_folds > 1);
    let (mut folds, mut words, mut firsts, mut expected) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (high, inputs) in [(true, &witness.largest), (false, &witness.smallest)] {
        let end = |fold: usize| sums.get(fold).map(|r| if high { r.hi } else { r.lo });
        let fold = (0..sums.len()).max_by_key(|&f| end(f).map(|v| if high { v } else { -v }))?;
        let first = fold - fold % shape.synapse_folds;
        for f in first..=fold {
            // A fold in one cycle, its x in the next, then products, one cycle a level, and the accumulator.
            let cycle = folds.len() + 2 + shape.levels + accumulator;
            expected.push((cycle as u64, f as u64, end(f)?));
            firsts.push(f == first);
            words.push(inputs.get(f)?);
            folds.push(f);
        }
    }
    let length = folds.len() + 4 + shape.levels;
    // Of an array, which is not simulated here, the sums that it has been shown to make.
    let range = witness.sum.prefixes.first().copied().unwrap_or(Range::ZERO);
    let run = Run { x_bits: witness.bits, folds: &folds, words: &words, firsts: &firsts, levels: shape.levels };
    let driver = driver(job, text, &run, [range.hi, range.lo])?;
    Some(Cover { driver, module: job.module.clone(), files: [cells, &job.files].concat(), expected, length })
}

impl Cover {
    /// The script that simulates it: `driver` is the path of the driver's file, `vcd` that of the waveform to write.
    #[must_use]
    pub fn script(&self, driver: &str, vcd: &str) -> String {
        let mut s = format!("# Both ends of the accumulator of {}.\n", self.module);
        for file in &self.files {
            let _ = writeln!(s, "read_verilog -formal {file}");
        }
        let _ = write!(
            s,
            "read_verilog \"{driver}\"\nhierarchy -top snug_cover\nproc -norom\nflatten\ndelete t:$assert\n\
             sim -clock aclk -n {} -vcd \"{vcd}\" snug_cover\n",
            self.length
        );
        s
    }

    /// Whether the waveform shows both ends, fold by fold.
    #[must_use]
    pub fn reached(&self, vcd: impl Read) -> bool {
        let seen = seen(vcd).unwrap_or_default();
        !self.expected.is_empty()
            && self.expected.iter().all(|&(cycle, fold, value)| seen.get(&cycle) == Some(&(1, fold as i64, value)))
    }
}

/// `row_ok`, `row_fold` and the sum in each cycle of a waveform; cycles in which one of them is unknown are left out.
fn seen(vcd: impl Read) -> Option<BTreeMap<u64, (i64, i64, i64)>> {
    let mut parser = vcd::Parser::new(std::io::BufReader::new(vcd));
    let header = parser.parse_header().ok()?;
    let names = ["cycle", "dut.f_row_ok", "dut.f_row_fold", "dut.f_held"];
    let mut codes = Vec::new();
    for name in names {
        codes.push(header.find_var(&["snug_cover", name])?.code);
    }
    let mut now: [Option<u64>; 4] = [None; 4];
    let mut width = 0;
    let mut seen = BTreeMap::new();
    let mut note = |now: &[Option<u64>; 4], width: usize| {
        if let [Some(cycle), Some(ok), Some(fold), Some(sum)] = *now {
            seen.insert(cycle, (ok as i64, fold as i64, generator::dataflow::sign_extend(sum, width as u32)));
        }
    };
    let bits = |value: &vcd::Vector| -> Option<u64> {
        value.iter().try_fold(0u64, |word, bit| match bit {
            vcd::Value::V0 => Some(word << 1),
            vcd::Value::V1 => Some(word << 1 | 1),
            _ => None,
        })
    };
    for command in parser {
        match command.ok()? {
            vcd::Command::Timestamp(_) => note(&now, width),
            vcd::Command::ChangeScalar(code, value) => {
                if let Some(i) = codes.iter().position(|&c| c == code) {
                    now[i] = match value {
                        vcd::Value::V0 => Some(0),
                        vcd::Value::V1 => Some(1),
                        _ => None,
                    };
                }
            }
            vcd::Command::ChangeVector(code, value) => {
                if let Some(i) = codes.iter().position(|&c| c == code) {
                    if i == 3 {
                        width = value.len();
                    }
                    now[i] = bits(&value);
                }
            }
            _ => {}
        }
    }
    note(&now, width);
    Some(seen)
}

/// What an element is given.
struct Run<'a> {
    x_bits: usize,
    folds: &'a [usize],
    words: &'a [&'a Vec<bool>],
    firsts: &'a [bool],
    levels: usize,
}

/// The module that gives the element one fold a cycle, and where it has a sum from an array `ends`; `None` if its ports are others than a processing element's.
fn driver(job: &Job, text: &str, run: &Run, ends: [i64; 2]) -> Option<String> {
    let &Run { x_bits, folds, words, firsts, levels } = run;
    let array = text.contains("] f_x,");
    let count = folds.len();
    let sum = levels + 2;
    let mut s = format!(
        "module snug_cover (input wire aclk);\n    reg [31:0] cycle = 32'd0;\n    always @(posedge aclk)\n        cycle <= \
         cycle + 32'd1;\n    wire runs = (cycle < 32'd{count});\n    wire sums = (cycle >= 32'd{sum}) & (cycle < 32'd{});\n",
        sum + count
    );
    let x: Vec<bool> = words.iter().flat_map(|w| w.iter().copied()).collect();
    let _ = writeln!(s, "    localparam [{}:0] X = {};", x.len() - 1, constant(&x));
    let _ = writeln!(s, "    localparam [{}:0] FIRST = {};", count - 1, constant(firsts));
    let _ = writeln!(
        s,
        "    reg  [{}:0] x;\n    always @(posedge aclk)\n        x <= X[(runs ? cycle : 32'd0)*{x_bits} +: {x_bits}];\n    \
         wire first = FIRST[sums ? cycle - 32'd{sum} : 32'd0];",
        x_bits - 1
    );
    let ports = text.split_once("module ")?.1.split_once("\n);")?.0;
    let mut ties = Vec::new();
    for line in ports.lines() {
        let words: Vec<&str> = line.split("//").next()?.trim().trim_end_matches(',').split_whitespace().collect();
        let (Some(&direction), Some(&name)) = (words.first(), words.last()) else { continue };
        let width =
            line.split_once('[').and_then(|(_, r)| r.split(':').next()?.parse::<usize>().ok()).map_or(1, |h| h + 1);
        match (direction, name) {
            ("input", "fold") => {
                let word = |&f: &usize| (0..width).map(move |b| f >> b & 1 == 1);
                table(&mut s, "fold", "runs ? cycle : 32'd0", width, &folds.iter().flat_map(word).collect::<Vec<_>>());
                ties.push(".fold(fold)".to_owned());
            }
            ("input", "x") if array => {
                let word = |&v: &i64| (0..width).map(move |b| v >> b & 1 == 1);
                let index = format!("sums ? cycle - 32'd{sum} : 32'd0");
                table(&mut s, "made", &index, width, &ends.iter().flat_map(word).collect::<Vec<_>>());
                ties.push(".x(made)".to_owned());
            }
            ("input", "f_x") => ties.push(".f_x(x)".to_owned()),
            ("input", "aclk" | "x") => ties.push(format!(".{name}({name})")),
            ("input", "sum_valid") => ties.push(".sum_valid(sums)".to_owned()),
            ("input", "sum_first") => ties.push(".sum_first(sums & first)".to_owned()),
            ("input", _) => ties.push(format!(".{name}({width}'d0)")),
            _ => {}
        }
    }
    let _ = writeln!(s, "    {} dut ({});\nendmodule", job.module, ties.join(", "));
    Some(s)
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

/// What the head of a processing element says of its folds.
struct Shape {
    neuron_folds: usize,
    synapse_folds: usize,
    levels: usize,
}

impl Shape {
    fn of(text: &str) -> Option<Self> {
        let (before, after) = text.split_once(" neuron x ")?;
        let number = |word: Option<&str>| word.and_then(|w| w.trim_start_matches('(').parse::<usize>().ok());
        let levels = text
            .split_once("wire signed")
            .map_or(text, |(head, _)| head)
            .lines()
            .find(|line| line.starts_with("// Timing"))?
            .split_once(" adder level")
            .and_then(|(front, _)| number(front.split_whitespace().last()))
            .unwrap_or(0);
        Some(Shape {
            neuron_folds: number(before.split_whitespace().last())?,
            synapse_folds: number(after.split_whitespace().next())?,
            levels,
        })
    }
}
