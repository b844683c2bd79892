//! Prints a matrix-vector unit.

use hw_templates::{Delay, MatrixVector as Context, PeInstance};

use super::expression::{counter_bits, type_name};
use super::processing_element::{has_rom, mixed};
use crate::dataflow::{MatrixVector, Module, Stream};
use crate::names::comment;
use crate::unrolled::Unrolled;

/// The context of a matrix-vector unit whose module is called `name`.
pub fn context(name: &str, module: &Module, unit: &MatrixVector, input: &Stream, output: &Stream) -> Context {
    let folds = unit.neuron_folds * unit.synapse_folds;
    let neuron_bits = counter_bits(unit.neuron_folds - 1);
    let several = unit.neuron_folds > 1;
    let accumulate = unit.synapse_folds > 1;
    // Cycles from a fold to its sum, and to the value that thresholds see.
    let sum = unit.sum_cycles();
    let value = sum + usize::from(accumulate);
    let range = |bits: usize| if bits > 1 { format!("[{}:0] ", bits - 1) } else { String::new() };
    let delay = |name: &str, width: usize, cycles, reset, source: &str| Delay {
        name: name.to_owned(),
        range: range(width),
        width,
        cycles,
        reset,
        source: source.to_owned(),
    };
    let mut delays = Vec::new();
    if accumulate {
        delays.push(delay("sum_valid", 1, sum, 1, "fire"));
        delays.push(delay("sum_first", 1, sum, 0, "first"));
    }
    let mut channel_ports = Vec::new();
    let bits = unit.search.map_or(0, |s| s.bits as usize);
    if several && bits > 0 {
        let mut source = "neuron".to_owned();
        let mut cycles = value;
        for k in 0..bits {
            let name = format!("channel{k}");
            delays.push(delay(&name, neuron_bits, cycles, 0, &source));
            channel_ports.push(name.clone());
            source = name;
            cycles = unit.stage_cycles();
        }
        if unit.pes.iter().any(mixed) {
            delays.push(delay("channel_y", neuron_bits, cycles, 0, &source));
            channel_ports.push("channel_y".to_owned());
        }
    }
    delays.push(delay("y_valid", 1, unit.pipeline(), 1, "fire & last"));
    let lane = output.encoding.bits as usize;
    let mut unused = Vec::new();
    if unit.passes() == 1 {
        unused.push("replay");
        unused.push("synapse");
    }
    if !unit.pes.iter().any(has_rom) {
        unused.push("fold");
    }
    if !several || bits == 0 {
        unused.push("neuron");
    }
    if !accumulate {
        unused.push("first");
    }
    Context {
        module: name.to_owned(),
        layer: comment(&module.layer),
        task: format!(
            "{} outputs of {} inputs{}",
            output.vector_elements(),
            input.vector_elements(),
            if unit.search.is_some() { ", thresholds behind each sum" } else { "; the accumulators leave" }
        ),
        pe: unit.pe,
        simd: unit.simd,
        neuron_folds: unit.neuron_folds,
        passes: unit.passes(),
        parts: unit.parts,
        synapse_folds: unit.synapse_folds,
        cycles: folds,
        pipeline: unit.pipeline(),
        s_bits: input.width(),
        s_type: type_name(input.encoding),
        m_bits: output.width(),
        m_type: type_name(output.encoding),
        fold_bits: counter_bits(folds - 1),
        neuron_bits,
        synapse_bits: counter_bits(unit.synapse_folds - 1),
        queue: unit.queue_depth,
        credit_late: unit.credit_late,
        unused: unused.join(", "),
        delays,
        accumulate,
        copied: unit.operands_copied,
        channel_ports,
        array: unit.array.as_ref().map_or_else(String::new, |_| format!("{name}_array")),
        sums_bits: unit.array.as_ref().map_or(0, Unrolled::output_bits),
        pes: (0..unit.pe)
            .map(|p| PeInstance {
                module: format!("{name}_pe{p}"),
                fold: has_rom(&unit.pes[p]),
                x: unit.array.as_ref().map_or_else(
                    || if unit.operands_copied { format!("x{p}") } else { "x_reg".to_owned() },
                    |a| {
                        let low: usize = a.outputs[..p].iter().map(|o| o.bits.len()).sum();
                        format!("sums[{}:{low}]", low + a.outputs[p].bits.len() - 1)
                    },
                ),
                formal_fold: folds > 1 && !has_rom(&unit.pes[p]),
                high: (p + 1) * lane - 1,
                low: p * lane,
            })
            .collect(),
        formal: String::new(),
        formal_modules: String::new(),
    }
}
