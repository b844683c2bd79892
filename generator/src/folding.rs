//! Folding: how many rows (PE) and columns (SIMD) of each layer work in parallel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use quantizer::network::{Network, Op};

use crate::error::GenerateError;
use crate::prune::prune;
use crate::stages::{GroupFolding, Groups, Stage, Stages, Work, stages};

/// PE and SIMD of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LayerFolding {
    /// Rows in parallel; divides the layer's outputs.
    pub pe: usize,
    /// Columns in parallel; divides the layer's inputs. Of a grouped layer the columns of a row, which reads its group alone; rows of
    /// several groups then take so many columns each.
    pub simd: usize,
}

/// What the user asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum FoldingRequest {
    /// One input element a clock, every layer folded just enough to keep up.
    Default,
    /// At most this many cycles between frames.
    Interval(u64),
    /// By layer name; layers that are not named are folded to keep up with the slowest named one.
    Layers(BTreeMap<String, LayerFolding>),
    /// What another request was resolved to: its layers, and the interval it aimed at, which modules without a folding go by (pools,
    /// concatenations and the pins in front of them).
    Resolved {
        /// PE and SIMD by layer name.
        layers: BTreeMap<String, LayerFolding>,
        /// Cycles between frames.
        interval: u64,
    },
}

/// A layer as folding sees it.
struct Shape<'a> {
    name: &'a str,
    rows: usize,
    columns: usize,
    /// Input channels, the columns of one place; of a dense layer all columns.
    channels: usize,
    /// Vectors of a frame.
    pixels: usize,
    /// Rows and columns that are left without dead channels.
    live: (usize, usize),
    /// Of a layer that is built group by group.
    groups: Option<Groups>,
}

impl Shape<'_> {
    /// Places of the window.
    fn places(&self) -> usize {
        self.columns / self.channels
    }

    /// What `f` means for the groups of a grouped layer.
    fn group_folding(&self, f: LayerFolding) -> Option<(Groups, GroupFolding)> {
        let groups = self.groups?;
        Some((groups, groups.folding(f, self.rows / groups.rows, self.places())?))
    }

    fn cycles(&self, f: LayerFolding) -> u64 {
        let cycles = match self.group_folding(f) {
            Some((groups, by)) => {
                let parts = (self.live.0 / groups.rows).div_ceil(by.together);
                // The window sends a place a cycle, however many the rows take at a time.
                let passes = groups.rows / by.rows * self.places() / by.places;
                parts * (groups.channels / by.channels) * passes.max(self.places())
            }
            None => self.live.0.div_ceil(f.pe) * self.live.1.div_ceil(f.simd),
        };
        (cycles * self.pixels) as u64
    }

    /// Lanes of a pixel that the window in front of the layer reads.
    fn lanes(&self, f: LayerFolding) -> usize {
        self.group_folding(f).map_or(f.simd.min(self.channels), |(_, by)| by.lanes())
    }
}

/// PE and SIMD of every layer with weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// In layer order.
    pub layers: Vec<(String, LayerFolding)>,
    /// Cycles between frames that was aimed at.
    pub interval: u64,
    /// Cycles between frames that no folding is faster than: windows and images go a place a cycle.
    pub floor: u64,
    /// Cycles between frames that the layers alone would aim at, as [`FoldingRequest::Layers`].
    pub by_layers: u64,
}

/// A folding that a layer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub folding: LayerFolding,
    /// Cycles of a frame.
    pub cycles: u64,
}

/// All foldings of every layer with weights, by its name, in layer order.
pub(crate) fn choices(network: &Network) -> Result<Vec<(String, Vec<Choice>)>, GenerateError> {
    let mut graph = stages(network)?;
    prune(&mut graph, &|_| 1);
    let choice = |s: &Shape, folding| Choice { folding, cycles: s.cycles(folding) };
    let all = |s: &Shape| (s.name.to_owned(), legal(s).into_iter().map(|f| choice(s, f)).collect());
    Ok(shapes(&graph).iter().map(all).collect())
}

/// The folding that takes all rows and columns of layer `name` at a time; `None` if there is no such layer with weights.
pub fn unrolled(network: &Network, name: &str) -> Option<LayerFolding> {
    let graph = stages(network).ok()?;
    let shapes = shapes(&graph);
    let shape = shapes.iter().find(|s| s.name == name)?;
    Some(LayerFolding { pe: shape.rows, simd: shape.columns })
}

/// Resolves a request to PE and SIMD of every layer, in layer order.
///
/// # Errors
/// A layer that is not there (with the nearest name), a PE or SIMD that does not divide, an interval that is 0 or that
/// no folding reaches.
pub fn resolve(network: &Network, request: &FoldingRequest) -> Result<Resolved, GenerateError> {
    let mut graph = stages(network)?;
    prune(&mut graph, &|_| 1);
    let shapes = shapes(&graph);
    let elements = network.tensor(network.input).shape.iter().product::<usize>() as u64;
    let (floor, slowest_layer) = floor(network);
    let none = BTreeMap::new();
    let (given, interval) = match request {
        FoldingRequest::Default => (&none, elements.max(floor)),
        FoldingRequest::Interval(0) => {
            return Err(GenerateError::Target { wanted: 0, reason: "a frame takes at least one cycle".into() });
        }
        FoldingRequest::Interval(cycles) if *cycles < floor => {
            let reason = format!(
                "layer '{slowest_layer}' reads its windows a place a cycle, which takes {floor} cycles a frame"
            );
            return Err(GenerateError::Target { wanted: *cycles, reason });
        }
        FoldingRequest::Interval(cycles) => (&none, *cycles),
        FoldingRequest::Layers(layers) => {
            let slowest = check(&shapes, layers)?;
            (layers, slowest.unwrap_or(elements).max(floor))
        }
        FoldingRequest::Resolved { layers, interval } => {
            check(&shapes, layers)?;
            (layers, *interval)
        }
    };
    let layers: Vec<(String, LayerFolding)> = shapes
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let folding = given.get(s.name).copied().unwrap_or_else(|| keep_up(s, interval, i == 0));
            (s.name.to_owned(), folding)
        })
        .collect();
    let slowest = shapes.iter().zip(&layers).map(|(s, (_, f))| s.cycles(*f)).max();
    let by_layers = slowest.unwrap_or(elements).max(floor);
    Ok(Resolved { layers, interval, floor, by_layers })
}

fn shapes<'a>(graph: &Stages<'a>) -> Vec<Shape<'a>> {
    let shape = |stage: &Stage<'a>| {
        let Work::Matrix(matrix) = &stage.work else { return None };
        let layer = stage.layer;
        let (rows, columns) = match &layer.op {
            Op::Conv(conv) => {
                // The columns of a row: of its group's channels, or of all where groups are built as one matrix with zeros.
                let channels =
                    matrix.groups.map_or(graph.network.tensor(layer.input()).shape[0], |groups| groups.channels);
                (conv.weights.nrows(), channels * matrix.places())
            }
            Op::Dense(dense) => dense.weights.dim(),
            _ => return None,
        };
        let pixels =
            if matrix.window.is_some() { graph.network.tensor(layer.output).shape[1..].iter().product() } else { 1 };
        let live = (matrix.rows.len(), matrix.columns.len());
        let (channels, groups) = (columns / matrix.places(), matrix.groups);
        Some(Shape { name: &layer.name, rows, columns, channels, pixels, live, groups })
    };
    graph.stages.iter().filter_map(shape).collect()
}

/// The cycles of the slowest module whose width has a limit, and its layer: a window is read a place a cycle, an image
/// sent a pixel a cycle.
fn floor(network: &Network) -> (u64, String) {
    let cycles = |l: &quantizer::network::Layer| -> usize {
        let pixels = |shape: &[usize]| shape.iter().skip(1).product::<usize>();
        let (input, output) = (&network.tensor(l.input()).shape, &network.tensor(l.output).shape);
        match &l.op {
            Op::Conv(quantizer::network::Conv { window, .. }) | Op::MaxPool(window) | Op::SumPool(window) => {
                (pixels(output) * window.kernel[0] * window.kernel[1]).max(pixels(input))
            }
            // What the pins carry comes as its first reader wants it.
            Op::Threshold(_) if l.input() == network.input => 1,
            Op::Upsample(_) | Op::DepthToSpace(_) | Op::Add(_) | Op::Threshold(_) | Op::Table(_) => pixels(output),
            Op::Concat => l.inputs.iter().map(|&id| pixels(&network.tensor(id).shape)).sum(),
            Op::Dense(_) | Op::Flatten => 1,
        }
    };
    let slowest = network.layers.iter().max_by_key(|l| cycles(l));
    slowest.map_or((1, String::new()), |l| (cycles(l) as u64, l.name.clone()))
}

/// Checks a folding file against the network; returns the cycles of the slowest layer named.
fn check(shapes: &[Shape], layers: &BTreeMap<String, LayerFolding>) -> Result<Option<u64>, GenerateError> {
    let mut slowest = None;
    for (name, folding) in layers {
        let Some(shape) = shapes.iter().find(|s| s.name == name) else {
            let nearest = shapes
                .iter()
                .map(|s| (strsim::jaro_winkler(s.name, name), s.name))
                .filter(|(score, _)| *score > 0.7)
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, n)| n.to_owned());
            let layers = shapes.iter().map(|s| s.name.to_owned()).collect();
            return Err(GenerateError::UnknownLayer { layer: name.clone(), nearest, layers });
        };
        for (what, value, size, unit) in
            [("PE", folding.pe, shape.rows, "outputs"), ("SIMD", folding.simd, shape.columns, "inputs")]
        {
            if value == 0 || size % value != 0 {
                let layer = name.clone();
                return Err(GenerateError::Folding { layer, what, value, size, unit, divisors: divisors(size) });
            }
        }
        if shape.groups.is_some() && shape.group_folding(*folding).is_none() {
            let (layer, groups) = (name.clone(), shape.rows / shape.groups.map_or(1, |g| g.rows));
            let mut legal: Vec<LayerFolding> = legal(shape);
            legal.sort();
            return Err(GenerateError::GroupFolding { layer, folding: *folding, groups, legal });
        }
        slowest = slowest.max(Some(shape.cycles(*folding)));
    }
    Ok(slowest)
}

/// Every PE and SIMD that the layer can have.
fn legal(shape: &Shape) -> Vec<LayerFolding> {
    // Part of a place's channels, or whole places: no other number of columns comes out of a window in one beat.
    let simds = divisors(shape.channels)
        .into_iter()
        .chain(divisors(shape.places()).into_iter().skip(1).map(|p| p * shape.channels));
    let all = simds.flat_map(|simd| divisors(shape.rows).into_iter().map(move |pe| LayerFolding { pe, simd }));
    // Of groups all or part of one, or several whole ones.
    all.filter(|&f| shape.groups.is_none() || shape.group_folding(f).is_some()).collect()
}

/// The smallest folding that takes at most `interval` cycles: fewest multipliers, then fewest accumulators. The
/// first layer's SIMD is also the number of lanes on the pins: there the fewest lanes that keep up come first.
fn keep_up(shape: &Shape, interval: u64, first: bool) -> LayerFolding {
    let fewest_lanes = |f: &LayerFolding| if first { shape.lanes(*f) } else { 0 };
    legal(shape)
        .into_iter()
        .filter(|f| shape.cycles(*f) <= interval)
        .min_by_key(|f| (fewest_lanes(f), f.pe * f.simd, f.pe))
        // Everything in parallel takes a cycle a vector; `floor` is not less.
        .unwrap_or(LayerFolding { pe: shape.rows, simd: shape.columns })
}

pub(crate) fn divisors(n: usize) -> Vec<usize> {
    (1..=n).filter(|d| n.is_multiple_of(*d)).collect()
}
