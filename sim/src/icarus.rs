//! Four-state simulation with Icarus Verilog: the generated self-checking testbench, which sees the X that Verilator
//! does not have.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::tools::{Found, ToolError};

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testbench {
    /// Verilog files, the testbench among them.
    pub files: Vec<PathBuf>,
    /// The testbench module.
    pub top: String,
    /// Preprocessor symbols, `NAME` or `NAME=value`.
    pub defines: Vec<String>,
    /// Arguments of the simulation, without the `+`.
    pub plusargs: Vec<String>,
    /// Limit on the compilation, and again on the simulation.
    pub timeout: Duration,
}

/// What a testbench said of the design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// A line that begins with `PASS` and none that begins with `FAIL`.
    pub passed: bool,
    /// All it printed.
    pub log: String,
}

/// Why a testbench gave no verdict.
#[derive(Debug, Error)]
pub enum IcarusError {
    /// Compiler or simulation failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The work folder could not be made.
    #[error("cannot make a work folder")]
    Folder(#[from] std::io::Error),
    /// The simulation ended without `PASS` or `FAIL`.
    #[error("testbench `{top}` ended without PASS or FAIL:\n{log}")]
    Silent {
        /// The testbench module.
        top: String,
        /// All it printed.
        log: String,
    },
}

/// Compiles and runs a testbench that prints `PASS ...` or `FAIL ...` at the beginning of a line.
///
/// # Errors
///
/// [`IcarusError::Tool`] where it does not compile, crashes, or takes too long; `Silent` where it tells no verdict.
pub fn run(iverilog: &Found, vvp: &Found, testbench: &Testbench) -> Result<Verdict, IcarusError> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("testbench.vvp");
    iverilog
        .command()
        .args(["-g2005", "-Wall", "-s", &testbench.top, "-o"])
        .arg(&program)
        .args(testbench.defines.iter().map(|d| format!("-D{d}")))
        .args(&testbench.files)
        .timeout(testbench.timeout)
        .output()?;
    let output = vvp
        .command()
        // -n: an error or $stop ends the simulation, where it would wait for commands.
        .arg("-n")
        .arg(&program)
        .args(testbench.plusargs.iter().map(|p| format!("+{p}")))
        .timeout(testbench.timeout)
        .output()?;
    let says = |word| output.stdout.lines().any(|line| line.starts_with(word));
    let (pass, fail) = (says("PASS"), says("FAIL"));
    if !pass && !fail {
        return Err(IcarusError::Silent { top: testbench.top.clone(), log: output.stdout });
    }
    Ok(Verdict { passed: pass && !fail, log: output.stdout })
}
