//! A generated folder lives without snug: simulators and synthesis are enough, and two of them fit in one project.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::program;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Generates a model into `folder`; returns what `--json` says.
fn generate(model: &Path, folder: &Path, options: &[&str]) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snug"));
    let output = command.arg("generate").arg(model).arg("-o").arg(folder).args(options).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn digits() -> PathBuf {
    repository().join("examples/digits/digits.onnx")
}

/// A path to search for programs on which there is no snug.
fn path_without_snug() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).filter(|folder| !folder.join("snug").exists());
    std::env::join_paths(folders).unwrap()
}

/// Runs `make TARGET` in the folder without snug; whether it passed, and all it said.
fn make(folder: &Path, target: &str) -> (bool, String) {
    let mut command = Command::new("make");
    command.arg("--no-print-directory").arg("-C").arg(folder).arg(target).env("PATH", path_without_snug());
    // Ours may run under a make of its own.
    for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[test]
fn testbench_passes_in_icarus_and_verilator() {
    if !(program("make", "-v") && program("iverilog", "-V") && program("verilator", "--version")) {
        return;
    }
    for output in ["logits", "label"] {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("out");
        generate(&digits(), &folder, &["--output", output, "--target-interval", "200"]);
        let (passed, text) = make(&folder, "sim");
        assert!(passed, "{text}");
        assert!(!text.to_lowercase().contains("warning"), "{text}");
        for log in ["icarus", "verilator"] {
            let log = std::fs::read_to_string(folder.join(format!("build/{log}.log"))).unwrap();
            // Which includes: no unknown value on valid, ready, frame_error or valid data, and the reset in mid-frame.
            let verdict = log.lines().find(|l| l.starts_with("PASS")).unwrap_or_else(|| panic!("{log}"));
            eprintln!("digits, {output}: {verdict}");
        }
        // What was built is no change of the folder.
        generate(&digits(), &folder, &["--output", output, "--target-interval", "200", "--check"]);
    }
}

#[test]
fn testbench_fails_where_hardware_is_wrong() {
    if !(program("make", "-v") && program("iverilog", "-V")) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("out");
    generate(&digits(), &folder, &["--target-interval", "200"]);
    let edit = |file: &str, change: &dyn Fn(&str) -> String| {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = change(&text);
        assert_ne!(text, changed, "{file}");
        std::fs::write(&path, changed).unwrap();
        let result = make(&folder, "sim-icarus");
        std::fs::write(&path, text).unwrap();
        result
    };
    // One bit of the last beat expected.
    let (passed, text) = edit("tb/expected.hex", &|t| {
        let (rest, last) = t.trim_end().split_at(t.trim_end().len() - 1);
        format!("{rest}{:x}\n", u8::from_str_radix(last, 16).unwrap() ^ 1)
    });
    assert!(!passed && text.contains("FAIL: pattern 0, output beat"), "{text}");
    // A flag that no reset clears: only a simulator with unknown values notices.
    let (passed, text) = edit("rtl/digits.v", &|t| t.replace("            frame_error_reg <= 1'b0;\n", ""));
    assert!(!passed && text.contains("FAIL: unknown value on ready, valid or frame_error"), "{text}");
    assert!(make(&folder, "sim-icarus").0);
}

#[test]
fn synthesis_passes() {
    if !(program("make", "-v") && program("yosys", "-V")) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("out");
    generate(&digits(), &folder, &["--target-interval", "800"]);
    let (passed, text) = make(&folder, "synth");
    assert!(passed, "{text}");
    let cells = std::fs::read_to_string(folder.join("build/stat.txt")).unwrap();
    let count = |kind: &str| {
        let lines = cells.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
        lines.filter(|w| w.len() == 2 && w[0].starts_with(kind)).map(|w| w[1].parse::<u64>().unwrap()).sum::<u64>()
    };
    assert!(count("LUT") > 100 && count("FD") > 100, "{cells}");
    assert_eq!(count("DSP"), 0, "{cells}");
    eprintln!("digits at an interval of 800: {} LUT, {} FF (make synth)", count("LUT"), count("FD"));
}

/// A module that holds all these accelerators, all ports brought out.
fn together(reports: &[&serde_json::Value]) -> String {
    let (mut ports, mut instances) = (Vec::new(), String::new());
    for report in reports {
        let top = report["top"].as_str().unwrap();
        let mut connections = Vec::new();
        for port in report["ports"].as_array().unwrap() {
            let (name, bits) = (port["name"].as_str().unwrap(), port["bits"].as_u64().unwrap());
            ports.push(format!("    {} wire [{}:0] {top}_{name}", port["direction"].as_str().unwrap(), bits - 1));
            connections.push(format!("        .{name}({top}_{name})"));
        }
        let _ = writeln!(instances, "    {top} {top}_instance (\n{}\n    );", connections.join(",\n"));
    }
    format!("module together (\n{}\n);\n{instances}endmodule\n", ports.join(",\n"))
}

#[test]
fn networks_in_one_project() {
    let place = tempfile::tempdir().unwrap();
    let other = repository().join("tests/qonnx/frozen/net000.onnx");
    // The same network twice, and another one: nothing may be called alike.
    let models = [(digits(), "first"), (digits(), "second"), (other, "third")];
    let mut reports = Vec::new();
    let mut files = Vec::new();
    let mut modules = BTreeSet::new();
    for (model, top) in &models {
        let folder = place.path().join(top);
        reports.push(generate(model, &folder, &["--top", top, "--target-interval", "400"]));
        for file in std::fs::read_to_string(folder.join("files.f")).unwrap().lines() {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            for line in text.lines().filter_map(|l| l.strip_prefix("module ")) {
                let name = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap().to_owned();
                assert!(name.starts_with(top), "{name}");
                assert!(modules.insert(name.clone()), "{name} is there twice");
            }
            files.push(folder.join(file));
        }
    }
    let wrapper = place.path().join("together.v");
    std::fs::write(&wrapper, together(&reports.iter().collect::<Vec<_>>())).unwrap();
    files.push(wrapper);
    if program("iverilog", "-V") {
        let args = ["-g2005", "-Wall", "-s", "together", "-o", "/dev/null"];
        let output = Command::new("iverilog").args(args).args(&files).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !text.contains("warning"), "{text}");
    }
    if program("verilator", "--version") {
        let args = ["--lint-only", "-Wall", "-Wno-DECLFILENAME", "--top-module", "together"];
        let output = Command::new("verilator").args(args).args(&files).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
