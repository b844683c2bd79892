//! Dense and Conv layers alike: a matrix of weights, a row for each output channel, that patches of the input are multiplied with.

use std::ops::Range as Span;

use ndarray::Array2;

use super::{Layer, Network, Op, Tensor, Window, image};
use crate::datatype::{DataType, Range};
use crate::patch::{Patches, Reach};

/// A layer with a weight matrix, which is what has accumulators.
#[derive(Clone, Copy, Debug)]
pub struct MatrixLayer<'a> {
    /// The layer.
    pub layer: &'a Layer,
    /// Its weights, `[rows, k]`: row by row the dot product of one output channel.
    pub weights: &'a Array2<i64>,
    /// Their declared type.
    pub weight_type: DataType,
    /// Groups of a convolution; 1 for a Dense.
    pub groups: usize,
    /// How a convolution's window moves; `None` for a Dense.
    pub window: Option<&'a Window>,
}

impl<'a> MatrixLayer<'a> {
    /// `layer`, if it has a weight matrix.
    pub fn of(layer: &'a Layer) -> Option<Self> {
        match &layer.op {
            Op::Dense(dense) => {
                let (weights, weight_type) = (&dense.weights, dense.weight_type);
                Some(MatrixLayer { layer, weights, weight_type, groups: 1, window: None })
            }
            Op::Conv(conv) => {
                let (weights, weight_type) = (&conv.weights, conv.weight_type);
                Some(MatrixLayer { layer, weights, weight_type, groups: conv.groups, window: Some(&conv.window) })
            }
            _ => None,
        }
    }

    /// Products in one dot product: columns of the matrix.
    pub fn k(&self) -> usize {
        self.weights.ncols()
    }

    /// The channels of `input` that row `row` reads.
    pub fn channels(&self, row: usize, input: &Tensor) -> Span<usize> {
        let each = input.ranges.len() / self.groups.max(1);
        let group = row / (self.weights.nrows() / self.groups.max(1)).max(1);
        group * each..(group + 1) * each
    }

    /// Dot products of one sample for each row: places of the output.
    pub fn places(&self, output: &Tensor) -> usize {
        image(&output.shape).map_or(1, |(_, [height, width])| height.saturating_mul(width))
    }

    /// Everything that a register can hold which starts at 0 and adds the products of row `row` in any order, for inputs of which
    /// channel `c` lies anywhere in `ranges[c]`: one range for each channel that the row reads. `patches` are [`MatrixLayer::patches`].
    pub fn prefix(&self, row: usize, patches: &Patches, ranges: &[Range]) -> Reach {
        let ranges: Vec<Range> = ranges.iter().map(|range| range.hull(Range::ZERO)).collect();
        // A valid network's sums stay far below 127 bits, and its shapes agree.
        patches.reach(self.weights.row(row), &ranges).unwrap_or_default()
    }

    /// The exact bound of row `row`: [`MatrixLayer::prefix`] over the input's declared type.
    pub fn exact(&self, row: usize, patches: &Patches, input: &Tensor) -> Reach {
        self.prefix(row, patches, &vec![input.datatype.range(); self.channels(row, input).len()])
    }

    /// Which columns take part at place `at` of the output: those whose tap is on the image. All of a Dense.
    pub fn columns_at(&self, at: [usize; 2], input: &Tensor) -> Vec<bool> {
        match (self.window, image(&input.shape)) {
            (Some(window), Some((_, size))) => {
                let taps = window.on_image(at, size);
                taps.iter().copied().cycle().take(self.k()).collect()
            }
            _ => vec![true; self.k()],
        }
    }

    /// The windows of a convolution on `input`, an image; a Dense is one of kernel 1 by 1 on an image of one place.
    pub fn patches(&self, input: &Tensor) -> Patches {
        let one = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad_begin: [0, 0], pad_end: [0, 0] };
        match (self.window, image(&input.shape)) {
            (Some(window), Some((_, size))) => Patches::new(window, size),
            _ => Patches::new(&one, [1, 1]),
        }
    }
}

impl Network {
    /// Every layer with a weight matrix, Dense or Conv, in order: those that have accumulators.
    pub fn matrix_layers(&self) -> impl Iterator<Item = MatrixLayer<'_>> {
        self.layers.iter().filter_map(MatrixLayer::of)
    }
}
