//! Bits of every activation, chosen for accumulators that are given.
//!
//! More bits say more of a value and leave fewer units of weight in an accumulator of `P` bits: each bit of input halves the budget. Which of the two is
//! worth more depends on the layer. One quantizer after the other takes each of the bits allowed, the network is trained for some epochs from the same floats,
//! and what most held-out samples are right with stays. A search that was interrupted begins again and comes to the same end.

use burn::tensor::Device;

use crate::TrainError;
use crate::config::{Config, SearchConfig};
use crate::graph::{Graph, room};
use crate::initial;
use crate::model::Mode;
use crate::run::epoch;
use crate::samples::Samples;
use crate::state::State;
use crate::trained::Trained;

/// Bits of all quantizers of activations, in their order.
///
/// # Errors
/// If the loss diverges, or there are too few samples to hold any back.
pub fn activation_bits(
    config: &Config,
    search: &SearchConfig,
    graph: &Graph,
    start: &State,
    samples: &Samples,
    device: &Device,
) -> Result<Vec<u32>, TrainError> {
    let held = (samples.count() as f64 * search.hold_out) as usize;
    if held == 0 || samples.count() - held < 2 {
        let reason = format!("[search] holds back {held} of {} samples: too few", samples.count());
        return Err(TrainError::Data(reason));
    }
    let mut order: Vec<usize> = (0..samples.count()).collect();
    fastrand::Rng::with_seed(config.training.seed ^ 0x5ea7).shuffle(&mut order);
    let (test, training) = (samples.some(&order[..held]), samples.some(&order[held..]));
    let score = |bits: &[u32]| -> Result<f64, TrainError> {
        let mut state = start.clone();
        state.bits = bits.to_vec();
        initial::quantize(config.accumulator.ep_init, graph, &mut state, &training, device);
        for _ in 0..search.epochs {
            epoch(config, graph, &mut state, &training, Mode::Quantized, search.epochs, device)?;
        }
        Ok(Trained::of(graph, &state).score(&test))
    };
    let mut best = start.bits.clone();
    let mut reached = score(&best)?;
    let mut candidates = search.activation_bits.clone();
    candidates.sort_unstable();
    candidates.dedup();
    for (index, signed) in graph.quantizers().map(|(_, q)| (q.index, q.signed)).collect::<Vec<_>>() {
        let now = best[index];
        for &candidate in candidates.iter().filter(|&&c| c != now && !(signed && c < 2)) {
            let mut bits = best.clone();
            bits[index] = candidate;
            // Bits that leave no room for a weight are no choice.
            if graph.matrices().any(|(id, matrix)| room(graph, id, matrix, &bits).is_err()) {
                continue;
            }
            let score = score(&bits)?;
            // Of equals the fewest bits.
            if score > reached || (score == reached && candidate < best[index]) {
                (best, reached) = (bits, score);
            }
        }
    }
    Ok(best)
}
