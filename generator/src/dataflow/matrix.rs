//! A matrix-vector unit with its processing elements and threshold search.

use serde::Serialize;

use super::Encoding;
use crate::heap::Heap;
use crate::memory::WeightMemory;
use crate::reduction::Reduction;
use crate::unrolled::Unrolled;

/// A matrix-vector unit: PE rows and SIMD columns of a dense layer at a time.
///
/// Rows are taken PE at a time (neuron folds, outer loop), columns SIMD at a time (synapse folds, inner loop);
/// the input vector is kept for the neuron folds after the first.
///
/// Of a depthwise or grouped convolution the vector comes in [`Self::parts`], one for the groups that are worked on together.
/// Each part is read by its own neuron folds, of which only those after its first read it again: a depthwise layer goes once
/// through its vector and keeps nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatrixVector {
    /// Rows in parallel.
    pub pe: usize,
    /// Columns in parallel.
    pub simd: usize,
    /// `ceil(rows / pe)`, a multiple of `parts`.
    pub neuron_folds: usize,
    /// `ceil(columns / simd)`, of one part's columns.
    pub synapse_folds: usize,
    /// Parts of the vector, each with neuron folds of its own; 1 where every row reads the whole vector.
    pub parts: usize,
    /// One processing element per output lane.
    pub pes: Vec<Pe>,
    /// Adder levels, the same in all processing elements.
    pub tree_levels: usize,
    /// All sums as one array of constant weights, which then stands in the place of the elements' products and adders.
    pub array: Option<Unrolled>,
    /// How codes are found, if thresholds follow; else accumulators leave.
    pub search: Option<Search>,
    /// Whether a threshold's word is read into a register in a cycle of its own before it is compared, less one: then the sign of a difference is the result, and nothing stands
    /// between the carry chain and the register.
    pub words_read_ahead: bool,
    /// Whether every processing element has the fold and the beat in registers of its own, which takes a cycle.
    pub operands_copied: bool,
    /// Whether a code is looked up from the pattern of its sum, one table a bit, in the place of a search. Then there is one
    /// neuron fold.
    pub direct_codes: bool,
    /// What its weights are kept in.
    pub weight_memory: WeightMemory,
    /// See [`super::Module::credit_late`].
    pub credit_late: bool,
    /// Places of the exit queue.
    pub queue_depth: usize,
}

/// Words of a weight memory that are read from LUTs for the clock's sake; a bit of so many takes 16 four-input LUTs.
const QUICK_WORDS: usize = 256;

impl MatrixVector {
    /// See [`Module::pipeline`]: input register, products, adder levels, accumulator (none where
    /// one beat is a whole row), [`Self::search_cycles`].
    pub fn pipeline(&self) -> usize {
        self.sum_cycles() + usize::from(self.synapse_folds > 1) + self.search_cycles()
    }

    /// Cycles from a fold to its sum: input register, copies of it, products, adder levels.
    pub fn sum_cycles(&self) -> usize {
        2 + usize::from(self.operands_copied) + self.tree_levels
    }

    /// How often a part of the vector is gone through: neuron folds that read the same columns.
    pub fn passes(&self) -> usize {
        self.neuron_folds / self.parts
    }

    /// The beat of the vector that fold `fold` (neuron fold * synapse folds + synapse fold) reads.
    pub fn beat_of(&self, fold: usize) -> usize {
        fold / self.synapse_folds / self.passes() * self.synapse_folds + fold % self.synapse_folds
    }

    /// What weights are printed to be kept in. Where that is left to the synthesizer, elements that have operands of their own for the clock's sake take LUTs up to
    /// [`QUICK_WORDS`] words: a block memory has no register behind its output, which comes late in the cycle (digits on an ECP5 of grade 6: 96 MHz so, 180 with LUTs).
    pub fn kept_in(&self) -> WeightMemory {
        let words = self.neuron_folds * self.synapse_folds;
        match self.weight_memory {
            WeightMemory::Auto if self.operands_copied && words <= QUICK_WORDS => WeightMemory::Distributed,
            memory => memory,
        }
    }

    /// Cycles of a threshold stage: 1, or 2 where its word is read in one of its own.
    pub fn stage_cycles(&self) -> usize {
        1 + usize::from(self.words_read_ahead)
    }

    /// Cycles from a row's sum to its code.
    pub fn search_cycles(&self) -> usize {
        match self.search {
            Some(_) if self.direct_codes => 1,
            Some(search) => search.bits as usize * self.stage_cycles(),
            None => 0,
        }
    }
}

/// A processing element: one output lane of a [`MatrixVector`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pe {
    /// Source row served in each neuron fold; `None` in the last fold of a lane that has no more.
    pub rows: Vec<Option<usize>>,
    /// Weights `[fold][lane]`, fold = neuron fold * synapse folds + synapse fold.
    pub weights: Vec<Vec<i64>>,
    /// How each lane's weights are stored in the ROM.
    pub weight_encodings: Vec<Encoding>,
    /// The planned sum of products.
    pub reduction: Reduction,
    /// The same sum as a bit heap of 7-series cells, which then stands in the place of its products, adders and accumulator.
    pub heap: Option<Heap>,
    /// Threshold words and direction per neuron fold; empty if accumulators leave.
    pub words: Vec<SearchWords>,
    /// Two's complement width of a threshold word, at least the accumulator's.
    pub word_bits: u32,
}

/// A multi-threshold by binary search: `bits` compare stages find how many words the value has reached,
/// the code is that count (or its complement, for a falling function) plus `base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Search {
    /// Stages, and bits of the count; there are `2^bits - 1` words.
    pub bits: u32,
    /// Smallest code of any channel.
    pub base: i64,
    /// Step between codes: 2 for bipolar, else 1.
    pub stride: i64,
}

/// Threshold words of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SearchWords {
    /// Ascending; `value >= word` counts.
    pub words: Vec<i64>,
    /// Whether the count is complemented.
    pub falling: bool,
}

impl Search {
    /// The code of `value`, by the comparisons that the hardware makes.
    pub fn apply(self, channel: &SearchWords, value: i64) -> i64 {
        let mut count = 0usize;
        for stage in (0..self.bits).rev() {
            let trial = count | 1 << stage;
            if value >= channel.words[trial - 1] {
                count = trial;
            }
        }
        let count = if channel.falling { (1usize << self.bits) - 1 - count } else { count };
        self.base + self.stride * count as i64
    }
}
