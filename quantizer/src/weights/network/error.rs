//! Why a network cannot be quantized, as data.

use thiserror::Error;

use super::super::WeightError;
use crate::validate::Invalid;

/// Why a network cannot be quantized as asked.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NetworkError {
    /// The network breaks promises, see [`Network::validate`](crate::network::Network::validate).
    #[error("the network is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Invalid>),
    /// Another number of targets than of layers.
    #[error("{given} accumulator targets for {layers} layers")]
    Targets {
        /// Targets given.
        given: usize,
        /// Layers with accumulators.
        layers: usize,
    },
    /// Real weights that are not those of the network.
    #[error(
        "real weights of shape {found:?} where {needed:?} are needed{}",
        layer.as_ref().map_or(String::new(), |l| format!(", layer '{l}'"))
    )]
    Weights {
        /// The layer, if it is about one.
        layer: Option<String>,
        /// What was given: a shape, or how many matrices.
        found: Vec<usize>,
        /// What is needed.
        needed: Vec<usize>,
    },
    /// A layer has no answer.
    #[error("layer '{layer}': {source}")]
    Layer {
        /// The layer.
        layer: String,
        /// Why.
        source: WeightError,
    },
    /// A layer reads the raw accumulators of another.
    #[error(
        "layer '{layer}' reads '{tensor}', which is not quantized: raw accumulators; --keep {layer}, or put a quantizer before it"
    )]
    Unquantized {
        /// The layer.
        layer: String,
        /// What it reads.
        tensor: String,
    },
    /// A grid that is not a whole multiple of the old one.
    #[error(
        "layer '{layer}': {method} leaves the grid by a factor that is no integer, which thresholds cannot follow exactly"
    )]
    Factor {
        /// The layer.
        layer: String,
        /// The method.
        method: &'static str,
    },
    /// A coarser grid, and a reader that cannot take it.
    #[error("layer '{layer}' reads accumulators whose grid has changed; use a method that keeps the grid")]
    Reader {
        /// The reader.
        layer: String,
    },
    /// An operation without accumulators was to be constrained.
    #[error("layer '{layer}' has no accumulators to constrain")]
    Unsupported {
        /// The layer.
        layer: String,
    },
    /// Accumulators beyond what tensors hold.
    #[error("layer '{layer}' would have an accumulator wider than {max} bits")]
    TooWide {
        /// The layer.
        layer: String,
        /// The widest supported.
        max: u32,
    },
    /// The calibration data could not be run.
    #[error("layer '{layer}': calibration: {what}")]
    Activations {
        /// The layer whose inputs were wanted.
        layer: String,
        /// Why.
        what: String,
    },
}
