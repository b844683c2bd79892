//! The number domains in which a chain of functions can be evaluated.
//!
//! One text of each function ([`super::function`]) runs in all of them: exact reals, enclosing intervals of floats
//! or of rationals, and plain floats as executors use them. An operation answers `None` where its domain cannot
//! decide or represent the result; a finer domain is asked then.

use serde::{Deserialize, Serialize};

use super::real::Real;

/// A domain of numbers.
pub trait Number: Clone {
    /// An exact number, or its best representation here.
    fn from_real(v: &Real, precision: Precision) -> Self;
    /// An integer: an accumulator value or a code.
    fn from_int(v: i64) -> Self;
    /// Sum.
    fn add(&self, other: &Self) -> Option<Self>;
    /// Difference.
    fn sub(&self, other: &Self) -> Option<Self>;
    /// Product.
    fn mul(&self, other: &Self) -> Option<Self>;
    /// Quotient.
    fn div(&self, other: &Self) -> Option<Self>;
    /// Square root.
    fn sqrt(&self) -> Option<Self>;
    /// The smaller.
    fn min(&self, other: &Self) -> Option<Self>;
    /// The larger.
    fn max(&self, other: &Self) -> Option<Self>;
    /// Whether `self >= other`.
    fn at_least(&self, other: &Self) -> Option<bool>;
    /// `1 / (1 + exp(-self))`.
    fn sigmoid(&self) -> Option<Self>;
    /// Hyperbolic tangent.
    fn tanh(&self) -> Option<Self>;
    /// Clamped to `[lo, hi]` and rounded to an integer.
    fn round(&self, mode: Rounding, lo: i64, hi: i64) -> Option<i64>;
}

/// Significant bits that a domain of rational intervals keeps; others ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision(pub u32);

/// How `Quant` makes integers; QONNX's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// ROUND, HALF_EVEN: to nearest, ties to even.
    HalfEven,
    /// CEIL: toward plus infinity.
    Ceil,
    /// FLOOR: toward minus infinity.
    Floor,
    /// UP: away from zero.
    Up,
    /// DOWN, ROUND_TO_ZERO: toward zero.
    Down,
    /// HALF_UP: to nearest, ties away from zero.
    HalfUp,
    /// HALF_DOWN: to nearest, ties toward zero.
    HalfDown,
}

impl Rounding {
    /// The mode of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "ROUND" | "HALF_EVEN" => Rounding::HalfEven,
            "CEIL" => Rounding::Ceil,
            "FLOOR" => Rounding::Floor,
            "UP" => Rounding::Up,
            "DOWN" | "ROUND_TO_ZERO" => Rounding::Down,
            "HALF_UP" => Rounding::HalfUp,
            "HALF_DOWN" => Rounding::HalfDown,
            _ => return None,
        })
    }

    /// The integer for a number between `floor` and `floor + 1`: `exact` if it is `floor` itself, else `half` says
    /// how it compares with `floor + 1/2`.
    pub fn decide(self, floor: i64, exact: bool, half: std::cmp::Ordering) -> i64 {
        use std::cmp::Ordering::*;
        if exact {
            return floor;
        }
        let negative = floor < 0;
        let up = match (self, half) {
            (Rounding::Ceil, _) => true,
            (Rounding::Floor, _) => false,
            (Rounding::Up, _) => !negative,
            (Rounding::Down, _) => negative,
            (_, Greater) => true,
            (_, Less) => false,
            (Rounding::HalfEven, Equal) => floor % 2 != 0,
            (Rounding::HalfUp, Equal) => !negative,
            (Rounding::HalfDown, Equal) => negative,
        };
        floor + i64::from(up)
    }

    /// Rounds a float that has been clamped to codes (below `2^32`), exactly.
    pub fn apply(self, v: f64) -> i64 {
        let floor = v.floor();
        // Exact: below 2^32 the fraction fits the mantissa.
        self.decide(floor as i64, v == floor, (v - floor).total_cmp(&0.5))
    }
}

impl Number for Real {
    fn from_real(v: &Real, _: Precision) -> Self {
        v.clone()
    }
    fn from_int(v: i64) -> Self {
        v.into()
    }
    fn add(&self, other: &Self) -> Option<Self> {
        Some(self.add(other))
    }
    fn sub(&self, other: &Self) -> Option<Self> {
        Some(self.sub(other))
    }
    fn mul(&self, other: &Self) -> Option<Self> {
        Some(self.mul(other))
    }
    fn div(&self, other: &Self) -> Option<Self> {
        self.div(other)
    }
    fn sqrt(&self) -> Option<Self> {
        self.sqrt()
    }
    fn min(&self, other: &Self) -> Option<Self> {
        Some(if self.compare(other).is_le() { self.clone() } else { other.clone() })
    }
    fn max(&self, other: &Self) -> Option<Self> {
        Some(if self.compare(other).is_ge() { self.clone() } else { other.clone() })
    }
    fn at_least(&self, other: &Self) -> Option<bool> {
        Some(self.compare(other).is_ge())
    }
    fn sigmoid(&self) -> Option<Self> {
        // Transcendental everywhere else.
        self.is_zero().then(|| Real::from(crate::rational::Rational::new(1.into(), 2.into())))
    }
    fn tanh(&self) -> Option<Self> {
        self.is_zero().then(|| self.clone())
    }
    fn round(&self, mode: Rounding, lo: i64, hi: i64) -> Option<i64> {
        if self.compare(&lo.into()).is_le() {
            return Some(lo);
        }
        if self.compare(&hi.into()).is_ge() {
            return Some(hi);
        }
        let floor = i64::try_from(self.floor()).ok()?;
        let half = Real::from(crate::rational::Rational::new((2 * i128::from(floor) + 1).into(), 2.into()));
        Some(mode.decide(floor, self.compare(&floor.into()).is_eq(), self.compare(&half)))
    }
}

/// Plain floats: what an executor computes, node by node.
macro_rules! float_number {
    ($float:ty, $nearest:expr) => {
        impl Number for $float {
            fn from_real(v: &Real, _: Precision) -> Self {
                $nearest(v)
            }
            fn from_int(v: i64) -> Self {
                v as $float
            }
            fn add(&self, other: &Self) -> Option<Self> {
                Some(self + other)
            }
            fn sub(&self, other: &Self) -> Option<Self> {
                Some(self - other)
            }
            fn mul(&self, other: &Self) -> Option<Self> {
                Some(self * other)
            }
            fn div(&self, other: &Self) -> Option<Self> {
                Some(self / other)
            }
            fn sqrt(&self) -> Option<Self> {
                Some((*self).sqrt())
            }
            fn min(&self, other: &Self) -> Option<Self> {
                Some(<$float>::min(*self, *other))
            }
            fn max(&self, other: &Self) -> Option<Self> {
                Some(<$float>::max(*self, *other))
            }
            fn at_least(&self, other: &Self) -> Option<bool> {
                Some(self >= other)
            }
            fn sigmoid(&self) -> Option<Self> {
                Some(1.0 / (1.0 + (-self).exp()))
            }
            fn tanh(&self) -> Option<Self> {
                Some((*self).tanh())
            }
            fn round(&self, mode: Rounding, lo: i64, hi: i64) -> Option<i64> {
                Some(mode.apply(f64::from(*self).clamp(lo as f64, hi as f64)))
            }
        }
    };
}

float_number!(f64, Real::to_f64);
// An irrational constant is rounded twice here, which only a float32 executor's own constants could resent.
float_number!(f32, |v: &Real| v.as_rational().map_or_else(|| v.to_f64() as f32, crate::rational::to_f32));

#[cfg(test)]
mod tests {
    use super::Rounding::*;

    /// Expected values computed with qonnx's `resolve_rounding_mode` functions.
    #[test]
    fn modes_are_those_of_qonnx() {
        let inputs = [-2.5, -1.75, -1.5, -1.25, -0.5, -0.25, 0.0, 0.25, 0.5, 1.25, 1.5, 1.75, 2.5, 3.0];
        let cases = [
            (HalfEven, [-2, -2, -2, -1, 0, 0, 0, 0, 0, 1, 2, 2, 2, 3]),
            (Ceil, [-2, -1, -1, -1, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3]),
            (Floor, [-3, -2, -2, -2, -1, -1, 0, 0, 0, 1, 1, 1, 2, 3]),
            (Up, [-3, -2, -2, -2, -1, -1, 0, 1, 1, 2, 2, 2, 3, 3]),
            (Down, [-2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2, 3]),
            (HalfUp, [-3, -2, -2, -1, -1, 0, 0, 0, 1, 1, 2, 2, 3, 3]),
            (HalfDown, [-2, -2, -1, -1, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3]),
        ];
        for (mode, expected) in cases {
            assert_eq!(inputs.map(|v| mode.apply(v)), expected, "{mode:?}");
        }
    }
}
