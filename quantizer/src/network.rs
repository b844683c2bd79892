//! The integer network: a directed acyclic graph of layers on integer tensors. It knows numbers and no hardware.
//!
//! Everything here is exact. The only floats are [`Scale`]s, metadata from which outputs are reported in
//! real units; nothing that is computed on integers reads them.

mod matrix;

use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use crate::datatype::{DataType, Range};

pub use matrix::MatrixLayer;

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
    /// The graph input's shape in the source file, batch dimension included (1).
    pub input_shape: Vec<usize>,
    /// Whether the file's input has its channels last: the pins' elements are then those of `input_shape` with the last
    /// dimension in front of the places. Otherwise both orders are the same, whatever the shapes.
    pub input_channels_last: bool,
    /// What leaves: final accumulators, or codes where the source ends with a quantizer.
    pub output: TensorId,
    /// The output's ONNX name, and shape without the batch dimension.
    pub output_name: String,
    /// The graph output's shape in the source file, batch dimension included (1).
    pub output_shape: Vec<usize>,
    /// Whether the file's output has its channels last, as `input_channels_last`.
    pub output_channels_last: bool,
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
    /// Convolution, see [`Conv`]; `[channels, height, width]` to `[rows, height', width']`.
    Conv(Conv),
    /// `y[c, p] = max over the window of x[c, ...]`; places outside the image do not take part.
    MaxPool(Window),
    /// `y[c, p] = sum over the window of x[c, ...]`; places outside the image count as 0.
    SumPool(Window),
    /// `y[c, p] = sum over inputs i of coefficients[i] * x_i[c, p]`; two or more inputs of one shape.
    Add(Add),
    /// Requantization by look-up, channel by channel; shapes equal. For what is no step function of a sum.
    Table(Table),
    /// Channels of all inputs one after the other; equal heights and widths.
    Concat,
    /// `y[c, i, j] = x[c, i / factor[0], j / factor[1]]`: nearest neighbour, by whole factors.
    Upsample([usize; 2]),
    /// Channels become places, see [`DepthToSpace`]; `[channels, h, w]` to `[channels / b^2, b*h, b*w]`.
    DepthToSpace(DepthToSpace),
}

/// How a window moves over an image. All pairs are vertical, horizontal; a tensor of shape `[channels, length]` is an
/// image of height 1, one of shape `[channels]` has height and width 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Places that the window reads: at least 1 by 1.
    pub kernel: [usize; 2],
    /// Steps between windows, at least 1.
    pub stride: [usize; 2],
    /// Distance between places read, at least 1.
    pub dilation: [usize; 2],
    /// Places added above and to the left; each less than [`Window::span`].
    pub pad_begin: [usize; 2],
    /// Places added below and to the right; each less than [`Window::span`].
    pub pad_end: [usize; 2],
}

impl Window {
    /// Places from the first to the last one read, both included: `(kernel - 1) * dilation + 1`.
    pub fn span(&self) -> [usize; 2] {
        [0, 1].map(|a| (self.kernel[a].saturating_sub(1)).saturating_mul(self.dilation[a]).saturating_add(1))
    }

    /// Height and width of the result for an image of this height and width: `(size + pads - span) / stride + 1`, rounded
    /// down; `None` if the window is larger than the padded image, or a stride is 0.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let span = self.span();
        let along = |a: usize| {
            let padded = size[a].checked_add(self.pad_begin[a])?.checked_add(self.pad_end[a])?;
            padded.checked_sub(span[a])?.checked_div(self.stride[a])?.checked_add(1)
        };
        Some([along(0)?, along(1)?])
    }
}

/// A convolution without bias (biases live in thresholds or in the output's scale).
///
/// `y[r, i, j] = sum over (c, u, v) of weights[r, (c, u, v)] * x[first(r) + c, i*s - p + u*d, ...]`, places outside the image
/// being 0; row `r` belongs to group `r / (rows / groups)` and reads that group's `channels / groups` channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Integer weights `[rows, channels / groups * kernel height * kernel width]`: ONNX's order, flattened.
    pub weights: Array2<i64>,
    /// Their declared datatype; every weight is one of its codes.
    pub weight_type: DataType,
    /// Groups; divides rows and channels. As many as channels: a depthwise convolution.
    pub groups: usize,
    /// How it moves.
    pub window: Window,
}

/// A sum of tensors on one integer grid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// One coefficient per input, not 0.
    pub coefficients: Vec<i64>,
}

/// Which channel goes where in a [`Op::DepthToSpace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthToSpace {
    /// Side of the block of places that `b^2` channels become.
    pub block: usize,
    /// ONNX mode `CRD` (channel `c*b*b + u*b + v` goes to channel `c`, place `(u, v)`), else `DCR`
    /// (channel `(u*b + v) * channels' + c`).
    pub column_first: bool,
}

/// Channels, height and width of a tensor's shape, see [`Window`]; `None` for more than three dimensions or none.
pub fn image(shape: &[usize]) -> Option<(usize, [usize; 2])> {
    match *shape {
        [c] => Some((c, [1, 1])),
        [c, w] => Some((c, [1, w])),
        [c, h, w] => Some((c, [h, w])),
        _ => None,
    }
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

/// Requantization by look-up: `y = codes[c, x - first]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The smallest input that has an entry.
    pub first: i64,
    /// A row of codes for each channel (`shape[0]` of them), or a single one for all; every input that can be reached has an entry.
    pub codes: Array2<i64>,
}

impl Table {
    /// The codes of channel `c`.
    pub fn row(&self, c: usize) -> ArrayView1<'_, i64> {
        self.codes.row(if self.codes.nrows() == 1 { 0 } else { c })
    }

    /// The code of `x` in channel `c`; `None` where it has no entry.
    pub fn apply(&self, c: usize, x: i64) -> Option<i64> {
        self.row(c).get(usize::try_from(x.checked_sub(self.first)?).ok()?).copied()
    }

    /// The codes that inputs in `range` reach; `None` where one has no entry.
    pub fn range(&self, c: usize, range: Range) -> Option<Range> {
        let from = usize::try_from(range.lo.checked_sub(self.first)?).ok()?;
        let to = usize::try_from(range.hi.checked_sub(self.first)?).ok()?;
        let row = self.row(c);
        let reached = row.iter().skip(from).take(to.checked_sub(from)?.checked_add(1)?);
        (to < row.len()).then(|| reached.map(|&code| Range::new(code, code)).reduce(Range::hull)).flatten()
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
/// Ties are real ties. Where that grid is finer than 62 bits, a rounded one may stand for it, checked to compare every
/// reachable pair of codes alike.
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
