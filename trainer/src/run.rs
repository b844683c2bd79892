//! The loop: float epochs, the step to codes, quantized epochs.

use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};

use crate::TrainError;
use crate::config::{Config, Schedule};
use crate::initial;
use crate::model::{self, Mode};
use crate::quantizers::{constant, to_vec};
use crate::state::{Role, State};

/// Labelled samples: values 0 to 1, `[samples, size]` row by row, and a class for each.
#[derive(Clone, Debug)]
pub struct Samples {
    values: Vec<f32>,
    size: usize,
    labels: Vec<usize>,
}

impl Samples {
    /// # Errors
    /// If values and labels do not fit together, there are none, or a value is outside 0 to 1.
    pub fn new(values: Vec<f32>, size: usize, labels: Vec<usize>) -> Result<Self, TrainError> {
        if labels.is_empty() || size == 0 || values.len() != size.saturating_mul(labels.len()) {
            return Err(TrainError::Data(format!(
                "{} values are not {} samples of {size}",
                values.len(),
                labels.len()
            )));
        }
        if let Some(at) = values.iter().position(|v| !(0.0..=1.0).contains(v)) {
            let (sample, value) = (at / size, values[at]);
            return Err(TrainError::Data(format!(
                "sample {sample} holds {value}; inputs are 0 to 1, such as pixels / 255"
            )));
        }
        Ok(Samples { values, size, labels })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Values of a sample.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Classes: one more than the largest label.
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&l| l + 1)
    }

    /// The classes, sample by sample.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The values of one sample.
    pub fn row(&self, sample: usize) -> &[f32] {
        &self.values[sample * self.size..(sample + 1) * self.size]
    }

    /// The values of some samples, one after the other.
    pub fn rows(&self, samples: &[usize]) -> Vec<f32> {
        samples.iter().flat_map(|&s| self.row(s)).copied().collect()
    }
}

/// What an epoch came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Whether codes were trained, or floats.
    pub quantized: bool,
    /// From 1.
    pub epoch: usize,
    /// Of so many.
    pub epochs: usize,
    /// Mean loss over the epoch's batches, the regulariser left out.
    pub loss: f32,
    /// Share of the training samples that were right as they came by.
    pub accuracy: f32,
}

/// Float training has one learning rate, for it is the same start for all methods.
const FLOAT_RATE: f64 = 1e-3;

/// Trains from where `state` stands to the end. `after` sees the state after every epoch, to store and to show it; what it refuses ends the training.
///
/// # Errors
/// If samples do not fit the state, the loss diverges, or `after` fails.
pub fn train(
    config: &Config,
    state: &mut State,
    samples: &Samples,
    mut after: impl FnMut(&State, Epoch) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    if state.widths != config.widths(samples.size(), state.widths.last().copied().unwrap_or(0))
        || state.widths.last().copied().unwrap_or(0) < samples.classes()
    {
        return Err(TrainError::Data(format!(
            "samples of {} values and {} classes do not fit layers of {:?}",
            samples.size(),
            samples.classes(),
            state.widths
        )));
    }
    let device = Device::flex().autodiff();
    let training = &config.training;
    for (mode, epochs) in [(Mode::Float, training.float_epochs), (Mode::Quantized, training.epochs)] {
        let phase = usize::from(mode == Mode::Quantized);
        if phase == 1 && state.epochs[1] == 0 {
            initial::quantize(config, state, samples, &device);
        }
        while state.epochs[phase] < epochs {
            let epoch = state.epochs[phase];
            // Drawn from seed, phase and epoch: resuming needs no memory of draws.
            let mut random =
                fastrand::Rng::with_seed(training.seed ^ (((phase as u64) << 32 | epoch as u64) + 1) << 20);
            let mut order: Vec<usize> = (0..samples.count()).collect();
            random.shuffle(&mut order);
            let batches: Vec<&[usize]> = order.chunks(training.batch).filter(|b| b.len() >= 2).collect();
            let (mut loss, mut right) = (0.0, 0);
            for (i, batch) in batches.iter().enumerate() {
                let done = (epoch * batches.len() + i) as f64 / (epochs * batches.len()) as f64;
                let rate = match mode {
                    Mode::Float => FLOAT_RATE * Schedule::Cosine.factor(done),
                    Mode::Quantized => training.learning_rate * training.schedule.factor(done),
                };
                let step = step(config, state, samples, batch, mode, rate, &device);
                if !step.0.is_finite() {
                    let learning_rate = training.learning_rate;
                    return Err(TrainError::Diverged { loss: step.0, epoch: epoch + 1, learning_rate });
                }
                loss += step.0;
                right += step.1;
            }
            state.epochs[phase] += 1;
            let seen = batches.iter().map(|b| b.len()).sum::<usize>().max(1);
            let (loss, accuracy) = (loss / batches.len().max(1) as f32, right as f32 / seen as f32);
            after(state, Epoch { quantized: phase == 1, epoch: epoch + 1, epochs, loss, accuracy })?;
        }
    }
    Ok(())
}

impl Schedule {
    /// The learning rate as a share of the first, `done` (0 to 1) of the way.
    pub fn factor(self, done: f64) -> f64 {
        match self {
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Schedule::Step if done >= 2.0 / 3.0 => 0.1,
            Schedule::Step | Schedule::Constant => 1.0,
        }
    }
}

/// One step; the loss, and how many samples were right.
fn step(
    config: &Config,
    state: &mut State,
    samples: &Samples,
    batch: &[usize],
    mode: Mode,
    rate: f64,
    device: &Device,
) -> (f32, usize) {
    let leaves = model::leaves(state, device);
    let x = constant(samples.rows(batch), [batch.len(), samples.size()], device);
    let pass = model::forward(config, state, &leaves, x, mode, device);
    let classes: Vec<i64> = batch.iter().map(|&s| samples.labels[s] as i64).collect();
    let right = right(&to_vec(pass.logits.clone()), batch.len(), &classes);
    let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [batch.len(), 1]), device);
    let entropy = log_softmax(pass.logits, 1).gather(1, classes).mean().neg();
    let loss =
        entropy.clone().into_data().try_into_vec::<f32>().ok().and_then(|v| v.first().copied()).unwrap_or(f32::NAN);
    let total = match pass.penalty {
        Some(penalty) if config.training.lambda > 0.0 => entropy + penalty.mul_scalar(config.training.lambda),
        _ => entropy,
    };
    let mut gradients = total.backward();
    let trained = |role: Role| mode == Mode::Quantized || !matches!(role, Role::Scale | Role::Norm | Role::Activation);
    let gradients: Vec<Option<Vec<f32>>> = leaves
        .iter()
        .zip(&state.parameters)
        .map(|(leaf, p)| leaf.grad_remove(&mut gradients).filter(|_| trained(p.role)).map(to_vec))
        .collect();
    model::remember(state, pass.statistics, batch.len());
    state.step(&gradients, rate, config.training.weight_decay);
    (loss, right)
}

/// How many of the samples have their class at the largest logit.
fn right(logits: &[f32], samples: usize, classes: &[i64]) -> usize {
    let width = logits.len() / samples.max(1);
    let best = |row: &[f32]| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
    logits.chunks(width.max(1)).zip(classes).filter(|(row, class)| best(row) == usize::try_from(**class).ok()).count()
}
