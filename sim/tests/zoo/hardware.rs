//! Convolutional networks in hardware: Verilator against the cycle engine, beat by beat and cycle by cycle, and both against
//! golden.
//!
//! A few images each; `SNUG_IMAGES=20` runs more. Inner streams are compared for the first image.

use generator::dataflow::{Dataflow, Output};
use generator::lower::{LowerOptions, lower};
use ndarray::{Array2, ArrayView2, s};
use quantizer::import::{ImportOptions, Imported, import};
use quantizer::network::Network;
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::stall::Stall;
use sim::tools::{Tool, find};
use sim::verilator::{Mode, RunOptions};
use sim::{cycle, fifo, golden};

use crate::data::{mnist, model, zoo};

fn images() -> usize {
    std::env::var("SNUG_IMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

fn design(network: &Network, output: Output) -> Dataflow {
    let mut dataflow = lower(network, &LowerOptions { output, ..LowerOptions::default() }).unwrap();
    fifo::size(&mut dataflow).unwrap();
    dataflow
}

/// What leaves the hardware, by golden.
fn expected(network: &Network, output: Output, x: ArrayView2<i64>) -> Array2<i64> {
    let logits = golden::run(network, x).unwrap();
    match output {
        Output::Logits => logits,
        Output::Label => {
            let classes = golden::label(logits.view(), network.label_grid.as_ref().unwrap());
            Array2::from_shape_fn((classes.len(), 1), |(i, _)| classes[i] as i64)
        }
    }
}

fn cosimulate(name: &str, network: &Network, output: Output, x: ArrayView2<i64>) {
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    let dataflow = design(network, output);
    let truth = expected(network, output, x);
    let folder = tempfile::tempdir().unwrap();
    for (monitor, frames) in [(true, 1), (false, x.nrows())] {
        if !monitor && frames == 1 {
            break;
        }
        let x = x.slice(s![..frames, ..]);
        let options = CompileOptions { monitor, jobs: 2, mode: Mode::default(), ..Default::default() };
        let compiled = Compiled::new(&tool, &dataflow, &folder.path().join(frames.to_string()), options).unwrap();
        for stall in Stall::all(7) {
            let options = cycle::Options { stall, record: monitor, ..Default::default() };
            let ours = cycle::run(&dataflow, x, &options).unwrap();
            assert_eq!(ours.trapped, 0, "{name}: {:?}", ours.traps.first());
            let (run, result) = compiled.run(x, &RunOptions { stall, seed: 3, ..RunOptions::new(0) }).unwrap();
            assert_eq!(difference(&dataflow, &ours, &run).map(|d| d.to_string()), None, "{name}, {stall:?}");
            assert_eq!(result, truth.slice(s![..frames, ..]), "{name}, {stall:?}");
            if let (Stall::NONE, true) = (stall, frames > 2) {
                assert_eq!(ours.interval(&dataflow), Some(dataflow.interval()), "{name}");
            }
        }
        eprintln!("{name}: {frames} frames, four stall patterns, inner streams {monitor}: equal");
    }
}

fn on_mnist(name: &str) -> Option<(Imported, Array2<i64>, Vec<usize>)> {
    let imported = model(&format!("{name}.onnx"), Some("u8/255"))?;
    let (inputs, labels) = mnist(&imported)?;
    Some((imported, inputs, labels))
}

#[test]
fn brevitas_cnn() {
    let Some((imported, x, _)) = on_mnist("brevitas_cnn_w4a4") else { return };
    cosimulate("brevitas_cnn", &imported.network, Output::Label, x.slice(s![..images(), ..]));
}

#[test]
fn brevitas_res() {
    let Some((imported, x, _)) = on_mnist("brevitas_res_w4a4") else { return };
    cosimulate("brevitas_res", &imported.network, Output::Label, x.slice(s![..images(), ..]));
}

#[test]
fn the_label_output_counts_right() {
    // By the cycle engine; `SNUG_IMAGES=10000` counts the whole test set.
    for (name, all) in [("brevitas_cnn_w4a4", 9775), ("brevitas_res_w4a4", 9213)] {
        let Some((imported, x, labels)) = on_mnist(name) else { return };
        let frames = (40 * images()).min(x.nrows());
        let x = x.slice(s![..frames, ..]);
        let run = cycle::run(&design(&imported.network, Output::Label), x, &cycle::Options::default()).unwrap();
        assert_eq!(run.result, expected(&imported.network, Output::Label, x));
        let right = run.result.iter().zip(&labels).filter(|&(&class, &label)| class == label as i64).count();
        eprintln!("{name}: {right} of {frames} right at the label output");
        assert!(frames < 10_000 || right == all, "{right}");
    }
}

#[test]
fn the_rtl_label_counts_right() {
    // By Verilator, without stalls: minutes for the whole test set, so that it runs where it is asked for.
    let Some(frames) = std::env::var("SNUG_RTL_IMAGES").ok().and_then(|n| n.parse::<usize>().ok()) else {
        eprintln!("SKIPPED: SNUG_RTL_IMAGES=10000 counts the test set in Verilator");
        return;
    };
    let Ok(tool) = find(Tool::Verilator) else {
        eprintln!("SKIPPED: verilator is not installed (apt-get install verilator)");
        return;
    };
    for (name, all) in [("brevitas_cnn_w4a4", 9775), ("brevitas_res_w4a4", 9213)] {
        let Some((imported, x, labels)) = on_mnist(name) else { return };
        let frames = frames.min(x.nrows());
        let folder = tempfile::tempdir().unwrap();
        let dataflow = design(&imported.network, Output::Label);
        let options = CompileOptions { jobs: 2, mode: Mode::default(), ..Default::default() };
        let compiled = Compiled::new(&tool, &dataflow, folder.path(), options).unwrap();
        let x = x.slice(s![..frames, ..]);
        let (run, result) = compiled.run(x, &RunOptions::new(0)).unwrap();
        let right = result.iter().zip(&labels).filter(|&(&class, &label)| class == label as i64).count();
        eprintln!("{name}: {right} of {frames} right at the label output of the Verilog, {} cycles", run.cycles);
        assert_eq!(result, expected(&imported.network, Output::Label, x));
        assert!(frames < 10_000 || right == all, "{right}");
    }
}

#[test]
fn espcn_tile() {
    let Some(path) = zoo("models/espcn_subpixel_w4a4_a2q.onnx") else { return };
    let options = ImportOptions { input_type: Some("u8/255".parse().unwrap()), input_shape: Some(vec![3, 32, 32]) };
    let network = import(&path, &options).unwrap().network;
    // A tile with edges and every grey value.
    let x = Array2::from_shape_fn((1, 3 * 32 * 32), |(_, i)| {
        let (c, y, x) = (i / 1024, i / 32 % 32, i % 32);
        ((x * 8 + y * (3 + c) + 255 * usize::from((x / 5 + y / 7) % 3 == 0)) % 256) as i64
    });
    cosimulate("espcn 32x32", &network, Output::Logits, x.view());
}
