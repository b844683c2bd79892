//! Weight quantizers on a whole [`Network`]: new integers in every layer that misses its target, and everything behind made to fit.
//!
//! Weights are codes already: a method works on their grid, or (grid rescale, de Bruin) on one that is `k` times coarser, `k` a
//! positive integer. Where the grid stays, an accumulator keeps its meaning, and so do the thresholds behind it. Where it is
//! `k` times coarser, the old accumulator is `k` times the new one, and `k * x >= t` exactly if `x >= ceil(t / k)`: thresholds
//! stay exact. At the network's output the scale and the label grid take the factor.
//!
//! Biases are in thresholds and in the output's scale and label offsets. They enter no register, before and after.

mod columns;
mod error;
mod refit;
mod report;

use ndarray::{Array2, s};

use super::{Calibration, Choice, Method, Problem, Quantized, WeightError, quantize};
use crate::bound::Interval;
use crate::datatype::{DataType, Signedness};
use crate::network::{Conv, Dense, MatrixLayer, Network, Op, Tensor, TensorId};

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
    quantize_all(network, None, targets, method, activations)
}

/// [`quantize_network`] for a network whose weights are the roundings of real ones: `weights`, a matrix for each layer with
/// accumulators, in units of their channel's scale. The method rounds these, in every layer that has a target: the nearest integers
/// need not be what it would choose, even where they fit.
///
/// # Errors
/// As [`quantize_network`]; and if matrices are missing or of another shape than the layers' weights.
pub fn quantize_real(
    network: &Network,
    weights: &[Array2<f64>],
    targets: &[Option<u32>],
    method: &dyn Method,
    activations: Option<&Activations<'_>>,
) -> Result<(Network, Vec<LayerReport>), NetworkError> {
    let layers: Vec<_> = network.matrix_layers().collect();
    if weights.len() != layers.len() {
        return Err(NetworkError::Weights { layer: None, found: vec![weights.len()], needed: vec![layers.len()] });
    }
    for (real, matrix) in weights.iter().zip(layers) {
        if real.dim() != matrix.weights.dim() {
            let (found, needed) = (real.shape().to_vec(), matrix.weights.shape().to_vec());
            return Err(NetworkError::Weights { layer: Some(matrix.layer.name.clone()), found, needed });
        }
    }
    quantize_all(network, Some(weights), targets, method, activations)
}

fn quantize_all(
    network: &Network,
    real: Option<&[Array2<f64>]>,
    targets: &[Option<u32>],
    method: &dyn Method,
    activations: Option<&Activations<'_>>,
) -> Result<(Network, Vec<LayerReport>), NetworkError> {
    network.validate().map_err(NetworkError::Invalid)?;
    let layers = network.matrix_layers().count();
    if targets.len() != layers {
        return Err(NetworkError::Targets { given: targets.len(), layers });
    }
    let mut result = network.clone();
    let mut reports = Vec::new();
    let places: Vec<usize> =
        (0..network.layers.len()).filter(|&i| MatrixLayer::of(&network.layers[i]).is_some()).collect();
    for (i, (place, &target)) in places.into_iter().zip(targets).enumerate() {
        let before = width(&result, place);
        let real = real.and_then(|real| real.get(i));
        match target {
            Some(accumulator) if before > accumulator || real.is_some() => {
                let task = Task { place, accumulator, real };
                reports.push(constrain(network, &mut result, &task, method, activations)?);
            }
            _ => reports.push(LayerReport::unchanged(&result, place, target, before, real)),
        }
    }
    // With weights that were real the result may be the rounding that was there.
    if result != *network {
        result.notes.push(format!("weights constrained by {} after training", method.name()));
    }
    result.validate().map_err(NetworkError::Invalid)?;
    Ok((result, reports))
}

/// Exact width of a layer's widest channel over the declared type of its inputs.
fn width(network: &Network, place: usize) -> u32 {
    let layer = &network.layers[place];
    let Some(matrix) = MatrixLayer::of(layer) else { return 1 };
    let input = network.tensor(layer.input());
    let patches = matrix.patches(input);
    let exact = |row| Interval::from(matrix.exact(row, &patches, input).ends).width();
    (0..matrix.weights.nrows()).map(exact).max().unwrap_or(1)
}

/// One layer to be quantized.
struct Task<'a> {
    /// Which layer of the network.
    place: usize,
    /// Bits that it may use.
    accumulator: u32,
    /// What its weights are roundings of, in units of their scales.
    real: Option<&'a Array2<f64>>,
}

/// Quantizes one layer of `result` in place; `source` is the network as it was.
fn constrain(
    source: &Network,
    result: &mut Network,
    &Task { place, accumulator, real }: &Task<'_>,
    method: &dyn Method,
    activations: Option<&Activations<'_>>,
) -> Result<LayerReport, NetworkError> {
    let layer = &result.layers[place];
    let (name, input, output) = (layer.name.clone(), layer.input(), layer.output);
    let tensor = result.tensor(input);
    let Some(matrix) = MatrixLayer::of(layer) else { return Err(NetworkError::Unsupported { layer: name }) };
    if raw(result, input) {
        return Err(NetworkError::Unquantized { layer: name, tensor: tensor.name.clone() });
    }
    let before = width(result, place);
    let codes_of = |network: &Network| match activations {
        Some(activations) if method.wants_data() => activations(network, input).map(Some),
        _ => Ok(None),
    };
    let failed = |what| NetworkError::Activations { layer: name.clone(), what };
    let (was, is) = (codes_of(source).map_err(failed)?, codes_of(result).map_err(failed)?);
    let weights = real.map_or_else(|| matrix.weights.mapv(|w| w as f64), Clone::clone);
    let weight_type = match matrix.weight_type.sign {
        // The smallest type that has a 0 beside -1 and +1.
        Signedness::Bipolar => DataType { narrow: true, ..DataType::signed(2) },
        _ => matrix.weight_type,
    };
    let problem =
        Problem { weights: weights.view(), weight_type, input: tensor.datatype, accumulator, calibration: None };
    let quantized = match (&was, &is) {
        (Some(was), Some(is)) => {
            with_data(&problem, &matrix, [result.tensor(input), result.tensor(output)], [was, is], method)
        }
        _ => quantize(&problem, method),
    };
    let quantized = quantized.map_err(|source| NetworkError::Layer { layer: name.clone(), source })?;
    let factors =
        quantized.choice.multipliers.iter().map(|k| k.is_integer().then(|| k.to_integer()).filter(|&k| k > 0));
    let Some(factors) = factors.collect::<Option<Vec<i64>>>() else {
        return Err(NetworkError::Factor { layer: name, method: method.name() });
    };
    let scales: Vec<f64> = result.tensor(output).scale.iter().flatten().map(|s| s.factor).collect();
    let mut report = LayerReport {
        name: name.clone(),
        changed: true,
        target: Some(accumulator),
        before,
        exact: quantized.width(),
        slack: None,
        error: quantized.relative_error(weights.view(), &scales),
        sparsity: quantized.sparsity(),
        zero_channels: quantized.zero_channels(),
        largest_factor: factors.iter().copied().max().unwrap_or(1),
    };
    match &mut result.layers[place].op {
        Op::Dense(Dense { weights, weight_type }) | Op::Conv(Conv { weights, weight_type, .. }) => {
            *weights = quantized.choice.codes;
            *weight_type = quantized.choice.weight_type;
        }
        _ => {}
    }
    // In a convolution some taps may never be on the image together: what is met for all of them may need less.
    report.exact = width(result, place);
    report.slack = accumulator.checked_sub(report.exact);
    refit::behind(result, place, factors)?;
    Ok(report)
}

/// [`quantize`] with what the layer reads: for a convolution group by group, since groups read channels of their own.
fn with_data(
    problem: &Problem<'_>,
    matrix: &MatrixLayer<'_>,
    [input, output]: [&Tensor; 2],
    data: [&Array2<i64>; 2],
    method: &dyn Method,
) -> Result<Quantized, WeightError> {
    let groups = matrix.groups.max(1);
    let rows = problem.weights.nrows() / groups;
    let mut parts = Vec::with_capacity(groups);
    for group in 0..groups {
        let [source, quantized] = data.map(|codes| columns::of(codes, matrix, group * rows, input, output));
        let calibration = Some(Calibration { source: source.view(), quantized: quantized.view() });
        let weights = problem.weights.slice(s![group * rows..(group + 1) * rows, ..]);
        parts.push(quantize(&Problem { weights, calibration, ..*problem }, method)?);
    }
    let mut codes = Array2::zeros(problem.weights.dim());
    for (group, part) in parts.iter().enumerate() {
        codes.slice_mut(s![group * rows..(group + 1) * rows, ..]).assign(&part.choice.codes);
    }
    let multipliers = parts.iter().flat_map(|p| p.choice.multipliers.iter().copied()).collect();
    let widths = parts.iter().flat_map(|p| p.widths.iter().copied()).collect();
    // Methods that look at data keep the type of the weights.
    let weight_type = parts.first().map_or(problem.weight_type, |p| p.choice.weight_type);
    Ok(Quantized { choice: Choice { codes, multipliers, weight_type }, widths })
}

/// Whether a tensor holds accumulators that nothing has quantized.
fn raw(network: &Network, tensor: TensorId) -> bool {
    match network.layers.iter().find(|l| l.output == tensor) {
        Some(layer) => match layer.op {
            Op::Threshold(_) | Op::Table(_) => false,
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
pub(super) use columns::of as columns_for_tests;
#[cfg(test)]
pub(super) use refit::behind as try_refit_for_tests;
#[cfg(test)]
pub(super) use refit::steps as steps_for_tests;

/// [`refit::behind`] for tests, which have no reason to fail there.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn refit_for_tests(network: &mut Network, place: usize, factors: Vec<i64>) {
    refit::behind(network, place, factors).unwrap();
}
