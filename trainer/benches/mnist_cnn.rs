//! Accuracy against accumulator width on MNIST for a small convolutional network: 8 and 16 channels of 3 x 3 with a pooling behind each, 16 channels of 3 x 3, and
//! a dense layer; 4-bit weights and activations. The first layer reads pixels of 8 bits with weights of 8 bits and is left alone; every other layer keeps to the
//! width. `SNUG_ZOO=FOLDER make bench-mnist-cnn`; see the perceptron's table for what can be chosen.

use trainer::TrainError;

mod mnist_table;

use mnist_table::{Network, Row, Table};

const METHODS: [Row; 6] = [
    ("unconstrained", "unconstrained", "none", 1e-3),
    ("a2q-ep", "a2q", "paper", 1e-3),
    ("a2q+-ep", "a2q+", "paper", 1e-3),
    ("a2q+-ep-4e-3", "a2q+", "paper", 4e-3),
    ("sign-split", "sign-split", "none", 1e-3),
    ("sign-split-4e-3", "sign-split", "none", 4e-3),
];

const NETWORK: Network = Network {
    layers: "layers = [
        {type = 'conv', outputs = 8, kernel = 3, padding = 1}, {type = 'batch_norm'}, {type = 'relu'}, {type = 'max_pool', kernel = 2},
        {type = 'conv', outputs = 16, kernel = 3, padding = 1}, {type = 'batch_norm'}, {type = 'relu'}, {type = 'max_pool', kernel = 2},
        {type = 'conv', outputs = 16, kernel = 3}, {type = 'batch_norm'}, {type = 'relu'},
        {type = 'dense', outputs = 10},
    ]",
    types: "input = [1, 28, 28]\nweight_bits = [8, 4, 4, 8]\nactivation_bits = 4\ninput_bits = 8",
};

fn main() -> Result<(), TrainError> {
    let table = Table {
        folder: "mnist-cnn",
        methods: &METHODS,
        bits: "16,14,12,11,10,9",
        network: NETWORK,
        accumulator: "keep = ['first']",
        epochs: [1, 2, 1],
    };
    table.run()
}
