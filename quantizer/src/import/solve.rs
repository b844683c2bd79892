//! From the meaning to the thresholds: for each code, the first integer that reaches it.
//!
//! The condition `code >= k` is pulled back through the functions, last to first; each turns a half-line of results
//! into a half-line of arguments, exactly. Where that leaves exact reals (exponentials), and where codes are very many,
//! they are bisected by direct evaluation. [`mod@super::verify`] evaluates every integer directly and shares nothing with the first way.

use num_bigint::BigInt;

use super::chain::Evaluator;
use super::function::{Function, Quant};
use super::number::Rounding;
use super::real::Real;
use crate::datatype::{Range, Signedness};
use crate::network::Steps;
use crate::rational;

/// More steps than this for one channel are refused: no memory holds such thresholds.
pub const MAX_STEPS: i64 = 1 << 16;

/// With more steps than this, direct evaluation is cheaper than an exact inversion for each.
const MANY_STEPS: i64 = 1 << 10;

/// Why there are no thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsolved {
    /// A rounding decision stays open at the highest precision, for this integer.
    Undecided(i64),
    /// That many codes are reached.
    TooMany(i64),
}

/// The step function of one channel on the integers of `range`.
///
/// # Errors
/// See [`Unsolved`].
pub fn steps(evaluator: &Evaluator, range: Range) -> Result<Steps, Unsolved> {
    let code = |n| evaluator.code(n).ok_or(Unsolved::Undecided(n));
    let (first, last) = (code(range.lo)?, code(range.hi)?);
    let jump = (last - first).abs();
    if jump > MAX_STEPS {
        return Err(Unsolved::TooMany(jump));
    }
    if jump == 0 {
        return Ok(Steps { base: first, steps: Vec::new(), falling: false });
    }
    let falling = last < first;
    let (base, top) = if falling { (last, first) } else { (first, last) };
    // Falling: code(n) >= k up to some n, so the higher code ends first.
    let by_inversion = |k: i64| first_change(evaluator.functions(), k, falling).filter(|t| range.contains(*t));
    let solved: Option<Vec<i64>> = if jump > MANY_STEPS { None } else { (base + 1..=top).map(by_inversion).collect() };
    let mut steps = match solved {
        Some(steps) => steps,
        None => bisect(evaluator, range, first, last)?,
    };
    steps.sort_unstable();
    Ok(Steps { base, steps, falling })
}

/// A set of real numbers: all on one side of a bound.
enum Side {
    All,
    Nothing,
    Half(Half),
}

/// `x >= bound` (`up`, not `strict`), `x > bound`, `x <= bound`, `x < bound`.
struct Half {
    up: bool,
    strict: bool,
    bound: Real,
}

impl Half {
    fn holds(&self, x: &Real) -> bool {
        let order = x.compare(&self.bound);
        (order.is_eq() && !self.strict) || if self.up { order.is_gt() } else { order.is_lt() }
    }

    fn at(self, bound: Real) -> Side {
        Side::Half(Half { bound, ..self })
    }
}

/// Rising: the first integer with `code >= k`. Falling: the first with `code < k`. `None` if it is not one, or
/// beyond `i64`, or the functions cannot be inverted exactly.
fn first_change(functions: &[Function<Real>], k: i64, falling: bool) -> Option<i64> {
    let (last, others) = functions.split_last()?;
    let mut side = codes_from(last, k)?;
    for f in others.iter().rev() {
        let Side::Half(half) = side else { return None };
        side = pull_back(f, half)?;
    }
    let Side::Half(half) = side else { return None };
    // The first integer inside an upward half, or the first outside a downward one.
    let inside_at_bound = half.up != half.strict;
    let first = if inside_at_bound { half.bound.ceil() } else { half.bound.floor() + 1u32 };
    (half.up != falling).then(|| i64::try_from(first).ok()).flatten()
}

/// The arguments of a quantizer whose code is at least `k`.
fn codes_from(f: &Function<Real>, k: i64) -> Option<Side> {
    let range = f.codes()?.range();
    if k <= range.lo {
        return Some(Side::All);
    }
    if k > range.hi {
        return Some(Side::Nothing);
    }
    match f {
        Function::Quant(quant) => Some(Side::Half(quant_boundary(quant, k))),
        Function::MultiThreshold { thresholds, .. } => {
            let mut sorted: Vec<&Real> = thresholds.iter().collect();
            sorted.sort_by(|a, b| a.compare(b));
            // `codes` rounds up to a power of two: the last codes may not exist.
            Some(match sorted.get(usize::try_from(k - 1).ok()?) {
                Some(&bound) => Side::Half(Half { up: true, strict: false, bound: bound.clone() }),
                None => Side::Nothing,
            })
        }
        _ => None,
    }
}

/// Where `Quant` begins to give code `k`, in multiples of its scale: between `k - 1` and `k`, the bound belonging to
/// `k` or not, as the rounding mode says.
fn quant_boundary(quant: &Quant<Real>, k: i64) -> Half {
    use Rounding::*;
    if quant.datatype.sign == Signedness::Bipolar {
        return Half { up: true, strict: false, bound: 0.into() };
    }
    let positive = k > 0;
    let half = |k: i64| Real::from(rational::Rational::new((2 * k - 1).into(), 2.into()));
    let (bound, strict) = match quant.rounding {
        HalfEven => (half(k), k % 2 != 0),
        HalfUp => (half(k), !positive),
        HalfDown => (half(k), positive),
        Ceil => (Real::from(k - 1), true),
        Floor => (Real::from(k), false),
        Up if positive => (Real::from(k - 1), true),
        Up => (Real::from(k), false),
        Down if positive => (Real::from(k), false),
        Down => (Real::from(k - 1), true),
    };
    Half { up: true, strict, bound: bound.mul(&quant.scale) }
}

/// The arguments of `f` whose results lie in `half`; `None` if that cannot be written exactly.
fn pull_back(f: &Function<Real>, half: Half) -> Option<Side> {
    if let Some((a, b)) = f.affine() {
        return match a.signum() {
            0 => Some(if half.holds(&b) { Side::All } else { Side::Nothing }),
            sign => {
                let bound = half.bound.sub(&b).div(&a)?;
                Some(Side::Half(Half { up: half.up == (sign > 0), strict: half.strict, bound }))
            }
        };
    }
    let zero = Real::from(0);
    match f {
        Function::Relu => Some(clip(half, Some(&zero), None)),
        Function::LeakyRelu(slope) if slope.is_zero() => Some(clip(half, Some(&zero), None)),
        Function::LeakyRelu(slope) => {
            let bound = if half.bound.signum() < 0 { half.bound.div(slope)? } else { half.bound.clone() };
            Some(half.at(bound))
        }
        Function::Clip(lo, hi) => Some(clip(half, lo.as_ref(), hi.as_ref())),
        Function::Quant(quant) => codes_inside(f, half, &quant.scale, &zero),
        Function::MultiThreshold { scale, bias, .. } => codes_inside(f, half, scale, bias),
        _ => None,
    }
}

/// The arguments of `min(max(x, lo), hi)` with a result in `half`.
fn clip(half: Half, lo: Option<&Real>, hi: Option<&Real>) -> Side {
    let inside = |v: Option<&Real>| v.map(|v| half.holds(v));
    // The end that lies deepest in the half-line, and the one that lies farthest outside.
    let (deep, shallow) = if half.up { (hi, lo) } else { (lo, hi) };
    if inside(deep) == Some(false) {
        Side::Nothing
    } else if inside(shallow) == Some(true) {
        Side::All
    } else {
        Side::Half(half)
    }
}

/// The arguments of an inner quantizer with values `scale * code + bias` in `half`.
fn codes_inside(f: &Function<Real>, half: Half, scale: &Real, bias: &Real) -> Option<Side> {
    let bound = half.bound.sub(bias).div(scale)?;
    let small = |v: BigInt| {
        // Beyond every code, any number will do.
        i64::try_from(v.clamp((-(1i64 << 40)).into(), (1i64 << 40).into())).ok()
    };
    if half.up {
        codes_from(f, small(if half.strict { bound.floor() + 1u32 } else { bound.ceil() })?)
    } else {
        // code <= k is the complement of code >= k + 1.
        let above = if half.strict { bound.ceil() } else { bound.floor() + 1u32 };
        Some(match codes_from(f, small(above)?)? {
            Side::All => Side::Nothing,
            Side::Nothing => Side::All,
            Side::Half(h) => Side::Half(Half { up: !h.up, strict: !h.strict, bound: h.bound }),
        })
    }
}

/// The steps by direct evaluation: an interval whose ends have the same code has no step inside.
fn bisect(evaluator: &Evaluator, range: Range, first: i64, last: i64) -> Result<Vec<i64>, Unsolved> {
    let mut steps = Vec::new();
    let mut open = vec![((range.lo, first), (range.hi, last))];
    while let Some(((a, code_a), (b, code_b))) = open.pop() {
        let jump = (code_b - code_a).unsigned_abs() as usize;
        if jump == 0 {
            continue;
        }
        if b - a == 1 {
            steps.extend(std::iter::repeat_n(b, jump));
            continue;
        }
        let middle = a + (b - a) / 2;
        let code = evaluator.code(middle).ok_or(Unsolved::Undecided(middle))?;
        open.push(((a, code_a), (middle, code)));
        open.push(((middle, code), (b, code_b)));
    }
    Ok(steps)
}
