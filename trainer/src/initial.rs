//! Where quantized training starts: scales for a float network, and the projection of its weights.

use burn::tensor::Device;
use quantizer::weights::project::simplex_threshold;

use crate::config::{Config, EpInit, Method};
use crate::model::{self, Mode};
use crate::quantizers::{Rule, constant, integers, scale, to_vec};
use crate::run::Samples;
use crate::state::{Role, State};

/// Samples that activation scales are chosen on.
const LOOK_AT: usize = 2000;

/// Gives a float network its scales and norms, and projects its weights as the configuration asks.
pub fn quantize(config: &Config, state: &mut State, samples: &Samples, device: &Device) {
    activation_scales(config, state, samples, device);
    let most = config.weight_type().range().hi as f32;
    for layer in 0..state.layers() {
        let columns = state.widths[layer];
        let rule = model::rule(config, layer);
        let mut rows: Vec<Vec<f32>> = state.values(layer, Role::Weight).chunks(columns).map(<[f32]>::to_vec).collect();
        let (mut scales, mut norms) = (Vec::new(), Vec::new());
        for row in &mut rows {
            let largest = row.iter().fold(0f32, |m, v| m.max(v.abs())).max(1e-12);
            let mut exponent = (largest / most).log2();
            if rule.method == Method::SignSplit && rule.accumulator.is_some() {
                exponent = most_alike(row, &rule, exponent);
            }
            project(row, &rule, config.accumulator.ep_init, scale(exponent));
            let norm: f32 = row.iter().map(|v| v.abs()).sum();
            let reach = scale(exponent) * rule.budget() as f32;
            scales.push(exponent);
            norms.push(norm.max(1e-12).min(reach).log2());
        }
        state.values_mut(layer, Role::Weight).copy_from_slice(&rows.concat());
        state.values_mut(layer, Role::Scale).copy_from_slice(&scales);
        state.values_mut(layer, Role::Norm).copy_from_slice(&norms);
    }
    state.clear_moments();
}

/// The exponent at which the codes point where the weights do: the largest cosine, for a batch norm takes out every factor. From half the usual scale, where
/// few weights spend the budget on large codes, to 6 times, where many are 1.
fn most_alike(row: &[f32], rule: &Rule, usual: f32) -> f32 {
    let cosine = |exponent: f32| {
        let codes = integers(rule, row, row.len(), &[scale(exponent)], &[0.0]).codes;
        let product: f64 = codes.iter().zip(row).map(|(&q, &w)| q as f64 * f64::from(w)).sum();
        let norm: f64 = codes.iter().map(|&q| (q * q) as f64).sum();
        if norm > 0.0 { product / norm.sqrt() } else { 0.0 }
    };
    let candidates = (-8..=20).map(|eighths| usual + eighths as f32 / 8.0);
    let best = candidates.map(|e| (cosine(e), e)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(usual, |(_, exponent)| exponent)
}

/// The Euclidean projection onto the l1 ball of A2Q and A2Q+ (A2Q+, section 4). Sign-split projects in every step, and needs none.
fn project(row: &mut [f32], rule: &Rule, init: EpInit, scale: f32) {
    if !matches!(rule.method, Method::A2q | Method::A2qPlus) || init == EpInit::None {
        return;
    }
    let centre = |row: &mut [f32]| {
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        row.iter_mut().for_each(|v| *v -= mean);
    };
    let centred = rule.method == Method::A2qPlus && init == EpInit::Centred;
    if centred {
        centre(row);
    }
    let magnitudes: Vec<f64> = row.iter().map(|v| f64::from(v.abs())).collect();
    let theta = simplex_threshold(&magnitudes, f64::from(scale) * rule.budget()) as f32;
    for v in row.iter_mut() {
        *v = v.signum() * (v.abs() - theta).max(0.0);
    }
    if centred {
        centre(row);
    }
}

/// For every activation quantizer the scale with the smallest squared error on some samples: of 40 between a tenth and the whole of what the largest value
/// would take.
fn activation_scales(config: &Config, state: &mut State, samples: &Samples, device: &Device) {
    let count = samples.count().min(LOOK_AT);
    let x = constant(samples.rows(&(0..count).collect::<Vec<_>>()), [count, samples.size()], device);
    let leaves = model::leaves(state, device);
    let pass = model::forward(config, state, &leaves, x, Mode::Float, device);
    let most = (2f64.powi(config.network.activation_bits as i32) - 1.0) as f32;
    for (layer, values) in pass.activations.into_iter().enumerate() {
        let values = to_vec(values);
        let largest = values.iter().fold(0f32, |m, &v| m.max(v)).max(1e-6);
        let error = |scale: f32| -> f64 {
            let off = |&v: &f32| f64::from((v / scale).round().clamp(0.0, most) * scale - v.max(0.0)).powi(2);
            values.iter().map(off).sum()
        };
        let candidates = (4..=40).map(|i| largest / most * i as f32 / 40.0);
        let best = candidates.map(|s| (error(s), s)).min_by(|a, b| a.0.total_cmp(&b.0));
        let exponent = best.map_or(0.0, |(_, s)| s.log2());
        state.values_mut(layer, Role::Activation).fill(exponent);
    }
}
