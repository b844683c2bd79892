//! The claims of a FIFO or a width converter between two streams.

use hw_templates::{ConnectorFormal, StreamRange};

use super::{excludes, queue_module, range, vector, vectors, watch_module};
use crate::dataflow::{Dataflow, Kind, Module};
use crate::emit::expression::counter_bits;
use crate::emit::fixed::instance;

/// The context of the claims of `module`, and the ranges of its units if it is a width converter; `None` for other kinds.
pub fn context(dataflow: &Dataflow, module: &Module) -> Option<(ConnectorFormal, Option<StreamRange>)> {
    if !matches!(module.kind, Kind::Fifo(_) | Kind::WidthConverter(_)) {
        return None;
    }
    let (input, output) = (dataflow.stream(module.input()), dataflow.stream(module.output()));
    let top = &dataflow.top;
    let (kind, fixed) = instance(&module.kind, &[input], &[output])?;
    let mut claims = ConnectorFormal {
        module: format!("{top}_{}_claims", module.name),
        instance: module.name.clone(),
        kind: kind.to_owned(),
        parameters: fixed.iter().map(|p| format!(".{}({})", p.name, p.value)).collect::<Vec<_>>().join(", "),
        fifo: true,
        s_bits: input.width(),
        m_bits: output.width(),
        input_watch: watch_module(top, input),
        output_watch: watch_module(top, output),
        output_queue: queue_module(top, output),
        held_bits: 0,
        places: Vec::new(),
        unit: 1,
        unit_bits: 1,
        units: 1,
        input_units: 1,
        output_units: 1,
        number_bits: 1,
        unit_beat_bits: 1,
        unit_range: String::new(),
        ranges: excludes(output),
        joined: vectors(dataflow, module),
    };
    let Kind::WidthConverter(w) = &module.kind else { return Some((claims, None)) };
    // A vector with its padding; numbers are added up to what the register holds.
    let units = w.input_units * (w.beats - 1) + w.last_units;
    let name = format!("{top}_{}_unit_range", module.name);
    let vector = vector(output, claims.joined.beats);
    let mut units_range = range(name.clone(), format!("the units of {}", module.name), &vector, w.unit);
    // The padding is made of units too.
    units_range.beat_bits = units_range.beat_bits.max(counter_bits(units - 1));
    claims.fifo = false;
    claims.unit = w.unit;
    claims.unit_bits = w.unit * output.encoding.bits as usize;
    claims.held_bits = w.capacity * claims.unit_bits;
    claims.places = (0..w.capacity).collect();
    claims.units = units;
    claims.input_units = w.input_units;
    claims.output_units = w.output_units;
    claims.number_bits = counter_bits(units + w.capacity);
    claims.unit_beat_bits = units_range.beat_bits;
    claims.unit_range = name;
    Some((claims, Some(units_range)))
}
