//! Shared by the tests that need outside tools.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use sim::tools::{Found, Tool, ToolError, find};

/// The tool, or a loud note that the test was skipped.
pub fn tool_or_skip(tool: Tool) -> Option<Found> {
    match find(tool) {
        Ok(found) => Some(found),
        Err(error @ ToolError::Missing { .. }) => {
            eprintln!("SKIPPED: {error}; {}", error.advice().unwrap_or_default());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A Verilog file of the tests.
pub fn dut(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/dut").join(name)
}
