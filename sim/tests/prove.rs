//! The claims of a small accelerator: proved as printed, refuted where something in the Verilog is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use generator::dataflow::{Dataflow, Kind, MatrixVector};
use generator::emit::verilog;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::testing::{Limits, network};
use sim::prove::{Options, Report, Verdict, prove};
use sim::tools::{Found, Tool, find};

fn yosys() -> Option<Found> {
    let found = find(Tool::Yosys).ok();
    if found.is_none() {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
    }
    found
}

/// The first of the random networks that is lowered to a unit of the kind that [`unit`] looks for.
fn dataflow() -> Dataflow {
    let designs = (0..100).filter_map(|seed| {
        let network = network(seed, Limits { layers: 2, width: 8, bits: 3 });
        lower(&network, &LowerOptions { folding: FoldingRequest::Interval(16), ..Default::default() }).ok()
    });
    designs.into_iter().find(|d| d.modules.iter().any(|m| suits(&m.kind))).expect("one of a hundred has it")
}

/// Several folds of both kinds, thresholds, and weights in each processing element.
fn suits(kind: &Kind) -> bool {
    let Kind::MatrixVector(m) = kind else { return false };
    m.synapse_folds > 1
        && m.neuron_folds > 1
        && m.search.is_some_and(|s| s.bits > 1)
        && m.pes[0].reduction.accumulator_bits > 4
}

/// Proves `module`, or everything, after `edit` has changed the files' texts: name, text.
fn proved(
    yosys: &Found,
    folder: &Path,
    design: &Dataflow,
    module: Option<&str>,
    edit: &dyn Fn(&str, String) -> String,
) -> Report {
    let mut names = Vec::new();
    for file in verilog(design, &[]).unwrap() {
        std::fs::write(folder.join(&file.name), edit(&file.name, file.text)).unwrap();
        names.push(file.name);
    }
    let module = module.map(str::to_owned);
    let witnesses = sim::prove::cover::witnesses(&serde_json::to_value(design).unwrap()).unwrap();
    let options = Options { jobs: 2, timeout: Duration::from_secs(300), work: folder.join("proof"), module, witnesses };
    prove(yosys, folder, &names, &options, &|_, _, _| {}).unwrap()
}

fn same(_: &str, text: String) -> String {
    text
}

/// `text` with `from`, which must be there, replaced once.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "'{from}' must occur for the mutant to be meant");
    text.replacen(from, to, 1)
}

/// The first unit with several folds, thresholds and an accumulator: its name, and how to change it.
fn unit(design: &Dataflow) -> (usize, String) {
    let index = design.modules.iter().position(|m| suits(&m.kind)).expect("dataflow() has looked for it");
    (index, format!("{}_{}", design.top, design.modules[index].name))
}

fn changed(design: &Dataflow, index: usize, change: impl Fn(&mut MatrixVector)) -> Dataflow {
    let mut design = design.clone();
    if let Kind::MatrixVector(unit) = &mut design.modules[index].kind {
        change(unit);
    }
    design
}

#[test]
fn a_whole_accelerator_is_proved_and_results_are_kept() {
    let Some(yosys) = yosys() else { return };
    let folder = tempfile::tempdir().unwrap();
    let design = dataflow();
    let report = proved(&yosys, folder.path(), &design, None, &same);
    assert!(report.ok, "{:?} {:?}", report.modules, report.unpaired);
    assert!(report.modules.len() > design.modules.len());
    let again = proved(&yosys, folder.path(), &design, None, &same);
    assert!(again.ok && again.modules.iter().all(|m| m.cached));
    // Another comment in a file is another file.
    let again = proved(&yosys, folder.path(), &design, Some(&unit(&design).1), &|_, text| text + "// changed\n");
    assert!(again.ok && !again.modules[0].cached);
}

/// Each of these mistakes has a run that breaks a claim.
#[test]
fn mistakes_are_refuted() {
    let Some(yosys) = yosys() else { return };
    let design = dataflow();
    let (index, name) = unit(&design);
    let element = format!("{name}_pe0");
    let check = |what: &str, module: &str, design: &Dataflow, edit: &dyn Fn(&str, String) -> String| {
        let folder = tempfile::tempdir().unwrap();
        let report = proved(&yosys, folder.path(), design, Some(module), edit);
        let module = &report.modules[0];
        assert_eq!(module.verdict, Verdict::Refuted, "{what}: {module:?}");
        let counterexample = module.counterexample.as_ref().unwrap();
        assert!(counterexample.waves.is_file() && !counterexample.signals.is_empty(), "{what}");
    };
    let narrower = changed(&design, index, |u| u.pes[0].reduction.accumulator_bits -= 1);
    check("accumulator one bit narrower", &element, &narrower, &same);
    let planned = changed(&design, index, |u| {
        let plan = &mut u.pes[0].reduction;
        plan.accumulator_bits -= 1;
        let half = 1i64 << (plan.accumulator_bits - 1);
        plan.accumulator.lo = plan.accumulator.lo.max(-half);
        plan.accumulator.hi = plan.accumulator.hi.min(half - 1);
    });
    check("the plan consistently wrong", &element, &planned, &same);
    let words = changed(&design, index, |u| u.pes[0].word_bits -= 1);
    check("threshold words one bit narrower", &element, &words, &same);
    // The ROM's first word, as it stands in the text, with its lowest bit the other way.
    check("another weight", &element, &design, &|file, text| {
        if file != format!("{element}.v") {
            return text;
        }
        let (before, rest) = text.split_once("'d0: weights = ").unwrap();
        let (word, after) = rest.split_once(';').unwrap();
        format!("{before}'d0: weights = {word} ^ 1'b1;{after}")
    });
    check("a value changed between threshold stages", &element, &design, &|file, text| {
        if file == format!("{element}.v") {
            replaced(&text, "value1 <= value0;", "value1 <= value0 ^ 1;")
        } else {
            text
        }
    });
    let in_unit = |from: &'static str, to: &'static str| {
        let unit = format!("{name}.v");
        move |file: &str, text: String| if file == unit { replaced(&text, from, to) } else { text }
    };
    check("a dropped valid", &name, &design, &in_unit(".d(fire & last)", ".d(fire & last & s_axis_tvalid)"));
    let depth = design.modules[index].queue_depth();
    let unit_file = format!("{name}.v");
    check("exit queue one place smaller", &name, &design, &|file, text| {
        if file == unit_file {
            replaced(&text, &format!(".DEPTH({depth})"), &format!(".DEPTH({})", depth - 1))
        } else {
            text
        }
    });
}

/// Claims that hold because nothing is ever in order are no proof: the run to the ends of the accumulator is missing. The same
/// where an interval is wider than what can be reached.
#[test]
fn a_vacuous_proof_is_seen() {
    let Some(yosys) = yosys() else { return };
    let design = dataflow();
    let (index, name) = unit(&design);
    let element = format!("{name}_pe0");
    let check = |what: &str, design: &Dataflow, edit: &dyn Fn(&str, String) -> String| {
        let folder = tempfile::tempdir().unwrap();
        let report = proved(&yosys, folder.path(), design, Some(&element), edit);
        let module = &report.modules[0];
        assert_eq!(module.verdict, Verdict::Unknown, "{what}: {module:?}");
        assert!(module.reason.as_ref().unwrap().contains("both ends"), "{what}: {module:?}");
    };
    let unit_file = format!("{name}.v");
    check("inputs never in order", &design, &|file, text| {
        if file == unit_file {
            replaced(&text, "assign x_ok = started &", "assign x_ok = 1'b0 & started &")
        } else {
            text
        }
    });
    let element_file = format!("{element}.v");
    check("a sum that never is valid", &design, &|file, text| {
        if file == element_file { replaced(&text, ".sum_valid(sum_valid)", ".sum_valid(1'b0)") } else { text }
    });
    // One input is less than the plan thinks: what it claims is true, and wider than what can be.
    let stream = match &design.modules[index].kind {
        Kind::MatrixVector(_) => design.modules[index].input(),
        _ => unreachable!("unit() looks for one"),
    };
    let range = format!("{}_{}_range", design.top, design.stream(stream).name);
    check("an interval that is too wide", &design, &|file, text| {
        if file == format!("{}.v", design.top) {
            let (before, module) = text.split_once(&format!("module {range} (")).unwrap();
            let module = replaced(module, "assign ok[0] =", "assign ok[0] = (data[0] == 1'b0) &");
            format!("{before}module {range} ({module}")
        } else {
            text
        }
    });
}

/// Assumptions without a promise are seen, though every module keeps its claims.
#[test]
fn a_crossed_wire_is_seen() {
    let Some(yosys) = yosys() else { return };
    let folder = tempfile::tempdir().unwrap();
    let design = dataflow();
    let (index, name) = unit(&design);
    let (input, first) = (&design.stream(design.modules[index].input()).name, &design.streams[0].name);
    let output = &design.stream(design.modules[index].output()).name;
    let other = if input == first { output } else { first };
    let report = proved(&yosys, folder.path(), &design, Some(&name), &|file, text| {
        if file != format!("{}.v", design.top) {
            return text;
        }
        replaced(&text, &format!(".s_axis_tdata({input}_tdata)"), &format!(".s_axis_tdata({other}_tdata)"))
    });
    assert!(!report.ok && report.unpaired.len() == 1, "{:?}", report.unpaired);
}
