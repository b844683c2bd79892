//! Attributes that say how a window moves over an image, of Conv and the pooling operators.

use super::error::Refusal;
use super::graph::Attributes;
use crate::network::Window;
use crate::shape::MAX_WINDOW;

/// What the last window does where it would reach beyond the padded image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// It is left out.
    Down,
    /// It is there, unless it begins behind the image: ONNX `ceil_mode = 1`.
    Up,
}

/// The window of a node on an image of this shape (without batch); `kernel` has one number per spatial axis.
///
/// # Errors
/// If an attribute is out of range, `auto_pad` is unknown, the window is larger than the padded image, or some window
/// lies outside the image altogether.
pub fn window(
    attributes: &Attributes,
    kernel: &[usize],
    shape: &[usize],
    rounding: Rounding,
) -> Result<Window, Refusal> {
    let window = anywhere(attributes, kernel, shape, rounding)?;
    inside(&window, kernel.len())?;
    Ok(window)
}

/// Refuses windows that lie outside the image altogether, which have no meaning to a pooling; `axes` is the number of spatial axes
/// in the file.
///
/// # Errors
/// If the padding reaches the window's span.
pub fn inside(window: &Window, axes: usize) -> Result<(), Refusal> {
    let (span, begin, end) = (window.span(), window.pad_begin, window.pad_end);
    if (0..2).all(|a| begin[a] < span[a] && end[a] < span[a]) {
        return Ok(());
    }
    let [begin, end, span] = [&begin, &end, &span].map(|pair| &pair[2 - axes.clamp(1, 2)..]);
    Err(Refusal::new(
        format!("its padding {begin:?}, {end:?} is not smaller than its window, which spans {span:?}"),
        "a pooling's windows may not lie outside the image altogether: pad less, or put a Pad of zeros in front",
    ))
}

/// [`window`], whose padding may reach the window's span.
///
/// # Errors
/// As [`window`] otherwise.
pub fn anywhere(
    attributes: &Attributes,
    kernel: &[usize],
    shape: &[usize],
    rounding: Rounding,
) -> Result<Window, Refusal> {
    let size = &shape[1..];
    let axes = size.len();
    if kernel.len() != axes || kernel.contains(&0) {
        return Err(Refusal::new(
            format!("its kernel {kernel:?} does not fit an image of shape {shape:?}"),
            "check the graph's shapes",
        ));
    }
    let strides = positive(attributes, "strides", axes)?;
    let dilations = positive(attributes, "dilations", axes)?;
    let span = |a: usize| (kernel[a] - 1).saturating_mul(dilations[a]).saturating_add(1);
    let (mut begin, mut end) = pads(attributes, axes)?;
    if let Some(auto_pad) = attributes.text("auto_pad").filter(|a| !matches!(a.as_str(), "" | "NOTSET"))
        && begin.iter().chain(&end).any(|&p| p > 0)
    {
        let given = attributes.ints("pads").unwrap_or_default();
        return Err(Refusal::new(
            format!("it has both auto_pad '{auto_pad}' and pads {given:?}, which ONNX forbids"),
            "use auto_pad NOTSET with the pads, or take them out",
        ));
    }
    match attributes.text("auto_pad").as_deref() {
        None | Some("" | "NOTSET") => {}
        Some("VALID") => (begin, end) = (vec![0; axes], vec![0; axes]),
        Some(same @ ("SAME_UPPER" | "SAME_LOWER")) => {
            for a in 0..axes {
                let places = size[a].div_ceil(strides[a]);
                let total = ((places - 1) * strides[a]).saturating_add(span(a)).saturating_sub(size[a]);
                let less = total / 2;
                (begin[a], end[a]) = if same == "SAME_UPPER" { (less, total - less) } else { (total - less, less) };
            }
        }
        Some(other) => {
            return Err(Refusal::new(
                format!("its auto_pad '{other}' is unknown"),
                "use NOTSET with pads, VALID, SAME_UPPER or SAME_LOWER",
            ));
        }
    }
    for a in 0..axes {
        let padded = size[a].saturating_add(begin[a] + end[a]);
        let Some(free) = padded.checked_sub(span(a)) else {
            return Err(Refusal::new(
                format!(
                    "its window spans {:?}, more than the padded image of {:?}",
                    spans(&span, axes),
                    (0..axes).map(|a| size[a] + begin[a] + end[a]).collect::<Vec<_>>()
                ),
                "check the graph's shapes, or give the input's with --input-shape",
            ));
        };
        if rounding == Rounding::Up && !free.is_multiple_of(strides[a]) {
            // One window more, unless it begins behind the image: then nothing of the image is in it.
            let windows = free / strides[a] + 1;
            if windows * strides[a] < size[a] + begin[a] {
                end[a] += strides[a] - free % strides[a];
            }
        }
    }
    // An image of height 1 for one spatial axis.
    let pair = |v: &[usize], fill: usize| if axes == 1 { [fill, v[0]] } else { [v[0], v[1]] };
    Ok(Window {
        kernel: pair(kernel, 1),
        stride: pair(&strides, 1),
        dilation: pair(&dilations, 1),
        pad_begin: pair(&begin, 0),
        pad_end: pair(&end, 0),
    })
}

fn spans(span: &impl Fn(usize) -> usize, axes: usize) -> Vec<usize> {
    (0..axes).map(span).collect()
}

/// One number of at least 1 per axis; 1 where the attribute is missing.
fn positive(attributes: &Attributes, name: &str, axes: usize) -> Result<Vec<usize>, Refusal> {
    let Some(given) = attributes.ints(name).filter(|v| !v.is_empty()) else { return Ok(vec![1; axes]) };
    let values: Vec<usize> =
        given.iter().filter_map(|&v| usize::try_from(v).ok().filter(|&v| (1..=MAX_WINDOW).contains(&v))).collect();
    if given.len() == axes && values.len() == axes {
        return Ok(values);
    }
    Err(Refusal::new(
        format!("its {name} are {given:?}"),
        format!("use one number from 1 to {MAX_WINDOW} per spatial axis"),
    ))
}

/// Padding before and behind, per axis.
fn pads(attributes: &Attributes, axes: usize) -> Result<(Vec<usize>, Vec<usize>), Refusal> {
    let Some(given) = attributes.ints("pads").filter(|v| !v.is_empty()) else {
        return Ok((vec![0; axes], vec![0; axes]));
    };
    let values: Vec<usize> =
        given.iter().filter_map(|&v| usize::try_from(v).ok().filter(|&v| v <= MAX_WINDOW)).collect();
    if given.len() == 2 * axes && values.len() == 2 * axes {
        return Ok((values[..axes].to_vec(), values[axes..].to_vec()));
    }
    Err(Refusal::new(
        format!("its pads are {given:?}"),
        "use numbers of at least 0: all beginnings, then all ends, one per spatial axis",
    ))
}
