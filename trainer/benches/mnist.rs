//! Accuracy against accumulator width on MNIST: 784-64-64-64-10, 4-bit weights, activations and input, Adam, batches of 256, all methods from the same float
//! network. `SNUG_ZOO=FOLDER make bench-mnist` prints a line for each network as it is done, and the table's cells; what is done is kept in `target/mnist`, and not
//! done again.

use trainer::TrainError;

mod mnist_table;
#[path = "mnist_table/perceptron.rs"]
mod perceptron;

fn main() -> Result<(), TrainError> {
    perceptron::TABLE.run()
}
