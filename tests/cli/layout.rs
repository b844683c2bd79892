//! Data in the shape that the ONNX file gives its input: channels last, reshaped.

use quantizer::onnx::build::{encode, int, ints, ints_attribute, node};
use quantizer::onnx::sequence::{QuantSpec, Sequence};

use super::tool::Place;

/// Weight (row, i, j, channel) of the channels-last network: 2 x 2 x 2 x 3.
fn weight(n: usize) -> i64 {
    (n * n + n / 5) as i64 % 4 - 2
}

/// A convolution on a cube of 3 rows, 3 columns and 3 channels, channels last, and its quantizer.
fn convolution() -> Sequence {
    let mut s = Sequence::new(&[1, 3, 3, 3]);
    s.quant(QuantSpec::new(4, false, &1.0));
    let values: Vec<f32> = (0..24).map(|n| weight(n) as f32).collect();
    let weights = s.weights(&[2, 2, 2, 3], &values, QuantSpec::new(3, true, &1.0));
    let data = s.last().to_owned();
    let mut conv = node("Conv", &[&data, &weights], "conv", vec![ints_attribute("kernel_shape", &[2, 2])]);
    conv.domain = "qonnx.custom_op.channels_last".into();
    s.push(conv);
    s.quant(QuantSpec::new(10, true, &1.0));
    s
}

/// Place `n` of row `r` that the convolution makes of an input (row, column, channel), by the definition.
fn convolved(x: &[i64], n: usize, r: usize) -> i64 {
    let taps = (0..12).map(|t| (t, n / 2 + t / 6, n % 2 + t / 3 % 2, t % 3));
    taps.map(|(t, y, x_, c)| weight(r * 12 + t) * x[y * 9 + x_ * 3 + c]).sum()
}

/// The convolution, and a layer that tells its 8 outputs apart.
fn cube(place: &Place) {
    let mut s = convolution();
    s.node("Flatten", &["@"], vec![]);
    let each: Vec<f32> = (0..16).map(|n| (n / 2 + n % 2 * (n / 4)) as f32).collect();
    s.matmul(&[8, 2], &each, QuantSpec::new(5, true, &1.0));
    place.write("cube.onnx", encode(&s.model(&[1, 2])));
}

/// What the file means, of an input (row, column, channel).
fn meaning(x: &[i64]) -> Vec<i64> {
    let vector: Vec<i64> = (0..8).map(|n| convolved(x, n / 2, n % 2)).collect();
    let each = |n: usize| (n / 2 + n % 2 * (n / 4)) as i64;
    (0..2).map(|o| (0..8).map(|k| vector[k] * each(k * 2 + o)).sum()).collect()
}

#[test]
fn a_cube_with_channels_last_is_read_as_the_file_has_it() {
    let place = Place::new();
    cube(&place);
    let frames: Vec<i64> = (0..54).map(|n| (n * n + 3 * n / 2) % 16).collect();
    place.npy("x.npy", &[2, 3, 3, 3], &frames);
    let outputs = |model: &str, more: &str| {
        let done = place.snug(&format!("simulate {model} --inputs x.npy --raw --outputs y.npy {more}"));
        assert_eq!(done.code, 0, "{done:?}");
        place.read_npy::<i64>("y.npy").1
    };
    let expected: Vec<i64> = frames.chunks(27).flat_map(meaning).collect();
    assert_eq!(outputs("cube.onnx", ""), expected);
    assert_eq!(outputs("cube.onnx", "--layout nhwc"), expected);
    let first: Vec<i64> =
        frames.chunks(27).flat_map(|x| meaning(&(0..27).map(|i| x[i % 3 * 9 + i / 3]).collect::<Vec<_>>())).collect();
    assert_ne!(first, expected);
    assert_eq!(outputs("cube.onnx", "--layout nchw"), first);

    // A stored network and a generated folder remember it, and the folder's own vectors are in that order.
    assert_eq!(place.snug("quantize cube.onnx --method exact -o cube.safetensors").code, 0);
    assert_eq!(outputs("cube.safetensors", ""), expected);
    assert_eq!(place.snug("generate cube.onnx -o out").code, 0);
    assert_eq!(outputs("out", ""), expected);
    let done = place.snug("simulate out --inputs out/vectors/inputs.npy --raw --outputs z.npy");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(place.read_npy::<i64>("z.npy").1, place.read_npy::<i64>("out/vectors/outputs.npy").1);
}

#[test]
fn an_image_with_channels_last_leaves_as_the_file_has_it() {
    let place = Place::new();
    let mut s = convolution();
    // A scale of its own for each channel, the last dimension.
    let scales = s.floats(&[2], &[1.0, 0.5]);
    s.node("Mul", &["@", &scales], vec![]);
    place.write("image.onnx", encode(&s.model(&[1, 2, 2, 2])));
    let x: Vec<i64> = (0..54).map(|n| (n * n + 3 * n / 2) % 16).collect();
    place.npy("x.npy", &[2, 3, 3, 3], &x);
    let codes: Vec<i64> = x.chunks(27).flat_map(|f| (0..8).map(move |n| convolved(f, n / 2, n % 2))).collect();
    let real: Vec<f64> = codes.iter().enumerate().map(|(n, &c)| c as f64 * [1.0, 0.5][n % 2]).collect();
    for model in ["image.onnx", "image.safetensors", "out"] {
        match model {
            "image.safetensors" => {
                assert_eq!(place.snug("quantize image.onnx --method exact -o image.safetensors").code, 0);
            }
            "out" => assert_eq!(place.snug("generate image.onnx --output logits -o out").code, 0),
            _ => {}
        }
        let run = |more: &str| {
            let done = place.snug(&format!("simulate {model} --inputs x.npy --outputs y.npy {more}"));
            assert_eq!(done.code, 0, "{done:?}");
        };
        run("--raw");
        assert_eq!(place.read_npy::<i64>("y.npy"), (vec![2, 2, 2, 2], codes.clone()), "{model}");
        run("--engine cycle");
        assert_eq!(place.read_npy::<f64>("y.npy"), (vec![2, 2, 2, 2], real.clone()), "{model}");
        let done = place.snug(&format!("compare {model} --inputs x.npy --expect y.npy"));
        assert_eq!(done.code, 0, "{done:?}");
        // What is dumped is in the file's order too.
        assert_eq!(place.snug(&format!("simulate {model} --inputs x.npy --dump d.npz")).code, 0);
        let done = place.snug(&format!("compare {model} --inputs x.npy --expect d.npz"));
        assert_eq!(done.code, 0, "{done:?}");
    }
    let done = place.snug("simulate out --inputs out/vectors/inputs.npy --raw --outputs z.npy");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(place.read_npy::<i64>("z.npy"), place.read_npy::<i64>("out/vectors/outputs.npy"));
}

/// An output whose first dimension is no batch: the vectors of a generated folder hold all of it.
#[test]
fn an_output_without_a_batch() {
    let place = Place::new();
    let mut s = Sequence::new(&[1, 1, 4, 4]);
    s.quant(QuantSpec::new(4, false, &1.0));
    let weights = s.weights(&[2, 1, 2, 2], &[1.0, -1.0, 2.0, -2.0, 3.0, 0.0, 1.0, 1.0], QuantSpec::new(4, true, &1.0));
    s.node("Conv", &["@", &weights], vec![]);
    let shape = s.constant(ints("", &[2], &[2, 9]));
    s.node("Reshape", &["@", &shape], vec![]);
    place.write("net.onnx", encode(&s.model(&[2, 9])));
    assert_eq!(place.snug("generate net.onnx --output logits -o out").code, 0);
    let (shape, values) = place.read_npy::<i64>("out/vectors/outputs.npy");
    assert_eq!((shape, values.len()), (vec![8, 18], 144));
}

#[test]
fn a_reshaped_input_is_read_in_the_shape_before_it() {
    let place = Place::new();
    let mut s = Sequence::new(&[1, 2, 3, 4]);
    s.quant(QuantSpec::new(4, false, &1.0));
    let shape = s.constant(ints("", &[3], &[1, 2, 12]));
    s.node("Reshape", &["@", &shape], vec![]);
    let values: Vec<f32> = (0..6).map(|n| (n % 4) as f32 - 2.0).collect();
    let weights = s.weights(&[1, 2, 3], &values, QuantSpec::new(3, true, &1.0));
    s.node("Conv", &["@", &weights], vec![]);
    place.write("net.onnx", encode(&s.model(&[1, 1, 10])));
    let x: Vec<i64> = (0..24).map(|n| n * 7 % 16).collect();
    let expected: Vec<i64> =
        (0..10).map(|o| (0..6).map(|n| (n as i64 % 4 - 2) * x[n / 3 * 12 + o + n % 3]).sum()).collect();
    // The file's shape, with and without batch; the pins' is in the same order.
    for shape in [&[1, 2, 3, 4][..], &[2, 3, 4], &[1, 2, 12]] {
        place.npy("x.npy", shape, &x);
        let done = place.snug("simulate net.onnx --inputs x.npy --raw --outputs y.npy");
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(place.read_npy::<i64>("y.npy").1, expected, "{shape:?}");
    }
    place.npy("x.npy", &[1, 3, 4, 2], &x);
    place.refuses(
        "simulate net.onnx --inputs x.npy",
        "
snug::data::shape

  × x.npy: shape [1, 3, 4, 2] does not fit the network's input, [2, 3, 4]
  help: it would fit with its channels last: --layout nhwc",
    );
}

/// An image of 4 channels and 2 x 2 pixels behind a convolution, flattened: the name of its elements.
fn flattened(s: &mut Sequence) -> String {
    s.quant(QuantSpec::new(3, true, &1.0));
    let values: Vec<f32> = (0..16).map(|n| (n * 7 % 5) as f32 - 2.0).collect();
    let weights = s.weights(&[4, 4, 1, 1], &values, QuantSpec::new(3, true, &1.0));
    s.node("Conv", &["@", &weights], vec![]);
    s.quant(QuantSpec::new(3, true, &2.0));
    s.node("Flatten", &["@"], vec![]);
    s.last().to_owned()
}

/// Elements of a flattened image come pixel by pixel: what is added to them has to come so too.
#[test]
fn a_flattened_image_is_added_to_a_vector() {
    let place = Place::new();
    let x: Vec<i64> = (0..48).map(|n| (n * n + n / 3) % 7 - 3).collect();
    place.npy("x.npy", &[3, 4, 2, 2], &x);
    let dense: Vec<f32> = (0..256).map(|n| (n * n % 11) as f32 - 5.0).collect();
    for (name, behind) in [("output", false), ("layer", true)] {
        let mut s = Sequence::new(&[1, 4, 2, 2]);
        let flat = flattened(&mut s);
        s.matmul(&[16, 16], &dense, QuantSpec::new(4, true, &1.0));
        s.quant(QuantSpec::new(4, true, &4.0));
        s.node("Add", &["@", &flat], vec![]);
        s.quant(QuantSpec::new(3, true, &2.0));
        s.node("Add", &["@", &flat], vec![]);
        if behind {
            s.quant(QuantSpec::new(4, true, &1.0));
            s.matmul(&[16, 3], &dense[..48], QuantSpec::new(4, true, &1.0));
        }
        let outputs = if behind { 3 } else { 16 };
        place.write("sum.onnx", encode(&s.model(&[1, outputs])));
        let run = |model: &str, engine: &str| {
            let done = place.snug(&format!("simulate {model} --inputs x.npy --raw --outputs y.npy --engine {engine}"));
            assert_eq!(done.code, 0, "{name}: {done:?}");
            place.read_npy::<i64>("y.npy").1
        };
        let golden = run("sum.onnx", "golden");
        assert!(golden.iter().any(|&v| v != golden[0]), "{name}");
        assert_eq!(run("sum.onnx", "cycle"), golden, "{name}");
        assert_eq!(place.snug("generate sum.onnx --output logits -o out --force").code, 0, "{name}");
        assert_eq!(run("out", "cycle"), golden, "{name}");
    }

    // One channel of 4 x 4 pixels comes in another order than four of 2 x 2.
    let mut s = Sequence::new(&[1, 4, 2, 2]);
    s.quant(QuantSpec::new(3, true, &1.0));
    let codes = s.last().to_owned();
    s.node("Flatten", &["@"], vec![]);
    let flat = s.last().to_owned();
    s.resume(&codes).node("DepthToSpace", &["@"], vec![int("blocksize", 2)]);
    s.node("Flatten", &["@"], vec![]);
    s.node("Add", &["@", &flat], vec![]);
    s.matmul(&[16, 3], &dense[..48], QuantSpec::new(4, true, &1.0));
    place.write("shapes.onnx", encode(&s.model(&[1, 3])));
    let done = place.snug("generate shapes.onnx --output logits -o shapes");
    assert!(done.code == 2 && done.stderr.contains("flattened images of different shapes"), "{done:?}");
}
