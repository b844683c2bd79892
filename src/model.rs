//! MODEL: an ONNX file, a stored network, or a folder that snug generated.

use std::path::{Path, PathBuf};

use quantizer::import::{Chain, FirstQuant, ImportOptions, Imported, InputType, import};
use quantizer::network::Network;
use quantizer::rational::Rational;
use quantizer::store;

use crate::codes::{Meaning, Normalise, Pins};
use crate::error::{Error, ModelError};
use crate::output_dir;

/// The stored network of a generated folder.
pub const STORED: &str = "network.safetensors";

/// The MODEL, and how to read its input.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// An .onnx file, a snug network (.safetensors) or a generated folder
    pub model: PathBuf,
    /// What the pins carry: a type, divided by a number (u8/255, s16/1024)
    #[arg(long, value_name = "TYPE[/DIVISOR]")]
    pub input_type: Option<String>,
    /// Mean that is subtracted from the input, one for all channels or a list
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true)]
    pub mean: Vec<String>,
    /// Standard deviation that the input is divided by, one for all channels or a list
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub std: Vec<String>,
    /// Shape of the input without the batch, where the file leaves dimensions open (1,28,28)
    #[arg(long, value_name = "DIMS", value_delimiter = ',')]
    pub input_shape: Option<Vec<usize>>,
}

/// A network, and what is known of its past.
pub struct Model {
    /// The integers.
    pub network: Network,
    /// The real-valued meaning behind every Threshold; none for a stored network.
    pub chains: Vec<Chain>,
    /// How real values become the codes of the pins, where the pins carry the first quantizer's.
    pub first_quant: Option<FirstQuant>,
    /// The declared type of the pins.
    pub input_type: Option<InputType>,
    /// Mean and deviation that the data are still to be given.
    pub normalise: Normalise,
    /// The generated folder, if the model is one.
    pub folder: Option<PathBuf>,
    /// Whether it is a network of snug's own: integer data are codes then, as its vectors are.
    pub stored: bool,
}

impl ModelArgs {
    /// A model without further options.
    pub fn of(model: PathBuf) -> Self {
        ModelArgs { model, input_type: None, mean: vec![], std: vec![], input_shape: None }
    }

    /// Opens the model.
    ///
    /// # Errors
    /// If it is not there, cannot be imported or read, or the options do not go with it.
    pub fn open(&self) -> Result<Model, Error> {
        let path = &self.model;
        if !path.exists() {
            return Err(ModelError::Missing { path: path.clone(), similar: similar(path) }.into());
        }
        let normalise = Normalise { mean: numbers("--mean", &self.mean)?, std: numbers("--std", &self.std)? };
        if path.is_dir() {
            if !output_dir::is_ours(path) {
                return Err(ModelError::Folder { path: path.clone() }.into());
            }
            let model = self.stored(&path.join(STORED), normalise)?;
            return Ok(Model { folder: Some(path.clone()), ..model });
        }
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
            return self.stored(path, normalise);
        }
        let (options, normalise) = self.import_options()?;
        let imported = import(path, &options)?;
        Ok(Model::imported(imported, options.input_type, normalise))
    }

    /// What is said about the input of an .onnx file. Mean and deviation belong to a declared type, else to the data.
    ///
    /// # Errors
    /// If a number or the type cannot be read.
    pub fn import_options(&self) -> Result<(ImportOptions, Normalise), Error> {
        let mut normalise = Normalise { mean: numbers("--mean", &self.mean)?, std: numbers("--std", &self.std)? };
        let mut options = ImportOptions { input_shape: self.input_shape.clone(), ..ImportOptions::default() };
        if let Some(text) = &self.input_type {
            let mut input_type: InputType = text.parse().map_err(ModelError::InputType)?;
            let Normalise { mean, std } = std::mem::take(&mut normalise);
            (input_type.mean, input_type.std) = (mean, std);
            options.input_type = Some(input_type);
        }
        Ok((options, normalise))
    }

    /// Opens a stored network, which has settled its own input.
    fn stored(&self, path: &Path, normalise: Normalise) -> Result<Model, Error> {
        let stored = store::load_stored(path).map_err(|source| Error::Store { path: path.to_path_buf(), source })?;
        let settled = stored.first_quant.is_none();
        let options = [
            ("--input-type", self.input_type.is_some()),
            ("--input-shape", self.input_shape.is_some()),
            // Where the file has its first quantizer, data may still be normalised in front of it.
            ("--mean", settled && !self.mean.is_empty()),
            ("--std", settled && !self.std.is_empty()),
        ];
        if let Some((option, _)) = options.into_iter().find(|(_, given)| *given) {
            return Err(ModelError::Settled { option, path: path.to_path_buf() }.into());
        }
        Ok(Model {
            network: stored.network,
            chains: vec![],
            first_quant: stored.first_quant,
            input_type: None,
            normalise,
            folder: None,
            stored: true,
        })
    }
}

impl Model {
    /// A model that has just been imported.
    pub fn imported(imported: Imported, input_type: Option<InputType>, normalise: Normalise) -> Self {
        Model {
            network: imported.network,
            chains: imported.chains,
            first_quant: imported.first_quant,
            input_type,
            normalise,
            folder: None,
            stored: false,
        }
    }

    /// A file of the generated folder, if the model is one that has it.
    pub fn folder_file(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(name)).filter(|path| path.is_file())
    }

    /// What the pins carry, in words.
    pub fn pins_text(&self) -> String {
        match (&self.input_type, &self.first_quant) {
            (Some(input_type), _) => format!("codes divided by {} (--input-type)", input_type.divisor),
            (None, Some(_)) => "codes of the network's first quantizer; simulate quantizes real values".to_owned(),
            (None, None) => "codes".to_owned(),
        }
    }

    /// Calls `with` with what the pins carry.
    pub fn with_pins<T>(&self, with: impl FnOnce(&Pins) -> T) -> T {
        let input = self.network.tensor(self.network.input);
        let pins = |meaning| Pins { datatype: input.datatype, shape: &input.shape, meaning };
        match (&self.input_type, &self.first_quant) {
            (Some(input_type), _) => with(&pins(Meaning::Declared { divisor: input_type.divisor.clone() })),
            (None, Some(first)) => {
                let quantize = |value: &Rational, channel| first.code(value, channel);
                with(&pins(if self.stored { Meaning::Stored(&quantize) } else { Meaning::Quantized(&quantize) }))
            }
            (None, None) => with(&pins(Meaning::Codes)),
        }
    }
}

fn numbers(option: &'static str, list: &[String]) -> Result<Vec<Rational>, ModelError> {
    let number = |text: &String| {
        quantizer::rational::from_decimal(text.trim()).ok_or_else(|| ModelError::Number { option, text: text.clone() })
    };
    list.iter().map(number).collect()
}

/// A file of a similar name in the same folder.
fn similar(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> =
        std::fs::read_dir(folder).ok()?.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    crate::suggest::nearest(&path.file_name()?.to_string_lossy(), names.iter().map(String::as_str))
}
