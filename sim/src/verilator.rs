//! Compiled simulation of emitted Verilog: one build, then any number of runs with their own stimulus, stall pattern,
//! seed and reset.
//!
//! The design under test (or a wrapper around it that prints inner handshakes, see [`monitor`]) has the ports `aclk`,
//! `aresetn`, `s_axis_tdata`, `_tvalid`, `_tready`, `_tlast`, the same with `m_axis_`, and `frame_error`; tdata is a whole
//! number of bytes. The C++ beside this file drives it; what a cycle, a gap and a stall mean is written in
//! [`crate::stall`].

pub mod monitor;
mod run;
mod runtime;
pub mod waveform;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::tools::{Found, ToolError};

pub use run::{End, OutBeat, Run, RunOptions, Stimulus};

const HARNESS: &str = include_str!("verilator/harness.cpp");

/// What the build is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Quick to compile: assertions on, registers and unassigned values random, noise on idle inputs, AXI rules checked
    /// on the output.
    #[default]
    Check,
    /// Quick to run, for benches: `-O3 -march=native`, none of the above.
    Fast,
}

/// The kind of waveform file a model can write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trace {
    /// None.
    #[default]
    Off,
    /// Value change dump.
    Vcd,
    /// GTKWave's compressed format; the build needs zlib's headers.
    Fst,
}

impl Trace {
    /// The kind that a file's name asks for: `.fst`, else VCD.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("fst")) { Self::Fst } else { Self::Vcd }
    }
}

/// What to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// Verilog files, in any order.
    pub files: Vec<PathBuf>,
    /// The top module.
    pub top: String,
    /// Width of `s_axis_tdata` in bytes.
    pub input_bytes: usize,
    /// Width of `m_axis_tdata` in bytes.
    pub output_bytes: usize,
    /// What for.
    pub mode: Mode,
    /// Whether runs can write waves.
    pub trace: Trace,
    /// Preprocessor symbols, `NAME` or `NAME=value`.
    pub defines: Vec<String>,
    /// Overrides of the top module's parameters.
    pub parameters: Vec<(String, u64)>,
    /// `-Wall`, every warning an error; without, warnings do not stop the build.
    pub lint: bool,
    /// Compilers at once.
    pub jobs: usize,
    /// Limit on the whole build.
    pub timeout: Duration,
}

impl BuildOptions {
    /// A check build without waves, one compiler at a time, at most ten minutes.
    #[must_use]
    pub fn new(files: Vec<PathBuf>, top: impl Into<String>, input_bytes: usize, output_bytes: usize) -> Self {
        Self {
            files,
            top: top.into(),
            input_bytes,
            output_bytes,
            mode: Mode::Check,
            trace: Trace::Off,
            defines: Vec::new(),
            parameters: Vec::new(),
            lint: false,
            jobs: 1,
            timeout: Duration::from_secs(600),
        }
    }
}

/// Why there is no result, or not one to be trusted.
#[derive(Debug, Error)]
pub enum VerilatorError {
    /// Verilator or the model it built failed.
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
    /// A name that no Verilog tool would take, or a width of 0.
    #[error("cannot build {what}: `{value}`")]
    Invalid {
        /// What it was to be.
        what: &'static str,
        /// What was given.
        value: String,
    },
    /// The stimulus does not fit the port.
    #[error("the stimulus holds {bytes} bytes, which is not {beats} beats of {width} bytes")]
    Stimulus {
        /// Bytes given.
        bytes: usize,
        /// Beats given, by their tlast flags.
        beats: usize,
        /// Width of `s_axis_tdata`.
        width: usize,
    },
    /// Waves were asked of a model built without, or of the other kind.
    #[error("the model was built with trace {built:?} and cannot write `{}`", .path.display())]
    Trace {
        /// How it was built.
        built: Trace,
        /// What was asked.
        path: PathBuf,
    },
    /// An assertion in the design failed, or it called `$finish`.
    #[error("the design stopped itself in cycle {cycle}:\n{messages}")]
    Assertion {
        /// When.
        cycle: u64,
        /// What it printed.
        messages: String,
    },
    /// `m_axis_tvalid` fell, or data changed, before the beat was accepted.
    #[error("m_axis changed in cycle {cycle} before the beat on offer was accepted, which AXI4-Stream forbids")]
    Unstable {
        /// When.
        cycle: u64,
    },
    /// The model's result file, or a line of its monitor, is not as expected.
    #[error("the simulation wrote something unexpected: {reason}")]
    Unreadable {
        /// What.
        reason: String,
    },
}

/// A compiled simulation, ready to run: one program in its work folder.
#[derive(Clone, Debug)]
pub struct Model {
    folder: PathBuf,
    program: PathBuf,
    tool: Found,
    options: BuildOptions,
    /// Time spent on building; zero when an earlier build was found.
    pub build_time: Duration,
    /// Whether an earlier build of the same sources, options and Verilator was found in the work folder.
    pub cached: bool,
}

impl Model {
    /// Builds the model in `folder`, which is created if it is not there, or finds it built there already. The folder
    /// keeps one program for each set of sources and options; builds may share it, at once or one after the other.
    ///
    /// # Errors
    ///
    /// [`VerilatorError::Tool`] where Verilator or the C++ compiler fails (a tdata width that is not the port's is told by
    /// a static assertion); `File` where a source cannot be read or the folder not be written; `Invalid`.
    pub fn build(tool: &Found, options: &BuildOptions, folder: &Path) -> Result<Self, VerilatorError> {
        validate(options)?;
        // The tools run elsewhere.
        let folder = absolute(folder)?;
        let options = BuildOptions {
            files: options.files.iter().map(|f| absolute(f)).collect::<Result<_, _>>()?,
            ..options.clone()
        };
        let program = folder.join(format!("{}-{}", options.top, fingerprint(tool, &options)?));
        let mut model = Self { folder, program, tool: tool.clone(), options, build_time: Duration::ZERO, cached: true };
        if model.program.is_file() {
            return Ok(model);
        }
        model.cached = false;
        let start = Instant::now();
        fs::create_dir_all(&model.folder).map_err(file_error(&model.folder))?;
        // Make cannot build in a folder with a space in its name; the user's may have one, this one has none.
        let temporary = tempfile::tempdir().map_err(file_error(&std::env::temp_dir()))?;
        let build = temporary.path();
        write(&build.join("harness.cpp"), HARNESS)?;
        write(&build.join("snug_config.h"), &config(&model.options))?;
        let kind = runtime::Kind {
            tool: (tool.path.clone(), tool.banner.clone()),
            mode: model.options.mode,
            trace: model.options.trace,
        };
        let objects = build.join("obj");
        runtime::put(&kind, &objects).map_err(file_error(&objects))?;
        tool.command().args(arguments(&model.options)).folder(build).timeout(model.options.timeout).output()?;
        runtime::keep(&kind, &objects).map_err(file_error(&objects))?;
        // Copied under another name and renamed: who finds the program finds all of it.
        let copy = tempfile::NamedTempFile::new_in(&model.folder).map_err(file_error(&model.folder))?.into_temp_path();
        fs::copy(objects.join("sim"), &copy).map_err(file_error(&model.program))?;
        copy.persist(&model.program).map_err(|error| file_error(&model.program)(error.error))?;
        model.build_time = start.elapsed();
        Ok(model)
    }

    /// What was built.
    #[must_use]
    pub const fn options(&self) -> &BuildOptions {
        &self.options
    }

    /// The Verilator that built it.
    #[must_use]
    pub const fn tool(&self) -> &Found {
        &self.tool
    }
}

/// Runs `verilator --lint-only -Wall` over the files.
///
/// # Errors
///
/// [`ToolError::Crashed`] with the warnings, where there are any.
pub fn lint(tool: &Found, files: &[PathBuf], top: &str) -> Result<(), ToolError> {
    tool.command().args(["--lint-only", "-Wall", "--top-module", top]).args(files).output().map(|_| ())
}

fn validate(options: &BuildOptions) -> Result<(), VerilatorError> {
    let invalid = |what, value: &str| Err(VerilatorError::Invalid { what, value: value.to_owned() });
    let is_name = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
    };
    if !is_name(&options.top) {
        return invalid("a top module of that name", &options.top);
    }
    if let Some((name, _)) = options.parameters.iter().find(|(name, _)| !is_name(name)) {
        return invalid("a parameter of that name", name);
    }
    if let Some(define) = options.defines.iter().find(|d| !is_name(d.split('=').next().unwrap_or_default())) {
        return invalid("a preprocessor symbol of that name", define);
    }
    if options.input_bytes == 0 || options.output_bytes == 0 {
        return invalid("ports without a byte", &options.top);
    }
    if options.files.is_empty() {
        return invalid("a model without files", &options.top);
    }
    Ok(())
}

fn config(options: &BuildOptions) -> String {
    let trace = match options.trace {
        Trace::Off => 0,
        Trace::Vcd => 1,
        Trace::Fst => 2,
    };
    format!(
        "#define IN_BYTES {}\n#define OUT_BYTES {}\n#define CHECK {}\n#define TRACE {trace}\n",
        options.input_bytes,
        options.output_bytes,
        u8::from(options.mode == Mode::Check),
    )
}

/// The command line, but for the program; it runs in the build folder.
fn arguments(options: &BuildOptions) -> Vec<String> {
    let mut args: Vec<String> =
        ["--cc", "--exe", "--build", "--Mdir", "obj", "--prefix", "Vdut", "-o", "sim", "-CFLAGS", "-I.."]
            .map(str::to_owned)
            .into();
    args.extend(["--top-module".to_owned(), options.top.clone()]);
    args.extend(["-j".to_owned(), options.jobs.max(1).to_string()]);
    args.push(if options.lint { "-Wall" } else { "-Wno-fatal" }.to_owned());
    let flags: &[&str] = match options.mode {
        // Initial values are drawn at run time, by the run's seed.
        Mode::Check => &[
            "-O1",
            "--assert",
            "--x-initial",
            "unique",
            "--x-assign",
            "unique",
            "-MAKEFLAGS",
            "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0",
        ],
        Mode::Fast => &[
            "-O3",
            "--noassert",
            "--x-initial",
            "fast",
            "--x-assign",
            "fast",
            "-MAKEFLAGS",
            "OPT_FAST='-O3 -march=native' OPT_SLOW=-O1 OPT_GLOBAL='-O3 -march=native'",
        ],
    };
    args.extend(flags.iter().map(|&s| s.to_owned()));
    match options.trace {
        Trace::Off => {}
        Trace::Vcd => args.push("--trace".to_owned()),
        Trace::Fst => args.push("--trace-fst".to_owned()),
    }
    args.extend(options.defines.iter().map(|d| format!("-D{d}")));
    args.extend(options.parameters.iter().map(|(name, value)| format!("-G{name}={value}")));
    args.extend(options.files.iter().map(|f| f.to_string_lossy().into_owned()));
    args.push("harness.cpp".to_owned());
    args
}

/// Everything the built program depends on, hashed.
fn fingerprint(tool: &Found, options: &BuildOptions) -> Result<String, VerilatorError> {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(tool.banner.as_bytes());
    field(tool.path.as_os_str().as_encoded_bytes());
    field(HARNESS.as_bytes());
    field(config(options).as_bytes());
    for argument in arguments(&BuildOptions { jobs: 1, ..options.clone() }) {
        field(argument.as_bytes());
    }
    for path in &options.files {
        field(&fs::read(path).map_err(file_error(path))?);
    }
    Ok(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

fn absolute(path: &Path) -> Result<PathBuf, VerilatorError> {
    std::path::absolute(path).map_err(file_error(path))
}

fn write(path: &Path, text: &str) -> Result<(), VerilatorError> {
    fs::write(path, text).map_err(file_error(path))
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> VerilatorError + use<'_> {
    move |source| VerilatorError::File { path: path.to_owned(), source }
}
