//! What a training leaves behind: the log of its epochs, and what it ended with.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sim::report::{Curve, Scatter, scatter};
use trainer::run::Epoch;

use crate::error::Error;
use crate::files;

/// One epoch of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Whether codes were trained, or floats.
    pub quantized: bool,
    /// From 1.
    pub epoch: usize,
    /// Mean loss.
    pub loss: f32,
    /// Share of the training samples that were right as they came by.
    pub training: f32,
    /// Test samples that are right after it; floats are not tested.
    pub right: Option<usize>,
    /// Mean squared error on the test samples after it, where there are targets instead of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
}

impl Entry {
    /// The entry of an epoch.
    pub fn of(epoch: &Epoch, tested: Option<Tested>) -> Self {
        let (right, error) = match tested {
            Some(Tested::Right(right)) => (Some(right), None),
            Some(Tested::Error(error)) => (None, Some(error)),
            None => (None, None),
        };
        Entry {
            quantized: epoch.quantized,
            epoch: epoch.epoch,
            loss: epoch.loss,
            training: epoch.accuracy,
            right,
            error,
        }
    }
}

/// How the test samples fare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tested {
    /// So many have their class.
    Right(usize),
    /// Mean squared error from their targets.
    Error(f64),
}

/// The log of the epochs that a checkpoint holds; what came after it was not kept.
pub fn log(folder: &Path, epochs: usize) -> Vec<Entry> {
    let mut log: Vec<Entry> = files::read_json(&folder.join("log.json")).unwrap_or_default();
    log.truncate(epochs);
    log
}

/// Writes the log as `log.json` and `log.csv`.
///
/// # Errors
/// If a file cannot be written.
pub fn write_log(folder: &Path, log: &[Entry]) -> Result<(), Error> {
    files::write(&folder.join("log.json"), |out| Ok(serde_json::to_writer_pretty(out, log)?))?;
    files::write(&folder.join("log.csv"), |out| {
        writeln!(out, "phase,epoch,loss,training_accuracy,test_right,test_error")?;
        for e in log {
            let phase = if e.quantized { "quantized" } else { "float" };
            let right = e.right.map_or_else(String::new, |r| r.to_string());
            let error = e.error.map_or_else(String::new, |e| e.to_string());
            writeln!(out, "{phase},{},{},{},{right},{error}", e.epoch, e.loss, e.training)?;
        }
        Ok(())
    })
}

/// Draws the learning curves, as `accuracy.svg` and `loss.svg`.
///
/// # Errors
/// If a file cannot be written.
pub fn write_curves(folder: &Path, log: &[Entry], test_samples: usize) -> Result<(), Error> {
    let curve = |name: &str, of: &dyn Fn(&Entry) -> Option<f64>| Curve {
        name: name.to_owned(),
        points: (1..)
            .zip(log)
            .filter_map(|(n, e)| of(e).map(|v| (f64::from(n), v, format!("{name}, epoch {n}: {v:.4}"))))
            .collect(),
    };
    let phase =
        |quantized: bool, value: fn(&Entry) -> f64| move |e: &Entry| (e.quantized == quantized).then(|| value(e));
    let accuracy = |e: &Entry| 100.0 * f64::from(e.training);
    let loss = |e: &Entry| f64::from(e.loss);
    let right = |e: &Entry| e.right.map(|r| 100.0 * r as f64 / test_samples.max(1) as f64);
    let plots = [
        Scatter {
            file: "accuracy.svg",
            axes: ["epoch", "samples right, %"],
            // Without classes nothing is right.
            curves: if log.iter().any(|e| e.error.is_some()) {
                vec![]
            } else {
                vec![
                    curve("floats, training", &phase(false, accuracy)),
                    curve("codes, training", &phase(true, accuracy)),
                    curve("codes, test", &right),
                ]
            },
        },
        Scatter {
            file: "loss.svg",
            axes: ["epoch", "mean loss"],
            curves: vec![
                curve("floats", &phase(false, loss)),
                curve("codes", &phase(true, loss)),
                curve("codes, test", &|e: &Entry| e.error),
            ],
        },
    ];
    for plot in plots {
        let drawn = scatter(&plot).map_err(|e| Error::Usage { message: e.to_string(), help: None })?;
        if let Some(chart) = drawn {
            files::write(&folder.join(chart.name), |out| out.write_all(chart.svg.as_bytes()))?;
        }
    }
    Ok(())
}
