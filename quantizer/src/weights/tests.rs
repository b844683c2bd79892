#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Golden vectors, oracles, and the properties T1 to T10 that every method must hold.

mod convolutions;
mod golden;
mod networks;
mod optimum;
mod properties;
mod refusals;

use ndarray::{Array2, ArrayView2};

use super::*;
use crate::testing::Random;

/// A problem without calibration.
fn problem(weights: ArrayView2<'_, f64>, weight_type: DataType, input: DataType, accumulator: u32) -> Problem<'_> {
    Problem { weights, weight_type, input, accumulator, calibration: None }
}

/// Every method that constrains; AXE in four forms.
fn methods() -> Vec<Box<dyn Method>> {
    let mut all: Vec<_> = NAMES.iter().map(|name| by_name(name, None).unwrap()).collect();
    all.push(Box::new(GridRescale { denominator: 64 }));
    all.push(by_name("axe", Some(3)).unwrap());
    all.push(by_name("axe-gpfq", Some(3)).unwrap());
    all
}

/// A number that looks Gaussian: the sum of twelve uniform ones.
fn gaussian(random: &mut Random) -> f64 {
    (0..12).map(|_| random.within(0, 1 << 30) as f64 / (1u64 << 30) as f64).sum::<f64>() - 6.0
}

/// Codes of `input` to calibrate with.
fn data(random: &mut Random, input: DataType, samples: usize, taps: usize) -> Array2<i64> {
    Array2::from_shape_fn((samples, taps), |_| random.code(input))
}
