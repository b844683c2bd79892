//! The label selector: the index of the largest class value.

use serde::Serialize;

use super::{Word, template};

template!(LabelSelect, "label_select.v.tera");

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
    /// Whether credits come back through a register.
    pub credit_late: bool,
    /// Compare levels.
    pub levels: usize,
    /// Bits of a class value.
    pub value_bits: usize,
    /// Cycles to the winner of a beat.
    pub winner: usize,
    /// How class values are made step by step, if they are.
    pub steps: Option<ClassSteps>,
    /// The register in which the winner of a beat waits for that, if there is one.
    pub candidate: Option<Candidate>,
    /// One class value per lane.
    pub values: Vec<ClassValue>,
    /// Compare tree.
    pub tree: Vec<Vec<Compare>>,
    /// Suffix of the tree's root.
    pub root: String,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
}

/// What is found out about the next candidate, while the one before it may become the best.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// The candidate before it less it: an expression.
    pub gap_candidate: String,
    /// The best so far less it.
    pub gap_best: String,
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
    /// The left one less the right one, where comparison and choice are apart.
    pub gap: String,
}
