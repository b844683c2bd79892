//! `snug synth`: what Yosys makes of a generated folder, and nextpnr of that.

mod compare;
mod place;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use generator::dataflow::Output;
use generator::estimate::estimate;
use serde::Deserialize;
use sim::tools::{self, Tool};
use sim::yosys::{Flow, Job, Synthesis, Target, synthesize_all};

use crate::Outcome;
use crate::console::Console;
use crate::data::DataError;
use crate::error::{Error, ModelError};
use crate::files;
use crate::folding::{DATAFLOW, FoldingArgs};
use crate::generate::Design;
use crate::model::ModelArgs;
use crate::output_dir;
use crate::progress::Progress;

/// Count LUTs with Yosys
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A generated folder
    dir: PathBuf,
    /// What to map to: xc7, or ecp5 with --pnr, unless named
    #[arg(long, value_parser = ["generic", "xc7", "ecp5", "ice40"])]
    target: Option<String>,
    /// Show the estimate beside the count, module by module (xc7)
    #[arg(long)]
    compare: bool,
    /// Place and route with nextpnr: clock rate and critical path (ecp5)
    #[arg(long, conflicts_with = "compare")]
    pnr: bool,
    /// Device and speed grade of --pnr: 12k, 25k, 45k or 85k, as 25k-6 or 25k-8
    #[arg(long, value_name = "DEVICE", default_value = "25k-6", requires = "pnr")]
    device: String,
    /// The clock that --pnr works towards
    #[arg(long, value_name = "MHZ", default_value = "250", requires = "pnr")]
    clock_mhz: f64,
    /// The seed of --pnr's placer
    #[arg(long, value_name = "N", default_value = "1", requires = "pnr")]
    seed: u32,
    /// Place and route with so many seeds, from --seed on, and take the fastest: placers are lucky or not by some per cent
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100), requires = "pnr")]
    seeds: u32,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "3600")]
    timeout: u64,
}

/// What is needed of `io.json`.
#[derive(Deserialize)]
struct Io {
    top: String,
    output: IoOutput,
}

#[derive(Deserialize)]
struct IoOutput {
    carries: String,
}

/// Runs the command.
///
/// # Errors
/// If the folder is not a generated one, or Yosys is missing or fails.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    if !output_dir::is_ours(&args.dir) {
        return Err(ModelError::Folder { path: args.dir.clone() }.into());
    }
    let target: Target = match &args.target {
        Some(name) => name.parse()?,
        None if args.pnr => Target::Ecp5,
        None => Target::Xc7,
    };
    fits(args, target)?;
    let Io { top, output } = files::read_json(&args.dir.join("io.json"))?;
    let logits = output.carries == "logits";
    let sources = sources(&args.dir)?;
    let job = |flow| Job {
        flow,
        timeout: Duration::from_secs(args.timeout),
        ..Job::new(sources.clone(), top.clone(), target)
    };
    let yosys = tools::find(Tool::Yosys)?;
    if args.pnr {
        return place::run(args, &yosys, job(Flow::Flat), console);
    }
    let results = {
        let _progress = Progress::start(console, format!("{}: {top}", yosys.banner));
        // Flat for the total, module by module for the parts: their sum is more, nothing being shared across walls.
        synthesize_all(&yosys, &[job(Flow::Flat), job(Flow::PerModule)], rayon::current_num_threads())
    };
    let mut results = results.into_iter();
    let missing = || Error::Usage { message: "no synthesis was run".to_owned(), help: None };
    let mut synthesis = results.next().ok_or_else(missing)??;
    synthesis.modules = results.next().ok_or_else(missing)??.modules;
    // The estimate speaks of xc7 only.
    if target == Target::Xc7 {
        let model = ModelArgs::of(args.dir.clone()).open()?;
        let output = if logits { Output::Logits } else { Output::Label };
        let design = Design::of(&model, &FoldingArgs::default(), Some(&top), output)?;
        let estimate = estimate(&design.dataflow);
        synthesis.lut_estimate = Some(estimate.total.lut_total());
        let rows = compare::rows(&estimate, &mut synthesis);
        if args.compare && !console.json {
            console.print(text(&synthesis))?;
            console.print(compare::text(&rows))?;
            return Ok(Outcome::Fine);
        }
    }
    if console.json {
        console.print_json("snug.synth/1", &synthesis)?;
    } else {
        console.print(text(&synthesis))?;
    }
    Ok(Outcome::Fine)
}

/// Whether what is asked for fits the target, and the folder's back-end the target.
fn fits(args: &Args, target: Target) -> Result<(), Error> {
    let usage = |message: String, help: String| Err(Error::Usage { message, help: Some(help) });
    if args.compare && target != Target::Xc7 {
        return usage("--compare: the estimate speaks of xc7 only".to_owned(), "leave --target away".to_owned());
    }
    if args.pnr && target != Target::Ecp5 {
        return usage(
            format!("--pnr: there is place and route for ecp5, not for {target}"),
            "--target ecp5".to_owned(),
        );
    }
    let dataflow: serde_json::Value = files::read_json(&args.dir.join(DATAFLOW))?;
    // Folders of before there were several back-ends name none.
    let backend = dataflow.get("backend").and_then(serde_json::Value::as_str).unwrap_or("generic");
    if backend == "xc7" && target != Target::Xc7 {
        return usage(
            format!(
                "{} was generated with --backend xc7: its cells (LUT6_2, CARRY4) are those of AMD 7 series, not of {target}",
                args.dir.display()
            ),
            "generate it again with --backend generic".to_owned(),
        );
    }
    Ok(())
}

/// The Verilog files that `files.f` lists.
fn sources(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let path = dir.join("files.f");
    let text = std::fs::read_to_string(&path).map_err(|source| DataError::Read { path: path.clone(), source })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            std::path::absolute(dir.join(line)).map_err(|source| DataError::Read { path: path.clone(), source }.into())
        })
        .collect()
}

fn text(s: &Synthesis) -> String {
    let c = &s.counts;
    let mut lines = vec![
        format!("{} ({})", s.version, s.command),
        format!(
            "{}: {} LUT, {} LUTRAM, {} SRL, {} FF, {} carry, {} BRAM, {} DSP",
            s.top, c.lut, c.lutram, c.srl, c.ff, c.carry, c.bram, c.dsp
        ),
    ];
    if let Some(estimate) = s.lut_estimate {
        lines.push(format!("estimate: {estimate} LUT"));
    }
    if let Some(levels) = s.levels {
        lines.push(format!("{levels} cells on the longest path between registers"));
    }
    // The modules with most LUTs first.
    let mut by_size: BTreeMap<std::cmp::Reverse<u64>, Vec<String>> = BTreeMap::new();
    for m in &s.modules {
        let line = format!("  {:6} LUT x {:3}  {}", m.counts.lut, m.instances, m.source);
        by_size.entry(std::cmp::Reverse(m.counts.lut * m.instances)).or_default().push(line);
    }
    if !s.modules.is_empty() {
        lines.push("module by module:".to_owned());
    }
    lines.extend(by_size.into_values().flatten().take(12));
    lines.join("\n")
}
