//! Constant matrices as arrays of adders: every weight is part of the circuit, a vector enters every clock.
//!
//! Weights are written in canonical signed digits; zero weights are no digits at all. Sums of two signals that several outputs hold at
//! the same distance and sign are built once, as long as that saves LUTs ([`share`]). What remains of each output is compressed as
//! a bit heap ([`crate::heap`]), which removes up to two bits a LUT where an adder removes one. All widths are those of exact intervals.

mod group;
mod share;

use serde::Serialize;

use quantizer::datatype::{Range, Signedness};

use crate::dataflow::Encoding;
use crate::heap::{Heap, Row, Term, Wire, reduce};

/// What is tried for sharing: LUTs that a bit less in a heap is worth, in hundredths (what a heap reaches lies between one bit and two
/// a LUT; 0 shares nothing), how many shared sums may stand on one another, and whether inputs are grouped before.
const TRIED: [(usize, usize, bool); 6] =
    [(0, 0, false), (50, 1, false), (50, 2, false), (65, 3, false), (0, 0, true), (50, 1, true)];

/// A planned array.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unrolled {
    /// Rows of cells, wires and stages of the whole array. Its `bits`, `direct` and `accumulate` mean nothing here.
    pub heap: Heap,
    /// Encoding of an input.
    pub input: Encoding,
    /// Inputs.
    pub inputs: usize,
    /// Outputs.
    pub outputs: Vec<OutputSum>,
    /// Sums that several outputs share.
    pub shared: usize,
    /// Those of them that are numbers; the others leave a row's carries as they are.
    pub numbers: Vec<OutputSum>,
    /// Stages from the inputs to the outputs, all of which are there at that stage.
    pub stages: usize,
}

/// One output of the array, or a shared sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputSum {
    /// Exact interval.
    pub interval: Range,
    /// Its bits, lowest first; none is 0.
    pub bits: Vec<Option<Term>>,
}

/// A signal times a power of two, added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Digit {
    /// Index of the signal: inputs first, then shared sums.
    signal: usize,
    shift: u32,
    negative: bool,
}

/// An input or a shared sum.
#[derive(Clone, Debug)]
struct Signal {
    interval: Range,
    /// What it is the sum of; nothing for an input.
    sum: Vec<Digit>,
    /// Whether its bits are what one row of cells leaves, two of a column among them; else it is a number.
    carries: bool,
}

impl Signal {
    fn width(&self) -> usize {
        self.interval.width().max(1) as usize
    }
}

impl Unrolled {
    /// Plans `weights[output][input]` for inputs of `encoding` that lie in `ranges`.
    ///
    /// Several amounts of sharing are tried; the fewest LUTs win. Sums of shared sums go at most `depth` deep.
    pub fn plan(weights: &[Vec<i64>], encoding: Encoding, ranges: &[Range], depth: usize) -> Self {
        let grouped = group::applies(weights);
        let tried = TRIED.iter().filter(|t| t.1 <= depth && (grouped || !t.2));
        // Each by a thread of its own: they have nothing in common.
        let plans: Vec<Self> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                tried.map(|&tried| scope.spawn(move || Self::with(weights, encoding, ranges, tried))).collect();
            threads.into_iter().filter_map(|t| t.join().ok()).collect()
        });
        let mut best = None;
        for plan in plans {
            let better = best.as_ref().is_none_or(|b: &Self| plan.heap.luts() < b.heap.luts());
            if better {
                best = Some(plan);
            }
        }
        // TRIED is not empty.
        best.unwrap_or_else(|| Self::with(weights, encoding, ranges, (0, 0, false)))
    }

    fn with(
        weights: &[Vec<i64>],
        encoding: Encoding,
        ranges: &[Range],
        (worth, depth, grouped): (usize, usize, bool),
    ) -> Self {
        let input = |&interval| Signal { interval, sum: Vec::new(), carries: false };
        let mut signals: Vec<Signal> = ranges.iter().map(input).collect();
        let mut sums: Vec<Vec<Digit>> = weights.iter().map(|row| digits(row)).collect();
        if grouped {
            group::group(weights, &mut signals, &mut sums);
        }
        if worth > 0 {
            share::share(&mut signals, &mut sums, depth, worth);
        }
        let mut build = Build { rows: Vec::new(), bits: Vec::new() };
        let bits = encoding.bits as usize;
        for (i, signal) in signals.iter().enumerate().take(ranges.len()) {
            if encoding.sign == Signedness::Bipolar {
                // 2 x - 1: what is added is the count of ones.
                let bit = Bit { column: 1, wire: Wire::X(i), stage: 0, negative: false };
                build.bits.push(Bits { bits: vec![bit], constant: -1 });
                continue;
            }
            // A code in range may need fewer wires than the encoding has.
            let width = signal.width().min(bits);
            let wires = (0..width).map(|b| Some(Term::wire(Wire::X(i * bits + b)))).collect();
            build.bits.push(Bits::number(wires, 0, signal.interval));
        }
        let mut numbers = Vec::new();
        for signal in &signals[ranges.len()..] {
            let bits = if signal.carries {
                build.row(&signal.sum)
            } else {
                let (bits, stage) = build.sum(&signal.sum, signal.width());
                numbers.push(OutputSum { interval: signal.interval, bits: bits.clone() });
                Bits::number(bits, stage, signal.interval)
            };
            build.bits.push(bits);
        }
        let mut stages = 0;
        let outputs = sums
            .iter()
            .map(|sum| {
                let interval = interval(&signals, sum);
                let (bits, stage) = build.sum(sum, interval.width().max(1) as usize);
                stages = stages.max(stage);
                OutputSum { interval, bits }
            })
            .collect::<Vec<_>>();
        let shared = signals.len() - ranges.len();
        let heap =
            Heap { bits: usize::MAX, accumulate: false, rows: build.rows, direct: Vec::new(), last_stage: stages };
        Unrolled { heap, input: encoding, inputs: ranges.len(), outputs, shared, numbers, stages }
    }

    /// Bits of all outputs.
    pub fn output_bits(&self) -> usize {
        self.outputs.iter().map(|o| o.bits.len()).sum()
    }

    /// Flip-flops: rows, and wires that wait.
    pub fn flip_flops(&self) -> usize {
        let last: Vec<Term> = self.outputs.iter().flat_map(|o| o.bits.iter().flatten().copied()).collect();
        let rows: usize = self.heap.rows.iter().map(Row::registers).sum();
        rows + self.heap.waits(&last).iter().map(Vec::len).sum::<usize>()
    }

    /// The outputs for `x`, computed cell by cell.
    pub fn evaluate(&self, x: &[i64]) -> Vec<i64> {
        let bits = self.input.bits as usize;
        let words: Vec<u64> = x.iter().map(|&v| self.input.encode(v)).collect();
        let input = |i: usize| words[i / bits] >> (i % bits) & 1 == 1;
        let wires = self.heap.wires(&input);
        let wire = |w: Wire| match w {
            Wire::X(i) => input(i),
            other => wires.get(&other).copied().unwrap_or(false),
        };
        self.outputs
            .iter()
            .map(|o| {
                let word =
                    o.bits.iter().enumerate().fold(0, |r, (i, t)| r | u64::from(t.is_some_and(|t| t.value(wire))) << i);
                let width = o.bits.len() as u32;
                if o.interval.lo < 0 { crate::dataflow::sign_extend(word, width) } else { word as i64 }
            })
            .collect()
    }
}

/// The canonical signed digits of a row of weights.
fn digits(row: &[i64]) -> Vec<Digit> {
    let mut digits = Vec::new();
    for (signal, &weight) in row.iter().enumerate() {
        let (mut rest, mut shift) = (i128::from(weight), 0);
        while rest != 0 {
            if rest % 2 != 0 {
                // The digit that leaves a multiple of four.
                let digit = if rest.rem_euclid(4) == 1 { 1 } else { -1 };
                digits.push(Digit { signal, shift, negative: digit < 0 });
                rest -= digit;
            }
            rest /= 2;
            shift += 1;
        }
    }
    digits
}

/// Exact interval of a sum: each input is counted once, with all its digits.
fn interval(signals: &[Signal], sum: &[Digit]) -> Range {
    let mut total: std::collections::BTreeMap<usize, i64> = std::collections::BTreeMap::new();
    coefficients(signals, sum, 1, &mut total);
    total.into_iter().fold(Range::ZERO, |r, (signal, weight)| {
        let x = signals[signal].interval;
        let (a, b) = (x.lo * weight, x.hi * weight);
        Range { lo: r.lo + a.min(b), hi: r.hi + a.max(b) }
    })
}

fn coefficients(signals: &[Signal], sum: &[Digit], factor: i64, total: &mut std::collections::BTreeMap<usize, i64>) {
    for digit in sum {
        let weight = factor * (1 << digit.shift) * if digit.negative { -1 } else { 1 };
        let signal = &signals[digit.signal];
        if signal.sum.is_empty() {
            *total.entry(digit.signal).or_default() += weight;
        } else {
            coefficients(signals, &signal.sum, weight, total);
        }
    }
}

/// A signal as bits: their sum, and a constant.
struct Bits {
    bits: Vec<Bit>,
    constant: i64,
}

/// A bit of a signal, added or subtracted.
#[derive(Clone, Copy)]
struct Bit {
    column: usize,
    wire: Wire,
    /// From which stage on it is there.
    stage: usize,
    negative: bool,
}

impl Bits {
    /// Of a plain or two's complement number with these bits, lowest first, none being 0.
    fn number(terms: Vec<Option<Term>>, stage: usize, interval: Range) -> Self {
        let top = terms.len();
        let mut number = Bits { bits: Vec::new(), constant: 0 };
        for (column, term) in terms.into_iter().enumerate() {
            let negative = interval.lo < 0 && column + 1 == top;
            match term.map(|t| t.a) {
                Some(Some(wire)) => number.bits.push(Bit { column, wire, stage, negative }),
                // A bit that is 1.
                Some(None) => number.constant += if negative { -1 } else { 1 } << column,
                None => {}
            }
        }
        number
    }
}

struct Build {
    rows: Vec<Row>,
    /// Of each signal.
    bits: Vec<Bits>,
}

impl Build {
    /// The terms of a sum, and the constant that completes it, modulo 2^64.
    fn terms(&self, sum: &[Digit]) -> (Vec<(usize, Term, usize)>, u64) {
        let mut terms = Vec::new();
        let mut constant = 0u64;
        for digit in sum {
            let signal = &self.bits[digit.signal];
            let own = (signal.constant as u64).wrapping_shl(digit.shift);
            constant = if digit.negative { constant.wrapping_sub(own) } else { constant.wrapping_add(own) };
            for bit in &signal.bits {
                let column = bit.column + digit.shift as usize;
                if digit.negative == bit.negative {
                    terms.push((column, Term::wire(bit.wire), bit.stage));
                } else {
                    // -t = (1 - t) - 1
                    terms.push((column, Term::one_wire(bit.wire, 0b01), bit.stage));
                    constant = constant.wrapping_sub(1u64.checked_shl(column as u32).unwrap_or(0));
                }
            }
        }
        (terms, constant)
    }

    fn sum(&mut self, sum: &[Digit], width: usize) -> (Vec<Option<Term>>, usize) {
        let (mut terms, constant) = self.terms(sum);
        terms.retain(|t| t.0 < width);
        let reduced = reduce(&mut self.rows, terms, constant, width);
        (reduced.bits, reduced.stage)
    }

    /// The sum of up to three signals by one row: two bits may be left in the column above.
    fn row(&mut self, sum: &[Digit]) -> Bits {
        let (terms, constant) = self.terms(sum);
        let stage = terms.iter().map(|t| t.2).max().unwrap_or(0);
        let width = terms.iter().map(|t| t.0 + 1).max().unwrap_or(0);
        let low = terms.iter().map(|t| t.0).min().unwrap_or(0);
        let mut columns = vec![Vec::new(); width - low];
        terms.into_iter().for_each(|(column, term, _)| columns[column - low].push(term));
        let ternary = columns.iter().any(|c: &Vec<Term>| c.len() > 2);
        let index = self.rows.len();
        let row = Row { stage, low, columns, ternary, carry_in: None, majority_in: None };
        let bit = |column, wire| Bit { column, wire, stage: stage + 1, negative: false };
        let mut bits: Vec<Bit> = (low..width).map(|c| bit(c, Wire::Sum { row: index, column: c - low })).collect();
        if row.has_carry() {
            bits.push(bit(width, Wire::Carry { row: index }));
        }
        if row.has_majority() {
            bits.push(bit(width, Wire::Majority { row: index }));
        }
        self.rows.push(row);
        // Small: inputs have few bits.
        Bits { bits, constant: constant as i64 }
    }
}

#[cfg(test)]
mod tests;
