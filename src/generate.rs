//! `snug generate`: the folder with Verilog, certificate and everything that goes with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use generator::accumulators::AccumulatorRule;
use generator::dataflow::{Dataflow, Output};
use generator::folding::{FoldingRequest, LayerFolding, resolve};
use generator::lower::{LowerOptions, lower_with};
use generator::memory::{WeightMemory, keep_weights};
use generator::target::{Backend, retarget};
use quantizer::rational::Rational;
use serde::Serialize;

use crate::Outcome;
use crate::console::Console;
use crate::error::Error;
use crate::folding::{FoldingArgs, settle};
use crate::model::{Model, ModelArgs};
use crate::output_dir::{self, Files};
use crate::progress::Progress;
use vectors::Vectors;

mod build_files;
pub mod folder;
pub mod io;
pub mod page;
pub mod vectors;

/// Write Verilog, certificate and report
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The folder to write
    #[arg(short, long, value_name = "DIR")]
    output_dir: PathBuf,
    #[command(flatten)]
    folding: FoldingArgs,
    /// Name of the top module, and prefix of every other
    #[arg(long, value_name = "NAME")]
    top: Option<String>,
    /// What leaves the hardware
    #[arg(long, value_enum, default_value = "logits")]
    output: OutputArg,
    /// Give up files of the folder that were edited or added by hand
    #[arg(long)]
    force: bool,
    /// Write nothing: exit 1 if the folder is not what would be generated
    #[arg(long, conflicts_with = "force")]
    check: bool,
}

/// What leaves the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputArg {
    /// The last layer's integers, one per class
    Logits,
    /// The index of the largest, ties to the lowest
    Label,
}

impl From<OutputArg> for Output {
    fn from(arg: OutputArg) -> Self {
        match arg {
            OutputArg::Logits => Output::Logits,
            OutputArg::Label => Output::Label,
        }
    }
}

/// The keys of cli.md.
#[derive(Debug, Serialize)]
struct Report {
    top: String,
    folder: PathBuf,
    ports: Vec<io::Port>,
    interval: u64,
    /// What the interval would be by the slowest module alone, where it is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    slowest_module: Option<u64>,
    latency: Option<u64>,
    frames_per_second: f64,
    clock_mhz: f64,
    /// LUTs, LUT memory and shift registers on xc7, from the plan alone.
    lut_estimate: u64,
    /// Block RAMs of 36 kbit on xc7, those of 18 as halves.
    bram_estimate: f64,
    bottleneck: Option<String>,
    layers: Vec<Layer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    pe: usize,
    simd: usize,
    cycles: u64,
}

/// Targets that are tried one after the other, each faster than the one before.
const RETRIES: usize = 8;

/// A network made ready to be printed.
pub struct Design {
    /// PE and SIMD of every layer.
    pub folding: Vec<(String, LayerFolding)>,
    /// Cycles between frames that were aimed at, where the folding alone does not tell.
    pub target_interval: Option<u64>,
    /// How its sums are built.
    pub backend: Backend,
    /// How wide its accumulators are.
    pub accumulators: AccumulatorRule,
    /// What its weights are kept in.
    pub weight_memory: WeightMemory,
    /// The same for single layers, which goes before.
    pub memories: BTreeMap<String, WeightMemory>,
    /// The hardware.
    pub dataflow: Dataflow,
}

impl Design {
    /// Folds and lowers a model.
    ///
    /// # Errors
    /// If the folding does not fit or the generator refuses the network.
    pub fn of(model: &Model, folding: &FoldingArgs, top: Option<&str>, output: Output) -> Result<Self, Error> {
        let Some(most) = folding.most_cycles()? else {
            return Self::folded(model, &folding.request(model, output)?, folding, top, output);
        };
        // Frames may come more slowly than the slowest module alone would let them: then it has to be faster than what was asked for.
        let mut target = most;
        for _ in 0..RETRIES {
            let request = folding.with_target(target).request(model, output)?;
            let design = Self::folded(model, &request, folding, top, output)?;
            let interval = design.dataflow.interval();
            if interval <= most {
                return Ok(design);
            }
            // In proportion, and at least by one; nothing is below 1.
            target = (u128::from(target) * u128::from(most) / u128::from(interval))
                .try_into()
                .unwrap_or(1)
                .min(target.saturating_sub(1))
                .max(1);
        }
        Err(Error::Usage {
            message: format!(
                "no folding was found whose frames come at most {most} cycles apart, neighbours' waiting included"
            ),
            help: Some("ask for a lower rate, or give the folding".to_owned()),
        })
    }

    /// The same with a folding that is known; of `folding` only the back-end and the accumulators are looked at.
    ///
    /// # Errors
    /// As [`Design::of`].
    pub fn folded(
        model: &Model,
        request: &FoldingRequest,
        folding: &FoldingArgs,
        top: Option<&str>,
        output: Output,
    ) -> Result<Self, Error> {
        Self::with_memories(model, request, folding, folding.layer_memories(model)?, top, output)
    }

    /// The same with the memories of single layers.
    ///
    /// # Errors
    /// As [`Design::of`].
    pub fn with_memories(
        model: &Model,
        request: &FoldingRequest,
        folding: &FoldingArgs,
        memories: BTreeMap<String, WeightMemory>,
        top: Option<&str>,
        output: Output,
    ) -> Result<Self, Error> {
        let options = LowerOptions { folding: request.clone(), top: top.map(str::to_owned), output };
        let backend = folding.backend(model)?;
        let accumulators = folding.accumulators(model)?;
        let mut dataflow = lower_with(&model.network, &options, accumulators)?;
        // Before the queues: the latencies of the back-end decide how deep they are.
        retarget(&mut dataflow, backend);
        let weight_memory = folding.weight_memory(model)?;
        keep_weights(&mut dataflow, weight_memory, &memories)?;
        settle(&mut dataflow)?;
        let resolved = resolve(&model.network, request)?;
        Ok(Design {
            folding: resolved.layers,
            target_interval: (resolved.interval != resolved.by_layers).then_some(resolved.interval),
            backend,
            accumulators,
            weight_memory,
            memories,
            dataflow,
        })
    }
}

/// A generated folder that is not yet written.
pub struct Built {
    /// Its files, the page and its plots among them.
    pub files: Files,
    /// What the page shows.
    pub report: page::Report,
}

impl Built {
    /// Builds all files, and runs the frames of the testbench through the cycle engine.
    ///
    /// # Errors
    /// If the generator fails, or the cycle engine does not say what golden says.
    pub fn of(model: &Model, design: &Design, clock_mhz: f64) -> Result<Self, Error> {
        let vectors = Vectors::random(&model.network, &design.dataflow)?;
        let run = vectors.checked(&design.dataflow)?;
        let mut files = folder::files(model, design, &vectors)?;
        let report = page::report(model, design, &files, &run, clock_mhz)?;
        page::insert(&report, &mut files)?;
        Ok(Built { files, report })
    }

    /// Puts the verdicts of `snug prove` on the page, if `dir` holds those of this very Verilog.
    ///
    /// # Errors
    /// As [`page::insert`].
    pub fn add_proof(&mut self, dir: &Path) -> Result<(), Error> {
        let Some(proof) = crate::prove::kept(dir, &self.files) else { return Ok(()) };
        self.report.proof = Some(proof);
        page::insert(&self.report, &mut self.files)
    }
}

/// Runs the command.
///
/// # Errors
/// If the model cannot be used, the options do not fit it, or the folder cannot be written.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let model = args.model.open()?;
    let clock = args.folding.clock_hz()?;
    let design = Design::of(&model, &args.folding, args.top.as_deref(), args.output.into())?;
    let mut built = {
        let _progress = Progress::start(console, "generating");
        let clock_mhz = quantizer::rational::to_f64(&clock) / 1e6;
        Built::of(&model, &design, clock_mhz)?
    };
    let latency = built.report.hardware.latency;
    let differences = if args.check {
        let without = output_dir::differences(&args.output_dir, &built.files)?;
        // A page written after `snug prove` has its verdicts; it is up to date, too.
        built.add_proof(&args.output_dir)?;
        let with = output_dir::differences(&args.output_dir, &built.files)?;
        Some(if with.len() < without.len() { with } else { without })
    } else {
        built.add_proof(&args.output_dir)?;
        output_dir::write(&args.output_dir, &built.files, args.force)?;
        None
    };
    let report = report(args, &design, &clock, latency, differences);
    if console.json {
        console.print_json("snug.generate/1", &report)?;
    } else {
        console.print(text(&report))?;
    }
    Ok(if report.differences.as_ref().is_some_and(|d| !d.is_empty()) { Outcome::Failed } else { Outcome::Fine })
}

fn report(
    args: &Args,
    design: &Design,
    clock: &Rational,
    latency: Option<u64>,
    differences: Option<Vec<String>>,
) -> Report {
    let dataflow = &design.dataflow;
    let interval = dataflow.interval();
    let cost = generator::estimate::estimate(dataflow).total;
    let float = |r: Rational| quantizer::rational::to_f64(&r);
    let cycles = |name: &str| dataflow.modules.iter().filter(|m| m.layer == name).map(|m| m.cycles(dataflow)).max();
    let layer = |(name, f): &(String, LayerFolding)| Layer {
        name: name.clone(),
        pe: f.pe,
        simd: f.simd,
        cycles: cycles(name).unwrap_or(0),
    };
    Report {
        top: dataflow.top.clone(),
        folder: args.output_dir.clone(),
        ports: io::ports(dataflow),
        interval,
        slowest_module: dataflow.sustained.and(dataflow.bottleneck().map(|m| m.cycles(dataflow))),
        latency,
        frames_per_second: float(clock / num_bigint::BigInt::from(interval)),
        clock_mhz: float(clock.clone()) / 1e6,
        lut_estimate: cost.lut_total(),
        bram_estimate: cost.bram as f64 / 2.0,
        bottleneck: dataflow.bottleneck().map(|m| m.layer.clone()),
        layers: design.folding.iter().map(layer).collect(),
        differences,
    }
}

fn text(r: &Report) -> String {
    let mut lines = match &r.differences {
        None => vec![format!("{} written, top module {}", r.folder.display(), r.top)],
        Some(d) if d.is_empty() => vec![format!("{} is what would be generated", r.folder.display())],
        Some(d) => {
            let mut lines = vec![format!("{} is not what would be generated:", r.folder.display())];
            lines.extend(d.iter().map(|d| format!("  {d}")));
            return lines.join("\n");
        }
    };
    let latency = r.latency.map_or("unknown".to_owned(), |l| format!("{l} cycles"));
    lines.push(format!(
        "interval    {} cycles between frames (--target-interval, --target-fps, --max-luts, --folding)",
        r.interval
    ));
    if let Some(alone) = r.slowest_module {
        lines.push(format!("            {alone} by the slowest module alone: its neighbours wait for each other"));
    }
    lines.push(format!("latency     {latency}"));
    lines.push(format!("rate        {:.0} frames/s at {} MHz (--clock-mhz)", r.frames_per_second, r.clock_mhz));
    lines.push(format!(
        "estimate    {} LUT, LUT memory included, {} block RAMs of 36 kbit (xc7; snug synth counts with Yosys)",
        r.lut_estimate, r.bram_estimate
    ));
    if let Some(bottleneck) = &r.bottleneck {
        lines.push(format!("bottleneck  {bottleneck}"));
    }
    let width = r.layers.iter().map(|l| l.name.chars().count()).max().unwrap_or(0);
    lines.extend(
        r.layers.iter().map(|l| format!("{:width$}  PE {:3}  SIMD {:3}  {:6} cycles", l.name, l.pe, l.simd, l.cycles)),
    );
    lines.join("\n")
}
