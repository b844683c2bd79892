//! The point that a reader is looking for: the narrowest accumulators at 99 % of the accuracy, as a generated folder.

use generator::accumulators::AccumulatorRule;
use quantizer::rational::to_f64;
use sim::report::{Accuracy, Part, Section, Synthesis};

use super::Args;
use super::measure::Sweep;
use super::reduction::is_enough;
use super::results::{Point, Results};
use crate::error::Error;
use crate::generate::Built;
use crate::output_dir;

/// The folder of the pick.
pub const FOLDER: &str = "pick";
/// The folder of what it is compared with.
const REFERENCE: &str = "reference";

/// The point in the first folding: of equal widths the more accurate one, of those the first.
pub fn pick(results: &Results) -> Option<&Point> {
    let reference = results.body.float_correct.or(results.body.references.first()?.correct)?;
    let first = results.foldings.first()?;
    let good = |p: &&Point| p.folding == *first && is_enough(p, reference);
    results.body.points.iter().filter(good).min_by_key(|p| (p.accumulator, std::cmp::Reverse(p.correct)))
}

/// What the page says of the reference and of the pick. Both are written as generated folders, for `snug prove` and all else; one that is up
/// to date is left alone, and its proof with it.
///
/// # Errors
/// If a network cannot be built, or a folder cannot be written.
pub fn sections(args: &Args, sweep: &Sweep, results: &Results) -> Result<Vec<Section>, Error> {
    let mut sections = Vec::new();
    if let Some(point) = results.body.references.first().filter(|p| p.error.is_none()) {
        let title = if args.train { "Trained without a constraint" } else { "The network as it came" };
        let text = format!("What all points are compared with; in the folder {REFERENCE} beside this page.");
        sections.push(section(args, sweep, point, [title.to_owned(), text], REFERENCE)?);
    }
    if let Some(point) = pick(results) {
        let title = format!("{} bits by {}", point.accumulator.unwrap_or(0), point.method);
        let text = format!(
            "The narrowest accumulators at 99 % of {} accuracy; in the folder {FOLDER} beside this page, ready for snug prove, simulate and synth.",
            if results.body.float_correct.is_some() { "the float network's" } else { "the reference's" }
        );
        sections.push(section(args, sweep, point, [title, text], FOLDER)?);
    }
    Ok(sections)
}

fn section(
    args: &Args,
    sweep: &Sweep,
    point: &Point,
    [title, text]: [String; 2],
    folder: &str,
) -> Result<Section, Error> {
    let dir = args.output_dir.join(folder);
    let mut built = built(args, sweep, point)?;
    built.add_proof(&dir)?;
    if !dir.exists() || !output_dir::differences(&dir, &built.files)?.is_empty() {
        output_dir::write(&dir, &built.files, args.force)?;
    }
    let mut report = built.report;
    report.prove_command = Some(format!("snug prove {}", dir.display()));
    let (correct, samples) = (point.correct.unwrap_or(0), point.samples);
    let percent = 100.0 * point.accuracy.unwrap_or(0.0);
    let text = format!("{text} {correct} of {samples} samples right ({percent:.2} %).");
    report.accuracy = Some(Accuracy { data: "the samples of the sweep".into(), samples, correct });
    if let (Some(lut), Some(tool)) = (point.lut, sweep.yosys()) {
        report.synthesis = Some(Synthesis {
            tool: tool.to_owned(),
            command: sim::yosys::Target::Xc7.command(sim::yosys::Flow::Flat).to_owned(),
            target: "xc7".to_owned(),
            counts: vec![Part { name: "LUT, all uses".to_owned(), count: lut }],
        });
    }
    Ok(Section { title, text, report })
}

fn built(args: &Args, sweep: &Sweep, point: &Point) -> Result<Built, Error> {
    let model = sweep.source.network(&point.method, point.accumulator)?.model();
    let folding = sweep.foldings.iter().position(|f| f.name == point.folding).unwrap_or(0);
    let registers: AccumulatorRule = point.registers.parse().unwrap_or_default();
    let design = sweep.design(&model, folding, registers)?;
    Built::of(&model, &design, to_f64(&args.folding.clock_hz()?) / 1e6)
}
