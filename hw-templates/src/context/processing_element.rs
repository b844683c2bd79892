//! A processing element: memories, products, adders, threshold stages.

use serde::Serialize;

use super::{Lookup, Word, template};

template!(ProcessingElement, "processing_element.v.tera");

/// `processing_element.v.tera`: one output lane of a matrix-vector unit.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessingElement {
    /// Module name.
    pub module: String,
    /// Lane number.
    pub index: usize,
    /// Layer served, for the comment.
    pub layer: String,
    /// Rows served, for the comment.
    pub rows: String,
    /// The sum in words, for the comment.
    pub sum: String,
    /// Adder levels.
    pub levels: usize,
    /// Cycle, counted from `fold`'s, in which `y` is there.
    pub latency: usize,
    /// Bits of the fold counter.
    pub fold_bits: usize,
    /// Bits of the beat whose sum comes from an array, for the claims; 0 for other elements.
    pub beat_bits: usize,
    /// Bits of the input beat.
    pub x_bits: usize,
    /// Bits of the result.
    pub y_bits: usize,
    /// Whether sums are accumulated over several folds.
    pub accumulator: bool,
    /// Neuron fold at each point where it is needed; empty if there is only one.
    pub channel_ports: Vec<Port>,
    /// Bits of a neuron fold.
    pub channel_bits: usize,
    /// Expression of the inputs that are not used, or empty.
    pub unused: String,
    /// Weight memory; `None` where weights are constants.
    pub rom: Option<Rom>,
    /// Lane and width of each weight field, for the comment.
    pub fields: String,
    /// Products, adders and accumulator as text where a bit heap replaces them, or empty.
    pub heap: String,
    /// Products, one per lane with a weight.
    pub products: Vec<Product>,
    /// Adder levels.
    pub adders: Vec<Vec<Adder>>,
    /// What the sum's interval is, for the comment.
    pub sum_comment: String,
    /// Two's complement bits of the accumulator.
    pub acc_bits: usize,
    /// The tree's root at accumulator width.
    pub root: String,
    /// The code's count as tables of the sum, in the place of stages.
    pub lookup: Option<Lookup>,
    /// Threshold stages.
    pub stages: Vec<Stage>,
    /// Rows that fall; `None` if all rise, or if all fall (then it is in `y`).
    pub direction: Option<Direction>,
    /// Expression of the result.
    pub y: String,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
    /// Whether only the claims need the fold.
    pub formal_fold: bool,
}

/// A port with its comment.
#[derive(Clone, Debug, Serialize)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Comment.
    pub comment: String,
}

/// A weight memory.
#[derive(Clone, Debug, Serialize)]
pub struct Rom {
    /// Bits of a word.
    pub bits: usize,
    /// The attribute `rom_style`, or nothing.
    pub style: &'static str,
    /// A case item for each word, one a line.
    pub cases: String,
}

/// A product register.
#[derive(Clone, Debug, Serialize)]
pub struct Product {
    /// Register name.
    pub name: String,
    /// What its operands are called behind their `x` and `w`.
    pub suffix: String,
    /// `"signed "` or empty.
    pub sign: String,
    /// Bits.
    pub width: usize,
    /// Input operand, extended.
    pub x: String,
    /// Weight operand, extended; empty where it is a sign bit.
    pub weight: String,
    /// Product of the two.
    pub value: String,
    /// Exact interval, for the comment.
    pub interval: String,
}

/// An adder register.
#[derive(Clone, Debug, Serialize)]
pub struct Adder {
    /// Register name.
    pub name: String,
    /// Bits.
    pub width: usize,
    /// Sum of the extended operands.
    pub value: String,
    /// Exact interval, for the comment.
    pub interval: String,
}

/// One stage of a binary search.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// Stage number.
    pub index: usize,
    /// Whether the word is read into a register in a cycle of its own.
    pub ahead: bool,
    /// The value that the stage before has compared; empty for the first.
    pub before: String,
    /// The bit under test, for the comment.
    pub trial: usize,
    /// Words by address; empty if there is one.
    pub words: Vec<Word>,
    /// The word if there is only one.
    pub constant: Word,
    /// Address expression.
    pub address: String,
    /// Bits of the address.
    pub address_bits: usize,
    /// Bits of a word.
    pub word_bits: usize,
    /// The value at word width.
    pub compared: String,
    /// The word, which is one less then, less the value; empty where they are compared as they are.
    pub gap: String,
    /// Expression of the count after this stage.
    pub next: String,
}

/// Which rows fall.
#[derive(Clone, Debug, Serialize)]
pub struct Direction {
    /// Address expression.
    pub address: String,
    /// One flag (0 or 1) per neuron fold.
    pub flags: Vec<u8>,
}
