//! Convolutions as matrix products: the windows of an image side by side as rows of a matrix.

use std::borrow::Cow;

use ndarray::{Array2, ArrayView2, s};
use quantizer::network::{Conv, Dense, Table, Tensor, Window, image};

use super::dense::Product;

/// A convolution made ready: one matrix product for each group.
pub(super) struct Convolution {
    products: Vec<Product>,
    window: Window,
    /// Channels of a group.
    each: usize,
    /// Height and width of the image and of the result.
    size: [usize; 2],
    result: [usize; 2],
}

impl Convolution {
    /// Of a valid network's layer.
    pub(super) fn new(conv: &Conv, input: &Tensor, output: &Tensor) -> Self {
        let (channels, size) = image(&input.shape).unwrap_or((0, [0, 0]));
        let (_, result) = image(&output.shape).unwrap_or((0, [0, 0]));
        let groups = conv.groups.max(1);
        let (each, rows) = (channels / groups, conv.weights.nrows() / groups);
        let taps = conv.window.kernel[0] * conv.window.kernel[1];
        let product = |group: usize| {
            let weights = conv.weights.slice(s![group * rows..(group + 1) * rows, ..]).to_owned();
            let group = &input.ranges[group * each..(group + 1) * each];
            // Off the image a value is 0, which adds nothing to the bound that chooses the arithmetic.
            let ranges: Vec<_> = group.iter().flat_map(|&range| std::iter::repeat_n(range, taps)).collect();
            Product::new(&Dense { weights, weight_type: conv.weight_type }, &ranges)
        };
        Convolution { products: (0..groups).map(product).collect(), window: conv.window, each, size, result }
    }

    /// `[samples, elements]` to `[samples, elements]`.
    pub(super) fn apply(&self, inputs: &Array2<i64>) -> Array2<i64> {
        let places = self.result[0] * self.result[1];
        let rows: usize = self.products.iter().map(Product::rows).sum();
        let mut outputs = vec![0; inputs.nrows() * rows * places];
        let pixels = self.size[0] * self.size[1];
        let samples = flat(inputs);
        let samples = samples.chunks_exact(inputs.ncols());
        for (sample, mut output) in samples.zip(outputs.chunks_exact_mut(rows * places)) {
            for (group, product) in self.products.iter().enumerate() {
                let channels = &sample[group * self.each * pixels..(group + 1) * self.each * pixels];
                let (here, rest) = output.split_at_mut(product.rows() * places);
                product.apply_patches(self, channels, here);
                output = rest;
            }
        }
        matrix([inputs.nrows(), rows * places], outputs)
    }

    /// The windows of one group's `channels` as columns: `[channels * taps, places]`, 0 off the image, each value as `of` gives it.
    pub(super) fn columns<T: Copy + Default>(&self, channels: &[i64], of: impl Fn(i64) -> T) -> Array2<T> {
        let [height, width] = self.size;
        let [rows, columns] = self.result;
        let window = &self.window;
        let taps = window.kernel[0] * window.kernel[1];
        let mut values = vec![T::default(); self.each * taps * rows * columns];
        let mut lines = values.chunks_exact_mut(rows * columns);
        for channel in channels.chunks_exact(height * width) {
            for u in 0..window.kernel[0] {
                for v in 0..window.kernel[1] {
                    // As many as channels times taps.
                    let Some(line) = lines.next() else { break };
                    let (first, last) = on_image(window, 1, v, width, columns);
                    for (i, to) in line.chunks_exact_mut(columns).enumerate() {
                        let y = (i * window.stride[0] + u * window.dilation[0]).checked_sub(window.pad_begin[0]);
                        let Some(y) = y.filter(|&y| y < height) else { continue };
                        let from = &channel[y * width..(y + 1) * width];
                        for (j, to) in to.iter_mut().enumerate().take(last).skip(first) {
                            *to = of(from[j * window.stride[1] + v * window.dilation[1] - window.pad_begin[1]]);
                        }
                    }
                }
            }
        }
        matrix([self.each * taps, rows * columns], values)
    }
}

/// All values in row-major order.
fn flat(values: &Array2<i64>) -> Cow<'_, [i64]> {
    match values.as_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(values.iter().copied().collect()),
    }
}

/// `values` in row-major order, as many as a matrix of these rows and columns has.
#[expect(clippy::expect_used, reason = "all callers allocate rows * columns values")]
fn matrix<T>([rows, columns]: [usize; 2], values: Vec<T>) -> Array2<T> {
    Array2::from_shape_vec((rows, columns), values).expect("as many values as places")
}

/// The places along an axis of the result at which `tap` is on an image of `size`: from the first to before the last.
pub(super) fn on_image(window: &Window, axis: usize, tap: usize, size: usize, places: usize) -> (usize, usize) {
    let (stride, pad) = (window.stride[axis].max(1), window.pad_begin[axis]);
    let at = tap * window.dilation[axis];
    // place * stride + at - pad within 0 .. size
    let first = pad.saturating_sub(at).div_ceil(stride);
    let last = (size + pad).saturating_sub(at).div_ceil(stride).min(places);
    (first.min(last), last)
}

/// Sums or maxima over windows, channel by channel.
pub(super) struct Pool {
    window: Window,
    largest: bool,
    size: [usize; 2],
    result: [usize; 2],
}

impl Pool {
    /// Of a valid network's layer: the largest of a window, or else its sum.
    pub(super) fn new(window: &Window, largest: bool, input: &Tensor, output: &Tensor) -> Self {
        let (_, size) = image(&input.shape).unwrap_or((0, [0, 0]));
        let (_, result) = image(&output.shape).unwrap_or((0, [0, 0]));
        Pool { window: *window, largest, size, result }
    }

    /// `[samples, elements]` to `[samples, elements]`.
    pub(super) fn apply(&self, inputs: &Array2<i64>) -> Array2<i64> {
        let (pixels, places) = (self.size[0] * self.size[1], self.result[0] * self.result[1]);
        let channels = inputs.ncols() / pixels.max(1);
        let start = if self.largest { i64::MIN } else { 0 };
        let mut outputs = vec![start; inputs.nrows() * channels * places];
        // Channel after channel, sample after sample.
        for (from, to) in flat(inputs).chunks_exact(pixels).zip(outputs.chunks_exact_mut(places)) {
            self.channel(from, to);
        }
        matrix([inputs.nrows(), channels * places], outputs)
    }

    fn channel(&self, from: &[i64], to: &mut [i64]) {
        let ([height, width], [rows, columns]) = (self.size, self.result);
        let window = &self.window;
        for u in 0..window.kernel[0] {
            let (top, bottom) = on_image(window, 0, u, height, rows);
            for v in 0..window.kernel[1] {
                let (left, right) = on_image(window, 1, v, width, columns);
                for i in top..bottom {
                    let y = i * window.stride[0] + u * window.dilation[0] - window.pad_begin[0];
                    let line = &from[y * width..(y + 1) * width];
                    for (j, to) in to[i * columns..(i + 1) * columns].iter_mut().enumerate().take(right).skip(left) {
                        let x = line[j * window.stride[1] + v * window.dilation[1] - window.pad_begin[1]];
                        // Modulo 2^64: only the whole sum has to fit, and in a valid network it does.
                        *to = if self.largest { x.max(*to) } else { to.wrapping_add(x) };
                    }
                }
            }
        }
    }
}

/// `sum over i of coefficients[i] * inputs[i]`, element by element.
pub(super) fn add(coefficients: &[i64], inputs: &[&Array2<i64>]) -> Array2<i64> {
    let mut outputs = Array2::zeros(inputs.first().map_or((0, 0), |x| x.dim()));
    for (&k, &x) in coefficients.iter().zip(inputs) {
        // Modulo 2^64: only the whole sum has to fit, and in a valid network it does.
        outputs.zip_mut_with(x, |sum: &mut i64, &x| *sum = sum.wrapping_add(k.wrapping_mul(x)));
    }
    outputs
}

/// Channels of all inputs one after the other.
pub(super) fn concat(inputs: &[&Array2<i64>]) -> Array2<i64> {
    let views: Vec<ArrayView2<'_, i64>> = inputs.iter().map(|x| x.view()).collect();
    #[expect(clippy::expect_used, reason = "all tensors of a batch have as many rows")]
    ndarray::concatenate(ndarray::Axis(1), &views).expect("tensors of one batch")
}

/// Codes by look-up. A valid network's table has an entry for every value that comes.
pub(super) fn looked_up(table: &Table, inputs: &Array2<i64>, channels: usize) -> Array2<i64> {
    let each = inputs.ncols().checked_div(channels).unwrap_or(1).max(1);
    let mut codes = inputs.clone();
    for (element, mut column) in codes.columns_mut().into_iter().enumerate() {
        column.mapv_inplace(|x| table.apply(element / each, x).unwrap_or_default());
    }
    codes
}

/// Where every element of the output comes from.
pub(super) fn gather(sources: &[usize], inputs: &Array2<i64>) -> Array2<i64> {
    inputs.select(ndarray::Axis(1), sources)
}

/// Sources of an Upsample by `factor` of `channels` images of this height and width.
pub(super) fn upsampled(channels: usize, [height, width]: [usize; 2], factor: [usize; 2]) -> Vec<usize> {
    let mut sources = Vec::with_capacity(channels * height * width * factor[0] * factor[1]);
    for line in 0..channels * height {
        for _ in 0..factor[0] {
            sources.extend((0..width).flat_map(|j| std::iter::repeat_n(line * width + j, factor[1])));
        }
    }
    sources
}

/// Sources of a DepthToSpace.
pub(super) fn from_depth(
    to: quantizer::network::DepthToSpace,
    channels: usize,
    [height, width]: [usize; 2],
) -> Vec<usize> {
    let block = to.block.max(1);
    let outputs = channels / (block * block);
    let mut sources = Vec::with_capacity(channels * height * width);
    for c in 0..outputs {
        for i in 0..height * block {
            for j in 0..width * block {
                let place = i % block * block + j % block;
                let from = if to.column_first { c * block * block + place } else { place * outputs + c };
                sources.push((from * height + i / block) * width + j / block);
            }
        }
    }
    sources
}
