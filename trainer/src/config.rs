//! What a person asks for, in TOML.
//!
//! Every field is checked before anything is trained, and a key that nothing reads is refused with the nearest that is read: a misspelt
//! `learning_rate` would cost an afternoon. What depends on several layers at once is checked where they are joined, in [`crate::graph`].

mod choices;
mod keys;
mod layers;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::graph::Graph;

pub use choices::{Bits, End, EpInit, Hardware, Loss, Method, Optimizer, Schedule};
pub use layers::{Accumulator, Kind, LayerConfig, Pair};

pub(crate) use keys::unknown_name;
use keys::within;

/// `[network]`: a perceptron, or what the `[[layers]]` have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Neurons of the hidden layers; not beside `[[layers]]`.
    pub hidden: Option<Vec<usize>>,
    /// Shape of a sample: `[channels, height, width]`, or `[values]`; that of the data if left out, flat.
    pub input: Option<Vec<usize>>,
    /// Bits of weights, 2 to 8: signed, without the most negative code.
    pub weight_bits: Bits,
    /// Bits of activations, 1 to 8.
    pub activation_bits: Bits,
    /// Bits of the input, 1 to 8, unsigned: inputs are 0 to 1.
    pub input_bits: u32,
}

/// `[accumulator]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccumulatorConfig {
    /// How weights are constrained.
    pub method: Method,
    /// Widths that every accumulator must fit; not for `unconstrained`.
    pub bits: Option<Bits>,
    /// Where A2Q and A2Q+ start.
    #[serde(default)]
    pub ep_init: EpInit,
    /// Layers that are left alone: the papers leave the first and the last.
    #[serde(default)]
    pub keep: Vec<End>,
}

/// `[training]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Epochs of the float network that quantized training starts from; 8, or none after a start from a file.
    pub float_epochs: Option<usize>,
    /// Epochs of quantized training.
    #[serde(default = "eight")]
    pub epochs: usize,
    /// Samples of a step.
    #[serde(default = "batch")]
    pub batch: usize,
    /// Learning rate of quantized training.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// Learning rate of float training.
    #[serde(default = "learning_rate")]
    pub float_learning_rate: f64,
    /// How both fall.
    #[serde(default)]
    pub schedule: Schedule,
    /// Where the `step` schedule falls, as shares of the training.
    #[serde(default = "step_at")]
    pub step_at: Vec<f64>,
    /// What the `step` schedule multiplies the rate with.
    #[serde(default = "step_factor")]
    pub step_factor: f64,
    /// What is made smaller.
    #[serde(default)]
    pub loss: Loss,
    /// How.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Of SGD.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Weight of A2Q's regulariser.
    #[serde(default = "lambda")]
    pub lambda: f64,
    /// Decay of weights; scales have none.
    #[serde(default)]
    pub weight_decay: f64,
    /// Of the initial weights and the order of samples.
    #[serde(default)]
    pub seed: u64,
    /// A float network to start from, safetensors or ONNX; beside the configuration.
    pub start: Option<PathBuf>,
    /// Where it is computed.
    #[serde(default)]
    pub device: Hardware,
}

impl TrainingConfig {
    /// Epochs of float training.
    pub fn float_epochs(&self) -> usize {
        self.float_epochs.unwrap_or(if self.start.is_some() { 0 } else { 8 })
    }
}

fn eight() -> usize {
    8
}
fn batch() -> usize {
    256
}
fn learning_rate() -> f64 {
    1e-3
}
fn step_at() -> Vec<f64> {
    vec![2.0 / 3.0]
}
fn step_factor() -> f64 {
    0.1
}
fn momentum() -> f64 {
    0.9
}
fn lambda() -> f64 {
    1e-3
}

/// `[search]`: the bits of every activation, chosen for the accumulators that are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// What may be chosen.
    pub activation_bits: Vec<u32>,
    /// Quantized epochs that a choice is trained for.
    #[serde(default = "one")]
    pub epochs: usize,
    /// Share of the training samples that choices are compared on.
    #[serde(default = "tenth")]
    pub hold_out: f64,
}

fn one() -> usize {
    1
}
fn tenth() -> f64 {
    0.1
}

/// `[data]`: files, read by the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Training samples.
    pub train: PathBuf,
    /// Their classes.
    pub train_labels: Option<PathBuf>,
    /// What they should become, for the mean squared error.
    pub train_targets: Option<PathBuf>,
    /// Test samples.
    pub test: PathBuf,
    /// Their classes.
    pub test_labels: Option<PathBuf>,
    /// What they should become.
    pub test_targets: Option<PathBuf>,
}

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Layers and types.
    pub network: NetworkConfig,
    /// The layers, where they are no perceptron's.
    #[serde(default)]
    pub layers: Vec<LayerConfig>,
    /// What weights have to fit.
    pub accumulator: AccumulatorConfig,
    /// How they get there.
    pub training: TrainingConfig,
    /// A search of activation bits before.
    pub search: Option<SearchConfig>,
    /// What with; `None` where samples are given otherwise.
    pub data: Option<DataConfig>,
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// If it is no TOML, a key is unknown or missing, or a value is out of range.
    pub fn parse(text: &str) -> Result<Self, TrainError> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| TrainError::Toml(e.to_string()))?;
        keys::check(&table)?;
        let config: Config = toml::from_str(text).map_err(|e| TrainError::Toml(e.to_string()))?;
        config.check()?;
        Graph::check(&config)?;
        Ok(config)
    }

    /// Checks every field on its own; [`Graph::new`](crate::graph::Graph::new) checks what layers make of each other.
    ///
    /// # Errors
    /// If a value is out of range; see [`TrainError`].
    pub fn check(&self) -> Result<(), TrainError> {
        let n = &self.network;
        for (key, bits, least) in [("weight_bits", &n.weight_bits, 2), ("activation_bits", &n.activation_bits, 1)] {
            for &bits in bits.all() {
                within("network", key, bits, (least..=8).contains(&bits), &format!("{least} to 8 bits"))?;
            }
        }
        within("network", "input_bits", n.input_bits, (1..=8).contains(&n.input_bits), "1 to 8 bits")?;
        for &width in n.hidden.iter().flatten() {
            within("network", "hidden", width, (1..=1 << 16).contains(&width), "1 to 65536 neurons a layer")?;
        }
        if let Some(input) = &n.input {
            let size = input.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).unwrap_or(usize::MAX);
            let ok = matches!(input.len(), 1 | 3) && (1..=1 << 24).contains(&size);
            within("network", "input", format!("{input:?}"), ok, "[channels, height, width] or [values]")?;
        }
        match (&n.hidden, self.layers.is_empty()) {
            (Some(hidden), false) => {
                let accepted = "leave it out beside [[layers]]";
                within("network", "hidden", format!("{hidden:?}"), false, accepted)?;
            }
            (None, true) => {
                within("network", "hidden", "missing", false, "neurons of the hidden layers, or [[layers]]")?;
            }
            _ => {}
        }
        for (i, layer) in self.layers.iter().enumerate() {
            layer.check(i)?;
        }
        self.check_training()?;
        if let Some(search) = &self.search {
            for &bits in &search.activation_bits {
                within("search", "activation_bits", bits, (1..=8).contains(&bits), "1 to 8 bits")?;
            }
            let some = !search.activation_bits.is_empty();
            within("search", "activation_bits", "[]", some, "the bits to choose from")?;
            within("search", "epochs", search.epochs, (1..=1000).contains(&search.epochs), "1 to 1000")?;
            let share = search.hold_out;
            within("search", "hold_out", share, share > 0.0 && share <= 0.5, "above 0, at most 0.5")?;
        }
        self.check_data()?;
        self.check_accumulators()
    }

    fn check_training(&self) -> Result<(), TrainError> {
        let t = &self.training;
        within("training", "epochs", t.epochs, (1..=100_000).contains(&t.epochs), "1 to 100000")?;
        within("training", "float_epochs", t.float_epochs(), t.float_epochs() <= 100_000, "0 to 100000")?;
        // Batch statistics need two samples.
        within("training", "batch", t.batch, (2..=1 << 20).contains(&t.batch), "2 to 1048576 samples")?;
        for (key, rate) in [("learning_rate", t.learning_rate), ("float_learning_rate", t.float_learning_rate)] {
            within("training", key, rate, rate > 0.0 && rate <= 1.0, "above 0, at most 1")?;
        }
        for at in &t.step_at {
            within("training", "step_at", at, *at > 0.0 && *at < 1.0, "shares of the training, between 0 and 1")?;
        }
        let factor = t.step_factor;
        within("training", "step_factor", factor, factor > 0.0 && factor <= 1.0, "above 0, at most 1")?;
        within("training", "momentum", t.momentum, (0.0..1.0).contains(&t.momentum), "0 to below 1")?;
        within("training", "lambda", t.lambda, (0.0..=1.0).contains(&t.lambda), "0 to 1")?;
        within("training", "weight_decay", t.weight_decay, (0.0..=1.0).contains(&t.weight_decay), "0 to 1")?;
        let gpu = t.device == Hardware::Gpu && !cfg!(feature = "gpu");
        within("training", "device", "gpu", !gpu, "'cpu': this snug was built without the cargo feature `gpu`")
    }

    fn check_data(&self) -> Result<(), TrainError> {
        let Some(data) = &self.data else { return Ok(()) };
        let both = [
            ["train_labels", "train_targets", "test_labels", "test_targets"],
            ["cross-entropy", "mse", "cross-entropy", "mse"],
        ];
        let given = [&data.train_labels, &data.train_targets, &data.test_labels, &data.test_targets];
        let wanted = if self.training.loss == Loss::Mse { "mse" } else { "cross-entropy" };
        for (i, path) in given.into_iter().enumerate() {
            let (key, loss) = (both[0][i], both[1][i]);
            match path {
                // Classes may come with the samples; targets never do.
                None if loss == "mse" && loss == wanted => {
                    within("data", key, "missing", false, &format!("the loss {wanted} reads it"))?
                }
                Some(path) if loss != wanted => {
                    let accepted = format!("leave it out: the loss {wanted} does not read it");
                    within("data", key, path.display(), false, &accepted)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_accumulators(&self) -> Result<(), TrainError> {
        let accumulator = &self.accumulator;
        let wrong = |found: &str, accepted: &str| within("accumulator", "bits", found, false, accepted);
        match (&accumulator.bits, accumulator.method) {
            (Some(_), Method::Unconstrained) => {
                return wrong("given", "leave it out, or choose a method that keeps to it");
            }
            (None, Method::Unconstrained) => {}
            (None, _) if self.layers.iter().all(|l| !l.kind.has_weights() || l.accumulator.is_some()) => {
                // Each layer says for itself; a perceptron's cannot.
                if self.layers.is_empty() {
                    return wrong("missing", "the method needs one width, or one per layer");
                }
            }
            (None, _) => {
                return wrong("missing", "the method needs one width, one per layer, or `accumulator` in each");
            }
            _ => {}
        }
        for &bits in accumulator.bits.iter().flat_map(Bits::all) {
            within("accumulator", "bits", bits, (2..=64).contains(&bits), "2 to 64 bits")?;
        }
        Ok(())
    }
}
