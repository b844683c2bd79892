//! Exponentials in interval arithmetic: a Taylor sum with its remainder bound, because no mathematical library
//! promises an error.

use super::number::Number;

/// What the exponential needs beyond [`Number`].
pub trait Enclosure: Number {
    /// The exponent `e` with `|v| < 2^e` for all of the interval.
    fn magnitude(&self) -> Option<i64>;
    /// The interval made wider by `2^exponent` on both sides.
    fn widen(&self, exponent: i64) -> Option<Self>;
    /// Whether it is the point 0.
    fn is_zero(&self) -> bool;
    /// `2^exponent`.
    fn power(&self, exponent: i64) -> Self;
}

/// Arguments of this magnitude (as a power of two) and more are not computed: the result is its limit, nearly.
const FAR: i64 = 13;

/// `exp(x)`: halve the argument until it is small, sum the Taylor series, square back.
fn exp<E: Enclosure>(x: &E, bits: u32) -> Option<E> {
    let magnitude = x.magnitude()?;
    // |r| < 2^-depth with depth about sqrt(bits): as many terms as squarings.
    let depth = i64::from(bits).isqrt() / 2;
    let halvings = magnitude.max(0) + depth;
    let r = x.mul(&x.power(-halvings))?;
    let terms = i64::from(bits) / depth.max(1) + 2;
    // Horner: 1 + r/1 (1 + r/2 (1 + ...)).
    let one = E::from_int(1);
    let mut sum = one.clone();
    for k in (1..=terms).rev() {
        sum = sum.mul(&r)?.div(&E::from_int(k))?.add(&one)?;
    }
    // The remainder is below 2 * |r|^(terms+1) / (terms+1)!, hence below 2^(1 - depth*(terms+1)).
    sum = sum.widen(1 - depth * (terms + 1))?;
    for _ in 0..halvings {
        sum = sum.mul(&sum)?;
    }
    Some(sum)
}

/// `1 / (1 + exp(-x))` of a point; exact at 0, never outside [0, 1].
pub fn sigmoid<E: Enclosure>(x: &E, bits: u32) -> Option<E> {
    if x.is_zero() {
        return Some(x.power(-1));
    }
    let (zero, one) = (E::from_int(0), E::from_int(1));
    if x.magnitude()? > FAR {
        // exp(-|x|) < 2^-|x| <= 2^-(2^(FAR-1)).
        let limit = if x.at_least(&zero)? { one.clone() } else { zero.clone() };
        return limit.widen(-(1 << (FAR - 1)))?.max(&zero)?.min(&one);
    }
    let e = exp(&zero.sub(x)?, bits)?;
    one.div(&one.add(&e)?)?.max(&zero)?.min(&one)
}

/// `2 * sigmoid(2x) - 1` of a point; exact at 0, never outside [-1, 1].
pub fn tanh<E: Enclosure>(x: &E, bits: u32) -> Option<E> {
    if x.is_zero() {
        return Some(x.clone());
    }
    let two = E::from_int(2);
    sigmoid(&x.mul(&two)?, bits)?.mul(&two)?.sub(&E::from_int(1))?.max(&E::from_int(-1))?.min(&E::from_int(1))
}
