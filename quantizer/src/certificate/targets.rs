//! Accumulator widths that a person asks for, and where a network misses them.

use std::collections::HashSet;
use std::str::FromStr;

use num_bigint::BigInt;
use num_traits::One;
use serde::Serialize;
use thiserror::Error;

use super::serial::number;
use crate::bound::{Interval, Witness};
use crate::network::Network;

/// Accumulator widths in bits: for all layers, for each in order, or for some by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// `12`: one for all.
    All(u32),
    /// `12,12,16`: one for each layer that has accumulators, in order.
    InOrder(Vec<u32>),
    /// `features.10=12,features.13=16`: the layers named (or their ONNX nodes), no other.
    Named(Vec<(String, u32)>),
}

/// Targets that cannot be understood, or that do not fit the network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not a width.
    #[error("'{text}' is not an accumulator width; 1 to {max} bits are, as in '12', '12,12,16' or 'features.3=12'")]
    Width {
        /// What was given.
        text: String,
        /// The largest width.
        max: u32,
    },
    /// Widths with and without names.
    #[error("'{text}' mixes widths with and without names")]
    Mixed {
        /// What was given.
        text: String,
    },
    /// The number of widths is not that of the layers.
    #[error("{given} accumulator widths for {} layers: {}", layers.len(), layers.join(", "))]
    Count {
        /// Widths given.
        given: usize,
        /// The layers that have accumulators.
        layers: Vec<String>,
    },
    /// A name that no layer with accumulators has.
    #[error("no layer with accumulators is called '{name}'{}", nearest.as_ref().map_or(String::new(), |n| format!("; did you mean '{n}'?")))]
    UnknownLayer {
        /// The name given.
        name: String,
        /// The most similar one there is.
        nearest: Option<String>,
    },
    /// A layer is named twice.
    #[error("layer '{name}' is given two accumulator widths")]
    Twice {
        /// The layer.
        name: String,
    },
}

impl Targets {
    /// The largest width that can be asked for.
    pub const MAX: u32 = 64;

    /// The width for each layer with accumulators, in order; `None` where none was asked for.
    ///
    /// # Errors
    /// If they do not fit the network.
    pub fn resolve(&self, network: &Network) -> Result<Vec<Option<u32>>, TargetError> {
        let layers: Vec<_> = network.matrix_layers().map(|matrix| matrix.layer).collect();
        match self {
            Targets::All(width) => Ok(vec![Some(*width); layers.len()]),
            Targets::InOrder(widths) if widths.len() == layers.len() => Ok(widths.iter().copied().map(Some).collect()),
            Targets::InOrder(widths) => {
                let layers = layers.iter().map(|l| l.name.clone()).collect();
                Err(TargetError::Count { given: widths.len(), layers })
            }
            Targets::Named(widths) => {
                let mut resolved = vec![None; layers.len()];
                let mut seen = HashSet::new();
                for (name, width) in widths {
                    // Names first: a node may be called as another layer's module is.
                    let found = layers.iter().position(|l| l.name == *name);
                    let Some(i) = found.or_else(|| layers.iter().position(|l| l.node == *name)) else {
                        let names = layers.iter().flat_map(|l| [&l.name, &l.node]);
                        let similar = |n: &&String| strsim::normalized_damerau_levenshtein(n, name);
                        let nearest = names.max_by(|a, b| similar(a).total_cmp(&similar(b))).cloned();
                        return Err(TargetError::UnknownLayer { name: name.clone(), nearest });
                    };
                    if !seen.insert(i) {
                        return Err(TargetError::Twice { name: layers[i].name.clone() });
                    }
                    resolved[i] = Some(*width);
                }
                Ok(resolved)
            }
        }
    }
}

impl FromStr for Targets {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let width = |text: &str| match text.trim().parse() {
            Ok(width @ 1..=Targets::MAX) => Ok(width),
            _ => Err(TargetError::Width { text: text.trim().to_owned(), max: Targets::MAX }),
        };
        let parts: Vec<&str> = text.split(',').collect();
        // The last '=': a name may have one.
        let named: Vec<_> = parts.iter().filter_map(|part| part.rsplit_once('=')).collect();
        // A range, which only a sweep takes, is no name.
        if named.is_empty() || text.contains("..=") {
            let widths = parts.into_iter().map(width).collect::<Result<Vec<_>, _>>()?;
            Ok(if let [one] = widths[..] { Targets::All(one) } else { Targets::InOrder(widths) })
        } else if named.len() == parts.len() {
            let target = |(name, bits): (&str, &str)| Ok((name.trim().to_owned(), width(bits)?));
            Ok(Targets::Named(named.into_iter().map(target).collect::<Result<_, _>>()?))
        } else {
            Err(TargetError::Mixed { text: text.to_owned() })
        }
    }
}

/// A channel whose accumulator is wider than it was asked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The layer's name.
    pub layer: String,
    /// Its output channel.
    pub channel: usize,
    /// Its exact width in bits, over the input's declared type.
    pub width_needed: u32,
    /// The width that was asked for.
    pub width_allowed: u32,
    /// Codes at the layer's input that leave the allowed range farthest; of a convolution the window, 0 where it is off the image.
    pub worst_input: Vec<i64>,
    /// The accumulator's value there. In JSON a number where 64 bits hold it, else a string.
    #[serde(serialize_with = "number::serialize")]
    pub reaches: BigInt,
}

/// Every channel of a valid `network` that misses its target, with an input that proves it.
///
/// # Errors
/// If the targets do not fit the network.
pub fn check(network: &Network, targets: &Targets) -> Result<Vec<Violation>, TargetError> {
    let targets = targets.resolve(network)?;
    let mut violations = Vec::new();
    for (matrix, allowed) in network.matrix_layers().zip(targets) {
        let Some(allowed) = allowed else { continue };
        let (layer, input) = (matrix.layer, network.tensor(matrix.layer.input()));
        let patches = matrix.patches(input);
        for (channel, row) in matrix.weights.rows().into_iter().enumerate() {
            let reach = matrix.exact(channel, &patches, input);
            let exact = Interval::from(reach.ends);
            let needed = exact.width();
            if needed <= allowed {
                continue;
            }
            let witness = Witness::over_type(row, input.datatype);
            let limit = BigInt::one() << (allowed - 1);
            // By how much each end leaves the register; at least one of them does.
            let above = &exact.hi - (&limit - 1u32);
            let below = -(&exact.lo + &limit);
            let (mut worst_input, at, reaches) = if above >= below {
                (witness.max, reach.hi_at, exact.hi)
            } else {
                (witness.min, reach.lo_at, exact.lo)
            };
            for (x, on) in worst_input.iter_mut().zip(matrix.columns_at(at, input)) {
                *x *= i64::from(on);
            }
            violations.push(Violation {
                layer: layer.name.clone(),
                channel,
                width_needed: needed,
                width_allowed: allowed,
                worst_input,
                reaches,
            });
        }
    }
    Ok(violations)
}
