//! Proof that no accumulator of the emitted Verilog can overflow: the claims under `ifdef FORMAL`, by Yosys, file by file.
//!
//! A processing element is proved in parts along its pipeline: the claims of a level are proved for any register
//! contents of the level before that its own claims allow (the registers become free inputs, the claims assumptions).
//! Levels depend on earlier ones only, so no part rests on itself. What the claims are, and why they add up to a
//! proof of the whole, stands in docs/proof.md.

mod script;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::tools::{Found, ToolError};
use script::{Design, Part, design};

/// What is known of a module, or of a whole accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every claim holds in every reachable state, for every input.
    Proved,
    /// Not decided: no claims, time out, or neither induction nor a counterexample.
    Unknown,
    /// A run breaks a claim.
    Refuted,
}

/// How to prove.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Yosys processes at once.
    pub jobs: usize,
    /// Limit on each module.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { jobs: 2, timeout: Duration::from_secs(600) }
    }
}

/// The verdict on one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Module {
    /// Module name.
    pub name: String,
    /// What came out.
    pub verdict: Verdict,
    /// Wall-clock time.
    pub seconds: f64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Which part is not proved, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A register assignment from which a claim breaks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counterexample {
    /// Module.
    pub module: String,
    /// Part of the module's claims.
    pub part: String,
    /// Signals by name: their value in each step, in binary.
    pub signals: BTreeMap<String, Vec<String>>,
}

/// What a whole run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether everything is proved.
    pub ok: bool,
    /// Files in the order given.
    pub modules: Vec<Module>,
    /// The first counterexample.
    pub counterexample: Option<Counterexample>,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ProveError {
    /// Yosys failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file could not be read or written.
    #[error("'{path}': {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A path that cannot stand in a Yosys script.
    #[error("'{0}' has characters that Yosys cannot read in a path")]
    Path(PathBuf),
}

/// Proves the claims in `files`, the Verilog of one accelerator. A module without claims is `unknown`, so that nothing is
/// called proved that was not looked at.
///
/// # Errors
/// [`ProveError`] where files cannot be read or Yosys cannot be run; a time out is a verdict, not an error.
pub fn prove(yosys: &Found, files: &[PathBuf], options: Options) -> Result<Report, ProveError> {
    let mut texts = Vec::with_capacity(files.len());
    for path in files {
        let path = std::path::absolute(path).map_err(|source| ProveError::File { path: path.clone(), source })?;
        let text = fs::read_to_string(&path).map_err(|source| ProveError::File { path: path.clone(), source })?;
        if path.to_str().is_none_or(|p| p.contains(['"', '\n', '\r'])) {
            return Err(ProveError::Path(path));
        }
        texts.push((path, text));
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(texts.len()));
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, texts.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= texts.len() {
                        return;
                    }
                    let result = module(yosys, &texts, index, options.timeout);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|&(index, _)| index);
    let mut modules = Vec::with_capacity(done.len());
    let mut counterexample = None;
    for (_, result) in done {
        let (module, found) = result?;
        modules.push(module);
        counterexample = counterexample.or(found);
    }
    Ok(Report { ok: modules.iter().all(|m| m.verdict == Verdict::Proved), modules, counterexample })
}

type Texts = [(PathBuf, String)];

fn module(
    yosys: &Found,
    texts: &Texts,
    index: usize,
    timeout: Duration,
) -> Result<(Module, Option<Counterexample>), ProveError> {
    let (path, text) = &texts[index];
    let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let start = Instant::now();
    let sha256 = Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect();
    let mut result = Module { name: name.clone(), verdict: Verdict::Proved, seconds: 0.0, sha256, reason: None };
    let mut counterexample = None;
    match design(&name, texts, index) {
        None => {
            result.verdict = Verdict::Unknown;
            result.reason = Some("the file has no claims".to_owned());
        }
        Some(design) => {
            for part in &design.parts {
                let left = timeout.saturating_sub(start.elapsed());
                let (verdict, log) = run(yosys, &design, part, left)?;
                if verdict == Verdict::Proved {
                    continue;
                }
                result.verdict = verdict;
                result.reason = Some(part.name.clone());
                if verdict == Verdict::Refuted {
                    let signals = signals(&log);
                    counterexample = Some(Counterexample { module: name, part: part.name.clone(), signals });
                }
                break;
            }
        }
    }
    result.seconds = start.elapsed().as_secs_f64();
    Ok((result, counterexample))
}

fn run(yosys: &Found, design: &Design, part: &Part, limit: Duration) -> Result<(Verdict, String), ProveError> {
    let folder = tempfile::tempdir().map_err(|source| ProveError::File { path: std::env::temp_dir(), source })?;
    let path: &Path = &folder.path().join("prove.ys");
    let script = script::text(design, part);
    fs::write(path, script).map_err(|source| ProveError::File { path: path.to_owned(), source })?;
    match yosys.command().args(["-Q", "-T"]).arg("-s").arg(path).folder(folder.path()).timeout(limit).output() {
        Ok(output) => Ok((script::verdict(&output.stdout), output.stdout)),
        Err(ToolError::TimedOut { .. }) => Ok((Verdict::Unknown, String::new())),
        Err(error) => Err(error.into()),
    }
}

/// The signals of the model that `sat` prints: `<time> \<name> <decimal> <hexadecimal> <binary>`.
fn signals(log: &str) -> BTreeMap<String, Vec<String>> {
    let mut signals: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in log.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [time, name, _, _, bits] = words[..]
            && time.parse::<u32>().is_ok()
            && let Some(name) = name.strip_prefix('\\')
        {
            signals.entry(name.to_owned()).or_default().push(bits.to_owned());
        }
    }
    signals
}
