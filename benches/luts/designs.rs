//! The designs that estimates are held against. The lists were fixed before any coefficient was fitted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use generator::dataflow::{Dataflow, Output};
use generator::folding::{FoldingRequest, LayerFolding};
use generator::lower::{LowerOptions, lower};
use quantizer::datatype::DataType;
use quantizer::import::{ImportOptions, import};
use quantizer::network::Network;
use quantizer::testing::{Random, mlp};

/// Seeds of the small designs.
pub const SEEDS: std::ops::Range<u64> = 0..64;

/// Seeds from here on were first synthesized after the last coefficient had been fitted.
pub const HELD_OUT: u64 = 40;

/// A design and its name in the tables.
pub struct Design {
    pub name: String,
    pub dataflow: Dataflow,
}

/// The digits network at the default folding and at 64 cycles a frame, and TFC_2W2A at FINN's folding if `SNUG_ZOO` has it.
pub fn networks() -> Vec<Design> {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/digits.onnx");
    let digits = import(&digits, &ImportOptions::default()).expect("the committed model imports").network;
    let mut designs = vec![
        design("digits", &digits, FoldingRequest::Default, Output::Label),
        design("digits_8", &digits, FoldingRequest::Interval(8), Output::Logits),
    ];
    match std::env::var_os("SNUG_ZOO").map(|zoo| PathBuf::from(zoo).join("models/TFC_2W2A.onnx")) {
        Some(path) if path.exists() => {
            let tfc = import(&path, &ImportOptions::default()).expect("TFC_2W2A imports").network;
            designs.push(design("tfc_2w2a", &tfc, finn(&tfc), Output::Logits));
        }
        _ => eprintln!("SKIPPED: TFC_2W2A is not at models/TFC_2W2A.onnx of the folder SNUG_ZOO; set SNUG_ZOO"),
    }
    designs
}

/// FINN's published folding of the TFC networks.
fn finn(network: &Network) -> FoldingRequest {
    let foldings = [(16, 49), (8, 8), (8, 8), (10, 8)].map(|(pe, simd)| LayerFolding { pe, simd });
    let layers: BTreeMap<String, LayerFolding> =
        network.dense_layers().map(|(l, _)| l.name.clone()).zip(foldings).collect();
    FoldingRequest::Layers(layers)
}

/// The small design of a seed: two layers, types of up to 4 bits, any folding.
pub fn small(seed: u64) -> Design {
    let random = &mut Random::new(seed.wrapping_mul(7919) + 3);
    let sizes = [8, 12, 16, 24, 32, 48, 64];
    let mut size = |most: usize| sizes[random.size(0, most)];
    let widths = [size(6), size(4), size(2)];
    let input =
        [DataType::unsigned(2), DataType::unsigned(4), DataType::signed(3), DataType::BIPOLAR, DataType::unsigned(8)]
            [random.size(0, 4)];
    let narrow = |bits| DataType { narrow: true, ..DataType::signed(bits) };
    let weights =
        [narrow(2), narrow(3), narrow(4), DataType::BIPOLAR, DataType::signed(4), narrow(6)][random.size(0, 5)];
    let activations =
        [DataType::unsigned(1), DataType::unsigned(2), DataType::unsigned(3), DataType::unsigned(4), DataType::BIPOLAR]
            [random.size(0, 4)];
    let network = mlp(seed, &widths, input, weights, activations);
    let divisor = |random: &mut Random, n: usize, most: usize| {
        let all: Vec<usize> = (1..=n.min(most)).filter(|d| n.is_multiple_of(*d)).collect();
        all[random.size(0, all.len() - 1)]
    };
    let layers = network
        .dense_layers()
        .map(|(l, d)| {
            let pe = divisor(random, d.weights.nrows(), 4);
            let simd = divisor(random, d.weights.ncols(), 32);
            (l.name.clone(), LayerFolding { pe, simd })
        })
        .collect();
    let output = if seed.is_multiple_of(3) && network.label_grid.is_ok() { Output::Label } else { Output::Logits };
    design(&format!("small_{seed}"), &network, FoldingRequest::Layers(layers), output)
}

fn design(name: &str, network: &Network, folding: FoldingRequest, output: Output) -> Design {
    let options = LowerOptions { folding, top: Some(name.to_owned()), output };
    Design { name: name.to_owned(), dataflow: lower(network, &options).expect("the folding fits") }
}
