//! What a layer's output can reach, from what its input can: exact per channel, and the same for every caller.

use crate::bound::reachable_interval;
use crate::datatype::{DataType, Range};
use crate::network::{Op, Tensor};

/// The widest accumulator that a [`Network`](crate::network::Network) can hold, in bits. Its values are `i64`; the two
/// bits less keep a threshold just above the largest value, and the ends of its datatype's range, within `i64`.
pub const MAX_ACCUMULATOR_BITS: u32 = 62;

/// The exact range of every output channel of `op` when its input channels reach `input.ranges`.
///
/// `None` if an accumulator would be wider than [`MAX_ACCUMULATOR_BITS`], or if the shapes of input and operation disagree.
pub fn output_ranges(op: &Op, input: &Tensor) -> Option<Vec<Range>> {
    match op {
        Op::Flatten => {
            let elements = elements(&input.shape)?;
            let each = elements.checked_div(input.ranges.len())?;
            Some(input.ranges.iter().flat_map(|&range| std::iter::repeat_n(range, each)).collect())
        }
        Op::Dense(dense) => {
            if dense.weights.ncols() != input.ranges.len() {
                return None;
            }
            dense
                .weights
                .rows()
                .into_iter()
                .map(|row| {
                    let interval = reachable_interval(row, &input.ranges);
                    (interval.width() <= MAX_ACCUMULATOR_BITS).then(|| interval.to_range()).flatten()
                })
                .collect()
        }
        Op::Threshold(threshold) => {
            if threshold.channels.len() != 1 && threshold.channels.len() != input.ranges.len() {
                return None;
            }
            let channel = |(c, range): (usize, &Range)| {
                let steps = threshold.channel(c);
                // The largest code must exist; then every code that `apply` computes does.
                steps.base.checked_add(i64::try_from(steps.steps.len()).ok()?)?;
                let (a, b) = (steps.apply(range.lo), steps.apply(range.hi));
                Some(Range { lo: a.min(b), hi: a.max(b) })
            };
            input.ranges.iter().enumerate().map(channel).collect()
        }
    }
}

/// The datatype of an accumulator: the smallest plain one that holds every channel's range; `None` without channels.
pub fn accumulator_type(ranges: &[Range]) -> Option<DataType> {
    ranges.iter().copied().reduce(Range::hull).map(DataType::fitting)
}

/// The number of elements of a shape; `None` if it does not fit in `usize`.
pub fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}
