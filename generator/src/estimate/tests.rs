#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use quantizer::datatype::DataType;
use quantizer::network::Op;
use quantizer::testing::mlp;

use super::*;
use crate::dataflow::{Kind, Output};
use crate::folding::{FoldingRequest, LayerFolding};
use crate::lower::{LowerOptions, lower};

fn design(seed: u64, widths: &[usize], types: [DataType; 3], foldings: &[(usize, usize)]) -> Dataflow {
    let network = mlp(seed, widths, types[0], types[1], types[2]);
    let layers: BTreeMap<String, LayerFolding> = network
        .dense_layers()
        .zip(foldings)
        .map(|((l, _), &(pe, simd))| (l.name.clone(), LayerFolding { pe, simd }))
        .collect();
    let folding = FoldingRequest::Layers(layers);
    lower(&network, &LowerOptions { folding, top: Some("net".into()), output: Output::Logits }).unwrap()
}

/// LUTs (all uses) and flip-flops of Yosys 0.23 (git sha1 7ce5011c24b), `synth_xilinx -family xc7 -nodsp`, modules apart.
fn recorded() -> [(Dataflow, u64, u64); 3] {
    let narrow = |bits| DataType { narrow: true, ..DataType::signed(bits) };
    let (u2, u4) = (DataType::unsigned(2), DataType::unsigned(4));
    [
        (design(11, &[32, 16, 8], [u2, narrow(2), u2], &[(2, 8), (2, 4)]), 511, 415),
        (design(12, &[24, 12, 10], [u4, narrow(4), u4], &[(3, 4), (1, 12)]), 1331, 925),
        (design(13, &[48, 16, 8], [u2, DataType::BIPOLAR, u2], &[(4, 12), (2, 8)]), 759, 802),
    ]
}

#[test]
fn estimates_equal_recorded_syntheses_within_a_twentieth() {
    for (i, (dataflow, lut, ff)) in recorded().into_iter().enumerate() {
        let total = estimate(&dataflow).total;
        assert!(total.lut_total().abs_diff(lut) * 20 <= lut, "design {i}: {} LUTs, Yosys {lut}", total.lut_total());
        assert!(total.ff.abs_diff(ff) * 50 <= ff, "design {i}: {} FFs, Yosys {ff}", total.ff);
    }
}

#[test]
fn a_row_without_weights_costs_nothing() {
    let mut network = mlp(5, &[12, 6, 4], DataType::unsigned(4), DataType::signed(4), DataType::unsigned(2));
    let dense = network.layers.iter_mut().find_map(|l| if let Op::Dense(d) = &mut l.op { Some(d) } else { None });
    dense.unwrap().weights.row_mut(0).fill(0);
    let first = network.dense_layers().next().unwrap().0.name.clone();
    let folding = FoldingRequest::Layers(BTreeMap::from([(first, LayerFolding { pe: 6, simd: 3 })]));
    let dataflow = lower(&network, &LowerOptions { folding, top: None, output: Output::Logits }).unwrap();
    let units =
        dataflow.modules.iter().filter_map(|m| if let Kind::MatrixVector(u) = &m.kind { Some((m, u)) } else { None });
    let mut costs = Vec::new();
    for (module, unit) in units {
        let input = dataflow.streams[module.input().0].encoding;
        let cost = |pe| element::parts(pe, unit, input).iter().map(|(_, c)| c.lut_total()).sum::<u64>();
        costs.extend(unit.pes.iter().map(|pe| (pe.reduction.lanes().next().is_none(), cost(pe))));
    }
    // One is empty, and it alone is free.
    assert_eq!(costs.iter().filter(|(empty, _)| *empty).count(), 1);
    assert!(costs.iter().all(|&(empty, cost)| empty == (cost == 0)), "{costs:?}");
}

#[test]
fn parts_and_modules_add_up() {
    for (dataflow, ..) in recorded() {
        let estimate = estimate(&dataflow);
        let mut total = Cost::default();
        for module in &estimate.modules {
            let mut cost = Cost::default();
            module.parts.iter().for_each(|&(_, part)| cost += part);
            assert_eq!(cost, module.cost, "{}", module.name);
            total += cost;
        }
        assert_eq!(total, estimate.total);
        // Every module that is printed has its figure.
        for file in crate::emit::verilog(&dataflow, &[]).unwrap() {
            let name = file.name.trim_end_matches(".v");
            let used = estimate.modules.iter().any(|m| m.name == name);
            assert!(used || name.contains("_snug_"), "{name} has no estimate");
        }
    }
}

#[test]
fn equal_and_constant_columns_cost_nothing() {
    // Bit 0 is constant, bits 1 and 2 are equal, bit 3 is its own.
    let words = [0b0001, 0b0111, 0b1001, 0b1111];
    assert_eq!(logic::columns(&words, 4).len(), 2);
    assert_eq!(logic::rom(&logic::columns(&words, 4), words.len()), 2);
}
