#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The table's JSON, which users' scripts read.

use ndarray::s;
use serde_json::json;

use super::*;
use crate::network::LabelGrid;
use crate::testing::{Limits, conv_network, mlp, network};

#[test]
fn keys_of_the_contract() {
    let mut network =
        mlp(7, &[5, 4, 3], DataType::quant(2, true, true).unwrap(), DataType::signed(3), DataType::unsigned(2));
    let Op::Dense(dense) = &mut network.layers[2].op else { panic!() };
    dense.weights.fill(1);
    dense.weights.slice_mut(s![1, ..]).fill(0);
    let output = network.layers[2].output;
    let ranges = crate::reach::output_ranges(&network.layers[2].op, &[&network.tensors[2]]).unwrap();
    network.tensors[output.0].datatype = crate::reach::accumulator_type(&ranges).unwrap();
    network.tensors[output.0].ranges = ranges;
    network.label_grid = Ok(LabelGrid { multiplier: vec![1; 3], offset: vec![0; 3] });
    let table = serde_json::to_value(inspect(&network).unwrap()).unwrap();
    assert_eq!(table["schema"], "snug.inspect/1");
    assert_eq!(table["macs"], 5 * 4 + 4 * 3);
    let layers = table["layers"].as_array().unwrap();
    assert_eq!(layers.iter().map(|l| l["kind"].as_str().unwrap()).collect::<Vec<_>>(), ["Dense", "Threshold", "Dense"]);
    assert_eq!((&layers[0]["inputs"], &layers[0]["outputs"]), (&json!(5), &json!(4)));
    assert_eq!(layers[0]["input"], json!({"bits": 2, "signed": true, "type": "s2 narrow"}));
    assert_eq!(layers[1]["accumulator"], json!(null));
    assert_eq!(layers[1]["weights"], json!(null));
    assert_eq!(
        layers[2]["weights"],
        json!({"bits": 3, "type": "s3", "total": 12, "nonzero": 8, "dead_outputs": 1, "constant_outputs": 1})
    );
    // 4 codes up to 3 with weight 1: [0, 12]; the dead row needs one bit.
    assert_eq!(layers[2]["accumulator"]["exact"], 5);
    assert_eq!(layers[2]["accumulator"]["exact_mean"], json!(11.0 / 3.0));
    assert_eq!(layers[2]["accumulator"]["data_type"], 1 + 7);
    assert_eq!((&layers[2]["accumulator"]["l1"], &layers[2]["accumulator"]["zero_centered"]), (&json!(6), &json!(5)));
    assert!(layers[2]["accumulator"]["used"].as_u64().unwrap() <= 5);
    assert_eq!(table["input"]["min"], -1);
    assert_eq!(table["input"]["order"], "row-major");
    assert_eq!(table["label_refused"], json!(null));
}

#[test]
fn every_random_network_has_a_table() {
    let mut maps = 0;
    for seed in 0..200 {
        let network = network(seed, Limits::default());
        let table = inspect(&network).unwrap();
        assert_eq!(table.layers.len(), network.layers.len());
        for (row, layer) in table.layers.iter().zip(&network.layers) {
            assert_eq!(row.accumulator.is_some(), matches!(layer.op, Op::Dense(_)), "{row:?}");
            assert_eq!(row.kind == Kind::InputMap, layer.name == "input", "{row:?}");
            maps += usize::from(row.kind == Kind::InputMap);
        }
    }
    assert!(maps > 20);
}

#[test]
fn convolutions_count_at_every_place() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..300 {
        let network = conv_network(seed, Limits::default());
        let table = inspect(&network).unwrap();
        let mut macs = 0;
        for (row, layer) in table.layers.iter().zip(&network.layers) {
            let kind = serde_json::to_value(row.kind).unwrap();
            seen.insert(kind.as_str().unwrap().to_owned());
            match &layer.op {
                Op::Conv(conv) => {
                    // Every output value is one row's dot product.
                    assert_eq!(row.macs as usize, row.outputs * conv.weights.ncols());
                    assert_eq!(row.weights.as_ref().unwrap().total, conv.weights.len());
                }
                Op::Dense(dense) => assert_eq!(row.macs as usize, dense.weights.len()),
                Op::Add(_) | Op::SumPool(_) => {
                    let sum = row.sum.unwrap();
                    assert!(sum.used <= sum.exact);
                    let reached = network.tensor(layer.output).ranges.iter().map(|r| r.signed_width()).max().unwrap();
                    assert!(reached <= sum.used, "{row:?}");
                }
                _ => assert_eq!(row.macs, 0),
            }
            assert_eq!(row.sum.is_some(), matches!(layer.op, Op::Add(_) | Op::SumPool(_)));
            assert_eq!(row.accumulator.is_some(), matches!(layer.op, Op::Dense(_) | Op::Conv(_)));
            macs += row.macs;
        }
        assert_eq!(table.macs, macs);
    }
    assert_eq!(seen.len(), 12, "{seen:?}");
}

#[test]
fn an_invalid_network_has_none() {
    let mut network = mlp(7, &[5, 4], DataType::unsigned(1), DataType::signed(3), DataType::unsigned(2));
    network.tensors[1].ranges.clear();
    assert!(inspect(&network).is_err());
}
