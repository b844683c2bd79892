//! What the cells of a heap compute, cell by cell.

use std::collections::HashMap;

use super::{Heap, Row, Term, Wire};

/// What a row's registers take over.
struct Outputs {
    sum: Vec<bool>,
    carry: bool,
    majority: bool,
}

impl Heap {
    /// Every output of every row for inputs `x`, of a heap without weights and accumulator.
    pub fn wires(&self, x: &dyn Fn(usize) -> bool) -> HashMap<Wire, bool> {
        let mut wires = HashMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            let wire = |w: Wire| match w {
                Wire::X(i) => x(i),
                other => wires.get(&other).copied().unwrap_or(false),
            };
            let outputs = row.levels(&wire);
            for (column, &s) in outputs.sum.iter().enumerate() {
                wires.insert(Wire::Sum { row: index, column }, s);
            }
            wires.insert(Wire::Carry { row: index }, outputs.carry);
            wires.insert(Wire::Majority { row: index }, outputs.majority);
        }
        wires
    }

    /// The result for inputs `x`, weight word `weight`, and, where sums are accumulated, the register before. Every LUT is
    /// read from its `INIT`, every carry goes through its chain; registers are wires here.
    pub fn evaluate(
        &self,
        x: &dyn Fn(usize) -> bool,
        weight: &dyn Fn(usize) -> bool,
        restart: bool,
        before: u64,
    ) -> u64 {
        let mut wires: HashMap<Wire, bool> = HashMap::new();
        let mut result = 0;
        for (index, row) in self.rows.iter().enumerate() {
            let wire = |w: Wire| match w {
                Wire::X(i) => x(i),
                Wire::Weight(i) => weight(i),
                Wire::Restart => restart,
                Wire::Accumulator(i) => before >> i & 1 == 1,
                other => wires.get(&other).copied().unwrap_or(false),
            };
            let outputs = row.levels(&wire);
            if index + 1 == self.rows.len() {
                let bit = |at: usize, value: bool| u64::from(value) << at;
                result = outputs.sum.iter().enumerate().fold(0, |r, (i, &s)| r | bit(row.low + i, s));
                let direct = self.direct.iter().enumerate();
                result |= direct.fold(0, |r, (i, t)| r | bit(i, t.is_some_and(|t| t.value(wire))));
            }
            for (column, &s) in outputs.sum.iter().enumerate() {
                wires.insert(Wire::Sum { row: index, column }, s);
            }
            wires.insert(Wire::Carry { row: index }, outputs.carry);
            wires.insert(Wire::Majority { row: index }, outputs.majority);
        }
        result
    }
}

impl Row {
    fn levels(&self, wire: &dyn Fn(Wire) -> bool) -> Outputs {
        let bare = |t: &Option<Term>| t.is_some_and(|t| t.value(wire));
        let mut carry = bare(&self.carry_in);
        let mut majority = bare(&self.majority_in);
        let mut sum = Vec::with_capacity(self.width());
        for column in 0..self.width() {
            let init = self.init(column);
            let address = self
                .pins(column)
                .into_iter()
                .enumerate()
                .fold(u64::from(majority) << 4, |a, (i, pin)| a | u64::from(wire(pin)) << i);
            let (o5, o6) = (init >> address & 1 == 1, init >> (address + 32) & 1 == 1);
            let generated = if self.ternary { majority } else { o5 };
            sum.push(o6 != carry);
            carry = if o6 { carry } else { generated };
            majority = o5;
        }
        Outputs { sum, carry, majority: self.ternary && majority }
    }
}
