//! A training from its configuration to its network, resumable after every epoch.

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quantizer::certificate::Certificate;
use quantizer::import::Imported;
use quantizer::store;
use serde::Serialize;
use sim::golden;
use trainer::TrainError;
use trainer::checkpoint;
use trainer::config::Config;
use trainer::run::{Samples, train};
use trainer::state::State;
use trainer::trained::{Trained, codes};

use super::Args;
use super::folder::{Entry, log, write_curves, write_log};
use crate::Outcome;
use crate::console::Console;
use crate::data::{self as files_of, Values};
use crate::error::Error;
use crate::files;

/// Labels are small numbers; one beyond is a file that holds something else.
const CLASSES: usize = 1 << 16;

#[derive(Debug, Serialize)]
struct Report {
    output: PathBuf,
    method: trainer::config::Method,
    float_epochs: usize,
    epochs: usize,
    resumed_after: usize,
    test_samples: usize,
    right: usize,
    accuracy: f64,
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    target: Option<u32>,
    exact: u32,
    zeros: f64,
}

/// Trains, and writes what came of it.
///
/// # Errors
/// If the configuration or the data cannot be used, the loss diverges, a file cannot be written, or the integer network is not what was trained.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let (config, training, test) = data(&args.config, &files::read_text(&args.config)?)?;
    std::fs::create_dir_all(&args.output).map_err(|e| usage(format!("{}: {e}", args.output.display()), None))?;

    let path = args.output.join("checkpoint.safetensors");
    let key = checkpoint::key(&config, &training);
    let mut state = State::new(&config.widths(training.size(), training.classes()), config.training.seed);
    checkpoint::load(&path, &mut state, &key).map_err(|e| fault(&e))?;
    let resumed_after = state.epochs.iter().sum();
    let mut entries = log(&args.output, resumed_after);
    let bar = bar(console, config.training.float_epochs + config.training.epochs);
    bar.set_position(resumed_after as u64);
    let mut failed = None;
    let trained = train(&config, &mut state, &training, |state, epoch| {
        let right = epoch.quantized.then(|| Trained::of(&config, state).right(&test));
        let accuracy = right.map_or_else(String::new, |r| format!(", test {:.2} %", percent(r, test.count())));
        bar.set_message(format!(
            "{} loss {:.4}, training {:.2} %{accuracy}",
            if epoch.quantized { "codes" } else { "floats" },
            epoch.loss,
            100.0 * epoch.accuracy
        ));
        bar.inc(1);
        entries.push(Entry::of(&epoch, right));
        // The log first: a checkpoint without its log would lose a line, a line too many is cut off.
        if let Err(e) = write_log(&args.output, &entries) {
            failed = Some(e);
            return Err(TrainError::Data("the log cannot be written".to_owned()));
        }
        checkpoint::save(&path, state, &key)
    });
    bar.finish_and_clear();
    if let Some(e) = failed {
        return Err(e);
    }
    trained.map_err(|e| fault(&e))?;

    write_curves(&args.output, &entries, test.count())?;

    let trained = Trained::of(&config, &state);
    let imported = trained.network(None).map_err(|e| fault(&e))?;
    let right = compare(&trained, &imported, &test)?;
    let certificate = Certificate::of(&imported.network).map_err(|e| usage(e.to_string(), None))?;
    let file = |name: &str| args.output.join(name);
    files::write(&file("network.onnx"), |out| out.write_all(&trained.onnx_bytes()))?;
    let bytes = store::to_bytes_with(&imported.network, imported.first_quant.as_ref())
        .map_err(|source| Error::Store { path: file("network.safetensors"), source })?;
    files::write(&file("network.safetensors"), |out| out.write_all(&bytes))?;
    files::write(&file("certificate.json"), |out| Ok(serde_json::to_writer_pretty(out, &certificate)?))?;
    let sparsity = trained.sparsity();
    let layers = certificate.layers.iter().zip(sparsity).enumerate().map(|(i, (layer, zeros))| Layer {
        name: layer.name.clone(),
        target: config.accumulator(i),
        exact: layer.accumulator.exact,
        zeros,
    });
    let report = Report {
        output: args.output.clone(),
        method: config.accumulator.method,
        float_epochs: config.training.float_epochs,
        epochs: config.training.epochs,
        resumed_after,
        test_samples: test.count(),
        right,
        accuracy: right as f64 / test.count() as f64,
        layers: layers.collect(),
    };
    if console.json {
        console.print_json("snug.train/1", &report)?;
    } else {
        console.print(text(&report))?;
    }
    Ok(Outcome::Fine)
}

/// The configuration in `text`, the content of the file `path`, with its training and its test samples, whose paths are relative to it.
///
/// # Errors
/// If the configuration or the data cannot be used, or do not fit together.
pub fn data(path: &Path, text: &str) -> Result<(Config, Samples, Samples), Error> {
    let config = Config::parse(text).map_err(|e| usage(format!("{}: {e}", path.display()), None))?;
    let Some(paths) = &config.data else {
        let help = "[data] with train, train_labels, test and test_labels: .npy, IDX (.gz too) or CSV files";
        return Err(usage(format!("{}: there is no [data]", path.display()), Some(help)));
    };
    let beside = |file: &Path| path.parent().unwrap_or(Path::new("")).join(file);
    let training = samples(&beside(&paths.train), &beside(&paths.train_labels))?;
    let test = samples(&beside(&paths.test), &beside(&paths.test_labels))?;
    if test.size() != training.size() || test.classes() > training.classes() {
        let (a, b) = (training.size(), test.size());
        let (c, d) = (training.classes(), test.classes());
        return Err(usage(format!("training samples have {a} values and {c} classes, test samples {b} and {d}"), None));
    }
    Ok((config, training, test))
}

/// Runs the integer network over the test samples: as many right as it says, if each sample has the class that training gave it.
///
/// # Errors
/// If a sample has another class, or golden refuses the network.
pub fn compare(trained: &Trained, imported: &Imported, test: &Samples) -> Result<usize, Error> {
    let ours = trained.classes(test);
    let Some(first) = imported.first_quant.as_ref() else {
        return Err(usage("the trained network's input lost its Quant: a fault in snug".to_owned(), None));
    };
    let grid = imported.network.label_grid.as_ref().map_err(|reason| usage(reason.clone(), None))?;
    let codes = codes(first, test);
    let outputs = golden::run(&imported.network, codes.view()).map_err(|e| usage(e.to_string(), None))?;
    let labels = golden::label(outputs.view(), grid);
    if let Some(sample) = (0..ours.len()).find(|&s| ours[s] != labels[s]) {
        let (a, b) = (ours[sample], labels[sample]);
        return Err(usage(
            format!("test sample {sample} is class {a} in training and {b} in the integer network"),
            None,
        ));
    }
    Ok(labels.iter().zip(test.labels()).filter(|(a, b)| a == b).count())
}

/// Samples with values 0 to 1: bytes are pixels.
fn samples(path: &Path, labels: &Path) -> Result<Samples, Error> {
    let classes = files_of::labels::labels(labels, CLASSES).map_err(|e| usage(e.to_string(), None))?;
    let array = files_of::read(path).map_err(|e| usage(e.to_string(), None))?;
    let values: Vec<f32> = match &array.values {
        Values::Bytes(v) => v.iter().map(|&b| f32::from(b) / 255.0).collect(),
        Values::Integers(v) => v.iter().map(|&v| v as f32).collect(),
        Values::Floats(v, _) => v.iter().map(|&v| v as f32).collect(),
    };
    let size = values.len() / classes.len().max(1);
    Samples::new(values, size, classes)
        .map_err(|e| usage(format!("{} with {}: {e}", path.display(), labels.display()), None))
}

fn bar(console: &Console, epochs: usize) -> ProgressBar {
    let target = if console.talks() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(epochs as u64), target);
    // A fixed template: nothing that could be wrong about it at run time.
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} epochs, {eta} left  {msg}") {
        bar.set_style(style);
    }
    bar
}

fn percent(right: usize, of: usize) -> f64 {
    100.0 * right as f64 / of.max(1) as f64
}

fn usage(message: String, help: Option<&str>) -> Error {
    Error::Usage { message, help: help.map(str::to_owned) }
}

fn fault(error: &TrainError) -> Error {
    usage(error.to_string(), None)
}

fn text(report: &Report) -> String {
    let width = report.layers.iter().map(|l| l.name.chars().count()).max().unwrap_or(0).max(5);
    let mut lines = vec![format!("{:width$}  target  exact  zeros", "layer")];
    for l in &report.layers {
        let target = l.target.map_or_else(|| "-".to_owned(), |t| t.to_string());
        lines.push(format!("{:width$}  {target:>6}  {:>5}  {:>3.0} %", l.name, l.exact, 100.0 * l.zeros));
    }
    lines.push(format!(
        "{} of {} test samples right ({:.2} %), in training and in integers, sample by sample",
        report.right,
        report.test_samples,
        100.0 * report.accuracy
    ));
    lines.push(format!(
        "{}: network.onnx, network.safetensors, certificate.json, accuracy.svg, loss.svg, log.csv",
        report.output.display()
    ));
    lines.join("\n")
}
