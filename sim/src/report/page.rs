//! From a report's figures to the texts of its page: every cell is a string here, so that the template only places them.

use serde::Serialize;
use tera::{Context, Tera};

use quantizer::inspect::{Port, Row};

use super::{Chart, Report, ReportError};

/// The pages, and what they include. The suffix switches tera's escaping on.
const TEMPLATES: [(&str, &str); 4] = [
    ("style.css", include_str!("style.css")),
    ("network.html", include_str!("network.html.tera")),
    ("report.html", include_str!("report.html.tera")),
    ("sweep.html", include_str!("sweep.html.tera")),
];

/// Stands where there is no figure.
const NONE: &str = "–";

/// Beside the report itself, what the template shows.
#[derive(Serialize)]
struct View<'a> {
    report: &'a Report,
    headlines: Vec<Headline>,
    ports: Vec<[String; 6]>,
    checks: Vec<CheckRow<'a>>,
    n: Network<'a>,
}

/// What network.html.tera shows.
#[derive(Serialize)]
pub struct Network<'a> {
    report: &'a Report,
    /// The element of its headings.
    heading: &'static str,
    title: &'a str,
    text: &'a str,
    layers: Vec<Vec<String>>,
    macs: String,
    modules: Vec<Vec<String>>,
    part_names: Vec<&'a str>,
    luts: Vec<Vec<String>>,
    totals: Vec<String>,
    widths: Option<&'a str>,
    schedule: Option<&'a str>,
    queues: Option<&'a str>,
    parts: Option<&'a str>,
    lut_chart: Option<&'a str>,
    seconds: Vec<String>,
}

/// A figure that stands at the top of the page.
#[derive(Serialize)]
struct Headline {
    figure: String,
    meaning: String,
}

#[derive(Serialize)]
struct CheckRow<'a> {
    what: &'a str,
    how: &'a str,
    seeds: String,
    samples: String,
    mismatches: String,
    verdict: &'static str,
}

pub fn render(report: &Report, charts: &[Chart]) -> Result<String, ReportError> {
    let view = View {
        report,
        headlines: headlines(report),
        ports: vec![port("in", &report.network.input), port("out", &report.network.output)],
        checks: report.checks.iter().map(check).collect(),
        n: Network::new(report, charts, "h2", ["", ""]),
    };
    page("report.html", &view)
}

/// Renders one of the pages.
///
/// # Errors
/// [`ReportError::Template`], a defect of ours.
pub fn page(name: &str, view: &impl Serialize) -> Result<String, ReportError> {
    let error = |e| ReportError::Template(Box::new(e));
    let mut tera = Tera::new();
    tera.add_raw_templates(TEMPLATES).map_err(error)?;
    let page = tera.render(name, &Context::from_serialize(view).map_err(error)?).map_err(error)?;
    // No document may hold control characters, and names may.
    Ok(page.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}"))
}

impl<'a> Network<'a> {
    /// The sections on a network, with headings of an element, and title and text for what stands above them.
    pub fn new(report: &'a Report, charts: &'a [Chart], heading: &'static str, [title, text]: [&'a str; 2]) -> Self {
        let chart = |name: &str| charts.iter().find(|c| c.name == name).map(|c| c.svg.as_str());
        let modules = &report.hardware.modules;
        let mut part_names: Vec<&str> = Vec::new();
        for part in modules.iter().flat_map(|m| &m.lut_estimate) {
            if !part_names.contains(&part.name.as_str()) {
                part_names.push(&part.name);
            }
        }
        let has_luts = modules.iter().any(|m| m.lut.is_some() || !m.lut_estimate.is_empty());
        Network {
            report,
            heading,
            title,
            text,
            layers: report.network.layers.iter().map(layer).collect(),
            macs: grouped(report.network.macs),
            modules: modules.iter().map(module).collect(),
            luts: if has_luts { lut_rows(report, &part_names) } else { Vec::new() },
            totals: totals(report, &part_names),
            part_names,
            widths: chart("widths.svg"),
            schedule: chart("schedule.svg"),
            queues: chart("queues.svg"),
            parts: chart("parts.svg"),
            lut_chart: chart("luts.svg"),
            seconds: report.proof.iter().flat_map(|p| &p.modules).map(|m| format!("{:.1}", m.seconds)).collect(),
        }
    }
}

fn headlines(report: &Report) -> Vec<Headline> {
    let mut all = Vec::new();
    let mut add = |figure: String, meaning: String| all.push(Headline { figure, meaning });
    if let Some(a) = &report.accuracy {
        let percent = 100.0 * a.correct as f64 / a.samples.max(1) as f64;
        add(format!("{percent:.2} %"), format!("{} of {} right, {}", grouped(a.correct), grouped(a.samples), a.data));
    }
    let widths = |of: fn(&quantizer::inspect::Accumulator) -> u32| {
        let all = report.network.layers.iter().filter_map(|l| l.accumulator.as_ref());
        all.map(|a| of(a).to_string()).collect::<Vec<_>>().join(" / ")
    };
    if report.network.layers.iter().any(|l| l.accumulator.is_some()) {
        add(
            widths(|a| a.used),
            format!("accumulator bits, layer by layer; datatypes alone: {}", widths(|a| a.data_type)),
        );
    }
    let h = &report.hardware;
    add(
        format!("{} cycles", grouped(h.interval)),
        format!("a frame: {} frames/s at {} MHz", grouped(h.frames_per_second() as u64), h.clock_mhz),
    );
    if let Some(latency) = h.latency {
        let micro = latency as f64 / h.clock_mhz.max(f64::MIN_POSITIVE);
        add(format!("{} cycles", grouped(latency)), format!("from first beat in to last beat out: {micro:.2} µs"));
    }
    if let Some((s, first)) = report.synthesis.as_ref().and_then(|s| Some((s, s.counts.first()?))) {
        add(format!("{} {}", grouped(first.count), first.name), format!("{}, {}", s.tool, s.target));
    }
    all
}

fn port(direction: &str, p: &Port) -> [String; 6] {
    let scale = match p.scale.as_deref() {
        None => "codes without an affine meaning".into(),
        Some([s]) if s.offset == 0.0 => format!("{:.6} · code", s.factor),
        Some([s]) => format!("{:.6} · code {:+.6}", s.factor, s.offset),
        Some(_) => "one scale a channel, see io.json".into(),
    };
    let shape = p.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    [direction.into(), p.name.clone(), p.datatype.clone(), format!("{} … {}", p.min, p.max), shape, scale]
}

/// Name, kind, shape, weights, non-zero, dead, MACs, five widths and the mean.
fn layer(row: &Row) -> Vec<String> {
    let mut cells = vec![
        row.name.clone(),
        format!("{:?}", row.kind),
        format!("{} → {}", row.inputs, row.outputs),
        format!("{} → {}", row.input.datatype, row.output.datatype),
    ];
    match &row.weights {
        Some(w) => {
            let percent = 100.0 * w.nonzero as f64 / w.total.max(1) as f64;
            cells.extend([
                w.datatype.clone(),
                format!("{} of {} ({percent:.0} %)", grouped(w.nonzero), grouped(w.total)),
                w.dead_outputs.to_string(),
            ]);
        }
        None => cells.extend([NONE.into(), NONE.into(), NONE.into()]),
    }
    cells.push(if row.macs == 0 { NONE.into() } else { grouped(row.macs) });
    match &row.accumulator {
        Some(a) => {
            cells.extend([a.data_type, a.l1, a.zero_centered, a.exact].map(|w| w.to_string()));
            cells.push(format!("{:.1}", a.exact_mean));
            cells.push(a.used.to_string());
        }
        None => cells.extend(std::iter::repeat_n(String::from(NONE), 6)),
    }
    cells
}

fn module(m: &super::Module) -> Vec<String> {
    vec![
        m.name.clone(),
        m.layer.clone(),
        m.kind.into(),
        m.folding.map_or(NONE.into(), |(pe, simd)| format!("{pe} × {simd}")),
        grouped(m.cycles),
        if m.places == 0 { NONE.into() } else { m.places.to_string() },
        m.occupied.map_or(NONE.into(), |o| o.to_string()),
    ]
}

/// A row for every module, and for the top where its estimate is known.
fn lut_rows(report: &Report, parts: &[&str]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = report.hardware.modules.iter().map(|m| lut_row(m, parts)).collect();
    if !report.hardware.top_estimate.is_empty() {
        let lut_estimate = report.hardware.top_estimate.clone();
        rows.push(lut_row(&super::Module { name: "top".into(), lut_estimate, ..super::Module::default() }, parts));
    }
    rows
}

/// Name, each part, estimate, synthesized, difference.
fn lut_row(m: &super::Module, parts: &[&str]) -> Vec<String> {
    let mut cells = vec![m.name.clone()];
    let part = |name: &&str| m.lut_estimate.iter().find(|p| p.name == **name);
    cells.extend(parts.iter().map(|name| part(name).filter(|p| p.count > 0).map_or(NONE.into(), |p| grouped(p.count))));
    cells.extend(estimate_and_count(m.lut_estimate(), m.lut));
    cells
}

fn totals(report: &Report, parts: &[&str]) -> Vec<String> {
    let totals = super::schedule::totals(&report.hardware);
    let part = |name: &&str| totals.iter().find(|p| p.name == **name).map_or(0, |p| p.count);
    let estimate = (!parts.is_empty()).then(|| totals.iter().map(|p| p.count).sum());
    let count = report.hardware.modules.iter().filter_map(|m| m.lut).reduce(|a, b| a + b);
    let mut cells = vec!["sum".to_owned()];
    cells.extend(parts.iter().map(|name| grouped(part(name))));
    cells.extend(estimate_and_count(estimate, count));
    cells
}

fn estimate_and_count(estimate: Option<u64>, count: Option<u64>) -> [String; 3] {
    let show = |v: Option<u64>| v.map_or(NONE.into(), grouped);
    let difference = match (estimate, count) {
        (Some(e), Some(c)) if c > 0 => format!("{:+.0} %", 100.0 * (e as f64 - c as f64) / c as f64),
        _ => NONE.into(),
    };
    [show(estimate), show(count), difference]
}

fn check(c: &super::Check) -> CheckRow<'_> {
    CheckRow {
        what: &c.what,
        how: &c.how,
        seeds: c.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        samples: grouped(c.samples),
        mismatches: grouped(c.mismatches),
        // Nothing compared shows nothing.
        verdict: match (c.samples, c.mismatches) {
            (0, _) => "not run",
            (_, 0) => "equal",
            _ => "DIFFERENT",
        },
    }
}

/// Digits in groups of three, apart from each other by a thin space that does not break.
fn grouped<N: TryInto<u64>>(n: N) -> String {
    // Every count here is a usize or a u64, which fit.
    let digits = n.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
