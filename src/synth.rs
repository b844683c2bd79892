//! `snug synth`: what Yosys makes of a generated folder.

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
use crate::folding::FoldingArgs;
use crate::generate::Design;
use crate::model::ModelArgs;
use crate::output_dir;
use crate::progress::Progress;

/// Count LUTs with Yosys
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A generated folder
    dir: PathBuf,
    /// What to map to
    #[arg(long, value_parser = ["generic", "xc7", "ecp5", "ice40"], default_value = "xc7")]
    target: String,
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
    let target: Target = args.target.parse()?;
    let Io { top, output } = files::read_json(&args.dir.join("io.json"))?;
    let logits = output.carries == "logits";
    let sources = sources(&args.dir)?;
    let job = |flow| Job {
        flow,
        timeout: Duration::from_secs(args.timeout),
        ..Job::new(sources.clone(), top.clone(), target)
    };
    let yosys = tools::find(Tool::Yosys)?;
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
        synthesis.lut_estimate = Some(estimate(&design.dataflow).total.lut_total());
    }
    if console.json {
        console.print_json("snug.synth/1", &synthesis)?;
    } else {
        console.print(text(&synthesis))?;
    }
    Ok(Outcome::Fine)
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
    lines.push("module by module:".to_owned());
    lines.extend(by_size.into_values().flatten().take(12));
    lines.join("\n")
}
