//! Shared by the tests that cross crates: real networks and tools that may be missing, and co-simulation.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use generator::dataflow::Dataflow;
use ndarray::Array2;
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::cycle;
use sim::stall::Stall;
use sim::tools::{Found, Tool, ToolError, find};
use sim::verilator::RunOptions;

/// A file of the model zoo, `models/NAME` or `data/NAME`, or a loud note that the test was skipped.
pub fn zoo(file: &str) -> Option<PathBuf> {
    let Some(zoo) = std::env::var_os("SNUG_ZOO") else {
        eprintln!("SKIPPED: {file} is not tested; set SNUG_ZOO to the folder that holds models/ and data/");
        return None;
    };
    Some(PathBuf::from(zoo).join(file))
}

/// The tool, or a loud note that the test was skipped.
pub fn tool(tool: Tool) -> Option<Found> {
    match find(tool) {
        Ok(found) => Some(found),
        Err(error @ ToolError::Missing { .. }) => {
            eprintln!("SKIPPED: {error}; {}", error.advice().unwrap_or_default());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whether a program answers; else a loud note that the test was skipped.
pub fn program(name: &str, argument: &str) -> bool {
    let found = std::process::Command::new(name).arg(argument).output().is_ok();
    if !found {
        eprintln!("SKIPPED: {name} is not installed (apt-get install {name})");
    }
    found
}

/// Runs `inputs` through the emitted Verilog and the cycle engine, under all four stall patterns of every seed: the same
/// beat passes every stream in the same cycle, nothing overflows, and the outputs are `expected` (golden's).
///
/// Returns how many clock cycles Verilator ran.
pub fn cosimulate(
    verilator: &Found,
    name: &str,
    dataflow: &Dataflow,
    inputs: &Array2<i64>,
    expected: &Array2<i64>,
    seeds: &[u64],
    folder: &Path,
) -> u64 {
    let options = CompileOptions { monitor: true, jobs: 2, ..CompileOptions::default() };
    let compiled = Compiled::new(verilator, dataflow, folder, options).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut clocks = 0;
    for &seed in seeds {
        for stall in Stall::all(seed) {
            let what = format!("{name}, {stall:?}");
            let options = cycle::Options { stall, record: true, ..cycle::Options::default() };
            let ours = cycle::run(dataflow, inputs.view(), &options).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(ours.trapped, 0, "{what}: {:?}", ours.traps.first());
            let options = RunOptions { stall, seed, ..RunOptions::new(0) };
            let (run, result) = compiled.run(inputs.view(), &options).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(difference(dataflow, &ours, &run).map(|d| d.to_string()), None, "{what}");
            // The monitor has seen every stream, so that the line above has compared them.
            assert_eq!(run.streams.len(), dataflow.streams.len(), "{what}");
            assert_eq!(run.frame_error, None, "{what}");
            assert_eq!(&result, expected, "{what}: Verilator against golden");
            assert_eq!(&ours.result, expected, "{what}: cycle engine against golden");
            clocks += run.clocks;
        }
    }
    clocks
}
