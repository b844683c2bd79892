//! A training from its configuration to its network, resumable after every epoch.

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ndarray::Array2;
use quantizer::certificate::Certificate;
use quantizer::import::Imported;
use quantizer::store;
use serde::Serialize;
use sim::golden;
use trainer::TrainError;
use trainer::checkpoint;
use trainer::config::{Config, Loss};
use trainer::graph::Graph;
use trainer::run::{Samples, train};
use trainer::start;
use trainer::state::State;
use trainer::trained::{Trained, codes};

use super::Args;
use super::data::{same_classes, sets};
use super::folder::{Entry, Tested, log, write_curves, write_log};
use crate::Outcome;
use crate::console::Console;
use crate::error::Error;
use crate::files;

#[derive(Debug, Serialize)]
struct Report {
    output: PathBuf,
    method: trainer::config::Method,
    float_epochs: usize,
    epochs: usize,
    resumed_after: usize,
    test_samples: usize,
    /// Where there are classes.
    right: Option<usize>,
    accuracy: Option<f64>,
    /// Mean squared error, where there are targets.
    error: Option<f64>,
    /// Bits of activations, as they are or as the search has chosen them.
    activation_bits: Vec<u32>,
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
    let (config, [training, test]) = read(&args.config)?;
    std::fs::create_dir_all(&args.output).map_err(|e| usage(format!("{}: {e}", args.output.display()), None))?;

    let path = args.output.join("checkpoint.safetensors");
    let graph = Graph::new(&config, training.size(), training.classes()).map_err(|e| fault(&e))?;
    let mut state = State::new(&graph, config.training.seed);
    if let Some(file) = &config.training.start {
        start::load(&beside(&args.config, file), &graph, &mut state).map_err(|e| fault(&e))?;
    }
    let key = checkpoint::key(&config, &state, &training);
    checkpoint::load(&path, &mut state, &key).map_err(|e| fault(&e))?;
    let resumed_after = state.epochs.iter().sum();
    let mut entries = log(&args.output, resumed_after);
    let bar = bar(console, config.training.float_epochs() + config.training.epochs);
    bar.set_position(resumed_after as u64);
    let mut failed = None;
    let trained = train(&config, &graph, &mut state, &training, |state, epoch| {
        let tested = epoch.quantized.then(|| tested(&Trained::of(&graph, state), &test));
        let result = match tested {
            Some(Tested::Right(right)) => format!(", test {:.2} %", percent(right, test.count())),
            Some(Tested::Error(error)) => format!(", test error {error:.6}"),
            None => String::new(),
        };
        let share = match config.training.loss {
            Loss::CrossEntropy => format!(", training {:.2} %", 100.0 * epoch.accuracy),
            Loss::Mse => String::new(),
        };
        let phase = if epoch.quantized { "codes" } else { "floats" };
        bar.set_message(format!("{phase} loss {:.4}{share}{result}", epoch.loss));
        bar.inc(1);
        entries.push(Entry::of(&epoch, tested));
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

    let trained = Trained::of(&graph, &state);
    let imported = trained.network(None).map_err(|e| fault(&e))?;
    let (right, error) = match compare(&trained, &imported, &test)? {
        Tested::Right(right) => (Some(right), None),
        Tested::Error(error) => (None, Some(error)),
    };
    let certificate = Certificate::of(&imported.network).map_err(|e| usage(e.to_string(), None))?;
    let file = |name: &str| args.output.join(name);
    files::write(&file("network.onnx"), |out| out.write_all(&trained.onnx_bytes()))?;
    let bytes = store::to_bytes_with(&imported.network, imported.first_quant.as_ref())
        .map_err(|source| Error::Store { path: file("network.safetensors"), source })?;
    files::write(&file("network.safetensors"), |out| out.write_all(&bytes))?;
    files::write(&file("certificate.json"), |out| Ok(serde_json::to_writer_pretty(out, &certificate)?))?;
    let sparsity = trained.sparsity();
    let layers = certificate.layers.iter().zip(sparsity).zip(graph.matrices());
    let layers = layers.map(|((layer, zeros), (_, matrix))| Layer {
        name: layer.name.clone(),
        target: matrix.accumulator,
        exact: layer.accumulator.exact,
        zeros,
    });
    let report = Report {
        output: args.output.clone(),
        method: config.accumulator.method,
        float_epochs: config.training.float_epochs(),
        epochs: config.training.epochs,
        resumed_after,
        test_samples: test.count(),
        right,
        accuracy: right.map(|r| r as f64 / test.count() as f64),
        error,
        activation_bits: state.bits.clone(),
        layers: layers.collect(),
    };
    if console.json {
        console.print_json("snug.train/1", &report)?;
    } else {
        console.print(text(&report))?;
    }
    Ok(Outcome::Fine)
}

/// The configuration at `path` with its training and its test samples.
///
/// # Errors
/// If the configuration or the data cannot be used, or do not fit together.
pub fn read(path: &Path) -> Result<(Config, [Samples; 2]), Error> {
    let config =
        Config::parse(&files::read_text(path)?).map_err(|e| usage(format!("{}: {e}", path.display()), None))?;
    let Some(paths) = &config.data else {
        let help = "[data] with train, train_labels, test and test_labels: .npy, IDX (.gz too) or CSV files, CIFAR-10 batches or folders of PNG files";
        return Err(usage(format!("{}: there is no [data]", path.display()), Some(help)));
    };
    let [training, test] = sets(&config, paths, |file| beside(path, file))?;
    same_classes(&beside(path, &paths.train), &beside(path, &paths.test))?;
    if test.size() != training.size() || test.classes() > training.classes() {
        let (a, b) = (training.size(), test.size());
        let (c, d) = (training.classes(), test.classes());
        return Err(usage(format!("training samples have {a} values and {c} classes, test samples {b} and {d}"), None));
    }
    Ok((config, [training, test]))
}

/// A file that a configuration names, which is beside it.
pub fn beside(config: &Path, file: &Path) -> PathBuf {
    config.parent().unwrap_or(Path::new("")).join(file)
}

/// How a network fares in training's own arithmetic.
fn tested(trained: &Trained, test: &Samples) -> Tested {
    if test.labels().is_empty() { Tested::Error(trained.error(test)) } else { Tested::Right(trained.right(test)) }
}

/// Runs the integer network over the test samples: as many right as it says, if each sample has the class (or, where there are none, the values) that training
/// gave it.
///
/// # Errors
/// If a sample has another, or golden refuses the network.
pub fn compare(trained: &Trained, imported: &Imported, test: &Samples) -> Result<Tested, Error> {
    let Some(first) = imported.first_quant.as_ref() else {
        return Err(usage("the trained network's input lost its Quant: a fault in snug".to_owned(), None));
    };
    let codes = codes(first, test);
    let outputs = golden::run(&imported.network, codes.view()).map_err(|e| usage(e.to_string(), None))?;
    if test.labels().is_empty() {
        return same_values(trained, imported, &outputs, test);
    }
    let ours = trained.classes(test);
    let grid = imported.network.label_grid.as_ref().map_err(|reason| usage(reason.clone(), None))?;
    let labels = golden::label(outputs.view(), grid);
    if let Some(sample) = (0..ours.len()).find(|&s| ours[s] != labels[s]) {
        let (a, b) = (ours[sample], labels[sample]);
        return Err(usage(
            format!("test sample {sample} is class {a} in training and {b} in the integer network"),
            None,
        ));
    }
    Ok(Tested::Right(labels.iter().zip(test.labels()).filter(|(a, b)| a == b).count()))
}

/// The same for values: equal but for the last bits of real numbers.
fn same_values(trained: &Trained, imported: &Imported, outputs: &Array2<i64>, test: &Samples) -> Result<Tested, Error> {
    let output = imported.network.tensor(imported.network.output);
    let Some(scales) = output.scale.as_ref().filter(|s| !s.is_empty()) else {
        return Err(usage("the trained network's outputs lost their scale: a fault in snug".to_owned(), None));
    };
    let places = outputs.ncols() / output.shape.first().copied().unwrap_or(1).max(1);
    for (sample, row) in outputs.rows().into_iter().enumerate() {
        for (i, (&code, ours)) in row.iter().zip(trained.outputs(test.row(sample))).enumerate() {
            let scale = scales[if scales.len() == 1 { 0 } else { i / places.max(1) }];
            let value = scale.factor * code as f64 + scale.offset;
            if (value - ours).abs() > 1e-9 * (1.0 + ours.abs()) {
                let message =
                    format!("output {i} of test sample {sample} is {ours} in training and {value} in integers");
                return Err(usage(message, None));
            }
        }
    }
    Ok(Tested::Error(trained.error(test)))
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

pub(super) fn usage(message: String, help: Option<&str>) -> Error {
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
    let of = report.test_samples;
    lines.extend(report.right.map(|right| {
        let percent = percent(right, of);
        format!("{right} of {of} test samples right ({percent:.2} %), in training and in integers, sample by sample")
    }));
    lines.extend(report.error.map(|error| {
        format!("mean squared error {error:.6} on {of} test samples, in training and in integers, value by value")
    }));
    lines.push(format!(
        "{}: network.onnx, network.safetensors, certificate.json, accuracy.svg, loss.svg, log.csv",
        report.output.display()
    ));
    lines.join("\n")
}
