//! What holds beats: queues and width converters, each the mirror of its Verilog.

use generator::dataflow::WidthConverter;

/// Values in a row, taken away from the front a beat at a time.
pub struct Line {
    lanes: usize,
    values: Vec<i64>,
    start: usize,
}

impl Line {
    /// Empty, with beats of so many lanes.
    pub fn new(lanes: usize) -> Self {
        Line { lanes, values: Vec::new(), start: 0 }
    }

    /// The next beat.
    pub fn front(&self) -> &[i64] {
        &self.values[self.start..self.start + self.lanes]
    }

    /// Appends values.
    pub fn push(&mut self, values: impl Iterator<Item = i64>) {
        self.values.extend(values);
    }

    /// Takes the next beat away.
    pub fn pop(&mut self) {
        self.start += self.lanes;
        // Moving what is left to the front now and then keeps beats contiguous at a cost of less than a copy each.
        if self.start >= self.values.len() / 2 && self.start >= 512 {
            self.values.drain(..self.start);
            self.start = 0;
        }
    }
}

/// `snug_fifo`.
pub struct Fifo {
    depth: usize,
    /// Its beats.
    pub data: Line,
    /// How many.
    pub level: usize,
    /// `s_axis_tready`.
    pub ready: bool,
}

impl Fifo {
    /// In its state of reset.
    pub fn new(depth: usize, lanes: usize) -> Self {
        Fifo { depth, data: Line::new(lanes), level: 0, ready: false }
    }

    /// One rising edge.
    pub fn step(&mut self, beat: Option<&[i64]>, popped: bool) {
        if popped {
            self.data.pop();
            self.level -= 1;
        }
        if let Some(beat) = beat {
            self.data.push(beat.iter().copied());
            self.level += 1;
        }
        self.ready = self.level < self.depth;
    }
}

/// `snug_width_converter`.
pub struct Converter {
    unit: usize,
    input_lanes: usize,
    input_units: usize,
    last_units: usize,
    last_lanes: usize,
    beats: usize,
    output_units: usize,
    room: usize,
    /// What is held.
    pub data: Line,
    /// Units held.
    pub level: usize,
    beat: usize,
    /// `s_axis_tready`.
    pub ready: bool,
    /// `m_axis_tvalid`.
    pub valid: bool,
}

impl Converter {
    /// In its state of reset.
    pub fn new(w: &WidthConverter, input_lanes: usize, output_lanes: usize) -> Self {
        let largest = w.input_units.max(w.last_units);
        Converter {
            // Without lanes a unit holds nothing.
            unit: if input_lanes == 0 { 0 } else { w.unit },
            input_lanes,
            input_units: w.input_units,
            last_units: w.last_units,
            last_lanes: w.last_lanes.min(input_lanes),
            beats: w.beats,
            output_units: w.output_units,
            room: w.capacity - largest,
            data: Line::new(output_lanes),
            level: 0,
            beat: 0,
            ready: false,
            valid: false,
        }
    }

    /// One rising edge.
    pub fn step(&mut self, beat: Option<&[i64]>, popped: bool) {
        if popped {
            self.data.pop();
            self.level -= self.output_units;
        }
        if let Some(beat) = beat {
            let last = self.beat == self.beats - 1;
            let (units, lanes) =
                if last { (self.last_units, self.last_lanes) } else { (self.input_units, self.input_lanes) };
            let padding = std::iter::repeat_n(0, units * self.unit - lanes);
            self.data.push(beat[..lanes].iter().copied().chain(padding));
            self.level += units;
            self.beat = if last { 0 } else { self.beat + 1 };
        }
        self.ready = self.level <= self.room;
        self.valid = self.level >= self.output_units;
    }
}
