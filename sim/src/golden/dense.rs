//! Matrix products that are exact by construction.

use ndarray::Array2;
use quantizer::datatype::Range;
use quantizer::network::Dense;

use super::patches::Convolution;

/// A dense layer's product, in the fastest arithmetic that is exact for it. Matrices are `[inputs, outputs]`.
pub(super) enum Product {
    /// No partial sum reaches 2^24.
    Single(Array2<f32>),
    /// No partial sum reaches 2^53.
    Double(Array2<f64>),
    /// Anything else.
    Wide(Array2<i64>),
}

impl Product {
    /// Chooses the arithmetic, for inputs in `ranges`, one for each column.
    ///
    /// The largest sum of magnitudes `|w| * max|x|` over a row bounds every product and partial sum, whatever the order
    /// in which a matrix kernel adds. (A factor that is not exact in the float type has a partner that is always 0.)
    pub(super) fn new(dense: &Dense, ranges: &[Range]) -> Self {
        let largest = |range: &Range| u128::from(range.lo.unsigned_abs().max(range.hi.unsigned_abs()));
        let row_bound = |row: ndarray::ArrayView1<'_, i64>| {
            row.iter().zip(ranges).fold(0u128, |sum, (&w, range)| {
                sum.saturating_add(u128::from(w.unsigned_abs()).saturating_mul(largest(range)))
            })
        };
        let bound = dense.weights.rows().into_iter().map(row_bound).max().unwrap_or(0);
        let by_input = dense.weights.t().as_standard_layout().into_owned();
        if bound < 1 << f32::MANTISSA_DIGITS {
            Product::Single(by_input.mapv(|w| w as f32))
        } else if bound < 1 << f64::MANTISSA_DIGITS {
            Product::Double(by_input.mapv(|w| w as f64))
        } else {
            Product::Wide(by_input)
        }
    }

    /// `[samples, inputs]` to `[samples, outputs]`.
    pub(super) fn apply(&self, inputs: &Array2<i64>) -> Array2<i64> {
        match self {
            Product::Single(weights) => inputs.mapv(|x| x as f32).dot(weights).mapv(|y| y as i64),
            Product::Double(weights) => inputs.mapv(|x| x as f64).dot(weights).mapv(|y| y as i64),
            Product::Wide(weights) => Array2::from_shape_fn((inputs.nrows(), weights.ncols()), |(sample, output)| {
                let products = inputs.row(sample).into_iter().zip(weights.column(output));
                let sum: i128 = products.map(|(&x, &w)| i128::from(x) * i128::from(w)).sum();
                // A valid network's accumulators fit in MAX_ACCUMULATOR_BITS.
                sum as i64
            }),
        }
    }

    /// Outputs.
    pub(super) fn rows(&self) -> usize {
        match self {
            Product::Single(weights) => weights.ncols(),
            Product::Double(weights) => weights.ncols(),
            Product::Wide(weights) => weights.ncols(),
        }
    }

    /// The product with every window of one group's `channels`, to `outputs`: `[outputs, places]`, row-major.
    pub(super) fn apply_patches(&self, conv: &Convolution, channels: &[i64], outputs: &mut [i64]) {
        match self {
            Product::Single(weights) => {
                let product = weights.t().dot(&conv.columns(channels, |x| x as f32));
                outputs.iter_mut().zip(&product).for_each(|(to, &y)| *to = y as i64);
            }
            Product::Double(weights) => {
                let product = weights.t().dot(&conv.columns(channels, |x| x as f64));
                outputs.iter_mut().zip(&product).for_each(|(to, &y)| *to = y as i64);
            }
            Product::Wide(weights) => {
                let columns = conv.columns(channels, |x| x);
                let places = columns.ncols();
                for (row, to) in weights.columns().into_iter().zip(outputs.chunks_exact_mut(places)) {
                    let mut sums = vec![0i128; places];
                    for (&w, column) in row.iter().zip(columns.rows()) {
                        sums.iter_mut().zip(column).for_each(|(sum, &x)| *sum += i128::from(w) * i128::from(x));
                    }
                    // A valid network's accumulators fit in MAX_ACCUMULATOR_BITS.
                    to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum as i64);
                }
            }
        }
    }
}
