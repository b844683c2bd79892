//! Contexts of a matrix-vector unit whose weights arrive on a stream.

use serde::Serialize;

use crate::Template;

/// `streamed_element.v.tera`: one output lane.
#[derive(Clone, Debug, Serialize)]
pub struct StreamedElement {
    /// Module name.
    pub module: String,
    /// Products a cycle.
    pub simd: usize,
    /// Cycles a row, for the comment.
    pub cycles: usize,
    /// Stages before the heap's last row.
    pub stages: usize,
    /// Bits of the inputs.
    pub x_bits: usize,
    /// Bits of the weights.
    pub weight_bits: usize,
    /// Bits of the sum.
    pub acc_bits: usize,
    /// Whether a row takes more than one cycle.
    pub accumulate: bool,
    /// The sum, as `heap_sum.v.tera` prints it.
    pub heap: String,
}

/// `streamed_unit.v.tera`: control, buffer, elements, queue.
#[derive(Clone, Debug, Serialize)]
pub struct StreamedUnit {
    /// Module name.
    pub module: String,
    /// Module of an element.
    pub element: String,
    /// Sums of a vector.
    pub rows: usize,
    /// Products of a sum.
    pub columns: usize,
    /// Rows in parallel.
    pub pe: usize,
    /// Columns in parallel.
    pub simd: usize,
    /// `rows / pe`.
    pub neuron_folds: usize,
    /// `columns / simd`.
    pub synapse_folds: usize,
    /// Their product.
    pub cycles: usize,
    /// Type of an input, for the comment.
    pub x_type: String,
    /// Type of a weight, for the comment.
    pub w_type: String,
    /// Bits of a beat of the vector.
    pub s_bits: usize,
    /// Bits of a beat of weights.
    pub w_bits: usize,
    /// Bits of a beat out.
    pub m_bits: usize,
    /// Bits of an accumulator.
    pub acc_bits: usize,
    /// Bits that count the beats of a vector.
    pub synapse_bits: usize,
    /// Bits that count the passes over it.
    pub neuron_bits: usize,
    /// Whether a row takes more than one cycle.
    pub accumulate: bool,
    /// Cycles from a fold to its sum.
    pub sum: usize,
    /// Cycles from a row's last fold to the queue.
    pub pipeline: usize,
    /// Places of the queue.
    pub queue: usize,
    /// Whether it is two registers.
    pub pair: bool,
    /// Where each element's weights and sum lie.
    pub elements: Vec<StreamedLane>,
}

/// Bits of one element.
#[derive(Clone, Debug, Serialize)]
pub struct StreamedLane {
    /// Highest of its weights.
    pub weights_high: usize,
    /// Lowest.
    pub weights_low: usize,
    /// Highest of its sum.
    pub high: usize,
    /// Lowest.
    pub low: usize,
}

impl Template for StreamedElement {
    const NAME: &'static str = "streamed_element.v.tera";
    const TEXT: &'static str = include_str!("../templates/streamed_element.v.tera");
}

impl Template for StreamedUnit {
    const NAME: &'static str = "streamed_unit.v.tera";
    const TEXT: &'static str = include_str!("../templates/streamed_unit.v.tera");
}
