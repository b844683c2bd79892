//! Clocks per second: the cycle engine beside Verilator, same design, same frames, one thread each.
//!
//! Verilator at `-O3 -march=native` without trace and assertions, its stimulus preloaded, compile time left out; the cycle
//! engine with its overflow trap on. Every output of both is compared. The design is TFC_2W2A at FINN's example folding
//! where `SNUG_ZOO` names a folder with `models/`, else the digits network of this repository.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use generator::folding::{FoldingRequest, LayerFolding};
use generator::lower::{LowerOptions, lower};
use quantizer::import::{ImportOptions, import};
use quantizer::testing::inputs;
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::cycle;
use sim::stall::Stall;
use sim::tools::{Tool, find};
use sim::verilator::{Mode, RunOptions};

const FRAMES: usize = 4000;
const ROUNDS: usize = 5;

fn main() {
    let (model, folding) = design();
    let network = import(&model, &ImportOptions::default()).unwrap().network;
    let dataflow = lower(&network, &LowerOptions { folding, ..LowerOptions::default() }).unwrap();
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let frames = inputs(&network, 1, FRAMES);
    let folder = tempfile::tempdir().unwrap();
    let options = CompileOptions { mode: Mode::Fast, jobs: 2, ..CompileOptions::default() };
    let compiled = Compiled::new(&tool, &dataflow, folder.path(), options).unwrap();
    println!("{}, interval {} cycles, {FRAMES} frames; {}", network.source.file, dataflow.interval(), tool.banner);
    println!("{:>8} {:>16} {:>16} {:>7}", "round", "cycle clocks/s", "Verilator", "ratio");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let options = cycle::Options { stall: Stall::NONE, ..cycle::Options::default() };
        let ours = cycle::run(&dataflow, frames.view(), &options).unwrap();
        let (theirs, _) = compiled.run(frames.view(), &RunOptions::new(0)).unwrap();
        assert_eq!(difference(&dataflow, &ours, &theirs), None);
        assert_eq!(ours.trapped, 0);
        let ratio = ours.clocks_per_second() / theirs.clocks_per_second();
        println!("{round:>8} {:>16.0} {:>16.0} {ratio:>7.1}", ours.clocks_per_second(), theirs.clocks_per_second());
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.1}", ratios[ROUNDS / 2]);
}

/// The model, and its folding.
fn design() -> (PathBuf, FoldingRequest) {
    match std::env::var_os("SNUG_ZOO") {
        Some(zoo) => {
            let names = ["features.3", "features.7", "features.11", "features.15"];
            let folds = [(16, 49), (8, 8), (8, 8), (10, 8)].map(|(pe, simd)| LayerFolding { pe, simd });
            let layers: BTreeMap<String, LayerFolding> = names.map(str::to_owned).into_iter().zip(folds).collect();
            (Path::new(&zoo).join("models/TFC_2W2A.onnx"), FoldingRequest::Layers(layers))
        }
        None => {
            eprintln!("SNUG_ZOO is not set: the digits network instead of TFC_2W2A");
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            (root.join("examples/digits/digits.onnx"), FoldingRequest::Default)
        }
    }
}
