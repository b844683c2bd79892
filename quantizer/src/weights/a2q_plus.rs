//! A2Q+ (arXiv 2401.10432): zero-centred weights whose l1 norm is at most `T+ = (2^P - 2) / (2^N - 1)`.

use super::a2q::{below, l1, narrow, project, scale_to, truncate};
use super::limits::Limits;
use super::{Choice, EpInit, Method, Problem, WeightError, by_row, repair};
use crate::bound::a2q_plus_budget;

/// The weight quantizer of A2Q+ at its starting point: `mu` the mean, `q = clip(truncate((v - mu) * min(g/s, T+) / ||v - mu||_1))`.
///
/// Over the reals both signs sum to at most `T+/2`. On a nearly constant channel `v - mu` is rounding noise, scaled up to the whole
/// budget, and that proof is void: a centred norm within float error counts as 0, and every channel is verified
/// and, if need be, repaired in integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct A2qPlus {
    /// Whether, and when, weights are projected onto the budget.
    pub init: EpInit,
}

impl Method for A2qPlus {
    fn name(&self) -> &'static str {
        match self.init {
            EpInit::None => "a2q+",
            EpInit::Paper => "a2q+-ep",
            EpInit::CentreFirst => "a2q+-ep-centred",
        }
    }

    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError> {
        let budget = below(&a2q_plus_budget(problem.accumulator, problem.input));
        let limits = Limits::new(problem.input, problem.accumulator);
        let codes = narrow(problem.weight_type.range());
        Ok(by_row(problem, |values| {
            let (projected, norm) = match self.init {
                EpInit::None => (values.to_vec(), l1(values)),
                EpInit::Paper => (project(values, budget), l1(values).min(budget)),
                EpInit::CentreFirst => (project(&centred(values), budget), l1(values).min(budget)),
            };
            let scaled = scale_to(&centred(&projected), norm.min(budget));
            let mut q = truncate(&scaled, codes);
            repair::fit(&mut q, &scaled, &limits);
            q
        }))
    }
}

/// The values less their mean; all zeros if nothing is left but the rounding of that subtraction.
fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let centred: Vec<f64> = values.iter().map(|v| v - mean).collect();
    // The error of a sum of n terms is at most n * eps times the sum of magnitudes, that of the n differences as much again.
    let noise = 2.0 * values.len() as f64 * f64::EPSILON * l1(values);
    if l1(&centred) <= noise { vec![0.0; values.len()] } else { centred }
}
