//! Runs that reach both ends of a processing element's accumulator: its claims are not vacuous, and its intervals are tight.

use std::fmt::Write as _;

use super::intervals::{claimed, claimed_bits};
use super::script::{Job, Kind};

/// The script of a cover run, or `None` for a module without an accumulator of its own or without a readable claim.
///
/// Twice, for the largest and the smallest value that any prefix of a row may have: from the initial state a run is asked for
/// in which the protocol counts the row's folds one by one and the sum is, fold by fold, at the end of its interval. Terms of
/// different folds have inputs of their own, so that the ends of all prefixes of a row belong to one run, and asking for all
/// of them leaves the solver small problems. `text` is the element's Verilog.
#[must_use]
pub fn script(job: &Job, text: &str) -> Option<String> {
    if job.kind != Kind::Element {
        return None;
    }
    let shape = Shape::of(text)?;
    let sums = claimed(text, shape.neuron_folds * shape.synapse_folds)?;
    let bits = claimed_bits(text)?;
    let mut script = job.prepare().to_owned();
    // Only what the sum depends on: the solver unrolls all that is there.
    script.push_str(
        "expose w:f_held w:f_row_ok w:f_row_fold\nselect -set reach w:f_held w:f_row_ok w:f_row_fold %u %u %ci*\n\
         delete t:* @reach %d\nopt -fine\n",
    );
    for high in [true, false] {
        let end = |fold: usize| sums.get(fold).map(|r| if high { r.hi } else { r.lo });
        let fold = (0..sums.len()).max_by_key(|&f| end(f).map(|v| if high { v } else { -v }))?;
        let first = fold - fold % shape.synapse_folds;
        // A fold in step t, its x in t + 1, products in t + 2, one step a level, and the accumulator.
        let step = |f: usize| f - first + 3 + shape.levels + usize::from(shape.synapse_folds > 1);
        let last = step(fold);
        let _ = write!(script, "sat -seq {last} -set-at {last} f_row_ok 1");
        for f in first..=fold {
            // A Yosys constant in two's complement.
            let value = end(f)? & ((1i64 << bits) - 1);
            let at = step(f);
            let _ = write!(
                script,
                " -set-at {at} f_row_fold {f} -set-at {at} f_held {bits}'b{value:0width$b}",
                width = bits
            );
        }
        let _ = writeln!(script, " {}", job.module);
    }
    Some(script)
}

/// Whether the log of a cover run shows both ends reached.
#[must_use]
pub fn reached(log: &str) -> bool {
    log.matches("SAT solving finished - model found:").count() == 2
}

/// What the head of a processing element says of its folds.
struct Shape {
    neuron_folds: usize,
    synapse_folds: usize,
    levels: usize,
}

impl Shape {
    fn of(text: &str) -> Option<Self> {
        let (before, after) = text.split_once(" neuron x ")?;
        let number = |word: Option<&str>| word.and_then(|w| w.trim_start_matches('(').parse::<usize>().ok());
        let levels = text
            .split_once("wire signed")
            .map_or(text, |(head, _)| head)
            .lines()
            .find(|line| line.starts_with("// Timing"))?
            .split_once(" adder level")
            .and_then(|(front, _)| number(front.split_whitespace().last()))
            .unwrap_or(0);
        Some(Shape {
            neuron_folds: number(before.split_whitespace().last())?,
            synapse_folds: number(after.split_whitespace().next())?,
            levels,
        })
    }
}
