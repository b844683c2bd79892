//! Sign-split against brute force, greedy repair and other forms of the same projection.

use proptest::prelude::*;

use super::super::limits::{Limits, sign_sums};
use super::super::nearest::{nearest_and_thresholds, nearest_within, side, side_thresholds};
use super::super::project::{polygon_thresholds, simplex_threshold, simplex_threshold_by_sorting};
use super::super::repair;
use super::*;
use crate::datatype::Range;

fn distance(q: &[i64], v: &[f64]) -> f64 {
    q.iter().zip(v).map(|(&q, v)| (q as f64 - v).powi(2)).sum()
}

/// The smallest distance of any integers that fit.
fn brute_force(v: &[f64], codes: Range, limits: &Limits) -> f64 {
    let mut q = vec![codes.lo; v.len()];
    let mut best = f64::INFINITY;
    loop {
        let (alpha, beta) = sign_sums(&q);
        if limits.hold(alpha, beta) {
            best = best.min(distance(&q, v));
        }
        let Some(i) = q.iter().position(|&c| c < codes.hi) else { return best };
        q[..i].fill(codes.lo);
        q[i] += 1;
    }
}

/// The reference of the specification: the nearest codes, then units taken from the largest `q - v` until within budget.
fn greedy(magnitudes: &[f64], cap: i64, budget: i64) -> Vec<i64> {
    let mut q: Vec<i64> = magnitudes.iter().map(|u| (u.round() as i64).min(cap)).collect();
    while q.iter().sum::<i64>() > budget {
        let above = |i: usize| q[i] as f64 - magnitudes[i];
        let i = (0..q.len()).filter(|&i| q[i] > 0).max_by(|&i, &j| above(i).total_cmp(&above(j))).unwrap();
        q[i] -= 1;
    }
    q
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    let any_value = prop_oneof![4 => -5.0..5.0f64, 1 => (-10i32..10).prop_map(|n| f64::from(n) / 2.0)];
    prop::collection::vec(any_value, 1..=5)
}

fn input() -> impl Strategy<Value = DataType> {
    prop_oneof![
        (1u32..4).prop_map(DataType::unsigned),
        (2u32..4).prop_map(DataType::signed),
        (2u32..4).prop_map(|bits| DataType { narrow: true, ..DataType::signed(bits) }),
        Just(DataType::BIPOLAR),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_that_fits_is_nearer(v in values(), input in input(), p in 2u32..9, narrow in any::<bool>()) {
        let codes = DataType { narrow, ..DataType::signed(3) }.range();
        let limits = Limits::new(input, p);
        let q = nearest_within(&v, codes, &limits);
        let (alpha, beta) = sign_sums(&q);
        prop_assert!(limits.hold(alpha, beta) && q.iter().all(|&q| codes.contains(q)));
        let (got, best) = (distance(&q, &v), brute_force(&v, codes, &limits));
        prop_assert!((got - best).abs() < 1e-9, "{q:?} is {got} away, {best} is possible");
    }

    #[test]
    fn codes_and_thresholds_are_the_same_one_by_one(v in values(), input in input(), p in 2u32..9) {
        let (codes, limits) = (DataType::signed(3).range(), Limits::new(input, p));
        let apart = (nearest_within(&v, codes, &limits), side_thresholds(&v, codes, &limits));
        prop_assert_eq!(nearest_and_thresholds(&v, codes, &limits), apart);
    }

    #[test]
    fn a_side_is_as_near_as_the_greedy_repair(
        u in prop::collection::vec(prop_oneof![0.0..20.0f64, Just(3.0), Just(2.5)], 1..60), budget in 0i64..300, cap in 1i64..16,
    ) {
        let (q, reference) = (side(&u, cap, budget.into()), greedy(&u, cap, budget));
        prop_assert!(q.iter().sum::<i64>() <= budget && q.iter().all(|q| (0..=cap).contains(q)));
        prop_assert!((distance(&q, &u) - distance(&reference, &u)).abs() < 1e-9, "{q:?} {reference:?}");
        // No budget is left that would be of use.
        prop_assert_eq!(q.iter().sum::<i64>(), reference.iter().sum::<i64>());
    }

    #[test]
    fn threshold_by_newton_is_that_by_sorting(
        u in prop::collection::vec(prop_oneof![4 => 0.0..9.0f64, 1 => Just(2.0), 1 => Just(0.0)], 0..80), radius in 0.0..200.0f64,
    ) {
        let (newton, sorted) = (simplex_threshold(&u, radius), simplex_threshold_by_sorting(&u, radius));
        prop_assert!((newton - sorted).abs() < 1e-9, "{newton} {sorted}");
        let sum: f64 = u.iter().map(|u| (u - newton).max(0.0)).sum();
        prop_assert!(sum <= radius + 1e-9);
    }

    /// A projection is the point from which every point of the set is seen at an obtuse angle: <v - x, z - x> <= 0.
    #[test]
    fn polygon_projection_meets_its_variational_inequality(
        u in prop::collection::vec(0.0..9.0f64, 1..9), w in prop::collection::vec(0.0..9.0f64, 1..9),
        a in 1.0..9.0f64, gap in 0.0..1.5f64, c in 1.0..90.0f64, more in 0.0..9.0f64,
        z in prop::collection::vec(0.0..9.0f64, 18),
    ) {
        let (b, d) = (a + gap, c + more);
        let (plus, minus) = polygon_thresholds(&u, &w, [a, b, c, d]);
        let x: Vec<f64> = u.iter().map(|v| (v - plus).max(0.0)).chain(w.iter().map(|v| (v - minus).max(0.0))).collect();
        let sums = |x: &[f64]| (x[..u.len()].iter().sum::<f64>(), x[u.len()..].iter().sum::<f64>());
        let over = |x: &[f64]| {
            let (alpha, beta) = sums(x);
            ((a * alpha + b * beta) / c).max((b * alpha + a * beta) / d)
        };
        prop_assert!(over(&x) <= 1.0 + 1e-9);
        // Any point of the set: random magnitudes, shrunk until they fit.
        let z: Vec<f64> = z.into_iter().take(x.len()).collect();
        let shrink = over(&z).max(1.0);
        let v = u.iter().chain(&w);
        let angle: f64 = v.zip(&x).zip(&z).map(|((v, x), z)| (v - x) * (z / shrink - x)).sum();
        prop_assert!(angle <= 1e-6, "{angle}");
    }

    #[test]
    fn repair_makes_anything_fit_and_leaves_alone_what_does(
        q in prop::collection::vec(-50i64..=50, 1..20), input in input(), p in 2u32..12,
    ) {
        let limits = Limits::new(input, p);
        let mut repaired = q.clone();
        let values: Vec<f64> = q.iter().map(|&q| q as f64 - 0.3).collect();
        let taken = repair::fit(&mut repaired, &values, &limits);
        let (alpha, beta) = sign_sums(&q);
        prop_assert_eq!(taken == 0, limits.hold(alpha, beta));
        let (alpha, beta) = sign_sums(&repaired);
        prop_assert!(limits.hold(alpha, beta));
        prop_assert!(repaired.iter().zip(&q).all(|(r, q)| r.abs() <= q.abs() && r * q >= 0));
        let l1 = |q: &[i64]| q.iter().map(|q| q.unsigned_abs()).sum::<u64>();
        prop_assert_eq!(l1(&q) - l1(&repaired), taken);
    }

    /// The limits in machine words are those of `bound`, which are in big integers.
    #[test]
    fn limits_agree_with_bound(alpha in 0i64..1 << 40, beta in 0i64..1 << 40, input in input(), p in 1u32..=64) {
        let sums = SignSums { alpha: alpha.into(), beta: beta.into() };
        let limits = Limits::new(input, p);
        prop_assert_eq!(limits.hold(alpha.into(), beta.into()), crate::bound::sign_split_holds(&sums, input.range(), p));
        if let Some(most) = limits.beta_beside(alpha.into()) {
            prop_assert!(limits.hold(alpha.into(), most) && !limits.hold(alpha.into(), most + 1));
        }
        if let Some(most) = limits.alpha_beside(beta.into()) {
            prop_assert!(limits.hold(most, beta.into()) && !limits.hold(most + 1, beta.into()));
        }
    }
}
