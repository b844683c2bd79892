//! The forward pass over the graph.

use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Gradients, Tensor, activation::relu, module};
use quantizer::network::Window;
use rayon::prelude::*;

use crate::graph::{Graph, Id, Matrix, Op, Quantizer};
use crate::quantizers::weights::Weights;
use crate::quantizers::{self, Rule, constant};
use crate::samples::Samples;
use crate::state::{Parameter, Role, State};

/// What keeps the batch norm's quotients finite; part of the network.
pub const EPSILON: f32 = 1e-5;

/// How much of a batch's statistics goes into the running ones.
const MOMENTUM: f32 = 0.1;

/// Whether numbers are floats or codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Floats: the network that quantized training starts from.
    Float,
    /// The same with the running statistics of its batch norms: what it answers once it is trained.
    Evaluated,
    /// Codes.
    Quantized,
}

/// A batch of values: `[samples, values]` as long as there is no image, else `[samples, channels, height, width]`.
#[derive(Clone)]
enum Value {
    Flat(Tensor<2>),
    Image(Tensor<4>),
}

impl Value {
    /// As vectors, in ONNX's order.
    fn flat(self) -> Tensor<2> {
        match self {
            Value::Flat(x) => x,
            Value::Image(x) => {
                let [samples, c, h, w] = x.dims();
                x.reshape([samples, c * h * w])
            }
        }
    }

    /// As an image of this shape.
    fn image(self, [c, h, w]: [usize; 3]) -> Tensor<4> {
        match self {
            Value::Image(x) => x,
            Value::Flat(x) => {
                let samples = x.dims()[0];
                x.reshape([samples, c, h, w])
            }
        }
    }
}

/// What a pass over a batch gives.
pub struct Pass {
    /// Real values of the last node, `[samples, values]`.
    pub outputs: Tensor<2>,
    /// What each quantizer of activations read, if that was asked for: its node, and values in no particular order.
    pub activations: Vec<(Id, Vec<f32>)>,
    /// Means and variances that the batch had, for each batch norm.
    pub statistics: Vec<[Vec<f32>; 2]>,
}

/// What the weights of a matrix have to fit.
pub fn rule(graph: &Graph, state: &State, id: Id, matrix: &Matrix) -> Rule {
    Rule {
        method: graph.method,
        weights: matrix.weights(),
        input: graph.input_type(id, &state.bits),
        accumulator: matrix.accumulator,
    }
}

/// What a pass takes its parameters from, and their gradients go to.
pub struct Leaves {
    /// Tensors in the order of parameters; none for those that only the weights are made from.
    tensors: Vec<Option<Tensor<2>>>,
    /// The weights of each matrix as codes; none while they are floats.
    weights: Vec<(Id, Weights)>,
}

impl Leaves {
    /// The parameters of a state for a pass in this mode.
    pub fn new(graph: &Graph, state: &State, mode: Mode, device: &Device) -> Self {
        let of = |(id, matrix): (Id, &Matrix)| {
            let [latent, exponents, norms] = [Role::Weight, Role::Scale, Role::Norm].map(|role| state.values(id, role));
            (id, Weights::new(rule(graph, state, id, matrix), latent, matrix.columns, exponents, norms))
        };
        let weights: Vec<_> = if mode == Mode::Quantized { graph.matrices().map(of).collect() } else { Vec::new() };
        let leaf = |p: &Parameter| {
            let values = match p.role {
                Role::Scale | Role::Norm => return None,
                Role::Weight => weights.iter().find(|(id, _)| *id == p.node).map_or(&p.values, |(_, w)| &w.values),
                Role::Gain | Role::Shift | Role::Activation => &p.values,
            };
            Some(constant(values.clone(), p.shape, device).require_grad())
        };
        let tensors = state.parameters.iter().map(leaf).collect();
        Leaves { tensors, weights }
    }

    /// The gradient of every parameter that has one, in their order, and of `lambda` times A2Q's regulariser. `state` is what the leaves were made from.
    pub fn gradients(&self, state: &State, mut all: Gradients, lambda: f64) -> Vec<Option<Vec<f32>>> {
        let take = |leaf: &Option<Tensor<2>>| leaf.as_ref()?.grad_remove(&mut all).map(quantizers::to_vec);
        let mut gradients: Vec<Option<Vec<f32>>> = self.tensors.iter().map(take).collect();
        for (id, weights) in &self.weights {
            let [weight, scale, norm] = [Role::Weight, Role::Scale, Role::Norm].map(|role| state.position(*id, role));
            let Some(by_values) = weight.and_then(|i| gradients[i].take()) else { continue };
            let found = weights.gradients(state.values(*id, Role::Weight), &by_values, lambda as f32);
            for (position, gradient) in [(weight, found.weights), (scale, found.exponents), (norm, found.norms)] {
                if let Some(i) = position {
                    gradients[i] = Some(gradient);
                }
            }
        }
        gradients
    }
}

/// Some samples as a batch, `[samples, values]`: see [`rows`].
pub fn batch(graph: &Graph, samples: &Samples, chosen: &[usize], mode: Mode, device: &Device) -> Tensor<2> {
    constant(rows(graph, samples, chosen, mode), [chosen.len(), samples.size()], device)
}

/// The values of some samples, one after the other: codes times their scale where numbers are codes.
pub fn rows(graph: &Graph, samples: &Samples, chosen: &[usize], mode: Mode) -> Vec<f32> {
    let size = samples.size().max(1);
    let mut values = vec![0.0; chosen.len() * size];
    let steps = (2f64.powi(graph.input_bits as i32) - 1.0) as f32;
    // Adding 1.5 * 2^23 leaves no bits for a fraction: rounded half to even, without a call for each value.
    const ROUND: f32 = 12_582_912.0;
    let nearest = |units: f32| if graph.input_bits <= 20 { (units + ROUND) - ROUND } else { units.round_ties_even() };
    values.par_chunks_mut(size).zip(chosen).for_each(|(to, &sample)| {
        let row = samples.row(sample);
        match mode {
            Mode::Quantized => to.iter_mut().zip(row).for_each(|(to, v)| *to = nearest(v * steps) / steps),
            Mode::Float | Mode::Evaluated => to.copy_from_slice(row),
        }
    });
    values
}

/// What one code of the input means: the largest is 1.
pub fn input_scale(bits: u32) -> f32 {
    (1.0 / (2f64.powi(bits as i32) - 1.0)) as f32
}

/// A pass in progress.
struct Forward<'a> {
    graph: &'a Graph,
    state: &'a State,
    leaves: &'a Leaves,
    mode: Mode,
    device: &'a Device,
    pass: Pass,
}

/// Runs a [`batch`] with its own statistics, as training does. `keep` keeps what quantizers read.
pub fn forward(
    graph: &Graph,
    state: &State,
    leaves: &Leaves,
    x: Tensor<2>,
    mode: Mode,
    keep: bool,
    device: &Device,
) -> Pass {
    let pass = Pass { outputs: x, activations: Vec::new(), statistics: Vec::new() };
    let mut forward = Forward { graph, state, leaves, mode, device, pass };
    let mut values: Vec<Option<Value>> = Vec::with_capacity(graph.nodes.len());
    for (id, node) in graph.nodes.iter().enumerate() {
        // The last reader takes the value with it: images are large.
        let mut take = |input: usize| -> Value {
            let source = node.inputs[input];
            let later = graph.nodes[id + 1..].iter().any(|n| n.inputs.contains(&source))
                || node.inputs[input + 1..].contains(&source);
            let value = if later { values[source].clone() } else { values[source].take() };
            // Nodes read what stands before them, and nothing is taken before its last reader.
            value.unwrap_or_else(|| Value::Flat(constant(vec![0.0], [1, 1], device)))
        };
        let value = match &node.op {
            Op::Input => forward.input(node.shape),
            Op::Matrix(matrix) => {
                let source = graph.nodes[node.inputs[0]].shape;
                forward.matrix(id, matrix, take(0), source, node.shape)
            }
            Op::Norm => forward.norm(id, take(0)),
            Op::Codes(quantizer) => forward.codes(id, quantizer, take(0), keep),
            Op::MaxPool(window) => {
                let options =
                    MaxPoolOptions::new(window.kernel).with_stride(window.stride).with_padding(window.pad_begin);
                let source = node.inputs[0];
                let pooled = module::max_pool2d(take(0).image(graph.nodes[source].shape), options);
                match &graph.nodes[source].op {
                    Op::Codes(quantizer) if pooled_first(graph, source) => {
                        Value::Image(forward.on_grid(quantizer, pooled))
                    }
                    _ => Value::Image(pooled),
                }
            }
            Op::AveragePool(window) => {
                let options =
                    AvgPoolOptions::new(window.kernel).with_stride(window.stride).with_padding(window.pad_begin);
                Value::Image(module::avg_pool2d(take(0).image(graph.nodes[node.inputs[0]].shape), options))
            }
            Op::Add => match (take(0), take(1)) {
                (Value::Flat(a), Value::Flat(b)) => Value::Flat(a + b),
                (a, b) => Value::Image(a.image(node.shape) + b.image(node.shape)),
            },
            Op::DepthToSpace(block) => {
                Value::Image(depth_to_space(take(0).image(graph.nodes[node.inputs[0]].shape), *block))
            }
        };
        values.push(Some(value));
    }
    if let Some(Some(last)) = values.pop() {
        forward.pass.outputs = last.flat();
    }
    forward.pass
}

impl Forward<'_> {
    /// A parameter of a node.
    fn own(&self, id: Id, role: Role) -> Option<Tensor<2>> {
        self.state.position(id, role).and_then(|i| self.leaves.tensors[i].clone())
    }

    /// One that the node has.
    fn must(&self, id: Id, role: Role) -> Tensor<2> {
        self.own(id, role).unwrap_or_else(|| constant(vec![0.0], [1, 1], self.device))
    }

    fn input(&self, shape: [usize; 3]) -> Value {
        let value = Value::Flat(self.pass.outputs.clone());
        if shape[1] * shape[2] == 1 { value } else { Value::Image(value.image(shape)) }
    }

    fn matrix(&self, id: Id, matrix: &Matrix, x: Value, source: [usize; 3], shape: [usize; 3]) -> Value {
        let weights = self.must(id, Role::Weight);
        let bias = self.own(id, Role::Shift);
        let Some(window) = &matrix.window else {
            let sums = x.flat().matmul(weights.transpose());
            return Value::Flat(match bias {
                Some(bias) => sums + bias,
                None => sums,
            });
        };
        let weights = weights.reshape([shape[0], source[0] / matrix.groups, window.kernel[0], window.kernel[1]]);
        let sums = convolve(x.image(source), weights, window, matrix.groups);
        Value::Image(match bias {
            Some(bias) => sums + bias.reshape([1, shape[0], 1, 1]),
            None => sums,
        })
    }

    fn norm(&mut self, id: Id, x: Value) -> Value {
        let (gain, shift) = (self.must(id, Role::Gain), self.must(id, Role::Shift));
        if let (Mode::Evaluated, Some(running)) = (self.mode, self.state.running(id)) {
            let row = |values: &[f32]| constant(values.to_vec(), [1, values.len()], self.device);
            let (mean, variance) = (row(&running.mean), row(&running.variance));
            let gain = gain / variance.add_scalar(EPSILON).sqrt();
            let shift = shift - mean * gain.clone();
            return match x {
                Value::Flat(sums) => Value::Flat(sums * gain + shift),
                Value::Image(sums) => {
                    let shape = [1, sums.dims()[1], 1, 1];
                    Value::Image(sums * gain.reshape(shape) + shift.reshape(shape))
                }
            };
        }
        match x {
            Value::Flat(sums) => Value::Flat(self.normed(sums, gain, shift)),
            Value::Image(sums) => Value::Image(self.normed(sums, gain, shift)),
        }
    }

    /// With the batch's own statistics, which are kept.
    fn normed<const D: usize>(&mut self, sums: Tensor<D>, gain: Tensor<2>, shift: Tensor<2>) -> Tensor<D> {
        let channels = sums.dims()[1];
        let normed =
            module::batch_norm_train(sums, gain.reshape([channels]), shift.reshape([channels]), EPSILON.into());
        self.pass.statistics.push([normed.mean, normed.variance].map(quantizers::to_vec));
        normed.output
    }

    fn codes(&mut self, id: Id, quantizer: &Quantizer, x: Value, keep: bool) -> Value {
        if keep {
            let values = match &x {
                Value::Flat(x) => quantizers::to_vec(x.clone().detach()),
                Value::Image(x) => quantizers::to_vec(x.clone().detach()),
            };
            self.pass.activations.push((id, values));
        }
        match x {
            x if pooled_first(self.graph, id) => x,
            Value::Flat(x) => Value::Flat(self.on_grid(quantizer, x)),
            Value::Image(x) => Value::Image(self.on_grid(quantizer, x)),
        }
    }

    fn on_grid<const D: usize>(&self, quantizer: &Quantizer, x: Tensor<D>) -> Tensor<D> {
        let datatype = quantizer.datatype(&self.state.bits);
        match (self.mode, self.own(quantizer.scale, Role::Activation)) {
            (Mode::Float | Mode::Evaluated, _) if quantizer.signed => x,
            (Mode::Float | Mode::Evaluated, _) => relu(x),
            (Mode::Quantized, Some(exponent)) => quantizers::activations(x, &exponent, datatype, self.device),
            // Codes that are added to the input's have its scale.
            (Mode::Quantized, None) => {
                quantizers::activations_fixed(x, input_scale(self.graph.input_bits), datatype, self.device)
            }
        }
    }
}

/// Whether a quantizer's codes are only pooled. Quantizing keeps the order of values, so that the code of the largest is the largest code: pooling first gives the
/// same codes, computes a quarter of them or fewer, and the gradient goes to the value that was largest instead of to the first of equal codes.
fn pooled_first(graph: &Graph, id: Id) -> bool {
    let mut readers = graph.nodes.iter().filter(|n| n.inputs.contains(&id));
    matches!((readers.next(), readers.next()), (Some(n), None) if matches!(n.op, Op::MaxPool(_)))
}

/// A convolution without bias.
fn convolve(x: Tensor<4>, weights: Tensor<4>, window: &Window, groups: usize) -> Tensor<4> {
    module::conv2d(x, weights, None, ConvOptions::new(window.stride, window.pad_begin, window.dilation, groups))
}

/// PyTorch's pixel shuffle: channel `c b^2 + u b + v` goes to channel `c`, place `(u, v)` of its block.
fn depth_to_space(x: Tensor<4>, block: usize) -> Tensor<4> {
    let [samples, channels, h, w] = x.dims();
    let c = channels / (block * block);
    x.reshape([samples, c, block, block, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([samples, c, h * block, w * block])
}

/// Takes a batch's statistics into the running ones; `samples` of the batch make variances unbiased.
pub fn remember(graph: &Graph, state: &mut State, statistics: Vec<[Vec<f32>; 2]>, samples: usize) {
    for (running, [mean, variance]) in state.running.iter_mut().zip(statistics) {
        let [_, h, w] = graph.nodes[running.node].shape;
        let values = samples * h * w;
        let unbiased = values as f32 / (values.max(2) - 1) as f32;
        for (r, new) in running.mean.iter_mut().zip(mean) {
            *r += MOMENTUM * (new - *r);
        }
        for (r, new) in running.variance.iter_mut().zip(variance) {
            *r += MOMENTUM * (new * unbiased - *r);
        }
    }
}
