//! Costs of the fixed modules, by their parameters.

use super::coefficients::{
    CONVERTER, CONVERTER_PLACE, CONVERTER_SHIFTED_FIFTHS, CONVERTER_SOURCE_FIFTHS, CREDIT_LUT, FIFO_FF, FIFO_LUT,
    FIFO_SMALL, FLIP_FLOP_MEMORY, SEQUENCER_PER_20_BITS,
};
use super::logic::bits_for;
use super::{Cost, Part};
use crate::dataflow::{Stream, WidthConverter};

/// The number for `bits` bits in a table that starts with one bit; the last one for more.
fn by_bits(table: &[u64], bits: u64) -> u64 {
    let index = usize::try_from(bits.max(1) - 1).unwrap_or(usize::MAX).min(table.len() - 1);
    table[index]
}

/// LUTs of a memory with an asynchronous read: up to 32 words in RAM32M, 64 in RAM64M, above in RAM128X1D. `ports` is 1 if
/// it reads where it writes.
pub fn memory(width: u64, depth: u64, ports: u64) -> Cost {
    let lutram = match depth {
        0..=1 => return Cost::default().with_ff(width),
        2..=32 => 4 * width.div_ceil(if ports == 1 { 8 } else { 6 }),
        33..=64 => 4 * width.div_ceil(if ports == 1 { 4 } else { 3 }),
        _ => 4 * width * depth.div_ceil(128),
    };
    Cost { lutram, ..Cost::default() }
}

/// A queue.
pub fn fifo(width: u64, depth: u64) -> Vec<(Part, Cost)> {
    let address = bits_for(depth.saturating_sub(1));
    let control = match depth {
        1..=4 => {
            let (lut, ff) = FIFO_SMALL[depth as usize - 1];
            Cost::lut(lut).with_ff(ff).with_carry(if depth == 4 { 2 } else { 0 })
        }
        _ => Cost::lut(FIFO_LUT.0 + FIFO_LUT.1 * address)
            .with_ff(FIFO_FF.0 + FIFO_FF.1 * address)
            .with_carry(4 * address.div_ceil(4)),
    };
    let bits = width * depth;
    let storage = if bits <= FLIP_FLOP_MEMORY && depth > 1 {
        // A multiplexer for each bit of a beat, an enable for each place.
        Cost::lut(width * (depth - 1).div_ceil(3) + depth - 1).with_ff(bits)
    } else {
        memory(width, depth, 2)
    };
    vec![(Part::Memory, storage), (Part::Control, control)]
}

/// A credit counter.
pub fn credit(credits: u64) -> Vec<(Part, Cost)> {
    let bits = bits_for(credits);
    let carry = if bits > 2 { 2 * bits.div_ceil(4) } else { 0 };
    vec![(Part::Control, Cost::lut(by_bits(&CREDIT_LUT, bits)).with_ff(bits + 1).with_carry(carry))]
}

/// A sequencer, without the credit counter inside.
pub fn sequencer(neuron_folds: u64, synapse_folds: u64) -> Vec<(Part, Cost)> {
    let counter = |folds: u64| if folds > 1 { bits_for(folds - 1) } else { 0 };
    let counters = [neuron_folds * synapse_folds, neuron_folds, synapse_folds].map(counter);
    let bits = counters.iter().sum::<u64>() + u64::from(neuron_folds > 1);
    let carry = counters.iter().map(|&b| if b > 2 { b.div_ceil(4) } else { 0 }).sum();
    vec![(Part::Control, Cost::lut((bits * SEQUENCER_PER_20_BITS / 20).max(1)).with_ff(bits).with_carry(carry))]
}

/// A delay line: shift registers if nothing resets it and it is at least three long.
pub fn delay(width: u64, cycles: u64, reset: bool) -> Vec<(Part, Cost)> {
    let cost = if reset || cycles < 3 {
        Cost::default().with_ff(width * cycles)
    } else {
        Cost { srl: width * cycles.div_ceil(32), ..Cost::default() }
    };
    vec![(Part::Control, cost)]
}

/// A width converter: each bit of its register takes its own value, the one that moves down, or a lane of the beat for every
/// place at which the beat can be appended.
pub fn converter(converter: &WidthConverter, input: &Stream) -> Vec<(Part, Cost)> {
    let w = converter;
    let unit_bits = w.unit as u64 * u64::from(input.encoding.bits);
    let largest = w.input_units.max(w.last_units);
    let mut sources = 0u64;
    for at in 0..w.capacity {
        let lanes = (0..=w.capacity.saturating_sub(largest)).filter(|&p| p <= at && at < p + largest).count();
        sources += lanes as u64 + 1 + u64::from(at + w.output_units < w.capacity);
    }
    let level = bits_for(w.capacity as u64);
    let count = if w.beats > 1 { bits_for(w.beats as u64 - 1) } else { 0 };
    let places = (w.capacity - largest.min(w.capacity) + 1) as u64;
    let shifts = largest > 1 && places > 2;
    let (fifths, decoding) =
        if shifts { (CONVERTER_SHIFTED_FIFTHS, CONVERTER_PLACE * places) } else { (CONVERTER_SOURCE_FIFTHS, 0) };
    let memory = Cost::lut(sources * unit_bits * fifths / 5 + decoding).with_ff(w.capacity as u64 * unit_bits);
    vec![(Part::Memory, memory), (Part::Control, Cost::lut(CONVERTER + count).with_ff(level + count + 2))]
}
