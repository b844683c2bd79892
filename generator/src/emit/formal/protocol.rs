//! The module that watches how folds come to the processing elements of a unit.

use hw_templates::{ProtocolFormal, StageStep};

use super::{Tables, beat_bits, range_module};
use crate::dataflow::{MatrixVector, Stream};
use crate::emit::expression::{counter_bits, pack};
use crate::emit::processing_element::mixed;

/// Neuron fold ports of the processing elements, in stage order, `channel_y` last.
pub fn channels(unit: &MatrixVector) -> Vec<String> {
    let bits = unit.search.map_or(0, |s| s.bits as usize);
    if unit.neuron_folds == 1 || bits == 0 {
        return Vec::new();
    }
    let mut names: Vec<String> = (0..bits).map(|k| format!("channel{k}")).collect();
    if unit.pes.iter().any(mixed) {
        names.push("channel_y".to_owned());
    }
    names
}

/// The context of the protocol module of the unit called `name`.
pub fn context(top: &str, name: &str, unit: &MatrixVector, input: &Stream) -> ProtocolFormal {
    let folds = unit.neuron_folds * unit.synapse_folds;
    let fold_bits = counter_bits(folds - 1);
    let neuron_bits = counter_bits(unit.neuron_folds - 1);
    let synapse_bits = beat_bits(input);
    let positions = 1usize << fold_bits;
    let s = unit.synapse_folds;
    let marked = |at: usize| pack((0..positions).map(|f| (u64::from(f < folds && f % s == at), 1)));
    let mut tables = Tables::default();
    let synapse_of: Vec<i64> = (0..folds).map(|f| unit.beat_of(f) as i64).collect();
    let neuron_of: Vec<i64> = (0..folds).map(|f| (f / s) as i64).collect();
    let synapse = tables.lookup(&synapse_of, synapse_bits, "fold_reg", fold_bits);
    let neuron = tables.lookup(&neuron_of, neuron_bits, "row_fold", fold_bits);
    let channels = channels(unit);
    let stages = unit.search_cycles();
    let step = unit.stage_cycles();
    ProtocolFormal {
        module: name.to_owned(),
        range_module: range_module(top, input),
        fold_bits,
        folds,
        x_bits: input.width(),
        simd: input.lanes,
        accumulator: unit.synapse_folds > 1,
        neuron_bits,
        neuron_last: unit.neuron_folds - 1,
        synapse_bits,
        levels: unit.tree_levels,
        stages,
        positions,
        first: marked(0),
        last: marked(s - 1),
        tables: tables.finish(),
        synapse,
        neuron,
        stage_list: (0..=stages)
            .map(|k| StageStep {
                index: k,
                channel: if k % step == 0 {
                    channels.get(k / step).cloned().unwrap_or_default()
                } else {
                    String::new()
                },
                is_last: k == stages,
            })
            .collect(),
        channels,
    }
}
