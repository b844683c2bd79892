//! The sum of products of one processing element, at the real width of every register.

use generator::dataflow::{MatrixVector, Pe, Stream, sign_extend};
use generator::reduction::{Node, Operation};
use quantizer::datatype::{Range, Signedness};

/// An overflow: where, what, and what the register holds instead.
pub struct Overflow {
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

/// Lanes of a chunk are filled up to a multiple of this, so that the compiler can use whole vector registers.
const STRIDE: usize = 8;

/// The arithmetic of a matrix-vector unit.
pub struct Arithmetic {
    simd: usize,
    stride: usize,
    synapse_folds: usize,
    /// Rows of weights: `[(neuron fold * pe + element)][synapse fold][stride]`.
    store: Store,
    pes: Vec<Element>,
}

/// Weights and the input vector, in words as narrow as they can be without ever wrapping.
enum Store {
    /// Products and sums of a beat fit 32 bits.
    Narrow { weights: Vec<i16>, x: Vec<i16> },
    /// Everything else.
    Wide { weights: Vec<i64>, x: Vec<i64> },
}

/// One processing element.
struct Element {
    accumulator_bits: u32,
    /// Set where a register of the tree is narrower than the weights in the ROM demand: then every node is computed
    /// at its width. Where none is, the tree cannot wrap whatever the input, and its sum is computed at once.
    tree: Option<Vec<Node>>,
}

impl Arithmetic {
    pub fn new(unit: &MatrixVector, input: &Stream) -> Self {
        let stride = unit.simd.next_multiple_of(STRIDE);
        let range = code_range(input);
        let weights = |fold: usize, pe: &Pe| -> Vec<i64> {
            // What the ROM's bits mean, should a weight not fit them.
            pe.weights[fold].iter().zip(&pe.weight_encodings).map(|(&w, e)| e.decode(e.encode(w))).collect()
        };
        let largest_x = i128::from(range.lo.unsigned_abs().max(range.hi.unsigned_abs()));
        let mut narrow = largest_x < 1 << 15;
        let mut rows: Vec<Vec<i64>> = Vec::new();
        for n in 0..unit.neuron_folds {
            for pe in &unit.pes {
                let mut row = Vec::with_capacity(unit.synapse_folds * stride);
                for s in 0..unit.synapse_folds {
                    let mut chunk = weights(n * unit.synapse_folds + s, pe);
                    let sum: i128 = chunk.iter().map(|w| i128::from(w.unsigned_abs()) * largest_x).sum();
                    narrow &= sum < 1 << 31 && chunk.iter().all(|w| w.unsigned_abs() < 1 << 15);
                    chunk.resize(stride, 0);
                    row.extend(chunk);
                }
                rows.push(row);
            }
        }
        let length = unit.synapse_folds * stride;
        let store = if narrow {
            // Every weight was just seen to fit 16 bits.
            Store::Narrow { weights: rows.iter().flatten().map(|&w| w as i16).collect(), x: vec![0; length] }
        } else {
            Store::Wide { weights: rows.into_iter().flatten().collect(), x: vec![0; length] }
        };
        let pes = unit
            .pes
            .iter()
            .map(|pe| Element {
                accumulator_bits: pe.reduction.accumulator_bits,
                tree: (!tree_is_wide_enough(unit, pe, input)).then(|| pe.reduction.nodes.clone()),
            })
            .collect();
        Arithmetic { simd: unit.simd, stride, synapse_folds: unit.synapse_folds, store, pes }
    }

    /// Keeps one beat of the vector.
    pub fn load(&mut self, synapse_fold: usize, beat: impl Iterator<Item = i64>) {
        let at = synapse_fold * self.stride;
        let places = at..at + self.simd;
        match &mut self.store {
            // Codes were seen to fit 16 bits when the store was chosen.
            Store::Narrow { x, .. } => x[places].iter_mut().zip(beat).for_each(|(p, v)| *p = v as i16),
            Store::Wide { x, .. } => x[places].iter_mut().zip(beat).for_each(|(p, v)| *p = v),
        }
    }

    /// The accumulator of element `pe` after the last beat of neuron fold `neuron`; calls `trap` at every overflow.
    pub fn sum(&self, neuron: usize, pe: usize, mut trap: impl FnMut(Overflow)) -> i64 {
        let element = &self.pes[pe];
        let length = self.synapse_folds * self.stride;
        let start = (neuron * self.pes.len() + pe) * length;
        let bits = element.accumulator_bits;
        let mut accumulator = 0i64;
        let mut add = |fold: usize, sum: i64, trap: &mut dyn FnMut(Overflow)| {
            let value = accumulator + sum;
            accumulator = sign_extend(value as u64, bits);
            if accumulator != value {
                trap(Overflow { fold, node: None, value, bits, became: accumulator });
            }
        };
        match (&self.store, &element.tree) {
            (Store::Narrow { weights, x }, None) => {
                let chunks = weights[start..start + length].chunks_exact(self.stride).zip(x.chunks_exact(self.stride));
                for (fold, (w, x)) in chunks.enumerate() {
                    let sum: i32 = w.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
                    add(fold, i64::from(sum), &mut trap);
                }
            }
            (Store::Wide { weights, x }, None) => {
                let chunks = weights[start..start + length].chunks_exact(self.stride).zip(x.chunks_exact(self.stride));
                for (fold, (w, x)) in chunks.enumerate() {
                    add(fold, w.iter().zip(x).map(|(w, x)| w * x).sum(), &mut trap);
                }
            }
            (store, Some(nodes)) => {
                for fold in 0..self.synapse_folds {
                    let at = fold * self.stride;
                    let product = |lane: usize| match store {
                        Store::Narrow { weights, x } => i64::from(weights[start + at + lane]) * i64::from(x[at + lane]),
                        Store::Wide { weights, x } => weights[start + at + lane] * x[at + lane],
                    };
                    let sum = tree_sum(nodes, product, |node, value, bits, became| {
                        trap(Overflow { fold, node: Some(node), value, bits, became });
                    });
                    add(fold, sum, &mut trap);
                }
            }
        }
        accumulator
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
        let synapse = fold % unit.synapse_folds;
        let product = |lane: usize| {
            let e = pe.weight_encodings[lane];
            let w = e.decode(e.encode(pe.weights[fold][lane]));
            let r = input.ranges.get(synapse * unit.simd + lane).copied().unwrap_or(Range::ZERO);
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

/// Every code that the stream's wires can carry.
fn code_range(stream: &Stream) -> Range {
    let bits = stream.encoding.bits;
    match stream.encoding.sign {
        Signedness::Unsigned => Range::new(0, (1i64 << bits.min(62)) - 1),
        Signedness::Signed => Range::new(-(1i64 << (bits.min(62) - 1)), (1i64 << (bits.min(62) - 1)) - 1),
        Signedness::Bipolar => Range::new(-1, 1),
    }
}
