//! Padding that reaches a convolution's window, and zeros of a Pad behind a change of layout.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use quantizer::import::{ImportError, ImportOptions, Imported, import_file, verify};
use quantizer::network::{Conv, Op};
use quantizer::onnx::build::{encode, int, ints, ints_attribute, node};
use quantizer::onnx::file;
use quantizer::onnx::proto::AttributeProto;
use quantizer::onnx::sequence::{QuantSpec, Sequence};

fn import(s: &Sequence) -> Result<Imported, ImportError> {
    let file = file::decode(&encode(&s.model(&[1, 1])), "test.onnx".into(), PathBuf::new())?;
    import_file(&file, &ImportOptions::default())
}

fn checked(s: &Sequence) -> Imported {
    let imported = import(s).unwrap();
    assert_eq!(imported.network.validate(), Ok(()));
    assert_eq!(verify(&imported).total().deviations, 0);
    imported
}

fn convolutions(imported: &Imported) -> Vec<Conv> {
    let of = |op: &Op| if let Op::Conv(conv) = op { Some(conv.clone()) } else { None };
    imported.network.layers.iter().filter_map(|l| of(&l.op)).collect()
}

/// A quantized input, and a Pad of so much above, left, below and right.
fn padded(shape: &[i64], pads: [i64; 4]) -> Sequence {
    let mut s = Sequence::new(shape);
    s.quant(QuantSpec::new(3, false, &1.0));
    pad(&mut s, pads);
    s
}

fn pad(s: &mut Sequence, [up, left, down, right]: [i64; 4]) {
    let pads = s.constant(ints("", &[8], &[0, 0, up, left, 0, 0, down, right]));
    s.node("Pad", &["@", &pads], vec![]);
}

/// Element (i, j) of the only channel that the convolution makes of `image`, by the definition: padding first, then the window.
fn output(conv: &Conv, image: &[[i64; 4]; 3], i: usize, j: usize) -> i64 {
    let w = conv.window;
    let mut sum = 0;
    for k in 0..w.kernel[0] {
        for l in 0..w.kernel[1] {
            let at = |o: usize, n: usize, a: usize| (o * w.stride[a] + n * w.dilation[a]).checked_sub(w.pad_begin[a]);
            let pixel = at(i, k, 0).and_then(|y| image.get(y)).zip(at(j, l, 1)).and_then(|(row, x)| row.get(x));
            sum += conv.weights[[0, k * w.kernel[1] + l]] * pixel.copied().unwrap_or(0);
        }
    }
    sum
}

#[test]
fn padding_that_reaches_the_window_widens_the_kernel() {
    let image = [[1, 2, 3, 4], [5, 6, 7, 1], [2, 3, 4, 5]];
    for (pads, kernel, dilation, stride) in [
        ([1, 1, 1, 1], 1, 1, 1),
        ([3, 0, 2, 1], 1, 1, 2),
        ([4, 3, 5, 2], 2, 1, 1),
        ([4, 5, 0, 6], 2, 2, 1),
        ([0, 7, 3, 3], 2, 3, 2),
    ] {
        let mut s = padded(&[1, 1, 3, 4], pads);
        let values: Vec<f32> = (0..kernel * kernel).map(|n| [3.0, -2.0, 1.0, -4.0][n]).collect();
        let w = s.weights(&[1, 1, kernel as i64, kernel as i64], &values, QuantSpec::new(3, true, &1.0));
        let (two, of) = (|n: i64| [n, n], ints_attribute);
        s.node("Conv", &["@", &w], vec![of("dilations", &two(dilation)), of("strides", &two(stride)), int("group", 1)]);
        let imported = checked(&s);
        let [conv] = &convolutions(&imported)[..] else { panic!("one convolution") };
        let (span, window) = (conv.window.span(), conv.window);
        assert!((0..2).all(|a| window.pad_begin[a] < span[a] && window.pad_end[a] < span[a]), "{window:?}");
        // The enlarged image, and the kernel as the file has it.
        let [up, left, down, right] = pads.map(|p| p as usize);
        let pixel = |y: usize, x: usize| {
            let row = y.checked_sub(up).and_then(|y| image.get(y));
            row.zip(x.checked_sub(left)).and_then(|(row, x)| row.get(x)).copied().unwrap_or(0)
        };
        let (dilation, stride) = (dilation as usize, stride as usize);
        let places = |size: usize| (size - (kernel - 1) * dilation - 1) / stride + 1;
        let [h, w] = [places(3 + up + down), places(4 + left + right)];
        assert_eq!(imported.network.tensor(imported.network.output).shape, [1, h, w], "{pads:?}");
        for (i, j) in (0..h).flat_map(|i| (0..w).map(move |j| (i, j))) {
            let taps = (0..kernel * kernel).map(|n| (n, n / kernel, n % kernel));
            let expected: i64 = taps
                .map(|(n, k, l)| values[n] as i64 * pixel(i * stride + k * dilation, j * stride + l * dilation))
                .sum();
            assert_eq!(output(conv, &image, i, j), expected, "{pads:?} at {i}, {j}");
        }
    }
}

/// Adds a node of one output, and a 1 x 1 convolution of ones where the network has none.
fn ended(mut s: Sequence, op: &str, attributes: Vec<AttributeProto>) -> Sequence {
    s.node(op, &["@"], attributes);
    let one = s.weights(&[1, 1, 1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    s.node("Conv", &["@", &one], vec![]);
    s
}

#[test]
fn what_takes_no_zeros_reads_a_convolution_of_weight_1() {
    let signed = |pads| {
        let mut s = Sequence::new(&[1, 1, 3, 4]);
        s.quant(QuantSpec::new(3, true, &1.0));
        pad(&mut s, pads);
        s
    };
    let (kernel, pads) = (|k: [i64; 2]| ints_attribute("kernel_shape", &k), [1, 0, 0, 2]);
    let mut flat = signed(pads);
    flat.node("Flatten", &["@"], vec![]);
    flat.matmul(&[24, 1], &[1.0; 24], QuantSpec::new(2, true, &1.0));
    let mut out = signed([0; 4]);
    let one = out.weights(&[1, 1, 1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    out.node("Conv", &["@", &one], vec![]);
    out.quant(QuantSpec::new(3, true, &1.0));
    pad(&mut out, pads);
    let mut function = signed(pads);
    let half = function.floats(&[], &[0.5]);
    function.node("Add", &["@", &half], vec![]);
    function.quant(QuantSpec::new(3, true, &1.0));
    let mut bipolar = signed(pads);
    let one = bipolar.weights(&[1, 1, 1, 1], &[1.0], QuantSpec::new(1, true, &1.0));
    bipolar.node("Conv", &["@", &one], vec![]);
    let mut average = signed(pads);
    average.node("AveragePool", &["@"], vec![kernel([1, 2])]);
    average.quant(QuantSpec::new(3, true, &0.5));
    for (name, s, shape) in [
        ("Flatten", flat, vec![1]),
        ("output", out, vec![1, 4, 6]),
        ("GlobalMaxPool", ended(signed(pads), "GlobalMaxPool", vec![]), vec![1, 1, 1]),
        // A maximum of negative codes, to which the zeros are more than a pooling's own padding.
        ("MaxPool", ended(signed(pads), "MaxPool", vec![kernel([2, 3])]), vec![1, 3, 4]),
        // Windows that lie in the zeros alone.
        ("AveragePool", ended(average, "Identity", vec![]), vec![1, 4, 5]),
        ("Add", ended(function, "Identity", vec![]), vec![1, 4, 6]),
        ("bipolar weights", bipolar, vec![1, 4, 6]),
    ] {
        let imported = checked(&s);
        let network = &imported.network;
        assert_eq!(network.tensor(network.output).shape, shape, "{name}");
        let zeros = network.layers.iter().find(|l| l.node.starts_with("Pad")).unwrap_or_else(|| panic!("{name}"));
        let Op::Conv(conv) = &zeros.op else { panic!("{name}: {:?}", zeros.op) };
        assert_eq!((network.tensor(zeros.output).shape.as_slice(), conv.groups), (&[1, 4, 6][..], 1), "{name}");
        let image = [[1, -2, 3, -4], [-3, 2, 1, 0], [2, 3, -4, 1]];
        for (i, j) in (0..4usize).flat_map(|i| (0..6).map(move |j| (i, j))) {
            let pixel = i.checked_sub(1).and_then(|i| image.get(i)).and_then(|row| row.get(j));
            assert_eq!(output(conv, &image, i, j), pixel.copied().unwrap_or(0), "{name}: {i}, {j}");
        }
    }
    // Two readers share the layer.
    let mut s = signed(pads);
    let padded = s.last().to_owned();
    s.node("Relu", &["@"], vec![]);
    s.quant(QuantSpec::new(2, false, &1.0));
    let other = s.last().to_owned();
    s.node("Concat", &[&padded, &other, &padded], vec![int("axis", 1)]);
    let one = s.weights(&[1, 3, 1, 1], &[1.0; 3], QuantSpec::new(2, true, &1.0));
    s.node("Conv", &["@", &one], vec![]);
    let imported = checked(&s);
    let pads = imported.network.layers.iter().filter(|l| matches!(&l.op, Op::Conv(c) if c.weights.ncols() > 3)).count();
    assert_eq!(pads, 2, "one of the codes, one behind the second quantizer");
}

#[test]
fn scales_that_differ_inside_a_channel_are_refused() {
    let mut s = Sequence::new(&[1, 1, 2, 2]);
    s.quant(QuantSpec::new(3, true, &1.0));
    let scales = s.floats(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    s.node("Mul", &["@", &scales], vec![]);
    pad(&mut s, [1, 0, 0, 1]);
    s.node("Flatten", &["@"], vec![]);
    s.matmul(&[9, 1], &[1.0; 9], QuantSpec::new(2, true, &1.0));
    let text = import(&s).unwrap_err().to_string();
    assert!(text.contains("node 'Flatten_t3' (Flatten): it reads 1 channels, inside which scales differ"), "{text}");
}

#[test]
fn zeros_without_a_code_are_refused() {
    let mut s = Sequence::new(&[1, 1, 3, 4]);
    s.quant(QuantSpec::new(1, true, &1.0));
    pad(&mut s, [1, 1, 1, 1]);
    s.node("Flatten", &["@"], vec![]);
    s.matmul(&[30, 1], &[1.0; 30], QuantSpec::new(2, true, &1.0));
    let text = import(&s).unwrap_err().to_string();
    assert!(text.contains("node 'Flatten_t2' (Flatten): it pads bipolar codes, none of which is 0"), "{text}");
}

#[test]
fn a_change_of_layout_carries_the_zeros_of_a_pad() {
    for channels in [1, 2] {
        let (mut s, each) = (padded(&[1, channels, 3, 4], [1, 2, 0, 1]), channels as usize);
        s.node("Transpose", &["@"], vec![ints_attribute("perm", &[0, 2, 3, 1])]);
        s.quant(QuantSpec::new(2, false, &1.0));
        let values: Vec<f32> = (0..4 * each).map(|n| (n % 4) as f32 - 2.0).collect();
        let last = s.weights(&[1, 2, 2, channels], &values, QuantSpec::new(3, true, &1.0));
        let data = s.last().to_owned();
        let mut conv = node("Conv", &[&data, &last], "y", vec![ints_attribute("kernel_shape", &[2, 2])]);
        conv.domain = "qonnx.custom_op.channels_last".into();
        s.push(conv);
        s.node("Transpose", &["@"], vec![ints_attribute("perm", &[0, 3, 1, 2])]);

        let mut plain = padded(&[1, channels, 3, 4], [1, 2, 0, 1]);
        plain.quant(QuantSpec::new(2, false, &1.0));
        let first: Vec<f32> = (0..4 * each).map(|n| values[n % 4 * each + n / 4]).collect();
        let first = plain.weights(&[1, channels, 2, 2], &first, QuantSpec::new(3, true, &1.0));
        plain.node("Conv", &["@", &first], vec![]);
        let [ours, theirs] = [checked(&s), checked(&plain)];
        assert_eq!(convolutions(&ours), convolutions(&theirs));
        assert_eq!(ours.network.tensor(ours.network.output).shape, [1, 3, 6]);
    }
    // Zeros that were put around other axes than height and width.
    let mut s = padded(&[1, 3, 4, 1], [1, 0, 1, 0]);
    let last = s.weights(&[1, 2, 2, 1], &[1.0; 4], QuantSpec::new(3, true, &1.0));
    let data = s.last().to_owned();
    let mut conv = node("Conv", &[&data, &last], "y", vec![ints_attribute("kernel_shape", &[2, 2])]);
    conv.domain = "qonnx.custom_op.channels_last".into();
    s.push(conv);
    let text = import(&s).unwrap_err().to_string();
    assert!(text.contains("it reads what Pad 'Pad_t1' has enlarged"), "{text}");
}

/// Where a Pad's zeros are carried on by functions, their ONNX tensor is the one with zeros; what stands for it without them has a
/// name of its own.
#[test]
fn each_tensor_has_a_name_of_its_own() {
    let mut s = padded(&[1, 1, 3, 4], [1, 1, 1, 1]);
    let zeros = s.last().to_owned();
    s.node("Relu", &["@"], vec![]);
    s.quant(QuantSpec::new(3, false, &2.0));
    let behind = s.last().to_owned();
    s.node("Concat", &["@", &zeros], vec![int("axis", 1)]);
    let ones = s.weights(&[1, 2, 1, 1], &[1.0, 1.0], QuantSpec::new(2, true, &1.0));
    s.node("Conv", &["@", &ones], vec![]);
    let imported = checked(&s);
    let shape = |name: &str| {
        let of: Vec<_> = imported.network.tensors.iter().filter(|t| t.name == name).collect();
        assert_eq!(of.len(), 1, "{name}");
        of[0].shape.clone()
    };
    assert_eq!((shape(&zeros), shape(&behind)), (vec![1, 5, 6], vec![1, 5, 6]));
    assert_eq!(shape(&format!("{behind} without the zeros of Pad_t1")), [1, 3, 4]);
}
