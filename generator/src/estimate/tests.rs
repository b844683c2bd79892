#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Instant;

use quantizer::datatype::DataType;
use quantizer::testing::mlp;

use super::*;
use crate::dataflow::Output;
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
        (design(11, &[32, 16, 8], [u2, narrow(2), u2], &[(2, 8), (2, 4)]), 0, 0),
        (design(12, &[24, 12, 10], [u4, narrow(4), u4], &[(3, 4), (1, 12)]), 0, 0),
        (design(13, &[48, 16, 8], [u2, DataType::BIPOLAR, u2], &[(4, 12), (2, 8)]), 0, 0),
    ]
}

#[test]
fn estimates_equal_recorded_syntheses_within_a_tenth() {
    for (i, (dataflow, lut, ff)) in recorded().into_iter().enumerate() {
        let total = estimate(&dataflow).total;
        if let Some(folder) = std::env::var_os("DUMP") {
            let folder = std::path::PathBuf::from(folder).join(format!("r{i}"));
            std::fs::create_dir_all(&folder).unwrap();
            for f in crate::emit::verilog(&dataflow, &[]).unwrap() {
                std::fs::write(folder.join(f.name), f.text).unwrap();
            }
            eprintln!("{i} {total:?}");
            continue;
        }
        assert!(total.lut_total().abs_diff(lut) * 10 <= lut, "design {i}: {} LUTs, Yosys {lut}", total.lut_total());
        assert!(total.ff.abs_diff(ff) * 20 <= ff, "design {i}: {} FFs, Yosys {ff}", total.ff);
    }
}
