//! Whole foldings of a chain of layers, the cheapest first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::Key;
use crate::folding::LayerFolding;

/// Hands out one folding of all layers after the other, by rising cost, equal costs in the order of their PE and SIMD.
///
/// What the rest of the way costs at least is known exactly for each PE of the layer before it (found from the last layer backwards): a
/// way is only gone on with where it belongs to the next whole folding.
pub struct Paths<'a> {
    known: &'a [HashMap<Key, u64>],
    candidates: &'a [Vec<LayerFolding>],
    /// The least cost of all layers from this one on, by the PE before.
    rest: Vec<BTreeMap<usize, u64>>,
    /// Cost of the cheapest whole folding that begins so, what is spent so far, and the beginning.
    open: BinaryHeap<Reverse<(u64, u64, Vec<LayerFolding>)>>,
}

impl<'a> Paths<'a> {
    /// The foldings of `candidates`, layer by layer, whose costs behind each PE are `known`.
    pub fn new(known: &'a [HashMap<Key, u64>], candidates: &'a [Vec<LayerFolding>]) -> Self {
        let mut rest: Vec<BTreeMap<usize, u64>> = vec![BTreeMap::new(); candidates.len()];
        for layer in (0..candidates.len()).rev() {
            let mut least: BTreeMap<usize, u64> = BTreeMap::new();
            for (&(pe, folding), &cost) in known[layer].iter().filter(|((_, f), _)| candidates[layer].contains(f)) {
                let Some(behind) = behind(&rest, layer, folding.pe) else { continue };
                let least = least.entry(pe).or_insert(u64::MAX);
                *least = (*least).min(cost + behind);
            }
            rest[layer] = least;
        }
        let first = rest.first().and_then(|r| r.get(&0).copied());
        let open = first.map(|cost| Reverse((cost, 0, Vec::new()))).into_iter().collect();
        Paths { known, candidates, rest, open }
    }
}

impl Iterator for Paths<'_> {
    type Item = Vec<LayerFolding>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((_, spent, path)) = self.open.pop()?;
            let layer = path.len();
            let Some(own) = self.candidates.get(layer) else { return Some(path) };
            let pe = path.last().map_or(0, |f| f.pe);
            for &folding in own {
                let Some(cost) = self.known[layer].get(&(pe, folding)) else { continue };
                let Some(behind) = behind(&self.rest, layer, folding.pe) else { continue };
                let spent = spent + cost;
                self.open.push(Reverse((spent + behind, spent, path.iter().copied().chain([folding]).collect())));
            }
        }
    }
}

/// The least cost of all layers behind `layer`, which has so many PE; `None` where no folding goes on from there.
fn behind(rest: &[BTreeMap<usize, u64>], layer: usize, pe: usize) -> Option<u64> {
    rest.get(layer + 1).map_or(Some(0), |next| next.get(&pe).copied())
}
