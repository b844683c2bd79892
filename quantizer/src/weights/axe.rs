//! AXE (arXiv 2409.17092): greedy rounding, column by column, with error feedback and a running account of each accumulator.

use ndarray::{Array2, ArrayView1, Axis};

use super::cholesky::inverse_factor;
use super::limits::Limits;
use super::project::simplex_threshold;
use super::{Calibration, Choice, Method, Problem, WeightError, by_row, repair, smallest_accumulator};
use crate::datatype::Range;

/// How the error of a column reaches the columns behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// GPFQ: each column is chosen for the residual of the layer's output on the calibration data.
    Gpfq,
    /// OPTQ (GPTQ): the error is spread over later columns through the factor of the inverse Hessian.
    Optq,
}

/// AXE on top of GPFQ or OPTQ.
///
/// With tiles, every `tile` consecutive columns have an inner accumulator of `P - ceil(log2(tiles))` bits, so that their sum fits
/// the outer one of P bits; without, there is one accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axe {
    /// The rounding that is made safe.
    pub feedback: Feedback,
    /// Columns per tile.
    pub tile: Option<usize>,
}

/// Share of the Hessian's mean diagonal that is added to it, as OPTQ's authors do.
const DAMPING: f64 = 0.01;

impl Method for Axe {
    fn name(&self) -> &'static str {
        match self.feedback {
            Feedback::Gpfq => "axe-gpfq",
            Feedback::Optq => "axe",
        }
    }

    fn wants_data(&self) -> bool {
        true
    }

    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError> {
        let Some(calibration) = problem.calibration else {
            return Err(WeightError::NoCalibration { method: self.name() });
        };
        let columns = problem.weights.ncols();
        let tile = self.tile.unwrap_or(columns).clamp(1, columns.max(1));
        let inner = inner_width(problem, columns.div_ceil(tile))?;
        let account = Account { limits: Limits::new(problem.input, inner), codes: problem.weight_type.range(), tile };
        let feed = Feed::new(self.feedback, calibration);
        let outer = Limits::new(problem.input, problem.accumulator);
        Ok(by_row(problem, |values| {
            let mut q = feed.row(values, &account);
            // Tiles that fit make a sum that fits; this is the net below the floats.
            repair::fit(&mut q, values, &outer);
            q
        }))
    }
}

/// Bits left for each of `tiles` accumulators.
fn inner_width(problem: &Problem<'_>, tiles: usize) -> Result<u32, WeightError> {
    let levels = tiles.max(1).next_power_of_two().trailing_zeros();
    let smallest = smallest_accumulator(problem.input, problem.weight_type);
    match problem.accumulator.checked_sub(levels) {
        Some(inner) if inner >= smallest || tiles <= 1 => Ok(inner),
        _ => {
            let inner = i64::from(problem.accumulator) - i64::from(levels);
            Err(WeightError::Tiles { tiles, inner, smallest: smallest + levels })
        }
    }
}

/// What every accumulator may hold, and where tiles begin.
struct Account {
    limits: Limits,
    codes: Range,
    tile: usize,
}

/// The soft threshold of a tile, fixed before the loop: that of the centred weights for the budget of A2Q+.
pub(super) fn tile_threshold(tile: &[f64], limits: &Limits) -> f64 {
    let span = limits.above + limits.below;
    let radius = (2 * limits.max) as f64 / span as f64;
    let mean = tile.iter().sum::<f64>() / tile.len().max(1) as f64;
    let magnitudes: Vec<f64> = tile.iter().map(|w| (w - mean).abs()).collect();
    simplex_threshold(&magnitudes, radius)
}

impl Account {
    /// Rounds column `t`; `wanted` is what error feedback asks for, `theta` the tile's threshold, `sums` the positive and negative
    /// sums of the tile so far.
    fn round(&self, sums: &mut (i128, i128), t: usize, wanted: f64, theta: f64) -> i64 {
        if t.is_multiple_of(self.tile) {
            *sums = (0, 0);
        }
        let (alpha, beta) = *sums;
        let Limits { above, below, max, .. } = self.limits;
        // The room that is left above and below; AXE's register is symmetric.
        let up = max - (above * alpha + below * beta);
        let down = max - (below * alpha + above * beta);
        // q more adds `above * q` above and `below * q` below, q less the other way round.
        let room = |towards: i128, away: i128| {
            let a = if above > 0 { towards / above } else { i128::MAX };
            let b = if below > 0 { away / below } else { i128::MAX };
            i64::try_from(a.min(b).max(0)).unwrap_or(i64::MAX)
        };
        let (most, least) = (room(up, down).min(self.codes.hi), -room(down, up).min(-self.codes.lo));
        let thresholded = (wanted.abs() - theta).max(0.0).copysign(wanted);
        let q = (thresholded.round() as i64).clamp(least.min(0), most.max(0));
        if q > 0 {
            sums.0 += i128::from(q)
        } else {
            sums.1 -= i128::from(q)
        }
        q
    }

    /// The threshold of every tile of a row.
    fn thresholds(&self, values: &[f64]) -> Vec<f64> {
        values.chunks(self.tile).map(|tile| tile_threshold(tile, &self.limits)).collect()
    }
}

/// Calibration data made ready for all rows.
enum Feed {
    /// Columns of the data, `[taps, samples]`: before and after the layers ahead were quantized.
    Gpfq { source: Array2<f64>, quantized: Array2<f64> },
    /// The factor of the inverse Hessian; `None` where the data determine nothing.
    Optq { factor: Option<Array2<f64>> },
}

impl Feed {
    fn new(feedback: Feedback, calibration: Calibration<'_>) -> Self {
        let quantized = calibration.quantized.mapv(|code| code as f64);
        match feedback {
            Feedback::Gpfq => {
                let source = calibration.source.mapv(|code| code as f64);
                let columns = |a: Array2<f64>| a.reversed_axes().as_standard_layout().into_owned();
                Feed::Gpfq { source: columns(source), quantized: columns(quantized) }
            }
            Feedback::Optq => {
                let mut hessian = quantized.t().dot(&quantized);
                let diagonal = hessian.diag().to_owned();
                let damping = DAMPING * diagonal.mean().unwrap_or(0.0);
                for (h, d) in hessian.diag_mut().iter_mut().zip(&diagonal) {
                    // A column that is always 0 is rounded by itself.
                    *h = if *d > 0.0 { d + damping } else { 1.0 };
                }
                Feed::Optq { factor: inverse_factor(&hessian) }
            }
        }
    }

    /// Chooses the codes of one row.
    fn row(&self, values: &[f64], account: &Account) -> Vec<i64> {
        let thresholds = account.thresholds(values);
        let (mut q, mut sums) = (vec![0; values.len()], (0, 0));
        match self {
            Feed::Gpfq { source, quantized } => {
                // What the chosen columns have left of the layer's output, sample by sample.
                let mut residual = vec![0.0; source.ncols()];
                for t in 0..values.len() {
                    let (x, y) = (source.row(t), quantized.row(t));
                    for (r, x) in residual.iter_mut().zip(x) {
                        *r += values[t] * x;
                    }
                    let power = y.dot(&y);
                    let wanted = if power > 0.0 { y.dot(&ArrayView1::from(&residual[..])) / power } else { values[t] };
                    q[t] = account.round(&mut sums, t, wanted, thresholds[t / account.tile]);
                    for (r, y) in residual.iter_mut().zip(y) {
                        *r -= q[t] as f64 * y;
                    }
                }
            }
            Feed::Optq { factor } => {
                let mut wanted = values.to_vec();
                for t in 0..values.len() {
                    q[t] = account.round(&mut sums, t, wanted[t], thresholds[t / account.tile]);
                    let Some(u) = factor else { continue };
                    let error = (wanted[t] - q[t] as f64) / u[[t, t]];
                    for (w, u) in wanted.iter_mut().zip(u.index_axis(Axis(0), t)).skip(t + 1) {
                        *w -= error * u;
                    }
                }
            }
        }
        q
    }
}
