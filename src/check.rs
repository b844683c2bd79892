//! `snug check`: what the integers say about the accumulators, against a target or a certificate.

use std::path::PathBuf;

use quantizer::certificate::{self, Certificate, Difference, LayerBounds, Targets, Violation};
use serde::Serialize;

use crate::Outcome;
use crate::console::Console;
use crate::error::Error;
use crate::files;
use crate::model::ModelArgs;

mod witness;

/// Derive the accumulator certificate; with a target or a certificate, compare
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Widths to be met: 12, or 12,12,16 in layer order, or f.10=12,f.13=16
    #[arg(long, value_name = "BITS")]
    accumulator: Option<String>,
    /// A certificate to be verified against the integers (a generated folder's own without it)
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Write worst-case inputs as PNG images to this folder, where the layer that overflows reads the network's input, and that is
    /// an image (or a square of numbers)
    #[arg(long, value_name = "DIR", requires = "accumulator")]
    witness_dir: Option<PathBuf>,
    /// Write the certificate as JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The result; the first two keys are those of cli.md.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    violations: Vec<Violation>,
    /// Claims of the certificate that the integers do not bear out.
    differences: Vec<Difference>,
    /// Which certificate was verified.
    certificate: Option<PathBuf>,
    layers: Vec<Line>,
    /// Worst-case inputs that were drawn.
    witnesses: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    exact: u32,
    used: u32,
    target: Option<u32>,
}

/// Runs the command.
///
/// # Errors
/// If the model or the certificate cannot be read, or the targets do not fit the network.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let model = args.model.open()?;
    let network = &model.network;
    let targets: Option<Targets> = args.accumulator.as_ref().map(|text| text.parse()).transpose()?;
    let resolved = targets.as_ref().map(|t| t.resolve(network)).transpose()?;
    let derived = Certificate::of(network).map_err(|source| Error::Store { path: args.model.model.clone(), source })?;
    let path = args.certificate.clone().or_else(|| model.folder_file("certificate.json"));
    let differences = match &path {
        Some(path) => {
            let claimed: Certificate = files::read_json(path)?;
            certificate::verify(network, &claimed)
                .map_err(|source| Error::Store { path: args.model.model.clone(), source })?
        }
        None => vec![],
    };
    let violations = targets.as_ref().map_or(Ok(vec![]), |t| certificate::check(network, t))?;
    let line = |(i, l): (usize, &LayerBounds)| Line {
        name: l.name.clone(),
        exact: l.accumulator.exact,
        used: l.accumulator.used,
        target: resolved.as_ref().and_then(|r| r.get(i).copied().flatten()),
    };
    let layers = derived.layers.iter().enumerate().map(line).collect();
    let ok = violations.is_empty() && differences.is_empty();
    let witnesses = match &args.witness_dir {
        Some(folder) => witness::write(folder, network, &violations)?,
        None => vec![],
    };
    let report = Report { ok, violations, differences, certificate: path, layers, witnesses };
    if let Some(path) = &args.output {
        files::write(path, |out| std::io::Write::write_all(out, (crate::console::json(&derived) + "\n").as_bytes()))?;
    }
    if console.json {
        console.print_json("snug.check/1", &report)?;
    } else {
        console.print(text(&report, targets.is_some()))?;
        if let Some(folder) = &args.witness_dir {
            console.print(format!(
                "{} pictures of worst-case inputs in {}",
                report.witnesses.len(),
                folder.display()
            ))?;
        }
    }
    Ok(if ok { Outcome::Fine } else { Outcome::Failed })
}

fn text(report: &Report, with_target: bool) -> String {
    let mut lines = Vec::new();
    let width = report.layers.iter().map(|l| l.name.chars().count()).max().unwrap_or(0);
    for l in &report.layers {
        let target = match l.target {
            Some(t) if l.exact <= t => format!(", target {t}: met"),
            Some(t) => format!(", target {t}: MISSED"),
            None => String::new(),
        };
        lines.push(format!("{:width$}  exact {:2} bits, used {:2}{target}", l.name, l.exact, l.used));
    }
    if !with_target {
        lines.push("no target given (--accumulator)".to_owned());
    }
    // The worst channel of each layer, with its witness; the others are counted.
    for l in &report.layers {
        let of_layer = || report.violations.iter().filter(|v| v.layer == l.name);
        let Some(worst) = of_layer().max_by_key(|v| (v.width_needed, std::cmp::Reverse(v.channel))) else { continue };
        lines.push(format!(
            "{}, channel {}: needs {} bits, {} allowed: reaches {} at the input {}",
            worst.layer,
            worst.channel,
            worst.width_needed,
            worst.width_allowed,
            worst.reaches,
            vector(&worst.worst_input)
        ));
        let others = of_layer().count() - 1;
        if others > 0 {
            lines.push(format!("{}: {others} more channels miss the target (--json lists them)", l.name));
        }
    }
    if let Some(path) = &report.certificate {
        let verdict = if report.differences.is_empty() { "holds" } else { "DOES NOT HOLD" };
        lines.push(format!("certificate {}: {verdict}", path.display()));
        lines.extend(report.differences.iter().take(10).map(ToString::to_string));
        if report.differences.len() > 10 {
            lines.push(format!("and {} more differences (--json lists them)", report.differences.len() - 10));
        }
    }
    lines.join("\n")
}

/// A vector, if it is short; else how often it has which value.
fn vector(v: &[i64]) -> String {
    const SHORT: usize = 32;
    if v.len() <= SHORT {
        return format!("{v:?}");
    }
    let mut counts = std::collections::BTreeMap::new();
    for &x in v {
        *counts.entry(x).or_insert(0usize) += 1;
    }
    let counts: Vec<String> = counts.iter().rev().map(|(x, n)| format!("{n} x {x}")).collect();
    format!("of {} codes ({}; --json lists them)", v.len(), counts.join(", "))
}
