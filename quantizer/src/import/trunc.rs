//! QONNX `Trunc`, versions 1 and 2: whole multiples of a scale lose their low bits.
//!
//! `rounding(round(x / scale) / 2^t)`, times `scale` in version 1 and times `out_scale` in version 2. That is a
//! quantizer behind a quantizer: the first rounds half to even onto multiples of `scale`, the second onto multiples of
//! `2^t * scale`.

use super::chain::{Param, compile, functions};
use super::constant::Constant;
use super::error::Refusal;
use super::function::{Function, Quant};
use super::graph::{Attributes, node_name};
use super::number::{Number, Precision, Rounding};
use super::real::Real;
use super::signal::{Origin, Signal};
use crate::datatype::{DataType, Range};
use crate::onnx::proto::NodeProto;
use crate::rational;

/// The type of quantizers that do not clamp; the Threshold declares what is reached instead.
pub const OPEN: DataType = DataType::signed(DataType::MAX_BITS);

/// The signal behind a `Trunc` node; `constants` are its inputs, `ranges` those of the integers that `signal` is a
/// function of.
///
/// # Errors
/// If a parameter is no constant, the zero point is not 0, or the scales' quotient is no power of two.
pub fn apply(
    node: &NodeProto,
    signal: &Signal,
    constants: &[Option<&Constant>],
    ranges: &[Range],
) -> Result<Signal, Refusal> {
    let attributes = Attributes::of(node);
    let input = |i: usize, what: &str| {
        constants.get(i).copied().flatten().ok_or_else(|| {
            Refusal::new(format!("its {what} is not a constant"), format!("export with a constant {what}"))
        })
    };
    let mode = attributes.text("rounding_mode").unwrap_or_else(|| "FLOOR".into());
    let rounding = Rounding::parse(&mode)
        .ok_or_else(|| Refusal::new(format!("its rounding mode '{mode}' is unknown"), "use FLOOR, CEIL or ROUND"))?;
    let scale = input(1, "scale")?.scalar("scale")?;
    let positive = |s: &Real, what: &str| match s.signum() > 0 {
        true => Ok(()),
        false => Err(Refusal::new(format!("its {what} is {}; scales are positive", s.to_f64()), "train again")),
    };
    positive(&scale, "scale")?;
    if !input(2, "zero point")?.scalar("zero point")?.is_zero() {
        return Err(Refusal::new("its zero point is not 0", "train with symmetric quantizers"));
    }
    let bits = |i: usize, what: &str| -> Result<i64, Refusal> {
        let value = input(i, what)?.scalar(what)?;
        (1..=64)
            .find(|&b| value == Real::from(b))
            .ok_or_else(|| Refusal::new(format!("its {what} is {}", value.to_f64()), "use a whole number from 1 to 64"))
    };
    // Version 1: x, scale, zero point, bits before, bits behind. Version 2 has the scale behind in front of the bits
    // behind, and as implemented a zero point between.
    let version_1 = constants.len() < 6;
    if version_1 {
        let dropped = bits(3, "input bit width")? - bits(4, "output bit width")?;
        return steps(signal, node, ranges, &scale, dropped, rounding, OPEN, &scale);
    }
    let last = constants.len().min(7) - 1;
    let out_scale = input(4, "output scale")?.scalar("output scale")?;
    positive(&out_scale, "output scale")?;
    let quotient = out_scale.div(&scale).map_or(f64::NAN, |q| q.to_f64().log2());
    if !((quotient - quotient.round()).abs() < 0.01 && quotient.abs() <= 64.0) {
        return Err(Refusal::new(
            format!("its scales {} and {} are no power of two apart", scale.to_f64(), out_scale.to_f64()),
            "truncation drops whole bits: use a Quant node instead",
        ));
    }
    let (signed, narrow) = (attributes.int("signed").unwrap_or(1) != 0, attributes.int("narrow").unwrap_or(0) != 0);
    let datatype = DataType::quant(bits(last, "output bit width")?.min(33) as u32, signed, narrow)
        .map_err(|e| Refusal::new(e.to_string(), "declare another type"))?;
    steps(signal, node, ranges, &scale, quotient.round() as i64, rounding, datatype, &out_scale)
}

/// Integers shifted right by `bits`, rounding down: what [`super::pool`]'s `QuantAvgPool2d` makes of a sum.
///
/// # Errors
/// If values have more than 30 bits.
pub fn floored(sum: &Signal, node: &NodeProto, bits: i64, ranges: &[Range]) -> Result<Signal, Refusal> {
    let one = Real::from(1);
    steps(sum, node, ranges, &one, bits, Rounding::Floor, OPEN, &one)
}

/// `rounding(clamp(round(x / scale) / 2^bits)) * out_scale`.
#[allow(clippy::too_many_arguments)] // they are Trunc's own
fn steps(
    signal: &Signal,
    node: &NodeProto,
    ranges: &[Range],
    scale: &Real,
    bits: i64,
    rounding: Rounding,
    datatype: DataType,
    out_scale: &Real,
) -> Result<Signal, Refusal> {
    if signal.origin == Origin::Raw {
        return Err(super::codes::raw());
    }
    // The first rounding has no bounds: they must not be felt.
    let channels = ranges.len();
    if !channels.is_multiple_of(super::chain::blocks(&signal.links)) {
        return Err(Refusal::new("in front of it parameters differ inside channels", "use one number per channel"));
    }
    for (c, range) in ranges.iter().enumerate() {
        let links: Option<Vec<Function<f64>>> = compile(&functions(&signal.links, c, channels), Precision(53));
        for end in [range.lo, range.hi] {
            let value = links.as_ref().and_then(|l| l.iter().try_fold(f64::from_int(end), |x, f| f.apply(&x)));
            if !value.is_some_and(|v| (v / scale.to_f64()).abs() < f64::from(1 << 30)) {
                return Err(Refusal::new(
                    format!("channel {c} reaches more than 30 bits, counted in its scale"),
                    "use a larger scale, or a Quant node instead",
                ));
            }
        }
    }
    let (name, output) = (node_name(node), &node.output[0]);
    let coarse = scale.mul(&rational::power_of_two(bits).into());
    let whole = Quant { scale: Param::scalar(scale.clone()), datatype: OPEN, rounding: Rounding::HalfEven };
    let cut = Quant { scale: Param::scalar(coarse.clone()), datatype, rounding };
    let result = signal.then(&name, &format!("{output} before"), Function::Quant(whole), Vec::new());
    let result = result.then(&name, output, Function::Quant(cut), Vec::new());
    if *out_scale == coarse {
        return Ok(result);
    }
    let ratio = out_scale
        .div(&coarse)
        .ok_or_else(|| Refusal::new("its scales have no exact quotient", "fold the constants before the export"))?;
    Ok(result.then(&name, output, Function::Mul(Param::scalar(ratio)), Vec::new()))
}
