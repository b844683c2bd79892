//! Channels-last graphs: nodes on `[1, height, width, channels]` become nodes on `[1, channels, height, width]`.
//!
//! A signal's shape is channels first always; its flag `channels_last` says that the graph's tensor is the transposed one.
//! A node that reads such a signal is rewritten: constants transposed, axes renamed, and its result flagged in turn.

use std::collections::HashSet;
use std::sync::Arc;

use super::constant::Constant;
use super::elementwise;
use super::error::Refusal;
use super::graph::{Attributes, Graph};
use super::shape;
use super::signal::{Origin, Signal};
use super::walk::Value;
use crate::onnx::proto::NodeProto;

/// The domain of operators whose data, and whose weights, are channels last.
pub const DOMAIN: &str = "qonnx.custom_op.channels_last";

/// The operators of [`DOMAIN`] that are known.
pub const OPERATORS: [&str; 3] = ["BatchNormalization", "Conv", "MaxPool"];

/// A node rewritten for channels first.
pub struct Rewritten {
    /// The node.
    pub node: NodeProto,
    /// What it reads.
    pub inputs: Vec<Option<Value>>,
    /// Whether the graph's tensor is its result transposed.
    pub channels_last: bool,
    /// Of a vector that the graph has channels last: how many channels.
    pub interleaved: Option<usize>,
    /// Whether the graph's input, whose channels come last, is from here on read with its channels first.
    pub pins_turned: bool,
}

impl Rewritten {
    /// A node that stays as it is, with other inputs.
    fn plain(node: &NodeProto, inputs: Vec<Option<Value>>) -> Self {
        Rewritten { node: node.clone(), inputs, channels_last: false, interleaved: None, pins_turned: false }
    }
}

/// The graph's input, and what elementwise functions make of it, as long as each has one reader.
pub fn pins_alone<'a>(graph: &Graph<'a>) -> HashSet<&'a str> {
    let readers = |name: &str| -> Vec<&'a NodeProto> {
        graph.nodes.iter().copied().filter(|n| n.input.iter().any(|i| i == name)).take(2).collect()
    };
    let constant = |name: &String| {
        let written = |n: &&NodeProto| n.op_type == "Constant" && n.output.contains(name);
        name.is_empty() || graph.initializers.contains_key(name.as_str()) || graph.nodes.iter().any(written)
    };
    let mut alone = HashSet::new();
    let mut name = graph.input.name.as_str();
    while let [only] = readers(name)[..]
        && alone.insert(name)
        && elementwise::OPERATORS.contains(&only.op_type.as_str())
        && only.input.iter().all(|i| i == name || constant(i))
        && let Some(output) = only.output.first()
    {
        name = output;
    }
    alone
}

fn to_last(rank: usize) -> Vec<usize> {
    [0].into_iter().chain(2..rank).chain([1]).collect()
}

fn to_first(rank: usize) -> Vec<usize> {
    [0, rank - 1].into_iter().chain(1..rank - 1).collect()
}

fn picked(shape: &[usize], order: &[usize]) -> Vec<usize> {
    order.iter().map(|&p| shape[p]).collect()
}

/// Whether both orders hold the elements alike: one channel, or one place.
fn alike(channels_first: &[usize]) -> bool {
    channels_first[1] == 1 || channels_first[2..].iter().all(|&d| d == 1)
}

/// The node rewritten, if its layout is channels last or it changes the layout; `pins` says that its data is the graph's
/// input, which nothing else reads.
///
/// # Errors
/// If an operator has no channels-last form here, or layouts of its inputs differ.
pub fn rewrite(node: &NodeProto, inputs: &[Option<Value>], pins: bool) -> Result<Option<Rewritten>, Refusal> {
    let signals: Vec<&Signal> = inputs
        .iter()
        .filter_map(|v| match v {
            Some(Value::Signal(s)) => Some(s.as_ref()),
            _ => None,
        })
        .collect();
    let Some(&first) = signals.first() else { return Ok(None) };
    let (rank, own) = (first.shape.len(), node.domain == DOMAIN);
    if let Some(channels) = signals.iter().find_map(|s| s.interleaved) {
        return vector(node, inputs, &signals, channels).map(Some);
    }
    if node.op_type == "Transpose" && (3..=4).contains(&rank) {
        return transpose(node, first, pins);
    }
    if !own && signals.iter().all(|s| !s.channels_last) {
        return Ok(None);
    }
    let op = node.op_type.as_str();
    let function =
        (elementwise::OPERATORS.contains(&op) && op != "BatchNormalization" && op != "MultiThreshold") || op == "Trunc";
    let layout = Attributes::of(node).text("data_layout").unwrap_or_default();
    let declared = matches!(op, "MultiThreshold" | "QuantAvgPool2d") && matches!(layout.as_str(), "NHWC" | "NWC");
    let neutral = matches!(op, "Identity" | "Dropout" | "Cast" | "Sum" | "Concat");
    if !(own || function || declared || neutral) {
        // Where one channel or one place is left, the order is the same.
        return match signals[..] {
            [signal]
                if signal.padding.is_none()
                    && (alike(&signal.shape) || matches!(op, "Shape" | "Flatten" | "Reshape")) =>
            {
                let plain =
                    Signal { shape: picked(&signal.shape, &to_last(rank)), channels_last: false, ..signal.clone() };
                let inputs = replaced(inputs, |_, _| Ok(plain.clone()), |_, c| Ok(c.clone()))?;
                let interleaved = (!alike(&signal.shape)).then_some(signal.shape[1]);
                Ok(Some(Rewritten { interleaved, ..Rewritten::plain(node, inputs) }))
            }
            _ => Err(Refusal::new(
                "it reads data whose channels come last",
                "put a Transpose to channels first in front of it",
            )),
        };
    }
    let mut node = node.clone();
    if own {
        node.domain = String::new();
    }
    node.attribute.retain(|a| a.name != "data_layout");
    for attribute in node.attribute.iter_mut().filter(|a| op == "Concat" && a.name == "axis") {
        let axis = shape::axis(attribute.i, rank)?;
        attribute.i = to_last(rank)[axis] as i64;
    }
    let data = |i: usize, signal: &Signal| match signal.channels_last {
        true => Ok(Signal { channels_last: false, ..signal.clone() }),
        false if i == 0 && own => first_of(signal, pins),
        false => Err(Refusal::new("its inputs have different layouts", "transpose one of them")),
    };
    let constant = |i: usize, c: &Constant| match () {
        () if own && op == "Conv" && i == 1 && c.shape.len() == rank => c.transpose(&to_first(rank)),
        () if function && c.len() > 1 && c.shape.len() <= rank => {
            let mut full = c.clone();
            if full.shape.len() < rank {
                full = Constant::reals(
                    [vec![1; rank - c.shape.len()], c.shape.clone()].concat(),
                    c.to_reals()?,
                    c.sources.clone(),
                );
            }
            full.transpose(&to_first(rank))
        }
        () => Ok(c.clone()),
    };
    let pins_turned = own && !first.channels_last && !alike(&picked(&first.shape, &to_first(rank)));
    let inputs = replaced(inputs, data, constant)?;
    Ok(Some(Rewritten { node, inputs, channels_last: true, interleaved: None, pins_turned }))
}

/// A node that reads a vector which the graph has channels last: a layer's weights are put in the order of the integers, functions of
/// one number for all stay as they are.
///
/// # Errors
/// If the operator reads elements by their place.
fn vector(
    node: &NodeProto,
    inputs: &[Option<Value>],
    signals: &[&Signal],
    channels: usize,
) -> Result<Rewritten, Refusal> {
    let op = node.op_type.as_str();
    let same = |_: usize, s: &Signal| Ok(s.clone());
    let layer = matches!(op, "MatMul" | "Gemm");
    let position = inputs.iter().position(|v| matches!(v, Some(Value::Signal(_)))).unwrap_or(0);
    if layer && position < 2 && signals.len() == 1 {
        let attribute = ["transB", "transA"][position];
        let turned = op == "Gemm" && Attributes::of(node).int(attribute).unwrap_or(0) != 0;
        // The axis that meets the data: a matrix's first on the right, its last on the left.
        let axis = usize::from((position == 1) != turned);
        let weights = |i: usize, c: &Constant| match c.shape[..] {
            [_, _] if i == 1 - position && c.shape[axis] == signals[0].elements() => c.channels_first(axis, channels),
            _ => Ok(c.clone()),
        };
        let plain = |_: usize, s: &Signal| Ok(Signal { interleaved: None, ..s.clone() });
        let inputs = replaced(inputs, plain, weights)?;
        return Ok(Rewritten::plain(node, inputs));
    }
    let scalar = inputs.iter().flatten().all(|v| !matches!(v, Value::Constant(c) if c.len() > 1));
    let function = (elementwise::OPERATORS.contains(&op) || op == "Trunc") && scalar;
    let neutral = matches!(op, "Identity" | "Dropout" | "Cast" | "Flatten" | "Reshape" | "Shape");
    if signals.len() == 1 && (function || neutral) {
        let inputs = replaced(inputs, same, |_, c| Ok(c.clone()))?;
        return Ok(Rewritten { interleaved: Some(channels), ..Rewritten::plain(node, inputs) });
    }
    Err(Refusal::new(
        "it reads an image whose channels come last as a vector",
        "put a Transpose to channels first in front of the Flatten or Reshape",
    ))
}

/// The refusal of an image whose channels come last in another shape than a vector.
pub fn last_at_reshape() -> Refusal {
    Refusal::new(
        "it reshapes data whose channels come last to another shape than a vector",
        "put a Transpose to channels first in front of it",
    )
}

/// Inputs with other signals and constants.
fn replaced(
    inputs: &[Option<Value>],
    signal: impl Fn(usize, &Signal) -> Result<Signal, Refusal>,
    constant: impl Fn(usize, &Constant) -> Result<Constant, Refusal>,
) -> Result<Vec<Option<Value>>, Refusal> {
    let one = |(i, value): (usize, &Option<Value>)| {
        Ok(match value {
            Some(Value::Signal(s)) => Some(Value::Signal(Arc::new(signal(i, s)?))),
            Some(Value::Constant(c)) => Some(Value::Constant(Arc::new(constant(i, c)?))),
            other => other.clone(),
        })
    };
    inputs.iter().enumerate().map(one).collect()
}

/// Data of a channels-last operator that is declared as `[1, height, width, channels]`, channels first.
fn first_of(signal: &Signal, pins: bool) -> Result<Signal, Refusal> {
    // Zeros of a Pad are meant for the axes that were taken for height and width.
    signal.unpadded()?;
    let shape = picked(&signal.shape, &to_first(signal.shape.len()));
    let scalar = signal.links.iter().all(|l| super::chain::blocks(std::slice::from_ref(l)) == 1);
    if alike(&shape) || (pins && scalar && signal.moves.is_empty() && !matches!(signal.origin, Origin::Accumulator(_)))
    {
        return Ok(Signal { shape, ..signal.clone() });
    }
    Err(Refusal::new("it reads data whose channels come first", "put a Transpose to channels last in front of it"))
}

/// A `Transpose` between the layouts; others are no concern here.
fn transpose(node: &NodeProto, signal: &Signal, pins: bool) -> Result<Option<Rewritten>, Refusal> {
    let rank = signal.shape.len();
    let order = shape::permutation(Attributes::of(node).ints("perm"), rank)?;
    let identity = |signal: Signal, channels_last| {
        let node =
            NodeProto { op_type: "Identity".into(), domain: String::new(), attribute: Vec::new(), ..node.clone() };
        let inputs = vec![Some(Value::Signal(Arc::new(signal)))];
        Some(Rewritten { node, inputs, channels_last, interleaved: None, pins_turned: false })
    };
    if signal.channels_last {
        if order == to_first(rank) {
            return Ok(identity(Signal { channels_last: false, ..signal.clone() }, false));
        }
        return Err(Refusal::new(
            format!("it permutes channels-last data by {order:?}"),
            format!("supported is {:?}, to channels first", to_first(rank)),
        ));
    }
    // An order that stays the same is a change of shape, as ever.
    if alike(&signal.shape) && order == to_last(rank) && signal.padding.is_none() {
        return Ok(None);
    }
    if order == to_last(rank) {
        return Ok(identity(signal.clone(), true));
    }
    let first = picked(&signal.shape, &to_first(rank));
    if order == to_first(rank) && pins && !alike(&first) {
        let turned = |s| identity(s, false).map(|r| Rewritten { pins_turned: true, ..r });
        return first_of(signal, pins).map(turned);
    }
    Ok(None)
}
