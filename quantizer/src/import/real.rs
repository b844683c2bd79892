//! Exact real numbers of the form `p + q1*sqrt(r1) + q2*sqrt(r2) + ...` with rational `p`, `q` and integer `r`.
//!
//! They hold every number that a network without exponentials computes: parameters are rational, and BatchNorm brings
//! square roots. Comparisons are always decided: radicands differ by more than a square factor, roots of such
//! radicands are linearly independent over the rationals, so a number with a root in it is never 0, and refining
//! an enclosure ends.

mod text;

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, Zero};

use crate::rational::{self, Rational};

/// An exact real number.
#[derive(Clone, Debug)]
pub struct Real {
    rational: Rational,
    surds: Vec<Surd>,
}

/// `coefficient * sqrt(radicand)`: coefficient not 0, radicand at least 2 and no square.
#[derive(Clone, Debug)]
struct Surd {
    coefficient: Rational,
    radicand: BigInt,
}

impl PartialEq for Real {
    fn eq(&self, other: &Real) -> bool {
        // Terms may stand in any order.
        self.compare(other).is_eq()
    }
}

impl From<Rational> for Real {
    fn from(rational: Rational) -> Self {
        Real { rational, surds: Vec::new() }
    }
}

impl From<i64> for Real {
    fn from(v: i64) -> Self {
        rational::integer(v).into()
    }
}

impl Real {
    /// The exact value of a float; `None` for NaN and infinities.
    pub fn from_f64(v: f64) -> Option<Self> {
        rational::from_f64(v).map(Real::from)
    }

    /// The value if it is rational.
    pub fn as_rational(&self) -> Option<&Rational> {
        self.surds.is_empty().then_some(&self.rational)
    }

    /// Whether the value is 0.
    pub fn is_zero(&self) -> bool {
        self.surds.is_empty() && self.rational.is_zero()
    }

    /// Sum.
    pub fn add(&self, other: &Real) -> Real {
        let mut sum = Real { rational: &self.rational + &other.rational, surds: self.surds.clone() };
        for surd in &other.surds {
            sum.add_surd(surd.coefficient.clone(), &surd.radicand);
        }
        sum
    }

    /// Difference.
    pub fn sub(&self, other: &Real) -> Real {
        self.add(&other.neg())
    }

    /// Negation.
    pub fn neg(&self) -> Real {
        let surds = self.surds.iter().map(|s| Surd { coefficient: -&s.coefficient, radicand: s.radicand.clone() });
        Real { rational: -&self.rational, surds: surds.collect() }
    }

    /// Product.
    pub fn mul(&self, other: &Real) -> Real {
        let mut product = Real::from(&self.rational * &other.rational);
        for (factor, surds) in [(&self.rational, &other.surds), (&other.rational, &self.surds)] {
            for s in surds {
                product.add_surd(factor * &s.coefficient, &s.radicand);
            }
        }
        for a in &self.surds {
            for b in &other.surds {
                product.add_root(&a.coefficient * &b.coefficient, &a.radicand * &b.radicand);
            }
        }
        product
    }

    /// `1 / self`; `None` for 0 and for sums of several terms, which stay out of this form.
    pub fn reciprocal(&self) -> Option<Real> {
        match &self.surds[..] {
            [] if self.rational.is_zero() => None,
            [] => Some(self.rational.recip().into()),
            // 1 / (q*sqrt(r)) = sqrt(r) / (q*r).
            [s] if self.rational.is_zero() => {
                let coefficient = (&s.coefficient * rational::integer(s.radicand.clone())).recip();
                let surd = Surd { coefficient, radicand: s.radicand.clone() };
                Some(Real { rational: Rational::zero(), surds: vec![surd] })
            }
            _ => None,
        }
    }

    /// Quotient, under the conditions of [`Real::reciprocal`].
    pub fn div(&self, other: &Real) -> Option<Real> {
        if let ([], Some(d)) = (&self.surds[..], other.as_rational()) {
            // The common case, with one reduction instead of two.
            return (!d.is_zero()).then(|| (&self.rational / d).into());
        }
        other.reciprocal().map(|r| self.mul(&r))
    }

    /// Square root of a rational number; `None` if negative or irrational itself.
    pub fn sqrt(&self) -> Option<Real> {
        let v = self.as_rational().filter(|v| !v.is_negative())?;
        // sqrt(n/d) = sqrt(n*d) / d.
        let mut root = Real::from(Rational::zero());
        root.add_root(Rational::new(BigInt::one(), v.denom().clone()), v.numer() * v.denom());
        Some(root)
    }

    /// Adds `coefficient * sqrt(radicand)` for any `radicand >= 0`.
    fn add_root(&mut self, coefficient: Rational, radicand: BigInt) {
        // Powers of 4 leave at once: floats bring many.
        let half = radicand.trailing_zeros().unwrap_or(0) / 2;
        let (coefficient, radicand) = (coefficient * rational::integer(BigInt::one() << half), radicand >> (2 * half));
        let root = radicand.sqrt();
        if &root * &root == radicand {
            self.rational += coefficient * rational::integer(root);
        } else {
            self.add_surd(coefficient, &radicand);
        }
    }

    /// Adds a term whose radicand is no square, merging it with one whose radicand differs by a square factor.
    fn add_surd(&mut self, coefficient: Rational, radicand: &BigInt) {
        if coefficient.is_zero() {
            return;
        }
        for (i, s) in self.surds.iter_mut().enumerate() {
            let factor = if s.radicand == *radicand {
                Some(Rational::one())
            } else {
                // sqrt(b) = sqrt(a*b)/a * sqrt(a).
                let product = &s.radicand * radicand;
                let root = product.sqrt();
                (&root * &root == product).then(|| Rational::new(root, s.radicand.clone()))
            };
            if let Some(factor) = factor {
                s.coefficient += coefficient * factor;
                if s.coefficient.is_zero() {
                    self.surds.remove(i);
                }
                return;
            }
        }
        self.surds.push(Surd { coefficient, radicand: radicand.clone() });
    }

    /// Rational bounds `lo <= self <= hi`; each root is known to `bits` bits behind its leading one.
    pub fn enclose(&self, bits: u32) -> (Rational, Rational) {
        let (mut lo, mut hi) = (self.rational.clone(), self.rational.clone());
        for s in &self.surds {
            let root = (&s.radicand << (2 * u64::from(bits))).sqrt();
            let scale = rational::power_of_two(-i64::from(bits));
            let below = &s.coefficient * rational::integer(root.clone()) * &scale;
            let above = &s.coefficient * rational::integer(root + 1u32) * &scale;
            let (a, b) = if s.coefficient.is_negative() { (above, below) } else { (below, above) };
            lo += a;
            hi += b;
        }
        (lo, hi)
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        let sign = |v: &Rational| if v.is_positive() { 1 } else { -i32::from(v.is_negative()) };
        match &self.surds[..] {
            [] => sign(&self.rational),
            [s] if self.rational.is_zero() => sign(&s.coefficient),
            _ => {
                let mut bits = 64;
                loop {
                    let (lo, hi) = self.enclose(bits);
                    if lo.is_positive() {
                        return 1;
                    }
                    if hi.is_negative() {
                        return -1;
                    }
                    // Ends: the number is not 0, see the head of this file.
                    bits *= 2;
                }
            }
        }
    }

    /// Order of two numbers.
    pub fn compare(&self, other: &Real) -> Ordering {
        match (self.as_rational(), other.as_rational()) {
            (Some(a), Some(b)) => a.cmp(b),
            _ => self.sub(other).signum().cmp(&0),
        }
    }

    /// The largest integer that is at most this number.
    pub fn floor(&self) -> BigInt {
        if let Some(v) = self.as_rational() {
            return v.numer().div_floor(v.denom());
        }
        let (lo, hi) = self.enclose(64);
        let (mut low, mut high) = (lo.floor().to_integer(), hi.floor().to_integer());
        // Irrational, so never an integer: bisect between the two candidates.
        while low < high {
            let middle: BigInt = (&low + &high + 1u32).div_floor(&BigInt::from(2));
            if self.compare(&rational::integer(middle.clone()).into()) == Ordering::Less {
                high = middle - 1u32;
            } else {
                low = middle;
            }
        }
        low
    }

    /// The smallest integer that is at least this number.
    pub fn ceil(&self) -> BigInt {
        -self.neg().floor()
    }

    /// The nearest `f64`.
    pub fn to_f64(&self) -> f64 {
        if let Some(v) = self.as_rational() {
            return rational::to_f64(v);
        }
        let mut bits = 96;
        loop {
            let (lo, hi) = self.enclose(bits);
            let (lo, hi) = (rational::to_f64(&lo), rational::to_f64(&hi));
            // An irrational number is on no tie, so this ends; the limit is for the reader's peace.
            if lo == hi || bits > 1 << 16 {
                return lo;
            }
            bits *= 2;
        }
    }

    /// `self / other` if that is rational.
    pub fn ratio(&self, other: &Real) -> Option<Rational> {
        // A quotient in this form is unique, so comparing the parts one by one finds it.
        if other.is_zero() {
            return None;
        }
        if self.is_zero() {
            return Some(Rational::zero());
        }
        let candidate = if other.rational.is_zero() {
            let s = other.surds.first()?;
            let product = |t: &&Surd| {
                let root = (&t.radicand * &s.radicand).sqrt();
                &root * &root == &t.radicand * &s.radicand
            };
            let t = self.surds.iter().find(product)?;
            let root = (&t.radicand * &s.radicand).sqrt();
            &t.coefficient * Rational::new(root, s.radicand.clone()) / &s.coefficient
        } else {
            &self.rational / &other.rational
        };
        other.mul(&candidate.clone().into()).sub(self).is_zero().then_some(candidate)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn root(v: i64) -> Real {
        Real::from(v).sqrt().unwrap()
    }

    #[test]
    fn roots_combine_exactly() {
        assert!(root(8).sub(&root(2)).sub(&root(2)).is_zero());
        assert_eq!(root(9), Real::from(3));
        assert_eq!(root(2).mul(&root(2)), Real::from(2));
        assert_eq!(root(6).mul(&root(3)).ratio(&root(2)), Some(rational::integer(3)));
        assert!(root(2).mul(&root(3)).sub(&root(6)).is_zero());
        assert_eq!(root(2).reciprocal().unwrap().mul(&root(2)), Real::from(1));
        assert!(root(2).add(&root(3)).reciprocal().is_none());
        assert!(Real::from(-1).sqrt().is_none());
        assert_eq!(root(2).add(&1.into()).ratio(&root(8).add(&2.into())), Some(Rational::new(1.into(), 2.into())));
        assert_eq!(root(2).ratio(&root(3)), None);
    }

    #[test]
    fn close_calls_are_decided() {
        // sqrt(10) + sqrt(11) and sqrt(5) + sqrt(18) differ by about 2e-4; Pell numbers come closer to sqrt(2).
        let pell =
            Rational::new("1572584048032918633353217".parse().unwrap(), "1111984844349868137938112".parse().unwrap());
        assert_eq!(Real::from(pell.clone()).compare(&root(2)), Ordering::Greater);
        assert_eq!(
            Real::from(Rational::new(pell.denom() * 2u32, pell.numer().clone())).compare(&root(2)),
            Ordering::Less
        );
        assert_eq!(root(10).add(&root(11)).compare(&root(5).add(&root(18))), Ordering::Greater);
    }

    #[test]
    fn floors_and_floats() {
        assert_eq!(root(2).floor(), 1.into());
        assert_eq!(root(2).ceil(), 2.into());
        assert_eq!(root(2).neg().floor(), (-2).into());
        assert_eq!(root(2).to_f64(), std::f64::consts::SQRT_2);
        let huge = Real::from(rational::power_of_two(401)).sqrt().unwrap();
        let floor = huge.floor();
        assert!(Real::from(rational::integer(floor.clone())).compare(&huge) == Ordering::Less);
        assert!(Real::from(rational::integer(floor + 1u32)).compare(&huge) == Ordering::Greater);
        // A denormal variance.
        let denormal = f64::from(f32::from_bits(1));
        assert_eq!(Real::from_f64(denormal).unwrap().sqrt().unwrap().to_f64(), denormal.sqrt());
    }
}
