//! Models whose nodes follow one another, each reading the last: what tests need most.

use super::build::{encode, floats, model, node, quant, value};
use super::proto::{AttributeProto, ModelProto, NodeProto, TensorProto};

/// A model under construction. Constants are initializers `c0`, `c1`, ...; node outputs are `t0`, `t1`, ...; the input
/// is `x`.
#[derive(Clone, Debug)]
pub struct Sequence {
    input: Vec<i64>,
    constants: Vec<TensorProto>,
    nodes: Vec<NodeProto>,
    last: String,
}

/// Parameters of a `Quant` node.
#[derive(Clone, Copy, Debug)]
pub struct QuantSpec<'a> {
    /// Bit width.
    pub bits: u32,
    /// Whether codes are signed.
    pub signed: bool,
    /// Whether the type is narrow.
    pub narrow: bool,
    /// Scales, in the shape beside them.
    pub scale: &'a [f32],
    /// Shape of the scales; empty for one.
    pub scale_shape: &'a [i64],
    /// The rounding mode's name; `None` leaves the attribute out.
    pub rounding: Option<&'a str>,
}

impl<'a> QuantSpec<'a> {
    /// One scale for all, default rounding.
    pub fn new(bits: u32, signed: bool, scale: &'a f32) -> Self {
        let scale = std::slice::from_ref(scale);
        QuantSpec { bits, signed, narrow: false, scale, scale_shape: &[], rounding: None }
    }
}

impl Sequence {
    /// Begins with an input of this shape, batch dimension included; 0 is a dynamic dimension.
    pub fn new(input: &[i64]) -> Self {
        Sequence { input: input.to_vec(), constants: Vec::new(), nodes: Vec::new(), last: "x".into() }
    }

    /// Adds a constant and returns its name.
    pub fn constant(&mut self, mut tensor: TensorProto) -> String {
        if tensor.name.is_empty() {
            tensor.name = format!("c{}", self.constants.len());
        }
        self.constants.push(tensor);
        self.constants[self.constants.len() - 1].name.clone()
    }

    /// Adds a float constant and returns its name.
    pub fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        self.constant(floats("", dims, values))
    }

    /// Adds a node with these inputs, `@` standing for the last output.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> &mut Self {
        let last = self.last.clone();
        let inputs: Vec<&str> = inputs.iter().map(|&i| if i == "@" { last.as_str() } else { i }).collect();
        let node = node(op, &inputs, &self.fresh(), attributes);
        self.push(node)
    }

    /// Adds a node on the last output and one float constant behind it.
    pub fn with(&mut self, op: &str, dims: &[i64], values: &[f32]) -> &mut Self {
        let constant = self.floats(dims, values);
        self.node(op, &["@", &constant], Vec::new())
    }

    /// Quantizes the last output.
    pub fn quant(&mut self, spec: QuantSpec) -> &mut Self {
        let last = self.last.clone();
        let name = self.quantizer(&last, spec);
        self.last = name;
        self
    }

    /// Adds quantized weights of this shape and returns their name.
    pub fn weights(&mut self, dims: &[i64], values: &[f32], spec: QuantSpec) -> String {
        let weights = self.floats(dims, values);
        self.quantizer(&weights, spec)
    }

    /// Multiplies the last output with quantized weights `[inputs, outputs]`.
    pub fn matmul(&mut self, dims: &[i64], values: &[f32], spec: QuantSpec) -> &mut Self {
        let weights = self.weights(dims, values, spec);
        self.node("MatMul", &["@", &weights], Vec::new())
    }

    /// Any node as it is; its output becomes the last one.
    pub fn push(&mut self, node: NodeProto) -> &mut Self {
        self.last = node.output.first().cloned().unwrap_or_default();
        self.nodes.push(node);
        self
    }

    /// The name of the last output, for nodes that read it later.
    pub fn last(&self) -> &str {
        &self.last
    }

    /// Goes on from an earlier output: the next node reads it as the last one.
    pub fn resume(&mut self, output: &str) -> &mut Self {
        self.last = output.to_owned();
        self
    }

    /// The model; its output is the last one, of this shape.
    pub fn model(&self, output: &[i64]) -> ModelProto {
        model(value("x", &self.input), value(&self.last, output), self.constants.clone(), self.nodes.clone())
    }

    /// The model's bytes.
    pub fn bytes(&self, output: &[i64]) -> Vec<u8> {
        encode(&self.model(output))
    }

    fn fresh(&self) -> String {
        format!("t{}", self.nodes.len())
    }

    fn quantizer(&mut self, x: &str, spec: QuantSpec) -> String {
        let scale = self.floats(spec.scale_shape, spec.scale);
        let zero = self.floats(&[], &[0.0]);
        let bits = self.floats(&[], &[spec.bits as f32]);
        let output = self.fresh();
        let node = quant(&[x, &scale, &zero, &bits], &output, spec.signed, spec.narrow, spec.rounding);
        self.nodes.push(node);
        output
    }
}
