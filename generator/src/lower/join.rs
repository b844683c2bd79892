//! Sums and concatenations of several streams.

use quantizer::datatype::{Range, Signedness};

use super::{Builder, round_trip};
use crate::dataflow::{Add, Concat, Encoding, Kind, Module, StreamId};
use crate::error::GenerateError;
use crate::names::sanitize;
use crate::stages::{Stage, unsupported};

impl Builder<'_> {
    /// The sum of two or more streams, two at a time.
    ///
    /// # Errors
    /// A coefficient that does not fit the adder.
    pub(super) fn add(
        &mut self,
        stage: &Stage,
        coefficients: &[i64],
        first: StreamId,
    ) -> Result<StreamId, GenerateError> {
        let layer = stage.layer.name.as_str();
        let tensor = self.network.tensor(stage.output);
        let mut sum = self.plain(first, layer);
        for (i, &id) in stage.inputs.iter().enumerate().skip(1) {
            let other = self.take(id);
            let other = self.plain(other, layer);
            let channels = self.streams[sum.0].vector_elements();
            let lanes = self.lanes_for(channels, self.streams[sum.0].vectors);
            let (a, b) = (self.convert(sum, lanes, layer), self.convert(other, lanes, layer));
            let factors = [if i == 1 { coefficients[0] } else { 1 }, coefficients[i]];
            let (x, y) = (self.streams[a.0].clone(), self.streams[b.0].clone());
            debug_assert_eq!(x.order, y.order);
            let times = |r: Range, f: i64| Range::new((r.lo * f).min(r.hi * f), (r.lo * f).max(r.hi * f));
            let ranges: Vec<Range> = x
                .ranges
                .iter()
                .zip(&y.ranges)
                .map(|(&r, &s)| {
                    let (r, s) = (times(r, factors[0]), times(s, factors[1]));
                    Range::new(r.lo + s.lo, r.hi + s.hi)
                })
                .collect();
            let range = ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
            let mut encoding = Encoding::of(range);
            encoding.bits = encoding.bits.max(x.encoding.bits).max(y.encoding.bits);
            if encoding.bits > 64 {
                return Err(unsupported(stage.layer, "its sums need more than 64 bits; use smaller coefficients"));
            }
            let mut unit = Add { factors, range, queue_depth: 0 };
            unit.queue_depth = round_trip(2, 1);
            let last = i + 1 == stage.inputs.len();
            let name = if last { sanitize(layer) } else { format!("{}_{i}", sanitize(layer)) };
            let of = if last { tensor.name.clone() } else { format!("partial sum of {}", tensor.name) };
            let output = self.stream(&name, &of, lanes, encoding, x.order, ranges, x.vectors);
            self.module(&format!("{name}_add"), layer, vec![a, b], vec![output], Kind::Add(unit));
            sum = output;
        }
        Ok(sum)
    }

    /// The channels of two or more streams, two at a time.
    ///
    /// # Errors
    /// Channel counts without a common number of lanes; this does not happen, one lane always serves.
    pub(super) fn concat(&mut self, stage: &Stage, first: StreamId) -> Result<StreamId, GenerateError> {
        let layer = stage.layer.name.as_str();
        let tensor = self.network.tensor(stage.output);
        let mut whole = self.plain(first, layer);
        for (i, &id) in stage.inputs.iter().enumerate().skip(1) {
            let other = self.take(id);
            let other = self.plain(other, layer);
            let (m, n) = (self.streams[whole.0].vector_elements(), self.streams[other.0].vector_elements());
            let (pixels, common) = (self.streams[whole.0].vectors, gcd(m, n));
            // The fewest lanes that both pixels fill with whole beats and that keep up, if any do.
            let lanes = (1..=common)
                .find(|&d| common.is_multiple_of(d) && ((m + n) / d * pixels) as u64 <= self.interval)
                .unwrap_or(common);
            let (a, b) = (self.convert(whole, lanes, layer), self.convert(other, lanes, layer));
            // Each side gives a pixel's beats in a row and then waits for the other's: meanwhile its writer goes on into a queue.
            let a = self.while_waiting(a, m / lanes, layer);
            let b = self.while_waiting(b, n / lanes, layer);
            let (x, y) = (self.streams[a.0].clone(), self.streams[b.0].clone());
            let order = x.order.iter().copied().chain(y.order.iter().map(|c| c + m)).collect();
            let ranges: Vec<Range> = x.ranges.iter().chain(&y.ranges).copied().collect();
            let mut encoding = Encoding::of(ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO));
            encoding.bits = encoding.bits.max(x.encoding.bits).max(y.encoding.bits);
            debug_assert!(encoding.sign != Signedness::Bipolar);
            let unit = Concat { beats: [m / lanes, n / lanes] };
            let last = i + 1 == stage.inputs.len();
            let name = if last { sanitize(layer) } else { format!("{}_{i}", sanitize(layer)) };
            let of = if last { tensor.name.clone() } else { format!("part of {}", tensor.name) };
            let output = self.stream(&name, &of, lanes, encoding, order, ranges, x.vectors);
            self.module(&format!("{name}_concat"), layer, vec![a, b], vec![output], Kind::Concat(unit));
            whole = output;
        }
        Ok(whole)
    }

    /// A queue for `beats` beats that come in a row, where the writer is not one already.
    fn while_waiting(&mut self, input: StreamId, beats: usize, layer: &str) -> StreamId {
        let queued = |m: &Module| m.outputs.contains(&input) && matches!(m.kind, Kind::Fork(_) | Kind::Fifo(_));
        if beats < 2 || self.modules.iter().any(queued) {
            return input;
        }
        self.queue(input, beats + 1, layer)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
