//! The network under construction: tensors, layers, thresholds, and who gave a layer its name.

use std::collections::HashMap;

use ndarray::Array2;
use rayon::prelude::*;

use super::chain::{self, Chain, Evaluator, Link, Param, functions};
use super::error::Refusal;
use super::function::Function;
use super::real::Real;
use super::solve::{self, Unsolved};
use crate::datatype::DataType;
use crate::network::{Dense, Layer, Op, Scale, Steps, Tensor, TensorId, Threshold};
use crate::reach::{MAX_ACCUMULATOR_BITS, accumulator_type, output_ranges};

/// What may be added to a network that is being built.
#[derive(Default)]
pub struct Builder {
    /// Tensors so far.
    pub tensors: Vec<Tensor>,
    /// Layers so far; names are provisional.
    pub layers: Vec<Layer>,
    /// The meaning behind each Threshold.
    pub chains: Vec<Chain>,
    /// Initializers of each Dense's own parameters, and of what is folded behind it, by index in `layers`.
    pub votes: HashMap<usize, Votes>,
    /// Which layer a Threshold stands behind.
    pub behind: HashMap<usize, usize>,
    flattened: HashMap<TensorId, TensorId>,
    quantized: HashMap<(TensorId, String), TensorId>,
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

    /// Adds a Dense layer on the vector `input`.
    ///
    /// # Errors
    /// If an accumulator could be wider than [`MAX_ACCUMULATOR_BITS`].
    pub fn dense(
        &mut self,
        node: &str,
        output: &str,
        input: TensorId,
        weights: Array2<i64>,
        weight_type: DataType,
        scale: Option<Vec<Scale>>,
    ) -> Result<TensorId, Refusal> {
        let rows = weights.nrows();
        let op = Op::Dense(Dense { weights, weight_type });
        let ranges = output_ranges(&op, &[self.get(input)]).ok_or_else(|| {
            Refusal::new(
                format!("an accumulator would be wider than {MAX_ACCUMULATOR_BITS} bits"),
                "quantize weights or activations to fewer bits",
            )
        })?;
        let output = Tensor {
            name: output.into(),
            shape: vec![rows],
            datatype: accumulator_type(&ranges).unwrap_or(DataType::signed(1)),
            ranges,
            scale,
        };
        let output = self.tensor(output);
        self.votes.insert(self.layers.len(), Votes::default());
        self.layers.push(Layer { name: node.into(), node: node.into(), op, inputs: vec![input], output });
        Ok(output)
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
        let datatype = last.function.codes().unwrap_or(DataType::signed(1));
        let ranges = (0..channels).map(|c| steps[if alike { 0 } else { c }].range()).collect();
        let output = Tensor {
            name: last.output.clone(),
            shape: tensor.shape.clone(),
            datatype,
            ranges,
            scale: quantizer_scale(&last.function, channels),
        };
        let behind = self.layers.iter().position(|l| l.output == source);
        if let Some(votes) = behind.and_then(|i| self.votes.get_mut(&i)) {
            votes.behind.extend(links.iter().flat_map(|l| l.sources.iter().cloned()));
        }
        let output = self.tensor(output);
        let index = self.layers.len();
        self.behind.extend(behind.map(|i| (index, i)));
        let op = Op::Threshold(Threshold { channels: steps });
        let name = "input".to_string();
        self.layers.push(Layer { name, node: last.node.clone(), op, inputs: vec![from], output });
        self.chains.push(Chain { layer: String::new(), index, source: from, elements, links: links.to_vec() });
        self.quantized.insert(key, output);
        Ok(output)
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

fn unsolved(node: &str, channel: usize, e: Unsolved) -> Refusal {
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
