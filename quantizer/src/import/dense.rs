//! MatMul and Gemm with constant weights: a Dense layer on codes.

use ndarray::Array2;

use super::build::Builder;
use super::chain::Param;
use super::codes::codes;
use super::constant::Constant;
use super::error::Refusal;
use super::function::Function;
use super::graph::{Attributes, node_name};
use super::real::Real;
use super::signal::{Origin, Signal};
use super::weights::{self, Weights};
use crate::network::{Dense, Op};
use crate::onnx::proto::NodeProto;

/// The Dense layer of a MatMul or Gemm node; the data is input `position`.
///
/// # Errors
/// If data or weights are not quantized, or shapes disagree.
pub fn apply(
    builder: &mut Builder,
    node: &NodeProto,
    signal: &Signal,
    position: usize,
    constants: &[Option<&Constant>],
) -> Result<Signal, Refusal> {
    let attributes = Attributes::of(node);
    let weights = constants.get(1 - position.min(1)).copied().flatten();
    let weights = weights.ok_or_else(|| {
        Refusal::new("both its operands depend on the data", "one operand of a layer must be constant weights")
    })?;
    let gemm = node.op_type == "Gemm";
    let flag = |name: &str| gemm && attributes.int(name).unwrap_or(0) != 0;
    if position > 1 {
        return Err(Refusal::new("its bias depends on the data", "use a constant bias"));
    }
    // As x of [1, k] times w of [k, n], or w of [n, k] times x of [k, 1].
    let (data_transposed, weights_transposed) =
        if position == 0 { (flag("transA"), flag("transB")) } else { (flag("transB"), flag("transA")) };
    if data_transposed {
        return Err(Refusal::new("it transposes the data", "transpose the weights instead"));
    }
    let outputs_first = weights_transposed != (position == 1);
    let (rows, cols) = match weights.shape[..] {
        [a, b] if outputs_first => (a, b),
        [a, b] => (b, a),
        _ => {
            return Err(Refusal::new(format!("its weights have shape {:?}", weights.shape), "use a matrix of weights"));
        }
    };
    let shape = result_shape(&signal.shape, position, rows, cols).ok_or_else(|| {
        Refusal::new(
            format!("shapes disagree: data {:?}, weights {:?}", signal.shape, weights.shape),
            "a layer needs one vector of as many elements as its weights have inputs; check the graph's shapes",
        )
    })?;
    let mut weights = read(weights, rows, cols, outputs_first)?;
    let name = node_name(node);
    let input = codes(builder, signal, &name, true)?;
    let flat = builder.flatten(input.tensor, &signal.reshaped);
    // Blocks of inputs are channels here: each has one scale.
    let meaning = weights.take_in(&input, input.factor.blocks(), 1)?;
    let scale = weights.scales(&meaning);
    let index = builder.layers.len();
    let op = Op::Dense(Dense { weights: weights.codes, weight_type: weights.datatype });
    let tensor = builder.layer(&name, &node.output[0], op, vec![flat], scale)?;
    if let Some(votes) = builder.votes.get_mut(&index) {
        votes.own.extend(weights.sources);
        votes.own.extend(constants.get(2).copied().flatten().iter().flat_map(|c| c.sources.iter().cloned()));
    }

    let mut result = Signal::new(Origin::Accumulator(tensor), shape, &name);
    result.links = meaning.links(weights.scale, &name, &node.output[0]);
    if gemm {
        return gemm_tail(result, node, &attributes, constants.get(2).copied().flatten());
    }
    Ok(result)
}

/// `alpha * x + beta * C`.
fn gemm_tail(x: Signal, node: &NodeProto, attributes: &Attributes, c: Option<&Constant>) -> Result<Signal, Refusal> {
    let factor = |name: &str| {
        let v = attributes.float(name).unwrap_or(1.0);
        Real::from_f64(v.into()).ok_or_else(|| Refusal::new(format!("its {name} is {v}"), "export again"))
    };
    let (alpha, beta) = (factor("alpha")?, factor("beta")?);
    let mut x = x;
    let (name, output) = (node_name(node), &node.output[0]);
    if alpha != Real::from(1) {
        x = x.then(&name, output, Function::Mul(Param::scalar(alpha)), Vec::new());
    }
    if node.input.get(2).is_some_and(|n| !n.is_empty()) {
        let c = c.ok_or_else(|| Refusal::new("its bias is no constant", "use a constant bias"))?;
        let bias = x.param(c)?;
        let bias = Param::new(bias.values().iter().map(|b| b.mul(&beta)).collect());
        x = x.then(&name, output, Function::Add(bias), c.sources.clone());
    }
    Ok(x)
}

/// The shape of the product; `None` if the operands do not fit, or hold more than one vector.
fn result_shape(data: &[usize], position: usize, rows: usize, cols: usize) -> Option<Vec<usize>> {
    let mut shape = data.to_vec();
    let inner = if position == 0 || data.len() == 1 { data.len().checked_sub(1)? } else { data.len() - 2 };
    let one_vector = data.iter().enumerate().all(|(i, &d)| i == inner || d == 1);
    if !one_vector || data[inner] != cols || cols == 0 || rows == 0 {
        return None;
    }
    shape[inner] = rows;
    Some(shape)
}

/// Integer weights `[rows, cols]` of a constant.
fn read(constant: &Constant, rows: usize, cols: usize, outputs_first: bool) -> Result<Weights, Refusal> {
    let own = weights::quantized(constant)?;
    let shape = if outputs_first { (rows, cols) } else { (cols, rows) };
    let codes = Array2::from_shape_vec(shape, own.codes.clone())
        .map_err(|e| Refusal::new(e.to_string(), "check the graph's shapes"))?;
    let codes = if outputs_first { codes } else { codes.t().as_standard_layout().to_owned() };
    let scale = weights::row_scale(own, rows, if outputs_first { 0 } else { 1 })?;
    Ok(Weights { codes, datatype: own.datatype, scale, sources: constant.sources.clone() })
}
