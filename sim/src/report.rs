//! The report of one network: a single HTML file that opens from disk, prints on paper, and asks nobody for anything.
//!
//! A caller fills a [`Report`] from what it has; what is absent is left out of the page. Texts may be hostile (names come
//! from model files): all of them are escaped. [`charts`] gives the page's plots as files of their own.

mod canvas;
mod chart;
mod markers;
mod page;
mod scatter;
mod schedule;
mod sweep;

use quantizer::inspect::Inspection;
use serde::Serialize;
use thiserror::Error;

pub use scatter::{Better, Curve, Scatter, pareto, scatter};
pub use schedule::{Hardware, Module, Part};
pub use sweep::{Section, SweepPage, Table, sweep};

/// Version of the report's form.
pub const SCHEMA: &str = "snug.report/1";

/// Everything that a report shows. Counts are of one sample, widths in bits, times in clock cycles unless they say
/// otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The commands that made it, each as one would type it.
    pub commands: Vec<String>,
    /// snug and the tools whose figures are shown, with their versions as they state them.
    pub tools: Vec<String>,
    /// The network: source, pins, layers with their accumulator widths.
    pub network: Inspection,
    /// The top module and its pins.
    pub top: Top,
    /// Modules, schedule, queues, LUT estimate.
    pub hardware: Hardware,
    /// The whole design synthesized.
    pub synthesis: Option<Synthesis>,
    /// How many samples of a labelled set are classified right.
    pub accuracy: Option<Accuracy>,
    /// What was compared with what.
    pub checks: Vec<Check>,
    /// Whether accumulators were proved safe on the Verilog itself.
    pub proof: Option<Proof>,
    /// The command that proves it, for a page without a proof.
    pub prove_command: Option<String>,
    /// The certificate beside the Verilog.
    pub certificate: Option<Certificate>,
    /// Some lines of the generated Verilog.
    pub verilog: Option<Excerpt>,
}

impl Report {
    /// A report on `network` built as `hardware`, all that is optional left out.
    pub fn new(network: Inspection, top: Top, hardware: Hardware) -> Self {
        Report {
            schema: SCHEMA,
            commands: Vec::new(),
            tools: Vec::new(),
            network,
            top,
            hardware,
            synthesis: None,
            accuracy: None,
            checks: Vec::new(),
            proof: None,
            prove_command: None,
            certificate: None,
            verilog: None,
        }
    }
}

/// The top module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Top {
    /// Verilog name.
    pub name: String,
    /// Ports in order.
    pub pins: Vec<Pin>,
    /// How one beat of the input is laid out, and how many make a frame, in words.
    pub input: String,
    /// The same of the output.
    pub output: String,
}

/// A port of the top module.
#[derive(Clone, Debug, Serialize)]
pub struct Pin {
    /// Verilog name.
    pub name: String,
    /// `in` or `out`.
    pub direction: &'static str,
    /// Wires.
    pub bits: usize,
    /// What it is for.
    pub meaning: String,
}

/// A synthesis of the whole design.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Synthesis {
    /// Tool and version.
    pub tool: String,
    /// The command that mapped it: part of every figure.
    pub command: String,
    /// What it was mapped to.
    pub target: String,
    /// Resources and their counts, in the order in which they are shown.
    pub counts: Vec<Part>,
}

/// Classification of a labelled set.
#[derive(Clone, Debug, Serialize)]
pub struct Accuracy {
    /// Which samples.
    pub data: String,
    /// How many.
    pub samples: usize,
    /// How many of them are right; ties go to the lowest class.
    pub correct: usize,
}

/// A comparison that was made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Check {
    /// What was checked, in words: `RTL in Verilator = golden model`.
    pub what: String,
    /// How: stall patterns, tolerance, tool.
    pub how: String,
    /// Seeds of random patterns; empty where nothing is random.
    pub seeds: Vec<u64>,
    /// Samples compared.
    pub samples: usize,
    /// Samples that differ.
    pub mismatches: usize,
}

/// What a prover said about the Verilog.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proof {
    /// Prover and version.
    pub tool: String,
    /// One sentence: what was proved, and what was assumed.
    pub claim: String,
    /// One entry a module.
    pub modules: Vec<Verdict>,
}

/// The verdict on one module.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Module name.
    pub module: String,
    /// `proved`, `refuted` or `unknown`.
    pub verdict: String,
    /// Seconds that it took.
    pub seconds: f64,
}

/// The certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// File, relative to the report.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// SHA-256 of the integers that it speaks of.
    pub network_sha256: String,
}

/// A piece of a text file.
#[derive(Clone, Debug, Serialize)]
pub struct Excerpt {
    /// File, relative to the report.
    pub file: String,
    /// Number of the first line shown, counted from 1.
    pub first_line: usize,
    /// The lines.
    pub text: String,
}

/// A report could not be made: a defect of ours, whatever the texts in it.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The page's template.
    #[error("template of the report: {0}")]
    Template(Box<tera::Error>),
    /// A plot.
    #[error("plot '{chart}' of the report: {reason}")]
    Chart {
        /// File name of the plot.
        chart: &'static str,
        /// What the plotter said.
        reason: String,
    },
}

/// A plot as two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// File name of the SVG: `widths.svg`, `schedule.svg`, `luts.svg`.
    pub name: &'static str,
    /// A whole SVG document.
    pub svg: String,
    /// The same as a PNG file, with twice as many pixels each way as a page shows.
    pub png: Vec<u8>,
}

impl Chart {
    /// Both files: name and contents.
    pub fn files(&self) -> [(String, &[u8]); 2] {
        let png = self.name.trim_end_matches(".svg").to_owned() + ".png";
        [(self.name.to_owned(), self.svg.as_bytes()), (png, &self.png)]
    }
}

/// The page as one HTML document, with the plots of [`charts`] in it. The same report gives the same bytes.
///
/// # Errors
/// [`ReportError`]; no content of the report causes one.
pub fn render(report: &Report, charts: &[Chart]) -> Result<String, ReportError> {
    page::render(report, charts)
}

/// The plots that the page shows.
///
/// # Errors
/// As [`render`].
pub fn charts(report: &Report) -> Result<Vec<Chart>, ReportError> {
    chart::all(report)
}

#[cfg(test)]
mod tests;
