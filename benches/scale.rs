//! Convolutional networks at scale: `make scale`.
//!
//! * Queue depths of brevitas_cnn, brevitas_res and espcn at about 100 thousand cycles a frame, where `SNUG_ZOO` names a folder with `models/`.
//! * For the same, and for a network in the shape of ResNet-18 for images of 224 x 224: the cycles of a frame by formula and by
//!   simulation, module by module.
//! * That network from ONNX to a written folder by the command line, with its time and its peak memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use generator::dataflow::Dataflow;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::import::{ImportOptions, import};
use quantizer::network::Network;

fn main() {
    match std::env::var_os("SNUG_ZOO").map(PathBuf::from) {
        Some(zoo) => {
            for (name, tile, interval) in [
                ("brevitas_cnn_w4a4", None, 100_000),
                ("brevitas_res_w4a4", None, 100_000),
                // A tile whose slowest window, of 5 x 5 places, takes 102,400 cycles.
                ("espcn_subpixel_w4a4_a2q", Some(64), 102_400),
            ] {
                let input_shape = tile.map(|size| vec![3, size, size]);
                let input_type = tile.map(|_| "u8/255".parse().unwrap());
                let options = ImportOptions { input_type, input_shape };
                let network = import(&zoo.join(format!("models/{name}.onnx")), &options).unwrap().network;
                sized(name, &network, FoldingRequest::Interval(interval));
            }
        }
        None => eprintln!("SKIPPED: brevitas_cnn, brevitas_res and espcn; set SNUG_ZOO"),
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resnet18.onnx");
    std::fs::write(&file, quantizer::testing::resnet18(1, 64, 224, 1000)).unwrap();
    command_line(&file, &folder.path().join("out"));
    let network = import(&file, &ImportOptions::default()).unwrap().network;
    sized("resnet18", &network, FoldingRequest::Default);
}

/// Sizes the queues, runs a frame of handshakes, and prints the table.
fn sized(name: &str, network: &Network, folding: FoldingRequest) {
    let mut dataflow = lower(network, &LowerOptions { folding, ..LowerOptions::default() }).unwrap();
    let start = Instant::now();
    sim::fifo::size(&mut dataflow).unwrap();
    let queues = start.elapsed();
    let input = ndarray::Array2::zeros((1, dataflow.input().elements()));
    let start = Instant::now();
    let tokens = sim::cycle::Options { values: false, ..Default::default() };
    let run = sim::cycle::run(&dataflow, input.view(), &tokens).unwrap();
    let frame = start.elapsed();
    println!(
        "{name}: {} modules, interval {}, latency {} cycles; queues sized in {}, a frame of handshakes in {}",
        dataflow.modules.len(),
        dataflow.interval(),
        run.latency(&dataflow).unwrap(),
        seconds(queues),
        seconds(frame)
    );
    table(&dataflow);
}

/// Cycles of a frame by formula and by simulation, module by module.
fn table(dataflow: &Dataflow) {
    println!("{:>24} {:>28} {:>10} {:>10}", "layer", "module", "formula", "simulated");
    for module in &dataflow.modules {
        let formula = module.cycles(dataflow);
        let simulated = sim::alone::interval(dataflow, module).unwrap();
        assert_eq!(simulated, Some(formula), "{}", module.name);
        println!("{:>24} {:>28} {formula:>10} {:>10}", module.layer, module.name, simulated.unwrap());
    }
}

/// Time and peak memory of `snug generate`.
fn command_line(model: &Path, out: &Path) {
    let start = Instant::now();
    let mut snug = Command::new(env!("CARGO_BIN_EXE_snug"));
    snug.arg("generate").arg(model).arg("-o").arg(out).stdout(Stdio::piped());
    let mut child = snug.spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(high_water(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let time = start.elapsed();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    println!("{}", String::from_utf8_lossy(&output.stdout).lines().take(6).collect::<Vec<_>>().join("\n"));
    println!("ONNX to Verilog: {}, peak memory {} MiB", seconds(time), peak / 1024);
}

/// The largest resident size of a process so far, in KiB, where the system tells (Linux).
fn high_water(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

fn seconds(d: Duration) -> String {
    format!("{:.2} s", d.as_secs_f64())
}
