//! Which points a sweep has.

use quantizer::certificate::Targets;

use super::measure::Sweep;
use crate::error::Error;

/// Without `--accumulator` a sweep goes so many bits down from the widest exact width.
const DOWN: u32 = 6;

/// A point to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// `exact` for the network as it came.
    pub method: String,
    /// Bits of every accumulator; none for the network as it came.
    pub accumulator: Option<u32>,
    /// Name of its result: what it depends on, hashed.
    pub key: String,
}

/// Every point: the network as it came, then method by method from narrow to wide.
///
/// # Errors
/// If the widths are none.
pub fn tasks(accumulator: Option<&str>, methods: &[String], sweep: &Sweep) -> Result<Vec<Task>, Error> {
    let widest = sweep.widest();
    let widths = match accumulator {
        Some(text) => widths(text)?,
        None => (widest.saturating_sub(DOWN).max(1)..=widest).collect(),
    };
    let mut unique: Vec<&String> = Vec::new();
    methods.iter().for_each(|m| {
        if !unique.contains(&m) {
            unique.push(m)
        }
    });
    let task = |method: &str, accumulator| Task {
        key: sweep.key(method, accumulator),
        method: method.to_owned(),
        accumulator,
    };
    let mut tasks = vec![task("exact", None)];
    tasks.extend(
        unique.iter().flat_map(|m| widths.iter().map(move |&p| (m.as_str(), p))).map(|(m, p)| task(m, Some(p))),
    );
    Ok(tasks)
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
