//! Worst-case inputs: the proof that a bound is tight.

use ndarray::ArrayView1;

use crate::datatype::{DataType, Range};

/// Inputs, legal codes all, at which a row of weights attains both ends of its interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Attains the maximum.
    pub max: Vec<i64>,
    /// Attains the minimum.
    pub min: Vec<i64>,
}

impl Witness {
    /// Over the whole range of the input's declared type.
    pub fn over_type(row: ArrayView1<'_, i64>, input: DataType) -> Self {
        Self::build(row.iter().map(|&w| (w, input.range())), input)
    }

    /// Over the ranges that the inputs can reach, one per weight, whose ends are codes of `input`.
    pub fn over_ranges(row: ArrayView1<'_, i64>, input: DataType, ranges: &[Range]) -> Self {
        debug_assert_eq!(row.len(), ranges.len());
        Self::build(row.iter().copied().zip(ranges.iter().copied()), input)
    }

    fn build(products: impl Iterator<Item = (i64, Range)>, input: DataType) -> Self {
        let (max, min) = products
            .map(|(w, Range { lo, hi })| match w {
                // Any code will do: 0 reads best where it is one.
                0 if lo <= 0 && 0 <= hi && input.holds(0) => (0, 0),
                0 => (hi, hi),
                w if w > 0 => (hi, lo),
                _ => (lo, hi),
            })
            .unzip();
        Witness { max, min }
    }
}
