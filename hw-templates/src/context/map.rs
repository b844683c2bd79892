//! Maps: a function of each code of a stream.

use serde::Serialize;

use super::{Direction, Stage, Word, template};

template!(Map, "map.v.tera");
template!(MapLane, "map_lane.v.tera");

/// `map.v.tera`: the input map.
#[derive(Clone, Debug, Serialize)]
pub struct Map {
    /// Module name.
    pub module: String,
    /// Whether it reads the pins, where illegal codes can come and are reported.
    pub pins: bool,
    /// What it does, for the comment.
    pub task: String,
    /// Cycles from a beat in to the queue.
    pub pipeline: usize,
    /// Bits of a beat in.
    pub s_bits: usize,
    /// Type of a lane in.
    pub s_type: String,
    /// Bits of a beat out.
    pub m_bits: usize,
    /// Type of a lane out.
    pub m_type: String,
    /// Lanes.
    pub lanes: usize,
    /// Places of the exit queue.
    pub queue: usize,
    /// Which function each lane uses, if that depends on the position.
    pub select: Option<Select>,
    /// Module of one lane.
    pub lane_module: String,
    /// Bit ranges of each lane.
    pub lane_ports: Vec<LanePorts>,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
}

/// The memory that says which function a lane uses.
#[derive(Clone, Debug, Serialize)]
pub struct Select {
    /// Bits of the beat counter.
    pub beat_bits: usize,
    /// Last beat of a frame.
    pub last: usize,
    /// Bits of a word.
    pub bits: usize,
    /// Words as hexadecimal digits.
    pub words: Vec<String>,
}

/// Bit ranges (`high:low`) of one lane of a map.
#[derive(Clone, Debug, Serialize)]
pub struct LanePorts {
    /// In the select word.
    pub select: String,
    /// In the beat in.
    pub x: String,
    /// In the beat out.
    pub y: String,
}

/// `map_lane.v.tera`: one lane of the input map.
#[derive(Clone, Debug, Serialize)]
pub struct MapLane {
    /// Module name.
    pub module: String,
    /// What it does, for the comment.
    pub task: String,
    /// Cycles from x to y.
    pub latency: usize,
    /// Bits that name the function; 0 if there is one.
    pub index_bits: usize,
    /// Bits of a code in.
    pub x_bits: usize,
    /// Bits of a code out.
    pub y_bits: usize,
    /// Whether `x` is excluded by its type.
    pub illegal: String,
    /// The clamped code, or empty.
    pub clamp: String,
    /// The table, if it is one.
    pub table: Option<Table>,
    /// Search stages, if it is a search.
    pub stages: Vec<Stage>,
    /// Bits of a search word.
    pub word_bits: usize,
    /// The code at word width.
    pub value: String,
    /// Which functions fall, where some do and some do not.
    pub direction: Option<Direction>,
    /// Result of the search.
    pub y: String,
}

/// A table of codes.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Address expression.
    pub address: String,
    /// Bits of the address.
    pub address_bits: usize,
    /// Codes.
    pub words: Vec<Word>,
}
