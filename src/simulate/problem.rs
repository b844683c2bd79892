//! What a simulation found wrong, and how to see it again.

use std::fmt::{self, Display};

use serde::Serialize;

/// A place where an engine went wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// `mismatch` (with golden), `overflow`, or `timing` (Verilator and cycle engine part).
    pub kind: &'static str,
    /// Which engine.
    pub engine: &'static str,
    /// Clock cycle.
    pub cycle: Option<u64>,
    /// Stream.
    pub stream: Option<String>,
    /// Beat on that stream, counted from the first frame.
    pub beat: Option<usize>,
    /// Lane of the beat; processing element of an overflow.
    pub lane: Option<usize>,
    /// Layer.
    pub layer: Option<String>,
    /// Channel: output of the layer.
    pub channel: Option<usize>,
    /// Which of the samples that ran.
    pub sample: usize,
    /// What came.
    pub got: String,
    /// What should have come.
    pub expected: String,
    /// The command that shows it again.
    pub replay: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: sample {}", self.kind, self.engine, self.sample)?;
        let mut part = |name: &str, value: Option<String>| match value {
            Some(value) => write!(f, ", {name} {value}"),
            None => Ok(()),
        };
        part("layer", self.layer.clone())?;
        part("channel", self.channel.map(|v| v.to_string()))?;
        part("cycle", self.cycle.map(|v| v.to_string()))?;
        part("stream", self.stream.clone())?;
        part("beat", self.beat.map(|v| v.to_string()))?;
        part("lane", self.lane.map(|v| v.to_string()))?;
        write!(f, ": got {}, expected {}\n  replay: {}", self.got, self.expected, self.replay)
    }
}

/// This command line, for a shell: stalls and samples are drawn by seeds, so that it shows the same again.
pub fn replay() -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+".contains(c);
    let quote = |arg: String| {
        if !arg.is_empty() && arg.chars().all(plain) { arg } else { format!("'{}'", arg.replace('\'', "'\\''")) }
    };
    let args = std::env::args_os().skip(1).map(|a| quote(a.to_string_lossy().into_owned()));
    std::iter::once("snug".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}
