//! The network's end: real values of the outputs, and the integer grid on which classes are compared.

use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::real::Real;
use crate::datatype::Range;
use crate::network::LabelGrid;
use crate::rational::{self, Rational};

/// The grid for outputs `factor * code + offset`, one pair and one range of codes per class.
///
/// With one factor for all classes the codes are compared first and the offsets, counted in factors, break what is
/// left: the whole part adds to the code, and of the fractions only the order matters. So words stay short and ties are
/// ties. With several factors a common grid is needed, which rational numbers have.
///
/// # Errors
/// A reason, if some factor is irrational against another or the grid is too fine for 62 bits.
pub fn label_grid(outputs: &[(Real, Real)], ranges: &[Range], layer: &str) -> Result<LabelGrid, String> {
    let way_out = format!("layer '{layer}' needs --output logits");
    let Some((factor, _)) = outputs.first() else { return Err("there are no outputs".into()) };
    if let Some(class) = outputs.iter().position(|(a, _)| a.is_zero()) {
        return Err(format!("the output of class {class} is a constant; {way_out}"));
    }
    if outputs.iter().all(|(a, _)| a == factor) {
        return shared(factor, outputs, ranges, &way_out);
    }
    scaled(outputs, ranges, &way_out)
}

/// One factor for all.
fn shared(factor: &Real, outputs: &[(Real, Real)], ranges: &[Range], way_out: &str) -> Result<LabelGrid, String> {
    let fine = || format!("the classes' offsets are too far apart for one grid; {way_out}");
    // value / |factor| = sign * code + offset / |factor|.
    let sign = i64::from(factor.signum());
    let magnitude = if sign < 0 { factor.neg() } else { factor.clone() };
    let first = &outputs[0].1;
    let mut parts = Vec::with_capacity(outputs.len());
    for (_, offset) in outputs {
        let relative = offset.sub(first).div(&magnitude).ok_or_else(|| {
            format!("the classes' common factor is a sum of roots, which has no exact inverse here; {way_out}")
        })?;
        let whole = relative.floor();
        let fraction = relative.sub(&rational::integer(whole.clone()).into());
        parts.push((whole, fraction));
    }
    let mut order: Vec<&Real> = parts.iter().map(|(_, f)| f).collect();
    order.sort_by(|a, b| a.compare(b));
    order.dedup_by(|a, b| a == b);
    let count = order.len() as i64;
    let offset = |(whole, fraction): &(BigInt, Real)| {
        let rank = order.partition_point(|f| f.compare(fraction).is_lt()) as i64;
        (whole * count + rank).to_i64()
    };
    let offset: Vec<i64> = parts.iter().map(offset).collect::<Option<_>>().ok_or_else(fine)?;
    let grid = LabelGrid { multiplier: vec![sign * count; outputs.len()], offset };
    if fits(&grid, ranges) { Ok(grid) } else { Err(fine()) }
}

/// Several factors: all numbers on the coarsest grid that holds them.
fn scaled(outputs: &[(Real, Real)], ranges: &[Range], way_out: &str) -> Result<LabelGrid, String> {
    let irrational = || format!("the classes' factors and offsets have no common grid: one is irrational; {way_out}");
    // The unit is the first factor's magnitude, so that a common root cancels.
    let (unit, first) = &outputs[0];
    let unit = if unit.signum() < 0 { unit.neg() } else { unit.clone() };
    let mut numbers: Vec<(Rational, Rational)> = Vec::with_capacity(outputs.len());
    for (a, b) in outputs {
        let pair = a.ratio(&unit).zip(b.sub(first).ratio(&unit));
        numbers.push(pair.ok_or_else(irrational)?);
    }
    let step = numbers.iter().fold(Rational::zero(), |g, (a, b)| rational::gcd(&rational::gcd(&g, a), b));
    let whole = |v: &Rational| (v / &step).to_integer().to_i64();
    let fine = || format!("the classes' factors have no common grid below 62 bits; {way_out}");
    let multiplier = numbers.iter().map(|(a, _)| whole(a)).collect::<Option<_>>().ok_or_else(fine)?;
    let offset = numbers.iter().map(|(_, b)| whole(b)).collect::<Option<_>>().ok_or_else(fine)?;
    let grid = LabelGrid { multiplier, offset };
    if fits(&grid, ranges) { Ok(grid) } else { Err(fine()) }
}

/// Whether every value on the grid has at most 62 bits.
fn fits(grid: &LabelGrid, ranges: &[Range]) -> bool {
    let max = BigInt::one() << 61u32;
    grid.multiplier
        .iter()
        .zip(&grid.offset)
        .zip(ranges)
        .all(|((&m, &o), r)| [r.lo, r.hi].iter().all(|&x| (BigInt::from(m) * x + o).abs() < max))
}
