//! Conv with constant weights: a Conv layer on codes.

use ndarray::Array2;

use super::build::Builder;
use super::codes::{Quantized, codes};
use super::constant::Constant;
use super::error::Refusal;
use super::function::Function;
use super::graph::{Attributes, node_name};
use super::pad::{self, Padding};
use super::signal::{Origin, Signal};
use super::weights::{self, Weights};
use super::window::{self, Rounding};
use crate::datatype::Signedness;
use crate::network::{Conv, Op, Window};
use crate::onnx::proto::NodeProto;

/// The Conv layer of a Conv node; the data is input `position`.
///
/// # Errors
/// If data or weights are not quantized, shapes or groups disagree, or padding has no code.
pub fn apply(
    builder: &mut Builder,
    node: &NodeProto,
    signal: &Signal,
    position: usize,
    constants: &[Option<&Constant>],
) -> Result<Signal, Refusal> {
    if position != 0 {
        return Err(Refusal::new(
            format!("the data is input {position} of this Conv"),
            "a convolution has constant weights and a constant bias",
        ));
    }
    let constant = constants.get(1).copied().flatten();
    let constant = constant.ok_or_else(|| {
        Refusal::new("both its operands depend on the data", "one operand of a layer must be constant weights")
    })?;
    let attributes = Attributes::of(node);
    let padded = signal.padded_image()?;
    let (groups, kernel) = grouping(&attributes, &padded, constant)?;
    let mut window = window::anywhere(&attributes, kernel, &padded, Rounding::Down)?;
    let rows = constant.shape[0];
    let mut weights = read(constant, rows)?;

    let name = node_name(node);
    let (mut signal, zeros) = signal.without_padding();
    if let Some(zeros) = &zeros {
        window = zeros.joined(&window);
    }
    match widened(window, &mut weights) {
        Some(wide) => window = wide,
        None => {
            let (node, output, read) = match zeros {
                Some(zeros) => (zeros.node, zeros.output, zeros.read),
                None => (format!("{name} padding"), format!("{} padded", node.input[0]), signal.functions()),
            };
            let padding = Padding { node, output, read, begin: window.pad_begin, end: window.pad_end };
            signal = pad::settle(builder, &Signal { padding: Some(padding), ..signal })?;
            window = Window { pad_begin: [0, 0], pad_end: [0, 0], ..window };
        }
    }
    let image = signal.image()?;
    if let Some(id) = signal.tensor().filter(|_| signal.moves.is_empty()) {
        // Pins whose layout only this node tells: before thresholds are built on them.
        builder.seen_as(id, &[], &image)?;
    }
    let input = codes(builder, &signal, &name, true)?;
    let tensor = builder.seen_as(input.tensor, &[], &image)?;
    padding_has_a_code(builder, &input, &window)?;
    let meaning = weights.take_in(&input, image[0], groups)?;
    let scale = weights.scales(&meaning);
    let index = builder.layers.len();
    let op = Op::Conv(Conv { weights: weights.codes, weight_type: weights.datatype, groups, window });
    let shape = builder.result_shape(&op, &[&image])?;
    let tensor = builder.layer(&name, &node.output[0], op, vec![tensor], scale)?;
    let bias = constants.get(2).copied().flatten();
    if let Some(votes) = builder.votes.get_mut(&index) {
        votes.own.extend(weights.sources);
        votes.own.extend(bias.iter().flat_map(|c| c.sources.iter().cloned()));
    }

    let mut result = Signal::new(Origin::Accumulator(tensor), [&[1], &shape[..]].concat(), &name);
    result.links = meaning.links(weights.scale, &name, &node.output[0]);
    if node.input.get(2).is_some_and(|n| !n.is_empty()) {
        let bias = bias.ok_or_else(|| Refusal::new("its bias is no constant", "use a constant bias"))?;
        let param = result.channel_param(bias, "bias")?;
        result = result.then(&name, &node.output[0], Function::Add(param), bias.sources.clone());
    }
    Ok(result)
}

/// Weights of a widened kernel: of more, the padding becomes a layer of its own.
const MAX_WIDENED: usize = 1 << 24;

/// The same convolution with padding smaller than its window: zeros around the kernel, as many as it takes, let windows that
/// would lie outside the image reach into it.
///
/// A zero behind the kernel makes the span larger and asks for as much padding at the end, one in front of it for as much at
/// the beginning; the outputs stay where they are. `None` if the weights' type has no 0, or the kernel gets too large.
fn widened(window: Window, weights: &mut Weights) -> Option<Window> {
    let (span, step) = (window.span(), window.dilation);
    let missing = |pad: [usize; 2]| [0, 1].map(|a| if pad[a] < span[a] { 0 } else { (pad[a] - span[a]) / step[a] + 1 });
    let (front, behind) = (missing(window.pad_end), missing(window.pad_begin));
    if front == [0, 0] && behind == [0, 0] {
        return Some(window);
    }
    let kernel = [0, 1].map(|a| window.kernel[a] + front[a] + behind[a]);
    let (rows, columns) = weights.codes.dim();
    let area = |k: [usize; 2]| k[0].saturating_mul(k[1]);
    let channels = columns / area(window.kernel).max(1);
    let size = rows.saturating_mul(channels).saturating_mul(area(kernel));
    if !weights.datatype.holds(0) || size > MAX_WIDENED {
        return None;
    }
    let mut codes = Array2::zeros((rows, channels * area(kernel)));
    for ((row, column), &code) in weights.codes.indexed_iter() {
        let (channel, place) = (column / area(window.kernel), column % area(window.kernel));
        let (i, j) = (place / window.kernel[1] + front[0], place % window.kernel[1] + front[1]);
        codes[[row, channel * area(kernel) + i * kernel[1] + j]] = code;
    }
    weights.codes = codes;
    let sum = |pad: [usize; 2], zeros: [usize; 2]| [0, 1].map(|a| pad[a] + zeros[a] * step[a]);
    let (pad_begin, pad_end) = (sum(window.pad_begin, front), sum(window.pad_end, behind));
    Some(Window { kernel, pad_begin, pad_end, ..window })
}

/// The number of groups and the kernel, checked against the shapes of image `[channels, ...]` and weights.
///
/// # Errors
/// If they disagree.
pub fn grouping<'a>(
    attributes: &Attributes,
    image: &[usize],
    weights: &'a Constant,
) -> Result<(usize, &'a [usize]), Refusal> {
    let (channels, axes) = (image[0], image.len() - 1);
    let shapes = || format!("data {image:?}, weights {:?}", weights.shape);
    let disagree = |reason: String| Refusal::new(reason, "check the graph's shapes");
    let [rows, each, kernel @ ..] = &weights.shape[..] else {
        return Err(disagree(format!("shapes disagree: {}", shapes())));
    };
    if kernel.len() != axes || *rows == 0 || *each == 0 {
        return Err(disagree(format!("shapes disagree: {}", shapes())));
    }
    if let Some(given) = attributes.ints("kernel_shape").filter(|g| !g.is_empty())
        && !given.iter().map(|&k| usize::try_from(k).ok()).eq(kernel.iter().map(|&k| Some(k)))
    {
        return Err(disagree(format!("its kernel_shape {given:?} is not that of its weights {:?}", weights.shape)));
    }
    let groups = attributes.int("group").unwrap_or(1);
    let groups = usize::try_from(groups)
        .ok()
        .filter(|&g| g > 0)
        .ok_or_else(|| Refusal::new(format!("it has {groups} groups"), "use at least 1"))?;
    if !channels.is_multiple_of(groups) || !rows.is_multiple_of(groups) {
        let reason = format!("its {groups} groups do not divide {channels} input channels and {rows} output channels");
        // The weights say how many input channels a group has.
        let meant = channels / each;
        let hint = match each * meant == channels && rows.is_multiple_of(meant) {
            true => {
                format!("with weights {:?} and {channels} input channels it must be group = {meant}", weights.shape)
            }
            false => format!(
                "groups that divide both are {}; weights have the input channels of one group, here {each}",
                divisors(channels, *rows)
            ),
        };
        return Err(Refusal::new(reason, hint));
    }
    if each * groups != channels {
        return Err(disagree(format!("shapes disagree: {}, {groups} groups", shapes())));
    }
    Ok((groups, kernel))
}

/// The group numbers that channels and rows allow, in words.
fn divisors(channels: usize, rows: usize) -> String {
    let common = num_integer::gcd(channels, rows);
    let mut all: Vec<usize> = (1..)
        .take_while(|d| d * d <= common)
        .filter(|&d| common.is_multiple_of(d))
        .flat_map(|d| [d, common / d])
        .collect();
    all.sort_unstable();
    all.dedup();
    let list: Vec<String> = all.iter().map(usize::to_string).collect();
    list.join(", ")
}

/// Weights `[rows, channels / groups * kernel]`.
fn read(constant: &Constant, rows: usize) -> Result<Weights, Refusal> {
    let own = weights::quantized(constant)?;
    let codes = Array2::from_shape_vec((rows, own.codes.len() / rows), own.codes.clone())
        .map_err(|e| Refusal::new(e.to_string(), "check the graph's shapes"))?;
    let scale = weights::row_scale(own, rows, 0)?;
    Ok(Weights { codes, datatype: own.datatype, scale, sources: constant.sources.clone() })
}

/// Refuses padding where no code means 0: padding is the real number 0, which the layer reads as code 0.
///
/// # Errors
/// If the codes have an offset, or their type no 0.
pub fn padding_has_a_code(builder: &Builder, input: &Quantized, window: &Window) -> Result<(), Refusal> {
    if window.pad_begin == [0, 0] && window.pad_end == [0, 0] {
        return Ok(());
    }
    if builder.tensors[input.tensor.0].datatype.sign == Signedness::Bipolar {
        return Err(Refusal::new(
            "it pads bipolar codes, none of which is 0",
            "use no padding, or quantize to a type that has 0",
        ));
    }
    if let Some(offset) = input.offsets().and_then(|o| o.values().iter().position(|b| !b.is_zero())) {
        return Err(Refusal::new(
            format!("it pads with 0, but code 0 of channel {offset} means {}", input.offset.values()[offset].to_f64()),
            "use no padding, or move the constant that is added behind the convolution",
        ));
    }
    Ok(())
}
