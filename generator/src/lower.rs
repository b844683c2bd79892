//! From the integer network to the dataflow: channel orders, processing elements, threshold words, queues.

use quantizer::datatype::{Range, Signedness};
use quantizer::network::{Network, Op, Steps};

use crate::dataflow::{
    Dataflow, Encoding, Fifo, Kind, LabelSelect, Map, MapFunction, MatrixVector, Module, Output, Pe, Search,
    SearchWords, Stream, StreamId, WidthConverter,
};
use crate::error::GenerateError;
use crate::folding::{FoldingRequest, LayerFolding, resolve};
use crate::names::{Names, is_identifier, sanitize};
use crate::prune::{Pruned, Stage, prune};
use crate::reduction::Reduction;

/// Codes up to this many bits are mapped by a table, wider ones by a search.
const TABLE_BITS: u32 = 8;

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
    let top = match &options.top {
        Some(name) if is_identifier(name) => name.clone(),
        Some(name) => return Err(GenerateError::TopName(name.clone())),
        None => Names::default().identifier(&sanitize(&network.name).to_lowercase()),
    };
    let foldings = resolve(network, &options.folding)?;
    let pruned = prune(network)?;
    let mut build = Builder { names: Names::default(), streams: Vec::new(), modules: Vec::new() };
    build.input(network, &pruned, foldings[0].1.simd);
    for (i, (stage, (_, folding))) in pruned.stages.iter().zip(&foldings).enumerate() {
        build.dense(network, stage, *folding, i + 1 == pruned.stages.len());
    }
    if options.output == Output::Label {
        build.label(network, &pruned)?;
    }
    Ok(Dataflow { top, modules: build.modules, streams: build.streams, output: options.output })
}

/// Exact interval of `sum(weights * x)`. The import refuses accumulators beyond 62 bits, so nothing here overflows.
pub(crate) fn sum_range(weights: impl Iterator<Item = i64>, inputs: &[Range]) -> Range {
    weights.zip(inputs).fold(Range::ZERO, |sum, (w, x)| Range {
        lo: sum.lo + (w * x.lo).min(w * x.hi),
        hi: sum.hi + (w * x.lo).max(w * x.hi),
    })
}

struct Builder {
    names: Names,
    streams: Vec<Stream>,
    modules: Vec<Module>,
}

impl Builder {
    /// The stream from the pins, and the map behind it where one is needed.
    fn input(&mut self, network: &Network, pruned: &Pruned, simd: usize) {
        let tensor = network.tensor(network.input);
        let order = stream_order(&tensor.shape);
        let per_channel = order.len() / tensor.ranges.len().max(1);
        let ranges = |r: &[Range]| -> Vec<Range> {
            order.iter().map(|&i| if r.len() == 1 { r[0] } else { r[i / per_channel.max(1)] }).collect()
        };
        let datatype = tensor.datatype;
        let encoding = Encoding { bits: datatype.bits, sign: datatype.sign };
        let excluded = datatype.narrow;
        let id = self.stream("input", &tensor.name, simd, encoding, order.clone(), ranges(&tensor.ranges));
        let (output, function, select) = match pruned.map {
            Some(layer) => {
                let Op::Threshold(threshold) = &layer.op else { return };
                let output = network.tensor(layer.output);
                let channels: Vec<&Steps> = (0..tensor.ranges.len()).map(|c| threshold.channel(c)).collect();
                let (function, encoding, distinct) = map_function(&channels, datatype.range(), encoding);
                let which: Vec<usize> = order
                    .iter()
                    .map(|&i| distinct[if distinct.len() == 1 { 0 } else { i / per_channel.max(1) }])
                    .collect();
                let select = if which.iter().all(|&w| w == which[0]) {
                    Vec::new()
                } else {
                    which.chunks(simd).map(<[usize]>::to_vec).collect()
                };
                ((output.name.clone(), encoding, ranges(&output.ranges)), function, select)
            }
            None if excluded => {
                ((tensor.name.clone(), encoding, ranges(&tensor.ranges)), MapFunction::Clamp, Vec::new())
            }
            None => return,
        };
        let (name, encoding, ranges) = output;
        let mapped = self.stream("codes", &name, simd, encoding, order, ranges);
        let mut map = Map { function, select, legal: datatype.range(), queue_depth: 0 };
        map.queue_depth = round_trip(map.pipeline(), 1);
        self.module("input_map", "input", id, mapped, Kind::Map(map));
    }

    /// A width converter where lanes differ, then the matrix-vector unit.
    fn dense(&mut self, network: &Network, stage: &Stage, folding: LayerFolding, is_output: bool) {
        let input = self.last();
        let simd = folding.simd.min(self.streams[input.0].elements());
        let input = self.convert(input, simd, &stage.layer.name);
        let pe = folding.pe.min(stage.rows.len());
        let neuron_folds = stage.rows.len().div_ceil(pe);
        let input = self.buffer(input, neuron_folds, &stage.layer.name);
        // Columns in the order in which the stream brings them.
        let stream = &self.streams[input.0];
        let columns: Vec<usize> =
            stream.order.iter().filter_map(|source| stage.columns.iter().position(|c| c == source)).collect();
        let weights = stage.weights.select(ndarray::Axis(1), &columns);
        let synapse_folds = stream.beats();
        let inputs: Vec<Vec<Range>> = padded(&stream.ranges, simd, Range::ZERO);

        let lanes = assign_rows(&weights, &stream.ranges, pe, is_output);
        let search = stage.steps.as_deref().map(search_for);
        let rom: Vec<Vec<Vec<i64>>> = lanes
            .iter()
            .map(|rows| {
                // A lane without a row in the last fold repeats its first one: any value will do there.
                (0..neuron_folds)
                    .flat_map(|f| {
                        let row = *rows.get(f).unwrap_or(&rows[0]);
                        padded(&weights.row(row).to_vec(), simd, 0)
                    })
                    .collect()
            })
            .collect();
        let tree_levels = rom.iter().map(|w| Reduction::levels_needed(w, &inputs)).max().unwrap_or(0);
        let pes: Vec<Pe> = lanes
            .iter()
            .zip(rom)
            .map(|(rows, weights)| {
                let reduction = Reduction::plan(&weights, &inputs, tree_levels);
                let words: Vec<SearchWords> = match (&search, &stage.steps) {
                    (Some((search, _)), Some(steps)) => (0..neuron_folds)
                        .map(|f| search_words(*search, &steps[*rows.get(f).unwrap_or(&rows[0])], reduction.totals[f]))
                        .collect(),
                    _ => Vec::new(),
                };
                let word_bits = word_bits(words.iter(), reduction.accumulator_bits);
                Pe {
                    rows: (0..neuron_folds).map(|f| rows.get(f).map(|&r| stage.rows[r])).collect(),
                    weight_encodings: (0..simd).map(|l| weight_encoding(weights.iter().map(|w| w[l]))).collect(),
                    weights,
                    reduction,
                    heap: None,
                    words,
                    word_bits,
                }
            })
            .collect();

        let order: Vec<usize> = (0..stage.rows.len()).map(|i| stage.rows[lanes[i % pe][i / pe]]).collect();
        let tensor = network.tensor(stage.output);
        let ranges: Vec<Range> = order.iter().map(|&row| tensor.ranges[row]).collect();
        let encoding = match &search {
            Some((_, encoding)) => *encoding,
            None => Encoding {
                bits: pes.iter().map(|p| p.reduction.accumulator_bits).max().unwrap_or(1),
                sign: Signedness::Signed,
            },
        };
        let mut unit = MatrixVector {
            pe,
            simd,
            neuron_folds,
            synapse_folds,
            pes,
            tree_levels,
            array: None,
            search: search.map(|(s, _)| s),
            queue_depth: 0,
        };
        // A whole vector fits, so that the unit goes on while its reader goes through its neuron folds.
        unit.queue_depth = round_trip(unit.pipeline(), synapse_folds).max(neuron_folds + 1);
        let name = sanitize(&stage.layer.name);
        let output = self.stream(&name, &tensor.name, pe, encoding, order, ranges);
        self.module(&stage.layer.name, &stage.layer.name, input, output, Kind::MatrixVector(unit));
    }

    fn label(&mut self, network: &Network, pruned: &Pruned) -> Result<(), GenerateError> {
        let layer = pruned.stages.last().map_or_else(String::new, |s| s.layer.name.clone());
        let grid = network
            .label_grid
            .as_ref()
            .map_err(|reason| GenerateError::NoLabel { layer: layer.clone(), reason: reason.clone() })?;
        let input = self.last();
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
            queue_depth: 0,
        };
        select.queue_depth = round_trip(select.pipeline(), stream.beats());
        let largest = Range::new(0, stream.elements() as i64 - 1);
        let output = self.stream("label", "label", 1, Encoding::of(largest), vec![0], vec![largest]);
        self.module("label_select", &layer, input, output, Kind::LabelSelect(select));
        Ok(())
    }

    /// Puts a width converter behind `input` unless it has `lanes` lanes already.
    fn convert(&mut self, input: StreamId, lanes: usize, layer: &str) -> StreamId {
        let stream = self.streams[input.0].clone();
        if stream.lanes == lanes {
            return input;
        }
        let elements = stream.elements();
        let last = elements - (stream.beats() - 1) * stream.lanes;
        let padding = elements.div_ceil(lanes) * lanes - elements;
        let unit = [stream.lanes, last, padding].iter().fold(lanes, |a, &b| gcd(a, b));
        let largest = stream.lanes.max(last + padding);
        // With this much held, a beat can still come in: then neither side ever waits for the other's register. The
        // busier side is the input where lanes grow, the output where they shrink.
        let appended = if stream.beats() == 1 { last + padding } else { stream.lanes };
        let room = lanes + lanes.min(appended) - unit;
        let converter = WidthConverter {
            unit,
            input_units: stream.lanes / unit,
            last_units: (last + padding) / unit,
            last_data: last / unit,
            beats: stream.beats(),
            output_units: lanes / unit,
            capacity: (room + largest) / unit,
        };
        let name = format!("{}_x{lanes}", stream.name);
        let output = self.stream(&name, &stream.tensor, lanes, stream.encoding, stream.order, stream.ranges);
        self.module(&format!("{}_width", sanitize(layer)), layer, input, output, Kind::WidthConverter(converter));
        output
    }

    /// Puts a queue for a whole vector before a unit that reads in bursts (it goes through its neuron folds between
    /// them), where a width converter before it fills more slowly than the unit reads. Where lanes shrink or stay, the
    /// writer's exit queue does that.
    fn buffer(&mut self, input: StreamId, neuron_folds: usize, layer: &str) -> StreamId {
        let widened = self.modules.last().is_some_and(|m| match &m.kind {
            Kind::WidthConverter(w) => w.output_units > w.input_units,
            _ => false,
        });
        if !widened || neuron_folds == 1 {
            return input;
        }
        let stream = self.streams[input.0].clone();
        let fifo = Fifo { depth: stream.beats() + 1 };
        let name = format!("{}_buffered", stream.name);
        let output = self.stream(&name, &stream.tensor, stream.lanes, stream.encoding, stream.order, stream.ranges);
        self.module(&format!("{}_fifo", sanitize(layer)), layer, input, output, Kind::Fifo(fifo));
        output
    }

    fn last(&self) -> StreamId {
        StreamId(self.streams.len() - 1)
    }

    fn stream(
        &mut self,
        name: &str,
        tensor: &str,
        lanes: usize,
        encoding: Encoding,
        order: Vec<usize>,
        ranges: Vec<Range>,
    ) -> StreamId {
        // The suffix keeps stream names apart from module names, which share the identifiers.
        let name = self.names.identifier(&format!("{name}_s"));
        self.streams.push(Stream { name, tensor: tensor.to_owned(), lanes, encoding, order, ranges });
        self.last()
    }

    fn module(&mut self, name: &str, layer: &str, input: StreamId, output: StreamId, kind: Kind) {
        let name = self.names.identifier(name);
        self.modules.push(Module { name, layer: layer.to_owned(), input, output, kind });
    }
}

/// Source index of each stream position: channels last. ONNX has channels first.
fn stream_order(shape: &[usize]) -> Vec<usize> {
    let elements: usize = shape.iter().product();
    let channels = if shape.len() > 1 { shape[0] } else { 1 };
    let pixels = elements / channels.max(1);
    (0..elements).map(|i| (i % channels) * pixels + i / channels).collect()
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

/// Which live rows each processing element serves: rows of equal accumulator width together (the next layer
/// permutes its columns), or the source order where the row order is the output's.
fn assign_rows(weights: &ndarray::Array2<i64>, inputs: &[Range], pe: usize, is_output: bool) -> Vec<Vec<usize>> {
    let rows = weights.nrows();
    let full = rows.div_ceil(pe);
    // Lanes 0 .. with_full have a row in every neuron fold, the others one fewer.
    let with_full = if rows.is_multiple_of(pe) { pe } else { rows % pe };
    if is_output {
        return (0..pe).map(|p| (p..rows).step_by(pe).collect()).collect();
    }
    let mut sorted: Vec<usize> = (0..rows).collect();
    sorted.sort_by_key(|&r| std::cmp::Reverse(sum_range(weights.row(r).iter().copied(), inputs).signed_width()));
    let mut rest = sorted.into_iter();
    (0..pe).map(|p| rest.by_ref().take(if p < with_full { full } else { full - 1 }).collect()).collect()
}

/// Search stages and wires for the codes of these rows.
fn search_for(steps: &[Steps]) -> (Search, Encoding) {
    let bipolar = steps.iter().all(|s| {
        let r = s.range();
        [r.lo, r.hi].iter().all(|c| c.abs() == 1) && s.steps.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1])
    });
    if bipolar {
        let encoding = Encoding { bits: 1, sign: Signedness::Bipolar };
        return (Search { bits: 1, base: -1, stride: 2 }, encoding);
    }
    let range = steps.iter().map(Steps::range).reduce(Range::hull).unwrap_or(Range::ZERO);
    let bits = Range::new(0, range.hi - range.lo).width();
    (Search { bits, base: range.lo, stride: 1 }, Encoding::of(range))
}

/// The search words of one row: words that every value reaches, its steps, words that none reaches.
fn search_words(search: Search, steps: &Steps, total: Range) -> SearchWords {
    let all = (1usize << search.bits) - 1;
    let own: Vec<i64> = steps.steps.iter().copied().step_by(search.stride as usize).collect();
    let below = ((steps.base - search.base) / search.stride) as usize;
    // A falling code counts from the top: what is above its largest code is always reached.
    let always = if steps.falling { all - below - own.len() } else { below };
    let mut words = vec![total.lo; always];
    words.extend(own);
    words.resize(all, total.hi + 1);
    SearchWords { words, falling: steps.falling }
}

fn word_bits<'a>(words: impl Iterator<Item = &'a SearchWords>, value_bits: u32) -> u32 {
    let hull = words.flat_map(|w| &w.words).map(|&w| Range::new(w, w)).reduce(Range::hull);
    hull.map_or(value_bits, |r| r.signed_width().max(value_bits))
}

fn weight_encoding(weights: impl Iterator<Item = i64> + Clone) -> Encoding {
    if weights.clone().all(|w| w.abs() == 1) {
        return Encoding { bits: 1, sign: Signedness::Bipolar };
    }
    Encoding::of(weights.fold(Range::ZERO, |r, w| r.hull(Range::new(w, w))))
}

/// The map of the pins' codes, its output wires, and which of its functions each channel uses.
fn map_function(channels: &[&Steps], legal: Range, pins: Encoding) -> (MapFunction, Encoding, Vec<usize>) {
    let mut distinct: Vec<Steps> = Vec::new();
    let which = channels
        .iter()
        .map(|s| {
            distinct.iter().position(|d| d == *s).unwrap_or_else(|| {
                distinct.push((*s).clone());
                distinct.len() - 1
            })
        })
        .collect();
    let (search, encoding) = search_for(&distinct);
    let function = if pins.bits <= TABLE_BITS {
        let code = |s: &Steps, word: u64| s.apply(pins.decode(word).clamp(legal.lo, legal.hi));
        MapFunction::Table(distinct.iter().map(|s| (0..1u64 << pins.bits).map(|w| code(s, w)).collect()).collect())
    } else {
        let channels: Vec<SearchWords> = distinct.iter().map(|s| search_words(search, s, legal)).collect();
        let word_bits = word_bits(channels.iter(), legal.signed_width());
        MapFunction::Search { search, channels, word_bits }
    };
    (function, encoding, which)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
