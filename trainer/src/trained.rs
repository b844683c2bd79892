//! What training ends with: integers and scales, evaluated in `f64`, and written as QONNX.

mod evaluate;
mod export;

use std::collections::HashMap;
use std::path::PathBuf;

use ndarray::Array2;
use quantizer::import::{FirstQuant, ImportOptions, Imported, InputType};
use quantizer::onnx::build::encode;
use quantizer::onnx::file;
use quantizer::rational::from_f32;
use rayon::prelude::*;

use crate::TrainError;
use crate::graph::{Graph, Op};
use crate::model::{input_scale, rule};
use crate::quantizers::{integers, scale};
use crate::samples::Samples;
use crate::state::{Role, State};

/// What a node has learned.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Nothing.
    Plain,
    /// Codes and what they mean.
    Weights {
        /// Codes, `[outputs, columns]`.
        codes: Array2<i64>,
        /// What one code means, one per output.
        scales: Vec<f32>,
        /// Added behind, one per output.
        bias: Option<Vec<f32>>,
    },
    /// Batch norm: gain, shift, running mean, running variance, one per channel.
    Norm([Vec<f32>; 4]),
    /// What one code of an activation means.
    Scale(f32),
}

/// A trained network.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Its layers.
    graph: Graph,
    /// Bits of its quantizers.
    bits: Vec<u32>,
    /// What each node of the graph has learned.
    pub parts: Vec<Part>,
}

impl Trained {
    /// The integers that a state has come to.
    pub fn of(graph: &Graph, state: &State) -> Self {
        let part = |(id, node): (usize, &crate::graph::Node)| match &node.op {
            Op::Matrix(matrix) => {
                let columns = matrix.columns;
                let scales: Vec<f32> = state.values(id, Role::Scale).iter().map(|&e| scale(e)).collect();
                let rule = rule(graph, state, id, matrix);
                let latent = state.values(id, Role::Weight);
                let chosen = integers(&rule, latent, columns, &scales, state.values(id, Role::Norm)).codes;
                let codes = Array2::from_shape_fn((scales.len(), columns), |(r, c)| chosen[r * columns + c]);
                let bias = matrix.bias.then(|| state.values(id, Role::Shift).to_vec());
                Part::Weights { codes, scales, bias }
            }
            Op::Norm => {
                let running = |of: fn(&crate::state::Running) -> &Vec<f32>| {
                    state.running(id).map_or_else(Vec::new, |r| of(r).clone())
                };
                Part::Norm([
                    state.values(id, Role::Gain).to_vec(),
                    state.values(id, Role::Shift).to_vec(),
                    running(|r| &r.mean),
                    running(|r| &r.variance),
                ])
            }
            Op::Codes(quantizer) => Part::Scale(match state.values(quantizer.scale, Role::Activation).first() {
                Some(&exponent) => scale(exponent),
                None => input_scale(graph.input_bits),
            }),
            Op::Input => Part::Scale(input_scale(graph.input_bits)),
            Op::MaxPool(_) | Op::AveragePool(_) | Op::Add | Op::DepthToSpace(_) => Part::Plain,
        };
        let parts = graph.nodes.iter().enumerate().map(part).collect();
        Trained { graph: graph.clone(), bits: state.bits.clone(), parts }
    }

    /// The class of every sample: the largest output, of equal ones the first.
    pub fn classes(&self, samples: &Samples) -> Vec<usize> {
        let class = |i: usize| {
            let outputs = self.outputs(samples.row(i));
            (0..outputs.len()).rev().max_by(|&a, &b| outputs[a].total_cmp(&outputs[b])).unwrap_or(0)
        };
        (0..samples.count()).into_par_iter().map(class).collect()
    }

    /// How many samples are right.
    pub fn right(&self, samples: &Samples) -> usize {
        self.classes(samples).iter().zip(samples.labels()).filter(|(a, b)| a == b).count()
    }

    /// The mean squared error from the samples' targets.
    pub fn error(&self, samples: &Samples) -> f64 {
        let one = |i: usize| -> f64 {
            let off = self.outputs(samples.row(i)).into_iter().zip(samples.target(i));
            off.map(|(y, &t)| (y - f64::from(t)).powi(2)).sum()
        };
        // Summed in order: the same bits every time.
        let sums: Vec<f64> = (0..samples.count()).into_par_iter().map(one).collect();
        sums.iter().sum::<f64>() / (samples.count() * samples.classes()).max(1) as f64
    }

    /// Samples that are right, or less the error where there are targets: more is better.
    pub fn score(&self, samples: &Samples) -> f64 {
        if samples.labels().is_empty() { -self.error(samples) } else { self.right(samples) as f64 }
    }

    /// Names and codes of the layers with weights, in order.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &Array2<i64>)> {
        self.graph.nodes.iter().zip(&self.parts).filter_map(|(node, part)| match part {
            Part::Weights { codes, .. } => Some((node.name.as_str(), codes)),
            _ => None,
        })
    }

    /// Share of weights that are 0, layer by layer.
    pub fn sparsity(&self) -> Vec<f64> {
        let zeros = |w: &Array2<i64>| w.iter().filter(|&&w| w == 0).count() as f64 / w.len().max(1) as f64;
        self.weights().map(|(_, w)| zeros(w)).collect()
    }

    /// The bytes of the QONNX file.
    pub fn onnx_bytes(&self) -> Vec<u8> {
        encode(&self.onnx())
    }

    /// The export, read by the importer: the network that is generated. Its integers are compared with the trained ones.
    ///
    /// # Errors
    /// If it does not come back as it went: a fault in snug.
    pub fn network(&self, input_type: Option<InputType>) -> Result<Imported, TrainError> {
        let fault = |reason: String| TrainError::Export(reason);
        let file = file::decode(&self.onnx_bytes(), "trained.onnx".into(), PathBuf::new())
            .map_err(|e| fault(e.to_string()))?;
        let options = ImportOptions { input_type, input_shape: None };
        let imported = quantizer::import::import_file(&file, &options).map_err(|e| fault(e.to_string()))?;
        let layers: Vec<_> = imported.network.matrix_layers().collect();
        if layers.len() != self.weights().count() {
            return Err(fault(format!("{} layers went out, {} came back", self.weights().count(), layers.len())));
        }
        for ((name, ours), back) in self.weights().zip(layers) {
            if ours != back.weights {
                return Err(fault(format!("the weights of layer '{name}' are others")));
            }
        }
        Ok(imported)
    }
}

/// The input codes of samples, `[samples, inputs]`, by the imported network's own first quantizer: exact, and none of training's arithmetic.
pub fn codes(first: &FirstQuant, samples: &Samples) -> Array2<i64> {
    let mut known: HashMap<u32, i64> = HashMap::new();
    Array2::from_shape_fn((samples.count(), samples.size()), |(sample, element)| {
        let value = samples.row(sample)[element];
        // Samples are 0 to 1, and so numbers; the input has one scale for all channels.
        *known.entry(value.to_bits()).or_insert_with(|| from_f32(value).map_or(0, |v| first.code(&v, 0)))
    })
}
