//! The integer network: a directed acyclic graph of layers on integer tensors. It knows numbers and no hardware.
//!
//! Everything here is exact. The only floats are [`Scale`]s, metadata from which outputs are reported in
//! real units; nothing that is computed on integers reads them.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::datatype::{DataType, Range};

/// Index of a [`Tensor`] in [`Network::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorId(pub usize);

/// A quantized network on integers.
///
/// `layers` are in topological order; every tensor but the input is written by exactly one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// A short name: the file's stem.
    pub name: String,
    /// The file that it was imported from.
    pub source: Source,
    /// All tensors (edges of the graph).
    pub tensors: Vec<Tensor>,
    /// All layers (nodes of the graph) in topological order.
    pub layers: Vec<Layer>,
    /// What the pins carry.
    pub input: TensorId,
    /// What leaves: final accumulators, or codes where the source ends with a quantizer.
    pub output: TensorId,
    /// The output's ONNX name, and shape without the batch dimension.
    pub output_name: String,
    /// The graph output's shape in the source file, batch dimension included (1).
    pub output_shape: Vec<usize>,
    /// The classes' values on one integer grid, or why there is none.
    pub label_grid: Result<LabelGrid, String>,
    /// What the import did that a person may want to know ("Softmax dropped: ...").
    pub notes: Vec<String>,
}

/// Where a network came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// File name without folders.
    pub file: String,
    /// SHA-256 of the file (of the ONNX file alone, external data apart), lower-case hexadecimal.
    pub sha256: String,
}

/// An edge: a tensor of integer codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// The ONNX tensor that holds the same values in real units.
    pub name: String,
    /// Shape without the batch dimension; channels first, as in ONNX.
    pub shape: Vec<usize>,
    /// Declared datatype. For accumulators, the smallest one that holds every channel's exact range.
    pub datatype: DataType,
    /// Exact interval that can be reached, per channel (`shape[0]` of them); subsets of the datatype's range.
    pub ranges: Vec<Range>,
    /// Real value of a code, per channel or one for all; `None` where the meaning is not affine.
    pub scale: Option<Vec<Scale>>,
}

/// Real value of a code: `factor * code + offset`. Metadata in `f64`, the nearest to the exact value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Value of one step.
    pub factor: f64,
    /// Value of code 0.
    pub offset: f64,
}

/// A node of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What people call it: the module path of its parameters (`features.3`), else its ONNX node; unique
    /// among layers of one kind: the Threshold behind a Dense shares the Dense's name.
    pub name: String,
    /// The ONNX node that it was made from (of the quantizer, for a Threshold).
    pub node: String,
    /// What it computes.
    pub op: Op,
    /// What it reads; one tensor for every operation but joins.
    pub inputs: Vec<TensorId>,
    /// What it writes.
    pub output: TensorId,
}

impl Layer {
    /// The first (for most operations the only) tensor read.
    pub fn input(&self) -> TensorId {
        self.inputs[0]
    }
}

/// What a layer computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Reads the same codes in another shape, row-major order kept (ONNX Flatten / Reshape).
    Flatten,
    /// `y[r] = sum over c of weights[r, c] * x[c]`; shape `[cols]` to `[rows]`.
    Dense(Dense),
    /// Requantization by thresholds, channel by channel; shapes equal.
    Threshold(Threshold),
}

/// A fully connected layer without bias (biases live in thresholds or in the output's scale).
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Integer weights, `[rows, cols]` = `[outputs, inputs]`.
    pub weights: Array2<i64>,
    /// Their declared datatype; every weight is one of its codes.
    pub weight_type: DataType,
}

/// Multi-threshold requantization: a monotone step function per channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// One step function per channel (`shape[0]` of them), or a single one for all.
    pub channels: Vec<Steps>,
}

impl Threshold {
    /// The step function of channel `c`.
    pub fn channel(&self, c: usize) -> &Steps {
        if self.channels.len() == 1 { &self.channels[0] } else { &self.channels[c] }
    }
}

/// A monotone integer step function.
///
/// Rising: `code = base + #{t in steps : x >= t}`. Falling: `code = base + #{t in steps : x < t}`.
/// `steps` ascend, and repeat where the code jumps by more than one. For the input's exact range `[lo, hi]`
/// every step lies in `lo+1 ..= hi`: steps that no input can reach are not there, and steps that
/// every input has reached are in `base`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Steps {
    /// The smallest code.
    pub base: i64,
    /// Where the code changes.
    pub steps: Vec<i64>,
    /// Whether the code falls as the input rises (a negative BatchNorm gain).
    pub falling: bool,
}

impl Steps {
    /// The code of `x`.
    pub fn apply(&self, x: i64) -> i64 {
        let reached = self.steps.partition_point(|&t| t <= x);
        self.base + (if self.falling { self.steps.len() - reached } else { reached }) as i64
    }

    /// The codes that can be reached.
    pub fn range(&self) -> Range {
        Range { lo: self.base, hi: self.base + self.steps.len() as i64 }
    }
}

/// The network's outputs on one exact integer grid: class `c` has value `multiplier[c] * code[c] + offset[c]`
/// up to one positive factor and one common offset, so that comparing these integers compares the real outputs.
/// Ties are real ties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelGrid {
    /// Per class, positive or negative.
    pub multiplier: Vec<i64>,
    /// Per class.
    pub offset: Vec<i64>,
}

impl Network {
    /// The tensor with this index.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// Every Dense layer with its weights, in order.
    pub fn dense_layers(&self) -> impl Iterator<Item = (&Layer, &Dense)> {
        self.layers.iter().filter_map(|l| match &l.op {
            Op::Dense(d) => Some((l, d)),
            _ => None,
        })
    }

    /// The layers that read tensor `id`.
    pub fn readers(&self, id: TensorId) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(move |l| l.inputs.contains(&id))
    }
}
