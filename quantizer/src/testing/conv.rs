//! Random convolutional networks: every operator, small enough to be simulated in hardware.

use ndarray::Array2;

use super::{Limits, Random, bare, finish, push, push_behind, push_dense, push_threshold};
use crate::datatype::{DataType, Range};
use crate::network::{Add, Conv, DepthToSpace, Network, Op, Table, Tensor, TensorId, Window, image};
use crate::shape::output_shape;

/// A random convolutional network, valid in the sense of [`Network::validate`]; `limits.layers` blocks at most, about half of
/// `limits.width` channels.
///
/// Its blocks are convolutions (strides, pads on each side, dilation, groups, depthwise, one dimension), max and sum pools, residual
/// additions of codes and of accumulators, channels joined, upsampling, depth to space; by chance an input map before and a Dense
/// behind them, or an image at the output. Its numbers are as varied as those of [`network`](super::network).
pub fn conv_network(seed: u64, limits: Limits) -> Network {
    conv(seed, limits, true)
}

/// The same without look-up tables behind residual additions: the networks that [`conv_network`] drew before it had those. Lists of
/// designs that must stay as they are draw from here.
pub fn conv_network_without_tables(seed: u64, limits: Limits) -> Network {
    conv(seed, limits, false)
}

fn conv(seed: u64, limits: Limits, tables: bool) -> Network {
    let random = &mut Random::new(seed);
    let channels = random.size(1, 3);
    // One dimension, or two.
    let shape = if random.one_in(5) {
        vec![channels, random.size(3, 12)]
    } else {
        vec![channels, random.size(2, 7), random.size(2, 7)]
    };
    let datatype = random.datatype(limits.bits);
    let mut build = Build { network: bare(seed, shape, datatype), random, limits, tables, layers: 0 };
    if build.random.one_in(4) {
        let codes = build.random.datatype(limits.bits);
        push_threshold(&mut build.network, build.random, "input", codes);
    }
    for _ in 0..build.random.size(1, limits.layers.max(1)) {
        build.block();
    }
    build.end();
    let Build { mut network, random, .. } = build;
    finish(&mut network, random);
    network
}

/// A random network around one or two depthwise or grouped convolutions, named `grouped.N`: a convolution to their channels before
/// them, and one over all channels behind them, as in MobileNet and ResNeXt. Dead channels and padded borders by chance.
pub fn grouped_network(seed: u64, limits: Limits) -> Network {
    let random = &mut Random::new(seed);
    let shape = vec![random.size(1, 3), random.size(2, 6), random.size(2, 6)];
    let datatype = random.datatype(limits.bits);
    let mut build = Build { network: bare(seed, shape, datatype), random, limits, tables: true, layers: 0 };
    let groups = build.random.size(2, 6);
    let each = if build.random.one_in(2) { 1 } else { build.random.size(2, 4) };
    let window = build.keeping();
    build.conv_of(window, groups * each, 1);
    build.pool_sometimes();
    build.codes();
    for _ in 0..build.random.size(1, 2) {
        let (channels, _) = build.image();
        let groups = if channels.is_multiple_of(groups) { groups } else { channels };
        let window = build.window();
        let rows = groups * if build.random.one_in(2) { channels / groups } else { build.random.size(1, 3) };
        build.grouped(window, rows, groups);
        build.pool_sometimes();
        build.codes();
    }
    if !build.random.one_in(6) {
        let window = if build.random.one_in(3) { build.keeping() } else { identity() };
        build.conv(window, None);
        if build.random.one_in(2) {
            build.codes();
        }
    }
    build.end();
    let Build { mut network, random, .. } = build;
    finish(&mut network, random);
    network
}

struct Build<'a> {
    network: Network,
    random: &'a mut Random,
    limits: Limits,
    /// Whether sums may be requantized by look-up.
    tables: bool,
    /// Layers named so far.
    layers: usize,
}

impl Build<'_> {
    fn block(&mut self) {
        match self.random.size(0, 11) {
            0..=3 => {
                let window = self.window();
                self.conv(window, None);
                self.pool_sometimes();
                self.codes();
            }
            4 => self.depthwise(),
            5 => self.max_pool(),
            6 => {
                self.sum_pool();
                self.codes();
            }
            7 | 8 => self.residual(),
            9 => self.concat(),
            10 => {
                let factor = [if self.flat() { 1 } else { self.random.size(1, 2) }, self.random.size(1, 3)];
                // Images stay small.
                if self.places() <= 40 {
                    self.push("upsample", Op::Upsample(factor));
                }
            }
            _ => self.depth_to_space(),
        }
    }

    /// What follows the last block: an image stays, or classes are made of it.
    fn end(&mut self) {
        if self.random.one_in(3) {
            return;
        }
        if self.random.one_in(2) {
            let (_, size) = self.image();
            let none = [0, 0];
            let all = Window { kernel: size, stride: [1, 1], dilation: [1, 1], pad_begin: none, pad_end: none };
            self.push("global", Op::SumPool(all));
            self.codes();
        }
        push(&mut self.network, "flatten", Op::Flatten, None);
        let (name, rows) = (self.name("classifier"), self.random.size(1, 4));
        push_dense(&mut self.network, self.random, &name, rows, self.limits);
        if self.random.one_in(4) {
            self.codes();
        }
    }

    fn image(&self) -> (usize, [usize; 2]) {
        image(&self.network.tensor(self.network.output).shape).unwrap_or((1, [1, 1]))
    }

    fn places(&self) -> usize {
        let (_, [height, width]) = self.image();
        height * width
    }

    /// Whether the image has one dimension.
    fn flat(&self) -> bool {
        self.network.tensor(self.network.output).shape.len() < 3
    }

    fn name(&mut self, what: &str) -> String {
        self.layers += 1;
        format!("{what}.{}", self.layers - 1)
    }

    fn push(&mut self, what: &str, op: Op) {
        let name = self.name(what);
        push(&mut self.network, &name, op, None);
    }

    /// Requantizes the present output under the name of its layer.
    fn codes(&mut self) {
        let name = self.network.layers.last().map_or("input".to_owned(), |l| l.name.clone());
        let codes = self.random.datatype(self.limits.bits);
        push_threshold(&mut self.network, self.random, &name, codes);
    }

    /// A window that fits the present image, pads less than its span.
    fn window(&mut self) -> Window {
        let (_, size) = self.image();
        let mut window = identity();
        for axis in if self.flat() { 1..2 } else { 0..2 } {
            let kernel = if self.random.one_in(4) { self.random.size(1, 5) } else { self.random.size(1, 3) };
            let dilation = if self.random.one_in(3) { 2 } else { 1 };
            let most = ((kernel - 1) * dilation).min(if self.random.one_in(4) { 4 } else { 1 });
            let mut drawn = window;
            drawn.kernel[axis] = kernel;
            drawn.dilation[axis] = dilation;
            drawn.stride[axis] = if self.random.one_in(2) { 1 } else { self.random.size(1, 3) };
            drawn.pad_begin[axis] = self.random.size(0, most);
            drawn.pad_end[axis] = if self.random.one_in(3) { self.random.size(0, most) } else { drawn.pad_begin[axis] };
            if drawn.output(size).is_some() {
                window = drawn;
            }
        }
        window
    }

    /// A window that keeps height and width.
    fn keeping(&mut self) -> Window {
        let mut window = identity();
        for axis in if self.flat() { 1..2 } else { 0..2 } {
            let reach = self.random.size(0, 1);
            window.kernel[axis] = 2 * reach + 1;
            window.dilation[axis] = self.random.size(1, 2);
            window.pad_begin[axis] = reach * window.dilation[axis];
            window.pad_end = window.pad_begin;
        }
        window
    }

    /// A convolution to `rows` channels, or some number of them.
    fn conv(&mut self, window: Window, rows: Option<usize>) {
        let (channels, _) = self.image();
        let rows = rows.unwrap_or_else(|| self.random.size(1, self.limits.width.div_ceil(2).max(1)));
        let groups = (2..=channels).rev().find(|g| channels.is_multiple_of(*g) && rows.is_multiple_of(*g));
        let groups = groups.filter(|_| self.random.one_in(2)).unwrap_or(1);
        self.conv_of(window, rows, groups);
    }

    fn conv_of(&mut self, window: Window, rows: usize, groups: usize) {
        self.conv_called("features", window, rows, groups);
    }

    fn grouped(&mut self, window: Window, rows: usize, groups: usize) {
        self.conv_called("grouped", window, rows, groups);
    }

    fn conv_called(&mut self, name: &str, window: Window, rows: usize, groups: usize) {
        let (channels, _) = self.image();
        let columns = channels / groups * window.kernel[0] * window.kernel[1];
        let weight_type = self.random.datatype(self.limits.bits);
        let sparse = self.random.one_in(2);
        let mut weights = Array2::from_shape_fn((rows, columns), |_| self.random.code(weight_type));
        if weight_type != DataType::BIPOLAR {
            for mut row in weights.rows_mut() {
                let dead = self.random.one_in(8);
                row.map_inplace(|w| *w = if dead || sparse && self.random.one_in(2) { 0 } else { *w });
            }
        }
        self.push(name, Op::Conv(Conv { weights, weight_type, groups, window }));
    }

    fn depthwise(&mut self) {
        let (channels, _) = self.image();
        let window = self.window();
        let multiplier = if self.random.one_in(4) { 2 } else { 1 };
        self.conv_of(window, channels * multiplier, channels);
        self.codes();
    }

    fn max_pool(&mut self) {
        let shape = self.network.tensor(self.network.output).shape.clone();
        let drawn = Op::MaxPool(self.window());
        // Some windows of a dilated pool may read padding alone.
        let legal = output_shape(&drawn, &[&shape]).is_ok();
        self.push("pool", if legal { drawn } else { Op::MaxPool(identity()) });
    }

    fn sum_pool(&mut self) {
        let window = self.window();
        self.push("pool", Op::SumPool(window));
    }

    /// A pool between a convolution and its thresholds, as some networks have it.
    fn pool_sometimes(&mut self) {
        match self.random.size(0, 9) {
            0 => self.max_pool(),
            1 => self.sum_pool(),
            _ => {}
        }
    }

    fn residual(&mut self) {
        let fork = self.network.output;
        let (channels, _) = self.image();
        // Of codes, or of accumulators on one grid.
        let codes = self.random.one_in(2);
        let mut inputs = Vec::new();
        for branch in 0..if self.random.one_in(4) { 3 } else { 2 } {
            self.network.output = fork;
            // The first may be the input itself.
            for _ in 0..self.random.size(usize::from(branch > 0), 2) {
                if self.network.output != fork && !codes {
                    self.codes();
                }
                let window = self.keeping();
                self.conv(window, Some(channels));
                if codes {
                    self.codes();
                }
            }
            inputs.push(self.network.output);
        }
        if self.random.one_in(2) {
            inputs.reverse();
        }
        let coefficient = |random: &mut Random| match random.size(0, 5) {
            0 => -1,
            1 => random.within(2, 7),
            2 => -random.within(2, 5),
            _ => 1,
        };
        let coefficients = inputs.iter().map(|_| coefficient(self.random)).collect();
        self.join("add", Op::Add(Add { coefficients }), &inputs);
        if !self.random.one_in(6) {
            self.codes();
        } else if self.tables {
            self.table();
        }
    }

    /// Requantizes the present output by look-up, if it has few values.
    fn table(&mut self) {
        let Tensor { ranges, .. } = self.network.tensor(self.network.output);
        let (channels, hull) = (ranges.len(), ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO));
        let entries = hull.hi - hull.lo + 1;
        if entries > 256 {
            return;
        }
        let codes = self.random.datatype(self.limits.bits);
        let tables = if self.random.one_in(2) { 1 } else { channels };
        let table = Array2::from_shape_fn((tables, entries as usize), |_| self.random.code(codes));
        let name = self.name("table");
        push(&mut self.network, &name, Op::Table(Table { first: hull.lo, codes: table }), Some(codes));
    }

    fn concat(&mut self) {
        let fork = self.network.output;
        let window = self.window();
        let mut inputs = Vec::new();
        let codes = self.random.datatype(self.limits.bits);
        let alike = self.random.one_in(2);
        for _ in 0..2 {
            self.network.output = fork;
            self.conv(window, None);
            let name = self.network.layers.last().map_or(String::new(), |l| l.name.clone());
            let own = if alike { codes } else { self.random.datatype(self.limits.bits) };
            push_threshold(&mut self.network, self.random, &name, own);
            inputs.push(self.network.output);
        }
        self.join("concat", Op::Concat, &inputs);
    }

    fn depth_to_space(&mut self) {
        if self.flat() || self.places() > 20 {
            return;
        }
        let window = self.keeping();
        let channels = self.random.size(1, 2);
        self.conv(window, Some(4 * channels));
        self.codes();
        let column_first = self.random.one_in(2);
        self.push("shuffle", Op::DepthToSpace(DepthToSpace { block: 2, column_first }));
    }

    fn join(&mut self, what: &str, op: Op, inputs: &[TensorId]) {
        let name = self.name(what);
        self.network.output = push_behind(&mut self.network, &name, op, inputs, None);
    }
}

fn identity() -> Window {
    Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad_begin: [0, 0], pad_end: [0, 0] }
}
