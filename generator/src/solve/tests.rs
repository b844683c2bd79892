#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use quantizer::datatype::DataType;
use quantizer::network::LabelGrid;
use quantizer::testing::{Limits, Random, conv_network, sparse_mlp};

use super::*;
use crate::dataflow::Output;

fn plan<'a>(network: &'a Network, lowering: &'a LowerOptions, backend: Backend) -> Plan<'a> {
    let (accumulators, memory) = (AccumulatorRule::default(), WeightMemory::default());
    Plan { network, lowering, accumulators, backend, memory, settle: |_| Ok(()) }
}

/// Interval and LUTs of every folding that there is, lowered and estimated one by one.
fn brute_force(plan: Plan) -> Vec<(u64, u64)> {
    let mut all: Vec<BTreeMap<String, LayerFolding>> = vec![BTreeMap::new()];
    for matrix in plan.network.matrix_layers() {
        let (rows, columns) = matrix.weights.dim();
        let mut more = Vec::new();
        for (pe, simd) in (1..=rows).flat_map(|pe| (1..=columns).map(move |simd| (pe, simd))) {
            if rows % pe == 0 && columns % simd == 0 {
                more.extend(all.iter().map(|foldings| {
                    let mut foldings = foldings.clone();
                    foldings.insert(matrix.layer.name.clone(), LayerFolding { pe, simd });
                    foldings
                }));
            }
        }
        all = more;
    }
    let cost = |foldings| {
        let options = LowerOptions { folding: FoldingRequest::Layers(foldings), ..plan.lowering.clone() };
        let mut dataflow = lower_with(plan.network, &options, plan.accumulators).unwrap();
        retarget(&mut dataflow, plan.backend);
        (dataflow.interval(), estimate(&dataflow).total.lut_total())
    };
    all.into_iter().map(cost).collect()
}

#[test]
fn never_worse_than_brute_force() {
    let mut foldings = 0;
    for (seed, widths) in [(1, &[6, 4, 3][..]), (2, &[8, 6, 4]), (3, &[5, 4, 4, 2]), (4, &[4, 6, 2, 3])] {
        for (output, backend) in [(Output::Logits, Backend::Generic), (Output::Label, Backend::Xc7)] {
            let types = [DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2)];
            let mut network = sparse_mlp(seed, widths, types, 40);
            let classes = widths[widths.len() - 1];
            network.label_grid = Ok(LabelGrid { multiplier: vec![1; classes], offset: vec![0; classes] });
            let lowering = LowerOptions { output, ..LowerOptions::default() };
            let plan = plan(&network, &lowering, backend);
            let all = brute_force(plan);
            foldings += all.len();
            let intervals: BTreeSet<u64> = all.iter().map(|a| a.0).collect();
            for &interval in &intervals {
                let least = all.iter().filter(|a| a.0 <= interval).map(|a| a.1).min().unwrap();
                let found = solve(plan, Goal::Interval(interval)).unwrap();
                assert!(found.interval <= interval);
                assert_eq!(found.luts, least, "seed {seed}, {backend:?}, at most {interval} cycles: {found:?}");
                assert!(found.limiting.is_some());
            }
            let budgets: BTreeSet<u64> = all.iter().map(|a| a.1).collect();
            for &budget in budgets.iter().step_by(budgets.len() / 12 + 1) {
                let fastest = all.iter().filter(|a| a.1 <= budget).map(|a| a.0).min().unwrap();
                let found = solve(plan, Goal::Luts(budget)).unwrap();
                assert!(found.luts <= budget);
                assert_eq!(found.interval, fastest, "seed {seed}, {backend:?}, at most {budget} LUTs: {found:?}");
            }
            let least = *budgets.first().unwrap();
            let error = solve(plan, Goal::Luts(least - 1)).unwrap_err();
            assert!(matches!(error, GenerateError::Budget { least: l, .. } if l == least));
        }
    }
    assert_eq!(foldings, 1944);
}

/// Where branches join the search is no longer exact; it must still keep its promises.
#[test]
fn never_worse_than_the_plain_folding() {
    let limits = Limits { layers: 3, width: 6, bits: 3 };
    let lowering = LowerOptions::default();
    let mut random = Random::new(9);
    let mut better = 0;
    for seed in 0..12 {
        let network = conv_network(seed, limits);
        let floor = resolve(&network, &FoldingRequest::Default).unwrap().floor;
        let interval = floor * random.within(1, 8) as u64;
        let plain = LowerOptions { folding: FoldingRequest::Interval(interval), ..LowerOptions::default() };
        let plain = estimate(&lower_with(&network, &plain, AccumulatorRule::default()).unwrap()).total.lut_total();
        let found = solve(plan(&network, &lowering, Backend::Generic), Goal::Interval(interval)).unwrap();
        assert!(found.interval <= interval, "seed {seed}: {found:?}");
        better += usize::from(found.luts < plain);
    }
    assert!(better > 0);
}
