//! A testbench that passes, one that fails, one that is silent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{dut, tool_or_skip};
use sim::icarus::{IcarusError, Testbench, Verdict, run};
use sim::tools::{Tool, ToolError};

fn bench(plusargs: &[&str], file: &str) -> Option<Result<Verdict, IcarusError>> {
    let (iverilog, vvp) = (tool_or_skip(Tool::Iverilog)?, tool_or_skip(Tool::Vvp)?);
    let testbench = Testbench {
        files: vec![dut("accumulate.v"), dut(file)],
        top: "bench".into(),
        defines: vec![],
        plusargs: plusargs.iter().map(|&s| s.to_owned()).collect(),
        timeout: Duration::from_secs(60),
    };
    Some(run(&iverilog, &vvp, &testbench))
}

#[test]
fn verdicts_are_told_apart() {
    let Some(verdict) = bench(&[], "bench.v") else { return };
    let verdict = verdict.unwrap();
    assert!(verdict.passed && verdict.log.contains("PASS 2 sums"), "{}", verdict.log);
    let verdict = bench(&["sum=13"], "bench.v").unwrap().unwrap();
    assert!(!verdict.passed && verdict.log.contains("FAIL 2 of 2 sums"), "{}", verdict.log);
    assert!(matches!(bench(&["silent"], "bench.v").unwrap(), Err(IcarusError::Silent { .. })));
    let error = bench(&[], "missing.v").unwrap().unwrap_err();
    assert!(matches!(error, IcarusError::Tool(ToolError::Crashed { .. })), "{error}");
}
