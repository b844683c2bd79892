//! `report.html` of a sweep, and its plots as files.

use std::path::Path;

use sim::report::{Better, Curve, Scatter, Section, SweepPage, Table, pareto, sweep};

use super::pick::pick;
use super::reduction::A2Q;
use super::results::{Point, Results, text_of};
use crate::error::Error;
use crate::files;

/// Writes the page and the plots.
///
/// # Errors
/// If they cannot be written.
pub fn write(results: &Results, sections: Vec<Section>, commands: Vec<String>, folder: &Path) -> Result<(), Error> {
    let defect = |e: sim::report::ReportError| Error::Usage {
        message: e.to_string(),
        help: Some("this is a defect of snug; please report it".to_owned()),
    };
    let mut charts = Vec::new();
    for (plot, better) in plots(results) {
        let chart = pareto(&plot, better).map_err(defect)?;
        if chart.is_none() {
            // That of an earlier sweep would be taken for this one's.
            files::remove(&folder.join(plot.file))?;
            files::remove(&folder.join(plot.file).with_extension("png"))?;
        }
        charts.extend(chart);
    }
    for (name, bytes) in charts.iter().flat_map(sim::report::Chart::files) {
        files::write(&folder.join(name), |out| std::io::Write::write_all(out, bytes))?;
    }
    let page = SweepPage { table: table(results, commands), sections };
    let html = sweep(&page, &charts).map_err(defect)?;
    files::write(&folder.join("report.html"), |out| std::io::Write::write_all(out, html.as_bytes()))
}

/// Accuracy and sparsity against the width, accuracy against LUTs.
fn plots(results: &Results) -> Vec<(Scatter, [Better; 2])> {
    // The network as it came stands at its exact width, once: wider registers change neither its accuracy nor its zeros.
    let bits = |p: &Point| p.accumulator.or(p.exact.filter(|_| p.registers.parse::<u32>().is_err())).map(f64::from);
    let accuracy = |p: &Point| p.accuracy.map(|a| 100.0 * a);
    let sparsity = |p: &Point| p.sparsity.map(|s| 100.0 * s);
    let estimate = |p: &Point| p.lut_estimate.map(|l| l as f64);
    let counted = |p: &Point| p.lut.map(|l| l as f64);
    let every: Vec<&str> = results.foldings.iter().map(String::as_str).collect();
    // Neither accuracy nor sparsity knows of foldings.
    let first = &every[..every.len().min(1)];
    let narrow = [Better::Low, Better::High];
    vec![
        (plot(results, first, "accuracy.svg", ["accumulator, bits", "accuracy, %"], bits, accuracy), narrow),
        (plot(results, &every, "luts.svg", ["LUTs, estimate", "accuracy, %"], estimate, accuracy), narrow),
        (plot(results, &every, "luts-yosys.svg", ["LUTs, Yosys", "accuracy, %"], counted, accuracy), narrow),
        (plot(results, first, "sparsity.svg", ["accumulator, bits", "zero weights, %"], bits, sparsity), narrow),
    ]
}

fn plot(
    results: &Results,
    foldings: &[&str],
    file: &'static str,
    axes: [&'static str; 2],
    x: impl Fn(&Point) -> Option<f64>,
    y: impl Fn(&Point) -> Option<f64>,
) -> Scatter {
    let mut curves: Vec<Curve> = Vec::new();
    // References last, so that a method looks the same in all plots.
    for point in results.body.points.iter().chain(&results.body.references) {
        let (true, Some(x), Some(y)) = (foldings.contains(&point.folding.as_str()), x(point), y(point)) else {
            continue;
        };
        let mut name = called(point);
        if foldings.len() > 1 {
            name += &format!(", {}", point.folding);
        }
        match curves.iter_mut().find(|c| c.name == name) {
            Some(curve) => curve.points.push((x, y, title(point))),
            None => curves.push(Curve { name, points: vec![(x, y, title(point))] }),
        }
    }
    Scatter { file, axes, curves }
}

/// The series that a point belongs to.
fn called(point: &Point) -> String {
    match (point.accumulator, point.registers.parse::<u32>()) {
        (Some(_), _) => point.method.clone(),
        (None, Ok(bits)) => format!("{}, {bits}-bit registers", point.method),
        (None, Err(_)) => point.method.clone(),
    }
}

/// What hovering says.
fn title(p: &Point) -> String {
    let mut title = format!(
        "{}, {} bits, {}\n{:.2} % right, {:.0} % zeros",
        called(p),
        text_of(p.accumulator.or(p.exact)),
        p.folding,
        100.0 * p.accuracy.unwrap_or(0.0),
        100.0 * p.sparsity.unwrap_or(0.0)
    );
    if let Some(estimate) = p.lut_estimate {
        title += &format!("\n{estimate} LUTs estimated");
    }
    if let Some(lut) = p.lut {
        title += &format!(", {lut} by Yosys");
    }
    title
}

fn table(results: &Results, commands: Vec<String>) -> Table {
    let percent = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{:.2} %", 100.0 * v));
    let cells = |p: &Point| {
        vec![
            called(p),
            text_of(p.accumulator),
            text_of(p.exact),
            p.folding.clone(),
            percent(p.accuracy),
            percent(p.sparsity),
            text_of(p.lut_estimate),
            text_of(p.lut),
            text_of(p.interval),
        ]
    };
    let (measured, failed): (Vec<&Point>, Vec<&Point>) = results.all().partition(|p| p.error.is_none());
    let reason = |p: &Point| {
        (format!("{}, {} bits, {}", p.method, text_of(p.accumulator), p.folding), text_of(p.error.as_ref()))
    };
    Table {
        network: results.body.network.clone(),
        source_sha256: results.body.source_sha256.clone(),
        headlines: headlines(results),
        columns: vec![
            "method",
            "target",
            "exact",
            "folding",
            "accuracy",
            "zeros",
            "LUT estimate",
            "LUTs (Yosys)",
            "interval",
        ],
        rows: measured.into_iter().map(cells).collect(),
        errors: failed.into_iter().map(reason).collect(),
        commands,
        tools: [Some(format!("snug {}", env!("CARGO_PKG_VERSION"))), results.body.yosys.clone()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// The reference, the narrowest accumulators that cost at most a hundredth of its accuracy, and what they save.
fn headlines(results: &Results) -> Vec<(String, String)> {
    let Some(reference) = results.body.references.first() else { return vec![] };
    let (Some(exact), Some(correct)) = (reference.exact, reference.correct) else { return vec![] };
    let mut all = Vec::new();
    if let Some(float) = results.body.float_correct {
        all.push((format!("{float} of {}", reference.samples), "samples that the float network gets right".to_owned()));
    }
    let name = if results.body.float_correct.is_some() { "trained without a constraint" } else { "as it came" };
    all.push((format!("{exact} bits"), format!("widest accumulator of the network {name}: {correct} right")));
    let accuracy = if results.body.float_correct.is_some() { "the float network's" } else { "its" };
    if let Some(best) = pick(results) {
        let meaning =
            format!("narrowest at 99 % of {accuracy} accuracy, by {}: {} right", best.method, text_of(best.correct));
        all.push((format!("{} bits", text_of(best.accumulator)), meaning));
    }
    if let Some(reduction) = &results.body.reduction {
        all.push((
            format!("{:.2} ×", reduction.ratio),
            format!("{}. A2Q reports up to {A2Q} ×, by another flow", reduction.text()),
        ));
    }
    all
}
