//! Joins of branches: sums on one real grid, and channels one after the other.

use num_traits::{Signed, ToPrimitive};

use super::build::Builder;
use super::chain::Param;
use super::codes::{MAX_MULTIPLE, Quantized, codes};
use super::error::Refusal;
use super::graph::{Attributes, node_name};
use super::real::Real;
use super::shape;
use super::signal::{Origin, Signal};
use super::sum::Sum;
use crate::network::{Add, Op, TensorId};
use crate::onnx::proto::NodeProto;
use crate::rational::{self, Rational};

/// The operators that [`apply`] knows.
pub const OPERATORS: [&str; 4] = ["Add", "Concat", "Sub", "Sum"];

/// The signal behind a node all of whose inputs are signals.
///
/// # Errors
/// If a branch is not quantized, shapes disagree, or scales have no common grid.
pub fn apply(builder: &mut Builder, node: &NodeProto, branches: &[&Signal]) -> Result<Signal, Refusal> {
    if node.op_type == "Concat" { concat(builder, node, branches) } else { add(builder, node, branches) }
}

/// What error messages call a branch: the tensor that the node reads.
fn branch(node: &NodeProto, i: usize) -> String {
    format!("branch {i} ('{}')", node.input.get(i).map_or("", String::as_str))
}

/// Codes of each branch; a refusal names the branch.
fn read(builder: &mut Builder, node: &NodeProto, branches: &[&Signal]) -> Result<Vec<Quantized>, Refusal> {
    let one = |(i, signal): (usize, &&Signal)| {
        codes(builder, signal, &node_name(node), true)
            .map_err(|e| Refusal::new(format!("{}: {}", branch(node, i), e.reason), e.hint))
    };
    branches.iter().enumerate().map(one).collect()
}

/// A sum or difference: integer coefficients on the grid that all branches share.
fn add(builder: &mut Builder, node: &NodeProto, branches: &[&Signal]) -> Result<Signal, Refusal> {
    let name = node_name(node);
    let shape = &branches[0].shape;
    if let Some(i) = branches.iter().position(|b| b.shape != *shape) {
        return Err(Refusal::new(
            format!(
                "its branches disagree: {} has shape {shape:?}, {} {:?}",
                branch(node, 0),
                branch(node, i),
                branches[i].shape
            ),
            "both branches of a residual need one shape; check strides and paddings",
        ));
    }
    let mut inputs = read(builder, node, branches)?;
    let negated = |i: usize| node.op_type == "Sub" && i > 0;
    for (_, input) in inputs.iter_mut().enumerate().filter(|&(i, _)| negated(i)) {
        input.factor = Param::new(input.factor.values().iter().map(Real::neg).collect());
        input.offset = Param::new(input.offset.values().iter().map(Real::neg).collect());
    }
    let tensors = aligned(builder, node, branches, &inputs)?;
    let channels = builder.channels(tensors[0]);
    let parts = inputs.iter().map(|q| q.per_channel(channels)).collect::<Result<Vec<_>, _>>()?;
    let offset = (0..channels).map(|c| parts.iter().fold(Real::from(0), |sum, (_, b)| sum.add(&b[c]))).collect();
    let Some((coefficients, grid)) = grid(&parts.iter().map(|(f, _)| &f[..]).collect::<Vec<_>>()) else {
        return apart(builder, node, (&tensors, parts, offset), shape);
    };
    let (factor, offset) = alike(grid, offset);
    let mut sum = Quantized { tensor: tensors[0], factor, offset };
    let scale = sum.scales_of(channels);
    sum.tensor = builder.layer(&name, &node.output[0], Op::Add(Add { coefficients }), tensors, scale)?;
    Ok(sum.signal(shape.clone(), &name, &node.output[0]))
}

/// Factor and offset of each channel.
type Affine = (Vec<Real>, Vec<Real>);

/// A sum whose branches share no grid: two of them wait for the quantizer behind it, see [`super::sum`].
fn apart(
    builder: &mut Builder,
    node: &NodeProto,
    (tensors, parts, offset): (&[TensorId], Vec<Affine>, Vec<Real>),
    shape: &[usize],
) -> Result<Signal, Refusal> {
    let scales = parts.iter().enumerate().map(|(i, (f, _))| format!("{} has {}", branch(node, i), list(f)));
    let scales = scales.collect::<Vec<_>>().join(", ");
    let factors = parts.into_iter().map(|(factor, _)| factor).collect::<Vec<_>>();
    let mixed = |f: &Vec<Real>| f.iter().any(Real::is_zero) || f.iter().any(|v| v.signum() != f[0].signum());
    let (&[first, second], Ok(factors)) = (tensors, <[Vec<Real>; 2]>::try_from(factors)) else {
        return Err(Refusal::new(
            format!("the scales of its {} branches have no common grid: {scales}", tensors.len()),
            "add two at a time with a Quant node behind each sum, or share one quantizer between the branches",
        ));
    };
    if factors.iter().any(mixed) {
        return Err(Refusal::new(
            format!("the scales of its branches have no common grid: {scales}, some with other signs than others"),
            "share one quantizer between the branches (Brevitas: one QuantIdentity in front of both inputs of the Add)",
        ));
    }
    let name = node_name(node);
    let index = builder.sums.len();
    builder.sums.push(Sum {
        node: name.clone(),
        op: node.op_type.clone(),
        output: node.output[0].clone(),
        tensors: [first, second],
        factors,
        offset,
        scales,
        known: Vec::new(),
    });
    Ok(Signal::new(Origin::Sum(index), shape.to_vec(), &name))
}

/// Scales for a message: one, or the first few channels'.
fn list(factors: &[Real]) -> String {
    let shown = if factors.iter().all(|f| f == &factors[0]) { &factors[..1] } else { &factors[..factors.len().min(3)] };
    let text: Vec<String> = shown.iter().map(|f| f.to_f64().to_string()).collect();
    let more = if shown.len() > 1 && shown.len() < factors.len() { ", ..." } else { "" };
    format!("{}{more}", text.join(", "))
}

/// Factors and offsets in as many blocks: one if all channels are alike.
fn alike(factor: Vec<Real>, offset: Vec<Real>) -> (Param, Param) {
    let (factor, offset) = (Param::new(factor), Param::new(offset));
    match (factor.uniform(), offset.uniform()) {
        (Some(f), Some(b)) => (Param::scalar(f.clone()), Param::scalar(b.clone())),
        _ => (factor, offset),
    }
}

/// One integer coefficient per branch, and the grid per channel: `factors[i][c] = coefficients[i] * grid[c]`. `None` if
/// quotients differ between channels, or are no quotients of small whole numbers.
fn grid(factors: &[&[Real]]) -> Option<(Vec<i64>, Vec<Real>)> {
    let channels = factors.first()?.len();
    let mut coefficients: Option<Vec<i64>> = None;
    let mut grid: Vec<Real> = Vec::with_capacity(channels);
    for c in 0..channels {
        let first = &factors[0][c];
        if let Some(known) = &coefficients
            && c > 0
            && factors.iter().zip(known).all(|(f, _)| f[c] == f[c - 1])
        {
            grid.push(grid[c - 1].clone());
            continue;
        }
        let ratios: Vec<Rational> = factors.iter().map(|f| f[c].ratio(first)).collect::<Option<_>>()?;
        let step = ratios.iter().fold(rational::integer(0), |g, r| rational::gcd(&g, r));
        if !step.is_positive() {
            return None;
        }
        let whole = |r: &Rational| (r / &step).to_integer().to_i64().filter(|k| *k != 0 && k.abs() <= MAX_MULTIPLE);
        let own: Vec<i64> = ratios.iter().map(whole).collect::<Option<_>>()?;
        if coefficients.get_or_insert_with(|| own.clone()) != &own {
            return None;
        }
        grid.push(first.mul(&step.into()));
    }
    coefficients.map(|k| (k, grid))
}

/// The branches' tensors in one shape: as they are, or all as vectors.
fn aligned(
    builder: &mut Builder,
    node: &NodeProto,
    branches: &[&Signal],
    inputs: &[Quantized],
) -> Result<Vec<TensorId>, Refusal> {
    let tensors: Vec<_> = inputs.iter().map(|q| q.tensor).collect();
    let shape = |b: &Builder, i: usize| b.tensors[tensors[i].0].shape.clone();
    if (1..tensors.len()).all(|i| shape(builder, i) == shape(builder, 0)) {
        return Ok(tensors);
    }
    if branches[0].shape.iter().filter(|&&d| d != 1).count() <= 1 {
        let flat = tensors.iter().zip(branches).map(|(&t, b)| builder.flatten(t, &b.reshaped));
        return Ok(flat.collect());
    }
    Err(Refusal::new(
        format!(
            "its branches are stored in different shapes: {} {:?}, {} {:?}",
            branch(node, 0),
            shape(builder, 0),
            branch(node, 1),
            shape(builder, 1)
        ),
        "keep the image's shape throughout both branches",
    ))
}

/// Channels one after the other.
fn concat(builder: &mut Builder, node: &NodeProto, branches: &[&Signal]) -> Result<Signal, Refusal> {
    let name = node_name(node);
    let rank = branches[0].shape.len();
    let axis = shape::axis(Attributes::of(node).int("axis").unwrap_or(1), rank)?;
    if axis != 1 || branches[0].shape[0] != 1 {
        return Err(Refusal::new(
            format!("it joins along axis {axis} of shape {:?}", branches[0].shape),
            "supported is axis 1, the channels",
        ));
    }
    let tail = |s: &Signal| s.shape.get(2..).map(<[usize]>::to_vec);
    if let Some(i) = branches.iter().position(|b| b.shape.len() != rank || tail(b) != tail(branches[0])) {
        return Err(Refusal::new(
            format!(
                "its branches disagree: {} has shape {:?}, {} {:?}",
                branch(node, 0),
                branches[0].shape,
                branch(node, i),
                branches[i].shape
            ),
            "all branches need equal heights and widths; check strides and paddings",
        ));
    }
    let inputs = read(builder, node, branches)?;
    // Vectors are joined as vectors.
    let tensors: Vec<_> = if rank == 2 {
        inputs.iter().zip(branches).map(|(q, b)| builder.flatten(q.tensor, &b.reshaped)).collect()
    } else {
        let images = inputs.iter().zip(branches).map(|(q, b)| builder.seen_as(q.tensor, &[], &b.image()?));
        images.collect::<Result<_, _>>()?
    };
    let (mut factor, mut offset) = (Vec::new(), Vec::new());
    for (input, &tensor) in inputs.iter().zip(&tensors) {
        let (f, b) = input.per_channel(builder.channels(tensor))?;
        factor.extend(f);
        offset.extend(b);
    }
    let (factor, offset) = alike(factor, offset);
    let mut joined = Quantized { tensor: tensors[0], factor, offset };
    let scale = joined.scales_of(tensors.iter().map(|&t| builder.channels(t)).sum());
    joined.tensor = builder.layer(&name, &node.output[0], Op::Concat, tensors, scale)?;
    let mut shape = branches[0].shape.clone();
    shape[1] = branches.iter().map(|b| b.shape[1]).sum();
    Ok(joined.signal(shape, &name, &node.output[0]))
}
