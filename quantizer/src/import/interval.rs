//! Rigorous intervals: of floats, for speed, and of rationals with a chosen number of significant bits, for doubt.
//!
//! Floats: IEEE 754 rounds each operation to nearest, so the true result lies between the neighbours of the computed
//! one; denormals and overflow to infinity included.

use num_traits::{Signed, Zero};

use super::exponential::{Enclosure, sigmoid, tanh};
use super::number::{Number, Precision, Rounding};
use super::real::Real;
use crate::rational::{self, Rational};

/// `lo <= v <= hi` in floats; never NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatInterval {
    lo: f64,
    hi: f64,
}

impl FloatInterval {
    fn point(v: f64) -> Self {
        FloatInterval { lo: v, hi: v }
    }

    /// The interval around results that were rounded to nearest.
    fn around(lo: f64, hi: f64) -> Option<Self> {
        // NaN comes from infinities only, where nothing is known.
        (!lo.is_nan() && !hi.is_nan()).then(|| FloatInterval { lo: lo.next_down(), hi: hi.next_up() })
    }

    fn hull(values: [f64; 4]) -> Option<Self> {
        if values.iter().any(|v| v.is_nan()) {
            return None;
        }
        Self::around(
            values.into_iter().fold(f64::INFINITY, f64::min),
            values.into_iter().fold(f64::NEG_INFINITY, f64::max),
        )
    }
}

impl Number for FloatInterval {
    fn from_real(v: &Real, _: Precision) -> Self {
        let nearest = v.to_f64();
        if Real::from_f64(nearest).is_some_and(|f| f.compare(v).is_eq()) {
            return Self::point(nearest);
        }
        FloatInterval { lo: nearest.next_down(), hi: nearest.next_up() }
    }

    fn from_int(v: i64) -> Self {
        let f = v as f64;
        if v.unsigned_abs() <= 1 << 53 { Self::point(f) } else { FloatInterval { lo: f.next_down(), hi: f.next_up() } }
    }

    fn add(&self, other: &Self) -> Option<Self> {
        if *other == Self::point(0.0) {
            return Some(*self);
        }
        Self::around(self.lo + other.lo, self.hi + other.hi)
    }

    fn sub(&self, other: &Self) -> Option<Self> {
        // Equal points cancel exactly: the zeros that ties are made of.
        if self == other && self.lo == self.hi {
            return Some(Self::point(0.0));
        }
        Self::around(self.lo - other.hi, self.hi - other.lo)
    }

    fn mul(&self, other: &Self) -> Option<Self> {
        let (zero, one) = (Self::point(0.0), Self::point(1.0));
        if *self == zero || *other == zero {
            return Some(zero);
        }
        if *other == one {
            return Some(*self);
        }
        Self::hull([self.lo * other.lo, self.lo * other.hi, self.hi * other.lo, self.hi * other.hi])
    }

    fn div(&self, other: &Self) -> Option<Self> {
        if other.lo <= 0.0 && other.hi >= 0.0 {
            return None;
        }
        if *other == Self::point(1.0) || *self == Self::point(0.0) {
            return Some(*self);
        }
        Self::hull([self.lo / other.lo, self.lo / other.hi, self.hi / other.lo, self.hi / other.hi])
    }

    fn sqrt(&self) -> Option<Self> {
        if self.lo < 0.0 {
            return None;
        }
        Some(FloatInterval { lo: self.lo.sqrt().next_down().max(0.0), hi: self.hi.sqrt().next_up() })
    }

    fn min(&self, other: &Self) -> Option<Self> {
        Some(FloatInterval { lo: self.lo.min(other.lo), hi: self.hi.min(other.hi) })
    }

    fn max(&self, other: &Self) -> Option<Self> {
        Some(FloatInterval { lo: self.lo.max(other.lo), hi: self.hi.max(other.hi) })
    }

    fn at_least(&self, other: &Self) -> Option<bool> {
        if self.lo >= other.hi {
            Some(true)
        } else if self.hi < other.lo {
            Some(false)
        } else {
            None
        }
    }

    fn sigmoid(&self) -> Option<Self> {
        monotone(self.lo, self.hi, |v| sigmoid(&Self::point(v), 53))
    }

    fn tanh(&self) -> Option<Self> {
        monotone(self.lo, self.hi, |v| tanh(&Self::point(v), 53))
    }

    fn round(&self, mode: Rounding, lo: i64, hi: i64) -> Option<i64> {
        let code = |v: f64| mode.apply(v.clamp(lo as f64, hi as f64));
        let (a, b) = (code(self.lo), code(self.hi));
        (a == b).then_some(a)
    }
}

/// A rising function of an interval from its enclosures at both ends.
fn monotone(lo: f64, hi: f64, f: impl Fn(f64) -> Option<FloatInterval>) -> Option<FloatInterval> {
    let below = f(lo)?;
    if lo == hi {
        return Some(below);
    }
    Some(FloatInterval { lo: below.lo, hi: f(hi)?.hi })
}

/// `lo <= v <= hi` in rationals of about `bits` significant bits. A point stays exact as long as it is short.
#[derive(Clone, Debug)]
pub struct RationalInterval {
    lo: Rational,
    hi: Rational,
    bits: u32,
}

impl RationalInterval {
    fn new(lo: Rational, hi: Rational, bits: u32) -> Self {
        // A short exact number must survive, or ties would never be decided.
        if lo == hi && lo.numer().bits() + lo.denom().bits() <= 4 * u64::from(bits) {
            return RationalInterval { lo, hi, bits };
        }
        RationalInterval {
            lo: rational::round_significant(&lo, bits, false),
            hi: rational::round_significant(&hi, bits, true),
            bits,
        }
    }

    fn exact(v: Rational, bits: u32) -> Self {
        RationalInterval { lo: v.clone(), hi: v, bits }
    }

    fn bits(&self, other: &Self) -> u32 {
        self.bits.max(other.bits)
    }

    fn hull(values: [Rational; 4], bits: u32) -> Option<Self> {
        let lo = values.iter().min()?.clone();
        let hi = values.iter().max()?.clone();
        Some(Self::new(lo, hi, bits))
    }
}

impl Number for RationalInterval {
    fn from_real(v: &Real, Precision(bits): Precision) -> Self {
        let (lo, hi) = v.enclose(bits);
        RationalInterval { lo, hi, bits }
    }

    fn from_int(v: i64) -> Self {
        // Its precision is that of what it meets.
        Self::exact(rational::integer(v), 64)
    }

    fn add(&self, other: &Self) -> Option<Self> {
        Some(Self::new(&self.lo + &other.lo, &self.hi + &other.hi, self.bits(other)))
    }

    fn sub(&self, other: &Self) -> Option<Self> {
        Some(Self::new(&self.lo - &other.hi, &self.hi - &other.lo, self.bits(other)))
    }

    fn mul(&self, other: &Self) -> Option<Self> {
        let (a, b) = (self, other);
        Self::hull([&a.lo * &b.lo, &a.lo * &b.hi, &a.hi * &b.lo, &a.hi * &b.hi], self.bits(other))
    }

    fn div(&self, other: &Self) -> Option<Self> {
        if !other.lo.is_positive() && !other.hi.is_negative() {
            return None;
        }
        let (a, b) = (self, other);
        Self::hull([&a.lo / &b.lo, &a.lo / &b.hi, &a.hi / &b.lo, &a.hi / &b.hi], self.bits(other))
    }

    fn sqrt(&self) -> Option<Self> {
        let lo = Real::from(self.lo.clone()).sqrt()?.enclose(self.bits).0;
        let hi = Real::from(self.hi.clone()).sqrt()?.enclose(self.bits).1;
        Some(RationalInterval { lo, hi, bits: self.bits })
    }

    fn min(&self, other: &Self) -> Option<Self> {
        let pick = |a: &Rational, b: &Rational| a.min(b).clone();
        Some(RationalInterval { lo: pick(&self.lo, &other.lo), hi: pick(&self.hi, &other.hi), bits: self.bits(other) })
    }

    fn max(&self, other: &Self) -> Option<Self> {
        let pick = |a: &Rational, b: &Rational| a.max(b).clone();
        Some(RationalInterval { lo: pick(&self.lo, &other.lo), hi: pick(&self.hi, &other.hi), bits: self.bits(other) })
    }

    fn at_least(&self, other: &Self) -> Option<bool> {
        if self.lo >= other.hi {
            Some(true)
        } else if self.hi < other.lo {
            Some(false)
        } else {
            None
        }
    }

    fn sigmoid(&self) -> Option<Self> {
        let lo = sigmoid(&Self::exact(self.lo.clone(), self.bits), self.bits)?;
        let hi = sigmoid(&Self::exact(self.hi.clone(), self.bits), self.bits)?;
        Some(RationalInterval { lo: lo.lo, hi: hi.hi, bits: self.bits })
    }

    fn tanh(&self) -> Option<Self> {
        let lo = tanh(&Self::exact(self.lo.clone(), self.bits), self.bits)?;
        let hi = tanh(&Self::exact(self.hi.clone(), self.bits), self.bits)?;
        Some(RationalInterval { lo: lo.lo, hi: hi.hi, bits: self.bits })
    }

    fn round(&self, mode: Rounding, lo: i64, hi: i64) -> Option<i64> {
        let code = |v: &Rational| Real::from(v.clone()).round(mode, lo, hi);
        let (a, b) = (code(&self.lo)?, code(&self.hi)?);
        (a == b).then_some(a)
    }
}

impl Enclosure for FloatInterval {
    fn magnitude(&self) -> Option<i64> {
        let m = self.lo.abs().max(self.hi.abs());
        m.is_finite().then(|| if m < 1.0 { 0 } else { m.log2() as i64 + 2 })
    }
    fn widen(&self, exponent: i64) -> Option<Self> {
        let by = 2f64.powi(exponent.max(-1074) as i32);
        Self::around(self.lo - by, self.hi + by)
    }
    fn is_zero(&self) -> bool {
        *self == Self::point(0.0)
    }
    fn power(&self, exponent: i64) -> Self {
        Self::point(2f64.powi(exponent as i32))
    }
}

impl Enclosure for RationalInterval {
    fn magnitude(&self) -> Option<i64> {
        let m = self.lo.abs().max(self.hi.abs()).ceil().to_integer();
        Some(m.bits() as i64)
    }
    fn widen(&self, exponent: i64) -> Option<Self> {
        let by = rational::power_of_two(exponent);
        Some(Self::new(&self.lo - &by, &self.hi + &by, self.bits))
    }
    fn is_zero(&self) -> bool {
        self.lo.is_zero() && self.hi.is_zero()
    }
    fn power(&self, exponent: i64) -> Self {
        Self::exact(rational::power_of_two(exponent), self.bits)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// std's functions are good to about an ulp: they must lie inside, up to that error.
        #[test]
        fn exponentials_enclose(x in -30.0f64..30.0) {
            for (narrow, wide, expected) in [
                (FloatInterval::point(x).sigmoid(), RationalInterval::exact(rational::from_f64(x).unwrap(), 96).sigmoid(), 1.0 / (1.0 + (-x).exp())),
                (FloatInterval::point(x).tanh(), RationalInterval::exact(rational::from_f64(x).unwrap(), 96).tanh(), x.tanh()),
            ] {
                let FloatInterval { lo, hi } = narrow.unwrap();
                prop_assert!(lo <= expected * (1.0 - 1e-15 * expected.signum()) + 1e-15 && expected - 1e-15 <= hi);
                prop_assert!(hi - lo < 1e-9, "{lo} {hi}");
                let wide = wide.unwrap();
                prop_assert!(&wide.hi - &wide.lo < rational::power_of_two(-50));
                let (a, b) = (rational::to_f64(&wide.lo), rational::to_f64(&wide.hi));
                prop_assert!(lo <= b && a <= hi && (a - expected).abs() < 1e-14);
            }
        }

        #[test]
        fn arithmetic_encloses(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            let (x, y) = (FloatInterval::point(a), FloatInterval::point(b));
            let (p, q) = (rational::from_f64(a).unwrap(), rational::from_f64(b).unwrap());
            let inside = |i: Option<FloatInterval>, v: Rational| i.is_none_or(|i| {
                rational::from_f64(i.lo).is_none_or(|lo| lo <= v) && rational::from_f64(i.hi).is_none_or(|hi| v <= hi)
            });
            prop_assert!(inside(x.add(&y), &p + &q));
            prop_assert!(inside(x.sub(&y), &p - &q));
            prop_assert!(inside(x.mul(&y), &p * &q));
            if b != 0.0 {
                prop_assert!(inside(x.div(&y), &p / &q));
            }
        }
    }
}
