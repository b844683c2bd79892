//! A2Q (arXiv 2308.13504): weights whose l1 norm is at most `T = (2^(P-1) - 1) * 2^([signed] - N)`.

use super::limits::Limits;
use super::project::{simplex_threshold, soft};
use super::{Choice, EpInit, Method, Problem, WeightError, by_row, repair};
use crate::bound::a2q_budget;
use crate::datatype::Range;
use crate::rational::{Rational, from_f64, to_f64};

/// The weight quantizer of A2Q at its starting point: the norm `g` is that of the weights, before training moves it.
///
/// `q = clip(truncate(v * min(g/s, T) / ||v||_1))`, codes narrow. Truncation and clipping only shrink, so that `l1(q) <= T`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct A2q {
    /// Whether weights are projected onto the budget first; all orders are one here.
    pub init: EpInit,
}

impl Method for A2q {
    fn name(&self) -> &'static str {
        if self.init == EpInit::None { "a2q" } else { "a2q-ep" }
    }

    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError> {
        let budget = below(&a2q_budget(problem.accumulator, problem.input));
        let limits = Limits::new(problem.input, problem.accumulator);
        let codes = narrow(problem.weight_type.range());
        Ok(by_row(problem, |values| {
            let projected = match self.init {
                EpInit::None => values.to_vec(),
                EpInit::Paper | EpInit::CentreFirst => project(values, budget),
            };
            // EP-init moves the norm into the budget as well.
            let norm = l1(values).min(if self.init == EpInit::None { f64::INFINITY } else { budget });
            let scaled = scale_to(&projected, norm.min(budget));
            let mut q = truncate(&scaled, codes);
            repair::fit(&mut q, &scaled, &limits);
            q
        }))
    }
}

/// The largest float that is not above the fraction, so that no budget grows by rounding.
pub(super) fn below(budget: &Rational) -> f64 {
    let nearest = to_f64(budget);
    match from_f64(nearest) {
        Some(float) if float <= *budget => nearest,
        _ => nearest.next_down().max(0.0),
    }
}

/// The papers' codes: narrow, whatever the type.
pub(super) fn narrow(codes: Range) -> Range {
    Range { lo: codes.lo.max(-codes.hi), hi: codes.hi }
}

pub(super) fn l1(values: &[f64]) -> f64 {
    values.iter().map(|v| v.abs()).sum()
}

/// Euclidean projection onto the l1 ball.
pub(super) fn project(values: &[f64], radius: f64) -> Vec<f64> {
    let magnitudes: Vec<f64> = values.iter().map(|v| v.abs()).collect();
    let theta = simplex_threshold(&magnitudes, radius);
    values.iter().map(|&v| soft(v, theta)).collect()
}

/// The values with the l1 norm `norm`; zeros stay zeros.
pub(super) fn scale_to(values: &[f64], norm: f64) -> Vec<f64> {
    let have = l1(values);
    // Equal norms: no division, whose last bit could pull an integer below itself.
    if have == 0.0 || have == norm {
        return values.to_vec();
    }
    values.iter().map(|v| v * norm / have).collect()
}

/// Rounds toward zero, and clips.
pub(super) fn truncate(values: &[f64], codes: Range) -> Vec<i64> {
    // The cast truncates, and saturates far outside any datatype.
    values.iter().map(|&v| (v as i64).clamp(codes.lo, codes.hi)).collect()
}
