//! The layers of a network joined up: who reads whom, shapes, types of codes, which quantizers share a scale.
//!
//! A perceptron and a list of `[[layers]]` become the same graph. What layers make of each other is checked here: a `dense` or `conv` reads codes, both
//! branches of an `add` lie on one grid, an accumulator has room for at least one weight.

mod build;

use quantizer::datatype::DataType;
use quantizer::network::Window;

use crate::TrainError;
use crate::config::{Config, Method};

pub use build::room;

/// Index of a node in [`Graph::nodes`].
pub type Id = usize;

/// A network's layers in order; node 0 is the input's quantizer.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Each reads nodes before it.
    pub nodes: Vec<Node>,
    /// How weights are kept within accumulators.
    pub method: Method,
    /// Bits of the input.
    pub input_bits: u32,
    /// Codes that quantizers start with, see [`Graph::quantizers`].
    pub bits: Vec<u32>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is called in files and errors.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Id>,
    /// Channels, height, width; a vector has height and width 1.
    pub shape: [usize; 3],
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Samples, 0 to 1, as codes of the whole range.
    Input,
    /// Sums of products.
    Matrix(Matrix),
    /// Batch norm.
    Norm,
    /// Codes.
    Codes(Quantizer),
    /// The largest of a window; what lies outside the image takes no part.
    MaxPool(Window),
    /// The mean of a window; what lies outside the image counts as 0.
    AveragePool(Window),
    /// The sum of both inputs.
    Add,
    /// Channels become places, in PyTorch's order (ONNX mode CRD).
    DepthToSpace(usize),
}

/// A dense layer or a convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Products of a sum.
    pub columns: usize,
    /// How a convolution moves; `None` for a dense layer.
    pub window: Option<Window>,
    /// Groups of channels.
    pub groups: usize,
    /// Bits of weights.
    pub bits: u32,
    /// The width that accumulators must fit; `None` for no constraint.
    pub accumulator: Option<u32>,
    /// Whether a bias is added: where no batch norm follows.
    pub bias: bool,
}

impl Matrix {
    /// The type of weights.
    pub fn weights(&self) -> DataType {
        DataType { narrow: true, ..DataType::signed(self.bits) }
    }
}

/// A quantizer of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantizer {
    /// Its place in [`Graph::quantizers`].
    pub index: usize,
    /// Whether codes are signed (an identity); else negative values become 0 (a ReLU).
    pub signed: bool,
    /// The node whose scale it has: its own, or that of the quantizer whose codes it is added to.
    pub scale: Id,
}

impl Quantizer {
    /// The type of its codes.
    pub fn datatype(&self, bits: &[u32]) -> DataType {
        // A state has bits for every quantizer of its graph.
        let bits = bits.get(self.index).copied().unwrap_or(1);
        if self.signed { DataType::signed(bits) } else { DataType::unsigned(bits) }
    }
}

impl Graph {
    /// The graph of a configuration, for samples of `size` values and `classes` classes (or values of a target).
    ///
    /// # Errors
    /// If layers do not fit together, or an accumulator is too narrow for any weight but 0.
    pub fn new(config: &Config, size: usize, classes: usize) -> Result<Self, TrainError> {
        build::build(config, Some(size), Some(classes))
    }

    /// Checks what can be checked of a configuration's layers without samples.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn check(config: &Config) -> Result<(), TrainError> {
        build::build(config, None, None).map(|_| ())
    }

    /// Nodes with weights, in order.
    pub fn matrices(&self) -> impl Iterator<Item = (Id, &Matrix)> {
        self.nodes.iter().enumerate().filter_map(|(i, n)| match &n.op {
            Op::Matrix(m) => Some((i, m)),
            _ => None,
        })
    }

    /// Quantizers of activations, in order; the input's, whose scale is fixed, is none of them.
    pub fn quantizers(&self) -> impl Iterator<Item = (Id, &Quantizer)> {
        self.nodes.iter().enumerate().filter_map(|(i, n)| match &n.op {
            Op::Codes(q) => Some((i, q)),
            _ => None,
        })
    }

    /// The type of the codes that a node passes on; `None` where they are no codes of one quantizer.
    pub fn codes(&self, id: Id, bits: &[u32]) -> Option<DataType> {
        let node = self.nodes.get(id)?;
        match &node.op {
            Op::Input => Some(DataType::unsigned(self.input_bits)),
            Op::Codes(q) => Some(q.datatype(bits)),
            Op::MaxPool(_) | Op::DepthToSpace(_) => self.codes(*node.inputs.first()?, bits),
            Op::Matrix(_) | Op::Norm | Op::AveragePool(_) | Op::Add => None,
        }
    }

    /// The type of what a matrix reads.
    pub fn input_type(&self, id: Id, bits: &[u32]) -> DataType {
        let source = self.nodes.get(id).and_then(|n| n.inputs.first());
        // Every matrix of a graph reads codes.
        source.and_then(|&s| self.codes(s, bits)).unwrap_or(DataType::unsigned(self.input_bits))
    }

    /// Values of a sample.
    pub fn inputs(&self) -> usize {
        self.nodes.first().map_or(0, |n| n.shape.iter().product())
    }

    /// Values of the result.
    pub fn outputs(&self) -> usize {
        self.nodes.last().map_or(0, |n| n.shape.iter().product())
    }
}
