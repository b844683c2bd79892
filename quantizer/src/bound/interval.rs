//! Intervals of any size, and those that a row of weights can reach.

use ndarray::ArrayView1;
use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};

use crate::datatype::Range;

/// A closed interval of integers of any size, `lo <= hi`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Smallest value.
    pub lo: BigInt,
    /// Largest value.
    pub hi: BigInt,
}

impl Interval {
    /// The smallest two's complement width, at least 1, that holds every value.
    pub fn width(&self) -> u32 {
        // `v` fits in P bits exactly if the magnitude of v (for v >= 0) or of -v-1 (for v < 0) has at most P-1 bits.
        let magnitude = |v: &BigInt| if *v < BigInt::zero() { (-v - 1u32).bits() } else { v.bits() };
        // A number of 2^32 bits would fill half a gigabyte: it cannot come from a dot product held in memory.
        1 + u32::try_from(magnitude(&self.lo).max(magnitude(&self.hi))).unwrap_or(u32::MAX - 1)
    }

    /// The smallest interval that holds this one and 0: what a running sum that starts at 0 can pass through.
    pub fn with_zero(self) -> Self {
        Interval { lo: self.lo.min(BigInt::zero()), hi: self.hi.max(BigInt::zero()) }
    }

    /// Whether every value of `other` is in here.
    pub fn holds(&self, other: &Interval) -> bool {
        self.lo <= other.lo && other.hi <= self.hi
    }

    /// Whether there is only one value.
    pub fn is_constant(&self) -> bool {
        self.lo == self.hi
    }

    /// The same interval in machine words, if it fits in `i64`.
    pub fn to_range(&self) -> Option<Range> {
        Some(Range { lo: self.lo.to_i64()?, hi: self.hi.to_i64()? })
    }
}

impl From<Range> for Interval {
    fn from(range: Range) -> Self {
        Interval { lo: range.lo.into(), hi: range.hi.into() }
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {}]", self.lo, self.hi)
    }
}

/// What every bound needs to know of one output channel's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignSums {
    /// Sum of the positive weights.
    pub alpha: BigInt,
    /// Sum of the magnitudes of the negative weights.
    pub beta: BigInt,
}

impl SignSums {
    /// Sums over one row of weights.
    pub fn of(row: ArrayView1<'_, i64>) -> Self {
        let (mut alpha, mut beta) = (0i128, 0i128);
        // No overflow: it would take 2^63 weights of the largest magnitude.
        for &w in row {
            if w > 0 { alpha += i128::from(w) } else { beta -= i128::from(w) }
        }
        SignSums { alpha: alpha.into(), beta: beta.into() }
    }

    /// The l1 norm.
    pub fn l1(&self) -> BigInt {
        &self.alpha + &self.beta
    }

    /// The dot products that inputs, each anywhere in `input` or 0, can reach; partial sums in any order included.
    ///
    /// `max = x_max * alpha - x_min * beta` and `min = x_min * alpha - x_max * beta`, with `input` widened to hold 0.
    pub fn interval(&self, input: Range) -> Interval {
        let (x_min, x_max) = (BigInt::from(input.lo.min(0)), BigInt::from(input.hi.max(0)));
        Interval { lo: &x_min * &self.alpha - &x_max * &self.beta, hi: &x_max * &self.alpha - &x_min * &self.beta }
    }
}

/// The dot products of `row` that can be reached when input `c` lies anywhere in `ranges[c]`; one range per weight.
pub fn reachable_interval(row: ArrayView1<'_, i64>, ranges: &[Range]) -> Interval {
    sum(row, ranges, |range| range)
}

/// What a register that starts at 0 and adds the products of `row` in any order can hold on its way: the ranges, one
/// per weight, are widened to hold 0, because a product that has not been added yet counts as 0.
pub fn prefix_interval(row: ArrayView1<'_, i64>, ranges: &[Range]) -> Interval {
    sum(row, ranges, |range| range.hull(Range::ZERO))
}

fn sum(row: ArrayView1<'_, i64>, ranges: &[Range], of: impl Fn(Range) -> Range) -> Interval {
    debug_assert_eq!(row.len(), ranges.len());
    let (mut lo, mut hi) = (Sum::default(), Sum::default());
    for (&w, &range) in row.iter().zip(ranges) {
        let range = of(range);
        let (at_lo, at_hi) = (i128::from(w) * i128::from(range.lo), i128::from(w) * i128::from(range.hi));
        lo.add(at_lo.min(at_hi));
        hi.add(at_lo.max(at_hi));
    }
    Interval { lo: lo.total(), hi: hi.total() }
}

/// A sum of machine words that spills into a big integer before it would overflow.
#[derive(Default)]
struct Sum {
    word: i128,
    spilled: BigInt,
}

impl Sum {
    fn add(&mut self, value: i128) {
        match self.word.checked_add(value) {
            Some(sum) => self.word = sum,
            None => {
                self.spilled += self.word;
                self.word = value;
            }
        }
    }

    fn total(self) -> BigInt {
        self.spilled + self.word
    }
}
