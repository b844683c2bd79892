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
use quantizer::float;
use quantizer::import::{ImportOptions, import};
use quantizer::network::{Network, TensorId};
use quantizer::testing::{Random, mlp};
use quantizer::weights::network::{NetworkError, quantize_network, quantize_real};
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

/// A real network with the MNIST test set, and 500 training images to calibrate with.
struct Mnist {
    network: Network,
    exact: Vec<u32>,
    test: Array2<i64>,
    labels: Vec<u8>,
    calibration: Array2<i64>,
}

impl Mnist {
    /// `None`, and a loud word, where the zoo is missing.
    fn open(file: &str) -> Option<Self> {
        let Some(zoo) = std::env::var_os("SNUG_ZOO").map(PathBuf::from) else {
            eprintln!("SKIPPED: {file} is not tested; set SNUG_ZOO to the folder that holds models/ and data/");
            return None;
        };
        let options = ImportOptions { input_type: Some("u8/255".parse().unwrap()), ..Default::default() };
        let network = import(&zoo.join("models").join(file), &options).unwrap().network;
        let exact = Certificate::of(&network).unwrap().layers.iter().map(|layer| layer.accumulator.exact).collect();
        let mnist = zoo.join("data/mnist");
        Some(Mnist {
            network,
            exact,
            test: images(&mnist.join("t10k-images-idx3-ubyte.gz"), 10_000),
            labels: idx(&mnist.join("t10k-labels-idx1-ubyte.gz"), 8),
            calibration: images(&mnist.join("train-images-idx3-ubyte.gz"), 500),
        })
    }

    /// How many of the test images are right.
    fn right(&self, network: &Network) -> usize {
        let outputs = golden::run(network, self.test.view()).unwrap();
        let found = golden::label(outputs.view(), network.label_grid.as_ref().unwrap());
        found.iter().zip(&self.labels).filter(|&(&a, &b)| a == usize::from(b)).count()
    }

    /// The network in accumulators of these widths; `None` where no bit width or no weight fits.
    fn quantized(&self, name: &str, widths: Vec<u32>) -> Option<Network> {
        let activations = |n: &Network, TensorId(id): TensorId| {
            golden::run_all(n, self.calibration.view()).map(|mut all| all.swap_remove(id)).map_err(|e| e.to_string())
        };
        let targets = Targets::InOrder(widths.clone());
        let resolved = targets.resolve(&self.network).unwrap();
        match quantize_network(&self.network, &resolved, by_name(name, None).unwrap().as_ref(), Some(&activations)) {
            Ok((quantized, _)) => {
                assert_eq!(check(&quantized, &targets).unwrap(), vec![], "{name}, {widths:?}");
                Some(quantized)
            }
            Err(NetworkError::Layer {
                source: WeightError::NoBitWidth { .. } | WeightError::TooNarrow { .. }, ..
            }) => None,
            Err(e) => panic!("{name}, {widths:?}: {e}"),
        }
    }

    /// Prints the tables of docs/quantize.md: every accumulator `widest exact width - k` bits, and every one its own exact width - k.
    fn tables(&self, title: &str, right: usize) {
        assert_eq!(self.right(&self.network), right, "the known truth of {title}");
        let widest = self.exact.iter().copied().max().unwrap();
        let one_for_all = |k: u32| vec![widest - k; self.exact.len()];
        // Not below the single bit that every accumulator has.
        let each_its_own = |k: u32| self.exact.iter().map(|e| e.saturating_sub(k).max(1)).collect::<Vec<_>>();
        let all: Vec<_> = (0..=6).map(one_for_all).collect();
        let own: Vec<_> = (0..=6).map(each_its_own).collect();
        for (what, widths) in [("every accumulator P bits", all), ("every accumulator its exact width - k", own)] {
            println!("\n{title}, MNIST test set, right of 10,000; {what}\n");
            println!("| method | {} |", widths.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(" | "));
            println!("|---{}|", "|---".repeat(7));
            let mut lowest = 10_000;
            for name in NAMES {
                let mut cells = Vec::new();
                for (k, widths) in widths.iter().enumerate() {
                    let found = self.quantized(name, widths.clone()).map(|n| self.right(&n));
                    // At the exact width nothing has to change.
                    assert!(k > 0 || found == Some(right), "{name}: {found:?}");
                    lowest = found.map_or(lowest, |n| lowest.min(n));
                    cells.push(found.map_or("-".to_owned(), |n| n.to_string()));
                }
                println!("| {name} | {} |", cells.join(" | "));
            }
            assert!(lowest < 9000, "six bits cost nothing at all? {lowest}");
        }
    }
}

#[test]
fn accuracy_against_accumulator_width() {
    let Some(mnist) = Mnist::open("TFC_2W2A.onnx") else { return };
    assert_eq!(mnist.exact, [10, 7, 7, 7]);
    mnist.tables("TFC_2W2A", 9660);
}

#[test]
#[ignore = "a hundred and fifty runs over the test set take a quarter of an hour"]
fn accuracy_of_a_convolutional_network() {
    let Some(mnist) = Mnist::open("brevitas_cnn_w4a4.onnx") else { return };
    mnist.tables("brevitas_cnn_w4a4", 9775);
}

#[test]
fn a_convolutional_network_loses_a_bit() {
    let Some(mnist) = Mnist::open("brevitas_cnn_w4a4.onnx") else { return };
    assert_eq!(mnist.exact, [19, 12, 12, 16]);
    for (name, least) in [("sign-split-grid", 9700), ("grid-rescale", 9700), ("axe", 9450)] {
        let quantized = mnist.quantized(name, vec![18, 11, 11, 15]).unwrap();
        let right = mnist.right(&quantized);
        assert!((least..9775).contains(&right), "{name}: {right}");
    }
}

/// A real convolutional network without its quantizers: quantized anew, and put into narrower accumulators from its real weights.
#[test]
fn a_float_convolutional_network() {
    let Some(mnist) = Mnist::open("brevitas_cnn_w4a4.onnx") else { return };
    let zoo = PathBuf::from(std::env::var_os("SNUG_ZOO").unwrap());
    let mut file = quantizer::onnx::file::read(&zoo.join("models/brevitas_cnn_w4a4.onnx")).unwrap();
    let graph = file.model.graph.as_mut().unwrap();
    let (quants, mut nodes): (Vec<_>, Vec<_>) = graph.node.drain(..).partition(|n| n.op_type == "Quant");
    for input in nodes.iter_mut().flat_map(|n| &mut n.input) {
        if let Some(quant) = quants.iter().find(|q| q.output[0] == *input) {
            input.clone_from(&quant.input[0]);
        }
    }
    graph.node = nodes;
    assert!(float::is_float(&file));
    let options = ImportOptions { input_type: Some("u8/255".parse().unwrap()), ..Default::default() };
    let samples = mnist.calibration.mapv(|p| p as f64 / 255.0);
    let quantized = |bits| float::quantize(&file, &options, bits, samples.view()).unwrap();
    let eight = quantized(float::Bits { weights: 8, activations: 8, input: 8 });
    let four = quantized(float::Bits { weights: 4, activations: 4, input: 8 });
    let [eight, nearest] = [&eight, &four].map(|q| mnist.right(&q.imported.network));
    let network = &four.imported.network;
    let activations = |n: &Network, TensorId(id): TensorId| {
        golden::run_all(n, mnist.calibration.view()).map(|mut all| all.swap_remove(id)).map_err(|e| e.to_string())
    };
    let exact: Vec<u32> = Certificate::of(network).unwrap().layers.iter().map(|l| l.accumulator.exact).collect();
    println!("brevitas_cnn_w4a4 without quantizers: {eight} right with 8 bits, {nearest} with 4 ({exact:?})");
    assert!(eight > 9750 && nearest > 9740, "{eight} {nearest}");
    let targets = Targets::InOrder(exact.iter().map(|e| e - 1).collect());
    let resolved = targets.resolve(network).unwrap();
    for (name, least) in [("sign-split-grid", 9650), ("axe", 8700)] {
        let method = by_name(name, None).unwrap();
        let (narrow, _) =
            quantize_real(network, &four.weights, &resolved, method.as_ref(), Some(&activations)).unwrap();
        assert_eq!(check(&narrow, &targets).unwrap(), vec![], "{name}");
        let right = mnist.right(&narrow);
        println!("  {name}, a bit less: {right} right");
        assert!((least..nearest).contains(&right), "{name}: {right}");
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
