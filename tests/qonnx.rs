//! Random QONNX perceptrons and convolutional networks with known outputs, through import, golden model, cycle engine and
//! Verilator.
//!
//! `tests/qonnx/frozen` holds a few and is always run; `make qonnx` makes 200 of each in `target/qonnx` (or where `SNUG_QONNX`
//! points). tests/qonnx/README.md describes the files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use generator::dataflow::Output;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use ndarray::{Array2, Axis, s};
use quantizer::import::{ImportOptions, Imported, import, verify};
use quantizer::network::{Layer, Network, Op};
use quantizer::rational;
use serde::Deserialize;
use sim::tools::Tool;
use sim::{cycle, golden};

#[derive(Deserialize)]
struct Manifest {
    schema: u32,
    networks: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    file: String,
    tags: BTreeSet<String>,
    input_type: Option<String>,
    samples: usize,
    output: String,
    outputs: usize,
    labels: Vec<usize>,
    quantized: Vec<Quantized>,
    weights: Vec<(usize, usize)>,
    #[serde(default)]
    convolutions: Vec<(usize, usize)>,
    explained_samples: Vec<usize>,
}

#[derive(Deserialize)]
struct Quantized {
    tensor: String,
    elements: usize,
}

/// What was compared, for the summary.
#[derive(Debug, Default)]
struct Tally {
    networks: usize,
    samples: usize,
    codes: usize,
    /// Quantizers that became one with the next.
    merged: usize,
    outputs: usize,
    /// Those of them that no other integer would give.
    decided: usize,
    /// Samples whose label was compared; the others' classes have no common integer grid.
    labels: usize,
    thresholds: u64,
    dataflows: usize,
    qonnx_differs: usize,
}

/// A folder of networks.
struct Folder {
    path: PathBuf,
    networks: Vec<Entry>,
}

impl Folder {
    fn open(path: &Path) -> Self {
        let text = std::fs::read(path.join("manifest.json")).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let manifest: Manifest = serde_json::from_slice(&text).unwrap();
        assert_eq!(manifest.schema, 1);
        Folder { path: path.to_owned(), networks: manifest.networks }
    }

    fn frozen() -> Self {
        Folder::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/qonnx/frozen"))
    }

    fn convolutions() -> Self {
        Folder::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/qonnx/frozen/convolutions"))
    }

    /// An array of a network, `[rows, columns]`.
    fn array<T: npyz::Deserialize + Clone>(&self, entry: &Entry, kind: &str) -> Array2<T> {
        let path = self.path.join(format!("{}.{kind}.npy", entry.name));
        let npy = npyz::NpyFile::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap())).unwrap();
        let columns = npy.shape()[1..].iter().product::<u64>() as usize;
        Array2::from_shape_vec((entry.samples, columns), npy.into_vec().unwrap()).unwrap()
    }

    fn import(&self, entry: &Entry) -> Imported {
        let input_type = entry.input_type.as_ref().map(|t| t.parse().unwrap());
        let options = ImportOptions { input_type, ..ImportOptions::default() };
        let imported = import(&self.path.join(&entry.file), &options)
            .unwrap_or_else(|e| panic!("{} ({:?}): {e}", entry.name, entry.tags));
        assert_eq!(imported.network.validate(), Ok(()), "{}", entry.name);
        imported
    }

    /// What the pins carry for the network's samples.
    fn inputs(&self, entry: &Entry, imported: &Imported) -> Array2<i64> {
        let Some(first) = &imported.first_quant else { return self.array::<i32>(entry, "inputs").mapv(i64::from) };
        let values = self.array::<f32>(entry, "inputs");
        let channels = imported.network.tensor(imported.network.input).ranges.len();
        let per_channel = values.ncols() / channels;
        Array2::from_shape_fn(values.dim(), |(sample, element)| {
            first.code(&rational::from_f32(values[[sample, element]]).unwrap(), element / per_channel)
        })
    }
}

/// Golden's tensors against the manifest's exact codes, outputs and labels; returns golden's output.
fn check_golden(
    folder: &Folder,
    entry: &Entry,
    imported: &Imported,
    inputs: &Array2<i64>,
    tally: &mut Tally,
) -> Array2<i64> {
    let (network, name) = (&imported.network, &entry.name);
    let tensors = golden::run_all(network, inputs.view()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let shapes: Vec<_> = network.dense_layers().map(|(_, d)| d.weights.dim()).collect();
    assert_eq!(shapes, entry.weights, "{name}: layers");
    let of = |layer: &Layer| match &layer.op {
        // Not those that zeros around an image, or another order of channels, became.
        Op::Conv(conv) if layer.node.starts_with("Conv") => Some(conv.weights.dim()),
        _ => None,
    };
    let shapes: Vec<_> = network.layers.iter().filter_map(of).collect();
    // Padding beyond the window widens the kernel by zeros.
    let wide = entry.tags.contains("Pad:anywhere");
    let equal = |(a, b): (&(usize, usize), &(usize, usize))| a == b || (wide && a.0 == b.0 && a.1 > b.1);
    assert!(
        shapes.len() == entry.convolutions.len() && shapes.iter().zip(&entry.convolutions).all(equal),
        "{name}: convolutions {shapes:?}, in the file {:?}",
        entry.convolutions
    );

    // Codes of every quantizer.
    let codes = folder.array::<i32>(entry, "codes").mapv(i64::from);
    let mut column = 0;
    for quantized in &entry.quantized {
        let expected = codes.slice(s![.., column..column + quantized.elements]);
        column += quantized.elements;
        let own = carried(network, &quantized.tensor, quantized.elements);
        if own.is_empty() {
            // Of two quantizers in a row only the second's codes are computed.
            assert!(
                entry.tags.contains("double_quant"),
                "{name}: no {} in {:?}",
                quantized.tensor,
                tensor_names(imported)
            );
            tally.merged += 1;
            continue;
        }
        // Of the tensors that may hold it one does; where it is one alone, that is told by the equality itself.
        if !own.iter().any(|&t| tensors[t] == expected) {
            assert_eq!(tensors[own[0]], expected, "{name}: codes of {} ({:?})", quantized.tensor, entry.tags);
        }
        tally.codes += expected.len();
    }

    // Outputs in real units. The scale is the float64 nearest to the exact one, so that the value computed of it is off by
    // three roundings at most. Where that is below half a step the integer is the only right one, which is everywhere but
    // behind a denormal gain; the labels tell those apart too.
    let output = tensors[network.output.0].clone();
    let exact = folder.array::<f64>(entry, "exact");
    assert_eq!(output.ncols(), entry.outputs, "{name}");
    let scales = network.tensor(network.output).scale.as_ref().unwrap_or_else(|| panic!("{name}: no output scale"));
    let per_scale = output.ncols() / scales.len();
    for ((sample, element), &code) in output.indexed_iter() {
        let scale = scales[element / per_scale];
        let value = scale.factor * code as f64 + scale.offset;
        let slack = 4.0 * f64::EPSILON * ((scale.factor * code as f64).abs() + scale.offset.abs()) + f64::MIN_POSITIVE;
        let wanted = exact[[sample, element]];
        assert!(
            (value - wanted).abs() <= slack,
            "{name}: output {element} of sample {sample}: {value}, exact {wanted}"
        );
        tally.outputs += 1;
        tally.decided += usize::from(slack < scale.factor.abs() / 2.0);
    }
    if let Ok(grid) = &network.label_grid {
        assert_eq!(golden::label(output.view(), grid), entry.labels, "{name}: labels");
        tally.labels += output.nrows();
    }

    // float32, for the record: `explained_samples` are those in which some code differs.
    let single = folder.array::<f32>(entry, "qonnx");
    let largest = exact.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    let differs = |sample: &usize| {
        let mut pairs = single.row(*sample).into_iter().zip(exact.row(*sample));
        pairs.any(|(&got, &wanted)| (f64::from(got) - wanted).abs() > 1e-5 * largest)
    };
    let differing: Vec<usize> = (0..entry.samples).filter(differs).collect();
    tally.qonnx_differs += differing.len();
    assert!(
        differing.iter().all(|s| entry.explained_samples.contains(s)),
        "{name}: {} differs in samples {differing:?}, explained are {:?}",
        entry.output,
        entry.explained_samples
    );
    output
}

/// The tensors that may hold the codes of the quantizer that writes `name`: its own, or, as poolings and other moves in
/// front of a quantizer are carried out behind it, what these make of it.
fn carried(network: &Network, name: &str, elements: usize) -> Vec<usize> {
    let mut found: Vec<usize> = (0..network.tensors.len()).filter(|&t| network.tensors[t].name == name).collect();
    for layer in &network.layers {
        let moves = matches!(layer.op, Op::MaxPool(_) | Op::Upsample(_) | Op::DepthToSpace(_))
            || (matches!(layer.op, Op::Conv(_)) && ["Pad", "DepthToSpace"].iter().any(|op| layer.node.starts_with(op)));
        if moves && found.contains(&layer.inputs[0].0) {
            found.push(layer.output.0);
        }
    }
    found.retain(|&t| network.tensors[t].shape.iter().product::<usize>() == elements);
    found
}

fn tensor_names(imported: &Imported) -> Vec<&str> {
    imported.network.tensors.iter().map(|t| t.name.as_str()).collect()
}

/// The cycle engine at several foldings, as logits and as label, against golden's outputs.
fn check_cycle(entry: &Entry, imported: &Imported, inputs: &Array2<i64>, expected: &Array2<i64>, tally: &mut Tally) {
    let (network, name) = (&imported.network, &entry.name);
    // Every layer in as many cycles as the other folding's number says: from unrolled to one product a cycle.
    let seed = entry.weights.iter().fold(entry.tags.len(), |s, (rows, columns)| s + 3 * rows + 5 * columns);
    let slower = if perceptron(network) { [1, 3, 8, 30, 100][seed % 5] } else { [2, 3, 8][seed % 3] };
    for folding in [FoldingRequest::Default, folded(entry, network, slower)] {
        for output in [Output::Logits, Output::Label] {
            if output == Output::Label && network.label_grid.is_err() {
                continue;
            }
            let options = LowerOptions { folding: folding.clone(), top: None, output };
            let dataflow = lower(network, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
            let run = cycle::run(&dataflow, inputs.view(), &cycle::Options::default())
                .unwrap_or_else(|e| panic!("{name}, {folding:?}: {e}"));
            assert_eq!(run.trapped, 0, "{name}, {folding:?}: {:?}", run.traps.first());
            match output {
                Output::Logits => assert_eq!(&run.result, expected, "{name}, {folding:?}"),
                Output::Label => {
                    let labels: Vec<usize> = run.result.iter().map(|&v| usize::try_from(v).unwrap()).collect();
                    assert_eq!(labels, entry.labels, "{name}, {folding:?}");
                }
            }
            tally.dataflows += 1;
        }
    }
}

/// All networks of a folder through golden and cycle.
fn check(folder: &Folder) -> Tally {
    let mut tally = Tally::default();
    // All networks that fail are told, not the first alone.
    let mut one = |entry: &Entry| {
        let imported = folder.import(entry);
        let inputs = folder.inputs(entry, &imported);
        let expected = check_golden(folder, entry, &imported, &inputs, &mut tally);
        let verified = verify(&imported).total();
        assert_eq!(verified.deviations, 0, "{}: thresholds that are not their meaning", entry.name);
        check_cycle(entry, &imported, &inputs, &expected, &mut tally);
        tally.thresholds += verified.evaluations;
        tally.networks += 1;
        tally.samples += entry.samples;
    };
    let failed: Vec<&str> = (folder.networks.iter())
        .filter(|&entry| catch_unwind(AssertUnwindSafe(|| one(entry))).is_err())
        .map(|entry| entry.name.as_str())
        .collect();
    assert!(failed.is_empty(), "{}: {failed:?} of {} networks", folder.path.display(), folder.networks.len());
    eprintln!(
        "{}: {} networks, {} samples: {} codes ({} quantizers one with the next), {} outputs ({} determine their integer), {} labels equal to the exact ones; thresholds right at all of {} \
         accumulator values; cycle = golden in {} designs; qonnx's float32 outputs differ, explained, in {} samples",
        folder.path.display(),
        tally.networks,
        tally.samples,
        tally.codes,
        tally.merged,
        tally.outputs,
        tally.decided,
        tally.labels,
        tally.thresholds,
        tally.dataflows,
        tally.qonnx_differs
    );
    tally
}

/// A folding to `cycles` cycles a frame; of a network with windows, which read a place a cycle, to so many times its shortest.
fn folded(entry: &Entry, network: &Network, cycles: u64) -> FoldingRequest {
    if perceptron(network) {
        return FoldingRequest::Interval(cycles);
    }
    let options = LowerOptions { folding: FoldingRequest::Default, top: None, output: Output::Logits };
    let default = lower(network, &options).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
    FoldingRequest::Interval(cycles * default.interval())
}

/// Whether no layer reads an image.
fn perceptron(network: &Network) -> bool {
    network.layers.iter().all(|l| matches!(l.op, Op::Dense(_) | Op::Threshold(_) | Op::Flatten))
}

/// `count` networks that together have as many different features as a greedy choice finds.
fn sample(folder: &Folder, count: usize) -> Vec<&Entry> {
    let mut seen = BTreeSet::new();
    let mut chosen: Vec<&Entry> = Vec::new();
    while chosen.len() < count {
        let left = folder.networks.iter().filter(|e| !chosen.iter().any(|c| c.name == e.name));
        let next = left.max_by_key(|e| (e.tags.difference(&seen).count(), std::cmp::Reverse(&e.name))).unwrap();
        seen.extend(next.tags.iter().cloned());
        chosen.push(next);
    }
    chosen
}

/// A sample of a folder's networks through Verilator, each under all stall patterns.
fn check_verilog(folder: &Folder, count: usize) {
    let Some(verilator) = common::tool(Tool::Verilator) else { return };
    let work = tempfile::tempdir().unwrap();
    let mut clocks = 0;
    let chosen = sample(folder, count);
    for (i, entry) in chosen.iter().enumerate() {
        let imported = folder.import(entry);
        let inputs = folder.inputs(entry, &imported);
        let expected = golden::run(&imported.network, inputs.view()).unwrap();
        let folding =
            if i % 2 == 0 { FoldingRequest::Default } else { folded(entry, &imported.network, 1 + 4 * i as u64) };
        // Every third one chooses the class itself.
        let label = imported.network.label_grid.as_ref().ok().filter(|_| i % 3 == 2);
        let (output, expected) = match label {
            None => (Output::Logits, expected),
            Some(_) => {
                let labels = entry.labels.iter().map(|&l| l as i64).collect::<ndarray::Array1<i64>>();
                (Output::Label, labels.insert_axis(Axis(1)))
            }
        };
        let dataflow = lower(&imported.network, &LowerOptions { folding, top: None, output }).unwrap();
        let place = work.path().join(&entry.name);
        clocks += common::cosimulate(&verilator, &entry.name, &dataflow, &inputs, &expected, &[i as u64 + 1], &place);
    }
    let names: Vec<_> = chosen.iter().map(|e| e.name.as_str()).collect();
    eprintln!("{}: Verilator equal and cycle-exact in {}, {clocks} cycles", folder.path.display(), names.join(", "));
}

/// What convolutional networks must have among them: every operator and form that can be built, as the generator tags it.
const OPERATORS: [&str; 49] = [
    "1-D",
    "1x1",
    "Add:one_scale",
    "Add:two_scales",
    "AveragePool:count_include_pad",
    "AveragePool:no_pads",
    "BatchNormalization",
    "Concat:one_scale",
    "Concat:two_scales",
    "Conv",
    "DepthToSpace:CRD",
    "DepthToSpace:DCR",
    "DepthToSpace:block_3",
    "DepthToSpace:joined",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "MatMul",
    "MaxPool:ceil",
    "MaxPool:padded",
    "Pad",
    "Pad:anywhere",
    "ReduceMean",
    "Reshape",
    "Resize",
    "Sub:one_scale",
    "Trunc:v1",
    "Trunc:v2",
    "Upsample",
    "auto_pad:SAME_LOWER",
    "auto_pad:SAME_UPPER",
    "auto_pad:VALID",
    "bipolar_activations",
    "channels_last:BatchNormalization",
    "channels_last:Conv",
    "channels_last:Flatten",
    "channels_last:MaxPool",
    "channels_last:inside",
    "channels_last:output",
    "channels_last:throughout",
    "conv_bias",
    "depthwise",
    "dilated",
    "grouped",
    "pads:asymmetric",
    "residual:identity",
    "signed_quant",
    "strided",
];

/// Counts the networks with each of [`OPERATORS`], and fails if one of these is in none.
fn covered(folder: &Folder) {
    let count = |tag: &str| folder.networks.iter().filter(|e| e.tags.contains(tag)).count();
    let counts: Vec<String> = OPERATORS.iter().map(|tag| format!("{tag} {}", count(tag))).collect();
    eprintln!("{}: {}", folder.path.display(), counts.join(", "));
    let missing: Vec<&&str> = OPERATORS.iter().filter(|tag| count(tag) == 0).collect();
    assert!(missing.is_empty(), "{}: no network has {missing:?}", folder.path.display());
}

#[test]
fn frozen_networks_are_exact() {
    let tally = check(&Folder::frozen());
    assert_eq!((tally.networks, tally.samples), (24, 384));
    assert!(tally.labels > 300 && 10 * tally.decided > 9 * tally.outputs, "{tally:?}");
}

#[test]
fn frozen_convolutions_are_exact() {
    let folder = Folder::convolutions();
    covered(&folder);
    let tally = check(&folder);
    assert_eq!((tally.networks, tally.samples), (20, 80));
    assert!(tally.labels > 30 && 10 * tally.decided > 9 * tally.outputs, "{tally:?}");
}

#[test]
fn frozen_networks_in_verilog() {
    check_verilog(&Folder::frozen(), 6);
}

#[test]
fn frozen_convolutions_in_verilog() {
    check_verilog(&Folder::convolutions(), 4);
}

#[test]
fn fresh_networks_are_exact() {
    let given = std::env::var_os("SNUG_QONNX").map(PathBuf::from);
    let path = given.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/qonnx"));
    if given.is_none() && !path.join("manifest.json").exists() {
        eprintln!(
            "SKIPPED: the 200 random perceptrons and 200 convolutional networks; `make qonnx` makes and runs them"
        );
        return;
    }
    for path in [path.clone(), path.join("convolutions")].iter().filter(|p| p.join("manifest.json").exists()) {
        let folder = Folder::open(path);
        if folder.networks.iter().any(|e| !e.convolutions.is_empty()) {
            covered(&folder);
        }
        check(&folder);
        check_verilog(&folder, 6.min(folder.networks.len()));
    }
}
