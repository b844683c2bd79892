//! The claims that Yosys proves, printed under `ifdef FORMAL`.
//!
//! Intervals are computed here from the weights and the streams' ranges alone, not read from the plan's nodes: where
//! the plan is wrong, its registers contradict them.

pub mod processing_element;
pub mod protocol;
pub mod unit;

use hw_templates::{FormalTable, LaneCheck, StreamRange};
use quantizer::datatype::{Range, Signedness};

use super::expression::{counter_bits, field, pack, word};
use crate::dataflow::{Encoding, Stream};

/// Tables that the claims of one module look up.
#[derive(Default)]
pub struct Tables(Vec<FormalTable>);

impl Tables {
    /// The tables made so far.
    pub fn finish(self) -> Vec<FormalTable> {
        self.0
    }

    /// An expression of `bits` bits, two's complement, for `values[index]`. Equal values need no table.
    pub fn lookup(&mut self, name: &str, values: &[i64], bits: usize, index: &str, index_bits: usize) -> String {
        let first = values.first().copied().unwrap_or(0);
        if values.iter().all(|&v| v == first) {
            return format!("{bits}'sh{}", word(first, bits as u32).bits);
        }
        // Entries stand a power of two apart, so that an index is only a concatenation.
        let stride = bits.next_power_of_two();
        let entries = 1usize << index_bits;
        let fields = (0..entries).map(|i| {
            let value = values.get(i).copied().unwrap_or(0);
            (word_bits(value, bits), stride as u32)
        });
        self.0.push(FormalTable { name: name.to_owned(), bits: entries * stride, word: pack(fields) });
        let shift = stride.trailing_zeros();
        let at = if shift == 0 { index.to_owned() } else { format!("{{{index}, {shift}'d0}}") };
        format!("$signed({name}[{at} +: {bits}])")
    }
}

fn word_bits(value: i64, bits: usize) -> u64 {
    value as u64 & crate::dataflow::mask(bits as u32)
}

/// Whether the wires can carry nothing outside of `range`.
fn always_within(encoding: Encoding, range: Range) -> bool {
    match encoding.sign {
        Signedness::Bipolar => range.contains(-1) && range.contains(1),
        Signedness::Unsigned => range.lo <= 0 && range.hi >= (1i64 << encoding.bits) - 1,
        Signedness::Signed => range.lo <= -(1i64 << (encoding.bits - 1)) && range.hi >= (1i64 << (encoding.bits - 1)) - 1,
    }
}

/// Everything that the wires can carry.
fn all_codes(encoding: Encoding) -> Range {
    match encoding.sign {
        Signedness::Bipolar => Range::new(-1, 1),
        Signedness::Unsigned => Range::new(0, (1i64 << encoding.bits) - 1),
        Signedness::Signed => Range::new(-(1i64 << (encoding.bits - 1)), (1i64 << (encoding.bits - 1)) - 1),
    }
}

/// Bits of the beat counter of a stream.
pub fn beat_bits(stream: &Stream) -> usize {
    counter_bits(stream.beats() - 1)
}

/// Name of the module that says which codes a stream may carry.
pub fn range_module(top: &str, stream: &Stream) -> String {
    format!("{top}_{}_range", stream.name)
}

/// The ranges of a stream, lane by lane and beat by beat. What lies past the vector's end may be anything: no weight
/// reads it, and a width converter drops it.
pub fn stream_range(top: &str, stream: &Stream) -> StreamRange {
    let mut tables = Tables::default();
    let beats = stream.beats();
    let bits = stream.encoding.bits as usize + 1;
    let index_bits = beat_bits(stream);
    let checks = (0..stream.lanes)
        .map(|lane| {
            let ranges: Vec<Range> = (0..beats)
                .map(|b| stream.ranges.get(b * stream.lanes + lane).copied().unwrap_or(all_codes(stream.encoding)))
                .collect();
            if ranges.iter().all(|&r| always_within(stream.encoding, r)) {
                return LaneCheck { value: String::new(), bits, lo: String::new(), hi: String::new() };
            }
            let ends = |end: fn(&Range) -> i64| ranges.iter().map(end).collect::<Vec<i64>>();
            LaneCheck {
                value: field("data", lane * stream.encoding.bits as usize, stream.encoding, bits as u32),
                bits,
                lo: tables.lookup(&format!("LO{lane}"), &ends(|r| r.lo), bits, "beat", index_bits),
                hi: tables.lookup(&format!("HI{lane}"), &ends(|r| r.hi), bits, "beat", index_bits),
            }
        })
        .collect();
    StreamRange {
        module: range_module(top, stream),
        stream: stream.name.clone(),
        beat_bits: index_bits,
        width: stream.width(),
        lanes: stream.lanes,
        tables: tables.finish(),
        checks,
    }
}
