//! What an accumulator has room for, in machine words: the sign-split set, which is the exact feasible set.

use crate::datatype::{DataType, Range};

/// The sums of positive and of negative weights that fit a `p`-bit accumulator:
/// `above * alpha + below * beta <= max` and `below * alpha + above * beta <= min`.
///
/// All products stay far inside `i128`: inputs and weights have at most 32 bits, sums of weights at most 95.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest input, at least 0.
    pub above: i128,
    /// Magnitude of the smallest input, at least 0.
    pub below: i128,
    /// Largest value of the accumulator, `2^(p-1) - 1`.
    pub max: i128,
    /// Magnitude of its smallest, `2^(p-1)`.
    pub min: i128,
}

impl Limits {
    /// For inputs of a type, or 0, and `p` bits (1 to 64).
    pub fn new(input: DataType, p: u32) -> Self {
        let Range { lo, hi } = input.range();
        let min = 1i128 << p.saturating_sub(1).min(63);
        Limits { above: hi.max(0).into(), below: (-lo).max(0).into(), max: min - 1, min }
    }

    /// Whether weights with these sums fit.
    pub fn hold(&self, alpha: i128, beta: i128) -> bool {
        self.above * alpha + self.below * beta <= self.max && self.below * alpha + self.above * beta <= self.min
    }

    /// The largest `beta` beside `alpha`; `None` if `alpha` alone is too much.
    pub fn beta_beside(&self, alpha: i128) -> Option<i128> {
        beside(alpha, [(self.above, self.below, self.max), (self.below, self.above, self.min)])
    }

    /// The largest `alpha` beside `beta`; `None` if `beta` alone is too much.
    pub fn alpha_beside(&self, beta: i128) -> Option<i128> {
        beside(beta, [(self.below, self.above, self.max), (self.above, self.below, self.min)])
    }

    /// Whether the two sums do not compete: inputs of one sign.
    pub fn is_box(&self) -> bool {
        self.above == 0 || self.below == 0
    }
}

/// The largest `y >= 0` with `a * x + b * y <= c` for all `(a, b, c)`.
fn beside(x: i128, rules: [(i128, i128, i128); 2]) -> Option<i128> {
    let mut most = i128::MAX;
    for (a, b, c) in rules {
        let room = c - a * x;
        if room < 0 {
            return None;
        }
        if b > 0 {
            most = most.min(room / b);
        }
    }
    Some(most)
}

/// Sums of the positive codes, and of the magnitudes of the negative ones.
pub fn sign_sums(codes: &[i64]) -> (i128, i128) {
    codes.iter().fold(
        (0, 0),
        |(alpha, beta), &q| {
            if q > 0 { (alpha + i128::from(q), beta) } else { (alpha, beta - i128::from(q)) }
        },
    )
}
