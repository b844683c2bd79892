//! Grid rescale: the same weights on a coarser grid, channel by channel, without data.

use num_rational::Ratio;

use super::limits::{Limits, sign_sums};
use super::{Choice, Method, Problem, WeightError, by_row_and_grid};
use crate::datatype::Range;

/// Per channel the smallest `k >= 1` such that nearest rounding on the grid `k * s` fits the accumulator.
///
/// `k` is a multiple of `1 / denominator`. In a network it must be an integer (denominator 1): then the old accumulator is
/// exactly `k` times the new one, and thresholds stay exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridRescale {
    /// How fine the choice of `k` is; 1 for whole steps only.
    pub denominator: u32,
}

impl Default for GridRescale {
    fn default() -> Self {
        GridRescale { denominator: 1 }
    }
}

impl Method for GridRescale {
    fn name(&self) -> &'static str {
        "grid-rescale"
    }

    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError> {
        let limits = Limits::new(problem.input, problem.accumulator);
        let codes = problem.weight_type.range();
        let denominator = i64::from(self.denominator.max(1));
        Ok(by_row_and_grid(problem, |values| {
            let k = factor(values, codes, &limits, denominator);
            (rounded(values, k, denominator, codes), Ratio::new(k, denominator))
        }))
    }
}

/// The smallest numerator that fits. Magnitudes of rounded and clipped codes only fall as the grid grows, so bisection finds it.
pub(super) fn factor(values: &[f64], codes: Range, limits: &Limits, denominator: i64) -> i64 {
    let fits = |k: i64| {
        let (alpha, beta) = sign_sums(&rounded(values, k, denominator, codes));
        limits.hold(alpha, beta)
    };
    if fits(denominator) {
        return denominator;
    }
    // Doubling until it fits, which it does when all codes are 0: far below 2^60, as no weight is beyond 2^40 steps.
    let mut high = denominator;
    while !fits(high) && high < 1 << 60 {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { high = middle } else { low = middle }
    }
    high
}

/// The nearest codes on the grid of `k / denominator` steps; ties away from zero.
pub(super) fn rounded(values: &[f64], k: i64, denominator: i64, codes: Range) -> Vec<i64> {
    let step = k as f64 / denominator as f64;
    // The cast saturates far outside any datatype.
    values.iter().map(|v| ((v / step).round() as i64).clamp(codes.lo, codes.hi)).collect()
}
