//! How deep the queues of forks must be: branches of different latency meet again at a join, and the faster one waits in
//! its queue.
//!
//! First the dataflow runs with queues without bounds, its source slowed down to the interval (or to more, until no frame is later than
//! those before it), for twice as many frames as are under way at once and some more: how full a queue gets is what its branches
//! need. With these depths the same run must be the same, cycle by cycle: no queue is ever full, so that what is periodic without
//! bounds is periodic with them, for ever (handshakes do not depend on data). A last run, its source not slowed down, must not deadlock,
//! and no frame may leave later.
//!
//! That last run also shows the interval. It can be longer than the slowest module's, where neighbours wait for each other.

use ndarray::Array2;
use thiserror::Error;

use generator::dataflow::{Dataflow, Kind};

use crate::cycle::{self, CycleError, Options, Run};

/// Why no depths were found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FifoError {
    /// A run failed.
    #[error(transparent)]
    Run(#[from] CycleError),
    /// Frames do not leave as far apart as they come in, however slowly they do.
    #[error(
        "with queues without bounds frames leave {found} cycles apart that come in {interval} apart; this is a defect of snug"
    )]
    Unsteady {
        /// Cycles between two frames that leave.
        found: u64,
        /// Cycles between two that come in.
        interval: u64,
    },
    /// The bounded queues made it slower.
    #[error(
        "with the depths found frame {frame} leaves in cycle {bounded}, in {unbounded} without bounds; this is a defect of snug"
    )]
    Slower {
        /// Which one.
        frame: usize,
        /// With the depths found.
        bounded: u64,
        /// With queues without bounds.
        unbounded: u64,
    },
}

/// Sets the depth of every fork's queues in `dataflow` to what its branches need, and [`Dataflow::sustained`] where frames come more
/// slowly than its slowest module alone would let them.
///
/// # Errors
/// See [`FifoError`]; a deadlock is one.
pub fn size(dataflow: &mut Dataflow) -> Result<(), FifoError> {
    dataflow.sustained = None;
    let formula = dataflow.interval();
    let (ends, under_way) = if dataflow.modules.iter().any(|m| matches!(m.kind, Kind::Fork(_))) {
        forks(dataflow, formula)?
    } else {
        let (frames, under_way) = frames(run(dataflow, 1, None)?.cycles, formula);
        (run(dataflow, frames, None)?.frame_ends(dataflow), under_way)
    };
    dataflow.sustained = longer(&ends, under_way, formula);
    Ok(())
}

/// Sets the depths of forks' queues; when the frames of the last run end, and how many fill the hardware.
fn forks(dataflow: &mut Dataflow, formula: u64) -> Result<(Vec<u64>, usize), FifoError> {
    let mut unbounded = dataflow.clone();
    set(&mut unbounded, |_| [usize::MAX; 2]);
    let mut interval = formula;
    loop {
        let (frames, under_way) = frames(run(&unbounded, 1, Some(interval))?.cycles, interval);
        let free = run(&unbounded, frames, Some(interval))?;
        let ends = free.frame_ends(dataflow);
        if let Some(found) = longer(&ends, under_way, interval) {
            if interval > formula.saturating_mul(MOST) {
                return Err(FifoError::Unsteady { found, interval });
            }
            interval = found;
            continue;
        }
        // One place more than is ever used: a queue that fills up refuses the next beat before it knows whether one leaves. At least two:
        // one place passes a beat every other cycle only.
        set(dataflow, |m| free.forks[m].map(|used| (used + 1).max(2)));
        let bounded = |pace: Option<u64>, late: fn(&u64, &u64) -> bool| {
            let found = run(dataflow, frames, pace)?.frame_ends(dataflow);
            match (0..frames).find(|&n| late(&found[n], &ends[n])) {
                Some(frame) => Err(FifoError::Slower { frame, bounded: found[frame], unbounded: ends[frame] }),
                None => Ok(found),
            }
        };
        bounded(Some(interval), u64::ne)?;
        return Ok((bounded(None, u64::gt)?, under_way));
    }
}

/// Handshakes alone of so many frames, their source slowed down to `pace` cycles a frame.
fn run(dataflow: &Dataflow, frames: usize, pace: Option<u64>) -> Result<Run, CycleError> {
    let options = Options { values: false, pace, ..Options::default() };
    cycle::run(dataflow, inputs(dataflow, frames).view(), &options)
}

/// Frames to be run, and how many of them fill the hardware. Short frames may come in bursts: of those some more are looked at.
fn frames(latency: u64, interval: u64) -> (usize, usize) {
    let under_way = usize::try_from(latency.div_ceil(interval.max(1))).unwrap_or(usize::MAX);
    let looked_at = (LOOKED_AT / interval.max(1)).clamp(2, 24) as usize;
    (under_way.saturating_mul(2).saturating_add(looked_at), under_way)
}

/// Whether frames, once `under_way` of them fill the hardware, get later and later against one every `interval` cycles; then the cycles that they
/// take on average, rounded up.
fn longer(ends: &[u64], under_way: usize, interval: u64) -> Option<u64> {
    let late = |n: usize| i128::from(ends[n]) - n as i128 * i128::from(interval);
    let middle = under_way + (ends.len() - under_way) / 2;
    let (before, after) = ((under_way..middle).map(late).max(), (middle..ends.len()).map(late).max());
    let gaps = (ends.len() - 1 - under_way).max(1) as u64;
    let found = (ends[ends.len() - 1] - ends[under_way]).div_ceil(gaps);
    (after > before).then_some(found.max(interval + 1))
}

/// Cycles in which short frames are looked at.
const LOOKED_AT: u64 = 200_000;

/// How many times slower than its slowest module a dataflow may be before that is taken for a fault.
const MOST: u64 = 8;

/// Sets the depths of every fork by the number of its module.
fn set(dataflow: &mut Dataflow, depths: impl Fn(usize) -> [usize; 2]) {
    for (m, module) in dataflow.modules.iter_mut().enumerate() {
        if let Kind::Fork(fork) = &mut module.kind {
            fork.depths = depths(m);
        }
    }
}

/// Frames of values that the pins can carry; which ones does not matter.
fn inputs(dataflow: &Dataflow, frames: usize) -> Array2<i64> {
    let input = dataflow.input();
    let mut frame = vec![0i64; input.elements()];
    for beat in 0..input.beats() {
        let ranges = input.ranges.iter().skip(beat % input.vector_beats() * input.lanes);
        for (element, range) in input.sources(beat).zip(ranges) {
            frame[element] = range.lo;
        }
    }
    Array2::from_shape_fn((frames, frame.len()), |(_, i)| frame[i])
}
