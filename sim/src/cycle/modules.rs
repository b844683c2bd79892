//! The modules' state machines, each the mirror of its Verilog: what is a register there is a field here.

use std::collections::VecDeque;

use generator::dataflow::{
    Dataflow, Encoding, Kind, LabelSelect, Map, MapFunction, MatrixVector, Module, Stream, sign_extend,
};

use super::Trap;
use super::arithmetic::Arithmetic;
use super::image;
use super::queues::{Converter, Fifo, Line};

/// What all modules see of the run.
pub struct Island<'a> {
    /// Clock cycle.
    pub cycle: u64,
    /// Overflows, the first thousand.
    pub traps: &'a mut Vec<Trap>,
    /// All overflows.
    pub trapped: &'a mut u64,
}

/// How many overflows are kept with their circumstances.
const TRAPS_KEPT: usize = 1000;

/// A module.
pub enum Machine<'a> {
    /// Sequencer, pipeline, exit queue.
    Pipeline(Box<Pipeline<'a>>),
    /// Width converter.
    Converter(Converter),
    /// Queue.
    Fifo(Fifo),
    /// Windows of an image.
    Window(Box<image::Window>),
    /// Rows and pixels several times.
    Upsample(Box<image::Upsample>),
    /// One stream for two readers.
    Fork(Box<image::Fork>),
    /// Sum of two streams.
    Add(Box<image::Add>),
    /// Two streams in turns.
    Concat(Box<image::Concat>),
}

impl<'a> Machine<'a> {
    /// In its state of reset. Without values beats have no lanes: only handshakes move.
    pub fn new(dataflow: &'a Dataflow, module: &'a Module, values: bool) -> Self {
        let (input, output) = (dataflow.stream(module.input()), dataflow.stream(module.output()));
        let [taken, made] = [input, output].map(|s| if values { s.lanes } else { 0 });
        let pipeline = |work, folds| Machine::Pipeline(Box::new(Pipeline::new(module, work, folds, made)));
        match &module.kind {
            Kind::WidthConverter(w) => Machine::Converter(Converter::new(w, taken, made)),
            Kind::Fifo(f) => Machine::Fifo(Fifo::new(f.depth, taken)),
            Kind::MatrixVector(unit) if !values => pipeline(Work::Tokens, Folds::of(unit)),
            Kind::Map(_) if !values => pipeline(Work::Tokens, Folds::once(1)),
            Kind::LabelSelect(_) if !values => pipeline(Work::Tokens, Folds::once(input.beats())),
            Kind::Pool(pool) if !values => pipeline(Work::Tokens, Folds::once(pool.beats)),
            Kind::MatrixVector(unit) => {
                let arithmetic = Box::new(Arithmetic::new(unit, input));
                let work = Work::MatrixVector { unit, arithmetic };
                pipeline(work, Folds::of(unit))
            }
            Kind::Map(map) => pipeline(Work::Map { table: MapTable::new(map, input), beat: 0 }, Folds::once(1)),
            Kind::LabelSelect(select) => {
                pipeline(Work::LabelSelect { select, values: Vec::new() }, Folds::once(input.beats()))
            }
            Kind::Pool(pool) => {
                let work = Work::Pool { sum: pool.sum, values: Vec::new(), encoding: output.encoding };
                pipeline(work, Folds::once(pool.beats))
            }
            Kind::Window(w) => Machine::Window(Box::new(image::Window::new(w, taken))),
            Kind::Upsample(u) => Machine::Upsample(Box::new(image::Upsample::new(u, taken))),
            Kind::Fork(f) => Machine::Fork(Box::new(image::Fork::new(f, taken))),
            Kind::Add(a) => Machine::Add(Box::new(image::Add::new(a, output.encoding, made))),
            Kind::Concat(c) => Machine::Concat(Box::new(image::Concat::new(c, made))),
        }
    }

    /// `tvalid` of an output port.
    pub fn valid(&self, port: usize) -> bool {
        match self {
            Machine::Pipeline(p) => p.level > 0,
            Machine::Converter(c) => c.valid,
            Machine::Fifo(f) => f.level > 0,
            Machine::Window(w) => w.exit().level > 0,
            Machine::Upsample(u) => u.exit().level > 0,
            Machine::Fork(f) => f.queues[port].level > 0,
            Machine::Add(a) => a.exit().level > 0,
            Machine::Concat(c) => c.queue.level > 0,
        }
    }

    /// `tready` of an input port; `other` is the `tvalid` of the other one.
    pub fn ready(&self, port: usize, other: bool) -> bool {
        match self {
            Machine::Pipeline(p) => p.available && p.pass() == 0,
            Machine::Converter(c) => c.ready,
            Machine::Fifo(f) => f.ready,
            Machine::Window(w) => w.ready(),
            Machine::Upsample(u) => u.ready(),
            Machine::Fork(f) => f.queues.iter().all(|q| q.ready),
            Machine::Add(a) => a.exit().available && other,
            Machine::Concat(c) => c.ready(port),
        }
    }

    /// The beat on an output port.
    pub fn head(&self, port: usize) -> &[i64] {
        match self {
            Machine::Pipeline(p) => p.data.front(),
            Machine::Converter(c) => c.data.front(),
            Machine::Fifo(f) => f.data.front(),
            Machine::Window(w) => w.exit().data.front(),
            Machine::Upsample(u) => u.exit().data.front(),
            Machine::Fork(f) => f.queues[port].data.front(),
            Machine::Add(a) => a.exit().data.front(),
            Machine::Concat(c) => c.queue.data.front(),
        }
    }

    /// One rising edge: the beat taken at each input port, and whether the beat at each output port was taken.
    pub fn step(&mut self, beats: [Option<&[i64]>; 2], popped: [bool; 2], island: &mut Island) {
        match self {
            Machine::Pipeline(p) => p.step(beats[0], popped[0], island),
            Machine::Converter(c) => c.step(beats[0], popped[0]),
            Machine::Fifo(f) => f.step(beats[0], popped[0]),
            Machine::Window(w) => w.step(island.cycle, beats[0], popped[0]),
            Machine::Upsample(u) => u.step(island.cycle, beats[0], popped[0]),
            Machine::Fork(f) => f.step(beats[0], popped),
            Machine::Add(a) => a.step(island.cycle, beats, popped[0]),
            Machine::Concat(c) => c.step(beats, popped[0]),
        }
    }

    /// Beats in the exit queue, or units in a converter.
    pub fn level(&self) -> usize {
        match self {
            Machine::Pipeline(p) => p.level,
            Machine::Converter(c) => c.level,
            Machine::Fifo(f) => f.level,
            Machine::Window(w) => w.exit().level,
            Machine::Upsample(u) => u.exit().level,
            Machine::Fork(f) => f.queues.iter().map(|q| q.level).max().unwrap_or(0),
            Machine::Add(a) => a.exit().level,
            Machine::Concat(c) => c.queue.level,
        }
    }

    /// The cycle after `cycle` in which the module changes by itself, if no beat passes at its ports before.
    pub fn next(&self, cycle: u64) -> Option<u64> {
        match self {
            Machine::Pipeline(p) => p.next(cycle),
            Machine::Window(w) => w.next(cycle),
            Machine::Upsample(u) => u.next(cycle),
            Machine::Add(a) => a.exit().next(),
            Machine::Converter(_) | Machine::Fifo(_) | Machine::Fork(_) | Machine::Concat(_) => None,
        }
    }

    /// Whether the exit queue was written while full.
    pub fn overrun(&self) -> bool {
        match self {
            Machine::Pipeline(p) => p.overrun,
            Machine::Window(w) => w.exit().overrun,
            Machine::Upsample(u) => u.exit().overrun,
            Machine::Add(a) => a.exit().overrun,
            // Their queues take nothing while they are full.
            Machine::Converter(_) | Machine::Fifo(_) | Machine::Fork(_) | Machine::Concat(_) => false,
        }
    }
}

/// What a sequencer walks through.
#[derive(Clone, Copy)]
struct Folds {
    neuron: usize,
    synapse: usize,
    /// Neuron folds that go over the same part of the vector.
    passes: usize,
}

impl Folds {
    fn of(unit: &MatrixVector) -> Self {
        Folds { neuron: unit.neuron_folds, synapse: unit.synapse_folds, passes: unit.passes() }
    }

    /// Every beat once, one beat out for so many.
    fn once(beats: usize) -> Self {
        Folds { neuron: 1, synapse: beats, passes: 1 }
    }
}

/// `snug_sequencer`, a fixed-latency pipeline and `snug_fifo`.
pub struct Pipeline<'a> {
    module: &'a Module,
    work: Work<'a>,
    folds: Folds,
    latency: u64,
    // Sequencer.
    neuron: usize,
    synapse: usize,
    credits: usize,
    available: bool,
    /// A credit on its way back, where that takes a register.
    returning: bool,
    // Beats on their way to the queue (their due cycles), then those in it: `level` of them, the oldest first.
    due: VecDeque<u64>,
    data: Line,
    level: usize,
    overrun: bool,
    frame: u64,
    /// The cycle of the last step.
    stepped: u64,
}

/// What the pipeline computes.
enum Work<'a> {
    /// Nothing: beats without lanes.
    Tokens,
    MatrixVector {
        unit: &'a MatrixVector,
        arithmetic: Box<Arithmetic<'a>>,
    },
    Map {
        table: MapTable<'a>,
        beat: usize,
    },
    LabelSelect {
        select: &'a LabelSelect,
        values: Vec<i64>,
    },
    Pool {
        sum: bool,
        values: Vec<i64>,
        encoding: Encoding,
    },
}

impl<'a> Pipeline<'a> {
    fn new(module: &'a Module, work: Work<'a>, folds: Folds, lanes: usize) -> Self {
        let credits = module.queue_depth();
        let latency = module.pipeline() as u64;
        Pipeline {
            module,
            work,
            folds,
            latency,
            neuron: 0,
            synapse: 0,
            credits,
            available: false,
            returning: false,
            due: VecDeque::new(),
            data: Line::new(lanes),
            level: 0,
            overrun: false,
            frame: 0,
            stepped: 0,
        }
    }

    /// How often the part of the vector has been gone through.
    fn pass(&self) -> usize {
        self.neuron % self.folds.passes
    }

    /// The next beat that arrives at the queue, or the end of the neuron fold that is gone through again.
    fn next(&self, cycle: u64) -> Option<u64> {
        let end = (self.available && self.pass() != 0).then(|| cycle + (self.folds.synapse - self.synapse) as u64);
        let due = self.due.front().copied();
        let back = self.returning.then_some(cycle + 1);
        end.into_iter().chain(due).chain(back).min()
    }

    fn step(&mut self, beat: Option<&[i64]>, popped: bool, island: &mut Island) {
        let replay = self.available && self.pass() != 0;
        if replay {
            // Folds since the last step: none of them was its neuron fold's last, see `next`.
            self.synapse += (island.cycle - self.stepped).saturating_sub(1) as usize;
        }
        self.stepped = island.cycle;
        let fire = beat.is_some() || replay;
        let due = self.due.front() == Some(&island.cycle);
        // Nothing comes, goes or arrives: all registers keep their values.
        if !(fire || popped || due || self.returning) {
            self.available = self.credits > 0;
            return;
        }
        let last = self.synapse == self.folds.synapse - 1;
        if let Some(beat) = beat {
            self.take(beat);
        }
        // The queue: the beat that left, then the one whose due cycle this is.
        let depth = self.module.queue_depth();
        if popped {
            self.data.pop();
        }
        let room = self.level < depth;
        self.level -= usize::from(popped);
        if due {
            self.due.pop_front();
            self.level += 1;
            self.overrun |= !room;
        }
        if fire && last {
            self.produce(island);
            self.due.push_back(island.cycle + self.latency);
        }
        // Credits as in snug_credit.
        let taken = fire && last;
        let give = if self.module.credit_late() { std::mem::replace(&mut self.returning, popped) } else { popped };
        let given = give && self.credits != depth;
        self.credits = self.credits + usize::from(given) - usize::from(taken);
        self.available = self.credits > 0;
        if fire {
            self.synapse += 1;
            if last {
                self.synapse = 0;
                self.neuron += 1;
                if self.neuron == self.folds.neuron {
                    self.neuron = 0;
                    self.frame += 1;
                }
            }
        }
    }

    /// Keeps a beat of the vector.
    fn take(&mut self, beat: &[i64]) {
        match &mut self.work {
            Work::Tokens => {}
            Work::MatrixVector { arithmetic, .. } => arithmetic.load(self.synapse, beat),
            Work::Map { table, beat: at } => {
                match table.map.select.get(*at % table.map.select.len().max(1)) {
                    None => self.data.push(beat.iter().map(|&code| table.code(0, code))),
                    Some(select) => {
                        let which = |lane: usize| select.get(lane).copied().unwrap_or(0);
                        self.data.push(beat.iter().enumerate().map(|(lane, &code)| table.code(which(lane), code)));
                    }
                }
                *at += 1;
            }
            Work::LabelSelect { values, .. } => {
                if self.synapse == 0 {
                    values.clear();
                }
                values.extend_from_slice(beat);
            }
            Work::Pool { sum, values, .. } => {
                if self.synapse == 0 {
                    values.clear();
                    values.extend_from_slice(beat);
                } else {
                    for (value, &x) in values.iter_mut().zip(beat) {
                        *value = if *sum { *value + x } else { x.max(*value) };
                    }
                }
            }
        }
    }

    /// Computes the beat that the fold makes.
    fn produce(&mut self, island: &mut Island) {
        let (cycle, frame, module) = (island.cycle, self.frame, self.module);
        match &mut self.work {
            Work::MatrixVector { unit, arithmetic } => {
                let (sums, overflows) = arithmetic.sum(self.neuron);
                for o in overflows {
                    // A lane without a row computes something that nobody reads.
                    let Some(row) = unit.pes[o.pe].rows[self.neuron] else { continue };
                    *island.trapped += 1;
                    if island.traps.len() < TRAPS_KEPT {
                        island.traps.push(Trap {
                            cycle,
                            frame,
                            module: module.name.clone(),
                            layer: module.layer.clone(),
                            pe: o.pe,
                            row,
                            fold: o.fold,
                            register: o.node.map_or_else(|| "accumulator".into(), |n| format!("adder tree node {n}")),
                            value: o.value,
                            bits: o.bits,
                            became: o.became,
                        });
                    }
                }
                self.data.push(unit.pes.iter().zip(sums).map(|(pe, &value)| match unit.search {
                    Some(search) => search.apply(&pe.words[self.neuron], value),
                    None => value,
                }));
            }
            Work::Map { .. } | Work::Tokens => {}
            // What the wires hold of it.
            Work::Pool { values, encoding, .. } => {
                self.data.push(values.iter().map(|&v| encoding.decode(encoding.encode(v))));
            }
            Work::LabelSelect { select, values } => {
                let value = |i: usize| {
                    let value = select.multiplier[i] * values[i] + select.offset[i];
                    sign_extend(value as u64, select.value_bits)
                };
                let best =
                    (1..select.multiplier.len()).fold(0, |best, i| if value(i) > value(best) { i } else { best });
                self.data.push(std::iter::once(best as i64));
            }
        }
    }
}

/// Patterns up to this many bits are looked up.
const TABLE_BITS: u32 = 12;

/// A map with its results for every pattern, where there are few.
struct MapTable<'a> {
    map: &'a Map,
    input: &'a Stream,
    /// `[function][pattern]`, or empty.
    codes: Vec<i64>,
}

impl<'a> MapTable<'a> {
    fn new(map: &'a Map, input: &'a Stream) -> Self {
        let functions = match &map.function {
            MapFunction::Clamp => 1,
            MapFunction::Table(tables) => tables.len(),
            MapFunction::Search { channels, .. } => channels.len(),
        };
        let patterns = 1u64 << input.encoding.bits.min(TABLE_BITS);
        let codes = if input.encoding.bits <= TABLE_BITS {
            (0..functions).flat_map(|f| (0..patterns).map(move |p| map.apply(input.encoding, f, p))).collect()
        } else {
            Vec::new()
        };
        MapTable { map, input, codes }
    }

    fn code(&self, which: usize, code: i64) -> i64 {
        let pattern = self.input.encoding.encode(code);
        match self.codes.get((which << self.input.encoding.bits.min(TABLE_BITS)) + pattern as usize) {
            Some(&code) => code,
            None => self.map.apply(self.input.encoding, which, pattern),
        }
    }
}
