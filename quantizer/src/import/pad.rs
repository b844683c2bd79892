//! Pad: zeros around an image. The convolution or pooling behind it takes them into its own padding; in front of anything else they
//! become a depthwise convolution of weight 1.

use ndarray::Array2;

use super::build::Builder;
use super::codes::codes;
use super::constant::Constant;
use super::conv::padding_has_a_code;
use super::elementwise;
use super::error::Refusal;
use super::fold;
use super::function::Function;
use super::graph::{Attributes, node_name};
use super::pool;
use super::shape;
use super::signal::Signal;
use crate::datatype::DataType;
use crate::network::{Conv, Op, TensorId, Window};
use crate::onnx::proto::NodeProto;

/// Zeros around an image that a signal waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Padding {
    /// The ONNX node.
    pub node: String,
    /// The ONNX tensor that it writes.
    pub output: String,
    /// What the Pad read: codes, and how many functions of them. More of these behind it have carried the zeros on.
    pub read: (Option<TensorId>, usize),
    /// Places added above and to the left.
    pub begin: [usize; 2],
    /// Places added below and to the right.
    pub end: [usize; 2],
}

impl Padding {
    /// The shape of an image (without batch) with these zeros around it.
    pub fn around(&self, image: &[usize]) -> Vec<usize> {
        let first = 3 - image.len();
        let padded = |(i, &size): (usize, &usize)| match i {
            0 => size,
            _ => size + self.begin[first + i - 1] + self.end[first + i - 1],
        };
        image.iter().enumerate().map(padded).collect()
    }

    /// The window on the image without these zeros that reads what `window` reads on the image with them. Its padding may
    /// reach its span: see [`super::window::inside`].
    pub fn joined(&self, window: &Window) -> Window {
        let sum = |a: [usize; 2], b: [usize; 2]| [a[0] + b[0], a[1] + b[1]];
        Window { pad_begin: sum(window.pad_begin, self.begin), pad_end: sum(window.pad_end, self.end), ..*window }
    }

    /// A window that every place of the enlarged image has one of, and where in it the place itself is. Its padding is smaller
    /// than its span, as that of any window.
    fn window(&self) -> (Window, [usize; 2]) {
        let sum = [0, 1].map(|a| self.begin[a] + self.end[a]);
        let window =
            Window { kernel: sum.map(|s| s + 1), stride: [1, 1], dilation: [1, 1], pad_begin: sum, pad_end: sum };
        (window, self.end)
    }
}

/// Whether the node takes the zeros of a Pad in front of it, or carries them on.
pub fn taken_by(node: &NodeProto) -> bool {
    let op = node.op_type.as_str();
    matches!(op, "Conv" | "Pad" | "Transpose" | "Identity" | "Dropout" | "Cast" | "Shape")
        || (pool::OPERATORS.contains(&op) && !matches!(op, "GlobalMaxPool" | "QuantAvgPool2d"))
        || elementwise::OPERATORS.contains(&op)
}

/// The signal with the zeros of its Pad as codes, for readers that cannot take them in: a depthwise convolution whose only weight is 1.
///
/// # Errors
/// If the signal is not quantized, no code means 0, or scales differ inside a channel.
pub fn settle(builder: &mut Builder, signal: &Signal) -> Result<Signal, Refusal> {
    let (bare, Some(padding)) = signal.without_padding() else { return Ok(signal.clone()) };
    let image = bare.image()?;
    if let Some(id) = bare.tensor().filter(|_| bare.moves.is_empty()) {
        builder.seen_as(id, &[], &image)?;
    }
    let mut input = codes(builder, &bare, &padding.node, true)?;
    let tensor = builder.seen_as(input.tensor, &[], &image)?;
    padding_has_a_code(builder, &input, &padding.window().0)?;
    // Factors inside a channel would be those of other places behind the zeros.
    input.per_channel(image[0])?;
    // Behind functions that carried the zeros on, their ONNX tensor is the one with zeros.
    let output = match (bare.links.last(), bare.tensor()) {
        _ if padding.read == bare.functions() => padding.output.clone(),
        (Some(link), _) => link.output.clone(),
        (None, Some(id)) => builder.tensors[id.0].name.clone(),
        (None, None) => padding.output.clone(),
    };
    input.tensor = builder.padded(tensor, &padding, &output)?;
    let shape = [&[1], &padding.around(&image)[..]].concat();
    let settled = input.signal(shape, &padding.node, &output);
    Ok(Signal { channels_last: signal.channels_last, ..settled })
}

impl Builder {
    /// An image of codes with zeros around it, `output` in ONNX: adds a layer, or finds the one that is there.
    ///
    /// # Errors
    /// If the result is too large.
    fn padded(&mut self, id: TensorId, padding: &Padding, output: &str) -> Result<TensorId, Refusal> {
        let key = (id, padding.clone());
        if let Some(&known) = self.padded.get(&key) {
            return Ok(known);
        }
        let (window, own) = padding.window();
        let (channels, scale) = (self.channels(id), self.tensors[id.0].scale.clone());
        let place = own[0] * window.kernel[1] + own[1];
        let weights =
            Array2::from_shape_fn((channels, window.kernel[0] * window.kernel[1]), |(_, p)| i64::from(p == place));
        let conv = Conv { weights, weight_type: DataType::signed(2), groups: channels, window };
        if self.tensors[id.0].name == output {
            self.tensors[id.0].name = format!("{output} without the zeros of {}", padding.node);
        }
        let padded = self.layer(&padding.node, output, Op::Conv(conv), vec![id], scale)?;
        self.padded.insert(key, padded);
        Ok(padded)
    }
}

/// The signal behind a `Pad` node.
///
/// # Errors
/// If it pads with anything but zeros, or other axes than an image's height and width.
pub fn apply(node: &NodeProto, signal: &Signal, constants: &[Option<&Constant>]) -> Result<Signal, Refusal> {
    let attributes = Attributes::of(node);
    match attributes.text("mode").as_deref() {
        None | Some("" | "constant") => {}
        Some(other) => {
            return Err(Refusal::new(format!("its mode '{other}' is not supported"), "pad with the constant 0"));
        }
    }
    let input = |i: usize| constants.get(i).copied().flatten();
    let zero = match input(2) {
        Some(value) => value.scalar("value")?.is_zero(),
        None => attributes.float("value").unwrap_or(0.0) == 0.0,
    };
    if !zero || (node.input.get(2).is_some_and(|n| !n.is_empty()) && input(2).is_none()) {
        return Err(Refusal::new("it pads with another number than 0", "pad with the constant 0"));
    }
    let given = match input(1) {
        Some(c) => fold::integers(c, "pads")?,
        None => attributes.ints("pads").map(<[i64]>::to_vec).unwrap_or_default(),
    };
    let rank = signal.shape.len();
    let axes = match input(3) {
        Some(c) => {
            fold::integers(c, "axes")?.into_iter().map(|a| shape::axis(a, rank)).collect::<Result<Vec<_>, _>>()?
        }
        None => (0..rank).collect(),
    };
    if given.len() != 2 * axes.len() {
        return Err(Refusal::new(
            format!("its pads {given:?} do not fit the shape {:?}", signal.shape),
            "check the graph's shapes",
        ));
    }
    let image = signal.image()?;
    let output = node.output.first().cloned().unwrap_or_default();
    let read = signal.functions();
    let mut padding = Padding { node: node_name(node), output, read, begin: [0, 0], end: [0, 0] };
    for (i, &axis) in axes.iter().enumerate() {
        for (ends, &pad) in [(&mut padding.begin, &given[i]), (&mut padding.end, &given[axes.len() + i])] {
            let places = usize::try_from(pad).ok().filter(|&p| p <= crate::shape::MAX_WINDOW);
            match (places, axis.checked_sub(2)) {
                (Some(0), _) => {}
                // The last axis of the image is the second of the pair.
                (Some(places), Some(spatial)) => ends[3 - image.len() + spatial] += places,
                _ => {
                    return Err(Refusal::new(
                        format!("it pads axis {axis} of shape {:?} by {pad}", signal.shape),
                        "pad height and width alone, and do not cut",
                    ));
                }
            }
        }
    }
    if let Some(before) = &signal.padding {
        let sum = |a: [usize; 2], b: [usize; 2]| [a[0] + b[0], a[1] + b[1]];
        padding.begin = sum(padding.begin, before.begin);
        padding.end = sum(padding.end, before.end);
    }
    let padding = (padding.begin != [0, 0] || padding.end != [0, 0]).then_some(padding);
    Ok(Signal { padding, ..signal.clone() })
}

/// Whether the function takes 0 to 0, so that it may stand in front of a Pad as well as behind it.
pub fn keeps_zero<P>(function: &Function<P>) -> bool {
    use Function::*;
    match function {
        Mul(_) | Div(_) | Relu | LeakyRelu(_) | Tanh => true,
        Quant(quant) => quant.datatype.holds(0),
        _ => false,
    }
}
