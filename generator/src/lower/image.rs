//! Windows, pooling, upsampling, depth to space, flattening.

use quantizer::datatype::{Range, Signedness};
use quantizer::network::{self, DepthToSpace, image};

use super::{Builder, divisor_from, round_trip};
use crate::dataflow::{Encoding, Kind, Map, MapFunction, Pool, StreamId, Upsample, Window};
use crate::names::sanitize;
use crate::stages::{Stage, Work};

impl Builder<'_> {
    /// The windows of an image, one vector each, places outside it read as `fill`. A position's index is
    /// `channel * places + place`.
    pub(super) fn window(
        &mut self,
        stage: &Stage,
        window: &network::Window,
        input: StreamId,
        chunks_inner: bool,
        fill: i64,
    ) -> StreamId {
        let border = window.pad_begin != [0, 0] || window.pad_end != [0, 0];
        // Bipolar wires have no 0: a border needs another code.
        let input = if border { self.plain(input, &stage.layer.name) } else { input };
        let stream = self.streams[input.0].clone();
        // The network is valid: it is an image that the window fits.
        let size = image(&self.network.tensor(stage.inputs[0]).shape).map_or([1, 1], |(_, size)| size);
        let windows = window.output(size).unwrap_or([1, 1]);
        let places = window.kernel[0] * window.kernel[1];
        let chunks = stream.vector_elements() / stream.lanes;
        let mut unit = Window {
            window: *window,
            image: size,
            windows,
            chunks,
            chunks_inner,
            fill: if border { fill } else { 0 },
            depth: 0,
            queue_depth: round_trip(1, 1),
        };
        unit.depth = unit.full_rate_depth();
        let position = |beat: usize, lane: usize| {
            let (place, chunk) =
                if chunks_inner { (beat / chunks, beat % chunks) } else { (beat % places, beat / places) };
            (place, chunk * stream.lanes + lane)
        };
        let positions: Vec<(usize, usize)> = (0..unit.beats())
            .flat_map(|b| (0..stream.lanes).map(move |l| (b, l)))
            .map(|(b, l)| position(b, l))
            .collect();
        let order = positions.iter().map(|&(place, p)| stream.order[p] * places + place).collect();
        // A place of the window may lie on the image in all windows, in some, in none: a pool's claims need to know, as its sums reach
        // no more than the network says. Of convolutions any place may be either: their accumulators hold that.
        let taps = [0, 1].map(|axis| window.taps(axis, size[axis]));
        let on = |axis: usize, k: usize| taps[axis].iter().filter(|t| (t.begin..t.end).contains(&k)).count();
        let pool = matches!(stage.work, Work::Pool { .. });
        let range = |(place, p): (usize, usize)| {
            let place = [place / window.kernel[1], place % window.kernel[1]];
            let (r, fill) = (stream.ranges[p], Range::new(fill, fill));
            match [0, 1].map(|axis| on(axis, place[axis])) {
                _ if !border => r,
                [0, _] | [_, 0] if pool => fill,
                [y, x] if pool && [y, x] == [taps[0].len(), taps[1].len()] => r,
                _ => r.hull(fill),
            }
        };
        let ranges = positions.iter().map(|&at| range(at)).collect();
        let name = format!("{}_window", sanitize(&stage.layer.name));
        // No tensor of the network has these elements.
        let tensor = format!("windows of {}", stream.tensor);
        let vectors = windows[0] * windows[1];
        let output = self.stream(&name, &tensor, stream.lanes, stream.encoding, order, ranges, vectors);
        self.module(&name, &stage.layer.name, vec![input], vec![output], Kind::Window(unit));
        output
    }

    /// Largest value or sum of each window, channel by channel.
    pub(super) fn pool(&mut self, stage: &Stage, window: &network::Window, sum: bool, input: StreamId) -> StreamId {
        let layer = stage.layer.name.as_str();
        let border = window.pad_begin != [0, 0] || window.pad_end != [0, 0];
        let input = if sum || border { self.plain(input, layer) } else { input };
        let tensor = self.network.tensor(stage.output);
        let pixels: usize = tensor.shape[1..].iter().product();
        let places = window.kernel[0] * window.kernel[1];
        let channels = self.streams[input.0].vector_elements();
        let lanes = divisor_from(channels, self.lanes_for(channels, pixels * places));
        let input = self.convert(input, lanes, layer);
        let stream = self.streams[input.0].clone();
        // Outside the image: what no window's largest value is smaller than, or nothing to add.
        let lowest = stream.ranges.iter().map(|r| r.lo).min().unwrap_or(0);
        let fill = if sum { 0 } else { lowest };
        let windows = self.window(stage, window, input, false, fill);
        let ranges: Vec<Range> = stream.order.iter().map(|&c| tensor.ranges[c]).collect();
        let encoding = if sum {
            let mut encoding = Encoding::of(ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO));
            encoding.bits = encoding.bits.max(stream.encoding.bits);
            encoding
        } else {
            stream.encoding
        };
        let mut pool = Pool { sum, beats: places, queue_depth: 0 };
        pool.queue_depth = round_trip(2, places);
        let output = self.stream(&sanitize(layer), &tensor.name, lanes, encoding, stream.order, ranges, pixels);
        let name = format!("{}_pool", sanitize(layer));
        self.module(&name, layer, vec![windows], vec![output], Kind::Pool(pool));
        output
    }

    /// Nearest-neighbour upsampling.
    pub(super) fn upsample(&mut self, stage: &Stage, factor: [usize; 2], input: StreamId) -> StreamId {
        let pixels: usize = self.network.tensor(stage.output).shape[1..].iter().product();
        let channels = self.streams[input.0].vector_elements();
        let lanes = self.lanes_for(channels, pixels);
        let input = self.convert(input, lanes, &stage.layer.name);
        let order = self.streams[input.0].order.clone();
        self.repeat(stage, factor, false, input, order)
    }

    /// Channels become places. The stream brings the places' channels one after the other, see
    /// [`Orders`](super::order::Orders).
    pub(super) fn depth_to_space(&mut self, stage: &Stage, d: DepthToSpace, input: StreamId) -> StreamId {
        let tensor = self.network.tensor(stage.output);
        let (channels, pixels) = (tensor.shape[0], tensor.shape[1..].iter().product());
        let lanes = self.lanes_for(channels, pixels);
        let input = self.convert(input, lanes, &stage.layer.name);
        self.repeat(stage, [d.block, d.block], true, input, (0..channels).collect())
    }

    fn repeat(
        &mut self,
        stage: &Stage,
        factor: [usize; 2],
        split: bool,
        input: StreamId,
        order: Vec<usize>,
    ) -> StreamId {
        let layer = stage.layer.name.as_str();
        let stream = self.streams[input.0].clone();
        let (from, to) = (self.network.tensor(stage.inputs[0]), self.network.tensor(stage.output));
        let width = image(&from.shape).map_or(1, |(_, size)| size[1]);
        let chunks = stream.vector_elements() / stream.lanes;
        let unit = Upsample { factor, split, width, chunks, depth: 2 * width * chunks, queue_depth: round_trip(1, 1) };
        let ranges = order.iter().map(|&c| to.ranges[c]).collect();
        let pixels = to.shape[1..].iter().product();
        let output = self.stream(&sanitize(layer), &to.name, stream.lanes, stream.encoding, order, ranges, pixels);
        let name = format!("{}_rows", sanitize(layer));
        self.module(&name, layer, vec![input], vec![output], Kind::Upsample(unit));
        output
    }

    /// An image as one vector.
    pub(super) fn flatten(&mut self, stage: &Stage, input: StreamId) -> StreamId {
        let output = self.flattened(input, &stage.layer.name);
        self.streams[output.0].tensor = self.network.tensor(stage.output).name.clone();
        output
    }

    /// The same codes on wires that are binary numbers: bipolar ones are widened.
    pub(super) fn plain(&mut self, input: StreamId, layer: &str) -> StreamId {
        let stream = self.streams[input.0].clone();
        if stream.encoding.sign != Signedness::Bipolar {
            return input;
        }
        let encoding = Encoding { bits: 2, sign: Signedness::Signed };
        let function = MapFunction::Table(vec![vec![-1, 1]]);
        let mut map = Map { function, select: Vec::new(), legal: Range::new(-1, 1), queue_depth: 0 };
        map.queue_depth = round_trip(map.pipeline(), 1);
        let name = format!("{}_plain", sanitize(layer));
        let output =
            self.stream(&name, &stream.tensor, stream.lanes, encoding, stream.order, stream.ranges, stream.vectors);
        self.module(&name, layer, vec![input], vec![output], Kind::Map(map));
        output
    }
}
