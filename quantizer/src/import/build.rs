//! The network under construction: tensors, layers, thresholds, and who gave a layer its name.

use std::collections::HashMap;

use rayon::prelude::*;

use super::chain::{self, Chain, Evaluator, Link, Param, functions};
use super::error::Refusal;
use super::function::Function;
use super::moves::{Move, Pending};
use super::pad::Padding;
use super::real::Real;
use super::solve::{self, Unsolved};
use super::sum::Sum;
use super::trunc::OPEN;
use crate::datatype::{DataType, Range};
use crate::network::{Layer, Op, Scale, Steps, Tensor, TensorId, Threshold, image};
use crate::reach::{MAX_ACCUMULATOR_BITS, accumulator_type, elements, output_ranges, output_type};
use crate::shape::output_shape;

/// The most elements that a tensor may have.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// What may be added to a network that is being built.
#[derive(Default)]
pub struct Builder {
    /// Tensors so far.
    pub tensors: Vec<Tensor>,
    /// Layers so far; names are provisional.
    pub layers: Vec<Layer>,
    /// The meaning behind each Threshold.
    pub chains: Vec<Chain>,
    /// Initializers of the own parameters of each layer with weights, and of what is folded behind it, by index in `layers`.
    pub votes: HashMap<usize, Votes>,
    /// Sums of branches without a common grid.
    pub sums: Vec<Sum>,
    /// Which layer a Threshold stands behind.
    pub behind: HashMap<usize, usize>,
    flattened: HashMap<TensorId, TensorId>,
    quantized: HashMap<(TensorId, String), TensorId>,
    moved: HashMap<(TensorId, Move), TensorId>,
    /// Images with zeros around them.
    pub padded: HashMap<(TensorId, Padding), TensorId>,
}

/// Initializers that may name a layer.
#[derive(Clone, Debug, Default)]
pub struct Votes {
    /// Of its weights and bias.
    pub own: Vec<String>,
    /// Of the functions folded behind it.
    pub behind: Vec<String>,
}

impl Builder {
    /// Adds a tensor.
    pub fn tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    fn get(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The same codes as a vector: `id` itself if it is one, else behind a Flatten layer.
    pub fn flatten(&mut self, id: TensorId, node: &str) -> TensorId {
        let tensor = self.get(id);
        if tensor.shape.len() == 1 {
            return id;
        }
        if let Some(&flat) = self.flattened.get(&id) {
            return flat;
        }
        let elements: usize = tensor.shape.iter().product();
        let spread = |n: usize| elements / n.max(1);
        let repeat = |i: usize, n: usize| i / spread(n);
        let ranges = (0..elements).map(|i| tensor.ranges[repeat(i, tensor.ranges.len())]).collect();
        let scale = tensor.scale.as_ref().map(|scale| match &scale[..] {
            [one] => vec![*one],
            many => (0..elements).map(|i| many[repeat(i, many.len())]).collect(),
        });
        let flat = Tensor { shape: vec![elements], ranges, scale, ..tensor.clone() };
        let flat = self.tensor(flat);
        let name = if node.is_empty() { "flatten" } else { node };
        self.layers.push(Layer {
            name: name.into(),
            node: node.into(),
            op: Op::Flatten,
            inputs: vec![id],
            output: flat,
        });
        self.flattened.insert(id, flat);
        flat
    }

    /// The shape of what `op` makes of images of these shapes.
    ///
    /// # Errors
    /// If they do not go together.
    pub fn result_shape(&self, op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, Refusal> {
        let shape = output_shape(op, inputs).map_err(|reason| Refusal::new(reason, "check the graph's shapes"))?;
        match elements(&shape) {
            Some(n) if n <= MAX_ELEMENTS => Ok(shape),
            _ => Err(Refusal::new(
                format!("its result of shape {shape:?} has more than {MAX_ELEMENTS} elements"),
                "check the graph's shapes",
            )),
        }
    }

    /// Adds a layer.
    ///
    /// # Errors
    /// If shapes disagree, or an accumulator could be wider than [`MAX_ACCUMULATOR_BITS`].
    pub fn layer(
        &mut self,
        node: &str,
        output: &str,
        op: Op,
        inputs: Vec<TensorId>,
        scale: Option<Vec<Scale>>,
    ) -> Result<TensorId, Refusal> {
        let read: Vec<&Tensor> = inputs.iter().map(|&id| self.get(id)).collect();
        let shape = self.result_shape(&op, &read.iter().map(|t| &t.shape[..]).collect::<Vec<_>>())?;
        let derived = output_ranges(&op, &read).and_then(|r| output_type(&op, &read, &r).map(|datatype| (r, datatype)));
        let (ranges, datatype) = derived.ok_or_else(|| {
            Refusal::new(
                format!("an accumulator would be wider than {MAX_ACCUMULATOR_BITS} bits"),
                "quantize weights or activations to fewer bits",
            )
        })?;
        let output = self.tensor(Tensor { name: output.into(), shape, datatype, ranges, scale });
        if matches!(op, Op::Dense(_) | Op::Conv(_)) {
            self.votes.insert(self.layers.len(), Votes::default());
        }
        self.layers.push(Layer { name: node.into(), node: node.into(), op, inputs, output });
        Ok(output)
    }

    /// A move carried out on integers: adds a layer, or finds the one that is there.
    ///
    /// # Errors
    /// If the image does not fit.
    pub fn moved(&mut self, id: TensorId, pending: &Pending) -> Result<TensorId, Refusal> {
        let key = (id, pending.what);
        if let Some(&known) = self.moved.get(&key) {
            return Ok(known);
        }
        let scale = self.get(id).scale.clone();
        let scale = match pending.what {
            // Channels of different scales that become one have no common one.
            Move::DepthToSpace(_) => scale.filter(|s| s.len() == 1),
            _ => scale,
        };
        let moved = self.layer(&pending.node, &pending.output, pending.what.op(), vec![id], scale)?;
        self.moved.insert(key, moved);
        Ok(moved)
    }

    /// The tensor that holds the image `shape` (without batch) once `moves` are carried out on it: `id` itself, as long
    /// as its elements are in that order.
    ///
    /// # Errors
    /// If the tensor is a vector, or another image.
    pub fn seen_as(&mut self, id: TensorId, moves: &[Pending], shape: &[usize]) -> Result<TensorId, Refusal> {
        let mut own = self.get(id).shape.clone();
        for pending in moves {
            own = self.result_shape(&pending.what.op(), &[&own])?;
        }
        if image(&own) == image(shape) {
            return Ok(id);
        }
        let untouched = moves.is_empty() && !self.layers.iter().any(|l| l.inputs.contains(&id) || l.output == id);
        let tensor = &mut self.tensors[id.0];
        let alike = tensor.ranges.windows(2).all(|w| w[0] == w[1]);
        let one_scale = tensor.scale.as_ref().is_none_or(|s| s.len() == 1);
        if untouched && alike && one_scale {
            // The pins, which nothing has read yet: their codes simply are this image.
            tensor.ranges = vec![tensor.ranges[0]; shape[0]];
            tensor.shape = shape.to_vec();
            return Ok(id);
        }
        Err(Refusal::new(
            format!("it reads data of shape {own:?} as an image of shape {shape:?}"),
            "reshape in front of the first quantizer, or keep the image's shape throughout",
        ))
    }

    /// The codes of `links`, which end in a quantizer, on the integer tensor `source`: adds a Threshold, or finds
    /// the one that is there.
    ///
    /// # Errors
    /// If a rounding decision cannot be made, or thresholds are too many.
    pub fn threshold(&mut self, source: TensorId, links: &[Link], node: &str) -> Result<TensorId, Refusal> {
        let Some(last) = links.last() else { return Ok(source) };
        let key = (source, last.output.clone());
        if let Some(&known) = self.quantized.get(&key) {
            return Ok(known);
        }
        let blocks = chain::blocks(links);
        // Parameters finer than channels need a channel for every element.
        let fine = self.get(source).shape.first().is_some_and(|c| !c.is_multiple_of(blocks));
        let from = if fine { self.flatten(source, node) } else { source };
        let tensor = self.get(from);
        let channels = tensor.shape.first().copied().unwrap_or(1);
        let elements: usize = tensor.shape.iter().product();
        let alike = blocks == 1 && tensor.ranges.windows(2).all(|w| w[0] == w[1]);
        let solved = (0..if alike { 1 } else { channels })
            .into_par_iter()
            .map(|c| {
                let evaluator = Evaluator::new(functions(links, c * (elements / channels), elements));
                solve::steps(&evaluator, tensor.ranges[c]).map_err(|e| (c, e))
            })
            .collect::<Result<Vec<Steps>, _>>();
        let steps = solved.map_err(|(channel, e)| unsolved(&last.node, channel, e))?;
        let behind = self.layers.iter().position(|l| l.output == source);
        if let Some(votes) = behind.and_then(|i| self.votes.get_mut(&i)) {
            votes.behind.extend(links.iter().flat_map(|l| l.sources.iter().cloned()));
        }
        let index = self.layers.len();
        let output = self.steps(from, steps, last, behind);
        self.chains.push(Chain { layer: String::new(), index, source: from, elements, links: links.to_vec() });
        self.quantized.insert(key, output);
        Ok(output)
    }

    /// Adds the Threshold layer of these step functions, one for each channel of `from` or one for all, that the quantizer `last` becomes
    /// behind layer `behind`.
    pub fn steps(&mut self, from: TensorId, steps: Vec<Steps>, last: &Link, behind: Option<usize>) -> TensorId {
        let of = |c: usize| if steps.len() == 1 { &steps[0] } else { &steps[c] };
        let ranges: Vec<Range> = (0..self.channels(from)).map(|c| of(c).range()).collect();
        self.requantized(from, Op::Threshold(Threshold { channels: steps }), ranges, last, behind)
    }

    /// Adds the layer `op`, of which the quantizer `last` is the meaning and whose channels reach `ranges`.
    pub fn requantized(
        &mut self,
        from: TensorId,
        op: Op,
        ranges: Vec<Range>,
        last: &Link,
        behind: Option<usize>,
    ) -> TensorId {
        let tensor = self.get(from);
        let channels = ranges.len();
        let datatype = last.function.codes().unwrap_or(DataType::signed(1));
        let datatype = if datatype == OPEN { accumulator_type(&ranges).unwrap_or(OPEN) } else { datatype };
        let output = Tensor {
            name: last.output.clone(),
            shape: tensor.shape.clone(),
            datatype,
            ranges,
            scale: quantizer_scale(&last.function, channels),
        };
        let output = self.tensor(output);
        self.behind.extend(behind.map(|i| (self.layers.len(), i)));
        let name = "input".to_string();
        self.layers.push(Layer { name, node: last.node.clone(), op, inputs: vec![from], output });
        output
    }
}

/// Real values of codes as `f64` metadata: one pair if all are equal; `None` if one is beyond all floats.
pub fn scales(values: impl IntoIterator<Item = (Real, Real)>) -> Option<Vec<Scale>> {
    let scale = |(a, b): (Real, Real)| Scale { factor: a.to_f64(), offset: b.to_f64() };
    let mut scales: Vec<Scale> = values.into_iter().map(scale).collect();
    if scales.windows(2).all(|w| w[0] == w[1]) {
        scales.truncate(1);
    }
    let finite = |s: &Scale| s.factor.is_finite() && s.offset.is_finite();
    (!scales.is_empty() && scales.iter().all(finite)).then_some(scales)
}

/// Value of a quantizer's codes in each channel.
fn quantizer_scale(function: &Function<Param>, channels: usize) -> Option<Vec<Scale>> {
    let at = |p: &Param, c| p.at(c, channels).clone();
    match function {
        Function::Quant(quant) => scales((0..channels).map(|c| (at(&quant.scale, c), 0.into()))),
        Function::MultiThreshold { scale, bias, .. } => scales((0..channels).map(|c| (at(scale, c), at(bias, c)))),
        _ => None,
    }
}

/// The refusal of thresholds that cannot be found.
pub fn unsolved(node: &str, channel: usize, e: Unsolved) -> Refusal {
    match e {
        Unsolved::Undecided(n) => Refusal::new(
            format!(
                "channel {channel}: whether accumulator value {n} rounds up or down in '{node}' stays open at {} bits",
                chain::PRECISIONS[chain::PRECISIONS.len() - 1]
            ),
            "change a parameter of the channel by the least float step, or use another activation function",
        ),
        Unsolved::TooMany(codes) => Refusal::new(
            format!("channel {channel}: '{node}' reaches {codes} different codes, more than {}", solve::MAX_STEPS),
            "quantize to fewer bits",
        ),
    }
}
