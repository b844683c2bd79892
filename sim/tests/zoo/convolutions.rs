//! Convolutional networks: Brevitas' logits and the whole MNIST test set, and a super-resolution image.

use std::fs::File;
use std::io::BufReader;

use generator::dataflow::{Dataflow, Kind, Output};
use generator::lower::{LowerOptions, lower};
use ndarray::{Array2, s};
use npyz::{Deserialize, NpyFile};
use quantizer::import::{Imported, verify};
use quantizer::network::{Network, Op, TensorId};
use sim::golden;

use crate::data::{mnist, model, zoo};

fn npy<T: Deserialize>(name: &str) -> Option<(Vec<T>, Vec<u64>)> {
    let file = NpyFile::new(BufReader::new(File::open(zoo(&format!("models/{name}"))?).unwrap())).unwrap();
    let shape = file.shape().to_vec();
    Some((file.into_vec().unwrap(), shape))
}

/// Bits of the accumulators of each layer with weights, all channels' exact ranges together.
fn widths(network: &Network) -> Vec<u32> {
    let matrix = network.layers.iter().filter(|l| matches!(l.op, Op::Dense(_) | Op::Conv(_)));
    matrix.map(|l| network.tensor(l.output).ranges.iter().map(|r| r.signed_width()).max().unwrap()).collect()
}

/// The import holds what it promises: a valid network, every threshold that of its meaning.
fn sound(imported: &Imported, name: &str) {
    assert_eq!(imported.network.validate(), Ok(()), "{name}");
    let counts = verify(imported).total();
    eprintln!("{name}: {counts:?}");
    assert!(counts.evaluations > 0);
    assert_eq!(counts.deviations, 0);
}

/// Logits of 500 images, and how many of 10,000 are right: by values, and if raw accumulators were compared.
fn check(name: &str, right: usize, raw: usize) -> Option<Imported> {
    let imported = model(&format!("{name}.onnx"), None)?;
    let (inputs, labels) = mnist(&imported)?;
    let network = &imported.network;
    sound(&imported, name);

    let (expected, shape) = npy::<f32>(&format!("{name}.logits500.npy"))?;
    assert_eq!(shape, [500, 10]);
    let outputs = golden::run(network, inputs.view()).unwrap();
    let first = outputs.slice(s![..500, ..]);
    let logits = golden::real(first, network.tensor(network.output).scale.as_ref().unwrap());
    let worst = logits.iter().zip(&expected).map(|(a, &b)| (a - f64::from(b)).abs()).fold(0.0, f64::max);
    let count = |classes: &[usize]| classes.iter().zip(&labels).filter(|(a, b)| a == b).count();
    let classes = golden::label(outputs.view(), network.label_grid.as_ref().unwrap());
    // The first of the largest, as for ties of values.
    let largest = |row: ndarray::ArrayView1<i64>| (0..row.len()).rev().max_by_key(|&c| row[c]).unwrap();
    let accumulators: Vec<usize> = outputs.rows().into_iter().map(largest).collect();
    let (by_value, by_accumulator) = (count(&classes), count(&accumulators));
    eprintln!("{name}: {by_value} of 10,000 right ({by_accumulator} by accumulators), logits within {worst:.1e}");
    assert!(worst <= 1e-6, "{worst}");
    assert_eq!((by_value, by_accumulator), (right, raw));
    Some(imported)
}

#[test]
fn brevitas_cnn() {
    let Some(imported) = check("brevitas_cnn_w4a4", 9_775, 9_773) else { return };
    assert_eq!(widths(&imported.network)[1..], [12, 12, 16]);
}

#[test]
fn brevitas_res() {
    let Some(imported) = check("brevitas_res_w4a4", 9_213, 9_203) else { return };
    let widths = widths(&imported.network);
    eprintln!("{widths:?}");
    // Trained for 13, 13, 12 and 16.
    assert!(widths[1..].iter().zip([13, 13, 12, 16]).all(|(&w, p)| w <= p), "{widths:?}");
}

/// Rows that are 0 whatever comes in, of each layer with weights.
fn dead_rows(network: &Network) -> Vec<usize> {
    let zero = |weights: &Array2<i64>| weights.rows().into_iter().filter(|r| r.iter().all(|&w| w == 0)).count();
    let rows = |op: &Op| match op {
        Op::Dense(dense) => Some(zero(&dense.weights)),
        Op::Conv(conv) => Some(zero(&conv.weights)),
        _ => None,
    };
    network.layers.iter().filter_map(|l| rows(&l.op)).collect()
}

/// Rows that the hardware computes, of each unit.
fn built_rows(dataflow: &Dataflow) -> Vec<usize> {
    let rows = |kind: &Kind| match kind {
        Kind::MatrixVector(unit) => Some(unit.pes.iter().flat_map(|pe| pe.rows.iter().flatten()).count()),
        _ => None,
    };
    dataflow.modules.iter().filter_map(|m| rows(&m.kind)).collect()
}

#[test]
fn espcn() {
    let name = "espcn_subpixel_w4a4_a2q";
    let Some(imported) = model(&format!("{name}.onnx"), Some("u8/255")) else { return };
    let network = &imported.network;
    sound(&imported, name);
    assert_eq!(widths(network), [20, 12, 12, 17]);
    assert_eq!(dead_rows(network), [36, 21, 16, 0]);
    let dataflow = lower(network, &LowerOptions { output: Output::Logits, ..LowerOptions::default() }).unwrap();
    assert_eq!(built_rows(&dataflow), [27, 43, 16, 12]);

    let Some((pixels, shape)) = npy::<u8>(&format!("{name}.input_u8.npy")) else { return };
    assert_eq!(shape, [1, 3, 128, 128]);
    let Some((recorded, shape)) = npy::<f32>(&format!("{name}.output.npy")) else { return };
    assert_eq!(shape, [1, 3, 256, 256]);
    assert_eq!(
        (&network.output_shape[..], &network.tensor(network.output).shape[..]),
        (&[1, 3, 256, 256][..], &[3, 256, 256][..])
    );
    let inputs = Array2::from_shape_vec((1, pixels.len()), pixels.into_iter().map(i64::from).collect()).unwrap();
    let all = golden::run_all(network, inputs.view()).unwrap();
    let outputs = all[network.output.0].row(0);
    let scale = network.tensor(network.output).scale.as_ref().unwrap();
    assert_eq!(scale.len(), 1);

    // The accumulator that a pixel comes from: two channels in four become columns.
    let accumulators = last_accumulators(network);
    let source = |pixel: usize| {
        let (c, y, x) = (pixel >> 16, pixel >> 8 & 255, pixel & 255);
        let channel = c * 4 + (y & 1) * 2 + (x & 1);
        all[accumulators.0][[0, (channel << 14) + ((y / 2) << 7) + x / 2]]
    };
    let differ: Vec<(i64, i64, i64)> = outputs
        .iter()
        .zip(&recorded)
        .enumerate()
        .map(|(i, (&code, &value))| (code, (f64::from(value) / scale[0].factor).round() as i64, source(i)))
        .filter(|(code, recorded, _)| code != recorded)
        .collect();
    assert_eq!(differ, [(141, 140, 8477); 4]);
}

/// What the last layer with weights writes.
fn last_accumulators(network: &Network) -> TensorId {
    network.layers.iter().rfind(|l| matches!(l.op, Op::Conv(_))).unwrap().output
}
