//! From the integer network to the dataflow: channel orders, processing elements, threshold words, queues.

mod image;
mod join;
mod matrix;
mod order;
mod pins;
mod streams;
mod words;

use std::collections::HashMap;

use quantizer::datatype::Range;
use quantizer::network::{Network, TensorId};

use crate::accumulators::AccumulatorRule;
use crate::dataflow::{Dataflow, Encoding, Kind, LabelSelect, Module, Output, Stream, StreamId};
use crate::error::GenerateError;
use crate::folding::{FoldingRequest, LayerFolding, resolve};
use crate::names::{Names, is_identifier, is_shared, sanitize};
use crate::prune::prune;
use crate::stages::{Stage, Stages, Work, stages};

pub(crate) use order::settle;
pub(crate) use words::word_bits;

use order::Orders;

/// What to build.
#[derive(Clone, Debug)]
pub struct LowerOptions {
    /// Parallelism of each layer.
    pub folding: FoldingRequest,
    /// Name of the top module; `None` makes one of the network's name.
    pub top: Option<String>,
    /// What leaves the accelerator.
    pub output: Output,
}

impl Default for LowerOptions {
    fn default() -> Self {
        LowerOptions { folding: FoldingRequest::Default, top: None, output: Output::Logits }
    }
}

/// Lowers `network` to a dataflow.
///
/// # Errors
/// A graph that hardware is not generated for, a folding that does not fit, classes without a common integer grid
/// where a label is wanted, a top name that is no identifier.
pub fn lower(network: &Network, options: &LowerOptions) -> Result<Dataflow, GenerateError> {
    lower_with(network, options, AccumulatorRule::default())
}

/// The same, with accumulators and thresholds as wide as `accumulators` says.
///
/// # Errors
/// As [`lower`], and a width that a layer's sums do not fit.
pub fn lower_with(
    network: &Network,
    options: &LowerOptions,
    accumulators: AccumulatorRule,
) -> Result<Dataflow, GenerateError> {
    let top = match &options.top {
        Some(name) if is_identifier(name) && !is_shared(name) => name.clone(),
        Some(name) => return Err(GenerateError::TopName(name.clone())),
        None => Names::default().identifier(&sanitize(&network.name).to_lowercase()),
    };
    let mut graph = stages(network)?;
    let folding = resolve(network, &options.folding)?;
    let foldings: HashMap<String, LayerFolding> = folding.layers.into_iter().collect();
    let together = |layer: &str| graph.together(layer, foldings.get(layer).copied());
    let together: HashMap<String, usize> =
        graph.stages.iter().map(|s| (s.layer.name.clone(), together(&s.layer.name))).collect();
    prune(&mut graph, &|layer| together.get(layer).copied().unwrap_or(1));
    let orders = Orders::of(&graph)?;
    let mut build = Builder {
        network,
        orders,
        interval: folding.interval,
        accumulators,
        names: Names::default(),
        streams: Vec::new(),
        modules: Vec::new(),
        ready: HashMap::new(),
    };
    build.pins(&graph, &foldings)?;
    for stage in &graph.stages {
        build.stage(&graph, stage, foldings.get(&stage.layer.name).copied())?;
    }
    if options.output == Output::Label {
        build.label(&graph)?;
    }
    Ok(Dataflow { top, modules: build.modules, streams: build.streams, output: options.output, sustained: None })
}

/// Exact interval of `sum(weights * x)`. The import refuses accumulators beyond 62 bits, so nothing here overflows.
pub(crate) fn sum_range(weights: impl Iterator<Item = i64>, inputs: &[Range]) -> Range {
    weights.zip(inputs).fold(Range::ZERO, |sum, (w, x)| Range {
        lo: sum.lo + (w * x.lo).min(w * x.hi),
        hi: sum.hi + (w * x.lo).max(w * x.hi),
    })
}

/// The dataflow under construction.
struct Builder<'a> {
    network: &'a Network,
    orders: Orders,
    /// Cycles that a frame may take in modules whose width is free.
    interval: u64,
    accumulators: AccumulatorRule,
    names: Names,
    streams: Vec<Stream>,
    modules: Vec<Module>,
    /// Streams that carry a tensor and have no reader yet.
    ready: HashMap<TensorId, Vec<StreamId>>,
}

impl Builder<'_> {
    fn stage(&mut self, graph: &Stages, stage: &Stage, folding: Option<LayerFolding>) -> Result<(), GenerateError> {
        let input = self.take(stage.inputs[0]);
        let output = match &stage.work {
            Work::Matrix(matrix) => {
                // `resolve` knows every layer with weights.
                let folding = folding.unwrap_or(LayerFolding { pe: 1, simd: 1 });
                self.matrix(stage, matrix, folding, input)?
            }
            Work::Requant(steps) => self.requant(stage, steps, input),
            Work::Table(table) => self.table(stage, table, input),
            Work::Pool { window, sum } => self.pool(stage, window, *sum, input),
            Work::Add(coefficients) => self.add(stage, coefficients, input)?,
            Work::Concat => self.concat(stage, input)?,
            Work::Upsample(factor) => self.upsample(stage, *factor, input),
            Work::DepthToSpace(d) => self.depth_to_space(stage, *d, input),
            Work::Flatten => self.flatten(stage, input),
        };
        self.publish(graph, stage.output, output, &stage.layer.name);
        Ok(())
    }

    /// The next stream that carries `tensor`; the last one is never asked for twice.
    fn take(&mut self, tensor: TensorId) -> StreamId {
        self.ready.get_mut(&tensor).and_then(Vec::pop).unwrap_or(self.last())
    }

    /// Offers `stream` to all readers of `tensor`: a fork for each but the last.
    fn publish(&mut self, graph: &Stages, tensor: TensorId, stream: StreamId, layer: &str) {
        let readers = graph.readers(tensor).len();
        let mut branches = Vec::new();
        let mut rest = stream;
        for _ in 1..readers {
            let [a, b] = self.fork(rest, layer);
            branches.push(a);
            rest = b;
        }
        branches.push(rest);
        self.ready.insert(tensor, branches);
    }

    fn label(&mut self, graph: &Stages) -> Result<(), GenerateError> {
        let layer = graph.stages.last().map_or_else(String::new, |s| s.layer.name.clone());
        let grid = self
            .network
            .label_grid
            .as_ref()
            .map_err(|reason| GenerateError::NoLabel { layer: layer.clone(), reason: reason.clone() })?;
        let input = self.last();
        let input = if self.streams[input.0].vectors > 1 { self.flattened(input, &layer) } else { input };
        let stream = &self.streams[input.0];
        let values = stream.order.iter().zip(&stream.ranges).map(|(&class, range)| {
            let (m, o) = (grid.multiplier[class], grid.offset[class]);
            Range::new((m * range.lo).min(m * range.hi) + o, (m * range.lo).max(m * range.hi) + o)
        });
        // Multiplier and offset are words of the same width, so they count as values too.
        let words = grid.multiplier.iter().chain(&grid.offset).map(|&v| Range::new(v, v));
        let hull = values.chain(words).reduce(Range::hull).unwrap_or(Range::ZERO);
        let mut select = LabelSelect {
            multiplier: stream.order.iter().map(|&c| grid.multiplier[c]).collect(),
            offset: stream.order.iter().map(|&c| grid.offset[c]).collect(),
            value_bits: hull.signed_width().max(stream.encoding.bits),
            levels: stream.lanes.next_power_of_two().trailing_zeros() as usize,
            steps: None,
            credit_late: false,
            queue_depth: 0,
        };
        select.queue_depth = round_trip(select.pipeline(), stream.beats());
        let largest = Range::new(0, stream.elements() as i64 - 1);
        let output = self.stream("label", "label", 1, Encoding::of(largest), vec![0], vec![largest], 1);
        self.module("label_select", &layer, vec![input], vec![output], Kind::LabelSelect(select));
        Ok(())
    }
}

/// Credits that keep a pipeline full which makes a beat every `every` cycles: a credit is away for the
/// pipeline, the queue and its own register. One more lets the reader be a cycle late.
pub(crate) fn round_trip(pipeline: usize, every: usize) -> usize {
    (pipeline + 2).div_ceil(every) + 1
}

/// Splits a vector into beats of `lanes`, the last one filled up.
fn padded<T: Clone>(vector: &[T], lanes: usize, filler: T) -> Vec<Vec<T>> {
    vector
        .chunks(lanes)
        .map(|beat| {
            let mut beat = beat.to_vec();
            beat.resize(lanes, filler.clone());
            beat
        })
        .collect()
}

/// The smallest divisor of `n` that is at least `least`, at most `n`.
fn divisor_from(n: usize, least: usize) -> usize {
    (least.clamp(1, n)..=n).find(|d| n.is_multiple_of(*d)).unwrap_or(n)
}
