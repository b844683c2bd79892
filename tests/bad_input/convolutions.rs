//! Convolutional networks that are refused: what is wrong, where, and what would be accepted.

use quantizer::onnx::build::{int, ints_attribute, text};
use quantizer::onnx::proto::AttributeProto;
use quantizer::onnx::sequence::{QuantSpec, Sequence};

use super::{Place, refused, says};

/// A quantized image, and a convolution with weights of this shape.
fn convolution(input: &[i64], weights: [i64; 4], attributes: Vec<AttributeProto>) -> Sequence {
    let mut s = Sequence::new(input);
    s.quant(QuantSpec::new(4, false, &0.25));
    convolve(&mut s, weights, attributes);
    s
}

fn convolve(s: &mut Sequence, weights: [i64; 4], attributes: Vec<AttributeProto>) {
    let values = vec![1.0; weights.iter().product::<i64>() as usize];
    let weights = s.weights(&weights, &values, QuantSpec::new(2, true, &1.0));
    s.node("Conv", &["@", &weights], attributes);
}

#[test]
fn kernel_larger_than_the_padded_image() {
    says(
        refused(&convolution(&[1, 2, 4, 6], [3, 2, 5, 5], vec![]).bytes(&[1, 3, 1, 2])),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Conv_t2' (Conv): its window spans [5, 5], more than the padded image of [4, 6]
  │      check the graph's shapes, or give the input's with --input-shape",
    );
}

#[test]
fn groups_that_do_not_divide() {
    let group = |g| vec![int("group", g)];
    says(
        refused(&convolution(&[1, 6, 4, 4], [8, 3, 3, 3], group(4)).bytes(&[1, 8, 2, 2])),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Conv_t2' (Conv): its 4 groups do not divide 6 input channels and 8 output channels
  │      with weights [8, 3, 3, 3] and 6 input channels it must be group = 2",
    );
    says(
        refused(&convolution(&[1, 6, 4, 4], [8, 4, 3, 3], group(3)).bytes(&[1, 8, 2, 2])),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Conv_t2' (Conv): its 3 groups do not divide 6 input channels and 8 output channels
  │      groups that divide both are 1, 2; weights have the input channels of one group, here 4",
    );
}

#[test]
fn unsupported_auto_pad() {
    let same = || vec![text("auto_pad", "SAME")];
    says(
        refused(&convolution(&[1, 2, 4, 6], [3, 2, 3, 3], same()).bytes(&[1, 3, 4, 6])),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Conv_t2' (Conv): its auto_pad 'SAME' is unknown
  │      use NOTSET with pads, VALID, SAME_UPPER or SAME_LOWER",
    );
    let both = vec![text("auto_pad", "SAME_UPPER"), ints_attribute("pads", &[1, 1, 1, 1])];
    says(
        refused(&convolution(&[1, 2, 4, 6], [3, 2, 3, 3], both).bytes(&[1, 3, 4, 6])),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Conv_t2' (Conv): it has both auto_pad 'SAME_UPPER' and pads [1, 1, 1, 1], which ONNX forbids
  │      use auto_pad NOTSET with the pads, or take them out",
    );
}

#[test]
fn dynamic_dimensions_beside_the_batch() {
    let place = Place::new(&convolution(&[0, 0, 0, 0], [2, 3, 3, 3], vec![]).bytes(&[0, 2, 0, 0]));
    says(place.refusal(&["-o", "out"]), "
snug::import::graph

  × 'net.onnx': dimensions 1, 2 and 3 of input 'x' are dynamic; give the shape with --input-shape, for example --input-shape 3,32,32");
    // What the message proposes works.
    let output = place.snug(&["generate", "net.onnx", "-o", "out", "--input-shape", "3,32,32"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let place = Place::new(&convolution(&[0, 3, 0, 0], [2, 3, 3, 3], vec![]).bytes(&[0, 2, 0, 0]));
    says(
        place.refusal(&["-o", "out", "--input-shape", "32,8,8"]),
        "
snug::import::graph

  × 'net.onnx': the input shape given is [32, 8, 8], but input 'x' is [?, 3, ?, ?] in the file (? takes any size)",
    );
}

#[test]
fn residual_whose_branches_disagree() {
    let branches = |strides: [i64; 2], scales: [f32; 2]| {
        let mut s = Sequence::new(&[1, 2, 4, 4]);
        s.quant(QuantSpec::new(4, false, &0.25));
        let start = s.last().to_owned();
        let ends: Vec<String> = (0..2)
            .map(|b| {
                s.resume(&start);
                convolve(&mut s, [3, 2, 1, 1], vec![ints_attribute("strides", &[strides[b]; 2])]);
                s.quant(QuantSpec::new(4, false, &scales[b]));
                s.last().to_owned()
            })
            .collect();
        s.node("Add", &[&ends[0], &ends[1]], vec![]);
        refused(&s.bytes(&[1, 3, 4, 4]))
    };
    says(branches([1, 2], [0.5, 0.5]), "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Add_t7' (Add): its branches disagree: branch 0 ('t3') has shape [1, 3, 4, 4], branch 1 ('t6') [1, 3, 2, 2]
  │      both branches of a residual need one shape; check strides and paddings");
    says(branches([1, 1], [0.5, 0.312_345]), "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 't7' (output): it reads 'Add_t7' (Add): the scales of its branches have no common grid: branch 0 ('t3') has 0.5, branch 1 ('t6') has 0.3123449981212616, and no quantizer follows
  │      put a Quant node right behind the sum, or share one quantizer between the branches (Brevitas: one QuantIdentity in front of both inputs of the Add)");
}
