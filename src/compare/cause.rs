//! Why the data differ, where it can be told: the network is run on the inputs read in other ways, and the values are
//! tried against simple laws.

use ndarray::{Array2, ArrayView2};
use num_bigint::BigInt;
use quantizer::network::TensorId;
use quantizer::rational::Rational;
use sim::golden;

use super::expected::Expected;
use crate::codes::{self, Normalise};
use crate::data::{Kind, Samples, Values};
use crate::error::Error;
use crate::inputs::Inputs;
use crate::model::Model;

/// Samples on which other readings are tried.
const TRIED: usize = 16;

/// A cause in words, if one explains all of the values of tensor `id`.
///
/// # Errors
/// If the golden model refuses, which it did not before.
pub fn find(
    model: &Model,
    inputs: &Inputs,
    codes: &Array2<i64>,
    id: TensorId,
    expected: &Expected,
) -> Result<Option<String>, Error> {
    if let Some(law) = law(codes.view(), expected) {
        return Ok(Some(law));
    }
    let few = inputs.samples.take(&(0..inputs.samples.count.min(TRIED)).collect::<Vec<_>>());
    for (samples, normalise, words) in readings(model, &few) {
        let Ok((codes, _)) = model.with_pins(|pins| codes::codes(&inputs.path, &samples, pins, &normalise)) else {
            continue;
        };
        let tensors = golden::run_all(&model.network, codes.view())?;
        let same = |((s, e), &code): ((usize, usize), &i64)| expected.agrees(s, e, code);
        if tensors[id.0].indexed_iter().all(same) {
            return Ok(Some(words.to_owned()));
        }
    }
    Ok(None)
}

/// Other ways to read the same inputs, with what it would mean if one is right.
fn readings(model: &Model, samples: &Samples) -> Vec<(Samples, Normalise, &'static str)> {
    let shape = &model.network.tensor(model.network.input).shape;
    let mut readings = Vec::new();
    if let [c, h, w] = shape[..] {
        let transposed = |i: usize| (i / (h * w)) * h * w + (i % w) * h + i % (h * w) / w;
        let last = |i: usize| i % (h * w) * c + i / (h * w);
        let keep = || model.normalise.clone();
        readings.push((
            permuted(samples, transposed),
            keep(),
            "layout: the expected values follow if rows and columns of the inputs are exchanged",
        ));
        let first = |i: usize| i % c * (h * w) + i / c;
        if c > 1 && model.network.input_channels_last {
            readings.push((
                permuted(samples, first),
                keep(),
                "layout: the expected values follow if the inputs have their channels first (--layout nchw)",
            ));
        } else if c > 1 {
            readings.push((
                permuted(samples, last),
                keep(),
                "layout: the expected values follow if the inputs have their channels last (--layout nhwc)",
            ));
        }
    }
    if model.input_type.is_none() && model.first_quant.is_some() && model.normalise.is_none() {
        let rational = |n: i64, d: i64| Rational::new(BigInt::from(n), BigInt::from(d));
        let with = |mean: Rational, std: Rational| Normalise { mean: vec![mean], std: vec![std] };
        let half = || with(rational(1, 2), rational(1, 2));
        readings.push((
            samples.clone(),
            half(),
            "missing normalisation: the expected values follow with --mean 0.5 --std 0.5",
        ));
        readings.push((
            samples.clone(),
            with(rational(1307, 10_000), rational(3081, 10_000)),
            "missing normalisation: the expected values follow with --mean 0.1307 --std 0.3081",
        ));
        if samples.kind.is_pixels() {
            readings.push((
                Samples { kind: Kind::Numbers, ..samples.clone() },
                Normalise::default(),
                "scale: the expected values follow if pixels mean 0 to 255, not 0 to 1 (--std 0.00392156862745098)",
            ));
        } else {
            readings.push((
                samples.clone(),
                with(rational(0, 1), rational(255, 1)),
                "missing normalisation: the expected values follow if the inputs are divided by 255 (--std 255)",
            ));
            readings.push((
                samples.clone(),
                with(rational(0, 1), rational(1, 255)),
                "scale: the expected values follow if the inputs are multiplied by 255",
            ));
        }
    }
    readings
}

fn permuted(samples: &Samples, place: impl Fn(usize) -> usize) -> Samples {
    let size = samples.size;
    let values: Values = samples.values.gather((0..samples.count * size).map(|i| i / size * size + place(i % size)));
    Samples { values, ..samples.clone() }
}

/// A law between all expected values and the network's: probabilities, or a constant factor.
fn law(codes: ArrayView2<i64>, expected: &Expected) -> Option<String> {
    let rows = || 0..codes.nrows();
    let row = |s: usize| (0..codes.ncols()).map(move |e| expected.real(s, e));
    let distribution = |s: usize| row(s).all(|v| (0.0..=1.0).contains(&v)) && (row(s).sum::<f64>() - 1.0).abs() < 1e-4;
    if codes.ncols() > 1 && rows().all(distribution) {
        return Some(
            "the expected values are probabilities (each row adds up to 1): compare with the logits before Softmax"
                .to_owned(),
        );
    }
    if codes.indexed_iter().all(|((s, e), &code)| expected.real(s, e) == code as f64) {
        return Some("scale: the expected values are the integer codes themselves, not real values".to_owned());
    }
    let ours = |s: usize, e: usize| {
        let scale = expected.scale(e);
        scale.factor * codes[[s, e]] as f64 + scale.offset
    };
    let all = || codes.indexed_iter().map(|(at, _)| at);
    let (s, e) = all().max_by(|a, b| ours(a.0, a.1).abs().total_cmp(&ours(b.0, b.1).abs()))?;
    let factor = expected.real(s, e) / ours(s, e);
    let holds = |(s, e): (usize, usize)| {
        let law = factor * ours(s, e);
        (expected.real(s, e) - law).abs() <= 1e-4 * law.abs() + 1e-5 * (factor * expected.scale(e).factor).abs()
    };
    let is_law = factor.is_finite() && factor != 0.0 && (factor - 1.0).abs() > 1e-3 && all().all(holds);
    is_law.then(|| format!("scale: the expected values are {factor:.6} times the network's"))
}
