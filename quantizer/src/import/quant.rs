//! QONNX quantizers: their parameters, checked, and their effect on constants.

use super::constant::{self, Codes, Constant, Data};
use super::error::Refusal;
use super::function::Quant;
use super::graph::Attributes;
use super::number::Rounding;
use super::real::Real;
use crate::datatype::{DataType, Signedness};
use crate::onnx::proto::NodeProto;
use crate::onnx::tensor::Elements;

/// Domains in which `Quant`, `BipolarQuant` and `MultiThreshold` are found.
pub const DOMAINS: [&str; 5] = ["onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general", "", "ai.onnx"];

/// A quantizer's parameters.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its scale: positive numbers, in the constant's shape.
    pub scale: Vec<Real>,
    /// Shape of the scale.
    pub scale_shape: Vec<usize>,
    /// The codes.
    pub datatype: DataType,
    /// How integers are made.
    pub rounding: Rounding,
    /// Initializers behind the parameters.
    pub sources: Vec<String>,
}

/// Whether the operator is a QONNX quantizer with a scale.
pub fn is_quant(op: &str) -> bool {
    matches!(op, "Quant" | "IntQuant" | "BipolarQuant")
}

/// Reads the parameters of `Quant`, `IntQuant` or `BipolarQuant`; `inputs` are the node's, those that are constant.
///
/// # Errors
/// If the zero point is not 0, a scale is not a positive finite number, or the bit width is none.
pub fn spec(node: &NodeProto, inputs: &[Option<&Constant>]) -> Result<Spec, Refusal> {
    let input = |i: usize, what: &str| {
        inputs.get(i).copied().flatten().ok_or_else(|| {
            Refusal::new(format!("its {what} is not a constant"), format!("export with a constant {what}"))
        })
    };
    let scale = input(1, "scale")?;
    let sources = scale.sources.clone();
    let scale_shape = scale.shape.clone();
    let scale = positive(scale)?;
    if node.op_type == "BipolarQuant" {
        return Ok(Spec { scale, scale_shape, datatype: DataType::BIPOLAR, rounding: Rounding::HalfEven, sources });
    }
    let zero_point = input(2, "zero point")?;
    for i in 0..zero_point.len() {
        if !zero_point.real(i)?.is_zero() {
            return Err(Refusal::new(
                format!("its zero point is {}, only 0 is supported", zero_point.real(i)?.to_f64()),
                "train with symmetric quantizers (Brevitas: zero_point_impl = ZeroZeroPoint)",
            ));
        }
    }
    let bits = input(3, "bit width")?.scalar("bit width")?;
    let bits = (1..=i64::from(DataType::MAX_BITS)).find(|&b| bits == Real::from(b)).ok_or_else(|| {
        Refusal::new(
            format!("its bit width is {}, whole numbers from 1 to {} are supported", bits.to_f64(), DataType::MAX_BITS),
            "quantize to fewer bits",
        )
    })?;
    let attributes = Attributes::of(node);
    let flag = |name: &str| {
        attributes.int(name).ok_or_else(|| {
            Refusal::new(format!("its attribute '{name}' is missing"), "export again with a newer QONNX")
        })
    };
    let datatype = DataType::quant(bits as u32, flag("signed")? != 0, flag("narrow")? != 0)
        .map_err(|e| Refusal::new(e.to_string(), "declare another type"))?;
    let mode = attributes.text("rounding_mode").unwrap_or_else(|| "ROUND".into());
    let rounding = Rounding::parse(&mode).ok_or_else(|| {
        Refusal::new(
            format!("its rounding mode '{mode}' is unknown"),
            "use ROUND, CEIL, FLOOR, UP, DOWN, HALF_UP or HALF_DOWN",
        )
    })?;
    Ok(Spec { scale, scale_shape, datatype, rounding, sources })
}

fn positive(scale: &Constant) -> Result<Vec<Real>, Refusal> {
    let mut values = Vec::with_capacity(scale.len());
    for i in 0..scale.len() {
        let channel = if scale.len() > 1 { format!(" of channel {i}") } else { String::new() };
        let hint = "train again with a scale that cannot vanish (Brevitas: scaling_min_val)";
        let value = match scale.real(i) {
            Ok(v) => v,
            Err(e) => return Err(Refusal::new(format!("its scale{channel} is not finite: {}", e.reason), hint)),
        };
        if value.signum() <= 0 {
            return Err(Refusal::new(format!("its scale{channel} is {}; scales are positive", value.to_f64()), hint));
        }
        values.push(value);
    }
    if values.is_empty() {
        return Err(Refusal::new("its scale is empty", "export again"));
    }
    Ok(values)
}

/// The codes of a quantized constant.
///
/// # Errors
/// If the scale does not fit the shape, or an element is NaN or infinite.
pub fn quantize(x: &Constant, spec: &Spec) -> Result<Constant, Refusal> {
    let fits = constant::broadcast_shape(&spec.scale_shape, &x.shape).is_some_and(|s| s == x.shape);
    if !fits {
        return Err(Refusal::new(
            format!("its scale of shape {:?} does not fit a tensor of shape {:?}", spec.scale_shape, x.shape),
            "check the shapes",
        ));
    }
    // A scale of lower rank gets ones in front.
    let mut scale_shape = vec![1; x.shape.len() - spec.scale_shape.len().min(x.shape.len())];
    scale_shape.extend(&spec.scale_shape);
    let places = constant::broadcast_indices(&spec.scale_shape, &x.shape);
    let floats: Vec<f64> = spec.scale.iter().map(Real::to_f64).collect();
    let mut codes = Vec::with_capacity(places.len());
    for (i, &place) in places.iter().enumerate() {
        let quick = match &x.data {
            Data::Typed(Elements::F32(v)) => quick_code(v[i].into(), floats[place], spec),
            Data::Typed(Elements::F64(v)) => quick_code(v[i], floats[place], spec),
            _ => None,
        };
        codes.push(match quick {
            Some(code) => code,
            None => {
                let quant =
                    Quant { scale: spec.scale[place].clone(), datatype: spec.datatype, rounding: spec.rounding };
                let code = quant.code(&x.real(i)?);
                code.ok_or_else(|| {
                    Refusal::new(format!("element {i} cannot be rounded exactly"), "fold its constants")
                })?
            }
        });
    }
    let sources = x.sources.iter().chain(&spec.sources).cloned().collect();
    let data = Data::Codes(Codes { codes, datatype: spec.datatype, scale_shape, scale: spec.scale.clone() });
    Ok(Constant { shape: x.shape.clone(), data, sources })
}

/// The code of `x / scale` by floats, where their error cannot matter.
///
/// The quotient of two floats that are each exact or nearest is off by less than `2^-50` of itself, below `2^-18`
/// within the range of codes; so a quotient farther than `2^-16` from where the rounding changes is decided.
fn quick_code(x: f64, scale: f64, spec: &Spec) -> Option<i64> {
    if !x.is_finite() || !(1e-280..1e280).contains(&scale) || (x != 0.0 && x.abs() < 1e-280) {
        return None;
    }
    if spec.datatype.sign == Signedness::Bipolar {
        return Some(if x >= 0.0 { 1 } else { -1 });
    }
    let range = spec.datatype.range();
    let t = (x / scale).clamp(range.lo as f64, range.hi as f64);
    let fraction = t - t.floor();
    let distance = match spec.rounding {
        Rounding::HalfEven | Rounding::HalfUp | Rounding::HalfDown => (fraction - 0.5).abs(),
        _ => fraction.min(1.0 - fraction),
    };
    (distance > 2f64.powi(-16)).then(|| spec.rounding.apply(t))
}

/// The type that a `finn_datatype` annotation names; `None` for floats and for what is no integer type of at most
/// 32 bits.
pub fn annotated(name: &str) -> Option<DataType> {
    let bits = |digits: &str| digits.parse::<u32>().ok();
    match name {
        "BIPOLAR" => Some(DataType::BIPOLAR),
        "BINARY" => Some(DataType::unsigned(1)),
        "TERNARY" => Some(DataType { narrow: true, ..DataType::signed(2) }),
        _ => match (name.strip_prefix("UINT"), name.strip_prefix("INT")) {
            (Some(digits), _) => DataType::quant(bits(digits)?, false, false).ok(),
            (None, Some(digits)) => bits(digits).filter(|&b| b > 1).and_then(|b| DataType::quant(b, true, false).ok()),
            _ => None,
        },
    }
}

/// A constant whose annotation says that it holds integers of a type: its codes with scale 1.
///
/// # Errors
/// If an element is no code of the type.
pub fn declared(x: Constant, datatype: DataType) -> Result<Constant, Refusal> {
    let mut codes = Vec::with_capacity(x.len());
    for i in 0..x.len() {
        let value = x.real(i)?;
        let code = value.as_rational().filter(|v| v.is_integer()).and_then(|v| i64::try_from(v.to_integer()).ok());
        match code.filter(|&c| datatype.holds(c)) {
            Some(code) => codes.push(code),
            None => {
                return Err(Refusal::new(
                    format!("element {i} is {}, which the declared type {datatype} does not hold", value.to_f64()),
                    "declare a type with more bits, or quantize again",
                ));
            }
        }
    }
    let data = Data::Codes(Codes { codes, datatype, scale_shape: vec![1; x.shape.len()], scale: vec![1.into()] });
    Ok(Constant { data, ..x })
}
