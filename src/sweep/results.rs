//! What a sweep found: as JSON, CSV and text, with the same bytes for the same results.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measure::Sweep;
use super::plan::Task;
use crate::console::json;
use crate::error::Error;
use crate::files;

/// Version of `results.json`.
pub const SCHEMA: &str = "snug.sweep/1";
/// Version of a point's file. To be raised whenever a point measures something else: its key changes with it.
pub const POINT_SCHEMA: &str = "snug.sweep.point/2";

/// One width, one method.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// How integers were chosen; `exact` for the network as it came.
    pub method: String,
    /// Bits that every accumulator had to fit.
    pub accumulator: Option<u32>,
    /// Right samples, as a part of all.
    pub accuracy: Option<f64>,
    /// Zero weights, as a part of all.
    pub sparsity: Option<f64>,
    /// LUTs of all uses on xc7, from the plan.
    pub lut_estimate: Option<u64>,
    /// LUTs of all uses on xc7, by Yosys.
    pub lut: Option<u64>,
    /// Right samples.
    pub correct: Option<usize>,
    /// All samples.
    pub samples: usize,
    /// Bits of the widest accumulator, as its certificate proves them.
    pub exact: Option<u32>,
    /// Cycles between frames.
    pub interval: Option<u64>,
    /// Why there are no figures.
    pub error: Option<String>,
    /// The integers that were measured.
    pub network_sha256: Option<String>,
    /// Name of the result in `points/`.
    pub key: String,
    /// Layers with accumulators, in order.
    pub layers: Vec<Layer>,
}

/// A layer of a point.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Bits of its widest accumulator over the declared type of its inputs.
    pub exact: u32,
    /// Bits that the hardware has.
    pub used: u32,
    /// Weights that are not zero.
    pub nonzero: usize,
    /// All weights.
    pub total: usize,
}

impl Point {
    /// A point before it is measured.
    pub fn new(task: &Task, samples: usize) -> Self {
        Point {
            method: task.method.clone(),
            accumulator: task.accumulator,
            accuracy: None,
            sparsity: None,
            lut_estimate: None,
            lut: None,
            correct: None,
            samples,
            exact: None,
            interval: None,
            error: None,
            network_sha256: None,
            key: task.key.clone(),
            layers: vec![],
        }
    }
}

/// All points.
pub struct Results {
    /// What `results.json` holds beside its schema.
    pub body: Body,
}

/// The keys of `results.json`.
#[derive(Debug, Serialize)]
pub struct Body {
    /// The network's name.
    pub network: String,
    /// SHA-256 of the file that it came from.
    pub source_sha256: String,
    /// The network as it came; none where the sweep has no such point.
    pub original: Option<Point>,
    /// Method by method, from narrow to wide.
    pub points: Vec<Point>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    body: &'a Body,
}

impl Results {
    /// The points in their order; the first without a target is the network as it came.
    pub fn new(sweep: &Sweep, points: Vec<Point>) -> Self {
        let (mut original, points): (Vec<_>, Vec<_>) = points.into_iter().partition(|p| p.accumulator.is_none());
        let network = &sweep.model.network;
        let (name, source_sha256) = (network.name.clone(), network.source.sha256.clone());
        Results { body: Body { network: name, source_sha256, original: original.pop(), points } }
    }

    /// Writes `results.json` and `results.csv`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let text = json(&Document { schema: SCHEMA, body: &self.body }) + "\n";
        files::write(&folder.join("results.json"), |out| std::io::Write::write_all(out, text.as_bytes()))?;
        files::write(&folder.join("results.csv"), |out| {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record([
                "method",
                "accumulator",
                "accuracy",
                "sparsity",
                "lut_estimate",
                "lut",
                "correct",
                "samples",
                "exact",
                "interval",
                "error",
            ])?;
            for p in self.all() {
                csv.write_record([
                    p.method.clone(),
                    text_of(p.accumulator),
                    text_of(p.accuracy),
                    text_of(p.sparsity),
                    text_of(p.lut_estimate),
                    text_of(p.lut),
                    text_of(p.correct),
                    p.samples.to_string(),
                    text_of(p.exact),
                    text_of(p.interval),
                    text_of(p.error.as_ref()),
                ])?;
            }
            csv.flush()
        })
    }

    /// The network as it came, then all points.
    pub fn all(&self) -> impl Iterator<Item = &Point> {
        self.body.original.iter().chain(&self.body.points)
    }

    /// For people.
    pub fn text(&self, folder: &Path) -> String {
        let mut lines = vec![format!("{:15}  bits  accuracy  zeros  LUT est.     LUT", "method")];
        for p in self.all() {
            let bits = p.accumulator.or(p.exact);
            let head = format!("{:15}  {:>4}", p.method, text_of(bits));
            lines.push(match &p.error {
                Some(error) => format!("{head}  {error}"),
                None => format!(
                    "{head}  {:>6.2} %  {:>3.0} %  {:>8}  {:>6}",
                    100.0 * p.accuracy.unwrap_or(0.0),
                    100.0 * p.sparsity.unwrap_or(0.0),
                    text_of(p.lut_estimate),
                    p.lut.map_or_else(|| "-".to_owned(), |l| l.to_string())
                ),
            });
        }
        lines.push(format!("{} written", folder.join("report.html").display()));
        lines.join("\n")
    }
}

/// A value, or nothing.
pub fn text_of(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}
