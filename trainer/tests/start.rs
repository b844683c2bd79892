//! A start from floats that somebody else trained: by layer name, from safetensors and from ONNX.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::path::Path;

use quantizer::onnx::build::{encode, floats, int, model, node, value};
use safetensors::tensor::{Dtype, TensorView, serialize};
use trainer::config::{Config, EpInit};
use trainer::graph::{Graph, Op};
use trainer::run::train;
use trainer::samples::Samples;
use trainer::start;
use trainer::state::{Role, State};
use trainer::trained::Trained;

const LAYERS: &str = "[network]\ninput = [2, 4, 4]\nweight_bits = 6\nactivation_bits = 6\ninput_bits = 6\n\
                      [training]\nepochs = 1\nstart = 'float'\n\
                      [[layers]]\ntype = 'conv'\nname = 'conv1'\noutputs = 4\nkernel = 3\n\
                      [[layers]]\ntype = 'batch_norm'\nname = 'bn1'\n\
                      [[layers]]\ntype = 'relu'\n\
                      [[layers]]\ntype = 'dense'\nname = 'fc'\noutputs = 4\n\
                      [[layers]]\ntype = 'relu'\n\
                      [[layers]]\ntype = 'dense'\nname = 'head'\noutputs = 3\n";

fn config(accumulator: &str) -> Config {
    Config::parse(&format!("[accumulator]\n{accumulator}\n{LAYERS}")).unwrap()
}

type Tensors = Vec<(&'static str, Vec<usize>, Vec<f32>)>;

fn tensors() -> Tensors {
    let mut random = fastrand::Rng::with_seed(1);
    let mut draw = |name: &'static str, shape: &[usize]| {
        let count = shape.iter().product();
        (name, shape.to_vec(), (0..count).map(|_| random.f32() - 0.4).collect::<Vec<f32>>())
    };
    vec![
        draw("conv1.weight", &[4, 2, 3, 3]),
        draw("conv1.bias", &[4]),
        draw("bn1.weight", &[4]),
        draw("bn1.bias", &[4]),
        draw("bn1.running_mean", &[4]),
        ("bn1.running_var", vec![4], vec![0.5, 1.0, 2.0, 3.0]),
        draw("fc.weight", &[4, 16]),
        draw("fc.bias", &[4]),
        draw("head.weight", &[3, 4]),
        draw("head.bias", &[3]),
    ]
}

fn write(path: &Path, tensors: &Tensors) {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views: HashMap<String, TensorView<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), b)| ((*name).to_owned(), TensorView::new(Dtype::F32, shape.clone(), b).unwrap()))
        .collect();
    std::fs::write(path, serialize(views, None).unwrap()).unwrap();
}

fn node_of(graph: &Graph, name: &str) -> usize {
    graph.nodes.iter().position(|n| n.name == name).unwrap()
}

#[test]
fn safetensors_by_layer_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("float.safetensors");
    let tensors = tensors();
    write(&path, &tensors);
    let config = config("method = 'sign-split'\nbits = 12");
    assert_eq!(config.training.float_epochs(), 0, "floats are there already");
    let graph = Graph::new(&config, 32, 3).unwrap();
    let mut state = State::new(&graph, 0);
    start::load(&path, &graph, &mut state).unwrap();
    let of = |name: &str| tensors.iter().find(|t| t.0 == name).unwrap().2.clone();
    let [conv, bn, fc, head] = ["conv1", "bn1", "fc", "head"].map(|n| node_of(&graph, n));
    assert_eq!(state.values(conv, Role::Weight), of("conv1.weight"));
    assert_eq!(state.values(bn, Role::Gain), of("bn1.weight"));
    assert_eq!(state.values(fc, Role::Shift), of("fc.bias"));
    assert_eq!(state.values(head, Role::Weight), of("head.weight"));
    let running = state.running(bn).unwrap();
    assert_eq!(running.variance, [0.5, 1.0, 2.0, 3.0]);
    // The convolution's bias has gone into the mean that the batch norm subtracts.
    for (i, mean) in running.mean.iter().enumerate() {
        let expected = of("bn1.running_mean")[i] - of("conv1.bias")[i];
        assert!((mean - expected).abs() < 1e-6);
    }
    // The names of what lacks, has another shape or holds no number.
    for (change, expected) in [
        (Box::new(|t: &mut Tensors| drop(t.remove(6))) as Box<dyn Fn(&mut Tensors)>, "no 'fc.weight' of shape [4, 16]"),
        (Box::new(|t| t[8] = ("head.weight", vec![2, 4], vec![0.0; 8])), "'head.weight' has shape [2, 4], the network"),
        (Box::new(|t| t[2].2[1] = f32::NAN), "'bn1.weight' holds NaN"),
    ] {
        let mut tensors = tensors.clone();
        change(&mut tensors);
        write(&path, &tensors);
        let error = start::load(&path, &graph, &mut State::new(&graph, 0)).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("float.safetensors"), "{error}");
    }
    std::fs::write(&path, b"nonsense").unwrap();
    assert!(start::load(&path, &graph, &mut State::new(&graph, 0)).is_err());
}

#[test]
fn onnx_by_layer_name_transposed_where_the_reader_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("float.onnx");
    let tensors = tensors();
    let mut initializers = Vec::new();
    for (name, shape, values) in &tensors {
        let mut dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let mut values = values.clone();
        // fc is read by a MatMul: [inputs, outputs].
        if *name == "fc.weight" {
            dims.swap(0, 1);
            values = (0..16).flat_map(|c| (0..4).map(move |r| r * 16 + c)).map(|i: usize| values[i]).collect();
        }
        initializers.push(floats(name, &dims, &values));
    }
    let nodes = vec![
        node("MatMul", &["x", "fc.weight"], "a", vec![]),
        node("Gemm", &["a", "head.weight", "head.bias"], "y", vec![int("transB", 1)]),
    ];
    std::fs::write(&path, encode(&model(value("x", &[1, 16]), value("y", &[1, 3]), initializers, nodes))).unwrap();
    let config = config("method = 'sign-split'\nbits = 12");
    let graph = Graph::new(&config, 32, 3).unwrap();
    let mut state = State::new(&graph, 0);
    start::load(&path, &graph, &mut state).unwrap();
    let of = |name: &str| tensors.iter().find(|t| t.0 == name).unwrap().2.clone();
    assert_eq!(state.values(node_of(&graph, "fc"), Role::Weight), of("fc.weight"));
    assert_eq!(state.values(node_of(&graph, "head"), Role::Weight), of("head.weight"));
}

/// Both orders of the Euclidean projection start where they say, and end in networks that keep to their widths.
#[test]
fn ep_init_from_a_float_checkpoint_in_both_orders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("float.safetensors");
    write(&path, &tensors());
    let mut random = fastrand::Rng::with_seed(2);
    let values: Vec<f32> = (0..40 * 32).map(|_| random.f32()).collect();
    let samples = Samples::new(values, 32, (0..40).map(|i| i % 3).collect()).unwrap();
    let mut firsts = Vec::new();
    for (order, method) in [("paper", "a2q+"), ("centred", "a2q+"), ("none", "a2q+"), ("paper", "a2q"), ("none", "a2q")]
    {
        let config = config(&format!("method = '{method}'\nbits = 11\nep_init = '{order}'"));
        let graph = Graph::new(&config, 32, 3).unwrap();
        let mut state = State::new(&graph, 0);
        start::load(&path, &graph, &mut state).unwrap();
        train(&config, &graph, &mut state, &samples, |_, _| Ok(())).unwrap();
        let trained = Trained::of(&graph, &state);
        trained.network(None).unwrap();
        let conv = node_of(&graph, "conv1");
        assert!(matches!(graph.nodes[conv].op, Op::Matrix(_)));
        let row = &state.values(conv, Role::Weight)[..18];
        let mean = row.iter().sum::<f32>() / 18.0;
        if config.accumulator.ep_init == EpInit::Centred {
            assert!(mean.abs() < 0.02, "centred weights stay nearly so over one small epoch: {mean}");
        }
        firsts.push(row.to_vec());
    }
    for i in 0..3 {
        for j in 0..i {
            assert_ne!(firsts[i], firsts[j]);
        }
    }
    assert_ne!(firsts[3], firsts[4], "A2Q's projection changes weights");
}
