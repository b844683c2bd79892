#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Ranges hold on every input, and are attained: the exact interval by every window, tap by tap.

use std::collections::HashSet;

use ndarray::{Array2, ArrayView1};
use proptest::prelude::*;

use super::*;
use crate::network::{Add, DepthToSpace};
use crate::testing::{Limits, Random, assert_promises, conv_network, evaluate, inputs};

fn tensor(shape: &[usize], ranges: Vec<Range>) -> Tensor {
    let datatype = DataType::signed(MAX_ACCUMULATOR_BITS);
    Tensor { name: "x".into(), shape: shape.to_vec(), datatype, ranges, scale: None }
}

/// What a row reaches, from the definition: over every place, the best and the worst input of the taps on the image.
fn naive(row: ArrayView1<'_, i64>, window: &Window, ranges: &[Range], size: [usize; 2]) -> Range {
    let [height, width] = window.output(size).unwrap();
    let mut all: Option<Range> = None;
    for i in 0..height {
        for j in 0..width {
            let mut here = Range::ZERO;
            let taps = window.kernel[0] * window.kernel[1];
            for (column, &w) in row.iter().enumerate() {
                let (c, u, v) = (column / taps, column % taps / window.kernel[1], column % window.kernel[1]);
                let y = (i * window.stride[0] + u * window.dilation[0]).checked_sub(window.pad_begin[0]);
                let x = (j * window.stride[1] + v * window.dilation[1]).checked_sub(window.pad_begin[1]);
                if y.is_some_and(|y| y < size[0]) && x.is_some_and(|x| x < size[1]) {
                    let ends = [w * ranges[c].lo, w * ranges[c].hi];
                    here.lo += ends[0].min(ends[1]);
                    here.hi += ends[0].max(ends[1]);
                }
            }
            all = Some(all.map_or(here, |all| all.hull(here)));
        }
    }
    all.unwrap()
}

fn random_window(random: &mut Random, size: [usize; 2]) -> Window {
    loop {
        let pair = |random: &mut Random, lo, hi| [random.size(lo, hi), random.size(lo, hi)];
        let (kernel, stride, dilation) = (pair(random, 1, 4), pair(random, 1, 3), pair(random, 1, 3));
        let span = [0, 1].map(|a| (kernel[a] - 1) * dilation[a]);
        let pads = |random: &mut Random| span.map(|most| random.size(0, most));
        let window = Window { kernel, stride, dilation, pad_begin: pads(random), pad_end: pads(random) };
        if window.output(size).is_some() {
            return window;
        }
    }
}

fn random_ranges(random: &mut Random, channels: usize) -> Vec<Range> {
    let range = |random: &mut Random| {
        let (a, b) = (random.within(-9, 9), random.within(-9, 9));
        if random.one_in(4) { Range::new(a, a) } else { Range::new(a.min(b), a.max(b)) }
    };
    (0..channels).map(|_| range(random)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Ranges with and without 0, constants among them: a border's windows miss taps, and may reach farther for it.
    #[test]
    fn convolutions_reach_exactly_what_their_windows_reach(seed in any::<u64>()) {
        let random = &mut Random::new(seed);
        let size = [random.size(1, 6), random.size(1, 6)];
        let window = random_window(random, size);
        let (groups, each, rows) = (random.size(1, 3), random.size(1, 2), random.size(1, 2));
        let ranges = random_ranges(random, groups * each);
        let columns = each * window.kernel[0] * window.kernel[1];
        let weights = Array2::from_shape_fn((groups * rows, columns), |_| random.within(-7, 7));
        let input = tensor(&[groups * each, size[0], size[1]], ranges.clone());
        let conv = Conv { weights, weight_type: DataType::signed(4), groups, window };
        let got = output_ranges(&Op::Conv(conv.clone()), &[&input]).unwrap();
        for (r, row) in conv.weights.rows().into_iter().enumerate() {
            let first = r / rows * each;
            prop_assert_eq!(got[r], naive(row, &window, &ranges[first..first + each], size));
        }
    }

    #[test]
    fn sums_reach_exactly_what_their_windows_reach(seed in any::<u64>()) {
        let random = &mut Random::new(seed);
        let size = [random.size(1, 6), random.size(1, 6)];
        let window = random_window(random, size);
        let ranges = random_ranges(random, 3);
        let got = output_ranges(&Op::SumPool(window), &[&tensor(&[3, size[0], size[1]], ranges.clone())]).unwrap();
        let ones = Array2::ones((1, window.kernel[0] * window.kernel[1]));
        for c in 0..3 {
            prop_assert_eq!(got[c], naive(ones.row(0), &window, &ranges[c..=c], size));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// What random networks compute stays within what they declare, on every tensor.
    #[test]
    fn every_value_is_within_its_range(seed in any::<u64>()) {
        let network = conv_network(seed, Limits::default());
        for sample in inputs(&network, seed ^ 1, 5).rows() {
            assert_promises(&network, &evaluate(&network, sample.as_slice().unwrap()));
        }
    }
}

/// A channel that is always 3, before a padded convolution: only at the border is the result anything but a constant.
#[test]
fn a_constant_channel_before_padding_is_not_constant_behind() {
    let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pad_begin: [1, 1], pad_end: [1, 1] };
    let conv = |weights: Vec<i64>, window| {
        let weights = Array2::from_shape_vec((1, 9), weights).unwrap();
        Op::Conv(Conv { weights, weight_type: DataType::signed(4), groups: 1, window })
    };
    let input = tensor(&[1, 8, 8], vec![Range::new(3, 3)]);
    let ones = conv(vec![1; 9], window);
    assert_eq!(output_ranges(&ones, &[&input]), Some(vec![Range::new(12, 27)]));
    let unpadded = Window { pad_begin: [0, 0], pad_end: [0, 0], ..window };
    assert_eq!(output_ranges(&conv(vec![1; 9], unpadded), &[&input]), Some(vec![Range::new(27, 27)]));
    // Weights that cancel do so in whole windows alone.
    let edges = conv(vec![1, 0, -1, 2, 0, -2, 1, 0, -1], window);
    assert_eq!(output_ranges(&edges, &[&input]), Some(vec![Range::new(-12, 12)]));
}

#[test]
fn what_moves_or_joins_channels() {
    let four = tensor(&[4, 2, 2], (0..4).map(|c| Range::new(-c, 10 * c)).collect());
    let to_space = |column_first| Op::DepthToSpace(DepthToSpace { block: 2, column_first });
    assert_eq!(output_ranges(&to_space(true), &[&four]), Some(vec![Range::new(-3, 30)]));
    let eight = tensor(&[8, 1, 1], (0..8).map(|c| Range::new(c, c)).collect());
    let of = |first| output_ranges(&to_space(first), &[&eight]).unwrap();
    assert_eq!(of(true), [Range::new(0, 3), Range::new(4, 7)]);
    assert_eq!(of(false), [Range::new(0, 6), Range::new(1, 7)]);
    let add = |coefficients: &[i64]| Op::Add(Add { coefficients: coefficients.to_vec() });
    assert_eq!(output_ranges(&add(&[2, -1]), &[&four, &four]).unwrap()[2], Range::new(-4 - 20, 40 + 2));
    assert_eq!(output_ranges(&Op::Concat, &[&four, &four]).unwrap().len(), 8);
    assert_eq!(output_ranges(&Op::Upsample([2, 3]), &[&four]).unwrap(), four.ranges);
}

/// Far beyond machine words, nothing wraps.
#[test]
fn sums_too_wide_are_refused() {
    let half = 1i64 << 60;
    let input = tensor(&[1, 4, 4], vec![Range::new(-half, half)]);
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad_begin: [0, 0], pad_end: [0, 0] };
    let pool = |kernel| output_ranges(&Op::SumPool(Window { kernel, ..window }), &[&input]);
    assert_eq!(pool([1, 1]), Some(vec![Range::new(-half, half)]));
    assert_eq!(pool([1, 2]), None);
    let add = |k| output_ranges(&Op::Add(Add { coefficients: vec![k, k] }), &[&input, &input]);
    assert_eq!(add(1), None);
    assert_eq!(add(i64::MIN), None);
    let conv = |w| {
        let weights = Array2::from_elem((1, 4), w);
        let conv =
            Conv { weights, weight_type: DataType::signed(32), groups: 1, window: Window { kernel: [2, 2], ..window } };
        output_ranges(&Op::Conv(conv), &[&input])
    };
    assert_eq!((conv(0), conv(1), conv(i64::MIN)), (Some(vec![Range::ZERO]), None, None));
    let many = Add { coefficients: vec![i64::MIN; 9] };
    assert_eq!(output_ranges(&Op::Add(many), &[&input; 9]), None);
}

#[test]
fn types_follow_the_codes() {
    let of = |datatype: DataType| Tensor { datatype, ..tensor(&[1, 1, 1], vec![Range::new(1, 1)]) };
    let concat = |a, b| output_type(&Op::Concat, &[&of(a), &of(b)], &[]).unwrap();
    let narrow = DataType::quant(3, true, true).unwrap();
    assert_eq!(concat(narrow, narrow), narrow);
    assert_eq!(concat(narrow, DataType::unsigned(2)), DataType::signed(3));
    assert_eq!(concat(DataType::BIPOLAR, DataType::unsigned(2)), DataType::signed(3));
    assert_eq!(concat(DataType::unsigned(4), DataType::unsigned(2)), DataType::unsigned(4));
    assert_eq!(output_type(&Op::Upsample([2, 2]), &[&of(narrow)], &[]), Some(narrow));
}

#[test]
fn random_networks_have_every_operator() {
    let mut seen = HashSet::new();
    for seed in 0..600 {
        let n = conv_network(seed, Limits::default());
        n.validate().unwrap_or_else(|e| panic!("seed {seed}: {e:?}"));
        for layer in &n.layers {
            let input = n.tensor(layer.input());
            match &layer.op {
                Op::Flatten => drop(seen.insert("flatten")),
                Op::Dense(_) => drop(seen.insert("dense")),
                Op::Threshold(t) => {
                    let falling = t.channels.iter().any(|s| s.falling && !s.steps.is_empty());
                    seen.insert(if falling { "falling" } else { "threshold" });
                    let constants = n.tensor(layer.output).ranges.iter().filter_map(|r| r.constant());
                    seen.extend(
                        constants.map(|c| if c == 0 { "dead channel of code 0" } else { "dead channel of another" }),
                    );
                }
                Op::Conv(Conv { groups, window, weights, .. }) => {
                    seen.insert("conv");
                    if input.shape.len() == 2 {
                        seen.insert("conv of one dimension");
                    }
                    let channels = input.ranges.len();
                    if *groups > 1 {
                        seen.insert(if *groups == channels { "depthwise" } else { "grouped" });
                    }
                    if *groups == channels && weights.nrows() > channels && channels > 1 {
                        seen.insert("depthwise with a multiplier");
                    }
                    let (padded, [h, w]) = (window.pad_begin != [0, 0], image(&input.shape).unwrap().1);
                    if padded && input.ranges.iter().any(|r| r.constant().is_some_and(|c| c != 0)) {
                        seen.insert("constant channel before padding");
                    }
                    if padded && input.ranges.iter().any(|r| r.lo > 0 || r.hi < 0) {
                        seen.insert("padding with a value that no code has");
                    }
                    for (is, what) in [
                        (window.stride != [1, 1], "stride"),
                        (window.stride[0] != window.stride[1], "strides that differ"),
                        (window.dilation != [1, 1], "dilation"),
                        (window.kernel == [1, 1], "conv 1x1"),
                        (window.pad_begin != window.pad_end, "pads that differ"),
                        (padded && !window.fits_whole([h, w]), "no whole window"),
                        (input.ranges.iter().any(|r| r.hi < 0), "negative codes alone"),
                    ] {
                        if is {
                            seen.insert(what);
                        }
                    }
                }
                Op::MaxPool(window) => drop(seen.insert(if window.kernel == [1, 1] { "pool 1x1" } else { "max pool" })),
                Op::SumPool(_) => drop(seen.insert("sum pool")),
                Op::Add(add) => {
                    seen.insert("add");
                    let quantized = |id| n.layers.iter().any(|l| l.output == id && matches!(l.op, Op::Threshold(_)));
                    for &id in &layer.inputs {
                        seen.insert(if quantized(id) { "add of codes" } else { "add of accumulators" });
                        if n.readers(id).count() > 1 {
                            seen.insert("residual");
                        }
                    }
                    if add.coefficients.iter().any(|&k| k < 0) {
                        seen.insert("subtraction");
                    }
                    if layer.inputs.len() == 3 {
                        seen.insert("add of three");
                    }
                }
                Op::Concat => {
                    let same = n.tensor(layer.inputs[1]).datatype == input.datatype;
                    seen.insert(if same { "concat" } else { "concat of types" });
                }
                Op::Table(_) => drop(seen.insert("table")),
                Op::Upsample(_) => drop(seen.insert("upsample")),
                Op::DepthToSpace(to) => {
                    seen.insert(if to.column_first { "CRD" } else { "DCR" });
                }
            }
        }
        if n.tensor(n.output).shape.len() > 1 {
            seen.insert("image out");
        }
    }
    assert_eq!(seen.len(), 36, "{seen:?}");
}
