//! The graph as a graph: who writes what, in which order, from where to where.

use std::collections::{HashMap, HashSet};

use super::error::GraphProblem;
use crate::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, attribute_type};

/// The most nodes read.
pub const MAX_NODES: usize = 100_000;

/// A checked view of a graph.
pub struct Graph<'a> {
    /// Constants by name.
    pub initializers: HashMap<&'a str, &'a TensorProto>,
    /// The only input that is no constant.
    pub input: &'a ValueInfoProto,
    /// The only output.
    pub output: &'a ValueInfoProto,
    /// The nodes that the output depends on, in topological order.
    pub nodes: Vec<&'a NodeProto>,
    /// `finn_datatype` by tensor.
    pub datatypes: HashMap<&'a str, &'a str>,
    /// How many nodes nothing depends on.
    pub unused: usize,
}

impl Graph<'_> {
    /// How many channels the first layer's weights ask for, and which dimension of an input of so many dimensions holds them: a guess
    /// for messages, where the file leaves it open.
    pub fn weights_channels(&self, rank: usize) -> Option<(usize, usize)> {
        let layer = |n: &&&NodeProto| matches!(n.op_type.as_str(), "Conv" | "MatMul" | "Gemm");
        let at = self.nodes.iter().position(|n| layer(&n))?;
        let node = self.nodes[at];
        // Through quantizers to the numbers themselves.
        let (mut name, mut turned) = (node.input.get(1)?.as_str(), false);
        let dims = loop {
            if let Some(tensor) = self.initializers.get(name) {
                break &tensor.dims;
            }
            // Nodes are in topological order, so that this ends.
            let writer = self.nodes[..at].iter().find(|n| n.output.iter().any(|o| o == name))?;
            turned ^= writer.op_type == "Transpose";
            name = writer.input.first()?;
        };
        let size = |i: usize| dims.get(i).and_then(|&d| usize::try_from(d).ok()).filter(|&d| d > 0);
        if node.op_type != "Conv" {
            turned ^= Attributes::of(node).int("transB").unwrap_or(0) != 0;
            return (rank <= 2 && dims.len() == 2).then(|| size(usize::from(turned))).flatten().map(|c| (rank - 1, c));
        }
        if dims.len() != rank || turned {
            return None;
        }
        if !node.domain.is_empty() {
            return size(rank - 1).map(|c| (rank - 1, c));
        }
        let groups = usize::try_from(Attributes::of(node).int("group").unwrap_or(1)).ok()?;
        let last = self.nodes[..at].iter().any(|n| n.op_type == "Transpose");
        size(1).and_then(|each| each.checked_mul(groups)).map(|c| (if last { rank - 1 } else { 1 }, c))
    }
}

/// The node's name, or its first output's where it has none.
pub fn node_name(node: &NodeProto) -> String {
    if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() }
}

/// Checks and orders a graph.
///
/// # Errors
/// See [`GraphProblem`].
pub fn view(graph: &GraphProto) -> Result<Graph<'_>, GraphProblem> {
    if graph.node.len() > MAX_NODES {
        return Err(GraphProblem::TooManyNodes { nodes: graph.node.len(), max: MAX_NODES });
    }
    let initializers: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
    let inputs: Vec<_> = graph.input.iter().filter(|v| !initializers.contains_key(v.name.as_str())).collect();
    let input = only("input", &inputs)?;
    let output = only("output", &graph.output.iter().collect::<Vec<_>>())?;

    let mut writer: HashMap<&str, usize> = HashMap::new();
    for (i, node) in graph.node.iter().enumerate() {
        for tensor in node.output.iter().filter(|t| !t.is_empty()) {
            let taken = initializers.contains_key(tensor.as_str()) || *tensor == input.name;
            if taken || writer.insert(tensor, i).is_some() {
                return Err(GraphProblem::WrittenTwice { tensor: tensor.clone(), node: node_name(node) });
            }
        }
    }
    let known = |t: &str| t == input.name || initializers.contains_key(t);
    let nodes = order(graph, &writer, &known, &output.name)?;
    let mut datatypes = HashMap::new();
    for annotation in &graph.quantization_annotation {
        for entry in annotation.quant_parameter_tensor_names.iter().filter(|e| e.key == "finn_datatype") {
            datatypes.insert(annotation.tensor_name.as_str(), entry.value.as_str());
        }
    }
    let unused = graph.node.len() - nodes.len();
    Ok(Graph { initializers, input, output, nodes, datatypes, unused })
}

fn only<'a>(what: &'static str, values: &[&'a ValueInfoProto]) -> Result<&'a ValueInfoProto, GraphProblem> {
    match values {
        [one] => Ok(one),
        many => Err(GraphProblem::Ends {
            what,
            count: many.len(),
            names: many.iter().take(8).map(|v| v.name.clone()).collect(),
        }),
    }
}

/// The nodes that `output` depends on in topological order, by a depth-first walk with its own stack.
fn order<'a>(
    graph: &'a GraphProto,
    writer: &HashMap<&str, usize>,
    known: &dyn Fn(&str) -> bool,
    output: &str,
) -> Result<Vec<&'a NodeProto>, GraphProblem> {
    let find = |tensor: &str, reader: &str| match writer.get(tensor) {
        Some(&i) => Ok(Some(i)),
        None if known(tensor) => Ok(None),
        None => Err(GraphProblem::Missing { node: reader.into(), tensor: tensor.into() }),
    };
    let mut done = HashSet::new();
    let mut open: Vec<(usize, usize)> = Vec::new(); // node, next input to look at
    let mut on_path = HashSet::new();
    let mut ordered = Vec::new();
    if let Some(last) = find(output, "output")? {
        open.push((last, 0));
        on_path.insert(last);
    }
    while let Some((i, next)) = open.last_mut() {
        let (i, node) = (*i, &graph.node[*i]);
        let Some(tensor) = node.input.get(*next) else {
            on_path.remove(&i);
            done.insert(i);
            ordered.push(i);
            open.pop();
            continue;
        };
        *next += 1;
        if tensor.is_empty() {
            continue;
        }
        let Some(before) = find(tensor, &node_name(node))? else { continue };
        if done.contains(&before) {
            continue;
        }
        if !on_path.insert(before) {
            let start = open.iter().position(|&(j, _)| j == before).unwrap_or(0);
            let nodes = open[start..].iter().take(8).map(|&(j, _)| node_name(&graph.node[j])).collect();
            return Err(GraphProblem::Cycle { nodes });
        }
        open.push((before, 0));
    }
    // The file's order is topological as a rule, and reads better in messages; keep it where it is.
    let mut by_file = ordered.clone();
    by_file.sort_unstable();
    let ordered = if is_topological(graph, writer, &by_file) { by_file } else { ordered };
    Ok(ordered.into_iter().map(|i| &graph.node[i]).collect())
}

fn is_topological(graph: &GraphProto, writer: &HashMap<&str, usize>, order: &[usize]) -> bool {
    order.iter().all(|&i| graph.node[i].input.iter().all(|t| writer.get(t.as_str()).is_none_or(|&w| w < i)))
}

/// Attributes of a node by name and type.
pub struct Attributes<'a>(&'a [AttributeProto]);

impl<'a> Attributes<'a> {
    /// Of this node.
    pub fn of(node: &'a NodeProto) -> Self {
        Attributes(&node.attribute)
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.iter().find(|a| a.name == name)
    }

    /// An integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name).map(|a| a.i)
    }

    /// A float.
    pub fn float(&self, name: &str) -> Option<f32> {
        self.get(name).map(|a| if a.r#type == attribute_type::INT { a.i as f32 } else { a.f })
    }

    /// Integers.
    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.get(name).map(|a| a.ints.as_slice())
    }

    /// Text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|a| String::from_utf8_lossy(&a.s).into_owned())
    }
}
