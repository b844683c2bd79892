//! A bit heap: a sum of products as bits of known weight, and its compression into rows of 7-series cells.
//!
//! Every product of an input lane and a weight is a handful of [`Term`]s, functions of at most two wires (an AND, a NAND, an XNOR)
//! at a power of two; what signs leave over is one constant. All of it is added modulo `2^bits` of the accumulator, whose own
//! register is one more row of terms. A [`Row`] is a carry chain with one `LUT6_2` a column, in two forms:
//!
//! * *two terms a column*: the LUT makes both terms and their XOR. `2n + 1` bits become `n + 1`.
//! * *three terms a column*: the LUT makes the terms' XOR with the majority of the column before, and on its other output their own
//!   majority. `3n + 2` bits become `n + 2`; a LUT removes two bits, which is the most that one can.
//!
//! Because terms are made inside the LUT that adds them, products cost nothing of their own. Values inside a heap wrap by
//! design; the accumulator alone has an exact interval.

mod compress;
mod evaluate;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use compress::{Reduced, compress, reduce};
pub use terms::terms;

/// A signal that terms are made of. Its delay is not part of it: a row of stage `s` reads it as of stage `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Bit of the input beat; there at stage 0.
    X(usize),
    /// Bit of the weight word; there at stage 0.
    Weight(usize),
    /// High with the first beat of a row of the matrix; there at the last stage alone.
    Restart,
    /// Bit of the accumulator; at the last stage alone.
    Accumulator(usize),
    /// Sum bit of a row, behind its register: there one stage after the row.
    Sum {
        /// Index of the row.
        row: usize,
        /// Column, counted from the row's lowest.
        column: usize,
    },
    /// Carry out of a row's highest column, behind its register.
    Carry {
        /// Index of the row.
        row: usize,
    },
    /// Majority of a row's highest column, behind its register.
    Majority {
        /// Index of the row.
        row: usize,
    },
}

/// A bit: a function of at most two wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Term {
    /// First wire.
    pub a: Option<Wire>,
    /// Second wire; none without a first one.
    pub b: Option<Wire>,
    /// Value for `a + 2 b`, missing wires read as 0.
    pub table: u8,
}

impl Term {
    /// The constant 1.
    pub const ONE: Term = Term { a: None, b: None, table: 1 };

    /// The wire itself.
    pub const fn wire(a: Wire) -> Self {
        Term { a: Some(a), b: None, table: 0b10 }
    }

    /// A function of one wire, by its table.
    pub const fn one_wire(a: Wire, table: u8) -> Self {
        Term { a: Some(a), b: None, table }
    }

    /// A function of two wires, by its table.
    pub const fn two_wires(a: Wire, b: Wire, table: u8) -> Self {
        Term { a: Some(a), b: Some(b), table }
    }

    /// Wires read.
    pub fn wires(&self) -> impl Iterator<Item = Wire> {
        self.a.into_iter().chain(self.b)
    }

    /// Number of wires read.
    pub fn count(&self) -> usize {
        self.wires().count()
    }

    /// Whether a pin can be tied to it without a LUT before: a wire as it is, or a constant.
    pub fn bare(&self) -> bool {
        self.count() == 0 || (self.count() == 1 && self.table == 0b10)
    }

    /// Its value.
    pub fn value(&self, wire: impl Fn(Wire) -> bool) -> bool {
        let index = u8::from(self.a.is_some_and(&wire)) | u8::from(self.b.is_some_and(&wire)) << 1;
        self.table >> index & 1 == 1
    }
}

/// A carry chain: the sum of its terms, columns and carries in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Pipeline stage: a row of stage 0 reads inputs and weights; its outputs are registers that stage 1 reads.
    pub stage: usize,
    /// Weight (power of two) of the lowest column.
    pub low: usize,
    /// Terms of each column: at most two, or three in a ternary row; at most four different wires.
    pub columns: Vec<Vec<Term>>,
    /// Whether a column may hold three terms.
    pub ternary: bool,
    /// A bare term more in the lowest column.
    pub carry_in: Option<Term>,
    /// Another one, in ternary rows.
    pub majority_in: Option<Term>,
}

impl Row {
    /// Columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Different wires of a column, in the order of the LUT's pins.
    pub fn pins(&self, column: usize) -> Vec<Wire> {
        let mut pins: Vec<Wire> = Vec::new();
        for wire in self.columns[column].iter().flat_map(Term::wires) {
            if !pins.contains(&wire) {
                pins.push(wire);
            }
        }
        pins
    }

    /// The `INIT` of a column's `LUT6_2`: pins 0 to 3 are [`Row::pins`], pin 4 the majority of the column before, pin 5 is
    /// high. The low half is O5 (two terms: what the carry chain generates; three: the majority), the high half O6 (the XOR).
    pub fn init(&self, column: usize) -> u64 {
        let pins = self.pins(column);
        let mut init = 0;
        for address in 0..32u64 {
            let wire = |w: Wire| pins.iter().position(|&p| p == w).is_some_and(|p| address >> p & 1 == 1);
            let values: Vec<bool> = self.columns[column].iter().map(|t| t.value(wire)).collect();
            let ones = values.iter().filter(|&&v| v).count();
            let majority = self.ternary && address >> 4 & 1 == 1;
            let (o5, o6) = if self.ternary {
                (ones >= 2, (ones % 2 == 1) != majority)
            } else {
                (values.first().is_some_and(|&v| v), ones % 2 == 1)
            };
            init |= u64::from(o5) << address | u64::from(o6) << (address + 32);
        }
        init
    }

    /// Outputs that are kept: sums, and what goes out of the highest column, if the result has such a bit.
    pub fn outputs(&self, bits: usize) -> usize {
        let above = self.low + self.width() < bits;
        self.width() + if !above { 0 } else { usize::from(self.has_carry()) + usize::from(self.has_majority()) }
    }

    /// The highest output that is kept: sums from 0 on, above them the carry, above that the majority.
    pub fn highest(&self, bits: usize) -> usize {
        let above = self.low + self.width() < bits;
        match (above, self.has_majority(), self.has_carry()) {
            (true, true, _) => self.width() + 1,
            (true, false, true) => self.width(),
            _ => self.width() - 1,
        }
    }

    /// Registers behind a row that nothing cuts off at the top.
    pub fn registers(&self) -> usize {
        self.outputs(usize::MAX)
    }

    /// Whether the highest column's majority can be 1.
    pub fn has_majority(&self) -> bool {
        self.ternary && self.columns.last().is_some_and(|c| c.len() >= 2)
    }

    /// Whether the carry out can be 1.
    pub fn has_carry(&self) -> bool {
        let generated = |c: &Vec<Term>| if self.ternary { false } else { c.len() >= 2 };
        self.carry_in.is_some()
            || self.majority_in.is_some()
            || self.columns.iter().any(generated)
            || (self.ternary && self.columns[..self.width() - 1].iter().any(|c| c.len() >= 2))
    }
}

/// A compressed heap. The last row makes the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heap {
    /// Bits of the result, which is the sum modulo `2^bits`.
    pub bits: usize,
    /// Whether the result is added to the accumulator.
    pub accumulate: bool,
    /// Rows; what a row reads comes from earlier ones.
    pub rows: Vec<Row>,
    /// Terms that are bits of the result as they are, below the last row's lowest column; none is 0.
    pub direct: Vec<Option<Term>>,
    /// Stage of the last row.
    pub last_stage: usize,
}

impl Heap {
    /// LUTs: one a column of each row.
    pub fn luts(&self) -> usize {
        self.rows.iter().map(Row::width).sum()
    }

    /// `CARRY4` cells.
    pub fn carries(&self) -> usize {
        self.rows.iter().map(|r| r.width().div_ceil(4)).sum()
    }

    /// Puts the last row into a later stage.
    pub fn extend(&mut self, last_stage: usize) {
        if let Some(last) = self.rows.last_mut() {
            last.stage = last_stage;
            self.last_stage = last_stage;
        }
    }

    /// Wires that a register holds for each stage from 1 on, because a row of that stage or a later one reads them and they were there
    /// before.
    pub fn delays(&self) -> Vec<Vec<Wire>> {
        let direct: Vec<Term> = self.direct.iter().flatten().copied().collect();
        self.waits(&direct)
    }

    /// The same, with `last` read at the last stage.
    pub fn waits(&self, last: &[Term]) -> Vec<Vec<Wire>> {
        let reads = self.reads(last, &|wire| wire);
        (1..=self.last_stage)
            .map(|stage| {
                let waits = |&(&wire, stages): &(&Wire, &BTreeSet<usize>)| {
                    self.stage_of(wire).is_some_and(|first| first < stage) && stages.last() >= Some(&stage)
                };
                reads.iter().filter(waits).map(|(&wire, _)| wire).collect()
            })
            .collect()
    }

    /// Flip-flops: the rows' registers, and the wires that wait, those that `same` makes one being one. Some of them become shift registers: [`Heap::chains`].
    pub fn flip_flops(&self, same: &dyn Fn(Wire) -> Wire) -> usize {
        let rows: usize = self.rows.iter().map(|r| r.outputs(self.bits)).sum();
        let direct: Vec<Term> = self.direct.iter().flatten().copied().collect();
        let reads = self.reads(&direct, same);
        // A wire that is there at stage `first` is in a register for each stage behind it, to the last one that reads it.
        let waits = reads.iter().filter_map(|(&wire, stages)| Some(*stages.last()? - self.stage_of(wire)?));
        rows + self.direct.len() + waits.sum::<usize>()
    }

    /// Lengths of the chains of registers that nothing reads but at their end, `last` being read at the last stage. The register
    /// that makes a wire (a row's, the weight memory's) is the first of its chain; inputs have theirs elsewhere. Wires that `same` makes one are one.
    pub fn chains(&self, last: &[Term], same: &dyn Fn(Wire) -> Wire) -> Vec<usize> {
        let mut chains = Vec::new();
        for (wire, stages) in self.reads(last, same) {
            let Some(first) = self.stage_of(wire) else { continue };
            // Counted from the register before the first one.
            let mut before = if matches!(wire, Wire::X(_)) { first + 1 } else { first };
            for stage in stages {
                chains.push(stage + 1 - before.min(stage + 1));
                before = stage + 1;
            }
        }
        chains
    }

    /// The stages that read each wire, `last` being read at the last one. Wires that `same` makes one are one.
    fn reads(&self, last: &[Term], same: &dyn Fn(Wire) -> Wire) -> BTreeMap<Wire, BTreeSet<usize>> {
        let mut read: BTreeMap<Wire, BTreeSet<usize>> = BTreeMap::new();
        let mut at = |term: &Term, stage: usize| {
            for wire in term.wires() {
                read.entry(same(wire)).or_default().insert(stage);
            }
        };
        for row in &self.rows {
            let carries = row.carry_in.iter().chain(&row.majority_in);
            row.columns.iter().flatten().chain(carries).for_each(|t| at(t, row.stage));
        }
        last.iter().for_each(|t| at(t, self.last_stage));
        read
    }

    /// Stage at which a wire is there for the first time; `None` for the accumulator and its restart, which are not delayed.
    pub fn stage_of(&self, wire: Wire) -> Option<usize> {
        match wire {
            Wire::X(_) | Wire::Weight(_) => Some(0),
            Wire::Restart | Wire::Accumulator(_) => None,
            Wire::Sum { row, .. } | Wire::Carry { row } | Wire::Majority { row } => Some(self.rows[row].stage + 1),
        }
    }
}

#[cfg(test)]
mod tests;
