//! The estimate against Yosys over the drawn list (`benches/luts/drawn.rs`): `make calibrate`.
//!
//! Measurements go to `benches/luts/measured.csv`; with the argument `--measured` they are read from there and Yosys is not run. Other
//! arguments are names of designs (and then the file stays as it is); `--list` prints the list alone, `--verilog` writes designs to `target/drawn`, `--modules` every module of a fitted
//! design that is far off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "luts/drawn.rs"]
mod drawn;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use drawn::{Drawn, SEEDS, held_out};
use generator::emit::verilog;
use generator::estimate::{Estimate, estimate};
use sim::tools::{Tool, find};
use sim::yosys::{Flow, Job, Target, synthesize_all};

/// Designs below this many LUTs are judged by their absolute error.
const SMALL: u64 = 200;

/// What `--modules` shows: modules whose estimate is off by so many LUTs.
const FAR_OFF: u64 = 25;

/// Designs that are counted before they are written down.
const AT_ONCE: usize = 5;

/// Of one module of a design (all instances of a definition): LUTs of all uses, flip-flops.
type Measured = BTreeMap<String, BTreeMap<String, [u64; 2]>>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let flag = |name: &str| arguments.iter().any(|a| a == name);
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let named = |d: &Drawn| wanted.is_empty() || wanted.contains(&&d.name);
    let draw = |seed| {
        let design = drawn::drawn(seed);
        if design.is_none() {
            eprintln!("LEFT OUT: seed {seed} draws no longer what the list says of it");
        }
        Some((seed, design?))
    };
    let designs: Vec<(u64, Drawn)> = SEEDS.filter_map(draw).filter(|(_, d)| named(d)).collect();
    if flag("--list") {
        designs.iter().for_each(|(_, d)| println!("{}: {}", d.name, d.about));
        return;
    }
    if flag("--verilog") {
        designs.iter().for_each(|(_, d)| print(d));
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/luts/measured.csv");
    let measured = if flag("--measured") { read(&file) } else { measure(&designs, wanted.is_empty().then_some(&file)) };
    if let Some(measured) = measured {
        report(&designs, &measured);
    }
}

/// Writes a design's Verilog to `target/drawn`, to be looked at.
fn print(design: &Drawn) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/drawn").join(&design.name);
    std::fs::create_dir_all(&folder).unwrap();
    for file in verilog(&design.dataflow, &[]).unwrap() {
        std::fs::write(folder.join(file.name), file.text).unwrap();
    }
    println!("{}", folder.display());
}

/// Runs Yosys over the designs, a few at a time, and writes to `file` what has come together so far.
fn measure(designs: &[(u64, Drawn)], file: Option<&PathBuf>) -> Option<Measured> {
    let Ok(yosys) = find(Tool::Yosys) else {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
        return None;
    };
    println!("{}; `{}`.\n", yosys.banner, Target::Xc7.command(Flow::PerModule));
    let folder = tempfile::tempdir().unwrap();
    let job = |d: &Drawn| {
        let files: Vec<PathBuf> = verilog(&d.dataflow, &[])
            .unwrap()
            .into_iter()
            .map(|file| {
                let path = folder.path().join(format!("{}_{}", d.name, file.name));
                std::fs::write(&path, file.text).unwrap();
                path
            })
            .collect();
        Job { flow: Flow::PerModule, ..Job::new(files, d.dataflow.top.clone(), Target::Xc7) }
    };
    let of = |((_, d), result): (&(u64, Drawn), Result<sim::yosys::Synthesis, _>)| {
        let synthesis = result.unwrap();
        let mut modules: BTreeMap<String, [u64; 2]> = BTreeMap::new();
        for m in &synthesis.modules {
            let entry = modules.entry(m.source.clone()).or_default();
            entry[0] += m.instances * m.counts.lut_total();
            entry[1] += m.instances * m.counts.ff;
        }
        (d.name.clone(), modules)
    };
    let mut measured = Measured::new();
    let start = Instant::now();
    for (i, some) in designs.chunks(AT_ONCE).enumerate() {
        let jobs: Vec<Job> = some.iter().map(|(_, d)| job(d)).collect();
        measured.extend(some.iter().zip(synthesize_all(&yosys, &jobs, 2)).map(of));
        if let Some(file) = file {
            write(file, &measured);
        }
        let done = i * AT_ONCE + some.len();
        eprintln!("{done} of {} designs counted, {:.0?}", designs.len(), start.elapsed());
    }
    Some(measured)
}

fn write(file: &Path, measured: &Measured) {
    let lines: Vec<String> = measured
        .iter()
        .flat_map(|(design, modules)| modules.iter().map(move |(m, [lut, ff])| format!("{design},{m},{lut},{ff}")))
        .collect();
    std::fs::write(file, format!("design,module,lut,ff\n{}\n", lines.join("\n"))).unwrap();
}

fn read(file: &Path) -> Option<Measured> {
    let mut measured = Measured::new();
    for line in std::fs::read_to_string(file).unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |i: usize| fields[i].parse::<u64>().unwrap();
        measured.entry(fields[0].to_owned()).or_default().insert(fields[1].to_owned(), [number(2), number(3)]);
    }
    Some(measured)
}

fn report(designs: &[(u64, Drawn)], measured: &Measured) {
    println!("| design | what | estimate | Yosys | error | FF estimate | FF Yosys | estimated in |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    let mut all: Vec<(bool, String, f64, f64)> = Vec::new();
    let mut kinds: BTreeMap<String, Vec<(u64, u64, String)>> = BTreeMap::new();
    for (seed, design) in designs {
        let Some(modules) = measured.get(&design.name) else { continue };
        let start = Instant::now();
        let estimated = estimate(&design.dataflow);
        let time = start.elapsed();
        let (lut, ff) = (modules.values().map(|m| m[0]).sum::<u64>(), modules.values().map(|m| m[1]).sum::<u64>());
        let (e, y) = (estimated.total.lut_total() as f64, lut as f64);
        println!(
            "| {} | {} | {e} | {lut} | {:+.1} % | {} | {ff} | {time:.0?} |",
            design.name,
            design.about,
            100.0 * (e - y) / y,
            estimated.total.ff
        );
        all.push((held_out(*seed), design.name.clone(), e, y));
        if std::env::args().any(|a| a == "--parts") {
            for m in &estimated.modules {
                let parts: Vec<String> = m.parts.iter().map(|(p, c)| format!("{p}={}", c.lut_total())).collect();
                println!("PART,{},{},{}", design.name, m.name, parts.join(","));
            }
        }
        if !held_out(*seed) {
            by_kind(design, &estimated, modules, &mut kinds);
        }
    }
    println!("\n| designs | over {SMALL} LUT | mean error | worst | where | smaller ones | largest error, LUT |");
    println!("|---|--:|--:|--:|---|--:|--:|");
    summary("fitted", all.iter().filter(|d| !d.0));
    summary("held out", all.iter().filter(|d| d.0));
    summary("all", all.iter());
    println!("\nFitted designs, by kind of module: estimate and Yosys summed, error of the sum, worst single ones.\n");
    println!("| kind | modules | estimate | Yosys | error | worst: estimate for Yosys |\n|---|--:|--:|--:|--:|---|");
    for (kind, mut modules) in kinds {
        let (e, y) = modules.iter().fold((0, 0), |(e, y), m| (e + m.0, y + m.1));
        modules.sort_by_key(|m| std::cmp::Reverse(m.0.abs_diff(m.1)));
        let worst: Vec<String> = modules.iter().take(4).map(|m| format!("{} {} for {}", m.2, m.0, m.1)).collect();
        let error = 100.0 * (e as f64 - y as f64) / (y as f64).max(1.0);
        println!("| {kind} | {} | {e} | {y} | {error:+.1} % | {} |", modules.len(), worst.join("; "));
    }
}

/// Estimate and count of every module, by its name without design, layer and numbers.
fn by_kind(
    design: &Drawn,
    estimated: &Estimate,
    modules: &BTreeMap<String, [u64; 2]>,
    kinds: &mut BTreeMap<String, Vec<(u64, u64, String)>>,
) {
    let mut own: BTreeMap<&str, u64> = BTreeMap::new();
    estimated.modules.iter().for_each(|m| *own.entry(&m.name).or_default() += m.cost.lut_total());
    let missing = modules.keys().filter(|m| !own.contains_key(m.as_str())).map(String::as_str).collect::<Vec<_>>();
    for name in own.keys().copied().chain(missing) {
        let counted = modules.get(name).map_or(0, |m| m[0]);
        let rest = name.strip_prefix(&design.dataflow.top).unwrap_or(name);
        let kind = if let Some(fixed) = rest.strip_prefix("_snug_") {
            fixed.to_owned()
        } else if rest.is_empty() {
            "top".to_owned()
        } else if rest.ends_with("_array") {
            "array".to_owned()
        } else if let Some(at) = rest.rfind("_pe").filter(|at| rest[at + 3..].parse::<u64>().is_ok()) {
            let heap = if design.about.contains("xc7") { "element xc7" } else { "element" };
            let _ = at;
            heap.to_owned()
        } else if rest.ends_with("_lane") {
            "map lane".to_owned()
        } else if rest.contains("label_select") {
            "label select".to_owned()
        } else {
            "unit".to_owned()
        };
        let estimate = own.get(name).copied().unwrap_or(0);
        if estimate.abs_diff(counted) >= FAR_OFF && std::env::args().any(|a| a == "--modules") {
            println!("{name}: {estimate} for {counted} ({})", design.about);
        }
        kinds.entry(kind).or_default().push((own.get(name).copied().unwrap_or(0), counted, name.to_owned()));
    }
}

fn summary<'a>(what: &str, designs: impl Iterator<Item = &'a (bool, String, f64, f64)>) {
    let (large, small): (Vec<_>, Vec<_>) = designs.partition(|d| d.3 >= SMALL as f64);
    let error = |d: &&(bool, String, f64, f64)| 100.0 * (d.2 - d.3) / d.3;
    let Some(worst) = large.iter().max_by(|a, b| error(a).abs().total_cmp(&error(b).abs())) else { return };
    let mean = large.iter().map(|d| error(d).abs()).sum::<f64>() / large.len() as f64;
    let absolute = small.iter().map(|d| (d.2 - d.3).abs()).fold(0.0, f64::max);
    println!(
        "| {what} | {} | {mean:.1} % | {:+.1} % | {} | {} | {absolute} |",
        large.len(),
        error(worst),
        worst.1,
        small.len()
    );
}
