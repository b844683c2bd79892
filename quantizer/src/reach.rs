//! What a layer's output can reach, from what its inputs can: exact per channel, and the same for every caller.

use std::iter::repeat_n;

use crate::bound::reachable_interval;
use crate::datatype::{DataType, Range};
use crate::network::{Conv, Op, Tensor, Window, image};
use crate::patch::{Ends, Patches};
use crate::shape::output_shape;

/// The widest accumulator that a [`Network`](crate::network::Network) can hold, in bits. Its values are `i64`; the two
/// bits less keep a threshold just above the largest value, and the ends of its datatype's range, within `i64`.
pub const MAX_ACCUMULATOR_BITS: u32 = 62;

/// The exact range of every output channel of `op` when its input channels reach their `ranges`, each value independently of all
/// others. Of convolutions and sums near a border: whichever of their windows reaches farthest.
///
/// `None` if an accumulator would be wider than [`MAX_ACCUMULATOR_BITS`], or if the shapes of inputs and operation disagree.
pub fn output_ranges(op: &Op, inputs: &[&Tensor]) -> Option<Vec<Range>> {
    let shapes: Vec<&[usize]> = inputs.iter().map(|t| t.shape.as_slice()).collect();
    output_shape(op, &shapes).ok()?;
    if inputs.iter().any(|t| Some(&t.ranges.len()) != t.shape.first()) {
        return None;
    }
    let input = *inputs.first()?;
    match op {
        Op::Flatten => {
            let each = elements(&input.shape)?.checked_div(input.ranges.len())?;
            Some(input.ranges.iter().flat_map(|&range| repeat_n(range, each)).collect())
        }
        Op::Dense(dense) => dense
            .weights
            .rows()
            .into_iter()
            .map(|row| {
                let interval = reachable_interval(row, &input.ranges);
                (interval.width() <= MAX_ACCUMULATOR_BITS).then(|| interval.to_range()).flatten()
            })
            .collect(),
        Op::Threshold(threshold) => {
            let channel = |(c, range): (usize, &Range)| {
                let steps = threshold.channel(c);
                // The largest code must exist; then every code that `apply` computes does.
                steps.base.checked_add(i64::try_from(steps.steps.len()).ok()?)?;
                let (a, b) = (steps.apply(range.lo), steps.apply(range.hi));
                Some(Range { lo: a.min(b), hi: a.max(b) })
            };
            input.ranges.iter().enumerate().map(channel).collect()
        }
        Op::Table(table) => input.ranges.iter().enumerate().map(|(c, &range)| table.range(c, range)).collect(),
        Op::Conv(conv) => convolution(conv, input),
        Op::SumPool(window) => sums(window, input),
        Op::Add(add) => (0..input.ranges.len())
            .map(|c| {
                let mut total = Ends::default();
                for (&k, tensor) in add.coefficients.iter().zip(inputs) {
                    total = total.plus(Ends::of(k, tensor.ranges[c]))?;
                }
                within_limit(total)
            })
            .collect(),
        // The largest of values of one range has that range, however many take part.
        Op::MaxPool(_) | Op::Upsample(_) => Some(input.ranges.clone()),
        Op::Concat => Some(inputs.iter().flat_map(|t| t.ranges.iter().copied()).collect()),
        Op::DepthToSpace(to) => {
            let places = to.block * to.block;
            let channels = input.ranges.len() / places;
            let from = |c: usize, place: usize| if to.column_first { c * places + place } else { place * channels + c };
            let hull = |c| (0..places).map(|place| input.ranges[from(c, place)]).reduce(Range::hull);
            (0..channels).map(hull).collect()
        }
    }
}

fn convolution(conv: &Conv, input: &Tensor) -> Option<Vec<Range>> {
    let (channels, size) = image(&input.shape)?;
    let patches = Patches::new(&conv.window, size);
    let (each, rows) = (channels / conv.groups, conv.weights.nrows() / conv.groups);
    let row = |(r, weights)| {
        let first = r / rows * each;
        within_limit(patches.reach(weights, &input.ranges[first..first + each])?.ends)
    };
    conv.weights.rows().into_iter().enumerate().map(row).collect()
}

fn sums(window: &Window, input: &Tensor) -> Option<Vec<Range>> {
    let (_, size) = image(&input.shape)?;
    // The number of places on the image is a product of one number of each axis: its ends are those of the axes.
    let counts = [0, 1].map(|axis| {
        let counts = window.taps(axis, size[axis]).into_iter().map(|taps| taps.count() as i64);
        counts.clone().min().zip(counts.max())
    });
    let [Some(rows), Some(columns)] = counts else { return None };
    let (fewest, most) = (rows.0 * columns.0, rows.1 * columns.1);
    input.ranges.iter().map(|&range| within_limit(Ends::of(fewest, range).hull(Ends::of(most, range)))).collect()
}

fn within_limit(ends: Ends) -> Option<Range> {
    let range = ends.to_range()?;
    (range.signed_width() <= MAX_ACCUMULATOR_BITS).then_some(range)
}

/// The datatype of the output of `op` whose channels reach `ranges`; `None` for a Threshold, which declares its own.
///
/// What only moves codes keeps their type. A Concat of several types has the smallest plain one that holds all of them, and sums
/// have [`accumulator_type`].
pub fn output_type(op: &Op, inputs: &[&Tensor], ranges: &[Range]) -> Option<DataType> {
    match op {
        Op::Threshold(_) | Op::Table(_) => None,
        Op::Dense(_) | Op::Conv(_) | Op::SumPool(_) | Op::Add(_) => accumulator_type(ranges),
        Op::Flatten | Op::MaxPool(_) | Op::Upsample(_) | Op::DepthToSpace(_) | Op::Concat => {
            let first = inputs.first()?.datatype;
            if inputs.iter().all(|t| t.datatype == first) {
                return Some(first);
            }
            inputs.iter().map(|t| t.datatype.range()).reduce(Range::hull).map(DataType::fitting)
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

#[cfg(test)]
mod tests;
