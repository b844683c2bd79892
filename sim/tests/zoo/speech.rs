//! kwsmlp_w3a3 at FINN's folding on random inputs: per-channel scales, 18-bit accumulators, falling thresholds.

use quantizer::testing::inputs;
use sim::{cycle, golden};

use crate::data::{folded, model};

#[test]
fn random_inputs_agree() {
    let Some(imported) = model("kwsmlp_w3a3.onnx", None) else { return };
    let network = &imported.network;
    let x = inputs(network, 1, 50);
    let expected = golden::run(network, x.view()).unwrap();
    let dataflow = folded(network, &[(32, 10), (32, 8), (32, 8), (1, 8)]);
    let run = cycle::run(&dataflow, x.view(), &cycle::Options::default()).unwrap();
    eprintln!("kwsmlp: interval {:?}, latency {:?}", run.interval(&dataflow), run.latency(&dataflow));
    assert_eq!(run.trapped, 0, "{}", run.traps[0]);
    assert_eq!(run.result, expected);
    assert!(run.interval(&dataflow).unwrap() <= 392);
    // Fifty samples say something only if they differ.
    let classes = golden::label(expected.view(), network.label_grid.as_ref().unwrap());
    assert!(expected.rows().into_iter().any(|r| r != expected.row(0)), "{classes:?}");
}
