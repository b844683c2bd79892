//! The dataflow clock by clock: every handshake, every accumulator at its real width, with a trap on overflow.
//!
//! It reads the [`Dataflow`] alone (ROM words, threshold words, fold orders, queue depths) and never the network, so
//! that its agreement with [`golden`](crate::golden) is a test. It is cycle-exact: under the same stall pattern the same
//! beat leaves every stream in the same cycle as in the Verilog. Values never influence timing, so the arithmetic of a
//! neuron fold is done when its last synapse fold runs, and travels to the exit queue with a due date.

mod agenda;
mod arithmetic;
pub(crate) mod image;
mod modules;
mod queues;

use std::time::{Duration, Instant};

use ndarray::{Array2, ArrayView2};
use thiserror::Error;

use generator::dataflow::{Dataflow, Kind};

use crate::stall::Stall;
use agenda::{Agenda, Bits};
use modules::{Island, Machine};

/// A register that was too narrow for its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Clock cycle in which the fold entered the pipeline.
    pub cycle: u64,
    /// Frame, counted from 0.
    pub frame: u64,
    /// Verilog module instance.
    pub module: String,
    /// Layer served.
    pub layer: String,
    /// Processing element.
    pub pe: usize,
    /// Source row (channel).
    pub row: usize,
    /// Synapse fold.
    pub fold: usize,
    /// Which register: `accumulator`, or a node of the adder tree.
    pub register: String,
    /// The value that should have been stored.
    pub value: i64,
    /// Bits of the register.
    pub bits: u32,
    /// What it holds instead.
    pub became: i64,
}

impl std::fmt::Display for Trap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "cycle {}, frame {}: layer '{}', PE {} (channel {})",
            self.cycle, self.frame, self.layer, self.pe, self.row
        )?;
        write!(
            f,
            ", synapse fold {}: {} of {} bits overflows: {} became {}",
            self.fold, self.register, self.bits, self.value, self.became
        )
    }
}

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Gaps at the source, stalls at the sink.
    pub stall: Stall,
    /// Whether to keep every handshake of every stream, not only of the last.
    pub record: bool,
    /// Cycles without any handshake after which the run is given up as a deadlock.
    pub quiet_cycles: u64,
    /// Whether values are computed. Without them only handshakes move, in the same cycles: timing does not depend on
    /// data. Beats are empty then, and [`Run::result`] is zeros.
    pub values: bool,
    /// Cycles that the source takes for a frame, its beats spread evenly; as fast as it can if `None`.
    pub pace: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options { stall: Stall::NONE, record: false, quiet_cycles: 100_000, values: true, pace: None }
    }
}

/// A beat that passed a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The rising edge at which valid and ready were both high.
    pub cycle: u64,
    /// Value of each lane; lanes past the end of a vector hold whatever the hardware leaves there and are not kept.
    pub values: Vec<i64>,
}

/// What a run has shown.
#[derive(Clone, Debug)]
pub struct Run {
    /// Beats that left, in order.
    pub outputs: Vec<Beat>,
    /// Every handshake of every stream, if asked for; else empty.
    pub streams: Vec<Vec<Beat>>,
    /// Cycles until the last beat left.
    pub cycles: u64,
    /// Cycle in which the first beat entered.
    pub first_in: u64,
    /// Overflows, the first thousand of them.
    pub traps: Vec<Trap>,
    /// All overflows.
    pub trapped: u64,
    /// Largest number of beats seen in each module's exit queue (or units in a width converter).
    pub occupancy: Vec<usize>,
    /// Largest number of beats seen in each queue of each fork; `[0, 0]` for other modules.
    pub forks: Vec<[usize; 2]>,
    /// Cycles in which each stream had a beat that its reader did not take.
    pub waited: Vec<u64>,
    /// Output in source order, one row a frame.
    pub result: Array2<i64>,
    /// Wall-clock time of the clocked loop alone.
    pub duration: Duration,
}

impl Run {
    /// Speed of the clocked loop.
    pub fn clocks_per_second(&self) -> f64 {
        // Exact below 2^53 clocks; a figure to print.
        self.cycles as f64 / self.duration.as_secs_f64().max(1e-9)
    }

    /// Cycles from the first beat in to the last beat of the first frame out, both included.
    pub fn latency(&self, dataflow: &Dataflow) -> Option<u64> {
        let beats = dataflow.output_stream().beats();
        self.outputs.get(beats - 1).map(|b| b.cycle - self.first_in + 1)
    }

    /// The cycle in which each frame's last beat left.
    pub fn frame_ends(&self, dataflow: &Dataflow) -> Vec<u64> {
        let beats = dataflow.output_stream().beats();
        self.outputs.iter().skip(beats - 1).step_by(beats).map(|b| b.cycle).collect()
    }

    /// Cycles between the ends of frames, on average over the later half of the gaps (frames may come in bursts), rounded up.
    pub fn interval(&self, dataflow: &Dataflow) -> Option<u64> {
        let ends = self.frame_ends(dataflow);
        let from = ends.len().checked_sub(1)? / 2;
        let gaps = (ends.len() - 1 - from) as u64;
        (gaps > 0).then(|| (ends[ends.len() - 1] - ends[from]).div_ceil(gaps))
    }
}

/// Why a run has no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CycleError {
    /// The frames do not have the input's number of elements.
    #[error("a frame of {dataflow} takes {expected} elements; the input has {found}")]
    Shape {
        /// The top module.
        dataflow: String,
        /// Elements of a frame.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// A value that the pins cannot carry.
    #[error("frame {frame}, element {element}: the pins cannot carry {value}; {accepted}")]
    Code {
        /// Frame.
        frame: usize,
        /// Element in source order.
        element: usize,
        /// The value.
        value: i64,
        /// What they can carry.
        accepted: String,
    },
    /// Nothing moves any more.
    #[error("deadlock: nothing moved for {cycles} cycles, after {frames} frames; the stream {stream} waits")]
    Deadlock {
        /// Cycles without a handshake.
        cycles: u64,
        /// Frames that left before.
        frames: usize,
        /// The first stream with a beat that is not taken.
        stream: String,
    },
    /// A queue was written while full: its depth and its credits disagree.
    #[error("cycle {cycle}: the exit queue of module '{module}' was written while full ({depth} places)")]
    Overrun {
        /// Cycle.
        cycle: u64,
        /// Module.
        module: String,
        /// Its depth.
        depth: usize,
    },
}

/// Runs `inputs`, one frame a row in source order (ONNX, row-major), through `dataflow`.
///
/// # Errors
/// A wrong shape, a value that the pins cannot carry, a deadlock, an overrun queue. An overflow is no error: the
/// register wraps, as hardware would, and [`Run::traps`] says so.
pub fn run(dataflow: &Dataflow, inputs: ArrayView2<'_, i64>, options: &Options) -> Result<Run, CycleError> {
    let mut source = Source::new(dataflow, inputs)?;
    if !options.values {
        source.drop_values();
    }
    let mut machines: Vec<Machine> =
        dataflow.modules.iter().map(|m| Machine::new(dataflow, m, options.values)).collect();
    let streams = dataflow.streams.len();
    let output = dataflow.output_stream();
    let expected = inputs.nrows() * output.beats();
    let mut run = Run {
        outputs: Vec::with_capacity(expected),
        streams: vec![Vec::new(); if options.record { streams } else { 0 }],
        cycles: 0,
        first_in: 0,
        traps: Vec::new(),
        trapped: 0,
        occupancy: vec![0; machines.len()],
        forks: vec![[0; 2]; machines.len()],
        waited: vec![0; streams],
        result: Array2::zeros((inputs.nrows(), output.elements())),
        duration: Duration::ZERO,
    };
    let start = Instant::now();
    let mut at = 0; // next beat of the source
    let due = |at: usize| options.pace.map_or(0, |pace| at as u64 * pace / dataflow.input().beats() as u64);
    let mut offered = false;
    let mut quiet = 0;
    let mut island = Island { cycle: 0, traps: &mut run.traps, trapped: &mut run.trapped };
    let ends = Ends::of(dataflow);
    let mut agenda = Agenda::new(machines.len());
    // Modules to step in this cycle.
    let mut now = Bits::all(machines.len());
    // Which streams have a beat, and which pass one in this cycle. A stream is looked at again only after a module at one
    // of its ends has changed: the others neither pass a beat nor begin to.
    let mut valid = vec![false; streams];
    let mut passes = vec![false; streams];
    let mut look = Bits::all(streams);
    // The cycle since which a beat waits.
    let mut waits: Vec<Option<u64>> = vec![None; streams];
    while run.outputs.len() < expected {
        let cycle = island.cycle;
        // Every handshake signal is settled before the edge: registers, source and sink alone decide.
        offered = offered || (at < source.beats && cycle >= due(at) && !options.stall.input_gap(cycle));
        let sink_ready = !options.stall.output_stall(cycle);
        look.insert(0);
        look.insert(streams - 1);
        if let Some(other) = ends.other[0] {
            look.insert(other);
        }
        for s in look.iter() {
            valid[s] = ends.writer[s].map_or(offered, |(m, port)| machines[m].valid(port));
        }
        let mut any = false;
        for s in look.iter() {
            let ready = match ends.reader[s] {
                Some((m, port)) => machines[m].ready(port, ends.other[s].is_some_and(|o| valid[o])),
                None => sink_ready,
            };
            passes[s] = valid[s] && ready;
            if passes[s] {
                any = true;
                ends.writer[s].into_iter().chain(ends.reader[s]).for_each(|(m, _)| now.insert(m));
            }
            match (waits[s], valid[s] && !ready) {
                (None, true) => waits[s] = Some(cycle),
                (Some(since), false) => {
                    run.waited[s] += cycle - since;
                    waits[s] = None;
                }
                _ => {}
            }
        }
        look.clear();
        if passes[streams - 1] {
            let (frame, beat) = (run.outputs.len() / output.beats(), run.outputs.len() % output.beats());
            let head = ends.writer[streams - 1].map_or_else(|| source.beat(at), |(m, port)| machines[m].head(port));
            let values = head[..output.lanes_of(beat).min(head.len())].to_vec();
            for (element, &value) in output.sources(beat).zip(&values) {
                run.result[[frame, element]] = value;
            }
            run.outputs.push(Beat { cycle, values });
        }
        if options.record {
            for s in (0..streams).filter(|&s| passes[s]) {
                let stream = &dataflow.streams[s];
                let live = stream.lanes_of(run.streams[s].len());
                let head = ends.writer[s].map_or_else(|| source.beat(at), |(m, port)| machines[m].head(port));
                run.streams[s].push(Beat { cycle, values: head[..live.min(head.len())].to_vec() });
            }
        }
        agenda.wake(cycle, &mut now);
        // The edge. Writers after readers: what a module takes is what the one before showed before the edge.
        for m in now.iter_down() {
            let (before, rest) = machines.split_at_mut(m);
            let (module, machine) = (&dataflow.modules[m], &mut rest[0]);
            let beat = |port: usize| -> Option<&[i64]> {
                let s = module.inputs.get(port)?.0;
                let head = || ends.writer[s].map_or_else(|| source.beat(at), |(w, port)| before[w].head(port));
                passes[s].then(head)
            };
            let popped = [0, 1].map(|port| module.outputs.get(port).is_some_and(|s| passes[s.0]));
            machine.step([beat(0), beat(1)], popped, &mut island);
            if machine.overrun() {
                let (module, depth) = (module.name.clone(), module.queue_depth());
                return Err(CycleError::Overrun { cycle, module, depth });
            }
            run.occupancy[m] = run.occupancy[m].max(machine.level());
            if let Machine::Fork(fork) = machine {
                for (most, queue) in run.forks[m].iter_mut().zip(&fork.queues) {
                    *most = (*most).max(queue.level);
                }
            }
            module.inputs.iter().for_each(|s| look.insert(s.0));
            for s in &module.outputs {
                look.insert(s.0);
                if let Some(other) = ends.other[s.0] {
                    look.insert(other);
                }
            }
            if let Some(next) = machine.next(cycle) {
                agenda.at(cycle, m, next);
            }
        }
        agenda.turn(&mut now);
        if passes[0] {
            if at == 0 {
                run.first_in = cycle;
            }
            at += 1;
            offered = false;
        }
        quiet = if any { 0 } else { quiet + 1 };
        // Where neither source nor sink can do anything, nothing happens before the next module wakes.
        let source_next = (!offered && at < source.beats).then(|| due(at).max(cycle + 1));
        island.cycle = if !now.is_empty() || !look.is_empty() || valid[streams - 1] {
            cycle + 1
        } else {
            // If none ever does, it is a deadlock.
            agenda.next().into_iter().chain(source_next).min().unwrap_or_else(|| {
                quiet = options.quiet_cycles + 1;
                cycle + 1
            })
        };
        if quiet > options.quiet_cycles {
            let waiting = (0..streams).find(|&s| valid[s]);
            let stream = waiting.map_or_else(|| "of the source".to_owned(), |s| dataflow.streams[s].name.clone());
            let frames = run.outputs.len() / output.beats();
            return Err(CycleError::Deadlock { cycles: quiet, frames, stream });
        }
    }
    for (waited, since) in run.waited.iter_mut().zip(&waits) {
        *waited += since.map_or(0, |since| island.cycle - since);
    }
    run.cycles = island.cycle;
    run.duration = start.elapsed();
    Ok(run)
}

/// Who writes and who reads each stream: a module and its port; nobody for the pins.
struct Ends {
    writer: Vec<Option<(usize, usize)>>,
    reader: Vec<Option<(usize, usize)>>,
    /// The stream at the reader's other port.
    other: Vec<Option<usize>>,
}

impl Ends {
    fn of(dataflow: &Dataflow) -> Self {
        let none = || vec![None; dataflow.streams.len()];
        let mut ends = Ends { writer: none(), reader: none(), other: vec![None; dataflow.streams.len()] };
        for (m, module) in dataflow.modules.iter().enumerate() {
            for (port, s) in module.outputs.iter().enumerate() {
                ends.writer[s.0] = Some((m, port));
            }
            for (port, s) in module.inputs.iter().enumerate() {
                ends.reader[s.0] = Some((m, port));
                ends.other[s.0] = module.inputs.get(1 - port).map(|s| s.0);
            }
        }
        ends
    }
}

/// The frames as beats of the input stream: stream order, every beat whole.
struct Source {
    values: Vec<i64>,
    lanes: usize,
    beats: usize,
}

impl Source {
    fn new(dataflow: &Dataflow, inputs: ArrayView2<'_, i64>) -> Result<Self, CycleError> {
        let stream = dataflow.input();
        if inputs.ncols() != stream.elements() {
            let (expected, found) = (stream.elements(), inputs.ncols());
            return Err(CycleError::Shape { dataflow: dataflow.top.clone(), expected, found });
        }
        // An input map makes any pattern legal; otherwise the stream's ranges are what the widths were made for.
        let mapped = dataflow.modules.first().is_some_and(|m| matches!(m.kind, Kind::Map(_)));
        let encoding = stream.encoding;
        let per_frame = stream.beats() * stream.lanes;
        let mut values = Vec::with_capacity(inputs.nrows() * per_frame);
        for (frame, row) in inputs.rows().into_iter().enumerate() {
            for beat in 0..stream.beats() {
                let ranges = stream.ranges.iter().skip(beat % stream.vector_beats() * stream.lanes);
                for (element, range) in stream.sources(beat).zip(ranges) {
                    let value = row[element];
                    let carried = encoding.decode(encoding.encode(value)) == value;
                    if !carried || !(mapped || range.contains(value)) {
                        let accepted = format!("it carries {} bits in {range}", encoding.bits);
                        return Err(CycleError::Code { frame, element, value, accepted });
                    }
                    values.push(value);
                }
                // Lanes past the end of a vector carry 0.
                values.resize(frame * per_frame + (beat + 1) * stream.lanes, 0);
            }
        }
        Ok(Source { values, lanes: stream.lanes, beats: inputs.nrows() * stream.beats() })
    }

    /// Leaves beats without lanes, for a run of handshakes alone.
    fn drop_values(&mut self) {
        self.values = Vec::new();
        self.lanes = 0;
    }

    fn beat(&self, index: usize) -> &[i64] {
        &self.values[index * self.lanes..(index + 1) * self.lanes]
    }
}
