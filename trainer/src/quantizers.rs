//! Weights and activations as codes while they are trained.
//!
//! The forward pass computes with the very integers that the network ends with, chosen by [`integers`] in `f64`. Gradients take a smooth
//! surrogate instead (straight-through estimation): `surrogate + (integers - surrogate)`, the bracket being a constant. Where clipping or a projection
//! holds a weight the surrogate is flat, and so is the gradient. That of weights is written out in [`weights`].

pub mod weights;

use burn::tensor::{Device, Tensor, TensorData};
use quantizer::datatype::DataType;
use quantizer::weights::limits::Limits;
use quantizer::weights::nearest::nearest_and_thresholds;
use quantizer::weights::repair;
use rayon::prelude::*;

use crate::config::Method;

/// What the weights of a layer have to fit.
#[derive(Clone, Debug)]
pub struct Rule {
    /// How they are made to.
    pub method: Method,
    /// Their type: signed and narrow.
    pub weights: DataType,
    /// The type of what they are multiplied with.
    pub input: DataType,
    /// The width of the accumulator; `None` for no constraint.
    pub accumulator: Option<u32>,
}

impl Rule {
    /// The l1 budget in units of the scale: `T` of A2Q (section 2 of its paper) or `T+` of A2Q+ (equation 12 of its).
    pub fn budget(&self) -> f64 {
        let Some(bits) = self.accumulator else { return f64::INFINITY };
        let input = f64::from(self.input.bits);
        match self.method {
            Method::A2qPlus => (2f64.powi(bits as i32) - 2.0) / (2f64.powf(input) - 1.0),
            _ => (2f64.powi(bits as i32 - 1) - 1.0) * 2f64.powf(if self.input.is_signed() { 1.0 } else { 0.0 } - input),
        }
    }

    fn cap(&self) -> f64 {
        self.weights.range().hi as f64
    }
}

/// The codes of a layer, and the soft thresholds of sign-split that led to them.
pub struct Codes {
    /// Row by row.
    pub codes: Vec<i64>,
    /// What the projection takes from positive weights, in units of the scale, one per row.
    pub plus: Vec<f32>,
    /// The same for negative ones.
    pub minus: Vec<f32>,
    /// How both depend on what positive and negative weights sum up to, where the sides compete (inputs of both signs): four numbers a row, the
    /// derivative of either threshold by either sum. Empty otherwise.
    pub mixtures: [Vec<f32>; 4],
}

/// The derivative of both thresholds by the sums of the weights above them, `M` in `thresholds = M sums - constant`.
///
/// The rules `a alpha + b beta <= c` and `b alpha + a beta <= d` have multipliers `l`, `m` with thresholds `a l + b m` and `b l + a m`. A rule binds where its
/// multiplier is not 0. Written out for `n` positive and `k` negative weights above their thresholds: one rule that binds gives `M = p p' / (p1^2 n + p2^2 k)` with
/// `p` its coefficients, both give `1 / n` and `1 / k` on the diagonal, none gives 0.
fn mixture(values: &[f64], (plus, minus): (f64, f64), limits: &Limits) -> [f64; 4] {
    let (a, b) = (limits.above as f64, limits.below as f64);
    let count = |above: &dyn Fn(f64) -> bool| values.iter().filter(|&&v| above(v)).count() as f64;
    let (n, k) = (count(&|v| v > plus), count(&|v| -v > minus));
    let determinant = a * a - b * b;
    let (l, m) = match determinant {
        // Parallel rules: the tighter of the two, which have the same coefficients.
        0.0 => (plus.max(minus), 0.0),
        d => ((a * plus - b * minus) / d, (a * minus - b * plus) / d),
    };
    let least = 1e-9 * (plus + minus);
    let one = |p: f64, q: f64| {
        let g = p * p * n + q * q * k;
        if g > 0.0 { [p * p / g, p * q / g, p * q / g, q * q / g] } else { [0.0; 4] }
    };
    match (l > least, m > least) {
        (false, false) => [0.0; 4],
        (true, false) => one(a, b),
        (false, true) => one(b, a),
        (true, true) => [1.0 / n.max(1.0), 0.0, 0.0, 1.0 / k.max(1.0)],
    }
}

/// What [`integers`] finds for a row: codes, thresholds, their mixture.
type Row = (Vec<i64>, f32, f32, [f64; 4]);

/// The codes for latent weights (`columns` a row), scales and, for A2Q and A2Q+, log2 norms, one per row. They fit the rule whatever the floats say.
pub fn integers(rule: &Rule, weights: &[f32], columns: usize, scales: &[f32], norms: &[f32]) -> Codes {
    let limits = rule.accumulator.map(|bits| Limits::new(rule.input, bits));
    let range = rule.weights.range();
    let row = |(i, row): (usize, &[f32])| -> Row {
        let scale = f64::from(scales[i]);
        // Adding 1.5 * 2^52 leaves no bits for a fraction: rounded half to even, without a call for each value.
        const ROUND: f64 = 6_755_399_441_055_744.0;
        let nearest = |v: f64| ((v.clamp(range.lo as f64, range.hi as f64) + ROUND) - ROUND) as i64;
        match (rule.method, &limits) {
            (Method::SignSplit, Some(limits)) => {
                let values: Vec<f64> = row.iter().map(|&v| f64::from(v) / scale).collect();
                let (codes, (plus, minus)) = nearest_and_thresholds(&values, range, limits);
                let mix = if limits.is_box() { [0.0; 4] } else { mixture(&values, (plus, minus), limits) };
                (codes, plus as f32, minus as f32, mix)
            }
            (Method::A2q | Method::A2qPlus, Some(limits)) => {
                let mean = match rule.method {
                    Method::A2qPlus => row.iter().map(|&v| f64::from(v)).sum::<f64>() / columns as f64,
                    _ => 0.0,
                };
                let centred = row.iter().map(|&v| f64::from(v) - mean);
                let norm: f64 = centred.clone().map(f64::abs).sum();
                let target = (f64::from(norms[i]).exp2() / scale).min(rule.budget());
                // A channel without a norm is a constant channel: all zero.
                let factor = if norm > 0.0 { target / norm } else { 0.0 };
                let values: Vec<f64> = centred.map(|v| v * factor).collect();
                let mut codes: Vec<i64> = values.iter().map(|v| (v.trunc() as i64).clamp(range.lo, range.hi)).collect();
                // Nearly constant channels blow rounding noise up to the whole budget: nothing is trusted.
                repair::fit(&mut codes, &values, limits);
                (codes, 0.0, 0.0, [0.0; 4])
            }
            _ => (row.iter().map(|&v| nearest(f64::from(v) / scale)).collect(), 0.0, 0.0, [0.0; 4]),
        }
    };
    let rows: Vec<_> = weights.par_chunks(columns.max(1)).enumerate().map(row).collect();
    let mut codes = Codes {
        codes: Vec::with_capacity(weights.len()),
        plus: Vec::new(),
        minus: Vec::new(),
        mixtures: Default::default(),
    };
    let compete = limits.as_ref().is_some_and(|l| !l.is_box());
    for (row, plus, minus, mix) in rows {
        if compete {
            for (all, own) in codes.mixtures.iter_mut().zip(mix) {
                all.push(own as f32);
            }
        }
        codes.codes.extend(row);
        codes.plus.push(plus);
        codes.minus.push(minus);
    }
    codes
}

/// The scale `2^exponent`, rounded to 8 significant bits: what the network is generated with, and short enough for products of scales to be
/// compared exactly.
pub fn scale(exponent: f32) -> f32 {
    let exact = f64::from(exponent.clamp(-60.0, 60.0)).exp2();
    let unit = exact.log2().floor().exp2() / 128.0;
    ((exact / unit).round_ties_even() * unit) as f32
}

/// `2^exponents` as the forward pass sees them, rounded to scales; the gradient is that of the power.
pub fn scales(exponents: &Tensor<2>, device: &Device) -> (Tensor<2>, Vec<f32>) {
    let power = exponents.clone().mul_scalar(std::f32::consts::LN_2).exp();
    let values: Vec<f32> = to_vec(exponents.clone()).into_iter().map(scale).collect();
    let rounded = constant(values.clone(), exponents.dims(), device);
    (through(power, rounded), values)
}

/// Activations as multiples of their scale `2^exponent`, in real units: clipped to the codes of `datatype`, rounded half to even.
/// Gradients pass where nothing is clipped; the scale's is that of the learned step size (Esser et al. 2020, equation 3).
pub fn activations<const D: usize>(
    x: Tensor<D>,
    exponent: &Tensor<2>,
    datatype: DataType,
    device: &Device,
) -> Tensor<D> {
    let (scale, _) = scales(exponent, device);
    on_grid(x, scale.reshape([1; D]), datatype)
}

/// The same for a scale that is not trained.
pub fn activations_fixed<const D: usize>(x: Tensor<D>, scale: f32, datatype: DataType, device: &Device) -> Tensor<D> {
    on_grid(x, constant(vec![scale], [1, 1], device).reshape([1; D]), datatype)
}

/// With both derivatives worked out beside the tape, which then holds two products instead of a division, a clamp and their reductions.
fn on_grid<const D: usize>(x: Tensor<D>, scale: Tensor<D>, datatype: DataType) -> Tensor<D> {
    let range = datatype.range();
    // What needs no gradient is computed off the tape: a clamp on it takes masks.
    let (x_now, scale_now) = (x.clone().without_autodiff(), scale.clone().without_autodiff());
    let units = x_now.clone() / scale_now.clone();
    let clipped = units.clone().clamp(range.lo as f64, range.hi as f64);
    let within = clipped.clone().equal(units).float();
    let codes = clipped.clone().round();
    // By the scale: the code itself where it is clipped, else what rounding adds.
    let by_scale = codes.clone() - clipped * within.clone();
    // Both differences are 0: they carry gradients, and leave the product of code and scale as it is.
    codes * scale_now.clone() + (x - x_now) * within + (scale - scale_now) * by_scale
}

/// `values` in the forward pass, the gradient of `surrogate` in the backward pass.
fn through<const D: usize>(surrogate: Tensor<D>, values: Tensor<D>) -> Tensor<D> {
    let constant = surrogate.clone().detach();
    surrogate + (values - constant)
}

/// A tensor without a gradient.
pub fn constant<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The values of a tensor, row by row.
pub fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // All tensors of this crate hold `f32`: there is nothing that the conversion could refuse.
    tensor.into_data().try_into_vec().unwrap_or_default()
}
