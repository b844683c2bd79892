//! Which modules have something to do, and when: the engine passes over cycles and modules in which nothing changes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A set of small numbers.
#[derive(Clone, Debug)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// No number below `size`.
    pub fn none(size: usize) -> Self {
        Bits(vec![0; size.div_ceil(64)])
    }

    /// All numbers below `size`.
    pub fn all(size: usize) -> Self {
        let mut bits = Bits::none(size);
        (0..size).for_each(|i| bits.insert(i));
        bits
    }

    /// Adds `i`, which is below the size.
    pub fn insert(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// The smallest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(w, &word)| {
            std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)))
                .take_while(|&word| word != 0)
                .map(move |word| w * 64 + word.trailing_zeros() as usize)
        })
    }

    /// The largest first.
    pub fn iter_down(&self) -> impl Iterator<Item = usize> + '_ {
        let top = |word: u64| 63 - word.leading_zeros() as usize;
        self.0.iter().enumerate().rev().flat_map(move |(w, &word)| {
            std::iter::successors(Some(word), move |&word| Some(if word == 0 { 0 } else { word & !(1 << top(word)) }))
                .take_while(|&word| word != 0)
                .map(move |word| w * 64 + top(word))
        })
    }
}

/// When each module must be stepped although no beat passes at its ports.
#[derive(Debug)]
pub struct Agenda {
    /// In the next cycle.
    soon: Bits,
    /// Later: cycle and module. A module may stand here for a cycle that has become none of its own.
    later: BinaryHeap<Reverse<(u64, usize)>>,
    /// The latest entry of each module in `later`, so that it is not entered again and again.
    entered: Vec<u64>,
}

impl Agenda {
    /// Nothing to do.
    pub fn new(modules: usize) -> Self {
        Agenda { soon: Bits::none(modules), later: BinaryHeap::new(), entered: vec![0; modules] }
    }

    /// Module `m` has something to do at `cycle`, which is after `now`.
    pub fn at(&mut self, now: u64, m: usize, cycle: u64) {
        if cycle <= now + 1 {
            self.soon.insert(m);
        } else if self.entered[m] != cycle {
            self.entered[m] = cycle;
            self.later.push(Reverse((cycle, m)));
        }
    }

    /// Adds the modules that wake at `cycle` to those of `now`.
    pub fn wake(&mut self, cycle: u64, now: &mut Bits) {
        while let Some(&Reverse((at, m))) = self.later.peek()
            && at <= cycle
        {
            self.later.pop();
            now.insert(m);
        }
    }

    /// The cycle is over: those of the next one become `now`.
    pub fn turn(&mut self, now: &mut Bits) {
        std::mem::swap(now, &mut self.soon);
        self.soon.clear();
    }

    /// The next cycle in which a module wakes by itself.
    pub fn next(&self) -> Option<u64> {
        self.later.peek().map(|Reverse((cycle, _))| *cycle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_in_both_directions() {
        let mut bits = Bits::none(200);
        let members = [0, 1, 63, 64, 130, 199];
        members.iter().for_each(|&i| bits.insert(i));
        assert!(bits.iter().eq(members));
        assert!(bits.iter_down().eq(members.into_iter().rev()));
        bits.clear();
        assert!(bits.is_empty() && bits.iter_down().next().is_none());
    }

    #[test]
    fn a_module_wakes_when_it_said() {
        let (mut agenda, mut now) = (Agenda::new(2), Bits::none(2));
        agenda.at(0, 0, 1);
        agenda.at(0, 1, 5);
        agenda.at(0, 1, 5);
        agenda.turn(&mut now);
        assert!(now.iter().eq([0]));
        assert_eq!(agenda.next(), Some(5));
        now.clear();
        agenda.wake(4, &mut now);
        assert!(now.is_empty());
        agenda.wake(5, &mut now);
        assert!(now.iter().eq([1]));
        assert_eq!(agenda.next(), None);
    }
}
