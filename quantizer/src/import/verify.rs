//! Thresholds against their meaning, exhaustively: for every Threshold, channel and integer in the exact range of what
//! it reads, the code of the thresholds, of the real-valued meaning, and of float executors.
//!
//! The meaning is evaluated directly, one function after the other, in intervals of floats that are rigorous and in
//! exact numbers where an interval leaves the code open. Nothing is shared with [`super::solve`]'s inversion, and
//! monotonicity is not assumed. Executors are the same functions in `f32` and `f64`, node by node, from the
//! accumulator's value times its scales on; they round, so they may differ where a value lies within float error of
//! a decision, and those places are counted.

use std::ops::AddAssign;

use rayon::prelude::*;

use super::Imported;
use super::chain::{Chain, Evaluator, compile, functions, run};
use super::interval::FloatInterval;
use super::number::{Number, Precision};
use crate::network::{Network, Op, Steps};

/// The outcome for a whole network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// One entry per Threshold, in order.
    pub layers: Vec<Layer>,
}

/// The outcome for one Threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Step functions checked: one per channel.
    pub channels: usize,
    /// What was found.
    pub counts: Counts,
    /// The first integer whose thresholds' code is not that of the meaning.
    pub first: Option<Deviation>,
}

/// How many integers were evaluated, and how many of them gave another code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Integers: the sum over channels of the values in their exact ranges.
    pub evaluations: u64,
    /// Where float intervals left the code open and exact numbers decided.
    pub close: u64,
    /// Where the thresholds differ from the meaning: 0, or the import is wrong.
    pub deviations: u64,
    /// Where float32 execution differs from the meaning.
    pub float32: u64,
    /// Where float64 execution differs from the meaning.
    pub float64: u64,
}

/// A place where thresholds and meaning differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The channel.
    pub channel: usize,
    /// The integer.
    pub value: i64,
    /// The thresholds' code.
    pub code: i64,
    /// The meaning's; `None` if it stays open at the highest precision.
    pub meaning: Option<i64>,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.evaluations += other.evaluations;
        self.close += other.close;
        self.deviations += other.deviations;
        self.float32 += other.float32;
        self.float64 += other.float64;
    }
}

impl Verification {
    /// Sums over all layers.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.layers.iter().for_each(|l| total += l.counts);
        total
    }
}

/// Verifies every Threshold of an imported network.
pub fn verify(imported: &Imported) -> Verification {
    Verification { layers: imported.chains.iter().map(|chain| layer(&imported.network, chain)).collect() }
}

fn layer(network: &Network, chain: &Chain) -> Layer {
    let source = network.tensor(chain.source);
    let channels = source.ranges.len();
    let found: Vec<(Counts, Option<Deviation>)> = (0..channels)
        .into_par_iter()
        .map(|c| match network.layers.get(chain.index).map(|l| &l.op) {
            Some(Op::Threshold(threshold)) => channel(chain, c, channels, threshold.channel(c), source.ranges[c]),
            _ => Default::default(),
        })
        .collect();
    let mut counts = Counts::default();
    found.iter().for_each(|(c, _)| counts += *c);
    let first = found.into_iter().find_map(|(_, deviation)| deviation);
    Layer { name: chain.layer.clone(), channels, counts, first }
}

fn channel(
    chain: &Chain,
    channel: usize,
    channels: usize,
    steps: &Steps,
    range: crate::datatype::Range,
) -> (Counts, Option<Deviation>) {
    let element = channel * (chain.elements / channels);
    let evaluator = Evaluator::new(functions(&chain.links, element, chain.elements));
    let exact = evaluator.functions();
    let interval = compile::<FloatInterval>(exact, Precision(53));
    let single = compile::<f32>(exact, Precision(24));
    let double = compile::<f64>(exact, Precision(53));
    let mut counts = Counts::default();
    let mut first = None;
    for n in range.lo..=range.hi {
        counts.evaluations += 1;
        let code = steps.apply(n);
        let meaning = match interval.as_ref().and_then(|f| run(f, &FloatInterval::from_int(n))) {
            Some(code) => Some(code),
            None => {
                counts.close += 1;
                evaluator.exact_code(&n.into())
            }
        };
        if meaning != Some(code) {
            counts.deviations += 1;
            first = first.or(Some(Deviation { channel, value: n, code, meaning }));
        }
        let differs = |executed: Option<i64>| u64::from(executed != meaning);
        counts.float32 += differs(single.as_ref().and_then(|f| run(f, &f32::from_int(n))));
        counts.float64 += differs(double.as_ref().and_then(|f| run(f, &f64::from_int(n))));
    }
    (counts, first)
}
