//! State machines of windows, upsampling, forks and joins, each the mirror of its Verilog.

use std::collections::VecDeque;

use generator::dataflow::{self, Encoding};

use super::queues::{Fifo, Line};

/// `snug_credit`, a pipeline of fixed latency, and `snug_fifo`.
pub struct Exit {
    depth: usize,
    latency: u64,
    credits: usize,
    /// A credit is left.
    pub available: bool,
    due: VecDeque<u64>,
    /// Beats in the queue, the oldest first, and behind them those on their way.
    pub data: Line,
    /// Beats in the queue.
    pub level: usize,
    /// Written while full.
    pub overrun: bool,
}

impl Exit {
    fn new(depth: usize, latency: u64, lanes: usize) -> Self {
        Exit {
            depth,
            latency,
            credits: depth,
            available: false,
            due: VecDeque::new(),
            data: Line::new(lanes),
            level: 0,
            overrun: false,
        }
    }

    /// When the next beat arrives at the queue.
    pub fn next(&self) -> Option<u64> {
        self.due.front().copied()
    }

    /// One rising edge: whether a beat entered the pipeline (its values are in `data` already), whether one left the queue.
    fn step(&mut self, cycle: u64, entered: bool, popped: bool) {
        if popped {
            self.data.pop();
        }
        let room = self.level < self.depth;
        self.level -= usize::from(popped);
        if self.due.front() == Some(&cycle) {
            self.due.pop_front();
            self.level += 1;
            self.overrun |= !room;
        }
        if entered {
            self.due.push_back(cycle + self.latency);
        }
        let given = popped && self.credits != self.depth;
        self.credits = self.credits + usize::from(given) - usize::from(entered);
        self.available = self.credits > 0;
    }
}

/// `snug_window`.
pub struct Window {
    unit: dataflow::Window,
    fill: Vec<i64>,
    /// Row, column and chunk of each beat, relative to the window's first place.
    taps: Vec<(usize, usize, usize)>,
    /// Beats of the image that each window needs, and frees.
    needed: Vec<usize>,
    freed: Vec<usize>,
    buffer: Vec<i64>,
    lanes: usize,
    /// Beats written, and of frames that have been read whole.
    written: usize,
    done: usize,
    free: usize,
    ready: bool,
    window: usize,
    beat: usize,
    exit: Exit,
}

impl Window {
    /// In its state of reset.
    pub fn new(unit: &dataflow::Window, lanes: usize) -> Self {
        let windows = || (0..unit.windows[0]).flat_map(|y| (0..unit.windows[1]).map(move |x| (y, x)));
        let [kernel_y, kernel_x] = unit.window.kernel;
        let places = kernel_y * kernel_x;
        let tap = |beat: usize| {
            let (place, chunk) = if unit.chunks_inner {
                (beat / unit.chunks, beat % unit.chunks)
            } else {
                (beat % places, beat / places)
            };
            (place / kernel_x * unit.window.dilation[0], place % kernel_x * unit.window.dilation[1], chunk)
        };
        Window {
            fill: vec![unit.fill; lanes],
            taps: (0..unit.beats()).map(tap).collect(),
            needed: windows().map(|(y, x)| unit.needed(y, x)).collect(),
            freed: windows().map(|(y, x)| unit.freed(y, x)).collect(),
            buffer: vec![0; unit.depth * lanes],
            lanes,
            written: 0,
            done: 0,
            free: unit.depth,
            ready: false,
            window: 0,
            beat: 0,
            exit: Exit::new(unit.queue_depth, 1, lanes),
            unit: unit.clone(),
        }
    }

    /// `s_axis_tready`.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// The exit queue.
    pub fn exit(&self) -> &Exit {
        &self.exit
    }

    /// The next cycle in which it changes by itself.
    pub fn next(&self, cycle: u64) -> Option<u64> {
        if self.fires() { Some(cycle + 1) } else { self.exit.next() }
    }

    fn fires(&self) -> bool {
        self.exit.available && self.written - self.done >= self.needed[self.window]
    }

    /// One rising edge.
    pub fn step(&mut self, cycle: u64, beat: Option<&[i64]>, popped: bool) {
        let fire = self.fires();
        let mut freed = 0;
        if fire {
            let ([stride_y, stride_x], [pad_y, pad_x]) = (self.unit.window.stride, self.unit.window.pad_begin);
            let (dy, dx, chunk) = self.taps[self.beat];
            let (row, column) = (self.window / self.unit.windows[1], self.window % self.unit.windows[1]);
            // Above or left of the image the difference wraps to a large number.
            let (y, x) = ((row * stride_y + dy).wrapping_sub(pad_y), (column * stride_x + dx).wrapping_sub(pad_x));
            if y < self.unit.image[0] && x < self.unit.image[1] {
                let at = (self.done + (y * self.unit.image[1] + x) * self.unit.chunks + chunk) % self.unit.depth;
                self.exit.data.push(self.buffer[at * self.lanes..(at + 1) * self.lanes].iter().copied());
            } else {
                self.exit.data.push(self.fill.iter().copied());
            }
            self.beat += 1;
            if self.beat == self.taps.len() {
                self.beat = 0;
                freed = self.freed[self.window];
                self.window += 1;
                if self.window == self.needed.len() {
                    self.window = 0;
                    self.done += self.unit.frame();
                }
            }
        }
        if let Some(beat) = beat {
            let at = self.written % self.unit.depth;
            self.buffer[at * self.lanes..(at + 1) * self.lanes].copy_from_slice(&beat[..self.lanes]);
            self.written += 1;
        }
        self.free = self.free + freed - usize::from(beat.is_some());
        self.ready = self.free > 0;
        self.exit.step(cycle, fire, popped);
    }
}

/// `snug_upsample`.
pub struct Upsample {
    unit: dataflow::Upsample,
    buffer: Vec<i64>,
    lanes: usize,
    /// Beats written, and of rows that have been read whole.
    written: usize,
    done: usize,
    ready: bool,
    /// Which pass over the row, pixel, part or repetition of the pixel, chunk.
    at: [usize; 4],
    exit: Exit,
}

impl Upsample {
    /// In its state of reset.
    pub fn new(unit: &dataflow::Upsample, lanes: usize) -> Self {
        Upsample {
            buffer: vec![0; unit.depth * lanes],
            lanes,
            written: 0,
            done: 0,
            ready: false,
            at: [0; 4],
            exit: Exit::new(unit.queue_depth, 1, lanes),
            unit: unit.clone(),
        }
    }

    /// `s_axis_tready`.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// The exit queue.
    pub fn exit(&self) -> &Exit {
        &self.exit
    }

    /// The next cycle in which it changes by itself.
    pub fn next(&self, cycle: u64) -> Option<u64> {
        if self.fires() { Some(cycle + 1) } else { self.exit.next() }
    }

    fn fires(&self) -> bool {
        self.exit.available && self.written - self.done >= (self.at[1] + 1) * self.unit.chunks
    }

    /// One rising edge.
    pub fn step(&mut self, cycle: u64, beat: Option<&[i64]>, popped: bool) {
        let [pass, pixel, part, chunk] = self.at;
        let (chunks, out) = (self.unit.chunks, self.unit.out_chunks());
        let fire = self.fires();
        if fire {
            let within = if self.unit.split { (pass * self.unit.factor[1] + part) * out + chunk } else { chunk };
            let at = (self.done + pixel * chunks + within) % self.unit.depth;
            self.exit.data.push(self.buffer[at * self.lanes..(at + 1) * self.lanes].iter().copied());
            let limits = [self.unit.factor[0], self.unit.width, self.unit.factor[1], out];
            let mut level = 3;
            loop {
                self.at[level] += 1;
                if self.at[level] < limits[level] {
                    break;
                }
                self.at[level] = 0;
                if level == 0 {
                    self.done += self.unit.width * chunks;
                    break;
                }
                level -= 1;
            }
        }
        if let Some(beat) = beat {
            let at = self.written % self.unit.depth;
            self.buffer[at * self.lanes..(at + 1) * self.lanes].copy_from_slice(&beat[..self.lanes]);
            self.written += 1;
        }
        self.ready = self.written - self.done < self.unit.depth;
        self.exit.step(cycle, fire, popped);
    }
}

/// `snug_fork`.
pub struct Fork {
    /// The readers' queues.
    pub queues: [Fifo; 2],
}

impl Fork {
    /// In its state of reset.
    pub fn new(unit: &dataflow::Fork, lanes: usize) -> Self {
        Fork { queues: unit.depths.map(|depth| Fifo::new(depth, lanes)) }
    }

    /// One rising edge.
    pub fn step(&mut self, beat: Option<&[i64]>, popped: [bool; 2]) {
        for (queue, popped) in self.queues.iter_mut().zip(popped) {
            queue.step(beat, popped);
        }
    }
}

/// `snug_add`.
pub struct Add {
    factors: [i64; 2],
    encoding: Encoding,
    exit: Exit,
}

impl Add {
    /// In its state of reset.
    pub fn new(unit: &dataflow::Add, encoding: Encoding, lanes: usize) -> Self {
        Add { factors: unit.factors, encoding, exit: Exit::new(unit.queue_depth, 2, lanes) }
    }

    /// The exit queue.
    pub fn exit(&self) -> &Exit {
        &self.exit
    }

    /// One rising edge.
    pub fn step(&mut self, cycle: u64, beats: [Option<&[i64]>; 2], popped: bool) {
        let entered = match beats {
            [Some(a), Some(b)] => {
                let sum = |(&a, &b): (&i64, &i64)| {
                    let value = self.factors[0].wrapping_mul(a).wrapping_add(self.factors[1].wrapping_mul(b));
                    // What the wires hold of it.
                    self.encoding.decode(self.encoding.encode(value))
                };
                self.exit.data.push(a.iter().zip(b).map(sum));
                true
            }
            _ => false,
        };
        self.exit.step(cycle, entered, popped);
    }
}

/// `snug_concat`.
pub struct Concat {
    beats: [usize; 2],
    beat: usize,
    /// Its queue.
    pub queue: Fifo,
}

impl Concat {
    /// In its state of reset.
    pub fn new(unit: &dataflow::Concat, lanes: usize) -> Self {
        Concat { beats: unit.beats, beat: 0, queue: Fifo::new(dataflow::Concat::QUEUE, lanes) }
    }

    /// `tready` of a port.
    pub fn ready(&self, port: usize) -> bool {
        self.queue.ready && port == usize::from(self.beat >= self.beats[0])
    }

    /// One rising edge.
    pub fn step(&mut self, beats: [Option<&[i64]>; 2], popped: bool) {
        let beat = beats[0].or(beats[1]);
        if beat.is_some() {
            self.beat = (self.beat + 1) % (self.beats[0] + self.beats[1]);
        }
        self.queue.step(beat, popped);
    }
}
