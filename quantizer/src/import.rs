//! Import: a trained QONNX file becomes an exact integer [`Network`].
//!
//! The meaning of a file is its nodes evaluated over the real numbers, every float parameter being the rational number
//! that it is, and `Quant` being what QONNX defines. Behind an accumulator stands a chain of monotone real functions
//! that ends in a quantizer: a step function of an integer, whose steps are found exactly.
//!
//! The way of a file: [`crate::onnx::file`] reads it, [`graph`] orders it, [`walk`] goes through the nodes with
//! constants folded by [`fold`] and [`quant`], layers made by [`dense`], functions collected by [`elementwise`];
//! [`solve`] finds the thresholds, [`names`] names the layers, [`output`] says what comes out. [`mod@verify`] checks
//! every threshold against direct evaluation.

pub mod build;
pub mod chain;
pub mod codes;
pub mod constant;
pub mod conv;
pub mod dense;
pub mod elementwise;
pub mod error;
pub mod exponential;
pub mod fold;
pub mod function;
pub mod graph;
pub mod grid;
pub mod input;
pub mod interval;
pub mod join;
pub mod layout;
pub mod moves;
pub mod names;
pub mod number;
pub mod operators;
pub mod order;
pub mod output;
pub mod pad;
pub mod pool;
pub mod quant;
pub mod real;
pub mod resize;
pub mod shape;
pub mod signal;
pub mod solve;
pub mod sum;
pub mod trunc;
pub mod verify;
pub mod walk;
pub mod weights;
pub mod window;

use std::path::Path;

pub use chain::Chain;
pub use error::{Blocker, GraphProblem, ImportError};
pub use input::{FirstQuant, InputType, InputTypeError};
pub use verify::{Verification, verify};

use build::Builder;
use codes::Quantized;
use error::Refusal;
use signal::{Origin, Signal};
use walk::{Value, Walk};

use crate::network::{Network, Op, Source, Tensor, TensorId};
use crate::onnx::file::{self, OnnxFile};
use crate::onnx::proto::GraphProto;

/// What the user says beside the file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// What the pins carry; without it the codes of the graph's first quantizer, or its annotated type.
    pub input_type: Option<InputType>,
    /// Shape of the input with or without its batch dimension, for files whose dimensions are dynamic.
    pub input_shape: Option<Vec<usize>>,
}

/// An imported network.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The integers.
    pub network: Network,
    /// The real-valued meaning behind each Threshold.
    pub chains: Vec<Chain>,
    /// How real inputs become the codes on the pins, where the pins carry those of the graph's first quantizer.
    pub first_quant: Option<FirstQuant>,
}

/// The most elements that an input may have.
pub const MAX_INPUT: usize = 1 << 24;

/// Imports the ONNX file at `path`.
///
/// # Errors
/// See [`ImportError`]; all blockers of a graph come together.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    import_file(&file::read(path)?, options)
}

/// Imports a file that is in memory already.
///
/// # Errors
/// See [`ImportError`].
pub fn import_file(file: &OnnxFile, options: &ImportOptions) -> Result<Imported, ImportError> {
    recognize(file.model.graph.as_ref().unwrap_or(&GraphProto::default()), &file.name)?;
    import_graph(file, options)
}

/// [`import_file`] without looking for quantizers first: a graph that lacks them is refused node by node.
pub(crate) fn import_graph(file: &OnnxFile, options: &ImportOptions) -> Result<Imported, ImportError> {
    let graph_error = |problem| ImportError::Graph { file: file.name.clone(), problem };
    let empty = GraphProto::default();
    let proto = file.model.graph.as_ref().unwrap_or(&empty);
    let graph = graph::view(proto).map_err(graph_error)?;
    let (shape, batch, mut notes) = input_shape(&graph, options).map_err(graph_error)?;
    if graph.unused > 0 {
        notes.push(format!("{} nodes that the output does not depend on are left out", graph.unused));
    }

    let mut builder = Builder::default();
    let blocked = |blockers| ImportError::Blocked { file: file.name.clone(), blockers };
    let input = input_signal(&graph, &shape, options, &mut builder, &mut notes).map_err(|reason| {
        blocked(vec![Blocker {
            node: "input".into(),
            op: "input".into(),
            reason,
            hint: "check --input-type, --mean and --std".into(),
        }])
    })?;
    let mut walk = Walk::new(&graph, &file.folder, input, batch, builder);
    walk.notes = notes;
    let end = walk.run();
    let end = match end {
        Value::Signal(signal) if walk.blockers.is_empty() => finish(&mut walk, &signal),
        Value::Constant(_) if walk.blockers.is_empty() => {
            Err(Refusal::new("it does not depend on the input", "check the graph"))
        }
        _ if walk.blockers.is_empty() => Err(Refusal::new("nothing is known of it", "check the graph")),
        _ => return Err(blocked(walk.blockers)),
    };
    let end = end.and_then(|end| match walk.input {
        Some(input) => Ok((end, input)),
        None => Err(Refusal::new("nothing reads the input", "check the graph")),
    });
    match end {
        Err(refusal) => {
            walk.block(graph.output.name.clone(), "output", refusal);
            Err(blocked(walk.blockers))
        }
        Ok((end, input)) => Ok(assemble(file, &graph, walk, (input, shape), end)),
    }
}

/// Refuses what is no QONNX by a message of its own.
pub(crate) fn recognize(graph: &GraphProto, name: &str) -> Result<(), ImportError> {
    let qdq = |op: &str| {
        op.starts_with("QLinear")
            || matches!(
                op,
                "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" | "MatMulInteger" | "ConvInteger"
            )
    };
    if let Some(node) = graph.node.iter().find(|n| qdq(&n.op_type)) {
        return Err(ImportError::Qdq { file: name.into(), node: graph::node_name(node), op: node.op_type.clone() });
    }
    let quantizer = |op: &str| quant::is_quant(op) || matches!(op, "MultiThreshold" | "Trunc");
    let annotated = graph
        .quantization_annotation
        .iter()
        .flat_map(|a| &a.quant_parameter_tensor_names)
        .any(|e| e.key == "finn_datatype" && quant::annotated(&e.value).is_some());
    if !annotated && !graph.node.iter().any(|n| quantizer(&n.op_type)) {
        return Err(ImportError::Float { file: name.into() });
    }
    Ok(())
}

/// The input's shape with a batch of 1, the batch size in the file if it is another, and notes.
pub(crate) type InputShape = (Vec<usize>, Option<usize>, Vec<String>);

pub(crate) fn input_shape(graph: &graph::Graph, options: &ImportOptions) -> Result<InputShape, GraphProblem> {
    let input = &graph.input.name;
    let tensor = graph.input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let declared: Option<Vec<Option<usize>>> = tensor.and_then(|t| t.shape.as_ref()).map(|shape| {
        shape.dim.iter().map(|d| d.dim_value.and_then(|v| usize::try_from(v).ok()).filter(|&v| v > 0)).collect()
    });
    let given = options.input_shape.clone();
    let declared = match (declared, &given) {
        (Some(d), _) => d,
        (None, Some(given)) => given.iter().map(|&d| Some(d)).collect(),
        (None, None) => return Err(GraphProblem::NoShape { input: input.clone() }),
    };
    let mut notes = Vec::new();
    let mut dims = declared.clone();
    if let Some(given) = given {
        // With or without the batch dimension.
        let full = if given.len() + 1 == dims.len() { [&[1], &given[..]].concat() } else { given.clone() };
        let fits = full.len() == dims.len()
            && full
                .iter()
                .zip(&dims)
                .enumerate()
                .all(|(i, (&g, &d))| g > 0 && (i == 0 || i >= 2 || d.is_none_or(|d| d == g)));
        if !fits {
            return Err(GraphProblem::ShapeGiven { input: input.clone(), given, declared });
        }
        // Height and width may be others than in the file: a convolution takes any. What does not, says so.
        if full.iter().zip(&dims).skip(2).any(|(&g, d)| d.is_some_and(|d| d != g)) {
            notes.push(format!(
                "input '{input}' has shape {full:?}, as --input-shape says; the file has {}",
                error::declared_shape(&declared)
            ));
        }
        dims = full.into_iter().map(Some).collect();
    }
    let mut batch = None;
    if dims.len() > 1 && dims[0] != Some(1) {
        batch = dims[0];
        let size = dims[0].map_or("dynamic".to_string(), |b| b.to_string());
        notes.push(format!("the batch dimension of input '{input}' ({size}) is read as 1"));
        dims[0] = Some(1);
    }
    let open: Vec<usize> = (0..dims.len()).filter(|&i| dims[i].is_none()).collect();
    if !open.is_empty() {
        let channels = graph.weights_channels(dims.len());
        let size = |i: usize| dims[i].or(channels.filter(|c| c.0 == i).map(|c| c.1)).unwrap_or(32).to_string();
        let sizes: Vec<String> = (usize::from(dims.len() > 1)..dims.len()).map(size).collect();
        return Err(GraphProblem::Dynamic { input: input.clone(), dimensions: open, example: sizes.join(",") });
    }
    let shape: Vec<usize> = dims.into_iter().flatten().collect();
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if count.is_none_or(|n| n > MAX_INPUT) {
        return Err(GraphProblem::Huge { input: input.clone(), shape, max: MAX_INPUT });
    }
    Ok((shape, batch, notes))
}

/// The graph's input: codes if their type is known, else raw.
fn input_signal(
    graph: &graph::Graph,
    shape: &[usize],
    options: &ImportOptions,
    builder: &mut Builder,
    notes: &mut Vec<String>,
) -> Result<Signal, String> {
    let name = &graph.input.name;
    let annotated = graph.datatypes.get(name.as_str()).and_then(|t| quant::annotated(t));
    let declared = match (&options.input_type, annotated) {
        (Some(t), _) => Some(t.clone()),
        (None, Some(t)) => {
            notes.push(format!("the pins carry {t} codes: the file declares input '{name}' so"));
            Some(InputType::plain(t))
        }
        (None, None) => None,
    };
    let mut signal = Signal::new(Origin::Raw, shape.to_vec(), "");
    if let Some(declared) = declared {
        let pins = walk::without_batch(shape);
        let channels = pins.first().copied().unwrap_or(1);
        signal.links = declared.links(name, channels)?;
        let blocks = chain::blocks(&signal.links);
        let affine = |b| function::compose_affine(&chain::functions(&signal.links, b, blocks));
        let scale = (0..blocks).map(affine).collect::<Option<Vec<_>>>().and_then(build::scales);
        let id = builder.tensor(Tensor {
            name: name.clone(),
            shape: pins,
            datatype: declared.datatype,
            ranges: vec![declared.datatype.range(); channels],
            scale,
        });
        signal.origin = Origin::Codes(id);
    }
    Ok(signal)
}

/// The network's end.
struct End {
    /// The output, and what its codes mean.
    codes: Quantized,
    /// Its shape in ONNX.
    shape: Vec<usize>,
    /// Whether the last dimension is that of the channels.
    channels_last: bool,
}

/// Makes the output's tensor of the last signal.
fn finish(walk: &mut Walk, signal: &Signal) -> Result<End, Refusal> {
    if !walk.builder.layers.iter().any(|l| matches!(l.op, Op::Dense(_) | Op::Conv(_))) {
        return Err(Refusal::new("no layer with weights stands before it", "check that this is the whole network"));
    }
    let behind = match signal.origin {
        Origin::Accumulator(id) => walk.builder.layers.iter().position(|l| l.output == id),
        _ => None,
    };
    let votes: Vec<String> = signal.links.iter().flat_map(|l| l.sources.iter().cloned()).collect();
    if let Some(own) = behind.and_then(|i| walk.builder.votes.get_mut(&i)) {
        own.behind = votes;
    }
    if signal.interleaved.is_some() {
        let hint = "end with a Transpose to channels first in front of the Flatten or Reshape";
        return Err(Refusal::new("it is an image whose channels come last, as a vector", hint));
    }
    let signal = &pad::settle(&mut walk.builder, signal)?;
    let codes = codes::codes(&mut walk.builder, signal, "output", false)?;
    walk.builder.tensors[codes.tensor.0].scale = codes.scales_of(walk.builder.channels(codes.tensor));
    order::settle(&mut walk.builder, codes.tensor)?;
    let (mut shape, channels_last) = (signal.shape.clone(), signal.channels_last);
    if channels_last && shape.len() > 1 {
        shape[1..].rotate_left(1);
    }
    Ok(End { codes, shape, channels_last })
}

fn assemble(
    file: &OnnxFile,
    graph: &graph::Graph,
    walk: Walk,
    (input, shape): (TensorId, Vec<usize>),
    end: End,
) -> Imported {
    let Walk { mut builder, notes, first_quant, input_channels_last, .. } = walk;
    names::assign(&mut builder);
    let tensor = &builder.tensors[end.codes.tensor.0];
    let last = builder.layers.iter().find(|l| l.output == end.codes.tensor).map_or("", |l| l.name.as_str());
    let label_grid = output::of_vector(&end.codes, tensor, last);
    let network = Network {
        name: Path::new(&file.name).file_stem().map_or_else(|| file.name.clone(), |s| s.to_string_lossy().into_owned()),
        source: Source { file: file.name.clone(), sha256: file.sha256.clone() },
        tensors: builder.tensors,
        layers: builder.layers,
        input,
        input_shape: shape,
        input_channels_last,
        output: end.codes.tensor,
        output_name: graph.output.name.clone(),
        output_shape: end.shape,
        output_channels_last: end.channels_last,
        label_grid,
        notes,
    };
    Imported { network, chains: builder.chains, first_quant }
}
