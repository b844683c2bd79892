//! No change: the reference that every method is compared with.

use super::grid_rescale::rounded;
use super::{Choice, Method, Problem, WeightError, by_row};

/// The nearest codes, whatever accumulator they need. [`quantize`](super::quantize) then refuses what does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exact;

impl Method for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError> {
        let codes = problem.weight_type.range();
        Ok(by_row(problem, |values| rounded(values, 1, 1, codes)))
    }
}
