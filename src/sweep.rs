//! `snug sweep`: many accumulator widths, many methods, one page that shows what each of them costs.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use quantizer::weights::NAMES;
use rayon::prelude::*;

use crate::Outcome;
use crate::console::Console;
use crate::data::Layout;
use crate::error::Error;
use crate::folding::FoldingArgs;
use crate::model::ModelArgs;
use crate::progress::Progress;
use crate::quantize::float::BitArgs;

mod cache;
mod foldings;
mod measure;
mod page;
mod pick;
mod plan;
mod reduction;
mod results;
mod source;
mod training;
mod workflow;

use cache::Cache;
use measure::Sweep;
use plan::Task;
use results::{Point, Results};

/// The method of the network as it came.
const EXACT: &str = "exact";
/// What is trained without `--methods`.
const TRAINED: [&str; 3] = ["a2q", "a2q+", "sign-split"];
/// What is quantized without `--methods`.
const QUANTIZED: [&str; 5] = ["a2q", "a2q+", "sign-split", "axe", "grid-rescale"];

/// Quantize (or train) at many accumulator widths by many methods: accuracy, sparsity and LUTs on one page
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Train every point: MODEL is a configuration of snug train (TOML), whose method and bits are the sweep's (cargo feature `train`)
    #[arg(long, conflicts_with_all = ["inputs", "labels", "calibration", "keep", "tile", "layout", "limit", "seed", "input_type", "mean", "std", "input_shape",
        "weight_bits", "activation_bits", "input_bits"])]
    train: bool,
    /// Widths of all accumulators: 8..=16, or 8,10,12; without it the widest exact width and six bits down
    #[arg(long, value_name = "BITS")]
    accumulator: Option<String>,
    /// How integers are chosen; without it a2q,a2q+,sign-split,axe,grid-rescale (with --train a2q,a2q+,sign-split)
    #[arg(long, value_name = "METHODS", value_delimiter = ',', value_parser = PossibleValuesParser::new(NAMES))]
    methods: Vec<String>,
    /// Samples: .npy, IDX (.gz too), PNG file or folder, CSV
    #[arg(long, value_name = "FILE", required_unless_present = "train")]
    inputs: Option<PathBuf>,
    /// Where the file keeps its channels (without it: where the model's ONNX file does)
    #[arg(long, value_enum)]
    layout: Option<Layout>,
    /// Use at most so many samples
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Draws the samples of --limit (without it: the first ones)
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Class indices of all samples of --inputs: .npy, IDX or CSV
    #[arg(long, value_name = "FILE", required_unless_present = "train")]
    labels: Option<PathBuf>,
    /// Samples for methods that look at data (axe)
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Calibrate with at most so many samples
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN.saturating_add(999))]
    calibration_limit: NonZeroUsize,
    #[command(flatten)]
    bits: BitArgs,
    /// Layers left as they are: first, last, or their names
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    keep: Vec<String>,
    /// Columns per inner accumulator (axe)
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u32).range(1..))]
    tile: Option<u32>,
    #[command(flatten)]
    folding: FoldingArgs,
    /// Build every network with each of these: default, unrolled, interval=CYCLES, fps=RATE, luts=NUMBER, or files as --folding takes them
    #[arg(long, value_name = "FOLDINGS", value_delimiter = ',', conflicts_with_all = ["folding", "target_interval", "target_fps", "max_luts"])]
    foldings: Vec<String>,
    /// Count LUTs with Yosys, too
    #[arg(long)]
    synth: bool,
    /// Give Yosys so many seconds for a point
    #[arg(long, value_name = "SECONDS", default_value = "3600")]
    timeout: u64,
    /// Where results, plots and the page go; a sweep that was stopped goes on where it was
    #[arg(short, long, value_name = "DIR")]
    output_dir: PathBuf,
    /// Replace the folders of the reference and of the pick although their files were edited
    #[arg(long)]
    force: bool,
    /// Measure nothing: write a workflow whose jobs are the points, each its own command
    #[arg(long, value_name = "ENGINE", value_parser = ["snakemake"], conflicts_with = "point")]
    workflow: Option<String>,
    /// Measure this point alone (what the jobs of a workflow do)
    #[arg(long, value_name = "KEY")]
    point: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// If the model or the data cannot be used, or files cannot be written. A point without an answer is a result.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let configuration = args.model.model.extension().is_some_and(|e| e == "toml");
    if configuration && !args.train {
        let message = format!("'{}' is a configuration of snug train", args.model.model.display());
        return Err(Error::Usage { message, help: Some("--train trains every point by it".to_owned()) });
    }
    let sweep = Sweep::open(args, console)?;
    let usual = || if args.train { TRAINED.map(str::to_owned).to_vec() } else { QUANTIZED.map(str::to_owned).to_vec() };
    let methods = if args.methods.is_empty() { usual() } else { args.methods.clone() };
    let groups = plan::tasks(args.accumulator.as_deref(), &methods, &sweep)?;
    let cache = Cache::open(&args.output_dir)?;
    if args.workflow.is_some() {
        return workflow::write(args, &groups, console);
    }
    if let Some(key) = &args.point {
        let Some(group) = groups.iter().find(|group| group.iter().any(|task| task.key == *key)) else {
            let message = format!("this sweep has no point '{key}'");
            let help = Some("model, data or options are not those that the workflow was written for".to_owned());
            return Err(Error::Usage { message, help });
        };
        sweep.points(&group.iter().collect::<Vec<_>>(), &cache, &|| ())?;
        return Ok(Outcome::Fine);
    }
    // What is known tells nothing about how long the rest takes.
    let known = groups.iter().flatten().filter(|task| cache.get(&task.key).is_some()).count();
    let bar = progress(groups.iter().map(Vec::len).sum(), known, console);
    let points = groups.par_iter().map(|group| {
        let tasks: Vec<&Task> = group.iter().collect();
        sweep.points(&tasks, &cache, &|| bar.inc(1))
    });
    let points = points.collect::<Result<Vec<Vec<Point>>, Error>>();
    bar.finish_and_clear();
    let results = {
        let _progress = Progress::start(console, "writing the page");
        let results = Results::new(&sweep, points?.into_iter().flatten().collect())?;
        // The folders first: where one may not be replaced, results and page stay those of before.
        let sections = pick::sections(args, &sweep, &results)?;
        results.write(&args.output_dir)?;
        page::write(&results, sections, workflow::commands(&args.output_dir), &args.output_dir)?;
        results
    };
    if console.json {
        console.print_json(results::SCHEMA, &results.body)?;
    } else {
        console.print(results.text(&args.output_dir))?;
    }
    Ok(Outcome::Fine)
}

/// How many points are done, and how long the rest will take.
fn progress(points: usize, known: usize, console: &Console) -> ProgressBar {
    if console.quiet || console.json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(points as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} points [{elapsed}, {eta} left]") {
        bar.set_style(style);
    }
    bar.set_position(known as u64);
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
