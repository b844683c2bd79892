//! What a row of convolution weights can reach: over all windows of an image, those at its border with fewer taps included.

use ndarray::ArrayView1;

use crate::bound::Interval;
use crate::datatype::Range;
use crate::network::Window;
use crate::window::Taps;

/// Both ends of a sum, far from overflow: products of 33-bit weights and 62-bit codes leave room for 2^32 of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Smallest value.
    pub lo: i128,
    /// Largest value.
    pub hi: i128,
}

impl Ends {
    /// The products of `factor` and everything in `range`.
    pub fn of(factor: i64, range: Range) -> Self {
        let (a, b) = (i128::from(factor) * i128::from(range.lo), i128::from(factor) * i128::from(range.hi));
        Ends { lo: a.min(b), hi: a.max(b) }
    }

    /// Sums of a value of each; `None` beyond 127 bits.
    pub fn plus(self, other: Ends) -> Option<Self> {
        Some(Ends { lo: self.lo.checked_add(other.lo)?, hi: self.hi.checked_add(other.hi)? })
    }

    /// The smallest interval that holds both.
    pub fn hull(self, other: Ends) -> Self {
        Ends { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// In machine words, if they hold it.
    pub fn to_range(self) -> Option<Range> {
        Some(Range { lo: i64::try_from(self.lo).ok()?, hi: i64::try_from(self.hi).ok()? })
    }
}

impl From<Ends> for Interval {
    fn from(ends: Ends) -> Self {
        Interval { lo: ends.lo.into(), hi: ends.hi.into() }
    }
}

/// What a row can reach, and at which places of the result (row, column) it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The values.
    pub ends: Ends,
    /// Where the smallest is reached first.
    pub lo_at: [usize; 2],
    /// Where the largest is reached first.
    pub hi_at: [usize; 2],
}

/// The distinct sets of taps that the windows of an image have on it.
#[derive(Clone, Debug)]
pub struct Patches {
    kernel: [usize; 2],
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

impl Patches {
    /// Of `window` on an image of this height and width, where it fits.
    pub fn new(window: &Window, size: [usize; 2]) -> Self {
        let mut rows = window.taps(0, size[0]);
        let mut columns = window.taps(1, size[1]);
        // Whole windows first: of equal ends, theirs are shown.
        rows.sort_by_key(|t| std::cmp::Reverse(t.count()));
        columns.sort_by_key(|t| std::cmp::Reverse(t.count()));
        Patches { kernel: window.kernel, rows, columns }
    }

    /// What the dot product of `weights`, `[channels * kernel height * kernel width]`, and a window can reach when channel `c` lies
    /// anywhere in `ranges[c]`. `None` if a sum is beyond 127 bits, or if the lengths disagree.
    pub fn reach(&self, weights: ArrayView1<'_, i64>, ranges: &[Range]) -> Option<Reach> {
        let [height, width] = self.kernel;
        if weights.len() != ranges.len() * height * width || weights.is_empty() {
            return None;
        }
        // Channels are on the image or off it together: their sum for each tap.
        let mut taps = vec![Ends::default(); height * width];
        let mut elements = weights.iter();
        for &range in ranges {
            for (sum, &w) in taps.iter_mut().zip(elements.by_ref()) {
                *sum = sum.plus(Ends::of(w, range))?;
            }
        }
        self.extremes(&taps)
    }

    /// The farthest sums of `taps` over all windows. Prefix sums make each a matter of four additions.
    fn extremes(&self, taps: &[Ends]) -> Option<Reach> {
        let [height, width] = self.kernel;
        // before[i][j] is the sum over rows below i and columns below j.
        let mut before = vec![Ends::default(); (height + 1) * (width + 1)];
        for i in 0..height {
            let mut line = Ends::default();
            for j in 0..width {
                line = line.plus(taps[i * width + j])?;
                before[(i + 1) * (width + 1) + j + 1] = before[i * (width + 1) + j + 1].plus(line)?;
            }
        }
        let minus = |a: Ends, b: Ends| Some(Ends { lo: a.lo.checked_sub(b.lo)?, hi: a.hi.checked_sub(b.hi)? });
        let corner = |i: usize, j: usize| before[i * (width + 1) + j];
        let mut best: Option<Reach> = None;
        for rows in &self.rows {
            for columns in &self.columns {
                let at = [rows.at, columns.at];
                let below = minus(corner(rows.end, columns.end), corner(rows.begin, columns.end))?;
                let above = minus(corner(rows.end, columns.begin), corner(rows.begin, columns.begin))?;
                let ends = minus(below, above)?;
                let reach = best.get_or_insert(Reach { ends, lo_at: at, hi_at: at });
                if ends.lo < reach.ends.lo {
                    (reach.ends.lo, reach.lo_at) = (ends.lo, at);
                }
                if ends.hi > reach.ends.hi {
                    (reach.ends.hi, reach.hi_at) = (ends.hi, at);
                }
            }
        }
        best
    }
}
