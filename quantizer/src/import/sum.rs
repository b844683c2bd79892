//! Sums of two branches whose scales share no grid: `f * a + g * b` of codes `a` and `b` is no integer multiple of anything small, but the
//! code that the next quantizer gives it is a finite function of two integers.
//!
//! That function is looked for as thresholds on `k * a + l * b` with small integers `k` and `l`. Every pair of codes is checked: the sums
//! of all pairs with one code must lie on one side of those with the next. Where no coefficients do, and pairs are few, each pair gets a
//! number of its own, `a + n * b`, and a table its code. The codes of all pairs are exact: for each `b` the
//! quantizer and what stands before it are solved as a function of `a` like any other threshold.

use ndarray::Array2;
use rayon::prelude::*;

use super::build::{self, Builder};
use super::chain::{self, Evaluator, Link, functions};
use super::codes;
use super::error::Refusal;
use super::function::Function;
use super::real::Real;
use super::signal::{Origin, Signal};
use super::solve;
use crate::datatype::Range;
use crate::network::{Add, Op, Steps, Table, TensorId};

/// The largest coefficient that is tried: 10 bits.
pub const MAX_COEFFICIENT: i64 = (1 << 10) - 1;

/// The most codes of the branch with fewer of them, and their bits.
const MAX_CODES: i64 = 1 << MAX_BITS;
const MAX_BITS: i64 = 10;

/// The most pairs of codes that a table stands for: those of twice 4 bits.
pub const MAX_ENTRIES: i64 = 1 << 8;

/// A sum that waits for its quantizer.
#[derive(Clone, Debug)]
pub struct Sum {
    /// The ONNX node, its operator, and the tensor that it writes.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// The tensor that it writes.
    pub output: String,
    /// The branches' codes, in one shape.
    pub tensors: [TensorId; 2],
    /// Real value of a step of each branch, channel by channel.
    pub factors: [Vec<Real>; 2],
    /// What the branches' offsets add, channel by channel.
    pub offset: Vec<Real>,
    /// The branches' scales, for messages.
    pub scales: String,
    /// The codes behind quantizers that were met, by the ONNX tensor that these write.
    pub known: Vec<(String, TensorId)>,
}

impl Sum {
    /// Why it cannot be read as it is.
    pub fn refusal(&self) -> Refusal {
        Refusal::new(
            format!(
                "it reads '{}' ({}): the scales of its branches have no common grid: {}, and no quantizer follows",
                self.node, self.op, self.scales
            ),
            "put a Quant node right behind the sum, or share one quantizer between the branches (Brevitas: one QuantIdentity in \
             front of both inputs of the Add)",
        )
    }

    fn unsolved(&self, reason: &str) -> Refusal {
        Refusal::new(
            format!(
                "it quantizes '{}' ({}): the scales of its branches have no common grid: {}, and {reason}",
                self.node, self.op, self.scales
            ),
            "share one quantizer between the branches (Brevitas: one QuantIdentity in front of both inputs of the Add)",
        )
    }
}

/// Consecutive codes of the first branch that get one code, beside one code of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: i64,
    last: i64,
    other: i64,
    code: i64,
}

/// Makes a sum that has met its quantizer integers: an Add with small coefficients, and thresholds behind it. Any other signal is
/// returned as it is.
///
/// # Errors
/// If a rounding decision stays open, or no function of small coefficients gives all pairs of codes the right code.
pub fn settle(builder: &mut Builder, signal: Signal) -> Result<Signal, Refusal> {
    let Origin::Sum(index) = signal.origin else { return Ok(signal) };
    let Some(last) = signal.links.last().filter(|l| l.function.codes().is_some()).cloned() else { return Ok(signal) };
    let known = builder.sums[index].known.iter().find(|(output, _)| *output == last.output).map(|&(_, id)| id);
    let codes = match known {
        Some(id) => id,
        None => {
            let id = codes_of(builder, index, &signal.links, &last)?;
            builder.sums[index].known.push((last.output.clone(), id));
            id
        }
    };
    let value = codes::value_of_codes(&last.function).into_iter();
    let links = value.map(|function| Link { function, ..last.clone() }).collect();
    Ok(Signal { origin: Origin::Codes(codes), links, ..signal })
}

fn codes_of(builder: &mut Builder, index: usize, links: &[Link], last: &Link) -> Result<TensorId, Refusal> {
    let sum = builder.sums[index].clone();
    let channels = builder.channels(sum.tensors[0]);
    let elements: usize = builder.tensors[sum.tensors[0].0].shape.iter().product();
    if !channels.is_multiple_of(chain::blocks(links)) {
        return Err(sum.unsolved("parameters behind it differ inside channels"));
    }
    let ranges = sum.tensors.map(|id| builder.tensors[id.0].ranges.clone());
    let uniform = |values: &[Real]| values.iter().all(|v| v == &values[0]);
    let alike = chain::blocks(links) == 1 && sum.factors.iter().all(|f| uniform(f)) && uniform(&sum.offset);
    let hull = |ranges: &[Range]| ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
    // All codes of their types, where these are few: weights that change later may reach others than now. Channels of one function
    // are looked at together.
    let domain = |i: usize, c: usize| {
        let datatype = builder.tensors[sum.tensors[i].0].datatype;
        match (i64::from(datatype.bits) <= MAX_BITS, alike) {
            (true, _) => datatype.range(),
            (false, true) => hull(&ranges[i]),
            (false, false) => ranges[i][c],
        }
    };
    let classes: Vec<[Range; 2]> =
        (0..if alike { 1 } else { channels }).map(|c| [domain(0, c), domain(1, c)]).collect();
    // The branch with fewer codes is gone through, the other solved.
    let count = |i: usize| classes.iter().map(|c| c[i].hi - c[i].lo + 1).max().unwrap_or(1);
    let (solved, walked) = if count(0) >= count(1) { (0, 1) } else { (1, 0) };
    if count(walked) > MAX_CODES {
        return Err(sum.unsolved(&format!("both branches have more than {MAX_CODES} codes")));
    }
    let runs: Vec<Vec<Run>> = classes
        .iter()
        .enumerate()
        .map(|(c, own)| {
            let behind = functions(links, c * (elements / channels), elements);
            runs(&sum, c, &behind, (solved, own[solved]), (walked, own[walked]))
                .map_err(|e| build::unsolved(&last.node, c, e))
        })
        .collect::<Result<_, _>>()?;
    let position = builder.layers.len();
    let add = |builder: &mut Builder, (k, l): (i64, i64)| {
        let mut coefficients = vec![0; 2];
        (coefficients[solved], coefficients[walked]) = (k, l);
        builder.layer(&sum.node, &sum.output, Op::Add(Add { coefficients }), sum.tensors.to_vec(), None)
    };
    if let Some(found) = coefficients(&sum, solved, &runs) {
        let added = add(builder, found)?;
        let steps: Vec<Steps> = (0..channels)
            .map(|c| thresholds(&bounds(&runs[if alike { 0 } else { c }], found), builder.tensors[added.0].ranges[c]))
            .collect();
        return Ok(builder.steps(added, steps, last, Some(position)));
    }
    // Each pair of codes a number of its own, and a table of their codes.
    let [a, b] = [solved, walked].map(|i| hull(&ranges[i]));
    let (size, others) = (a.hi - a.lo + 1, b.hi - b.lo + 1);
    if size * others > MAX_ENTRIES {
        return Err(sum.unsolved(&format!(
            "no coefficients up to {MAX_COEFFICIENT} give every pair of codes its code; a table of their {} pairs would have more \
             than {MAX_ENTRIES} entries",
            size * others
        )));
    }
    let added = add(builder, (1, size))?;
    let rows: Vec<i64> = runs.iter().flat_map(|own| entries(own, a, b)).collect();
    let codes = Array2::from_shape_vec((runs.len(), (size * others) as usize), rows)
        .map_err(|e| Refusal::new(e.to_string(), "report this as a defect of snug"))?;
    let table = Table { first: a.lo + size * b.lo, codes };
    let reached = builder.tensors[added.0].ranges.iter().enumerate().map(|(c, &range)| table.range(c, range));
    let reached: Vec<Range> = reached.map(|range| range.unwrap_or(Range::ZERO)).collect();
    Ok(builder.requantized(added, Op::Table(table), reached, last, Some(position)))
}

/// The code of every pair, `a` fastest; pairs that do not come in this channel get a code that does.
fn entries(runs: &[Run], a: Range, b: Range) -> Vec<i64> {
    let any = runs.first().map_or(0, |r| r.code);
    let width = (a.hi - a.lo + 1) as usize;
    let mut codes = vec![any; width * (b.hi - b.lo + 1) as usize];
    for run in runs.iter().filter(|r| b.contains(r.other)) {
        let row = (run.other - b.lo) as usize * width;
        for x in run.first.max(a.lo)..=run.last.min(a.hi) {
            codes[row + (x - a.lo) as usize] = run.code;
        }
    }
    codes
}

/// The codes of all pairs of one channel.
fn runs(
    sum: &Sum,
    channel: usize,
    behind: &[Function<Real>],
    (solved, range): (usize, Range),
    (walked, others): (usize, Range),
) -> Result<Vec<Run>, solve::Unsolved> {
    let of = |other: i64| {
        let rest = sum.factors[walked][channel].mul(&other.into()).add(&sum.offset[channel]);
        let mut all = vec![Function::Mul(sum.factors[solved][channel].clone()), Function::Add(rest)];
        all.extend(behind.iter().cloned());
        let steps = solve::steps(&Evaluator::new(all), range)?;
        let mut found = Vec::new();
        let mut first = range.lo;
        let ends = steps.steps.iter().map(|t| t - 1).filter(|&t| t < range.hi).chain([range.hi]);
        for last in ends.filter(|&last| last >= range.lo) {
            if last >= first {
                found.push(Run { first, last, other, code: steps.apply(first) });
                first = last + 1;
            }
        }
        Ok(found)
    };
    let found: Result<Vec<Vec<Run>>, _> = (others.lo..=others.hi).into_par_iter().map(of).collect();
    Ok(found?.concat())
}

/// The smallest coefficients of the solved and the other branch whose sums order all pairs as their codes do.
fn coefficients(sum: &Sum, solved: usize, runs: &[Vec<Run>]) -> Option<(i64, i64)> {
    let walked = 1 - solved;
    let signs = [solved, walked].map(|i| i64::from(sum.factors[i][0].signum()));
    // Candidates lie near the real quotient; floats only choose what is tried.
    let quotients = sum.factors[walked].iter().zip(&sum.factors[solved]).map(|(g, f)| (g.to_f64() / f.to_f64()).abs());
    let (lo, hi) = quotients.fold((f64::INFINITY, 0.0f64), |(lo, hi), q| (lo.min(q), hi.max(q)));
    let fits = |pair: (i64, i64)| runs.iter().all(|r| ordered(r, pair));
    (1..=MAX_COEFFICIENT).find_map(|k| {
        // Of `l = k * quotient` and `k = l / quotient` that which moves by more than one at a time would skip some.
        let (from, to) = if lo >= 1.0 { (k as f64 / hi, k as f64 / lo) } else { (k as f64 * lo, k as f64 * hi) };
        let near = (from.floor() as i64 - 1).max(1)..=(to.ceil() as i64 + 1).min(MAX_COEFFICIENT);
        let pair =
            |other: i64| if lo >= 1.0 { (signs[0] * other, signs[1] * k) } else { (signs[0] * k, signs[1] * other) };
        near.map(pair).find(|&pair| fits(pair))
    })
}

/// The sums of all pairs with one code: code, smallest, largest; by code.
fn bounds(runs: &[Run], (k, l): (i64, i64)) -> Vec<(i64, Range)> {
    let (Some(least), Some(most)) = (runs.iter().map(|r| r.code).min(), runs.iter().map(|r| r.code).max()) else {
        return Vec::new();
    };
    // Codes of one quantizer: a few bits.
    let mut bounds: Vec<Option<Range>> = vec![None; (most - least + 1) as usize];
    for run in runs {
        let (a, b) = (k * run.first + l * run.other, k * run.last + l * run.other);
        let own = Range { lo: a.min(b), hi: a.max(b) };
        let known = &mut bounds[(run.code - least) as usize];
        *known = Some(known.map_or(own, |r| r.hull(own)));
    }
    (least..).zip(bounds).filter_map(|(code, range)| Some((code, range?))).collect()
}

fn ordered(runs: &[Run], pair: (i64, i64)) -> bool {
    let bounds = bounds(runs, pair);
    let rising = bounds.windows(2).all(|w| w[0].1.hi < w[1].1.lo);
    rising || bounds.windows(2).all(|w| w[0].1.lo > w[1].1.hi)
}

/// The step function of ordered bounds, on the sums of `range`.
fn thresholds(bounds: &[(i64, Range)], range: Range) -> Steps {
    let falling = bounds.windows(2).any(|w| w[0].1.lo > w[1].1.hi);
    let mut base = bounds.first().map_or(0, |b| b.0);
    let mut steps = Vec::new();
    for pair in bounds.windows(2) {
        let (lower, higher) = (&pair[0], &pair[1]);
        // The first sum that has another code than those before it.
        let at = if falling { lower.1.lo } else { higher.1.lo };
        for _ in lower.0..higher.0 {
            if range.lo < at && at <= range.hi {
                steps.push(at);
            } else if (at <= range.lo) != falling {
                // Reached by every sum.
                base += 1;
            }
        }
    }
    steps.sort_unstable();
    Steps { base, steps, falling }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn thresholds_give_every_pair_its_code() {
        // Codes of 7a + 10b, a and b in 0..=3, cut at 15 and 40; and the same falling.
        for falling in [false, true] {
            let code = |a: i64, b: i64| {
                let s = 7 * a + 10 * b;
                let c = i64::from(s >= 15) + 2 * i64::from(s >= 40);
                if falling { -c } else { c }
            };
            let runs: Vec<Run> = (0..=3)
                .flat_map(|b| (0..=3).map(move |a| (a, b)))
                .map(|(a, b)| Run { first: a, last: a, other: b, code: code(a, b) })
                .collect();
            assert!(ordered(&runs, (7, 10)));
            assert!(!ordered(&runs, (1, 5)));
            for range in [Range::new(0, 51), Range::new(16, 51), Range::new(0, 39), Range::new(41, 51)] {
                let steps = thresholds(&bounds(&runs, (7, 10)), range);
                for run in &runs {
                    let sum = 7 * run.first + 10 * run.other;
                    if range.contains(sum) {
                        assert_eq!(steps.apply(sum), run.code, "{range:?} {run:?} {steps:?}");
                    }
                }
                assert!(steps.steps.iter().all(|&t| range.lo < t && t <= range.hi));
            }
        }
    }
}
