//! One run of a built model: stimulus in, handshakes out.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::monitor::{self, Handshake};
use super::{Mode, Model, Trace, VerilatorError, absolute, file_error};
use crate::stall::Stall;
use crate::tools;

/// What the source sends: beats of [`super::BuildOptions::input_bytes`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stimulus {
    /// All beats, one after the other; within a beat lowest byte first.
    pub data: Vec<u8>,
    /// `s_axis_tlast` of each.
    pub last: Vec<bool>,
}

impl Stimulus {
    /// Frames of `beats_per_frame` beats of `beat_bytes` bytes, tlast on the last of each. A rest that fills no beat is
    /// refused by [`Model::run`].
    #[must_use]
    pub fn frames(data: Vec<u8>, beat_bytes: usize, beats_per_frame: usize) -> Self {
        let beats = data.len() / beat_bytes.max(1);
        let last = (1..=beats).map(|beat| beat % beats_per_frame.max(1) == 0).collect();
        Self { data, last }
    }
}

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Output beats after which the run is complete (all input must be accepted, too).
    pub expected: usize,
    /// Gaps and stalls.
    pub stall: Stall,
    /// Seed of initial register values, reset lengths and noise; in mode `Fast` of reset lengths only.
    pub seed: u64,
    /// Asserts reset again before this rising edge, once, for a few cycles. The stimulus then starts again from its
    /// beginning, cycles count from 0, and only what leaves afterwards is returned.
    pub reset_at: Option<u64>,
    /// Rising edges after which the run is given up, counted from the last reset.
    pub max_cycles: u64,
    /// Cycles without a handshake on either side after which the run is given up. Stalls of the pattern stop at most some
    /// tens of cycles in a row.
    pub quiet_cycles: u64,
    /// Cycles the clock goes on after the last expected beat; beats that leave in them are returned and so found to be
    /// too many.
    pub drain_cycles: u64,
    /// Waves to this file; the model must be built with the trace of that kind.
    pub waves: Option<PathBuf>,
    /// Limit on the run's wall-clock time.
    pub timeout: Option<Duration>,
}

impl RunOptions {
    /// A run for that many output beats without stalls, seed 1, given up after 100,000 quiet cycles.
    #[must_use]
    pub const fn new(expected: usize) -> Self {
        Self {
            expected,
            stall: Stall::NONE,
            seed: 1,
            reset_at: None,
            max_cycles: u64::MAX,
            quiet_cycles: 100_000,
            drain_cycles: 64,
            waves: None,
            timeout: None,
        }
    }
}

/// A beat that left through `m_axis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutBeat {
    /// The rising edge at which tvalid and tready were both high.
    pub cycle: u64,
    /// tdata, lowest byte first.
    pub data: Vec<u8>,
    /// tlast.
    pub last: bool,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All input accepted, all expected beats out.
    Complete,
    /// Nothing moved for [`RunOptions::quiet_cycles`]: a deadlock, or beats that never come.
    Quiet,
    /// [`RunOptions::max_cycles`] are over.
    CycleLimit,
}

/// What a run has shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Beats out, in order, with those of the drain cycles.
    pub outputs: Vec<OutBeat>,
    /// The cycle in which each input beat was accepted.
    pub accepted: Vec<u64>,
    /// Rising edges since the last reset, drain included.
    pub cycles: u64,
    /// Rising edges of the last reset. In waves cycle `c` of a run without `reset_at` begins at time
    /// `10 (reset_cycles + c)`.
    pub reset_cycles: u64,
    /// The first cycle in which `frame_error` was high, if it was.
    pub frame_error: Option<u64>,
    /// Why it ended.
    pub end: End,
    /// Rising edges in the timed loop.
    pub clocks: u64,
    /// Wall-clock time of the timed loop: no file is read or written in it (waves excepted).
    pub duration: Duration,
    /// Handshakes of inner streams, where the top is a monitor.
    pub streams: BTreeMap<u32, Vec<Handshake>>,
    /// Everything else the design printed.
    pub log: Vec<String>,
}

impl Run {
    /// Speed of the timed loop.
    #[must_use]
    pub fn clocks_per_second(&self) -> f64 {
        // Exact below 2^53 clocks; a figure to print.
        self.clocks as f64 / self.duration.as_secs_f64().max(1e-9)
    }
}

impl Model {
    /// Runs the model. Runs of one model may overlap.
    ///
    /// # Errors
    ///
    /// `Stimulus` or `Trace` for options that do not fit the model; `Assertion` and `Unstable` for a design that breaks a
    /// rule; `Tool` for a run that crashes or takes too long. A run that does not complete is no error: see [`Run::end`].
    pub fn run(&self, stimulus: &Stimulus, options: &RunOptions) -> Result<Run, VerilatorError> {
        let width = self.options.input_bytes;
        let beats = stimulus.last.len();
        if beats.checked_mul(width) != Some(stimulus.data.len()) {
            return Err(VerilatorError::Stimulus { bytes: stimulus.data.len(), beats, width });
        }
        if let Some(path) = &options.waves
            && self.options.trace != Trace::of(path)
        {
            return Err(VerilatorError::Trace { built: self.options.trace, path: path.clone() });
        }
        let exchange =
            tempfile::Builder::new().prefix("run").tempdir_in(&self.folder).map_err(file_error(&self.folder))?;
        let (input, result) = (exchange.path().join("stimulus"), exchange.path().join("result"));
        let mut bytes = Vec::with_capacity(beats * (width + 1));
        for (beat, &last) in stimulus.data.chunks_exact(width).zip(&stimulus.last) {
            bytes.push(u8::from(last));
            bytes.extend_from_slice(beat);
        }
        fs::write(&input, bytes).map_err(file_error(&input))?;

        let number = |n: u64| n.to_string();
        let mut run = tools::Run::new(self.tool.tool, &self.program).arg(&input).arg(&result).args([
            number(options.seed),
            number(options.stall.seed),
            number(options.stall.input.into()),
            number(options.stall.output.into()),
            number(options.expected as u64),
            number(options.max_cycles),
            number(options.quiet_cycles),
            number(options.drain_cycles),
            options.reset_at.map_or_else(|| "-1".to_owned(), number),
        ]);
        if let Some(waves) = &options.waves {
            run = run.arg(absolute(waves)?);
        }
        if self.options.mode == Mode::Check {
            // Verilator takes seeds from 1 to 2^31 - 1.
            let seed = options.seed % 0x7fff_fffe + 1;
            run = run.args(["+verilator+rand+reset+2".to_owned(), format!("+verilator+seed+{seed}")]);
        }
        if let Some(limit) = options.timeout {
            run = run.timeout(limit);
        }
        let printed = run.output()?;
        let bytes = fs::read(&result).map_err(file_error(&result))?;
        self.read(&bytes, &printed.stdout)
    }

    /// Reads what `write_result` in the harness wrote.
    fn read(&self, bytes: &[u8], stdout: &str) -> Result<Run, VerilatorError> {
        let printed = monitor::parse(stdout).map_err(|reason| VerilatorError::Unreadable { reason })?;
        let unreadable = || VerilatorError::Unreadable { reason: format!("a result of {} bytes", bytes.len()) };
        let mut reader = Reader(bytes);
        let mut head = [0u64; 9];
        for word in &mut head {
            *word = reader.word().ok_or_else(unreadable)?;
        }
        let [cycles, clocks, reset_cycles, frame_error, unstable, end, nanoseconds, accepted, left] = head;
        let accepted = reader.words(accepted).ok_or_else(unreadable)?;
        let left_cycles = reader.words(left).ok_or_else(unreadable)?;
        let last = reader.take(left_cycles.len()).ok_or_else(unreadable)?;
        let data = reader.0;
        let width = self.options.output_bytes;
        if left_cycles.len().checked_mul(width) != Some(data.len()) {
            return Err(unreadable());
        }
        let end = match end {
            0 => End::Complete,
            1 => End::Quiet,
            2 => End::CycleLimit,
            3 => {
                return Err(VerilatorError::Assertion {
                    cycle: cycles.saturating_sub(1),
                    messages: printed.log.join("\n"),
                });
            }
            _ => return Err(unreadable()),
        };
        let cycle_or_never = |cycle: u64| (cycle != u64::MAX).then_some(cycle);
        if let Some(cycle) = cycle_or_never(unstable) {
            return Err(VerilatorError::Unstable { cycle });
        }
        let outputs = left_cycles
            .iter()
            .zip(last)
            .zip(data.chunks_exact(width))
            .map(|((&cycle, &last), data)| OutBeat { cycle, data: data.to_vec(), last: last != 0 })
            .collect();
        Ok(Run {
            outputs,
            accepted,
            cycles,
            reset_cycles,
            frame_error: cycle_or_never(frame_error),
            end,
            clocks,
            duration: Duration::from_nanos(nanoseconds),
            streams: printed.streams,
            log: printed.log,
        })
    }
}

/// Little-endian words from a byte string; `None` where it is too short.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn word(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn words(&mut self, count: u64) -> Option<Vec<u64>> {
        let bytes = usize::try_from(count).ok()?.checked_mul(8)?;
        let words = self.take(bytes)?;
        Some(words.chunks_exact(8).filter_map(|w| w.try_into().ok().map(u64::from_le_bytes)).collect())
    }
}
