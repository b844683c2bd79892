//! Claims of a small processing element: proved as printed, refuted where a register, weight or word is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::Duration;

use generator::dataflow::{Dataflow, Kind};
use generator::emit::verilog;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::testing::{Limits, network};
use sim::prove::{Options, Report, Verdict, prove};
use sim::tools::{Tool, find};

fn dataflow() -> Dataflow {
    let network = network(101, Limits { layers: 1, width: 6, bits: 3 });
    lower(&network, &LowerOptions { folding: FoldingRequest::Interval(6), ..Default::default() }).unwrap()
}

/// Proves the first processing element, its text changed by `edit`.
fn element(dataflow: &Dataflow, edit: impl Fn(String) -> String) -> Option<Report> {
    let Ok(yosys) = find(Tool::Yosys) else {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut first = true;
    for file in verilog(dataflow, &[]).unwrap() {
        let is_element = file.name.contains("_pe");
        if is_element && !first {
            continue;
        }
        let path = folder.path().join(&file.name);
        let text = if is_element { edit(file.text) } else { file.text };
        std::fs::write(&path, text).unwrap();
        if is_element {
            first = false;
            paths.insert(0, path);
        } else {
            paths.push(path);
        }
    }
    let options = Options { jobs: 1, timeout: Duration::from_secs(120) };
    let mut report = prove(&yosys, &paths, options).unwrap();
    report.modules.truncate(1);
    Some(report)
}

#[test]
fn an_element_is_proved_and_a_narrower_accumulator_refuted() {
    let mut design = dataflow();
    let Some(report) = element(&design, |text| text) else { return };
    assert_eq!(report.modules[0].verdict, Verdict::Proved, "{:?}", report.modules);
    // The plan consistently wrong: interval and width one too small.
    for module in &mut design.modules {
        if let Kind::MatrixVector(unit) = &mut module.kind {
            for pe in &mut unit.pes {
                pe.reduction.accumulator_bits -= 1;
                pe.reduction.accumulator.hi -= 1;
                pe.reduction.accumulator.lo += 1;
            }
        }
    }
    let report = element(&design, |text| text).unwrap();
    assert_eq!(report.modules[0].verdict, Verdict::Refuted, "{:?}", report.modules);
}
