#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quantizer::testing::Random;

use super::*;

#[test]
fn arrays_compute_the_product() {
    let random = &mut Random::new(11);
    for case in 0..40 {
        let sign = [Signedness::Signed, Signedness::Unsigned, Signedness::Unsigned, Signedness::Bipolar][case % 4];
        let bits = if sign == Signedness::Bipolar { 1 } else { random.size(1, 6) as u32 };
        let encoding = Encoding { bits, sign };
        let (inputs, outputs) = (random.size(1, 24), random.size(1, 12));
        let most = 1i64 << random.size(0, 7);
        let weights: Vec<Vec<i64>> =
            (0..outputs).map(|_| (0..inputs).map(|_| random.within(-most, most - 1)).collect()).collect();
        let codes: Vec<i64> = (0..1u64 << encoding.bits).map(|c| encoding.decode(c)).collect();
        let range = Range::new(*codes.iter().min().unwrap(), *codes.iter().max().unwrap());
        let plan = Unrolled::plan(&weights, encoding, &vec![range; inputs], 2);
        for _ in 0..60 {
            let x: Vec<i64> = (0..inputs).map(|_| codes[random.size(0, codes.len() - 1)]).collect();
            let expected: Vec<i64> = weights.iter().map(|row| row.iter().zip(&x).map(|(w, x)| w * x).sum()).collect();
            assert_eq!(plan.evaluate(&x), expected, "case {case}: {weights:?} of {x:?}");
        }
    }
}

#[test]
fn zeros_cost_nothing() {
    let range = Range::new(0, 15);
    let encoding = Encoding { bits: 4, sign: Signedness::Unsigned };
    let plan = Unrolled::plan(&[vec![0, 0], vec![4, 0], vec![0, 0]], encoding, &[range; 2], 2);
    assert_eq!(plan.heap.luts(), 0);
    assert_eq!(plan.evaluate(&[9, 3]), [0, 36, 0]);
}

#[test]
fn sharing_and_heaps_beat_shared_adders() {
    let random = &mut Random::new(3);
    let weights: Vec<Vec<i64>> = (0..32).map(|_| (0..64).map(|_| random.within(-8, 7)).collect()).collect();
    let encoding = Encoding { bits: 4, sign: Signedness::Unsigned };
    let ranges = vec![Range::new(0, 15); 64];
    let alone = Unrolled::with(&weights, encoding, &ranges, (0, 0, false));
    let plan = Unrolled::plan(&weights, encoding, &ranges, 2);
    assert!(
        plan.heap.luts() * 100 < alone.heap.luts() * 87,
        "{} LUTs, {} unshared",
        plan.heap.luts(),
        alone.heap.luts()
    );
    // A shared adder graph with an adder a node takes about 9,300 for such a matrix.
    assert!(plan.heap.luts() < 5200, "{} LUTs", plan.heap.luts());
    // No output is wider than its interval.
    assert!(plan.outputs.iter().all(|o| o.bits.len() == o.interval.width() as usize));
}

#[test]
fn small_weights_are_grouped() {
    let random = &mut Random::new(8);
    for (case, least) in [(0, -1), (1, -1), (2, 0), (3, -1), (4, -1)] {
        let sign = [Signedness::Unsigned, Signedness::Signed, Signedness::Bipolar][[0, 0, 0, 1, 2][case]];
        let encoding = Encoding { bits: [4, 1, 2, 3, 1][case], sign };
        let weight = |r: &mut Random| if case == 0 { 2 * r.within(0, 1) - 1 } else { r.within(least, 1) };
        let weights: Vec<Vec<i64>> = (0..16).map(|_| (0..32).map(|_| weight(random)).collect()).collect();
        let codes: Vec<i64> = (0..1u64 << encoding.bits).map(|c| encoding.decode(c)).collect();
        // Inputs of different widths: columns of a row hold three terms, two or one.
        let range = |i: usize| {
            let (lo, hi) = (*codes.iter().min().unwrap(), *codes.iter().max().unwrap());
            if i.is_multiple_of(5) { Range::new(lo.max(-1), hi.min(1)) } else { Range::new(lo, hi) }
        };
        let ranges: Vec<Range> = (0..32).map(range).collect();
        let [alone, grouped, shared] = [(0, 0, false), (0, 0, true), (50, 1, true)]
            .map(|tried| Unrolled::with(&weights, encoding, &ranges, tried));
        for plan in [&grouped, &shared] {
            for _ in 0..100 {
                let mut code =
                    |r: &Range| *codes.iter().filter(|&&c| r.contains(c)).nth(random.size(0, 1)).unwrap_or(&r.hi);
                let x: Vec<i64> = ranges.iter().map(&mut code).collect();
                let expected: Vec<i64> =
                    weights.iter().map(|row| row.iter().zip(&x).map(|(w, x)| w * x).sum()).collect();
                assert_eq!(plan.evaluate(&x), expected, "case {case}");
            }
        }
        if case == 0 {
            // Four sums of three inputs serve sixteen outputs.
            assert!(
                grouped.heap.luts() * 100 < alone.heap.luts() * 80,
                "{} {}",
                grouped.heap.luts(),
                alone.heap.luts()
            );
        }
    }
}
