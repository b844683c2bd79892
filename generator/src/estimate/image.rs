//! Costs of the modules of convolutional networks.

use super::fixed;
use super::logic::{self, bits_for};
use super::unit::Place;
use super::{Cost, ModuleCost, Part};
use crate::dataflow::Kind;

/// A window, pool, upsampler, fork or join, and the fixed modules in it.
pub fn parts(place: &Place, all: &mut Vec<ModuleCost>) {
    let (input, output) = (place.input, place.output);
    match &place.module.kind {
        Kind::Window(w) => {
            let (y, x) = (
                bits_for((w.image[0] + w.window.span()[0]) as u64),
                bits_for((w.image[1] + w.window.span()[1]) as u64),
            );
            let address = bits_for(w.depth as u64 - 1);
            // Two comparisons of coordinates, the address step, the count of free places.
            let bits = 6 * (x + y) + 5 * address;
            let control = Cost::lut(bits + 20).with_ff(5 * (x + y) + 4 * address).with_carry(bits.div_ceil(4));
            let width = input.width() as u64;
            let mut memory = buffer(width, w.depth as u64).with_ff(1);
            memory += Cost::lut(width);
            all.push(place.fixed("window", vec![(Part::Memory, memory), (Part::Control, control)]));
            exit(place, w.queue_depth, 1, true, all);
        }
        Kind::Upsample(u) => {
            let address = bits_for(u.depth as u64 - 1);
            let control = Cost::lut(6 * address + 15).with_ff(5 * address + 8).with_carry(5 * address.div_ceil(4));
            all.push(place.fixed(
                "upsample",
                vec![(Part::Memory, buffer(input.width() as u64, u.depth as u64)), (Part::Control, control)],
            ));
            exit(place, u.queue_depth, 1, true, all);
        }
        Kind::Pool(p) => {
            let (lanes, bits) = (input.lanes as u64, u64::from(output.encoding.bits));
            let mut lane = Cost::lut(bits);
            lane += if p.sum { Cost::default().with_carry(bits.div_ceil(4)) } else { logic::compare(bits) };
            let total = Cost { lut: lane.lut * lanes, carry: lane.carry * lanes, ..Cost::default() };
            let memory = Cost::default().with_ff((input.width() + output.width() + 2) as u64);
            all.push(place.fixed("pool", vec![(Part::Tree, total), (Part::Memory, memory)]));
            all.push(place.fixed("sequencer", fixed::sequencer(1, p.beats as u64, 1)));
            exit(place, p.queue_depth, 2, true, all);
        }
        Kind::Add(a) => {
            let (lanes, bits) = (input.lanes as u64, u64::from(output.encoding.bits));
            // An adder for the two, one for each digit of a factor beyond the first, one more where both are subtracted.
            let digits: u64 = a.factors.iter().map(|f| u64::from(f.unsigned_abs().count_ones())).sum();
            let adders = digits.saturating_sub(1) + u64::from(a.factors.iter().all(|f| *f < 0));
            let tree =
                Cost::lut(bits * adders * lanes).with_ff(bits * lanes).with_carry(lanes * bits.div_ceil(4) * adders);
            let memory = Cost::default().with_ff(2 * input.width() as u64);
            let control = Cost::lut(HANDSHAKES);
            all.push(place.fixed("add", vec![(Part::Tree, tree), (Part::Memory, memory), (Part::Control, control)]));
            exit(place, a.queue_depth, 2, true, all);
        }
        Kind::Concat(c) => {
            let count = bits_for((c.beats[0] + c.beats[1]) as u64 - 1);
            let control = Cost::lut(count + 4 + output.width() as u64).with_ff(count + 1);
            all.push(place.fixed("concat", vec![(Part::Control, control)]));
            all.push(place.fixed("fifo", fixed::fifo(output.width() as u64, 2)));
        }
        Kind::Fork(f) => {
            all.push(place.fixed("fork", vec![(Part::Control, Cost::lut(HANDSHAKES))]));
            for depth in f.depths {
                all.push(place.fixed("fifo", fixed::fifo(input.width() as u64, depth as u64)));
            }
        }
        // The kinds with files of their own.
        Kind::Map(_) | Kind::MatrixVector(_) | Kind::WidthConverter(_) | Kind::Fifo(_) | Kind::LabelSelect(_) => {}
    }
}

/// Credits, exit queue, delayed valid.
fn exit(place: &Place, depth: usize, pipeline: u64, reset: bool, all: &mut Vec<ModuleCost>) {
    all.push(place.fixed("credit", fixed::credit(depth as u64)));
    all.push(place.fixed("fifo", fixed::fifo(place.output.width() as u64, depth as u64)));
    all.push(place.fixed("delay", fixed::delay(1, pipeline, reset)));
}

/// A memory with a registered read: LUT RAM while it is small, block RAM above, as Yosys' rules for xc7 choose.
fn buffer(width: u64, depth: u64) -> Cost {
    if width * depth < BLOCK_BITS {
        return fixed::memory(width, depth, 2).with_ff(width);
    }
    // Half a block is 512 x 36 (or deeper and narrower: 16 kbit in powers of two).
    let halves = if depth <= 512 {
        width.div_ceil(36)
    } else {
        depth.div_ceil(16384.max(depth) / width.max(1)).max((width * depth).div_ceil(16384))
    };
    Cost { bram: halves, ..Cost::default() }
}

/// LUTs of a beat taken, or given, on both of two streams: a LUT for each handshake, and one for both.
const HANDSHAKES: u64 = 3;

/// Bits from which Yosys 0.23 takes a block RAM.
const BLOCK_BITS: u64 = 1 << 12;
