//! A float graph on samples: what every layer reads.
//!
//! Elementwise nodes are read by the importer ([`elementwise`]) and evaluated in `f64`, so that both agree on what a
//! node means. Nodes that are not understood are passed over: import refuses them later, by name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::FloatError;
use crate::import::build::Builder;
use crate::import::chain::{blocks, compile, functions};
use crate::import::constant::Constant;
use crate::import::elementwise::{self, Application};
use crate::import::function::Function;
use crate::import::graph::{Attributes, Graph};
use crate::import::number::Precision;
use crate::import::operators::RESHAPING;
use crate::import::signal::{Origin, Signal};
use crate::import::walk::{Value, Walk, constant_node};
use crate::onnx::proto::NodeProto;

/// A MatMul or Gemm with constant weights.
pub struct Layer {
    /// The tensor that it writes: unlike names of nodes, there is but one of a name.
    pub output: String,
    /// The tensor that it reads.
    pub data: String,
    /// The tensor of its weights.
    pub weights: String,
    /// Whether that tensor has outputs first.
    pub outputs_first: bool,
    /// The weights, `[outputs, inputs]`.
    pub matrix: Array2<f64>,
    /// What it reads for each sample, `[samples, elements]`.
    pub samples: Array2<f64>,
}

/// A tensor that depends on the input.
#[derive(Clone)]
struct Data {
    /// In ONNX, with a batch of 1.
    shape: Vec<usize>,
    values: Arc<Array2<f64>>,
}

#[derive(Clone)]
enum Known {
    Constant(Arc<Constant>),
    Data(Data),
}

/// Runs the graph and returns its layers with what they read, in order.
///
/// # Errors
/// If samples do not fit the input, or a value is not finite.
pub fn layers(
    graph: &Graph<'_>,
    folder: &Path,
    shape: &[usize],
    batch: Option<usize>,
    samples: ArrayView2<'_, f64>,
) -> Result<Vec<Layer>, FloatError> {
    let elements = shape.iter().product();
    if samples.nrows() == 0 {
        return Err(FloatError::NoSamples);
    }
    if samples.ncols() != elements {
        return Err(FloatError::Calibration { found: samples.ncols(), elements });
    }
    finite(&graph.input.name, samples)?;
    let mut walk = Walk::new(graph, folder, raw(shape.to_vec()), batch, Builder::default());
    let input = Data { shape: shape.to_vec(), values: Arc::new(samples.to_owned()) };
    let mut known: HashMap<&str, Known> = HashMap::from([(graph.input.name.as_str(), Known::Data(input))]);
    let mut layers = Vec::new();
    for &node in &graph.nodes {
        let Some(output) = node.output.first().filter(|o| !o.is_empty()) else { continue };
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            // Initializers are read by the walk; what it cannot read is unknown here, and its error comes with the import.
            if !known.contains_key(name.as_str())
                && let Ok(Value::Constant(c)) = walk.value(name)
            {
                known.insert(name, Known::Constant(c));
            }
            inputs.push(known.get(name.as_str()).cloned());
        }
        if let Some(value) = evaluate(&walk, node, &inputs, &mut layers) {
            if let Known::Data(data) = &value {
                finite(output, data.values.view())?;
            }
            known.insert(output, value);
        }
    }
    Ok(layers)
}

fn finite(tensor: &str, values: ArrayView2<'_, f64>) -> Result<(), FloatError> {
    match values.iter().find(|v| !v.is_finite()) {
        Some(&value) => Err(FloatError::NotFinite { tensor: tensor.to_owned(), value }),
        None => Ok(()),
    }
}

fn raw(shape: Vec<usize>) -> Signal {
    Signal { origin: Origin::Raw, shape, links: Vec::new(), moves: Vec::new(), padding: None, channels_last: false, reshaped: String::new() }
}

/// The value behind a node; `None` if it is not understood.
fn evaluate(walk: &Walk<'_>, node: &NodeProto, inputs: &[Option<Known>], layers: &mut Vec<Layer>) -> Option<Known> {
    let constants: Vec<Option<&Constant>> = inputs
        .iter()
        .map(|v| match v {
            Some(Known::Constant(c)) => Some(c.as_ref()),
            _ => None,
        })
        .collect();
    // An input left out has an empty name; any other one that is not known stops here.
    if inputs.iter().zip(&node.input).any(|(v, name)| v.is_none() && !name.is_empty()) {
        return None;
    }
    let data = |v: &Option<Known>| match v {
        Some(Known::Data(data)) => Some(data.clone()),
        _ => None,
    };
    let Some(position) = inputs.iter().position(|v| data(v).is_some()) else {
        return constant_node(node, &constants).ok().map(|c| Known::Constant(Arc::new(c)));
    };
    let x = data(&inputs[position])?;
    if inputs.iter().filter(|v| data(v).is_some()).count() > 1 {
        return None;
    }
    match node.op_type.as_str() {
        "MatMul" | "Gemm" => {
            let layer = layer(node, &x, position, &constants)?;
            let result = product(node, &x, &layer, constants.get(2).copied().flatten());
            layers.push(layer);
            result.map(Known::Data)
        }
        "Cast" => Some(Known::Data(x)),
        op if RESHAPING.contains(&op) => {
            let shape = walk.new_shape(node, &raw(x.shape.clone()), &constants).ok()?;
            Some(Known::Data(Data { shape, ..x }))
        }
        op if elementwise::OPERATORS.contains(&op) => {
            let signal = raw(x.shape.clone());
            let signal =
                elementwise::apply(&Application { node, signal: &signal, position, constants: &constants }).ok()?;
            let values = elementwise_values(&signal, &x.values)?;
            Some(Known::Data(Data { shape: signal.shape, values: Arc::new(values) }))
        }
        _ => None,
    }
}

/// The functions of `signal` on every sample.
fn elementwise_values(signal: &Signal, x: &Array2<f64>) -> Option<Array2<f64>> {
    let blocks = blocks(&signal.links);
    let compiled: Vec<Vec<Function<f64>>> =
        (0..blocks).map(|b| compile(&functions(&signal.links, b, blocks), Precision(53))).collect::<Option<_>>()?;
    let each = x.ncols().checked_div(blocks).filter(|&each| each > 0)?;
    let mut result = x.clone();
    for mut row in result.rows_mut() {
        for (i, v) in row.iter_mut().enumerate() {
            *v = compiled.get(i / each)?.iter().try_fold(*v, |v, f| f.apply(&v))?;
        }
    }
    Some(result)
}

/// The layer that a MatMul or Gemm is; `None` if import would refuse it.
fn layer(node: &NodeProto, x: &Data, position: usize, constants: &[Option<&Constant>]) -> Option<Layer> {
    let attributes = Attributes::of(node);
    let weights = constants.get(1usize.checked_sub(position)?).copied().flatten()?;
    let flag = |name: &str| node.op_type == "Gemm" && attributes.int(name).unwrap_or(0) != 0;
    let (data_transposed, weights_transposed) =
        if position == 0 { (flag("transA"), flag("transB")) } else { (flag("transB"), flag("transA")) };
    let outputs_first = weights_transposed != (position == 1);
    let [a, b] = weights.shape[..] else { return None };
    let columns = if outputs_first { b } else { a };
    if data_transposed || columns != x.values.ncols() {
        return None;
    }
    let values = weights.to_reals().ok()?.iter().map(|v| v.to_f64()).collect();
    let matrix = Array2::from_shape_vec((a, b), values).ok()?;
    let matrix = if outputs_first { matrix } else { matrix.reversed_axes().as_standard_layout().into_owned() };
    Some(Layer {
        output: node.output.first()?.clone(),
        data: node.input.get(position)?.clone(),
        weights: node.input.get(1 - position)?.clone(),
        outputs_first,
        matrix,
        samples: x.values.as_ref().clone(),
    })
}

/// What the layer makes of `x`: `alpha * W x + beta * C`.
fn product(node: &NodeProto, x: &Data, layer: &Layer, bias: Option<&Constant>) -> Option<Data> {
    let mut values = x.values.dot(&layer.matrix.t());
    // The dimension that held the inputs holds the outputs.
    let mut shape = x.shape.clone();
    let inner = shape.iter().rposition(|&d| d == layer.matrix.ncols())?;
    shape[inner] = layer.matrix.nrows();
    if node.op_type == "Gemm" {
        let attributes = Attributes::of(node);
        let factor = |name: &str| f64::from(attributes.float(name).unwrap_or(1.0));
        values *= factor("alpha");
        if let Some(bias) = bias {
            let param = raw(shape.clone()).param(bias).ok()?;
            let columns = values.ncols();
            let shift: Vec<f64> = (0..columns).map(|i| factor("beta") * param.at(i, columns).to_f64()).collect();
            values += &ArrayView1::from(&shift[..]);
        }
    }
    Some(Data { shape, values: Arc::new(values) })
}
