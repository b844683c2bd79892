//! Sign-split: the exact feasible set, and the nearest integers in it.

use num_rational::Ratio;

use super::grid_rescale::factor;
use super::limits::Limits;
use super::nearest::nearest_within;
use super::{Choice, Method, Problem, WeightError, by_row, by_row_and_grid};

/// The nearest integers among all that fit the accumulator, see [`nearest_within`]. Positive and negative weights have budgets
/// of their own (unsigned inputs) or share a polygon (signed ones); no mean is taken away, and no budget is left unused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignSplit;

impl Method for SignSplit {
    fn name(&self) -> &'static str {
        "sign-split"
    }

    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError> {
        let limits = Limits::new(problem.input, problem.accumulator);
        let codes = problem.weight_type.range();
        Ok(by_row(problem, |values| nearest_within(values, codes, &limits)))
    }
}

/// Sign-split on the best of several grids: per channel the integer `k` whose nearest feasible integers on the grid `k * s` leave the
/// smallest error.
///
/// On the old grid (`k = 1`) a tight budget costs many weights; where nearest rounding fits by itself ([`GridRescale`](super::GridRescale)'s `k`)
/// all weights are coarse. The best is in between, and never worse than either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignSplitGrid;

/// Grids tried, beside that of grid rescale.
const GRIDS: i64 = 64;

impl Method for SignSplitGrid {
    fn name(&self) -> &'static str {
        "sign-split-grid"
    }

    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError> {
        let limits = Limits::new(problem.input, problem.accumulator);
        let codes = problem.weight_type.range();
        let on = |values: &[f64], k: i64| {
            let scaled: Vec<f64> = values.iter().map(|v| v / k as f64).collect();
            let q = nearest_within(&scaled, codes, &limits);
            let error: f64 = q.iter().zip(values).map(|(&q, v)| (k as f64 * q as f64 - v).powi(2)).sum();
            (error, q, k)
        };
        Ok(by_row_and_grid(problem, |values| {
            let enough = factor(values, codes, &limits, 1);
            let mut best = on(values, enough);
            for candidate in (1..enough.min(GRIDS)).map(|k| on(values, k)) {
                // The finer grid of two that are as near.
                if candidate.0 < best.0 || candidate.0 == best.0 && candidate.2 < best.2 {
                    best = candidate;
                }
            }
            (best.1, Ratio::from_integer(best.2))
        }))
    }
}
