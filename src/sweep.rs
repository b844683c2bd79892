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
use crate::error::Error;
use crate::folding::FoldingArgs;
use crate::inputs::InputArgs;
use crate::model::ModelArgs;
use crate::quantize::float::BitArgs;

mod cache;
mod measure;
mod page;
mod plan;
mod results;
mod workflow;

use cache::Cache;
use measure::Sweep;
use results::{Point, Results};

/// Quantize at many accumulator widths by many methods: accuracy, sparsity and LUTs on one page
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Widths of all accumulators: 8..=16, or 8,10,12; without it the widest exact width and six bits down
    #[arg(long, value_name = "BITS")]
    accumulator: Option<String>,
    /// How integers are chosen
    #[arg(long, value_name = "METHODS", value_delimiter = ',', value_parser = PossibleValuesParser::new(NAMES),
          default_value = "a2q,a2q+,sign-split,axe,grid-rescale")]
    methods: Vec<String>,
    #[command(flatten)]
    inputs: InputArgs,
    /// Class indices of all samples of --inputs: .npy, IDX or CSV
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
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
    /// Count LUTs with Yosys, too
    #[arg(long)]
    synth: bool,
    /// Give Yosys so many seconds for a point
    #[arg(long, value_name = "SECONDS", default_value = "3600")]
    timeout: u64,
    /// Where results, plots and the page go; a sweep that was stopped goes on where it was
    #[arg(short, long, value_name = "DIR")]
    output_dir: PathBuf,
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
    let sweep = Sweep::open(args, console)?;
    let tasks = plan::tasks(args.accumulator.as_deref(), &args.methods, &sweep)?;
    let cache = Cache::open(&args.output_dir)?;
    if args.workflow.is_some() {
        return workflow::write(args, &tasks, console);
    }
    if let Some(key) = &args.point {
        let Some(task) = tasks.iter().find(|task| task.key == *key) else {
            let message = format!("this sweep has no point '{key}'");
            let help = Some("model, data or options are not those that the workflow was written for".to_owned());
            return Err(Error::Usage { message, help });
        };
        sweep.point(task, &cache)?;
        return Ok(Outcome::Fine);
    }
    let bar = progress(tasks.len(), console);
    let points = tasks.par_iter().map(|task| {
        let point = sweep.point(task, &cache);
        bar.inc(1);
        point
    });
    let points = points.collect::<Result<Vec<Point>, Error>>();
    bar.finish_and_clear();
    let results = Results::new(&sweep, points?);
    results.write(&args.output_dir)?;
    page::write(&results, &workflow::command(), &args.output_dir)?;
    if console.json {
        console.print_json(results::SCHEMA, &results.body)?;
    } else {
        console.print(results.text(&args.output_dir))?;
    }
    Ok(Outcome::Fine)
}

/// How many points are done, and how long the rest will take.
fn progress(points: usize, console: &Console) -> ProgressBar {
    if console.quiet || console.json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(points as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} points [{elapsed}, {eta} left]") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
