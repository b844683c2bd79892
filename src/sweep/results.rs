//! What a sweep found: as JSON, CSV and text, with the same bytes for the same results.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measure::Sweep;
use super::plan::Task;
use super::reduction::Reduction;
use crate::console::json;
use crate::error::Error;
use crate::files;

/// Version of `results.json`.
pub const SCHEMA: &str = "snug.sweep/2";
/// Version of a point's file. To be raised whenever a point measures something else: its key changes with it.
pub const POINT_SCHEMA: &str = "snug.sweep.point/4";

/// One width, one method.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// How integers were chosen; `exact` for the network as it came, `unconstrained` for the one trained so.
    pub method: String,
    /// Bits that every accumulator had to fit.
    pub accumulator: Option<u32>,
    /// Which of the sweep's foldings it was built with.
    pub folding: String,
    /// How wide its registers are: `channel` for exact in each processing element, or bits.
    pub registers: String,
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
    /// Whether another time may do better: a tool failed. Such a point is measured again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry: bool,
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
    pub fn new(task: &Task, samples: usize, folding: &str) -> Self {
        Point {
            method: task.what.method.clone(),
            accumulator: task.what.accumulator,
            folding: folding.to_owned(),
            registers: task.registers.to_string(),
            accuracy: None,
            sparsity: None,
            lut_estimate: None,
            lut: None,
            correct: None,
            samples,
            exact: None,
            interval: None,
            error: None,
            retry: false,
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
    /// Foldings in their order.
    pub foldings: Vec<String>,
}

/// The keys of `results.json`.
#[derive(Debug, Serialize)]
pub struct Body {
    /// The network's name.
    pub network: String,
    /// SHA-256 of the file that it came from.
    pub source_sha256: String,
    /// The Yosys that counted LUTs; null where none did.
    pub yosys: Option<String>,
    /// Right samples of the network with floats; null where none was trained.
    pub float_correct: Option<usize>,
    /// The network as it came, or trained without a constraint, with every folding: with exact registers, then with those of 32 bits.
    pub references: Vec<Point>,
    /// Method by method, from narrow to wide, each with every folding.
    pub points: Vec<Point>,
    /// What narrow accumulators save; null where no point is accurate enough.
    pub reduction: Option<Reduction>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    body: &'a Body,
}

impl Results {
    /// The points in their order; those without a target are the references.
    ///
    /// # Errors
    /// If the floats cannot be trained.
    pub fn new(sweep: &Sweep, points: Vec<Point>) -> Result<Self, Error> {
        let (references, points): (Vec<_>, Vec<_>) = points.into_iter().partition(|p| p.accumulator.is_none());
        let (network, source_sha256) = sweep.source.name();
        let float_correct = sweep.source.float()?;
        let foldings = sweep.foldings.iter().map(|f| f.name.clone()).collect();
        let yosys = sweep.yosys().map(str::to_owned);
        let mut body = Body { network, source_sha256, yosys, float_correct, references, points, reduction: None };
        body.reduction = Reduction::of(&body);
        Ok(Results { body, foldings })
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
                "folding",
                "registers",
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
                    p.folding.clone(),
                    p.registers.clone(),
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

    /// The references, then all points.
    pub fn all(&self) -> impl Iterator<Item = &Point> {
        self.body.references.iter().chain(&self.body.points)
    }

    /// For people.
    pub fn text(&self, folder: &Path) -> String {
        let several = self.foldings.len() > 1;
        let width = if several { self.foldings.iter().map(|f| f.chars().count() + 2).max().unwrap_or(0) } else { 0 };
        let folding = |name: &str| format!("{:width$}", if several { name } else { "" });
        let mut lines = vec![format!("{:15}  bits  {}accuracy  zeros  LUT est.     LUT", "method", folding("folding"))];
        for p in self.all() {
            let wide =
                p.accumulator.is_none() && self.body.references.first().is_some_and(|r| r.registers != p.registers);
            let bits = if wide { p.registers.clone() } else { text_of(p.accumulator.or(p.exact)) };
            let head = format!("{:15}  {bits:>4}  {}", p.method, folding(&p.folding));
            lines.push(match &p.error {
                Some(error) => format!("{head}{error}"),
                None => format!(
                    "{head}{:>6.2} %  {:>3.0} %  {:>8}  {:>6}",
                    100.0 * p.accuracy.unwrap_or(0.0),
                    100.0 * p.sparsity.unwrap_or(0.0),
                    text_of(p.lut_estimate),
                    p.lut.map_or_else(|| "-".to_owned(), |l| l.to_string())
                ),
            });
        }
        lines.extend(self.body.reduction.as_ref().map(Reduction::text));
        lines.push(format!("{} written", folder.join("report.html").display()));
        lines.join("\n")
    }
}

/// A value, or nothing.
pub fn text_of(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}
