//! A code looked up from the pattern of a sum: tables over its six low bits, each a LUT, and the bits above, which choose among them.
//!
//! Codes rise with the sum, so that most tables of a bit are constant, and their choices with them: with one table over the whole pattern
//! instead Yosys 0.23 finds twice the LUTs (13 and 24 for a sum of 9 bits and a code of 4), and needs a hundred times the memory.

use crate::dataflow::{SearchWords, mask, sign_extend};

/// Bits of the pattern that a table reads: the inputs of a LUT.
const TABLE_BITS: u32 = 6;

/// How the count of reached words is found from the sum's pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeTables {
    /// Bits of the pattern that a table reads.
    pub low: u32,
    /// Tables over those, bit `i` for pattern `i`; each once.
    pub tables: Vec<u64>,
    /// Each bit of the count, lowest first.
    pub bits: Vec<Choice>,
}

/// One bit of the count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Always the same.
    Constant(bool),
    /// What table number so says.
    Table(usize),
    /// One of two, by a bit of the pattern: where it is 1, where it is 0.
    By(u32, Box<[Choice; 2]>),
}

impl CodeTables {
    /// Plans the `bits` bits of the count of `words` that a sum of `sum_bits` bits, two's complement, has reached.
    #[must_use]
    pub fn plan(words: &SearchWords, bits: u32, sum_bits: u32) -> Self {
        let low = sum_bits.min(TABLE_BITS);
        let count = |pattern: u64| words.words.partition_point(|&w| w <= sign_extend(pattern, sum_bits)) as u64;
        let counts: Vec<u64> = (0..1u64 << sum_bits).map(count).collect();
        let mut plan = CodeTables { low, tables: Vec::new(), bits: Vec::new() };
        for bit in 0..bits {
            let column: Vec<bool> = counts.iter().map(|c| c >> bit & 1 == 1).collect();
            let choice = plan.choice(&column);
            plan.bits.push(choice);
        }
        plan
    }

    fn choice(&mut self, column: &[bool]) -> Choice {
        if column.iter().all(|&b| b == column[0]) {
            return Choice::Constant(column[0]);
        }
        if column.len() == 1 << self.low {
            let table = column.iter().rev().fold(0, |word, &b| word << 1 | u64::from(b));
            let known = self.tables.iter().position(|&t| t == table);
            return Choice::Table(known.unwrap_or_else(|| {
                self.tables.push(table);
                self.tables.len() - 1
            }));
        }
        let (low, high) = column.split_at(column.len() / 2);
        let (high, low) = (self.choice(high), self.choice(low));
        if high == low { low } else { Choice::By(column.len().ilog2() - 1, Box::new([high, low])) }
    }

    /// Bits of the pattern that nothing reads.
    #[must_use]
    pub fn unread(&self, sum_bits: u32) -> Vec<u32> {
        let mut read = if self.tables.is_empty() { 0 } else { mask(self.low) };
        self.bits.iter().for_each(|b| read |= b.selects());
        (0..sum_bits).filter(|i| read >> i & 1 == 0).collect()
    }

    /// LUTs of six inputs: one for each table, and what joins the tables of a bit.
    #[must_use]
    pub fn luts(&self) -> u64 {
        let joined = |choice: &Choice| match choice {
            Choice::By(..) => {
                (u64::from(choice.selects().count_ones()) + choice.tables()).saturating_sub(1).div_ceil(5)
            }
            _ => 0,
        };
        self.tables.len() as u64 + self.bits.iter().map(joined).sum::<u64>()
    }
}

impl Choice {
    /// The bits of the pattern that choose, as a mask.
    fn selects(&self) -> u64 {
        match self {
            Choice::By(bit, both) => 1 << bit | both[0].selects() | both[1].selects(),
            _ => 0,
        }
    }

    fn tables(&self) -> u64 {
        match self {
            Choice::Constant(_) => 0,
            Choice::Table(_) => 1,
            Choice::By(_, both) => both[0].tables() + both[1].tables(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(plan: &CodeTables, choice: &Choice, pattern: u64) -> u64 {
        match choice {
            Choice::Constant(bit) => u64::from(*bit),
            Choice::Table(number) => plan.tables[*number] >> (pattern & mask(plan.low)) & 1,
            Choice::By(bit, both) => value(plan, &both[usize::from(pattern >> bit & 1 == 0)], pattern),
        }
    }

    #[test]
    fn every_pattern_has_its_count() {
        for sum_bits in 1..=10u32 {
            let half = 1i64 << (sum_bits - 1);
            for step in [1i64, 3, 7, 40] {
                let words: Vec<i64> = (0..15).map(|i| (i - 7) * step).map(|w| w.clamp(-half, half)).collect();
                let words = SearchWords { words, falling: false };
                let plan = CodeTables::plan(&words, 4, sum_bits);
                for pattern in 0..1u64 << sum_bits {
                    let sum = sign_extend(pattern, sum_bits);
                    let expected = words.words.iter().filter(|&&w| w <= sum).count() as u64;
                    let found = (0..4).map(|b| value(&plan, &plan.bits[b], pattern) << b).sum::<u64>();
                    assert_eq!(found, expected, "sum {sum} of {sum_bits} bits, step {step}");
                }
            }
        }
    }

    #[test]
    fn what_no_bit_needs_is_unread() {
        // The sign alone.
        let words = SearchWords { words: vec![0], falling: false };
        let plan = CodeTables::plan(&words, 1, 8);
        assert_eq!((plan.tables.len(), plan.unread(8)), (0, (0..7).collect()));
        assert_eq!(plan.luts(), 0);
    }
}
