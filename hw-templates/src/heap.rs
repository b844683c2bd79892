//! Context of a compressed sum of products.

use serde::Serialize;

use crate::Template;

/// `heap_sum.v.tera`: the part of a processing element from products to accumulator, as rows of a bit heap.
#[derive(Clone, Debug, Serialize)]
pub struct HeapSum {
    /// LUTs, for the comment.
    pub luts: usize,
    /// Stages before the last, for the comment.
    pub stages: usize,
    /// What the result's interval is, for the comment.
    pub comment: String,
    /// Rows; the last makes the result.
    pub rows: Vec<HeapRow>,
    /// Wires that wait, by stage.
    pub delays: Vec<HeapDelay>,
    /// Bits of the result below the last row, high bit first; empty if none.
    pub direct: String,
    /// Bits of the result.
    pub bits: usize,
    /// Whether it is accumulated.
    pub accumulate: bool,
}

/// A row: one instance of `snug_xc7_row`.
#[derive(Clone, Debug, Serialize)]
pub struct HeapRow {
    /// Number.
    pub index: usize,
    /// Stage.
    pub stage: usize,
    /// Lowest column.
    pub low: usize,
    /// Highest column.
    pub high: usize,
    /// Columns.
    pub width: usize,
    /// 1 where columns hold three terms.
    pub ternary: u8,
    /// `INIT` of each column, highest first, hexadecimal.
    pub init: Vec<String>,
    /// Pins of each column, highest first: four signals, the highest first.
    pub pins: Vec<String>,
    /// Signal.
    pub carry_in: String,
    /// Signal.
    pub majority_in: String,
    /// Highest of the row's outputs that is kept.
    pub kept: usize,
}

/// A register of wires that wait for a later stage.
#[derive(Clone, Debug, Serialize)]
pub struct HeapDelay {
    /// Stage that reads it.
    pub stage: usize,
    /// Bits.
    pub bits: usize,
    /// Signals of the stage before, highest first.
    pub signals: String,
}

impl Template for HeapSum {
    const NAME: &'static str = "heap_sum.v.tera";
    const TEXT: &'static str = include_str!("../templates/heap_sum.v.tera");
}
