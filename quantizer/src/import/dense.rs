//! MatMul and Gemm with constant weights: a Dense layer on codes.

use ndarray::Array2;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::build::{self, Builder};
use super::chain::{Link, Param};
use super::constant::{Codes, Constant, Data};
use super::error::Refusal;
use super::function::{Function, compose_affine};
use super::graph::{Attributes, node_name};
use super::real::Real;
use super::signal::{Origin, Signal};
use crate::datatype::{DataType, Range};
use crate::network::TensorId;
use crate::onnx::proto::NodeProto;
use crate::rational::{self, Rational};

/// Weights of a Dense layer: value = code * scale of its row.
struct Weights {
    codes: Array2<i64>,
    datatype: DataType,
    scale: Param,
    sources: Vec<String>,
}

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
    let (factor, offsets) = common_factor(&input, &mut weights)?;

    let total: Vec<Real> = weights.scale.values().iter().map(|s| s.mul(&factor)).collect();
    let shift = offsets.map(|b| row_offsets(&weights, &b));
    let offset = |r: usize| shift.as_ref().map_or_else(|| 0.into(), |s| s[r].clone());
    let scale = build::scales((0..rows).map(|r| (total[r * total.len() / rows].clone(), offset(r))));
    let index = builder.layers.len();
    let tensor = builder.dense(&name, &node.output[0], flat, weights.codes, weights.datatype, scale)?;
    if let Some(votes) = builder.votes.get_mut(&index) {
        votes.own.extend(weights.sources);
        votes.own.extend(constants.get(2).copied().flatten().iter().flat_map(|c| c.sources.iter().cloned()));
    }

    let mut result = Signal { origin: Origin::Accumulator(tensor), shape, links: Vec::new(), reshaped: name.clone() };
    let mut push = |function, sources| {
        result.links.push(Link { node: name.clone(), output: node.output[0].clone(), function, sources });
    };
    push(Function::Mul(Param::scalar(factor)), Vec::new());
    push(Function::Mul(weights.scale), Vec::new());
    if let Some(shift) = shift {
        push(Function::Add(Param::new(shift)), Vec::new());
    }
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
    let Data::Codes(own) = &constant.data else {
        return Err(Refusal::new(
            "its weights are not quantized",
            "put a Quant (or BipolarQuant) node on them, or annotate them with an integer finn_datatype",
        ));
    };
    let matrix = |values: Vec<i64>| {
        let shape = if outputs_first { (rows, cols) } else { (cols, rows) };
        Array2::from_shape_vec(shape, values)
    };
    let codes = matrix(own.codes.clone()).map_err(|e| Refusal::new(e.to_string(), "check the graph's shapes"))?;
    let codes = if outputs_first { codes } else { codes.t().as_standard_layout().to_owned() };
    let scale = row_scale(own, rows, outputs_first)?;
    Ok(Weights { codes, datatype: own.datatype, scale, sources: constant.sources.clone() })
}

/// The scale of each row, or of all.
fn row_scale(own: &Codes, rows: usize, outputs_first: bool) -> Result<Param, Refusal> {
    let (row_axis, column_axis) = if outputs_first { (0, 1) } else { (1, 0) };
    let scale = Param::new(own.scale.clone());
    if let Some(one) = scale.uniform() {
        return Ok(Param::scalar(one.clone()));
    }
    if own.scale_shape[column_axis] != 1 || own.scale_shape[row_axis] != rows {
        return Err(Refusal::new(
            format!(
                "its weights have a scale of shape {:?}, which differs between inputs of one output",
                own.scale_shape
            ),
            "use one scale per tensor, or one per output channel",
        ));
    }
    Ok(scale)
}

/// Codes of an integer tensor with the real values `factor * code + offset` per block of elements.
pub struct Quantized {
    /// The tensor.
    pub tensor: TensorId,
    /// Factors, blocks as in [`Param`].
    pub factor: Param,
    /// Offsets in as many blocks.
    pub offset: Param,
}

/// The integer codes of a signal, thresholds built where needed. With `consumer` the signal must be quantized (T3);
/// without it may be an accumulator, at the network's end.
///
/// # Errors
/// If the signal is not quantized, or a function behind the last quantizer is not affine.
pub fn codes(builder: &mut Builder, signal: &Signal, node: &str, consumer: bool) -> Result<Quantized, Refusal> {
    let (quantized, tail) = signal.split();
    let source = match signal.origin {
        Origin::Raw => {
            return Err(Refusal::new(
                "it reads the graph's input, which is not quantized",
                "say what the pins carry with --input-type, for example --input-type u8/255, or put a Quant node at the input",
            ));
        }
        Origin::Accumulator(_) if quantized.is_empty() && consumer => {
            return Err(Refusal::new(
                "it reads an activation that is not quantized",
                "put a Quant node in front of it (Brevitas: QuantReLU or QuantIdentity)",
            ));
        }
        Origin::Codes(id) | Origin::Accumulator(id) => id,
    };
    if let Some(link) = tail.iter().find(|l| !l.function.is_affine()) {
        return Err(Refusal::new(
            format!("between the last quantizer and here, node '{}' is not affine", link.node),
            "move it in front of the quantizer, or put another Quant node behind it",
        ));
    }
    let tensor = builder.threshold(source, quantized, &signal.reshaped)?;
    let elements = signal.elements();
    // The last quantizer's own values come first.
    let value = quantized.last().map(|l| value_of_codes(&l.function)).unwrap_or_default();
    let mut affine: Vec<Link> = Vec::new();
    for function in value {
        affine.push(Link { node: node.into(), output: String::new(), function, sources: Vec::new() });
    }
    affine.extend(tail.iter().cloned());
    let blocks = super::chain::blocks(&affine);
    let (mut factor, mut offset) = (Vec::with_capacity(blocks), Vec::with_capacity(blocks));
    for b in 0..blocks {
        let functions = super::chain::functions(&affine, b * (elements / blocks), elements);
        let (a, c) = compose_affine(&functions).ok_or_else(|| {
            Refusal::new(
                "a constant in front of it is a sum of roots, which has no exact inverse here",
                "fold the constants",
            )
        })?;
        factor.push(a);
        offset.push(c);
    }
    Ok(Quantized { tensor, factor: Param::new(factor), offset: Param::new(offset) })
}

/// A quantizer's values as functions of its codes.
fn value_of_codes(function: &Function<Param>) -> Vec<Function<Param>> {
    match function {
        Function::Quant(quant) => vec![Function::Mul(quant.scale.clone())],
        Function::MultiThreshold { scale, bias, .. } => {
            let mul = Function::Mul(scale.clone());
            if bias.values()[0].is_zero() { vec![mul] } else { vec![mul, Function::Add(bias.clone())] }
        }
        _ => Vec::new(),
    }
}

/// One factor for all inputs: the only one, or the largest that divides all, with the small integer quotients moved
/// into the weights. Also the offsets, unless all are 0.
fn common_factor(input: &Quantized, weights: &mut Weights) -> Result<(Real, Option<Param>), Refusal> {
    let offsets = input.offset.values().iter().any(|b| !b.is_zero()).then(|| input.offset.clone());
    if let Some(factor) = input.factor.uniform() {
        return Ok((factor.clone(), offsets));
    }
    let refused = |why: &str| {
        Refusal::new(
            format!("it reads channels of different scales, {why}"),
            "quantize its input with one scale per tensor",
        )
    };
    let unit = input.factor.values().iter().find(|f| !f.is_zero()).cloned().unwrap_or_else(|| 1.into());
    let ratios: Option<Vec<Rational>> = input.factor.values().iter().map(|f| f.ratio(&unit)).collect();
    let ratios = ratios.ok_or_else(|| refused("whose quotients are irrational"))?;
    let step = ratios.iter().fold(Rational::zero(), |g, r| rational::gcd(&g, r));
    let multiples: Option<Vec<i64>> =
        ratios.iter().map(|r| (r / &step).to_integer().to_i64().filter(|m| m.abs() <= 1 << 16)).collect();
    let multiples = multiples.ok_or_else(|| refused("which are no small multiples of one"))?;
    let cols = weights.codes.ncols();
    for (c, mut column) in weights.codes.columns_mut().into_iter().enumerate() {
        // At most 2^32 by the weights' type, times 2^16.
        let multiple = multiples[c / (cols / multiples.len())];
        column.mapv_inplace(|w| w * multiple);
    }
    let hull = weights.codes.iter().fold(Range::ZERO, |h, &w| h.hull(Range::new(w, w)));
    weights.datatype = DataType::fitting(hull);
    let step = if step.is_positive() { step } else { Rational::one() };
    Ok((unit.mul(&step.into()), offsets))
}

/// What constant offsets of the inputs add to each row: `scale * sum over c of w[r, c] * b[c]`.
fn row_offsets(weights: &Weights, offsets: &Param) -> Vec<Real> {
    let (rows, cols) = weights.codes.dim();
    let block = cols / offsets.blocks();
    let row = |r: usize| {
        let sum = offsets.values().iter().enumerate().fold(Real::from(0), |sum, (b, offset)| {
            let codes: i64 = (b * block..(b + 1) * block).map(|c| weights.codes[[r, c]]).sum();
            sum.add(&offset.mul(&codes.into()))
        });
        sum.mul(weights.scale.at(r, rows))
    };
    (0..rows).map(row).collect()
}
