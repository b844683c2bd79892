//! Networks of the perceptron's table as hardware: the dataflow of each, clock by clock, over all 10,000 test images, against golden.
//! `SNUG_ZOO=FOLDER make bench-mnist-hardware`; trains what `target/mnist` does not hold yet (sign-split, one seed, as `make bench-mnist` does).

use std::time::Instant;

use generator::dataflow::Output;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::import::{ImportOptions, import};
use sim::{cycle, golden};
use trainer::TrainError;
use trainer::trained::codes;

mod mnist_table;
#[path = "mnist_table/perceptron.rs"]
mod perceptron;

use mnist_table::{Table, folder, list, mnist};
use perceptron::PERCEPTRON;

fn main() -> Result<(), TrainError> {
    let table = Table {
        folder: "mnist",
        methods: &[("sign-split-4e-3", "sign-split", "none", 4e-3)],
        bits: "14,13,12,11,10,9,8,7",
        network: PERCEPTRON,
        accumulator: "",
        epochs: [8, 8, 1],
    };
    table.run()?;
    let Some((_, test)) = mnist()? else { return Ok(()) };
    let folder = folder(table.folder)?;
    let number = |name: &str, default: u64| list(name, "")[0].parse::<u64>().unwrap_or(default);
    let [float_epochs, epochs, seeds] = table.epochs;
    let (float_epochs, epochs) = (number("SNUG_FLOAT_EPOCHS", float_epochs), number("SNUG_EPOCHS", epochs));
    let fault = |reason: String| TrainError::Export(reason);
    println!("| P | right of {} | cycle engine | interval | latency | accumulators |", test.count());
    for bits in list("SNUG_BITS", table.bits) {
        for seed in 0..number("SNUG_SEEDS", seeds) {
            let path = folder.join(format!("{}-{bits}-{seed}-{epochs}-{float_epochs}.onnx", table.methods[0].0));
            let imported = import(&path, &ImportOptions::default()).map_err(|e| fault(e.to_string()))?;
            let network = &imported.network;
            let first = imported.first_quant.as_ref().ok_or_else(|| fault("no first quantizer".into()))?;
            let inputs = codes(first, &test);
            let expected = golden::run(network, inputs.view()).map_err(|e| fault(e.to_string()))?;
            let grid = network.label_grid.as_ref().map_err(|reason| fault(reason.clone()))?;
            let labels = golden::label(expected.view(), grid);
            let right = labels.iter().zip(test.labels()).filter(|(a, b)| a == b).count();
            let options = LowerOptions { folding: FoldingRequest::Interval(64), top: None, output: Output::Logits };
            let dataflow = lower(network, &options).map_err(|e| fault(e.to_string()))?;
            let start = Instant::now();
            let run =
                cycle::run(&dataflow, inputs.view(), &cycle::Options::default()).map_err(|e| fault(e.to_string()))?;
            if run.trapped > 0 || run.result != expected {
                return Err(fault(format!("P = {bits}, seed {seed}: the cycle engine differs from golden")));
            }
            println!(
                "| {bits} | {right} | equal to golden in {} cycles, no trap, {:.1} s | {} | {} | at most {bits} bits |",
                run.cycles,
                start.elapsed().as_secs_f64(),
                run.interval(&dataflow).unwrap_or(0),
                run.latency(&dataflow).unwrap_or(0),
            );
        }
    }
    Ok(())
}
