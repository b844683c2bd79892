//! Co-simulation: the same frames through the cycle engine and the emitted Verilog, compared beat by beat, stream by
//! stream, cycle by cycle.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};
use thiserror::Error;

use generator::dataflow::Dataflow;
use generator::emit::testbench::{beat_bytes, beat_values, bus_bytes, monitor, monitor_name};
use generator::emit::verilog;
use generator::error::GenerateError;

use crate::cycle;
use crate::tools::Found;
use crate::verilator::{BuildOptions, End, Mode, Model, Run, RunOptions, Stimulus, VerilatorError};

/// The first place where Verilog and cycle engine part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name of the stream.
    pub stream: String,
    /// Number of the beat on that stream.
    pub beat: usize,
    /// Frame of the beat.
    pub frame: usize,
    /// Cycle and values in the cycle engine, if it has that beat.
    pub cycle: Option<(u64, Vec<i64>)>,
    /// Cycle and values in Verilator, if it has that beat.
    pub verilator: Option<(u64, Vec<i64>)>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |beat: &Option<(u64, Vec<i64>)>| match beat {
            Some((cycle, values)) => format!("cycle {cycle}: {values:?}"),
            None => "no such beat".to_owned(),
        };
        write!(
            f,
            "stream {}, frame {}, beat {}: cycle engine {}; Verilator {}",
            self.stream,
            self.frame,
            self.beat,
            show(&self.cycle),
            show(&self.verilator)
        )
    }
}

/// Why there is no comparison.
#[derive(Debug, Error)]
pub enum CosimError {
    /// The Verilog could not be printed.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// Verilator failed.
    #[error(transparent)]
    Verilator(#[from] VerilatorError),
    /// A file could not be written.
    #[error("'{path}': {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The run stopped before all beats had left.
    #[error("Verilator stopped after {beats} of {expected} output beats: {why}")]
    Incomplete {
        /// Beats that left.
        beats: usize,
        /// Beats expected.
        expected: usize,
        /// What ended it.
        why: &'static str,
    },
}

/// The emitted Verilog of a dataflow, compiled by Verilator.
pub struct Compiled<'a> {
    dataflow: &'a Dataflow,
    model: Model,
}

/// What to compile for.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompileOptions {
    /// Check or speed.
    pub mode: Mode,
    /// Print the handshakes of inner streams.
    pub monitor: bool,
    /// Compilers at once.
    pub jobs: usize,
    /// Kind of waves that runs can write.
    pub trace: crate::verilator::Trace,
}

impl<'a> Compiled<'a> {
    /// Prints `dataflow` into `folder` and compiles it there.
    ///
    /// # Errors
    /// If files cannot be written or Verilator fails.
    pub fn new(
        tool: &Found,
        dataflow: &'a Dataflow,
        folder: &Path,
        options: CompileOptions,
    ) -> Result<Self, CosimError> {
        let rtl = folder.join("rtl");
        let mut files = Vec::new();
        let mut write = |name: &str, text: &str| {
            let path = rtl.join(name);
            let result = fs::create_dir_all(&rtl).and_then(|()| fs::write(&path, text));
            files.push(path.clone());
            result.map_err(|source| CosimError::File { path, source })
        };
        for file in verilog(dataflow, &[])? {
            write(&file.name, &file.text)?;
        }
        let mut top = dataflow.top.clone();
        if options.monitor {
            top = monitor_name(dataflow);
            write(&format!("{top}.v"), &monitor(dataflow)?)?;
        }
        let (input, output) = (bus_bytes(dataflow.input()), bus_bytes(dataflow.output_stream()));
        let build = BuildOptions {
            mode: options.mode,
            jobs: options.jobs.max(1),
            trace: options.trace,
            ..BuildOptions::new(files, top, input, output)
        };
        Ok(Compiled { dataflow, model: Model::build(tool, &build, &folder.join("verilator"))? })
    }

    /// Time that the build took.
    pub fn build_seconds(&self) -> f64 {
        self.model.build_time.as_secs_f64()
    }

    /// Sends the frames (source order, one a row) through the model.
    ///
    /// # Errors
    /// If the model crashes, breaks a stream rule, or stops early.
    pub fn run(&self, inputs: ArrayView2<'_, i64>, options: &RunOptions) -> Result<(Run, Array2<i64>), CosimError> {
        let (input, output) = (self.dataflow.input(), self.dataflow.output_stream());
        let expected = inputs.nrows() * output.beats();
        let options = RunOptions { expected, ..options.clone() };
        let run = self.model.run(&stimulus(self.dataflow, inputs), &options)?;
        let why = match run.end {
            End::Complete => None,
            End::Quiet => Some("nothing moved any more"),
            End::CycleLimit => Some("the limit of cycles was reached"),
        };
        if let Some(why) = why {
            return Err(CosimError::Incomplete { beats: run.outputs.len(), expected, why });
        }
        debug_assert_eq!(input.beats() * inputs.nrows(), run.accepted.len());
        let mut result = Array2::zeros((inputs.nrows(), output.elements()));
        for (index, beat) in run.outputs.iter().take(expected).enumerate() {
            let (frame, at) = (index / output.beats(), index % output.beats());
            let sources: Vec<usize> = output.sources(at).collect();
            for (&source, value) in sources.iter().zip(beat_values(output, &beat.data, sources.len())) {
                result[[frame, source]] = value;
            }
        }
        Ok((run, result))
    }
}

/// The frames as beats of the top's input bus.
pub fn stimulus(dataflow: &Dataflow, inputs: ArrayView2<'_, i64>) -> Stimulus {
    let stream = dataflow.input();
    let mut data = Vec::with_capacity(inputs.nrows() * stream.beats() * bus_bytes(stream));
    for frame in inputs.rows() {
        for beat in 0..stream.beats() {
            data.extend(beat_bytes(stream, stream.sources(beat).map(|source| frame[source])));
        }
    }
    Stimulus::frames(data, bus_bytes(stream), stream.beats())
}

/// The first difference between a cycle run and a Verilator run of the same frames under the same stalls: every beat
/// that left, with its cycle, and every inner handshake that both recorded.
pub fn difference(dataflow: &Dataflow, cycle: &cycle::Run, verilator: &Run) -> Option<Difference> {
    let last = dataflow.streams.len() - 1;
    let inner = (0..last).filter_map(|s| {
        let ours = cycle.streams.get(s)?;
        let theirs = verilator.streams.get(&u32::try_from(s).ok()?)?;
        // Beats of frames that were still under way when the last expected beat left are in one record only.
        let both = ours.len().min(theirs.len());
        let theirs: Vec<(u64, &[u8])> = theirs[..both].iter().map(|h| (h.cycle, h.data.as_slice())).collect();
        Some((s, &ours[..both], theirs))
    });
    let outputs: Vec<(u64, &[u8])> = verilator.outputs.iter().map(|b| (b.cycle, b.data.as_slice())).collect();
    inner.chain(std::iter::once((last, cycle.outputs.as_slice(), outputs))).find_map(|(s, ours, theirs)| {
        let stream = &dataflow.streams[s];
        (0..ours.len().max(theirs.len())).find_map(|beat| {
            let lanes = stream.lanes_of(beat);
            let ours = ours.get(beat).map(|b| (b.cycle, b.values.clone()));
            let theirs = theirs.get(beat).map(|(cycle, data)| (*cycle, beat_values(stream, data, lanes)));
            (ours != theirs).then(|| Difference {
                stream: stream.name.clone(),
                beat,
                frame: beat / stream.beats(),
                cycle: ours,
                verilator: theirs,
            })
        })
    })
}
