//! One network in the forms that exporters give it: the integers must be the same, and the outputs' real values those of
//! the nodes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use ndarray::Array2;
use quantizer::datatype::{DataType, Range};
use quantizer::import::{ImportError, ImportOptions, Imported, InputType, import_file, verify};
use quantizer::network::{Network, Op, Scale, Steps};
use quantizer::onnx::build::{float, floats, int, ints, ints_attribute, value};
use quantizer::onnx::file;
use quantizer::onnx::proto::{ModelProto, StringStringEntryProto, TensorAnnotation, attribute_type};
use quantizer::onnx::sequence::{QuantSpec, Sequence};
use quantizer::rational::{Rational, integer};

const W1: [f32; 12] = [0.5, -0.5, 1.0, 0.0, 1.5, -1.0, 0.5, 0.5, -1.5, 1.0, 0.0, 0.5];
const W2: [f32; 6] = [0.25, -0.25, 0.5, 0.75, 0.0, -0.5];
const HALF: QuantSpec =
    QuantSpec { bits: 3, signed: true, narrow: false, scale: &[0.5], scale_shape: &[], rounding: None };
const QUARTER: QuantSpec = QuantSpec { scale: &[0.25], ..HALF };
const ACTIVATION: QuantSpec = QuantSpec { bits: 2, signed: false, scale: &[0.5], ..HALF };

fn try_import(model: &ModelProto, options: &ImportOptions) -> Result<Imported, ImportError> {
    let bytes = quantizer::onnx::build::encode(model);
    import_file(&file::decode(&bytes, "test.onnx".into(), PathBuf::new())?, options)
}

fn import(s: &Sequence, output: &[i64]) -> Imported {
    checked(try_import(&s.model(output), &ImportOptions::default()))
}

fn checked(imported: Result<Imported, ImportError>) -> Imported {
    let imported = imported.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(imported.network.validate(), Ok(()));
    assert_eq!(verify(&imported).total().deviations, 0);
    imported
}

/// The hidden layer as MatMul, Add; then Relu and a quantizer.
fn first_half() -> Sequence {
    let mut s = Sequence::new(&[1, 4]);
    s.quant(QuantSpec::new(4, false, &0.25));
    s.matmul(&[4, 3], &W1, HALF);
    s.with("Add", &[3], &[0.25, -1.0, 0.5]);
    second_half(&mut s);
    s
}

fn second_half(s: &mut Sequence) {
    s.node("Relu", &["@"], vec![]);
    s.quant(ACTIVATION);
    s.matmul(&[3, 2], &W2, QUARTER);
}

/// Weights, thresholds, types, ranges and scales: all but names and notes.
#[derive(Debug, PartialEq)]
struct Integers {
    layers: Vec<Op>,
    tensors: Vec<quantizer::network::Tensor>,
    grid: Result<quantizer::network::LabelGrid, String>,
}

fn integers(n: &Network) -> Integers {
    let nameless = |t: &quantizer::network::Tensor| quantizer::network::Tensor { name: String::new(), ..t.clone() };
    Integers {
        layers: n.layers.iter().map(|l| l.op.clone()).collect(),
        tensors: n.tensors.iter().map(nameless).collect(),
        grid: n.label_grid.clone(),
    }
}

/// Runs the integers without any of the library's engines.
fn run(n: &Network, input: &[i64]) -> Vec<i64> {
    let mut values = vec![Vec::new(); n.tensors.len()];
    values[n.input.0] = input.to_vec();
    for l in &n.layers {
        let x = values[l.input().0].clone();
        values[l.output.0] = match &l.op {
            Op::Flatten => x,
            Op::Dense(d) => d.weights.rows().into_iter().map(|r| r.iter().zip(&x).map(|(w, x)| w * x).sum()).collect(),
            Op::Threshold(t) => {
                let each = x.len() / n.tensor(l.input()).ranges.len();
                x.iter().enumerate().map(|(i, &v)| t.channel(i / each).apply(v)).collect()
            }
            other => panic!("no layer of a perceptron: {other:?}"),
        };
    }
    values[n.output.0].clone()
}

/// The same as real values.
fn outputs(n: &Network, input: &[i64]) -> Vec<f64> {
    let scale = n.tensor(n.output).scale.as_ref().unwrap();
    let at = |c: usize| scale[if scale.len() == 1 { 0 } else { c }];
    run(n, input).iter().enumerate().map(|(c, &v)| at(c).factor * v as f64 + at(c).offset).collect()
}

fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    Array2::from_shape_vec((rows, cols), values.to_vec()).unwrap().t().iter().copied().collect()
}

#[test]
fn the_base_by_hand() {
    let imported = import(&first_half(), &[1, 2]);
    let n = &imported.network;
    let kinds: Vec<bool> = n.layers.iter().map(|l| matches!(l.op, Op::Dense(_))).collect();
    assert_eq!(kinds, [true, false, true]);
    let Op::Dense(d) = &n.layers[0].op else { panic!() };
    assert_eq!(d.weights, ndarray::array![[1, 0, 1, 2], [-1, 3, 1, 0], [2, -2, -3, 1]]);
    assert_eq!(n.tensor(n.layers[0].output).ranges, [Range::new(0, 60), Range::new(-15, 60), Range::new(-75, 45)]);
    assert_eq!(n.tensor(n.layers[0].output).scale, Some(vec![Scale { factor: 0.125, offset: 0.0 }]));
    // Channel 0: (n/8 + 1/4) / (1/2) rounded half to even: n/4 + 1/2 is a tie at n = 0 and 4, 0.5 to 0, 1.5 to 2.
    let Op::Threshold(t) = &n.layers[1].op else { panic!() };
    assert_eq!(t.channels[0], Steps { base: 0, steps: vec![1, 4, 9], falling: false });
    // Channel 1: n/4 - 2: ties at 10 (0.5 to 0), 14 (1.5 to 2), 18 (2.5 to 2).
    assert_eq!(t.channels[1], Steps { base: 0, steps: vec![11, 14, 19], falling: false });
    assert_eq!(t.channels[2], Steps { base: 0, steps: vec![-1, 2, 7], falling: false });
    let grid = n.label_grid.as_ref().unwrap();
    assert_eq!((&grid.multiplier[..], &grid.offset[..]), (&[1, 1][..], &[0, 0][..]));
    // 15/4 in every input: sums 7.5, 5.625, -3.75, plus bias 7.75, 4.625, -3.25: codes 3, 3, 0, values 1.5, 1.5, 0.
    assert_eq!(outputs(n, &[15; 4]), [1.5 * 0.25 + 1.5 * 0.5, -1.5 * 0.25 + 1.5 * 0.75]);
}

#[test]
fn weights_in_every_orientation() {
    let base = integers(&import(&first_half(), &[1, 2]).network);
    let begin = || {
        let mut s = Sequence::new(&[1, 4]);
        s.quant(QuantSpec::new(4, false, &0.25));
        s
    };
    let rows_first = transposed(&W1, 4, 3);
    let bias = [0.25, -1.0, 0.5];

    // Quant of [outputs, inputs], transposed behind it.
    let mut s = begin();
    let (x, w) = ("t0", s.weights(&[3, 4], &rows_first, HALF));
    s.node("Transpose", &[&w], vec![ints_attribute("perm", &[1, 0])]);
    s.node("MatMul", &[x, "@"], vec![]);
    s.with("Add", &[3], &bias);
    second_half(&mut s);
    assert_eq!(integers(&import(&s, &[1, 2]).network), base);

    // Gemm with and without transB, the bias inside; alpha and beta.
    for (transposed, alpha, beta) in [(true, 1.0, 1.0), (false, 1.0, 1.0), (true, 2.0, -0.5)] {
        let mut s = begin();
        let spec = QuantSpec { scale: &[if alpha == 1.0 { 0.5 } else { 0.25 }], ..HALF };
        let values: Vec<f32> = (if transposed { &rows_first[..] } else { &W1[..] }).iter().map(|w| w / alpha).collect();
        let dims: &[i64] = if transposed { &[3, 4] } else { &[4, 3] };
        let w = s.weights(dims, &values, spec);
        let c = s.floats(&[1, 3], &bias.map(|b| b / beta));
        let attributes = vec![int("transB", i64::from(transposed)), float("alpha", alpha), float("beta", beta)];
        s.node("Gemm", &["t0", &w, &c], attributes);
        second_half(&mut s);
        let n = import(&s, &[1, 2]).network;
        assert_eq!(integers(&n).layers, base.layers, "{transposed} {alpha} {beta}");
        assert_eq!(outputs(&n, &[15, 3, 0, 8]), outputs(&import(&first_half(), &[1, 2]).network, &[15, 3, 0, 8]));
    }

    // Weights on the left of a column.
    let mut s = begin();
    s.node("Transpose", &["@"], vec![]);
    let x = "t1";
    let w = s.weights(&[3, 4], &rows_first, HALF);
    s.node("MatMul", &[&w, x], vec![]);
    s.with("Add", &[3, 1], &bias);
    s.node("Transpose", &["@"], vec![]);
    second_half(&mut s);
    assert_eq!(integers(&import(&s, &[1, 2]).network), base);

    // Scaled behind the quantizer, and a Constant node instead of an initializer.
    let mut s = begin();
    let mut value = float("value", 0.0);
    value.r#type = attribute_type::TENSOR;
    value.t = Some(floats("", &[4, 3], &W1.map(|w| 2.0 * w)));
    s.node("Constant", &[], vec![value]);
    s.quant(QuantSpec { scale: &[1.0], ..HALF });
    s.with("Mul", &[], &[0.5]);
    s.node("MatMul", &["t0", "@"], vec![]);
    s.with("Add", &[3], &bias);
    second_half(&mut s);
    assert_eq!(integers(&import(&s, &[1, 2]).network), base);
}

#[test]
fn batch_norm_by_hand_and_as_a_node() {
    let (gain, shift, mean, variance) =
        ([1.5f32, -2.0, 0.75], [0.5f32, 0.25, -1.0], [3.0f32, 1.0, -2.0], [4.0f32, 2.25, 5.0]);
    let half = || {
        let mut s = Sequence::new(&[1, 4]);
        s.quant(QuantSpec::new(4, false, &0.25));
        s.matmul(&[4, 3], &W1, HALF);
        s
    };
    let mut node = half();
    let names = [gain, shift, mean, variance].map(|p| node.floats(&[3], &p));
    let inputs: Vec<&str> = std::iter::once("@").chain(names.iter().map(String::as_str)).collect();
    node.node("BatchNormalization", &inputs, vec![float("epsilon", 0.0)]);
    second_half(&mut node);

    let mut nodes = half();
    let (v, half_power) = (nodes.floats(&[1, 3], &variance), nodes.floats(&[], &[0.5]));
    nodes.with("Sub", &[3], &mean);
    let x = "t3";
    nodes.node("Pow", &[&v, &half_power], vec![]);
    nodes.node("Div", &[x, "@"], vec![]);
    nodes.with("Mul", &[3], &gain);
    nodes.with("Add", &[3], &shift);
    second_half(&mut nodes);
    assert_eq!(integers(&import(&node, &[1, 2]).network), integers(&import(&nodes, &[1, 2]).network));
}

#[test]
fn a_negative_gain_gives_falling_steps() {
    let mut s = Sequence::new(&[1, 1]);
    s.quant(QuantSpec::new(4, true, &1.0));
    s.matmul(&[1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    s.with("Mul", &[], &[-0.5]);
    s.quant(QuantSpec::new(2, true, &1.0));
    s.matmul(&[1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    let n = import(&s, &[1, 1]).network;
    let Op::Threshold(t) = &n.layers[1].op else { panic!() };
    // -n/2: 4 at -8 is clamped to 1; ties at 3 (-1.5 to -2), 1 (-0.5 to 0), -1 (0.5 to 0).
    assert_eq!(t.channels[0], Steps { base: -2, steps: vec![-1, 2, 3], falling: true });
}

#[test]
fn dead_and_bipolar_channels() {
    let mut s = Sequence::new(&[1, 2]);
    s.quant(QuantSpec::new(1, true, &1.0));
    s.matmul(&[2, 3], &[1.0, -1.0, 1.0, 1.0, 1.0, 1.0], QuantSpec::new(1, true, &1.0));
    s.with("Mul", &[3], &[1.0, 0.0, f32::from_bits(1)]);
    s.with("Add", &[3], &[0.0, -2.0, 1e-10]);
    s.quant(QuantSpec::new(1, true, &0.5));
    s.matmul(&[3, 2], &W2, QUARTER);
    let n = import(&s, &[1, 2]).network;
    let Op::Threshold(t) = &n.layers[1].op else { panic!() };
    assert_eq!(n.tensor(n.input).datatype, DataType::BIPOLAR);
    assert_eq!(t.channels[0], Steps { base: -1, steps: vec![0, 0], falling: false });
    assert_eq!(t.channels[1], Steps { base: -1, steps: vec![], falling: false });
    assert_eq!(t.channels[2], Steps { base: 1, steps: vec![], falling: false });
    assert_eq!(n.tensor(n.layers[1].output).ranges, [Range::new(-1, 1), Range::new(-1, -1), Range::new(1, 1)]);
}

#[test]
fn shapes_of_old_exports() {
    // Shape, Gather, Unsqueeze, Concat, Reshape; the batch of 32 is recorded in a second Reshape.
    let mut s = Sequence::new(&[32, 1, 2, 2]);
    let zero = s.constant(ints("", &[], &[0]));
    s.node("Shape", &["x"], vec![]);
    s.node("Gather", &["@", &zero], vec![int("axis", 0)]);
    s.node("Unsqueeze", &["@"], vec![ints_attribute("axes", &[0])]);
    let rest = s.constant(ints("", &[1], &[-1]));
    s.node("Concat", &["@", &rest], vec![int("axis", 0)]);
    s.node("Reshape", &["x", "@"], vec![]);
    let fixed = s.constant(ints("", &[2], &[32, 4]));
    s.node("Reshape", &["@", &fixed], vec![]);
    s.quant(QuantSpec::new(4, false, &0.25));
    s.matmul(&[4, 3], &W1, HALF);
    s.with("Add", &[3], &[0.25, -1.0, 0.5]);
    second_half(&mut s);
    let n = import(&s, &[32, 2]).network;
    assert_eq!(n.tensor(n.input).shape, [1, 2, 2]);
    assert_eq!(n.output_shape, [1, 2]);
    assert!(n.notes.iter().any(|n| n.contains("batch") && n.contains("32")), "{:?}", n.notes);
    assert_eq!(n.layers.iter().filter(|l| l.op == Op::Flatten).count(), 1);
    let base = import(&first_half(), &[1, 2]).network;
    assert_eq!(run(&n, &[9, 0, 15, 4]), run(&base, &[9, 0, 15, 4]));
}

#[test]
fn what_the_pins_carry() {
    // Normalised per channel before the first quantizer.
    let mut s = Sequence::new(&[1, 2]);
    s.with("Sub", &[2], &[0.5, 0.25]);
    s.with("Div", &[2], &[0.5, 0.25]);
    s.quant(QuantSpec::new(3, true, &0.5));
    s.matmul(&[2, 1], &[1.0, -1.0], QuantSpec::new(2, true, &1.0));
    let model = s.model(&[1, 1]);
    let plain = checked(try_import(&model, &ImportOptions::default()));
    let first = plain.first_quant.unwrap();
    let quarters = |q: i64| Rational::new(q.into(), 4.into());
    // Channel 0: (x - 1/2) / (1/2) / (1/2); channel 1: (x - 1/4) / (1/4) / (1/2).
    assert_eq!([0, 1, 2, 3, 4].map(|q| first.code(&quarters(q), 0)), [-2, -1, 0, 1, 2]);
    assert_eq!([0, 1, 2, 3, 4].map(|q| first.code(&quarters(q), 1)), [-2, 0, 2, 3, 3]);
    assert_eq!(first.code(&integer(-1_000_000_000_000i64), 0), -4);

    let bytes = ImportOptions { input_type: Some("u4/15".parse().unwrap()), ..Default::default() };
    let typed = checked(try_import(&model, &bytes));
    assert!(typed.first_quant.is_none());
    let n = &typed.network;
    assert_eq!(n.tensor(n.input).datatype, DataType::unsigned(4));
    let Op::Threshold(t) = &n.layers[0].op else { panic!() };
    assert_eq!(n.layers[0].name, "input");
    for c in 0..2 {
        for p in 0..16 {
            assert_eq!(t.channel(c).apply(p), first.code(&Rational::new(p.into(), 15.into()), c));
        }
    }
}

#[test]
fn declared_inputs_without_a_quantizer() {
    let mut s = Sequence::new(&[1, 2]);
    s.matmul(&[2, 2], &[1.0, -1.0, 2.0, 3.0], QuantSpec::new(3, true, &1.0));
    let model = s.model(&[1, 2]);
    // (code/4 - mean) / std: the offsets move behind the sums.
    let input = InputType { mean: vec![integer(3), integer(5)], std: vec![integer(2)], .."s4/4".parse().unwrap() };
    let n = checked(try_import(&model, &ImportOptions { input_type: Some(input), ..Default::default() })).network;
    let (x, y) = ((7.0 / 4.0 - 3.0) / 2.0, (-8.0 / 4.0 - 5.0) / 2.0);
    assert_eq!(outputs(&n, &[7, -8]), [x + 2.0 * y, -x + 3.0 * y]);

    // Channels of different deviation: the quotient 3 moves into the weights.
    let input = InputType { std: vec![integer(3), integer(1)], .."u8/255".parse().unwrap() };
    let n = checked(try_import(&model, &ImportOptions { input_type: Some(input), ..Default::default() })).network;
    assert_eq!(n.dense_layers().next().unwrap().1.weights, ndarray::array![[1, 6], [-1, 9]]);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(close(outputs(&n, &[255, 51])[1], -1.0 / 3.0 + 3.0 * 0.2));

    // An annotation counts as the type.
    let mut annotated = model.clone();
    annotated.graph.as_mut().unwrap().quantization_annotation = vec![TensorAnnotation {
        tensor_name: "x".into(),
        quant_parameter_tensor_names: vec![StringStringEntryProto {
            key: "finn_datatype".into(),
            value: "UINT8".into(),
        }],
    }];
    let n = checked(try_import(&annotated, &ImportOptions::default())).network;
    assert_eq!(n.tensor(n.input).datatype, DataType::unsigned(8));
    assert_eq!(outputs(&n, &[200, 1]), [202.0, -197.0]);

    let input = InputType { mean: vec![integer(0); 3], ..InputType::plain(DataType::unsigned(8)) };
    let refused = try_import(&model, &ImportOptions { input_type: Some(input), ..Default::default() });
    assert!(refused.is_err_and(|e| e.to_string().contains("mean has 3 numbers")));
}

#[test]
fn input_types_as_text() {
    let parsed = |t: &str| t.parse::<InputType>().map(|i| (i.datatype, i.divisor));
    assert_eq!(parsed("u8/255").unwrap(), (DataType::unsigned(8), integer(255)));
    assert_eq!(parsed("s16/1024").unwrap(), (DataType::signed(16), integer(1024)));
    assert_eq!(parsed("u8/0.5").unwrap(), (DataType::unsigned(8), Rational::new(1.into(), 2.into())));
    assert_eq!(parsed("u8").unwrap(), (DataType::unsigned(8), integer(1)));
    assert_eq!(parsed("bipolar").unwrap().0, DataType::BIPOLAR);
    for bad in ["", "8", "x8", "u", "u0", "u33", "u8/0", "u8/", "u8/x", "u-8", "u8/255/2"] {
        assert!(parsed(bad).is_err(), "{bad}");
    }
}

#[test]
fn multi_thresholds_with_a_bias() {
    // Codes 0..3 mean 2 * code - 3: the offset moves behind the next layer's sums.
    let mut s = Sequence::new(&[1, 2]);
    s.quant(QuantSpec::new(3, true, &1.0));
    s.matmul(&[2, 2], &[1.0, 2.0, -1.0, 1.0], QuantSpec::new(3, true, &1.0));
    let t = s.floats(&[2, 3], &[-2.0, 0.0, 2.5, -4.0, 1.0, 1.0]);
    s.node("MultiThreshold", &["@", &t], vec![float("out_scale", 2.0), float("out_bias", -3.0)]);
    s.matmul(&[2, 1], &[1.0, 3.0], QuantSpec::new(3, true, &1.0));
    let n = import(&s, &[1, 1]).network;
    for (a, b) in [(-4, -4), (3, 3), (0, 1), (-4, 3), (3, -4)] {
        let (x, y) = (f64::from(a - b), f64::from(2 * a + b));
        let count = |v: f64, t: [f64; 3]| 2.0 * t.iter().filter(|&&t| v >= t).count() as f64 - 3.0;
        let expected = count(x, [-2.0, 0.0, 2.5]) + 3.0 * count(y, [-4.0, 1.0, 1.0]);
        assert_eq!(outputs(&n, &[a.into(), b.into()]), [expected], "{a} {b}");
    }
}

#[test]
fn relu_behind_a_quantizer() {
    let mut s = Sequence::new(&[1, 1]);
    s.quant(QuantSpec::new(4, true, &1.0));
    s.matmul(&[1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    s.quant(QuantSpec::new(3, true, &2.0));
    s.node("Relu", &["@"], vec![]);
    s.matmul(&[1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    let n = import(&s, &[1, 1]).network;
    // n/2: ties at 1 (to 0), 3 (to 2), 5 (to 2).
    let Op::Threshold(t) = &n.layers[1].op else { panic!() };
    assert_eq!(t.channels[0], Steps { base: 0, steps: vec![2, 3, 6], falling: false });
    assert_eq!(n.tensor(n.layers[1].output).datatype, DataType::unsigned(2));
}

#[test]
fn per_channel_weight_scales_and_the_label_grid() {
    let mut s = Sequence::new(&[1, 2]);
    s.quant(QuantSpec::new(3, false, &0.5));
    let spec =
        QuantSpec { bits: 3, signed: true, narrow: false, scale: &[0.5, 0.75], scale_shape: &[1, 2], rounding: None };
    s.matmul(&[2, 2], &[0.5, 0.75, -1.0, 1.5], spec);
    s.with("Add", &[2], &[1.0, -0.125]);
    let n = import(&s, &[1, 2]).network;
    let grid = n.label_grid.as_ref().unwrap();
    // 0.25 n + 1 against 0.375 n - 0.125, in eighths and less the first offset.
    assert_eq!((&grid.multiplier[..], &grid.offset[..]), (&[2, 3][..], &[0, -9][..]));
    assert_eq!(outputs(&n, &[7, 1]), [0.25 * 5.0 + 1.0, 0.375 * 9.0 - 0.125]);

    // One scale per input is refused.
    let mut s = Sequence::new(&[1, 2]);
    s.quant(QuantSpec::new(3, false, &0.5));
    let spec = QuantSpec { scale_shape: &[2, 1], ..spec };
    s.matmul(&[2, 2], &[0.5, 0.75, -1.0, 1.5], spec);
    let refused = try_import(&s.model(&[1, 2]), &ImportOptions::default());
    assert!(refused.is_err_and(|e| e.to_string().contains("differs between inputs")));
}

#[test]
fn ends_of_the_graph() {
    // Softmax goes, with a note.
    let mut s = first_half();
    s.node("Softmax", &["@"], vec![int("axis", 1)]);
    let n = import(&s, &[1, 2]).network;
    assert_eq!(integers(&n), integers(&import(&first_half(), &[1, 2]).network));
    assert!(n.notes.iter().any(|n| n.contains("Softmax")), "{:?}", n.notes);
    assert_eq!(n.output_name, "t8");

    // A quantizer at the end: codes leave.
    let mut s = first_half();
    s.quant(QuantSpec::new(3, true, &0.5));
    let n = import(&s, &[1, 2]).network;
    assert!(matches!(n.layers.last().unwrap().op, Op::Threshold(_)));
    assert_eq!(n.tensor(n.output).scale, Some(vec![Scale { factor: 0.5, offset: 0.0 }]));
    assert!(outputs(&n, &[15; 4]).iter().all(|v| (v * 2.0).fract() == 0.0));

    // Relu at the end has no integers.
    let mut s = first_half();
    s.node("Relu", &["@"], vec![]);
    let refused = try_import(&s.model(&[1, 2]), &ImportOptions::default());
    assert!(refused.is_err_and(|e| e.to_string().contains("not affine")));
    // Softmax inside a network is refused.
    let mut s = first_half();
    s.node("Softmax", &["@"], vec![]);
    s.quant(ACTIVATION);
    let refused = try_import(&s.model(&[1, 2]), &ImportOptions::default());
    assert!(refused.is_err_and(|e| e.to_string().contains("Softmax")));
}

#[test]
fn nodes_that_nothing_reads_are_left_out() {
    let mut s = first_half();
    let mut model = s.model(&[1, 2]);
    s.node("Erf", &["x"], vec![]);
    model.graph.as_mut().unwrap().node = s.model(&[1, 2]).graph.unwrap().node;
    let n = checked(try_import(&model, &ImportOptions::default())).network;
    assert!(n.notes.iter().any(|n| n.contains("1 nodes")), "{:?}", n.notes);
    // An output declared twice as large is no concern of the integers; the name is.
    model.graph.as_mut().unwrap().output[0] = value("t7", &[1, 4]);
    assert_eq!(checked(try_import(&model, &ImportOptions::default())).network.output_shape, [1, 2]);
}
