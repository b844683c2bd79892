//! Weight quantizers: from real (or already quantized) weights to integers that provably fit a P-bit accumulator.
//!
//! Every method is a [`Method`], and [`quantize`] is the one caller of all: it refuses problems that have no answer, lets
//! the method choose integers, and then verifies these with [`bound`](crate::bound), which shares no arithmetic with the
//! methods. Floats are used to *choose* integers and for nothing else: whatever a float did, a result that does not fit
//! is not returned.
//!
//! | method | source | keeps the grid |
//! |---|---|---|
//! | [`A2q`] | arXiv 2308.13504; projection of arXiv 2401.10432 | yes |
//! | [`A2qPlus`] | arXiv 2401.10432 | yes |
//! | [`SignSplit`] | ours: the whole feasible set, nearest integers in it | yes |
//! | [`SignSplitGrid`] | ours: the same on the best of several coarser grids | no |
//! | [`GridRescale`] | data-free grid `k * s` per channel | no |
//! | [`Axe`] | arXiv 2409.17092, with GPFQ or OPTQ error feedback | yes |
//! | [`DeBruin`] | arXiv 2004.11783: fewer weight bits per layer | no |
//! | [`Exact`] | no change: the exact width of what is there | yes |
//!
//! **Units.** Weights are given in units of their channel's scale: `w / s`. Whether scales are per tensor or per
//! channel is then the business of [`grid`] alone. A method that leaves the grid says by which factor, per channel.
//!
//! **Bias** is in no bound: it lives in thresholds or in the output's scale, see [`network`](crate::network).

pub mod grid;
pub mod limits;
pub mod nearest;
pub mod network;
pub mod project;
pub mod repair;

mod a2q;
mod a2q_plus;
mod axe;
mod cholesky;
mod de_bruin;
mod error;
mod exact;
mod grid_rescale;
mod named;
mod sign_split;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use num_rational::Ratio;

pub use a2q::A2q;
pub use a2q_plus::A2qPlus;
pub use axe::{Axe, Feedback};
pub use de_bruin::DeBruin;
pub use error::WeightError;
pub use exact::Exact;
pub use grid_rescale::GridRescale;
pub use named::{NAMES, by_name};
pub use sign_split::{SignSplit, SignSplitGrid};

use crate::bound::SignSums;
use crate::certificate::Targets;
use crate::datatype::{DataType, Signedness};

/// Where in the order of steps EP-init (Euclidean projection of the weights onto the l1 ball of the budget) is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EpInit {
    /// Not at all.
    #[default]
    None,
    /// As the authors do: project, then let the quantizer centre. For A2Q+ and few taps that undoes the sparsity.
    Paper,
    /// Centre, project, and let the quantizer centre what is left. For A2Q, which does not centre, the same as `Paper`.
    CentreFirst,
}

/// One layer to be quantized.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// Weights in units of their channel's scale, `[channels, taps]`: for a grouped convolution, taps of one group.
    pub weights: ArrayView2<'a, f64>,
    /// What codes may be used. Not bipolar, which has no 0.
    pub weight_type: DataType,
    /// Declared type of the layer's inputs. Every code of it is assumed to come, and 0 for padding.
    pub input: DataType,
    /// Bits of the two's complement accumulator, P.
    pub accumulator: u32,
    /// Inputs seen in practice; only some methods want them.
    pub calibration: Option<Calibration<'a>>,
}

/// Input codes for methods that look at data, `[samples, taps]` each, sample by sample the same data.
#[derive(Clone, Copy, Debug)]
pub struct Calibration<'a> {
    /// What the layer reads in the network as it was.
    pub source: ArrayView2<'a, i64>,
    /// What it reads now that the layers before it are quantized.
    pub quantized: ArrayView2<'a, i64>,
}

/// What a method chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Integer weights, `[channels, taps]`.
    pub codes: Array2<i64>,
    /// Per channel, how many steps of the old grid one step of the new one is; 1 where the grid was kept.
    pub multipliers: Vec<Ratio<i64>>,
    /// The type of the codes.
    pub weight_type: DataType,
}

impl Choice {
    /// Codes on the grid that was given.
    pub fn on_grid(codes: Array2<i64>, weight_type: DataType) -> Self {
        let multipliers = vec![Ratio::from_integer(1); codes.nrows()];
        Choice { codes, multipliers, weight_type }
    }
}

/// A way to choose integer weights.
pub trait Method: Sync {
    /// What the command line calls it.
    fn name(&self) -> &'static str;

    /// Whether it looks at calibration data.
    fn wants_data(&self) -> bool {
        false
    }

    /// Chooses integers for a problem that [`quantize`] has found sensible. Nobody trusts the result: `quantize` verifies it.
    ///
    /// # Errors
    /// If the method has no answer, or lacks data.
    fn choose(&self, problem: &Problem<'_>) -> Result<Choice, WeightError>;
}

/// Integer weights that fit, with the figures that people ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// What was chosen.
    pub choice: Choice,
    /// Exact accumulator width of every channel over the input's declared type; none is above the problem's.
    pub widths: Vec<u32>,
}

impl Quantized {
    /// Width of the widest channel.
    pub fn width(&self) -> u32 {
        self.widths.iter().copied().max().unwrap_or(1)
    }

    /// Share of weights that are 0.
    pub fn sparsity(&self) -> f64 {
        let codes = &self.choice.codes;
        codes.iter().filter(|&&q| q == 0).count() as f64 / codes.len().max(1) as f64
    }

    /// Channels that have no weight left.
    pub fn zero_channels(&self) -> usize {
        self.choice.codes.rows().into_iter().filter(|row| row.iter().all(|&q| q == 0)).count()
    }

    /// `||q * s - w||^2 / ||w||^2` over the layer, for `weights` in units of their scales, and the scales (one for each
    /// channel, or one for all). 0 if there is no weight but 0.
    pub fn relative_error(&self, weights: ArrayView2<'_, f64>, scales: &[f64]) -> f64 {
        let (mut error, mut norm) = (0.0, 0.0);
        for (c, (q, w)) in self.choice.codes.rows().into_iter().zip(weights.rows()).enumerate() {
            let s = scales.get(c).or(scales.first()).copied().unwrap_or(1.0);
            let k = self.choice.multipliers.get(c).map_or(1.0, |k| *k.numer() as f64 / *k.denom() as f64);
            for (&q, &w) in q.iter().zip(w) {
                error += (s * (k * q as f64 - w)).powi(2);
                norm += (s * w).powi(2);
            }
        }
        if norm > 0.0 { error / norm } else { 0.0 }
    }
}

/// Quantizes a layer: checks the problem, lets `method` choose, and verifies every channel in integers.
///
/// # Errors
/// A problem that makes no sense or has no answer, see [`WeightError`]; a method that has none; and integers that do not
/// fit ([`WeightError::Misses`]), which of all methods only [`Exact`] returns.
pub fn quantize(problem: &Problem<'_>, method: &dyn Method) -> Result<Quantized, WeightError> {
    check(problem)?;
    let choice = method.choose(problem)?;
    let (rows, columns) = problem.weights.dim();
    if choice.codes.dim() != (rows, columns) || choice.multipliers.len() != rows {
        return Err(WeightError::Method { method: method.name(), what: "codes of another shape".to_owned() });
    }
    if let Some((channel, tap, code)) = first(choice.codes.view(), |&q| !choice.weight_type.holds(q)) {
        let what = format!("channel {channel}, tap {tap}: {code} is no code of {}", choice.weight_type);
        return Err(WeightError::Method { method: method.name(), what });
    }
    let range = problem.input.range();
    let widths: Vec<u32> =
        choice.codes.axis_iter(Axis(0)).into_par_iter().map(|row| SignSums::of(row).interval(range).width()).collect();
    // The widest channel, the first of equals: its width is what the layer needs.
    let widest = widths.iter().copied().enumerate().max_by_key(|&(c, width)| (width, std::cmp::Reverse(c)));
    match widest {
        Some((channel, needed)) if needed > problem.accumulator => {
            Err(WeightError::Misses { channel, needed, allowed: problem.accumulator })
        }
        _ => Ok(Quantized { choice, widths }),
    }
}

/// The first element for which `found` holds, with its row and column; rows are searched in parallel.
fn first<T: Copy + Send + Sync>(
    matrix: ArrayView2<'_, T>,
    found: impl Fn(&T) -> bool + Sync,
) -> Option<(usize, usize, T)> {
    let row = (0..matrix.nrows()).into_par_iter().find_first(|&r| matrix.row(r).iter().any(&found))?;
    matrix.row(row).iter().position(&found).map(|column| (row, column, matrix[[row, column]]))
}

/// The smallest accumulator in which a weight other than 0 fits.
pub fn smallest_accumulator(input: DataType, weight_type: DataType) -> u32 {
    let alone = |code: i64| SignSums::of(ArrayView1::from(&[code])).interval(input.range()).width();
    [1, -1].into_iter().filter(|&code| weight_type.holds(code)).map(alone).min().unwrap_or(1)
}

fn check(problem: &Problem<'_>) -> Result<(), WeightError> {
    let Problem { weights, weight_type, input, accumulator, calibration } = *problem;
    if accumulator == 0 || accumulator > Targets::MAX {
        return Err(WeightError::Accumulator { accumulator, max: Targets::MAX });
    }
    if weight_type.sign == Signedness::Bipolar {
        return Err(WeightError::Bipolar);
    }
    for t in [weight_type, input] {
        // The constructor knows which types there are; one signed bit of its reading is bipolar.
        let valid = DataType::quant(t.bits, t.is_signed(), t.narrow).is_ok_and(|built| built.sign == t.sign);
        if !valid {
            return Err(WeightError::Datatype { datatype: t });
        }
    }
    if let Some((channel, tap, value)) = first(weights, |w| !w.is_finite()) {
        return Err(WeightError::NotFinite { channel, tap, value });
    }
    if let Some(Calibration { source, quantized }) = calibration {
        for data in [source, quantized] {
            if data.ncols() != weights.ncols() || data.nrows() == 0 || data.nrows() != source.nrows() {
                let found = [data.nrows(), data.ncols()];
                return Err(WeightError::CalibrationShape { found, taps: weights.ncols() });
            }
            if let Some(((sample, tap), &code)) = data.indexed_iter().find(|&(_, &code)| !input.holds(code)) {
                return Err(WeightError::CalibrationCode { sample, tap, code, input });
            }
        }
    }
    let smallest = smallest_accumulator(input, weight_type);
    if accumulator < smallest && weights.iter().any(|&w| w != 0.0) {
        return Err(WeightError::TooNarrow { accumulator, smallest, input });
    }
    Ok(())
}

/// Row by row, in parallel, on the grid that was given.
fn by_row(problem: &Problem<'_>, row: impl Fn(&[f64]) -> Vec<i64> + Sync) -> Choice {
    by_row_and_grid(problem, |values| (row(values), Ratio::from_integer(1)))
}

/// Row by row, in parallel, each on a grid of its own. Weights beyond 2^40 steps are taken as 2^40 steps, so that no sum of them
/// leaves the integers that a float holds exactly or a machine word: no datatype has codes beyond 2^32.
fn by_row_and_grid(problem: &Problem<'_>, row: impl Fn(&[f64]) -> (Vec<i64>, Ratio<i64>) + Sync) -> Choice {
    const FAR: f64 = (1u64 << 40) as f64;
    let mut codes = Array2::zeros(problem.weights.dim());
    let fill = |(mut to, from): (ndarray::ArrayViewMut1<'_, i64>, ArrayView1<'_, f64>)| {
        let values: Vec<f64> = from.iter().map(|w| w.clamp(-FAR, FAR)).collect();
        let (chosen, multiplier) = row(&values);
        // A row of another length is a fault of the method; it shows as zeros, which are safe.
        for (to, code) in to.iter_mut().zip(chosen) {
            *to = code;
        }
        multiplier
    };
    let rows = codes.axis_iter_mut(Axis(0)).into_par_iter().zip(problem.weights.axis_iter(Axis(0)));
    let multipliers = rows.map(fill).collect();
    Choice { codes, multipliers, weight_type: problem.weight_type }
}

#[cfg(test)]
mod tests;
