//! Estimates against Yosys, module by module: `cargo bench --bench luts`.
//!
//! Each design is synthesized with its hierarchy kept (figures for modules) and, the networks, flattened (what a device would
//! hold). Instances of a fixed module are added up within a design. Arguments: names of designs; none is all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "luts/designs.rs"]
mod designs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use designs::Design;
use generator::emit::verilog;
use generator::estimate::{Estimate, estimate};
use sim::tools::{Tool, find};
use sim::yosys::{Flow, Job, Synthesis, Target, synthesize_all};

/// Modules below this many LUTs count in no relative error: one LUT more or less says nothing there.
const SMALL: u64 = 100;

/// LUTs of one module (all instances of a fixed one), as estimated and as counted.
struct Row {
    design: String,
    module: String,
    estimate: u64,
    yosys: u64,
}

impl Row {
    fn error(&self) -> f64 {
        100.0 * (self.estimate as f64 - self.yosys as f64) / self.yosys as f64
    }
}

fn main() {
    let Ok(yosys) = find(Tool::Yosys) else {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
        return;
    };
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let named = |d: &Design| wanted.is_empty() || wanted.contains(&d.name);
    let networks: Vec<Design> = designs::networks().into_iter().filter(named).collect();
    let small: Vec<Design> = designs::SEEDS.map(designs::small).filter(named).collect();
    let folder = tempfile::tempdir().unwrap();
    let job = |d: &Design, flow| {
        let files: Vec<PathBuf> = verilog(&d.dataflow, &[])
            .unwrap()
            .into_iter()
            .map(|file| {
                let path = folder.path().join(file.name);
                std::fs::write(&path, file.text).unwrap();
                path
            })
            .collect();
        Job { flow, ..Job::new(files, d.dataflow.top.clone(), Target::Xc7) }
    };
    let mut jobs: Vec<Job> = networks.iter().map(|d| job(d, Flow::Flat)).collect();
    jobs.extend(networks.iter().chain(&small).map(|d| job(d, Flow::PerModule)));
    let mut results = synthesize_all(&yosys, &jobs, 2).into_iter().map(|r| r.unwrap());
    let flat: Vec<Synthesis> = results.by_ref().take(networks.len()).collect();
    let modules: Vec<Synthesis> = results.collect();
    println!(
        "LUTs of all uses. {}; modules: `{}`; flat: `{}`.\n",
        yosys.banner,
        Target::Xc7.command(Flow::PerModule),
        Target::Xc7.command(Flow::Flat)
    );

    println!(
        "| design | estimate | Yosys, modules apart | error | Yosys, flat | error | FF estimate | FF Yosys | time of the estimate |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    let (mut rows, mut fitted, mut held_out) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (design, synthesis)) in networks.iter().chain(&small).zip(&modules).enumerate() {
        let start = Instant::now();
        let estimated = estimate(&design.dataflow);
        let time = start.elapsed();
        let counted = synthesis.counts.lut_total();
        let error = |yosys: u64| 100.0 * (estimated.total.lut_total() as f64 - yosys as f64) / yosys as f64;
        let flat = flat
            .get(i)
            .map_or("| -".to_owned(), |f| format!("{} | {:+.1} %", f.counts.lut_total(), error(f.counts.lut_total())));
        println!(
            "| {} | {} | {counted} | {:+.1} % | {flat} | {} | {} | {time:.0?} |",
            design.name,
            estimated.total.lut_total(),
            error(counted),
            estimated.total.ff,
            synthesis.counts.ff
        );
        let own = compare(&design.name, &estimated, synthesis);
        match design.name.strip_prefix("small_").and_then(|s| s.parse::<u64>().ok()) {
            None => rows.extend(own),
            Some(seed) if seed < designs::HELD_OUT => fitted.extend(own),
            Some(_) => held_out.extend(own),
        }
    }
    println!("\n| design | module | estimate | Yosys | error |\n|---|---|--:|--:|--:|");
    for r in &rows {
        println!("| {} | {} | {} | {} | {:+.1} % |", r.design, r.module, r.estimate, r.yosys, r.error());
    }
    println!("\n| modules over {SMALL} LUT | count | mean error | worst error | where |\n|---|--:|--:|--:|---|");
    summary("networks", &rows);
    summary("small designs, for fitting", &fitted);
    summary("small designs, held out", &held_out);
}

fn compare(design: &str, estimate: &Estimate, synthesis: &Synthesis) -> Vec<Row> {
    let mut luts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for m in &estimate.modules {
        luts.entry(&m.name).or_default().0 += m.cost.lut_total();
    }
    for m in &synthesis.modules {
        luts.entry(&m.source).or_default().1 += m.instances * m.counts.lut_total();
    }
    luts.into_iter()
        .map(|(module, (estimate, yosys))| Row { design: design.into(), module: module.into(), estimate, yosys })
        .collect()
}

fn summary(what: &str, rows: &[Row]) {
    let large: Vec<&Row> = rows.iter().filter(|r| r.yosys > SMALL).collect();
    let Some(worst) = large.iter().max_by(|a, b| a.error().abs().total_cmp(&b.error().abs())) else { return };
    let mean = large.iter().map(|r| r.error().abs()).sum::<f64>() / large.len() as f64;
    println!("| {what} | {} | {mean:.1} % | {:+.1} % | {} |", large.len(), worst.error(), worst.module);
}
