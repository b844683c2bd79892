//! Float ONNX files: scales chosen, everything behind them exact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use ndarray::Array2;
use quantizer::certificate::{Targets, check};
use quantizer::datatype::{DataType, Signedness};
use quantizer::float::{Bits, FloatError, Quantized, input_shape, is_float, quantize};
use quantizer::import::{ImportError, ImportOptions, verify};
use quantizer::onnx::build::{encode, float, floats, int, ints_attribute, model, node, value};
use quantizer::onnx::file::{self, OnnxFile};
use quantizer::onnx::proto::{NodeProto, TensorProto};
use quantizer::testing::Random;
use quantizer::weights::network::{NetworkError, quantize_network, quantize_real};
use quantizer::weights::{NAMES, WeightError, by_name};

const BITS: Bits = Bits { weights: 4, activations: 4, input: 8 };

fn random(random: &mut Random, name: &str, dims: &[i64], lo: f32, hi: f32) -> TensorProto {
    let count = dims.iter().product::<i64>();
    let unit = |r: &mut Random| r.within(0, 1 << 24) as f32 / (1 << 24) as f32;
    let values: Vec<f32> = (0..count).map(|_| lo + (hi - lo) * unit(random)).collect();
    floats(name, dims, &values)
}

fn write(initializers: Vec<TensorProto>, nodes: Vec<NodeProto>, inputs: &[i64], outputs: i64) -> OnnxFile {
    let model = model(value("x", inputs), value("y", &[0, outputs]), initializers, nodes);
    let folder = tempfile();
    let path = folder.join("float.onnx");
    std::fs::write(&path, encode(&model)).unwrap();
    let file = file::read(&path).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    file
}

fn tempfile() -> std::path::PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("snug-float-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// 16-12-10-4: Gemm with transposed weights and BatchNorm, MatMul with a bias in an Add and a Relu, Gemm; then Softmax.
fn perceptron(seed: u64) -> OnnxFile {
    let r = &mut Random::new(seed);
    let initializers = vec![
        random(r, "fc1.weight", &[12, 16], -1.0, 1.0),
        random(r, "fc1.bias", &[12], -0.2, 0.2),
        random(r, "norm.weight", &[12], 0.5, 1.5),
        random(r, "norm.bias", &[12], -0.3, 0.3),
        random(r, "norm.running_mean", &[12], -0.3, 0.3),
        random(r, "norm.running_var", &[12], 0.1, 2.0),
        random(r, "fc2.weight", &[12, 10], -1.0, 1.0),
        random(r, "fc2.bias", &[1, 10], -0.2, 0.2),
        random(r, "fc3.weight", &[4, 10], -1.0, 1.0),
        random(r, "fc3.bias", &[4], -0.2, 0.2),
    ];
    let nodes = vec![
        node("Flatten", &["x"], "flat", vec![]),
        node("Gemm", &["flat", "fc1.weight", "fc1.bias"], "a", vec![int("transB", 1), float("alpha", 0.5)]),
        node(
            "BatchNormalization",
            &["a", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"],
            "b",
            vec![],
        ),
        node("Relu", &["b"], "c", vec![]),
        node("MatMul", &["c", "fc2.weight"], "d", vec![]),
        node("Add", &["d", "fc2.bias"], "e", vec![]),
        node("Relu", &["e"], "f", vec![]),
        node("Gemm", &["f", "fc3.weight", "fc3.bias"], "g", vec![int("transB", 1)]),
        node("Softmax", &["g"], "y", vec![]),
    ];
    write(initializers, nodes, &[0, 1, 4, 4], 4)
}

fn samples(seed: u64, count: usize) -> Array2<f64> {
    let r = &mut Random::new(seed);
    Array2::from_shape_fn((count, 16), |_| r.within(0, 255) as f64 / 255.0)
}

fn quantized(file: &OnnxFile, bits: Bits) -> Quantized {
    quantize(file, &ImportOptions::default(), bits, samples(9, 100).view()).unwrap()
}

/// 2x8x8: a grouped Conv with padding and a bias, BatchNorm, Relu and a MaxPool; a Conv with strides, Relu and an AveragePool; Gemm.
fn convolutional(seed: u64) -> OnnxFile {
    let r = &mut Random::new(seed);
    let initializers = vec![
        random(r, "c1.weight", &[6, 1, 3, 3], -1.0, 1.0),
        random(r, "c1.bias", &[6], -0.2, 0.2),
        random(r, "n1.weight", &[6], 0.5, 1.5),
        random(r, "n1.bias", &[6], -0.3, 0.3),
        random(r, "n1.running_mean", &[6], -0.3, 0.3),
        random(r, "n1.running_var", &[6], 0.1, 2.0),
        random(r, "c2.weight", &[5, 6, 2, 2], -1.0, 1.0),
        random(r, "fc.weight", &[3, 5], -1.0, 1.0),
        random(r, "fc.bias", &[3], -0.2, 0.2),
    ];
    let norm = ["a", "n1.weight", "n1.bias", "n1.running_mean", "n1.running_var"];
    let nodes = vec![
        node("Conv", &["x", "c1.weight", "c1.bias"], "a", vec![ints_attribute("pads", &[1, 1, 1, 1]), int("group", 2)]),
        node("BatchNormalization", &norm, "b", vec![]),
        node("Relu", &["b"], "c", vec![]),
        node("MaxPool", &["c"], "d", vec![ints_attribute("kernel_shape", &[2, 2]), ints_attribute("strides", &[1, 2])]),
        node("Conv", &["d", "c2.weight"], "e", vec![ints_attribute("strides", &[2, 1])]),
        node("Relu", &["e"], "f", vec![]),
        node("AveragePool", &["f"], "g", vec![ints_attribute("kernel_shape", &[3, 3])]),
        node("Flatten", &["g"], "h", vec![]),
        node("Gemm", &["h", "fc.weight", "fc.bias"], "y", vec![int("transB", 1)]),
    ];
    write(initializers, nodes, &[0, 2, 8, 8], 3)
}

/// What that file computes, written out place by place.
fn convolutional_reference(file: &OnnxFile, x: &[f64]) -> Vec<f64> {
    let get = |name: &str| initializer(file, name);
    let at = |c: usize, i: i64, j: i64| {
        let on = (0..8).contains(&i) && (0..8).contains(&j);
        if on { x[c * 64 + i as usize * 8 + j as usize] } else { 0.0 }
    };
    let (w, bias) = (get("c1.weight"), get("c1.bias"));
    let [gain, shift, mean, variance] =
        ["weight", "bias", "running_mean", "running_var"].map(|p| get(&format!("n1.{p}")));
    let c = |r: usize, i: usize, j: usize| {
        let taps = (0..9).map(|t| w[r * 9 + t] * at(r / 3, (i + t / 3) as i64 - 1, (j + t % 3) as i64 - 1));
        let a = taps.sum::<f64>() + bias[r];
        ((a - mean[r]) / (variance[r] + 1e-5).sqrt() * gain[r] + shift[r]).max(0.0)
    };
    // 7 x 4 places.
    let d =
        |r: usize, i: usize, j: usize| (0..4).map(|t| c(r, i + t / 2, 2 * j + t % 2)).fold(f64::NEG_INFINITY, f64::max);
    // 3 x 3 places.
    let w = get("c2.weight");
    let f = |r: usize, i: usize, j: usize| {
        let taps = (0..24).map(|t| w[r * 24 + t] * d(t / 4, 2 * i + t % 4 / 2, j + t % 2));
        taps.sum::<f64>().max(0.0)
    };
    let g: Vec<f64> = (0..5).map(|r| (0..9).map(|p| f(r, p / 3, p % 3)).sum::<f64>() / 9.0).collect();
    let (w, bias) = (get("fc.weight"), get("fc.bias"));
    (0..3).map(|o| g.iter().enumerate().map(|(i, g)| g * w[o * 5 + i]).sum::<f64>() + bias[o]).collect()
}

fn initializer(file: &OnnxFile, name: &str) -> Vec<f64> {
    let graph = file.model.graph.as_ref().unwrap();
    let tensor = graph.initializer.iter().find(|t| t.name == name).unwrap();
    tensor.raw_data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
}

/// What the float file computes, in `f64`, up to the last layer.
fn reference(file: &OnnxFile, x: &[f64]) -> Vec<f64> {
    let get = |name: &str| initializer(file, name);
    let rows = |w: &[f64], x: &[f64]| -> Vec<f64> {
        w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    };
    let [gain, shift, mean, variance] =
        ["weight", "bias", "running_mean", "running_var"].map(|p| get(&format!("norm.{p}")));
    let (bias, weights) = (get("fc1.bias"), get("fc1.weight"));
    let c: Vec<f64> = rows(&weights, x)
        .iter()
        .enumerate()
        .map(|(i, a)| (((0.5 * a + bias[i] - mean[i]) / (variance[i] + 1e-5f64).sqrt()) * gain[i] + shift[i]).max(0.0))
        .collect();
    let weights = get("fc2.weight");
    let f: Vec<f64> = (0..10)
        .map(|o| {
            (c.iter().enumerate().map(|(i, c)| c * weights[i * 10 + o]).sum::<f64>() + get("fc2.bias")[o]).max(0.0)
        })
        .collect();
    rows(&get("fc3.weight"), &f).iter().zip(get("fc3.bias")).map(|(y, b)| y + b).collect()
}

/// The integer network in real units, by the definitions of its layers.
fn integers(q: &Quantized, x: &[f64]) -> Vec<f64> {
    let network = &q.imported.network;
    let first = q.imported.first_quant.as_ref().unwrap();
    let code = |&v: &f64| first.code(&quantizer::rational::from_f64(v).unwrap(), 0);
    let codes: Vec<i64> = x.iter().map(code).collect();
    let codes = quantizer::testing::evaluate(network, &codes).swap_remove(network.output.0);
    let scales = network.tensor(network.output).scale.as_ref().unwrap();
    let scale = |c: usize| if scales.len() == 1 { scales[0] } else { scales[c] };
    codes.iter().enumerate().map(|(c, &x)| scale(c).factor * x as f64 + scale(c).offset).collect()
}

#[test]
fn with_many_bits_the_integers_are_the_float_network() {
    for seed in 0..4 {
        let file = perceptron(seed);
        assert!(is_float(&file));
        assert_eq!(input_shape(&file, &ImportOptions::default()).unwrap(), [1, 4, 4]);
        let mut errors =
            [BITS, Bits { weights: 8, activations: 8, input: 8 }, Bits { weights: 12, activations: 10, input: 10 }]
                .map(|bits| {
                    let q = quantized(&file, bits);
                    let network = &q.imported.network;
                    assert!(network.validate().is_ok());
                    // Thresholds are those of the exact functions behind them, evaluated directly.
                    assert!(
                        bits != BITS
                            || verify(&q.imported).layers.iter().all(|l| l.first.is_none() && l.counts.evaluations > 0)
                    );
                    let names: Vec<_> = network.dense_layers().map(|(l, _)| l.name.as_str()).collect();
                    assert_eq!(names, ["fc1", "fc2", "fc3"]);
                    // Samples that the scales were chosen for: others may be cut, with any number of bits.
                    let test = samples(9, 100);
                    let error = |x: Vec<f64>| -> f64 {
                        let (exact, got) = (reference(&file, &x), integers(&q, &x));
                        exact.iter().zip(got).map(|(a, b)| (a - b).powi(2)).sum()
                    };
                    let norm: f64 =
                        test.rows().into_iter().flat_map(|x| reference(&file, &x.to_vec())).map(|y| y * y).sum();
                    test.rows().into_iter().map(|x| error(x.to_vec())).sum::<f64>() / norm
                });
        assert!(errors[0] < 0.2 && errors[1] < 2e-3 && errors[2] < 1e-4, "seed {seed}: {errors:?}");
        errors.reverse();
        assert!(errors.is_sorted(), "seed {seed}: {errors:?}");
    }
}

#[test]
fn convolutions_and_pools_too() {
    let images = |seed: u64, count: usize| {
        let r = &mut Random::new(seed);
        Array2::from_shape_fn((count, 128), |_| r.within(0, 255) as f64 / 255.0)
    };
    for seed in 0..4 {
        let file = convolutional(seed);
        assert!(is_float(&file));
        let test = images(9, 60);
        let expected: Vec<_> = test.rows().into_iter().map(|x| convolutional_reference(&file, &x.to_vec())).collect();
        let norm: f64 = expected.iter().flatten().map(|y| y * y).sum();
        let errors = [4, 8, 12].map(|bits| {
            let bits = Bits { weights: bits, activations: bits, input: 8.max(bits) };
            let q = quantize(&file, &ImportOptions::default(), bits, test.view()).unwrap();
            let network = &q.imported.network;
            assert!(network.validate().is_ok());
            let layers: Vec<_> = network.matrix_layers().map(|m| m.layer.name.clone()).collect();
            assert_eq!(layers, ["c1", "c2", "fc"]);
            for (matrix, real) in network.matrix_layers().zip(&q.weights) {
                let near = |(&w, &v): (&i64, &f64)| (w as f64 - v).abs() <= 0.5 + 1e-9;
                assert!(matrix.weights.iter().zip(real).all(near), "{}", matrix.layer.name);
            }
            let difference = |(x, y): (ndarray::ArrayView1<'_, f64>, &Vec<f64>)| -> f64 {
                integers(&q, &x.to_vec()).iter().zip(y).map(|(a, b)| (a - b).powi(2)).sum()
            };
            test.rows().into_iter().zip(&expected).map(difference).sum::<f64>() / norm
        });
        assert!(errors[0] < 0.2 && errors[1] < 2e-3 && errors[2] < 1e-4, "seed {seed}: {errors:?}");
    }
}

#[test]
fn types_are_those_asked_for_and_weights_the_nearest_codes() {
    let q = quantized(&perceptron(1), Bits { weights: 3, activations: 5, input: 6 });
    let network = &q.imported.network;
    for (i, ((layer, dense), real)) in network.dense_layers().zip(&q.weights).enumerate() {
        assert_eq!(dense.weight_type, DataType { narrow: true, ..DataType::signed(3) });
        // Pixels and Relus: nothing is negative.
        assert_eq!(network.tensor(layer.input()).datatype, DataType::unsigned(if i == 0 { 6 } else { 5 }));
        for (row, real) in dense.weights.rows().into_iter().zip(real.rows()) {
            assert!(real.iter().all(|v| v.abs() <= 3.0 + 1e-9));
            assert!(row.iter().zip(real).all(|(&w, &v)| (w as f64 - v).abs() <= 0.5 + 1e-9));
            // The scale fits the largest weight up to its 8 bits.
            assert!(real.iter().any(|v| v.abs() > 3.0 * 0.99), "{real}");
        }
    }
    // Samples of both signs make a signed input.
    let signed = samples(9, 100).mapv(|v| v - 0.5);
    let q = quantize(&perceptron(1), &ImportOptions::default(), BITS, signed.view()).unwrap();
    let network = &q.imported.network;
    assert_eq!(network.tensor(network.input).datatype.sign, Signedness::Signed);
}

#[test]
fn every_method_constrains_the_real_weights() {
    let q = quantized(&perceptron(2), BITS);
    let network = &q.imported.network;
    let targets = Targets::All(10);
    let resolved = targets.resolve(network).unwrap();
    let data = Array2::from_shape_fn((64, 16), |(s, e)| ((7 * s + 13 * e) % 256) as i64);
    let activations = |n: &quantizer::network::Network, id: quantizer::network::TensorId| {
        // Made up, but codes: methods do not ask where they come from.
        let tensor = n.tensor(id);
        let range = tensor.datatype.range();
        let columns = tensor.shape.iter().product();
        Ok(Array2::from_shape_fn((64, columns), |(s, e)| data[[s, e % 16]] % (range.hi + 1)))
    };
    for name in NAMES {
        let method = by_name(name, None).unwrap();
        match quantize_real(network, &q.weights, &resolved, method.as_ref(), Some(&activations)) {
            Ok((n, reports)) => {
                assert_eq!(check(&n, &targets).unwrap(), vec![], "{name}");
                assert!(reports.iter().all(|r| r.error > 0.0 && r.exact <= 10), "{name}");
            }
            Err(NetworkError::Layer { source: WeightError::NoBitWidth { .. }, .. }) => assert_eq!(name, "de-bruin"),
            Err(e) => panic!("{name}: {e}"),
        }
    }
    // The optimum for the real weights is at least as near to them as the optimum for their roundings.
    let method = by_name("sign-split", None).unwrap();
    let (_, real) = quantize_real(network, &q.weights, &resolved, method.as_ref(), None).unwrap();
    let (twice, _) = quantize_network(network, &resolved, method.as_ref(), None).unwrap();
    let mut better = 0;
    for (((layer, dense), weights), report) in twice.dense_layers().zip(&q.weights).zip(&real) {
        let scales: Vec<f64> = twice.tensor(layer.output).scale.iter().flatten().map(|s| s.factor).collect();
        let choice = quantizer::weights::Choice::on_grid(dense.weights.clone(), dense.weight_type);
        let error = quantizer::weights::Quantized { choice, widths: vec![] }.relative_error(weights.view(), &scales);
        assert!(report.error <= error + 1e-12, "{}: {} {error}", layer.name, report.error);
        better += usize::from(report.error < error - 1e-9);
    }
    assert!(better > 0);
    // A layer without a target keeps the nearest codes.
    let (kept, reports) = quantize_real(network, &q.weights, &[None, None, None], method.as_ref(), None).unwrap();
    assert_eq!(&kept, network);
    assert!(reports.iter().all(|r| !r.changed && r.error > 0.0 && r.error < 0.05), "{reports:?}");
    let error = quantize_real(network, &q.weights[..2], &resolved, method.as_ref(), None).unwrap_err();
    assert!(matches!(error, NetworkError::Weights { layer: None, .. }), "{error}");
}

#[test]
fn refusals() {
    let file = perceptron(3);
    let options = ImportOptions::default();
    let refused =
        |bits: Bits, samples: Array2<f64>| quantize(&file, &options, bits, samples.view()).unwrap_err().to_string();
    assert_eq!(
        refused(Bits { weights: 1, ..BITS }, samples(1, 2)),
        "weights of 1 bits are not supported; 2 to 16 bits are"
    );
    assert_eq!(
        refused(Bits { input: 17, ..BITS }, samples(1, 2)),
        "inputs of 17 bits are not supported; 2 to 16 bits are"
    );
    assert_eq!(refused(BITS, Array2::zeros((3, 15))), "calibration samples of 15 values do not fit an input of 16");
    assert_eq!(refused(BITS, Array2::zeros((0, 16))), "there are no calibration samples");
    let mut holes = samples(1, 3);
    holes[[2, 5]] = f64::NAN;
    assert_eq!(refused(BITS, holes), "calibration: 'x' holds NaN");
    // Operators that import does not know are refused by it, each by name.
    let r = &mut Random::new(1);
    let weights = vec![random(r, "w", &[16, 3], -1.0, 1.0)];
    let nodes = vec![
        node("Flatten", &["x"], "flat", vec![]),
        node("Erf", &["flat"], "e", vec![]),
        node("MatMul", &["e", "w"], "y", vec![]),
    ];
    let file = write(weights, nodes, &[1, 1, 4, 4], 3);
    let error = quantize(&file, &options, BITS, samples(1, 4).view()).unwrap_err();
    let FloatError::Import(ImportError::Blocked { blockers, .. }) = &error else { panic!("{error}") };
    assert_eq!((blockers.len(), blockers[0].node.as_str()), (1, "Erf_e"), "{error}");
}

#[test]
fn quantized_files_are_no_float_files() {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits");
    assert!(!is_float(&file::read(&digits.join("digits.onnx")).unwrap()));
    assert!(is_float(&file::read(&digits.join("float.onnx")).unwrap()));
}
