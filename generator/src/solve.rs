//! The folding solver: PE and SIMD of every layer that cost the fewest LUTs at a rate, or that are fastest within a budget.
//!
//! What a layer costs depends on its own PE and SIMD, and on the layer before it only by that one's PE: so many lanes come,
//! in that channel order. In a chain of layers the sum of the costs is therefore least along a shortest path ([`paths`]). Costs are those
//! of [`estimate`](crate::estimate()) on the lowered network, not of a formula. Neighbours may wait for each other, so that frames come
//! more slowly than the slowest module alone would let them: whole foldings are tried from the cheapest on, until one keeps up. Where
//! branches join, the path is no longer exact; its result is compared with the plain folding of [`resolve`], and the cheaper one wins.

mod paths;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use quantizer::network::Network;
use rayon::prelude::*;

use crate::accumulators::AccumulatorRule;
use crate::dataflow::{Dataflow, Kind, Stream};
use crate::error::GenerateError;
use crate::estimate::{self, estimate};
use crate::folding::{Choice, FoldingRequest, LayerFolding, choices, resolve};
use crate::lower::{LowerOptions, lower_with};
use crate::memory::{WeightMemory, keep_weights};
use crate::target::{Backend, retarget};
use paths::Paths;

/// In layers of more weights than this, foldings with far more multipliers than a rate needs are left out.
const SMALL: usize = 1 << 12;
/// How many times the multipliers that a rate needs are tried in other layers.
const SPARE: usize = 4;
/// How often a rate is aimed at a little faster, where what joins the layers is too slow.
const TRIES: usize = 4;
/// Whole foldings that are tried for a rate, cheapest first: as many as handle so many beats a frame in all, within these numbers.
const BEATS: usize = 1 << 21;
const TRIALS: std::ops::RangeInclusive<usize> = 1..=256;
/// How many rates beyond the first that exceeds a budget are looked at.
const PROBES: usize = 6;
/// Layers of more weights than this are not tried unrolled, unless the rate asks for it.
const UNROLLED: usize = 1 << 14;

/// What is wanted of a folding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The fewest LUTs at no more than so many cycles between frames.
    Interval(u64),
    /// The fewest cycles between frames within so many LUTs (logic, memory and shift registers of xc7, as estimated).
    Luts(u64),
}

/// A folding that meets a goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// PE and SIMD of every layer with weights.
    pub layers: BTreeMap<String, LayerFolding>,
    /// Cycles between frames.
    pub interval: u64,
    /// LUTs of all uses, as estimated.
    pub luts: u64,
    /// The layer that sets the interval.
    pub limiting: Option<String>,
}

/// How the network will be lowered; the folding in `lowering` is not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The network.
    pub network: &'a Network,
    /// Name and output.
    pub lowering: &'a LowerOptions,
    /// How wide accumulators are.
    pub accumulators: AccumulatorRule,
    /// How sums are built.
    pub backend: Backend,
    /// What weights are kept in.
    pub memory: WeightMemory,
    /// Gives branches the queues that they need, and [`Dataflow::sustained`] what neighbours' waiting makes of the interval.
    pub settle: fn(&mut Dataflow) -> Result<(), GenerateError>,
}

/// Finds the best folding for `goal`.
///
/// # Errors
/// Those of lowering; an interval that no folding reaches, a budget that the smallest one exceeds.
pub fn solve(plan: Plan, goal: Goal) -> Result<Solution, GenerateError> {
    match goal {
        Goal::Interval(cycles) => Solver::new(plan)?.at(cycles),
        Goal::Luts(budget) => Solver::new(plan)?.within(budget),
    }
}

/// A layer's cost is known by the PE of the layer before it (0 for the first) and its own folding.
type Key = (usize, LayerFolding);

/// A folding, and the beats of a frame on all streams.
struct Tried {
    solution: Solution,
    beats: usize,
}

struct Solver<'a> {
    plan: Plan<'a>,
    layers: Vec<(String, Vec<Choice>)>,
    /// LUTs of each layer, found so far.
    known: Vec<HashMap<Key, u64>>,
    /// Whole foldings lowered so far.
    seen: Vec<Solution>,
}

impl<'a> Solver<'a> {
    fn new(plan: Plan<'a>) -> Result<Self, GenerateError> {
        let layers = choices(plan.network)?;
        let known = vec![HashMap::new(); layers.len()];
        Ok(Solver { plan, layers, known, seen: Vec::new() })
    }

    /// The cheapest folding of at most `interval` cycles.
    ///
    /// What stands between the layers (width converters, pools) may be slower than they are: then they are tried a little faster.
    fn at(&mut self, interval: u64) -> Result<Solution, GenerateError> {
        let mut aim = interval;
        for _ in 0..TRIES {
            let plain = resolve(self.plan.network, &FoldingRequest::Interval(aim));
            let plain = match plain {
                Err(_) if aim < interval => break,
                plain => plain?,
            };
            let plain: Vec<LayerFolding> = plain.layers.into_iter().map(|(_, f)| f).collect();
            let candidates: Vec<Vec<LayerFolding>> =
                self.layers.iter().zip(&plain).map(|((_, all), &plain)| worth_trying(all, aim, plain)).collect();
            self.learn(&candidates)?;
            let plain = self.solution(&plain)?;
            let trials = (BEATS / plain.beats.max(1)).clamp(*TRIALS.start(), *TRIALS.end());
            self.seen.push(plain.solution);
            let paths: Vec<Vec<LayerFolding>> = Paths::new(&self.known, &candidates).take(trials).collect();
            let mut kept = false;
            for path in paths {
                let found = self.solution(&path)?.solution;
                kept = found.interval <= interval;
                self.seen.push(found);
                if kept {
                    break;
                }
            }
            let all = self.layers.iter().flat_map(|(_, all)| all);
            match all.map(|c| c.cycles).filter(|&cycles| cycles < aim).max() {
                Some(faster) if !kept => aim = faster,
                _ => break,
            }
        }
        let fast = self.seen.iter().filter(|s| s.interval <= interval);
        let best = fast.min_by_key(|s| s.luts).cloned();
        best.ok_or_else(|| {
            let fastest = self.seen.iter().min_by_key(|s| s.interval);
            let found = fastest.map_or_else(String::new, |s| match &s.limiting {
                Some(layer) => format!("; layer '{layer}' takes {} cycles", s.interval),
                None => format!("; {} cycles can", s.interval),
            });
            let reason = format!("what joins the layers is slower than they are{found}");
            GenerateError::Target { wanted: interval, reason }
        })
    }

    /// The fastest folding of at most `budget` LUTs: fewer cycles never cost less, since whatever keeps up with a fast rate
    /// keeps up with a slow one.
    fn within(&mut self, budget: u64) -> Result<Solution, GenerateError> {
        let slowest = self.at(u64::MAX)?;
        if slowest.luts > budget {
            return Err(GenerateError::Budget { wanted: budget, least: slowest.luts });
        }
        let floor = resolve(self.plan.network, &FoldingRequest::Default)?.floor;
        let all: BTreeSet<u64> = self.layers.iter().flat_map(|(_, all)| all).map(|c| c.cycles.max(floor)).collect();
        let all: Vec<u64> = all.into_iter().rev().collect();
        let mut best = slowest;
        // From slow to fast in growing strides, so that foldings far beyond the budget, which are large, are never built.
        let (mut fits, mut stride) = (0, 1);
        let mut exceeds = all.len();
        while fits + 1 < exceeds {
            let next = if exceeds == all.len() { (fits + stride).min(exceeds - 1) } else { fits.midpoint(exceeds) };
            let solution = self.at(all[next])?;
            if solution.luts <= budget {
                (fits, best) = (next, solution);
                stride *= 2;
            } else {
                exceeds = next;
            }
        }
        // Costs are not quite monotone where branches join or widths change: a few that are faster still may fit.
        for &cycles in all.iter().skip(exceeds).take(PROBES) {
            let solution = self.at(cycles)?;
            if solution.luts <= budget && solution.interval < best.interval {
                best = solution;
            }
        }
        // Where neighbours wait, intervals lie between those of the layers alone.
        for _ in 0..PROBES {
            let Some(faster) = best.interval.checked_sub(1).filter(|&cycles| cycles >= floor) else { break };
            match self.at(faster) {
                Ok(solution) if solution.luts <= budget => best = solution,
                Ok(_) | Err(GenerateError::Target { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(best)
    }

    /// Finds the costs of all candidates behind all candidates of the layer before.
    fn learn(&mut self, candidates: &[Vec<LayerFolding>]) -> Result<(), GenerateError> {
        let mut missing: Vec<BTreeSet<Key>> = Vec::new();
        for (i, own) in candidates.iter().enumerate() {
            let before: BTreeSet<usize> = match i.checked_sub(1) {
                Some(before) => candidates[before].iter().map(|f| f.pe).collect(),
                None => BTreeSet::from([0]),
            };
            let all = before.iter().flat_map(|&pe| own.iter().map(move |&f| (pe, f)));
            missing.push(all.filter(|key| !self.known[i].contains_key(key)).collect());
        }
        // One lowering tells a cost of each layer.
        let mut lowerings = Vec::new();
        while let Some((first, &(before, folding))) =
            missing.iter().enumerate().find_map(|(i, m)| Some((i, m.first()?)))
        {
            let mut foldings: Vec<LayerFolding> = Vec::new();
            for (i, own) in candidates.iter().enumerate() {
                let pe = foldings.last().map_or(0, |f| f.pe);
                let next = if i == first {
                    folding
                } else if i + 1 == first {
                    own.iter().copied().find(|f| f.pe == before).unwrap_or(own[0])
                } else {
                    missing[i]
                        .range((pe, LayerFolding { pe: 0, simd: 0 })..)
                        .next()
                        .filter(|k| k.0 == pe)
                        .map_or(own[0], |k| k.1)
                };
                missing[i].remove(&(pe, next));
                foldings.push(next);
            }
            lowerings.push(foldings);
        }
        let costs: Result<Vec<Vec<u64>>, GenerateError> =
            lowerings.par_iter().map(|foldings| Ok(costs(&self.lower(foldings)?, foldings.len()))).collect();
        for (foldings, costs) in lowerings.iter().zip(costs?) {
            let mut pe = 0;
            for (i, (&folding, cost)) in foldings.iter().zip(costs).enumerate() {
                self.known[i].insert((pe, folding), cost);
                pe = folding.pe;
            }
        }
        Ok(())
    }

    fn solution(&self, foldings: &[LayerFolding]) -> Result<Tried, GenerateError> {
        let mut dataflow = self.lower(foldings)?;
        (self.plan.settle)(&mut dataflow)?;
        let solution = Solution {
            layers: self.named(foldings),
            interval: dataflow.interval(),
            luts: estimate(&dataflow).total.lut_total(),
            limiting: dataflow.bottleneck().map(|m| m.layer.clone()),
        };
        Ok(Tried { solution, beats: dataflow.streams.iter().map(|s| s.beats()).sum() })
    }

    fn lower(&self, foldings: &[LayerFolding]) -> Result<Dataflow, GenerateError> {
        let options =
            LowerOptions { folding: FoldingRequest::Layers(self.named(foldings)), ..self.plan.lowering.clone() };
        let mut dataflow = lower_with(self.plan.network, &options, self.plan.accumulators)?;
        retarget(&mut dataflow, self.plan.backend);
        keep_weights(&mut dataflow, self.plan.memory, &BTreeMap::new())?;
        Ok(dataflow)
    }

    fn named(&self, foldings: &[LayerFolding]) -> BTreeMap<String, LayerFolding> {
        self.layers.iter().zip(foldings).map(|((name, _), &folding)| (name.clone(), folding)).collect()
    }
}

/// The foldings of a layer that keep up, without those of a large layer that are far too parallel; `plain` among them.
fn worth_trying(all: &[Choice], interval: u64, plain: LayerFolding) -> Vec<LayerFolding> {
    let multipliers = |f: &LayerFolding| f.pe * f.simd;
    let weights = all.iter().map(|c| multipliers(&c.folding)).max().unwrap_or(1);
    let most = SPARE * multipliers(&plain);
    let tried = |f: &LayerFolding| {
        let many = multipliers(f);
        weights <= SMALL || many <= most || (many == weights && weights <= UNROLLED)
    };
    let mut tried: Vec<LayerFolding> =
        all.iter().filter(|c| c.cycles <= interval).map(|c| c.folding).filter(tried).collect();
    if !tried.contains(&plain) {
        tried.push(plain);
    }
    tried
}

/// LUTs layer by layer: of a layer's unit and all that stands between it and the unit before. What is behind the last unit is the last
/// layer's; of the top, each end has its own beat counter.
fn costs(dataflow: &Dataflow, layers: usize) -> Vec<u64> {
    let mut costs = vec![0; layers];
    let mut layer = 0;
    for module in &dataflow.modules {
        let luts: u64 = estimate::module(dataflow, module).iter().map(|m| m.cost.lut_total()).sum();
        if let Some(cost) = costs.get_mut(layer.min(layers.saturating_sub(1))) {
            *cost += luts;
        }
        layer += usize::from(matches!(module.kind, Kind::MatrixVector(_)));
    }
    let counter = |s: &Stream| u64::from(usize::BITS - (s.beats() - 1).leading_zeros());
    if let Some(first) = costs.first_mut() {
        *first += counter(dataflow.input());
    }
    if let Some(last) = costs.last_mut() {
        *last += counter(dataflow.output_stream());
    }
    costs
}

#[cfg(test)]
mod tests;
