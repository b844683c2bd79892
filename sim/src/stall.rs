//! Stall patterns: when the source has no beat to give and when the sink will not take one.
//!
//! Every engine (cycle, Verilator, the generated testbench's peers) applies the same pattern with the same meaning, so
//! that "the same beat leaves in the same cycle" can be demanded of them:
//!
//! * Cycle 0 is the first rising edge of `aclk` at which `aresetn` is sampled high. After a reset in mid-run the count
//!   starts again at 0, and so does the stimulus.
//! * Before rising edge `c` the source drives `s_axis_tvalid = 1` if the beat on offer was not accepted yet (once high,
//!   `tvalid` stays high with stable data until accepted, as AXI4-Stream demands), or if it has a further beat and
//!   [`Stall::input_gap`]`(c)` is false; else 0. A beat accepted at edge `c` is followed, at the earliest, by the next one
//!   at edge `c + 1`.
//! * Before rising edge `c` the sink drives `m_axis_tready = !`[`Stall::output_stall`]`(c)`; it may fall at will.
//! * Handshakes are sampled just before the rising edge, with these values settled: a beat that "leaves in cycle `c`" has
//!   `tvalid` and `tready` both high at edge `c`.

use serde::{Deserialize, Serialize};

/// One stall pattern. Decisions depend on the seed and the cycle only, never on what the design does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stall {
    /// The source leaves random gaps between beats.
    pub input: bool,
    /// The sink withholds ready at random.
    pub output: bool,
    /// Seed of the pattern; without gaps and stalls it has no effect.
    pub seed: u64,
}

/// Tells the source's sequence from the sink's.
const INPUT: u64 = 0x736f_7572_6365_0001;
const OUTPUT: u64 = 0x7369_6e6b_0000_0002;

impl Stall {
    /// No gaps, no stalls.
    pub const NONE: Self = Self { input: false, output: false, seed: 0 };

    /// The four patterns every co-simulation runs: none, gaps only, stalls only, both.
    #[must_use]
    pub const fn all(seed: u64) -> [Self; 4] {
        [
            Self { input: false, output: false, seed },
            Self { input: true, output: false, seed },
            Self { input: false, output: true, seed },
            Self { input: true, output: true, seed },
        ]
    }

    /// Whether a source with nothing on offer yet waits in this cycle.
    #[must_use]
    pub const fn input_gap(&self, cycle: u64) -> bool {
        self.input && decide(self.seed ^ INPUT, cycle)
    }

    /// Whether the sink withholds ready in this cycle.
    #[must_use]
    pub const fn output_stall(&self, cycle: u64) -> bool {
        self.output && decide(self.seed ^ OUTPUT, cycle)
    }
}

/// The generator, written a second time in `verilator/harness.cpp`; the two must agree bit for bit.
///
/// Time is cut into windows of 64 cycles. A hash of the window picks how many cycles in eight stall in it: 0, 2, 4 or 7,
/// so that free runs (which find missing throughput) alternate with near standstill (which fills every queue). A hash
/// of the cycle then decides.
const fn decide(seed: u64, cycle: u64) -> bool {
    let eighths = [0, 2, 4, 7][(hash(!seed, cycle / 64) >> 62) as usize];
    hash(seed, cycle) >> 61 < eighths
}

/// Output `index` of the SplitMix64 sequence that starts at `seed` (Steele, Lea, Flood: "Fast splittable pseudorandom
/// number generators", OOPSLA 2014); counter based, hence random access.
const fn hash(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_splitmix64() {
        // First outputs of the published generator for seed 1234567.
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([hash(1_234_567, 0), hash(1_234_567, 1), hash(1_234_567, 2)], published);
    }

    #[test]
    fn patterns_switch_on_and_differ() {
        let [none, input, output, both] = Stall::all(7);
        let gaps = |s: Stall| (0..4096).map(|c| s.input_gap(c)).collect::<Vec<_>>();
        let stalls = |s: Stall| (0..4096).map(|c| s.output_stall(c)).collect::<Vec<_>>();
        assert!(!gaps(none).contains(&true) && !stalls(none).contains(&true));
        assert!(!gaps(output).contains(&true) && !stalls(input).contains(&true));
        assert_eq!(gaps(both), gaps(input));
        assert_eq!(stalls(both), stalls(output));
        assert_ne!(gaps(both), stalls(both));
        assert_ne!(gaps(both), gaps(Stall { seed: 8, ..both }));
    }

    #[test]
    fn free_runs_and_standstill_both_happen() {
        let stall = Stall { input: true, output: true, seed: 1 };
        let windows: Vec<usize> =
            (0..256).map(|w| (64 * w..64 * (w + 1)).filter(|&c| stall.output_stall(c)).count()).collect();
        assert!(windows.contains(&0));
        assert!(windows.iter().any(|&n| n > 48));
        // (0 + 2 + 4 + 7) / 32 of all cycles stall: 6656 of 16384, within five standard deviations of window choice.
        let total: usize = windows.iter().sum();
        assert!((5000..8300).contains(&total), "{total}");
    }
}
