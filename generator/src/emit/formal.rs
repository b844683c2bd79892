//! The claims that Yosys proves, printed under `ifdef FORMAL`.
//!
//! Intervals are computed here from the weights and the streams' ranges alone, not read from the plan's nodes: where
//! the plan is wrong, its registers contradict them.

pub mod connector;
pub mod fixed;
pub mod island;
pub mod processing_element;
pub mod protocol;
pub mod unit;
pub mod window;

use hw_templates::{FormalTable, FormalVectors, LaneCheck, StreamRange, TopFormal};
use quantizer::datatype::{Range, Signedness};

use super::expression::{counter_bits, field, pack, word};
use crate::dataflow::{Dataflow, Encoding, Module, Stream};

/// Tables that the claims of one module look up: one memory for each index, its word made of all the fields that are
/// looked up by it.
#[derive(Default)]
pub struct Tables(Vec<Group>);

struct Group {
    index: String,
    index_bits: usize,
    /// Values of a field and its bits.
    fields: Vec<(Vec<i64>, usize)>,
}

impl Tables {
    /// The tables made so far.
    pub fn finish(self) -> Vec<FormalTable> {
        self.0.into_iter().enumerate().map(|(i, group)| group.table(i)).collect()
    }

    /// An expression of `bits` bits, two's complement, for `values[index]`. Equal values need no table.
    pub fn lookup(&mut self, values: &[i64], bits: usize, index: &str, index_bits: usize) -> String {
        let first = values.first().copied().unwrap_or(0);
        if values.iter().all(|&v| v == first) {
            return format!("{bits}'sh{}", word(first, bits as u32).bits);
        }
        let number = self.0.iter().position(|g| g.index == index).unwrap_or_else(|| {
            self.0.push(Group { index: index.to_owned(), index_bits, fields: Vec::new() });
            self.0.len() - 1
        });
        let fields = &mut self.0[number].fields;
        let low: usize = fields.iter().map(|f| f.1).sum();
        fields.push((values.to_vec(), bits));
        format!("$signed(f_table{number}[{}:{low}])", low + bits - 1)
    }
}

impl Group {
    fn table(self, number: usize) -> FormalTable {
        let entries = 1usize << self.index_bits;
        let bits: usize = self.fields.iter().map(|f| f.1).sum();
        // What lies past the last value is never looked at.
        let fields = (0..entries).flat_map(|i| {
            self.fields
                .iter()
                .map(move |(values, bits)| (word_bits(values.get(i).copied().unwrap_or(0), *bits), *bits as u32))
        });
        FormalTable { name: format!("f_table{number}"), bits, entries, index: self.index.clone(), words: pack(fields) }
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
        Signedness::Signed => {
            range.lo <= -(1i64 << (encoding.bits - 1)) && range.hi >= (1i64 << (encoding.bits - 1)) - 1
        }
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
    counter_bits(stream.vector_beats() - 1)
}

/// Name of the module that says which codes a stream may carry.
pub fn range_module(top: &str, stream: &Stream) -> String {
    format!("{top}_{}_range", stream.name)
}

/// Name of the module that watches a stream.
pub fn watch_module(top: &str, stream: &Stream) -> String {
    format!("{top}_{}_watch", stream.name)
}

/// Name of the module that watches a queue at the end of a stream.
pub fn queue_module(top: &str, stream: &Stream) -> String {
    format!("{top}_{}_queue", stream.name)
}

/// The ranges of a vector of `beats` beats as the module makes it that writes the stream: name of the module that knows them, and
/// the module itself where the stream joins several such vectors to one.
pub fn vector_range(top: &str, stream: &Stream, beats: usize) -> (String, Option<StreamRange>) {
    if beats == stream.vector_beats() {
        return (range_module(top, stream), None);
    }
    let name = format!("{top}_{}_vector_range", stream.name);
    let module =
        range(name.clone(), format!("a vector of stream {}", stream.name), &vector(stream, beats), stream.lanes);
    (name, Some(module))
}

/// A vector of `beats` beats of the stream, which may join several: each position reaches what it does in any of them.
pub fn vector(stream: &Stream, beats: usize) -> Stream {
    let elements = (beats * stream.lanes).min(stream.vector_elements());
    let of =
        |at: usize| stream.ranges[at..].iter().step_by(elements).copied().reduce(Range::hull).unwrap_or(Range::ZERO);
    Stream {
        ranges: (0..elements).map(of).collect(),
        order: (0..elements).collect(),
        vectors: stream.vectors * stream.vector_elements() / elements,
        ..stream.clone()
    }
}

/// How many vectors of the module make one of its output stream.
pub fn vectors(dataflow: &Dataflow, module: &Module) -> FormalVectors {
    let beats = module.vector_beats(dataflow);
    let vectors = dataflow.stream(module.output()).vector_beats() / beats;
    FormalVectors { vectors, bits: counter_bits(vectors.saturating_sub(1)), beats }
}

/// Whether the ranges of a stream exclude a code that its wires can carry.
pub fn excludes(stream: &Stream) -> bool {
    stream.ranges.iter().any(|&r| !always_within(stream.encoding, r))
}

/// The stream as if its wires could carry everything.
pub fn unlimited(stream: &Stream) -> Stream {
    Stream { ranges: vec![all_codes(stream.encoding); stream.ranges.len()], ..stream.clone() }
}

/// The claims of the top module.
pub fn top(dataflow: &Dataflow) -> TopFormal {
    let (input, output) = (dataflow.input(), dataflow.output_stream());
    TopFormal {
        input_watch: watch_module(&dataflow.top, input),
        output_watch: watch_module(&dataflow.top, output),
        input: input.name.clone(),
        output: output.name.clone(),
        s_beats: input.beats(),
        s_count: counter_bits(input.beats() - 1),
        m_beats: output.beats(),
        m_count: counter_bits(output.beats() - 1),
    }
}

/// The ranges of a stream and its watchers; `queue` is the depth of the queue that writes it, 0 if none does.
pub fn stream(top: &str, stream: &Stream, queue: usize) -> StreamRange {
    let name = format!("stream {}", stream.name);
    StreamRange {
        watch: watch_module(top, stream),
        queue: queue_module(top, stream),
        queue_bits: counter_bits(stream.vector_beats() + queue + 1),
        ..range(range_module(top, stream), name, stream, stream.lanes)
    }
}

/// The ranges of a stream's elements, lane by lane and beat by beat, as if it had so many lanes. What lies past the vector's
/// end may be anything: no weight reads it, and a width converter drops it.
pub fn range(module: String, name: String, stream: &Stream, lanes: usize) -> StreamRange {
    let mut tables = Tables::default();
    let beats = stream.vector_elements().div_ceil(lanes);
    let bits = stream.encoding.bits as usize + 1;
    let index_bits = counter_bits(beats - 1);
    let checks = (0..lanes)
        .map(|lane| {
            let ranges: Vec<Range> = (0..beats)
                .map(|b| stream.ranges.get(b * lanes + lane).copied().unwrap_or(all_codes(stream.encoding)))
                .collect();
            if ranges.iter().all(|&r| always_within(stream.encoding, r)) {
                return LaneCheck { value: String::new(), bits, lo: String::new(), hi: String::new() };
            }
            let ends = |end: fn(&Range) -> i64| ranges.iter().map(end).collect::<Vec<i64>>();
            LaneCheck {
                value: field("data", lane * stream.encoding.bits as usize, stream.encoding, bits as u32),
                bits,
                lo: tables.lookup(&ends(|r| r.lo), bits, "beat", index_bits),
                hi: tables.lookup(&ends(|r| r.hi), bits, "beat", index_bits),
            }
        })
        .collect();
    StreamRange {
        module,
        stream: name,
        beat_bits: index_bits,
        beats,
        watch: String::new(),
        queue: String::new(),
        queue_bits: 0,
        width: lanes * stream.encoding.bits as usize,
        lanes,
        tables: tables.finish(),
        checks,
    }
}
