//! Every threshold of a real network against its meaning, on every value that its accumulator can take.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use quantizer::import::{ImportOptions, import, verify};

/// kwsmlp_w3a3 has scales per channel and BatchNormalization with irrational gains: nothing about its thresholds is easy.
#[test]
fn speech_commands_thresholds() {
    let Some(path) = common::zoo("models/kwsmlp_w3a3.onnx") else { return };
    let imported = import(&path, &ImportOptions::default()).unwrap();
    let verification = verify(&imported);
    for layer in &verification.layers {
        let c = layer.counts;
        eprintln!(
            "{}: {} channels, {} accumulator values: codes that are not the meaning's: {} by thresholds, {} by float32, {} by float64",
            layer.name, layer.channels, c.evaluations, c.deviations, c.float32, c.float64
        );
        assert_eq!((layer.channels, layer.first), (256, None), "{}", layer.name);
    }
    let total = verification.total();
    eprintln!("together {total:?}");
    assert_eq!(verification.layers.len(), 3);
    assert_eq!(total.evaluations, 55_791_432);
    assert_eq!((total.deviations, total.float32, total.float64), (0, 0, 0));
}
