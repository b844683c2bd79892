//! Accumulator widths as `snug inspect` reports them: exact against what datatypes demand.

use quantizer::inspect::inspect;

use crate::data::model;

/// Checks exact and data-type widths of all accumulators, in layer order; 0 means: not checked.
fn check(name: &str, input_type: Option<&str>, exact: &[u32], data_type: &[u32]) {
    let Some(imported) = model(name, input_type) else { return };
    // Through JSON, because its keys are the contract.
    let table = serde_json::to_value(inspect(&imported.network).unwrap()).unwrap();
    let width = |key: &str| -> Vec<u64> {
        let layers = table["layers"].as_array().unwrap();
        layers.iter().filter_map(|l| l["accumulator"].get(key)?.as_u64()).collect()
    };
    for (key, expected) in [("exact", exact), ("data_type", data_type)] {
        let found = width(key);
        eprintln!("{name}: {key} {found:?}");
        assert_eq!(found.len(), expected.len());
        for (layer, (&f, &e)) in found.iter().zip(expected).enumerate() {
            assert!(e == 0 || f == u64::from(e), "{name}, {key}: accumulator {layer} has {f} bits, expected {e}");
        }
    }
    for (used, exact) in width("used").iter().zip(width("exact")) {
        assert!(*used <= exact);
    }
}

#[test]
fn tfc_2w2a() {
    check("TFC_2W2A.onnx", None, &[10, 7, 7, 7], &[13, 10, 10, 10]);
}

#[test]
fn tfc_1w2a() {
    check("TFC_1W2A.onnx", None, &[11, 8, 8, 8], &[12, 9, 9, 9]);
}

#[test]
fn kwsmlp_w3a3() {
    check("kwsmlp_w3a3.onnx", None, &[18, 13, 13, 14], &[19, 15, 15, 15]);
}

#[test]
fn jet_tagging_with_a_declared_input() {
    // The first accumulator depends on the input type; the others do not.
    check("qkeras_jettagging.onnx", Some("s16/1024"), &[0, 15, 15, 16], &[0, 19, 18, 18]);
}
