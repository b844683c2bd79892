//! The cycle engine and the golden model agree on every integer, though they share no arithmetic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use generator::dataflow::{Kind, Output};
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::testing::{Limits, inputs, network};
use sim::stall::Stall;
use sim::{cycle, golden};

#[test]
fn random_networks_agree() {
    let mut searched = 0;
    for seed in 0..300u64 {
        let network = network(seed, Limits::default());
        let x = inputs(&network, seed, 7);
        let expected = golden::run(&network, x.view()).unwrap();
        for interval in [None, Some(1), Some(5 + seed % 60)] {
            let folding = interval.map_or(FoldingRequest::Default, FoldingRequest::Interval);
            let options = LowerOptions { folding, top: None, output: Output::Logits };
            let dataflow = lower(&network, &options).unwrap();
            searched += usize::from(dataflow.modules.iter().any(|m| matches!(m.kind, Kind::Map(_))));
            for stall in Stall::all(seed) {
                let options = cycle::Options { stall, ..Default::default() };
                let run = cycle::run(&dataflow, x.view(), &options).unwrap();
                assert_eq!(run.result, expected, "seed {seed}, interval {interval:?}, {stall:?}");
                assert_eq!(run.trapped, 0, "seed {seed}: {}", run.traps[0]);
            }
        }
        if let Ok(grid) = &network.label_grid {
            let options = LowerOptions { output: Output::Label, ..LowerOptions::default() };
            let dataflow = lower(&network, &options).unwrap();
            let run = cycle::run(&dataflow, x.view(), &cycle::Options::default()).unwrap();
            let labels: Vec<usize> = run.result.iter().map(|&v| v as usize).collect();
            assert_eq!(labels, golden::label(expected.view(), grid), "seed {seed}");
        }
    }
    assert!(searched > 50, "input maps were not exercised");
}

#[test]
fn the_interval_is_the_slowest_module() {
    let (mut designs, mut waits) = (0, Vec::new());
    for seed in 0..60u64 {
        let network = network(seed, Limits { layers: 3, width: 24, bits: 4 });
        let x = inputs(&network, seed, 60);
        for interval in [2, 9, 40, 200] {
            let options = LowerOptions { folding: FoldingRequest::Interval(interval), ..LowerOptions::default() };
            let mut dataflow = lower(&network, &options).unwrap();
            let slowest = dataflow.interval();
            sim::fifo::size(&mut dataflow).unwrap();
            designs += 1;
            let run = cycle::run(&dataflow, x.view(), &cycle::Options::default()).unwrap();
            let modules: Vec<String> = dataflow
                .modules
                .iter()
                .map(|m| {
                    format!(
                        "{} {} cycles, queue {}, pipeline {}, {} -> {} lanes of {}",
                        m.name,
                        m.cycles(&dataflow),
                        m.queue_depth(),
                        m.pipeline(),
                        dataflow.stream(m.input()).lanes,
                        dataflow.stream(m.output()).lanes,
                        dataflow.stream(m.output()).elements()
                    )
                })
                .collect();
            let found = run.interval(&dataflow).unwrap();
            if let Some(sustained) = dataflow.sustained {
                assert!(
                    (slowest + 1..=sustained).contains(&found),
                    "seed {seed}, interval {interval}: {found} {modules:#?}"
                );
                waits.push((seed, interval, slowest, sustained));
                continue;
            }
            assert_eq!(found, slowest, "seed {seed}, interval {interval}: {modules:#?}");
        }
    }
    // Some wait for what comes evenly, and say so.
    eprintln!("slower than their slowest module: {waits:?} of {designs}");
    assert!(waits.len() * 50 < designs, "{waits:?} of {designs}");
}
