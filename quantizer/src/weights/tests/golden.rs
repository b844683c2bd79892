//! Vectors and oracles that were worked out outside this crate.

use ndarray::array;

use super::super::axe::tile_threshold;
use super::super::grid::{Granularity, in_units, max_scales};
use super::super::limits::Limits;
use super::*;
use crate::bound::Interval;
use crate::datatype::Range;

struct Case {
    bits: u32,
    signed: bool,
    p: u32,
    method: &'static str,
    q: [i64; 6],
    range: (i64, i64),
}

#[test]
fn golden_vectors() {
    let case = |bits, signed, p, method, q, range| Case { bits, signed, p, method, q, range };
    let cases = [
        case(4, false, 8, "a2q", [1, 0, 0, -1, 2, 0], (-15, 45)),
        case(4, false, 8, "a2q-ep", [2, 0, 0, -1, 4, 0], (-15, 90)),
        case(4, false, 8, "a2q+", [3, -2, 0, -3, 5, -1], (-90, 120)),
        case(4, false, 9, "a2q", [3, -1, 0, -2, 5, 0], (-45, 120)),
        case(4, false, 9, "a2q-ep", [4, -1, 0, -2, 6, 0], (-45, 150)),
        case(4, false, 9, "a2q+", [3, -3, 0, -4, 5, -1], (-120, 120)),
        case(8, false, 10, "a2q", [7, -3, 1, -5, 11, -1], (-135, 285)),
        case(8, false, 10, "a2q+", [12, -11, 0, -15, 20, -6], (-480, 480)),
        case(4, true, 8, "a2q", [3, -1, 0, -2, 5, 0], (-85, 80)),
        case(4, true, 8, "a2q-ep", [4, -1, 0, -2, 6, 0], (-101, 94)),
        case(4, true, 8, "a2q+", [3, -2, 0, -3, 5, -1], (-106, 104)),
    ];
    let w = array![[0.5, -0.25, 0.125, -0.375, 0.75, -0.1]];
    for c in cases {
        let weight_type = DataType::signed(c.bits);
        let input = if c.signed { DataType::signed(4) } else { DataType::unsigned(4) };
        let scales = max_scales(w.view(), weight_type, Granularity::Channel);
        let units = in_units(w.view(), &scales).unwrap();
        let what = format!("M{} N4 P{} {}", c.bits, c.p, c.method);
        let method = by_name(c.method, None).unwrap();
        let quantized = quantize(&problem(units.view(), weight_type, input, c.p), method.as_ref()).expect(&what);
        assert_eq!(quantized.choice.codes.row(0).to_vec(), c.q, "{what}");
        let exact = SignSums::of(quantized.choice.codes.row(0)).interval(input.range());
        assert_eq!(exact, Interval::from(Range { lo: c.range.0, hi: c.range.1 }), "{what}");
    }
}

#[test]
fn budgets_of_the_golden_vectors() {
    use super::super::a2q::below;
    use crate::bound::{a2q_budget, a2q_plus_budget};
    let u4 = DataType::unsigned(4);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-4;
    for (p, t, plus) in [(8, 7.9375, 16.9333), (9, 15.9375, 34.0), (10, 31.9375, 68.1333)] {
        assert!(near(below(&a2q_budget(p, u4)), t) && near(below(&a2q_plus_budget(p, u4)), plus), "P = {p}");
    }
    assert!(near(below(&a2q_budget(8, DataType::signed(4))), 15.875));
    // Never above the fraction, where a float cannot hold it.
    let wide = a2q_budget(64, u4);
    assert!(crate::rational::from_f64(below(&wide)).unwrap() <= wide);
}

/// T10.
#[test]
fn thresholds_of_axe() {
    let limits = Limits::new(DataType::unsigned(2), 5);
    assert_eq!(tile_threshold(&[8.0, 4.0, -1.0, -11.0], &limits), 4.5);
    assert_eq!(tile_threshold(&[10.0, 6.0, 2.0, 2.0], &limits), 0.5);
    let radius = 10.0;
    for n in [2usize, 4, 10] {
        for a in [1.0, 2.5, 7.0] {
            let tile: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { a } else { -a }).collect();
            let expected = if n as f64 * a <= radius { 0.0 } else { a - radius / n as f64 };
            assert!((tile_threshold(&tile, &limits) - expected).abs() < 1e-12, "n = {n}, a = {a}");
        }
    }
}

/// The hole of A2Q+: on a constant channel its own rule gave [7, 7, 7], which reaches 315 in 8 bits.
#[test]
fn constant_channels_of_a2q_plus() {
    for value in [0.1, 0.3, 7.0, -2.2, 1e-30, 123_456.7] {
        for taps in [1, 3, 7, 100] {
            let w = Array2::from_elem((1, taps), value);
            for init in [EpInit::None, EpInit::Paper, EpInit::CentreFirst] {
                let p = problem(w.view(), DataType::signed(4), DataType::unsigned(4), 8);
                let q = quantize(&p, &A2qPlus { init }).unwrap();
                assert!(q.choice.codes.iter().all(|&q| q == 0), "{value} x {taps}, {init:?}: {}", q.choice.codes);
            }
        }
    }
}

/// `l1 <= T+` alone is no proof: one weight of 16 is within the l1 budget of A2Q+ for 8 bits, and reaches 240.
#[test]
fn both_signs_are_checked_and_not_their_sum() {
    let w = array![[16.0]];
    let p = problem(w.view(), DataType::signed(6), DataType::unsigned(4), 8);
    assert_eq!(quantize(&p, &Exact), Err(WeightError::Misses { channel: 0, needed: 9, allowed: 8 }));
    assert_eq!(quantize(&p, &SignSplit).unwrap().choice.codes, array![[8]]);
}

/// T2: one scale for all channels and one for each give the same integers where they are the same scale, and the scale is
/// all that differs where they are not.
#[test]
fn scales_per_tensor_and_per_channel() {
    let w = array![[0.7, -0.3, 0.1], [0.07, -0.03, 0.01]];
    let m4 = DataType::signed(4);
    let (tensor, channel) =
        (max_scales(w.view(), m4, Granularity::Tensor), max_scales(w.view(), m4, Granularity::Channel));
    assert_eq!((tensor.len(), channel.len()), (1, 2));
    for method in [&SignSplit as &dyn Method, &A2q::default(), &A2qPlus::default(), &GridRescale::default()] {
        for p in 6..12 {
            let run = |scales: &[f64]| {
                let units = in_units(w.view(), scales).unwrap();
                quantize(&problem(units.view(), m4, DataType::unsigned(4), p), method).unwrap()
            };
            let (one, each) = (run(&tensor), run(&channel));
            assert!(one.width() <= p && each.width() <= p);
            assert_eq!(one.choice.codes.row(0), each.choice.codes.row(0));
        }
    }
    assert!(matches!(in_units(w.view(), &[1.0; 3]), Err(WeightError::Scales { .. })));
    assert!(matches!(in_units(w.view(), &[1.0, -1.0]), Err(WeightError::Scales { .. })));
    assert!(matches!(in_units(w.view(), &[f64::NAN]), Err(WeightError::Scales { .. })));
}

/// De Bruin takes bits from the whole layer; the codes of fewer bits fit, and one bit more does not.
#[test]
fn de_bruin_takes_as_few_bits_as_it_can() {
    let w = array![[7.0, -6.0, 5.0, 3.0], [1.0, 1.0, -1.0, 0.0]];
    let m4 = DataType::signed(4);
    let bits =
        |p| quantize(&problem(w.view(), m4, DataType::unsigned(4), p), &DeBruin).map(|q| q.choice.weight_type.bits);
    // Sums of the first row: +15 (width 9); halved and clipped to 3 bits [3, -3, 3, 2], +8: 120 fits 8 bits; [1, -2, 1, 1] fits 7.
    assert_eq!([9, 8, 7].map(|p| bits(p).unwrap()), [4, 3, 2]);
    assert_eq!(bits(6), Err(WeightError::NoBitWidth { accumulator: 6, channel: 0, needed: 7 }));
}

/// Grid rescale takes the smallest integer factor that fits.
#[test]
fn grid_rescale_takes_the_smallest_factor() {
    let w = array![[7.0, 7.0, 7.0, -1.0]];
    let q =
        quantize(&problem(w.view(), DataType::signed(4), DataType::unsigned(4), 8), &GridRescale::default()).unwrap();
    // Budget 8: at k = 2 the codes are 4, 4, 4; at 3 they are 2, 2, 2.
    assert_eq!((q.choice.multipliers[0], q.choice.codes.row(0).to_vec()), (Ratio::from_integer(3), vec![2, 2, 2, 0]));
}
