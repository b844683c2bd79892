//! The terms that a class value is the sum of, for label selectors that make it step by step.

use crate::dataflow::{ClassSteps, LabelSelect};

/// Bits of a multiplier that one adder multiplies with.
pub const DIGIT: u32 = 2;

/// What is added to make the class values of one lane, the class of beat `b` being that at position `b * lanes + lane`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassTerms {
    /// The lane's code, shifted and complemented (shift, complement): the multiplier is the same in all beats.
    pub shifted: Vec<(u32, bool)>,
    /// Bits of the multiplier, two's complement, where it depends on the beat: 0 if it does not.
    pub multiplier_bits: u32,
    /// Offset of each beat, the ones that complemented terms lack included.
    pub offsets: Vec<i64>,
}

impl ClassTerms {
    /// The terms of lane `lane`.
    pub fn of(select: &LabelSelect, lane: usize, lanes: usize, beats: usize) -> Self {
        let classes: Vec<(i64, i64)> = (0..beats).map(|b| select.class(b * lanes + lane)).collect();
        let mut offsets: Vec<i64> = classes.iter().map(|c| c.1).collect();
        let first = classes[0].0;
        if classes.iter().any(|c| c.0 != first) {
            let width = |m: i64| 65 - if m < 0 { (!m).leading_zeros() } else { m.leading_zeros() };
            let multiplier_bits = classes.iter().map(|c| width(c.0)).max().unwrap_or(1);
            return ClassTerms { shifted: Vec::new(), multiplier_bits, offsets };
        }
        // Canonical signed digits.
        let mut shifted = Vec::new();
        let (mut rest, mut shift) = (i128::from(first), 0);
        while rest != 0 {
            if rest & 1 != 0 {
                let negative = rest & 3 == 3;
                shifted.push((shift, negative));
                rest -= if negative { -1 } else { 1 };
            }
            rest >>= 1;
            shift += 1;
        }
        // -y = ~y + 1.
        let lack = shifted.iter().filter(|s| s.1).count() as i64;
        offsets.iter_mut().for_each(|o| *o += lack);
        ClassTerms { shifted, multiplier_bits: 0, offsets }
    }

    /// Digits of the multiplier, each a product of its own.
    pub fn digits(&self) -> usize {
        self.multiplier_bits.div_ceil(DIGIT) as usize
    }

    /// Whether an offset is added.
    pub fn has_offset(&self) -> bool {
        self.offsets.iter().any(|&o| o != 0)
    }

    /// Terms, at least one.
    pub fn count(&self) -> usize {
        (self.shifted.len() + self.digits() + usize::from(self.has_offset())).max(1)
    }
}

/// The steps that all lanes of `select` need.
pub fn steps(select: &LabelSelect, lanes: usize, beats: usize) -> ClassSteps {
    let terms: Vec<ClassTerms> = (0..lanes).map(|lane| ClassTerms::of(select, lane, lanes, beats)).collect();
    let most = terms.iter().map(ClassTerms::count).max().unwrap_or(1);
    ClassSteps {
        products: terms.iter().any(|t| t.multiplier_bits > 0),
        adds: most.next_power_of_two().trailing_zeros() as usize,
        candidate: beats > 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_add_up_to_the_class_value() {
        for (multiplier, offset) in [(10, 3), (7, 0), (-5, -9), (1, 0), (0, 4), (-1, 0)] {
            let (multiplier, offset) = (vec![multiplier; 4], vec![offset, 1, 2, -3]);
            let select = LabelSelect {
                multiplier,
                offset,
                value_bits: 16,
                levels: 1,
                steps: None,
                credit_late: false,
                queue_depth: 2,
            };
            for lane in 0..2 {
                let terms = ClassTerms::of(&select, lane, 2, 2);
                for beat in 0..2 {
                    let (m, o) = select.class(2 * beat + lane);
                    for x in [-3i64, 0, 5] {
                        let sum: i64 = terms.shifted.iter().map(|&(s, c)| if c { !(x << s) } else { x << s }).sum();
                        assert_eq!(sum + terms.offsets[beat], m * x + o);
                    }
                }
            }
        }
    }
}
