//! Three tools read each module without a word, for every parameter that changes its shape.

use super::{DEPTHS, WIDTHS, rtl};
use crate::tools::{have, run};

/// Module and parameters.
fn instances() -> Vec<(&'static str, Vec<(&'static str, usize)>)> {
    let mut all = Vec::new();
    for width in WIDTHS {
        all.push(("snug_skid", vec![("WIDTH", width)]));
        all.push(("snug_pair", vec![("WIDTH", width)]));
        for depth in DEPTHS {
            all.push(("snug_fifo", vec![("WIDTH", width), ("DEPTH", depth)]));
        }
    }
    for credits in DEPTHS {
        all.push(("snug_credit", vec![("CREDITS", credits)]));
    }
    all
}

#[test]
fn verilator_has_no_warning() {
    if !have("verilator", "--version") {
        return;
    }
    for (module, parameters) in instances() {
        let file = format!("{module}.v");
        let mut arguments = vec!["--lint-only".to_owned(), "-Wall".to_owned()];
        arguments.extend(parameters.iter().map(|(name, value)| format!("-G{name}={value}")));
        arguments.push(file);
        let (ok, text) = run("verilator", &rtl(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ok && text.is_empty(), "{module} {parameters:?}:\n{text}");
    }
}

#[test]
fn icarus_has_no_warning_under_the_standard_of_2005() {
    if !have("iverilog", "-V") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (module, parameters) in instances() {
        let file = rtl().join(format!("{module}.v"));
        let mut arguments = vec!["-g2005".to_owned(), "-Wall".to_owned(), "-o".to_owned(), "out".to_owned()];
        arguments.extend(parameters.iter().map(|(name, value)| format!("-P{module}.{name}={value}")));
        arguments.push(file.display().to_string());
        let (ok, text) = run("iverilog", folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ok && text.is_empty(), "{module} {parameters:?}:\n{text}");
    }
}

#[test]
fn yosys_finds_no_problem_and_no_latch() {
    if !have("yosys", "-V") {
        return;
    }
    for (module, parameters) in instances() {
        let set: String = parameters.iter().map(|(name, value)| format!("-set {name} {value} ")).collect();
        let script = format!(
            "read_verilog {module}.v; chparam {set} {module}; hierarchy -check -top {module}; proc; opt; check -assert; \
             select -assert-none t:$dlatch"
        );
        let (ok, text) = run("yosys", &rtl(), &["-q", "-p", &script]);
        assert!(ok && text.is_empty(), "{module} {parameters:?}:\n{text}");
    }
}
