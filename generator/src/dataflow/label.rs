//! The last module of a classifier: which class has the largest value.

use serde::Serialize;

/// Finds the class with the largest value on the label grid, ties to the lowest index.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelSelect {
    /// Multiplier of the class at each stream position.
    pub multiplier: Vec<i64>,
    /// Offset of the class at each stream position.
    pub offset: Vec<i64>,
    /// Two's complement width of a class value.
    pub value_bits: u32,
    /// Compare levels between lanes: `ceil(log2 lanes)`.
    pub levels: usize,
    /// Registers inside class values, and between a comparison and the choice that it makes; none if all of either is done in one cycle.
    pub steps: Option<ClassSteps>,
    /// See [`super::Module::credit_late`].
    pub credit_late: bool,
    /// Places of the exit queue.
    pub queue_depth: usize,
}

/// How a class value is made step by step: its multiplier and offset are read, multiplied in digits, and all terms added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClassSteps {
    /// Whether some lane's multiplier depends on the beat, so that products take a cycle.
    pub products: bool,
    /// Adder levels, the same in all lanes.
    pub adds: usize,
    /// Whether the best of a beat waits in a register while it is found out whether it is above the best so far; not needed where a beat is a whole frame.
    pub candidate: bool,
}

impl LabelSelect {
    /// Cycles from the edge that takes a beat to its class values: an input register and a cycle, or [`ClassSteps`].
    pub fn value_cycles(&self) -> usize {
        2 + self.steps.map_or(0, |s| usize::from(s.products) + s.adds)
    }

    /// Cycles to the best of a beat, as it meets the best so far: two a level if comparison and choice are apart, and one in the candidate's register.
    pub fn winner_cycles(&self) -> usize {
        let level = 1 + usize::from(self.steps.is_some());
        self.value_cycles() + self.levels * level + self.steps.map_or(0, |s| usize::from(s.candidate))
    }

    /// Class values, compare levels, running best.
    pub fn pipeline(&self) -> usize {
        self.winner_cycles() + 1
    }

    /// Multiplier and offset of the class at stream position `position`; past the last class one that must lose: the smallest value.
    pub fn class(&self, position: usize) -> (i64, i64) {
        match self.multiplier.get(position).zip(self.offset.get(position)) {
            Some((&multiplier, &offset)) => (multiplier, offset),
            None => (0, -(1i64 << (self.value_bits - 1))),
        }
    }
}
