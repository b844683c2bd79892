//! A matrix-vector unit around its processing elements.

use serde::Serialize;

use super::template;

template!(MatrixVector, "matrix_vector.v.tera");

/// `matrix_vector.v.tera`: sequencer, vector buffer, processing elements and exit queue of a dense layer.
#[derive(Clone, Debug, Serialize)]
pub struct MatrixVector {
    /// Module name.
    pub module: String,
    /// Layer served.
    pub layer: String,
    /// What it computes, for the comment.
    pub task: String,
    /// Rows in parallel.
    pub pe: usize,
    /// Columns in parallel.
    pub simd: usize,
    /// Beats out of a vector.
    pub neuron_folds: usize,
    /// Passes over each part of the vector, which is one part if there are as many as neuron folds.
    pub passes: usize,
    /// Parts of the vector.
    pub parts: usize,
    /// Beats of a part.
    pub synapse_folds: usize,
    /// Cycles of a vector.
    pub cycles: usize,
    /// Cycles from the last beat in to the queue.
    pub pipeline: usize,
    /// Bits of a beat in.
    pub s_bits: usize,
    /// Type of a lane in, for the comment.
    pub s_type: String,
    /// Bits of a beat out.
    pub m_bits: usize,
    /// Type of a lane out, for the comment.
    pub m_type: String,
    /// Bits of the fold counter.
    pub fold_bits: usize,
    /// Bits of the neuron fold counter.
    pub neuron_bits: usize,
    /// Bits of the synapse fold counter.
    pub synapse_bits: usize,
    /// Places of the exit queue.
    pub queue: usize,
    /// Whether credits come back through a register.
    pub credit_late: bool,
    /// Sequencer outputs that are not used, or empty.
    pub unused: String,
    /// Control delays.
    pub delays: Vec<Delay>,
    /// Whether sums are accumulated.
    pub accumulate: bool,
    /// Whether each processing element has a copy of fold and beat.
    pub copied: bool,
    /// Names of the neuron fold ports.
    pub channel_ports: Vec<String>,
    /// Module of the array that makes all sums, or empty.
    pub array: String,
    /// Bits of its sums.
    pub sums_bits: usize,
    /// Processing elements.
    pub pes: Vec<PeInstance>,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
    /// Modules that the claims need, under `ifdef FORMAL`.
    pub formal_modules: String,
}

/// A `snug_delay`.
#[derive(Clone, Debug, Serialize)]
pub struct Delay {
    /// Name of the delayed signal.
    pub name: String,
    /// `"[3:0] "` or empty.
    pub range: String,
    /// Bits.
    pub width: usize,
    /// Stages.
    pub cycles: usize,
    /// 1 if a reset clears it.
    pub reset: u8,
    /// What is delayed.
    pub source: String,
}

/// A processing element in its unit.
#[derive(Clone, Debug, Serialize)]
pub struct PeInstance {
    /// Module name.
    pub module: String,
    /// Whether it has a `fold` port.
    pub fold: bool,
    /// What it reads: the beat, or its sum.
    pub x: String,
    /// Whether it has one under `ifdef FORMAL` only.
    pub formal_fold: bool,
    /// High bit of its result.
    pub high: usize,
    /// Low bit of its result.
    pub low: usize,
}
