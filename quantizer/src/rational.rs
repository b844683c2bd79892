//! Exact rational numbers, and the way between them and floats.

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_rational::Ratio;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

/// A rational number of any size.
pub type Rational = Ratio<BigInt>;

/// The integer `v` as a rational.
pub fn integer(v: impl Into<BigInt>) -> Rational {
    Ratio::from_integer(v.into())
}

/// `2^exponent`.
pub fn power_of_two(exponent: i64) -> Rational {
    let power = BigInt::one() << exponent.unsigned_abs();
    if exponent < 0 { Ratio::new_raw(BigInt::one(), power) } else { Ratio::from_integer(power) }
}

/// The exact value of a float, denormals included; `None` for NaN and infinities.
pub fn from_f64(v: f64) -> Option<Rational> {
    if !v.is_finite() {
        return None;
    }
    let bits = v.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i64, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    if mantissa == 0 {
        return Some(Rational::zero());
    }
    // Odd mantissa over a power of two is in lowest terms.
    let shift = mantissa.trailing_zeros();
    let mantissa = BigInt::from_biguint(if v < 0.0 { Sign::Minus } else { Sign::Plus }, (mantissa >> shift).into());
    let exponent = exponent + i64::from(shift);
    Some(if exponent >= 0 {
        Ratio::from_integer(mantissa << exponent)
    } else {
        Ratio::new_raw(mantissa, BigInt::one() << -exponent)
    })
}

/// The exact value of a float; `None` for NaN and infinities.
pub fn from_f32(v: f32) -> Option<Rational> {
    from_f64(v.into())
}

/// The exact value of a decimal text such as `0.1307`, `-3`, `1e-5`; `None` if it is none, or absurdly long.
pub fn from_decimal(text: &str) -> Option<Rational> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 400 || !digits.bytes().all(|b| b.is_ascii_digit()) || exponent.abs() > 400 {
        return None;
    }
    let value = digits.parse::<BigInt>().ok()?;
    let exponent = exponent - fraction.len() as i32;
    let power = Pow::pow(BigInt::from(10), exponent.unsigned_abs());
    let value = if exponent < 0 { Ratio::new(value, power) } else { Ratio::from_integer(value * power) };
    Some(if negative { -value } else { value })
}

/// The largest `m * 2^e` with `|m| < 2^bits` that is at most `v` (`up` false) or the smallest that is at least `v`:
/// `v` rounded to `bits` significant bits toward one side. Returns `(m, e)`.
fn significant(v: &Rational, bits: u32, up: bool) -> (BigInt, i64) {
    let (n, d) = (v.numer(), v.denom());
    // The quotient n * 2^shift / d has `bits` or `bits + 1` bits; one too many costs nothing.
    let shift = i64::from(bits) - (n.bits() as i64 - d.bits() as i64);
    let (n, d) = if shift >= 0 { (n << shift, d.clone()) } else { (n.clone(), d << -shift) };
    let m = if up { n.div_ceil(&d) } else { n.div_floor(&d) };
    (m, -shift)
}

/// `v` rounded to about `bits` significant bits, down or up: a dyadic number at most one part in `2^bits` away.
pub fn round_significant(v: &Rational, bits: u32, up: bool) -> Rational {
    if v.is_zero() || (v.numer().bits() <= u64::from(bits) && is_power_of_two(v.denom())) {
        return v.clone();
    }
    let (m, e) = significant(v, bits, up);
    let m = Ratio::from_integer(m);
    m * power_of_two(e)
}

fn is_power_of_two(v: &BigInt) -> bool {
    v.is_positive() && v.trailing_zeros() == Some(v.bits() - 1)
}

/// The float nearest to `v`, ties to even, denormals rounded as IEEE 754 wants; infinite beyond the range.
pub fn to_f64(v: &Rational) -> f64 {
    let (n, d) = (v.numer().abs(), v.denom());
    if n.is_zero() {
        return 0.0;
    }
    let magnitude = n.bits() as i64 - d.bits() as i64;
    if magnitude > 1025 {
        return if v.is_negative() { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // The last bit kept: 53 significant bits, but none below 2^-1074.
    let mut last = (magnitude - 53).max(-1074);
    let cut = |last: i64| {
        let (n, d) = if last < 0 { (&n << -last, d.clone()) } else { (n.clone(), d << last) };
        let (q, r) = n.div_rem(&d);
        let twice = r * 2u32;
        let up = twice > d || (twice == d && q.is_odd());
        if up { q + 1u32 } else { q }
    };
    let mut m = cut(last);
    if m.bits() > 53 {
        // magnitude was one short (or rounding carried, where cutting again gives the same).
        last += 1;
        m = cut(last);
    }
    // At most 2^53, hence exact; scaling by a power of two in two steps is exact where the result is representable.
    let m = m.to_u64().unwrap_or(u64::MAX) as f64;
    let half = (last / 2) as i32;
    let value = m * 2f64.powi(half) * 2f64.powi(last as i32 - half);
    if v.is_negative() { -value } else { value }
}

/// The float32 nearest to `v`, ties to even.
pub fn to_f32(v: &Rational) -> f32 {
    // Rounding twice is wrong only if the double lies on a tie of floats without being exact: then the exact
    // remainder says which way.
    let double = to_f64(v);
    let single = double as f32;
    if !double.is_finite() || !single.is_finite() {
        return single;
    }
    let exact = |f: f32| from_f32(f).unwrap_or_else(Rational::zero);
    let distance = |f: f32| (exact(f) - v).abs();
    let neighbours = [single.next_down(), single.next_up()];
    let mut best = single;
    for f in neighbours {
        if f.is_finite() && distance(f) < distance(best) {
            best = f;
        }
    }
    best
}

/// The square root of `v` if it is rational; `None` if irrational or negative.
pub fn sqrt(v: &Rational) -> Option<Rational> {
    let root = |n: &BigInt| {
        let r = n.sqrt();
        (&r * &r == *n).then_some(r)
    };
    if v.is_negative() {
        return None;
    }
    Some(Ratio::new_raw(root(v.numer())?, root(v.denom())?))
}

/// The greatest rational of which both are integer multiples; the other's absolute value if one is 0.
pub fn gcd(a: &Rational, b: &Rational) -> Rational {
    let d = a.denom().lcm(b.denom());
    let (n, m) = (a.numer() * (&d / a.denom()), b.numer() * (&d / b.denom()));
    Ratio::new(n.gcd(&m), d)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn floats_come_back(bits in any::<u64>(), small in any::<u32>()) {
            let v = f64::from_bits(bits);
            prop_assume!(v.is_finite());
            prop_assert_eq!(to_f64(&from_f64(v).unwrap()), v);
            let v = f32::from_bits(small);
            prop_assume!(v.is_finite());
            prop_assert_eq!(to_f32(&from_f32(v).unwrap()), v);
        }

        #[test]
        fn rounding_is_to_nearest(n in any::<i64>(), d in 1..i64::MAX, shift in -1100i64..1000) {
            let v = Ratio::new(n.into(), d.into()) * power_of_two(shift);
            let f = to_f64(&v);
            prop_assume!(f.is_finite());
            let distance = |f: f64| (from_f64(f).unwrap() - &v).abs();
            prop_assert!(distance(f) <= distance(f.next_up()) && distance(f) <= distance(f.next_down()));
            let f = to_f32(&v);
            prop_assume!(f.is_finite() && f.next_up().is_finite() && f.next_down().is_finite());
            let distance = |f: f32| (from_f32(f).unwrap() - &v).abs();
            prop_assert!(distance(f) <= distance(f.next_up()) && distance(f) <= distance(f.next_down()));
        }

        #[test]
        fn directed_rounding_encloses(n in any::<i64>(), d in 1..i64::MAX, bits in 2u32..80) {
            let v = Ratio::new(n.into(), d.into());
            let (lo, hi) = (round_significant(&v, bits, false), round_significant(&v, bits, true));
            prop_assert!(lo <= v && v <= hi);
            prop_assert!(&hi - &lo <= v.abs() * power_of_two(2 - i64::from(bits)));
        }
    }

    #[test]
    fn ties_go_to_even() {
        let one_and = |k: i64| integer(1) + power_of_two(-k);
        assert_eq!(to_f64(&one_and(53)), 1.0);
        assert_eq!(to_f64(&(one_and(53) + power_of_two(-200))), 1.0 + f64::EPSILON);
        assert_eq!(to_f32(&one_and(24)), 1.0);
        assert_eq!(to_f32(&(one_and(24) + power_of_two(-200))), 1.0 + f32::EPSILON);
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(from_decimal("0.1307").unwrap(), Ratio::new(1307.into(), 10000.into()));
        assert_eq!(from_decimal("-1.5e2").unwrap(), integer(-150));
        assert_eq!(from_decimal("255").unwrap(), integer(255));
        for bad in ["", ".", "1.2.3", "abc", "1e", "1e999999999", "--1", "0x10", "nan"] {
            assert_eq!(from_decimal(bad), None, "{bad}");
        }
    }

    #[test]
    fn roots_and_divisors() {
        assert_eq!(sqrt(&Ratio::new(9.into(), 16.into())).unwrap(), Ratio::new(3.into(), 4.into()));
        assert_eq!(sqrt(&integer(2)), None);
        let (a, b) = (Ratio::new(3.into(), 4.into()), Ratio::new(5.into(), 6.into()));
        assert_eq!(gcd(&a, &b), Ratio::new(1.into(), 12.into()));
    }
}
