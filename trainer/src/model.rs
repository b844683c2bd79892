//! The forward pass: weights, batch norm, quantized ReLU, and so on to the classes.

use burn::tensor::{Device, Tensor, activation::relu};

use crate::config::Config;
use crate::quantizers::{self, Rule, constant};
use crate::state::{Role, State};

/// What keeps the batch norm's quotients finite; part of the network.
pub const EPSILON: f32 = 1e-5;

/// How much of a batch's statistics goes into the running ones.
const MOMENTUM: f32 = 0.1;

/// Whether numbers are floats or codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Floats: the network that quantized training starts from.
    Float,
    /// Codes.
    Quantized,
}

/// What a pass over a batch gives.
pub struct Pass {
    /// Real-valued classes, `[samples, classes]`.
    pub logits: Tensor<2>,
    /// A2Q's regulariser over all layers.
    pub penalty: Option<Tensor<1>>,
    /// What the activation quantizer of each hidden layer read.
    pub activations: Vec<Tensor<2>>,
    /// Means and variances that the batch had, for each hidden layer.
    pub statistics: Vec<[Tensor<2>; 2]>,
}

/// What the weights of a layer have to fit.
pub fn rule(config: &Config, layer: usize) -> Rule {
    Rule {
        method: config.accumulator.method,
        weights: config.weight_type(),
        input: config.input_type(layer),
        accumulator: config.accumulator(layer),
    }
}

/// The parameters as tensors whose gradients are wanted, in their order.
pub fn leaves(state: &State, device: &Device) -> Vec<Tensor<2>> {
    let leaf = |p: &crate::state::Parameter| constant(p.values.clone(), p.shape, device).require_grad();
    state.parameters.iter().map(leaf).collect()
}

/// Runs a batch (`[samples, inputs]`, values 0 to 1) with its own statistics, as training does.
pub fn forward(
    config: &Config,
    state: &State,
    leaves: &[Tensor<2>],
    x: Tensor<2>,
    mode: Mode,
    device: &Device,
) -> Pass {
    let get = |layer: usize, role: Role| state.position(layer, role).map(|i| leaves[i].clone());
    let empty = || constant(vec![0.0], [1, 1], device);
    let mut x = match mode {
        Mode::Float => x,
        Mode::Quantized => {
            let steps = 2f64.powi(config.network.input_bits as i32) - 1.0;
            x.mul_scalar(steps).round().div_scalar(steps)
        }
    };
    let mut pass = Pass { logits: empty(), penalty: None, activations: Vec::new(), statistics: Vec::new() };
    for layer in 0..state.layers() {
        // Every layer has weights, scales, norms and a shift.
        let own = |role| get(layer, role).unwrap_or_else(empty);
        let weights = match mode {
            Mode::Float => own(Role::Weight),
            Mode::Quantized => {
                let (weights, penalty) = quantizers::weights(
                    &rule(config, layer),
                    &own(Role::Weight),
                    &own(Role::Scale),
                    &own(Role::Norm),
                    device,
                );
                pass.penalty = match (pass.penalty.take(), penalty) {
                    (Some(a), Some(b)) => Some(a + b),
                    (a, b) => a.or(b),
                };
                weights
            }
        };
        let sums = x.matmul(weights.transpose());
        let Some(gain) = get(layer, Role::Gain) else {
            pass.logits = sums + own(Role::Shift);
            break;
        };
        let mean = sums.clone().mean_dim(0);
        let centred = sums - mean.clone();
        let variance = centred.clone().powi_scalar(2).mean_dim(0);
        let normal = centred / variance.clone().add_scalar(EPSILON).sqrt();
        pass.statistics.push([mean.detach(), variance.detach()]);
        let y = normal * gain + own(Role::Shift);
        pass.activations.push(y.clone().detach());
        x = match mode {
            Mode::Float => relu(y),
            Mode::Quantized => {
                quantizers::activations(y, &own(Role::Activation), config.network.activation_bits, device)
            }
        };
    }
    pass
}

/// Takes a batch's statistics into the running ones; `samples` make variances unbiased.
pub fn remember(state: &mut State, statistics: Vec<[Tensor<2>; 2]>, samples: usize) {
    let unbiased = samples as f32 / (samples.max(2) - 1) as f32;
    for (running, [mean, variance]) in state.running.iter_mut().zip(statistics) {
        for (r, new) in running.mean.iter_mut().zip(quantizers::to_vec(mean)) {
            *r += MOMENTUM * (new - *r);
        }
        for (r, new) in running.variance.iter_mut().zip(quantizers::to_vec(variance)) {
            *r += MOMENTUM * (new * unbiased - *r);
        }
    }
}
