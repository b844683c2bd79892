//! Differences that began at a tie further up: the network is run again with the ties decided the other way.

use std::collections::HashMap;

use ndarray::Array2;
use quantizer::network::{Network, TensorId};
use quantizer::testing::evaluate_with;

use super::expected::Expected;
use super::{decides, tie};
use crate::inputs::Inputs;
use crate::model::Model;

/// Runs tried at most for one sample.
const TRIES: usize = 2_000;
/// Ties decided otherwise at once, at most.
const AT_ONCE: usize = 3;

/// A code that float32 may have made instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flip {
    tensor: TensorId,
    element: usize,
    code: i64,
}

/// How many ties, decided the other way, give exactly the expected row of tensor `id`; `None` if none do.
pub fn explain(
    model: &Model,
    tensors: &[Array2<i64>],
    inputs: &Inputs,
    id: TensorId,
    sample: usize,
    expected: &Expected,
) -> Option<usize> {
    let flips = candidates(model, tensors, inputs, id, sample);
    let mut tries = 0;
    for size in 1..=AT_ONCE.min(flips.len()) {
        let mut chosen: Vec<usize> = (0..size).collect();
        loop {
            tries += 1;
            if tries > TRIES {
                return None;
            }
            let overrides: HashMap<(TensorId, usize), i64> =
                chosen.iter().map(|&i| ((flips[i].tensor, flips[i].element), flips[i].code)).collect();
            if overrides.len() == size {
                let row = forward(&model.network, inputs.codes.row(sample).to_vec(), &overrides, id)?;
                if row.iter().enumerate().all(|(e, &code)| expected.agrees(sample, e, code)) {
                    return Some(size);
                }
            }
            if !next(&mut chosen, flips.len()) {
                break;
            }
        }
    }
    None
}

/// Every other decision that float32 may have made before or at tensor `id`.
fn candidates(model: &Model, tensors: &[Array2<i64>], inputs: &Inputs, id: TensorId, sample: usize) -> Vec<Flip> {
    let network = &model.network;
    let mut flips = Vec::new();
    let mut add = |tensor: TensorId, element: usize, range: Option<(i64, i64)>| {
        let Some((lo, hi)) = range else { return };
        let datatype = network.tensor(tensor).datatype;
        let others = (lo..=hi).filter(|&c| c != tensors[tensor.0][[sample, element]] && datatype.holds(c));
        flips.extend(others.map(|code| Flip { tensor, element, code }));
    };
    for element in 0..inputs.codes.ncols() {
        add(network.input, element, tie::input(model, inputs, sample, element));
    }
    for (index, layer) in network.layers.iter().enumerate().filter(|(_, l)| decides(&l.op)) {
        if network.layers.iter().position(|l| l.output == id).is_none_or(|last| index > last) {
            continue;
        }
        for element in 0..tensors[layer.output.0].ncols() {
            add(layer.output, element, tie::threshold(model, tensors, index, sample, element));
        }
    }
    flips
}

/// The next choice of as many indices below `n`, in lexicographic order.
fn next(chosen: &mut [usize], n: usize) -> bool {
    let k = chosen.len();
    let Some(i) = (0..k).rev().find(|&i| chosen[i] < n - k + i) else { return false };
    chosen[i] += 1;
    for j in i + 1..k {
        chosen[j] = chosen[j - 1] + 1;
    }
    true
}

/// One sample's codes of tensor `id`, where some elements on the way are given.
fn forward(
    network: &Network,
    input: Vec<i64>,
    given: &HashMap<(TensorId, usize), i64>,
    id: TensorId,
) -> Option<Vec<i64>> {
    let tensors = evaluate_with(network, &input, |tensor, values| {
        for (&(_, element), &code) in given.iter().filter(|((t, _), _)| *t == tensor) {
            values[element] = code.into();
        }
    });
    tensors.get(id.0)?.iter().map(|&v| i64::try_from(v).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use quantizer::datatype::DataType;

    use super::*;

    #[test]
    fn forward_without_overrides_is_golden() {
        let network =
            quantizer::testing::mlp(3, &[9, 7, 5], DataType::unsigned(4), DataType::signed(3), DataType::unsigned(2));
        let inputs = quantizer::testing::inputs(&network, 1, 4);
        let golden = sim::golden::run_all(&network, inputs.view()).unwrap();
        for sample in 0..4 {
            for layer in &network.layers {
                let row = forward(&network, inputs.row(sample).to_vec(), &HashMap::new(), layer.output).unwrap();
                assert_eq!(row, golden[layer.output.0].row(sample).to_vec());
            }
        }
    }

    #[test]
    fn choices_come_each_once() {
        let mut chosen = vec![0, 1];
        let mut all = vec![chosen.clone()];
        while next(&mut chosen, 4) {
            all.push(chosen.clone());
        }
        assert_eq!(all, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]);
    }
}
