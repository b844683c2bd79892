//! T1, T4 to T8 for every method, over many random and hostile channels.

use super::*;
use crate::bound::Witness;
use crate::datatype::Signedness;
use num_bigint::BigInt;
use num_traits::ToPrimitive;

/// Channels that each method is given in all.
const CHANNELS: usize = 100_000;
/// Channels of one layer.
const ROWS: usize = 250;

/// A channel in units of its scale: Gaussian, sparse, near-constant, equal magnitudes, one outlier, one sign, integers, all zero.
fn channel(random: &mut Random, taps: usize, reach: f64) -> Vec<f64> {
    let kind = random.size(0, 8);
    let spread = reach * random.within(1, 100) as f64 / 100.0;
    let constant = spread * if random.one_in(2) { 1.0 } else { -1.0 };
    (0..taps)
        .map(|t| match kind {
            0 => spread * gaussian(random) / 3.0,
            1 => {
                if random.one_in(4) {
                    spread * gaussian(random)
                } else {
                    0.0
                }
            }
            // Constant but for the last bits.
            2 => constant * (1.0 + f64::EPSILON * random.within(-4, 4) as f64),
            3 => constant * (1.0 + 1e-9 * gaussian(random)),
            4 => {
                if random.one_in(2) {
                    spread
                } else {
                    -spread
                }
            }
            5 => {
                if t == 0 {
                    100.0 * spread
                } else {
                    0.01 * gaussian(random)
                }
            }
            6 => (spread * gaussian(random)).abs(),
            7 => (spread * gaussian(random)).round(),
            _ => 0.0,
        })
        .collect()
}

/// A two's complement register of `p` bits, product by product.
fn wrapping(row: &[i64], x: &[i64], p: u32) -> i128 {
    let shift = 128 - p;
    row.iter().zip(x).fold(0, |sum: i128, (&w, &x)| (sum + i128::from(w) * i128::from(x)) << shift >> shift)
}

fn dot(row: &[i64], x: &[i64]) -> i128 {
    row.iter().zip(x).map(|(&w, &x)| i128::from(w) * i128::from(x)).sum()
}

/// What nobody may doubt, worked out by plain sums (T7): `row` fits `p` bits for every input of the type.
fn verify(row: &[i64], input: DataType, p: u32, width: u32, random: &mut Random, what: &str) {
    let witness = Witness::over_type(ndarray::ArrayView1::from(row), input);
    let (max, min) = (dot(row, &witness.max), dot(row, &witness.min));
    let (top, bottom) = ((1i128 << (p - 1)) - 1, -(1i128 << (p - 1)));
    assert!(max <= top && min >= bottom, "{what}: {row:?} reaches {min} .. {max}");
    // T4, T6: the ends are attained, and follow from alpha and beta.
    let interval = SignSums::of(ndarray::ArrayView1::from(row)).interval(input.range());
    assert_eq!((BigInt::from(min), BigInt::from(max)), (interval.lo, interval.hi), "{what}");
    // T5: any order, any prefix, any tile, for the worst input.
    let start = random.size(0, row.len() - 1);
    let (mut high, mut low) = (0i128, 0i128);
    for i in (0..row.len()).map(|i| (start + i) % row.len()) {
        high += i128::from(row[i]) * i128::from(witness.max[i]);
        low += i128::from(row[i]) * i128::from(witness.min[i]);
        for sum in [high, low] {
            assert!((bottom..=top).contains(&sum), "{what}: a prefix reaches {sum}");
        }
    }
    // T8: P bits hold the sum, one bit less than the exact width does not.
    assert_eq!((wrapping(row, &witness.max, p), wrapping(row, &witness.min, p)), (max, min), "{what}");
    if width > 1 && row.iter().any(|&w| w != 0) {
        let narrow = width - 1;
        assert!(wrapping(row, &witness.max, narrow) != max || wrapping(row, &witness.min, narrow) != min, "{what}");
    }
}

/// T1: every method, kind of layer (few taps as depthwise, many as dense), input type and width from too narrow to 40 bits.
#[test]
fn a_hundred_thousand_channels_per_method_and_none_overflows() {
    use ndarray::parallel::prelude::*;
    methods().into_par_iter().enumerate().for_each(|(m, method)| {
        let random = &mut Random::new(1000 + m as u64);
        let (mut channels, mut tight, mut live) = (0, 0, 0);
        while channels < CHANNELS {
            let taps = [1, 2, 3, 9, 16, 25][random.size(0, 5)];
            let input = match random.size(0, 3) {
                0 => DataType::BIPOLAR,
                1 => DataType { narrow: random.one_in(2), ..DataType::signed(random.within(2, 10) as u32) },
                _ => DataType::unsigned(random.within(1, 10) as u32),
            };
            let bits = if random.one_in(5) { 30 } else { random.within(2, 8) as u32 };
            let weight_type = DataType { narrow: random.one_in(2), ..DataType::signed(bits) };
            // Tiles need a bit for each doubling; the smallest accumulators are tested without.
            let least = smallest_accumulator(input, weight_type) + 4;
            let p = random.within(least.min(8).max(smallest_accumulator(input, weight_type) + 4).into(), 40) as u32;
            let rows: Vec<f64> = (0..ROWS).flat_map(|_| channel(random, taps, weight_type.range().hi as f64)).collect();
            let weights = Array2::from_shape_vec((ROWS, taps), rows).unwrap();
            let codes = data(random, input, 4, taps);
            let calibration = Some(Calibration { source: codes.view(), quantized: codes.view() });
            let problem = Problem { weights: weights.view(), weight_type, input, accumulator: p, calibration };
            let what = format!("{} {input} x {weight_type}, P = {p}, {taps} taps", method.name());
            match quantize(&problem, method.as_ref()) {
                Ok(quantized) => {
                    for (row, &width) in quantized.choice.codes.rows().into_iter().zip(&quantized.widths) {
                        assert!(width <= p);
                        verify(&row.to_vec(), input, p, width, random, &what);
                        tight += usize::from(width == p);
                        live += usize::from(row.iter().any(|&q| q != 0));
                    }
                    channels += ROWS;
                }
                // The search over bit widths may end empty-handed, and says so; it is not counted.
                Err(WeightError::NoBitWidth { .. }) => {}
                Err(e) => panic!("{what}: {e}"),
            }
        }
        eprintln!("{:16} {channels} channels, {live} with weights, {tight} that need every bit", method.name());
        assert!(
            live > CHANNELS / 2 && tight > CHANNELS / 50,
            "{}: the test does not press: {live} {tight}",
            method.name()
        );
    });
}

/// T5 for tiles: each inner accumulator holds its own sums.
#[test]
fn tiles_of_axe_fit_their_inner_accumulators() {
    let random = &mut Random::new(5);
    for feedback in [Feedback::Gpfq, Feedback::Optq] {
        for (taps, tile) in [(64, 16), (50, 7), (9, 3), (8, 8)] {
            let input = if random.one_in(2) { DataType::unsigned(4) } else { DataType::signed(4) };
            let weights = Array2::from_shape_fn((8, taps), |_| 3.0 * gaussian(random));
            let codes = data(random, input, 50, taps);
            let calibration = Some(Calibration { source: codes.view(), quantized: codes.view() });
            let tiles: usize = taps.div_ceil(tile);
            let levels = tiles.next_power_of_two().trailing_zeros();
            let p = 8 + levels;
            let problem = Problem {
                weights: weights.view(),
                weight_type: DataType::signed(4),
                input,
                accumulator: p,
                calibration,
            };
            let q = quantize(&problem, &Axe { feedback, tile: Some(tile) }).unwrap();
            assert!(q.width() <= p);
            for row in q.choice.codes.rows() {
                for part in row.to_vec().chunks(tile) {
                    let width = SignSums::of(ndarray::ArrayView1::from(part)).interval(input.range()).width();
                    assert!(width <= 8, "{feedback:?}: a tile needs {width} bits: {part:?}");
                }
            }
        }
    }
}

/// With room enough, methods that round to nearest change nothing, and error feedback finds integers that are integers already.
#[test]
fn integers_that_fit_stay() {
    let random = &mut Random::new(9);
    let input = DataType::unsigned(4);
    let weights = Array2::from_shape_fn((6, 20), |_| random.within(-7, 7) as f64);
    let codes = data(random, input, 60, 20);
    let calibration = Some(Calibration { source: codes.view(), quantized: codes.view() });
    let problem =
        Problem { weights: weights.view(), weight_type: DataType::signed(4), input, accumulator: 20, calibration };
    for method in methods().into_iter().filter(|m| !m.name().starts_with("a2q+")) {
        let q = quantize(&problem, method.as_ref()).unwrap();
        assert_eq!(q.choice.codes.mapv(|q| q as f64), weights, "{}", method.name());
        assert_eq!(q.relative_error(weights.view(), &[0.1]), 0.0);
    }
}

/// Error feedback is of use: on correlated data the output is nearer than by rounding alone.
#[test]
fn error_feedback_brings_the_output_nearer() {
    let random = &mut Random::new(11);
    let input = DataType::unsigned(4);
    let (taps, samples) = (32, 300);
    let shared: Vec<i64> = (0..samples).map(|_| random.within(0, 12)).collect();
    let codes = Array2::from_shape_fn((samples, taps), |(s, _)| shared[s] + random.within(0, 3));
    let weights = Array2::from_shape_fn((16, taps), |_| 1.5 * gaussian(random));
    let calibration = Some(Calibration { source: codes.view(), quantized: codes.view() });
    let problem =
        Problem { weights: weights.view(), weight_type: DataType::signed(4), input, accumulator: 20, calibration };
    let x = codes.mapv(|c| c as f64);
    let error = |method: &dyn Method| {
        let q = quantize(&problem, method).unwrap().choice.codes.mapv(|q| q as f64);
        (&q - &weights).dot(&x.t()).mapv(|e| e * e).sum()
    };
    let nearest = error(&Exact);
    for feedback in [Feedback::Gpfq, Feedback::Optq] {
        let fed = error(&Axe { feedback, tile: None });
        assert!(fed < 0.2 * nearest, "{feedback:?}: {fed} against {nearest}");
    }
}

/// Weights with a sign only: codes stay in their type.
#[test]
fn unsigned_weights_get_unsigned_codes() {
    let random = &mut Random::new(13);
    let weights = Array2::from_shape_fn((20, 9), |_| 7.0 * gaussian(random));
    let input = DataType::unsigned(4);
    let codes = data(random, input, 10, 9);
    let calibration = Some(Calibration { source: codes.view(), quantized: codes.view() });
    let weight_type = DataType::unsigned(4);
    assert_eq!(weight_type.sign, Signedness::Unsigned);
    let problem = Problem { weights: weights.view(), weight_type, input, accumulator: 9, calibration };
    for method in methods() {
        let q = quantize(&problem, method.as_ref()).unwrap();
        assert!(q.choice.codes.iter().all(|&q| q >= 0) && q.width() <= 9, "{}", method.name());
    }
}

/// T9: the register is free of bias whatever the bias is, because none enters: the bound of a channel is that of its weights.
#[test]
fn widths_are_those_of_the_weights_alone() {
    let q = quantize(
        &problem(ndarray::array![[3.0, -2.0, 1.0]].view(), DataType::signed(4), DataType::unsigned(4), 9),
        &SignSplit,
    )
    .unwrap();
    let alpha_side = BigInt::from(4 * 15).to_u64().unwrap();
    assert_eq!((q.width(), alpha_side), (7, 60));
}
