//! Why a file cannot become an integer network.

use thiserror::Error;

use crate::onnx::file::FileError;

/// Why an import failed. Blockers are collected: all of a graph come at once.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file could not be read as ONNX.
    #[error(transparent)]
    File(#[from] FileError),
    /// The graph is no graph: names do not match, nodes wait for each other.
    #[error("'{file}': {problem}")]
    Graph {
        /// The file.
        file: String,
        /// What is wrong.
        problem: GraphProblem,
    },
    /// A model with `QuantizeLinear` / `DequantizeLinear` nodes.
    #[error("'{file}' is a QDQ model: node '{node}' is a {op}")]
    Qdq {
        /// The file.
        file: String,
        /// The first such node.
        node: String,
        /// Its operator.
        op: String,
    },
    /// A float model: nothing in it is quantized.
    #[error("'{file}' is a float model: it has no Quant, BipolarQuant or MultiThreshold node")]
    Float {
        /// The file.
        file: String,
    },
    /// Parts of the graph that cannot be built.
    #[error("'{file}' cannot be built: {}", list(blockers))]
    Blocked {
        /// The file.
        file: String,
        /// Every reason, in the graph's order.
        blockers: Vec<Blocker>,
    },
}

fn list(blockers: &[Blocker]) -> String {
    let lines: Vec<String> = blockers.iter().map(Blocker::to_string).collect();
    lines.join("; ")
}

/// A part of the graph that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("node '{node}' ({op}): {reason}")]
pub struct Blocker {
    /// Name of the node; of its output, if it has none; `input` and `output` for the graph's own ends.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// Why.
    pub reason: String,
    /// The nearest supported form, or the way out.
    pub hint: String,
}

/// A broken graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphProblem {
    /// Nodes that wait for each other.
    #[error("the graph has a cycle through {}", quoted(nodes))]
    Cycle {
        /// Some of them.
        nodes: Vec<String>,
    },
    /// A node reads a tensor that nobody writes.
    #[error("node '{node}' reads tensor '{tensor}', which nothing writes")]
    Missing {
        /// The reader, or `output` for the graph's output.
        node: String,
        /// The tensor.
        tensor: String,
    },
    /// Two nodes write one tensor.
    #[error("tensor '{tensor}' is written twice, the second time by node '{node}'")]
    WrittenTwice {
        /// The tensor.
        tensor: String,
        /// The second writer.
        node: String,
    },
    /// More nodes than any network has.
    #[error("the graph has {nodes} nodes; at most {max} are read")]
    TooManyNodes {
        /// How many.
        nodes: usize,
        /// The limit.
        max: usize,
    },
    /// Not exactly one input, or not exactly one output.
    #[error("the graph has {count} {what}s ({}); exactly one is supported", quoted(names))]
    Ends {
        /// `input` or `output`.
        what: &'static str,
        /// How many.
        count: usize,
        /// Their names.
        names: Vec<String>,
    },
    /// The input's shape is unknown, or has a dimension that only the user knows.
    #[error(
        "{} of input '{input}' {} dynamic; give the shape with --input-shape, for example --input-shape {example}",
        numbered(dimensions), if dimensions.len() == 1 { "is" } else { "are" }
    )]
    Dynamic {
        /// The input.
        input: String,
        /// Indices of the dimensions, 0 being the batch; at least one.
        dimensions: Vec<usize>,
        /// A shape without the batch, with a size in the place of each unknown one.
        example: String,
    },
    /// The input's shape is not given at all.
    #[error("input '{input}' has no shape; give it with --input-shape")]
    NoShape {
        /// The input.
        input: String,
    },
    /// `--input-shape` contradicts the file.
    #[error(
        "the input shape given is {given:?}, but input '{input}' is {} in the file{}",
        declared_shape(declared),
        unknown(declared)
    )]
    ShapeGiven {
        /// The input.
        input: String,
        /// By the user.
        given: Vec<usize>,
        /// By the file, batch dimension included.
        declared: Vec<Option<usize>>,
    },
    /// An input of more elements than any network has.
    #[error("input '{input}' has a shape of more than {max} elements: {shape:?}")]
    Huge {
        /// The input.
        input: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The limit.
        max: usize,
    },
}

fn numbered(dimensions: &[usize]) -> String {
    match dimensions {
        [one] => format!("dimension {one}"),
        many => {
            let (last, before) = many.split_last().map_or((0, &[][..]), |(l, b)| (*l, b));
            let before: Vec<String> = before.iter().map(usize::to_string).collect();
            format!("dimensions {} and {last}", before.join(", "))
        }
    }
}

/// A shape with `?` for every dynamic dimension: `[?, 3, ?, ?]`.
pub fn declared_shape(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    format!("[{}]", sizes.join(", "))
}

fn unknown(shape: &[Option<usize>]) -> &'static str {
    if shape.contains(&None) { " (? takes any size)" } else { "" }
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("'{n}'")).collect();
    quoted.join(", ")
}

/// What a node's handler says when it cannot go on; the walk adds the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: String,
    /// The way out.
    pub hint: String,
}

impl Refusal {
    /// From a reason and a way out.
    pub fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal { reason: reason.into(), hint: hint.into() }
    }
}
