//! A [`Network`] on disk: one `.safetensors` file with integer tensors, and the graph as JSON in its metadata.
//!
//! The same network gives the same bytes; reading them gives the same network back. What is read is checked in full
//! (see [`Network::validate`]): a file that was changed, cut or made up is refused, and never believed.
//!
//! | entry | shape | what |
//! |---|---|---|
//! | metadata `snug` | | JSON: schema, names, topology, datatypes, scales, label grid, notes |
//! | `tensor.{i}.ranges` | `[channels, 2]` | exact range of every channel: lo, hi |
//! | `layer.{i}.weights` | `[outputs, inputs]` | weights of a Dense; of a Conv `[outputs, channels of a group * kernel]` |
//! | `layer.{i}.steps` | `[steps]` | a Threshold's step functions, one after the other |
//! | `layer.{i}.offsets` | `[functions + 1]` | where each begins and ends in `steps` |
//! | `layer.{i}.base` | `[functions]` | smallest code of each |
//! | `layer.{i}.falling` | `[functions]` | 1 where the function falls |
//!
//! Every entry has the smallest of the types I8, I16, I32, I64 that holds its values.

mod graph;
mod integers;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use safetensors::{SafeTensorError, SafeTensors};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::network::Network;
use crate::validate::Invalid;
use graph::Graph;
use integers::{Entries, Integers};

/// Version of the format; files of another one are refused.
pub const SCHEMA: &str = "snug.network/1";

/// The metadata entry that holds the graph.
const KEY: &str = "snug";

/// Why a network could not be stored or loaded.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file cannot be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a safetensors file, or one that is cut or damaged.
    #[error("not a whole safetensors file")]
    Format(#[source] SafeTensorError),
    /// A safetensors file, but not of snug.
    #[error("a safetensors file, but not a snug network: it has no metadata '{KEY}'")]
    NotSnug,
    /// Another version of the format.
    #[error("the file has the format '{found}'; this version of snug reads '{SCHEMA}'")]
    Schema {
        /// The file's own word.
        found: String,
    },
    /// The graph cannot be understood.
    #[error("the graph in the file is damaged")]
    Graph(#[source] serde_json::Error),
    /// An entry is missing.
    #[error("the file lacks the entry '{entry}'")]
    Missing {
        /// Its name.
        entry: String,
    },
    /// An entry that the graph has no use for.
    #[error("the file has an entry '{entry}' that its graph does not use")]
    Unused {
        /// Its name.
        entry: String,
    },
    /// An entry has a wrong type, shape or content.
    #[error("the entry '{entry}' is damaged: {what}")]
    Entry {
        /// Its name.
        entry: String,
        /// What is wrong.
        what: String,
    },
    /// The network breaks promises.
    #[error("the network is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Invalid>),
}

/// The file's content for `network`; the same bytes for the same network.
///
/// # Errors
/// [`StoreError::Invalid`] if it could not be loaded again: the bytes of a network that breaks promises mean nothing.
pub fn to_bytes(network: &Network) -> Result<Vec<u8>, StoreError> {
    network.validate().map_err(StoreError::Invalid)?;
    let (graph, entries) = Graph::of(network);
    let graph = serde_json::to_string(&graph).map_err(StoreError::Graph)?;
    // A single metadata entry: more would come in the random order of a hash map.
    let metadata = HashMap::from([(KEY.to_owned(), graph)]);
    safetensors::serialize(entries, Some(metadata)).map_err(StoreError::Format)
}

/// The network in a file's content.
///
/// # Errors
/// A [`StoreError`] for whatever is not as [`to_bytes`] writes it.
pub fn from_bytes(bytes: &[u8]) -> Result<Network, StoreError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(StoreError::Format)?;
    let graph = header.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or(StoreError::NotSnug)?;
    // The version comes first: another one may have another graph.
    let schema: graph::Schema = serde_json::from_str(graph).map_err(StoreError::Graph)?;
    if schema.schema != SCHEMA {
        return Err(StoreError::Schema { found: schema.schema });
    }
    let graph: Graph = serde_json::from_str(graph).map_err(StoreError::Graph)?;
    let mut entries = Entries::new(SafeTensors::deserialize(bytes).map_err(StoreError::Format)?);
    let network = graph.network(&mut entries)?;
    entries.all_used()?;
    network.validate().map_err(StoreError::Invalid)?;
    Ok(network)
}

/// Writes `network` to `path`, whole or not at all.
///
/// # Errors
/// As [`to_bytes`], and [`StoreError::Io`].
pub fn save(network: &Network, path: &Path) -> Result<(), StoreError> {
    let bytes = to_bytes(network)?;
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    // Written beside it and moved into place, so that nobody ever sees half of it.
    let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The first error is the one to tell; a part that cannot be removed either changes nothing.
        let _ = fs::remove_file(&part);
    }
    written.map_err(io)
}

/// Reads the network at `path`.
///
/// # Errors
/// As [`from_bytes`], and [`StoreError::Io`].
pub fn load(path: &Path) -> Result<Network, StoreError> {
    let bytes = fs::read(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    from_bytes(&bytes)
}

/// SHA-256 of [`to_bytes`], lower-case hexadecimal: the identity of a network.
///
/// # Errors
/// As [`to_bytes`].
pub fn hash(network: &Network) -> Result<String, StoreError> {
    let digest = Sha256::digest(to_bytes(network)?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
