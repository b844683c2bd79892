//! A float ONNX file as MODEL: its types are of our choosing, its scales those of the calibration data.

use ndarray::Array2;
use num_bigint::BigInt;
use quantizer::float::{self, Bits, FloatError};
use quantizer::import::{ImportOptions, InputType};
use quantizer::onnx::file::{self, OnnxFile};
use quantizer::rational::{Rational, to_f64};

use crate::codes::Normalise;
use crate::data::{self, Selection, Values, Wanted, fit};
use crate::error::Error;
use crate::inputs::InputArgs;
use crate::model::{Model, ModelArgs};

/// The bits of a float network's types.
#[derive(Debug, clap::Args)]
pub struct BitArgs {
    /// Bits of the weights, for a float .onnx file
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(2..=16))]
    pub weight_bits: Option<u32>,
    /// Bits of the activations, for a float .onnx file
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(2..=16))]
    pub activation_bits: Option<u32>,
    /// Bits of the first layer's input, for a float .onnx file; 8 without it
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(2..=16))]
    pub input_bits: Option<u32>,
}

impl BitArgs {
    /// The first of the options that is given.
    pub fn given(&self) -> Option<&'static str> {
        let all = [
            ("--weight-bits", self.weight_bits),
            ("--activation-bits", self.activation_bits),
            ("--input-bits", self.input_bits),
        ];
        all.into_iter().find(|(_, bits)| bits.is_some()).map(|(name, _)| name)
    }
}

/// The file, if it is an ONNX file without anything quantized in it.
pub fn open(args: &ModelArgs) -> Option<OnnxFile> {
    if args.model.is_dir() || args.model.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
        return None;
    }
    // What cannot be read is opened again as any model, and refused there.
    file::read(&args.model).ok().filter(float::is_float)
}

/// A float network quantized: the model, and the real weights of its layers.
///
/// # Errors
/// If bits or calibration data are missing or do not fit, or the network cannot be imported.
pub fn quantize(
    file: &OnnxFile,
    args: &ModelArgs,
    bits: &BitArgs,
    calibration: Option<&InputArgs>,
) -> Result<(Model, Vec<Array2<f64>>), Error> {
    let name = &file.name;
    let usage = |message: String, help: &str| Error::Usage { message, help: Some(help.to_owned()) };
    let (Some(weights), Some(activations)) = (bits.weight_bits, bits.activation_bits) else {
        let message = format!("'{name}' is a float network: its weights and activations need types");
        return Err(usage(message, "--weight-bits 4 --activation-bits 4 --calibration FILE"));
    };
    let Some(calibration) = calibration else {
        let message = format!("'{name}' is a float network: the scales of its activations come from calibration data");
        return Err(usage(message, "--calibration FILE: some hundred samples will do"));
    };
    let (options, normalise) = args.import_options()?;
    let shape = float::input_shape(file, &options)?;
    let samples = real_values(calibration, &shape, &options, &normalise)?;
    let bits = Bits { weights, activations, input: bits.input_bits.unwrap_or(8) };
    let quantized = float::quantize(file, &options, bits, samples.view()).map_err(|e| match e {
        FloatError::Import(e) => e.into(),
        other => usage(format!("'{name}': {other}"), "the samples are the network's inputs, as it was trained on them"),
    })?;
    Ok((Model::imported(quantized.imported, options.input_type, normalise), quantized.weights))
}

/// Calibration samples as the network's input takes them, in floats: from here scales are chosen, and nothing is computed.
fn real_values(
    args: &InputArgs,
    shape: &[usize],
    options: &ImportOptions,
    normalise: &Normalise,
) -> Result<Array2<f64>, Error> {
    let samples = fit::fit(&args.inputs, "input", data::read(&args.inputs)?, Wanted::plain(shape), args.layout)?;
    let indices = Selection { limit: args.limit, seed: args.seed }.indices(samples.count);
    let samples = samples.take(&indices);
    // Integers are codes of a declared input, bytes of images are levels of 255 otherwise.
    let divisor = match (&options.input_type, &samples.values) {
        (Some(input_type), Values::Bytes(_) | Values::Integers(_)) => input_type.divisor.clone(),
        (None, Values::Bytes(_)) if samples.kind.is_pixels() => Rational::from(BigInt::from(255)),
        _ => Rational::from(BigInt::from(1)),
    };
    let divisor = to_f64(&divisor);
    let declared = options
        .input_type
        .as_ref()
        .map(|InputType { mean, std, .. }| Normalise { mean: mean.clone(), std: std.clone() });
    let normalise = declared.as_ref().unwrap_or(normalise);
    let per_channel = (samples.size / shape.first().copied().unwrap_or(1).max(1)).max(1);
    let value = |(sample, i): (usize, usize)| {
        let value = samples.values.float(sample * samples.size + i) / divisor;
        normalise.approximate(value, i / per_channel)
    };
    Ok(Array2::from_shape_fn((samples.count, samples.size), value))
}
