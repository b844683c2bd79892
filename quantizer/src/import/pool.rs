//! Pooling: maxima as moves, averages as exact sums whose divisor is one function more.

use super::build::Builder;
use super::chain::Param;
use super::codes::codes;
use super::constant::Constant;
use super::conv::padding_has_a_code;
use super::error::Refusal;
use super::fold;
use super::function::Function;
use super::graph::{Attributes, node_name};
use super::moves::{self, Move};
use super::pad::{self, Padding};
use super::real::Real;
use super::shape;
use super::signal::{Origin, Signal};
use super::window::{self, Rounding};
use crate::network::{Op, Window};
use crate::onnx::proto::NodeProto;

/// The operators that [`apply`] knows.
pub const OPERATORS: [&str; 6] =
    ["AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "QuantAvgPool2d", "ReduceMean"];

/// The signal behind a pooling node.
///
/// # Errors
/// If the window does not fit, the divisor of an average varies, or an average reads what is not quantized.
pub fn apply(
    builder: &mut Builder,
    node: &NodeProto,
    signal: &Signal,
    constants: &[Option<&Constant>],
) -> Result<Signal, Refusal> {
    let attributes = Attributes::of(node);
    let image = signal.padded_image()?;
    match node.op_type.as_str() {
        "MaxPool" => {
            let kernel = kernel(&attributes)?;
            let ceil = if attributes.int("ceil_mode") == Some(1) { Rounding::Up } else { Rounding::Down };
            let mut window = window::window(&attributes, &kernel, &image, ceil)?;
            let padded = signal;
            let (mut signal, zeros) = padded.without_padding();
            let Some(zeros) = zeros else { return moves::append(builder, &signal, node, Move::MaxPool(window)) };
            let joined = zeros.joined(&window);
            if zeros_lose(builder, &signal, &zeros)? && window::inside(&joined, image.len() - 1).is_ok() {
                window = joined;
            } else {
                signal = pad::settle(builder, padded)?;
            }
            moves::append(builder, &signal, node, Move::MaxPool(window))
        }
        "GlobalMaxPool" => moves::append(builder, signal, node, Move::MaxPool(whole(&image))),
        "GlobalAveragePool" => average(builder, node, signal, &image, whole(&image)),
        "ReduceMean" => reduce_mean(builder, node, signal, &image, &attributes, constants),
        "QuantAvgPool2d" => quantized(builder, node, signal, &image, &attributes),
        _ => {
            let window = averaging(&attributes, &image)?;
            average(builder, node, signal, &image, window)
        }
    }
}

/// The window of an `AveragePool`, whose divisor must be the same everywhere.
///
/// # Errors
/// If it is not, or the window does not fit the image.
pub fn averaging(attributes: &Attributes, image: &[usize]) -> Result<Window, Refusal> {
    let kernel = kernel(attributes)?;
    let window = window::window(attributes, &kernel, image, Rounding::Down)?;
    let varies = |why: &str, hint: &str| Err(Refusal::new(format!("its divisor varies: {why}"), hint));
    let padded = window.pad_begin != [0, 0] || window.pad_end != [0, 0];
    if padded && attributes.int("count_include_pad").unwrap_or(0) == 0 {
        return varies("at the border count_include_pad = 0 leaves the padding out", "use count_include_pad = 1");
    }
    if attributes.int("ceil_mode") == Some(1) && window::window(attributes, &kernel, image, Rounding::Up)? != window {
        return varies("with ceil_mode = 1 the last window is smaller", "use ceil_mode = 0");
    }
    Ok(window)
}

/// The kernel of a pooling node, one number per spatial axis.
///
/// # Errors
/// If there is none.
pub fn kernel(attributes: &Attributes) -> Result<Vec<usize>, Refusal> {
    let given = attributes.ints("kernel_shape").unwrap_or_default();
    let kernel: Vec<usize> = given.iter().filter_map(|&k| usize::try_from(k).ok().filter(|&k| k > 0)).collect();
    if kernel.len() == given.len() && !kernel.is_empty() {
        return Ok(kernel);
    }
    Err(Refusal::new(format!("its kernel_shape is {given:?}"), "use one number of at least 1 per spatial axis"))
}

/// One window over the whole image `[channels, ...]`.
pub fn whole(image: &[usize]) -> Window {
    let kernel = if let [_, h, w] = *image { [h, w] } else { [1, image[1]] };
    Window { kernel, stride: [1, 1], dilation: [1, 1], pad_begin: [0, 0], pad_end: [0, 0] }
}

/// The mean of each window: the exact sum of codes, and a division.
fn average(
    builder: &mut Builder,
    node: &NodeProto,
    signal: &Signal,
    image: &[usize],
    window: Window,
) -> Result<Signal, Refusal> {
    let size = window.kernel[0].saturating_mul(window.kernel[1]);
    let sum = sum(builder, node, signal, image, window)?;
    let divisor = Param::scalar(Real::from(size as i64));
    Ok(sum.then(&node_name(node), &node.output[0], Function::Div(divisor), Vec::new()))
}

/// The sum of each window, exact: zeros of the padding take part in no sum and in every divisor.
fn sum(
    builder: &mut Builder,
    node: &NodeProto,
    signal: &Signal,
    image: &[usize],
    window: Window,
) -> Result<Signal, Refusal> {
    let name = node_name(node);
    let (mut bare, zeros) = signal.without_padding();
    let (own, window) = match zeros.map(|zeros| zeros.joined(&window)) {
        Some(joined) if window::inside(&joined, image.len() - 1).is_ok() => (bare.image()?, joined),
        Some(_) => {
            bare = pad::settle(builder, signal)?;
            (image.to_vec(), window)
        }
        None => (image.to_vec(), window),
    };
    let signal = bare;
    let mut input = codes(builder, &signal, &name, true)?;
    let tensor = builder.seen_as(input.tensor, &[], &own)?;
    padding_has_a_code(builder, &input, &window)?;
    input.per_channel(own[0])?;
    let op = Op::SumPool(window);
    let shape = builder.result_shape(&op, &[&own])?;
    let size = Real::from((window.kernel[0] * window.kernel[1]) as i64);
    input.offset = Param::new(input.offset.values().iter().map(|b| b.mul(&size)).collect());
    let scale = input.scales_of(own[0]);
    input.tensor = builder.layer(&name, &node.output[0], op, vec![tensor], scale)?;
    Ok(input.signal([&[1], &shape[..]].concat(), &name, &node.output[0]))
}

/// `ReduceMean` over all spatial axes.
fn reduce_mean(
    builder: &mut Builder,
    node: &NodeProto,
    signal: &Signal,
    image: &[usize],
    attributes: &Attributes,
    constants: &[Option<&Constant>],
) -> Result<Signal, Refusal> {
    let rank = signal.shape.len();
    let axes = match constants.get(1).copied().flatten() {
        Some(c) => Some(fold::integers(c, "axes")?),
        None => attributes.ints("axes").map(<[i64]>::to_vec),
    };
    let mut axes: Vec<usize> =
        axes.unwrap_or_default().into_iter().map(|a| shape::axis(a, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    if !axes.iter().copied().eq(2..rank) {
        return Err(Refusal::new(
            format!("it takes the mean over axes {axes:?} of shape {:?}", signal.shape),
            "supported is the mean over an image's height and width",
        ));
    }
    let mean = average(builder, node, signal, image, whole(image))?;
    let keep = attributes.int("keepdims").unwrap_or(1) != 0;
    if keep { Ok(mean) } else { Ok(mean.reshaped(&node_name(node), vec![1, image[0]])) }
}

/// QONNX `QuantAvgPool2d` on integers: the sum of each window, shifted right until it has `obits` bits.
fn quantized(
    builder: &mut Builder,
    node: &NodeProto,
    signal: &Signal,
    image: &[usize],
    attributes: &Attributes,
) -> Result<Signal, Refusal> {
    let layout = attributes.text("data_layout").unwrap_or_else(|| "NCHW".into());
    if layout != "NCHW" {
        return Err(Refusal::new(format!("data layout {layout} is not supported"), "use channels first"));
    }
    let number = |name: &str, most: usize| {
        let value = attributes.int(name).unwrap_or(if name == "stride" || name == "kernel" { 2 } else { 0 });
        usize::try_from(value)
            .ok()
            .filter(|v| (1..=most).contains(v))
            .ok_or_else(|| Refusal::new(format!("its {name} is {value}"), format!("use 1 to {most}")))
    };
    let (kernel, stride) = (number("kernel", crate::shape::MAX_WINDOW)?, number("stride", crate::shape::MAX_WINDOW)?);
    let (ibits, obits) = (number("ibits", 32)?, number("obits", 32)?);
    if image.len() != 3 {
        return Err(Refusal::new(format!("the data's shape {:?} has one spatial axis", signal.shape), "use an image"));
    }
    let window =
        Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1, 1], pad_begin: [0, 0], pad_end: [0, 0] };
    let sum = sum(builder, node, signal, image, window)?;
    // The bits that the sum of so many values of `ibits` bits may need, less those kept.
    let largest = ((1u128 << ibits) - 1).saturating_mul((kernel as u128).saturating_mul(kernel as u128));
    let bits = (u128::BITS - largest.leading_zeros()) as usize;
    let shift = bits.saturating_sub(obits).min(62) as i64;
    let ranges = sum.tensor().map(|id| builder.tensors[id.0].ranges.clone()).unwrap_or_default();
    super::trunc::floored(&sum, node, shift, &ranges)
}

/// Whether zeros in front of a MaxPool are never larger than what they stand beside, so that its own padding may take their place.
fn zeros_lose(builder: &mut Builder, signal: &Signal, zeros: &Padding) -> Result<bool, Refusal> {
    let input = match signal.origin {
        Origin::Raw => return Err(super::codes::raw()),
        _ => codes(builder, signal, &zeros.node, true)?,
    };
    let factors_rise = input.factor.values().iter().all(|f| f.signum() >= 0);
    let codes_rise = builder.tensors[input.tensor.0].ranges.iter().all(|r| r.lo >= 0);
    Ok(factors_rise && codes_rise && input.offsets().is_none())
}
