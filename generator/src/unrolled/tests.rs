#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quantizer::testing::Random;

use super::*;

#[test]
fn arrays_compute_the_product() {
    let random = &mut Random::new(11);
    for case in 0..40 {
        let sign = if case % 3 == 0 { Signedness::Signed } else { Signedness::Unsigned };
        let encoding = Encoding { bits: random.size(1, 6) as u32, sign };
        let (inputs, outputs) = (random.size(1, 24), random.size(1, 12));
        let most = 1i64 << random.size(0, 7);
        let weights: Vec<Vec<i64>> =
            (0..outputs).map(|_| (0..inputs).map(|_| random.within(-most, most - 1)).collect()).collect();
        let codes: Vec<i64> = (0..1u64 << encoding.bits).map(|c| encoding.decode(c)).collect();
        let range = Range::new(*codes.iter().min().unwrap(), *codes.iter().max().unwrap());
        let plan = Unrolled::plan(&weights, encoding, &vec![range; inputs], 2);
        for _ in 0..60 {
            let x: Vec<i64> = (0..inputs).map(|_| random.within(range.lo, range.hi)).collect();
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
    let alone = Unrolled::with(&weights, encoding, &ranges, 1, 0);
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
