//! Networks of the perceptron's table as hardware: the dataflow of each, clock by clock, over all 10,000 test images, against golden.
//! `SNUG_ZOO=FOLDER make bench-mnist-hardware`; trains what `target/mnist` does not hold yet, as `make bench-mnist` does.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use generator::dataflow::Output;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::import::{ImportOptions, import};
use sim::{cycle, golden};
use trainer::TrainError;
use trainer::samples::Samples;
use trainer::trained::codes;

mod mnist_table;
#[path = "mnist_table/perceptron.rs"]
mod perceptron;

use mnist_table::{folder, mnist};
use perceptron::TABLE;

fn main() -> Result<(), TrainError> {
    TABLE.run()?;
    let Some((_, test)) = mnist()? else { return Ok(()) };
    let (folder, names) = (folder(TABLE.folder)?, TABLE.names());
    println!("| network, width, seed, epochs | right of {} | cycle engine | interval | latency |", test.count());
    let next = AtomicUsize::new(0);
    // Until there are no more; the first that is not equal ends its thread, and the run.
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            println!("{}", clock_by_clock(&folder.join(format!("{name}.onnx")), name, &test)?);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let panicked = |_| Err(TrainError::Export("a thread panicked".into()));
        all.into_iter().try_for_each(|t| t.join().unwrap_or_else(panicked))
    })?;
    println!("{} networks equal to golden", names.len());
    Ok(())
}

/// A row of the table; an error if any result differs, or an accumulator overflowed.
fn clock_by_clock(path: &Path, name: &str, test: &Samples) -> Result<String, TrainError> {
    let fault = |reason: String| TrainError::Export(format!("{name}: {reason}"));
    let imported = import(path, &ImportOptions::default()).map_err(|e| fault(e.to_string()))?;
    let network = &imported.network;
    let first = imported.first_quant.as_ref().ok_or_else(|| fault("no first quantizer".into()))?;
    let inputs = codes(first, test);
    let expected = golden::run(network, inputs.view()).map_err(|e| fault(e.to_string()))?;
    let grid = network.label_grid.as_ref().map_err(|reason| fault(reason.clone()))?;
    let labels = golden::label(expected.view(), grid);
    let right = labels.iter().zip(test.labels()).filter(|(a, b)| a == b).count();
    let options = LowerOptions { folding: FoldingRequest::Interval(64), top: None, output: Output::Logits };
    let dataflow = lower(network, &options).map_err(|e| fault(e.to_string()))?;
    let start = Instant::now();
    let run = cycle::run(&dataflow, inputs.view(), &cycle::Options::default()).map_err(|e| fault(e.to_string()))?;
    if run.trapped > 0 || run.result != expected {
        return Err(fault("the cycle engine differs from golden".into()));
    }
    Ok(format!(
        "| {name} | {right} | equal to golden in {} cycles, no trap, {:.1} s | {} | {} |",
        run.cycles,
        start.elapsed().as_secs_f64(),
        run.interval(&dataflow).unwrap_or(0),
        run.latency(&dataflow).unwrap_or(0),
    ))
}
