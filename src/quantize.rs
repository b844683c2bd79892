//! `snug quantize`: new weights, so that every accumulator meets its target.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use ndarray::Array2;
use quantizer::certificate::Targets;
use quantizer::network::{Network, TensorId};
use quantizer::store;
use quantizer::weights::network::{LayerReport, NetworkError, quantize_network, quantize_real};
use quantizer::weights::{NAMES, WeightError, by_name};
use serde::Serialize;
use sim::golden;

use crate::Outcome;
use crate::console::Console;
use crate::data::Layout;
use crate::error::Error;
use crate::files;
use crate::inputs::InputArgs;
use crate::model::{Model, ModelArgs};
use crate::progress::Progress;
use crate::suggest::nearest;

pub mod float;

/// Constrain a network's weights to accumulator widths, without training
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Widths to be met: 12, or 12,12,16 in layer order, or f.10=12,f.13=16; the method exact needs none
    #[arg(long, value_name = "BITS")]
    accumulator: Option<String>,
    /// How integers are chosen
    #[arg(long, value_name = "METHOD", value_parser = methods())]
    method: String,
    /// Where the network goes (.safetensors)
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Samples for methods that look at data (axe): .npy, IDX (.gz too), PNG file or folder, CSV
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Where the calibration file keeps its channels (without it: where the model's ONNX file does)
    #[arg(long, value_enum)]
    layout: Option<Layout>,
    /// Calibrate with at most so many samples
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Draws the samples of --limit (without it: the first ones)
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    bits: float::BitArgs,
    /// Layers left as they are: first, last, or their names
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    keep: Vec<String>,
    /// Columns per inner accumulator (axe)
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u32).range(1..))]
    tile: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Report {
    method: String,
    output: PathBuf,
    layers: Vec<LayerReport>,
}

/// What `--method` takes: all methods, and the reference that changes nothing.
fn methods() -> PossibleValuesParser {
    PossibleValuesParser::new(NAMES.into_iter().chain([EXACT, "axe-optq"]))
}

/// The method that only takes stock.
const EXACT: &str = "exact";

/// Runs the command.
///
/// # Errors
/// If the model or the calibration data cannot be used, the targets do not fit the network, or a layer has no answer.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    if args.tile.is_some() && !args.method.starts_with("axe") {
        return Err(usage("--tile is for the method axe".to_owned(), None));
    }
    let Some(method) = by_name(&args.method, args.tile.map(|t| t as usize)) else {
        return Err(usage(format!("there is no method '{}'", args.method), None));
    };
    let calibration = args.calibration.as_ref().map(|inputs| InputArgs {
        inputs: inputs.clone(),
        layout: args.layout,
        limit: Some(args.limit),
        seed: args.seed,
    });
    let (model, real) = open(&args.model, &args.bits, calibration.as_ref())?;
    let network = &model.network;
    let mut targets = match &args.accumulator {
        Some(text) => text.parse::<Targets>()?.resolve(network)?,
        None if args.method == EXACT => vec![None; network.matrix_layers().count()],
        None => {
            let help = Some("--accumulator 12, or 12,12,16 in layer order, or f.10=12,f.13=16 by name".to_owned());
            return Err(usage(format!("--method {} needs a width to meet", args.method), help));
        }
    };
    keep(network, &args.keep, &mut targets)?;
    let data = match &calibration {
        Some(calibration) => Some(calibration.read(&model, console)?.codes),
        None => None,
    };
    let activations = data.as_ref().map(|codes| {
        move |network: &Network, TensorId(id): TensorId| {
            let mut tensors = golden::run_all(network, codes.view()).map_err(|e| e.to_string())?;
            Ok(tensors.swap_remove(id))
        }
    });
    let activations = activations.as_ref().map(|a| a as _);
    let result = {
        let _progress = Progress::start(console, format!("quantizing by {}", args.method));
        match &real {
            Some(weights) => quantize_real(network, weights, &targets, method.as_ref(), activations),
            None => quantize_network(network, &targets, method.as_ref(), activations),
        }
    };
    let (quantized, layers) = result.map_err(refused)?;
    let bytes = store::to_bytes_with(&quantized, model.first_quant.as_ref())
        .map_err(|source| Error::Store { path: args.output.clone(), source })?;
    files::write(&args.output, |out| std::io::Write::write_all(out, &bytes))?;
    let report = Report { method: args.method.clone(), output: args.output.clone(), layers };
    if console.json {
        console.print_json("snug.quantize/1", &report)?;
    } else {
        console.print(text(&report))?;
    }
    Ok(Outcome::Fine)
}

/// Real weights, a matrix for each layer that has accumulators.
pub type RealWeights = Vec<Array2<f64>>;

/// The model; and, if it is a float one, its real weights.
///
/// # Errors
/// If it cannot be opened, or its types are given twice or not at all.
pub fn open(
    args: &ModelArgs,
    bits: &float::BitArgs,
    calibration: Option<&InputArgs>,
) -> Result<(Model, Option<RealWeights>), Error> {
    if let Some(file) = float::open(args) {
        let (model, weights) = float::quantize(&file, args, bits, calibration)?;
        return Ok((model, Some(weights)));
    }
    let model = args.open()?;
    match bits.given() {
        Some(option) => {
            let help = Some("leave it out: weights and activations have their types already".to_owned());
            Err(usage(format!("{option} is for float .onnx files: {} is quantized", args.model.display()), help))
        }
        None => Ok((model, None)),
    }
}

/// Takes the targets away from layers that are to be kept.
///
/// # Errors
/// If there is no such layer.
pub fn keep(network: &Network, names: &[String], targets: &mut [Option<u32>]) -> Result<(), Error> {
    let layers: Vec<_> = network.matrix_layers().map(|matrix| matrix.layer).collect();
    for name in names.iter().map(|n| n.trim()) {
        let place = match name {
            "first" => (!layers.is_empty()).then_some(0),
            "last" => layers.len().checked_sub(1),
            _ => layers.iter().position(|l| l.name == name).or_else(|| layers.iter().position(|l| l.node == name)),
        };
        let Some(target) = place.and_then(|place| targets.get_mut(place)) else {
            let similar = nearest(name, layers.iter().flat_map(|l| [l.name.as_str(), l.node.as_str()]));
            let help = similar
                .map_or_else(|| "`snug inspect` lists the layers".to_owned(), |s| format!("did you mean '{s}'?"));
            return Err(usage(format!("--keep: no layer with accumulators is called '{name}'"), Some(help)));
        };
        *target = None;
    }
    Ok(())
}

fn usage(message: String, help: Option<String>) -> Error {
    Error::Usage { message, help }
}

/// A network that cannot be quantized, with the way out.
pub fn refused(error: NetworkError) -> Error {
    let help = match &error {
        NetworkError::Layer { source, layer } => match source {
            WeightError::TooNarrow { smallest, .. } => {
                Some(format!("--accumulator {layer}={smallest} is the least; --keep {layer} leaves the layer as it is"))
            }
            WeightError::Tiles { smallest, .. } => Some(format!("larger tiles (--tile), or {smallest} bits")),
            WeightError::NoCalibration { .. } => Some("--calibration FILE: some hundred samples will do".to_owned()),
            WeightError::NoBitWidth { needed, .. } => {
                Some(format!("{needed} bits, or a method that chooses weights one by one (sign-split)"))
            }
            WeightError::Misses { needed, .. } => {
                Some(format!("--accumulator {layer}={needed}, or a method that changes weights (sign-split)"))
            }
            _ => None,
        },
        _ => None,
    };
    usage(error.to_string(), help)
}

fn text(report: &Report) -> String {
    let width = report.layers.iter().map(|l| l.name.chars().count()).max().unwrap_or(0).max(5);
    let mut lines = vec![format!("{:width$}  target  exact  slack   error  zeros  dead", "layer")];
    for l in &report.layers {
        let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let mut line = format!(
            "{:width$}  {:>6}  {:>5}  {:>5}  {:>6.4}  {:>3.0} %  {:>4}",
            l.name,
            number(l.target),
            l.exact,
            number(l.slack),
            l.error,
            100.0 * l.sparsity,
            l.zero_channels
        );
        if !l.changed {
            line += if l.target.is_some() { "  (fits as it is)" } else { "  (kept)" };
        } else if l.largest_factor > 1 {
            line += &format!("  (grid up to {} times as coarse)", l.largest_factor);
        }
        lines.push(line);
    }
    lines.push(format!("{} written", report.output.display()));
    lines.join("\n")
}
