//! Where quantized training starts: scales for a float network, and the projection of its weights.

use burn::tensor::Device;
use quantizer::weights::project::simplex_threshold;

use crate::config::{EpInit, Method};
use crate::graph::{Graph, Id};
use crate::model::{self, Leaves, Mode};
use crate::quantizers::{Rule, integers, scale};
use crate::samples::Samples;
use crate::state::{Role, State};

/// Samples that activation scales are chosen on; fewer where they would be more values than [`VALUES`] behind a layer.
const LOOK_AT: usize = 2000;
const VALUES: usize = 1 << 21;

/// Gives a float network its scales and norms, and projects its weights as the configuration asks.
pub fn quantize(ep_init: EpInit, graph: &Graph, state: &mut State, samples: &Samples, device: &Device) {
    activation_scales(graph, state, samples, device);
    for (id, matrix) in graph.matrices() {
        let most = matrix.weights().range().hi as f32;
        let rule = model::rule(graph, state, id, matrix);
        let mut rows: Vec<Vec<f32>> =
            state.values(id, Role::Weight).chunks(matrix.columns).map(<[f32]>::to_vec).collect();
        let (mut scales, mut norms) = (Vec::new(), Vec::new());
        for row in &mut rows {
            let largest = row.iter().fold(0f32, |m, v| m.max(v.abs())).max(1e-12);
            let mut exponent = (largest / most).log2();
            if rule.method == Method::SignSplit && rule.accumulator.is_some() {
                exponent = most_alike(row, &rule, exponent);
            }
            project(row, &rule, ep_init, scale(exponent));
            let norm: f32 = row.iter().map(|v| v.abs()).sum();
            let reach = scale(exponent) * rule.budget() as f32;
            scales.push(exponent);
            norms.push(norm.max(1e-12).min(reach).log2());
        }
        state.values_mut(id, Role::Weight).copy_from_slice(&rows.concat());
        state.values_mut(id, Role::Scale).copy_from_slice(&scales);
        state.values_mut(id, Role::Norm).copy_from_slice(&norms);
    }
    state.clear_moments();
}

/// The exponent at which the codes point where the weights do: the largest cosine, for a batch norm takes out every factor. From half the usual scale, where
/// few weights spend the budget on large codes, to where the largest weight is 1, and many are. (With weights of 8 bits that is 127 times the usual scale: less,
/// and a narrow accumulator leaves two or three weights to begin with, which training does not recover from.)
fn most_alike(row: &[f32], rule: &Rule, usual: f32) -> f32 {
    let cosine = |exponent: f32| {
        let codes = integers(rule, row, row.len(), &[scale(exponent)], &[0.0]).codes;
        let product: f64 = codes.iter().zip(row).map(|(&q, &w)| q as f64 * f64::from(w)).sum();
        let norm: f64 = codes.iter().map(|&q| (q * q) as f64).sum();
        if norm > 0.0 { product / norm.sqrt() } else { 0.0 }
    };
    let octaves = (rule.weights.range().hi.max(1) as f32).log2();
    let candidates = (-8..=(8.0 * octaves) as i32).map(|eighths| usual + eighths as f32 / 8.0);
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

/// For every scale of activations the one with the smallest squared error on some samples: of 40 between a tenth and the whole of what the largest value
/// would take. Quantizers that share a scale add their errors.
fn activation_scales(graph: &Graph, state: &mut State, samples: &Samples, device: &Device) {
    let widest = graph.nodes.iter().map(|n| n.shape.iter().product::<usize>()).max().unwrap_or(1).max(1);
    let count = samples.count().min(LOOK_AT).min((VALUES / widest).max(2));
    let x = model::batch(graph, samples, &(0..count).collect::<Vec<_>>(), Mode::Float, device);
    let leaves = Leaves::new(graph, state, Mode::Float, device);
    let pass = model::forward(graph, state, &leaves, x, Mode::Float, true, device);
    // Codes of a quantizer, and what it read.
    let readers: Vec<(Id, f32, f32, &[f32])> = graph
        .quantizers()
        .filter_map(|(id, quantizer)| {
            let range = quantizer.datatype(&state.bits).range();
            let values = pass.activations.iter().find(|(node, _)| *node == id)?;
            Some((quantizer.scale, range.lo as f32, range.hi as f32, values.1.as_slice()))
        })
        .collect();
    let exponents: Vec<(Id, f32)> = graph
        .quantizers()
        .filter(|(id, quantizer)| quantizer.scale == *id)
        .map(|(id, _)| {
            let own: Vec<_> = readers.iter().filter(|(owner, ..)| *owner == id).collect();
            let reach = |lo: f32, hi: f32, v: f32| if lo < 0.0 { v.abs() / hi } else { v / hi };
            let largest = own
                .iter()
                .flat_map(|(_, lo, hi, values)| values.iter().map(|&v| reach(*lo, *hi, v)))
                .fold(1e-6f32, f32::max);
            let error = |scale: f32| -> f64 {
                let off = |lo: f32, hi: f32, v: f32| {
                    // A ReLU's negative values are no error.
                    let wanted = if lo < 0.0 { v } else { v.max(0.0) };
                    f64::from((v / scale).round().clamp(lo, hi) * scale - wanted).powi(2)
                };
                own.iter().map(|(_, lo, hi, values)| values.iter().map(|&v| off(*lo, *hi, v)).sum::<f64>()).sum()
            };
            let candidates = (4..=40).map(|i| largest * i as f32 / 40.0);
            let best = candidates.map(|s| (error(s), s)).min_by(|a, b| a.0.total_cmp(&b.0));
            (id, best.map_or(0.0, |(_, s)| s.log2()))
        })
        .collect();
    for (id, exponent) in exponents {
        state.values_mut(id, Role::Activation).fill(exponent);
    }
}
