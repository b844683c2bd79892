//! Convolutional graphs that cannot be imported: each gets an error that names the node and the numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use quantizer::import::{Blocker, GraphProblem, ImportError, ImportOptions, Imported, import_file};
use quantizer::onnx::build::{encode, float, int, ints, ints_attribute, text as text_of};
use quantizer::onnx::file;
use quantizer::onnx::proto::AttributeProto;
use quantizer::onnx::sequence::{QuantSpec, Sequence};

fn of(s: &Sequence) -> Result<Imported, ImportError> {
    let file = file::decode(&encode(&s.model(&[1, 1])), "test.onnx".into(), PathBuf::new())?;
    import_file(&file, &ImportOptions::default())
}

/// The only blocker's text.
fn blocked(s: &Sequence) -> String {
    match of(s) {
        Err(ImportError::Blocked { blockers, .. }) => {
            assert_eq!(blockers.len(), 1, "{blockers:?}");
            assert!(blockers.iter().all(|b: &Blocker| !b.hint.is_empty()));
            blockers[0].to_string()
        }
        other => panic!("{other:?}"),
    }
}

/// Quantized 4-bit images of this shape.
fn images(shape: &[i64]) -> Sequence {
    let mut s = Sequence::new(shape);
    s.quant(QuantSpec::new(4, false, &0.25));
    s
}

/// Adds a Conv whose weights are all 1.
fn conv(s: &mut Sequence, weights: [i64; 4], attributes: Vec<AttributeProto>) {
    let count: i64 = weights.iter().product();
    let w = s.weights(&weights, &vec![1.0; count as usize], QuantSpec::new(2, true, &1.0));
    s.node("Conv", &["@", &w], attributes);
}

fn after_conv(shape: &[i64], weights: [i64; 4], attributes: Vec<AttributeProto>) -> String {
    let mut s = images(shape);
    conv(&mut s, weights, attributes);
    blocked(&s)
}

#[test]
fn windows_that_do_not_fit() {
    assert_eq!(
        after_conv(&[1, 2, 4, 6], [3, 2, 5, 5], vec![]),
        "node 'Conv_t2' (Conv): its window spans [5, 5], more than the padded image of [4, 6]"
    );
    assert_eq!(
        after_conv(&[1, 2, 4, 6], [3, 2, 3, 3], vec![ints_attribute("dilations", &[2, 2])]),
        "node 'Conv_t2' (Conv): its window spans [5, 5], more than the padded image of [4, 6]"
    );
    let mut s = images(&[1, 2, 4, 6]);
    let pool = vec![ints_attribute("kernel_shape", &[1, 1]), ints_attribute("pads", &[1, 0, 0, 0])];
    s.node("MaxPool", &["@"], pool);
    conv(&mut s, [3, 2, 1, 1], vec![]);
    let text = blocked(&s);
    assert!(text.contains("padding [1, 0], [0, 0] is not smaller than its window, which spans [1, 1]"), "{text}");
    let both = vec![text_of("auto_pad", "SAME_UPPER"), ints_attribute("pads", &[1, 1, 1, 1])];
    assert_eq!(
        after_conv(&[1, 2, 4, 6], [3, 2, 3, 3], both),
        "node 'Conv_t2' (Conv): it has both auto_pad 'SAME_UPPER' and pads [1, 1, 1, 1], which ONNX forbids"
    );
    for (name, values, part) in [
        ("strides", &[0, 1][..], "its strides are [0, 1]"),
        ("strides", &[1], "its strides are [1]"),
        ("dilations", &[1, -1], "its dilations are [1, -1]"),
        ("pads", &[0, 0, 0, -1], "its pads are [0, 0, 0, -1]"),
        ("pads", &[1, 1], "its pads are [1, 1]"),
        ("kernel_shape", &[2, 3], "its kernel_shape [2, 3] is not that of its weights [3, 2, 3, 3]"),
    ] {
        let text = after_conv(&[1, 2, 4, 6], [3, 2, 3, 3], vec![ints_attribute(name, values)]);
        assert!(text.contains(part), "{text}");
    }
    let text = after_conv(&[1, 2, 4, 6], [3, 2, 3, 3], vec![text_of("auto_pad", "SAME")]);
    assert_eq!(text, "node 'Conv_t2' (Conv): its auto_pad 'SAME' is unknown");
}

#[test]
fn groups_and_shapes_that_disagree() {
    let group = |g: i64| vec![int("group", g)];
    assert_eq!(
        after_conv(&[1, 6, 4, 4], [8, 3, 3, 3], group(4)),
        "node 'Conv_t2' (Conv): its 4 groups do not divide 6 input channels and 8 output channels"
    );
    assert_eq!(after_conv(&[1, 6, 4, 4], [8, 3, 3, 3], group(0)), "node 'Conv_t2' (Conv): it has 0 groups");
    assert_eq!(
        after_conv(&[1, 6, 4, 4], [8, 4, 3, 3], group(2)),
        "node 'Conv_t2' (Conv): shapes disagree: data [6, 4, 4], weights [8, 4, 3, 3], 2 groups"
    );
    assert_eq!(
        after_conv(&[1, 6, 4], [8, 6, 3, 3], group(1)),
        "node 'Conv_t2' (Conv): shapes disagree: data [6, 4], weights [8, 6, 3, 3]"
    );
    let text = after_conv(&[2, 3, 4, 4, 4], [8, 3, 3, 3], vec![]);
    assert!(text.contains("shape [1, 3, 4, 4, 4] is not that of one image"), "{text}");
}

#[test]
fn dynamic_dimensions_are_named_and_the_channels_guessed() {
    for (shape, reason) in [
        (
            [0, 3, 0, 0],
            "dimensions 2 and 3 of input 'x' are dynamic; give the shape with --input-shape, for example --input-shape 3,32,32",
        ),
        (
            [0, 0, 8, 8],
            "dimension 1 of input 'x' is dynamic; give the shape with --input-shape, for example --input-shape 3,8,8",
        ),
        (
            [0, 0, 0, 0],
            "dimensions 1, 2 and 3 of input 'x' are dynamic; give the shape with --input-shape, for example --input-shape 3,32,32",
        ),
    ] {
        let mut s = images(&shape);
        conv(&mut s, [2, 3, 3, 3], vec![]);
        let text = of(&s).unwrap_err().to_string();
        assert!(text.ends_with(reason), "{text}");
    }
    let mut s = images(&[0, 3, 0, 8]);
    conv(&mut s, [2, 3, 3, 3], vec![]);
    match of(&s) {
        Err(e @ ImportError::Graph { problem: GraphProblem::Dynamic { .. }, .. }) => {
            let text = e.to_string();
            let reason = "dimension 2 of input 'x' is dynamic; give the shape with --input-shape, for example --input-shape 3,32,8";
            assert!(text.ends_with(reason), "{text}");
        }
        other => panic!("{other:?}"),
    }
    let file = file::decode(&encode(&s.model(&[1, 1])), "test.onnx".into(), PathBuf::new()).unwrap();
    let options = ImportOptions { input_shape: Some(vec![3, 5, 8]), ..Default::default() };
    assert_eq!(import_file(&file, &options).unwrap().network.output_shape, [1, 2, 3, 6]);
}

#[test]
fn padding_without_a_zero() {
    let pads = || vec![ints_attribute("pads", &[1, 1, 1, 1])];
    let mut s = Sequence::new(&[1, 2, 4, 4]);
    let scale = s.floats(&[], &[1.0]);
    s.node("BipolarQuant", &["@", &scale], vec![]);
    conv(&mut s, [3, 2, 3, 3], pads());
    assert_eq!(blocked(&s), "node 'Conv_t2' (Conv): it pads bipolar codes, none of which is 0");

    // A constant between quantizer and padding: real 0 has no code.
    let mut s = images(&[1, 2, 4, 4]);
    s.with("Add", &[1, 2, 1, 1], &[0.0, 0.5]);
    conv(&mut s, [3, 2, 3, 3], pads());
    assert_eq!(blocked(&s), "node 'Conv_t3' (Conv): it pads with 0, but code 0 of channel 1 means 0.5");
    let mut s = images(&[1, 2, 4, 4]);
    s.with("Add", &[1, 2, 1, 1], &[0.0, 0.5]);
    conv(&mut s, [3, 2, 3, 3], vec![]);
    of(&s).unwrap();
}

#[test]
fn activations_that_are_not_quantized() {
    let mut s = images(&[1, 2, 6, 6]);
    conv(&mut s, [3, 2, 3, 3], vec![]);
    s.node("Relu", &["@"], vec![]);
    conv(&mut s, [3, 3, 3, 3], vec![]);
    let text = blocked(&s);
    assert!(text.starts_with("node 'Conv_t5' (Conv): it reads an activation that is not quantized"), "{text}");
    let mut s = images(&[1, 2, 6, 6]);
    conv(&mut s, [3, 2, 3, 3], vec![]);
    s.node("GlobalAveragePool", &["@"], vec![]);
    let text = blocked(&s);
    assert!(text.contains("'GlobalAveragePool_t3' (GlobalAveragePool): it reads an activation that is not"), "{text}");
}

#[test]
fn averages_whose_divisor_varies() {
    let pool = |attributes: Vec<AttributeProto>| {
        let mut s = images(&[1, 2, 5, 5]);
        conv(&mut s, [3, 2, 1, 1], vec![]);
        s.quant(QuantSpec::new(4, false, &0.25));
        s.node("AveragePool", &["@"], attributes);
        s
    };
    let two = || ints_attribute("kernel_shape", &[2, 2]);
    let pads = || ints_attribute("pads", &[1, 1, 1, 1]);
    assert_eq!(
        blocked(&pool(vec![two(), pads()])),
        "node 'AveragePool_t4' (AveragePool): its divisor varies: at the border count_include_pad = 0 leaves the padding out"
    );
    of(&pool(vec![two(), pads(), int("count_include_pad", 1)])).unwrap();
    let strides = || ints_attribute("strides", &[2, 2]);
    assert_eq!(
        blocked(&pool(vec![two(), strides(), int("ceil_mode", 1)])),
        "node 'AveragePool_t4' (AveragePool): its divisor varies: with ceil_mode = 1 the last window is smaller"
    );
    let odd = || vec![ints_attribute("kernel_shape", &[3, 3]), strides(), int("ceil_mode", 1)];
    of(&pool(odd())).unwrap();
    assert!(blocked(&pool(vec![])).contains("its kernel_shape is []"));
}

/// Two branches of one image, joined.
fn branches(scales: [f32; 2], strides: [i64; 2], op: &str, attributes: Vec<AttributeProto>) -> Sequence {
    let mut s = images(&[1, 2, 4, 4]);
    let mut ends = Vec::new();
    for (scale, stride) in scales.iter().zip(strides) {
        let w = s.weights(&[3, 2, 1, 1], &[1.0; 6], QuantSpec::new(2, true, &1.0));
        s.node("Conv", &["t0", &w], vec![ints_attribute("strides", &[stride, stride])]);
        s.quant(QuantSpec::new(4, false, scale));
        ends.push(s.last().to_string());
    }
    s.node(op, &[&ends[0], &ends[1]], attributes);
    s
}

#[test]
fn residuals_that_disagree() {
    assert_eq!(
        blocked(&branches([0.5, 0.5], [1, 2], "Add", vec![])),
        "node 'Add_t7' (Add): its branches disagree: branch 0 ('t3') has shape [1, 3, 4, 4], branch 1 ('t6') [1, 3, 2, 2]"
    );
    assert_eq!(
        blocked(&branches([0.5, 0.312_345], [1, 1], "Add", vec![])),
        "node 't7' (output): it reads 'Add_t7' (Add): the scales of its branches have no common grid: branch 0 ('t3') has 0.5, branch 1 ('t6') has 0.3123449981212616, and no quantizer follows"
    );
    of(&branches([0.5, 0.75], [1, 1], "Sub", vec![])).unwrap();
    assert_eq!(
        blocked(&branches([0.5, 0.5], [1, 2], "Concat", vec![int("axis", 1)])),
        "node 'Concat_t7' (Concat): its branches disagree: branch 0 ('t3') has shape [1, 3, 4, 4], branch 1 ('t6') [1, 3, 2, 2]"
    );
    assert_eq!(
        blocked(&branches([0.5, 0.5], [1, 1], "Concat", vec![int("axis", 2)])),
        "node 'Concat_t7' (Concat): it joins along axis 2 of shape [1, 3, 4, 4]"
    );
    let text = blocked(&branches([0.5, 0.5], [1, 1], "Mul", vec![]));
    assert_eq!(text, "node 'Mul_t7' (Mul): it joins two branches that depend on the data");
}

#[test]
fn functions_that_fall_behind_a_maximum() {
    let pooled = |scale: f32, quantized: bool| {
        let mut s = images(&[1, 1, 4, 4]);
        conv(&mut s, [1, 1, 1, 1], vec![]);
        if quantized {
            s.quant(QuantSpec::new(4, false, &0.25));
        }
        s.node("MaxPool", &["@"], vec![ints_attribute("kernel_shape", &[2, 2])]);
        s.with("Mul", &[], &[scale]);
        s.quant(QuantSpec::new(4, true, &0.25));
        s
    };
    of(&pooled(0.5, false)).unwrap();
    of(&pooled(-0.5, true)).unwrap();
    let text = blocked(&pooled(-0.5, false));
    assert!(
        text.starts_with("node 'Mul_t4' (Mul): it falls as its input rises, behind MaxPool 'MaxPool_t3'"),
        "{text}"
    );
}

#[test]
fn paddings_and_sizes_that_nothing_takes() {
    let padded = |attributes: Vec<AttributeProto>, pads: &[i64; 8]| {
        let mut s = images(&[1, 2, 4, 4]);
        let pads = s.constant(ints("", &[8], pads));
        s.node("Pad", &["@", &pads], attributes);
        conv(&mut s, [3, 2, 3, 3], vec![]);
        s
    };
    let around = [0, 0, 1, 1, 0, 0, 1, 1];
    assert_eq!(of(&padded(vec![], &around)).unwrap().network.output_shape, [1, 3, 4, 4]);
    assert_eq!(
        blocked(&padded(vec![text_of("mode", "reflect")], &around)),
        "node 'Pad_t1' (Pad): its mode 'reflect' is not supported"
    );
    assert_eq!(
        blocked(&padded(vec![], &[0, 1, 1, 1, 0, 0, 1, 1])),
        "node 'Pad_t1' (Pad): it pads axis 1 of shape [1, 2, 4, 4] by 1"
    );
    assert_eq!(
        blocked(&padded(vec![], &[0, 0, -1, 1, 0, 0, 1, 1])),
        "node 'Pad_t1' (Pad): it pads axis 2 of shape [1, 2, 4, 4] by -1"
    );
    // Any padding is taken, see `import_pad.rs`; a pooling's own windows touch the image.
    assert_eq!(of(&padded(vec![], &[0, 0, 3, 1, 0, 0, 1, 1])).unwrap().network.output_shape, [1, 3, 6, 4]);
    let mut s = images(&[1, 2, 4, 4]);
    let pads = s.constant(ints("", &[8], &[0, 0, 2, 1, 0, 0, 1, 1]));
    s.node("Pad", &["@", &pads], vec![]);
    s.node("MaxPool", &["@"], vec![ints_attribute("kernel_shape", &[2, 2])]);
    conv(&mut s, [3, 2, 1, 1], vec![]);
    assert_eq!(of(&s).unwrap().network.output_shape, [1, 3, 6, 5]);

    let resized = |scales: &[f32], attributes: Vec<AttributeProto>| {
        let mut s = images(&[1, 2, 4, 4]);
        conv(&mut s, [3, 2, 3, 3], vec![]);
        let scales = s.floats(&[scales.len() as i64], scales);
        s.node("Resize", &["@", "", &scales], attributes);
        s
    };
    // Scales of some axes alone, in any order.
    let axes =
        |given: &[i64]| vec![text_of("coordinate_transformation_mode", "half_pixel"), ints_attribute("axes", given)];
    for (scales, given) in [(&[2., 3.][..], &[2, 3][..]), (&[3., 2.], &[-1, 2]), (&[1., 2., 3.], &[1, 2, 3])] {
        assert_eq!(of(&resized(scales, axes(given))).unwrap().network.output_shape, [1, 3, 4, 6], "{given:?}");
    }
    for given in [&[2, 2][..], &[2], &[2, 4]] {
        assert!(blocked(&resized(&[2., 3.], axes(given))).starts_with("node 'Resize_t3' (Resize): "), "{given:?}");
    }
    let floor = || vec![text_of("coordinate_transformation_mode", "asymmetric"), text_of("nearest_mode", "floor")];
    assert_eq!(of(&resized(&[1., 1., 2., 3.], floor())).unwrap().network.output_shape, [1, 3, 4, 6]);
    let text = blocked(&resized(&[1., 1., 1.5, 2.], floor()));
    assert!(text.contains("it resizes shape [1, 3, 2, 2] by [1.0, 1.0, 1.5, 2.0]"), "{text}");
    let text = blocked(&resized(&[1., 1., 2., 2.], vec![text_of("mode", "linear")]));
    assert!(text.contains("its mode 'linear' is not supported"), "{text}");
    let align = vec![text_of("coordinate_transformation_mode", "align_corners")];
    let text = blocked(&resized(&[1., 1., 2., 2.], align));
    assert!(text.contains("with align_corners and round_prefer_floor"), "{text}");
    // Not a shape of more than 2^28 elements.
    let text = blocked(&resized(&[1., 1., 65_536., 65_536.], floor()));
    assert!(text.contains("elements"), "{text}");
}

#[test]
fn depths_that_make_no_blocks() {
    let shuffled = |attributes: Vec<AttributeProto>| {
        let mut s = images(&[1, 2, 4, 4]);
        conv(&mut s, [8, 2, 3, 3], vec![]);
        s.node("DepthToSpace", &["@"], attributes);
        s
    };
    assert_eq!(of(&shuffled(vec![int("blocksize", 2)])).unwrap().network.output_shape, [1, 2, 4, 4]);
    for block in [0, -2, 3, i64::MAX] {
        let text = blocked(&shuffled(vec![int("blocksize", block)]));
        assert!(text.contains(&format!("its blocksize is {block}, whose square does not divide 8 channels")), "{text}");
    }
    let text = blocked(&shuffled(vec![int("blocksize", 2), text_of("mode", "XYZ")]));
    assert!(text.contains("its mode 'XYZ' is unknown"), "{text}");
}

#[test]
fn truncations_that_drop_no_whole_bits() {
    let truncated = |inputs: &[f32], origin: bool| {
        let mut s = Sequence::new(&[1, 2, 2, 2]);
        if origin {
            s.quant(QuantSpec::new(8, false, &1.0));
            conv(&mut s, [2, 2, 1, 1], vec![]);
        }
        let mut names = vec!["@".to_string()];
        names.extend(inputs.iter().map(|&v| s.floats(&[], &[v])));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        s.node("Trunc", &names, vec![text_of("rounding_mode", "FLOOR"), float("unused", 0.0)]);
        conv(&mut s, [2, 2, 1, 1], vec![]);
        s
    };
    of(&truncated(&[1.0, 0.0, 10.0, 4.0], true)).unwrap();
    of(&truncated(&[1.0, 0.0, 10.0, 8.0, 0.0, 4.0], true)).unwrap();
    let text = blocked(&truncated(&[1.0, 0.0, 10.0, 3.0, 0.0, 4.0], true));
    assert!(text.contains("its scales 1 and 3 are no power of two apart"), "{text}");
    let text = blocked(&truncated(&[1e-9, 0.0, 10.0, 4.0], true));
    assert!(text.contains("channel 0 reaches more than 30 bits"), "{text}");
    let text = blocked(&truncated(&[1.0, 1.0, 10.0, 4.0], true));
    assert!(text.contains("its zero point is not 0"), "{text}");
}
