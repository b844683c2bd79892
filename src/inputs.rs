//! The samples that simulate and compare run on.

use std::path::PathBuf;

use ndarray::Array2;

use crate::codes;
use crate::console::Console;
use crate::data::{self, Layout, Samples, Selection, Wanted, fit};
use crate::error::Error;
use crate::model::Model;

/// `--inputs` and what selects from it.
#[derive(Debug, clap::Args)]
pub struct InputArgs {
    /// Samples: .npy, IDX (.gz too), PNG file or folder, CSV
    #[arg(long, value_name = "FILE")]
    pub inputs: PathBuf,
    /// Where the file keeps its channels (without it: where the model's ONNX file does)
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// Use at most so many samples
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Draws the samples of --limit (without it: the first ones)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Samples as the pins get them.
pub struct Inputs {
    /// The file that they come from.
    pub path: PathBuf,
    /// The data themselves.
    pub samples: Samples,
    /// What the pins get: `[samples, elements]`.
    pub codes: Array2<i64>,
    /// Which of the file's samples these are.
    pub indices: Vec<usize>,
    /// How many samples the file has.
    pub available: usize,
}

impl InputArgs {
    /// All samples of a file.
    pub fn all(inputs: PathBuf) -> Self {
        InputArgs { inputs, layout: None, limit: None, seed: None }
    }

    /// Reads the samples and brings them to the pins of `model`.
    ///
    /// # Errors
    /// If they cannot be read, have another shape, or are no codes.
    pub fn read(&self, model: &Model, console: &Console) -> Result<Inputs, Error> {
        let wanted = Wanted::input(&model.network);
        let samples = fit::fit(&self.inputs, "input", data::read(&self.inputs)?, wanted, self.layout)?;
        let available = samples.count;
        let indices = Selection { limit: self.limit, seed: self.seed }.indices(available);
        let samples = samples.take(&indices);
        let (codes, notes) = model.with_pins(|pins| codes::codes(&self.inputs, &samples, pins, &model.normalise))?;
        notes.into_iter().for_each(|note| console.note(note));
        Ok(Inputs { path: self.inputs.clone(), samples, codes, indices, available })
    }
}
