//! Nodes whose inputs are all constant: shape arithmetic of old exports, transposed weights, `sqrt(var)`.
//!
//! Integers stay integers and everything else becomes exact reals, so that folding adds no rounding of its own.

use super::constant::{self, Codes, Constant, Data, product, strides, walk};
use super::error::Refusal;
use super::graph::Attributes;
use super::real::Real;
use super::shape;
use crate::onnx::proto::{NodeProto, data_type as dt};
use crate::onnx::tensor::{Elements, elements};

/// The operators that [`fold`] knows.
pub const OPERATORS: [&str; 20] = [
    "Add",
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Div",
    "Dropout",
    "Flatten",
    "Gather",
    "Identity",
    "Mul",
    "Neg",
    "Pow",
    "Reshape",
    "Slice",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
];

/// What the node makes of its inputs; `None` stands for an input left out.
///
/// # Errors
/// If the operator or the form is unknown, or the inputs do not fit it.
pub fn fold(node: &NodeProto, inputs: &[Option<&Constant>]) -> Result<Constant, Refusal> {
    let attributes = Attributes::of(node);
    let input = |i: usize| {
        inputs.get(i).copied().flatten().ok_or_else(|| Refusal::new(format!("input {i} is missing"), "export again"))
    };
    // Shapes and axes are inputs in new operator sets and attributes in old ones.
    let ints = |i: usize, name: &str| -> Result<Option<Vec<i64>>, Refusal> {
        match inputs.get(i).copied().flatten() {
            Some(c) => integers(c, name).map(Some),
            None => Ok(attributes.ints(name).map(<[i64]>::to_vec)),
        }
    };
    let mut folded = match node.op_type.as_str() {
        "Constant" => return literal(&attributes),
        "Identity" | "Dropout" => input(0)?.clone(),
        "Cast" => cast(input(0)?, attributes.int("to").unwrap_or(1) as i32)?,
        "Neg" => negate(input(0)?)?,
        "Sqrt" => roots(input(0)?)?,
        "Pow" => power(input(0)?, input(1)?)?,
        "Add" | "Sub" | "Mul" | "Div" => arithmetic(&node.op_type, input(0)?, input(1)?)?,
        "Transpose" => {
            let x = input(0)?;
            x.transpose(&shape::permutation(attributes.ints("perm"), x.shape.len())?)?
        }
        "Reshape" => {
            let x = input(0)?;
            let target = ints(1, "shape")?.unwrap_or_default();
            let shape = shape::reshape(&x.shape, &target, attributes.int("allowzero") == Some(1))?;
            reshaped(x, shape)?
        }
        "Flatten" => {
            let x = input(0)?;
            let shape = shape::flatten(&x.shape, attributes.int("axis").unwrap_or(1))?;
            reshaped(x, shape)?
        }
        "Squeeze" => {
            let x = input(0)?;
            let shape = shape::squeeze(&x.shape, ints(1, "axes")?.as_deref())?;
            reshaped(x, shape)?
        }
        "Unsqueeze" => {
            let x = input(0)?;
            let shape = shape::unsqueeze(&x.shape, &ints(1, "axes")?.unwrap_or_default())?;
            reshaped(x, shape)?
        }
        "Gather" => gather(input(0)?, input(1)?, attributes.int("axis").unwrap_or(0))?,
        "Slice" => {
            let (starts, ends) = (ints(1, "starts")?.unwrap_or_default(), ints(2, "ends")?.unwrap_or_default());
            slice(input(0)?, &starts, &ends, ints(3, "axes")?, ints(4, "steps")?)?
        }
        "Concat" => {
            let parts: Vec<&Constant> = inputs.iter().copied().flatten().collect();
            concat(&parts, attributes.int("axis").unwrap_or(0))?
        }
        "ConstantOfShape" => {
            let shape =
                integers(input(0)?, "shape")?.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<_>, _>>();
            let shape = shape.map_err(|_| Refusal::new("a dimension is negative", "export again"))?;
            filled(shape, attributes.get("value").and_then(|a| a.t.as_ref()))?
        }
        _ => {
            return Err(Refusal::new(
                "this operator on constants is not supported",
                "fold the constants before the export",
            ));
        }
    };
    folded.sources = inputs.iter().flatten().flat_map(|c| c.sources.iter().cloned()).collect();
    Ok(folded)
}

/// The `Constant` operator.
fn literal(attributes: &Attributes) -> Result<Constant, Refusal> {
    let made = |shape: Vec<usize>, data| Ok(Constant { shape, data: Data::Typed(data), sources: Vec::new() });
    if let Some(tensor) = attributes.get("value").and_then(|a| a.t.as_ref()) {
        let (shape, data) = elements(tensor, std::path::Path::new(""))
            .map_err(|e| Refusal::new(format!("its value cannot be read: {e}"), "export again"))?;
        made(shape, data)
    } else if let Some(v) = attributes.float("value_float") {
        made(vec![], Elements::F32(vec![v]))
    } else if let Some(v) = attributes.int("value_int") {
        made(vec![], Elements::I64(vec![v]))
    } else if let Some(v) = attributes.ints("value_ints") {
        made(vec![v.len()], Elements::I64(v.to_vec()))
    } else if let Some(v) = attributes.get("value_floats") {
        made(vec![v.floats.len()], Elements::F32(v.floats.clone()))
    } else {
        Err(Refusal::new("it has no numeric value", "export again"))
    }
}

/// The integers of a constant that holds shapes, axes or indices.
pub fn integers(c: &Constant, what: &str) -> Result<Vec<i64>, Refusal> {
    c.as_ints()
        .map(<[i64]>::to_vec)
        .ok_or_else(|| Refusal::new(format!("'{what}' is no integer tensor"), "export again"))
}

fn filled(shape: Vec<usize>, value: Option<&crate::onnx::proto::TensorProto>) -> Result<Constant, Refusal> {
    let count = sized(&shape)?;
    let data = match value.map(|t| elements(t, std::path::Path::new(""))).transpose() {
        Ok(None) => Elements::F32(vec![0.0; count]),
        Ok(Some((_, Elements::F32(v)))) if v.len() == 1 => Elements::F32(vec![v[0]; count]),
        Ok(Some((_, Elements::F64(v)))) if v.len() == 1 => Elements::F64(vec![v[0]; count]),
        Ok(Some((_, Elements::I64(v)))) if v.len() == 1 => Elements::I64(vec![v[0]; count]),
        _ => return Err(Refusal::new("its value is not one number", "export again")),
    };
    Ok(Constant { shape, data: Data::Typed(data), sources: Vec::new() })
}

fn sized(shape: &[usize]) -> Result<usize, Refusal> {
    product(shape).ok_or_else(|| {
        Refusal::new(
            format!("the result of shape {shape:?} would have more than {} elements", constant::MAX_ELEMENTS),
            "fold the constants before the export",
        )
    })
}

/// `Cast`: floats to integers cut toward zero, doubles to floats round, as the operator says.
fn cast(x: &Constant, to: i32) -> Result<Constant, Refusal> {
    let refused = || Refusal::new(format!("a cast to ONNX type {to} is not supported here"), "export again");
    let data = match (&x.data, to) {
        (Data::Typed(Elements::F32(_)), dt::FLOAT | dt::DOUBLE)
        | (Data::Real(_) | Data::Codes(_), dt::FLOAT | dt::DOUBLE) => x.data.clone(),
        (Data::Typed(Elements::F64(v)), dt::FLOAT) => Data::Typed(Elements::F32(v.iter().map(|&v| v as f32).collect())),
        (Data::Typed(Elements::F64(_)), dt::DOUBLE) => x.data.clone(),
        (Data::Typed(Elements::I64(v)), dt::FLOAT) => Data::Typed(Elements::F32(v.iter().map(|&v| v as f32).collect())),
        (Data::Typed(Elements::I64(v)), dt::DOUBLE) => {
            Data::Typed(Elements::F64(v.iter().map(|&v| v as f64).collect()))
        }
        (Data::Typed(Elements::I64(_)), dt::INT64) => x.data.clone(),
        (_, dt::INT64) => {
            let whole = |v: Real| i64::try_from(if v.signum() < 0 { v.ceil() } else { v.floor() });
            let values = x.to_reals()?.into_iter().map(whole).collect::<Result<Vec<_>, _>>();
            Data::Typed(Elements::I64(values.map_err(|_| refused())?))
        }
        _ => return Err(refused()),
    };
    Ok(Constant { data, ..x.clone() })
}

fn negate(x: &Constant) -> Result<Constant, Refusal> {
    let data = match &x.data {
        Data::Typed(Elements::F32(v)) => Data::Typed(Elements::F32(v.iter().map(|v| -v).collect())),
        Data::Typed(Elements::F64(v)) => Data::Typed(Elements::F64(v.iter().map(|v| -v).collect())),
        Data::Typed(Elements::I64(v)) => Data::Typed(Elements::I64(v.iter().map(|v| v.wrapping_neg()).collect())),
        Data::Real(v) => Data::Real(v.iter().map(Real::neg).collect()),
        Data::Codes(c) => Data::Codes(Codes { scale: c.scale.iter().map(Real::neg).collect(), ..c.clone() }),
    };
    Ok(Constant { data, ..x.clone() })
}

fn roots(x: &Constant) -> Result<Constant, Refusal> {
    let root = |v: Real| {
        v.sqrt().ok_or_else(|| {
            Refusal::new("the root of a negative number, or of a root, is not supported", "export again")
        })
    };
    let values = x.to_reals()?.into_iter().map(root).collect::<Result<_, _>>()?;
    Ok(Constant::reals(x.shape.clone(), values, Vec::new()))
}

/// `Pow` with exponents that stay exact: 0.5, and whole numbers from -1 to 8.
fn power(x: &Constant, exponent: &Constant) -> Result<Constant, Refusal> {
    let refused = || {
        Refusal::new("an exponent other than 0.5, -0.5, -1, 1, 2, ... 8 is not supported", "fold it before the export")
    };
    let exponent = exponent.scalar("exponent")?;
    let twice = exponent.add(&exponent);
    let Some(twice) = (-2..=16).find(|&k| twice == Real::from(k)) else { return Err(refused()) };
    let base = if twice % 2 == 0 { x.clone() } else { roots(x)? };
    let times = if twice % 2 == 0 { twice / 2 } else { twice };
    let raise = |v: Real| {
        let raised = (0..times.unsigned_abs()).fold(Real::from(1), |p, _| p.mul(&v));
        if times < 0 { raised.reciprocal().ok_or_else(refused) } else { Ok(raised) }
    };
    let values = base.to_reals()?.into_iter().map(raise).collect::<Result<_, _>>()?;
    Ok(Constant::reals(x.shape.clone(), values, Vec::new()))
}

fn arithmetic(op: &str, a: &Constant, b: &Constant) -> Result<Constant, Refusal> {
    let shape = constant::broadcast_shape(&a.shape, &b.shape).ok_or_else(|| {
        Refusal::new(format!("shapes {:?} and {:?} do not broadcast", a.shape, b.shape), "check the graph's shapes")
    })?;
    sized(&shape)?;
    if let Some(scaled) = scale_codes(op, a, b, &shape)? {
        return Ok(scaled);
    }
    let (ia, ib) = (constant::broadcast_indices(&a.shape, &shape), constant::broadcast_indices(&b.shape, &shape));
    if let (Some(x), Some(y)) = (a.as_ints(), b.as_ints()) {
        let apply = |x: i64, y: i64| match op {
            "Add" => x.checked_add(y),
            "Sub" => x.checked_sub(y),
            "Mul" => x.checked_mul(y),
            _ => x.checked_div(y),
        };
        let values = ia.iter().zip(&ib).map(|(&i, &j)| apply(x[i], y[j])).collect::<Option<_>>();
        let values =
            values.ok_or_else(|| Refusal::new("integer overflow or division by zero", "check the constants"))?;
        return Ok(Constant::ints(shape, values, Vec::new()));
    }
    let apply = |x: Real, y: Real| match op {
        "Add" => Some(x.add(&y)),
        "Sub" => Some(x.sub(&y)),
        "Mul" => Some(x.mul(&y)),
        _ => x.div(&y),
    };
    let mut values = Vec::with_capacity(ia.len());
    for (&i, &j) in ia.iter().zip(&ib) {
        let value = apply(a.real(i)?, b.real(j)?);
        values.push(value.ok_or_else(|| {
            Refusal::new("division by zero, or by a sum with roots in it", "fold the constants before the export")
        })?);
    }
    Ok(Constant::reals(shape, values, Vec::new()))
}

/// Products and quotients of codes with a constant change the scale alone.
fn scale_codes(op: &str, a: &Constant, b: &Constant, shape: &[usize]) -> Result<Option<Constant>, Refusal> {
    let (codes, c, factor) = match (&a.data, &b.data, op) {
        (Data::Codes(c), _, "Mul" | "Div") => (a, c, b),
        (_, Data::Codes(c), "Mul") => (b, c, a),
        _ => return Ok(None),
    };
    let Some(scale_shape) = constant::broadcast_shape(&c.scale_shape, &factor.shape) else { return Ok(None) };
    if codes.shape != shape || scale_shape.len() != shape.len() {
        return Ok(None);
    }
    let own = constant::broadcast_indices(&c.scale_shape, &scale_shape);
    let others = constant::broadcast_indices(&factor.shape, &scale_shape);
    let mut scale = Vec::with_capacity(own.len());
    for (&i, &j) in own.iter().zip(&others) {
        let factor = factor.real(j)?;
        let value = if op == "Mul" { Some(c.scale[i].mul(&factor)) } else { c.scale[i].div(&factor) };
        scale.push(value.ok_or_else(|| Refusal::new("division by zero", "check the constants"))?);
    }
    let data = Data::Codes(Codes { scale, scale_shape, ..c.clone() });
    Ok(Some(Constant { shape: shape.to_vec(), data, sources: Vec::new() }))
}

/// The same elements in another shape of as many; codes keep a scale of one element, and lose another.
fn reshaped(x: &Constant, shape: Vec<usize>) -> Result<Constant, Refusal> {
    match &x.data {
        Data::Codes(c) if c.scale.len() > 1 => Ok(Constant::reals(shape, x.to_reals()?, Vec::new())),
        Data::Codes(c) => {
            let data = Data::Codes(Codes { scale_shape: vec![1; shape.len()], ..c.clone() });
            Ok(Constant { shape, data, sources: Vec::new() })
        }
        data => Ok(Constant { shape, data: data.clone(), sources: Vec::new() }),
    }
}

fn gather(x: &Constant, indices: &Constant, axis: i64) -> Result<Constant, Refusal> {
    let axis = shape::axis(axis, x.shape.len())?;
    let length = x.shape[axis];
    let picked = integers(indices, "indices")?;
    let place = |i: i64| {
        let i = if i < 0 { i + length as i64 } else { i };
        usize::try_from(i).ok().filter(|&i| i < length)
    };
    let picked: Vec<usize> = picked
        .into_iter()
        .map(|i| {
            place(i).ok_or_else(|| Refusal::new(format!("index {i} is outside an axis of {length}"), "export again"))
        })
        .collect::<Result<_, _>>()?;
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    let shape = [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat();
    sized(&shape)?;
    let taken: Vec<usize> = (0..outer)
        .flat_map(|o| picked.iter().flat_map(move |&p| (0..inner).map(move |i| (o * length + p) * inner + i)))
        .collect();
    x.take(&taken, shape)
}

fn slice(
    x: &Constant,
    starts: &[i64],
    ends: &[i64],
    axes: Option<Vec<i64>>,
    steps: Option<Vec<i64>>,
) -> Result<Constant, Refusal> {
    let bad = || Refusal::new("a slice with unequal lists, or with steps below 1, is not supported", "export again");
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(bad());
    }
    let own = strides(&x.shape);
    let (mut shape, mut stride, mut offset) = (x.shape.clone(), own.clone(), 0);
    for (((&start, &end), &axis), &step) in starts.iter().zip(ends).zip(&axes).zip(&steps) {
        let axis = shape::axis(axis, x.shape.len())?;
        let length = x.shape[axis] as i64;
        let place = |i: i64| (if i < 0 { i.saturating_add(length) } else { i }).clamp(0, length);
        let (start, end) = (place(start), place(end));
        let step = usize::try_from(step).ok().filter(|&s| s > 0).ok_or_else(bad)?;
        shape[axis] = ((end - start).max(0) as usize).div_ceil(step);
        stride[axis] = own[axis] * step;
        offset += start as usize * own[axis];
    }
    let indices: Vec<usize> = walk(&shape, &stride).into_iter().map(|i| i + offset).collect();
    x.take(&indices, shape)
}

fn concat(parts: &[&Constant], axis: i64) -> Result<Constant, Refusal> {
    let first = parts.first().ok_or_else(|| Refusal::new("it has no inputs", "export again"))?;
    let axis = shape::axis(axis, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for part in parts {
        let fits = part.shape.len() == shape.len()
            && part.shape.iter().zip(&shape).enumerate().all(|(i, (a, b))| i == axis || a == b);
        if !fits {
            return Err(Refusal::new("shapes of its inputs disagree", "check the graph's shapes"));
        }
        shape[axis] += part.shape[axis];
    }
    sized(&shape)?;
    let outer: usize = shape[..axis].iter().product();
    let blocks = parts.iter().map(|p| (*p, p.shape[axis..].iter().product::<usize>()));
    let blocks: Vec<_> = blocks.collect();
    let places = || (0..outer).flat_map(|o| blocks.iter().flat_map(move |&(p, n)| (0..n).map(move |i| (p, o * n + i))));
    if parts.iter().all(|p| p.as_ints().is_some()) {
        let values = places().filter_map(|(p, i)| p.as_ints().map(|v| v[i])).collect();
        return Ok(Constant::ints(shape, values, Vec::new()));
    }
    let values = places().map(|(p, i)| p.real(i)).collect::<Result<_, _>>()?;
    Ok(Constant::reals(shape, values, Vec::new()))
}
