//! The perceptron that is trained by all methods, and taken to hardware.

use super::mnist_table::{Network, Row, Table};

const METHODS: [Row; 8] = [
    ("unconstrained", "unconstrained", "none", 1e-3),
    ("a2q", "a2q", "none", 1e-3),
    ("a2q-ep", "a2q", "paper", 1e-3),
    ("a2q+", "a2q+", "none", 1e-3),
    ("a2q+-ep", "a2q+", "paper", 1e-3),
    ("a2q+-ep-centred", "a2q+", "centred", 1e-3),
    ("sign-split", "sign-split", "none", 1e-3),
    ("sign-split-4e-3", "sign-split", "none", 4e-3),
];

/// 784-64-64-64-10 with 4-bit weights, activations and input.
pub const TABLE: Table = Table {
    folder: "mnist",
    methods: &METHODS,
    bits: "14,13,12,11,10,9,8,7",
    network: Network {
        layers: "",
        types: "hidden = [64, 64, 64]\nweight_bits = 4\nactivation_bits = 4\ninput_bits = 4",
    },
    accumulator: "",
    epochs: [8, 8, 3],
};
