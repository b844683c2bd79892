//! `report.html` of a sweep, and its plots as files.

use std::path::Path;

use sim::report::{Curve, Scatter, SweepPage, scatter, sweep};

use super::results::{Point, Results, text_of};
use crate::error::Error;
use crate::files;

/// Writes the page and the plots.
///
/// # Errors
/// If they cannot be written.
pub fn write(results: &Results, command: &str, folder: &Path) -> Result<(), Error> {
    let defect = |e: sim::report::ReportError| Error::Usage {
        message: e.to_string(),
        help: Some("this is a defect of snug; please report it".to_owned()),
    };
    let mut charts = Vec::new();
    for plot in plots(results) {
        charts.extend(scatter(&plot).map_err(defect)?);
    }
    for chart in &charts {
        files::write(&folder.join(chart.name), |out| std::io::Write::write_all(out, chart.svg.as_bytes()))?;
    }
    let html = sweep(&page(results, command), &charts).map_err(defect)?;
    files::write(&folder.join("report.html"), |out| std::io::Write::write_all(out, html.as_bytes()))
}

/// Accuracy and sparsity against the width, LUTs against accuracy.
fn plots(results: &Results) -> Vec<Scatter> {
    let bits = |p: &Point| p.accumulator.map(f64::from);
    let accuracy = |p: &Point| p.accuracy.map(|a| 100.0 * a);
    let sparsity = |p: &Point| p.sparsity.map(|s| 100.0 * s);
    let estimate = |p: &Point| p.lut_estimate.map(|l| l as f64);
    let counted = |p: &Point| p.lut.map(|l| l as f64);
    vec![
        plot(results, "accuracy.svg", ["accumulator, bits", "accuracy, %"], bits, accuracy),
        plot(results, "luts.svg", ["accuracy, %", "LUTs, estimate"], accuracy, estimate),
        plot(results, "luts-yosys.svg", ["accuracy, %", "LUTs, Yosys"], accuracy, counted),
        plot(results, "sparsity.svg", ["accumulator, bits", "zero weights, %"], bits, sparsity),
    ]
}

fn plot(
    results: &Results,
    file: &'static str,
    axes: [&'static str; 2],
    x: impl Fn(&Point) -> Option<f64>,
    y: impl Fn(&Point) -> Option<f64>,
) -> Scatter {
    // The network as it came is in one plot only: last, so that a method looks the same in all of them.
    let mut curves: Vec<Curve> = Vec::new();
    for point in results.body.points.iter().chain(&results.body.original) {
        let (Some(x), Some(y)) = (x(point), y(point)) else { continue };
        let name = if point.accumulator.is_none() { "as it came" } else { &point.method };
        if curves.last().is_none_or(|c| c.name != name) {
            curves.push(Curve { name: name.to_owned(), points: vec![] });
        }
        if let Some(curve) = curves.last_mut() {
            curve.points.push((x, y, title(point)));
        }
    }
    Scatter { file, axes, curves }
}

/// What hovering says.
fn title(p: &Point) -> String {
    let mut title = format!(
        "{}, {} bits: {:.2} % right, {:.0} % zeros",
        p.method,
        text_of(p.accumulator.or(p.exact)),
        100.0 * p.accuracy.unwrap_or(0.0),
        100.0 * p.sparsity.unwrap_or(0.0)
    );
    if let Some(estimate) = p.lut_estimate {
        title += &format!(", {estimate} LUTs estimated");
    }
    if let Some(lut) = p.lut {
        title += &format!(", {lut} by Yosys");
    }
    title
}

fn page(results: &Results, command: &str) -> SweepPage {
    let percent = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{:.2} %", 100.0 * v));
    let cells = |p: &Point| {
        vec![
            p.method.clone(),
            text_of(p.accumulator),
            text_of(p.exact),
            percent(p.accuracy),
            percent(p.sparsity),
            text_of(p.lut_estimate),
            text_of(p.lut),
            text_of(p.interval),
        ]
    };
    let (measured, failed): (Vec<&Point>, Vec<&Point>) = results.all().partition(|p| p.error.is_none());
    SweepPage {
        network: results.body.network.clone(),
        source_sha256: results.body.source_sha256.clone(),
        headlines: headlines(results),
        columns: vec!["method", "target", "exact", "accuracy", "zeros", "LUT estimate", "LUTs (Yosys)", "interval"],
        rows: measured.into_iter().map(cells).collect(),
        errors: failed
            .into_iter()
            .map(|p| (format!("{}, {} bits", p.method, text_of(p.accumulator)), text_of(p.error.as_ref())))
            .collect(),
        command: command.to_owned(),
        tools: format!("snug {}", env!("CARGO_PKG_VERSION")),
    }
}

/// The network as it came, and the narrowest accumulators that cost at most a hundredth of its accuracy.
fn headlines(results: &Results) -> Vec<(String, String)> {
    let Some(original) = &results.body.original else { return vec![] };
    let (Some(exact), Some(correct)) = (original.exact, original.correct) else { return vec![] };
    let mut all = vec![
        (format!("{exact} bits"), "widest accumulator of the network as it came".to_owned()),
        (format!("{correct} of {}", original.samples), "samples that it gets right".to_owned()),
    ];
    let good = |p: &&Point| p.correct.is_some_and(|c| 100 * c >= 99 * correct);
    // Of equal widths the more accurate one.
    let best = results.body.points.iter().filter(good).min_by_key(|p| (p.accumulator, std::cmp::Reverse(p.correct)));
    if let Some((best, bits)) = best.and_then(|b| Some((b, b.accumulator?))) {
        let meaning = format!(
            "narrowest at 99 % of that accuracy, by {}; 32-bit accumulators are {:.1} times as wide",
            best.method,
            32.0 / f64::from(bits)
        );
        all.push((format!("{bits} bits"), meaning));
    }
    all
}
