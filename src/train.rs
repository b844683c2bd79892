//! `snug train`: quantization-aware training whose accumulators fit by construction.
//!
//! Training is the cargo feature `train`: the crate that knows gradients is larger than all the rest of snug.

use std::path::PathBuf;

#[cfg(feature = "train")]
mod data;
#[cfg(feature = "train")]
mod folder;
#[cfg(feature = "train")]
pub mod session;

#[cfg(feature = "train")]
pub use session::run;

/// Train a network whose accumulators fit by construction (cargo feature `train`)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Network, accumulators, training and data (TOML; see docs/train.md)
    config: PathBuf,
    /// Folder of results; a training that was stopped goes on from what lies there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Says how to get a snug that trains.
///
/// # Errors
/// Always.
#[cfg(not(feature = "train"))]
pub fn run(args: &Args, _: &crate::console::Console) -> Result<crate::Outcome, crate::error::Error> {
    Err(crate::error::Error::Usage {
        message: format!(
            "cannot train {} into {}: this snug was built without training",
            args.config.display(),
            args.output.display()
        ),
        help: Some("build it with training: cargo build --release --features train".to_owned()),
    })
}
