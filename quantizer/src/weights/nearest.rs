//! The nearest integers within a budget: what sign-split chooses.
//!
//! **Why this is optimal.** For magnitudes `u` of one side, `sum (q - u)^2` is separable and convex, and a unit taken from `q_i`
//! costs `1 - 2 (q_i - u_i)`: ever more, the more have been taken. So the cheapest way to any budget is to take units
//! greedily, always from the largest `q - u`, starting at the nearest integers. Every point on that way is
//! `clip(round(u - theta))` for some `theta`, ties apart: hence one may as well start at the rounded *projection*, which is on
//! the way too and only a few units off, and take or give back units until the budget is met. Nothing is left unused.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::limits::Limits;
use super::project::{capped_simplex_threshold, polygon_thresholds};
use crate::datatype::Range;

/// Most units of both sides together for which every split of a budget between the sides is tried.
const ALL_SPLITS: i128 = 1 << 17;

/// The integers within `codes` and `limits` nearest to `values` (Euclidean distance). `codes` hold 0, `values` are finite.
///
/// With inputs of one sign this is the optimum. With inputs of both signs it is, too, as long as the nearest integers have an l1
/// norm of at most 2^17; beyond, the split between the sides is that of the real-valued projection.
pub fn nearest_within(values: &[f64], codes: Range, limits: &Limits) -> Vec<i64> {
    let sides = Sides::of(values, codes);
    let [plus_budget, minus_budget] = sides.budgets(limits);
    let plus = side(&sides.positive, sides.caps[0], plus_budget);
    let minus = side(&sides.negative, sides.caps[1], minus_budget);
    together(values, plus, minus)
}

/// What [`nearest_within`] and [`side_thresholds`] give, in one: training needs both in every step.
pub fn nearest_and_thresholds(values: &[f64], codes: Range, limits: &Limits) -> (Vec<i64>, (f64, f64)) {
    if !limits.is_box() {
        return (nearest_within(values, codes, limits), side_thresholds(values, codes, limits));
    }
    // Sides that do not compete keep to a budget each, whatever the other one does.
    let sides = Sides::of(values, codes);
    let thresholds = sides.box_thresholds(limits);
    let [plus_budget, minus_budget] = Sides::box_budgets(limits);
    let plus = side_from(&sides.positive, sides.caps[0], plus_budget, || thresholds.0);
    let minus = side_from(&sides.negative, sides.caps[1], minus_budget, || thresholds.1);
    (together(values, plus, minus), thresholds)
}

/// The soft thresholds for positive and for negative values of the real-valued projection onto `codes` and `limits`: where training takes its gradients. 0 where
/// nothing has to be taken away.
pub fn side_thresholds(values: &[f64], codes: Range, limits: &Limits) -> (f64, f64) {
    let sides = Sides::of(values, codes);
    if limits.is_box() {
        return sides.box_thresholds(limits);
    }
    let polygon = [limits.above as f64, limits.below as f64, limits.max as f64, limits.min as f64];
    polygon_thresholds(&sides.positive, &sides.negative, polygon)
}

/// Magnitudes of either sign without the other's places (half the work in every pass), and the largest codes.
struct Sides {
    positive: Vec<f64>,
    negative: Vec<f64>,
    caps: [i64; 2],
}

impl Sides {
    fn of(values: &[f64], codes: Range) -> Self {
        // Signs are as good as random: both lists get every value, and the right one keeps it, without a jump.
        let (mut positive, mut negative) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        let (mut plus, mut minus) = (0, 0);
        for &v in values {
            positive[plus] = v;
            negative[minus] = -v;
            plus += usize::from(v > 0.0);
            minus += usize::from(v < 0.0);
        }
        positive.truncate(plus);
        negative.truncate(minus);
        Sides { positive, negative, caps: [codes.hi.max(0), (-codes.lo).max(0)] }
    }

    /// What either side may sum up to, so that both fit together.
    fn budgets(&self, limits: &Limits) -> [i128; 2] {
        let [plus_cap, minus_cap] = self.caps;
        let (positive, negative) = (self.positive.as_slice(), self.negative.as_slice());
        let (alpha, beta) = (rounded_sum(positive, plus_cap), rounded_sum(negative, minus_cap));
        if limits.hold(alpha, beta) {
            [alpha, beta]
        } else if limits.is_box() {
            Self::box_budgets(limits)
        } else if alpha + beta <= ALL_SPLITS {
            best_split((positive, plus_cap), (negative, minus_cap), limits)
        } else {
            projected_split(positive, negative, limits)
        }
    }

    /// The same for sides that do not compete.
    fn box_budgets(limits: &Limits) -> [i128; 2] {
        [limits.alpha_beside(0).unwrap_or(0), limits.beta_beside(0).unwrap_or(0)]
    }

    /// The soft thresholds of sides that do not compete.
    fn box_thresholds(&self, limits: &Limits) -> (f64, f64) {
        let [plus, minus] = Self::box_budgets(limits).map(|budget| budget as f64);
        let [plus_cap, minus_cap] = self.caps.map(|cap| cap as f64);
        let positive = capped_simplex_threshold(&self.positive, plus_cap, plus);
        (positive, capped_simplex_threshold(&self.negative, minus_cap, minus))
    }
}

/// One code for each value, from the side that it is on.
fn together(values: &[f64], mut plus: Vec<i64>, mut minus: Vec<i64>) -> Vec<i64> {
    // One place behind the last, which values of the other sign look at.
    plus.push(0);
    minus.push(0);
    let (mut p, mut m) = (0, 0);
    let code = |&v: &f64| {
        let (is_plus, is_minus) = (v > 0.0, v < 0.0);
        let code = i64::from(is_plus) * plus[p] - i64::from(is_minus) * minus[m];
        p += usize::from(is_plus);
        m += usize::from(is_minus);
        code
    };
    values.iter().map(code).collect()
}

fn rounded(u: f64, cap: i64) -> i64 {
    // The nearest integer to a magnitude, ties away from 0, without the call that `f64::round` is where the processor is not known. The
    // difference is exact: magnitudes are at most 2^40.
    let floor = u as i64;
    (floor + i64::from(u - floor as f64 >= 0.5)).min(cap)
}

fn rounded_sum(magnitudes: &[f64], cap: i64) -> i128 {
    magnitudes.iter().map(|&u| i128::from(rounded(u, cap))).sum()
}

/// The nearest integers in `0 ..= cap` whose sum is at most `budget` (at least 0).
pub fn side(magnitudes: &[f64], cap: i64, budget: i128) -> Vec<i64> {
    side_from(magnitudes, cap, budget, || capped_simplex_threshold(magnitudes, cap as f64, budget as f64))
}

/// The same with the soft threshold of the real-valued projection, should it be needed.
fn side_from(magnitudes: &[f64], cap: i64, budget: i128, theta: impl FnOnce() -> f64) -> Vec<i64> {
    if rounded_sum(magnitudes, cap) <= budget {
        return magnitudes.iter().map(|&u| rounded(u, cap)).collect();
    }
    let theta = theta();
    let mut q: Vec<i64> = magnitudes.iter().map(|&u| rounded((u - theta).max(0.0), cap)).collect();
    let sum: i128 = q.iter().map(|&q| i128::from(q)).sum();
    match sum.cmp(&budget) {
        Ordering::Equal => {}
        Ordering::Greater => take(magnitudes, &mut q, sum - budget),
        Ordering::Less => give(magnitudes, &mut q, cap, budget - sum),
    }
    q
}

/// Takes `units` units, each from the largest `q - u`; there are that many.
fn take(magnitudes: &[f64], q: &mut [i64], units: i128) {
    let mut heap: BinaryHeap<Entry> =
        (0..q.len()).filter(|&i| q[i] > 0).map(|i| Entry(q[i] as f64 - magnitudes[i], i)).collect();
    for _ in 0..units {
        let Some(mut top) = heap.peek_mut() else { return };
        let i = top.1;
        q[i] -= 1;
        if q[i] > 0 {
            // Changing the entry through `peek_mut` sifts it down when it is dropped.
            top.0 -= 1.0;
        } else {
            std::collections::binary_heap::PeekMut::pop(top);
        }
    }
}

/// Gives back up to `units` units, each to the smallest `q - u`, as long as that brings `q` nearer.
fn give(magnitudes: &[f64], q: &mut [i64], cap: i64, units: i128) {
    let mut heap: BinaryHeap<Entry> =
        (0..q.len()).filter(|&i| q[i] < cap).map(|i| Entry(magnitudes[i] - q[i] as f64, i)).collect();
    for _ in 0..units {
        let Some(mut top) = heap.peek_mut() else { return };
        if top.0 < 0.5 {
            return;
        }
        let i = top.1;
        q[i] += 1;
        if q[i] < cap {
            top.0 -= 1.0;
        } else {
            std::collections::binary_heap::PeekMut::pop(top);
        }
    }
}

/// A key and where it belongs; the largest key first, of equal keys the lowest index, so that results do not depend on
/// the heap's inner order.
struct Entry(f64, usize);

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}

/// The best pair of budgets where the sides compete: every sum of the positive side with the largest that goes beside it.
fn best_split(positive: (&[f64], i64), negative: (&[f64], i64), limits: &Limits) -> [i128; 2] {
    let (plus, minus) = (removal_costs(positive), removal_costs(negative));
    let (alpha, beta) = (plus.len() as i128 - 1, minus.len() as i128 - 1);
    let mut best = (f64::INFINITY, [0, 0]);
    for a in 0..=alpha {
        let Some(b) = limits.beta_beside(a) else { break };
        let b = b.min(beta);
        // Both lie within the lists: 0 <= a <= alpha, 0 <= b <= beta.
        let cost = plus[(alpha - a) as usize] + minus[(beta - b) as usize];
        if cost < best.0 {
            best = (cost, [a, b]);
        }
    }
    best.1
}

/// Entry `n`: what it costs to take the `n` cheapest units from the nearest integers.
fn removal_costs((magnitudes, cap): (&[f64], i64)) -> Vec<f64> {
    let costs = magnitudes.iter().flat_map(|&u| (1..=rounded(u, cap)).map(move |q| 1.0 - 2.0 * (q as f64 - u)));
    // No cost is negative (a unit taken from the nearest integer never brings it nearer), so that the bits of floats sort as they do, and faster.
    let mut sorted = Vec::with_capacity(2 * magnitudes.len());
    sorted.extend(costs.map(f64::to_bits));
    sorted.sort_unstable();
    let mut totals = Vec::with_capacity(sorted.len() + 1);
    let mut total = 0.0;
    totals.push(total);
    for cost in sorted {
        total += f64::from_bits(cost);
        totals.push(total);
    }
    totals
}

/// Budgets from the real-valued projection, rounded down, and then as large as they can be.
fn projected_split(positive: &[f64], negative: &[f64], limits: &Limits) -> [i128; 2] {
    let polygon = [limits.above as f64, limits.below as f64, limits.max as f64, limits.min as f64];
    let (plus, _) = polygon_thresholds(positive, negative, polygon);
    let alpha: f64 = positive.iter().map(|u| (u - plus).max(0.0)).sum();
    // Largest alpha that fits at all, should the float be above it.
    let most = limits.alpha_beside(0).unwrap_or(0);
    let alpha = (alpha as i128).clamp(0, most);
    let beta = limits.beta_beside(alpha).unwrap_or(0);
    [limits.alpha_beside(beta).unwrap_or(0), beta]
}
