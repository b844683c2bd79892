//! Common sub-expressions: sums of two signals that several outputs hold are built once.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

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

/// How often each pattern is there, and which of them saves most.
struct Patterns {
    entries: HashMap<Pattern, Entry>,
    /// Gains of patterns. A count only falls once its pattern is here, so what is on top may be too high and is then put back lower.
    queue: BinaryHeap<(i64, Reverse<Pattern>)>,
    depth: usize,
    worth: usize,
}

impl Patterns {
    fn add(&mut self, pattern: Pattern) {
        self.entries.entry(pattern).or_default().count += 1;
    }

    fn remove(&mut self, pattern: Pattern) {
        if let Some(entry) = self.entries.get_mut(&pattern) {
            entry.count = entry.count.saturating_sub(1);
        }
    }

    /// What a pattern saves by its count, if that is anything.
    fn gain(&mut self, signals: &[Signal], pattern: Pattern) -> Option<i64> {
        let worth = self.worth;
        let entry = self.entries.get_mut(&pattern).filter(|e| e.count >= 2)?;
        let known = *entry.worth.get_or_insert_with(|| Worth::of(signals, pattern));
        Some(known.gain(entry.count, worth)).filter(|&gain| gain > 0)
    }

    /// Takes patterns into the queue whose counts have risen.
    fn queue(&mut self, signals: &[Signal], levels: &[usize], patterns: impl Iterator<Item = Pattern>) {
        for pattern in patterns {
            if levels[pattern.a].max(levels[pattern.b]) < self.depth
                && let Some(gain) = self.gain(signals, pattern)
            {
                self.queue.push((gain, Reverse(pattern)));
            }
        }
    }

    /// The pattern that saves most by its count; of equals the first, so that the same matrix gives the same array.
    fn best(&mut self, signals: &[Signal]) -> Option<Pattern> {
        while let Some((gain_seen, Reverse(pattern))) = self.queue.pop() {
            match self.gain(signals, pattern) {
                Some(gain) if gain == gain_seen => return Some(pattern),
                Some(gain) => self.queue.push((gain, Reverse(pattern))),
                None => {}
            }
        }
        None
    }
}

/// Builds shared sums as long as one saves LUTs: a bit less in an output's heap is worth `worth` hundredths of a LUT.
pub fn share(signals: &mut Vec<Signal>, sums: &mut [Vec<Digit>], depth: usize, worth: usize) {
    let mut levels = vec![0usize; signals.len()];
    let mut patterns = Patterns { entries: HashMap::new(), queue: BinaryHeap::new(), depth, worth };
    for sum in sums.iter() {
        for (i, &x) in sum.iter().enumerate() {
            sum[i + 1..].iter().for_each(|&y| patterns.add(Pattern::of(x, y)));
        }
    }
    let all: Vec<Pattern> = patterns.entries.keys().copied().collect();
    patterns.queue(signals, &levels, all.into_iter());
    while let Some(pattern) = patterns.best(signals) {
        let found: Vec<Vec<(usize, usize)>> = sums.iter().map(|s| matches(s, pattern)).collect();
        let uses: usize = found.iter().map(Vec::len).sum();
        // Pairs that overlap count once less than it seemed.
        if let Some(entry) = patterns.entries.get_mut(&pattern)
            && (uses < 2 || entry.worth.is_none_or(|known| known.gain(uses, worth) <= 0))
        {
            entry.count = uses.min(1);
            continue;
        }
        let digits = pattern.digits();
        let signal = signals.len();
        let interval = interval(signals, &digits);
        signals.push(Signal { interval, sum: digits.to_vec(), carries: false });
        levels.push(levels[pattern.a].max(levels[pattern.b]) + 1);
        let mut risen: BTreeSet<Pattern> = BTreeSet::new();
        for (sum, found) in sums.iter_mut().zip(&found).filter(|(_, found)| !found.is_empty()) {
            let gone: Vec<usize> = found.iter().flat_map(|&(i, j)| [i, j]).collect();
            pairs_with(sum, &gone, |p| patterns.remove(p));
            replace(sum, found, signal);
            let new: Vec<usize> = (sum.len() - found.len()..sum.len()).collect();
            pairs_with(sum, &new, |p| {
                patterns.add(p);
                risen.insert(p);
            });
        }
        patterns.queue(signals, &levels, risen.into_iter());
    }
}

/// Every pair of which at least one digit stands at one of `places`.
fn pairs_with(sum: &[Digit], places: &[usize], mut each: impl FnMut(Pattern)) {
    let mut done = vec![false; sum.len()];
    for &i in places {
        done[i] = true;
        sum.iter().zip(&done).filter(|(_, done)| !**done).for_each(|(&y, _)| each(Pattern::of(sum[i], y)));
    }
}

/// Disjoint pairs of places that make up `pattern`.
fn matches(sum: &[Digit], pattern: Pattern) -> Vec<(usize, usize)> {
    let of = |signal: usize| sum.iter().enumerate().filter(move |(_, d)| d.signal == signal);
    let mut used: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    for (i, digit) in of(pattern.a) {
        if used.contains(&i) {
            continue;
        }
        let Ok(shift) = u32::try_from(digit.shift as i32 + pattern.distance) else { continue };
        let Some((j, other)) = of(pattern.b).rfind(|(_, d)| d.shift == shift) else { continue };
        if j != i && !used.contains(&j) && (other.negative != digit.negative) == pattern.negative {
            used.extend([i, j]);
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
