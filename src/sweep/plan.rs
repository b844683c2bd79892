//! Which points a sweep has.

use generator::accumulators::AccumulatorRule;
use quantizer::certificate::Targets;

use super::measure::Sweep;
use crate::error::Error;

/// Without `--accumulator` a sweep goes so many bits down from the widest exact width.
const DOWN: u32 = 6;
/// Accumulators of those who do not ask: what the reduction is measured from, as A2Q's is.
const USUAL: AccumulatorRule = AccumulatorRule::Bits(32);

/// A point to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What the point is of.
    pub what: What,
    /// Which of the sweep's foldings it has.
    pub folding: usize,
    /// How wide its registers are built.
    pub registers: AccumulatorRule,
    /// Name of its result: what it depends on, hashed.
    pub key: String,
}

/// A network of a sweep: measured once for every folding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct What {
    /// How its integers came about.
    pub method: String,
    /// Bits of every accumulator; none for the reference, the network as it came.
    pub accumulator: Option<u32>,
}

/// Every point, network by network: the reference, also with registers of 32 bits, then method by method from narrow to wide.
///
/// # Errors
/// If the widths are none.
pub fn tasks(accumulator: Option<&str>, methods: &[String], sweep: &Sweep) -> Result<Vec<Vec<Task>>, Error> {
    let widths = match (accumulator, sweep.source.widest()) {
        (Some(text), _) => widths(text)?,
        (None, Some(widest)) => (widest.saturating_sub(DOWN).max(1)..=widest).collect(),
        (None, None) => {
            let message = "--train needs widths to train for: --accumulator".to_owned();
            return Err(Error::Usage { message, help: Some("8..=16, or 8,10,12".to_owned()) });
        }
    };
    let reference = What { method: sweep.source.reference().to_owned(), accumulator: None };
    let mut all = vec![[sweep.registers, USUAL].iter().flat_map(|&r| group(sweep, &reference, r)).collect()];
    let mut done: Vec<&String> = Vec::new();
    for method in methods {
        if done.contains(&method) {
            continue;
        }
        done.push(method);
        let what = |&bits: &u32| What { method: method.clone(), accumulator: Some(bits) };
        all.extend(widths.iter().map(|bits| group(sweep, &what(bits), sweep.registers)));
    }
    Ok(all)
}

/// The points of one network.
fn group(sweep: &Sweep, what: &What, registers: AccumulatorRule) -> Vec<Task> {
    let key = |folding| sweep.key(what, folding, registers);
    (0..sweep.foldings.len())
        .map(|folding| Task { what: what.clone(), folding, registers, key: key(folding) })
        .collect()
}

/// `8..=16`, `8` or `8,10,12`, in any mixture; ascending, each once.
fn widths(text: &str) -> Result<Vec<u32>, Error> {
    let wrong = |part: &str| Error::Usage {
        message: format!("--accumulator: '{part}' is neither a width from 1 to {} nor a range of them", Targets::MAX),
        help: Some("8..=16, or 8,10,12".to_owned()),
    };
    let width = |part: &str| part.trim().parse().ok().filter(|w| (1..=Targets::MAX).contains(w));
    let mut all = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once("..=").unwrap_or((part, part));
        match (width(from), width(to)) {
            (Some(from), Some(to)) if from <= to => all.extend(from..=to),
            _ => return Err(wrong(part)),
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::widths;

    #[test]
    fn ranges_and_lists_of_widths() {
        assert_eq!(widths("8..=11").unwrap(), [8, 9, 10, 11]);
        assert_eq!(widths("12, 8,9..=10,8").unwrap(), [8, 9, 10, 12]);
        for wrong in ["", "0", "8..10", "10..=8", "8..=", "x", "8,,9", "f.1=8", "8..=4000000000"] {
            let error = widths(wrong).unwrap_err().to_string();
            assert!(error.contains("neither a width"), "{wrong}: {error}");
        }
    }
}
