//! Everything that can stop a command, as data; `diagnostic` renders it.

use std::path::PathBuf;

use quantizer::certificate::TargetError;
use quantizer::validate::Invalid;
use sim::tools::ToolError;
use thiserror::Error;

use crate::codes::CodeError;
use crate::data::DataError;
use crate::output_dir::OutputDirError;

/// Why a command stopped. A check that failed is no error: it is a result, with an exit code of its own.
#[derive(Debug, Error)]
pub enum Error {
    /// A model file that is not there, or of a kind that is none.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model that cannot be imported.
    #[error(transparent)]
    Import(#[from] quantizer::import::ImportError),
    /// A stored network that cannot be read.
    #[error("{}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        source: quantizer::store::StoreError,
    },
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Data that cannot become codes.
    #[error(transparent)]
    Codes(#[from] CodeError),
    /// Accumulator targets that do not fit the network.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A network that breaks promises.
    #[error("the network is not valid")]
    Invalid(Vec<Invalid>),
    /// An outside tool that is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The golden model refused.
    #[error(transparent)]
    Golden(#[from] sim::golden::GoldenError),
    /// The generator refused.
    #[error(transparent)]
    Generate(#[from] generator::error::GenerateError),
    /// The cycle engine refused.
    #[error(transparent)]
    Cycle(#[from] sim::cycle::CycleError),
    /// Verilator, or the model that it built, failed.
    #[error(transparent)]
    Verilator(#[from] sim::cosim::CosimError),
    /// Yosys failed.
    #[error(transparent)]
    Yosys(#[from] sim::yosys::YosysError),
    /// The proof could not be run.
    #[error(transparent)]
    Prove(#[from] sim::prove::ProveError),
    /// A generated folder that cannot be written.
    #[error(transparent)]
    OutputDir(#[from] OutputDirError),
    /// A file that cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Stdout that cannot be written, other than by a closed pipe.
    #[error("cannot write to stdout: {0}")]
    Stdout(std::io::Error),
    /// A wrong command line, or a right one that cannot be obeyed.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// The way out.
        help: Option<String>,
    },
}

/// A MODEL that cannot be opened.
#[derive(Debug, Error)]
pub enum ModelError {
    /// Nothing there.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// A file of a similar name beside it.
        similar: Option<String>,
    },
    /// A folder that snug did not generate.
    #[error("{} is a folder that snug did not generate", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// Input options for a network whose input is settled.
    #[error("{option} is for .onnx files: {} says itself what its pins carry", path.display())]
    Settled {
        /// The option.
        option: &'static str,
        /// The model.
        path: PathBuf,
    },
    /// A number that is none.
    #[error("{option}: '{text}' is not a decimal number")]
    Number {
        /// The option.
        option: &'static str,
        /// The text.
        text: String,
    },
    /// A type that is none.
    #[error("--input-type: {0}")]
    InputType(quantizer::import::InputTypeError),
}
