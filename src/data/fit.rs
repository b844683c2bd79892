//! From a file's shape to the network's: with or without batch, channels first or last.

use std::path::Path;

use super::{Array, DataError, Kind, Samples};

/// Where a file keeps its channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// Before rows and columns, as ONNX does.
    Nchw,
    /// After rows and columns.
    Nhwc,
}

/// Brings an array to samples of the shape `wanted` (without batch, channels first).
///
/// Dimensions of size 1 do not count, so that images without a channel dimension fit a network of one channel.
/// The rows of a table, and flat rows for (or grey images to) a network of one channel, fit where their
/// sizes do, since there is one order only. `what` is the end of the network meant, `path` the file; both for messages.
///
/// # Errors
/// [`DataError::Shape`] with both shapes.
pub fn fit(
    path: &Path,
    what: &'static str,
    array: Array,
    wanted: &[usize],
    layout: Layout,
) -> Result<Samples, DataError> {
    // The PNG reader hands over planes already.
    let layout = if array.kind == Kind::Image { Layout::Nchw } else { layout };
    let size: usize = wanted.iter().product();
    let count = match batch(&array, &file_order(wanted, layout)) {
        Some(count) => count,
        None => {
            let other = if layout == Layout::Nchw { Layout::Nhwc } else { Layout::Nchw };
            return Err(DataError::Shape {
                path: path.to_path_buf(),
                what,
                fits_channels_last: layout == Layout::Nchw && batch(&array, &file_order(wanted, other)).is_some(),
                found: array.shape,
                wanted: wanted.to_vec(),
            });
        }
    };
    let values = match (layout, wanted) {
        (Layout::Nhwc, &[channels, ..]) => {
            let pixels = size / channels.max(1);
            array.values.gather(
                (0..count * size)
                    .map(|i| (i / size, i % size / pixels, i % pixels))
                    .map(|(n, c, p)| n * size + p * channels + c),
            )
        }
        _ => array.values,
    };
    Ok(Samples { values, count, size, kind: array.kind })
}

/// The shape that a sample has in the file.
fn file_order(wanted: &[usize], layout: Layout) -> Vec<usize> {
    let mut shape = wanted.to_vec();
    if layout == Layout::Nhwc && !shape.is_empty() {
        shape.rotate_left(1);
    }
    shape
}

/// How many samples of shape `sample` the array holds, if it does.
fn batch(array: &Array, sample: &[usize]) -> Option<usize> {
    let bare = |dims: &[usize]| dims.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    let wanted = bare(sample);
    let (&first, rest) = array.shape.split_first()?;
    if bare(rest) == wanted {
        return Some(first);
    }
    if bare(&array.shape) == wanted {
        return Some(1);
    }
    // One order only: a flat row against at most one channel of rows and columns, or the other way round.
    let found = bare(rest);
    let one_order = found.len() <= 2 && wanted.len() <= 2 && (found.len() == 1 || wanted.len() == 1);
    let same_size = rest.iter().product::<usize>() == sample.iter().product::<usize>();
    (same_size && (array.kind == Kind::Table || one_order)).then_some(first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::Values;
    use super::*;

    fn array(shape: &[usize]) -> Array {
        let n = shape.iter().product::<usize>() as i64;
        Array { values: Values::Integers((0..n).collect()), shape: shape.to_vec(), kind: Kind::Numbers }
    }

    fn count(found: &[usize], wanted: &[usize]) -> Option<usize> {
        fit(Path::new("x.npy"), "input", array(found), wanted, Layout::Nchw).ok().map(|s| s.count)
    }

    #[test]
    fn batch_and_unit_dimensions_are_optional() {
        assert_eq!(count(&[5, 1, 28, 28], &[1, 28, 28]), Some(5));
        assert_eq!(count(&[5, 28, 28], &[1, 28, 28]), Some(5));
        assert_eq!(count(&[28, 28], &[1, 28, 28]), Some(1));
        assert_eq!(count(&[5, 784], &[1, 28, 28]), Some(5));
        assert_eq!(count(&[5, 28, 28], &[784]), Some(5));
        assert_eq!(count(&[16], &[16]), Some(1));
        assert_eq!(count(&[16, 16], &[16]), Some(16));
        assert_eq!(count(&[7, 1], &[1]), Some(7));
    }

    #[test]
    fn other_shapes_are_refused() {
        assert_eq!(count(&[5, 32, 32], &[1, 28, 28]), None);
        assert_eq!(count(&[5, 28, 28, 3], &[3, 28, 28]), None);
        // Flat rows of several channels have two possible orders.
        assert_eq!(count(&[5, 12], &[3, 2, 2]), None);
        assert_eq!(count(&[], &[3]), None);
    }

    #[test]
    fn channels_last_are_brought_first() {
        // One sample of 2 channels, 1 x 3: pixels (0, 1), (2, 3), (4, 5).
        let samples = fit(Path::new("x.npy"), "input", array(&[1, 1, 3, 2]), &[2, 1, 3], Layout::Nhwc).unwrap();
        assert_eq!(samples.values, Values::Integers(vec![0, 2, 4, 1, 3, 5]));
    }

    #[test]
    fn a_wrong_shape_names_both_and_the_layout_that_would_fit() {
        let error = fit(Path::new("x.npy"), "input", array(&[2, 4, 4, 3]), &[3, 4, 4], Layout::Nchw).unwrap_err();
        assert_eq!(error.to_string(), "x.npy: shape [2, 4, 4, 3] does not fit the network's input, [3, 4, 4]");
        assert!(matches!(error, DataError::Shape { fits_channels_last: true, .. }));
    }
}
