//! The trained network as QONNX: standard ONNX nodes, and `Quant` for everything that is a code.

use quantizer::network::Window;
use quantizer::onnx::build::{float, floats, int, ints_attribute, model, node, quant, text, value};
use quantizer::onnx::proto::{AttributeProto, ModelProto, NodeProto, TensorProto};

use super::{Part, Trained};
use crate::graph::{Id, Matrix, Node, Op};
use crate::model::EPSILON;

/// The name of what the network gives.
const OUTPUT: &str = "classes";

/// A file in the making.
struct Export<'a> {
    trained: &'a Trained,
    tensors: Vec<TensorProto>,
    nodes: Vec<NodeProto>,
}

impl Trained {
    /// The network as a QONNX file with one input `x` of shape `[1, channels, height, width]` (`[1, inputs]` for vectors) and one output `classes`.
    pub fn onnx(&self) -> ModelProto {
        let mut export = Export { trained: self, tensors: vec![floats("zero", &[], &[0.0])], nodes: Vec::new() };
        for (id, node) in self.graph.nodes.iter().enumerate() {
            export.node(id, node);
        }
        let [first, last] = [0, self.graph.nodes.len() - 1].map(|id| self.dims(id));
        model(value("x", &first), value(OUTPUT, &last), export.tensors, export.nodes)
    }

    /// Whether a node's result is a vector: what a dense layer gives, and what follows it.
    fn is_vector(&self, id: Id) -> bool {
        let node = &self.graph.nodes[id];
        match &node.op {
            Op::Input => node.shape[1] * node.shape[2] == 1,
            Op::Matrix(matrix) => matrix.window.is_none(),
            Op::Norm | Op::Codes(_) => self.is_vector(node.inputs[0]),
            Op::Add => node.inputs.iter().all(|&i| self.is_vector(i)),
            Op::MaxPool(_) | Op::AveragePool(_) | Op::DepthToSpace(_) => false,
        }
    }

    /// Its shape in the file.
    fn dims(&self, id: Id) -> Vec<i64> {
        let [c, h, w] = self.graph.nodes[id].shape.map(|n| n as i64);
        if self.is_vector(id) { vec![1, c] } else { vec![1, c, h, w] }
    }

    /// The tensor that a node writes.
    fn tensor(&self, id: Id) -> String {
        if id + 1 == self.graph.nodes.len() { OUTPUT.into() } else { format!("{}.out", self.graph.nodes[id].name) }
    }
}

impl Export<'_> {
    /// A constant, and its name.
    fn constant(&mut self, name: String, dims: &[i64], values: &[f32]) -> String {
        if !self.tensors.iter().any(|t| t.name == name) {
            self.tensors.push(floats(&name, dims, values));
        }
        name
    }

    /// The tensor that a node reads, as a vector or as an image.
    fn source(&mut self, id: Id, vector: bool) -> String {
        let tensor = self.trained.tensor(id);
        let [c, h, w] = self.trained.graph.nodes[id].shape.map(|n| n as i64);
        match (self.trained.is_vector(id), vector) {
            (false, true) => {
                let flat = format!("{tensor}.flat");
                if !self.nodes.iter().any(|n| n.output.contains(&flat)) {
                    self.nodes.push(node("Flatten", &[&tensor], &flat, vec![int("axis", 1)]));
                }
                flat
            }
            (true, false) => {
                let image = format!("{tensor}.image");
                if !self.nodes.iter().any(|n| n.output.contains(&image)) {
                    let shape = format!("{image}.shape");
                    self.tensors.push(quantizer::onnx::build::ints(&shape, &[4], &[1, c, h, w]));
                    self.nodes.push(node("Reshape", &[&tensor, &shape], &image, vec![]));
                }
                image
            }
            _ => tensor,
        }
    }

    fn quantizer(&mut self, from: &str, scale: &str, bits: u32, signed: bool, narrow: bool, to: &str) {
        let bits = self.constant(format!("bits_{bits}"), &[], &[bits as f32]);
        self.nodes.push(quant(&[from, scale, "zero", &bits], to, signed, narrow, Some("ROUND")));
    }

    fn node(&mut self, id: Id, of: &Node) {
        let trained = self.trained;
        let to = trained.tensor(id);
        let name = |what: &str| format!("{}.{what}", of.name);
        let vector = trained.is_vector(id);
        match (&of.op, &trained.parts[id]) {
            (Op::Input, Part::Scale(scale)) => {
                let scale = self.constant(name("scale"), &[], &[*scale]);
                self.quantizer("x", &scale, trained.graph.input_bits, false, false, &to);
            }
            (Op::Matrix(matrix), part @ Part::Weights { .. }) => self.matrix(of, matrix, part, &to),
            (Op::Norm, Part::Norm(parts)) => {
                let from = self.source(of.inputs[0], vector);
                let channels = [of.shape[0] as i64];
                let names = ["weight", "bias", "running_mean", "running_var"];
                let parts: Vec<String> =
                    names.iter().zip(parts).map(|(what, v)| self.constant(name(what), &channels, v)).collect();
                let inputs = [&from, &parts[0], &parts[1], &parts[2], &parts[3]].map(String::as_str);
                self.nodes.push(node("BatchNormalization", &inputs, &to, vec![float("epsilon", EPSILON)]));
            }
            (Op::Codes(quantizer), Part::Scale(scale)) => {
                let mut from = self.source(of.inputs[0], vector);
                if !quantizer.signed {
                    self.nodes.push(node("Relu", &[&from], &name("relu"), vec![]));
                    from = name("relu");
                }
                let owner = format!("{}.scale", trained.graph.nodes[quantizer.scale].name);
                let scale = self.constant(owner, &[], &[*scale]);
                let bits = quantizer.datatype(&trained.bits).bits;
                self.quantizer(&from, &scale, bits, quantizer.signed, false, &to);
            }
            (Op::MaxPool(window), _) => {
                let from = self.source(of.inputs[0], false);
                self.nodes.push(node("MaxPool", &[&from], &to, moving(window)));
            }
            (Op::AveragePool(window), _) => {
                let from = self.source(of.inputs[0], false);
                let mut attributes = moving(window);
                attributes.push(int("count_include_pad", 1));
                self.nodes.push(node("AveragePool", &[&from], &to, attributes));
            }
            (Op::Add, _) => {
                let [a, b] = [of.inputs[0], of.inputs[1]].map(|i| self.source(i, vector));
                self.nodes.push(node("Add", &[&a, &b], &to, vec![]));
            }
            (Op::DepthToSpace(block), _) => {
                let from = self.source(of.inputs[0], false);
                let attributes = vec![int("blocksize", *block as i64), text("mode", "CRD")];
                self.nodes.push(node("DepthToSpace", &[&from], &to, attributes));
            }
            // Parts are made from the graph, one kind for each operation.
            _ => {}
        }
    }

    fn matrix(&mut self, of: &Node, matrix: &Matrix, part: &Part, to: &str) {
        let Part::Weights { codes, scales, bias } = part else { return };
        let name = |what: &str| format!("{}.{what}", of.name);
        let rows = of.shape[0] as i64;
        // A code times a scale of 8 significant bits: exact.
        let weights: Vec<f32> = codes.indexed_iter().map(|((r, _), &q)| q as f32 * scales[r]).collect();
        let (shape, scale_shape) = match &matrix.window {
            Some(w) => {
                let [kh, kw] = w.kernel.map(|k| k as i64);
                (vec![rows, matrix.columns as i64 / (kh * kw), kh, kw], vec![rows, 1, 1, 1])
            }
            None => (vec![rows, matrix.columns as i64], vec![rows, 1]),
        };
        let weight = self.constant(name("weight"), &shape, &weights);
        let scale = self.constant(name("weight_scale"), &scale_shape, scales);
        self.quantizer(&weight, &scale, matrix.bits, true, true, &name("weight_codes"));
        let mut inputs = vec![self.source(of.inputs[0], matrix.window.is_none()), name("weight_codes")];
        if let Some(bias) = bias {
            inputs.push(self.constant(name("bias"), &[rows], bias));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        match &matrix.window {
            Some(window) => {
                let mut attributes = moving(window);
                attributes.push(int("group", matrix.groups as i64));
                self.nodes.push(node("Conv", &inputs, to, attributes));
            }
            None => self.nodes.push(node("Gemm", &inputs, to, vec![int("transB", 1)])),
        }
    }
}

fn moving(window: &Window) -> Vec<AttributeProto> {
    let pair = |[a, b]: [usize; 2]| [a as i64, b as i64];
    let ([top, left], [bottom, right]) = (pair(window.pad_begin), pair(window.pad_end));
    vec![
        ints_attribute("kernel_shape", &pair(window.kernel)),
        ints_attribute("strides", &pair(window.stride)),
        ints_attribute("pads", &[top, left, bottom, right]),
    ]
}
