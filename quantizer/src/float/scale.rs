//! Scales for float tensors: a choice, made in floats. What comes of it is exact.
//!
//! Scales have 8 significant bits. That moves them by less than a hundredth, and keeps the products of scales that the classes
//! are compared with (see [`LabelGrid`](crate::network::LabelGrid)) within 64 bits. The input's scale alone has all bits of an `f32`:
//! pixels mean multiples of 1/255, and shall be met.

use ndarray::{Array2, ArrayView2};

use crate::datatype::DataType;
use crate::weights::grid::{Granularity, max_scales};

/// Values of a tensor that are looked at, at most.
const LOOK_AT: usize = 100_000;

/// One scale per row: the largest magnitude is the largest code. As `f32`, which is what ONNX files hold.
pub fn of_weights(weights: ArrayView2<'_, f64>, datatype: DataType) -> Vec<f32> {
    max_scales(weights, datatype, Granularity::Channel).into_iter().map(short).collect()
}

/// The type and the scale for an activation: unsigned if no sample is negative; and of 80 scales, from that at which the largest
/// magnitude is the largest code down to a fifth of it, the one with the smallest squared error. With all bits of an `f32` if it is `exactly` wanted.
pub fn of_activations(samples: &Array2<f64>, bits: u32, exactly: bool) -> (DataType, f32) {
    let (lo, hi) = samples.iter().fold((0.0, 0.0), |(lo, hi): (f64, f64), &v| (lo.min(v), hi.max(v)));
    let datatype = if lo < 0.0 { DataType::signed(bits) } else { DataType::unsigned(bits) };
    let range = datatype.range();
    let full = hi.max(-lo) / range.hi as f64;
    if full <= 0.0 {
        return (datatype, 1.0);
    }
    // Every n-th value, n odd so that it goes through all columns of the usual, even widths.
    let every = samples.len().div_ceil(LOOK_AT) | 1;
    let values: Vec<f64> = samples.iter().copied().step_by(every).collect();
    let error = |scale: f64| -> f64 {
        let code = |v: f64| (v / scale).round_ties_even().clamp(range.lo as f64, range.hi as f64);
        values.iter().map(|&v| (code(v) * scale - v).powi(2)).sum()
    };
    let candidates = (21..=100).rev().map(|percent| full * f64::from(percent) / 100.0);
    let candidates = candidates.map(if exactly { usable } else { short });
    let best = candidates.map(|scale| (error(f64::from(scale)), scale)).min_by(|a, b| a.0.total_cmp(&b.0));
    (datatype, best.map_or(1.0, |(_, scale)| scale))
}

/// The next larger number of 8 significant bits: no value that was a code is beyond the last one now.
fn short(scale: f64) -> f32 {
    let unit = 2f64.powi(usable(scale).log2().floor() as i32 - 7);
    usable((scale / unit).ceil() * unit)
}

/// The nearest `f32` that is a scale: positive, and not so small that quotients overflow.
fn usable(scale: f64) -> f32 {
    (scale as f32).clamp(1e-30, 1e30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_keep_their_own_grid() {
        let pixels = Array2::from_shape_fn((2, 256), |(_, p)| p as f64 / 255.0);
        let (datatype, scale) = of_activations(&pixels, 8, true);
        assert_eq!(datatype, DataType::unsigned(8));
        for p in 0..=255u8 {
            assert_eq!((f64::from(p) / 255.0 / f64::from(scale)).round(), f64::from(p));
        }
    }

    #[test]
    fn outliers_are_cut_where_that_pays() {
        // A thousand values up to 1, and a single one of 4.
        let mut values = Array2::from_shape_fn((10, 101), |(a, b)| (a * 101 + b) as f64 / 1010.0);
        values[[9, 100]] = 4.0;
        let (_, scale) = of_activations(&values, 4, false);
        // 1010 s^2 / 12 + (4 - 15 s)^2 is least at s = 0.19: the largest code means 2.9.
        assert!((2.5..3.3).contains(&(15.0 * scale)), "{scale}");
        // With many bits both fit.
        assert!(4095.0 * of_activations(&values, 12, false).1 > 3.9);
    }

    #[test]
    fn signs_and_zeros() {
        assert_eq!(of_activations(&Array2::from_elem((1, 3), -1.0), 4, false).0, DataType::signed(4));
        assert_eq!(of_activations(&Array2::zeros((2, 2)), 4, true), (DataType::unsigned(4), 1.0));
        assert_eq!(of_activations(&Array2::zeros((0, 0)), 4, false), (DataType::unsigned(4), 1.0));
        let narrow = DataType { narrow: true, ..DataType::signed(4) };
        let weights = ndarray::array![[0.5, -1.4], [0.0, 0.0], [1e-300, 0.0]];
        let scales = of_weights(weights.view(), narrow);
        // 0.2 is 204.8 / 1024.
        assert_eq!(scales[..2], [205.0 / 1024.0, 1.0]);
        assert!(scales[2] > 0.0 && scales[2] < 1e-29);
    }
}
