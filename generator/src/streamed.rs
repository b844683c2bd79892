//! A matrix-vector unit whose weights arrive on a stream beside the vector, in the cells of the 7 series.
//!
//! The matrix is not known when the unit is built, so its accumulators hold the sum of any weights that the type has: the interval
//! is that of all prefixes of all such sums. One beat of weights comes for each fold; the vector is kept in LUT RAM for the neuron
//! folds after the first. Row `f * pe + p` is that of element `p` in neuron fold `f`, column `s * simd + l` that of lane `l` in
//! synapse fold `s`.

use serde::Serialize;

use quantizer::datatype::Range;

use crate::dataflow::{Encoding, Pe};
use crate::error::GenerateError;
use crate::folding::divisors;
use crate::heap::{Heap, compress, terms};
use crate::lower::round_trip;
use crate::reduction::Reduction;

/// What to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Sums of a vector.
    pub rows: usize,
    /// Products of a sum: elements of a vector.
    pub columns: usize,
    /// Rows in parallel; divides them.
    pub pe: usize,
    /// Columns in parallel; divides them.
    pub simd: usize,
    /// Encoding of an input.
    pub input: Encoding,
    /// Encoding of a weight.
    pub weight: Encoding,
}

/// A planned unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Streamed {
    /// What it is built for.
    pub shape: Shape,
    /// What an accumulator can hold, prefixes included.
    pub accumulator: Range,
    /// Two's complement width of an accumulator.
    pub accumulator_bits: u32,
    /// The sum of an element, the same for all.
    pub heap: Heap,
    /// Places of the exit queue.
    pub queue_depth: usize,
}

impl Streamed {
    /// Plans a unit of `shape`.
    ///
    /// # Errors
    /// A PE or SIMD that does not divide, or sums beyond 62 bits; `name` is the unit's in the message.
    pub fn plan(name: &str, shape: Shape) -> Result<Self, GenerateError> {
        for (what, value, size, unit) in
            [("PE", shape.pe, shape.rows, "outputs"), ("SIMD", shape.simd, shape.columns, "inputs")]
        {
            if value == 0 || size == 0 || !size.is_multiple_of(value) {
                let layer = name.to_owned();
                return Err(GenerateError::Folding { layer, what, value, size, unit, divisors: divisors(size) });
            }
        }
        let accumulator = accumulator(shape).ok_or_else(|| GenerateError::Unsupported {
            layer: name.to_owned(),
            reason: format!(
                "sums of {} products of {} and {} bits may need more than 62 bits; narrower types would fit",
                shape.columns, shape.input.bits, shape.weight.bits
            ),
        })?;
        let accumulator_bits = accumulator.signed_width();
        let heap = element(shape, accumulator_bits as usize);
        let mut plan = Streamed { shape, accumulator, accumulator_bits, heap, queue_depth: 2 };
        // Two registers are a cycle slower than a queue, and enough where rows are long.
        if plan.pipeline() + 3 > 2 * plan.synapse_folds() {
            plan.queue_depth = round_trip(plan.pipeline(), plan.synapse_folds());
        }
        Ok(plan)
    }

    /// Passes over a vector.
    pub fn neuron_folds(&self) -> usize {
        self.shape.rows / self.shape.pe
    }

    /// Beats of a vector.
    pub fn synapse_folds(&self) -> usize {
        self.shape.columns / self.shape.simd
    }

    /// Cycles of a vector when nothing stalls.
    pub fn cycles(&self) -> usize {
        self.neuron_folds() * self.synapse_folds()
    }

    /// Cycles from a fold to the heap's last row: the buffer, if the vector is kept, the input register, the rows before.
    pub fn sum_cycles(&self) -> usize {
        usize::from(self.neuron_folds() > 1) + 1 + self.heap.last_stage
    }

    /// Cycles from the edge that takes a row's last weights to the edge that writes its sum into the exit queue.
    pub fn pipeline(&self) -> usize {
        self.sum_cycles() + 1
    }

    /// Whether the exit queue is a pair of registers, not a memory.
    pub fn pair(&self) -> bool {
        self.queue_depth == 2
    }
}

/// Interval of all prefixes of all sums; nothing if it is too wide.
fn accumulator(shape: Shape) -> Option<Range> {
    let ends = |e: Encoding| -> Option<(i64, i64)> {
        // The codes of both ends of the pattern and of the sign.
        let words = [0, 1u64.checked_shl(e.bits)?.wrapping_sub(1), 1 << (e.bits - 1), (1 << (e.bits - 1)) - 1];
        let codes = words.map(|w| e.decode(w));
        Some((codes.into_iter().min()?, codes.into_iter().max()?))
    };
    if !(1..=31).contains(&shape.input.bits) || !(1..=31).contains(&shape.weight.bits) {
        return None;
    }
    let ((a, b), (c, d)) = (ends(shape.input)?, ends(shape.weight)?);
    let products = [a * c, a * d, b * c, b * d];
    let columns = i64::try_from(shape.columns).ok()?;
    // A prefix has at least one beat, whose sum bounds the others where products cannot be 0.
    let simd = i64::try_from(shape.simd).ok()?;
    let end = |product: i64, most: bool| {
        let (all, one) = (product.checked_mul(columns)?, product.checked_mul(simd)?);
        Some(if most { all.max(one) } else { all.min(one) })
    };
    let lo = end(products.into_iter().min()?, false)?;
    let hi = end(products.into_iter().max()?, true)?;
    let range = Range { lo, hi };
    (range.signed_width() <= 62).then_some(range)
}

/// The sum of one element: `simd` products, added to an accumulator of `bits` where a row takes several cycles.
pub fn element(shape: Shape, bits: usize) -> Heap {
    // Two folds with opposite bits, so that no weight bit is constant.
    let word = |word: u64| vec![shape.weight.decode(word); shape.simd];
    let weights = vec![word(0), word((1 << shape.weight.bits) - 1)];
    let inputs = vec![vec![Range::new(-1, 1); shape.simd]; 2];
    let pe = Pe {
        rows: vec![Some(0)],
        weight_encodings: vec![shape.weight; shape.simd],
        reduction: Reduction::plan(&weights, &inputs, Reduction::levels_needed(&weights, &inputs)),
        weights,
        heap: None,
        words: Vec::new(),
        word_bits: 1,
    };
    let (terms, constant) = terms(&pe, shape.input, bits);
    compress(&terms, constant, bits, shape.columns > shape.simd)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use quantizer::datatype::Signedness;

    use super::*;

    fn shape(bits: u32, pe: usize, simd: usize) -> Shape {
        let input = Encoding { bits, sign: Signedness::Unsigned };
        let weight = Encoding { bits, sign: Signedness::Signed };
        Shape { rows: 32, columns: 64, pe, simd, input, weight }
    }

    #[test]
    fn accumulators_hold_any_weights_of_the_type() {
        let plan = Streamed::plan("unit", shape(4, 4, 8)).unwrap();
        assert_eq!(plan.accumulator, Range::new(-64 * 15 * 8, 64 * 15 * 7));
        assert_eq!((plan.accumulator_bits, plan.cycles()), (14, 64));
        assert_eq!(Streamed::plan("unit", shape(2, 4, 8)).unwrap().accumulator_bits, 10);
        // The first beat is a prefix: +1 and -1 alone never reach 0.
        let bipolar = Encoding { bits: 1, sign: Signedness::Bipolar };
        let plan = Streamed::plan("unit", Shape { input: bipolar, weight: bipolar, ..shape(1, 4, 8) }).unwrap();
        assert_eq!(plan.accumulator, Range::new(-64, 64));
    }

    #[test]
    fn what_does_not_divide_is_refused() {
        let error = Streamed::plan("unit", shape(4, 5, 8)).unwrap_err().to_string();
        assert_eq!(error, "layer 'unit': PE = 5 does not divide its 32 outputs; accepted: 1, 2, 4, 8, 16, 32");
        assert!(Streamed::plan("unit", shape(4, 4, 0)).is_err());
        let error = Streamed::plan("unit", shape(31, 4, 8)).unwrap_err().to_string();
        assert!(error.contains("more than 62 bits"), "{error}");
    }
}
