//! The network's end: real values of the outputs, and the integer grid on which classes are compared.

use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::codes::Quantized;
use super::grid;
use super::real::Real;
use crate::datatype::Range;
use crate::network::{LabelGrid, Tensor};
use crate::rational::{self, Rational};

/// The grid for the network's output, if it is a vector of classes.
///
/// # Errors
/// A reason: it is an image, or as [`label_grid`].
pub fn of_vector(codes: &Quantized, tensor: &Tensor, layer: &str) -> Result<LabelGrid, String> {
    let classes = tensor.ranges.len();
    if tensor.shape.iter().skip(1).any(|&d| d != 1) || !classes.is_multiple_of(codes.factor.blocks()) {
        return Err(format!(
            "the output of shape {:?} is an image, not classes; it needs --output logits",
            tensor.shape
        ));
    }
    let value = |c| (codes.factor.at(c, classes).clone(), codes.offset.at(c, classes).clone());
    label_grid(&(0..classes).map(value).collect::<Vec<_>>(), &tensor.ranges, layer)
}

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
    let exact = || {
        let multiplier = numbers.iter().map(|(a, _)| whole(a)).collect::<Option<_>>()?;
        let offset = numbers.iter().map(|(_, b)| whole(b)).collect::<Option<_>>()?;
        Some(LabelGrid { multiplier, offset }).filter(|grid| fits(grid, ranges))
    };
    exact().or_else(|| grid::rounded(&numbers, ranges)).ok_or_else(|| {
        format!(
            "the classes' factors have no common grid below 62 bits, and no rounded one keeps their order; {way_out}"
        )
    })
}

/// Whether every value on the grid has at most 62 bits.
pub fn fits(grid: &LabelGrid, ranges: &[Range]) -> bool {
    let max = BigInt::one() << 61u32;
    grid.multiplier
        .iter()
        .zip(&grid.offset)
        .zip(ranges)
        .all(|((&m, &o), r)| [r.lo, r.hi].iter().all(|&x| (BigInt::from(m) * x + o).abs() < max))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// Factors and offsets with and without a common root, ranges small enough to try.
    fn classes() -> impl Strategy<Value = Vec<(Real, Real)>> {
        let number = || (-6i64..=6, 1i64..=4).prop_map(|(n, d)| Rational::new(n.into(), d.into()));
        let one = (number(), number());
        (proptest::collection::vec(one, 2..4), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(mut numbers, same, root, mixed)| {
                if same {
                    let first = numbers[0].0.clone();
                    numbers.iter_mut().for_each(|(a, _)| *a = first.clone());
                }
                let sqrt2 = Real::from(2).sqrt().unwrap();
                let rooted = |v: Rational, yes: bool| if yes { Real::from(v).mul(&sqrt2) } else { v.into() };
                numbers.into_iter().map(|(a, b)| (rooted(a, root), rooted(b, root && !mixed))).collect()
            },
        )
    }

    proptest! {
        #[test]
        fn the_grid_orders_as_the_values_do(outputs in classes()) {
            let ranges = vec![Range::new(-5, 7); outputs.len()];
            let Ok(grid) = label_grid(&outputs, &ranges, "last") else {
                // Only constants and irrational differences may be refused.
                let same = outputs.iter().all(|(a, _)| *a == outputs[0].0);
                prop_assert!(!same || outputs[0].0.is_zero());
                return Ok(());
            };
            let value = |c: usize, n: i64| outputs[c].0.mul(&n.into()).add(&outputs[c].1);
            let on_grid = |c: usize, n: i64| grid.multiplier[c] * n + grid.offset[c];
            for m in -5..=7 {
                for n in -5..=7 {
                    for (c, d) in [(0, 1), (outputs.len() - 1, 0)] {
                        prop_assert_eq!(on_grid(c, m).cmp(&on_grid(d, n)), value(c, m).compare(&value(d, n)), "{} {}", m, n);
                    }
                }
            }
        }
    }

    #[test]
    fn fine_grids_are_refused() {
        let tiny = |k: i64| Real::from(Rational::one() + rational::power_of_two(-k));
        let outputs = [(tiny(80), Real::from(0)), (tiny(70), Real::from(0))];
        let refused = label_grid(&outputs, &[Range::new(0, 1); 2], "last").unwrap_err();
        assert!(refused.contains("'last'") && refused.contains("--output logits"), "{refused}");
        let outputs = [(Real::from(1), Real::from(0)), (Real::from(1), rational::power_of_two(70).into())];
        assert!(label_grid(&outputs, &[Range::new(0, 1); 2], "last").is_err());
    }
}
