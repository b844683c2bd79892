//! The sums of products of a matrix-vector unit, at the real width of every register.

use generator::dataflow::{MatrixVector, Pe, Stream, sign_extend};
use generator::reduction::{Node, Operation};
use quantizer::datatype::{Range, Signedness};
use wide::{i16x8, i32x8, i64x8};

/// An overflow: where, what, and what the register holds instead.
pub struct Overflow {
    /// Processing element.
    pub pe: usize,
    /// Synapse fold.
    pub fold: usize,
    /// Index of the tree node, or `None` for the accumulator.
    pub node: Option<usize>,
    /// The value that should have been stored.
    pub value: i64,
    /// Bits of the register.
    pub bits: u32,
    /// What it holds.
    pub became: i64,
}

/// The arithmetic of a matrix-vector unit.
///
/// All processing elements of a neuron fold are summed side by side, in words that hold every prefix without wrapping,
/// and every prefix is compared with what its register can hold. Only where one does not fit, or where a
/// register of the adder tree is narrower than its ROM demands, the fold is gone through again register by register.
pub struct Arithmetic<'a> {
    unit: &'a MatrixVector,
    store: Store,
    /// Per element: what its accumulator can hold.
    limits: Vec<Range>,
    /// Set where a register of the tree is narrower than the weights in the ROM demand: then every node is computed
    /// at its width. Where it is not, no input whatever makes the tree wrap.
    narrow_tree: Vec<bool>,
    /// Values of the last fold.
    sums: Vec<i64>,
    overflows: Vec<Overflow>,
}

/// Weights `[neuron fold][synapse fold][lane][element]` and the input vector, in words as narrow as the bound
/// `sum |weight| * max |code|` allows.
enum Store {
    Words16(Sums<i16x8>),
    Words32(Sums<i32x8>),
    Words64(Sums<i64x8>),
}

impl<'a> Arithmetic<'a> {
    pub fn new(unit: &'a MatrixVector, input: &Stream) -> Self {
        let range = code_range(input);
        let largest_code = u128::from(range.lo.unsigned_abs().max(range.hi.unsigned_abs()));
        // What the ROM's bits mean, should a weight not fit them.
        let weight = |pe: &Pe, fold: usize, lane: usize| {
            let e = pe.weight_encodings[lane];
            e.decode(e.encode(pe.weights[fold][lane]))
        };
        let mut weights = Vec::with_capacity(unit.neuron_folds * unit.synapse_folds * unit.simd * unit.pe);
        let mut bound = 0u128;
        for neuron in 0..unit.neuron_folds {
            let mut totals = vec![0u128; unit.pe];
            for fold in neuron * unit.synapse_folds..(neuron + 1) * unit.synapse_folds {
                for lane in 0..unit.simd {
                    for (pe, total) in unit.pes.iter().zip(&mut totals) {
                        let w = weight(pe, fold, lane);
                        *total += u128::from(w.unsigned_abs()) * largest_code;
                        weights.push(w);
                    }
                }
            }
            bound = bound.max(totals.into_iter().max().unwrap_or(0));
        }
        bound = bound.max(largest_code);
        let columns = unit.synapse_folds * unit.simd;
        let store = if bound <= i16::MAX as u128 {
            Store::Words16(Sums::new(&weights, columns, unit.pe))
        } else if bound <= i32::MAX as u128 {
            Store::Words32(Sums::new(&weights, columns, unit.pe))
        } else {
            // The import refuses accumulators beyond 62 bits.
            Store::Words64(Sums::new(&weights, columns, unit.pe))
        };
        let limits = unit.pes.iter().map(|pe| two_complement(pe.reduction.accumulator_bits)).collect();
        let narrow_tree = unit.pes.iter().map(|pe| !tree_is_wide_enough(unit, pe, input)).collect();
        Arithmetic { unit, store, limits, narrow_tree, sums: vec![0; unit.pe], overflows: Vec::new() }
    }

    /// Keeps one beat of the vector.
    pub fn load(&mut self, synapse_fold: usize, beat: &[i64]) {
        let at = synapse_fold * self.unit.simd;
        match &mut self.store {
            Store::Words16(s) => s.load(at, beat),
            Store::Words32(s) => s.load(at, beat),
            Store::Words64(s) => s.load(at, beat),
        }
    }

    /// The accumulators of all elements after the last beat of neuron fold `neuron`, with the overflows on the way.
    pub fn sum(&mut self, neuron: usize) -> (&[i64], &[Overflow]) {
        self.overflows.clear();
        let simd = self.unit.simd;
        let fits = match &self.store {
            Store::Words16(s) => s.sum(neuron, simd, &self.limits, &mut self.sums),
            Store::Words32(s) => s.sum(neuron, simd, &self.limits, &mut self.sums),
            Store::Words64(s) => s.sum(neuron, simd, &self.limits, &mut self.sums),
        };
        if !fits || self.narrow_tree.contains(&true) {
            self.sum_registers(neuron);
        }
        (&self.sums, &self.overflows)
    }

    /// The same, register by register.
    fn sum_registers(&mut self, neuron: usize) {
        for (index, pe) in self.unit.pes.iter().enumerate() {
            let bits = pe.reduction.accumulator_bits;
            let mut accumulator = 0i64;
            for fold in 0..self.unit.synapse_folds {
                let product = |lane: usize| {
                    let column = fold * self.unit.simd + lane;
                    match &self.store {
                        Store::Words16(s) => s.product(neuron, column, index),
                        Store::Words32(s) => s.product(neuron, column, index),
                        Store::Words64(s) => s.product(neuron, column, index),
                    }
                };
                let mut trap = |node, value, bits, became| {
                    self.overflows.push(Overflow { pe: index, fold, node, value, bits, became });
                };
                let sum = if self.narrow_tree[index] {
                    tree_sum(&pe.reduction.nodes, product, |node, value, bits, became| {
                        trap(Some(node), value, bits, became)
                    })
                } else {
                    (0..self.unit.simd).map(product).sum()
                };
                let value = accumulator + sum;
                accumulator = sign_extend(value as u64, bits);
                if accumulator != value {
                    trap(None, value, bits, accumulator);
                }
            }
            self.sums[index] = accumulator;
        }
    }
}

/// Elements summed side by side.
const BLOCK: usize = 8;

/// Eight integer words. Values put into one fit its words: the store was chosen by a bound on all of them.
trait Words: Copy + std::ops::Mul<Output = Self> + std::ops::Add<Output = Self> {
    fn pack(values: [i64; BLOCK]) -> Self;
    fn unpack(self) -> [i64; BLOCK];
    fn least(self, other: Self) -> Self;
    fn most(self, other: Self) -> Self;
}

macro_rules! words {
    ($words:ty, $word:ty) => {
        impl Words for $words {
            fn pack(values: [i64; BLOCK]) -> Self {
                <$words>::new(values.map(|v| v as $word))
            }
            fn unpack(self) -> [i64; BLOCK] {
                self.to_array().map(i64::from)
            }
            fn least(self, other: Self) -> Self {
                self.min(other)
            }
            fn most(self, other: Self) -> Self {
                self.max(other)
            }
        }
    };
}
words!(i16x8, i16);
words!(i32x8, i32);
words!(i64x8, i64);

/// Sums in words of one size.
struct Sums<W> {
    /// `[neuron fold][block of elements][column]`, filled up with zeros.
    weights: Vec<W>,
    /// The input vector, each code in all words.
    x: Vec<W>,
    pe: usize,
}

impl<W: Words> Sums<W> {
    /// From weights `[neuron fold][column][element]`.
    fn new(weights: &[i64], columns: usize, pe: usize) -> Self {
        let mut blocked = Vec::new();
        for neuron in weights.chunks((columns * pe).max(1)) {
            for block in 0..pe.div_ceil(BLOCK) {
                blocked.extend(neuron.chunks(pe).map(|column| {
                    W::pack(std::array::from_fn(|i| column.get(block * BLOCK + i).copied().unwrap_or(0)))
                }));
            }
        }
        Sums { weights: blocked, x: vec![W::pack([0; BLOCK]); columns], pe }
    }

    fn load(&mut self, at: usize, beat: &[i64]) {
        self.x[at..at + beat.len()].iter_mut().zip(beat).for_each(|(place, &value)| *place = W::pack([value; BLOCK]));
    }

    fn product(&self, neuron: usize, column: usize, pe: usize) -> i64 {
        let (columns, blocks) = (self.x.len(), self.pe.div_ceil(BLOCK));
        let block = self.weights[(neuron * blocks + pe / BLOCK) * columns + column];
        block.unpack()[pe % BLOCK] * self.x[column].unpack()[0]
    }

    /// Sums of all elements; false if a prefix left its register's limits.
    fn sum(&self, neuron: usize, simd: usize, limits: &[Range], sums: &mut [i64]) -> bool {
        let columns = self.x.len();
        let blocks = self.pe.div_ceil(BLOCK);
        let mut fits = true;
        for (block, (limits, sums)) in limits.chunks(BLOCK).zip(sums.chunks_mut(BLOCK)).enumerate() {
            let start = (neuron * blocks + block) * columns;
            let weights = &self.weights[start..start + columns];
            let mut accumulators = W::pack([0; BLOCK]);
            // The extreme prefixes of each element. 0, where they start, fits every register.
            let (mut least, mut most) = (accumulators, accumulators);
            for (xs, weights) in self.x.chunks_exact(simd).zip(weights.chunks_exact(simd)) {
                for (&x, &weight) in xs.iter().zip(weights) {
                    accumulators = accumulators + weight * x;
                }
                least = least.least(accumulators);
                most = most.most(accumulators);
            }
            let (least, most, values) = (least.unpack(), most.unpack(), accumulators.unpack());
            for (i, (limit, sum)) in limits.iter().zip(sums).enumerate() {
                fits &= limit.lo <= least[i] && most[i] <= limit.hi;
                *sum = values[i];
            }
        }
        fits
    }
}

/// The tree register by register, each cut to its width.
fn tree_sum(nodes: &[Node], product: impl Fn(usize) -> i64, mut trap: impl FnMut(usize, i64, u32, i64)) -> i64 {
    let mut values = vec![0i64; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let value = match node.operation {
            Operation::Product { lane } => product(lane),
            Operation::Add { left, right } => values[left] + values[right],
            Operation::Delay { of } => values[of],
        };
        let bits = node.width();
        let kept = if node.signed() {
            sign_extend(value as u64, bits)
        } else {
            (value as u64 & generator::dataflow::mask(bits)) as i64
        };
        if kept != value {
            trap(i, value, bits, kept);
        }
        values[i] = kept;
    }
    values.last().copied().unwrap_or(0)
}

/// Whether every register of the tree holds what these ROM words and any codes of the stream can make.
fn tree_is_wide_enough(unit: &MatrixVector, pe: &Pe, input: &Stream) -> bool {
    let nodes = &pe.reduction.nodes;
    let holds = |node: &Node, r: Range| {
        if node.signed() { r.signed_width() <= node.width() } else { r.lo >= 0 && r.width() <= node.width() }
    };
    // Lanes that the plan dropped must have nothing to add.
    let planned: Vec<usize> = nodes
        .iter()
        .filter_map(|n| match n.operation {
            Operation::Product { lane } => Some(lane),
            _ => None,
        })
        .collect();
    (0..pe.weights.len()).all(|fold| {
        let beat = unit.beat_of(fold);
        let product = |lane: usize| {
            let e = pe.weight_encodings[lane];
            let w = e.decode(e.encode(pe.weights[fold][lane]));
            let r = input.ranges.get(beat * unit.simd + lane).copied().unwrap_or(Range::ZERO);
            Range { lo: (w * r.lo).min(w * r.hi), hi: (w * r.lo).max(w * r.hi) }
        };
        let mut ranges: Vec<Range> = Vec::with_capacity(nodes.len());
        let wide = nodes.iter().all(|node| {
            let range = match node.operation {
                Operation::Product { lane } => product(lane),
                Operation::Add { left, right } => {
                    Range { lo: ranges[left].lo + ranges[right].lo, hi: ranges[left].hi + ranges[right].hi }
                }
                Operation::Delay { of } => ranges[of],
            };
            ranges.push(range);
            holds(node, range)
        });
        wide && (0..unit.simd).all(|lane| planned.contains(&lane) || product(lane) == Range::ZERO)
    })
}

/// What a two's complement register of `bits` bits can hold.
fn two_complement(bits: u32) -> Range {
    let half = 1i64 << (bits.clamp(1, 63) - 1);
    Range::new(-half, half - 1)
}

/// Every code that the stream's wires can carry.
fn code_range(stream: &Stream) -> Range {
    match stream.encoding.sign {
        Signedness::Unsigned => Range::new(0, (1i64 << stream.encoding.bits.min(62)) - 1),
        Signedness::Signed => two_complement(stream.encoding.bits),
        Signedness::Bipolar => Range::new(-1, 1),
    }
}
