//! Multi-threshold requantization of whole batches.

use ndarray::Array2;
use quantizer::network::{Steps, Threshold};

/// A threshold layer's step functions, one for each channel.
pub(super) struct Codes {
    channels: Vec<Channel>,
    /// Elements of one channel, which lie side by side.
    each: usize,
}

struct Channel {
    steps: Steps,
    /// The code below all steps, and what each step passed adds.
    first: i64,
    per_step: i64,
}

impl Codes {
    /// Up to this many steps, comparing with all of them is faster than a binary search, which has no vector form.
    const FEW: usize = 15;

    /// For a tensor of `elements` elements in `channels` channels, of which there is at least one.
    pub(super) fn new(threshold: &Threshold, channels: usize, elements: usize) -> Self {
        let channel = |c| {
            let steps = threshold.channel(c).clone();
            let (first, per_step) = if steps.falling { (steps.range().hi, -1) } else { (steps.base, 1) };
            Channel { steps, first, per_step }
        };
        Codes { channels: (0..channels).map(channel).collect(), each: elements / channels.max(1) }
    }

    /// `[samples, elements]` to the same shape.
    pub(super) fn apply(&self, inputs: &Array2<i64>) -> Array2<i64> {
        let mut codes = inputs.clone();
        for mut row in codes.rows_mut() {
            let mut elements = row.iter_mut();
            for channel in &self.channels {
                for x in elements.by_ref().take(self.each) {
                    *x = channel.code(*x);
                }
            }
        }
        codes
    }
}

impl Channel {
    fn code(&self, x: i64) -> i64 {
        let steps = &self.steps.steps;
        if steps.len() > Codes::FEW {
            return self.steps.apply(x);
        }
        let reached: i64 = steps.iter().map(|&t| i64::from(x >= t)).sum();
        self.first + self.per_step * reached
    }
}
