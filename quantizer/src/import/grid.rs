//! A grid for classes of different scales that is coarser than their values, and keeps their order all the same.
//!
//! Scales that come from floats have a common grid so fine that words on it would not fit. Codes are integers in known
//! ranges, so a rounded grid is enough if it decides every pair of codes of every two classes as the values do, ties
//! included. That is checked for all of them: for each code of one class the place among the codes of the other where
//! the order turns.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};

use super::output::fits;
use crate::datatype::Range;
use crate::network::LabelGrid;
use crate::rational::{Rational, power_of_two};

/// The most places computed in the search for a grid.
const MAX_WORK: u64 = 1 << 27;

/// Bits tried for the largest multiplier.
const BITS: [i64; 8] = [16, 20, 24, 28, 32, 40, 48, 58];

/// The coarsest of a few rounded grids that orders all codes as the values `factor * code + offset` do; factors are not 0.
/// `None` if there is none, or the search would take too long.
pub fn rounded(values: &[(Rational, Rational)], ranges: &[Range]) -> Option<LabelGrid> {
    let classes = values.len() as u64;
    let codes: u64 = ranges.iter().map(|r| r.hi.abs_diff(r.lo).saturating_add(1)).fold(0, u64::saturating_add);
    if codes.saturating_mul(classes).saturating_mul(2) > MAX_WORK {
        return None;
    }
    let largest = values.iter().map(|(a, _)| a.abs()).max().filter(|a| !a.is_zero())?;
    let exponent = largest.numer().bits() as i64 - largest.denom().bits() as i64;
    let exact = Lines::of(values);
    BITS.into_iter().find_map(|bits| {
        let unit = power_of_two(bits - exponent);
        let whole = |v: &Rational| (v * &unit).round().to_integer().to_i64();
        let multiplier: Vec<i64> = values.iter().map(|(a, _)| whole(a)).collect::<Option<_>>()?;
        let offset: Vec<i64> = values.iter().map(|(_, b)| whole(b)).collect::<Option<_>>()?;
        let grid = LabelGrid { multiplier, offset };
        let signs =
            grid.multiplier.iter().zip(values).all(|(m, (a, _))| m.signum() == i64::from(a.is_positive()) * 2 - 1);
        (signs && fits(&grid, ranges) && same_order(&exact, &grid, ranges)).then_some(grid)
    })
}

/// Values as integers on the finest grid.
struct Lines(Vec<(BigInt, BigInt)>);

impl Lines {
    fn of(values: &[(Rational, Rational)]) -> Self {
        let numbers = || values.iter().flat_map(|(a, b)| [a, b]);
        let denominator = numbers().fold(BigInt::from(1), |d, v| d.lcm(v.denom()));
        let whole = |v: &Rational| (v * &denominator).to_integer();
        Lines(values.iter().map(|(a, b)| (whole(a), whole(b))).collect())
    }

    /// As machine words, if products with `i64` codes and their sums stay within them.
    fn small(&self) -> Option<Vec<(i128, i128)>> {
        let word = |v: &BigInt| v.to_i128().filter(|v| v.unsigned_abs() < 1 << 90);
        self.0.iter().map(|(a, b)| Some((word(a)?, word(b)?))).collect()
    }
}

/// Whether `grid` orders every code of every class as the exact values do.
fn same_order(exact: &Lines, grid: &LabelGrid, ranges: &[Range]) -> bool {
    // Codes of at most 32 bits times 90 bits stay within 128.
    let narrow = ranges.iter().all(|r| r.lo.unsigned_abs() < 1 << 32 && r.hi.unsigned_abs() < 1 << 32);
    let rough = |c: usize| (i128::from(grid.multiplier[c]), i128::from(grid.offset[c]));
    let fine = exact.small().filter(|_| narrow);
    (0..ranges.len()).all(|c| {
        (0..c).all(|d| {
            // The class with fewer codes is walked through.
            let (c, d) = if ranges[c].hi - ranges[c].lo <= ranges[d].hi - ranges[d].lo { (c, d) } else { (d, c) };
            let to = ranges[d];
            (ranges[c].lo..=ranges[c].hi).all(|x| {
                let rough = turn(rough(c), rough(d), x, to);
                match &fine {
                    Some(fine) => turn(fine[c], fine[d], x, to) == rough,
                    None => big_turn(&exact.0[c], &exact.0[d], x, to) == rough,
                }
            })
        })
    })
}

/// Where among the codes `y` of one class its value passes that of code `x` of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Before all of them.
    Before,
    /// Behind all of them.
    Behind,
    /// At this code: equal values.
    At(i64),
    /// Between this code and the next.
    After(i64),
}

fn turn((a, b): (i128, i128), (to, shift): (i128, i128), x: i64, range: Range) -> Turn {
    let difference = a * i128::from(x) + b - shift;
    let (floor, rest) = difference.div_mod_floor(&to);
    let (lo, hi) = (i128::from(range.lo), i128::from(range.hi));
    match floor {
        _ if floor < lo => Turn::Before,
        _ if floor > hi || (floor == hi && rest != 0) => Turn::Behind,
        // Within the range of an i64.
        _ if rest == 0 => Turn::At(floor as i64),
        _ => Turn::After(floor as i64),
    }
}

fn big_turn((a, b): &(BigInt, BigInt), (to, shift): &(BigInt, BigInt), x: i64, range: Range) -> Turn {
    let (floor, rest) = (a * x + b - shift).div_mod_floor(to);
    match floor.to_i64() {
        None if floor.is_negative() => Turn::Before,
        None => Turn::Behind,
        Some(floor) if floor < range.lo => Turn::Before,
        Some(floor) if floor > range.hi || (floor == range.hi && !rest.is_zero()) => Turn::Behind,
        Some(floor) if rest.is_zero() => Turn::At(floor),
        Some(floor) => Turn::After(floor),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rounded_grid_keeps_the_order(
            numbers in proptest::collection::vec(((1i64..1 << 40), -(1i64 << 50)..1 << 50, any::<bool>()), 2..4),
            ranges in proptest::collection::vec((-9i64..0, 0i64..9), 4),
        ) {
            // Denominators near 2^40 without a common factor: any exact grid is far too fine.
            let value = |&(a, b, negative): &(i64, i64, bool)| {
                let a = Rational::new((if negative { -a } else { a }).into(), ((1i64 << 40) - 87).into());
                (a, Rational::new(b.into(), (1i64 << 45).into()))
            };
            let values: Vec<_> = numbers.iter().map(value).collect();
            let ranges: Vec<_> = ranges[..values.len()].iter().map(|&(lo, hi)| Range::new(lo, hi)).collect();
            let Some(grid) = rounded(&values, &ranges) else { return Ok(()) };
            for c in 0..values.len() {
                for d in 0..c {
                    for x in ranges[c].lo..=ranges[c].hi {
                        for y in ranges[d].lo..=ranges[d].hi {
                            let value = |c: usize, x: i64| &values[c].0 * Rational::from_integer(x.into()) + &values[c].1;
                            let rough = |c: usize, x: i64| grid.multiplier[c] * x + grid.offset[c];
                            prop_assert_eq!(value(c, x).cmp(&value(d, y)), rough(c, x).cmp(&rough(d, y)));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn ordinary_scales_have_a_rounded_grid_and_hidden_ties_none() {
        let value =
            |a: i64, b: i64| (Rational::new(a.into(), 1_000_003.into()), Rational::new(b.into(), 999_983.into()));
        let ranges = [Range::new(-3000, 3000), Range::new(-2000, 2500)];
        let grid = rounded(&[value(12_345_678, 7), value(7_654_321, 123_456)], &ranges).unwrap();
        assert!(grid.multiplier[0] < 1 << 40, "{grid:?}");
        // 3/7 and 5/11 tie at (35, 33) and its multiples; no rounding keeps that.
        let tie = |n: i64, d: i64| (Rational::new(n.into(), d.into()), Rational::from_integer(0.into()));
        assert_eq!(rounded(&[tie(3, 7), tie(5, 11)], &ranges), None);
    }
}
