//! Depthwise and grouped convolutions: built group by group, in every folding, they compute what the network means in the cycles that
//! their formula says; and the emitted Verilog is the same to the cycle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use generator::dataflow::{Dataflow, Kind, MatrixVector};
use generator::error::GenerateError;
use generator::estimate::estimate;
use generator::folding::{FoldingRequest, LayerFolding};
use generator::lower::{LowerOptions, lower};
use quantizer::network::{Conv, Network, Op};
use quantizer::testing::{Limits, grouped_network, inputs};
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::stall::Stall;
use sim::tools::{Tool, find};
use sim::verilator::RunOptions;
use sim::{cycle, golden};

const LIMITS: Limits = Limits { layers: 3, width: 6, bits: 4 };

/// The grouped layers by name.
fn grouped(network: &Network) -> Vec<(&str, &Conv)> {
    let conv = |l: &'_ quantizer::network::Layer| matches!(&l.op, Op::Conv(conv) if conv.groups > 1);
    let grouped = network.layers.iter().filter(|l| conv(l));
    grouped.filter_map(|l| if let Op::Conv(conv) = &l.op { Some((l.name.as_str(), conv)) } else { None }).collect()
}

fn build(network: &Network, layer: &str, folding: LayerFolding) -> Result<Dataflow, GenerateError> {
    let folding = FoldingRequest::Layers(BTreeMap::from([(layer.to_owned(), folding)]));
    lower(network, &LowerOptions { folding, ..LowerOptions::default() })
}

fn unit<'a>(dataflow: &'a Dataflow, layer: &str) -> (&'a MatrixVector, u64) {
    let found = dataflow.modules.iter().find_map(|m| match &m.kind {
        Kind::MatrixVector(unit) if m.layer == layer => Some((unit, m.cycles(dataflow))),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn every_folding_of_groups_computes_what_the_network_means() {
    let (mut built, mut refused, mut in_parts, mut fewer) = (0, 0, 0, 0);
    for seed in 0..60u64 {
        let network = grouped_network(seed, LIMITS);
        assert_eq!(network.validate(), Ok(()), "seed {seed}");
        let x = inputs(&network, seed, 3);
        let truth = golden::run(&network, x.view()).unwrap();
        for (layer, conv) in grouped(&network) {
            let (rows, columns) = conv.weights.dim();
            let all = (1..=rows).flat_map(|pe| (1..=columns).map(move |simd| LayerFolding { pe, simd }));
            let divides = |f: &LayerFolding| rows.is_multiple_of(f.pe) && columns.is_multiple_of(f.simd);
            for folding in all.filter(divides) {
                let what = format!("seed {seed}, layer {layer}, {folding:?}");
                let dataflow = match build(&network, layer, folding) {
                    Ok(dataflow) => dataflow,
                    Err(e @ GenerateError::GroupFolding { .. }) => {
                        assert!(e.to_string().contains(&format!("its {} groups; accepted", conv.groups)), "{e}");
                        refused += 1;
                        continue;
                    }
                    Err(e) => panic!("{what}: {e}"),
                };
                built += 1;
                let run = cycle::run(&dataflow, x.view(), &cycle::Options::default())
                    .unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(run.trapped, 0, "{what}: {:?}", run.traps.first());
                assert_eq!(run.result, truth, "{what}");
                assert_eq!(run.interval(&dataflow), Some(dataflow.interval()), "{what}: {:?}", dataflow.bottleneck());
                let (unit, cycles) = unit(&dataflow, layer);
                in_parts += usize::from(unit.parts > 1);
                // Groups that are dead are left out; no formula is beaten otherwise.
                let pixels: usize =
                    network.tensor(network.layers.iter().find(|l| l.name == layer).unwrap().output).shape[1..]
                        .iter()
                        .product();
                let formula = (rows.div_ceil(folding.pe) * columns.div_ceil(folding.simd) * pixels) as u64;
                assert!(cycles <= formula, "{what}: {cycles} cycles, formula {formula}");
                fewer += usize::from(cycles < formula);
                for module in &dataflow.modules {
                    let simulated = sim::alone::interval(&dataflow, module).unwrap();
                    assert!(simulated == Some(module.cycles(&dataflow)), "{what}, {}", module.name);
                }
            }
        }
    }
    eprintln!("{built} built, {in_parts} of them in parts, {fewer} without dead groups, {refused} foldings refused");
    assert!(built > 300 && in_parts > 150 && fewer > 0 && refused > 0);
}

/// A depthwise layer against the same weights as one matrix with zeros: as many cycles, fewer columns.
#[test]
fn a_depthwise_layer_is_smaller_than_a_matrix_with_zeros() {
    // As many columns as places: each row reads its own channel alone. Two rows an element, for what is zero in every fold of an
    // element vanishes from a matrix too.
    let wanted = |c: &Conv| {
        let places = c.window.kernel.iter().product::<usize>();
        c.groups >= 4 && c.groups.is_multiple_of(2) && places >= 4 && c.weights.dim() == (c.groups, places)
    };
    let layer_cost = |d: &Dataflow, layer: &str| -> u64 {
        let modules = estimate(d).modules;
        modules.iter().filter(|m| m.layer == layer).map(|m| m.cost.lut_total()).sum()
    };
    let (mut compared, mut luts) = (0, (0, 0));
    for seed in 0..400 {
        let network = grouped_network(seed, LIMITS);
        let Some((layer, conv)) = grouped(&network).into_iter().find(|(_, c)| wanted(c)) else { continue };
        let mut whole = network.clone();
        let op = &mut whole.layers.iter_mut().find(|l| l.name == layer).unwrap().op;
        let (rows, channels, places) = (conv.weights.nrows(), conv.groups, conv.weights.ncols());
        *op = Op::Conv(Conv {
            weights: ndarray::Array2::from_shape_fn((rows, channels * places), |(r, c)| {
                if c / places == r { conv.weights[[r, c % places]] } else { 0 }
            }),
            // Zeros are no codes of every type.
            weight_type: quantizer::datatype::DataType::signed(8),
            groups: 1,
            ..conv.clone()
        });
        assert_eq!(whole.validate(), Ok(()));
        let parts = build(&network, layer, LayerFolding { pe: rows / 2, simd: 1 }).unwrap();
        let zeros = build(&whole, layer, LayerFolding { pe: rows / 2, simd: channels }).unwrap();
        let narrow = build(&whole, layer, LayerFolding { pe: rows / 2, simd: 1 }).unwrap();
        let [of_parts, of_zeros, of_narrow] =
            [&parts, &zeros, &narrow].map(|d| (unit(d, layer).1, layer_cost(d, layer)));
        // Dead rows go one by one from a matrix, groups a few at a time: only whole layers are like for like.
        if of_parts.0 != of_zeros.0 {
            continue;
        }
        assert!(of_narrow.0 > of_parts.0, "seed {seed}: {of_narrow:?} {of_parts:?}");
        luts = (luts.0 + of_parts.1, luts.1 + of_zeros.1);
        compared += 1;
    }
    eprintln!("{compared} depthwise layers, {} LUTs estimated in parts, {} as matrices with zeros", luts.0, luts.1);
    assert!(compared > 0 && luts.0 < luts.1, "{compared} {luts:?}");
}

#[test]
fn groups_are_cycle_exact() {
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Each with a layer of the kind named: groups together, one group at a time, passes over a part, places together.
    type Wanted = fn(&MatrixVector, &Conv) -> bool;
    let kinds: [(&str, Wanted); 3] = [
        ("depthwise, several channels", |u, c| {
            u.parts > 1 && u.passes() == 1 && u.pe > 1 && c.weights.nrows() == c.groups
        }),
        ("passes over a part", |u, _| u.parts > 1 && u.passes() > 1 && u.synapse_folds > 1),
        ("places together", |u, c| u.parts > 1 && u.simd > u.pe && c.weights.ncols() > u.simd / u.pe),
    ];
    for (number, (kind, wanted)) in kinds.into_iter().enumerate() {
        let all = (0..200u64).flat_map(|seed| {
            let network = grouped_network(seed, LIMITS);
            let layers: Vec<(String, Conv)> =
                grouped(&network).iter().map(|(n, c)| (n.to_string(), (*c).clone())).collect();
            layers.into_iter().flat_map(move |(layer, conv)| {
                let (rows, columns) = conv.weights.dim();
                let network = network.clone();
                let foldings = (1..=rows).flat_map(move |pe| (1..=columns).map(move |simd| LayerFolding { pe, simd }));
                foldings.filter_map(move |f| {
                    Some((network.clone(), build(&network, &layer, f).ok()?, layer.clone(), conv.clone()))
                })
            })
        });
        let (network, dataflow, ..) = all
            .into_iter()
            .find(|(_, d, layer, conv)| wanted(unit(d, layer).0, conv))
            .unwrap_or_else(|| panic!("no network with {kind}"));
        let x = inputs(&network, 1, 3);
        let options = CompileOptions { monitor: true, jobs: 2, ..Default::default() };
        let compiled = Compiled::new(&tool, &dataflow, &folder.path().join(number.to_string()), options).unwrap();
        for stall in Stall::all(number as u64) {
            let options = cycle::Options { stall, record: true, ..Default::default() };
            let ours = cycle::run(&dataflow, x.view(), &options).unwrap();
            assert_eq!(ours.result, golden::run(&network, x.view()).unwrap(), "{kind}");
            let (run, result) = compiled.run(x.view(), &RunOptions { stall, seed: 3, ..RunOptions::new(0) }).unwrap();
            assert_eq!(difference(&dataflow, &ours, &run).map(|d| d.to_string()), None, "{kind}, {stall:?}");
            assert_eq!(result, ours.result);
        }
    }
}
