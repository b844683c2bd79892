#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Certificates hold for the network they were made of and for no other; targets are held against exact widths.

use ndarray::array;
use num_bigint::BigInt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::bound::Interval;
use crate::datatype::{DataType, Range};
use crate::network::{Conv, Dense, Op, Threshold, Window};
use crate::testing::{Limits, conv_network, mlp, network};

/// One layer with these weights over inputs of type `input`.
fn one_layer(weights: ndarray::Array2<i64>, input: DataType) -> Network {
    let (rows, columns) = weights.dim();
    let mut network = mlp(0, &[columns, rows], input, DataType::signed(8), DataType::BIPOLAR);
    let Op::Dense(dense) = &mut network.layers[0].op else { panic!() };
    dense.weights = weights;
    refresh(&mut network);
    network.label_grid = Err("none".into());
    network.validate().unwrap();
    network
}

/// Derives the accumulators' ranges and types again.
fn refresh(network: &mut Network) {
    for layer in network.layers.clone() {
        let inputs: Vec<_> = layer.inputs.iter().map(|&id| network.tensor(id)).collect();
        let ranges = crate::reach::output_ranges(&layer.op, &inputs).unwrap();
        let datatype = crate::reach::output_type(&layer.op, &inputs, &ranges);
        let output = &mut network.tensors[layer.output.0];
        output.datatype = datatype.unwrap_or(output.datatype);
        output.ranges = ranges;
    }
}

#[test]
fn a_certificate_by_hand() {
    let network = one_layer(array![[3, -2, 0], [0, 0, 0], [-7, -7, -7]], DataType::unsigned(4));
    let certificate = Certificate::of(&network).unwrap();
    let layer = &certificate.layers[0];
    let widths = &layer.accumulator;
    // 3 products of 4 unsigned by 8 signed bits; l1 = 21 times 16; 2 * 21 over (2^P - 2) / 15; [-315, 0].
    assert_eq!((widths.data_type, widths.l1, widths.zero_centered, widths.exact, widths.used), (14, 10, 10, 10, 10));
    assert_eq!(widths.exact_mean, num_rational::Ratio::new(7 + 1 + 10, 3));
    let ends = |b: &Bounds| (b.min.to_string(), b.max.to_string(), b.width);
    assert_eq!(ends(&layer.channels[0].exact), ("-30".into(), "45".into(), 7));
    assert_eq!(ends(&layer.channels[2].exact), ("-315".into(), "0".into(), 10));
    assert_eq!(layer.channels.iter().map(|c| c.dead).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(layer.channels[0].witness, "+-0");
    let json = serde_json::to_value(&certificate).unwrap();
    assert_eq!(json["schema"], "snug.certificate/1");
    assert_eq!(json["layers"][0]["accumulator"]["exact_mean"], "6");
    assert_eq!(
        json["layers"][0]["channels"][0],
        json!({"alpha": "3", "beta": "2", "exact": {"min": "-30", "max": "45", "width": 7},
               "prefix": {"min": "-30", "max": "45", "width": 7}, "dead": false, "witness": "+-0"})
    );
}

/// `used` comes from reachable ranges, `exact` from the declared type.
#[test]
fn reachable_ranges_and_dead_channels_narrow_what_is_used() {
    let mut network = mlp(5, &[4, 3, 2], DataType::unsigned(4), DataType::signed(4), DataType::unsigned(4));
    let highest: Vec<i64> = network.tensors[1].ranges.iter().map(|r| r.hi).collect();
    let Op::Threshold(Threshold { channels }) = &mut network.layers[1].op else { panic!() };
    // Codes 0 and 1; the last channel is always 5.
    let steps = |base, steps| crate::network::Steps { base, steps, falling: false };
    *channels = vec![steps(0, vec![highest[0]]), steps(0, vec![highest[1]]), steps(5, vec![])];
    let Op::Dense(Dense { weights, .. }) = &mut network.layers[2].op else { panic!() };
    weights.assign(&array![[7, -8, 1], [0, 0, 7]]);
    refresh(&mut network);
    network.validate().unwrap();
    let layer = &Certificate::of(&network).unwrap().layers[1];
    // Declared: [-8 * 15, 8 * 15]. Reachable: 7 * {0, 1} - 8 * {0, 1} + 1 * 5, on the way perhaps without the 5.
    assert_eq!(layer.channels[0].exact, Bounds::from(Interval::from(Range { lo: -120, hi: 120 })));
    assert_eq!(layer.channels[0].prefix, Bounds::from(Interval::from(Range { lo: -8, hi: 12 })));
    // 7 * 5 needs 7 bits, but nobody needs a register for a constant.
    assert!(layer.channels[1].dead);
    assert_eq!((layer.accumulator.exact, layer.accumulator.used), (8, 5));
}

/// Every other network is a perceptron, the rest are convolutional.
fn some_network(seed: u64) -> Network {
    if seed.is_multiple_of(2) { network(seed, Limits::default()) } else { conv_network(seed, Limits::default()) }
}

/// A convolution with these weights and window on an image.
fn one_conv(weights: ndarray::Array2<i64>, window: Window, shape: [usize; 3], input: DataType) -> Network {
    let mut network = one_layer(ndarray::Array2::zeros((1, 1)), input);
    network.tensors[0].shape = shape.to_vec();
    network.input_shape = [&[1], &shape[..]].concat();
    network.tensors[0].ranges = vec![input.range(); shape[0]];
    let op = Op::Conv(Conv { weights, weight_type: DataType::signed(8), groups: 1, window });
    network.tensors[1].shape = crate::shape::output_shape(&op, &[&shape]).unwrap();
    network.output_shape = network.tensors[1].shape.clone();
    network.tensors[1].scale = None;
    network.layers[0].op = op;
    refresh(&mut network);
    network.validate().unwrap();
    network
}

/// Nine taps on an image of two by two places: no window has more than four of them at once.
#[test]
fn an_image_smaller_than_the_kernel_never_sees_all_weights() {
    let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pad_begin: [1, 1], pad_end: [1, 1] };
    let weights = array![[1, 2, 3, 4, 5, 6, -7, -8, -9]];
    let network = one_conv(weights, window, [1, 2, 2], DataType::unsigned(4));
    let certificate = Certificate::of(&network).unwrap();
    let channel = &certificate.layers[0].channels[0];
    // Taps 1 2 4 5 at (1, 1), 2 3 5 6 at (1, 0), 4 5 -7 -8 at (0, 1), 5 6 -8 -9 at (0, 0).
    assert_eq!(channel.exact, Bounds::from(Interval::from(Range { lo: -17 * 15, hi: 16 * 15 })));
    assert_eq!(channel.at, Some(Places { max: [1, 0], min: [0, 0] }));
    assert_eq!((channel.alpha.clone(), channel.beta.clone()), (21.into(), 24.into()));
    let fields = |change: &dyn Fn(&mut Places)| {
        let mut forged = certificate.clone();
        change(forged.layers[0].channels[0].at.as_mut().unwrap());
        verify(&network, &forged).unwrap().iter().map(|d| d.field).collect::<Vec<_>>()
    };
    assert!(fields(&|_| {}).is_empty());
    assert_eq!(fields(&|at| at.max = [1, 1]), ["witness"]);
    assert_eq!(fields(&|at| at.min = [0, 1]), ["witness"]);
    assert_eq!(fields(&|at| at.min = [0, 2]), ["at"]);
    assert_eq!(fields(&|at| at.max = [usize::MAX, 0]), ["at"]);
    let mut forged = certificate.clone();
    forged.layers[0].channels[0].at = None;
    assert_eq!(verify(&network, &forged).unwrap()[0].field, "at");
    // The witness of a violation is a window that exists: 0 where it is off the image.
    let violations = check(&network, &Targets::All(8)).unwrap();
    assert_eq!(violations[0].worst_input, [0, 0, 0, 0, 0, 0, 0, 15, 15]);
    assert_eq!((violations[0].reaches.clone(), violations[0].width_needed), (BigInt::from(-255), 9));
    assert!(check(&network, &Targets::All(9)).unwrap().is_empty());
}

/// In an image that holds the whole kernel, a convolution's bound is that of its row of weights.
#[test]
fn a_whole_window_attains_the_bound_of_its_row() {
    let window = Window { kernel: [2, 2], stride: [2, 3], dilation: [1, 2], pad_begin: [1, 2], pad_end: [1, 0] };
    let network = one_conv(array![[3, -2, 0, 5], [0, 0, 0, 0]], window, [1, 5, 6], DataType::signed(4));
    let layer = &Certificate::of(&network).unwrap().layers[0];
    assert_eq!(layer.channels[0].exact, Bounds::from(Interval::from(Range { lo: -8 * 8 - 14, hi: 7 * 8 + 16 })));
    // Rows -1 0 | 1 2 | 3 4, columns -2 0 | 1 3.
    assert_eq!(layer.channels[0].at, Some(Places { max: [1, 1], min: [1, 1] }));
    assert_eq!(layer.channels[0].witness, "+-0+");
    assert_eq!(layer.channels.iter().map(|c| c.dead).collect::<Vec<_>>(), [false, true]);
    let json = serde_json::to_value(layer).unwrap();
    assert_eq!(json["channels"][0]["at"], json!({"max": [1, 1], "min": [1, 1]}));
}

proptest! {
    #[test]
    fn a_certificate_verifies_and_survives_json(seed in any::<u64>()) {
        let network = some_network(seed);
        let certificate = Certificate::of(&network).unwrap();
        prop_assert_eq!(verify(&network, &certificate).unwrap(), []);
        let json = serde_json::to_string(&certificate).unwrap();
        prop_assert_eq!(serde_json::from_str::<Certificate>(&json).unwrap(), certificate.clone());
        for (matrix, bounds) in network.matrix_layers().zip(&certificate.layers) {
            let layer = matrix.layer;
            let w = &bounds.accumulator;
            prop_assert!(w.used <= w.exact && w.exact <= w.l1 && w.exact <= w.zero_centered && w.l1 <= w.data_type);
            // A wire as wide as `used` holds the accumulators that the network declares.
            for (channel, range) in bounds.channels.iter().zip(&network.tensor(layer.output).ranges) {
                prop_assert!(channel.dead == range.constant().is_some());
                prop_assert!(channel.dead || range.signed_width() <= w.used);
            }
            prop_assert_eq!(bounds.channels.len(), matrix.weights.nrows());
        }
    }

    /// The targets that a network just meets, and those one bit below.
    #[test]
    fn check_is_sharp(seed in any::<u64>()) {
        let network = some_network(seed);
        let exact: Vec<u32> =
            Certificate::of(&network).unwrap().layers.iter().map(|l| l.accumulator.exact).collect();
        prop_assert_eq!(check(&network, &Targets::InOrder(exact.clone())).unwrap(), []);
        prop_assume!(exact.iter().all(|&w| w > 1));
        let below: Vec<u32> = exact.iter().map(|w| w - 1).collect();
        let violations = check(&network, &Targets::InOrder(below.clone())).unwrap();
        for (matrix, allowed) in network.matrix_layers().zip(&below) {
            let layer = matrix.layer;
            let of: Vec<_> = violations.iter().filter(|v| v.layer == layer.name).collect();
            prop_assert!(!of.is_empty());
            for v in of {
                let input = network.tensor(layer.input()).datatype;
                let off_image = |&x: &i64| matrix.window.is_some() && x == 0;
                prop_assert!(v.worst_input.iter().all(|x| input.holds(*x) || off_image(x)));
                let row = matrix.weights.row(v.channel);
                let sum: i128 = row.iter().zip(&v.worst_input).map(|(&w, &x)| i128::from(w) * i128::from(x)).sum();
                prop_assert_eq!(BigInt::from(sum), v.reaches.clone());
                let limit = 1i128 << (allowed - 1);
                prop_assert!(sum >= limit || sum < -limit);
                prop_assert_eq!((v.width_allowed, v.width_needed), (*allowed, allowed + 1));
            }
        }
    }
}

/// Every claim of a certificate, changed alone, is found.
#[test]
fn every_changed_claim_is_found() {
    let network = mlp(7, &[5, 4, 3], DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2));
    let honest = serde_json::to_value(Certificate::of(&network).unwrap()).unwrap();
    let mut claims = Vec::new();
    pointers(&honest, String::new(), &mut claims);
    assert!(claims.len() > 80, "{claims:?}");
    for claim in claims {
        let mut forged = honest.clone();
        let value = forged.pointer_mut(&claim).unwrap();
        let name = claim.rsplit('/').next().unwrap();
        *value = match (name, &*value) {
            ("sign", _) => if *value == "signed" { "unsigned" } else { "signed" }.into(),
            ("witness", Value::String(s)) => flipped(s).into(),
            ("exact_mean", _) => "99/2".into(),
            (_, Value::String(s)) => s.parse::<i64>().map_or(format!("{s}x"), |n| (n + 1).to_string()).into(),
            (_, Value::Bool(b)) => (!b).into(),
            (_, Value::Number(n)) => (n.as_u64().unwrap() + 1).into(),
            other => panic!("{other:?}"),
        };
        let forged: Certificate = serde_json::from_value(forged).unwrap_or_else(|e| panic!("{claim}: {e}"));
        let found = verify(&network, &forged).unwrap();
        assert!(!found.is_empty(), "{claim} was changed and nobody saw");
        assert!(found.iter().all(|d| d.claimed != d.derived), "{found:?}");
    }
}

/// The first weight that matters, at its other end.
fn flipped(witness: &str) -> String {
    let at = witness.find(['+', '-']).unwrap();
    let mut flipped = witness.to_owned();
    flipped.replace_range(at..=at, if witness.as_bytes()[at] == b'+' { "-" } else { "+" });
    flipped
}

fn pointers(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(k, v)| pointers(v, format!("{at}/{k}"), into)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| pointers(v, format!("{at}/{i}"), into)),
        _ => into.push(at),
    }
}

#[test]
fn lost_layers_channels_and_witnesses_are_found() {
    let network = mlp(7, &[5, 4, 3], DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2));
    let honest = Certificate::of(&network).unwrap();
    let fields = |change: &dyn Fn(&mut Certificate)| {
        let mut forged = honest.clone();
        change(&mut forged);
        verify(&network, &forged).unwrap().iter().map(|d| d.field).collect::<Vec<_>>()
    };
    assert_eq!(fields(&|c| c.layers.truncate(1)), ["layers"]);
    assert_eq!(fields(&|c| c.layers[1].channels.truncate(2)), ["channels"]);
    assert_eq!(fields(&|c| c.layers[1].channels[0].witness.push('0')), ["witness"]);
    assert_eq!(fields(&|c| c.layers[1].channels[0].witness = "?".into()), ["witness"]);
    let differences = verify(&network, &{
        let mut forged = honest.clone();
        forged.layers[1].channels[2].exact.max = 1.into();
        forged
    });
    let text = differences.unwrap()[0].to_string();
    assert!(
        text.starts_with("layer 'features.1', channel 2, exact.max: the certificate says 1, the integers"),
        "{text}"
    );
}

#[test]
fn another_network_is_found() {
    let network = mlp(7, &[5, 4, 3], DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2));
    let certificate = Certificate::of(&network).unwrap();
    let mut other = network.clone();
    other.notes.push("changed".into());
    let fields: Vec<_> = verify(&other, &certificate).unwrap().iter().map(|d| d.field).collect();
    assert_eq!(fields, ["network_sha256"]);
}

#[test]
fn hostile_numbers_in_a_certificate_are_refused() {
    let network = mlp(7, &[5, 4], DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2));
    let honest = serde_json::to_value(Certificate::of(&network).unwrap()).unwrap();
    let refused = |pointer: &str, value: Value| {
        let mut forged = honest.clone();
        *forged.pointer_mut(pointer).unwrap() = value;
        assert!(serde_json::from_value::<Certificate>(forged).is_err(), "{pointer}");
    };
    refused("/layers/0/channels/0/alpha", "9".repeat(1000).into());
    refused("/layers/0/channels/0/alpha", 9.into());
    refused("/layers/0/channels/0/alpha", "x".into());
    refused("/layers/0/accumulator/exact_mean", "1/0".into());
    refused("/layers/0/accumulator/exact_mean", "a".into());
}

#[test]
fn targets_are_parsed() {
    let named = |pairs: &[(&str, u32)]| Targets::Named(pairs.iter().map(|&(n, w)| (n.to_owned(), w)).collect());
    for (text, targets) in [
        ("12", Targets::All(12)),
        (" 64 ", Targets::All(64)),
        ("12,12, 16", Targets::InOrder(vec![12, 12, 16])),
        ("f.10=12,f.13=16", named(&[("f.10", 12), ("f.13", 16)])),
        ("a=b=1", named(&[("a=b", 1)])),
    ] {
        assert_eq!(text.parse(), Ok(targets), "{text}");
    }
    let error = |text: &str| text.parse::<Targets>().unwrap_err();
    for (text, part) in [
        ("", ""),
        ("0", "0"),
        ("65", "65"),
        ("-3", "-3"),
        ("12,,3", ""),
        ("f=", ""),
        ("f=4294967297", "4294967297"),
        ("8..=16", "8..=16"),
        ("twelve", "twelve"),
    ] {
        assert_eq!(error(text), TargetError::Width { text: part.into(), max: 64 }, "{text}");
    }
    assert!(matches!(error("12,f=3"), TargetError::Mixed { .. }));
}

#[test]
fn targets_fit_layers_by_order_or_name() {
    let network = mlp(7, &[5, 4, 3], DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2));
    let resolve = |text: &str| text.parse::<Targets>().unwrap().resolve(&network);
    assert_eq!(resolve("9").unwrap(), [Some(9), Some(9)]);
    assert_eq!(resolve("9,8").unwrap(), [Some(9), Some(8)]);
    assert_eq!(resolve("features.1=8").unwrap(), [None, Some(8)]);
    assert_eq!(resolve("MatMul_2=8").unwrap(), [None, Some(8)]);
    let count = resolve("9,8,7").unwrap_err();
    assert_eq!(count.to_string(), "3 accumulator widths for 2 layers: features.0, features.1");
    let unknown = resolve("feature.1=8").unwrap_err();
    assert_eq!(unknown.to_string(), "no layer with accumulators is called 'feature.1'; did you mean 'features.1'?");
    assert!(matches!(resolve("features.1=8,MatMul_2=9"), Err(TargetError::Twice { name }) if name == "features.1"));
}

#[test]
fn a_violation_in_json() {
    let network = one_layer(array![[16, 0], [1, -9]], DataType::quant(4, false, false).unwrap());
    let violations = check(&network, &Targets::All(8)).unwrap();
    assert_eq!(
        serde_json::to_value(&violations).unwrap(),
        json!([
            {"layer": "features.0", "channel": 0, "width_needed": 9, "width_allowed": 8, "worst_input": [15, 0], "reaches": 240},
            {"layer": "features.0", "channel": 1, "width_needed": 9, "width_allowed": 8, "worst_input": [0, 15], "reaches": -135},
        ])
    );
}
