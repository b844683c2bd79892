#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Golden vectors and traps of the papers, and the properties that every bound must have.

use ndarray::ArrayView1;
use num_bigint::BigInt;
use num_rational::Ratio;
use proptest::prelude::*;

use super::*;
use crate::datatype::{DataType, Range};

fn sums(row: &[i64]) -> SignSums {
    SignSums::of(ArrayView1::from(row))
}

fn dot(row: &[i64], x: &[i64]) -> i128 {
    row.iter().zip(x).map(|(&w, &x)| i128::from(w) * i128::from(x)).sum()
}

fn interval(lo: i64, hi: i64) -> Interval {
    Range { lo, hi }.into()
}

/// A two's complement register of `p` bits, added to product by product.
fn wrapping(row: &[i64], x: &[i64], p: u32) -> i128 {
    row.iter().zip(x).fold(0i128, |acc, (&w, &x)| {
        let shift = 128 - p;
        ((acc + i128::from(w) * i128::from(x)) << shift) >> shift
    })
}

#[test]
fn data_type_widths_of_known_networks() {
    let narrow2 = DataType::quant(2, true, true).unwrap();
    let cases = [
        // (K, input, weights, width), layer by layer.
        (784, narrow2, narrow2, 13), // TFC_2W2A
        (64, narrow2, narrow2, 10),
        (784, narrow2, DataType::BIPOLAR, 12), // TFC_1W2A
        (64, narrow2, DataType::BIPOLAR, 9),
        (490, DataType::signed(8), DataType::signed(3), 19), // kwsmlp
        (256, DataType::unsigned(3), DataType::signed(3), 15),
        (64, DataType::unsigned(6), DataType::signed(6), 19), // jet tagging
        (32, DataType::unsigned(6), DataType::signed(6), 18),
    ];
    for (k, input, weights, width) in cases {
        assert_eq!(data_type_width(k, input, weights), width, "K = {k}, {input} x {weights}");
    }
}

/// The rule in floats, good for small exponents only: what the integer form must agree with.
fn papers_rule(a: f64) -> u32 {
    (a + (1.0 + (-a).exp2()).log2() + 1.0).ceil() as u32
}

#[test]
fn integer_rules_agree_with_the_papers_logarithms() {
    for k in 1..=600usize {
        for n in 1..=9 {
            for m in 2..=5 {
                let a = (k as f64).log2() + f64::from(n + m - 1);
                assert_eq!(
                    data_type_width(k, DataType::unsigned(n), DataType::signed(m)),
                    papers_rule(a),
                    "{k} {n} {m}"
                );
                if n > 1 {
                    assert_eq!(data_type_width(k, DataType::signed(n), DataType::signed(m)), papers_rule(a - 1.0));
                }
            }
            let b = (k as f64).log2() + f64::from(n);
            assert_eq!(
                l1_width(&sums(&[k as i64 / 2, -(k as i64 - k as i64 / 2)]), DataType::unsigned(n)),
                papers_rule(b)
            );
        }
        // Bipolar counts as one signed bit, for inputs and weights.
        assert_eq!(data_type_width(k, DataType::BIPOLAR, DataType::BIPOLAR), papers_rule((k as f64).log2()));
    }
}

#[test]
fn rules_at_their_edges() {
    assert_eq!(data_type_width(0, DataType::unsigned(8), DataType::signed(8)), 1);
    let zero = sums(&[0, 0]);
    assert_eq!(l1_width(&zero, DataType::unsigned(8)), 1);
    assert_eq!(zero_centered_width(&zero, DataType::unsigned(8)), 1);
    assert_eq!(zero.interval(DataType::unsigned(8).range()).width(), 1);
    // 64 products of the largest 32-bit codes need more than any machine word.
    assert_eq!(data_type_width(64, DataType::unsigned(32), DataType::signed(32)), 71);
    let wide = sums(&[i64::MIN; 9]);
    assert_eq!(wide.beta, BigInt::from(i64::MIN) * -9);
    assert_eq!(wide.interval(Range { lo: 0, hi: i64::MAX }).width(), 1 + 63 + 63 + 4);
}

#[test]
fn exact_ranges_of_the_golden_vectors() {
    let unsigned4 = DataType::unsigned(4);
    type Case<'a> = (&'a [i64], DataType, (i64, i64), u32);
    let cases: [Case<'_>; 15] = [
        (&[1, 0, 0, -1, 2, 0], unsigned4, (-15, 45), 8),
        (&[2, 0, 0, -1, 4, 0], unsigned4, (-15, 90), 8),
        (&[3, -2, 0, -3, 5, -1], unsigned4, (-90, 120), 8),
        (&[3, -1, 0, -2, 5, 0], unsigned4, (-45, 120), 9),
        (&[4, -1, 0, -2, 6, 0], unsigned4, (-45, 150), 9),
        (&[3, -3, 0, -4, 5, -1], unsigned4, (-120, 120), 9),
        (&[7, -3, 1, -5, 11, -1], unsigned4, (-135, 285), 10),
        (&[12, -11, 0, -15, 20, -6], unsigned4, (-480, 480), 10),
        (&[3, -1, 0, -2, 5, 0], DataType::signed(4), (-85, 80), 8),
        (&[4, -1, 0, -2, 6, 0], DataType::signed(4), (-101, 94), 8),
        (&[3, -2, 0, -3, 5, -1], DataType::signed(4), (-106, 104), 8),
        // Narrow and bipolar types, and single values at the edge of a width.
        (&[3, -2], DataType::quant(2, true, true).unwrap(), (-5, 5), 4),
        (&[3, -2], DataType::BIPOLAR, (-5, 5), 4),
        (&[-8], DataType::unsigned(1), (-8, 0), 4),
        (&[8], DataType::unsigned(1), (0, 8), 5),
    ];
    for (row, input, (lo, hi), target) in cases {
        let exact = sums(row).interval(input.range());
        assert_eq!(exact, interval(lo, hi), "{row:?} over {input}");
        assert!(exact.width() <= target, "{row:?} over {input}: {} bits", exact.width());
    }
}

#[test]
fn budgets_of_the_golden_vectors() {
    let ratio = |n: i64, d: i64| Ratio::new(BigInt::from(n), BigInt::from(d));
    let (u4, s4) = (DataType::unsigned(4), DataType::signed(4));
    assert_eq!(a2q_budget(8, u4), ratio(79375, 10000));
    assert_eq!(a2q_budget(9, u4), ratio(159375, 10000));
    assert_eq!(a2q_budget(10, u4), ratio(319375, 10000));
    assert_eq!(a2q_budget(8, s4), ratio(15875, 1000));
    assert_eq!(a2q_plus_budget(8, u4), ratio(254, 15));
    assert_eq!(a2q_plus_budget(9, u4), ratio(34, 1));
    assert_eq!(a2q_plus_budget(10, u4), ratio(1022, 15));
    assert_eq!(a2q_plus_budget(8, s4), ratio(254, 15));
    // T+/T = 2^(N+1) / (2^N - 1) for unsigned inputs, half of that for signed ones, at every P: no "-1" is lost at P = 40.
    for (n, unsigned) in [(1, 4.0), (2, 2.667), (3, 2.286), (4, 2.133), (8, 2.008)] {
        for p in [8, 26, 40] {
            let input = DataType::unsigned(n);
            let ratio = a2q_plus_budget(p, input) / a2q_budget(p, input);
            assert_eq!(ratio, Ratio::new(BigInt::from(2) << n, (BigInt::from(1) << n) - 1));
            let float = (1u64 << (n + 1)) as f64 / ((1u64 << n) - 1) as f64;
            assert!((float - unsigned).abs() < 5e-4);
        }
    }
    assert_eq!(sign_split_budget(8, 15), (BigInt::from(8), BigInt::from(8)));
    assert_eq!(sign_split_budget(9, 255), (BigInt::from(1), BigInt::from(1)));
    assert_eq!(sign_split_budget(9, 256), (BigInt::from(0), BigInt::from(1)));
}

/// Trap: `l1 <= T+` alone is not a proof (T6).
#[test]
fn one_sided_weights_within_the_l1_budget_overflow() {
    let (row, input) = (sums(&[16]), DataType::unsigned(4));
    assert!(Ratio::from(row.l1()) <= a2q_plus_budget(8, input));
    assert_eq!(row.interval(input.range()), interval(0, 240));
    assert!(!sign_split_holds(&row, input.range(), 8));
    assert!(zero_centered_width(&row, input) > 8);
}

/// Trap: a constant channel's rounding noise scaled up to the full budget.
#[test]
fn constant_channel_overflows_its_target() {
    assert_eq!(sums(&[7, 7, 7]).interval(DataType::unsigned(4).range()).hi, BigInt::from(315));
}

#[test]
fn mean_width_is_exact() {
    assert_eq!(mean_width([3, 4, 4]), Ratio::new(11, 3));
    assert_eq!(mean_width([]), Ratio::from(0));
}

fn any_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        (1u32..=9, any::<bool>()).prop_map(|(b, n)| DataType::quant(b, false, n && b > 1).unwrap()),
        (2u32..=9, any::<bool>()).prop_map(|(b, n)| DataType::quant(b, true, n).unwrap()),
        Just(DataType::BIPOLAR),
    ]
}

fn any_row() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(prop_oneof![Just(0i64), -40i64..=40], 1..24)
}

/// A row and, per weight, a range inside the input's type (for bipolar: a constant or all of it).
fn row_with_ranges() -> impl Strategy<Value = (Vec<i64>, DataType, Vec<Range>)> {
    (any_row(), any_type()).prop_flat_map(|(row, input)| {
        let n = row.len();
        let pick = move |(a, b): (u64, u64)| {
            let Range { lo, hi } = input.range();
            let codes: Vec<i64> = (lo..=hi).filter(|&c| input.holds(c)).collect();
            let (a, b) = (codes[a as usize % codes.len()], codes[b as usize % codes.len()]);
            Range::new(a.min(b), a.max(b))
        };
        let ranges = prop::collection::vec((any::<u64>(), any::<u64>()).prop_map(pick), n);
        (Just(row), Just(input), ranges)
    })
}

proptest! {
    /// T4: the witnesses are legal inputs and attain both ends, and no bound of the literature is below the exact one.
    #[test]
    fn exact_is_attained_and_smallest(row in any_row(), input in any_type()) {
        let (s, view) = (sums(&row), ArrayView1::from(&row));
        let exact = s.interval(input.range());
        let witness = Witness::over_type(view, input);
        prop_assert!(witness.max.iter().chain(&witness.min).all(|&x| input.holds(x)));
        prop_assert_eq!(BigInt::from(dot(&row, &witness.max)), exact.hi.clone());
        prop_assert_eq!(BigInt::from(dot(&row, &witness.min)), exact.lo.clone());
        prop_assert!(exact.width() <= l1_width(&s, input));
        prop_assert!(exact.width() <= zero_centered_width(&s, input));
        let weights = DataType::signed(7);
        prop_assert!(l1_width(&s, input) <= data_type_width(row.len(), input, weights));
    }

    /// T5: every prefix in every order stays inside, for the exact interval and for the reachable ranges alike.
    #[test]
    fn every_prefix_stays_inside(
        (row, input, ranges) in row_with_ranges(),
        picks in prop::collection::vec(any::<u64>(), 24),
        order in any::<u64>(),
    ) {
        let view = ArrayView1::from(&row);
        let prefix = prefix_interval(view, &ranges);
        let exact = sums(&row).interval(input.range());
        prop_assert!(exact.holds(&prefix));
        prop_assert!(prefix.holds(&reachable_interval(view, &ranges)));
        let codes: Vec<i64> = ranges.iter().zip(&picks).map(|(r, &p)| {
            let legal: Vec<i64> = (r.lo..=r.hi).filter(|&c| input.holds(c)).collect();
            legal[p as usize % legal.len()]
        }).collect();
        let mut columns: Vec<usize> = (0..row.len()).collect();
        columns.sort_by_key(|&c| (c as u64 + 1).wrapping_mul(order | 1));
        let mut acc = BigInt::from(0);
        for c in columns {
            acc += row[c] * codes[c];
            prop_assert!(prefix.lo <= acc && acc <= prefix.hi);
        }
        prop_assert!(reachable_interval(view, &ranges).lo <= acc && acc <= reachable_interval(view, &ranges).hi);
    }

    /// The reachable interval is tight, and so is the prefix interval: what pulls away from 0 is added first.
    #[test]
    fn reachable_and_prefix_are_attained((row, input, ranges) in row_with_ranges()) {
        let view = ArrayView1::from(&row);
        let reachable = reachable_interval(view, &ranges);
        let witness = Witness::over_ranges(view, input, &ranges);
        prop_assert!(witness.max.iter().zip(&ranges).all(|(&x, r)| r.contains(x) && input.holds(x)));
        prop_assert_eq!(BigInt::from(dot(&row, &witness.max)), reachable.hi);
        prop_assert_eq!(BigInt::from(dot(&row, &witness.min)), reachable.lo);
        let up: i128 = row.iter().zip(&witness.max).map(|(&w, &x)| i128::from(w * x).max(0)).sum();
        let down: i128 = row.iter().zip(&witness.min).map(|(&w, &x)| i128::from(w * x).min(0)).sum();
        prop_assert_eq!(prefix_interval(view, &ranges), Interval { lo: down.into(), hi: up.into() });
    }

    /// T6: the sign-split set is the feasible set, at every width; for unsigned inputs it is a budget per sign.
    #[test]
    fn sign_split_set_is_the_feasible_set(row in any_row(), input in any_type(), p in 1u32..20) {
        let s = sums(&row);
        let fits = s.interval(input.range()).width() <= p;
        prop_assert_eq!(sign_split_holds(&s, input.range(), p), fits);
        if input.range().lo == 0 {
            let (plus, minus) = sign_split_budget(p, input.range().hi);
            prop_assert_eq!(s.alpha <= plus && s.beta <= minus, fits);
        }
    }

    /// The widths are the budgets read the other way round.
    #[test]
    fn budgets_invert_the_widths(row in any_row(), input in any_type(), p in 1u32..24) {
        let s = sums(&row);
        prop_assert_eq!(l1_width(&s, input) <= p, Ratio::from(s.l1()) <= a2q_budget(p, input));
        let twice = Ratio::from(s.alpha.clone().max(s.beta.clone()) * 2);
        prop_assert_eq!(zero_centered_width(&s, input) <= p, twice <= a2q_plus_budget(p, input));
    }

    /// T8: a register of the exact width equals the wide sum on both witnesses; one bit less, and one of them differs.
    #[test]
    fn exact_width_suffices_and_one_bit_less_does_not(row in any_row(), input in any_type()) {
        let width = sums(&row).interval(input.range()).width();
        let witness = Witness::over_type(ArrayView1::from(&row), input);
        for x in [&witness.max, &witness.min] {
            prop_assert_eq!(wrapping(&row, x, width), dot(&row, x));
        }
        if width > 1 {
            let differs = |x: &[i64]| wrapping(&row, x, width - 1) != dot(&row, x);
            prop_assert!(differs(&witness.max) || differs(&witness.min));
        }
    }

    /// The width of an interval is the smallest that holds both ends.
    #[test]
    fn interval_width_is_smallest(a in any::<i64>(), b in any::<i64>(), shift in 0u32..63) {
        let (a, b) = (a >> shift, b >> shift);
        let range = Range::new(a.min(b), a.max(b));
        let width = Interval::from(range).width();
        let fits = |p: u32| -(1i128 << (p - 1)) <= i128::from(range.lo) && i128::from(range.hi) < (1i128 << (p - 1));
        prop_assert!(fits(width) && (width == 1 || !fits(width - 1)));
        prop_assert_eq!(width, range.signed_width());
    }
}
