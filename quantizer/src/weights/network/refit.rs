//! Everything behind a layer whose weights have changed: factors are taken in, ranges derived again, steps that nothing reaches any
//! more go.

use std::collections::HashMap;

use super::NetworkError;
use crate::datatype::Range;
use crate::network::{LabelGrid, Layer, Network, Op, Scale, Steps, Tensor, TensorId, Threshold};
use crate::reach::{MAX_ACCUMULATOR_BITS, elements, output_ranges, output_type};

/// Refits `network` from layer `place` on; its output counts `factors[channel]` times less than it did.
pub fn behind(network: &mut Network, place: usize, factors: Vec<i64>) -> Result<(), NetworkError> {
    let mut coarser = HashMap::new();
    if factors.iter().any(|&k| k != 1) {
        coarser.insert(network.layers[place].output, factors);
    }
    for i in place..network.layers.len() {
        let layer = &mut network.layers[i];
        let (input, output) = (layer.input(), layer.output);
        let factors = coarser.get(&input).cloned();
        let input = &network.tensors[input.0];
        match (&mut layer.op, factors) {
            (Op::Threshold(threshold), factors) => refit(threshold, &input.ranges, factors),
            (Op::Flatten, Some(factors)) => {
                coarser.insert(output, spread(&factors, elements(&input.shape).unwrap_or(0)));
            }
            (_, None) if layer.inputs.iter().all(|id| !coarser.contains_key(id)) => {}
            // Nothing else can take a factor.
            _ => return Err(NetworkError::Reader { layer: layer.name.clone() }),
        }
        let too_wide = |layer: &Layer| NetworkError::TooWide { layer: layer.name.clone(), max: MAX_ACCUMULATOR_BITS };
        let inputs: Vec<&Tensor> = layer.inputs.iter().map(|id| &network.tensors[id.0]).collect();
        let ranges = output_ranges(&layer.op, &inputs).ok_or_else(|| too_wide(layer))?;
        let datatype = output_type(&layer.op, &inputs, &ranges);
        let tensor = &mut network.tensors[output.0];
        // A Threshold keeps the type of its codes.
        if let Some(datatype) = datatype {
            tensor.datatype = datatype;
        }
        tensor.ranges = ranges;
    }
    for (id, factors) in &coarser {
        let tensor = &mut network.tensors[id.0];
        if let Some(scales) = &mut tensor.scale {
            *scales = rescaled(scales, factors);
        }
    }
    output(network, &coarser);
    Ok(())
}

/// One factor for each of `elements`: each of the factors for an equal run.
fn spread(factors: &[i64], elements: usize) -> Vec<i64> {
    let each = elements.checked_div(factors.len()).unwrap_or(0);
    factors.iter().flat_map(|&k| std::iter::repeat_n(k, each)).collect()
}

fn rescaled(scales: &[Scale], factors: &[i64]) -> Vec<Scale> {
    let of = |(c, &k): (usize, &i64)| {
        let scale = if scales.len() == 1 { scales[0] } else { scales[c] };
        Scale { factor: scale.factor * k as f64, ..scale }
    };
    let all: Vec<Scale> = factors.iter().enumerate().map(of).collect();
    let one = scales.len() == 1 && factors.windows(2).all(|w| w[0] == w[1]);
    if one { all.into_iter().take(1).collect() } else { all }
}

/// The classes' grid, if the output is among the coarser tensors.
fn output(network: &mut Network, coarser: &HashMap<TensorId, Vec<i64>>) {
    let (Some(factors), Ok(grid)) = (coarser.get(&network.output), &network.label_grid) else { return };
    let factors = spread(factors, grid.multiplier.len());
    let multiplier: Option<Vec<i64>> = grid.multiplier.iter().zip(factors).map(|(&m, k)| m.checked_mul(k)).collect();
    network.label_grid = match multiplier {
        Some(multiplier) => Ok(LabelGrid { multiplier, offset: grid.offset.clone() }),
        None => {
            Err("the classes' values on one grid do not fit in 64 bits after the weights' grid was made coarser".into())
        }
    };
}

/// Steps for inputs that count `factors` times less, of which every channel reaches `ranges`.
fn refit(threshold: &mut Threshold, ranges: &[Range], factors: Option<Vec<i64>>) {
    let shared = threshold.channels.len() == 1 && ranges.len() != 1;
    let factors = factors.unwrap_or_else(|| vec![1; ranges.len()]);
    if shared && factors.windows(2).all(|w| w[0] == w[1]) {
        let hull = ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
        threshold.channels = vec![steps(threshold.channel(0), factors.first().copied().unwrap_or(1), hull)];
    } else {
        let of = |(c, (&k, &range)): (usize, (&i64, &Range))| steps(threshold.channel(c), k, range);
        threshold.channels = factors.iter().zip(ranges).enumerate().map(of).collect();
    }
}

/// `steps` for an input that counts `k` times less and reaches `range`: the codes of `k * x` for every `x` in `range`.
pub fn steps(old: &Steps, k: i64, range: Range) -> Steps {
    // k * x >= t exactly if x >= ceil(t / k).
    let scaled = || old.steps.iter().map(|&t| num_integer::Integer::div_ceil(&t, &k));
    let count = |of: &dyn Fn(i64) -> bool| scaled().filter(|&t| of(t)).count() as i64;
    // A rising function always has counted what every input reaches, a falling one what none does.
    let always = if old.falling { count(&|t| t > range.hi) } else { count(&|t| t <= range.lo) };
    let steps = scaled().filter(|&t| range.lo < t && t <= range.hi).collect();
    Steps { base: old.base + always, steps, falling: old.falling }
}
