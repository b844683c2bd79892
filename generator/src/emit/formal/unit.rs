//! The claims of a matrix-vector unit: its processing elements get what their claims rely on.

use hw_templates::{FormalVectors, UnitFormal};

use super::{beat_bits, excludes, protocol, queue_module, range_module, vector_range, watch_module};
use crate::dataflow::{MatrixVector, Stream};
use crate::emit::expression::{counter_bits, pack};

/// The context of the claims of the unit called `name`.
pub fn context(
    top: &str,
    unit: &MatrixVector,
    name: &str,
    input: &Stream,
    output: &Stream,
    joined: FormalVectors,
) -> UnitFormal {
    let folds = unit.neuron_folds * unit.synapse_folds;
    let positions = 1usize << counter_bits(folds - 1);
    let marked = |at: usize| pack((0..positions).map(|f| (u64::from(f < folds && f % unit.synapse_folds == at), 1)));
    let sum = unit.sum_cycles();
    let bits = beat_bits(input);
    // Of a vector in parts, what is where at each fold.
    let (s, passes) = (unit.synapse_folds, unit.passes());
    let first = |fold: usize| fold / s / passes * s;
    let taken = |fold: usize| match fold / s % passes {
        0 => unit.beat_of(fold),
        _ => (first(fold) + s) % input.vector_beats(),
    };
    let table = |of: &dyn Fn(usize) -> usize| {
        pack((0..positions).map(|f| (if f < folds { of(f) as u64 } else { 0 }, bits as u32)))
    };
    UnitFormal {
        module: name.to_owned(),
        fold_bits: counter_bits(folds - 1),
        fold_last: folds - 1,
        neuron_bits: counter_bits(unit.neuron_folds - 1),
        synapse_bits: counter_bits(s - 1),
        neuron_folds: unit.neuron_folds,
        passes,
        synapse_folds: unit.synapse_folds,
        words: (0..unit.synapse_folds).collect(),
        beat_bits: bits,
        taken: if unit.parts > 1 { table(&taken) } else { String::new() },
        part: if unit.parts > 1 { table(&first) } else { String::new() },
        levels: unit.tree_levels,
        stages: unit.search_cycles(),
        accumulator: unit.synapse_folds > 1,
        copied: usize::from(unit.operands_copied),
        copies: if unit.operands_copied { (0..unit.pe).collect() } else { Vec::new() },
        fold_copies: if unit.operands_copied && folds > 1 { (0..unit.pe).collect() } else { Vec::new() },
        x_bits: input.width(),
        channels: protocol::channels(unit),
        input_watch: watch_module(top, input),
        input_range: range_module(top, input),
        ranges: excludes(input),
        output_range: vector_range(top, output, unit.neuron_folds).0,
        output_queue: queue_module(top, output),
        simd: input.lanes,
        pe: output.lanes,
        queue: unit.queue_depth,
        credit_late: unit.credit_late,
        positions,
        first: marked(0),
        last: marked(unit.synapse_folds - 1),
        sum,
        value: sum + usize::from(unit.synapse_folds > 1),
        pipeline: unit.pipeline(),
        joined,
    }
}
