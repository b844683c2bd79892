//! Emitted Verilog in Verilator against the cycle engine: every stream, every beat, every cycle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use generator::dataflow::Output;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::testing::{Limits, inputs, network};
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::stall::Stall;
use sim::tools::{Tool, find};
use sim::verilator::RunOptions;
use sim::{cycle, golden};

#[test]
fn random_networks_are_cycle_exact() {
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..8u64 {
        let network = network(seed + 100, Limits { layers: 3, width: 14, bits: 4 });
        let x = inputs(&network, seed, 9);
        let output = if seed % 2 == 0 && network.label_grid.is_ok() { Output::Label } else { Output::Logits };
        let folding = if seed % 3 == 0 { FoldingRequest::Default } else { FoldingRequest::Interval(1 + 7 * seed) };
        let dataflow = lower(&network, &LowerOptions { folding, top: None, output }).unwrap();
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
            assert_eq!(run.frame_error, None);
            match output {
                Output::Logits => assert_eq!(result, expected),
                Output::Label => {
                    let labels: Vec<usize> = result.iter().map(|&v| v as usize).collect();
                    assert_eq!(labels, golden::label(expected.view(), network.label_grid.as_ref().unwrap()));
                }
            }
            // A reset in mid-frame is forgotten.
            let reset_at = Some(run.cycles / 3);
            let (again, _) = compiled.run(x.view(), &RunOptions { stall, reset_at, ..RunOptions::new(0) }).unwrap();
            assert_eq!(again.outputs, run.outputs, "seed {seed}: after a reset in cycle {reset_at:?}");
        }
    }
}
