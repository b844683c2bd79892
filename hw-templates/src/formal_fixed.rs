//! What the templates of the claims about convolution's fixed modules are filled with.

use serde::Serialize;

use crate::context::template;
use crate::formal::FormalTable;

template!(FixedFormal, "fixed_formal.v.tera");
template!(WindowFormal, "window_formal.v.tera");
template!(UpsampleFormal, "upsample_formal.v.tera");
template!(PoolFormal, "pool_formal.v.tera");
template!(AddFormal, "add_formal.v.tera");
template!(ConcatFormal, "concat_formal.v.tera");

/// `fixed_formal.v.tera`: the frame around the claims of a fixed module.
#[derive(Clone, Debug, Serialize)]
pub struct FixedFormal {
    /// Module name.
    pub module: String,
    /// Name of the instance in the top.
    pub instance: String,
    /// What is claimed, for the comment.
    pub task: String,
    /// The fixed module.
    pub kind: String,
    /// Its parameters, as they stand in Verilog.
    pub parameters: String,
    /// Streams that come in.
    pub inputs: Vec<FormalEntry>,
    /// Streams that go out.
    pub outputs: Vec<FormalExit>,
    /// Ports that the module has for its claims.
    pub wires: Vec<FormalWire>,
    /// Claims of its own: they make `made`, `number` and `entry_known` where it is an island.
    pub body: String,
    /// The way from a credit to the queue, if it has one.
    pub island: Option<FormalIsland>,
}

/// A stream that comes in.
#[derive(Clone, Debug, Serialize)]
pub struct FormalEntry {
    /// Prefix of its ports.
    pub port: &'static str,
    /// Bits of a beat.
    pub bits: usize,
    /// Its watcher.
    pub watch: String,
}

/// A stream that goes out through a queue.
#[derive(Clone, Debug, Serialize)]
pub struct FormalExit {
    /// Prefix of its ports.
    pub port: &'static str,
    /// Bits of a beat.
    pub bits: usize,
    /// Watcher of the queue.
    pub queue: String,
    /// Expression: the queue takes a beat.
    pub put: String,
    /// Number of that beat in its vector.
    pub number: String,
    /// Bits of the number.
    pub number_bits: usize,
    /// Beats of a vector.
    pub beats: usize,
    /// Vectors that leave as one.
    pub vectors: usize,
    /// Bits that count them.
    pub vector_bits: usize,
    /// The queue's level.
    pub level: String,
    /// Whether its chosen beat is inside.
    pub inside: String,
    /// How many leave before it.
    pub ahead: String,
    /// The chosen beat.
    pub chosen: String,
    /// Whether it stands at the exit.
    pub leaves: String,
}

/// A port for claims and the wire tied to it.
#[derive(Clone, Debug, Serialize)]
pub struct FormalWire {
    /// Port.
    pub port: String,
    /// Wire.
    pub name: String,
    /// Bits.
    pub bits: usize,
}

/// The way from a credit to the queue.
#[derive(Clone, Debug, Serialize)]
pub struct FormalIsland {
    /// Cycles.
    pub pipeline: usize,
    /// Beats of a vector that leaves.
    pub beats: usize,
    /// Bits that count them.
    pub number_bits: usize,
    /// Lanes of a beat.
    pub lanes: usize,
    /// Ranges of a vector.
    pub range: String,
    /// Places of the queue.
    pub queue: usize,
    /// Label of the claim of what enters the queue; empty where one proof holds all claims.
    pub lemma: &'static str,
}

/// `window_formal.v.tera`: the claims of a window.
#[derive(Clone, Debug, Serialize)]
pub struct WindowFormal {
    /// Bits of a position.
    pub n: usize,
    /// Places of the buffer.
    pub depth: usize,
    /// Bits of an address.
    pub address_bits: usize,
    /// How often a sum of positions can hold the buffer.
    pub wraps: usize,
    /// Buffers added to what is written but not held, so that it is not negative.
    pub lift_write: usize,
    /// The same for what is read.
    pub lift_read: usize,
    /// Beats of a pixel.
    pub chunks: usize,
    /// Whether a place's chunks follow each other.
    pub chunks_inner: bool,
    /// Pixels of the image.
    pub pixels: usize,
    /// Beats of the image.
    pub frame: usize,
    /// Width of the image.
    pub width: usize,
    /// Beats of a row.
    pub row: usize,
    /// Rows above the image.
    pub pad_y: usize,
    /// Columns left of it.
    pub pad_x: usize,
    /// Its last row, those above counted.
    pub last_y: usize,
    /// Its last column.
    pub last_x: usize,
    /// Rows of a window.
    pub kernel_y: usize,
    /// Columns of a window.
    pub kernel_x: usize,
    /// Rows that a window spans.
    pub span_y: usize,
    /// Columns that it spans.
    pub span_x: usize,
    /// Rows from window to window.
    pub stride_y: usize,
    /// Columns from window to window.
    pub stride_x: usize,
    /// Rows from place to place.
    pub dilation_y: usize,
    /// Columns from place to place.
    pub dilation_x: usize,
    /// Rows of windows.
    pub windows_y: usize,
    /// Windows of a row.
    pub windows_x: usize,
    /// Places of a window.
    pub places: usize,
    /// Beats of a window.
    pub beats: usize,
    /// Bits that count them.
    pub number_bits: usize,
    /// The first row of windows that frees anything.
    pub first_row: usize,
    /// The first window of a row that frees pixels.
    pub first_column: usize,
    /// Beats that a window in the middle of a row frees.
    pub frees_pixel: usize,
    /// Beats that the last window of that first row frees.
    pub frees_first: u64,
    /// The same of later rows.
    pub frees_row: u64,
    /// The same of the image's last window.
    pub frees_last: u64,
    /// Position of the first window's first place, modulo `2^n` as the steps are.
    pub start_first: u64,
    /// From a window to the next of its row.
    pub to_window: u64,
    /// From the last window of a row to the first of the next.
    pub to_window_row: u64,
    /// From a place's last beat to the next place of its row.
    pub to_column: u64,
    /// From the last place of a row to the first of the next.
    pub to_row: u64,
    /// From the last place of all to the next chunk of the first.
    pub to_chunk: u64,
    /// Bits of a beat.
    pub bits: usize,
    /// Lanes of a beat.
    pub lanes: usize,
    /// A beat outside the image.
    pub fill: String,
    /// Ranges of the stream that comes in.
    pub input_range: String,
    /// Bits of the beat number in them.
    pub input_beat_bits: usize,
}

/// `upsample_formal.v.tera`: the claims of an upsampling.
#[derive(Clone, Debug, Serialize)]
pub struct UpsampleFormal {
    /// Bits of a position.
    pub n: usize,
    /// Places of the buffer.
    pub depth: usize,
    /// Bits of an address.
    pub address_bits: usize,
    /// How often a sum of positions can hold the buffer.
    pub wraps: usize,
    /// Beats of a pixel in.
    pub chunks: usize,
    /// Beats of a pixel out.
    pub out_chunks: usize,
    /// Whether pixels go out in parts.
    pub split: bool,
    /// Times a row.
    pub factor_y: usize,
    /// Times a pixel.
    pub factor_x: usize,
    /// Pixels of a row in.
    pub width: usize,
    /// Beats of a row in.
    pub row: usize,
    /// Beats out of a row in.
    pub passes: usize,
    /// Bits that count the beats of a pixel out.
    pub number_bits: usize,
    /// Bits of a beat.
    pub bits: usize,
    /// Lanes of a beat.
    pub lanes: usize,
    /// Ranges of the stream that comes in.
    pub input_range: String,
    /// Bits of the beat number in them.
    pub input_beat_bits: usize,
}

/// `pool_formal.v.tera`: the claims of a pool.
#[derive(Clone, Debug, Serialize)]
pub struct PoolFormal {
    /// Whether the sum, not the largest.
    pub sum: bool,
    /// The same in a word, for the comment.
    pub what: &'static str,
    /// Places of a window.
    pub places: usize,
    /// Bits that count them.
    pub place_bits: usize,
    /// Windows of a vector.
    pub windows: usize,
    /// Bits that count them.
    pub number_bits: usize,
    /// Ranges of the stream that comes in.
    pub input_range: String,
    /// Bits of the beat number in them.
    pub input_beat_bits: usize,
    /// Lanes of a beat.
    pub lanes: usize,
    /// Bits that lose nothing.
    pub wide: usize,
    /// Tables of the intervals.
    pub tables: Vec<FormalTable>,
    /// Lane by lane.
    pub lane_list: Vec<PoolLane>,
}

/// One lane of a pool.
#[derive(Clone, Debug, Serialize)]
pub struct PoolLane {
    /// Element of the beat taken one cycle before.
    pub x: String,
    /// The running value.
    pub y: String,
    /// Its smallest value.
    pub lo: String,
    /// Its largest.
    pub hi: String,
}

/// `add_formal.v.tera`: the claims of a sum of two streams.
#[derive(Clone, Debug, Serialize)]
pub struct AddFormal {
    /// Bits that count the beats of a vector.
    pub number_bits: usize,
    /// Ranges of both streams.
    pub input_ranges: [String; 2],
    /// Hexadecimal digits of the factors at `wide` bits.
    pub factors: [String; 2],
    /// Lanes of a beat.
    pub lanes: usize,
    /// Bits that lose nothing.
    pub wide: usize,
    /// Tables of the intervals.
    pub tables: Vec<FormalTable>,
    /// Lane by lane.
    pub lane_list: Vec<JoinLane>,
}

/// `concat_formal.v.tera`: the claims of a concatenation.
#[derive(Clone, Debug, Serialize)]
pub struct ConcatFormal {
    /// Beats of a pixel of each stream.
    pub beats: [usize; 2],
    /// Bits that count both.
    pub number_bits: usize,
    /// Ranges of a vector that leaves.
    pub range: String,
    /// Lanes of a beat.
    pub lanes: usize,
    /// Bits that lose nothing.
    pub wide: usize,
    /// Lane by lane.
    pub lane_list: Vec<JoinLane>,
}

/// One lane of two streams and their result.
#[derive(Clone, Debug, Serialize)]
pub struct JoinLane {
    /// Element of the first stream.
    pub x0: String,
    /// Element of the second.
    pub x1: String,
    /// The result.
    pub y: String,
    /// Its smallest value; unused where values only pass.
    pub lo: String,
    /// Its largest.
    pub hi: String,
}
