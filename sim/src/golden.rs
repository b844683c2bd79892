//! The golden model: a [`Network`] on integers, the truth that hardware and simulators are compared with.
//!
//! Matrix products run in `f32` or `f64` where that is exact: when every partial sum in every order is an integer below
//! 2^24 or 2^53 in magnitude, no operation rounds. The bound is computed here from the weights and the datatype of the input,
//! row by row; where it is not met, products are summed in `i128`.

mod dense;
mod threshold;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use quantizer::datatype::DataType;
use quantizer::network::{LabelGrid, Network, Op, Scale, TensorId};
use quantizer::reach::elements;
use quantizer::validate::Invalid;
use thiserror::Error;

use dense::Product;
use threshold::Codes;

/// Why the golden model has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GoldenError {
    /// The network breaks promises, see [`Network::validate`].
    #[error("the network is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Invalid>),
    /// Samples of the wrong size.
    #[error("a sample has {got} elements; the network's input has {expected}")]
    Elements {
        /// Elements of the network's input.
        expected: usize,
        /// Columns given.
        got: usize,
    },
    /// A value that the input's datatype does not have.
    #[error("sample {sample}, element {element}: {code} is no code of the input's type {datatype}")]
    Code {
        /// Row of the inputs.
        sample: usize,
        /// Column of the inputs.
        element: usize,
        /// The value.
        code: i64,
        /// The input's declared type.
        datatype: DataType,
    },
}

/// Runs `network` on `inputs`, `[samples, elements]` in row-major ONNX order, to `[samples, outputs]`.
///
/// # Errors
/// See [`GoldenError`]; nothing is clamped or wrapped.
pub fn run(network: &Network, inputs: ArrayView2<'_, i64>) -> Result<Array2<i64>, GoldenError> {
    Golden::new(network)?.run(inputs)
}

/// As [`run`], with every tensor of the network: entry `i` is `Network::tensors[i]`, `[samples, elements]`.
///
/// # Errors
/// As [`run`].
pub fn run_all(network: &Network, inputs: ArrayView2<'_, i64>) -> Result<Vec<Array2<i64>>, GoldenError> {
    Golden::new(network)?.run_all(inputs)
}

/// Samples computed together: their activations stay in cache.
const BATCH: usize = 128;

/// A network made ready to run many times.
pub struct Golden<'a> {
    network: &'a Network,
    steps: Vec<Step>,
    /// Elements of every tensor.
    elements: Vec<usize>,
}

/// A layer made ready.
struct Step {
    input: TensorId,
    output: TensorId,
    kernel: Kernel,
}

enum Kernel {
    Same,
    Product(Product),
    Codes(Codes),
}

impl<'a> Golden<'a> {
    /// Checks the network and makes it ready.
    ///
    /// # Errors
    /// [`GoldenError::Invalid`].
    pub fn new(network: &'a Network) -> Result<Self, GoldenError> {
        network.validate().map_err(GoldenError::Invalid)?;
        // A valid network's shapes all have a count of elements.
        let elements: Vec<usize> = network.tensors.iter().map(|t| elements(&t.shape).unwrap_or_default()).collect();
        let steps = network.layers.iter().map(|layer| {
            let input = network.tensor(layer.input());
            let kernel = match &layer.op {
                Op::Flatten => Kernel::Same,
                Op::Dense(dense) => Kernel::Product(Product::new(dense, &input.ranges)),
                Op::Threshold(t) => Kernel::Codes(Codes::new(t, input.ranges.len(), elements[layer.input().0])),
            };
            Step { input: layer.input(), output: layer.output, kernel }
        });
        Ok(Golden { network, steps: steps.collect(), elements })
    }

    /// As [`run`].
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(&self, inputs: ArrayView2<'_, i64>) -> Result<Array2<i64>, GoldenError> {
        self.check(inputs)?;
        let mut outputs = Array2::zeros((inputs.nrows(), self.elements[self.network.output.0]));
        outputs
            .axis_chunks_iter_mut(Axis(0), BATCH)
            .into_par_iter()
            .zip(inputs.axis_chunks_iter(Axis(0), BATCH))
            .for_each(|(mut to, batch)| to.assign(&self.forward(batch)[self.network.output.0]));
        Ok(outputs)
    }

    /// As [`run_all`].
    ///
    /// # Errors
    /// As [`run`].
    pub fn run_all(&self, inputs: ArrayView2<'_, i64>) -> Result<Vec<Array2<i64>>, GoldenError> {
        self.check(inputs)?;
        let batches: Vec<_> =
            inputs.axis_chunks_iter(Axis(0), BATCH).into_par_iter().map(|b| self.forward(b)).collect();
        let mut tensors: Vec<_> = self.elements.iter().map(|&n| Array2::zeros((inputs.nrows(), n))).collect();
        for (i, batch) in batches.iter().enumerate() {
            for (tensor, part) in tensors.iter_mut().zip(batch) {
                tensor.slice_mut(s![i * BATCH..i * BATCH + part.nrows(), ..]).assign(part);
            }
        }
        Ok(tensors)
    }

    /// Refuses samples of another size, and values that are no codes of the input's datatype.
    fn check(&self, inputs: ArrayView2<'_, i64>) -> Result<(), GoldenError> {
        let (expected, got) = (self.elements[self.network.input.0], inputs.ncols());
        if expected != got {
            return Err(GoldenError::Elements { expected, got });
        }
        let datatype = self.network.tensor(self.network.input).datatype;
        match inputs.indexed_iter().find(|&(_, &code)| !datatype.holds(code)) {
            Some(((sample, element), &code)) => Err(GoldenError::Code { sample, element, code, datatype }),
            None => Ok(()),
        }
    }

    /// Every tensor for one batch, in the order of `Network::tensors`.
    fn forward(&self, batch: ArrayView2<'_, i64>) -> Vec<Array2<i64>> {
        let mut tensors = vec![Array2::zeros((0, 0)); self.elements.len()];
        tensors[self.network.input.0] = batch.as_standard_layout().into_owned();
        for step in &self.steps {
            let input = &tensors[step.input.0];
            tensors[step.output.0] = match &step.kernel {
                Kernel::Same => input.clone(),
                Kernel::Product(product) => product.apply(input),
                Kernel::Codes(codes) => codes.apply(input),
            };
        }
        tensors
    }
}

/// The class of every sample, from raw outputs `[samples, classes]`: the largest value on the grid, ties to the lowest class.
pub fn label(outputs: ArrayView2<'_, i64>, grid: &LabelGrid) -> Vec<usize> {
    let of = |row: ArrayView1<'_, i64>| {
        let mut best: Option<(usize, i128)> = None;
        for (class, ((&code, &m), &b)) in row.iter().zip(&grid.multiplier).zip(&grid.offset).enumerate() {
            let value = i128::from(m) * i128::from(code) + i128::from(b);
            if best.is_none_or(|(_, most)| value > most) {
                best = Some((class, value));
            }
        }
        best.map_or(0, |(class, _)| class)
    };
    outputs.rows().into_iter().map(of).collect()
}

/// Outputs `[samples, elements]` in real units: `factor * code + offset`, with one scale for all or one for each channel
/// (channels first: each covers an equal run of elements). The values are for people; nothing is decided by them.
pub fn real(outputs: ArrayView2<'_, i64>, scales: &[Scale]) -> Array2<f64> {
    let each = outputs.ncols().checked_div(scales.len()).unwrap_or(0).max(1);
    let mut values = outputs.mapv(|code| code as f64);
    for (i, mut column) in values.columns_mut().into_iter().enumerate() {
        if let Some(scale) = scales.get(i / each) {
            column.mapv_inplace(|code| scale.factor * code + scale.offset);
        }
    }
    values
}

#[cfg(test)]
mod tests;
