//! The loop: float epochs, the step to codes, quantized epochs.

use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};

use crate::TrainError;
use crate::config::{Config, Hardware, Loss, Schedule, TrainingConfig};
use crate::graph::Graph;
use crate::initial;
use crate::model::{self, Leaves, Mode};
use crate::optimizer;
use crate::quantizers::{constant, to_vec};
pub use crate::samples::Samples;
use crate::search;
use crate::state::State;

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
    /// Share of the training samples that were right as they came by; 0 where there are no classes.
    pub accuracy: f32,
}

/// Trains from where `state` stands to the end. `after` sees the state after every epoch, to store and to show it; what it refuses ends the training.
///
/// # Errors
/// If samples do not fit the graph, the loss diverges, or `after` fails.
pub fn train(
    config: &Config,
    graph: &Graph,
    state: &mut State,
    samples: &Samples,
    mut after: impl FnMut(&State, Epoch) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    if graph.inputs() != samples.size() || graph.outputs() < samples.classes() {
        return Err(TrainError::Data(format!(
            "samples of {} values and {} classes do not fit a network of {} inputs and {} outputs",
            samples.size(),
            samples.classes(),
            graph.inputs(),
            graph.outputs()
        )));
    }
    let device = device(config.training.device);
    for mode in [Mode::Float, Mode::Quantized] {
        let phase = usize::from(mode == Mode::Quantized);
        let epochs = if phase == 0 { config.training.float_epochs() } else { config.training.epochs };
        if phase == 1 && state.epochs[1] == 0 {
            if let Some(search) = config.search.as_ref().filter(|_| !state.searched) {
                state.bits = search::activation_bits(config, search, graph, state, samples, &device)?;
                state.searched = true;
            }
            initial::quantize(config.accumulator.ep_init, graph, state, samples, &device);
        }
        while state.epochs[phase] < epochs {
            let epoch = self::epoch(config, graph, state, samples, mode, epochs, &device)?;
            after(state, epoch)?;
        }
    }
    Ok(())
}

/// Where tensors are, with gradients.
fn device(hardware: Hardware) -> Device {
    match hardware {
        Hardware::Cpu => Device::flex().autodiff(),
        #[cfg(feature = "gpu")]
        Hardware::Gpu => Device::wgpu(Default::default()).autodiff(),
        // Configurations that ask for it are refused without the feature.
        #[cfg(not(feature = "gpu"))]
        Hardware::Gpu => Device::flex().autodiff(),
    }
}

/// How many samples the float network of `state` has right, with the running statistics of its batch norms.
pub fn float_right(graph: &Graph, state: &State, samples: &Samples) -> usize {
    let device = device(Hardware::Cpu);
    let leaves = Leaves::new(graph, state, Mode::Evaluated, &device);
    let all: Vec<usize> = (0..samples.count()).collect();
    let chunk = |chunk: &[usize]| {
        let x = model::batch(graph, samples, chunk, Mode::Evaluated, &device);
        let pass = model::forward(graph, state, &leaves, x, Mode::Evaluated, false, &device);
        let classes: Vec<i64> = chunk.iter().map(|&s| samples.labels()[s] as i64).collect();
        right(&to_vec(pass.outputs.detach()), chunk.len(), &classes)
    };
    all.chunks(AT_ONCE).map(chunk).sum()
}

/// Samples of a pass that only evaluates.
const AT_ONCE: usize = 256;

/// One epoch of a phase that has `epochs`.
///
/// # Errors
/// If the loss diverges.
pub(crate) fn epoch(
    config: &Config,
    graph: &Graph,
    state: &mut State,
    samples: &Samples,
    mode: Mode,
    epochs: usize,
    device: &Device,
) -> Result<Epoch, TrainError> {
    let training = &config.training;
    let phase = usize::from(mode == Mode::Quantized);
    let epoch = state.epochs[phase];
    // Drawn from seed, phase and epoch: resuming needs no memory of draws.
    let mut random = fastrand::Rng::with_seed(training.seed ^ (((phase as u64) << 32 | epoch as u64) + 1) << 20);
    let mut order: Vec<usize> = (0..samples.count()).collect();
    random.shuffle(&mut order);
    let batches: Vec<&[usize]> = order.chunks(training.batch).filter(|b| b.len() >= 2).collect();
    let first = if mode == Mode::Float { training.float_learning_rate } else { training.learning_rate };
    let rate =
        |i: usize| first * factor(training, (epoch * batches.len() + i) as f64 / (epochs * batches.len()) as f64);
    // Within the pool of threads: a step hands out work at every turn, and from outside each would wake a thread and sleep until it is done.
    let (loss, right) = rayon::scope(|_| steps(training, graph, state, samples, &batches, mode, rate, device));
    if !loss.is_finite() {
        return Err(TrainError::Diverged { loss, epoch: epoch + 1, learning_rate: first });
    }
    state.epochs[phase] += 1;
    let seen = batches.iter().map(|b| b.len()).sum::<usize>().max(1);
    let (loss, accuracy) = (loss / batches.len().max(1) as f32, right as f32 / seen as f32);
    Ok(Epoch { quantized: phase == 1, epoch: epoch + 1, epochs, loss, accuracy })
}

/// A step for each batch, with the learning rate that `rate` gives for it. The sum of their losses, and how many samples were right; ends with the first loss that is not
/// finite, and returns it.
#[allow(clippy::too_many_arguments)] // what steps depend on
fn steps(
    training: &TrainingConfig,
    graph: &Graph,
    state: &mut State,
    samples: &Samples,
    batches: &[&[usize]],
    mode: Mode,
    rate: impl Fn(usize) -> f64 + Sync,
    device: &Device,
) -> (f32, usize) {
    let rows = |i: usize| batches.get(i).map_or(Vec::new(), |batch| model::rows(graph, samples, batch, mode));
    let (mut loss, mut right) = (0.0, 0);
    let mut next = rows(0);
    for (i, batch) in batches.iter().enumerate() {
        // A batch comes from all over memory: a thread that has nothing else to do gathers the next one meanwhile.
        let (step, following) =
            rayon::join(|| step(training, graph, state, samples, batch, next, mode, rate(i), device), || rows(i + 1));
        next = following;
        if !step.0.is_finite() {
            return step;
        }
        loss += step.0;
        right += step.1;
    }
    (loss, right)
}

/// The learning rate as a share of the first, `done` (0 to 1) of the way.
pub fn factor(training: &TrainingConfig, done: f64) -> f64 {
    match training.schedule {
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        Schedule::Step => {
            let passed = training.step_at.iter().filter(|&&at| done >= at).count();
            training.step_factor.powi(passed as i32)
        }
        Schedule::Constant => 1.0,
    }
}

/// One step with a batch and the values of its samples; the loss, and how many samples were right.
#[allow(clippy::too_many_arguments)] // what a step depends on
fn step(
    training: &TrainingConfig,
    graph: &Graph,
    state: &mut State,
    samples: &Samples,
    batch: &[usize],
    rows: Vec<f32>,
    mode: Mode,
    rate: f64,
    device: &Device,
) -> (f32, usize) {
    let leaves = Leaves::new(graph, state, mode, device);
    let x = constant(rows, [batch.len(), samples.size()], device);
    let pass = model::forward(graph, state, &leaves, x, mode, false, device);
    let (loss, right) = match training.loss {
        Loss::CrossEntropy => {
            let classes: Vec<i64> = batch.iter().map(|&s| samples.labels()[s] as i64).collect();
            let right = right(&to_vec(pass.outputs.clone()), batch.len(), &classes);
            let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [batch.len(), 1]), device);
            (log_softmax(pass.outputs, 1).gather(1, classes).mean().neg(), right)
        }
        Loss::Mse => {
            let targets: Vec<f32> = batch.iter().flat_map(|&s| samples.target(s)).copied().collect();
            let targets = constant(targets, pass.outputs.dims(), device);
            ((pass.outputs - targets).powi_scalar(2).mean(), 0)
        }
    };
    let value = loss.clone().into_data().try_into_vec::<f32>().ok().and_then(|v| v.first().copied());
    let gradients = leaves.gradients(state, loss.backward(), training.lambda);
    model::remember(graph, state, pass.statistics, batch.len());
    optimizer::step(state, &gradients, rate, training);
    (value.unwrap_or(f32::NAN), right)
}

/// How many of the samples have their class at the largest logit.
fn right(logits: &[f32], samples: usize, classes: &[i64]) -> usize {
    let width = logits.len() / samples.max(1);
    let best = |row: &[f32]| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
    logits.chunks(width.max(1)).zip(classes).filter(|(row, class)| best(row) == usize::try_from(**class).ok()).count()
}
