//! One-shot error of every method: the synthetic layers of the specification, and the layers of a real network.
//!
//! `cargo test -p quantizer --test weights_error -- --nocapture` prints the tables of docs/quantize.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use ndarray::{Array2, ArrayView2};
use quantizer::bound::SignSums;
use quantizer::datatype::DataType;
use quantizer::import::{ImportOptions, import};
use quantizer::testing::Random;
use quantizer::weights::grid::{Granularity, in_units, max_scales};
use quantizer::weights::{Calibration, GridRescale, Method, NAMES, Problem, WeightError, by_name, quantize};

fn gaussian(random: &mut Random) -> f64 {
    (0..12).map(|_| random.within(0, 1 << 30) as f64 / (1u64 << 30) as f64).sum::<f64>() - 6.0
}

/// Inputs as a ReLU leaves them: half of a Gaussian, cut to the type; of both signs where the type has them.
fn data(random: &mut Random, input: DataType, samples: usize, taps: usize) -> Array2<i64> {
    let range = input.range();
    Array2::from_shape_fn((samples, taps), |_| {
        let value = range.hi as f64 / 2.5 * gaussian(random);
        (value.round() as i64).clamp(range.lo, range.hi)
    })
}

/// The error of every method by name; `None` where it has no answer.
fn errors(
    weights: ArrayView2<'_, f64>,
    scales: &[f64],
    weight_type: DataType,
    input: DataType,
    p: u32,
    calibration: &Array2<i64>,
) -> Vec<(String, Option<f64>)> {
    let calibration = Some(Calibration { source: calibration.view(), quantized: calibration.view() });
    let problem = Problem { weights, weight_type, input, accumulator: p, calibration };
    let of = |method: &dyn Method| match quantize(&problem, method) {
        Ok(q) => Some(q.relative_error(weights, scales)),
        Err(WeightError::NoBitWidth { .. } | WeightError::Misses { .. }) => None,
        Err(e) => panic!("{e}"),
    };
    let mut all: Vec<_> =
        NAMES.iter().map(|name| (name.to_string(), of(by_name(name, None).unwrap().as_ref()))).collect();
    all.push(("grid-rescale 1/64".to_owned(), of(&GridRescale { denominator: 64 })));
    all
}

fn print(title: &str, columns: &[(String, Vec<(String, Option<f64>)>)]) {
    println!("\n{title}\n\n| method | {} |", columns.iter().map(|c| c.0.clone()).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(columns.len()));
    for i in 0..columns[0].1.len() {
        let cells = columns.iter().map(|c| c.1[i].1.map_or("-".to_owned(), |e| format!("{e:.4}")));
        println!("| {} | {} |", columns[0].1[i].0, cells.collect::<Vec<_>>().join(" | "));
    }
}

/// Sign-split has the smallest error of all that stay on the grid, and on the best grid none above grid rescale's by whole steps. What
/// leaves the grid and is nearer than plain sign-split is printed.
fn sign_split_is_lowest(what: &str, errors: &[(String, Option<f64>)]) {
    let get = |name: &str| errors.iter().find(|(n, _)| n == name).unwrap().1.unwrap();
    let best = get("sign-split");
    for (name, error) in errors {
        let Some(error) = error else { continue };
        assert!(name != "grid-rescale" || get("sign-split-grid") <= *error + 1e-12, "{what}: {name}");
        if ["grid-rescale", "grid-rescale 1/64", "de-bruin", "sign-split-grid"].contains(&name.as_str()) {
            if *error < best {
                println!("{what}: {name} leaves the grid and is nearer: {error:.4} against {best:.4}");
            }
        } else {
            assert!(best <= *error + 1e-12, "{what}: {name} has {error}, sign-split {best}");
        }
    }
}

#[test]
fn synthetic_layers() {
    let random = &mut Random::new(2024);
    let (m4, u4) = (DataType::signed(4), DataType::unsigned(4));
    let conv = Array2::from_shape_fn((64, 9 * 64), |_| gaussian(random));
    // A depthwise layer: nine taps a channel, around a mean of the channel's own.
    let means: Vec<f64> = (0..256).map(|_| gaussian(random)).collect();
    let depthwise = Array2::from_shape_fn((256, 9), |(c, _)| means[c] + 0.5 * gaussian(random));
    let mut columns = Vec::new();
    for (name, weights, p) in
        [("Gaussian 3x3x64, P = 13", conv, 13), ("depthwise 3x3 with a mean, P = 9", depthwise, 9)]
    {
        let scales = max_scales(weights.view(), m4, Granularity::Channel);
        let units = in_units(weights.view(), &scales).unwrap();
        let calibration = data(random, u4, 256, weights.ncols());
        let errors = errors(units.view(), &scales, m4, u4, p, &calibration);
        sign_split_is_lowest(name, &errors);
        columns.push((name.to_owned(), errors));
    }
    print("Relative error, W4A4, scales per channel", &columns);
}

#[test]
fn layers_of_a_real_network() {
    let Some(zoo) = std::env::var_os("SNUG_ZOO") else {
        eprintln!("SKIPPED: kwsmlp_w3a3.onnx is not tested; set SNUG_ZOO to the folder that holds models/ and data/");
        return;
    };
    let random = &mut Random::new(7);
    let network =
        import(&PathBuf::from(zoo).join("models/kwsmlp_w3a3.onnx"), &ImportOptions::default()).unwrap().network;
    for (layer, dense) in network.dense_layers() {
        let input = network.tensor(layer.input()).datatype;
        let scales: Vec<f64> = network.tensor(layer.output).scale.iter().flatten().map(|s| s.factor).collect();
        let weights = dense.weights.mapv(|w| w as f64);
        let exact =
            dense.weights.rows().into_iter().map(|r| SignSums::of(r).interval(input.range()).width()).max().unwrap();
        let calibration = data(random, input, 200, weights.ncols());
        let columns: Vec<_> = (0..=4)
            .map(|d| {
                let p = exact - d;
                let errors = errors(weights.view(), &scales, dense.weight_type, input, p, &calibration);
                sign_split_is_lowest(&format!("{}, P = {p}", layer.name), &errors);
                (format!("P = {p}"), errors)
            })
            .collect();
        print(&format!("kwsmlp {}: {} x {}", layer.name, dense.weights.nrows(), dense.weights.ncols()), &columns);
    }
}
