//! Mutants: small mistakes drawn by Yosys (`mutate -list`, fixed seed) in the Verilog of the digits, module by module. Each is
//! given to the proof and to the testbench in Icarus: `cargo bench --bench mutants`, or `make mutants`.
//!
//! What is found is kept by the hash of script, files and tools under `target/tmp/mutants`, so that a run that was stopped
//! goes on. The tables go to standard output and to `docs/mutants.md`. An argument `--draw N` draws another number of
//! mutants from each module, and writes nothing to docs; `--kept` makes the tables of what earlier runs have found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sim::icarus::{self, IcarusError, Testbench};
use sim::prove::script::{Job, jobs};
use sim::tools::{Found, Tool, ToolError, find};

#[path = "mutants/equivalence.rs"]
mod equivalence;
#[path = "mutants/scripts.rs"]
mod scripts;
#[path = "mutants/table.rs"]
mod table;

/// Module, and how many mutants are drawn from it. One processing element of each layer; all units; what lies between.
const DRAWN: [(&str, usize); 9] = [
    ("digits", 10),
    ("digits_norm2_width_claims", 35),
    ("digits_norm1_pe0", 50),
    ("digits_fc3_pe0", 40),
    ("digits_label_select", 45),
    ("digits_norm1", 40),
    ("digits_fc3", 20),
    ("digits_norm2", 40),
    ("digits_norm2_pe0", 50),
];
const SEED: u32 = 20_26;
/// Limits on a proof by induction, a search for a run, a simulation, and a proof of equivalence.
const PROOF: Duration = Duration::from_secs(1200);
const SEARCH: Duration = Duration::from_secs(20);
/// A search where the testbench has failed already: to tell, not to decide.
const SHORT_SEARCH: Duration = Duration::from_secs(5);
const SIMULATION: Duration = Duration::from_secs(60);
const EQUIVALENCE: Duration = Duration::from_secs(900);

/// What the proof says of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Proof {
    /// A run breaks a claim.
    Refuted,
    /// Induction fails, and no run was looked for long enough: `snug prove` says *unknown*.
    Unproved,
    /// The time was up before the induction was decided: neither caught nor proved.
    Stopped,
    /// Every claim still holds.
    Proved,
}

/// What is known of a mutant.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mutant {
    module: String,
    /// Its number among those of the module.
    number: usize,
    /// The arguments of `mutate`.
    mutation: String,
    /// Line of the Verilog, where Yosys knows it.
    source: String,
    proof: Proof,
    /// Whether the testbench fails.
    simulation: bool,
    /// Whether it was shown to behave as the original, where no run that breaks a claim and no testbench tells them apart.
    equivalent: Option<bool>,
    seconds: f64,
}

impl Mutant {
    /// Whether more may be known of it by now: a survivor, or one that was not compared with the original.
    fn open(&self) -> bool {
        let compared = self.proof == Proof::Refuted || self.simulation || self.equivalent.is_some();
        !compared || (self.proof != Proof::Unproved && self.equivalent == Some(false))
    }
}

/// What all mutants need.
struct Bench {
    yosys: Found,
    iverilog: Found,
    vvp: Found,
    /// The generated folder.
    folder: PathBuf,
    /// Its Verilog, path to text.
    texts: BTreeMap<String, String>,
    kept: PathBuf,
}

fn main() {
    let (Ok(yosys), Ok(iverilog), Ok(vvp)) = (find(Tool::Yosys), find(Tool::Iverilog), find(Tool::Vvp)) else {
        eprintln!("SKIPPED: yosys and iverilog are needed (make setup)");
        return;
    };
    let words: Vec<String> = std::env::args().collect();
    let draw = words.iter().position(|w| w == "--draw").and_then(|at| words.get(at + 1)?.parse::<usize>().ok());
    let kept_only = words.iter().any(|w| w == "--kept");
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    let folder = work.join("digits");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/digits.onnx");
    let status = Command::new(env!("CARGO_BIN_EXE_snug"))
        .args(["generate", "--output", "label", "-q", "-o"])
        .arg(&folder)
        .arg(&model)
        .status()
        .unwrap();
    assert!(status.success());
    let list = fs::read_to_string(folder.join("files.f")).unwrap();
    let texts: BTreeMap<String, String> =
        list.split_whitespace().map(|f| (f.to_owned(), fs::read_to_string(folder.join(f)).unwrap())).collect();
    let kept = work.join("kept");
    fs::create_dir_all(&kept).unwrap();
    let bench = Bench { yosys, iverilog, vvp, folder, texts, kept };
    let all = jobs(&bench.texts);
    let mut mutants: Vec<(&Job, usize, String)> = Vec::new();
    for (module, count) in DRAWN {
        let job = all.iter().find(|j| j.module == module).unwrap();
        let count = draw.unwrap_or(count);
        let drawn = bench.draw(job, count);
        assert_eq!(drawn.len(), count, "{module}");
        mutants.extend(drawn.into_iter().enumerate().map(|(number, mutation)| (job, number, mutation)));
    }
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((job, number, mutation)) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some(mutant) = bench.judge(job, *number, mutation, kept_only) else { continue };
                    let mut found = found.lock().unwrap();
                    eprintln!(
                        "{} of {}: {} {number}: {:?}{}{} {:.1} s",
                        found.len() + 1,
                        mutants.len(),
                        mutant.module,
                        mutant.proof,
                        if mutant.simulation { ", simulation fails" } else { "" },
                        match mutant.equivalent {
                            Some(true) => ", equivalent",
                            Some(false) if mutant.proof == Proof::Stopped => ", UNDECIDED",
                            Some(false) if mutant.proof == Proof::Unproved => ", not shown equivalent",
                            Some(false) => ", SURVIVES",
                            None => "",
                        },
                        mutant.seconds,
                    );
                    found.push(mutant);
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    let place = |m: &Mutant| DRAWN.iter().position(|(name, _)| *name == m.module);
    found.sort_by_key(|m| (place(m), m.number));
    let page = table::page(&found, &bench.yosys.banner, SEED);
    println!("{page}");
    eprintln!("{:.0} s", start.elapsed().as_secs_f64());
    if draw.is_none() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/mutants.md"), page).unwrap();
    }
}

impl Bench {
    /// `count` mutations of a module's logic, its claims left out: the arguments of `mutate`.
    fn draw(&self, job: &Job, count: usize) -> Vec<String> {
        let list = self.kept.join(format!("{}.list", job.module));
        self.run(&scripts::draw(job, count, SEED, &list), PROOF).expect("listing takes no time");
        let text = fs::read_to_string(&list).unwrap();
        text.lines().filter_map(|l| l.strip_prefix("mutate ")).map(str::to_owned).collect()
    }

    /// Proof, simulation and, for a survivor, equivalence; from an earlier run where it is the same.
    fn judge(&self, job: &Job, number: usize, mutation: &str, kept_only: bool) -> Option<Mutant> {
        // Only what says where, not what documents.
        let (mutation, source) = mutation.split_once(" -src ").unwrap_or((mutation, ""));
        let source = source.split(" -src ").find(|s| !s.ends_with(":0.0-0.0")).unwrap_or_default().to_owned();
        let mutation = mutation.split(" -wire ").next().unwrap_or(mutation);
        let written = self.kept.join(format!("{}_{number}.v", job.module));
        let proof = scripts::proof(job, mutation);
        let mut hasher = Sha256::new();
        for part in [self.yosys.banner.as_str(), &self.iverilog.banner, &proof]
            .into_iter()
            .chain(self.texts.values().map(String::as_str))
        {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        let key: String = hasher.finalize().iter().take(16).fold(String::new(), |mut s, b| {
            let _ = write!(s, "{b:02x}");
            s
        });
        let kept = self.kept.join(format!("{key}.json"));
        if let Some(mutant) = fs::read(&kept).ok().and_then(|b| serde_json::from_slice::<Mutant>(&b).ok())
            // How equivalence is shown is not part of the key: a survivor is judged again.
            && (kept_only || !mutant.open())
        {
            return Some(mutant);
        }
        if kept_only {
            return None;
        }
        let start = Instant::now();
        self.run(&scripts::write(job, mutation, &written), PROOF).expect("writing takes no time");
        let simulation = self.simulation_fails(job, &written);
        let log = self.run(&proof, PROOF);
        let stopped = log.is_none();
        let log = log.unwrap_or_default();
        let limit = if simulation { SHORT_SEARCH } else { SEARCH };
        let refuted = |log: &str| log.contains("model found for base case: FAIL!");
        let proof = if log.matches("Induction step proven: SUCCESS!").count() == job.inductions() {
            Proof::Proved
        } else if refuted(&log) || self.run(&scripts::search(job, mutation), limit).is_some_and(|log| refuted(&log)) {
            Proof::Refuted
        } else if stopped {
            Proof::Stopped
        } else {
            Proof::Unproved
        };
        let equivalent = (proof != Proof::Refuted && !simulation).then(|| {
            equivalence::holds(job, mutation, &|script| {
                // A register that the mutation did away with: not shown to be equivalent.
                self.try_run(script, EQUIVALENCE).inspect_err(|e| eprintln!("{} {number}: {e}", job.module)).ok()
            })
        });
        let mutant = Mutant {
            module: job.module.clone(),
            number,
            mutation: mutation.to_owned(),
            source,
            proof,
            simulation,
            equivalent,
            seconds: start.elapsed().as_secs_f64(),
        };
        fs::write(&kept, serde_json::to_string(&mutant).unwrap()).unwrap();
        Some(mutant)
    }

    /// Whether the testbench of the generated folder fails, or does not end, with the mutant in its module's place.
    fn simulation_fails(&self, job: &Job, written: &Path) -> bool {
        let (file, text) = scripts::module_file(job, &self.texts, &fs::read_to_string(written).unwrap());
        fs::write(written, text).unwrap();
        let mut files: Vec<PathBuf> = self.texts.keys().filter(|f| **f != file).map(|f| self.folder.join(f)).collect();
        // The testbench names its vectors by paths from the generated folder.
        let vectors = self.folder.join("tb");
        let bench = fs::read_to_string(vectors.join("testbench.v")).unwrap();
        let bench = bench.replace("\"tb/", &format!("\"{}/", vectors.display()));
        let path = self.kept.join("testbench.v");
        if fs::read_to_string(&path).ok().as_deref() != Some(&bench) {
            fs::write(&path, bench).unwrap();
        }
        files.extend([written.to_owned(), path]);
        let testbench = Testbench {
            files,
            top: "digits_tb".into(),
            defines: Vec::new(),
            plusargs: Vec::new(),
            timeout: SIMULATION,
        };
        match icarus::run(&self.iverilog, &self.vvp, &testbench) {
            Ok(verdict) => !verdict.passed,
            Err(IcarusError::Silent { .. } | IcarusError::Tool(ToolError::TimedOut { .. })) => true,
            Err(error) => panic!("{}: {error}", written.display()),
        }
    }

    /// What Yosys says, or nothing where its time was up. A script that fails before the solver is a mistake here.
    fn run(&self, script: &str, limit: Duration) -> Option<String> {
        match self.try_run(script, limit) {
            Ok(log) => Some(log),
            Err(ToolError::TimedOut { .. }) => None,
            Err(error) => panic!("{error}\n{script}"),
        }
    }

    fn try_run(&self, script: &str, limit: Duration) -> Result<String, ToolError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mutant.ys");
        fs::write(&path, script).unwrap();
        let command = self.yosys.command().args(["-Q", "-T", "-s"]).arg(&path).folder(&self.folder);
        Ok(command.timeout(limit).output()?.stdout)
    }
}
