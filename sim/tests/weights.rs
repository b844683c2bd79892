//! Weight quantizers on running networks: accuracy against accumulator width, and overflows that are real.
//!
//! `cargo test -p sim --test weights -- --nocapture` prints the table of docs/quantize.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;
use std::path::{Path, PathBuf};

use generator::dataflow::{Dataflow, Kind};
use generator::lower::{LowerOptions, lower};
use ndarray::Array2;
use quantizer::certificate::{Certificate, Targets, check};
use quantizer::datatype::DataType;
use quantizer::import::{ImportOptions, import};
use quantizer::network::{Network, TensorId};
use quantizer::testing::{Random, mlp};
use quantizer::weights::network::{NetworkError, quantize_network};
use quantizer::weights::{NAMES, WeightError, by_name};
use sim::{cycle, golden};

/// The payload of a gzipped IDX file of bytes with `header` bytes in front.
fn idx(path: &Path, header: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes.split_off(header)
}

fn images(path: &Path, limit: usize) -> Array2<i64> {
    let pixels = idx(path, 16);
    let count = (pixels.len() / 784).min(limit);
    Array2::from_shape_vec((count, 784), pixels[..count * 784].iter().map(|&p| p.into()).collect()).unwrap()
}

#[test]
fn accuracy_against_accumulator_width() {
    let Some(zoo) = std::env::var_os("SNUG_ZOO").map(PathBuf::from) else {
        eprintln!("SKIPPED: TFC_2W2A.onnx is not tested; set SNUG_ZOO to the folder that holds models/ and data/");
        return;
    };
    let options = ImportOptions { input_type: Some("u8/255".parse().unwrap()), ..Default::default() };
    let network = import(&zoo.join("models/TFC_2W2A.onnx"), &options).unwrap().network;
    let mnist = zoo.join("data/mnist");
    let test = images(&mnist.join("t10k-images-idx3-ubyte.gz"), 10_000);
    let labels = idx(&mnist.join("t10k-labels-idx1-ubyte.gz"), 8);
    let calibration = images(&mnist.join("train-images-idx3-ubyte.gz"), 500);
    let correct = |n: &Network| {
        let outputs = golden::run(n, test.view()).unwrap();
        let found = golden::label(outputs.view(), n.label_grid.as_ref().unwrap());
        found.iter().zip(&labels).filter(|&(&a, &b)| a == usize::from(b)).count()
    };
    let right = correct(&network);
    assert_eq!(right, 9660, "the known truth of TFC_2W2A");
    let activations = |n: &Network, TensorId(id): TensorId| {
        golden::run_all(n, calibration.view()).map(|mut all| all.swap_remove(id)).map_err(|e| e.to_string())
    };
    let exact: Vec<u32> =
        Certificate::of(&network).unwrap().layers.iter().map(|layer| layer.accumulator.exact).collect();
    assert_eq!(exact, [10, 7, 7, 7]);
    let one_for_all = |k: u32| vec![10 - k; 4];
    // Not below the single bit that every accumulator has.
    let each_its_own = |k: u32| exact.iter().map(|e| e.saturating_sub(k).max(1)).collect::<Vec<_>>();
    let tables: [(&str, &dyn Fn(u32) -> Vec<u32>); 2] =
        [("every accumulator P bits", &one_for_all), ("every accumulator its exact width - k", &each_its_own)];
    for (title, widths) in tables {
        println!("\nTFC_2W2A, MNIST test set, right of 10,000; {title}\n");
        println!("| method | {} |", (0..=6).map(|k| format!("{:?}", widths(k))).collect::<Vec<_>>().join(" | "));
        println!("|---{}|", "|---".repeat(7));
        let mut lowest = 10_000;
        for name in NAMES {
            let method = by_name(name, None).unwrap();
            let mut cells = Vec::new();
            for k in 0..=6 {
                let targets = Targets::InOrder(widths(k));
                let resolved = targets.resolve(&network).unwrap();
                match quantize_network(&network, &resolved, method.as_ref(), Some(&activations)) {
                    Ok((quantized, _)) => {
                        assert_eq!(check(&quantized, &targets).unwrap(), vec![], "{name}, k = {k}");
                        let right = correct(&quantized);
                        lowest = lowest.min(right);
                        cells.push(right.to_string());
                        // At the exact width nothing has to change.
                        assert!(k > 0 || right == 9660, "{name}: {right}");
                    }
                    Err(NetworkError::Layer {
                        source: WeightError::NoBitWidth { .. } | WeightError::TooNarrow { .. },
                        ..
                    }) => cells.push("-".to_owned()),
                    Err(e) => panic!("{name}, k = {k}: {e}"),
                }
            }
            println!("| {name} | {} |", cells.join(" | "));
        }
        assert!(lowest < 9000, "six bits cost nothing at all? {lowest}");
    }
}

/// Gives every accumulator of the dataflow `bits` bits.
fn narrow(dataflow: &mut Dataflow, bits: u32) {
    for module in &mut dataflow.modules {
        if let Kind::MatrixVector(m) = &mut module.kind {
            for pe in &mut m.pes {
                pe.reduction.accumulator_bits = bits;
            }
        }
    }
}

/// Every violation that `check` reports is real: its input trips the trap of a register of the width that was allowed, in that channel.
/// And every method's network never trips it, on the worst inputs of all its channels.
#[test]
fn witnesses_overflow_and_quantized_networks_do_not() {
    let random = &mut Random::new(4);
    let (mut overflows, mut held) = (0, 0);
    for seed in 0..40 {
        let input = match random.size(0, 3) {
            0 => DataType::BIPOLAR,
            1 => DataType::signed(random.within(2, 4) as u32),
            _ => DataType::unsigned(random.within(1, 4) as u32),
        };
        let shape = [random.size(8, 40), random.size(2, 12)];
        let network = mlp(seed, &shape, input, DataType::signed(random.within(2, 5) as u32), DataType::unsigned(2));
        let exact = Certificate::of(&network).unwrap().layers[0].accumulator.exact;
        for p in exact.saturating_sub(3).max(5)..exact {
            let targets = Targets::All(p);
            let mut dataflow = lower(&network, &LowerOptions::default()).unwrap();
            narrow(&mut dataflow, p);
            for violation in check(&network, &targets).unwrap() {
                let worst = Array2::from_shape_vec((1, shape[0]), violation.worst_input.clone()).unwrap();
                let run = cycle::run(&dataflow, worst.view(), &cycle::Options::default()).unwrap();
                assert!(
                    run.traps.iter().any(|t| t.row == violation.channel),
                    "seed {seed}, P = {p}, channel {}: no trap among {:?}",
                    violation.channel,
                    run.traps
                );
                overflows += 1;
            }
            let samples = quantizer::testing::inputs(&network, seed, 20);
            let activations = |n: &Network, TensorId(id): TensorId| {
                golden::run_all(n, samples.view()).map(|mut all| all.swap_remove(id)).map_err(|e| e.to_string())
            };
            for name in NAMES {
                let resolved = targets.resolve(&network).unwrap();
                let method = by_name(name, None).unwrap();
                let Ok((quantized, _)) = quantize_network(&network, &resolved, method.as_ref(), Some(&activations))
                else {
                    assert_eq!(name, "de-bruin", "seed {seed}, P = {p}");
                    continue;
                };
                let (_, dense) = quantized.dense_layers().next().unwrap();
                let worst: Vec<i64> = dense
                    .weights
                    .rows()
                    .into_iter()
                    .flat_map(|row| {
                        let w = quantizer::bound::Witness::over_type(row, input);
                        [w.max, w.min].concat()
                    })
                    .collect();
                let worst = Array2::from_shape_vec((2 * shape[1], shape[0]), worst).unwrap();
                let mut dataflow = lower(&quantized, &LowerOptions::default()).unwrap();
                narrow(&mut dataflow, p);
                let run = cycle::run(&dataflow, worst.view(), &cycle::Options::default()).unwrap();
                assert_eq!(run.trapped, 0, "seed {seed}, {name}, P = {p}: {}", run.traps[0]);
                assert_eq!(run.result, golden::run(&quantized, worst.view()).unwrap());
                held += 1;
            }
        }
    }
    println!("{overflows} reported overflows are real; {held} quantized layers hold");
    assert!(overflows > 200 && held > 500, "{overflows} {held}");
}
