#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quantizer::datatype::{Range, Signedness};
use quantizer::testing::Random;

use super::*;
use crate::dataflow::{Encoding, Pe};
use crate::reduction::Reduction;

/// An element whose ROM holds every pattern that its encodings allow, so that no weight bit is constant.
pub fn element(lanes: usize, x: Encoding, w: Encoding, random: &mut Random, folds: usize) -> Pe {
    let word = |r: &mut Random, bits: u32| w.decode(r.size(0, (1 << bits) - 1) as u64);
    let mut weights: Vec<Vec<i64>> = (0..folds).map(|_| (0..lanes).map(|_| word(random, w.bits)).collect()).collect();
    weights.push((0..lanes).map(|_| w.decode(0)).collect());
    weights.push((0..lanes).map(|_| w.decode((1 << w.bits) - 1)).collect());
    let codes: Vec<i64> = (0..1u64 << x.bits).map(|c| x.decode(c)).collect();
    let range = Range::new(*codes.iter().min().unwrap(), *codes.iter().max().unwrap());
    let inputs = vec![vec![range; lanes]; weights.len()];
    let levels = Reduction::levels_needed(&weights, &inputs);
    Pe {
        rows: vec![Some(0)],
        weight_encodings: vec![w; lanes],
        reduction: Reduction::plan(&weights, &inputs, levels),
        heap: None,
        weights,
        words: Vec::new(),
        word_bits: 1,
    }
}

fn encoding(bits: u32, sign: Signedness) -> Encoding {
    Encoding { bits, sign }
}

#[test]
fn cells_compute_the_sum() {
    let random = &mut Random::new(5);
    let signs = [Signedness::Unsigned, Signedness::Signed, Signedness::Bipolar];
    for case in 0..150 {
        let any = |r: &mut Random| {
            let sign = signs[r.size(0, 2)];
            encoding(if sign == Signedness::Bipolar { 1 } else { r.size(1, 5) as u32 }, sign)
        };
        let (x, w) = (any(random), any(random));
        let lanes = random.size(1, 12);
        let bits = random.size(1, 16);
        let accumulate = case % 2 == 0;
        let pe = element(lanes, x, w, random, 4);
        let (terms, constant) = terms(&pe, x, bits);
        let heap = compress(&terms, constant, bits, accumulate);
        let live: Vec<usize> = pe.reduction.lanes().collect();
        for _ in 0..200 {
            let codes: Vec<u64> = (0..lanes).map(|_| random.size(0, (1 << x.bits) - 1) as u64).collect();
            let fold = &pe.weights[random.size(0, pe.weights.len() - 1)];
            let (restart, before) = (random.size(0, 1) == 1, random.size(0, (1 << bits) - 1) as u64);
            let wire = |i: usize| codes[i / x.bits as usize] >> (i % x.bits as usize) & 1 == 1;
            let weight = |i: usize| w.encode(fold[live[i / w.bits as usize]]) >> (i % w.bits as usize) & 1 == 1;
            let sum: i64 = live.iter().map(|&l| fold[l] * x.decode(codes[l])).sum();
            let expected = if accumulate && !restart { before.wrapping_add(sum as u64) } else { sum as u64 };
            let mask = (1u64 << bits) - 1;
            let result = heap.evaluate(&wire, &weight, restart, before);
            assert_eq!(
                result,
                expected & mask,
                "case {case}: {lanes} x {x:?} x {w:?}, {bits} bits, fold {fold:?}, codes {codes:?}"
            );
        }
    }
}

/// LUTs of one element with weights at run time, the accumulator in it. The bars are a tenth and more below the best peer's.
#[test]
fn elements_stay_below_their_bars() {
    for (lanes, bits, acc, bar) in [(8, 4, 14, 112), (16, 4, 16, 214), (8, 3, 12, 66), (8, 2, 10, 36)] {
        let (x, w) = (encoding(bits, Signedness::Unsigned), encoding(bits, Signedness::Signed));
        let pe = element(lanes, x, w, &mut Random::new(1), 4);
        let (terms, constant) = terms(&pe, x, acc);
        let luts = compress(&terms, constant, acc, true).luts();
        assert!(luts <= bar, "{lanes}x{bits}x{bits}, {acc}: {luts} LUTs");
    }
}
