//! The report of a generated folder.

use generator::memory::WeightMemory;
use sim::cycle;
pub use sim::report::Report;
use sim::report::{Certificate, Check, Excerpt, Hardware, Part, Pin, Top, charts, render};

use super::vectors::FRAMES;
use super::{Design, io};
use crate::error::Error;
use crate::model::Model;
use crate::output_dir::Files;

/// Lines of Verilog shown.
const EXCERPT_LINES: usize = 24;

/// What is known of a folder when its files are made: `run` is the cycle engine's on the folder's own vectors.
///
/// # Errors
/// If the network breaks its promises.
pub fn report(
    model: &Model,
    design: &Design,
    files: &Files,
    run: &cycle::Run,
    clock_mhz: f64,
) -> Result<Report, Error> {
    let (network, dataflow) = (&model.network, &design.dataflow);
    let inspection = quantizer::inspect::inspect(network).map_err(Error::Invalid)?;
    let pins = io::ports(dataflow)
        .into_iter()
        .map(|p| Pin {
            name: p.name.to_owned(),
            direction: if p.direction == "input" { "in" } else { "out" },
            bits: p.bits,
            meaning: meaning(p.name).to_owned(),
        })
        .collect();
    let side = |s: &generator::dataflow::Stream| {
        format!(
            "{} lanes of {} bits a beat, {} beats a frame, lane 0 in the low bits",
            s.lanes,
            s.encoding.bits,
            s.beats()
        )
    };
    let top =
        Top { name: dataflow.top.clone(), pins, input: side(dataflow.input()), output: side(dataflow.output_stream()) };
    let mut hardware = Hardware::of(dataflow, clock_mhz).measured(dataflow, run);
    estimates(&mut hardware, dataflow);
    let mut report = Report::new(inspection, top, hardware);
    report.tools = vec![format!("snug {}", env!("CARGO_PKG_VERSION"))];
    report.commands = commands(design, clock_mhz);
    report.prove_command = Some("snug prove DIR".to_owned());
    let fewer = if run.result.nrows() < FRAMES { " (fewer than usual: a frame is much work)" } else { "" };
    report.checks.push(Check {
        what: "cycle engine = golden model".to_owned(),
        // Nothing is written unless they agree: see `Vectors::checked`.
        how: format!("the frames of the testbench{fewer}, accumulators at their real width, overflow trap on"),
        samples: run.result.nrows(),
        ..Check::default()
    });
    let hash = |name: &str| files.get(name).map(|bytes| crate::output_dir::sha256(bytes));
    if let (Some(sha256), Ok(network_sha256)) = (hash("certificate.json"), quantizer::store::hash(network)) {
        report.certificate = Some(Certificate { file: "certificate.json".to_owned(), sha256, network_sha256 });
    }
    report.verilog = excerpt(files);
    Ok(report)
}

/// Adds the LUT estimate of every module, by part; modules without the part have 0 of it.
fn estimates(hardware: &mut Hardware, dataflow: &generator::dataflow::Dataflow) {
    use generator::estimate::{ModuleCost, Part as Of};
    let all = [Of::Products, Of::Tree, Of::Accumulator, Of::Thresholds, Of::Weights, Of::Memory, Of::Control];
    let parts = |costs: &[ModuleCost]| -> Vec<Part> {
        let count = |part| costs.iter().flat_map(|m| &m.parts).filter(|p| p.0 == part).map(|p| p.1.lut_total()).sum();
        all.iter().map(|&part| Part { name: part.to_string(), count: count(part) }).collect()
    };
    for (shown, module) in hardware.modules.iter_mut().zip(&dataflow.modules) {
        shown.lut_estimate = parts(&generator::estimate::module(dataflow, module));
    }
    hardware.top_estimate = parts(&[generator::estimate::top(dataflow)]);
}

/// The commands that make this folder, DIR, again from what lies in it, and its proof and its counts. The same folder has the same
/// commands, whatever it was first made from: that is named at the top of the page.
fn commands(design: &Design, clock_mhz: f64) -> Vec<String> {
    let mut generate = "snug generate DIR/network.safetensors --folding DIR/dataflow.json".to_owned();
    generate += &format!(" --backend {} --accumulator-width {}", design.backend, design.accumulators);
    if design.weight_memory != WeightMemory::default() {
        generate += &format!(" --weight-memory {}", design.weight_memory);
    }
    if clock_mhz != 100.0 {
        generate += &format!(" --clock-mhz {clock_mhz}");
    }
    if design.dataflow.output == generator::dataflow::Output::Label {
        generate += " --output label";
    }
    generate += &format!(" --top {} -o DIR", design.dataflow.top);
    vec![generate, "snug prove DIR".to_owned(), "snug synth DIR".to_owned()]
}

/// Puts the report and its plots into the folder.
///
/// # Errors
/// If it cannot be rendered, which is a defect of snug.
pub fn insert(report: &Report, files: &mut Files) -> Result<(), Error> {
    let defect = |source: sim::report::ReportError| Error::Usage {
        message: source.to_string(),
        help: Some("this is a defect of snug; please report it".to_owned()),
    };
    let charts = charts(report).map_err(defect)?;
    let page = render(report, &charts).map_err(defect)?;
    for (name, bytes) in charts.iter().flat_map(sim::report::Chart::files) {
        files.insert(format!("plots/{name}"), bytes.to_vec());
    }
    files.insert("report.html".to_owned(), page.into_bytes());
    Ok(())
}

/// The accumulator of the first processing element, with its neighbours.
fn excerpt(files: &Files) -> Option<Excerpt> {
    let (name, bytes) = files.iter().find(|(name, _)| name.ends_with("_pe0.v"))?;
    let text = std::str::from_utf8(bytes).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|l| l.contains("Adder level") || l.contains("Accumulator"))?;
    let shown = lines[from..].iter().take(EXCERPT_LINES).copied().collect::<Vec<_>>().join("\n");
    Some(Excerpt { file: name.clone(), first_line: from + 1, text: shown })
}

fn meaning(port: &str) -> &'static str {
    match port {
        "aclk" => "clock, rising edge",
        "aresetn" => "reset, synchronous, active low",
        "frame_error" => "sticky: a misplaced tlast or an illegal code came in",
        p if p.ends_with("tdata") => "one beat, padded to whole bytes",
        p if p.ends_with("tvalid") => "a beat is offered",
        p if p.ends_with("tready") => "it would be taken",
        _ => "last beat of a frame",
    }
}
