//! Convolutions and poolings of float images.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};

use crate::network::Window;

/// Images of one size, `channels * height * width` values each, and a window that moves over them.
pub struct Images<'a> {
    values: &'a Array2<f64>,
    channels: usize,
    /// Places of an image.
    size: usize,
    /// For each place of the result and each tap of the window the place of the image that it reads, if it is on the image.
    taps: Vec<Vec<Option<usize>>>,
}

impl<'a> Images<'a> {
    /// `image` is the shape of one: `[channels, height, width]` or `[channels, length]`. `None` if the window does not fit.
    pub fn new(values: &'a Array2<f64>, image: &[usize], window: &Window) -> Option<Self> {
        let (channels, [height, width]) = match *image {
            [channels, length] => (channels, [1, length]),
            [channels, height, width] => (channels, [height, width]),
            _ => return None,
        };
        let size = height * width;
        if values.ncols() != channels * size {
            return None;
        }
        let [rows, columns] = window.output([height, width])?;
        let along = |axis: usize, at: usize, tap: usize| {
            let place = at * window.stride[axis] + tap * window.dilation[axis];
            place.checked_sub(window.pad_begin[axis]).filter(|&place| place < [height, width][axis])
        };
        let tap = |i, j, u, v| Some(along(0, i, u)? * width + along(1, j, v)?);
        let place = |i, j| {
            let row = |u| (0..window.kernel[1]).map(move |v| tap(i, j, u, v));
            (0..window.kernel[0]).flat_map(row).collect()
        };
        let taps = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|(i, j)| place(i, j)).collect();
        Some(Images { values, channels, size, taps })
    }

    /// Places of a result.
    pub fn places(&self) -> usize {
        self.taps.len()
    }

    /// The convolution with `matrix` (`[rows, channels / groups * taps]`), `[samples, rows * places]`. `None` if sizes disagree.
    pub fn conv(&self, matrix: ArrayView2<'_, f64>, groups: usize) -> Option<Array2<f64>> {
        let (inputs, rows) = (self.channels.checked_div(groups)?, matrix.nrows().checked_div(groups)?);
        let kernel = self.taps.first()?.len();
        if inputs * groups != self.channels || rows * groups != matrix.nrows() || matrix.ncols() != inputs * kernel {
            return None;
        }
        let mut result = Array2::zeros((self.values.nrows(), matrix.nrows() * self.places()));
        for (image, mut out) in self.values.rows().into_iter().zip(result.rows_mut()) {
            for group in 0..groups {
                let patches = self.patches(image, group * inputs, inputs);
                let product = matrix.slice(s![group * rows..(group + 1) * rows, ..]).dot(&patches);
                let from = group * rows * self.places();
                out.slice_mut(s![from..from + rows * self.places()]).assign(&product.flatten());
            }
        }
        Some(result)
    }

    /// What the windows of one image read of some channels, `[channels * taps, places]`; 0 beside the image.
    fn patches(&self, image: ArrayView1<'_, f64>, first: usize, channels: usize) -> Array2<f64> {
        let kernel = self.taps.first().map_or(0, Vec::len);
        Array2::from_shape_fn((channels * kernel, self.places()), |(row, place)| {
            let (channel, tap) = (first + row / kernel, row % kernel);
            self.taps[place][tap].map_or(0.0, |at| image[channel * self.size + at])
        })
    }

    /// For every channel and place what `fold` makes of the values that the window reads on the image.
    pub fn pool(&self, fold: impl Fn(&mut dyn Iterator<Item = f64>) -> f64) -> Array2<f64> {
        let mut result = Array2::zeros((self.values.nrows(), self.channels * self.places()));
        for (image, mut out) in self.values.axis_iter(Axis(0)).zip(result.rows_mut()) {
            for channel in 0..self.channels {
                for (place, taps) in self.taps.iter().enumerate() {
                    let mut read = taps.iter().flatten().map(|at| image[channel * self.size + at]);
                    out[channel * self.places() + place] = fold(&mut read);
                }
            }
        }
        result
    }
}
