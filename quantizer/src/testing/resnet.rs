//! A network of the size that people deploy: ResNet-18 with random weights.

use super::Random;
use crate::onnx::build::{int, ints_attribute};
use crate::onnx::sequence::{QuantSpec, Sequence};

/// A QONNX file in the shape of ResNet-18 (He et al. 2016) for images of `size` x `size`, RGB: 4-bit weights and activations, 8 bits in
/// the stem, at the global average and on the pins; random weights, the same for the same seed. Full size is `resnet18(seed, 64, 224,
/// 1000)`: 11.7 million weights.
///
/// `width` is the number of channels of the first stage; each of the other three doubles it.
pub fn resnet18(seed: u64, width: i64, size: i64, classes: i64) -> Vec<u8> {
    let mut net = Net { s: Sequence::new(&[1, 3, size, size]), random: Random::new(seed) };
    net.s.quant(QuantSpec::new(8, false, &(1.0 / 255.0)));
    net.convolution([3, width, 7, 2], 8);
    net.activation();
    net.s.node(
        "MaxPool",
        &["@"],
        vec![
            ints_attribute("kernel_shape", &[3, 3]),
            ints_attribute("strides", &[2, 2]),
            ints_attribute("pads", &[1, 1, 1, 1]),
        ],
    );
    let mut channels = width;
    for stage in 0..4 {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            net.block(channels, width << stage, stride);
            channels = width << stage;
        }
    }
    net.s.node("GlobalAveragePool", &["@"], vec![]);
    net.s.quant(QuantSpec::new(8, false, &(1.0 / 64.0)));
    net.s.node("Flatten", &["@"], vec![int("axis", 1)]);
    let codes = net.codes(channels * classes, 4);
    net.s.matmul(&[channels, classes], &codes, QuantSpec { narrow: true, ..QuantSpec::new(4, true, &WEIGHT) });
    net.s.bytes(&[1, classes])
}

/// Scale of all weights.
const WEIGHT: f32 = 1.0 / 16.0;
/// Scale of all activations of 4 bits.
const ACTIVATION: f32 = 0.25;

struct Net {
    s: Sequence,
    random: Random,
}

impl Net {
    /// Weights: narrow codes of `bits` bits, small ones more often, times their scale.
    fn codes(&mut self, count: i64, bits: u32) -> Vec<f32> {
        let most = (1i64 << (bits - 1)) - 1;
        let third = (most / 3).max(1);
        // The sum of three draws is about normal.
        (0..count).map(|_| (0..3).map(|_| self.random.within(-third, third)).sum::<i64>() as f32 * WEIGHT).collect()
    }

    /// Convolution and batch normalization on the last output: input and output channels, kernel, stride.
    fn convolution(&mut self, [from, to, kernel, stride]: [i64; 4], bits: u32) {
        let codes = self.codes(from * to * kernel * kernel, bits);
        let spec = QuantSpec { narrow: true, ..QuantSpec::new(bits, true, &WEIGHT) };
        let weights = self.s.weights(&[to, from, kernel, kernel], &codes, spec);
        let around = [kernel / 2; 4];
        self.s.node(
            "Conv",
            &["@", &weights],
            vec![
                ints_attribute("kernel_shape", &[kernel, kernel]),
                ints_attribute("strides", &[stride, stride]),
                ints_attribute("pads", &around),
            ],
        );
        let mut parameter =
            |lo: i64, hi: i64| -> Vec<f32> { (0..to).map(|_| self.random.within(lo, hi) as f32 / 64.0).collect() };
        // What such sums have for a standard deviation, so that activations use their codes.
        let deviation = WEIGHT * (1 << (bits - 2)) as f32 * ((from * kernel * kernel) as f32).sqrt();
        let parameters =
            [parameter(32, 96), parameter(-64, 64), parameter(0, 0), vec![deviation * deviation; to as usize]];
        let names = parameters.map(|values| self.s.floats(&[to], &values));
        let [scale, bias, mean, variance] = &names;
        self.s.node("BatchNormalization", &["@", scale, bias, mean, variance], vec![]);
    }

    fn activation(&mut self) {
        self.s.node("Relu", &["@"], vec![]);
        self.s.quant(QuantSpec::new(4, false, &ACTIVATION));
    }

    fn signed(&mut self) {
        self.s.quant(QuantSpec::new(4, true, &ACTIVATION));
    }

    /// Two convolutions beside a shortcut, which is a convolution too where the size changes.
    fn block(&mut self, from: i64, to: i64, stride: i64) {
        let input = self.s.last().to_owned();
        self.convolution([from, to, 3, stride], 4);
        self.activation();
        self.convolution([to, to, 3, 1], 4);
        self.signed();
        let main = self.s.last().to_owned();
        let shortcut = if (from, stride) == (to, 1) {
            input
        } else {
            self.s.resume(&input);
            self.convolution([from, to, 1, stride], 4);
            self.signed();
            self.s.last().to_owned()
        };
        self.s.node("Add", &[&main, &shortcut], vec![]);
        self.activation();
    }
}
