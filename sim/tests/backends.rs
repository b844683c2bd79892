//! Every back-end computes the same integers in the cycles that the cycle engine foretells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use generator::accumulators::AccumulatorRule;
use generator::dataflow::{Dataflow, Kind, Output};
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower_with};
use generator::reduction::Operation;
use generator::target::{Backend, retarget};
use ndarray::Array2;
use quantizer::datatype::DataType;
use quantizer::testing::{Limits, conv_network, inputs, mlp, network};
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::stall::Stall;
use sim::tools::{Tool, find};
use sim::verilator::RunOptions;
use sim::{cycle, golden};

/// The heaps of `dataflow`, after its Verilog has run under every stall as the cycle engine foretells, to `expected`.
fn check(
    tool: &sim::tools::Found,
    dataflow: &Dataflow,
    x: &Array2<i64>,
    expected: &Array2<i64>,
    seed: u64,
    folder: &Path,
) -> usize {
    let options = CompileOptions { monitor: true, jobs: 2, ..Default::default() };
    let compiled = Compiled::new(tool, dataflow, &folder.join(seed.to_string()), options).unwrap();
    for stall in Stall::all(seed) {
        let ours =
            cycle::run(dataflow, x.view(), &cycle::Options { stall, record: true, ..Default::default() }).unwrap();
        let (run, result) =
            compiled.run(x.view(), &RunOptions { stall, seed: seed + 1, ..RunOptions::new(0) }).unwrap();
        assert_eq!(difference(dataflow, &ours, &run).map(|d| d.to_string()), None, "seed {seed}, {stall:?}");
        assert_eq!(result, ours.result);
        assert_eq!(&result, expected);
    }
    let planned = |m: &&generator::dataflow::Module| match &m.kind {
        Kind::MatrixVector(u) => u.pes[0].heap.is_some(),
        _ => false,
    };
    dataflow.modules.iter().filter(planned).count()
}

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
        let options = LowerOptions { folding, top: None, output: Output::Logits };
        // Every other one with registers wider than they need be.
        let rule = if seed % 2 == 0 { AccumulatorRule::Channel } else { AccumulatorRule::Bits(32) };
        let mut dataflow = lower_with(&network, &options, rule).unwrap();
        retarget(&mut dataflow, Backend::Xc7);
        let expected = golden::run(&network, x.view()).unwrap();
        heaps += check(&tool, &dataflow, &x, &expected, seed, folder.path());
    }
    assert!(heaps > 6, "{heaps} units have heaps");
}

#[test]
fn xc7_is_cycle_exact_for_images() {
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut heaps, mut built) = (0, 0);
    for seed in 0..12u64 {
        let network = conv_network(seed, Limits { layers: 3, width: 6, bits: 4 });
        let folding = FoldingRequest::Interval(600 + 300 * (seed % 3));
        let options = LowerOptions { folding, top: None, output: Output::Logits };
        let Ok(mut dataflow) = lower_with(&network, &options, AccumulatorRule::Channel) else { continue };
        retarget(&mut dataflow, Backend::Xc7);
        sim::fifo::size(&mut dataflow).unwrap();
        let x = inputs(&network, seed, 3);
        let expected = golden::run(&network, x.view()).unwrap();
        heaps += check(&tool, &dataflow, &x, &expected, seed, folder.path());
        built += 1;
        if built == 3 {
            break;
        }
    }
    assert!(built == 3 && heaps > 2, "{built} networks, {heaps} units with heaps");
}

/// Whether the unit makes products of parts of its weights.
fn in_parts(module: &generator::dataflow::Module) -> bool {
    let part = |n: &generator::reduction::Node| matches!(n.operation, Operation::Join { .. });
    matches!(&module.kind, Kind::MatrixVector(u) if u.pes.iter().any(|pe| pe.reduction.nodes.iter().any(part)))
}

/// -1 and 1 alone, the sums being counts of equal bits, unrolled and folded; and small weights, whose inputs are grouped. Codes are
/// looked up from the unrolled ones' narrow sums.
#[test]
fn binary_and_unrolled_networks_are_cycle_exact() {
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut arrays, mut direct) = (0, 0);
    let binary = DataType::BIPOLAR;
    let small = DataType { narrow: true, ..DataType::signed(2) };
    let cases = [
        (binary, binary, binary, 1),
        (binary, binary, binary, 12),
        (DataType::unsigned(2), small, DataType::unsigned(3), 1),
    ];
    for (seed, (input, weights, activations, interval)) in (0..).zip(cases) {
        let network = mlp(seed, &[26, 12, 7], input, weights, activations);
        let folding = FoldingRequest::Interval(interval);
        let options = LowerOptions { folding, top: None, output: Output::Logits };
        let mut dataflow = lower_with(&network, &options, AccumulatorRule::Channel).unwrap();
        retarget(&mut dataflow, Backend::Xc7);
        for module in &dataflow.modules {
            if let Kind::MatrixVector(unit) = &module.kind {
                arrays += usize::from(unit.array.is_some());
                direct += usize::from(unit.direct_codes);
            }
        }
        let x = inputs(&network, seed, 9);
        let expected = golden::run(&network, x.view()).unwrap();
        check(&tool, &dataflow, &x, &expected, seed, folder.path());
    }
    assert_eq!((arrays, direct), (4, 2));
}

#[test]
fn ecp5_is_cycle_exact() {
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut read_ahead, mut parts, mut labels, mut slices) = (0, 0, 0, 0);
    let random =
        (0..5).map(|seed| network(seed + 500, Limits { layers: 3, width: 14, bits: [4, 4, 6, 4, 8][seed as usize] }));
    // Rows one after the other, whose queue is deeper than a memory of the device; and an image.
    let four = DataType::unsigned(4);
    let deep = mlp(505, &[6, 20, 9], four, DataType::signed(4), four);
    let image = conv_network(25, Limits { layers: 3, width: 5, bits: 4 });
    for (seed, network) in (0..).zip(random.chain([deep, image])) {
        let folding = FoldingRequest::Interval([1, 9, 30, 64, 40, 180, 900][seed as usize]);
        let output = if network.label_grid.is_ok() { Output::Label } else { Output::Logits };
        let options = LowerOptions { folding, top: None, output };
        let mut dataflow = lower_with(&network, &options, AccumulatorRule::Channel).unwrap();
        retarget(&mut dataflow, Backend::Ecp5);
        let count =
            |what: &dyn Fn(&generator::dataflow::Module) -> bool| dataflow.modules.iter().filter(|m| what(m)).count();
        read_ahead += count(&|m| matches!(&m.kind, Kind::MatrixVector(u) if u.words_read_ahead));
        parts += count(&in_parts);
        labels += count(&|m| matches!(m.kind, Kind::LabelSelect(_)));
        slices += count(&|m| matches!(&m.kind, Kind::Fifo(f) if f.slice));
        let x = inputs(&network, seed, 9);
        let mut expected = golden::run(&network, x.view()).unwrap();
        if let (Output::Label, Ok(grid)) = (output, &network.label_grid) {
            let labels: Vec<i64> = golden::label(expected.view(), grid).into_iter().map(|l| l as i64).collect();
            expected = Array2::from_shape_vec((labels.len(), 1), labels).unwrap();
        }
        check(&tool, &dataflow, &x, &expected, seed, folder.path());
    }
    assert!(
        read_ahead > 3 && parts > 2 && labels > 1 && slices > 0,
        "{read_ahead} read words ahead, {parts} in parts, {labels} labels, {slices} slices"
    );
}
