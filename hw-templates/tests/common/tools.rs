//! Running Icarus, Verilator and Yosys from tests.

use std::path::Path;
use std::process::Command;

/// Whether `tool` can be run; if not, says loudly that a test is skipped.
pub fn have(tool: &str, version_flag: &str) -> bool {
    let found = Command::new(tool).arg(version_flag).output().is_ok();
    if !found {
        eprintln!("SKIPPED: {tool} is not installed, nothing was tested; install {tool} to run this test");
    }
    found
}

/// Runs `tool` in `folder`; whether it succeeded, and what it said on both channels.
pub fn run(tool: &str, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(tool).args(arguments).current_dir(folder).output().expect("checked by have()");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// What a proof attempt ended with.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every assertion holds in every reachable state, by induction.
    Proven,
    /// A run from the first state breaks an assertion.
    Refuted,
    /// No counterexample in the steps tried, and no induction.
    Open,
}

/// Runs a Yosys script in `folder` that ends in `sat -tempinduct` or `sat -tempinduct-baseonly`.
pub fn prove(folder: &Path, script: &str) -> Verdict {
    std::fs::write(folder.join("proof.ys"), script).expect("a temporary folder is writable");
    let (ok, log) = run("yosys", folder, &["-Q", "-T", "-s", "proof.ys"]);
    assert!(ok, "Yosys could not run the proof:\n{}", tail(&log));
    assert!(log.contains("Import proof for assert:"), "the proof has no assertion:\n{}", tail(&log));
    if log.contains("Induction step proven: SUCCESS!") {
        Verdict::Proven
    } else if log.contains("model found for base case: FAIL!") {
        Verdict::Refuted
    } else {
        assert!(
            log.contains("Reached maximum number of time steps"),
            "an ending of the proof that is not known:\n{}",
            tail(&log)
        );
        Verdict::Open
    }
}

/// `source` with `from`, which must occur exactly once, replaced: a mutant.
pub fn mutate(source: &str, from: &str, to: &str) -> String {
    assert_eq!(source.matches(from).count(), 1, "'{from}' must occur exactly once for the mutant to be meant");
    source.replace(from, to)
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
