//! Elementwise operators on signals: each becomes a function of the chain.

use super::chain::Param;
use super::constant::Constant;
use super::error::Refusal;
use super::function::{Function, Quant};
use super::graph::{Attributes, node_name};
use super::quant;
use super::real::Real;
use super::signal::Signal;
use crate::datatype::{DataType, Signedness};
use crate::onnx::proto::NodeProto;

/// The operators that [`apply`] knows.
pub const OPERATORS: [&str; 19] = [
    "Add",
    "BatchNormalization",
    "BipolarQuant",
    "Clip",
    "Div",
    "HardSigmoid",
    "IntQuant",
    "LeakyRelu",
    "Mul",
    "MultiThreshold",
    "Neg",
    "PRelu",
    "Pow",
    "Quant",
    "Relu",
    "Sigmoid",
    "Sub",
    "Tanh",
    "HardTanh",
];

/// A node with one signal among its inputs, at `position`; `constants` has the others.
pub struct Application<'a> {
    /// The node.
    pub node: &'a NodeProto,
    /// The signal.
    pub signal: &'a Signal,
    /// Which input it is.
    pub position: usize,
    /// The constant inputs in place.
    pub constants: &'a [Option<&'a Constant>],
}

impl Application<'_> {
    fn constant(&self, i: usize, what: &str) -> Result<&Constant, Refusal> {
        self.constants
            .get(i)
            .copied()
            .flatten()
            .ok_or_else(|| Refusal::new(format!("its {what} is no constant"), format!("export with a constant {what}")))
    }

    fn link(&self, function: Function<Param>) -> Signal {
        let sources = self.constants.iter().flatten().flat_map(|c| c.sources.iter().cloned()).collect();
        self.signal.then(&node_name(self.node), &self.node.output[0], function, sources)
    }
}

/// The signal behind the node.
///
/// # Errors
/// If the operator is none of [`OPERATORS`], or a parameter breaks a condition: constant, finite, monotone.
pub fn apply(at: &Application) -> Result<Signal, Refusal> {
    let attributes = Attributes::of(at.node);
    let only_first = |op: &str| match at.position {
        0 => Ok(()),
        i => Err(Refusal::new(
            format!("the data is input {i} of this {op}"),
            "only its first input may depend on the data",
        )),
    };
    let function = match at.node.op_type.as_str() {
        "Add" | "Sub" | "Mul" | "Div" => {
            let param = at.signal.param(at.constant(1 - at.position.min(1), "other operand")?)?;
            match (at.node.op_type.as_str(), at.position) {
                ("Add", _) => Function::Add(param),
                ("Mul", _) => Function::Mul(param),
                ("Sub", 0) => Function::Sub(param),
                ("Sub", _) => Function::SubFrom(param),
                (_, 0) if param.values().iter().any(Real::is_zero) => {
                    return Err(Refusal::new("it divides by 0", "check the constants"));
                }
                (_, 0) => Function::Div(param),
                _ => {
                    return Err(Refusal::new(
                        "a constant divided by the data is not monotone",
                        "divide the data by a constant",
                    ));
                }
            }
        }
        "Neg" => Function::Mul(Param::scalar((-1).into())),
        "Pow" => {
            only_first("Pow")?;
            if at.constant(1, "exponent")?.scalar("exponent")? != Real::from(1) {
                return Err(Refusal::new("a power of the data is not monotone", "use another activation function"));
            }
            return Ok(at.signal.clone());
        }
        "BatchNormalization" => return batch_norm(at, &attributes),
        "Relu" => Function::Relu,
        "LeakyRelu" => {
            let slope = Param::scalar(finite(attributes.float("alpha").unwrap_or(0.01), "alpha")?);
            Function::LeakyRelu(rising(slope)?)
        }
        "PRelu" => {
            only_first("PRelu")?;
            Function::LeakyRelu(rising(at.signal.param(at.constant(1, "slope")?)?)?)
        }
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Clip" | "HardTanh" => clip(at, &attributes)?,
        "HardSigmoid" => {
            let alpha = finite(attributes.float("alpha").unwrap_or(0.2), "alpha")?;
            let beta = finite(attributes.float("beta").unwrap_or(0.5), "beta")?;
            let linear = at.link(Function::Mul(Param::scalar(alpha)));
            let node = node_name(at.node);
            let linear = linear.then(&node, &at.node.output[0], Function::Add(Param::scalar(beta)), Vec::new());
            let bounds = Function::Clip(Some(Param::scalar(0.into())), Some(Param::scalar(1.into())));
            return Ok(linear.then(&node, &at.node.output[0], bounds, Vec::new()));
        }
        op if quant::is_quant(op) => {
            only_first(op)?;
            let spec = quant::spec(at.node, at.constants)?;
            let scale = Constant::reals(spec.scale_shape, spec.scale, spec.sources);
            let scale = at.signal.param(&scale)?;
            Function::Quant(Quant { scale, datatype: spec.datatype, rounding: spec.rounding })
        }
        "MultiThreshold" => {
            only_first("MultiThreshold")?;
            multi_threshold(at, &attributes)?
        }
        _ => return Err(Refusal::new("this operator is not supported", "")),
    };
    if let Function::Relu = function
        && let Some(signal) = relu_on_codes(at)
    {
        return Ok(signal);
    }
    Ok(at.link(function))
}

fn finite(v: f32, what: &str) -> Result<Real, Refusal> {
    Real::from_f64(v.into()).ok_or_else(|| Refusal::new(format!("its {what} is {v}"), "export again"))
}

/// A slope that keeps the function monotone.
fn rising(slope: Param) -> Result<Param, Refusal> {
    match slope.values().iter().position(|s| s.signum() < 0) {
        None => Ok(slope),
        Some(i) => Err(Refusal::new(
            format!("the slope of channel {i} is {}: the function is not monotone", slope.values()[i].to_f64()),
            "train with slopes of at least 0",
        )),
    }
}

/// `y = (x - mean) / sqrt(var + epsilon) * scale + B`, per channel.
fn batch_norm(at: &Application, attributes: &Attributes) -> Result<Signal, Refusal> {
    // `spatial = 0` of operator sets below 9 means statistics per element; on vectors it is the same.
    if attributes.int("spatial") == Some(0) && at.signal.shape.len() > 2 {
        return Err(Refusal::new("spatial = 0 is supported on vectors only", "export with a newer operator set"));
    }
    if attributes.int("training_mode") == Some(1) {
        return Err(Refusal::new("it is in training mode", "call model.eval() before the export"));
    }
    let param = |i: usize, what: &str| at.signal.channel_param(at.constant(i, what)?, what);
    let (gain, shift, mean, variance) =
        (param(1, "scale")?, param(2, "bias")?, param(3, "mean")?, param(4, "variance")?);
    let epsilon = finite(attributes.float("epsilon").unwrap_or(1e-5), "epsilon")?;
    if let Some(c) = variance.values().iter().position(|v| v.add(&epsilon).signum() <= 0) {
        return Err(Refusal::new(
            format!("variance + epsilon of channel {c} is {}", variance.values()[c].add(&epsilon).to_f64()),
            "variances are positive: train or export again",
        ));
    }
    let epsilon = Param::scalar(epsilon);
    Ok(at.link(Function::BatchNorm { mean, variance, epsilon, gain, shift }))
}

/// `Clip` with bounds as inputs (from operator set 11 on) or attributes.
fn clip(at: &Application, attributes: &Attributes) -> Result<Function<Param>, Refusal> {
    let bound = |i: usize, name: &str, default: Option<f32>| -> Result<Option<Param>, Refusal> {
        let named = at.node.input.get(i).is_some_and(|n| !n.is_empty());
        if named {
            let value = at.constant(i, name)?.scalar(name)?;
            return Ok(Some(Param::scalar(value)));
        }
        let value = attributes.float(name).or(default);
        value.map(|v| finite(v, name).map(Param::scalar)).transpose()
    };
    let hard = at.node.op_type == "HardTanh";
    let default = |v: f32| hard.then_some(v);
    let (lo, hi) = (bound(1, "min", default(-1.0))?, bound(2, "max", default(1.0))?);
    if let (Some(a), Some(b)) = (&lo, &hi)
        && a.values()[0].compare(&b.values()[0]).is_gt()
    {
        return Err(Refusal::new("its minimum is above its maximum", "check the constants"));
    }
    Ok(Function::Clip(lo, hi))
}

/// FINN's `MultiThreshold`: thresholds `[channels or 1, steps]`, data channels-first.
fn multi_threshold(at: &Application, attributes: &Attributes) -> Result<Function<Param>, Refusal> {
    let matrix = at.constant(1, "thresholds")?;
    let [rows, steps] = matrix.shape[..] else {
        return Err(Refusal::new(format!("its thresholds have shape {:?}", matrix.shape), "use [channels, steps]"));
    };
    if steps == 0 {
        return Err(Refusal::new("it has no thresholds", "use at least one step"));
    }
    let layout = attributes.text("data_layout").unwrap_or_default();
    if !matches!(layout.as_str(), "" | "NC" | "NCHW" | "NCW") {
        return Err(Refusal::new(format!("data layout {layout} is not supported"), "use channels first"));
    }
    let column = |s: usize| {
        let values = (0..rows).map(|r| matrix.real(r * steps + s)).collect::<Result<Vec<_>, _>>()?;
        let column = Constant::reals(vec![rows], values, Vec::new());
        if rows == 1 { at.signal.param(&column) } else { at.signal.channel_param(&column, "thresholds") }
    };
    let scale = finite(attributes.float("out_scale").unwrap_or(1.0), "out_scale")?;
    if scale.signum() <= 0 {
        return Err(Refusal::new("its out_scale is not positive", "use a positive out_scale"));
    }
    let bias = finite(attributes.float("out_bias").unwrap_or(0.0), "out_bias")?;
    Ok(Function::MultiThreshold {
        thresholds: (0..steps).map(column).collect::<Result<_, _>>()?,
        scale: Param::scalar(scale),
        bias: Param::scalar(bias),
    })
}

/// Relu right behind a signed `Quant`: the same as a quantizer without the negative codes behind the Relu.
fn relu_on_codes(at: &Application) -> Option<Signal> {
    let Function::Quant(quant) = &at.signal.links.last()?.function else { return None };
    if quant.datatype.sign != Signedness::Signed {
        return (quant.datatype.sign == Signedness::Unsigned).then(|| at.signal.clone());
    }
    let datatype = DataType::unsigned(quant.datatype.bits - 1);
    let again = Function::Quant(Quant { scale: quant.scale.clone(), datatype, rounding: quant.rounding });
    let relu = at.link(Function::Relu);
    Some(relu.then(&node_name(at.node), &at.node.output[0], again, Vec::new()))
}
