//! Real networks, found by SNUG_ZOO (a folder that holds `models/` and `data/`).

use std::path::PathBuf;

use super::tool::Place;

fn zoo() -> Option<PathBuf> {
    let zoo = std::env::var_os("SNUG_ZOO").map(PathBuf::from);
    if zoo.is_none() {
        eprintln!("SKIPPED: real networks; set SNUG_ZOO to the folder that holds models/ and data/");
    }
    zoo
}

#[test]
fn widths_of_the_model_zoo() {
    let Some(zoo) = zoo() else { return };
    let place = Place::new();
    let widths = |model: &str, options: &str, key: &str| -> Vec<u64> {
        let json = place.json(&format!("inspect {}/models/{model}.onnx {options}", zoo.display()), 0);
        let layers = json["layers"].as_array().unwrap();
        layers.iter().filter_map(|l| l["accumulator"][key].as_u64()).collect()
    };
    for (model, exact, data_type) in [
        ("TFC_2W2A", [10, 7, 7, 7], [13, 10, 10, 10]),
        ("TFC_1W2A", [11, 8, 8, 8], [12, 9, 9, 9]),
        ("kwsmlp_w3a3", [18, 13, 13, 14], [19, 15, 15, 15]),
    ] {
        assert_eq!(widths(model, "", "exact"), exact, "{model}");
        assert_eq!(widths(model, "", "data_type"), data_type, "{model}");
    }
    assert_eq!(widths("qkeras_jettagging", "--input-type s16/1024", "exact")[1..], [15, 15, 16]);
    assert_eq!(widths("qkeras_jettagging", "--input-type s16/1024", "data_type")[1..], [19, 18, 18]);
}

#[test]
fn the_whole_mnist_test_set_in_golden() {
    let Some(zoo) = zoo() else { return };
    let place = Place::new();
    let data = zoo.join("data/mnist");
    for (model, right) in [("TFC_2W2A", 9660), ("TFC_1W2A", 9474)] {
        let json = place.json(
            &format!(
                "simulate {}/models/{model}.onnx --engine golden --inputs {d}/t10k-images-idx3-ubyte.gz --labels {d}/t10k-labels-idx1-ubyte.gz",
                zoo.display(),
                d = data.display()
            ),
            0,
        );
        assert_eq!((&json["samples"], &json["correct"]), (&10_000.into(), &right.into()), "{model}");
        assert_eq!(
            json["notes"][0],
            "pixel bytes are taken as byte/255 (--input-type, --mean and --std say otherwise)"
        );
    }
}

#[test]
fn every_blocker_comes_at_once() {
    let Some(zoo) = zoo() else { return };
    let place = Place::new();
    let error = place.json(&format!("inspect {}/models/qkeras_jettagging.onnx", zoo.display()), 2);
    let blockers = error["error"]["blockers"].as_array().unwrap();
    assert_eq!(blockers.len(), 1);
    assert!(blockers[0]["help"].as_str().unwrap().contains("--input-type"), "{blockers:?}");
}
