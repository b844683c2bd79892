//! What a person asks for, in TOML.
//!
//! Every field is checked before anything is trained, and a key that nothing reads is refused with the nearest that is read: a misspelt
//! `learning_rate` would cost an afternoon.

use std::path::PathBuf;

use quantizer::datatype::DataType;
use quantizer::weights::limits::Limits;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// How weights are kept within their accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// They are not: nearest rounding, and whatever width that takes.
    #[serde(rename = "unconstrained")]
    Unconstrained,
    /// A2Q (arXiv 2308.13504): an l1 budget, weights scaled to it and truncated.
    #[serde(rename = "a2q")]
    A2q,
    /// A2Q+ (arXiv 2401.10432): the larger budget of zero-centred weights.
    #[serde(rename = "a2q+")]
    A2qPlus,
    /// The exact feasible set: projection of either sign onto its own budget, nearest integers in it.
    #[serde(rename = "sign-split")]
    SignSplit,
}

/// Where training of A2Q and A2Q+ starts (Euclidean projection initialisation, A2Q+ section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EpInit {
    /// From the float weights as they are.
    None,
    /// Projected, then centred where the method centres: the authors' order.
    Paper,
    /// Centred, projected, centred again: keeps the zeros of the projection where taps are few.
    #[default]
    Centred,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a cosine, down to 0.
    #[default]
    Cosine,
    /// A tenth of it after two thirds of the epochs.
    Step,
    /// It does not.
    Constant,
}

/// One width for all layers, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bits {
    /// For all.
    One(u32),
    /// In layer order.
    Each(Vec<u32>),
}

/// `[network]`: a perceptron.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Neurons of the hidden layers.
    pub hidden: Vec<usize>,
    /// Bits of weights, 2 to 8: signed, without the most negative code.
    pub weight_bits: u32,
    /// Bits of hidden activations, 1 to 8, unsigned.
    pub activation_bits: u32,
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
}

/// `[training]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Epochs of the float network that quantized training starts from.
    #[serde(default = "eight")]
    pub float_epochs: usize,
    /// Epochs of quantized training.
    #[serde(default = "eight")]
    pub epochs: usize,
    /// Samples of a step.
    #[serde(default = "batch")]
    pub batch: usize,
    /// Adam's learning rate of quantized training; float training has 0.001.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// How it falls.
    #[serde(default)]
    pub schedule: Schedule,
    /// Weight of A2Q's regulariser.
    #[serde(default = "lambda")]
    pub lambda: f64,
    /// Decay of weights; scales have none.
    #[serde(default)]
    pub weight_decay: f64,
    /// Of the initial weights and the order of samples.
    #[serde(default)]
    pub seed: u64,
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
fn lambda() -> f64 {
    1e-3
}

/// `[data]`: files, read by the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Training samples.
    pub train: PathBuf,
    /// Their classes.
    pub train_labels: PathBuf,
    /// Test samples.
    pub test: PathBuf,
    /// Their classes.
    pub test_labels: PathBuf,
}

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Layers and types.
    pub network: NetworkConfig,
    /// What weights have to fit.
    pub accumulator: AccumulatorConfig,
    /// How they get there.
    pub training: TrainingConfig,
    /// What with; `None` where samples are given otherwise.
    pub data: Option<DataConfig>,
}

const SECTIONS: [(&str, &[&str]); 4] = [
    ("network", &["hidden", "weight_bits", "activation_bits", "input_bits"]),
    ("accumulator", &["method", "bits", "ep_init"]),
    ("training", &["float_epochs", "epochs", "batch", "learning_rate", "schedule", "lambda", "weight_decay", "seed"]),
    ("data", &["train", "train_labels", "test", "test_labels"]),
];

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// If it is no TOML, a key is unknown or missing, or a value is out of range.
    pub fn parse(text: &str) -> Result<Self, TrainError> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| TrainError::Toml(e.to_string()))?;
        let sections: Vec<&str> = SECTIONS.iter().map(|s| s.0).collect();
        for (section, value) in &table {
            let Some((_, keys)) = SECTIONS.iter().find(|(name, _)| name == section) else {
                return Err(unknown("configuration", section, sections));
            };
            for key in value.as_table().into_iter().flat_map(|t| t.keys()) {
                if !keys.contains(&key.as_str()) {
                    return Err(unknown(section, key, keys.to_vec()));
                }
            }
        }
        let config: Config = toml::from_str(text).map_err(|e| TrainError::Toml(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// If a value is out of range; see [`TrainError`].
    pub fn check(&self) -> Result<(), TrainError> {
        let n = &self.network;
        for (key, bits, least) in [
            ("weight_bits", n.weight_bits, 2),
            ("activation_bits", n.activation_bits, 1),
            ("input_bits", n.input_bits, 1),
        ] {
            within("network", key, bits, (least..=8).contains(&bits), &format!("{least} to 8 bits"))?;
        }
        for &width in &n.hidden {
            within("network", "hidden", width, (1..=1 << 16).contains(&width), "1 to 65536 neurons a layer")?;
        }
        let t = &self.training;
        within("training", "epochs", t.epochs, (1..=100_000).contains(&t.epochs), "1 to 100000")?;
        within("training", "float_epochs", t.float_epochs, t.float_epochs <= 100_000, "0 to 100000")?;
        // Batch statistics need two samples.
        within("training", "batch", t.batch, (2..=1 << 20).contains(&t.batch), "2 to 1048576 samples")?;
        let rate = t.learning_rate;
        within("training", "learning_rate", rate, rate > 0.0 && rate <= 1.0, "above 0, at most 1")?;
        within("training", "lambda", t.lambda, (0.0..=1.0).contains(&t.lambda), "0 to 1")?;
        within("training", "weight_decay", t.weight_decay, (0.0..=1.0).contains(&t.weight_decay), "0 to 1")?;
        self.check_accumulators()
    }

    fn check_accumulators(&self) -> Result<(), TrainError> {
        let wrong = |found: String, accepted: String| TrainError::Value {
            section: "accumulator",
            key: "bits",
            found,
            accepted,
        };
        let layers = self.network.hidden.len() + 1;
        match (&self.accumulator.bits, self.accumulator.method) {
            (Some(_), Method::Unconstrained) => {
                return Err(wrong("given".into(), "leave it out, or choose a method that keeps to it".into()));
            }
            (None, Method::Unconstrained) => return Ok(()),
            (None, _) => return Err(wrong("missing".into(), "the method needs one width, or one per layer".into())),
            (Some(Bits::Each(each)), _) if each.len() != layers => {
                return Err(wrong(
                    format!("{each:?}"),
                    format!("one width, or {layers}: the network has {layers} layers"),
                ));
            }
            _ => {}
        }
        for layer in 0..layers {
            let Some(bits) = self.accumulator(layer) else { continue };
            if !(2..=64).contains(&bits) {
                return Err(wrong(bits.to_string(), "2 to 64 bits".into()));
            }
            let input = self.input_type(layer);
            let fits = |bits: u32| {
                let limits = Limits::new(input, bits);
                limits.hold(1, 0) || limits.hold(0, 1)
            };
            // A weight of 1 fits 64 bits with inputs of 8.
            let smallest = (2..=64).find(|&b| fits(b)).unwrap_or(64);
            if bits < smallest {
                return Err(TrainError::TooNarrow { layer, bits, input: input.to_string(), smallest });
            }
        }
        Ok(())
    }

    /// The width that the accumulators of a layer must fit.
    pub fn accumulator(&self, layer: usize) -> Option<u32> {
        match self.accumulator.bits.as_ref()? {
            Bits::One(bits) => Some(*bits),
            Bits::Each(each) => each.get(layer).copied(),
        }
    }

    /// The type of a layer's inputs.
    pub fn input_type(&self, layer: usize) -> DataType {
        DataType::unsigned(if layer == 0 { self.network.input_bits } else { self.network.activation_bits })
    }

    /// The type of all weights.
    pub fn weight_type(&self) -> DataType {
        DataType { narrow: true, ..DataType::signed(self.network.weight_bits) }
    }

    /// Neurons of all layers, the inputs and the classes included.
    pub fn widths(&self, inputs: usize, classes: usize) -> Vec<usize> {
        [&[inputs], &self.network.hidden[..], &[classes]].concat()
    }
}

fn within(
    section: &'static str,
    key: &'static str,
    found: impl ToString,
    ok: bool,
    accepted: &str,
) -> Result<(), TrainError> {
    if ok {
        return Ok(());
    }
    Err(TrainError::Value { section, key, found: found.to_string(), accepted: accepted.to_owned() })
}

fn unknown(section: &str, key: &str, keys: Vec<&'static str>) -> TrainError {
    let similar = keys.iter().map(|k| (strsim::jaro_winkler(key, k), *k)).max_by(|a, b| a.0.total_cmp(&b.0));
    let nearest = similar.filter(|s| s.0 > 0.7).map(|s| s.1.to_owned());
    TrainError::UnknownKey { section: section.to_owned(), key: key.to_owned(), nearest, keys }
}
