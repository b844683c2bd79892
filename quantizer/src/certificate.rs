//! Certificates: what every accumulator of a network can reach, with a worst-case input for each end.
//!
//! A [`Certificate`] is written beside the hardware, and anyone can check it: [`verify`] derives everything again from the
//! network's integers, and adds up every witness by plain multiplication. [`check`] holds a network against the widths
//! that a person asked for.

mod bounds;
mod serial;
mod targets;
mod verify;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::network::{Network, Source};
use crate::store::{self, StoreError};

pub use bounds::{Bounds, ChannelBounds, LayerBounds, Places, Widths};
pub use targets::{TargetError, Targets, Violation, check};
pub use verify::{Difference, verify};

/// Version of the certificate's form.
pub const SCHEMA: &str = "snug.certificate/1";

/// The bounds of every accumulator in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`SCHEMA`].
    pub schema: String,
    /// The network's name.
    pub network: String,
    /// SHA-256 of the network as it is stored, see [`store::hash`]: which integers this certificate speaks of.
    pub network_sha256: String,
    /// The file that the network was imported from.
    pub source: Source,
    /// SHA-256 of each Verilog file that was generated from the network, by path; empty for a network alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// One entry for each layer with accumulators, in the network's order.
    pub layers: Vec<LayerBounds>,
}

impl Certificate {
    /// Derives the certificate of `network` from its integers.
    ///
    /// # Errors
    /// If the network is not valid.
    pub fn of(network: &Network) -> Result<Self, StoreError> {
        // Hashing validates, which the bounds rely on.
        let network_sha256 = store::hash(network)?;
        Ok(Certificate {
            schema: SCHEMA.to_owned(),
            network: network.name.clone(),
            network_sha256,
            source: network.source.clone(),
            files: BTreeMap::new(),
            layers: LayerBounds::of_network(network),
        })
    }
}

#[cfg(test)]
mod tests;
