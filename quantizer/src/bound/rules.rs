//! The rules of the literature, in integers.
//!
//! Both paper bounds have the form `P >= ceil(a + log2(1 + 2^-a) + 1)` with `a = log2(v)` for an integer `v`: the
//! largest magnitude that the sum can have. As `a + log2(1 + 2^-a) = log2(v + 1)`, that is the smallest P with
//! `2^(P-1) >= v + 1`, or `2^(P-1) > v`: one bit more than `v` has.

use num_bigint::BigInt;
use num_rational::Ratio;
use num_traits::{One, Zero};

use super::SignSums;
use crate::datatype::{DataType, Range, Signedness};

/// The data-type bound: `a = log2(K) + N + M - 1 - [input signed]`, for `k` products.
pub fn data_type_width(k: usize, input: DataType, weights: DataType) -> u32 {
    let weight_exponent = match weights.sign {
        Signedness::Unsigned => weights.bits,
        Signedness::Signed => weights.bits - 1,
        Signedness::Bipolar => 0,
    };
    holding_magnitude(&(BigInt::from(k) << (input_exponent(input) + weight_exponent)))
}

/// The l1 bound of A2Q for one channel: `b = log2(l1) + N - [input signed]`.
pub fn l1_width(sums: &SignSums, input: DataType) -> u32 {
    holding_magnitude(&(sums.l1() << input_exponent(input)))
}

/// The A2Q+ bound with `2 * max(alpha, beta)` in place of l1, so that it holds for weights that are not zero-centred:
/// the smallest P with `2 * max(alpha, beta) <= (2^P - 2) / (2^N - 1)`.
pub fn zero_centered_width(sums: &SignSums, input: DataType) -> u32 {
    // max(alpha, beta) * span <= 2^(P-1) - 1
    holding_magnitude(&(sums.alpha.clone().max(sums.beta.clone()) * span(input)))
}

/// The l1 budget of A2Q for a `p`-bit accumulator: `T = (2^(P-1) - 1) * 2^([signed] - N)`. Weights with `l1 <= T` fit.
pub fn a2q_budget(p: u32, input: DataType) -> Ratio<BigInt> {
    Ratio::new(largest(p), BigInt::one() << input_exponent(input))
}

/// The l1 budget of A2Q+ for zero-centred weights and a `p`-bit accumulator: `T+ = (2^P - 2) / (2^N - 1)`.
///
/// `l1 <= T+` alone proves nothing: `alpha <= T+/2` and `beta <= T+/2` do.
pub fn a2q_plus_budget(p: u32, input: DataType) -> Ratio<BigInt> {
    Ratio::new(largest(p) * 2u32, span(input))
}

/// For inputs `0 ..= x_max` and a `p`-bit accumulator: the largest `alpha` and the largest `beta` that fit.
/// `x_max` is positive.
pub fn sign_split_budget(p: u32, x_max: i64) -> (BigInt, BigInt) {
    debug_assert!(x_max > 0);
    // Both dividends are at least 0, so that the division rounds down.
    (largest(p) / x_max, (largest(p) + 1u32) / x_max)
}

/// Whether weights with these sums can never leave a `p`-bit accumulator, for inputs in `input` or 0 (sign-split set):
/// `x_max * alpha + |x_min| * beta <= 2^(P-1) - 1` and `|x_min| * alpha + x_max * beta <= 2^(P-1)`.
/// This is the whole feasible set: it holds exactly if `sums.interval(input).width() <= p`.
pub fn sign_split_holds(sums: &SignSums, input: Range, p: u32) -> bool {
    let (below, above) = (-BigInt::from(input.lo.min(0)), BigInt::from(input.hi.max(0)));
    &above * &sums.alpha + &below * &sums.beta <= largest(p)
        && &below * &sums.alpha + &above * &sums.beta <= largest(p) + 1u32
}

/// Mean width of channels, as an exact fraction; 0 if there are none.
pub fn mean_width(widths: impl IntoIterator<Item = u32>) -> Ratio<u64> {
    let (mut total, mut channels) = (0, 0);
    for width in widths {
        total += u64::from(width);
        channels += 1;
    }
    if channels == 0 { Ratio::zero() } else { Ratio::new(total, channels) }
}

/// The smallest P with `2^(P-1) > v`, for `v >= 0`.
fn holding_magnitude(v: &BigInt) -> u32 {
    // A number of 2^32 bits would fill half a gigabyte: it cannot come from a dot product held in memory.
    1 + u32::try_from(v.bits()).unwrap_or(u32::MAX - 1)
}

/// `2^(p-1) - 1`: the largest value of a `p`-bit register; `p` is positive.
fn largest(p: u32) -> BigInt {
    debug_assert!(p > 0);
    (BigInt::one() << (p - 1)) - 1u32
}

/// `N - [signed]`: every code of the type has at most this power of two as its magnitude.
fn input_exponent(input: DataType) -> u32 {
    match input.sign {
        Signedness::Unsigned => input.bits,
        Signedness::Signed | Signedness::Bipolar => input.bits - 1,
    }
}

/// Distance between the largest and the smallest code: `2^N - 1`, and 2 for bipolar.
fn span(input: DataType) -> BigInt {
    match input.sign {
        Signedness::Bipolar => 2.into(),
        Signedness::Unsigned | Signedness::Signed => (BigInt::one() << input.bits) - 1u32,
    }
}
