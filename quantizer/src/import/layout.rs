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
}

/// The graph's input, and what its only reader makes of it, if these have one reader each.
pub fn pins_alone<'a>(graph: &Graph<'a>) -> HashSet<&'a str> {
    let readers = |name: &str| -> Vec<&'a NodeProto> {
        graph.nodes.iter().copied().filter(|n| n.input.iter().any(|i| i == name)).take(2).collect()
    };
    let mut alone = HashSet::new();
    let mut name = graph.input.name.as_str();
    for _ in 0..2 {
        let [only] = readers(name)[..] else { break };
        alone.insert(name);
        let Some(output) = only.output.first() else { break };
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
    if node.op_type == "Transpose" && (3..=4).contains(&rank) {
        return transpose(node, first, pins);
    }
    if !own && signals.iter().all(|s| !s.channels_last) {
        return Ok(None);
    }
    let op = node.op_type.as_str();
    let function = elementwise::OPERATORS.contains(&op) && op != "BatchNormalization" && op != "MultiThreshold";
    let layout = Attributes::of(node).text("data_layout").unwrap_or_default();
    let declared = matches!(op, "MultiThreshold" | "QuantAvgPool2d") && matches!(layout.as_str(), "NHWC" | "NWC");
    let neutral = matches!(op, "Identity" | "Dropout" | "Cast" | "Sum" | "Concat");
    if !(own || function || declared || neutral) {
        // Where one channel or one place is left, the order is the same.
        return match signals[..] {
            [signal] if alike(&signal.shape) => {
                let plain =
                    Signal { shape: picked(&signal.shape, &to_last(rank)), channels_last: false, ..signal.clone() };
                let inputs = replaced(inputs, |_, _| Ok(plain.clone()), |_, c| Ok(c.clone()))?;
                Ok(Some(Rewritten { node: node.clone(), inputs, channels_last: false }))
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
    let inputs = replaced(inputs, data, constant)?;
    Ok(Some(Rewritten { node, inputs, channels_last: true }))
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
        Some(Rewritten { node, inputs: vec![Some(Value::Signal(Arc::new(signal)))], channels_last })
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
    if alike(&signal.shape) && order == to_last(rank) {
        return Ok(None);
    }
    if order == to_last(rank) {
        return Ok(identity(signal.clone(), true));
    }
    let first = picked(&signal.shape, &to_first(rank));
    if order == to_first(rank) && pins && !alike(&first) {
        return first_of(signal, pins).map(|s| identity(s, false));
    }
    Ok(None)
}
