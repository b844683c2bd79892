//! What can go wrong between a network and its Verilog, as data; the command line renders it.

use thiserror::Error;

use crate::folding::LayerFolding;

/// A network that cannot be lowered, or a folding that does not fit it.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// The folding names a layer that the network lacks.
    #[error("the folding names layer '{layer}', which is not in the network; {}", nearest.as_ref().map_or_else(|| format!("its layers are {}", layers.join(", ")), |n| format!("did you mean '{n}'?")))]
    UnknownLayer {
        /// The name given.
        layer: String,
        /// The nearest existing one.
        nearest: Option<String>,
        /// All of them.
        layers: Vec<String>,
    },
    /// PE or SIMD does not divide the layer.
    #[error("layer '{layer}': {what} = {value} does not divide its {size} {unit}; accepted: {}", join(divisors))]
    Folding {
        /// The layer.
        layer: String,
        /// `PE` or `SIMD`.
        what: &'static str,
        /// The value given.
        value: usize,
        /// What it must divide.
        size: usize,
        /// `outputs` or `inputs`.
        unit: &'static str,
        /// What would be accepted.
        divisors: Vec<usize>,
    },
    /// PE or SIMD cuts through the groups of a grouped convolution.
    #[error("layer '{layer}': PE = {}, SIMD = {} cuts through its {groups} groups; accepted PE x SIMD: {}", folding.pe, folding.simd, pairs(legal))]
    GroupFolding {
        /// The layer.
        layer: String,
        /// What was given.
        folding: LayerFolding,
        /// Its groups.
        groups: usize,
        /// What would be accepted.
        legal: Vec<LayerFolding>,
    },
    /// The network has a shape that hardware is not generated for.
    #[error("layer '{layer}': {reason}")]
    Unsupported {
        /// The layer.
        layer: String,
        /// Why, and the way out.
        reason: String,
    },
    /// Accumulators narrower than the sums.
    #[error("layer '{layer}': an accumulator of channel{} {} needs {needed} bits, {asked} are asked for; ask for {needed} or more, or make the weights smaller (snug quantize)", if channels.len() > 1 { "s" } else { "" }, join(channels))]
    Accumulator {
        /// The layer.
        layer: String,
        /// The channels that share the accumulator.
        channels: Vec<usize>,
        /// Bits that hold their sums.
        needed: u32,
        /// Bits asked for.
        asked: u32,
    },
    /// `--output label` where the classes have no common integer grid.
    #[error("layer '{layer}': its classes cannot be compared on integers: {reason}; use --output logits")]
    NoLabel {
        /// The last layer.
        layer: String,
        /// Why.
        reason: String,
    },
    /// The rate cannot be reached.
    #[error("an interval of {wanted} cycles cannot be reached: {reason}")]
    Target {
        /// Cycles wanted.
        wanted: u64,
        /// Why.
        reason: String,
    },
    /// No folding is small enough.
    #[error("no folding has {wanted} LUTs or fewer: the smallest is estimated at {least}")]
    Budget {
        /// LUTs wanted.
        wanted: u64,
        /// LUTs of the smallest folding.
        least: u64,
    },
    /// The name of the top module is not a Verilog identifier.
    #[error(
        "'{0}' cannot name the top module: a Verilog identifier of letters, digits and underscores is needed, not a keyword and not the name of a module that all designs share"
    )]
    TopName(String),
    /// The queues of branches have no depth that serves, which is a defect of snug.
    #[error("the queues of the branches cannot be sized: {0}")]
    Queues(String),
    /// A template could not be filled.
    #[error(transparent)]
    Template(#[from] hw_templates::TemplateError),
}

fn pairs(foldings: &[LayerFolding]) -> String {
    foldings.iter().map(|f| format!("{}x{}", f.pe, f.simd)).collect::<Vec<_>>().join(", ")
}

fn join(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
