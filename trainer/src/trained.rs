//! What training ends with: integers and scales, evaluated in `f64`, and written as QONNX.

use std::collections::HashMap;
use std::path::PathBuf;

use ndarray::{Array2, ArrayView1};
use quantizer::import::{FirstQuant, ImportOptions, Imported, InputType};
use quantizer::onnx::build::{encode, float, floats, int, model, node, quant, value};
use quantizer::onnx::file;
use quantizer::onnx::proto::{ModelProto, NodeProto, TensorProto};
use quantizer::rational::from_f32;
use rayon::prelude::*;

use crate::TrainError;
use crate::config::Config;
use crate::model::{EPSILON, rule};
use crate::quantizers::{integers, scale};
use crate::run::Samples;
use crate::state::{Role, State};

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Codes, `[outputs, inputs]`.
    pub weights: Array2<i64>,
    /// What one code means, one per output.
    pub scales: Vec<f32>,
    /// What comes behind the sums.
    pub then: Then,
}

/// What comes behind a layer's sums.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// Batch norm (gain, shift, running mean, running variance, one per output) and codes of this scale.
    Codes {
        /// Gain, shift, mean, variance.
        norm: [Vec<f32>; 4],
        /// What one code means.
        scale: f32,
    },
    /// The classes: a bias each.
    Classes(Vec<f32>),
}

/// A trained network.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Bits of input, activations and weights.
    bits: [u32; 3],
    /// The layers.
    pub layers: Vec<Layer>,
}

impl Trained {
    /// The integers that a state has come to.
    pub fn of(config: &Config, state: &State) -> Self {
        let n = &config.network;
        let layer = |layer: usize| {
            let columns = state.widths[layer];
            let scales: Vec<f32> = state.values(layer, Role::Scale).iter().map(|&e| scale(e)).collect();
            let latent = state.values(layer, Role::Weight);
            let chosen = integers(&rule(config, layer), latent, columns, &scales, state.values(layer, Role::Norm));
            let codes = chosen.codes;
            let weights = Array2::from_shape_fn((scales.len(), columns), |(r, c)| codes[r * columns + c]);
            let shift = state.values(layer, Role::Shift).to_vec();
            let then = match state.running.get(layer) {
                Some(running) => Then::Codes {
                    norm: [
                        state.values(layer, Role::Gain).to_vec(),
                        shift,
                        running.mean.clone(),
                        running.variance.clone(),
                    ],
                    scale: scale(state.values(layer, Role::Activation).first().copied().unwrap_or(0.0)),
                },
                None => Then::Classes(shift),
            };
            Layer { weights, scales, then }
        };
        Trained {
            bits: [n.input_bits, n.activation_bits, n.weight_bits],
            layers: (0..state.layers()).map(layer).collect(),
        }
    }

    /// The classes of one sample as real numbers, in `f64`.
    pub fn logits(&self, sample: ArrayView1<'_, f32>) -> Vec<f64> {
        let top = |bits: u32| 2f64.powi(bits as i32) - 1.0;
        let code = |v: f64, scale: f64, bits: u32| (v / scale).round_ties_even().clamp(0.0, top(bits));
        let mut step = f64::from(input_scale(self.bits[0]));
        let mut codes: Vec<f64> = sample.iter().map(|&v| code(f64::from(v), step, self.bits[0])).collect();
        for layer in &self.layers {
            let sum = |row: ArrayView1<'_, i64>| row.iter().zip(&codes).map(|(&w, x)| w as f64 * x).sum::<f64>();
            let sums =
                layer.weights.rows().into_iter().zip(&layer.scales).map(|(row, &s)| sum(row) * f64::from(s) * step);
            match &layer.then {
                Then::Classes(bias) => return sums.zip(bias).map(|(y, &b)| y + f64::from(b)).collect(),
                Then::Codes { norm: [gain, shift, mean, variance], scale } => {
                    let scale = f64::from(*scale);
                    let [gain, shift, mean, variance] =
                        [gain, shift, mean, variance].map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>());
                    let normal = |(i, y): (usize, f64)| {
                        (y - mean[i]) / (variance[i] + f64::from(EPSILON)).sqrt() * gain[i] + shift[i]
                    };
                    codes = sums.enumerate().map(|s| code(normal(s).max(0.0), scale, self.bits[1])).collect();
                    step = scale;
                }
            }
        }
        Vec::new()
    }

    /// The class of every sample: the largest logit, of equal ones the first.
    pub fn classes(&self, samples: &Samples) -> Vec<usize> {
        let class = |i: usize| {
            let logits = self.logits(ArrayView1::from(samples.row(i)));
            (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0)
        };
        (0..samples.count()).into_par_iter().map(class).collect()
    }

    /// How many samples are right.
    pub fn right(&self, samples: &Samples) -> usize {
        self.classes(samples).iter().zip(samples.labels()).filter(|(a, b)| a == b).count()
    }

    /// Share of weights that are 0, layer by layer.
    pub fn sparsity(&self) -> Vec<f64> {
        let zeros = |w: &Array2<i64>| w.iter().filter(|&&w| w == 0).count() as f64 / w.len().max(1) as f64;
        self.layers.iter().map(|l| zeros(&l.weights)).collect()
    }

    /// The network as a QONNX file with one input `x` of shape `[1, inputs]` and one output `classes`.
    pub fn onnx(&self) -> ModelProto {
        let mut tensors: Vec<TensorProto> = vec![floats("zero", &[], &[0.0])];
        let mut nodes: Vec<NodeProto> = Vec::new();
        for (name, bits) in ["input_bits", "activation_bits", "weight_bits"].into_iter().zip(self.bits) {
            tensors.push(floats(name, &[], &[bits as f32]));
        }
        tensors.push(floats("input_scale", &[], &[input_scale(self.bits[0])]));
        nodes.push(quant(&["x", "input_scale", "zero", "input_bits"], "layers.0.input", false, false, Some("ROUND")));
        for (i, layer) in self.layers.iter().enumerate() {
            let name = |what: &str| format!("layers.{i}.{what}");
            let (outputs, inputs) = layer.weights.dim();
            let [rows, columns] = [outputs, inputs].map(|n| n as i64);
            // A code times a scale of 8 significant bits: exact.
            let real = |(r, _): (usize, usize), q: i64| q as f32 * layer.scales[r];
            let weights: Vec<f32> = layer.weights.indexed_iter().map(|(at, &q)| real(at, q)).collect();
            tensors.push(floats(&name("weight"), &[rows, columns], &weights));
            tensors.push(floats(&name("weight_scale"), &[rows, 1], &layer.scales));
            let weight = [name("weight"), name("weight_scale")];
            nodes.push(quant(
                &[&weight[0], &weight[1], "zero", "weight_bits"],
                &name("weight_codes"),
                true,
                true,
                Some("ROUND"),
            ));
            let transposed = vec![int("transB", 1)];
            match &layer.then {
                Then::Classes(bias) => {
                    tensors.push(floats(&name("bias"), &[rows], bias));
                    let inputs = [name("input"), name("weight_codes"), name("bias")];
                    nodes.push(node("Gemm", &inputs.each_ref().map(String::as_str), "classes", transposed));
                }
                Then::Codes { norm, scale } => {
                    let inputs = [name("input"), name("weight_codes")];
                    nodes.push(node("Gemm", &inputs.each_ref().map(String::as_str), &name("sum"), transposed));
                    let parts = ["gain", "shift", "mean", "variance"].map(|part| name(&format!("norm.{part}")));
                    for (part, values) in parts.iter().zip(norm) {
                        tensors.push(floats(part, &[rows], values));
                    }
                    let sum = name("sum");
                    let [gain, shift, mean, variance] = &parts;
                    nodes.push(node(
                        "BatchNormalization",
                        &[&sum, gain, shift, mean, variance],
                        &name("normal"),
                        vec![float("epsilon", EPSILON)],
                    ));
                    nodes.push(node("Relu", &[&name("normal")], &name("relu"), vec![]));
                    tensors.push(floats(&name("scale"), &[], &[*scale]));
                    let next = format!("layers.{}.input", i + 1);
                    let inputs = [name("relu"), name("scale")];
                    let inputs = [&inputs[0], &inputs[1], "zero", "activation_bits"];
                    nodes.push(quant(&inputs, &next, false, false, Some("ROUND")));
                }
            }
        }
        let inputs = self.layers.first().map_or(0, |l| l.weights.ncols()) as i64;
        let classes = self.layers.last().map_or(0, |l| l.weights.nrows()) as i64;
        model(value("x", &[1, inputs]), value("classes", &[1, classes]), tensors, nodes)
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
        if layers.len() != self.layers.len() {
            return Err(fault(format!("{} layers went out, {} came back", self.layers.len(), layers.len())));
        }
        for (ours, back) in self.layers.iter().zip(layers) {
            if ours.weights != back.weights {
                return Err(fault(format!("the weights of layer '{}' are others", back.layer.name)));
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

/// What one code of the input means: the largest is 1.
fn input_scale(bits: u32) -> f32 {
    (1.0 / (2f64.powi(bits as i32) - 1.0)) as f32
}
