//! What a row of weights is multiplied with: the inputs of a Dense layer, the windows of a convolution.

use ndarray::Array2;

use crate::network::{MatrixLayer, Tensor, image};

/// Windows of a convolution that are looked at, at most: spread evenly over samples and places.
const WINDOWS: usize = 4096;

/// The columns of row `row`, `[vectors, columns]`, for `codes` (`[samples, elements]`) of `input`: each sample of a Dense, windows of
/// the samples of a Conv. Places outside the image are 0; where the type has no 0, only windows on the image are taken.
pub fn of(codes: &Array2<i64>, matrix: &MatrixLayer<'_>, row: usize, input: &Tensor, output: &Tensor) -> Array2<i64> {
    let sizes = (image(&input.shape), image(&output.shape));
    let (Some(window), (Some((_, size)), Some((_, [height, width])))) = (matrix.window, sizes) else {
        return codes.clone();
    };
    let channels: Vec<usize> = matrix.channels(row, input).collect();
    let has_zero = input.datatype.holds(0);
    let places = height * width;
    let all = codes.nrows() * places;
    // An odd step goes through all places of the usual, even sizes.
    let step = all.div_ceil(WINDOWS).max(1) | 1;
    let mut vectors = Vec::new();
    let mut count = 0;
    for (sample, place) in (0..all).step_by(step).map(|i| (i / places, i % places)) {
        let at = [place / width, place % width];
        let taps = window.on_image(at, size);
        if !has_zero && taps.iter().any(|on| !on) {
            continue;
        }
        for &channel in &channels {
            for (tap, &on) in taps.iter().enumerate() {
                let along = |axis: usize, tap: usize| at[axis] * window.stride[axis] + tap * window.dilation[axis];
                let (u, v) = (tap / window.kernel[1], tap % window.kernel[1]);
                vectors.push(if on {
                    // On the image, so that neither difference is negative.
                    let (y, x) = (along(0, u) - window.pad_begin[0], along(1, v) - window.pad_begin[1]);
                    codes[[sample, (channel * size[0] + y) * size[1] + x]]
                } else {
                    0
                });
            }
        }
        count += 1;
    }
    // As many as were pushed: a vector has a code for each tap of each channel.
    Array2::from_shape_vec((count, channels.len() * window.kernel[0] * window.kernel[1]), vectors).unwrap_or_default()
}
