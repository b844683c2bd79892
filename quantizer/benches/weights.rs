//! Time of sign-split on a large layer: projection, rounding and repair, and the projection in its usual form beside it.

use std::fmt::Display;
use std::time::{Duration, Instant};

use ndarray::Array2;
use quantizer::datatype::DataType;
use quantizer::testing::Random;
use quantizer::weights::project::{simplex_threshold, simplex_threshold_by_sorting};
use quantizer::weights::{Problem, SignSplit, quantize};
use rayon::prelude::*;

const SIZE: usize = 4096;

fn main() {
    let random = &mut Random::new(1);
    let uniform = |random: &mut Random| random.within(0, 1 << 30) as f64 / (1u64 << 30) as f64;
    // Four uniform numbers make a bell; the largest of a channel is seven steps of the grid away from 0.
    let weights =
        Array2::from_shape_fn((SIZE, SIZE), |_| 7.0 * ((0..4).map(|_| uniform(random)).sum::<f64>() / 2.0 - 1.0));
    println!("{SIZE} x {SIZE} weights of 4 bits, {} threads", rayon::current_num_threads());
    for (input, accumulator) in [(DataType::unsigned(4), 13), (DataType::unsigned(4), 16), (DataType::signed(4), 13)] {
        let problem = Problem {
            weights: weights.view(),
            weight_type: DataType::signed(4),
            input,
            accumulator,
            calibration: None,
        };
        let mut width = 0;
        let time = best(|| width = quantize(&problem, &SignSplit).map_or(0, |q| q.width()));
        println!(
            "  sign-split, inputs {input}, P = {accumulator}: {time} (projection, rounding, repair, proof: {width} bits)"
        );
    }
    // The budget of one sign for 4-bit unsigned inputs and 13 bits.
    let radius = 273.0;
    let rows: Vec<Vec<f64>> = weights.rows().into_iter().map(|row| row.iter().map(|w| w.abs()).collect()).collect();
    for (name, threshold) in [
        ("projection alone, no sort", simplex_threshold as fn(&[f64], f64) -> f64),
        ("projection alone, by sorting", simplex_threshold_by_sorting),
    ] {
        let mut sum = 0.0;
        let time = best(|| sum = rows.par_iter().map(|row| threshold(row, radius)).sum::<f64>());
        println!("  {name}: {time} (mean threshold {:.6})", sum / SIZE as f64);
    }
}

/// The best of three runs.
fn best(mut run: impl FnMut()) -> Time {
    let one = |run: &mut dyn FnMut()| {
        let (start, before) = (Instant::now(), processor_time());
        run();
        let busy = processor_time().zip(before).map(|(after, before)| after.saturating_sub(before));
        Time { wall: start.elapsed(), busy }
    };
    (0..3).map(|_| one(&mut run)).min_by_key(|t| (t.busy, t.wall)).unwrap_or_default()
}

/// What a run took.
#[derive(Default)]
struct Time {
    wall: Duration,
    /// Processor time of all threads, where the system tells.
    busy: Option<Duration>,
}

impl Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} s", self.wall.as_secs_f64())?;
        match self.busy {
            // What it would take if nobody else used the processors.
            Some(busy) => write!(f, " ({:.2} s a thread)", busy.as_secs_f64() / rayon::current_num_threads() as f64),
            None => Ok(()),
        }
    }
}

/// User and system time of this process, in Linux' hundredths of a second.
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the command's closing parenthesis: fields 3 onwards; 14 and 15 are the times.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(10 * ticks))
}
