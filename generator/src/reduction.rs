//! The plan of a multiply-accumulate array, made before a line of Verilog is printed.
//!
//! A [`Reduction`] is a directed acyclic graph: products of input lanes with the ROM's weights, adders with a register
//! behind each level, and the accumulator. From the weights of every fold and the inputs' exact ranges each
//! node gets its exact interval (the hull over folds; for the accumulator the running prefix over the synapse
//! folds), and from that its width. Verilog, cycle model, estimate and proof obligations all read this plan.

use serde::Serialize;

use quantizer::datatype::Range;

/// What a node computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Operation {
    /// Input lane times this fold's weight.
    Product {
        /// Lane of the input beat.
        lane: usize,
    },
    /// Sum of two earlier nodes.
    Add {
        /// Left operand.
        left: usize,
        /// Right operand.
        right: usize,
    },
    /// A register that keeps an odd node in step with its level.
    Delay {
        /// Operand.
        of: usize,
    },
}

/// A node of the plan: a register.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// What it computes.
    pub operation: Operation,
    /// Pipeline stage: 0 for products, then one an adder level.
    pub stage: usize,
    /// Exact interval over all folds.
    pub interval: Range,
}

impl Node {
    /// Bits of the register: two's complement where the interval goes below 0, else unsigned.
    pub fn width(&self) -> u32 {
        self.interval.width().max(1)
    }

    /// Whether the register is read as two's complement.
    pub fn signed(&self) -> bool {
        self.interval.lo < 0
    }
}

/// The planned sum of products of one processing element.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reduction {
    /// Nodes; operands come before their users. The last is the root; empty if every weight is zero.
    pub nodes: Vec<Node>,
    /// Interval that the accumulator's register can hold, prefixes included: hull of its exact prefix intervals.
    pub accumulator: Range,
    /// Two's complement width of the accumulator.
    pub accumulator_bits: u32,
    /// Exact interval of the finished sum, per neuron fold.
    pub totals: Vec<Range>,
}

impl Reduction {
    /// Plans the sum for `weights[fold][lane]` with `inputs.len()` beats a row, where lane `l` of synapse
    /// fold `s` carries a value in `inputs[s][l]`, with `levels` adder levels (at least what the lanes need).
    ///
    /// Lanes whose products are zero in every fold vanish.
    pub fn plan(weights: &[Vec<i64>], inputs: &[Vec<Range>], levels: usize) -> Self {
        Self::plan_parts(weights, inputs, inputs.len(), levels)
    }

    /// The same where rows read different parts of the vector: `synapse_folds` beats a row, and lane `l` of fold `f` carries a
    /// value in `inputs[f % inputs.len()][l]`.
    pub fn plan_parts(weights: &[Vec<i64>], inputs: &[Vec<Range>], synapse_folds: usize, levels: usize) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        // Interval of each node in each fold, kept only while planning.
        let mut per_fold: Vec<Vec<Range>> = Vec::new();
        let lanes = inputs.first().map_or(0, Vec::len);
        for lane in 0..lanes {
            let folds = products(weights, inputs, lane);
            if folds.iter().all(|f| *f == Range::ZERO) {
                continue;
            }
            nodes.push(Node { operation: Operation::Product { lane }, stage: 0, interval: hull(&folds) });
            per_fold.push(folds);
        }
        let mut level: Vec<usize> = (0..nodes.len()).collect();
        for stage in 1..=levels {
            let mut next = Vec::with_capacity(level.len().div_ceil(2));
            for pair in level.chunks(2) {
                let (operation, folds) = match *pair {
                    [left, right] => (
                        Operation::Add { left, right },
                        per_fold[left].iter().zip(&per_fold[right]).map(|(a, b)| sum(*a, *b)).collect(),
                    ),
                    _ => (Operation::Delay { of: pair[0] }, per_fold[pair[0]].clone()),
                };
                next.push(nodes.len());
                nodes.push(Node { operation, stage, interval: hull(&folds) });
                per_fold.push(folds);
            }
            level = next;
        }
        let zero = vec![Range::ZERO; weights.len()];
        let root = level.first().map_or(&zero, |&r| &per_fold[r]);
        let mut accumulator: Option<Range> = None;
        let mut totals = Vec::new();
        for row in root.chunks(synapse_folds.max(1)) {
            let mut prefix = Range::ZERO;
            for (s, fold) in row.iter().enumerate() {
                prefix = if s == 0 { *fold } else { sum(prefix, *fold) };
                accumulator = Some(accumulator.map_or(prefix, |a| a.hull(prefix)));
            }
            totals.push(prefix);
        }
        let accumulator = accumulator.unwrap_or(Range::ZERO);
        Reduction { nodes, accumulator, accumulator_bits: accumulator.signed_width(), totals }
    }

    /// Lanes with a product, in order.
    pub fn lanes(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().filter_map(|n| match n.operation {
            Operation::Product { lane } => Some(lane),
            _ => None,
        })
    }

    /// Adder levels that these weights need: `ceil(log2(lanes with a product))`.
    pub fn levels_needed(weights: &[Vec<i64>], inputs: &[Vec<Range>]) -> usize {
        let lanes = inputs.first().map_or(0, Vec::len);
        let live = (0..lanes).filter(|&l| products(weights, inputs, l).iter().any(|p| *p != Range::ZERO)).count();
        live.next_power_of_two().trailing_zeros() as usize
    }
}

/// Interval of each of `nodes` in each fold, from the weights and inputs as in [`Reduction::plan`]. It takes the graph
/// from the nodes and nothing else: their own intervals and widths are not looked at.
pub fn fold_intervals(nodes: &[Node], weights: &[Vec<i64>], inputs: &[Vec<Range>]) -> Vec<Vec<Range>> {
    let mut per_fold: Vec<Vec<Range>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let folds = match node.operation {
            Operation::Product { lane } => products(weights, inputs, lane),
            Operation::Add { left, right } => {
                per_fold[left].iter().zip(&per_fold[right]).map(|(a, b)| sum(*a, *b)).collect()
            }
            Operation::Delay { of } => per_fold[of].clone(),
        };
        per_fold.push(folds);
    }
    per_fold
}

/// Interval of a lane's product in every fold.
fn products(weights: &[Vec<i64>], inputs: &[Vec<Range>], lane: usize) -> Vec<Range> {
    weights.iter().enumerate().map(|(f, w)| scaled(inputs[f % inputs.len()][lane], w[lane])).collect()
}

/// The interval of `weight * x` for `x` in `range`. Fits: the import refuses accumulators beyond 62 bits.
fn scaled(range: Range, weight: i64) -> Range {
    let (a, b) = (range.lo * weight, range.hi * weight);
    Range { lo: a.min(b), hi: a.max(b) }
}

fn sum(a: Range, b: Range) -> Range {
    Range { lo: a.lo + b.lo, hi: a.hi + b.hi }
}

fn hull(ranges: &[Range]) -> Range {
    ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_exact_per_fold_and_prefix() {
        // Two rows of two beats of two lanes, inputs 0..=3: row 0 = [1, -2, 3, 0], row 1 = [-1, -1, -1, -1].
        let weights = vec![vec![1, -2], vec![3, 0], vec![-1, -1], vec![-1, -1]];
        let inputs = vec![vec![Range::new(0, 3); 2]; 2];
        let plan = Reduction::plan(&weights, &inputs, 1);
        assert_eq!(plan.nodes[0].interval, Range::new(-3, 9));
        assert_eq!(plan.nodes[1].interval, Range::new(-6, 0));
        assert_eq!(plan.nodes[2].interval, Range::new(-6, 9));
        assert_eq!(plan.totals, [Range::new(-6, 12), Range::new(-12, 0)]);
        assert_eq!(plan.accumulator, Range::new(-12, 12));
        assert_eq!(plan.accumulator_bits, 5);
    }

    #[test]
    fn lanes_without_weights_vanish() {
        let plan = Reduction::plan(&[vec![0, 5, 0]], &[vec![Range::new(0, 1); 3]], 0);
        assert_eq!(plan.nodes.len(), 1);
        assert_eq!(plan.nodes[0].operation, Operation::Product { lane: 1 });
        let empty = Reduction::plan(&[vec![0, 0]], &[vec![Range::new(0, 1); 2]], 2);
        assert!(empty.nodes.is_empty());
        assert_eq!(empty.accumulator_bits, 1);
    }
}
