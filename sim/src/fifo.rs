//! How deep the queues of forks must be: branches of different latency meet again at a join, and the faster one waits in
//! its queue.
//!
//! The dataflow runs with queues that hold a whole frame, its source slowed down to the interval, until the third frame has
//! left. A queue that is one place deeper than it was ever full is never full: such a dataflow does the same in the same
//! cycles. The run with the new depths is made, and must show that.

use ndarray::Array2;
use thiserror::Error;

use generator::dataflow::{Dataflow, Kind};

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

/// Frames that are run: one to fill, two to see the interval.
const FRAMES: usize = 3;

/// Sets the depth of every fork's queues in `dataflow` to what its branches need. Nothing happens without forks.
///
/// # Errors
/// See [`FifoError`]; a deadlock is one.
pub fn size(dataflow: &mut Dataflow) -> Result<(), FifoError> {
    if !dataflow.modules.iter().any(|m| matches!(m.kind, Kind::Fork(_))) {
        return Ok(());
    }
    let interval = dataflow.interval();
    // Values never influence timing: any frame that the pins can carry will do.
    let input = dataflow.input();
    let mut frame = vec![0i64; input.elements()];
    for beat in 0..input.beats() {
        let ranges = input.ranges.iter().skip(beat % input.vector_beats() * input.lanes);
        for (element, range) in input.sources(beat).zip(ranges) {
            frame[element] = range.lo;
        }
    }
    let frames = Array2::from_shape_fn((FRAMES, frame.len()), |(_, i)| frame[i]);
    let options = Options { pace: Some(interval), ..Options::default() };
    let free = cycle::run(dataflow, frames.view(), &options)?;
    for (module, most) in dataflow.modules.iter_mut().zip(&free.forks) {
        if let Kind::Fork(fork) = &mut module.kind {
            // At least two: one place passes a beat every other cycle only.
            fork.depths = most.map(|beats| (beats + 1).max(2));
        }
    }
    let bounded = cycle::run(dataflow, frames.view(), &options)?;
    let intervals = (bounded.interval(dataflow).unwrap_or(0), free.interval(dataflow).unwrap_or(0));
    if intervals.0 > intervals.1 {
        return Err(FifoError::Slower { bounded: intervals.0, unbounded: intervals.1 });
    }
    Ok(())
}
