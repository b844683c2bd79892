//! Whole networks: targets met, thresholds exact for the new grid, codes' meaning kept.

use proptest::prelude::*;

use super::super::network::{NetworkError, quantize_network};
use super::*;
use crate::certificate::{Targets, check};
use crate::datatype::Range;
use crate::network::{Network, Op, Steps};
use crate::testing::{Limits as Sizes, evaluate, inputs, network};

/// Every tensor of a network for one input.
fn run(network: &Network, input: &[i64]) -> Vec<Vec<i64>> {
    let narrow = |tensor: Vec<i128>| tensor.into_iter().map(|x| i64::try_from(x).unwrap()).collect();
    evaluate(network, input).into_iter().map(narrow).collect()
}

fn with_all_targets(n: &Network, p: u32) -> Vec<Option<u32>> {
    Targets::All(p).resolve(n).unwrap()
}

/// The smallest target that every layer can meet with a weight.
fn least(n: &Network) -> u32 {
    n.dense_layers()
        .map(|(l, d)| {
            let weight_type = if d.weight_type == DataType::BIPOLAR { DataType::signed(2) } else { d.weight_type };
            smallest_accumulator(n.tensor(l.input()).datatype, weight_type)
        })
        .max()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_method_meets_its_target_in_random_networks(seed in any::<u64>(), more in 0u32..5) {
        let n = network(seed, Sizes::default());
        let p = least(&n) + more;
        let calibrate = |n: &Network, id: crate::network::TensorId| {
            let rows: Vec<Vec<i64>> = inputs(n, 1, 8).rows().into_iter().map(|x| run(n, &x.to_vec())[id.0].clone()).collect();
            Ok(Array2::from_shape_fn((8, rows[0].len()), |(s, i)| rows[s][i]))
        };
        for name in NAMES {
            let method = by_name(name, None).unwrap();
            match quantize_network(&n, &with_all_targets(&n, p), method.as_ref(), Some(&calibrate)) {
                Ok((q, reports)) => {
                    // Validity is checked inside; the target once more, by the code that `snug check` uses.
                    prop_assert_eq!(check(&q, &Targets::All(p)).unwrap(), vec![]);
                    prop_assert!(reports.iter().all(|r| r.exact <= p && r.slack.is_some()));
                    prop_assert_eq!(reports.iter().any(|r| r.changed), q != n);
                }
                Err(NetworkError::Layer { source: WeightError::NoBitWidth { .. }, .. }) => prop_assert_eq!(name, "de-bruin"),
                Err(e) => prop_assert!(false, "{name}: {e}"),
            }
        }
    }

    /// A coarser grid: with weights that are multiples of k, dividing them by k changes no code and no class.
    #[test]
    fn a_coarser_grid_keeps_every_code(seed in any::<u64>(), k in 2i64..5) {
        let n = network(seed, Sizes { layers: 3, width: 8, bits: 4 });
        let mut coarse = n.clone();
        let mut fine = n;
        // The network with all weights of one layer k times as large, thresholds left alone: codes of its own.
        let place = fine.layers.iter().position(|l| matches!(l.op, Op::Dense(_))).unwrap();
        let factors: Vec<i64> = match &mut fine.layers[place].op {
            Op::Dense(d) => {
                d.weights.mapv_inplace(|w| w * k);
                d.weight_type = DataType::signed(9);
                vec![k; d.weights.nrows()]
            }
            _ => unreachable!(),
        };
        super::super::network::refit_for_tests(&mut fine, place, vec![1; factors.len()]);
        // Thresholds of `coarse` as they were in `fine`, then told of the factor.
        coarse.layers = coarse.layers.iter().zip(&fine.layers).map(|(c, f)| {
            if matches!(c.op, Op::Threshold(_)) { f.clone() } else { c.clone() }
        }).collect();
        super::super::network::refit_for_tests(&mut coarse, place, factors);
        prop_assert!(coarse.validate().is_ok() && fine.validate().is_ok());
        let classes = |n: &Network, out: &[i64]| n.label_grid.as_ref().ok().map(|g| {
            out.iter().zip(&g.multiplier).zip(&g.offset).map(|((x, m), b)| m * x + b).collect::<Vec<_>>()
        });
        for x in inputs(&fine, seed, 20).rows() {
            let (a, b) = (run(&fine, &x.to_vec()), run(&coarse, &x.to_vec()));
            for (t, layer) in fine.layers.iter().enumerate() {
                if t > place && matches!(layer.op, Op::Threshold(_)) {
                    prop_assert_eq!(&a[layer.output.0], &b[layer.output.0]);
                }
            }
            prop_assert_eq!(classes(&fine, &a[fine.output.0]), classes(&coarse, &b[coarse.output.0]));
        }
    }

    #[test]
    fn steps_on_a_coarser_grid_are_exact(
        base in -5i64..5, mut steps in prop::collection::vec(-40i64..40, 0..8), falling in any::<bool>(), k in 1i64..6,
        lo in -20i64..10, span in 0i64..20,
    ) {
        steps.sort_unstable();
        let (old, range) = (Steps { base, steps, falling }, Range::new(lo, lo + span));
        let new = super::super::network::steps_for_tests(&old, k, range);
        for x in range.lo..=range.hi {
            prop_assert_eq!(new.apply(x), old.apply(k * x), "x = {}", x);
        }
        prop_assert!(new.steps.iter().all(|&t| range.lo < t && t <= range.hi));
    }
}

#[test]
fn layers_that_fit_and_layers_that_are_kept_stay() {
    let n = crate::testing::mlp(3, &[30, 20, 10], DataType::unsigned(4), DataType::signed(4), DataType::unsigned(4));
    let (same, reports) = quantize_network(&n, &[Some(30), None], &A2qPlus::default(), None).unwrap();
    assert_eq!(same, n);
    assert!(reports.iter().all(|r| !r.changed && r.error == 0.0));
    let (q, reports) = quantize_network(&n, &[None, Some(8)], &SignSplit, None).unwrap();
    assert_eq!(q.dense_layers().next().unwrap().1, n.dense_layers().next().unwrap().1);
    assert!(reports[1].changed && reports[1].exact <= 8 && reports[1].error > 0.0);
}

#[test]
fn refusals_name_the_layer() {
    let n = crate::testing::mlp(3, &[30, 20, 10], DataType::unsigned(4), DataType::signed(4), DataType::unsigned(4));
    let error = quantize_network(&n, &[None, Some(4)], &SignSplit, None).unwrap_err();
    assert!(error.to_string().starts_with("layer 'features.1': 4 accumulator bits"), "{error}");
    assert!(matches!(
        quantize_network(&n, &[None], &SignSplit, None),
        Err(NetworkError::Targets { given: 1, layers: 2 })
    ));
    let error = quantize_network(&n, &[Some(8), None], &GridRescale { denominator: 64 }, None).unwrap_err();
    assert!(matches!(error, NetworkError::Factor { .. }), "{error}");
    let axe = by_name("axe", None).unwrap();
    let failing = |_: &Network, _| Err("no such data".to_owned());
    let error = quantize_network(&n, &[Some(8), None], axe.as_ref(), Some(&failing)).unwrap_err();
    assert!(matches!(error, NetworkError::Activations { .. }), "{error}");
}

/// T3: raw accumulators of one layer are no input for a constrained one.
#[test]
fn unquantized_inputs_are_refused_by_name() {
    let mut n = crate::testing::mlp(3, &[6, 5, 4], DataType::unsigned(2), DataType::signed(3), DataType::unsigned(2));
    // Take the threshold away: the second layer reads the first one's accumulators.
    let threshold = n.layers.remove(1);
    n.layers[1].inputs = vec![threshold.inputs[0]];
    let gone = threshold.output.0;
    n.tensors.remove(gone);
    for layer in &mut n.layers {
        for id in layer.inputs.iter_mut().chain([&mut layer.output]) {
            id.0 -= usize::from(id.0 > gone);
        }
    }
    n.output.0 -= 1;
    super::super::network::refit_for_tests(&mut n, 0, vec![1; 5]);
    let error = quantize_network(&n, &[None, Some(7)], &SignSplit, None).unwrap_err();
    assert!(matches!(&error, NetworkError::Unquantized { layer, .. } if layer == "features.1"), "{error}");
    // Nor can they take a coarser grid.
    let error = quantize_network(&n, &[Some(5), None], &GridRescale::default(), None).unwrap_err();
    assert!(matches!(&error, NetworkError::Reader { layer } if layer == "features.1"), "{error}");
}

/// T9: offsets of the output are not in the register: they are the same before and after, and change no width.
#[test]
fn biases_stay_out_of_the_register() {
    let mut n = crate::testing::mlp(5, &[30, 10], DataType::unsigned(4), DataType::signed(4), DataType::unsigned(4));
    let (plain, a) = quantize_network(&n, &[Some(9)], &GridRescale::default(), None).unwrap();
    n.label_grid =
        Ok(crate::network::LabelGrid { multiplier: vec![1; 10], offset: (0..10).map(|c| c * 1_000_000).collect() });
    for scale in n.tensors[n.output.0].scale.iter_mut().flatten() {
        scale.offset = 1e6;
    }
    let (biased, b) = quantize_network(&n, &[Some(9)], &GridRescale::default(), None).unwrap();
    assert_eq!(a, b);
    assert_eq!(plain.tensor(plain.output).ranges, biased.tensor(biased.output).ranges);
    assert_eq!(biased.label_grid.unwrap().offset, n.label_grid.unwrap().offset);
    assert!(biased.tensors[biased.output.0].scale.iter().flatten().all(|s| s.offset == 1e6));
}
