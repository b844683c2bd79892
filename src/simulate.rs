//! `snug simulate`: a network on data, in one engine or in all of them.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};
use quantizer::network::Network;
use serde::Serialize;
use sim::golden;

use crate::Outcome;
use crate::console::{Console, json};
use crate::data::{DataError, Wanted, labels, npy, npz};
use crate::error::Error;
use crate::files;
use crate::folding::FoldingArgs;
use crate::inputs::{InputArgs, Inputs};
use crate::model::ModelArgs;
use crate::progress::Progress;

mod engines;
mod picture;
mod problem;

use problem::Problem;

/// Run a network on data
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    inputs: InputArgs,
    /// What computes
    #[arg(long, value_enum, default_value = "cycle")]
    engine: Engine,
    #[command(flatten)]
    folding: FoldingArgs,
    /// Random gaps at the input, random stalls at the output; --seed draws them
    #[arg(long, value_enum, default_value = "none")]
    stall: StallArg,
    /// Class indices of all samples of --inputs: .npy, IDX or CSV (of a folder of PNG files: name,class), CIFAR-10 batches, or a folder with a sub-folder of PNG files for each class
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Write the outputs: .npy in real units and in the shape of the ONNX output, or images of codes as .png
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,
    /// Write integers instead of real units
    #[arg(long)]
    raw: bool,
    /// Write every tensor (golden's) as .npz, keyed by its ONNX name
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// Write waves (.vcd or .fst) of the Verilog
    #[arg(long, value_name = "FILE")]
    waves: Option<PathBuf>,
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// The network on integers
    Golden,
    /// The hardware clock by clock, in snug
    Cycle,
    /// The emitted Verilog, in Verilator
    Verilator,
    /// All of them, compared with each other
    All,
}

/// Where streams wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StallArg {
    /// Nowhere
    None,
    /// Gaps between input beats
    Input,
    /// An output that is not ready
    Output,
    /// Both
    Both,
}

/// One engine's run; the keys of cli.md come first.
#[derive(Debug, Serialize)]
struct Summary {
    engine: &'static str,
    samples: usize,
    /// Samples whose largest output is their label's; null without labels.
    correct: Option<usize>,
    /// Output elements that differ from golden's.
    mismatches: usize,
    cycles: Option<u64>,
    interval: Option<u64>,
    latency: Option<u64>,
    /// Values that did not fit their register; null where the engine does not watch.
    overflows: Option<u64>,
    /// The first places where things went wrong, each with the command that replays it.
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Versioned<'a> {
    schema: &'static str,
    #[serde(flatten)]
    summary: &'a Summary,
}

const SCHEMA: &str = "snug.simulate/1";

/// Runs the command.
///
/// # Errors
/// If model or data cannot be used, a tool is missing or fails, or a file cannot be written.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let model = args.model.open()?;
    let network = &model.network;
    let inputs = args.inputs.read(&model, console)?;
    let labels = args.labels.as_ref().map(|path| labels_of(path, args, &inputs, network)).transpose()?;
    let picture =
        args.outputs.as_deref().filter(|p| picture::asked(p)).map(|_| picture::format(network)).transpose()?;
    if args.outputs.is_some() && picture.is_none() && !args.raw && network.tensor(network.output).scale.is_none() {
        return Err(Error::Usage {
            message: format!("the codes of the output '{}' have no affine meaning in real units", network.output_name),
            help: Some("--raw writes the integers".to_owned()),
        });
    }
    let reference = {
        let _progress = Progress::start(console, format!("golden: {} samples", inputs.codes.nrows()));
        golden::run(network, inputs.codes.view())?
    };
    let answers = engines::run(args, &model, &inputs, &reference, console)?;
    // Every engine is compared with golden; the last one's outputs are those asked for.
    if let (Some(path), Some(last)) = (&args.outputs, answers.last()) {
        match picture {
            Some(format) => picture::write(path, format, &last.outputs)?,
            None => files::write(path, |out| write_outputs(out, network, last.outputs.view(), args.raw))?,
        }
    }
    if let Some(path) = &args.dump {
        let tensors = golden::run_all(network, inputs.codes.view())?;
        files::write(path, |out| dump(out, network, &tensors, args.raw, console))?;
    }
    let summaries: Vec<Summary> = answers
        .into_iter()
        .map(|a| Summary {
            engine: a.engine,
            samples: a.outputs.nrows(),
            correct: correct(network, a.outputs.view(), labels.as_deref(), console),
            mismatches: a.outputs.iter().zip(&reference).filter(|(got, expected)| got != expected).count(),
            cycles: a.cycles,
            interval: a.interval,
            latency: a.latency,
            overflows: a.overflows,
            problems: a.problems,
        })
        .collect();
    match &summaries[..] {
        [summary] if console.json => console.print_json(SCHEMA, summary)?,
        all if console.json => {
            let all: Vec<Versioned> = all.iter().map(|summary| Versioned { schema: SCHEMA, summary }).collect();
            console.print(json(&all))?;
        }
        all => console.print(all.iter().map(text).collect::<Vec<_>>().join("\n"))?,
    }
    let fine = summaries.iter().all(|s| s.mismatches == 0 && s.problems.is_empty());
    Ok(if fine { Outcome::Fine } else { Outcome::Failed })
}

/// The labels of the selected samples.
fn labels_of(path: &Path, args: &Args, inputs: &Inputs, network: &Network) -> Result<Vec<usize>, Error> {
    let classes = network.tensor(network.output).shape.iter().product();
    let all = labels::labels_of(&args.inputs.inputs, path, classes)?;
    if all.len() != inputs.available {
        return Err(DataError::Count {
            path: path.to_path_buf(),
            found: all.len(),
            other: args.inputs.inputs.clone(),
            expected: inputs.available,
        }
        .into());
    }
    Ok(inputs.indices.iter().map(|&i| all[i]).collect())
}

/// How many samples have their largest output at their label, ties to the lowest class.
fn correct(network: &Network, outputs: ArrayView2<i64>, labels: Option<&[usize]>, console: &Console) -> Option<usize> {
    let labels = labels?;
    match &network.label_grid {
        Ok(grid) => Some(golden::label(outputs, grid).iter().zip(labels).filter(|(a, b)| a == b).count()),
        Err(why) => {
            console.note(format!("labels are not compared: {why}"));
            None
        }
    }
}

fn write_outputs(
    out: &mut BufWriter<File>,
    network: &Network,
    outputs: ArrayView2<i64>,
    raw: bool,
) -> std::io::Result<()> {
    // The batch is the first dimension of the ONNX output, where the shape has one.
    let mut shape = network.output_shape.clone();
    match shape.first_mut() {
        Some(batch) => *batch = outputs.nrows(),
        None => shape = outputs.shape().to_vec(),
    }
    if shape.iter().product::<usize>() != outputs.len() {
        shape = outputs.shape().to_vec();
    }
    let order = Wanted::output(network);
    match network.tensor(network.output).scale.as_deref().filter(|_| !raw) {
        Some(scales) => npy::write(out, &shape, &order.file_order(golden::real(outputs, scales))),
        None => npy::write(out, &shape, &order.file_order(outputs.iter().copied())),
    }
}

/// Every tensor once, under its ONNX name: in real units, or (`raw`) as integers.
fn dump(
    out: &mut BufWriter<File>,
    network: &Network,
    tensors: &[Array2<i64>],
    raw: bool,
    console: &Console,
) -> std::io::Result<()> {
    let mut archive = npz::Writer::new(out);
    let mut written = std::collections::HashSet::new();
    for (tensor, codes) in network.tensors.iter().zip(tensors) {
        if !written.insert(&tensor.name) {
            continue;
        }
        let order = match std::ptr::eq(tensor, network.tensor(network.output)) && network.output_channels_last {
            true => Wanted::output(network),
            false => Wanted::plain(&tensor.shape),
        };
        let shape = [&[codes.nrows()], order.shape].concat();
        match &tensor.scale {
            _ if raw => archive.add(&tensor.name, &shape, &order.file_order(codes.iter().copied()))?,
            Some(scales) => {
                archive.add(&tensor.name, &shape, &order.file_order(golden::real(codes.view(), scales)))?;
            }
            None => console
                .note(format!("'{}' is left out: its codes have no affine meaning (--raw writes them)", tensor.name)),
        }
    }
    archive.finish()
}

fn text(s: &Summary) -> String {
    let mut text = format!("{:9}  {} samples", s.engine, s.samples);
    if let Some(correct) = s.correct {
        let percent = 100.0 * correct as f64 / s.samples.max(1) as f64;
        text += &format!(", {correct} right ({percent:.2} %)");
    }
    if s.engine != "golden" {
        text += &match s.mismatches {
            0 => ", equal to golden".to_owned(),
            n => format!(", {n} outputs DIFFER from golden"),
        };
    }
    for (name, figure) in [("cycles", s.cycles), ("interval", s.interval), ("latency", s.latency)] {
        if let Some(figure) = figure {
            text += &format!(", {name} {figure}");
        }
    }
    for problem in &s.problems {
        text += &format!("\n  {problem}");
    }
    text
}
