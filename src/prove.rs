//! `snug prove`: Yosys on the claims in a generated folder's Verilog, and what follows for the certificate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use generator::dataflow::Kind;
use serde::Serialize;
use sim::prove::{self, Counterexample, Module, Options, Report, Verdict};
use sim::report::{self, Proof};
use sim::tools::{self, Tool};

use crate::Outcome;
use crate::console::Console;
use crate::error::{Error, ModelError};
use crate::output_dir::{self, Files};
use crate::progress::Progress;

pub mod certificate;
pub mod scripts;
mod written;

use certificate::Comparison;

/// Prove that no accumulator of the Verilog can overflow
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A generated folder
    dir: PathBuf,
    /// Give up on a module after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "1800")]
    timeout: u64,
    /// Only this Verilog module
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// Prove everything now: believe no verdict that the folder keeps from an earlier run
    #[arg(long)]
    fresh: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    tool: &'a str,
    modules: &'a [Module],
    counterexample: Option<&'a Counterexample>,
    /// Assumptions that nobody promises.
    unpaired: &'a [String],
    /// Where the certificate says something else than what was proved.
    certificate: &'a [String],
    /// Where the Verilog is not what the network gives.
    written: &'a [String],
    files: &'a std::collections::BTreeMap<String, String>,
    seconds: f64,
    statement: String,
}

/// What a run found, in all.
pub struct Found {
    /// Module by module.
    pub report: Report,
    /// Where the certificate says something else.
    pub certificate: Vec<String>,
    /// Where the Verilog, claims included, is not what snug writes for the network.
    pub written: Vec<String>,
    /// The sentence that says what was proved.
    pub statement: String,
    /// The tool's version message.
    pub tool: String,
}

impl Found {
    /// Whether all is proved.
    pub fn ok(&self) -> bool {
        self.report.ok && self.certificate.is_empty() && self.written.is_empty()
    }
}

/// Runs the command.
///
/// # Errors
/// If the folder is not a generated one, or Yosys is missing or fails.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    if !output_dir::is_ours(&args.dir) {
        return Err(ModelError::Folder { path: args.dir.clone() }.into());
    }
    let start = Instant::now();
    let found = folder(&args.dir, Duration::from_secs(args.timeout), args.module.clone(), args.fresh, console)?;
    let seconds = start.elapsed().as_secs_f64();
    let report = &found.report;
    if console.json {
        let document = Document {
            // Of one module the whole is not proved.
            ok: found.ok() && args.module.is_none(),
            tool: &found.tool,
            modules: &report.modules,
            counterexample: report.counterexample.as_ref(),
            unpaired: &report.unpaired,
            certificate: &found.certificate,
            written: &found.written,
            files: &report.files,
            seconds,
            statement: found.statement.clone(),
        };
        console.print_json("snug.prove/1", document)?;
    } else {
        for line in lines(&found) {
            console.print(line)?;
        }
    }
    if found.ok() {
        return Ok(Outcome::Fine);
    }
    let refuted = report.modules.iter().any(|m| m.verdict == Verdict::Refuted);
    if refuted || !report.unpaired.is_empty() || !found.certificate.is_empty() || !found.written.is_empty() {
        return Ok(Outcome::Failed);
    }
    Ok(Outcome::Undecided)
}

/// Proves the claims in the folder `dir`.
///
/// # Errors
/// If Yosys is missing or fails, or a file cannot be read.
pub fn folder(
    dir: &Path,
    timeout: Duration,
    module: Option<String>,
    fresh: bool,
    console: &Console,
) -> Result<Found, Error> {
    let yosys = tools::find(Tool::Yosys)?;
    let files = scripts::listed(dir)?;
    // Nothing that the folder says of its hardware is believed but the options that it was made with.
    let again = {
        let _progress = Progress::start(console, "generating the network once more".to_owned());
        written::again(dir)?
    };
    let witnesses = serde_json::to_value(&again.dataflow).and_then(|dataflow| prove::cover::witnesses(&dataflow));
    let options = Options {
        jobs: rayon::current_num_threads(),
        timeout,
        work: dir.join(output_dir::BUILD).join(output_dir::PROOFS),
        module: module.clone(),
        fresh,
        witnesses: witnesses
            .map_err(|e| crate::data::DataError::Malformed { path: dir.into(), reason: e.to_string() })?,
    };
    let report = {
        let progress = Progress::start(console, format!("{}: proving", yosys.banner));
        let done = |module: &Module, number: usize, all: usize| {
            progress.say(format!("{number} of {all} modules, last: {} {}", module.name, word(module.verdict)));
        };
        prove::prove(&yosys, dir, &files, &options, &done)?
    };
    let compared = match module {
        None => certificate::compare(dir, &report.files, &again.dataflow)?,
        Some(_) => Comparison::default(),
    };
    let Comparison { differences: certificate, wider } = compared;
    let listed = files.iter().map(String::as_str).collect();
    let mut written = written::differences(dir, &again, &listed)?;
    let proved: BTreeSet<&str> = report.modules.iter().map(|m| m.name.as_str()).collect();
    if module.is_none() {
        written.extend(written::left_out(&again.dataflow, &proved));
    }
    let origin = certificate::origin(dir)?;
    let units = again
        .dataflow
        .modules
        .iter()
        .filter_map(|m| if let Kind::MatrixVector(u) = &m.kind { Some(u.pe) } else { None });
    let elements = units.sum();
    let statement =
        statement(&report, elements, (&certificate, &wider), &written, module.as_deref(), &yosys.banner, &origin);
    Ok(Found { report, certificate, written, statement, tool: yosys.banner.clone() })
}

/// The verdicts that an earlier run in `dir` left on the Verilog in `files`; nothing if there are none, they are of other Verilog, or the
/// Yosys that found them is not there to say so.
pub fn kept(dir: &Path, files: &Files) -> Option<Proof> {
    let work = dir.join(output_dir::BUILD).join(output_dir::PROOFS);
    if !work.is_dir() {
        return None;
    }
    let yosys = tools::find(Tool::Yosys).ok()?;
    let list = std::str::from_utf8(files.get("files.f")?).ok()?;
    let text = |name: &str| String::from_utf8(files.get(name)?.clone()).ok();
    let texts = list.lines().map(|name| Some((name.to_owned(), text(name)?))).collect::<Option<_>>()?;
    let DataflowFile::<serde_json::Value> { dataflow } =
        serde_json::from_slice(files.get(crate::folding::DATAFLOW)?).ok()?;
    let witnesses = prove::cover::witnesses(&dataflow).ok()?;
    let found = prove::kept(&yosys, &texts, &witnesses, &work);
    (!found.is_empty()).then(|| proof(&found, &yosys.banner))
}

/// Verdicts as a page shows them.
pub fn proof(modules: &[Option<Module>], tool: &str) -> Proof {
    let count = |verdict| modules.iter().flatten().filter(|m| m.verdict == verdict).count();
    let (all, proved) = (modules.len(), count(Verdict::Proved));
    let claim = if proved == all {
        format!(
            "Proved: all {all} modules keep their claims for every input, for ever; no accumulator, adder or product loses a bit."
        )
    } else {
        let refuted = count(Verdict::Refuted);
        let open = all - proved - refuted;
        format!("NOT proved: of {all} modules {proved} are proved, {refuted} refuted, {open} not decided or not run.")
    };
    let verdict = |m: &Module| report::Verdict {
        module: m.name.clone(),
        verdict: word(m.verdict).to_owned(),
        seconds: m.seconds,
    };
    Proof { tool: tool.to_owned(), claim, modules: modules.iter().flatten().map(verdict).collect() }
}

/// `dataflow.json`, of whose dataflow `T` reads what is needed.
#[derive(serde::Deserialize)]
struct DataflowFile<T> {
    dataflow: T,
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proved => "proved",
        Verdict::Unknown => "unknown",
        Verdict::Refuted => "REFUTED",
    }
}

/// What was proved, for which files.
fn statement(
    report: &Report,
    elements: usize,
    (certificate, wider): (&[String], &[String]),
    written: &[String],
    module: Option<&str>,
    tool: &str,
    origin: &str,
) -> String {
    let files: String = report.files.iter().map(|(name, hash)| format!("{hash}  {name}\n")).collect();
    let hash = output_dir::sha256(files.as_bytes());
    let count = report.modules.len();
    let open: Vec<&str> =
        report.modules.iter().filter(|m| m.verdict != Verdict::Proved).map(|m| m.name.as_str()).collect();
    if !open.is_empty() {
        return format!("NOT proved: {} of {count} modules ({})", open.len(), open.join(", "));
    }
    if !written.is_empty() {
        return "NOT proved: the claims hold of the files as they stand, but these are not what snug writes for the network".to_owned();
    }
    if !report.unpaired.is_empty() || !certificate.is_empty() {
        return "NOT proved: every module keeps its claims, but they do not add up to the whole".to_owned();
    }
    if let Some(module) = module {
        return format!("proved: the claims of module {module}, by induction ({tool}). Not the whole accelerator.");
    }
    let rows = |kind: &str| report.modules.iter().any(|m| m.name.contains(kind));
    let heaps = if rows("_snug_xc7_row_") || rows("_array_row_") {
        " Sums are bit heaps or arrays of cells: their rows by Yosys for each width, what they make together by bookkeeping on the Verilog."
    } else {
        ""
    };
    // The certificate knows which taps a window of the image can have together.
    let wider = match wider {
        [] => String::new(),
        layers => format!(
            " (of {}, no window of whose image has all taps on it, in that of all taps, which its register holds)",
            layers.join(", ")
        ),
    };
    format!(
        "proved: after the first reset, for every input and every pattern of valid and ready, for ever: no accumulator, adder or \
         product of the {elements} processing elements loses a bit, each sum stays in the interval of the certificate{wider}, and no \
         queue, window, fork, join or converter loses, doubles or reorders a beat.{heaps} {count} modules by induction, {tool}; {} Verilog files, SHA-256 of their list {hash} \
         (each file's stands in certificate.json, and is that of the file proved); {origin}.",
        report.files.len()
    )
}

fn lines(found: &Found) -> Vec<String> {
    let modules = &found.report.modules;
    let width = modules.iter().map(|m| m.name.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = modules
        .iter()
        .map(|m| {
            let reason = m.reason.as_ref().map_or_else(String::new, |r| format!("  {r}"));
            let kept = if m.cached { " (kept)" } else { "" };
            let took = format!("{:6.1} s  {:6.1} s CPU  {:4.0} MB", m.seconds, m.cpu_seconds, m.memory_mb);
            format!("{:width$}  {:7}  {took}{kept}{reason}", m.name, word(m.verdict))
        })
        .collect();
    lines.extend(found.report.unpaired.iter().map(|u| format!("assumption without a promise: {u}")));
    lines.extend(found.certificate.iter().map(|d| format!("certificate: {d}")));
    lines.extend(found.written.iter().map(|d| format!("Verilog: {d}")));
    for module in modules {
        if let Some(c) = &module.counterexample {
            lines.push(format!("counterexample of {}: {}", c.module, c.waves.display()));
            if let Some(replay) = &c.replay {
                lines.push(match c.replayed_by.as_ref().zip(c.replayed.as_ref()) {
                    Some((by, said)) => format!("replayed by {by} ({}): {said}", replay.display()),
                    None => {
                        format!("{}: not run, for want of Verilator and Icarus, or does not show it", replay.display())
                    }
                });
            }
        }
    }
    lines.push(found.statement.clone());
    lines
}
