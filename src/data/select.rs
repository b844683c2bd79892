//! Which of a file's samples are used: the first so many, or so many drawn by a seed.

use super::Samples;

/// `--limit` and `--seed`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection {
    /// At most so many samples; all without it.
    pub limit: Option<usize>,
    /// Draws the samples instead of taking the first ones.
    pub seed: Option<u64>,
}

impl Selection {
    /// The indices taken out of `count`, ascending.
    pub fn indices(self, count: usize) -> Vec<usize> {
        match (self.limit, self.seed) {
            (Some(limit), Some(seed)) if limit < count => {
                let mut drawn = fastrand::Rng::with_seed(seed).choose_multiple(0..count, limit);
                drawn.sort_unstable();
                drawn
            }
            (limit, _) => (0..count.min(limit.unwrap_or(count))).collect(),
        }
    }
}

impl Samples {
    /// The samples at `indices` alone.
    pub fn take(&self, indices: &[usize]) -> Samples {
        let all = indices.iter().flat_map(|&n| n * self.size..(n + 1) * self.size);
        Samples { values: self.values.gather(all), count: indices.len(), size: self.size, kind: self.kind }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_seed_draws_the_same_samples_every_time() {
        let drawn = Selection { limit: Some(5), seed: Some(7) }.indices(1000);
        assert_eq!(drawn, Selection { limit: Some(5), seed: Some(7) }.indices(1000));
        assert_ne!(drawn, Selection { limit: Some(5), seed: Some(8) }.indices(1000));
        assert_eq!(drawn.len(), 5);
        assert!(drawn.is_sorted());
        assert_eq!(Selection { limit: Some(2), seed: None }.indices(3), [0, 1]);
        assert_eq!(Selection { limit: Some(9), seed: Some(1) }.indices(3), [0, 1, 2]);
    }
}
