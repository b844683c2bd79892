//! How deep the queues of forks must be: branches of different latency meet again at a join, and the faster one waits in
//! its queue.
//!
//! First the dataflow runs with queues that hold a whole frame, its source slowed down to the interval: how full a queue
//! gets is what its branches need. With a source that is not slowed down, more may be under way; places are added until
//! frames come as fast as with the large queues. No depth is taken without a run that shows this, so that a deadlock is
//! excluded: handshakes do not depend on data, and a run that is periodic goes on for ever.

use ndarray::Array2;
use thiserror::Error;

use generator::dataflow::{Dataflow, Kind, Module};

use crate::cycle::{self, CycleError, Options};

/// Why no depths were found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FifoError {
    /// A run failed.
    #[error(transparent)]
    Run(#[from] CycleError),
    /// The bounded queues made it slower.
    #[error(
        "with the depths found a frame takes {bounded} cycles, {unbounded} without bounds; this is a defect of snug"
    )]
    Slower {
        /// Cycles between frames with the depths found.
        bounded: u64,
        /// With queues for whole frames.
        unbounded: u64,
    },
}

/// Frames that are run: some to fill, two to see the interval.
const FRAMES: usize = 5;

/// Sets the depth of every fork's queues in `dataflow` to what its branches need. Nothing happens without forks.
///
/// # Errors
/// See [`FifoError`]; a deadlock is one.
pub fn size(dataflow: &mut Dataflow) -> Result<(), FifoError> {
    if !dataflow.modules.iter().any(|m| matches!(m.kind, Kind::Fork(_))) {
        return Ok(());
    }
    let frames = frames(dataflow);
    let tokens = Options { values: false, ..Options::default() };
    let interval = |d: &Dataflow| -> Result<u64, FifoError> {
        Ok(cycle::run(d, frames.view(), &tokens)?.interval(d).unwrap_or(0))
    };
    let unbounded = interval(dataflow)?;
    let paced = Options { pace: Some(dataflow.interval()), ..tokens };
    let needed = cycle::run(dataflow, frames.view(), &paced)?.forks;
    let most: Vec<[usize; 2]> = dataflow.modules.iter().map(depths).collect();
    let mut extra = 1;
    loop {
        for ((module, needed), most) in dataflow.modules.iter_mut().zip(&needed).zip(&most) {
            if let Kind::Fork(fork) = &mut module.kind {
                // At least two: one place passes a beat every other cycle only.
                fork.depths = [0, 1].map(|q| (needed[q] + extra).clamp(2, most[q]));
            }
        }
        let bounded = interval(dataflow)?;
        if bounded <= unbounded {
            return Ok(());
        }
        // At the most everything is as in the unbounded run.
        if dataflow.modules.iter().map(depths).eq(most.iter().copied()) {
            return Err(FifoError::Slower { bounded, unbounded });
        }
        extra *= 2;
    }
}

fn depths(module: &Module) -> [usize; 2] {
    match &module.kind {
        Kind::Fork(fork) => fork.depths,
        _ => [0, 0],
    }
}

/// Frames of values that the pins can carry; which ones does not matter.
fn frames(dataflow: &Dataflow) -> Array2<i64> {
    let input = dataflow.input();
    let mut frame = vec![0i64; input.elements()];
    for beat in 0..input.beats() {
        let ranges = input.ranges.iter().skip(beat % input.vector_beats() * input.lanes);
        for (element, range) in input.sources(beat).zip(ranges) {
            frame[element] = range.lo;
        }
    }
    Array2::from_shape_fn((FRAMES, frame.len()), |(_, i)| frame[i])
}
