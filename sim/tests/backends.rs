//! Every back-end computes the same integers in the cycles that the cycle engine foretells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use generator::dataflow::{Kind, Output};
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use generator::target::{Backend, retarget};
use quantizer::testing::{Limits, inputs, network};
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::stall::Stall;
use sim::tools::{Tool, find};
use sim::verilator::RunOptions;
use sim::{cycle, golden};

#[test]
fn xc7_is_cycle_exact() {
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut heaps = 0;
    for seed in 0..6u64 {
        let network = network(seed + 300, Limits { layers: 3, width: 14, bits: 4 });
        let x = inputs(&network, seed, 9);
        let folding = if seed % 3 == 0 {
            FoldingRequest::Default
        } else {
            FoldingRequest::Interval([1, 9, 1, 30, 16, 2][seed as usize])
        };
        let mut dataflow = lower(&network, &LowerOptions { folding, top: None, output: Output::Logits }).unwrap();
        retarget(&mut dataflow, Backend::Xc7);
        heaps += dataflow
            .modules
            .iter()
            .filter(|m| matches!(&m.kind, Kind::MatrixVector(u) if u.pes[0].heap.is_some()))
            .count();
        let options = CompileOptions { monitor: true, jobs: 2, ..Default::default() };
        let compiled = Compiled::new(&tool, &dataflow, &folder.path().join(seed.to_string()), options).unwrap();
        let expected = golden::run(&network, x.view()).unwrap();
        for stall in Stall::all(seed) {
            let ours =
                cycle::run(&dataflow, x.view(), &cycle::Options { stall, record: true, ..Default::default() }).unwrap();
            let (run, result) =
                compiled.run(x.view(), &RunOptions { stall, seed: seed + 1, ..RunOptions::new(0) }).unwrap();
            assert_eq!(difference(&dataflow, &ours, &run).map(|d| d.to_string()), None, "seed {seed}, {stall:?}");
            assert_eq!(result, ours.result);
            assert_eq!(result, expected);
        }
    }
    assert!(heaps > 6, "{heaps} units have heaps");
}
