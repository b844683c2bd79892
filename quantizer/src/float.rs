//! Float networks: an ONNX file without quantizers, given weight and activation types of our choosing.
//!
//! What is chosen are scales, and nothing else: one per output channel for weights ([`scale`]), one per tensor for
//! activations, from calibration samples that [`run`] puts through the network in floats. The scales are written into the graph
//! as QONNX `Quant` nodes, and [`import`](crate::import) reads the result like any other file: from the choice of the scales on,
//! everything is exact.
//!
//! The real weights are kept beside the network: a method that constrains accumulators
//! ([`quantize_real`](crate::weights::network::quantize_real)) is to round these, and not what nearest rounding has left of them.

mod image;
mod run;
mod scale;

use std::collections::{HashMap, HashSet};

use ndarray::{Array2, ArrayView2};
use thiserror::Error;

use crate::datatype::DataType;
use crate::import::graph;
use crate::import::{self, GraphProblem, ImportError, ImportOptions, Imported};
use crate::network::Layer;
use crate::onnx::build;
use crate::onnx::file::OnnxFile;
use crate::onnx::proto::{GraphProto, NodeProto, OperatorSetIdProto, TensorProto};

/// Bits of the types to quantize to, 2 to 16 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Of weights: signed, without the most negative code, so that grids are symmetric.
    pub weights: u32,
    /// Of every layer's input but the first one's: unsigned where no calibration sample is negative, else signed.
    pub activations: u32,
    /// Of the first layer's input, likewise.
    pub input: u32,
}

/// An imported network, and the weights that it is an approximation of.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The network with every weight rounded to nearest.
    pub imported: Imported,
    /// For each layer with accumulators, in order: its real weights in units of their channel's scale, `[rows, columns]`.
    pub weights: Vec<Array2<f64>>,
}

/// Why a float network cannot be quantized.
#[derive(Debug, Error)]
pub enum FloatError {
    /// It cannot be imported; blockers name the nodes.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Bits that no type has.
    #[error("{what} of {bits} bits are not supported; 2 to 16 bits are")]
    Bits {
        /// Which bits.
        what: &'static str,
        /// How many.
        bits: u32,
    },
    /// Samples of another size than the input.
    #[error("calibration samples of {found} values do not fit an input of {elements}")]
    Calibration {
        /// Values of a sample.
        found: usize,
        /// Elements of the input.
        elements: usize,
    },
    /// A layer that was imported and not run.
    #[error("the weights of layer '{layer}' are not known; this is a fault in snug")]
    Unknown {
        /// The layer.
        layer: String,
    },
    /// No samples.
    #[error("there are no calibration samples")]
    NoSamples,
    /// A value that is no number, in the samples or behind a node.
    #[error("calibration: '{tensor}' holds {value}")]
    NotFinite {
        /// The ONNX tensor.
        tensor: String,
        /// What it holds.
        value: f64,
    },
}

/// Whether the file is a float network: nothing in it is quantized.
pub fn is_float(file: &OnnxFile) -> bool {
    file.model
        .graph
        .as_ref()
        .is_some_and(|g| matches!(import::recognize(g, &file.name), Err(ImportError::Float { .. })))
}

/// The shape of the network's input without its batch dimension.
///
/// # Errors
/// If the graph is damaged, or its shape is open and `options` do not settle it.
pub fn input_shape(file: &OnnxFile, options: &ImportOptions) -> Result<Vec<usize>, ImportError> {
    let empty = GraphProto::default();
    let problem = |problem| ImportError::Graph { file: file.name.clone(), problem };
    let view = graph::view(file.model.graph.as_ref().unwrap_or(&empty)).map_err(problem)?;
    let (shape, ..) = import::input_shape(&view, options).map_err(problem)?;
    Ok(import::walk::without_batch(&shape))
}

/// Quantizes a float network: scales from `samples` (`[samples, elements]`, real values as the graph's input takes them), weights
/// rounded to nearest.
///
/// # Errors
/// Bits or samples that make no sense, and all that import refuses.
pub fn quantize(
    file: &OnnxFile,
    options: &ImportOptions,
    bits: Bits,
    samples: ArrayView2<'_, f64>,
) -> Result<Quantized, FloatError> {
    for (what, bits) in [("weights", bits.weights), ("activations", bits.activations), ("inputs", bits.input)] {
        if !(2..=16).contains(&bits) {
            return Err(FloatError::Bits { what, bits });
        }
    }
    let empty = GraphProto::default();
    let proto = file.model.graph.as_ref().unwrap_or(&empty);
    let problem = |problem: GraphProblem| ImportError::Graph { file: file.name.clone(), problem };
    let view = graph::view(proto).map_err(problem)?;
    let (shape, batch, _) = import::input_shape(&view, options).map_err(problem)?;
    let readers = run::readers(&view, &file.folder, &shape, batch, samples)?;
    let (graph, weights) = with_quantizers(proto, &readers, bits)?;
    let mut quantized = OnnxFile { model: file.model.clone(), ..file.clone() };
    quantized.model.graph = Some(graph);
    let domain = "qonnx.custom_op.general";
    quantized.model.opset_import.push(OperatorSetIdProto { domain: domain.into(), version: 1 });
    let mut imported = import::import_graph(&quantized, options)?;
    imported.network.notes.push(format!(
        "quantized from float: weights of {} bits, activations of {} bits, input of {} bits, scales of activations from {} samples",
        bits.weights,
        bits.activations,
        bits.input,
        samples.nrows()
    ));
    let network = &imported.network;
    let of = |layer: &Layer| weights.get(&network.tensor(layer.output).name).cloned();
    let of = |layer: &Layer| of(layer).ok_or_else(|| FloatError::Unknown { layer: layer.name.clone() });
    let weights = network.matrix_layers().map(|matrix| of(matrix.layer)).collect::<Result<_, _>>()?;
    Ok(Quantized { imported, weights })
}

/// The graph with `Quant` nodes in front of everything that has to read codes and in front of weights, and the real weights in units of
/// their scales by the tensor that the layer writes.
fn with_quantizers(
    proto: &GraphProto,
    readers: &[run::Reader],
    bits: Bits,
) -> Result<(GraphProto, HashMap<String, Array2<f64>>), FloatError> {
    let mut graph = proto.clone();
    let mut weights = HashMap::new();
    let mut made = HashSet::new();
    let mut front: HashMap<String, Vec<NodeProto>> = HashMap::new();
    for (i, reader) in readers.iter().enumerate() {
        let activation_bits = if i == 0 { bits.input } else { bits.activations };
        let data = format!("{}/quantized", reader.data);
        let mut nodes = Vec::new();
        if made.insert(data.clone()) {
            let (datatype, scale) = scale::of_activations(&reader.samples, activation_bits, i == 0);
            nodes.push(quantizer(&mut graph, &reader.data, &data, datatype, &[], &[scale]));
        }
        let mut renamed = HashMap::from([(reader.data.clone(), data)]);
        if let Some(real) = &reader.weights {
            let tensor = format!("{}/quantized/{}", real.tensor, real.outputs);
            let datatype = DataType { narrow: true, ..DataType::signed(bits.weights) };
            let scales = scale::of_weights(real.matrix.view(), datatype);
            if made.insert(tensor.clone()) {
                let mut dims = vec![1; real.rank];
                dims[real.outputs] = scales.len() as i64;
                nodes.push(quantizer(&mut graph, &real.tensor, &tensor, datatype, &dims, &scales));
            }
            let units = Array2::from_shape_fn(real.matrix.dim(), |(r, c)| real.matrix[[r, c]] / f64::from(scales[r]));
            weights.insert(reader.output.clone(), units);
            renamed.insert(real.tensor.clone(), tensor);
        }
        front.insert(reader.output.clone(), nodes);
        if let Some(node) = graph.node.iter_mut().find(|n| n.output.first() == Some(&reader.output)) {
            for input in node.input.iter_mut().take(2) {
                if let Some(quantized) = renamed.get(input) {
                    input.clone_from(quantized);
                }
            }
        }
    }
    // Each quantizer right before the first node that reads it: files are in topological order, and stay so.
    let nodes = std::mem::take(&mut graph.node);
    let mut before = |n: &NodeProto| n.output.first().and_then(|o| front.remove(o)).unwrap_or_default();
    graph.node = nodes.into_iter().flat_map(|n| before(&n).into_iter().chain([n])).collect();
    Ok((graph, weights))
}

/// A `Quant` node, its parameters added to the graph as initializers.
fn quantizer(
    graph: &mut GraphProto,
    from: &str,
    to: &str,
    datatype: DataType,
    dims: &[i64],
    scales: &[f32],
) -> NodeProto {
    let names = ["scale", "zero", "bits"].map(|what| format!("{to}/{what}"));
    let tensors: [TensorProto; 3] = [
        build::floats(&names[0], dims, scales),
        build::floats(&names[1], &[], &[0.0]),
        build::floats(&names[2], &[], &[datatype.bits as f32]),
    ];
    graph.initializer.extend(tensors);
    build::quant(&[from, &names[0], &names[1], &names[2]], to, datatype.is_signed(), datatype.narrow, Some("ROUND"))
}
