//! What each template is filled with. Strings are Verilog expressions or comment text, ready to print.

mod label_select;
mod map;
mod matrix_vector;
mod processing_element;
mod top;

pub use label_select::*;
pub use map::*;
pub use matrix_vector::*;
pub use processing_element::*;
use serde::Serialize;
pub use top::*;

use crate::Template;
use crate::formal::{
    ConnectorFormal, IslandFormal, ProcessingElementFormal, ProtocolFormal, StreamRange, TopFormal, UnitFormal,
};

/// Every template with its text, to be parsed once.
pub(crate) const ALL: [(&str, &str); 26] = [
    (ProcessingElement::NAME, ProcessingElement::TEXT),
    (MatrixVector::NAME, MatrixVector::TEXT),
    (Map::NAME, Map::TEXT),
    (MapLane::NAME, MapLane::TEXT),
    (LabelSelect::NAME, LabelSelect::TEXT),
    (Top::NAME, Top::TEXT),
    (Monitor::NAME, Monitor::TEXT),
    (Testbench::NAME, Testbench::TEXT),
    (crate::HeapSum::NAME, crate::HeapSum::TEXT),
    (crate::UnrolledArray::NAME, crate::UnrolledArray::TEXT),
    (crate::UnrolledStream::NAME, crate::UnrolledStream::TEXT),
    (crate::StreamedElement::NAME, crate::StreamedElement::TEXT),
    (crate::StreamedUnit::NAME, crate::StreamedUnit::TEXT),
    (ProcessingElementFormal::NAME, ProcessingElementFormal::TEXT),
    (ProtocolFormal::NAME, ProtocolFormal::TEXT),
    (StreamRange::NAME, StreamRange::TEXT),
    (UnitFormal::NAME, UnitFormal::TEXT),
    (IslandFormal::NAME, IslandFormal::TEXT),
    (ConnectorFormal::NAME, ConnectorFormal::TEXT),
    (TopFormal::NAME, TopFormal::TEXT),
    (crate::FixedFormal::NAME, crate::FixedFormal::TEXT),
    (crate::WindowFormal::NAME, crate::WindowFormal::TEXT),
    (crate::UpsampleFormal::NAME, crate::UpsampleFormal::TEXT),
    (crate::PoolFormal::NAME, crate::PoolFormal::TEXT),
    (crate::AddFormal::NAME, crate::AddFormal::TEXT),
    (crate::ConcatFormal::NAME, crate::ConcatFormal::TEXT),
];

macro_rules! template {
    ($context:ident, $file:literal) => {
        impl crate::Template for $context {
            const NAME: &'static str = $file;
            const TEXT: &'static str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $file));
        }
    };
}
pub(crate) use template;

/// A code looked up from the pattern of a sum: tables over its low bits, chosen by the others.
#[derive(Clone, Debug, Serialize)]
pub struct Lookup {
    /// Patterns: bits of a table.
    pub patterns: usize,
    /// Bits of the count.
    pub bits: usize,
    /// The tables, as hexadecimal digits.
    pub tables: Vec<String>,
    /// The expression of each bit of the count, lowest first.
    pub counts: Vec<String>,
}

/// A constant as its hexadecimal digits, and in decimal for the comment.
#[derive(Clone, Debug, Serialize)]
pub struct Word {
    /// Hexadecimal digits of the bits.
    pub bits: String,
    /// Decimal value.
    pub value: i64,
}
