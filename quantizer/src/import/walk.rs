//! The walk over the nodes, in topological order: each tensor becomes a constant, a signal, or unknown behind a
//! blocker. Blockers are collected; the walk goes on behind them as far as it can.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::build::{self, Builder};
use super::chain::{self, Link};
use super::constant::{Constant, Data};
use super::conv;
use super::dense;
use super::elementwise::{self, Application};
use super::error::{Blocker, Refusal};
use super::fold;
use super::function::Function;
use super::graph::{Attributes, Graph, node_name};
use super::input::FirstQuant;
use super::join;
use super::layout;
use super::moves;
use super::operators::{RESHAPING, is_supported, unsupported};
use super::pad;
use super::pool;
use super::quant;
use super::resize;
use super::shape;
use super::signal::{Origin, Signal};
use super::trunc;
use crate::datatype::DataType;
use crate::network::{Tensor, TensorId};
use crate::onnx::proto::NodeProto;
use crate::onnx::tensor::elements;

/// What is known of a tensor.
#[derive(Clone)]
pub enum Value {
    /// It does not depend on the input.
    Constant(Arc<Constant>),
    /// It does.
    Signal(Arc<Signal>),
    /// A blocker stands before it.
    Unknown,
}

/// State of the walk.
pub struct Walk<'a> {
    graph: &'a Graph<'a>,
    folder: &'a Path,
    values: HashMap<&'a str, Value>,
    /// Nodes at the end that do not change which class wins.
    dropped: HashSet<&'a str>,
    /// The graph's input, and what its only reader makes of it, if these have one reader each.
    pins_alone: HashSet<&'a str>,
    /// The batch size in the file, if it is not 1.
    batch: Option<usize>,
    /// The network so far.
    pub builder: Builder,
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
    /// What a person may want to know.
    pub notes: Vec<String>,
    /// The first quantizer, once it is met.
    pub first_quant: Option<FirstQuant>,
    /// The pins' tensor, once it is known.
    pub input: Option<TensorId>,
    /// Whether the file's input has its channels last, which the pins take first.
    pub input_channels_last: bool,
}

/// Operators that keep the order of the classes.
const ORDER_KEEPING: [&str; 3] = ["LogSoftmax", "Sigmoid", "Softmax"];

impl<'a> Walk<'a> {
    /// Before the first node: `input` is the graph's input, whose file says batch size `batch`.
    pub fn new(graph: &'a Graph<'a>, folder: &'a Path, input: Signal, batch: Option<usize>, builder: Builder) -> Self {
        let pins = match input.origin {
            Origin::Codes(id) => Some(id),
            _ => None,
        };
        let values = HashMap::from([(graph.input.name.as_str(), Value::Signal(Arc::new(input)))]);
        let dropped = order_keeping_end(graph);
        let pins_alone = layout::pins_alone(graph);
        Walk {
            graph,
            folder,
            values,
            dropped,
            pins_alone,
            batch,
            builder,
            blockers: Vec::new(),
            notes: Vec::new(),
            first_quant: None,
            input: pins,
            input_channels_last: false,
        }
    }

    /// Visits all nodes; returns what is known of the graph's output.
    pub fn run(&mut self) -> Value {
        for node in &self.graph.nodes {
            let value = match self.visit(node) {
                Ok(value) => value,
                Err(refusal) => {
                    self.block(node_name(node), &node.op_type, refusal);
                    Value::Unknown
                }
            };
            for output in node.output.iter().skip(1).filter(|o| !o.is_empty()) {
                // Second outputs (BatchNormalization's statistics, Dropout's mask) matter in training only.
                self.values.insert(output, Value::Unknown);
            }
            if let Some(output) = node.output.first() {
                self.values.insert(output, value);
            }
        }
        self.value(&self.graph.output.name).unwrap_or(Value::Unknown)
    }

    /// Adds a blocker.
    pub fn block(&mut self, node: String, op: &str, refusal: Refusal) {
        self.blockers.push(Blocker { node, op: op.into(), reason: refusal.reason, hint: refusal.hint });
    }

    /// What is known of a tensor; initializers are read when first asked for.
    pub(crate) fn value(&mut self, name: &'a str) -> Result<Value, Refusal> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let Some(tensor) = self.graph.initializers.get(name) else { return Ok(Value::Unknown) };
        // Once only: a second reader finds it unknown, and its error reported already.
        self.values.insert(name, Value::Unknown);
        let (shape, data) = elements(tensor, self.folder).map_err(|e| {
            Refusal::new(format!("its tensor '{name}': {e}"), "export again, and keep external files beside it")
        })?;
        let mut constant = Constant { shape, data: Data::Typed(data), sources: vec![name.to_string()] };
        if constant.as_ints().is_none()
            && let Some(datatype) = self.graph.datatypes.get(name).and_then(|t| quant::annotated(t))
        {
            constant = quant::declared(constant, datatype)
                .map_err(|e| Refusal::new(format!("its tensor '{name}': {}", e.reason), e.hint))?;
        }
        let value = Value::Constant(Arc::new(constant));
        self.values.insert(name, value.clone());
        Ok(value)
    }

    fn visit(&mut self, node: &'a NodeProto) -> Result<Value, Refusal> {
        if node.output.first().is_none_or(String::is_empty) {
            return Err(Refusal::new("it has no output", "export again"));
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(if name.is_empty() { None } else { Some(self.value(name)?) });
        }
        if self.dropped.contains(node.output[0].as_str()) {
            if let Some(Some(Value::Signal(signal))) = inputs.first() {
                self.notes.push(format!(
                    "{} '{}' at the end dropped: it keeps the order of the classes",
                    node.op_type,
                    node_name(node)
                ));
                return Ok(Value::Signal(signal.clone()));
            }
            return Ok(Value::Unknown);
        }
        if !is_supported(node) {
            return Err(unsupported(node));
        }
        if inputs.iter().any(|v| matches!(v, Some(Value::Unknown))) {
            return Ok(Value::Unknown);
        }
        if !pad::taken_by(node) || signals(&inputs).len() > 1 {
            for value in inputs.iter_mut().flatten() {
                if let Value::Signal(signal) = value
                    && signal.padding.is_some()
                {
                    *signal = Arc::new(pad::settle(&mut self.builder, signal)?);
                }
            }
        }
        let pins = node.input.first().is_some_and(|data| self.pins_alone.contains(data.as_str()));
        let Some(rewritten) = layout::rewrite(node, &inputs, pins)? else { return self.dispatch(node, &inputs) };
        if let (Some(Some(Value::Signal(before))), Some(Some(Value::Signal(now)))) =
            (inputs.first(), rewritten.inputs.first())
            && rewritten.pins_turned
        {
            self.input_channels_last = true;
            self.notes.push(format!(
                "the file's input {:?} has its channels last; the pins take {:?}, channels first",
                before.shape, now.shape
            ));
        }
        match self.dispatch(&rewritten.node, &rewritten.inputs)? {
            Value::Signal(signal) => {
                let layout::Rewritten { channels_last, interleaved, .. } = rewritten;
                let interleaved = interleaved.filter(|_| signal.shape.len() == 2);
                if rewritten.interleaved.is_some() && interleaved.is_none() {
                    return Err(layout::last_at_reshape());
                }
                Ok(Value::Signal(Arc::new(Signal { channels_last, interleaved, ..signal.as_ref().clone() })))
            }
            other => Ok(other),
        }
    }

    /// A node on channels-first data, all of whose inputs are known.
    fn dispatch(&mut self, node: &NodeProto, inputs: &[Option<Value>]) -> Result<Value, Refusal> {
        let position = inputs.iter().position(|v| matches!(v, Some(Value::Signal(_))));
        let constants: Vec<Option<&Constant>> = inputs
            .iter()
            .map(|v| match v {
                Some(Value::Constant(c)) => Some(c.as_ref()),
                _ => None,
            })
            .collect();
        let signals = signals(inputs);
        match (inputs, position) {
            (_, None) => constant_node(node, &constants).map(|c| Value::Constant(Arc::new(c))),
            (inputs, Some(_)) if join::OPERATORS.contains(&node.op_type.as_str()) && signals.len() == inputs.len() => {
                join::apply(&mut self.builder, node, &signals).map(|s| Value::Signal(Arc::new(s)))
            }
            (_, Some(_)) if signals.len() > 1 => Err(Refusal::new(
                "it joins two branches that depend on the data",
                "branches are joined by Add, Sub and Concat of quantized data alone",
            )),
            (inputs, Some(position)) => {
                let Some(Value::Signal(signal)) = &inputs[position] else { return Ok(Value::Unknown) };
                let signal = signal.clone();
                self.signal_node(node, &signal, position, &constants)
            }
        }
    }

    /// A node with one signal among its inputs.
    fn signal_node(
        &mut self,
        node: &NodeProto,
        signal: &Signal,
        position: usize,
        constants: &[Option<&Constant>],
    ) -> Result<Value, Refusal> {
        let op = node.op_type.as_str();
        if let Origin::Sum(index) = signal.origin
            && !(matches!(op, "Cast" | "Shape") || RESHAPING.contains(&op) || elementwise::OPERATORS.contains(&op))
        {
            return Err(self.builder.sums[index].refusal());
        }
        let signal = match op {
            "Shape" => {
                let shape = match signal.padding {
                    Some(_) => [&[1], &signal.padded_image()?[..]].concat(),
                    None => signal.shape.clone(),
                };
                let dims = shape.iter().map(|&d| d as i64).collect();
                return Ok(Value::Constant(Arc::new(Constant::ints(vec![shape.len()], dims, Vec::new()))));
            }
            "Conv" => conv::apply(&mut self.builder, node, signal, position, constants)?,
            "DepthToSpace" => moves::depth_to_space(&mut self.builder, signal, node)?,
            "Pad" => pad::apply(node, signal, constants)?,
            "Sum" | "Concat" if node.input.len() == 1 => signal.clone(),
            _ if pool::OPERATORS.contains(&op) => pool::apply(&mut self.builder, node, signal, constants)?,
            _ if resize::OPERATORS.contains(&op) => resize::apply(&mut self.builder, node, signal, constants)?,
            "MatMul" | "Gemm" => dense::apply(&mut self.builder, node, signal, position, constants)?,
            "Cast" => {
                let to = Attributes::of(node).int("to").unwrap_or(1);
                if !matches!(to, 1 | 11) {
                    return Err(Refusal::new("it casts the data to another type than float", "remove the cast"));
                }
                signal.clone()
            }
            _ if RESHAPING.contains(&op) => {
                // A change of layout, which became an Identity, and the operators that do nothing carry a Pad's zeros on.
                let settled = match op {
                    "Identity" | "Dropout" => signal.clone(),
                    _ => pad::settle(&mut self.builder, signal)?,
                };
                let signal = &settled;
                let shape = self.new_shape(node, signal, constants)?;
                signal.reshaped(&node_name(node), shape)
            }
            _ if elementwise::OPERATORS.contains(&op) => {
                let signal = moves::elementwise(&mut self.builder, signal, &node_name(node), |signal| {
                    elementwise::apply(&Application { node, signal, position, constants })
                })?;
                let signal = self.pins(signal)?;
                super::sum::settle(&mut self.builder, signal)?
            }
            "Trunc" => {
                let ranges = |b: &Builder, s: &Signal| s.tensor().map(|id| b.tensors[id.0].ranges.clone());
                let ranges = ranges(&self.builder, signal).unwrap_or_default();
                trunc::apply(node, signal, constants, &ranges)?
            }
            _ => {
                return Err(Refusal::new(
                    "on data this operator is not supported, only on constants",
                    "use layers, pooling and elementwise functions",
                ));
            }
        };
        Ok(Value::Signal(Arc::new(signal)))
    }

    /// The first quantizer behind a raw input leaves the graph: the pins carry its codes.
    fn pins(&mut self, signal: Signal) -> Result<Signal, Refusal> {
        if signal.origin != Origin::Raw || signal.links.last().is_none_or(|l| l.function.codes().is_none()) {
            return Ok(signal);
        }
        let split = signal.links.iter().position(|l| l.function.codes().is_some()).unwrap_or(0);
        let (links, later) = (signal.links[..=split].to_vec(), signal.links[split + 1..].to_vec());
        let node = links[split].node.clone();
        if self.first_quant.as_ref().is_some_and(|f| f.node != node) {
            return Err(Refusal::new(
                "the graph's input is quantized a second time, differently",
                "give the pins a type of their own with --input-type",
            ));
        }
        let blocks = chain::blocks(&links);
        let graph_shape = match self.values.get(self.graph.input.name.as_str()) {
            Some(Value::Signal(s)) => without_batch(&s.shape),
            _ => without_batch(&signal.shape),
        };
        // Parameters finer than channels need a channel for every element.
        let fine = graph_shape.first().is_some_and(|c| !c.is_multiple_of(blocks));
        let shape = if fine { vec![signal.elements()] } else { graph_shape };
        let channels = shape.first().copied().unwrap_or(1);
        let quantizer = &links[split].function;
        let datatype = quantizer.codes().unwrap_or(DataType::BIPOLAR);
        let factor = match quantizer {
            Function::Quant(quant) => quant.scale.clone(),
            _ => {
                return Err(Refusal::new(
                    "the graph begins with this operator",
                    "give the pins a type with --input-type",
                ));
            }
        };
        let id = match self.input {
            Some(id) => id,
            None => {
                let scale = build::scales((0..channels).map(|c| (factor.at(c, channels).clone(), 0.into())));
                let first = FirstQuant::new(node.clone(), links.clone(), channels)?;
                let id = self.builder.tensor(Tensor {
                    name: links[split].output.clone(),
                    shape,
                    datatype,
                    ranges: vec![datatype.range(); channels],
                    scale,
                });
                self.notes.push(format!(
                    "the pins carry the codes of the first quantizer, '{node}' ({datatype}); --input-type makes it hardware"
                ));
                self.input = Some(id);
                self.first_quant = Some(first);
                id
            }
        };
        let value = Link { function: Function::Mul(factor), ..links[split].clone() };
        let links = std::iter::once(value).chain(later).collect();
        Ok(Signal { origin: Origin::Codes(id), links, ..signal })
    }

    /// The shape behind an operator that only changes it.
    pub(crate) fn new_shape(
        &self,
        node: &NodeProto,
        signal: &Signal,
        constants: &[Option<&Constant>],
    ) -> Result<Vec<usize>, Refusal> {
        let attributes = Attributes::of(node);
        let from = &signal.shape;
        let ints = |name: &str| match constants.get(1).copied().flatten() {
            Some(c) => fold::integers(c, name).map(Some),
            None => Ok(attributes.ints(name).map(<[i64]>::to_vec)),
        };
        match node.op_type.as_str() {
            "Identity" | "Dropout" => Ok(from.clone()),
            "Flatten" => shape::flatten(from, attributes.int("axis").unwrap_or(1)),
            "Squeeze" => shape::squeeze(from, ints("axes")?.as_deref()),
            "Unsqueeze" => shape::unsqueeze(from, &ints("axes")?.unwrap_or_default()),
            "Transpose" => {
                let permutation = shape::permutation(attributes.ints("perm"), from.len())?;
                let order: Vec<usize> = permutation.iter().copied().filter(|&p| from[p] != 1).collect();
                if !order.is_sorted() {
                    return Err(Refusal::new("it changes the order of the data", "transpose the weights instead"));
                }
                Ok(permutation.iter().map(|&p| from[p]).collect())
            }
            _ => {
                let mut target = ints("shape")?.ok_or_else(|| Refusal::new("its shape is unknown", "export again"))?;
                // A batch size that was recorded at export is 1 here.
                if let (Some(first), Some(batch)) = (target.first_mut(), self.batch)
                    && *first == batch as i64
                {
                    *first = 1;
                }
                shape::reshape(from, &target, attributes.int("allowzero") == Some(1))
            }
        }
    }
}

/// Those of a node's inputs that depend on the graph's input.
fn signals(inputs: &[Option<Value>]) -> Vec<&Signal> {
    let mut signals = Vec::new();
    for value in inputs.iter().flatten() {
        if let Value::Signal(signal) = value {
            signals.push(signal.as_ref());
        }
    }
    signals
}

/// A shape without its batch dimension.
pub fn without_batch(shape: &[usize]) -> Vec<usize> {
    if shape.len() > 1 { shape[1..].to_vec() } else { shape.to_vec() }
}

/// The constant that a node of constants is.
pub(crate) fn constant_node(node: &NodeProto, constants: &[Option<&Constant>]) -> Result<Constant, Refusal> {
    match node.op_type.as_str() {
        op if quant::is_quant(op) => {
            let spec = quant::spec(node, constants)?;
            let x = constants.first().copied().flatten();
            quant::quantize(x.ok_or_else(|| Refusal::new("it has no input", "export again"))?, &spec)
        }
        "Shape" => {
            let x =
                constants.first().copied().flatten().ok_or_else(|| Refusal::new("it has no input", "export again"))?;
            Ok(Constant::ints(vec![x.shape.len()], x.shape.iter().map(|&d| d as i64).collect(), Vec::new()))
        }
        _ => fold::fold(node, constants),
    }
}

/// Softmax, LogSoftmax and Sigmoid nodes between the last other operator and the output.
fn order_keeping_end<'a>(graph: &Graph<'a>) -> HashSet<&'a str> {
    let writer: HashMap<&str, &NodeProto> =
        graph.nodes.iter().flat_map(|&n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
    let mut readers: HashMap<&str, usize> = HashMap::new();
    for input in graph.nodes.iter().flat_map(|n| &n.input) {
        *readers.entry(input).or_default() += 1;
    }
    let mut dropped = HashSet::new();
    let mut name = graph.output.name.as_str();
    while let Some(&node) = writer.get(name) {
        if readers.contains_key(name) && name == graph.output.name || readers.get(name).is_some_and(|&n| n > 1) {
            break;
        }
        if ORDER_KEEPING.contains(&node.op_type.as_str()) {
            dropped.insert(name);
        } else if !RESHAPING.contains(&node.op_type.as_str()) {
            break;
        }
        let Some(before) = node.input.first() else { break };
        name = before;
    }
    dropped
}
