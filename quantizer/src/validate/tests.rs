#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Random networks are valid, and every single promise broken is found.

use std::collections::HashSet;

use super::*;
use crate::network::{Dense, Scale};
use crate::testing::{Limits, conv_network, mlp, network};

#[test]
fn random_networks_are_valid_and_varied() {
    let mut seen = HashSet::new();
    for seed in 0..400 {
        let n = network(seed, Limits::default());
        n.validate().unwrap_or_else(|e| panic!("seed {seed}: {e:?}"));
        for layer in &n.layers {
            let output = n.tensor(layer.output);
            match &layer.op {
                Op::Flatten => drop(seen.insert("flatten")),
                Op::Dense(d) => {
                    seen.insert(if d.weight_type == DataType::BIPOLAR { "bipolar weights" } else { "weights" });
                    if d.weights.rows().into_iter().any(|r| r.iter().all(|&w| w == 0)) {
                        seen.insert("dead row");
                    }
                }
                Op::Threshold(t) => {
                    seen.insert(if layer.name == "input" { "input map" } else { "threshold" });
                    seen.insert(if output.datatype == DataType::BIPOLAR { "bipolar" } else { "codes" });
                    if t.channels.iter().any(|s| s.falling && !s.steps.is_empty()) {
                        seen.insert("falling");
                    }
                    if t.channels.len() < output.ranges.len() {
                        seen.insert("shared steps");
                    }
                    if output.ranges.iter().any(|r| r.constant().is_some()) {
                        seen.insert("dead channel");
                    }
                }
                other => panic!("{other:?} in a perceptron"),
            }
            if output.datatype.narrow {
                seen.insert("narrow");
            }
        }
        seen.insert(if n.label_grid.is_ok() { "label grid" } else { "no label grid" });
        seen.insert(match n.layers.last().unwrap().op {
            Op::Threshold(_) => "ends in codes",
            _ => "ends in accumulators",
        });
    }
    assert_eq!(seen.len(), 16, "{seen:?}");
}

fn small() -> Network {
    mlp(7, &[5, 4, 3], DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2))
}

fn dense(n: &mut Network, layer: usize) -> &mut Dense {
    match &mut n.layers[layer].op {
        Op::Dense(d) => d,
        other => panic!("{other:?}"),
    }
}

fn threshold(n: &mut Network, layer: usize) -> &mut Threshold {
    match &mut n.layers[layer].op {
        Op::Threshold(t) => t,
        other => panic!("{other:?}"),
    }
}

/// Breaks one promise, and expects every finding to be of the kind that `is` accepts.
#[track_caller]
fn breaks(change: impl FnOnce(&mut Network), is: impl Fn(&Invalid) -> bool) {
    let mut n = small();
    n.validate().unwrap();
    change(&mut n);
    let found = n.validate().expect_err("the change went unnoticed");
    assert!(is(&found[0]), "{found:?}");
}

#[test]
fn topology_that_breaks_its_promise() {
    breaks(|n| n.output = TensorId(9), |e| matches!(e, Invalid::NoSuchTensor { id: 9, tensors: 4, .. }));
    breaks(|n| n.layers[0].inputs = vec![TensorId(usize::MAX)], |e| matches!(e, Invalid::NoSuchTensor { .. }));
    breaks(|n| n.layers.swap(0, 1), |e| matches!(e, Invalid::ReadBeforeWritten { .. }));
    breaks(|n| n.layers[1].output = TensorId(1), |e| matches!(e, Invalid::WrittenTwice { .. }));
    breaks(|n| n.layers[1].output = TensorId(0), |e| matches!(e, Invalid::WrittenTwice { .. }));
    breaks(|n| drop(n.layers.pop()), |e| matches!(e, Invalid::NeverWritten { .. }));
    breaks(|n| n.layers[0].inputs.clear(), |e| matches!(e, Invalid::Inputs { inputs: 0, .. }));
    breaks(|n| n.layers[2].name = n.layers[0].name.clone(), |e| matches!(e, Invalid::SameName { .. }));
}

#[test]
fn tensors_that_break_their_promise() {
    breaks(|n| n.tensors[1].shape = vec![], |e| matches!(e, Invalid::Shape { .. }));
    breaks(|n| n.tensors[1].shape = vec![4, 0], |e| matches!(e, Invalid::Shape { .. }));
    breaks(|n| n.tensors[1].shape = vec![usize::MAX, 2], |e| matches!(e, Invalid::Shape { .. }));
    breaks(|n| n.tensors[0].datatype.bits = 0, |e| matches!(e, Invalid::Datatype { .. }));
    breaks(|n| n.tensors[0].datatype.bits = 40, |e| matches!(e, Invalid::Datatype { .. }));
    breaks(|n| n.tensors[1].datatype.bits = 64, |e| matches!(e, Invalid::Datatype { .. }));
    breaks(|n| n.tensors[0].ranges.truncate(4), |e| matches!(e, Invalid::RangeCount { ranges: 4, channels: 5, .. }));
    breaks(|n| n.tensors[0].ranges[2].hi = 6, |e| matches!(e, Invalid::Range { channel: 2, .. }));
    breaks(|n| n.tensors[0].ranges[2].hi = 8, |e| matches!(e, Invalid::RangeOutsideType { channel: 2, .. }));
    breaks(|n| n.tensors[0].ranges[2] = Range { lo: 3, hi: 2 }, |e| matches!(e, Invalid::RangeOutsideType { .. }));
    breaks(|n| n.tensors[1].ranges[3].lo += 1, |e| matches!(e, Invalid::Range { channel: 3, .. }));
    breaks(|n| n.tensors[1].datatype.bits += 1, |e| matches!(e, Invalid::OutputType { .. }));
    let scale = |factor| Scale { factor, offset: 0.0 };
    breaks(|n| n.tensors[3].scale = Some(vec![scale(f64::NAN)]), |e| matches!(e, Invalid::Scale { .. }));
    breaks(|n| n.tensors[3].scale = Some(vec![scale(1.0); 2]), |e| matches!(e, Invalid::Scale { .. }));
}

#[test]
fn layers_that_break_their_promise() {
    breaks(|n| dense(n, 0).weights[[2, 1]] = 4, |e| matches!(e, Invalid::Weight { row: 2, column: 1, weight: 4, .. }));
    breaks(|n| dense(n, 0).weight_type = DataType::BIPOLAR, |e| matches!(e, Invalid::Weight { .. }));
    breaks(|n| dense(n, 0).weight_type.bits = 33, |e| matches!(e, Invalid::Datatype { .. }));
    breaks(|n| dense(n, 0).weights = ndarray::Array2::zeros((4, 6)), |e| matches!(e, Invalid::Shapes { .. }));
    breaks(|n| n.layers[0].op = Op::Flatten, |e| matches!(e, Invalid::Shapes { .. }));
    breaks(|n| drop(threshold(n, 1).channels.pop()), |e| matches!(e, Invalid::Shapes { .. }));
    breaks(|n| threshold(n, 1).channels.clear(), |e| matches!(e, Invalid::Shapes { .. }));
    breaks(|n| threshold(n, 1).channels[0].base = i64::MAX, |e| matches!(e, Invalid::Steps { .. }));
    breaks(|n| threshold(n, 1).channels[0].base = 1, |e| matches!(e, Invalid::Steps { .. }));
    let lo = small().tensors[1].ranges[1].lo;
    breaks(|n| threshold(n, 1).channels[1].steps = vec![lo], |e| matches!(e, Invalid::Steps { channel: 1, .. }));
    breaks(|n| threshold(n, 1).channels[1].steps = vec![lo + 2, lo + 1], |e| matches!(e, Invalid::Steps { .. }));
    // One step alone would give the bipolar code 0.
    let bipolar = |n: &mut Network| n.tensors[2].datatype = DataType::BIPOLAR;
    breaks(bipolar, |e| matches!(e, Invalid::RangeOutsideType { .. }));
}

#[test]
fn inputs_that_break_their_promise() {
    breaks(|n| n.input_shape.push(2), |e| matches!(e, Invalid::Input { .. }));
    breaks(|n| n.input_channels_last = true, |e| matches!(e, Invalid::Input { .. }));
}

#[test]
fn outputs_that_break_their_promise() {
    breaks(|n| n.output_shape = vec![1, 4], |e| matches!(e, Invalid::Output { .. }));
    let grid =
        |multiplier: &[i64]| Ok(crate::network::LabelGrid { multiplier: multiplier.to_vec(), offset: vec![0; 3] });
    breaks(|n| n.label_grid = grid(&[1, 1]), |e| matches!(e, Invalid::Output { .. }));
    breaks(|n| n.label_grid = grid(&[1, 0, 1]), |e| matches!(e, Invalid::Output { .. }));
}

/// Widths that no machine word holds are refused, not wrapped.
#[test]
fn accumulators_too_wide_are_refused() {
    let mut n = mlp(1, &[2, 1], DataType::unsigned(32), DataType::signed(32), DataType::unsigned(2));
    dense(&mut n, 0).weights.fill(i64::from(i32::MAX));
    let found = n.validate().unwrap_err();
    assert!(matches!(found[0], Invalid::AccumulatorTooWide { .. }), "{found:?}");
}

/// A convolutional network with a residual addition: input, two branches (features.0 and its threshold; the input itself), add.
fn residual() -> Network {
    let seed = (0..).find(|&seed| {
        let n = conv_network(seed, Limits::default());
        let add = n.layers.iter().position(|l| matches!(l.op, Op::Add(_)));
        add.is_some_and(|i| i > 0 && n.layers[..i].iter().any(|l| matches!(l.op, Op::Conv(_))))
    });
    conv_network(seed.unwrap(), Limits::default())
}

#[test]
fn convolutional_layers_that_break_their_promise() {
    let place = |n: &Network, is: fn(&Op) -> bool| n.layers.iter().position(|l| is(&l.op)).unwrap();
    let add = |n: &Network| place(n, |op| matches!(op, Op::Add(_)));
    let conv = |n: &Network| place(n, |op| matches!(op, Op::Conv(_)));
    let breaks = |change: &dyn Fn(&mut Network), is: &dyn Fn(&Invalid) -> bool| {
        let mut n = residual();
        n.validate().unwrap();
        change(&mut n);
        let found = n.validate().expect_err("the change went unnoticed");
        assert!(is(&found[0]), "{found:?}");
    };
    let one_input = |n: &mut Network| {
        let i = add(n);
        n.layers[i].inputs.truncate(1);
    };
    breaks(&one_input, &|e| e.to_string().ends_with("reads 1 tensors; it can read two or more"));
    let two_inputs = |n: &mut Network| {
        let i = conv(n);
        let input = n.layers[i].inputs[0];
        n.layers[i].inputs.push(input);
    };
    breaks(&two_inputs, &|e| e.to_string().ends_with("reads 2 tensors; it can read one"));
    let coefficient = |k: i64| {
        move |n: &mut Network| {
            let i = add(n);
            let Op::Add(add) = &mut n.layers[i].op else { panic!() };
            add.coefficients[1] = k;
        }
    };
    breaks(&coefficient(0), &|e| matches!(e, Invalid::Coefficient { input: 1, .. }));
    breaks(&coefficient(1 << 62), &|e| matches!(e, Invalid::AccumulatorTooWide { .. }));
    let window = |change: fn(&mut crate::network::Conv)| {
        move |n: &mut Network| {
            let i = conv(n);
            let Op::Conv(conv) = &mut n.layers[i].op else { panic!() };
            change(conv);
        }
    };
    breaks(&window(|c| c.window.stride[0] = 0), &|e| matches!(e, Invalid::Shapes { .. }));
    breaks(&window(|c| c.window.pad_end[1] += 1), &|e| matches!(e, Invalid::Shapes { .. }));
    breaks(&window(|c| c.groups = 7), &|e| matches!(e, Invalid::Shapes { .. }));
    breaks(&window(|c| c.weight_type.bits = 33), &|e| matches!(e, Invalid::Datatype { .. }));
    breaks(&window(|c| c.weights[[0, 0]] = 1 << 40), &|e| matches!(e, Invalid::Weight { row: 0, column: 0, .. }));
    let output = |n: &mut Network| {
        let i = conv(n);
        let id = n.layers[i].output.0;
        n.tensors[id].ranges[0].hi += 1;
        n.tensors[id].datatype = DataType::signed(40);
    };
    breaks(&output, &|e| matches!(e, Invalid::Range { channel: 0, .. }));
}
