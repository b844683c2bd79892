//! What shape a layer's output has, and why some inputs do not go with it.

use crate::network::{Conv, Op, Window, image};
use crate::reach::elements;

/// The largest kernel, stride, dilation and pad of a [`Window`]: what is larger is no image operation, and this keeps every product
/// of them within machine words.
pub const MAX_WINDOW: usize = 1 << 16;

/// The output's shape of `op` on inputs of these shapes (without batch dimension), which are as many as `op` reads.
///
/// # Errors
/// A sentence that says which numbers do not go together.
pub fn output_shape(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    let Some(&shape) = inputs.first() else { return Err("it reads no tensor".to_owned()) };
    match op {
        Op::Flatten => match elements(shape) {
            Some(n) => Ok(vec![n]),
            None => Err(format!("shape {shape:?} has too many elements to be flattened")),
        },
        Op::Dense(dense) => {
            let (rows, columns) = dense.weights.dim();
            if shape != [columns] {
                return Err(format!("weights [{rows}, {columns}] do not take shape {shape:?}"));
            }
            Ok(vec![rows])
        }
        Op::Threshold(threshold) => {
            let functions = threshold.channels.len();
            match shape.first() {
                Some(&channels) if functions == 1 || functions == channels => Ok(shape.to_vec()),
                Some(channels) => Err(format!("{functions} step functions for {channels} channels")),
                None => Err("a threshold needs channels".to_owned()),
            }
        }
        Op::Table(table) => {
            let functions = table.codes.nrows();
            match shape.first() {
                Some(&channels) if functions == 1 || functions == channels => Ok(shape.to_vec()),
                Some(channels) => Err(format!("{functions} tables for {channels} channels")),
                None => Err("a table needs channels".to_owned()),
            }
        }
        Op::Conv(conv) => convolution(conv, shape),
        Op::MaxPool(window) => {
            let (_, size) = of_image(shape)?;
            let pooled = windowed(window, shape)?;
            // Its maximum would be that of nothing.
            match (0..2).find(|&axis| window.taps(axis, size[axis]).iter().any(|taps| taps.count() == 0)) {
                Some(axis) => Err(format!("some windows read nothing of the image {}", DIRECTIONS[axis])),
                None => Ok(pooled),
            }
        }
        Op::SumPool(window) => windowed(window, shape),
        Op::Add(add) => {
            if add.coefficients.len() != inputs.len() {
                return Err(format!("{} coefficients for {} inputs", add.coefficients.len(), inputs.len()));
            }
            match inputs.iter().find(|&&other| other != shape) {
                Some(other) => Err(format!("shapes {shape:?} and {other:?} cannot be added")),
                None => Ok(shape.to_vec()),
            }
        }
        Op::Concat => concatenated(shape, inputs),
        Op::Upsample(factor) => {
            let (channels, size) = of_image(shape)?;
            if factor.iter().any(|f| !(1..=MAX_WINDOW).contains(f)) {
                return Err(format!("factors {factor:?} are not all within 1 to {MAX_WINDOW}"));
            }
            let grown = |axis: usize| size[axis].checked_mul(factor[axis]);
            match (grown(0), grown(1)) {
                (Some(height), Some(width)) => like(shape, channels, [height, width]),
                _ => Err(format!("shape {shape:?} times {factor:?} is too large")),
            }
        }
        Op::DepthToSpace(to) => {
            let (channels, size) = of_image(shape)?;
            let block = to.block;
            if !(1..=MAX_WINDOW).contains(&block) {
                return Err(format!("a block of side {block} is not within 1 to {MAX_WINDOW}"));
            }
            if !channels.is_multiple_of(block * block) {
                return Err(format!("{channels} channels do not make blocks of {block} by {block}"));
            }
            match (size[0].checked_mul(block), size[1].checked_mul(block)) {
                (Some(height), Some(width)) => like(shape, channels / (block * block), [height, width]),
                _ => Err(format!("shape {shape:?} in blocks of {block} by {block} is too large")),
            }
        }
    }
}

const DIRECTIONS: [&str; 2] = ["vertically", "horizontally"];

fn of_image(shape: &[usize]) -> Result<(usize, [usize; 2]), String> {
    image(shape).ok_or_else(|| format!("shape {shape:?} is no image: [channels, height, width] or [channels, length]"))
}

/// `channels` and `size` in as many dimensions as `shape` has.
fn like(shape: &[usize], channels: usize, size: [usize; 2]) -> Result<Vec<usize>, String> {
    match (shape, size) {
        ([_], [1, 1]) => Ok(vec![channels]),
        ([_, _], [1, width]) => Ok(vec![channels, width]),
        ([_, _, _], [height, width]) => Ok(vec![channels, height, width]),
        (_, [height, width]) => {
            Err(format!("shape {shape:?} has no dimension for a result of height {height} and width {width}"))
        }
    }
}

/// The shape behind a window, channels kept.
fn windowed(window: &Window, shape: &[usize]) -> Result<Vec<usize>, String> {
    let (channels, size) = of_image(shape)?;
    let Window { kernel, stride, dilation, pad_begin, pad_end } = *window;
    for (what, pair) in [("kernel", kernel), ("stride", stride), ("dilation", dilation)] {
        if pair.iter().any(|n| !(1..=MAX_WINDOW).contains(n)) {
            return Err(format!("{what} {pair:?} is not within 1 to {MAX_WINDOW}"));
        }
    }
    let span = window.span();
    for (what, pads) in [("before", pad_begin), ("behind", pad_end)] {
        if let Some(axis) = (0..2).find(|&axis| pads[axis] >= span[axis]) {
            let (pad, span, direction) = (pads[axis], span[axis], DIRECTIONS[axis]);
            return Err(format!(
                "{pad} places of padding {what} the image {direction}, where a window spans {span}: some windows would read padding alone"
            ));
        }
    }
    match window.output(size) {
        Some(size) => like(shape, channels, size),
        None => Err(format!(
            "a window that spans {} by {} does not fit on an image of {} by {} with {} places of padding",
            span[0],
            span[1],
            size[0],
            size[1],
            [0, 1].map(|a| format!("{}+{}", pad_begin[a], pad_end[a])).join(" by ")
        )),
    }
}

fn convolution(conv: &Conv, shape: &[usize]) -> Result<Vec<usize>, String> {
    let mut result = windowed(&conv.window, shape)?;
    let (channels, _) = of_image(shape)?;
    let (rows, columns) = conv.weights.dim();
    let groups = conv.groups;
    if groups == 0 || !channels.is_multiple_of(groups) || !rows.is_multiple_of(groups) {
        return Err(format!("{groups} groups do not divide {channels} input and {rows} output channels"));
    }
    let [height, width] = conv.window.kernel;
    let each = channels / groups;
    if each.checked_mul(height * width) != Some(columns) {
        return Err(format!(
            "weights of {columns} columns, where {each} channels a group and a kernel of {height} by {width} need {}",
            each.saturating_mul(height * width)
        ));
    }
    result[0] = rows;
    Ok(result)
}

fn concatenated(shape: &[usize], inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    let mut channels = 0usize;
    for &other in inputs {
        match (shape, other) {
            ([_, tail @ ..], [more, rest @ ..]) if tail == rest => {
                channels = channels.checked_add(*more).ok_or("too many channels")?;
            }
            _ => return Err(format!("shapes {shape:?} and {other:?} cannot be joined along channels")),
        }
    }
    let mut joined = shape.to_vec();
    joined[0] = channels;
    Ok(joined)
}

#[cfg(test)]
mod tests;
