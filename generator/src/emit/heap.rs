//! Prints a bit heap: the part of a processing element from products to accumulator.

use hw_templates::{HeapDelay, HeapRow, HeapSum};
use quantizer::datatype::Range;

use crate::heap::{Heap, Row, Term, Wire};

/// The context of `heap`, whose sums lie in `interval`.
pub fn context(heap: &Heap, interval: Range) -> HeapSum {
    let names = Names { heap, delays: heap.delays() };
    let rows = heap.rows.iter().enumerate().map(|(i, r)| names.row(i, r)).collect();
    let delays = names
        .delays
        .iter()
        .enumerate()
        .filter(|(_, wires)| !wires.is_empty())
        .map(|(i, wires)| HeapDelay {
            stage: i + 1,
            bits: wires.len(),
            signals: concatenation(wires.iter().map(|&w| names.wire(w, i))),
        })
        .collect();
    let direct: Vec<String> = heap
        .direct
        .iter()
        .rev()
        .map(|t| t.map_or_else(|| "1'b0".to_owned(), |t| names.bare(t, heap.last_stage)))
        .collect();
    let what = if heap.accumulate { "Accumulator: prefixes and sums lie" } else { "The sum: it lies" };
    HeapSum {
        luts: heap.luts(),
        stages: heap.last_stage,
        comment: format!("{what} in {interval}, {} bits.", heap.bits),
        rows,
        delays,
        direct: direct.join(", "),
        bits: heap.bits,
        accumulate: heap.accumulate,
    }
}

/// Whether every one of `count` wires is read, where `which` tells their numbers.
pub fn reads_all(heap: &Heap, count: usize, which: fn(Wire) -> Option<usize>) -> bool {
    let mut read = vec![false; count];
    let direct = heap.direct.iter().flatten();
    let terms = heap.rows.iter().flat_map(|r| r.columns.iter().flatten().chain(&r.carry_in).chain(&r.majority_in));
    for index in terms.chain(direct).flat_map(Term::wires).filter_map(which) {
        if let Some(read) = read.get_mut(index) {
            *read = true;
        }
    }
    read.into_iter().all(|r| r)
}

pub struct Names<'a> {
    pub heap: &'a Heap,
    pub delays: Vec<Vec<Wire>>,
}

impl Names<'_> {
    /// The signal that holds `wire` for rows of `stage`.
    pub fn wire(&self, wire: Wire, stage: usize) -> String {
        let waiting = |i: usize| self.delays.get(i).and_then(|d| d.iter().position(|&w| w == wire));
        if let Some(at) = stage.checked_sub(1).and_then(waiting) {
            return format!("d{stage}[{at}]");
        }
        match wire {
            Wire::X(i) => format!("x[{i}]"),
            Wire::Weight(i) => format!("weights_reg[{i}]"),
            Wire::Restart => "sum_first".to_owned(),
            Wire::Accumulator(i) => format!("acc_reg[{i}]"),
            Wire::Sum { row, column } => format!("r{row}[{column}]"),
            Wire::Carry { row } => format!("r{row}[{}]", self.heap.rows[row].width()),
            Wire::Majority { row } => format!("r{row}[{}]", self.heap.rows[row].width() + 1),
        }
    }

    pub fn bare(&self, term: Term, stage: usize) -> String {
        match term.a {
            Some(wire) => self.wire(wire, stage),
            None => format!("1'b{}", term.table & 1),
        }
    }

    fn row(&self, index: usize, row: &Row) -> HeapRow {
        let pins = |column: usize| {
            let mut signals: Vec<String> = row.pins(column).into_iter().map(|w| self.wire(w, row.stage)).collect();
            signals.resize(4, "1'b0".to_owned());
            signals.reverse();
            signals.join(", ")
        };
        let carry = |term: Option<Term>| term.map_or_else(|| "1'b0".to_owned(), |t| self.bare(t, row.stage));
        HeapRow {
            index,
            stage: row.stage,
            low: row.low,
            high: row.low + row.width() - 1,
            width: row.width(),
            ternary: u8::from(row.ternary),
            init: (0..row.width()).rev().map(|c| format!("{:016x}", row.init(c))).collect(),
            pins: (0..row.width()).rev().map(pins).collect(),
            carry_in: carry(row.carry_in),
            majority_in: carry(row.majority_in),
            kept: row.highest(self.heap.bits),
        }
    }
}

pub fn concatenation(signals: impl DoubleEndedIterator<Item = String>) -> String {
    let signals: Vec<String> = signals.rev().collect();
    let lines: Vec<String> = signals.chunks(8).map(|c| c.join(", ")).collect();
    format!("{{{}}}", lines.join(",\n        "))
}
