//! Accuracy against accumulator width on MNIST: 784-64-64-64-10, 4-bit weights, activations and input, Adam, batches of 256, all methods from the same float
//! network. `SNUG_ZOO=FOLDER make bench-mnist` prints a line for each network as it is done, and the table's cells; what is done is kept in `target/mnist`, and not
//! done again.

use trainer::TrainError;

mod mnist_table;
#[path = "mnist_table/perceptron.rs"]
mod perceptron;

use mnist_table::{Row, Table};
use perceptron::PERCEPTRON;

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

fn main() -> Result<(), TrainError> {
    let table = Table {
        folder: "mnist",
        methods: &METHODS,
        bits: "14,13,12,11,10,9,8,7",
        network: PERCEPTRON,
        accumulator: "",
        epochs: [8, 8, 3],
    };
    table.run()
}
