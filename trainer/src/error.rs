//! Why a network cannot be trained.

use std::path::PathBuf;

use thiserror::Error;

/// Why a network cannot be trained.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The configuration is no TOML, or a value has another type than it should.
    #[error("the configuration cannot be read: {0}")]
    Toml(String),
    /// A key that nothing reads.
    #[error("there is no key '{key}' in [{section}]; {}", known(nearest.as_deref(), keys))]
    UnknownKey {
        /// The table it stands in.
        section: String,
        /// The key.
        key: String,
        /// The most similar key that there is.
        nearest: Option<String>,
        /// All keys of the table.
        keys: Vec<&'static str>,
    },
    /// A number outside what makes sense.
    #[error("{key} = {found} in [{section}]: {accepted}")]
    Value {
        /// The table.
        section: String,
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// What would be accepted.
        accepted: String,
    },
    /// An accumulator that no weight but 0 fits.
    #[error(
        "layer '{layer}': an accumulator of {bits} bits is too narrow for any weight but 0 with {input} inputs; it takes at least {smallest} bits"
    )]
    TooNarrow {
        /// The layer.
        layer: String,
        /// The bits asked for.
        bits: u32,
        /// The type of its inputs.
        input: String,
        /// The least that works.
        smallest: u32,
    },
    /// A layer that does not go with the others.
    #[error("layer '{layer}': {reason}; {accepted}")]
    Layer {
        /// The layer.
        layer: String,
        /// What is wrong.
        reason: String,
        /// What would be accepted.
        accepted: String,
    },
    /// A float network to start from that cannot be.
    #[error("{}: {reason}", path.display())]
    Start {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Samples that do not fit together.
    #[error("{0}")]
    Data(String),
    /// The loss left the numbers.
    #[error("the loss is {loss} in epoch {epoch}; a smaller learning_rate (now {learning_rate}) may help")]
    Diverged {
        /// The loss.
        loss: f32,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The learning rate of the configuration.
        learning_rate: f64,
    },
    /// A checkpoint that cannot be read or written.
    #[error("checkpoint {}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The trained network is not what the importer reads: a fault in snug.
    #[error("the trained network does not come back from its export: {0}")]
    Export(String),
}

fn known(nearest: Option<&str>, keys: &[&str]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => format!("there are {}", keys.join(", ")),
    }
}
