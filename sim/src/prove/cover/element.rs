//! Runs that reach both ends of a processing element's accumulator: its claims are not vacuous, and its intervals are tight.
//!
//! The run begins in the initial state, with the inputs that make each term of a row as large (then as small) as its input's range
//! allows. It is looked at fold by fold: the protocol must say that the row is in order, and the sum must stand at the end of
//! its claimed interval.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;

use quantizer::datatype::Range;

use super::super::intervals::claimed;
use super::super::script::Job;
use super::{Cover, Goal, Witness, constant, table, wave};

/// The cover run of a processing element, or `None` for one without a readable claim.
///
/// Two rows run, one behind the other: that with the largest value that any prefix may have, and that with the smallest.
/// `text` is the element's Verilog, `cells` the files of the primitives that it may be made of.
pub fn cover(job: &Job, text: &str, witness: &Witness, cells: &[String]) -> Option<Cover> {
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
            expected.push((cycle as u64, f as i64, end(f)?));
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
    Some(Cover {
        driver,
        lengths: vec![length],
        module: job.module.clone(),
        files: [cells, &job.files].concat(),
        cut: String::new(),
        goal: Goal::Ends(Ends(expected)),
    })
}

/// Sums to see: cycle, fold, value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends(Vec<(u64, i64, i64)>);

impl Ends {
    /// Whether the waveform shows both ends, fold by fold, the row in order.
    pub fn seen(&self, vcd: impl Read) -> bool {
        let mut seen = BTreeMap::new();
        let names = ["cycle", "dut.f_row_ok", "dut.f_row_fold", "dut.f_held"];
        let read = wave::read(vcd, &names, |now| {
            if let [Some(cycle), Some(ok), Some(fold), Some(sum)] = *now {
                seen.insert(cycle.value, (ok.value, fold.value, sum.signed()));
            }
        });
        let expected = |&(cycle, fold, value): &(u64, i64, i64)| seen.get(&cycle) == Some(&(1, fold as u64, value));
        read.is_some() && !self.0.is_empty() && self.0.iter().all(expected)
    }
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
