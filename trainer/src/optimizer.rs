//! One step of Adam or of SGD. Weights decay, and nothing else: decay on scales would narrow or widen grids for its own sake.

use crate::config::{Optimizer, TrainingConfig};
use crate::state::{Role, State};

/// Decay of Adam's means, and what keeps its quotients finite (Kingma and Ba, 2015).
const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Takes a step with `rate`. `gradients` stand beside the parameters; those without one stay.
pub fn step(state: &mut State, gradients: &[Option<Vec<f32>>], rate: f64, training: &TrainingConfig) {
    state.steps += 1;
    // More steps than fit an i32 are more than anybody takes.
    let steps = i32::try_from(state.steps).unwrap_or(i32::MAX);
    let [first, second] = BETA.map(|beta| 1.0 - beta.powi(steps));
    for (parameter, gradient) in state.parameters.iter_mut().zip(gradients) {
        let Some(gradient) = gradient else { continue };
        let decay = if parameter.role == Role::Weight { training.weight_decay } else { 0.0 };
        let moments = parameter.mean.iter_mut().zip(&mut parameter.square);
        for ((value, (mean, square)), &g) in parameter.values.iter_mut().zip(moments).zip(gradient) {
            let g = f64::from(g) + decay * f64::from(*value);
            match training.optimizer {
                Optimizer::Adam => {
                    *mean = (BETA[0] * f64::from(*mean) + (1.0 - BETA[0]) * g) as f32;
                    *square = (BETA[1] * f64::from(*square) + (1.0 - BETA[1]) * g * g) as f32;
                    let denominator = (f64::from(*square) / second).sqrt() + EPSILON;
                    *value -= (rate * (f64::from(*mean) / first) / denominator) as f32;
                }
                Optimizer::Sgd => {
                    *mean = (training.momentum * f64::from(*mean) + g) as f32;
                    *value -= (rate * f64::from(*mean)) as f32;
                }
            }
        }
    }
}
