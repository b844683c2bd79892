//! The stream from the pins, and the map behind it where one is needed.

use std::collections::HashMap;

use quantizer::datatype::{Range, Signedness};
use quantizer::network::{Steps, Table, image};

use super::words::map_function;
use super::{Builder, divisor_from, round_trip};
use crate::dataflow::{Encoding, Kind, Map, MapFunction, StreamId};
use crate::error::GenerateError;
use crate::folding::LayerFolding;
use crate::names::sanitize;
use crate::stages::{Stage, Stages, Work};

impl Builder<'_> {
    /// The stream that the pins feed. An image comes pixel by pixel, channels last; its lanes are those that its first
    /// reader works on.
    pub(super) fn pins(
        &mut self,
        graph: &Stages,
        foldings: &HashMap<String, LayerFolding>,
    ) -> Result<(), GenerateError> {
        let tensor = self.network.tensor(self.network.input);
        // Thresholds of the pins' codes keep the shape; what reads behind them decides.
        let mut at = self.network.input;
        let reader = loop {
            let stage = graph.readers(at).first().map(|&i| &graph.stages[i]);
            match stage {
                Some(Stage { work: Work::Requant(_), output, .. }) => at = *output,
                other => break other,
            }
        };
        let flat = tensor.shape.len() == 1 || reader.is_none_or(|s| matches!(s.work, Work::Flatten | Work::Requant(_)));
        let (channels, size) = image(&tensor.shape).unwrap_or((tensor.shape[0], [1, 1]));
        let pixels = size[0] * size[1];
        // In the order that a depth to space or a sum asks for, where it reads the pins by whatever keeps that order.
        let asked = self.orders.get(self.network.input).map(<[usize]>::to_vec);
        let (order, vectors): (Vec<usize>, usize) = if let (true, [_], Some(order)) = (flat, &tensor.shape[..], &asked)
        {
            (order.clone(), 1)
        } else if flat {
            ((0..channels * pixels).map(|i| (i % channels) * pixels + i / channels).collect(), 1)
        } else {
            (asked.unwrap_or_else(|| (0..channels).collect()), pixels)
        };
        let per_channel = if flat { pixels } else { 1 };
        let ranges: Vec<Range> = order.iter().map(|&i| tensor.ranges[i / per_channel]).collect();
        // The first matrix behind the pins, a flatten looked through.
        let matrix =
            graph.stages.iter().find_map(|s| matches!(s.work, Work::Matrix(_)).then(|| foldings.get(&s.layer.name)));
        let folding = matrix.flatten().copied().unwrap_or(LayerFolding { pe: 1, simd: 1 });
        let lanes = if flat {
            folding.simd.min(order.len())
        } else {
            divisor_from(channels, self.image_lanes(reader, channels, folding))
        };
        let encoding = Encoding { bits: tensor.datatype.bits, sign: tensor.datatype.sign };
        let id = self.stream("input", &tensor.name, lanes, encoding, order.clone(), ranges.clone(), vectors);

        // Thresholds right behind the pins are found by the map that also refuses illegal codes.
        let first = graph.readers(self.network.input);
        let requant = matches!(first[..], [i] if matches!(graph.stages[i].work, Work::Requant(_)));
        if tensor.datatype.narrow && !requant {
            let mapped = self.stream("codes", &tensor.name, lanes, encoding, order, ranges, vectors);
            let mut map = Map {
                function: MapFunction::Clamp,
                select: Vec::new(),
                legal: tensor.datatype.range(),
                queue_depth: 0,
            };
            map.queue_depth = round_trip(map.pipeline(), 1);
            self.module("input_map", "input", vec![id], vec![mapped], Kind::Map(map));
        }
        let stream = self.last();
        self.publish(graph, self.network.input, stream, "input");
        Ok(())
    }

    /// Lanes that the first reader of an image works on.
    fn image_lanes(&self, reader: Option<&Stage>, channels: usize, folding: LayerFolding) -> usize {
        match reader.map(|s| &s.work) {
            Some(Work::Matrix(matrix)) => {
                let parts = matrix.groups.and_then(|g| g.folding(folding, channels / g.channels, matrix.places()));
                parts.map_or(folding.simd.min(channels), |by| by.lanes())
            }
            Some(Work::Pool { window, .. }) => {
                let tensor = self.network.tensor(self.network.input);
                let size = image(&tensor.shape).and_then(|(_, size)| window.output(size)).unwrap_or([1, 1]);
                self.lanes_for(channels, size[0] * size[1] * window.kernel[0] * window.kernel[1])
            }
            _ => self.lanes_for(channels, self.network.tensor(self.network.input).shape[1..].iter().product()),
        }
    }

    /// Thresholds by themselves: an element-by-element map.
    pub(super) fn requant(&mut self, stage: &Stage, steps: &[Steps], input: StreamId) -> StreamId {
        let tensor = self.network.tensor(stage.output);
        let stream = self.streams[input.0].clone();
        let from_pins = stage.inputs[0] == self.network.input;
        // A flattened image has elements where the tensor has channels.
        let per_channel = stream.elements() / tensor.shape.iter().product::<usize>().max(1);
        debug_assert_eq!(per_channel, 1);
        let pixels = if stream.vectors > 1 { 1 } else { tensor.shape[1..].iter().product::<usize>() };
        let channel = |source: usize| source / pixels;
        let channels: Vec<&Steps> = stream.order.iter().map(|&source| &steps[channel(source)]).collect();
        // The pins can carry every code of their type; inner streams what they reach.
        let legal = if from_pins {
            self.network.tensor(self.network.input).datatype.range()
        } else {
            stream.ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO)
        };
        let (function, encoding, which) = map_function(&channels, legal, stream.encoding);
        let select = if which.iter().all(|&w| w == which[0]) {
            Vec::new()
        } else {
            which.chunks(stream.lanes).map(<[usize]>::to_vec).collect()
        };
        let ranges = stream.order.iter().map(|&source| tensor.ranges[channel(source)]).collect();
        let (name, instance) = if from_pins {
            ("codes".to_owned(), "input_map".to_owned())
        } else {
            (sanitize(&stage.layer.name), format!("{}_map", sanitize(&stage.layer.name)))
        };
        let mut map = Map { function, select, legal, queue_depth: 0 };
        map.queue_depth = round_trip(map.pipeline(), 1);
        let output = self.stream(&name, &tensor.name, stream.lanes, encoding, stream.order, ranges, stream.vectors);
        let layer = if from_pins { "input" } else { stage.layer.name.as_str() };
        self.module(&instance, layer, vec![input], vec![output], Kind::Map(map));
        output
    }

    /// Codes by look-up: a map with a table for each channel, or one for all.
    pub(super) fn table(&mut self, stage: &Stage, table: &Table, input: StreamId) -> StreamId {
        let layer = stage.layer.name.as_str();
        // Its entries are numbered, which one wire for -1 and +1 is not.
        let input = self.plain(input, layer);
        let stream = self.streams[input.0].clone();
        let tensor = self.network.tensor(stage.output);
        // A flattened image has elements where the tensor has channels.
        let pixels = if stream.vectors > 1 { 1 } else { tensor.shape[1..].iter().product::<usize>() };
        let legal = stream.ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
        let codes = |function: usize| {
            let entry = |word: u64| {
                // Patterns that do not come get any code that does.
                let x = stream.encoding.decode(word).clamp(legal.lo, legal.hi);
                table.apply(function, x).unwrap_or(table.codes[[function, 0]])
            };
            (0..1u64 << stream.encoding.bits).map(entry).collect::<Vec<i64>>()
        };
        let function = MapFunction::Table((0..table.codes.nrows()).map(codes).collect());
        let channels: Vec<usize> = stream.order.iter().map(|&source| source / pixels).collect();
        let select = if table.codes.nrows() == 1 {
            Vec::new()
        } else {
            channels.chunks(stream.lanes).map(<[usize]>::to_vec).collect()
        };
        let ranges: Vec<Range> = channels.iter().map(|&c| tensor.ranges[c]).collect();
        let encoding = match tensor.datatype.sign {
            Signedness::Bipolar => Encoding { bits: 1, sign: Signedness::Bipolar },
            // The table's codes, reached or not.
            _ => Encoding::of(table.codes.iter().map(|&c| Range::new(c, c)).reduce(Range::hull).unwrap_or(Range::ZERO)),
        };
        let mut map = Map { function, select, legal, queue_depth: 0 };
        map.queue_depth = round_trip(map.pipeline(), 1);
        let name = sanitize(layer);
        let output = self.stream(&name, &tensor.name, stream.lanes, encoding, stream.order, ranges, stream.vectors);
        self.module(&format!("{name}_table"), layer, vec![input], vec![output], Kind::Map(map));
        output
    }

    /// The fewest lanes of a pixel of `channels` elements that send `pixels` pixels in the interval aimed at.
    pub(super) fn lanes_for(&self, channels: usize, pixels: usize) -> usize {
        (1..=channels)
            .find(|&d| channels.is_multiple_of(d) && (channels / d * pixels) as u64 <= self.interval)
            .unwrap_or(channels)
    }
}
