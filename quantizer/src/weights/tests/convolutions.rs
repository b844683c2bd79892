//! Convolutional networks: targets met in every layer, grids followed through pools, windows as columns.

use super::super::network::{NetworkError, columns_for_tests, quantize_network, try_refit_for_tests};
use super::*;
use crate::certificate::{Targets, check};
use crate::network::{MatrixLayer, Network, Op, TensorId};
use crate::testing::{Limits as Sizes, conv_network, evaluate, inputs};

fn run(network: &Network, input: &[i64]) -> Vec<Vec<i64>> {
    let narrow = |tensor: Vec<i128>| tensor.into_iter().map(|x| i64::try_from(x).unwrap()).collect();
    evaluate(network, input).into_iter().map(narrow).collect()
}

/// All samples of one tensor.
fn codes(network: &Network, TensorId(id): TensorId, samples: usize) -> Array2<i64> {
    let rows: Vec<Vec<i64>> =
        inputs(network, 1, samples).rows().into_iter().map(|x| run(network, &x.to_vec())[id].clone()).collect();
    Array2::from_shape_fn((samples, rows[0].len()), |(s, i)| rows[s][i])
}

fn least(n: &Network) -> u32 {
    let of = |m: MatrixLayer<'_>| {
        let bipolar = m.weight_type == DataType::BIPOLAR;
        let weight_type = if bipolar { DataType::signed(2) } else { m.weight_type };
        let input = n.tensor(m.layer.input()).datatype;
        // Wider inputs are raw accumulators, which are refused.
        if input.bits > 32 { 1 } else { smallest_accumulator(input, weight_type) }
    };
    n.matrix_layers().map(of).max().unwrap_or(1)
}

#[test]
fn every_method_meets_its_target_in_random_convolutional_networks() {
    let (mut met, mut grouped, mut refused) = (0, 0, 0);
    for seed in 0..250 {
        let n = conv_network(seed, Sizes { layers: 4, width: 8, bits: 4 });
        if n.matrix_layers().count() == 0 {
            continue;
        }
        let targets = Targets::All(least(&n) + (seed % 4) as u32);
        let resolved = targets.resolve(&n).unwrap();
        let calibrate = |n: &Network, id: TensorId| Ok(codes(n, id, 6));
        for name in NAMES {
            let method = by_name(name, None).unwrap();
            match quantize_network(&n, &resolved, method.as_ref(), Some(&calibrate)) {
                Ok((q, reports)) => {
                    assert_eq!(check(&q, &targets).unwrap(), vec![], "seed {seed}, {name}");
                    assert!(reports.iter().all(|r| r.slack.is_some()), "seed {seed}, {name}");
                    let changed = q.matrix_layers().zip(&reports).filter(|(_, r)| r.changed);
                    for (matrix, _) in changed {
                        met += 1;
                        grouped += usize::from(matrix.groups > 1);
                    }
                }
                Err(NetworkError::Layer { source: WeightError::NoBitWidth { .. }, .. }) => assert_eq!(name, "de-bruin"),
                // A layer behind raw sums, or sums that something but a threshold reads, on a grid of their own.
                Err(NetworkError::Unquantized { .. } | NetworkError::Reader { .. }) => refused += 1,
                // Windows that all touch the border, of a type without 0.
                Err(NetworkError::Layer { source: WeightError::CalibrationShape { .. }, .. }) => {
                    assert!(method.wants_data(), "seed {seed}, {name}");
                    refused += 1;
                }
                Err(e) => panic!("seed {seed}, {name}: {e}"),
            }
        }
    }
    assert!(met > 1000 && grouped > 100 && refused < met, "{met} {grouped} {refused}");
}

/// With weights that are multiples of k, dividing them by k changes no code and no class, through pools and moves.
#[test]
fn a_coarser_grid_is_followed() {
    let (mut followed, mut through_pools) = (0, 0);
    for seed in 0..400u64 {
        let k = 2 + (seed % 3) as i64;
        let mut fine = conv_network(seed, Sizes { layers: 3, width: 8, bits: 3 });
        let Some(place) = fine.layers.iter().position(|l| MatrixLayer::of(l).is_some()) else { continue };
        let mut coarse = fine.clone();
        let rows = match &mut fine.layers[place].op {
            Op::Dense(d) => {
                d.weights.mapv_inplace(|w| w * k);
                d.weight_type = DataType::signed(9);
                d.weights.nrows()
            }
            Op::Conv(c) => {
                c.weights.mapv_inplace(|w| w * k);
                c.weight_type = DataType::signed(9);
                c.weights.nrows()
            }
            _ => unreachable!(),
        };
        if try_refit_for_tests(&mut fine, place, vec![1; rows]).is_err() {
            continue;
        }
        for (c, f) in coarse.layers.iter_mut().zip(&fine.layers) {
            if matches!(c.op, Op::Threshold(_)) {
                c.op = f.op.clone();
            }
        }
        match try_refit_for_tests(&mut coarse, place, vec![k; rows]) {
            Ok(()) => {}
            Err(NetworkError::Reader { .. }) => continue,
            Err(e) => panic!("seed {seed}: {e}"),
        }
        assert!(coarse.validate().is_ok() && fine.validate().is_ok(), "seed {seed}");
        followed += 1;
        let out = fine.layers[place].output;
        let pool = |l: &&crate::network::Layer| matches!(l.op, Op::MaxPool(_) | Op::SumPool(_) | Op::Upsample(_));
        through_pools += usize::from(fine.readers(out).any(|l| pool(&l)));
        let classes = |n: &Network, out: &[i64]| {
            let per = |g: &crate::network::LabelGrid| {
                out.iter().zip(&g.multiplier).zip(&g.offset).map(|((x, m), b)| m * x + b).collect::<Vec<_>>()
            };
            n.label_grid.as_ref().ok().map(per)
        };
        for x in inputs(&fine, seed, 10).rows() {
            let (a, b) = (run(&fine, &x.to_vec()), run(&coarse, &x.to_vec()));
            for layer in fine.layers[place..].iter().filter(|l| matches!(l.op, Op::Threshold(_))) {
                assert_eq!(a[layer.output.0], b[layer.output.0], "seed {seed}, {}", layer.name);
            }
            assert_eq!(classes(&fine, &a[fine.output.0]), classes(&coarse, &b[coarse.output.0]), "seed {seed}");
        }
    }
    assert!(followed > 150 && through_pools > 10, "{followed} {through_pools}");
}

/// Rows of weights times the columns of a layer are what the layer computes.
#[test]
fn columns_are_what_weights_are_multiplied_with() {
    let mut compared = 0;
    for seed in 0..150 {
        let n = conv_network(seed, Sizes { layers: 3, width: 8, bits: 3 });
        for matrix in n.matrix_layers() {
            let (input, output) = (n.tensor(matrix.layer.input()), n.tensor(matrix.layer.output));
            let (x, y) = (codes(&n, matrix.layer.input(), 3), codes(&n, matrix.layer.output, 3));
            let places = matrix.places(output);
            for (r, weights) in matrix.weights.rows().into_iter().enumerate() {
                let columns = columns_for_tests(&x, &matrix, r, input, output);
                if !input.datatype.holds(0) && columns.nrows() != 3 * places {
                    continue;
                }
                let found: Vec<i64> = columns.dot(&weights).to_vec();
                let expected: Vec<i64> = (0..3)
                    .flat_map(|s| (0..places).map(move |p| (s, p)))
                    .map(|(s, p)| y[[s, r * places + p]])
                    .collect();
                assert_eq!(found, expected, "seed {seed}, {}, row {r}", matrix.layer.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "{compared}");
}
