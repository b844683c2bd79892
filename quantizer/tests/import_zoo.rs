//! The real networks of the model zoo: shapes, widths, names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::Instant;

use quantizer::datatype::{DataType, Range};
use quantizer::import::{ImportError, ImportOptions, Imported, import, verify};
use quantizer::network::Op;
use quantizer::rational::Rational;

/// A model of the zoo, if `SNUG_ZOO` says where it is.
fn model(name: &str) -> Option<PathBuf> {
    let Some(zoo) = std::env::var_os("SNUG_ZOO") else {
        eprintln!("SKIPPED: {name} is not tested; set SNUG_ZOO to the folder that holds models/ and data/");
        return None;
    };
    Some(PathBuf::from(zoo).join("models").join(name))
}

fn imported(name: &str, options: &ImportOptions) -> Option<Imported> {
    let path = model(name)?;
    let start = Instant::now();
    let imported = import(&path, options).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(imported.network.validate(), Ok(()), "{name}");
    eprintln!("{name}: imported in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    Some(imported)
}

/// Name, rows, columns, exact accumulator width of each Dense layer.
fn layers(imported: &Imported) -> Vec<(String, usize, usize, u32)> {
    let network = &imported.network;
    let width =
        |l: &quantizer::network::Layer| network.tensor(l.output).ranges.iter().map(|r| r.signed_width()).max().unwrap();
    network.dense_layers().map(|(l, d)| (l.name.clone(), d.weights.nrows(), d.weights.ncols(), width(l))).collect()
}

fn expect(got: &[(String, usize, usize, u32)], expected: &[(&str, usize, usize, u32)]) {
    let got: Vec<_> = got.iter().map(|(n, r, c, w)| (n.as_str(), *r, *c, *w)).collect();
    assert_eq!(got, expected);
}

#[test]
fn tfc_2w2a() {
    let Some(tfc) = imported("TFC_2W2A.onnx", &ImportOptions::default()) else { return };
    expect(
        &layers(&tfc),
        &[
            ("features.3", 64, 784, 10),
            ("features.7", 64, 64, 7),
            ("features.11", 64, 64, 7),
            ("features.15", 10, 64, 7),
        ],
    );
    let n = &tfc.network;
    let kinds: Vec<_> = n
        .layers
        .iter()
        .map(|l| match &l.op {
            Op::Flatten => "flatten",
            Op::Dense(_) => "dense",
            Op::Threshold(_) => "threshold",
            other => panic!("no layer of a perceptron: {other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["flatten", "dense", "threshold", "dense", "threshold", "dense", "threshold", "dense"]);
    let narrow = DataType { narrow: true, ..DataType::signed(2) };
    assert_eq!((n.tensor(n.input).datatype, &n.tensor(n.input).shape[..]), (narrow, &[1, 28, 28][..]));
    assert_eq!(n.tensor(n.input).ranges, [Range::new(-1, 1)]);
    assert_eq!((n.output_name.as_str(), &n.output_shape[..]), ("90", &[1, 10][..]));
    assert!(n.label_grid.is_ok(), "{:?}", n.label_grid);
    // Pixel p means p/255, times 2, minus 1: below 1/4 it is -1 (0.25 itself is a tie and goes to the even 0).
    let first = tfc.first_quant.as_ref().unwrap();
    let code = |p: i64| first.code(&Rational::new(p.into(), 255.into()), 0);
    assert_eq!([0, 63, 64, 191, 192, 255].map(code), [-1, -1, 0, 0, 1, 1]);
    let quarter = |q: i64| first.code(&Rational::new(q.into(), 4.into()), 0);
    assert_eq!([0, 1, 3, 4].map(quarter), [-1, 0, 0, 1]);
}

#[test]
fn tfc_1w2a() {
    let Some(tfc) = imported("TFC_1W2A.onnx", &ImportOptions::default()) else { return };
    expect(
        &layers(&tfc),
        &[
            ("features.3", 64, 784, 11),
            ("features.7", 64, 64, 8),
            ("features.11", 64, 64, 8),
            ("features.15", 10, 64, 8),
        ],
    );
}

#[test]
fn tfc_with_bytes_on_the_pins() {
    let options = ImportOptions { input_type: Some("u8/255".parse().unwrap()), ..Default::default() };
    let Some(tfc) = imported("TFC_2W2A.onnx", &options) else { return };
    assert!(tfc.first_quant.is_none());
    let Op::Threshold(t) = &tfc.network.layers[0].op else { panic!("{:?}", tfc.network.layers[0].op) };
    assert_eq!(tfc.network.layers[0].name, "input");
    assert_eq!(t.channels.len(), 1);
    assert_eq!((t.channels[0].base, &t.channels[0].steps[..]), (-1, &[64, 192][..]));
}

#[test]
fn kwsmlp() {
    let Some(kws) = imported("kwsmlp_w3a3.onnx", &ImportOptions::default()) else { return };
    expect(
        &layers(&kws),
        &[
            ("features.4", 256, 490, 18),
            ("features.8", 256, 256, 13),
            ("features.12", 256, 256, 13),
            ("MatMul_50", 12, 256, 14),
        ],
    );
}

#[test]
fn jet_tagging() {
    let Some(path) = model("qkeras_jettagging.onnx") else { return };
    let refused = import(&path, &ImportOptions::default());
    let Err(ImportError::Blocked { blockers, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(blockers.len(), 1, "{blockers:?}");
    assert_eq!(blockers[0].node, "MatMul_0");
    assert!(blockers[0].hint.contains("--input-type"), "{}", blockers[0].hint);

    let options = ImportOptions { input_type: Some("s16/1024".parse().unwrap()), ..Default::default() };
    let jets = imported("qkeras_jettagging.onnx", &options).unwrap();
    let layers = layers(&jets);
    let shapes: Vec<_> = layers.iter().map(|(_, r, c, _)| (*r, *c)).collect();
    assert_eq!(shapes, [(64, 16), (32, 64), (32, 32), (5, 32)]);
    let widths: Vec<_> = layers.iter().skip(1).map(|l| l.3).collect();
    assert_eq!(widths, [15, 15, 16]);
    assert!(jets.network.notes.iter().any(|n| n.contains("Softmax")), "{:?}", jets.network.notes);
}

#[test]
fn convolutions() {
    let Some(cnn) = imported("brevitas_cnn_w4a4.onnx", &ImportOptions::default()) else { return };
    let n = &cnn.network;
    let matrix = n.layers.iter().filter(|l| matches!(l.op, Op::Conv(_) | Op::Dense(_)));
    let found: Vec<_> = matrix.map(|l| (l.name.as_str(), &n.tensor(l.output).shape[..])).collect();
    let expected: [(&str, &[usize]); 4] =
        [("f.2", &[8, 28, 28]), ("f.6", &[16, 14, 14]), ("f.10", &[16, 5, 5]), ("f.13", &[10])];
    assert_eq!(found, expected);
    // The classes' scales have no common grid that fits: a rounded one does.
    let grid = n.label_grid.as_ref().unwrap();
    assert!(grid.multiplier.iter().all(|m| (1 << 10..1 << 42).contains(m)), "{grid:?}");
}

/// The largest network of the zoo is in tests/exhaustive.rs.
#[test]
fn thresholds_are_the_meaning_on_every_value() {
    let Some(tfc) = imported("TFC_2W2A.onnx", &ImportOptions::default()) else { return };
    let verification = verify(&tfc);
    let total = verification.total();
    assert_eq!(verification.layers.len(), 3);
    assert!(total.evaluations > 0);
    assert_eq!((total.deviations, total.float32, total.float64), (0, 0, 0), "{verification:?}");
}

#[test]
fn a_wrong_threshold_is_found() {
    let Some(mut tfc) = imported("TFC_2W2A.onnx", &ImportOptions::default()) else { return };
    let Some(Op::Threshold(t)) =
        tfc.network.layers.iter_mut().map(|l| &mut l.op).find(|o| matches!(o, Op::Threshold(_)))
    else {
        panic!("no threshold")
    };
    t.channels[7].steps[0] += 1;
    let layer = &verify(&tfc).layers[0];
    assert_eq!((layer.counts.deviations, layer.first.unwrap().channel), (1, 7));
}
