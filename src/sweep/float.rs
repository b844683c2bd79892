//! A float network in training, run on samples as a user would: with the running statistics of its batch norms.

use rayon::prelude::*;
use trainer::model::EPSILON;
use trainer::run::Samples;
use trainer::state::{Role, State};

/// How many samples have their class at the largest logit, of equal ones the first; in `f64`.
pub fn right(state: &State, samples: &Samples) -> usize {
    let right = |&sample: &usize| {
        let logits = logits(state, samples.row(sample));
        let best = (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        best == Some(samples.labels()[sample])
    };
    (0..samples.count()).into_par_iter().filter(right).count()
}

fn logits(state: &State, sample: &[f32]) -> Vec<f64> {
    let mut x: Vec<f64> = sample.iter().map(|&v| f64::from(v)).collect();
    for layer in 0..state.layers() {
        let at = |role: Role, i: usize| f64::from(state.values(layer, role).get(i).copied().unwrap_or(0.0));
        let weights = state.values(layer, Role::Weight);
        let sum = |row: &[f32]| row.iter().zip(&x).map(|(&w, x)| f64::from(w) * x).sum::<f64>();
        let sums = weights.chunks(x.len().max(1)).map(sum);
        x = match state.running.get(layer) {
            Some(running) => {
                let normal = |(i, y): (usize, f64)| {
                    let (mean, variance) = (f64::from(running.mean[i]), f64::from(running.variance[i]));
                    let y = (y - mean) / (variance + f64::from(EPSILON)).sqrt();
                    (y * at(Role::Gain, i) + at(Role::Shift, i)).max(0.0)
                };
                sums.enumerate().map(normal).collect()
            }
            None => sums.enumerate().map(|(i, y)| y + at(Role::Shift, i)).collect(),
        };
    }
    x
}
