//! Common sub-expressions: sums of two signals that several outputs hold are built once.

use std::collections::{BTreeMap, HashMap};

use super::{Digit, Signal, interval};

/// `a + (-1)^negative * 2^shift * b`, up to a common sign and power of two; one of the two shifts is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Pattern {
    a: usize,
    b: usize,
    /// Shift of b over a; negative where a is shifted.
    distance: i32,
    negative: bool,
}

impl Pattern {
    fn of(x: Digit, y: Digit) -> Self {
        // Ordered by signal, then shift, so that both ways to write a pair are one.
        let (x, y) = if (x.signal, x.shift) <= (y.signal, y.shift) { (x, y) } else { (y, x) };
        Pattern {
            a: x.signal,
            b: y.signal,
            distance: y.shift as i32 - x.shift as i32,
            negative: x.negative != y.negative,
        }
    }

    fn digits(self) -> [Digit; 2] {
        let shift = |d: i32| d.max(0) as u32;
        [
            Digit { signal: self.a, shift: shift(-self.distance), negative: false },
            Digit { signal: self.b, shift: shift(self.distance), negative: self.negative },
        ]
    }
}

/// What building a pattern once means, whatever its uses.
#[derive(Clone, Copy)]
struct Worth {
    /// Bits that every use loses.
    saved: i64,
    /// LUTs of building it.
    cost: i64,
}

impl Worth {
    fn of(signals: &[Signal], pattern: Pattern) -> Self {
        let (a, b) = (&signals[pattern.a], &signals[pattern.b]);
        let sum = Signal { interval: interval(signals, &pattern.digits()), sum: Vec::new(), carries: false };
        let width = sum.width();
        // Columns below the other's lowest bit need no LUT, if they are not subtracted.
        let free = pattern.distance.unsigned_abs() as usize;
        let free = if pattern.negative && pattern.distance < 0 { 0 } else { free };
        let saved = (a.width() + b.width()) as i64 - width as i64;
        Worth { saved, cost: width.saturating_sub(free) as i64 }
    }

    /// Hundredths of a LUT saved by building it once for `uses` outputs.
    fn gain(self, uses: usize, worth: usize) -> i64 {
        self.saved * (uses * worth) as i64 - 100 * self.cost
    }
}

/// How often a pattern is there, and its worth once it was asked for: it takes long to find and never changes.
#[derive(Clone, Copy, Default)]
struct Entry {
    count: usize,
    worth: Option<Worth>,
}

/// Builds shared sums as long as one saves LUTs: a bit less in an output's heap is worth `worth` hundredths of a LUT.
pub fn share(signals: &mut Vec<Signal>, sums: &mut [Vec<Digit>], depth: usize, worth: usize) {
    let mut levels = vec![0usize; signals.len()];
    let mut counts: HashMap<Pattern, Entry> = HashMap::new();
    for sum in sums.iter() {
        pairs(sum, |p| counts.entry(p).or_default().count += 1);
    }
    loop {
        let best = counts
            .iter_mut()
            .filter(|(p, entry)| entry.count >= 2 && levels[p.a].max(levels[p.b]) < depth)
            .map(|(&p, entry)| {
                let known = entry.worth.get_or_insert_with(|| Worth::of(signals, p));
                (known.gain(entry.count, worth), p, *known)
            })
            .filter(|&(gain, ..)| gain > 0)
            // Of equals the first, so that the same matrix gives the same array.
            .max_by(|x, y| x.0.cmp(&y.0).then(y.1.cmp(&x.1)));
        let Some((gain_seen, pattern, known)) = best else { break };
        let uses: usize = sums.iter().map(|s| matches(s, pattern).len()).sum();
        // Pairs that overlap count once less than it seemed.
        if known.gain(uses, worth) <= 0 || uses < 2 {
            counts.insert(pattern, Entry { count: uses.min(1), worth: Some(known) });
            continue;
        }
        debug_assert!(gain_seen >= known.gain(uses, worth));
        let digits = pattern.digits();
        let signal = signals.len();
        let interval = interval(signals, &digits);
        signals.push(Signal { interval, sum: digits.to_vec(), carries: false });
        levels.push(levels[pattern.a].max(levels[pattern.b]) + 1);
        for sum in sums.iter_mut() {
            let found = matches(sum, pattern);
            if found.is_empty() {
                continue;
            }
            pairs(sum, |p| {
                if let Some(entry) = counts.get_mut(&p) {
                    entry.count = entry.count.saturating_sub(1);
                }
            });
            replace(sum, &found, signal);
            pairs(sum, |p| counts.entry(p).or_default().count += 1);
        }
        counts.retain(|_, entry| entry.count > 0);
    }
}

fn pairs(sum: &[Digit], mut each: impl FnMut(Pattern)) {
    for (i, &x) in sum.iter().enumerate() {
        sum[i + 1..].iter().for_each(|&y| each(Pattern::of(x, y)));
    }
}

/// Disjoint pairs of places that make up `pattern`.
fn matches(sum: &[Digit], pattern: Pattern) -> Vec<(usize, usize)> {
    let places: BTreeMap<(usize, u32), usize> = sum.iter().enumerate().map(|(i, d)| ((d.signal, d.shift), i)).collect();
    let mut used = vec![false; sum.len()];
    let mut found = Vec::new();
    for (i, digit) in sum.iter().enumerate() {
        if digit.signal != pattern.a || used[i] {
            continue;
        }
        let Ok(shift) = u32::try_from(digit.shift as i32 + pattern.distance) else { continue };
        let Some(&j) = places.get(&(pattern.b, shift)) else { continue };
        if j != i && !used[j] && (sum[j].negative != digit.negative) == pattern.negative {
            (used[i], used[j]) = (true, true);
            found.push((i, j));
        }
    }
    found
}

fn replace(sum: &mut Vec<Digit>, found: &[(usize, usize)], signal: usize) {
    let new: Vec<Digit> = found
        .iter()
        .map(|&(i, j)| Digit { signal, shift: sum[i].shift.min(sum[j].shift), negative: sum[i].negative })
        .collect();
    let gone: Vec<usize> = found.iter().flat_map(|&(i, j)| [i, j]).collect();
    let mut index = 0;
    sum.retain(|_| {
        index += 1;
        !gone.contains(&(index - 1))
    });
    sum.extend(new);
}
