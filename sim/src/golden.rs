//! The golden model: a [`Network`] on integers, the truth that hardware and simulators are compared with.
//!
//! Matrix products run in `f32` or `f64` where that is exact: when every partial sum in every order is an integer below
//! 2^24 or 2^53 in magnitude, no operation rounds. The bound is computed here from the weights and the datatype of the input,
//! row by row; where it is not met, products are summed in `i128`.

mod dense;
mod patches;
mod threshold;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use quantizer::datatype::DataType;
use quantizer::network::{LabelGrid, Network, Op, Scale, Table, TensorId, image};
use quantizer::reach::elements;
use quantizer::validate::Invalid;
use thiserror::Error;

use dense::Product;
use patches::{Convolution, Pool};
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

/// Samples computed together at most: their activations stay in cache.
const BATCH: usize = 128;

/// Elements of the largest tensor for all samples computed together, at most.
const BATCH_ELEMENTS: usize = 1 << 17;

/// A network made ready to run many times.
pub struct Golden<'a> {
    network: &'a Network,
    steps: Vec<Step>,
    /// Elements of every tensor.
    elements: Vec<usize>,
    /// Samples computed together.
    batch: usize,
}

/// A layer made ready.
struct Step {
    inputs: Vec<TensorId>,
    output: TensorId,
    kernel: Kernel,
    /// Tensors that no later layer reads, the network's output apart.
    done: Vec<TensorId>,
}

enum Kernel {
    Same,
    Product(Product),
    Codes(Codes),
    Convolution(Convolution),
    Pool(Pool),
    Add(Vec<i64>),
    /// Of so many channels.
    Table(Table, usize),
    Concat,
    /// The element of the input for each element of the output.
    Gather(Vec<usize>),
}

impl Kernel {
    fn apply(&self, inputs: &[&Array2<i64>]) -> Array2<i64> {
        // A valid network's layers all read something.
        let Some(&input) = inputs.first() else { return Array2::default((0, 0)) };
        match self {
            Kernel::Same => input.clone(),
            Kernel::Product(product) => product.apply(input),
            Kernel::Codes(codes) => codes.apply(input),
            Kernel::Convolution(convolution) => convolution.apply(input),
            Kernel::Pool(pool) => pool.apply(input),
            Kernel::Add(coefficients) => patches::add(coefficients, inputs),
            Kernel::Table(table, channels) => patches::looked_up(table, input, *channels),
            Kernel::Concat => patches::concat(inputs),
            Kernel::Gather(sources) => patches::gather(sources, input),
        }
    }
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
        let steps = network.layers.iter().enumerate().map(|(i, layer)| {
            let (input, output) = (network.tensor(layer.input()), network.tensor(layer.output));
            let (channels, size) = image(&input.shape).unwrap_or((1, [1, 1]));
            let kernel = match &layer.op {
                Op::Flatten => Kernel::Same,
                Op::Dense(dense) => Kernel::Product(Product::new(dense, &input.ranges)),
                Op::Threshold(t) => Kernel::Codes(Codes::new(t, input.ranges.len(), elements[layer.input().0])),
                Op::Conv(conv) => Kernel::Convolution(Convolution::new(conv, input, output)),
                Op::MaxPool(window) => Kernel::Pool(Pool::new(window, true, input, output)),
                Op::SumPool(window) => Kernel::Pool(Pool::new(window, false, input, output)),
                Op::Add(add) => Kernel::Add(add.coefficients.clone()),
                Op::Table(table) => Kernel::Table(table.clone(), input.ranges.len()),
                Op::Concat => Kernel::Concat,
                Op::Upsample(factor) => Kernel::Gather(patches::upsampled(channels, size, *factor)),
                Op::DepthToSpace(to) => Kernel::Gather(patches::from_depth(*to, channels, size)),
            };
            let later = &network.layers[i + 1..];
            let unread = |id: &TensorId| *id != network.output && later.iter().all(|l| !l.inputs.contains(id));
            let done = layer.inputs.iter().copied().filter(unread).collect();
            Step { inputs: layer.inputs.clone(), output: layer.output, kernel, done }
        });
        let steps: Vec<Step> = steps.collect();
        // Images are larger than vectors: fewer of them together.
        let largest = elements.iter().copied().max().unwrap_or(1).max(1);
        let batch = (BATCH_ELEMENTS / largest).clamp(1, BATCH);
        Ok(Golden { network, steps, elements, batch })
    }

    /// As [`run`].
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(&self, inputs: ArrayView2<'_, i64>) -> Result<Array2<i64>, GoldenError> {
        self.check(inputs)?;
        let mut outputs = Array2::zeros((inputs.nrows(), self.elements[self.network.output.0]));
        outputs
            .axis_chunks_iter_mut(Axis(0), self.batch)
            .into_par_iter()
            .zip(inputs.axis_chunks_iter(Axis(0), self.batch))
            .for_each(|(mut to, batch)| to.assign(&self.forward(batch, false)[self.network.output.0]));
        Ok(outputs)
    }

    /// As [`run_all`].
    ///
    /// # Errors
    /// As [`run`].
    pub fn run_all(&self, inputs: ArrayView2<'_, i64>) -> Result<Vec<Array2<i64>>, GoldenError> {
        self.check(inputs)?;
        let batches: Vec<_> =
            inputs.axis_chunks_iter(Axis(0), self.batch).into_par_iter().map(|b| self.forward(b, true)).collect();
        let mut tensors: Vec<_> = self.elements.iter().map(|&n| Array2::zeros((inputs.nrows(), n))).collect();
        for (i, batch) in batches.iter().enumerate() {
            for (tensor, part) in tensors.iter_mut().zip(batch) {
                tensor.slice_mut(s![i * self.batch..i * self.batch + part.nrows(), ..]).assign(part);
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

    /// Every tensor for one batch, in the order of `Network::tensors`; without `keep` empty once nothing reads it any more, but for
    /// the output.
    fn forward(&self, batch: ArrayView2<'_, i64>, keep: bool) -> Vec<Array2<i64>> {
        let mut tensors = vec![Array2::zeros((0, 0)); self.elements.len()];
        tensors[self.network.input.0] = batch.as_standard_layout().into_owned();
        for step in &self.steps {
            let inputs: Vec<&Array2<i64>> = step.inputs.iter().map(|id| &tensors[id.0]).collect();
            tensors[step.output.0] = step.kernel.apply(&inputs);
            if !keep {
                for id in &step.done {
                    tensors[id.0] = Array2::zeros((0, 0));
                }
            }
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
