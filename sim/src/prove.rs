//! Proof that no accumulator of the emitted Verilog can overflow: the claims under `ifdef FORMAL`, by Yosys, module by module.
//!
//! What the claims are, and why they add up to a proof of the whole, stands in docs/proof.md. The scripts are made from the
//! Verilog ([`script::jobs`]); a result is kept by the hash of script, files and tool, and is not computed twice.

pub mod cover;
pub mod intervals;
pub mod pairing;
pub mod script;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::tools::{Found, ToolError};
use script::{Job, Kind};

/// What is known of a module, or of a whole accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every claim holds in every reachable state, for every input.
    Proved,
    /// Not decided: time out, or neither induction nor a counterexample.
    Unknown,
    /// A run breaks a claim.
    Refuted,
}

/// How to prove.
#[derive(Clone, Debug)]
pub struct Options {
    /// Yosys processes at once.
    pub jobs: usize,
    /// Limit on each module.
    pub timeout: Duration,
    /// Where results are kept, and waveforms of counterexamples.
    pub work: PathBuf,
    /// Only this module.
    pub module: Option<String>,
}

/// The verdict on one module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// Module name.
    pub name: String,
    /// What came out.
    pub verdict: Verdict,
    /// Wall-clock time of the run that found it.
    pub seconds: f64,
    /// SHA-256 of tool version, script and every file that it reads.
    pub key: String,
    /// Why it is not proved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Whether an earlier run found it.
    #[serde(skip, default)]
    pub cached: bool,
    /// The run that breaks a claim, if one was found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counterexample: Option<Counterexample>,
}

/// A run that breaks a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counterexample {
    /// Module.
    pub module: String,
    /// The claims that are 0 in its last step, where they have names.
    pub claims: Vec<String>,
    /// Signals by name: their value in each step, in binary.
    pub signals: BTreeMap<String, Vec<String>>,
    /// The same as a waveform.
    pub waves: PathBuf,
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
                    let result = one(yosys, folder, &texts, &jobs[index], options);
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

fn one(
    yosys: &Found,
    folder: &Path,
    texts: &BTreeMap<String, String>,
    job: &Job,
    options: &Options,
) -> Result<Module, ProveError> {
    let Scripts { proof, cover, key } = Scripts::of(yosys, texts, job);
    let kept = options.work.join(format!("{}.json", job.module));
    if let Some(mut module) = fs::read(&kept).ok().and_then(|b| serde_json::from_slice::<Module>(&b).ok())
        && module.key == key
        && module.verdict != Verdict::Unknown
    {
        module.cached = true;
        return Ok(module);
    }
    let start = Instant::now();
    let left = || options.timeout.saturating_sub(start.elapsed());
    let mut module = Module {
        name: job.module.clone(),
        verdict: Verdict::Unknown,
        seconds: 0.0,
        key,
        reason: None,
        cached: false,
        counterexample: None,
    };
    let log = run(yosys, folder, &proof, left())?;
    module.verdict = log.as_deref().map_or(Verdict::Unknown, verdict);
    if let (Verdict::Proved, Some(cover)) = (module.verdict, &cover) {
        let log = match run(yosys, folder, cover, left()) {
            // The same design was proved: what the script misses is a wire that never changes, and was optimised away.
            Err(ProveError::Tool(ToolError::Crashed { .. })) => None,
            log => log?,
        };
        if !log.as_deref().is_some_and(cover::reached) {
            module.verdict = Verdict::Unknown;
            module.reason = Some("its claims hold, but no run to both ends of its accumulator was found".to_owned());
        }
    } else if module.verdict != Verdict::Proved {
        // Induction may start where no run leads: a counterexample is one from the beginning.
        let waves = options.work.join(format!("{}.vcd", job.module));
        let path = std::path::absolute(&waves).map_err(file(&waves))?;
        let path = path.to_str().filter(|p| !p.contains(['"', '\n'])).ok_or_else(|| ProveError::Path(waves.clone()))?;
        let log = run(yosys, folder, &job.search(path), left())?;
        module.verdict = Verdict::Unknown;
        match log.as_deref().map(verdict) {
            Some(Verdict::Refuted) => {
                let signals = signals(log.as_deref().unwrap_or_default());
                let claims = if job.kind == Kind::Element { broken(&signals) } else { Vec::new() };
                let named = if claims.is_empty() { "a claim".to_owned() } else { claims.join(", ") };
                module.verdict = Verdict::Refuted;
                module.reason = Some(format!("a run breaks {named}"));
                module.counterexample = Some(Counterexample { module: job.module.clone(), claims, signals, waves });
            }
            None => module.reason = Some(format!("stopped after {} s", options.timeout.as_secs())),
            _ => module.reason = Some("induction fails, and no run that breaks a claim was found".to_owned()),
        }
    }
    module.seconds = start.elapsed().as_secs_f64();
    let text = serde_json::to_string(&module).unwrap_or_default();
    fs::write(&kept, text).map_err(file(&kept))?;
    Ok(module)
}

/// What is run for a module, and the name of its result.
struct Scripts {
    proof: String,
    cover: Option<String>,
    key: String,
}

impl Scripts {
    fn of(yosys: &Found, texts: &BTreeMap<String, String>, job: &Job) -> Self {
        let proof = job.proof(false);
        let text =
            texts.iter().find(|(path, _)| path.ends_with(&format!("{}.v", job.module))).map(|(_, text)| text.as_str());
        let cover = text.and_then(|text| cover::script(job, text));
        let parts = [yosys.banner.as_str(), &proof, cover.as_deref().unwrap_or_default()].into_iter();
        let key = hash(parts.chain(job.files.iter().filter_map(|f| texts.get(f).map(String::as_str))));
        Scripts { proof, cover, key }
    }
}

/// The results that `work` holds of the modules of `texts` (file name to Verilog), in their order; none where a module has none, or where it
/// was found for other Verilog, with other claims or by another Yosys. Empty if none has any.
pub fn kept(yosys: &Found, texts: &BTreeMap<String, String>, work: &Path) -> Vec<Option<Module>> {
    let result = |job: &Job| {
        let bytes = fs::read(work.join(format!("{}.json", job.module))).ok()?;
        let module: Module = serde_json::from_slice(&bytes).ok()?;
        (module.key == Scripts::of(yosys, texts, job).key).then_some(module)
    };
    let all: Vec<Option<Module>> = script::jobs(texts).iter().map(result).collect();
    if all.iter().all(Option::is_none) { Vec::new() } else { all }
}

/// The log of a script, or nothing where the time was up.
fn run(yosys: &Found, folder: &Path, script: &str, limit: Duration) -> Result<Option<String>, ProveError> {
    if limit.is_zero() {
        return Ok(None);
    }
    let work = tempfile::tempdir().map_err(file(&std::env::temp_dir()))?;
    let path = work.path().join("prove.ys");
    fs::write(&path, script).map_err(file(&path))?;
    match yosys.command().args(["-Q", "-T"]).arg("-s").arg(&path).folder(folder).timeout(limit).output() {
        Ok(output) => Ok(Some(output.stdout)),
        Err(ToolError::TimedOut { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the log of `sat` says. A run without a claim proves nothing.
fn verdict(log: &str) -> Verdict {
    if !log.contains("Import proof for assert:") {
        Verdict::Unknown
    } else if log.contains("Induction step proven: SUCCESS!") {
        Verdict::Proved
    } else if log.contains("model found for base case: FAIL!") {
        Verdict::Refuted
    } else {
        Verdict::Unknown
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

/// The named claims of a processing element that are 0 at the end.
fn broken(signals: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let claim = |n: &str| {
        n.starts_with("level")
            || n.starts_with("stage")
            || ["sum_exact", "sum_range", "out_range", "f_weights"].contains(&n)
    };
    let zero = |v: &[String]| v.last().is_some_and(|v| v == "0");
    signals.iter().filter(|(n, v)| claim(n) && zero(v)).map(|(n, _)| n.clone()).collect()
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
