//! The perceptron that is trained, and taken to hardware.

use super::mnist_table::Network;

/// 784-64-64-64-10 with 4-bit weights, activations and input.
pub const PERCEPTRON: Network =
    Network { layers: "", types: "hidden = [64, 64, 64]\nweight_bits = 4\nactivation_bits = 4\ninput_bits = 4" };
