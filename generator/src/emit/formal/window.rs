//! The claims of the modules with a buffer of rows: windows and upsampling.

use hw_templates::{UpsampleFormal, WindowFormal};

use super::{beat_bits, range_module};
use crate::dataflow::{Stream, Upsample, Window, mask};
use crate::emit::expression::counter_bits;
use crate::emit::fixed::repeated;

/// What a window shows for its claims: names and bits, 0 for those of a beat.
pub const WINDOW_WIRES: [(&str, usize); 23] = [
    ("fire", 1),
    ("window_end", 1),
    ("write", 32),
    ("write_chunk", 32),
    ("write_y", 32),
    ("write_x", 32),
    ("ahead_frames", 32),
    ("free", 32),
    ("out_y", 32),
    ("out_x", 32),
    ("tap_y", 32),
    ("tap_x", 32),
    ("chunk", 32),
    ("y", 32),
    ("x", 32),
    ("need_y", 32),
    ("need_x", 32),
    ("window_y", 32),
    ("window_x", 32),
    ("window", 32),
    ("read", 32),
    ("address", 32),
    ("word", 0),
];

/// The same of an upsampling.
pub const UPSAMPLE_WIRES: [(&str, usize); 11] = [
    ("fire", 1),
    ("write", 32),
    ("read", 32),
    ("held", 32),
    ("need", 32),
    ("chunk", 32),
    ("sub_x", 32),
    ("pixel", 32),
    ("sub_y", 32),
    ("address", 32),
    ("word", 0),
];

/// Beats of the image that are freed, and that are there for sure, around each window.
struct Bounds {
    /// Most that are freed and have not come.
    over: i64,
    /// Least and most from the first beat held to a window's first place.
    start: (i64, i64),
    /// Most that one window frees.
    frees: i64,
    /// Freed by the last window of the first row that frees anything, of a later row, and of the image.
    ends: [i64; 3],
}

fn bounds(w: &Window, first: [usize; 2]) -> Bounds {
    let row = (w.image[1] * w.chunks) as i64;
    let chunks = w.chunks as i64;
    let at = |v: usize, a: usize| (v * w.window.stride[a]) as i64 - w.window.pad_begin[a] as i64;
    let freed = |y: usize, x: usize| {
        let rows = if y > first[0] { at(y, 0) * row } else { 0 };
        let pixels = if y >= first[0] && x > first[1] { (x - first[1]) * w.window.stride[1] * w.chunks } else { 0 };
        rows + pixels as i64
    };
    let mut found = Bounds { over: 0, start: (0, 0), frees: 0, ends: [0; 3] };
    for y in 0..w.windows[0] {
        for x in 0..w.windows[1] {
            let now = freed(y, x);
            let next = match (y + 1 == w.windows[0], x + 1 == w.windows[1]) {
                (true, true) => w.frame() as i64,
                (false, true) => freed(y + 1, 0),
                _ => freed(y, x + 1),
            };
            match (y + 1 == w.windows[0], x + 1 == w.windows[1]) {
                (true, true) => found.ends[2] = next - now,
                (false, true) if y == first[0] => found.ends[0] = next - now,
                (false, true) if y > first[0] => found.ends[1] = next - now,
                _ => {}
            }
            let start = at(y, 0) * row + at(x, 1) * chunks - now;
            found.over = found.over.max(next - w.needed(y, x) as i64);
            found.frees = found.frees.max(next - now);
            found.start = (found.start.0.min(start), found.start.1.max(start));
        }
    }
    found
}

/// The context of the claims of a window. Its geometry is taken from the network's window, not from the module's parameters.
pub fn window(top: &str, w: &Window, input: &Stream) -> WindowFormal {
    let Window { window, image, windows, chunks, depth, .. } = w;
    let (pad, span) = (window.pad_begin, window.span());
    let row = image[1] * chunks;
    // Rows of windows that lie above the image free nothing; where all do, all is freed with the last.
    let above = pad[0] / window.stride[0];
    let first_row = above.min(windows[0] - 1);
    let left = if above > first_row { windows[1] - 1 } else { pad[1].div_ceil(window.stride[1]) };
    let first_column = left.min(windows[1] - 1);
    let bounds = bounds(w, [first_row, first_column]);
    let size = *depth as i64;
    let lift = |below: i64| (below.max(0) + size - 1) / size * size;
    let (lift_write, lift_read) = (lift(bounds.over), lift(-bounds.start.0));
    let reach = bounds.start.1 + ((span[0] - 1) * row + span[1] * chunks) as i64;
    let largest = (size + size + lift_write).max(size + reach + lift_read).max(size + bounds.frees);
    let positions = (4 * w.frame() + 2 * (windows[0] * window.stride[0] + span[0]) * row) as i64 + largest;
    let n = counter_bits(positions.unsigned_abs() as usize) + 1;
    let modulo = |v: usize, less: usize| v.wrapping_sub(less) as u64 & mask(n as u32);
    let back = if w.chunks_inner { chunks - 1 } else { 0 };
    let (columns, rows) = (window.dilation[1] * chunks, window.dilation[0] * row);
    let (wide, high) = ((window.kernel[1] - 1) * columns, (window.kernel[0] - 1) * rows);
    let sideways = window.stride[1] * chunks;
    WindowFormal {
        n,
        frees_pixel: sideways,
        frees_first: bounds.ends[0] as u64,
        frees_row: bounds.ends[1] as u64,
        frees_last: bounds.ends[2] as u64,
        start_first: modulo(0, pad[0] * row + pad[1] * chunks),
        to_window: modulo(sideways, 0),
        to_window_row: modulo(window.stride[0] * row, (windows[1] - 1) * sideways),
        to_column: modulo(columns, back),
        to_row: modulo(rows, wide + back),
        to_chunk: modulo(1, wide + high),
        depth: *depth,
        address_bits: counter_bits(depth - 1),
        wraps: (largest / size) as usize,
        lift_write: lift_write as usize,
        lift_read: lift_read as usize,
        chunks: *chunks,
        chunks_inner: w.chunks_inner,
        pixels: image[0] * image[1],
        frame: w.frame(),
        width: image[1],
        row,
        pad_y: pad[0],
        pad_x: pad[1],
        last_y: pad[0] + image[0] - 1,
        last_x: pad[1] + image[1] - 1,
        kernel_y: window.kernel[0],
        kernel_x: window.kernel[1],
        span_y: span[0],
        span_x: span[1],
        stride_y: window.stride[0],
        stride_x: window.stride[1],
        dilation_y: window.dilation[0],
        dilation_x: window.dilation[1],
        windows_y: windows[0],
        windows_x: windows[1],
        places: window.kernel[0] * window.kernel[1],
        beats: w.beats(),
        number_bits: counter_bits(w.beats() - 1),
        first_row,
        first_column,
        bits: input.width(),
        lanes: input.lanes,
        fill: repeated(input.encoding, w.fill, input.lanes),
        input_range: range_module(top, input),
        input_beat_bits: beat_bits(input),
    }
}

/// The context of the claims of an upsampling.
pub fn upsample(top: &str, u: &Upsample, input: &Stream) -> UpsampleFormal {
    let row = u.width * u.chunks;
    let passes = u.factor[0] * u.width * u.factor[1] * u.out_chunks();
    // From the first beat held to the next one written, to the last one read, to the next row.
    let largest = u.depth + u.depth.max(row);
    UpsampleFormal {
        n: counter_bits((4 * row).max(passes + 1).max(2 * largest)) + 1,
        depth: u.depth,
        address_bits: counter_bits(u.depth - 1),
        wraps: largest / u.depth,
        chunks: u.chunks,
        out_chunks: u.out_chunks(),
        split: u.split,
        factor_y: u.factor[0],
        factor_x: u.factor[1],
        width: u.width,
        row,
        passes,
        number_bits: counter_bits(u.out_chunks() - 1),
        bits: input.width(),
        lanes: input.lanes,
        input_range: range_module(top, input),
        input_beat_bits: beat_bits(input),
    }
}
