//! Streams, modules, and what joins streams of different widths.

use quantizer::datatype::Range;

use super::Builder;
use crate::dataflow::{Encoding, Fifo, Fork, Kind, Module, Stream, StreamId, WidthConverter};
use crate::names::sanitize;

impl Builder<'_> {
    /// Puts a width converter behind `input` unless it has `lanes` lanes already.
    pub(super) fn convert(&mut self, input: StreamId, lanes: usize, layer: &str) -> StreamId {
        let stream = self.streams[input.0].clone();
        if stream.lanes == lanes {
            return input;
        }
        let elements = stream.vector_elements();
        let last = elements - (stream.vector_beats() - 1) * stream.lanes;
        let padding = elements.div_ceil(lanes) * lanes - elements;
        // What is held is a multiple of this, padding included. A vector of one beat is appended whole, in whole beats out.
        let single = stream.vector_beats() == 1;
        let unit = if single { lanes } else { gcd(stream.lanes, lanes) };
        let largest = stream.lanes.max(last + padding);
        // With this much held, a beat can still come in: then neither side ever waits for the other's register. The
        // busier side is the input where lanes grow, the output where they shrink.
        let appended = if single { last + padding } else { stream.lanes };
        let room = lanes + lanes.min(appended) - unit;
        let converter = WidthConverter {
            unit,
            input_units: if single { last + padding } else { stream.lanes } / unit,
            last_units: (last + padding) / unit,
            last_lanes: last,
            beats: stream.vector_beats(),
            output_units: lanes / unit,
            capacity: (room + largest) / unit,
        };
        let name = format!("{}_x{lanes}", stream.name);
        let output =
            self.stream(&name, &stream.tensor, lanes, stream.encoding, stream.order, stream.ranges, stream.vectors);
        self.module(
            &format!("{}_width", sanitize(layer)),
            layer,
            vec![input],
            vec![output],
            Kind::WidthConverter(converter),
        );
        output
    }

    /// Puts a queue for a whole vector before a unit that reads in bursts (it goes through its neuron folds between
    /// them), where a width converter before it fills more slowly than the unit reads, or the vector is an image that comes
    /// pixel by pixel (`slow`). Else the writer's exit queue does that.
    pub(super) fn buffer(&mut self, input: StreamId, neuron_folds: usize, slow: bool, layer: &str) -> StreamId {
        let widened = self.modules.last().is_some_and(|m| match &m.kind {
            Kind::WidthConverter(w) => w.output_units > w.input_units,
            _ => false,
        });
        if !(widened || slow) || neuron_folds == 1 {
            return input;
        }
        self.queue(input, self.streams[input.0].vector_beats() + 1, layer)
    }

    /// A queue of `depth` beats.
    pub(super) fn queue(&mut self, input: StreamId, depth: usize, layer: &str) -> StreamId {
        let stream = self.streams[input.0].clone();
        let fifo = Fifo { depth, slice: false };
        let name = format!("{}_buffered", stream.name);
        let output = self.stream(
            &name,
            &stream.tensor,
            stream.lanes,
            stream.encoding,
            stream.order,
            stream.ranges,
            stream.vectors,
        );
        self.module(&format!("{}_fifo", sanitize(layer)), layer, vec![input], vec![output], Kind::Fifo(fifo));
        output
    }

    /// Two streams with the beats of one.
    pub(super) fn fork(&mut self, input: StreamId, layer: &str) -> [StreamId; 2] {
        let stream = self.streams[input.0].clone();
        let mut branch = |name: &str| {
            let s = stream.clone();
            let name = format!("{}_{name}", s.name);
            self.stream(&name, &s.tensor, s.lanes, s.encoding, s.order, s.ranges, s.vectors)
        };
        let branches = [branch("a"), branch("b")];
        // More than a frame on either side, and many beats where frames are shorter than the pipelines: branches that meet
        // again cannot wait for each other. `sim::fifo` finds what is really needed.
        let kind = Kind::Fork(Fork { depths: [2 * stream.beats() + 128; 2] });
        self.module(&format!("{}_fork", sanitize(layer)), layer, vec![input], branches.to_vec(), kind);
        branches
    }

    /// The same beats read as one vector a frame: the elements of all pixels.
    pub(super) fn flattened(&mut self, input: StreamId, layer: &str) -> StreamId {
        // A pixel must end with a beat.
        let (elements, lanes) = (self.streams[input.0].vector_elements(), self.streams[input.0].lanes);
        let input = self.convert(input, gcd(elements, lanes), layer);
        let stream = &mut self.streams[input.0];
        if stream.vectors > 1 {
            let pixels = stream.vectors;
            stream.ranges = (0..pixels).flat_map(|_| stream.ranges.iter().copied()).collect();
            stream.order = stream.frame_order();
            stream.vectors = 1;
        }
        input
    }

    /// The stream made last.
    pub(super) fn last(&self) -> StreamId {
        StreamId(self.streams.len() - 1)
    }

    #[allow(clippy::too_many_arguments)] // The fields of a stream, each with a meaning of its own.
    pub(super) fn stream(
        &mut self,
        name: &str,
        tensor: &str,
        lanes: usize,
        encoding: Encoding,
        order: Vec<usize>,
        ranges: Vec<Range>,
        vectors: usize,
    ) -> StreamId {
        // The suffix keeps stream names apart from module names, which share the identifiers.
        let name = self.names.identifier(&format!("{name}_s"));
        self.streams.push(Stream { name, tensor: tensor.to_owned(), lanes, encoding, order, ranges, vectors });
        self.last()
    }

    pub(super) fn module(
        &mut self,
        name: &str,
        layer: &str,
        inputs: Vec<StreamId>,
        outputs: Vec<StreamId>,
        kind: Kind,
    ) {
        let name = self.names.identifier(name);
        self.modules.push(Module { name, layer: layer.to_owned(), inputs, outputs, kind });
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
