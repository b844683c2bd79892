//! Fewer weight bits per layer, after de Bruin et al. (arXiv 2004.11783): the baseline that takes bits away.

use num_rational::Ratio;

use super::grid_rescale::rounded;
use super::limits::{Limits, sign_sums};
use super::{Choice, Method, Problem, WeightError, by_row};
use crate::bound::SignSums;
use crate::datatype::{DataType, Signedness};

/// The widest weights, from the layer's own bits down to two, with which every channel of the layer fits.
///
/// A bit less is a grid twice as coarse for the whole layer, nearest rounding, and codes clipped to the narrower type. What the
/// paper searches beside that, the bits of the activations, is not touched: in a network that is trained they are settled.
/// Whether a width fits is decided by the exact range of the integers, which is kinder to the method than its own bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeBruin;

impl Method for DeBruin {
    fn name(&self) -> &'static str {
        "de-bruin"
    }

    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError> {
        let limits = Limits::new(problem.input, problem.accumulator);
        let most = problem.weight_type.bits;
        let least = if problem.weight_type.sign == Signedness::Unsigned { 1 } else { 2 };
        let mut missed = (0, 0);
        for bits in (least..=most).rev() {
            // A narrow type of two bits or more stays one; narrow unsigned of one bit has no code but 0.
            let narrow = problem.weight_type.narrow && bits > 1;
            let weight_type = DataType { bits, narrow, ..problem.weight_type };
            let step = 1i64 << (most - bits);
            let choice = by_row(problem, |values| rounded(values, step, 1, weight_type.range()));
            let fits = |row: ndarray::ArrayView1<i64>| {
                let (alpha, beta) = sign_sums(&row.to_vec());
                limits.hold(alpha, beta)
            };
            if choice.codes.rows().into_iter().all(fits) {
                let multipliers = vec![Ratio::from_integer(step); choice.codes.nrows()];
                return Ok(Choice { multipliers, weight_type, ..choice });
            }
            let widths =
                choice.codes.rows().into_iter().map(|row| SignSums::of(row).interval(problem.input.range()).width());
            missed = widths.enumerate().max_by_key(|&(c, width)| (width, std::cmp::Reverse(c))).unwrap_or_default();
        }
        let (channel, needed) = missed;
        Err(WeightError::NoBitWidth { accumulator: problem.accumulator, channel, needed })
    }
}
