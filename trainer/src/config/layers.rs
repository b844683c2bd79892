//! `[[layers]]`: what a network is made of, one table each.

use serde::{Deserialize, Serialize};

use super::keys::{place, within};
use crate::TrainError;

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Fully connected; an image is read as a vector.
    Dense,
    /// Convolution.
    Conv,
    /// Batch norm, behind a `dense` or `conv`.
    BatchNorm,
    /// Quantized ReLU: unsigned codes.
    Relu,
    /// Quantized identity: signed codes.
    Identity,
    /// The largest of a window.
    MaxPool,
    /// The mean of a window, of the whole image if there is no kernel.
    AveragePool,
    /// The sum of two branches, whose quantizers share a scale.
    Add,
    /// Channels become places (sub-pixel convolution).
    DepthToSpace,
}

impl Kind {
    /// What they are called.
    pub const NAMES: [&'static str; 9] =
        ["dense", "conv", "batch_norm", "relu", "identity", "max_pool", "average_pool", "add", "depth_to_space"];

    const ALL: [Kind; 9] = [
        Kind::Dense,
        Kind::Conv,
        Kind::BatchNorm,
        Kind::Relu,
        Kind::Identity,
        Kind::MaxPool,
        Kind::AveragePool,
        Kind::Add,
        Kind::DepthToSpace,
    ];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Self::NAMES.iter().position(|n| *n == name).map(|i| Self::ALL[i])
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether it has weights, and so accumulators.
    pub fn has_weights(self) -> bool {
        matches!(self, Kind::Dense | Kind::Conv)
    }

    /// The keys that it reads.
    pub fn keys(self) -> Vec<&'static str> {
        let own: &[&str] = match self {
            Kind::Dense => &["outputs", "weight_bits", "accumulator"],
            Kind::Conv => &["outputs", "kernel", "stride", "padding", "groups", "weight_bits", "accumulator"],
            Kind::BatchNorm => &[],
            Kind::Relu | Kind::Identity => &["bits"],
            Kind::MaxPool | Kind::AveragePool => &["kernel", "stride", "padding"],
            Kind::Add => &["with"],
            Kind::DepthToSpace => &["block"],
        };
        [&["type", "name", "from"], own].concat()
    }

    /// Those of them that cannot be left out.
    pub fn required(self) -> &'static [&'static str] {
        match self {
            Kind::Dense => &["outputs"],
            Kind::Conv => &["outputs", "kernel"],
            Kind::MaxPool => &["kernel"],
            Kind::Add => &["with"],
            Kind::DepthToSpace => &["block"],
            _ => &[],
        }
    }
}

/// One number for both directions, or `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Pair {
    /// For both.
    Both(usize),
    /// Vertical, horizontal.
    Each([usize; 2]),
}

impl Pair {
    /// Vertical, horizontal.
    pub fn get(self) -> [usize; 2] {
        match self {
            Pair::Both(n) => [n, n],
            Pair::Each(pair) => pair,
        }
    }
}

/// The accumulators of one layer: a width, or `"none"` for no constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Accumulator {
    /// Bits.
    Bits(u32),
    /// `"none"`.
    Text(String),
}

/// One layer. Which keys go with which kind says [`Kind::keys`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerConfig {
    /// What it does.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What others call it; `layers.3` if left out.
    pub name: Option<String>,
    /// The layer that it reads, if that is not the one above.
    pub from: Option<String>,
    /// Channels or neurons.
    pub outputs: Option<usize>,
    /// Height and width of the window.
    pub kernel: Option<Pair>,
    /// Steps of the window: 1; a pooling's are its kernel.
    pub stride: Option<Pair>,
    /// Places around the image: 0.
    pub padding: Option<Pair>,
    /// Groups of channels: 1.
    pub groups: Option<usize>,
    /// Bits of weights, if not those of the network.
    pub weight_bits: Option<u32>,
    /// The accumulators, if not those of the network.
    pub accumulator: Option<Accumulator>,
    /// Bits of codes, if not those of the network.
    pub bits: Option<u32>,
    /// The other branch of an addition.
    pub with: Option<String>,
    /// Side of the block of places that channels become.
    pub block: Option<usize>,
}

impl LayerConfig {
    /// Checks every field on its own; `index` is where the layer stands.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn check(&self, index: usize) -> Result<(), TrainError> {
        let place = place(index, self.name.as_deref());
        if let Some(name) = &self.name {
            let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
            let ok = !name.is_empty() && name.len() <= 64 && name.chars().all(letters);
            within(&place, "name", name, ok, "letters, digits, '_' and '.', at most 64")?;
        }
        if let Some(outputs) = self.outputs {
            within(&place, "outputs", outputs, (1..=1 << 16).contains(&outputs), "1 to 65536")?;
        }
        for (key, pair, least) in [("kernel", self.kernel, 1), ("stride", self.stride, 1), ("padding", self.padding, 0)]
        {
            for n in pair.iter().flat_map(|p| p.get()) {
                within(&place, key, n, (least..=1 << 10).contains(&n), &format!("{least} to 1024"))?;
            }
        }
        if let Some(groups) = self.groups {
            within(&place, "groups", groups, groups > 0, "a divisor of both numbers of channels")?;
        }
        if let Some(bits) = self.weight_bits {
            within(&place, "weight_bits", bits, (2..=8).contains(&bits), "2 to 8 bits")?;
        }
        if let Some(bits) = self.bits {
            let least = if self.kind == Kind::Identity { 2 } else { 1 };
            within(&place, "bits", bits, (least..=8).contains(&bits), &format!("{least} to 8 bits"))?;
        }
        if let Some(block) = self.block {
            within(&place, "block", block, (2..=16).contains(&block), "2 to 16")?;
        }
        match &self.accumulator {
            Some(Accumulator::Bits(bits)) => {
                within(&place, "accumulator", bits, (2..=64).contains(bits), "2 to 64 bits, or \"none\"")
            }
            Some(Accumulator::Text(text)) => {
                within(&place, "accumulator", format!("'{text}'"), text == "none", "2 to 64 bits, or \"none\"")
            }
            None => Ok(()),
        }
    }
}
