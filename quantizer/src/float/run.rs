//! A float graph on samples: what every layer and every average reads.
//!
//! Elementwise nodes are read by the importer ([`elementwise`]) and evaluated in `f64`, so that both agree on what a
//! node means. Nodes that are not understood are passed over: import refuses them later, by name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::FloatError;
use super::image::Images;
use crate::import::build::Builder;
use crate::import::chain::{blocks, compile, functions};
use crate::import::constant::Constant;
use crate::import::conv;
use crate::import::elementwise::{self, Application};
use crate::import::function::Function;
use crate::import::graph::{Attributes, Graph};
use crate::import::number::Precision;
use crate::import::operators::RESHAPING;
use crate::import::pool;
use crate::import::signal::{Origin, Signal};
use crate::import::walk::{Value, Walk, constant_node};
use crate::import::window::{self, Rounding};
use crate::network::Window;
use crate::onnx::proto::NodeProto;

/// A node that has to read codes: a layer, or an average, whose sums are exact.
pub struct Reader {
    /// The tensor that it writes: unlike names of nodes, there is but one of a name.
    pub output: String,
    /// The tensor that it reads.
    pub data: String,
    /// What it reads for each sample, `[samples, elements]`.
    pub samples: Array2<f64>,
    /// Its weights, if it is a layer.
    pub weights: Option<Weights>,
}

/// The constant weights of a MatMul, a Gemm or a Conv.
pub struct Weights {
    /// Their tensor.
    pub tensor: String,
    /// Dimensions of that tensor.
    pub rank: usize,
    /// Which of them is that of the outputs.
    pub outputs: usize,
    /// The weights, `[outputs, inputs]`; a Conv's inputs are channels of a group and places of the kernel.
    pub matrix: Array2<f64>,
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

/// Runs the graph and returns the nodes that have to read codes with what they read, in order.
///
/// # Errors
/// If samples do not fit the input, or a value is not finite.
pub fn readers(
    graph: &Graph<'_>,
    folder: &Path,
    shape: &[usize],
    batch: Option<usize>,
    samples: ArrayView2<'_, f64>,
) -> Result<Vec<Reader>, FloatError> {
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
    let mut readers = Vec::new();
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
        if let Some(value) = evaluate(&walk, node, &inputs, &mut readers) {
            if let Known::Data(data) = &value {
                finite(output, data.values.view())?;
            }
            known.insert(output, value);
        }
    }
    Ok(readers)
}

fn finite(tensor: &str, values: ArrayView2<'_, f64>) -> Result<(), FloatError> {
    match values.iter().find(|v| !v.is_finite()) {
        Some(&value) => Err(FloatError::NotFinite { tensor: tensor.to_owned(), value }),
        None => Ok(()),
    }
}

fn raw(shape: Vec<usize>) -> Signal {
    Signal {
        origin: Origin::Raw,
        shape,
        links: Vec::new(),
        moves: Vec::new(),
        padding: None,
        channels_last: false,
        interleaved: None,
        reshaped: String::new(),
    }
}

/// The value behind a node; `None` if it is not understood.
fn evaluate(walk: &Walk<'_>, node: &NodeProto, inputs: &[Option<Known>], readers: &mut Vec<Reader>) -> Option<Known> {
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
            let weights = matrix(node, &x, position, &constants)?;
            let result = product(node, &x, &weights.matrix, constants.get(2).copied().flatten());
            readers.push(reader(node, position, &x, Some(weights))?);
            result.map(Known::Data)
        }
        "Conv" if position == 0 => {
            let (weights, result) = convolution(node, &x, &constants)?;
            readers.push(reader(node, 0, &x, Some(weights))?);
            Some(Known::Data(result))
        }
        "MaxPool" | "GlobalMaxPool" => {
            pooled(node, &x, |values, _| values.fold(f64::NEG_INFINITY, f64::max)).map(Known::Data)
        }
        "AveragePool" | "GlobalAveragePool" => {
            let result = pooled(node, &x, |values, size| values.sum::<f64>() / size as f64)?;
            readers.push(reader(node, 0, &x, None)?);
            Some(Known::Data(result))
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

fn reader(node: &NodeProto, position: usize, x: &Data, weights: Option<Weights>) -> Option<Reader> {
    let (output, data) = (node.output.first()?.clone(), node.input.get(position)?.clone());
    Some(Reader { output, data, samples: x.values.as_ref().clone(), weights })
}

/// The weights of a MatMul or Gemm; `None` if import would refuse it.
fn matrix(node: &NodeProto, x: &Data, position: usize, constants: &[Option<&Constant>]) -> Option<Weights> {
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
    let matrix = Array2::from_shape_vec((a, b), reals(weights)?).ok()?;
    let matrix = if outputs_first { matrix } else { matrix.reversed_axes().as_standard_layout().into_owned() };
    let outputs = if outputs_first { 0 } else { 1 };
    Some(Weights { tensor: node.input.get(1 - position)?.clone(), rank: 2, outputs, matrix })
}

fn reals(constant: &Constant) -> Option<Vec<f64>> {
    Some(constant.to_reals().ok()?.iter().map(|v| v.to_f64()).collect())
}

/// What the layer makes of `x`: `alpha * W x + beta * C`.
fn product(node: &NodeProto, x: &Data, matrix: &Array2<f64>, bias: Option<&Constant>) -> Option<Data> {
    let mut values = x.values.dot(&matrix.t());
    // The dimension that held the inputs holds the outputs.
    let mut shape = x.shape.clone();
    let inner = shape.iter().rposition(|&d| d == matrix.ncols())?;
    shape[inner] = matrix.nrows();
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

/// The weights of a Conv, and what it makes of `x`; `None` if import would refuse it.
fn convolution(node: &NodeProto, x: &Data, constants: &[Option<&Constant>]) -> Option<(Weights, Data)> {
    let weights = constants.get(1).copied().flatten()?;
    let attributes = Attributes::of(node);
    let image = raw(x.shape.clone()).padded_image().ok()?;
    let (groups, kernel) = conv::grouping(&attributes, &image, weights).ok()?;
    let window = window::window(&attributes, kernel, &image, Rounding::Down).ok()?;
    let rows = weights.shape[0];
    let values = reals(weights)?;
    let matrix = Array2::from_shape_vec((rows, values.len() / rows), values).ok()?;
    let images = Images::new(&x.values, &image, &window)?;
    let mut values = images.conv(matrix.view(), groups)?;
    let shape = result_shape(&x.shape, rows, &image, &window)?;
    if let Some(bias) = constants.get(2).copied().flatten() {
        let param = raw(shape.clone()).channel_param(bias, "bias").ok()?;
        let columns = values.ncols();
        let shift: Vec<f64> = (0..columns).map(|i| param.at(i, columns).to_f64()).collect();
        values += &ArrayView1::from(&shift[..]);
    }
    let rank = weights.shape.len();
    let weights = Weights { tensor: node.input.get(1)?.clone(), rank, outputs: 0, matrix };
    Some((weights, Data { shape, values: Arc::new(values) }))
}

/// What `fold` makes of every window, given its values on the image and the number of its taps; `None` if import would refuse it.
fn pooled(node: &NodeProto, x: &Data, fold: impl Fn(&mut dyn Iterator<Item = f64>, usize) -> f64) -> Option<Data> {
    let attributes = Attributes::of(node);
    let image = raw(x.shape.clone()).padded_image().ok()?;
    let window = match node.op_type.as_str() {
        "AveragePool" => pool::averaging(&attributes, &image).ok()?,
        "MaxPool" => {
            let ceil = if attributes.int("ceil_mode") == Some(1) { Rounding::Up } else { Rounding::Down };
            window::window(&attributes, &pool::kernel(&attributes).ok()?, &image, ceil).ok()?
        }
        _ => pool::whole(&image),
    };
    let size = window.kernel[0] * window.kernel[1];
    let values = Images::new(&x.values, &image, &window)?.pool(|read| fold(read, size));
    Some(Data { shape: result_shape(&x.shape, image[0], &image, &window)?, values: Arc::new(values) })
}

/// The ONNX shape of the image that a window makes of one of shape `shape`.
fn result_shape(shape: &[usize], channels: usize, image: &[usize], window: &Window) -> Option<Vec<usize>> {
    let axes = image.len() - 1;
    let size = if let [_, height, width] = *image { [height, width] } else { [1, image[1]] };
    let size = window.output(size)?;
    let batch = &shape[..shape.len().checked_sub(image.len())?];
    Some([batch, &[channels], &size[2 - axes..]].concat())
}
