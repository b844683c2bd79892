//! Convolutional networks: the cycle engine against what the network computes by definition, the intervals against their
//! formula, and the emitted Verilog against the cycle engine, stream by stream and cycle by cycle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use generator::dataflow::{Dataflow, Output};
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use ndarray::Array2;
use quantizer::network::{Network, Op};
use quantizer::testing::{Limits, conv_network, evaluate, inputs};
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::cycle;
use sim::stall::Stall;
use sim::tools::{Tool, find};
use sim::verilator::RunOptions;

const LIMITS: Limits = Limits { layers: 4, width: 6, bits: 4 };

fn design(network: &Network, seed: u64) -> Option<Dataflow> {
    // Every third at the fastest that windows allow, the others slower.
    let folding =
        if seed.is_multiple_of(3) { FoldingRequest::Default } else { FoldingRequest::Interval(900 + 400 * (seed % 5)) };
    match lower(network, &LowerOptions { folding, top: None, output: Output::Logits }) {
        Ok(mut dataflow) => {
            sim::fifo::size(&mut dataflow).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            Some(dataflow)
        }
        Err(e) => {
            // What the generator does not build it names.
            assert!(e.to_string().contains("layer '") || e.to_string().contains("interval"), "seed {seed}: {e}");
            eprintln!("seed {seed}: {e}");
            None
        }
    }
}

fn expected(network: &Network, x: &Array2<i64>) -> Array2<i64> {
    let rows: Vec<Vec<i64>> = x
        .rows()
        .into_iter()
        .map(|r| evaluate(network, &r.to_vec())[network.output.0].iter().map(|&v| i64::try_from(v).unwrap()).collect())
        .collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

#[test]
fn the_cycle_engine_computes_what_the_network_means() {
    let mut built = 0;
    let mut slower = 0;
    for seed in 0..120u64 {
        let network = conv_network(seed, LIMITS);
        let Some(dataflow) = design(&network, seed) else { continue };
        built += 1;
        let x = inputs(&network, seed, 3);
        let run = cycle::run(&dataflow, x.view(), &cycle::Options::default()).unwrap_or_else(|e| {
            panic!("seed {seed}: {e}\n{:#?}", network.layers.iter().map(|l| &l.node).collect::<Vec<_>>())
        });
        assert_eq!(run.trapped, 0, "seed {seed}: {:?}", run.traps.first());
        assert_eq!(run.result, expected(&network, &x), "seed {seed}");
        // Handshakes alone, under stalls too: the same beats in the same cycles, and queues as full.
        let stall = Stall::all(seed)[3];
        let [valued, tokens] = [true, false].map(|values| {
            let options = cycle::Options { stall, record: true, values, ..Default::default() };
            let run = cycle::run(&dataflow, x.view(), &options).unwrap();
            let cycles: Vec<Vec<u64>> = run.streams.iter().map(|s| s.iter().map(|b| b.cycle).collect()).collect();
            (cycles, run.cycles, run.occupancy, run.forks, run.waited)
        });
        assert!(valued == tokens, "seed {seed}: handshakes depend on values");
        // Every module by itself.
        for module in &dataflow.modules {
            let simulated = sim::alone::interval(&dataflow, module).unwrap();
            let equal = simulated == Some(module.cycles(&dataflow));
            assert!(
                equal,
                "seed {seed}, {}: formula {}, simulated {simulated:?}",
                module.name,
                module.cycles(&dataflow)
            );
        }
        if run.interval(&dataflow) != Some(dataflow.interval()) {
            eprintln!(
                "seed {seed}: interval {:?}, formula {} ({:?})",
                run.interval(&dataflow),
                dataflow.interval(),
                dataflow.bottleneck().map(|m| &m.name)
            );
            slower += 1;
        }
    }
    assert_eq!(slower, 0);
    assert!(built > 80, "only {built} of 120 networks can be built");
}

#[test]
fn random_networks_are_cycle_exact() {
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Some, and one with a table of codes.
    let looked_up = |seed: &u64| conv_network(*seed, LIMITS).layers.iter().any(|l| matches!(l.op, Op::Table(_)));
    let table = (2000..4000u64).find(looked_up).unwrap();
    for seed in (1000..1004u64).chain([table]) {
        let network = conv_network(seed, LIMITS);
        let Some(dataflow) = design(&network, seed % 1000) else { continue };
        let x = inputs(&network, seed, 3);
        let options = CompileOptions { monitor: true, jobs: 2, ..Default::default() };
        let compiled = Compiled::new(&tool, &dataflow, &folder.path().join(seed.to_string()), options).unwrap();
        for stall in Stall::all(seed) {
            let options = cycle::Options { stall, record: true, ..Default::default() };
            let ours = cycle::run(&dataflow, x.view(), &options).unwrap();
            let (run, result) =
                compiled.run(x.view(), &RunOptions { stall, seed: seed + 1, ..RunOptions::new(0) }).unwrap();
            assert_eq!(difference(&dataflow, &ours, &run).map(|d| d.to_string()), None, "seed {seed}, {stall:?}");
            assert_eq!(result, ours.result);
            assert_eq!(run.frame_error, None);
            // A reset in mid-frame is forgotten.
            let reset_at = Some(run.cycles / 3);
            let (again, _) = compiled.run(x.view(), &RunOptions { stall, reset_at, ..RunOptions::new(0) }).unwrap();
            assert_eq!(again.outputs, run.outputs, "seed {seed}: after a reset in cycle {reset_at:?}");
        }
    }
}

/// The network of `make scale`, narrow and on small images: residual blocks, strides, shortcuts that are convolutions.
#[test]
fn a_small_resnet_from_onnx_is_golden_in_every_cycle() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resnet.onnx");
    std::fs::write(&file, quantizer::testing::resnet18(1, 4, 32, 5)).unwrap();
    let network = quantizer::import::import(&file, &quantizer::import::ImportOptions::default()).unwrap().network;
    assert_eq!(network.output_shape, [1, 5]);
    let mut dataflow = lower(&network, &LowerOptions::default()).unwrap();
    sim::fifo::size(&mut dataflow).unwrap();
    let x = inputs(&network, 1, 4);
    let run = cycle::run(&dataflow, x.view(), &cycle::Options::default()).unwrap();
    assert_eq!(run.trapped, 0);
    assert_eq!(run.result, sim::golden::run(&network, x.view()).unwrap());
    assert_eq!(run.interval(&dataflow), Some(dataflow.interval()));
    let codes: std::collections::HashSet<i64> = run.result.iter().copied().collect();
    assert!(codes.len() > 10, "the outputs hardly vary: {codes:?}");
}

/// Graphs in which something waits for something else for longer than a frame, or channels come in another order than the source's: made
/// with onnx by hand, random weights.
#[test]
fn frames_come_as_often_as_said() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graphs");
    let mut slower = Vec::new();
    for name in [
        // A sum of what goes through 26 convolutions with what goes by, 8 x 8: a dozen frames are under way.
        "long_skip",
        // Three levels down and up again, joined by concatenation.
        "unet",
        "concat_pins",
        // A window that waits for beats that come evenly.
        "concat_window",
        // Depth to space, columns first, that reads the pins: at once, by a sum, by a depthwise convolution.
        "depth_to_space_pins",
        "depth_to_space_add",
        "depth_to_space_depthwise",
    ] {
        let file = folder.join(name).with_extension("onnx");
        let network = quantizer::import::import(&file, &quantizer::import::ImportOptions::default()).unwrap().network;
        let mut dataflow = lower(&network, &LowerOptions::default()).unwrap();
        sim::fifo::size(&mut dataflow).unwrap();
        let frames = 40;
        let x = inputs(&network, 1, frames);
        let run = cycle::run(&dataflow, x.view(), &cycle::Options::default()).unwrap();
        assert_eq!(run.result, sim::golden::run(&network, x.view()).unwrap(), "{name}");
        let ends = run.frame_ends(&dataflow);
        let cycles = ends[frames - 1] - ends[frames / 2];
        assert!(cycles <= dataflow.interval() * (frames - 1 - frames / 2) as u64, "{name}: {cycles} cycles");
        slower.extend(dataflow.sustained.map(|_| name));
    }
    assert_eq!(slower, ["concat_window"]);
}

/// A channel whose code is always 3, before a convolution that pads: at the border the constant is absent, so that it stays a lane.
#[test]
fn a_constant_channel_before_a_padded_border() {
    let constant = |network: &Network| {
        network.layers.iter().any(|l| match &l.op {
            Op::Conv(conv) => {
                let padded = conv.window.pad_begin != [0, 0] || conv.window.pad_end != [0, 0];
                let input = network.tensor(l.input());
                let three = input.ranges.iter().position(|r| r.constant() == Some(3));
                let places = conv.weights.ncols() * conv.groups / input.ranges.len();
                let read = |c: usize| {
                    conv.groups == 1
                        && conv
                            .weights
                            .columns()
                            .into_iter()
                            .skip(c * places)
                            .take(places)
                            .any(|w| w.iter().any(|&w| w != 0))
                };
                padded && l.input() != network.input && three.is_some_and(read)
            }
            _ => false,
        })
    };
    let mut found = 0;
    for seed in 0..2000u64 {
        let network = conv_network(seed, LIMITS);
        if !constant(&network) {
            continue;
        }
        let Some(dataflow) = design(&network, seed) else { continue };
        let x = inputs(&network, seed, 4);
        let run = cycle::run(&dataflow, x.view(), &cycle::Options::default()).unwrap();
        assert_eq!(run.result, expected(&network, &x), "seed {seed}");
        found += 1;
    }
    eprintln!("{found} networks with a constant 3 before a padded border");
    assert!(found > 3, "{found}");
}
