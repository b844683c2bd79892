//! Real networks in Verilator, cycle by cycle, at the foldings that FINN uses for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use generator::dataflow::{Dataflow, Output};
use generator::folding::{FoldingRequest, LayerFolding};
use generator::lower::{LowerOptions, lower};
use ndarray::Array2;
use quantizer::import::{ImportOptions, Imported, import};
use quantizer::network::Network;
use quantizer::rational::Rational;
use quantizer::testing::inputs;
use sim::tools::Tool;
use sim::{cycle, golden};

/// The network at these PE and SIMD, in layer order.
fn folded(network: &Network, folding: &[(usize, usize)]) -> Dataflow {
    let layers: BTreeMap<_, _> = network
        .dense_layers()
        .zip(folding)
        .map(|((layer, _), &(pe, simd))| (layer.name.clone(), LayerFolding { pe, simd }))
        .collect();
    assert_eq!(layers.len(), folding.len());
    let options = LowerOptions { folding: FoldingRequest::Layers(layers), top: None, output: Output::Logits };
    lower(network, &options).unwrap()
}

/// The first `count` images of MNIST's test set as codes of the network's first quantizer.
fn mnist(path: &Path, imported: &Imported, count: usize) -> Array2<i64> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes[..16], [0, 0, 8, 3, 0, 0, 39, 16, 0, 0, 0, 28, 0, 0, 0, 28]);
    let first = imported.first_quant.as_ref().unwrap();
    let code = |pixel: u8| first.code(&Rational::new(pixel.into(), 255.into()), 0);
    let codes: Vec<i64> = (0..=255).map(code).collect();
    Array2::from_shape_fn((count, 784), |(image, pixel)| codes[usize::from(bytes[16 + 784 * image + pixel])])
}

#[test]
fn tfc_2w2a_on_mnist() {
    let (Some(model), Some(images)) =
        (common::zoo("models/TFC_2W2A.onnx"), common::zoo("data/mnist/t10k-images-idx3-ubyte.gz"))
    else {
        return;
    };
    let Some(verilator) = common::tool(Tool::Verilator) else { return };
    let start = Instant::now();
    let imported = import(&model, &ImportOptions::default()).unwrap();
    let dataflow = folded(&imported.network, &[(16, 49), (8, 8), (8, 8), (10, 8)]);
    assert!(dataflow.interval() <= 64, "{}", dataflow.interval());
    let x = mnist(&images, &imported, 200);
    let expected = golden::run(&imported.network, x.view()).unwrap();
    // The interval is measured, not only promised.
    let run = cycle::run(&dataflow, x.view(), &cycle::Options::default()).unwrap();
    assert_eq!(run.interval(&dataflow), Some(64));
    let work = tempfile::tempdir().unwrap();
    let clocks = common::cosimulate(&verilator, "TFC_2W2A", &dataflow, &x, &expected, &[1, 2], work.path());
    eprintln!(
        "TFC_2W2A at FINN's folding: interval 64, latency {:?}; 200 images, 4 stall patterns, 2 seeds: {clocks} cycles of \
         Verilator equal to golden and cycle-exact, in {:.0} s",
        run.latency(&dataflow),
        start.elapsed().as_secs_f64()
    );
}

#[test]
fn speech_commands_on_random_codes() {
    let Some(model) = common::zoo("models/kwsmlp_w3a3.onnx") else { return };
    let Some(verilator) = common::tool(Tool::Verilator) else { return };
    let start = Instant::now();
    let imported = import(&model, &ImportOptions::default()).unwrap();
    let dataflow = folded(&imported.network, &[(32, 10), (32, 8), (32, 8), (1, 8)]);
    let x = inputs(&imported.network, 1, 50);
    let expected = golden::run(&imported.network, x.view()).unwrap();
    let work = tempfile::tempdir().unwrap();
    let clocks = common::cosimulate(&verilator, "kwsmlp_w3a3", &dataflow, &x, &expected, &[1], work.path());
    eprintln!(
        "kwsmlp_w3a3 at FINN's folding: interval {}; 50 random inputs, 4 stall patterns: {clocks} cycles of Verilator equal \
         to golden and cycle-exact, in {:.0} s",
        dataflow.interval(),
        start.elapsed().as_secs_f64()
    );
}
