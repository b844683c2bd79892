//! The whole MNIST test set through golden and through the cycle engine at FINN's folding.

use std::time::Instant;

use sim::{cycle, golden};

use crate::data::{TFC, folded, mnist, model};

fn right(labels: &[usize], expected: &[usize]) -> usize {
    labels.iter().zip(expected).filter(|(a, b)| a == b).count()
}

fn check(name: &str, expected: usize) {
    let Some(imported) = model(name, None) else { return };
    let Some((inputs, labels)) = mnist(&imported) else { return };
    let network = &imported.network;

    let start = Instant::now();
    let outputs = golden::run(network, inputs.view()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let classes = golden::label(outputs.view(), network.label_grid.as_ref().unwrap());
    eprintln!("{name}: golden {} of 10,000 right in {seconds:.2} s", right(&classes, &labels));
    assert_eq!(right(&classes, &labels), expected);

    let dataflow = folded(network, &TFC);
    let start = Instant::now();
    let run = cycle::run(&dataflow, inputs.view(), &cycle::Options::default()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let (interval, latency) = (run.interval(&dataflow).unwrap(), run.latency(&dataflow).unwrap());
    eprintln!(
        "{name}: cycle engine {} cycles in {seconds:.2} s, interval {interval}, latency {latency}, {:.0} k cycles/s",
        run.cycles,
        run.cycles as f64 / seconds / 1e3
    );
    assert_eq!(run.trapped, 0, "{}", run.traps[0]);
    assert_eq!(run.result, outputs);
    assert!(interval <= 64);
    let classes = golden::label(run.result.view(), network.label_grid.as_ref().unwrap());
    assert_eq!(right(&classes, &labels), expected);
}

#[test]
fn tfc_2w2a() {
    check("TFC_2W2A.onnx", 9_660);
}

#[test]
fn tfc_1w2a() {
    check("TFC_1W2A.onnx", 9_474);
}
