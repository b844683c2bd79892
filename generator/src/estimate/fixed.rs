//! Costs of the fixed modules, by their parameters.

use super::coefficients::{
    CONVERTER, CONVERTER_BIT, CREDIT_LUT, FIFO_FF, FIFO_LUT, FIFO_SMALL, FLIP_FLOP_MEMORY, SEQUENCER, SEQUENCER_BARE,
};
use super::logic::bits_for;
use super::{Cost, Part};
use crate::dataflow::{Stream, WidthConverter};

/// The number for `bits` bits in a table that starts with one bit; the last one for more.
fn by_bits(table: &[u64], bits: u64) -> u64 {
    let index = usize::try_from(bits.max(1) - 1).unwrap_or(usize::MAX).min(table.len() - 1);
    table[index]
}

/// LUTs of a memory with an asynchronous read: up to 32 words in RAM32M, above in banks of RAM64M. `ports` is 1 if it reads where it
/// writes.
pub fn memory(width: u64, depth: u64, ports: u64) -> Cost {
    let lutram = match depth {
        0..=1 => return Cost::default().with_ff(width),
        2..=32 => 4 * width.div_ceil(if ports == 1 { 8 } else { 6 }),
        _ => 4 * width.div_ceil(if ports == 1 { 4 } else { 3 }) * depth.div_ceil(64),
    };
    // A multiplexer of the banks.
    Cost { lutram, ..Cost::lut(width * (depth.div_ceil(64).max(1) - 1)) }
}

/// A queue.
pub fn fifo(width: u64, depth: u64) -> Vec<(Part, Cost)> {
    let address = bits_for(depth.saturating_sub(1));
    let control = match depth {
        1..=4 => {
            let (lut, ff) = FIFO_SMALL[depth as usize - 1];
            Cost::lut(lut).with_ff(ff).with_carry(if depth == 4 { 2 } else { 0 })
        }
        _ => Cost::lut(by_bits(&FIFO_LUT, address.saturating_sub(2)))
            .with_ff(FIFO_FF.0 + FIFO_FF.1 * address)
            .with_carry(if address <= 4 { 3 } else { 3 * address.div_ceil(4) }),
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

/// A register slice: two registers a bit and a choice, three for the handshakes. Not measured: only `ecp5` has any.
pub fn slice(width: u64) -> Vec<(Part, Cost)> {
    vec![(Part::Memory, Cost::lut(width).with_ff(2 * width)), (Part::Control, Cost::lut(4).with_ff(3))]
}

/// A credit counter.
pub fn credit(credits: u64) -> Vec<(Part, Cost)> {
    let bits = bits_for(credits);
    let carry = if bits > 2 { bits.div_ceil(4) } else { 0 };
    vec![(Part::Control, Cost::lut(by_bits(&CREDIT_LUT, bits)).with_ff(bits + 3).with_carry(carry))]
}

/// A sequencer, without the credit counter inside. `passes`: how often a vector, or a part of it, is gone through.
pub fn sequencer(neuron_folds: u64, synapse_folds: u64, passes: u64) -> Vec<(Part, Cost)> {
    let counter = |folds: u64| if folds > 1 { bits_for(folds - 1) } else { 0 };
    let counters = [neuron_folds * synapse_folds, neuron_folds, synapse_folds].map(counter);
    let bits = counters.iter().sum::<u64>();
    let lut = match (neuron_folds, synapse_folds) {
        (0..=1, 0..=1) => SEQUENCER_BARE,
        (0..=1, _) | (_, 0..=1) => SEQUENCER[0] + bits,
        (_, 2) => SEQUENCER[2] + bits,
        _ => SEQUENCER[1] + bits,
    };
    // Passes through a part are counted for themselves.
    let parts = if passes > 1 && passes < neuron_folds { counter(neuron_folds) + 1 } else { 0 };
    let carry = counters.iter().map(|&b| if b > 2 { b.div_ceil(4) } else { 0 }).sum();
    vec![(Part::Control, Cost::lut(lut + parts).with_ff(lut + parts - 1).with_carry(carry))]
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

/// A width converter: each bit of its register takes the one that moves down, or a lane of the beat for every place at which the beat can
/// be appended.
pub fn converter(converter: &WidthConverter, input: &Stream) -> Vec<(Part, Cost)> {
    let w = converter;
    let unit_bits = w.unit as u64 * u64::from(input.encoding.bits);
    let largest = w.input_units.max(w.last_units);
    let places = w.capacity.saturating_sub(largest) + 1;
    // Hundredths of a LUT for one bit of all units.
    let mut hundredths = 0;
    for at in 0..w.capacity {
        let lanes = (0..places).filter(|&p| p <= at && at < p + largest).count();
        let sources = lanes + usize::from(at + w.output_units < w.capacity);
        hundredths += match sources {
            0..=1 => 0,
            2 => CONVERTER_BIT[0],
            more => CONVERTER_BIT[0] + CONVERTER_BIT[1] + CONVERTER_BIT[2] * (more as i64 - 3),
        };
    }
    let count = if w.beats > 1 { bits_for(w.beats as u64 - 1) + 1 } else { 0 };
    let uneven = w.beats > 1 && w.input_units != w.last_units;
    let control = CONVERTER[0] * w.capacity as i64
        + if uneven { CONVERTER[1] * w.capacity as i64 } else { 0 }
        + if largest > 1 { CONVERTER[2] * places as i64 } else { 0 }
        + CONVERTER[3];
    let whole = |hundredths: i64| u64::try_from((hundredths + 50) / 100).unwrap_or(0);
    let memory = Cost::lut(whole(hundredths * unit_bits as i64)).with_ff(w.capacity as u64 * unit_bits);
    let control = Cost::lut(whole(control)).with_ff(w.capacity as u64 + count + 1);
    vec![(Part::Memory, memory), (Part::Control, control)]
}
