//! Prints a matrix-vector unit whose weights arrive on a stream.

use hw_templates::{StreamedElement, StreamedLane, StreamedUnit};

use super::expression::{counter_bits, type_name};
use crate::streamed::Streamed;

/// The context of an element, whose sum is the text `heap`.
pub fn element(name: &str, plan: &Streamed, heap: String) -> StreamedElement {
    let shape = plan.shape;
    StreamedElement {
        module: name.to_owned(),
        simd: shape.simd,
        cycles: plan.synapse_folds(),
        stages: plan.heap.last_stage,
        x_bits: shape.simd * shape.input.bits as usize,
        weight_bits: shape.simd * shape.weight.bits as usize,
        acc_bits: plan.accumulator_bits as usize,
        accumulate: plan.heap.accumulate,
        heap,
    }
}

/// The context of the unit `name` of elements `element`.
pub fn unit(name: &str, element: &str, plan: &Streamed) -> StreamedUnit {
    let shape = plan.shape;
    let (weights, acc) = (shape.simd * shape.weight.bits as usize, plan.accumulator_bits as usize);
    StreamedUnit {
        module: name.to_owned(),
        element: element.to_owned(),
        rows: shape.rows,
        columns: shape.columns,
        pe: shape.pe,
        simd: shape.simd,
        neuron_folds: plan.neuron_folds(),
        synapse_folds: plan.synapse_folds(),
        cycles: plan.cycles(),
        x_type: type_name(shape.input),
        w_type: type_name(shape.weight),
        s_bits: shape.simd * shape.input.bits as usize,
        w_bits: shape.pe * weights,
        m_bits: shape.pe * acc,
        acc_bits: acc,
        synapse_bits: counter_bits(plan.synapse_folds() - 1),
        neuron_bits: counter_bits(plan.neuron_folds() - 1),
        accumulate: plan.heap.accumulate,
        sum: plan.sum_cycles(),
        pipeline: plan.pipeline(),
        queue: plan.queue_depth,
        pair: plan.pair(),
        elements: (0..shape.pe)
            .map(|p| StreamedLane {
                weights_high: (p + 1) * weights - 1,
                weights_low: p * weights,
                high: (p + 1) * acc - 1,
                low: p * acc,
            })
            .collect(),
    }
}
