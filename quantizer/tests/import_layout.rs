//! Channels-last graphs give the integers of their channels-first forms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use quantizer::import::{ImportError, ImportOptions, Imported, import_file, verify};
use quantizer::network::Op;
use quantizer::onnx::build::{encode, int, ints, ints_attribute};
use quantizer::onnx::file;
use quantizer::onnx::sequence::{QuantSpec, Sequence};

const CHANNELS: usize = 3;

fn import(s: &Sequence, output: &[i64]) -> Result<Imported, ImportError> {
    let file = file::decode(&encode(&s.model(output)), "test.onnx".into(), PathBuf::new())?;
    import_file(&file, &ImportOptions::default())
}

fn layers(imported: &Imported) -> Vec<(Op, Vec<usize>)> {
    assert_eq!(imported.network.validate(), Ok(()));
    assert_eq!(verify(imported).total().deviations, 0);
    let n = &imported.network;
    n.layers.iter().map(|l| (l.op.clone(), n.tensor(l.output).shape.clone())).collect()
}

fn weight(r: usize, c: usize, i: usize, j: usize) -> f32 {
    ((r * 7 + c * 5 + i * 3 + j) % 4) as f32 - 2.0
}

/// Where channels are last: nowhere, behind the first quantizer, or in the graph's input too.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    First,
    Inside,
    Throughout,
}

fn network(form: Form) -> Sequence {
    let last = form != Form::First;
    let mut s = Sequence::new(if form == Form::Throughout { &[1, 5, 6, 3] } else { &[1, 3, 5, 6] });
    s.quant(QuantSpec::new(4, false, &0.5));
    let perm = |to_last: bool| vec![ints_attribute("perm", if to_last { &[0, 2, 3, 1] } else { &[0, 3, 1, 2] })];
    if form == Form::Inside {
        s.node("Transpose", &["@"], perm(true));
    }
    let domain = if last { "qonnx.custom_op.channels_last" } else { "" };
    let wrapped = |s: &mut Sequence, op: &str, inputs: &[&str], attributes| {
        let inputs: Vec<String> =
            inputs.iter().map(|&i| if i == "@" { s.last().to_string() } else { i.to_string() }).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut node = quantizer::onnx::build::node(op, &inputs, &format!("{}_{op}", s.last()), attributes);
        node.domain = domain.into();
        s.push(node);
    };
    let scales = [0.5, 1.0, 0.25, 2.0];
    let mut weights = Vec::new();
    for (r, scale) in scales.iter().enumerate() {
        if last {
            (0..9).for_each(|p| (0..CHANNELS).for_each(|c| weights.push(weight(r, c, p / 3, p % 3) * scale)));
        } else {
            (0..CHANNELS).for_each(|c| (0..9).for_each(|p| weights.push(weight(r, c, p / 3, p % 3) * scale)));
        }
    }
    let spec = QuantSpec { scale: &scales, scale_shape: &[4, 1, 1, 1], ..QuantSpec::new(2, true, &1.0) };
    let w = s.weights(&[4, 3, 3, 3], &weights, spec);
    let kernel = || ints_attribute("kernel_shape", &[3, 3]);
    wrapped(&mut s, "Conv", &["@", &w], vec![kernel(), ints_attribute("pads", &[1, 0, 0, 1])]);
    let vectors = [[0.5, -1.0, 2.0, 1.0], [1.0, 0.5, -3.0, 0.0], [0.5, 0.0, 1.0, -1.0], [1.0, 0.25, 4.0, 2.0]];
    let names: Vec<String> = vectors.iter().map(|v| s.floats(&[4], v)).collect();
    wrapped(&mut s, "BatchNormalization", &["@", &names[0], &names[1], &names[2], &names[3]], vec![]);
    s.with("Add", if last { &[4] } else { &[4, 1, 1] }, &[0.5, 0.25, -0.5, 1.0]);
    s.node("Relu", &["@"], vec![]);
    let scale_shape: &[i64] = if last { &[1, 1, 1, 4] } else { &[1, 4, 1, 1] };
    s.quant(QuantSpec { scale: &[0.5, 1.0, 0.25, 2.0], scale_shape, ..QuantSpec::new(3, false, &1.0) });
    let pool = vec![ints_attribute("kernel_shape", &[2, 2]), ints_attribute("strides", &[1, 2])];
    wrapped(&mut s, "MaxPool", &["@"], pool);
    let branch = s.last().to_string();
    s.node("Concat", &["@", &branch], vec![int("axis", if last { 3 } else { 1 })]);
    if last {
        s.node("Transpose", &["@"], perm(false));
    }
    let shape = s.constant(ints("", &[2], &[1, -1]));
    s.node("Reshape", &["@", &shape], vec![]);
    s.matmul(&[48, 2], &(0..96).map(|n| (n % 4) as f32 - 2.0).collect::<Vec<_>>(), QuantSpec::new(2, true, &1.0));
    s
}

#[test]
fn all_layouts_give_the_same_integers() {
    let first = import(&network(Form::First), &[1, 2]).unwrap();
    let expected = layers(&first);
    assert!(expected.iter().any(|(op, shape)| matches!(op, Op::Concat) && shape == &[8, 3, 2]), "{expected:?}");
    for form in [Form::Inside, Form::Throughout] {
        let other = import(&network(form), &[1, 2]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(layers(&other), expected);
        assert_eq!(other.network.tensor(other.network.input).shape, [3, 5, 6]);
        let told = other.network.notes.iter().any(|n| n.contains("the pins take [1, 3, 5, 6], channels first"));
        assert_eq!(told, form == Form::Throughout, "{:?}", other.network.notes);
    }
}

/// Two quantizers, a convolution, perhaps a Trunc, and a layer behind a Flatten, in either layout from the pins on.
fn twice_quantized(last: bool, trunc: bool) -> Sequence {
    let mut s = Sequence::new(if last { &[1, 3, 4, 2] } else { &[1, 2, 3, 4] });
    s.quant(QuantSpec::new(4, false, &0.5));
    s.quant(QuantSpec::new(3, false, &0.75));
    let weights: Vec<f32> = (0..3 * 2 * 4)
        .map(|n| {
            let (r, c, p) = if last { (n / 8, n % 2, n / 2 % 4) } else { (n / 8, n / 4 % 2, n % 4) };
            weight(r, c, p / 2, p % 2)
        })
        .collect();
    let w = s.weights(&[3, 2, 2, 2], &weights, QuantSpec::new(2, true, &1.0));
    let (data, output) = (s.last().to_string(), format!("{}_conv", s.last()));
    let kernel = vec![ints_attribute("kernel_shape", &[2, 2])];
    let mut conv = quantizer::onnx::build::node("Conv", &[&data, &w], &output, kernel);
    conv.domain = if last { "qonnx.custom_op.channels_last".into() } else { String::new() };
    s.push(conv);
    if trunc {
        let numbers = [0.75, 0.0, 8.0, 6.0].map(|v| s.floats(&[], &[v]));
        let inputs: Vec<&str> = std::iter::once("@").chain(numbers.iter().map(String::as_str)).collect();
        s.node("Trunc", &inputs, vec![quantizer::onnx::build::text("rounding_mode", "FLOOR")]);
    } else {
        s.quant(QuantSpec::new(3, true, &1.5));
    }
    let shape = s.constant(ints("", &[2], &[1, -1]));
    s.node("Reshape", &["@", &shape], vec![]);
    // The same matrix, its inputs in the order of the vector: 3 channels of 2 by 3 places.
    let matrix: Vec<f32> = (0..18)
        .flat_map(|n| {
            let (c, place) = if last { (n % 3, n / 3) } else { (n / 6, n % 6) };
            [((c * 6 + place) % 4) as f32 - 2.0, ((c * 2 + place) % 3) as f32 - 1.0]
        })
        .collect();
    s.matmul(&[18, 2], &matrix, QuantSpec::new(2, true, &1.0));
    s
}

#[test]
fn vectors_truncations_and_a_second_quantizer_in_channels_last_data() {
    for trunc in [false, true] {
        let first = import(&twice_quantized(false, trunc), &[1, 2]).unwrap_or_else(|e| panic!("{e}"));
        let last = import(&twice_quantized(true, trunc), &[1, 2]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(layers(&last), layers(&first), "Trunc: {trunc}");
    }
}

#[test]
fn channels_last_data_that_nothing_can_order() {
    let refused = |nodes: &dyn Fn(&mut Sequence)| {
        let mut s = Sequence::new(&[1, 2, 3, 4]);
        s.quant(QuantSpec::new(4, false, &0.5));
        s.node("Transpose", &["@"], vec![ints_attribute("perm", &[0, 2, 3, 1])]);
        nodes(&mut s);
        match import(&s, &[1, 24]) {
            Err(ImportError::Blocked { blockers, .. }) => blockers[0].clone(),
            other => panic!("{other:?}"),
        }
    };
    let pooled = refused(&|s| {
        s.node("GlobalAveragePool", &["@"], vec![]);
    });
    assert_eq!(
        pooled.to_string(),
        "node 'GlobalAveragePool_t2' (GlobalAveragePool): it reads data whose channels come last"
    );
    assert_eq!(pooled.hint, "put a Transpose to channels first in front of it");
    // A vector of such an image has its elements in another order than the integers.
    let numbers: Vec<f32> = (0..24).map(|n| n as f32).collect();
    let added = refused(&|s| {
        s.node("Flatten", &["@"], vec![]);
        s.with("Add", &[24], &numbers);
    });
    assert!(added.to_string().ends_with("(Add): it reads an image whose channels come last as a vector"), "{added}");
    assert_eq!(added.hint, "put a Transpose to channels first in front of the Flatten or Reshape");
    let split = refused(&|s| {
        let shape = s.constant(ints("", &[3], &[1, 4, 6]));
        s.node("Reshape", &["@", &shape], vec![]);
    });
    let reason = "(Reshape): it reshapes data whose channels come last to another shape than a vector";
    assert!(split.to_string().ends_with(reason), "{split}");
}
