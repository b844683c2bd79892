//! Hardware cost by synthesis with Yosys: the whole design flattened, or module by module.
//!
//! Yosys counts are not the vendor tool's counts; [`Synthesis`] carries tool, version and target with every figure.

mod cells;
mod stat;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::tools::{Found, ToolError};

pub use cells::Counts;

/// What to map to. Multipliers become logic everywhere: the figures compare arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Six-input LUTs and flip-flops, no carry chains, no memories.
    Generic,
    /// AMD 7 series.
    #[default]
    Xc7,
    /// Lattice ECP5.
    Ecp5,
    /// Lattice iCE40.
    Ice40,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Generic, Self::Xc7, Self::Ecp5, Self::Ice40];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Xc7 => "xc7",
            Self::Ecp5 => "ecp5",
            Self::Ice40 => "ice40",
        }
    }

    /// The Yosys command, but for the top module. Part of every quoted figure.
    #[must_use]
    pub const fn command(self, flow: Flow) -> &'static str {
        match (self, flow) {
            (Self::Generic, Flow::Flat) => "synth -lut 6 -flatten",
            (Self::Generic, Flow::PerModule) => "synth -lut 6",
            (Self::Xc7, Flow::Flat) => "synth_xilinx -family xc7 -flatten -nodsp",
            (Self::Xc7, Flow::PerModule) => "synth_xilinx -family xc7 -nodsp",
            (Self::Ecp5, Flow::Flat) => "synth_ecp5 -nodsp -abc9",
            (Self::Ecp5, Flow::PerModule) => "synth_ecp5 -noflatten -nodsp -abc9",
            (Self::Ice40, Flow::Flat) => "synth_ice40",
            (Self::Ice40, Flow::PerModule) => "synth_ice40 -noflatten",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = YosysError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|target| target.name() == text)
            .ok_or_else(|| YosysError::Invalid { what: "target", value: text.to_owned() })
    }
}

/// Whether modules keep their walls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Flattened: what a device would hold. No figures for single modules.
    #[default]
    Flat,
    /// The hierarchy kept and every module mapped alone: figures for each, their sum a little above the flat one, and no
    /// path lengths.
    PerModule,
}

/// One synthesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Verilog files, in any order.
    pub files: Vec<PathBuf>,
    /// The top module.
    pub top: String,
    /// What to map to.
    pub target: Target,
    /// Whether modules keep their walls.
    pub flow: Flow,
    /// Limit on the run.
    pub timeout: Duration,
    /// Where to write the mapped netlist, as Yosys' JSON, for place and route.
    pub netlist: Option<PathBuf>,
}

impl Job {
    /// A flat synthesis of at most an hour.
    #[must_use]
    pub fn new(files: Vec<PathBuf>, top: impl Into<String>, target: Target) -> Self {
        Self { files, top: top.into(), target, flow: Flow::Flat, timeout: Duration::from_secs(3600), netlist: None }
    }
}

/// What a synthesis has counted; serializes to the keys of `snug synth --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Synthesis {
    /// Always `yosys`.
    pub tool: &'static str,
    /// Its version message.
    pub version: String,
    /// The Yosys command that was run.
    pub command: String,
    /// What it was mapped to.
    pub target: Target,
    /// Whether modules kept their walls.
    pub flow: Flow,
    /// The top module.
    pub top: String,
    /// The whole design.
    #[serde(flatten)]
    pub counts: Counts,
    /// Yosys' own estimate of logic cells, which packs small LUTs in pairs (xc7, flat).
    pub logic_cells: Option<u64>,
    /// LUT, carry and wide multiplexer cells on the longest path between registers (flat). A 32-bit carry chain of
    /// CARRY4 counts 8.
    pub levels: Option<u64>,
    /// Clock rate after place and route; for the caller to fill in.
    pub fmax_mhz: Option<f64>,
    /// The generator's estimate; for the caller to fill in.
    pub lut_estimate: Option<u64>,
    /// Every module definition (per-module flow).
    pub modules: Vec<Module>,
    /// Wall-clock time of the run.
    pub seconds: f64,
}

/// One module definition; a module used with other parameters is another definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Module {
    /// Its name; with parameters, Yosys' name for the combination.
    pub name: String,
    /// Its name in the source.
    pub source: String,
    /// How many of it the design holds.
    pub instances: u64,
    /// One instance, without the modules inside it.
    #[serde(flatten)]
    pub counts: Counts,
    /// The generator's estimate; for the caller to fill in.
    pub lut_estimate: Option<u64>,
}

/// Why there is no figure.
#[derive(Debug, Error)]
pub enum YosysError {
    /// Yosys failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file of ours could not be read or written.
    #[error("`{}`", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A name or path that cannot stand in a Yosys script, or an unknown target.
    #[error("not a {what}: `{value}`")]
    Invalid {
        /// What it was to be.
        what: &'static str,
        /// What was given.
        value: String,
    },
}

/// Runs one synthesis.
///
/// # Errors
///
/// [`YosysError::Tool`] where Yosys fails, takes too long or writes what cannot be read; `Invalid` for a name that no
/// Verilog tool would take; `File` where no work folder can be made.
pub fn synthesize(yosys: &Found, job: &Job) -> Result<Synthesis, YosysError> {
    let folder = tempfile::tempdir().map_err(|source| YosysError::File { path: std::env::temp_dir(), source })?;
    let script = folder.path().join("synth.ys");
    fs::write(&script, write_script(job)?).map_err(file_error(&script))?;
    let run =
        yosys.command().args(["-Q", "-T", "-q"]).arg(&script).folder(folder.path()).timeout(job.timeout).output()?;
    let read = |name: &str| {
        let path = folder.path().join(name);
        fs::read_to_string(&path).map_err(file_error(&path))
    };
    let unreadable =
        |reason| YosysError::from(ToolError::Unreadable { tool: yosys.tool, banner: yosys.banner.clone(), reason });
    let hierarchy = stat::read(&read("stat.json")?, &job.top, job.target).map_err(unreadable)?;
    let flat = job.flow == Flow::Flat;
    Ok(Synthesis {
        tool: "yosys",
        version: yosys.banner.clone(),
        command: job.target.command(job.flow).to_owned(),
        target: job.target,
        flow: job.flow,
        top: job.top.clone(),
        counts: hierarchy.total,
        logic_cells: if flat && job.target == Target::Xc7 { stat::logic_cells(&read("stat.txt")?) } else { None },
        levels: if flat { stat::levels(&read("ltp.txt")?) } else { None },
        fmax_mhz: None,
        lut_estimate: None,
        modules: if flat { Vec::new() } else { hierarchy.modules },
        seconds: run.duration.as_secs_f64(),
    })
}

/// Runs independent syntheses, `parallel` at a time; results in the order of the jobs.
#[must_use]
pub fn synthesize_all(yosys: &Found, jobs: &[Job], parallel: usize) -> Vec<Result<Synthesis, YosysError>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    thread::scope(|scope| {
        for _ in 0..parallel.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { return };
                    let result = synthesize(yosys, job);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn write_script(job: &Job) -> Result<String, YosysError> {
    let invalid = |what, value: &str| YosysError::Invalid { what, value: value.to_owned() };
    let is_name = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !is_name(&job.top) {
        return Err(invalid("module name", &job.top));
    }
    if job.files.is_empty() {
        return Err(invalid("design: it has no files", &job.top));
    }
    let mut script = String::new();
    let quoted = |file: &Path| -> Result<String, YosysError> {
        let path = std::path::absolute(file).map_err(file_error(file))?;
        // Yosys' quotes have no escapes.
        let text = path.to_str().filter(|s| !s.contains(['"', '\n', '\r']));
        text.map(|s| format!("\"{s}\"")).ok_or_else(|| invalid("path that Yosys can read", &file.display().to_string()))
    };
    for file in &job.files {
        script.push_str(&format!("read_verilog {}\n", quoted(file)?));
    }
    script.push_str(&format!("{} -top {}\n", job.target.command(job.flow), job.top));
    script.push_str("tee -o stat.json stat -json\n");
    if let Some(netlist) = &job.netlist {
        script.push_str(&format!("write_json {}\n", quoted(netlist)?));
    }
    if job.flow == Flow::Flat {
        if job.target == Target::Xc7 {
            script.push_str("tee -o stat.txt stat -tech xilinx\n");
        }
        // Registers mapped to a technology are cells like any other to ltp, and would close loops: name what may be on a
        // path.
        script.push_str(&format!("tee -o ltp.txt ltp w:* {}\n", cells::combinational(job.target)));
    }
    Ok(script)
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> YosysError + use<'_> {
    move |source| YosysError::File { path: path.to_owned(), source }
}
