//! Sign-split: the exact feasible set, and the nearest integers in it.

use super::limits::Limits;
use super::nearest::nearest_within;
use super::{Choice, Method, Problem, WeightError, by_row};

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
