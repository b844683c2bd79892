//! One step of Adam or of SGD. Weights decay, and nothing else: decay on scales would narrow or widen grids for its own sake.

use rayon::prelude::*;

use crate::config::{Optimizer, TrainingConfig};
use crate::state::{Role, State};

/// Decay of Adam's means, and what keeps its quotients finite (Kingma and Ba, 2015).
const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Values that one thread takes at a time.
const AT_ONCE: usize = 1 << 12;

/// Takes a step with `rate`. `gradients` stand beside the parameters; those without one stay.
pub fn step(state: &mut State, gradients: &[Option<Vec<f32>>], rate: f64, training: &TrainingConfig) {
    state.steps += 1;
    // More steps than fit an i32 are more than anybody takes.
    let steps = i32::try_from(state.steps).unwrap_or(i32::MAX);
    // Adam's quotient with both corrections taken out of it: computed once, in f64.
    let [first, second] = BETA.map(|beta| 1.0 - beta.powi(steps));
    let corrected = (rate * second.sqrt() / first) as f32;
    let epsilon = (EPSILON * second.sqrt()) as f32;
    let [keep_mean, keep_square] = BETA.map(|beta| beta as f32);
    let [add_mean, add_square] = BETA.map(|beta| (1.0 - beta) as f32);
    for (parameter, gradient) in state.parameters.iter_mut().zip(gradients) {
        let Some(gradient) = gradient else { continue };
        let decay = if parameter.role == Role::Weight { training.weight_decay as f32 } else { 0.0 };
        let values = parameter.values.par_chunks_mut(AT_ONCE).zip(gradient.par_chunks(AT_ONCE));
        let moments = parameter.mean.par_chunks_mut(AT_ONCE).zip(parameter.square.par_chunks_mut(AT_ONCE));
        values.zip(moments).for_each(|((values, gradient), (mean, square))| {
            let each = values.iter_mut().zip(gradient).zip(mean.iter_mut().zip(square));
            match training.optimizer {
                Optimizer::Adam => each.for_each(|((value, g), (mean, square))| {
                    let g = g + decay * *value;
                    *mean = keep_mean * *mean + add_mean * g;
                    *square = keep_square * *square + add_square * g * g;
                    *value -= corrected * *mean / (square.sqrt() + epsilon);
                }),
                Optimizer::Sgd => each.for_each(|((value, g), (mean, _))| {
                    *mean = training.momentum as f32 * *mean + (g + decay * *value);
                    *value -= rate as f32 * *mean;
                }),
            }
        });
    }
}
