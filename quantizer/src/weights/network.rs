//! Weight quantizers on a whole [`Network`]: new integers in every layer that misses its target, and everything behind made to fit.
//!
//! Weights are codes already: a method works on their grid, or (grid rescale, de Bruin) on one that is `k` times coarser, `k` a
//! positive integer. Where the grid stays, an accumulator keeps its meaning, and so do the thresholds behind it. Where it is
//! `k` times coarser, the old accumulator is `k` times the new one, and `k * x >= t` exactly if `x >= ceil(t / k)`: thresholds
//! stay exact. At the network's output the scale and the label grid take the factor.
//!
//! Biases are in thresholds and in the output's scale and label offsets. They enter no register, before and after.

mod error;
mod refit;
mod report;

use ndarray::Array2;

use super::{Calibration, Method, Problem, quantize};
use crate::bound::SignSums;
use crate::datatype::{DataType, Signedness};
use crate::network::{Network, Op, TensorId};

pub use error::NetworkError;
pub use report::LayerReport;

/// Codes of one tensor of a network on calibration data, `[samples, elements]`: how a method that wants data gets them. This
/// crate runs no networks; whoever calls it brings the golden model.
pub type Activations<'a> = dyn Fn(&Network, TensorId) -> Result<Array2<i64>, String> + 'a;

/// Quantizes every layer of `network` that has a target (one entry for each layer with accumulators, in order) and misses it, front
/// to back. A layer that fits its target already is left as it is, whatever the method.
///
/// # Errors
/// An invalid network, a layer without an answer (see [`WeightError`](super::WeightError)), a layer whose inputs are raw
/// accumulators, a coarser grid where nothing behind can take the factor, activations that cannot be had.
pub fn quantize_network(
    network: &Network,
    targets: &[Option<u32>],
    method: &dyn Method,
    activations: Option<&Activations<'_>>,
) -> Result<(Network, Vec<LayerReport>), NetworkError> {
    network.validate().map_err(NetworkError::Invalid)?;
    let layers = network.dense_layers().count();
    if targets.len() != layers {
        return Err(NetworkError::Targets { given: targets.len(), layers });
    }
    let mut result = network.clone();
    let mut reports = Vec::new();
    let places: Vec<usize> =
        (0..network.layers.len()).filter(|&i| matches!(network.layers[i].op, Op::Dense(_))).collect();
    for (place, &target) in places.into_iter().zip(targets) {
        let before = width(&result, place);
        match target {
            Some(accumulator) if before > accumulator => {
                reports.push(constrain(network, &mut result, place, accumulator, method, activations)?);
            }
            _ => reports.push(LayerReport::unchanged(&result, place, target, before)),
        }
    }
    if reports.iter().any(|r| r.changed) {
        result.notes.push(format!("weights constrained by {} after training", method.name()));
    }
    result.validate().map_err(NetworkError::Invalid)?;
    Ok((result, reports))
}

/// Exact width of a layer's widest channel over the declared type of its inputs.
fn width(network: &Network, place: usize) -> u32 {
    let layer = &network.layers[place];
    let Op::Dense(dense) = &layer.op else { return 1 };
    let range = network.tensor(layer.input()).datatype.range();
    dense.weights.rows().into_iter().map(|row| SignSums::of(row).interval(range).width()).max().unwrap_or(1)
}

/// Quantizes one layer of `result` in place; `source` is the network as it was.
fn constrain(
    source: &Network,
    result: &mut Network,
    place: usize,
    accumulator: u32,
    method: &dyn Method,
    activations: Option<&Activations<'_>>,
) -> Result<LayerReport, NetworkError> {
    let layer = &result.layers[place];
    let (name, input, output) = (layer.name.clone(), layer.input(), layer.output);
    let tensor = result.tensor(input);
    let Op::Dense(dense) = &layer.op else { return Err(NetworkError::Unsupported { layer: name }) };
    if raw(result, input) {
        return Err(NetworkError::Unquantized { layer: name, tensor: tensor.name.clone() });
    }
    let before = width(result, place);
    let codes_of = |network: &Network| match activations {
        Some(activations) => activations(network, input).map(Some),
        None => Ok(None),
    };
    let failed = |what| NetworkError::Activations { layer: name.clone(), what };
    let (was, is) = (codes_of(source).map_err(failed)?, codes_of(result).map_err(failed)?);
    let calibration = match (&was, &is) {
        (Some(was), Some(is)) => Some(Calibration { source: was.view(), quantized: is.view() }),
        _ => None,
    };
    let weights = dense.weights.mapv(|w| w as f64);
    let weight_type = match dense.weight_type.sign {
        // The smallest type that has a 0 beside -1 and +1.
        Signedness::Bipolar => DataType { narrow: true, ..DataType::signed(2) },
        _ => dense.weight_type,
    };
    let problem = Problem { weights: weights.view(), weight_type, input: tensor.datatype, accumulator, calibration };
    let quantized = quantize(&problem, method).map_err(|source| NetworkError::Layer { layer: name.clone(), source })?;
    let factors =
        quantized.choice.multipliers.iter().map(|k| k.is_integer().then(|| k.to_integer()).filter(|&k| k > 0));
    let Some(factors) = factors.collect::<Option<Vec<i64>>>() else {
        return Err(NetworkError::Factor { layer: name, method: method.name() });
    };
    let scales: Vec<f64> = result.tensor(output).scale.iter().flatten().map(|s| s.factor).collect();
    let report = LayerReport {
        name: name.clone(),
        changed: true,
        target: Some(accumulator),
        before,
        exact: quantized.width(),
        slack: Some(accumulator - quantized.width()),
        error: quantized.relative_error(weights.view(), &scales),
        sparsity: quantized.sparsity(),
        zero_channels: quantized.zero_channels(),
        largest_factor: factors.iter().copied().max().unwrap_or(1),
    };
    if let Op::Dense(dense) = &mut result.layers[place].op {
        dense.weights = quantized.choice.codes;
        dense.weight_type = quantized.choice.weight_type;
    }
    refit::behind(result, place, factors)?;
    Ok(report)
}

/// Whether a tensor holds accumulators that nothing has quantized.
fn raw(network: &Network, tensor: TensorId) -> bool {
    match network.layers.iter().find(|l| l.output == tensor) {
        Some(layer) => match layer.op {
            Op::Threshold(_) => false,
            Op::Dense(_) | Op::Conv(_) | Op::SumPool(_) | Op::Add(_) => true,
            // What only moves codes.
            Op::Flatten | Op::MaxPool(_) | Op::Concat | Op::Upsample(_) | Op::DepthToSpace(_) => {
                layer.inputs.iter().any(|&id| raw(network, id))
            }
        },
        None => false,
    }
}

#[cfg(test)]
pub(super) use refit::steps as steps_for_tests;

/// [`refit::behind`] for tests, which have no reason to fail there.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn refit_for_tests(network: &mut Network, place: usize, factors: Vec<i64>) {
    refit::behind(network, place, factors).unwrap();
}
