#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Golden against an evaluator as plain as the definition, and what it refuses.

use ndarray::{Array2, array};
use proptest::prelude::*;
use quantizer::datatype::DataType;
use quantizer::network::{LabelGrid, Network, Op, Scale};
use quantizer::testing::{Limits, assert_promises, conv_network, evaluate, inputs, mlp, network};

use super::*;

#[track_caller]
fn agrees(network: &Network, samples: &Array2<i64>) {
    let all = run_all(network, samples.view()).unwrap();
    let outputs = run(network, samples.view()).unwrap();
    assert_eq!(outputs, all[network.output.0]);
    for (s, sample) in samples.rows().into_iter().enumerate() {
        let expected = evaluate(network, &sample.to_vec());
        assert_promises(network, &expected);
        for (t, tensor) in expected.iter().enumerate() {
            let got: Vec<i128> = all[t].row(s).iter().map(|&x| x.into()).collect();
            assert_eq!(&got, tensor, "sample {s}, tensor '{}'", network.tensors[t].name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Golden equals the definition on random networks, on every tensor.
    #[test]
    fn golden_is_the_definition(seed in any::<u64>()) {
        let network = network(seed, Limits::default());
        agrees(&network, &inputs(&network, seed ^ 1, 9));
    }

    /// The same for convolutions and all that goes with them.
    #[test]
    fn images_are_the_definition(seed in any::<u64>()) {
        let network = conv_network(seed, Limits::default());
        agrees(&network, &inputs(&network, seed ^ 1, 5));
    }

    /// The same with widths that need doubles and wide integers.
    #[test]
    fn wide_types_are_exact(seed in any::<u64>(), bits in 8u32..=28) {
        let network = network(seed, Limits { layers: 3, width: 6, bits: bits.min(9) });
        agrees(&network, &inputs(&network, seed, 4));
        let wide = conv_network(seed, Limits { layers: 3, width: 6, bits: bits.min(9) });
        agrees(&wide, &inputs(&wide, seed, 3));
        let network = mlp(seed, &[5, 4], DataType::signed(bits), DataType::signed(bits), DataType::BIPOLAR);
        agrees(&network, &inputs(&network, seed, 4));
    }
}

/// Each arithmetic at the very edge of where it is exact: an odd sum as large as it may be.
#[test]
fn arithmetic_is_chosen_by_the_bound() {
    let cases: [(u32, i64, &str); 5] =
        [(16, 128, "f32"), (16, 129, "f64"), (32, 1 << 20, "f64"), (32, (1 << 20) + 1, "i128"), (32, 1 << 28, "i128")];
    for (bits, weight, arithmetic) in cases {
        let mut network = mlp(0, &[2, 1], DataType::unsigned(bits), DataType::signed(30), DataType::BIPOLAR);
        let Op::Dense(dense) = &mut network.layers[0].op else { panic!() };
        dense.weights = array![[weight, weight - 1]];
        network.tensors[1].ranges =
            quantizer::reach::output_ranges(&network.layers[0].op, &[&network.tensors[0]]).unwrap();
        network.tensors[1].datatype = quantizer::reach::accumulator_type(&network.tensors[1].ranges).unwrap();
        let Op::Dense(dense) = &network.layers[0].op else { panic!() };
        let chosen = match Product::new(dense, &network.tensors[0].ranges) {
            Product::Single(_) => "f32",
            Product::Double(_) => "f64",
            Product::Wide(_) => "i128",
        };
        assert_eq!(chosen, arithmetic, "{bits} {weight}");
        let most = (1i64 << bits) - 1;
        agrees(&network, &array![[most, most], [most, most - 1], [0, most], [1, 1]]);
    }
}

#[test]
fn batches_end_anywhere() {
    let network = mlp(3, &[6, 5, 4], DataType::signed(4), DataType::BIPOLAR, DataType::unsigned(2));
    for samples in [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 7] {
        let x = inputs(&network, 5, samples);
        agrees(&network, &x);
        assert_eq!(run(&network, x.view()).unwrap().dim(), (samples, 4));
    }
}

/// Columns first in memory is still the same matrix.
#[test]
fn memory_order_of_inputs_does_not_matter() {
    let network = mlp(3, &[6, 5, 4], DataType::signed(4), DataType::signed(3), DataType::unsigned(2));
    let x = inputs(&network, 5, 40);
    let transposed = x.t().as_standard_layout().into_owned();
    assert_eq!(run(&network, transposed.t()).unwrap(), run(&network, x.view()).unwrap());
}

#[test]
fn illegal_inputs_are_refused_by_place() {
    let network = mlp(3, &[3, 2], DataType::BIPOLAR, DataType::BIPOLAR, DataType::BIPOLAR);
    let code = run(&network, array![[1, -1, 1], [1, 0, 1]].view()).unwrap_err();
    assert_eq!(code, GoldenError::Code { sample: 1, element: 1, code: 0, datatype: DataType::BIPOLAR });
    assert_eq!(code.to_string(), "sample 1, element 1: 0 is no code of the input's type bipolar");
    let elements = run(&network, array![[1, -1]].view()).unwrap_err();
    assert_eq!(elements, GoldenError::Elements { expected: 3, got: 2 });
    let mut broken = network;
    broken.tensors[1].ranges[0].hi = 1;
    assert!(matches!(run(&broken, array![[1, -1, 1]].view()), Err(GoldenError::Invalid(_))));
}

#[test]
fn label_takes_the_lowest_of_a_tie() {
    let grid = LabelGrid { multiplier: vec![1, 1, -2], offset: vec![0, 1, 0] };
    let outputs = array![[3, 2, 0], [2, 2, 0], [0, -1, -2], [4, 0, -2], [i64::MIN, i64::MIN, i64::MAX]];
    assert_eq!(label(outputs.view(), &grid), [0, 1, 2, 0, 1]);
}

#[test]
fn real_values_are_scaled_by_channel() {
    let outputs = array![[1, 2, 3, 4]];
    let scale = |factor, offset| Scale { factor, offset };
    assert_eq!(real(outputs.view(), &[scale(0.5, 1.0)]), array![[1.5, 2.0, 2.5, 3.0]]);
    assert_eq!(real(outputs.view(), &[scale(1.0, 0.0), scale(-2.0, 0.5)]), array![[1.0, 2.0, -5.5, -7.5]]);
}
