//! From a file's shape to the network's: with or without batch, channels first or last.

use std::path::Path;

use quantizer::network::Network;

use super::{Array, DataError, Kind, Samples};

/// Where a file keeps its channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// Before rows and columns, as ONNX does.
    Nchw,
    /// After rows and columns.
    Nhwc,
}

/// The samples of one end of a network, as its source file has them.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The file's shape, without batch.
    pub shape: &'a [usize],
    /// Whether the last of its dimensions is that of the channels.
    pub channels_last: bool,
    /// Another shape for the same elements, channels first: that of the pins. Data in it are taken too where there is one order only.
    pub pins: &'a [usize],
}

impl<'a> Wanted<'a> {
    /// Samples of this shape, channels first.
    pub fn plain(shape: &'a [usize]) -> Self {
        Wanted { shape, channels_last: false, pins: shape }
    }

    /// What the network's input takes.
    pub fn input(network: &'a Network) -> Self {
        Wanted {
            shape: without_batch(&network.input_shape),
            channels_last: network.input_channels_last,
            pins: &network.tensor(network.input).shape,
        }
    }

    /// What leaves the network.
    pub fn output(network: &'a Network) -> Self {
        Wanted {
            shape: without_batch(&network.output_shape),
            channels_last: network.output_channels_last,
            pins: &network.tensor(network.output).shape,
        }
    }

    /// The layout that the source file has.
    fn own(self) -> Layout {
        if self.channels_last { Layout::Nhwc } else { Layout::Nchw }
    }

    /// The shape of a sample in this layout.
    fn in_layout(self, layout: Layout) -> Vec<usize> {
        let mut shape = self.shape.to_vec();
        match (layout, self.own()) {
            (Layout::Nhwc, Layout::Nchw) if !shape.is_empty() => shape.rotate_left(1),
            (Layout::Nchw, Layout::Nhwc) if !shape.is_empty() => shape.rotate_right(1),
            _ => {}
        }
        shape
    }

    /// Samples in the order of the pins, brought to the order of the source file: the inverse of [`fit`].
    pub fn file_order<T: Copy>(self, samples: impl IntoIterator<Item = T>) -> Vec<T> {
        let pins: Vec<T> = samples.into_iter().collect();
        let (size, channels) = (self.shape.iter().product::<usize>(), self.shape.last().copied().unwrap_or(1));
        if !self.channels_last || size == 0 {
            return pins;
        }
        let place = |i: usize| i / size * size + i % channels * (size / channels) + i % size / channels;
        (0..pins.len()).map(|i| pins[place(i)]).collect()
    }
}

fn without_batch(shape: &[usize]) -> &[usize] {
    match shape {
        [_, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

/// Brings an array to samples of the shape `wanted`, in the order of the pins: channels first.
///
/// Without a `layout` the array has the shape that the source file has. Dimensions of size 1 do not count, so that images without
/// a channel dimension fit a network of one channel.
/// The rows of a table, and flat rows for (or grey images to) a network of one channel, fit where their
/// sizes do, since there is one order only. `what` is the end of the network meant, `path` the file; both for messages.
///
/// # Errors
/// [`DataError::Shape`] with both shapes.
pub fn fit(
    path: &Path,
    what: &'static str,
    array: Array,
    wanted: Wanted,
    layout: Option<Layout>,
) -> Result<Samples, DataError> {
    // The PNG reader hands over planes already.
    let layout = if array.kind == Kind::Image { Layout::Nchw } else { layout.unwrap_or(wanted.own()) };
    let shape = wanted.in_layout(layout);
    let pins = || if layout == Layout::Nchw { batch(&array, wanted.pins) } else { None };
    let Some(count) = batch(&array, &shape).or_else(pins) else {
        let other = if layout == Layout::Nchw { Layout::Nhwc } else { Layout::Nchw };
        let fits = batch(&array, &wanted.in_layout(other)).is_some() && array.kind != Kind::Image;
        let (path, found) = (path.to_path_buf(), array.shape);
        return Err(DataError::Shape { path, what, found, wanted: shape, layout: fits.then_some(other) });
    };
    let size: usize = shape.iter().product();
    let values = match (layout, shape.last()) {
        (Layout::Nhwc, Some(&channels)) => {
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
        fit(Path::new("x.npy"), "input", array(found), Wanted::plain(wanted), None).ok().map(|s| s.count)
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
        let samples =
            fit(Path::new("x.npy"), "input", array(&[1, 1, 3, 2]), Wanted::plain(&[2, 1, 3]), Some(Layout::Nhwc))
                .unwrap();
        assert_eq!(samples.values, Values::Integers(vec![0, 2, 4, 1, 3, 5]));
    }

    #[test]
    fn the_shape_of_the_source_file_is_the_default() {
        // A cube fits both layouts: the file's own counts, unless another is asked for.
        let cube = Wanted { shape: &[2, 2, 2], channels_last: true, pins: &[2, 2, 2] };
        let read = |layout| fit(Path::new("x.npy"), "input", array(&[1, 2, 2, 2]), cube, layout).unwrap().values;
        assert_eq!(read(None), Values::Integers(vec![0, 2, 4, 6, 1, 3, 5, 7]));
        assert_eq!(read(None), read(Some(Layout::Nhwc)));
        assert_eq!(read(Some(Layout::Nchw)), Values::Integers((0..8).collect()));
        assert_eq!(cube.file_order([0, 2, 4, 6, 1, 3, 5, 7]), (0..8).collect::<Vec<_>>());
        let flat = Wanted { shape: &[4, 1, 3], channels_last: true, pins: &[3, 4, 1] };
        let first = fit(Path::new("x.npy"), "input", array(&[2, 3, 4, 1]), flat, None).unwrap_err();
        assert!(matches!(first, DataError::Shape { layout: Some(Layout::Nchw), .. }));
        // Reshaped pins: both shapes hold the elements in one order.
        let reshaped = Wanted { shape: &[2, 3, 4], channels_last: false, pins: &[2, 12] };
        for shape in [&[5, 2, 3, 4][..], &[5, 2, 12]] {
            assert_eq!(fit(Path::new("x.npy"), "input", array(shape), reshaped, None).unwrap().count, 5);
        }
        let last = fit(Path::new("x.npy"), "input", array(&[1, 3, 4, 2]), reshaped, Some(Layout::Nhwc)).unwrap();
        assert_eq!(last.values.float(1), 2.0);
    }

    #[test]
    fn a_wrong_shape_names_both_and_the_layout_that_would_fit() {
        let error =
            fit(Path::new("x.npy"), "input", array(&[2, 4, 4, 3]), Wanted::plain(&[3, 4, 4]), None).unwrap_err();
        assert_eq!(error.to_string(), "x.npy: shape [2, 4, 4, 3] does not fit the network's input, [3, 4, 4]");
        assert!(matches!(error, DataError::Shape { layout: Some(Layout::Nhwc), .. }));
    }
}
