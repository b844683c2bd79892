//! Modules of convolutional networks: windows, pooling, upsampling, forks and joins.

use quantizer::datatype::Range;
use quantizer::network;
use serde::Serialize;

/// Sends every window of an image as one vector (`snug_window`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// How the window moves.
    pub window: network::Window,
    /// Height and width of the image.
    pub image: [usize; 2],
    /// Height and width of the result: one window each.
    pub windows: [usize; 2],
    /// Beats of a pixel.
    pub chunks: usize,
    /// Whether a place's chunks follow each other (for a matrix-vector unit); else each chunk's places do (for a pool).
    pub chunks_inner: bool,
    /// Code sent for places outside the image.
    pub fill: i64,
    /// Beats of the circular buffer.
    pub depth: usize,
    /// Places of the exit queue.
    pub queue_depth: usize,
}

impl Window {
    /// Beats of the image.
    pub fn frame(&self) -> usize {
        self.image[0] * self.image[1] * self.chunks
    }

    /// Beats of a window.
    pub fn beats(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * self.chunks
    }

    /// Buffer for windows that never wait for a pixel which could have come in time: the rows that a window spans but
    /// one, the rows that come while a row of windows is sent (they come in bursts where a pool or a stride is before), and
    /// the pixels of two windows.
    pub fn full_rate_depth(&self) -> usize {
        let span = self.window.span();
        let rows = span[0] - 1 + self.window.stride[0].max(self.image[0].div_ceil(self.windows[0]));
        let pixels = rows * self.image[1] + span[1] + 2 * self.window.stride[1];
        let padded = pixels + self.window.pad_begin[1];
        let least = self.least_depth() + 2 * self.window.stride[1] * self.chunks;
        // While the last row of windows is sent, the next frame's first window comes in.
        let before_last = (0..self.windows[0] - 1).flat_map(|y| (0..self.windows[1]).map(move |x| (y, x)));
        let freed: usize = before_last.map(|(y, x)| self.freed(y, x)).sum();
        let least = least.max(self.frame() - freed.min(self.frame()) + self.needed(0, 0));
        // Small images: two whole frames are more than enough.
        (padded * self.chunks).max(least).clamp(2, (2 * self.frame()).max(2))
    }

    /// Beats that the buffer must hold so that every window can be sent.
    pub fn least_depth(&self) -> usize {
        let (mut freed, mut least) = (0, 1);
        for y in 0..self.windows[0] {
            for x in 0..self.windows[1] {
                least = least.max(self.needed(y, x) - freed.min(self.needed(y, x)));
                freed += self.freed(y, x);
            }
        }
        least
    }

    /// Beats of the image, counted from its first, that the window at row `y`, column `x` waits for: up to its last pixel, or
    /// the whole image for the last window.
    pub fn needed(&self, y: usize, x: usize) -> usize {
        if [y + 1, x + 1] == self.windows {
            return self.frame();
        }
        let span = self.window.span();
        let last = |at: usize, a: usize| {
            (at * self.window.stride[a] + span[a] - 1).saturating_sub(self.window.pad_begin[a]).min(self.image[a] - 1)
        };
        (last(y, 0) * self.image[1] + last(x, 1) + 1) * self.chunks
    }

    /// Beats of the image that the end of the window at row `y`, column `x` frees; see `snug_window`.
    pub fn freed(&self, y: usize, x: usize) -> usize {
        let row = self.image[1] * self.chunks;
        let ([stride_y, stride_x], [pad_y, pad_x]) = (self.window.stride, self.window.pad_begin);
        let (last_y, last_x) = (self.windows[0] - 1, self.windows[1] - 1);
        let first_row = pad_y / stride_y;
        let first_column = if first_row > last_y { last_x } else { pad_x.div_ceil(stride_x).min(last_x) };
        let by_pixels = (last_x - first_column) * stride_x * self.chunks;
        let first_rows = (first_row + 1) * stride_y - pad_y;
        if (y, x) == (last_y, last_x) {
            let before = if last_y > first_row { first_rows + (last_y - 1 - first_row) * stride_y } else { 0 };
            (self.image[0] - before) * row - by_pixels
        } else if y < first_row {
            0
        } else if x == last_x {
            (if y == first_row { first_rows } else { stride_y }) * row - by_pixels
        } else if x < first_column {
            0
        } else {
            stride_x * self.chunks
        }
    }

    /// The place (row, column of the image and chunk) of beat `beat` of the window at row `y`, column `x`; `None`
    /// outside the image.
    pub fn place(&self, y: usize, x: usize, beat: usize) -> Option<(usize, usize, usize)> {
        let places = self.window.kernel[0] * self.window.kernel[1];
        let (place, chunk) =
            if self.chunks_inner { (beat / self.chunks, beat % self.chunks) } else { (beat % places, beat / places) };
        let tap = [place / self.window.kernel[1], place % self.window.kernel[1]];
        let at = |a: usize, window: usize| {
            (window * self.window.stride[a] + tap[a] * self.window.dilation[a])
                .checked_sub(self.window.pad_begin[a])
                .filter(|&i| i < self.image[a])
        };
        Some((at(0, y)?, at(1, x)?, chunk))
    }
}

/// Largest value or sum of `beats` consecutive beats, lane by lane (`snug_pool`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Whether the sum, not the largest value.
    pub sum: bool,
    /// Beats of a window.
    pub beats: usize,
    /// Places of the exit queue.
    pub queue_depth: usize,
}

/// Sends every row of pixels `factor[0]` times and every pixel `factor[1]` times, whole or in parts (`snug_upsample`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upsample {
    /// Times a row, times a pixel.
    pub factor: [usize; 2],
    /// Whether a pixel goes out in equal parts (depth to space), not whole each time.
    pub split: bool,
    /// Width of the image.
    pub width: usize,
    /// Beats of a pixel in.
    pub chunks: usize,
    /// Beats of the circular buffer: two rows.
    pub depth: usize,
    /// Places of the exit queue.
    pub queue_depth: usize,
}

impl Upsample {
    /// Beats of a pixel out.
    pub fn out_chunks(&self) -> usize {
        if self.split { self.chunks / (self.factor[0] * self.factor[1]) } else { self.chunks }
    }
}

/// Every beat goes to two readers, each with a queue of its own (`snug_fork`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fork {
    /// Places of each queue.
    pub depths: [usize; 2],
}

/// `factors[0]` times the first stream and `factors[1]` times the second, lane by lane (`snug_add`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Add {
    /// One for each stream.
    pub factors: [i64; 2],
    /// What sums reach; they and both inputs fit in the output's wires.
    pub range: Range,
    /// Places of the exit queue.
    pub queue_depth: usize,
}

/// For each pixel the beats of the first stream, then those of the second (`snug_concat`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Concat {
    /// Beats of a pixel of each stream.
    pub beats: [usize; 2],
}

impl Concat {
    /// Places of its queue.
    pub const QUEUE: usize = 2;
}
