//! Proof that no accumulator of the emitted Verilog can overflow: the claims under `ifdef FORMAL`, by Yosys, module by module.
//!
//! What the claims are, and why they add up to a proof of the whole, stands in docs/proof.md. The scripts are made from the
//! Verilog ([`script::jobs`]); a result is kept by the hash of script, files and tool, and is not computed twice.

pub mod array;
pub mod cover;
pub mod heap;
pub mod intervals;
mod module;
pub mod objection;
pub mod pairing;
pub mod promise;
mod replay;
pub mod script;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::tools::{Found, ToolError};
pub use module::{Counterexample, Module};
use script::Job;

/// What is known of a module, or of a whole accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every claim holds in every reachable state, for every input.
    Proved,
    /// Not decided: time out, or neither induction nor a counterexample.
    Unknown,
    /// A run breaks a claim, or a bit heap or an array sums something else than its weights say.
    Refuted,
}

/// How to prove.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Yosys processes at once.
    pub jobs: usize,
    /// Limit on each module.
    pub timeout: Duration,
    /// Where results are kept, and waveforms of counterexamples.
    pub work: PathBuf,
    /// Only this module.
    pub module: Option<String>,
    /// Whether results of earlier runs count for nothing.
    pub fresh: bool,
    /// Inputs for the cover runs of processing elements ([`cover::witnesses`]); an element without any is not proved.
    pub witnesses: BTreeMap<String, cover::Witness>,
}

/// What a whole run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether everything is proved and every assumption paired.
    pub ok: bool,
    /// Modules in the order of their files.
    pub modules: Vec<Module>,
    /// The first counterexample.
    pub counterexample: Option<Counterexample>,
    /// Assumptions that nobody promises.
    pub unpaired: Vec<String>,
    /// SHA-256 of every Verilog file.
    pub files: BTreeMap<String, String>,
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
    /// Nothing to prove.
    #[error("the Verilog has no claims{}", .0.as_ref().map(|m| format!(" for a module '{m}'")).unwrap_or_default())]
    NoClaims(Option<String>),
}

/// Proves the claims in `files` (paths relative to `folder`), the Verilog of one accelerator. `done` hears of each module.
///
/// # Errors
/// [`ProveError`] where files cannot be read or Yosys cannot be run; a time out is a verdict, not an error.
pub fn prove(
    yosys: &Found,
    folder: &Path,
    files: &[String],
    options: &Options,
    done: &(dyn Fn(&Module, usize, usize) + Sync),
) -> Result<Report, ProveError> {
    let mut texts = BTreeMap::new();
    for name in files {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).map_err(file(&path))?;
        if name.contains(|c: char| c.is_whitespace() || matches!(c, '"' | ';' | '#')) {
            return Err(ProveError::Path(path));
        }
        texts.insert(name.clone(), text);
    }
    fs::create_dir_all(&options.work).map_err(file(&options.work))?;
    let mut jobs = script::jobs(&texts);
    if let Some(only) = &options.module {
        jobs.retain(|j| j.module == *only);
    }
    if jobs.is_empty() {
        return Err(ProveError::NoClaims(options.module.clone()));
    }
    // The long ones first, so that none is left over at the end.
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    let size = |j: &Job| j.files.iter().filter_map(|f| texts.get(f)).map(String::len).sum::<usize>();
    order.sort_by_key(|&i| std::cmp::Reverse(size(&jobs[i])));
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(jobs.len()));
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, jobs.len()) {
            scope.spawn(|| {
                while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = module::one(yosys, folder, &texts, &jobs[index], options);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Ok(module) = &result {
                        done(module, found.len() + 1, jobs.len());
                    }
                    found.push((index, result));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|&(index, _)| index);
    let modules = found.into_iter().map(|(_, result)| result).collect::<Result<Vec<_>, _>>()?;
    let unpaired = pairing::unpaired(&texts);
    Ok(Report {
        ok: unpaired.is_empty() && modules.iter().all(|m| m.verdict == Verdict::Proved),
        counterexample: modules.iter().find_map(|m| m.counterexample.clone()),
        modules,
        unpaired,
        files: texts.iter().map(|(name, text)| (name.clone(), hex(&Sha256::digest(text)))).collect(),
    })
}

/// The results that `work` holds of the modules of `texts` (file name to Verilog), in their order; none where a module has none, or where it
/// was found for other Verilog, with other claims, for other witnesses or by another Yosys. Empty if none has any.
pub fn kept(
    yosys: &Found,
    texts: &BTreeMap<String, String>,
    witnesses: &BTreeMap<String, cover::Witness>,
    work: &Path,
) -> Vec<Option<Module>> {
    let jobs = script::jobs(texts);
    let all: Vec<Option<Module>> = jobs.iter().map(|job| module::kept(yosys, texts, witnesses, job, work)).collect();
    if all.iter().all(Option::is_none) { Vec::new() } else { all }
}

/// The module that a file is of, by its path.
fn stem(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_end_matches(".v")
}

/// The Verilog of a module that has a file of its own.
fn text_of<'a>(texts: &'a BTreeMap<String, String>, module: &str) -> Option<&'a str> {
    texts.iter().find(|(path, _)| stem(path) == module).map(|(_, text)| text.as_str())
}

/// The unit whose protocol a processing element's claims ask.
fn unit_of(element: &str) -> Option<&str> {
    element.split_once("_protocol f_protocol")?.0.split_whitespace().last()
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // The length before each part: no two lists of parts read the same.
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn file(path: &Path) -> impl Fn(std::io::Error) -> ProveError + use<> {
    let path = path.to_owned();
    move |source| ProveError::File { path: path.clone(), source }
}
