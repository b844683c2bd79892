//! Contexts of unrolled arrays.

use serde::Serialize;

use crate::{HeapDelay, Template};

/// `unrolled_array.v.tera`: a constant matrix as cells, without a handshake.
#[derive(Clone, Debug, Serialize)]
pub struct UnrolledArray {
    /// Module name.
    pub module: String,
    /// Inputs, for the comment.
    pub inputs: usize,
    /// Outputs, for the comment.
    pub outputs: usize,
    /// Shared sums, for the comment.
    pub shared: usize,
    /// LUTs, for the comment.
    pub luts: usize,
    /// Cycles from `x` to `y`.
    pub stages: usize,
    /// Bits of all inputs.
    pub x_bits: usize,
    /// Bits of all outputs.
    pub y_bits: usize,
    /// Rows of cells.
    pub rows: Vec<ArrayRow>,
    /// Wires that wait, by stage.
    pub delays: Vec<HeapDelay>,
    /// The outputs, packed.
    pub y: String,
    /// Shared sums that are numbers, for the comment that the proof starts from.
    pub numbers: Vec<ArrayNumber>,
}

/// A shared sum.
#[derive(Clone, Debug, Serialize)]
pub struct ArrayNumber {
    /// Its interval.
    pub interval: String,
    /// Its bits, the highest first: outputs of rows.
    pub bits: Vec<String>,
}

/// A carry chain.
#[derive(Clone, Debug, Serialize)]
pub struct ArrayRow {
    /// Number.
    pub index: usize,
    /// Stage.
    pub stage: usize,
    /// Lowest column.
    pub low: usize,
    /// Highest column.
    pub high: usize,
    /// LUTs.
    pub cells: Vec<ArrayCell>,
    /// Connections of each `CARRY4`.
    pub carries: Vec<String>,
    /// Highest bit of the register behind.
    pub kept: usize,
    /// What that register takes over.
    pub outputs: String,
}

/// A `LUT6_2`.
#[derive(Clone, Debug, Serialize)]
pub struct ArrayCell {
    /// Column in its row.
    pub column: usize,
    /// Sixteen hexadecimal digits.
    pub init: String,
    /// Connections of pins 0 to 4.
    pub pins: String,
}

/// `unrolled_stream.v.tera`: credits, array, queue.
#[derive(Clone, Debug, Serialize)]
pub struct UnrolledStream {
    /// Module name.
    pub module: String,
    /// The array's module.
    pub array: String,
    /// Bits of a beat in.
    pub x_bits: usize,
    /// Bits of a beat out.
    pub y_bits: usize,
    /// Places of the exit queue.
    pub queue: usize,
    /// Cycles from the beat in to the queue.
    pub cycles: usize,
}

impl Template for UnrolledArray {
    const NAME: &'static str = "unrolled_array.v.tera";
    const TEXT: &'static str = include_str!("../templates/unrolled_array.v.tera");
}

impl Template for UnrolledStream {
    const NAME: &'static str = "unrolled_stream.v.tera";
    const TEXT: &'static str = include_str!("../templates/unrolled_stream.v.tera");
}
