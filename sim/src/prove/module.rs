//! One module: its induction, its cover run, and the search for a run where it has a mistake.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cover::{Cover, Coverage};
use super::objection::Objection;
use super::replay::Replay;
use super::script::{Job, Kind};
use super::{Options, ProveError, Verdict, array, cover, file, hash, heap, replay, text_of, unit_of};
use crate::tools::{Found, ToolError};

/// The verdict on one module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// Module name.
    pub name: String,
    /// What came out.
    pub verdict: Verdict,
    /// Wall-clock time of the run that found it.
    pub seconds: f64,
    /// Processor time of Yosys, as Yosys says; of scripts that ended.
    #[serde(default)]
    pub cpu_seconds: f64,
    /// Most memory that a script took, MB, as Yosys says.
    #[serde(default)]
    pub memory_mb: f64,
    /// SHA-256 of tool version, script and every file that it reads.
    pub key: String,
    /// Why it is not proved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Whether an earlier run found it.
    #[serde(default)]
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
    /// A script that replays it in Verilator or Icarus, for a processing element.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replay: Option<PathBuf>,
    /// What the replay printed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replayed: Option<String>,
    /// The simulator that printed it: `verilator` or `iverilog`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replayed_by: Option<String>,
}

/// The version of the checks in this crate, bookkeeping and reading of logs included; raised with every change of them.
const CHECKS: &str = concat!(env!("CARGO_PKG_VERSION"), ", checks 5");

/// What is run for a module, and the name of its result.
struct Scripts {
    proof: String,
    cover: Coverage,
    key: String,
}

impl Scripts {
    fn of(
        yosys: &Found,
        texts: &BTreeMap<String, String>,
        witnesses: &BTreeMap<String, cover::Witness>,
        job: &Job,
    ) -> Self {
        let proof = job.proof(false);
        let text = text_of(texts, &job.module);
        // A bit heap stands in the simulation as it is.
        let cell = |p: &&String| {
            text.is_some_and(|t| t.contains(heap::ROW))
                && ["LUT6_2.v", "CARRY4.v", "_snug_xc7_row.v"].iter().any(|end| p.ends_with(end))
        };
        let cells: Vec<String> = texts.keys().filter(cell).cloned().collect();
        let witness = witnesses.get(&job.module);
        let own = || texts.values().find(|t| t.contains(&format!("\nmodule {} (\n", job.module))).map(String::as_str);
        // Of a row the text is in the script.
        let cover = match text.or_else(own).or((job.kind == Kind::Row).then_some("")) {
            Some(text) => cover::cover(job, text, witnesses, &cells),
            None => Coverage::Unknown("there is no text of it to run".to_owned()),
        };
        let driver = match &cover {
            Coverage::Run(run) => run.driver.as_str(),
            Coverage::Unknown(_) | Coverage::NotNeeded => "",
        };
        let sum = format!("{:?}", witness.map(|w| (&w.sum, &w.promise)));
        let array = text.and_then(|text| array::Source::of(&job.module, text, texts));
        let array = array.map_or(["", ""], |a| [a.text, a.unit]);
        // A verdict is as good as the checks that it rests on: another version of them looks again.
        let parts = [yosys.banner.as_str(), CHECKS, &proof, driver, &sum].into_iter().chain(array);
        let files = job.files.iter().chain(&cells).filter_map(|f| texts.get(f).map(String::as_str));
        let key = hash(parts.chain(files));
        Scripts { proof, cover, key }
    }
}

/// The verdict on the module of `job` that an earlier run left in `work`, if it is one of the same.
pub(super) fn kept(
    yosys: &Found,
    texts: &BTreeMap<String, String>,
    witnesses: &BTreeMap<String, cover::Witness>,
    job: &Job,
    work: &Path,
) -> Option<Module> {
    let bytes = fs::read(work.join(format!("{}.json", job.module))).ok()?;
    let module: Module = serde_json::from_slice(&bytes).ok()?;
    (module.key == Scripts::of(yosys, texts, witnesses, job).key).then_some(module)
}

/// Whether an element's bit heap, or the array that its sum comes from, sums what it should; nothing to show of any other.
fn bookkeeping(text: &str, texts: &BTreeMap<String, String>, job: &Job, options: &Options) -> Result<(), Objection> {
    let sum = || -> Result<&heap::Sum, Objection> {
        let witness = options.witnesses.get(&job.module).ok_or("what it is to sum is not known")?;
        // The ranges that it starts from are those that the protocol asks for.
        let unit = unit_of(text).and_then(|unit| text_of(texts, unit));
        let top = texts.values().find(|t| t.contains("_watch f_s ("));
        match (&witness.promise, unit, top) {
            (Some(promise), Some(unit), Some(top)) => promise.check(unit, top).map(|()| &witness.sum),
            _ => Err("the ranges of its inputs are not known".into()),
        }
    };
    if text.contains(heap::ROW) {
        return heap::check(text, sum()?).map_err(|what| what.of("its bit heap is not shown to sum what it should"));
    }
    match array::Source::of(&job.module, text, texts) {
        Some(source) => {
            array::check(text, &source, sum()?).map_err(|what| what.of("its array is not shown to sum what it should"))
        }
        None if text.contains("assume property (sum_range);") => {
            Err("the interval of its sum is assumed, and neither a heap nor an array is there to show it".into())
        }
        None => Ok(()),
    }
}

/// The verdict on the module of `job`, kept from an earlier run or found now.
pub(super) fn one(
    yosys: &Found,
    folder: &Path,
    texts: &BTreeMap<String, String>,
    job: &Job,
    options: &Options,
) -> Result<Module, ProveError> {
    let Scripts { proof, cover, key } = Scripts::of(yosys, texts, &options.witnesses, job);
    let kept = options.work.join(format!("{}.json", job.module));
    if let Some(mut module) = fs::read(&kept).ok().and_then(|b| serde_json::from_slice::<Module>(&b).ok())
        && !options.fresh
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
        cpu_seconds: 0.0,
        memory_mb: 0.0,
        key,
        reason: None,
        cached: false,
        counterexample: None,
    };
    // Of a bit heap or an array the bookkeeping comes first: what Yosys proves of the element rests on it.
    if let Some(text) = text_of(texts, &job.module).filter(|_| job.kind == Kind::Element)
        && let Err(what) = bookkeeping(text, texts, job, options)
    {
        module.verdict = match what {
            Objection::Unread(_) => Verdict::Unknown,
            Objection::Wrong(_) => Verdict::Refuted,
        };
        module.reason = Some(what.to_string());
        return Ok(module);
    }
    let log = match run(yosys, folder, &proof, left(), &mut module) {
        // Such as a claim too few: this module is not proved, and the others have verdicts of their own.
        Err(ProveError::Tool(error @ ToolError::Crashed { .. })) => {
            module.reason = Some(error.to_string());
            return Ok(module);
        }
        log => log?,
    };
    module.verdict = log.as_deref().map_or(Verdict::Unknown, |log| verdict(log, job.inductions()));
    let failed = log.is_some();
    if module.verdict == Verdict::Proved {
        let missed = match &cover {
            Coverage::Run(run) => match covered(yosys, folder, run, left(), &mut module)? {
                Some(true) => None,
                Some(false) => Some(run.missed().to_owned()),
                None => Some(format!(
                    "the run that shows what they are about was stopped after {} s",
                    options.timeout.as_secs()
                )),
            },
            Coverage::NotNeeded => None,
            Coverage::Unknown(why) => Some(why.clone()),
        };
        if let Some(why) = missed {
            module.verdict = Verdict::Unknown;
            module.reason = Some(format!("its claims hold, but {why}"));
        }
    } else {
        // Induction may start where no run leads: a counterexample is one from the beginning.
        let waves = options.work.join(format!("{}.vcd", job.module));
        let path = std::path::absolute(&waves).map_err(file(&waves))?;
        let path = path.to_str().filter(|p| !p.contains(['"', '\n'])).ok_or_else(|| ProveError::Path(waves.clone()))?;
        let log = run(yosys, folder, &job.search(path), left(), &mut module)?;
        module.verdict = Verdict::Unknown;
        match log.as_deref().map(|log| verdict(log, 1)) {
            Some(Verdict::Refuted) => {
                let signals = signals(log.as_deref().unwrap_or_default());
                let claims = if job.kind == Kind::Element { broken(&signals) } else { Vec::new() };
                let named = if claims.is_empty() { "a claim".to_owned() } else { claims.join(", ") };
                module.verdict = Verdict::Refuted;
                module.reason = Some(format!("a run breaks {named}"));
                let mut found = Counterexample {
                    module: job.module.clone(),
                    claims,
                    signals,
                    waves,
                    replay: None,
                    replayed: None,
                    replayed_by: None,
                };
                if let Some(Replay { script, printed }) = replay::replay(&options.work, texts, &found)? {
                    found.replay = Some(script);
                    if let Some((tool, said)) = printed {
                        (found.replayed, found.replayed_by) = (Some(said), Some(tool.program().to_owned()));
                    }
                }
                module.counterexample = Some(found);
            }
            None if failed => {
                let limit = options.timeout.as_secs();
                module.reason = Some(format!("induction fails; the search for a run was stopped after {limit} s"));
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

/// Whether a simulation with the witness shows what it is to show; nothing where the time was up before.
fn covered(
    yosys: &Found,
    folder: &Path,
    cover: &Cover,
    limit: Duration,
    module: &mut Module,
) -> Result<Option<bool>, ProveError> {
    let work = tempfile::tempdir().map_err(file(&std::env::temp_dir()))?;
    let (driver, waves) = (work.path().join("cover.v"), work.path().join("cover.vcd"));
    fs::write(&driver, &cover.driver).map_err(file(&driver))?;
    let start = Instant::now();
    for &length in &cover.lengths {
        let script = cover.script(length, &driver.to_string_lossy(), &waves.to_string_lossy());
        if run(yosys, folder, &script, limit.saturating_sub(start.elapsed()), module)?.is_none() {
            return Ok(None);
        }
        if cover.reached(fs::File::open(&waves).map_err(file(&waves))?) {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}

/// The log of a script, or nothing where the time was up. What it took is added to the module's.
fn run(
    yosys: &Found,
    folder: &Path,
    script: &str,
    limit: Duration,
    module: &mut Module,
) -> Result<Option<String>, ProveError> {
    if limit.is_zero() {
        return Ok(None);
    }
    let work = tempfile::tempdir().map_err(file(&std::env::temp_dir()))?;
    let path = work.path().join("prove.ys");
    fs::write(&path, script).map_err(file(&path))?;
    match yosys.command().arg("-Q").arg("-s").arg(&path).folder(folder).timeout(limit).output() {
        Ok(output) => {
            let (cpu, memory) = taken(&output.stdout);
            module.cpu_seconds += cpu;
            module.memory_mb = module.memory_mb.max(memory);
            Ok(Some(output.stdout))
        }
        Err(ToolError::TimedOut { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Processor time and memory from the last lines of Yosys: `CPU: user 1.20s system 0.05s, MEM: 33.62 MB peak`.
fn taken(log: &str) -> (f64, f64) {
    let after = |what: &str, until: char| -> f64 {
        let number = log.rsplit_once(what).and_then(|(_, rest)| rest.split(until).next()?.trim().parse().ok());
        number.unwrap_or(0.0)
    };
    (after("CPU: user ", 's') + after("s system ", 's'), after("MEM: ", 'M'))
}

/// What the log of `sat` says: so many inductions must succeed. A run without a claim proves nothing.
fn verdict(log: &str, inductions: usize) -> Verdict {
    if !log.contains("Import proof for assert:") {
        Verdict::Unknown
    } else if log.matches("Induction step proven: SUCCESS!").count() == inductions {
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
