//! Folding: how many rows (PE) and columns (SIMD) of each layer work in parallel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use quantizer::network::Network;

use crate::error::GenerateError;

/// PE and SIMD of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerFolding {
    /// Rows in parallel; divides the layer's outputs.
    pub pe: usize,
    /// Columns in parallel; divides the layer's inputs.
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
}

/// A layer as folding sees it.
struct Shape<'a> {
    name: &'a str,
    rows: usize,
    columns: usize,
}

/// Resolves a request to PE and SIMD of every layer, in layer order.
///
/// # Errors
/// A layer that is not there (with the nearest name), a PE or SIMD that does not divide, an interval of 0.
pub fn resolve(network: &Network, request: &FoldingRequest) -> Result<Vec<(String, LayerFolding)>, GenerateError> {
    let shapes: Vec<Shape> = network
        .dense_layers()
        .map(|(l, d)| Shape { name: &l.name, rows: d.weights.nrows(), columns: d.weights.ncols() })
        .collect();
    let elements = shapes.first().map_or(1, |s| s.columns) as u64;
    let none = BTreeMap::new();
    let (given, interval) = match request {
        FoldingRequest::Default => (&none, elements),
        FoldingRequest::Interval(0) => {
            return Err(GenerateError::Target { wanted: 0, reason: "a frame takes at least one cycle".into() });
        }
        FoldingRequest::Interval(cycles) => (&none, *cycles),
        FoldingRequest::Layers(layers) => {
            let slowest = check(&shapes, layers)?;
            (layers, slowest.unwrap_or(elements))
        }
    };
    Ok(shapes
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let folding = given.get(s.name).copied().unwrap_or_else(|| keep_up(s, interval, i == 0));
            (s.name.to_owned(), folding)
        })
        .collect())
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
        slowest = slowest.max(Some((shape.rows / folding.pe * (shape.columns / folding.simd)) as u64));
    }
    Ok(slowest)
}

/// The smallest folding that takes at most `interval` cycles: fewest multipliers, then fewest accumulators. The
/// first layer's SIMD is also the number of lanes on the pins: there the fewest lanes that keep up come first.
fn keep_up(shape: &Shape, interval: u64, first: bool) -> LayerFolding {
    let cycles = |f: &LayerFolding| (shape.rows / f.pe * (shape.columns / f.simd)) as u64;
    let all = divisors(shape.columns)
        .into_iter()
        .flat_map(|simd| divisors(shape.rows).into_iter().map(move |pe| LayerFolding { pe, simd }));
    let fewest_lanes = |f: &LayerFolding| if first { f.simd } else { 0 };
    all.filter(|f| cycles(f) <= interval)
        .min_by_key(|f| (fewest_lanes(f), f.pe * f.simd, f.pe))
        // Everything in parallel takes one cycle, which every interval allows.
        .unwrap_or(LayerFolding { pe: shape.rows, simd: shape.columns })
}

fn divisors(n: usize) -> Vec<usize> {
    (1..=n).filter(|d| n.is_multiple_of(*d)).collect()
}
