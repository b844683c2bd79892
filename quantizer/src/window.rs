//! Which taps of a window lie on the image: near a border some do not.

use crate::network::Window;

/// The taps `begin .. end` of a window along one axis: those that lie on the image at place `at` of the result, and at some
/// other places perhaps. None do where `begin == end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Taps {
    /// First tap on the image.
    pub begin: usize,
    /// One behind the last tap on the image.
    pub end: usize,
    /// The first place along this axis of the result that has exactly these.
    pub at: usize,
}

impl Taps {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.end - self.begin
    }
}

impl Window {
    /// The distinct sets of taps along `axis` (0 vertical, 1 horizontal) for an image of `size` places there, in the order in which
    /// they first occur: at most two for each tap and one more, however large the image. Empty if the window does not fit.
    ///
    /// Taps are on the image independently along both axes: what a window reads is one of these times one of the other axis.
    pub fn taps(&self, axis: usize, size: usize) -> Vec<Taps> {
        let mut sizes = [1, 1];
        sizes[axis] = size;
        // The other axis does not matter, but has to exist.
        let along = Window { kernel: keep(self.kernel, axis, 1), pad_begin: keep(self.pad_begin, axis, 0), ..*self };
        let along = Window { pad_end: keep(self.pad_end, axis, 0), ..along };
        let Some(places) = along.output(sizes).map(|places| places[axis] as i128) else { return Vec::new() };
        let [kernel, stride, dilation, pad] =
            [self.kernel, self.stride, self.dilation, self.pad_begin].map(|pair| pair[axis] as i128);
        let (size, dilation) = (size as i128, dilation.max(1));
        let mut found: Vec<Taps> = Vec::new();
        let mut nothing = false;
        let mut place = 0;
        while place < places {
            // Tap t reads place * stride - pad + t * dilation.
            let first = place * stride - pad;
            let begin = div_ceil(-first, dilation).clamp(0, kernel);
            let end = ((size - 1 - first).div_euclid(dilation) + 1).clamp(0, kernel);
            let (from, to) = if begin < end { (begin as usize, end as usize) } else { (0, 0) };
            // Only windows between two taps, which read nothing, come again.
            if from < to || !std::mem::replace(&mut nothing, true) {
                found.push(Taps { begin: from, end: to, at: place as usize });
            }
            // Both ends only fall as the window moves on. The next place where tap `begin - 1` comes onto the image, or tap
            // `end - 1` leaves it.
            let comes = (begin > 0).then(|| div_ceil(pad - (begin - 1) * dilation, stride));
            let leaves = (end > 0).then(|| (size - 1 + pad - (end - 1) * dilation).div_euclid(stride) + 1);
            place = comes.into_iter().chain(leaves).filter(|&next| next > place).min().unwrap_or(places);
        }
        found
    }

    /// For every tap of the window at place `at` of the result, row by row: whether it is on an image of this height and width.
    pub fn on_image(&self, at: [usize; 2], size: [usize; 2]) -> Vec<bool> {
        let on = |axis: usize, tap: usize| {
            let place = at[axis] as i128 * self.stride[axis] as i128 + tap as i128 * self.dilation[axis] as i128
                - self.pad_begin[axis] as i128;
            (0..size[axis] as i128).contains(&place)
        };
        let row = |u| (0..self.kernel[1]).map(move |v| on(0, u) && on(1, v));
        (0..self.kernel[0]).flat_map(row).collect()
    }

    /// Whether some window of an image of this height and width has all its taps on the image.
    pub fn fits_whole(&self, size: [usize; 2]) -> bool {
        (0..2).all(|axis| self.taps(axis, size[axis]).iter().any(|t| t.count() == self.kernel[axis]))
    }
}

/// `pair` with `other` on the axis that is not `axis`.
fn keep(mut pair: [usize; 2], axis: usize, other: usize) -> [usize; 2] {
    pair[1 - axis] = other;
    pair
}

fn div_ceil(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    /// From the definition: every place of the result, every tap.
    fn naive(window: &Window, axis: usize, size: usize) -> Vec<Taps> {
        let padded = size + window.pad_begin[axis] + window.pad_end[axis];
        let span = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        let mut found: Vec<Taps> = Vec::new();
        let mut at = 0;
        while at * window.stride[axis] + span <= padded {
            let on = |&t: &usize| {
                let place = at * window.stride[axis] + t * window.dilation[axis];
                (window.pad_begin[axis]..window.pad_begin[axis] + size).contains(&place)
            };
            let on: Vec<usize> = (0..window.kernel[axis]).filter(on).collect();
            let (begin, end) = on.first().map_or((0, 0), |&first| (first, on[on.len() - 1] + 1));
            assert_eq!(on, (begin..end).collect::<Vec<_>>());
            if !found.iter().any(|t| (t.begin, t.end) == (begin, end)) {
                found.push(Taps { begin, end, at });
            }
            at += 1;
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]
        #[test]
        fn taps_are_those_of_the_definition(
            kernel in 1usize..6, stride in 1usize..5, dilation in 1usize..5, pads in any::<[prop::sample::Index; 2]>(),
            size in 1usize..14, axis in 0usize..2,
        ) {
            let span = (kernel - 1) * dilation + 1;
            let [pad_begin, pad_end] = pads.map(|p| p.index(span));
            let pair = |value, other| if axis == 0 { [value, other] } else { [other, value] };
            // The other axis fits nothing, and must not matter.
            let window = Window {
                kernel: pair(kernel, 99),
                stride: pair(stride, 7),
                dilation: pair(dilation, 3),
                pad_begin: pair(pad_begin, 1),
                pad_end: pair(pad_end, 0),
            };
            prop_assert_eq!(window.taps(axis, size), naive(&window, axis, size));
        }
    }

    /// The largest window that there may be, half of it off the image at either end.
    #[test]
    fn large_windows_take_a_moment() {
        let k = crate::shape::MAX_WINDOW;
        let window =
            Window { kernel: [k, 1], stride: [1, 1], dilation: [1, 1], pad_begin: [k - 1, 0], pad_end: [k - 1, 0] };
        let taps = window.taps(0, 2 * k);
        assert_eq!(taps.len(), 2 * k - 1);
        assert_eq!(taps[0], Taps { begin: k - 1, end: k, at: 0 });
        assert_eq!(taps[2 * k - 2], Taps { begin: 0, end: 1, at: 3 * k - 2 });
    }

    /// The work depends on the kernel, not on the image.
    #[test]
    fn large_images_cost_nothing() {
        let window = Window { kernel: [3, 3], stride: [1, 2], dilation: [1, 1], pad_begin: [1, 1], pad_end: [1, 1] };
        let taps = window.taps(0, 1 << 60);
        let expected = [(1, 3, 0), (0, 3, 1), (0, 2, (1 << 60) - 1)];
        assert_eq!(taps, expected.map(|(begin, end, at)| Taps { begin, end, at }));
        assert_eq!(window.taps(1, 1 << 60).len(), 2);
        assert!(window.fits_whole([1 << 60; 2]));
        assert!(!window.fits_whole([1, 9]));
        assert!(!window.fits_whole([2, 9]));
        // At stride 2 the windows of three places hang over one side or the other.
        assert!(!window.fits_whole([3, 3]));
        assert!(window.fits_whole([3, 4]));
    }
}
