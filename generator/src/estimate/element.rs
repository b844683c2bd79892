//! Cost of a processing element.

use std::collections::{HashMap, HashSet};

use quantizer::datatype::Signedness;

use super::logic::{self, Operand, columns};
use super::{Cost, Part};
use crate::code_tables::CodeTables;
use crate::dataflow::{Encoding, MatrixVector, Pe, SearchWords, mask};
use crate::heap::{Heap, Term, Wire};
use crate::memory::WeightMemory;
use crate::reduction::{Node, Operation};
use crate::unrolled::Unrolled;

/// The parts of a processing element that reads codes of `input`.
pub fn parts(pe: &Pe, unit: &MatrixVector, input: Encoding) -> Vec<(Part, Cost)> {
    if unit.search.is_some_and(|s| s.bits == 0) {
        // One code only: nothing of the element is read, and Yosys removes it.
        return Vec::new();
    }
    if pe.reduction.lanes().next().is_none() && unit.search.is_some() && !unit.direct_codes && unit.array.is_none() {
        return vec![(Part::Thresholds, constant_codes(pe, unit))];
    }
    let constant = pe.weights.len() == 1;
    let (mut products, mut tree) = (Cost::default(), Cost::default());
    let nodes = &pe.reduction.nodes;
    let mut memory: HashSet<Vec<u64>> = HashSet::new();
    let mut memory_bits = 0;
    for (i, node) in nodes.iter().enumerate() {
        match node.operation {
            Operation::Product { lane } => {
                let encoding = pe.weight_encodings[lane];
                products += if constant {
                    logic::constant_product(codes(input), pe.weights[0][lane], node.width())
                } else {
                    let words: Vec<u64> = pe.weights.iter().map(|w| encoding.encode(w[lane])).collect();
                    // Equal bits of a weight are one register: the product has that many inputs.
                    let kept = columns(&words, encoding.bits);
                    let bits = kept.len() as u32;
                    memory.extend(kept);
                    memory_bits += u64::from(encoding.bits);
                    let mut cost = product(input, encoding, node);
                    let fewer = product(input, Encoding { bits, ..encoding }, node).lut;
                    // Yosys finds all of that where one LUT holds the inputs, else about half.
                    cost.lut = if input.bits + bits <= 6 { fewer } else { (cost.lut + fewer).div_ceil(2) };
                    cost
                };
            }
            Operation::Digit { lane, part } => {
                let words: Vec<u64> = pe.weights.iter().map(|w| part.of(w[lane]) as u64 & mask(part.bits)).collect();
                memory.extend(columns(&words, part.bits));
                memory_bits += u64::from(part.bits);
                let sign = if part.signed { Signedness::Signed } else { Signedness::Unsigned };
                products += product(input, Encoding { bits: part.bits, sign }, node);
            }
            Operation::Join { low, high, shift, .. } => {
                // The lowest bits of the lower part go by.
                let low = operand(&nodes[low]);
                let low = Operand { bits: low.bits.saturating_sub(shift), ..low };
                let cost = logic::adder(low, operand(&nodes[high]), node.width().saturating_sub(shift).max(1));
                products += cost.with_ff(u64::from(shift.min(node.width())));
            }
            Operation::Add { left, right } => {
                let mut sum = logic::adder(operand(&nodes[left]), operand(&nodes[right]), node.width());
                // Bits below the lowest one of an even product are the other operand's.
                sum.lut = sum.lut.saturating_sub(zeros(pe, &nodes[left]).max(zeros(pe, &nodes[right])));
                tree += sum;
            }
            Operation::Delay { .. } => tree += delay(nodes, i),
        }
    }
    let mut accumulator = Cost::default();
    if unit.array.is_some() {
        (products, tree) = (Cost::default(), Cost::default());
    } else if let Some(heap) = &pe.heap {
        (products, tree) = (heap_cost(pe, heap), Cost::default());
    } else if unit.synapse_folds > 1 {
        let root = nodes.last().map_or(Operand { bits: 0, signed: false }, operand);
        accumulator = logic::accumulator(root, pe.reduction.accumulator_bits);
    }
    vec![
        (Part::Weights, weights(memory, pe.weights.len(), memory_bits, unit.kept_in())),
        (Part::Products, products),
        (Part::Tree, tree),
        (Part::Accumulator, accumulator),
        (Part::Thresholds, thresholds(pe, unit)),
    ]
}

/// An element without weights adds nothing up: its sum is 0, and Yosys finds the codes of its rows, a function of the neuron fold.
fn constant_codes(pe: &Pe, unit: &MatrixVector) -> Cost {
    let Some(search) = unit.search else { return Cost::default() };
    let count = |w: &SearchWords| w.words.iter().filter(|&&word| word <= 0).count() as u64;
    let code = |w: &SearchWords| if w.falling { count(w) ^ mask(search.bits) } else { count(w) };
    let codes: Vec<u64> = pe.words.iter().map(code).collect();
    let kept = columns(&codes, search.bits);
    Cost::lut(logic::rom(&kept, codes.len())).with_ff(kept.len() as u64)
}

/// Cells of a heap are what they are; its last row is the accumulator. Wires that wait long enough are shift registers.
/// Bits of weights that are equal in all words are one wire.
fn heap_cost(pe: &Pe, heap: &Heap) -> Cost {
    let direct: Vec<Term> = heap.direct.iter().flatten().copied().collect();
    let cost = Cost::lut(heap.luts() as u64).with_carry(heap.carries() as u64);
    let equal = equal_bits(pe);
    let same = |wire: Wire| match wire {
        Wire::Weight(bit) => Wire::Weight(equal.get(bit).copied().unwrap_or(bit)),
        other => other,
    };
    shifted(cost.with_ff((heap.flip_flops(&same) + heap.bits) as u64), &heap.chains(&direct, &same))
}

/// For each bit of the weight word the lowest bit that has the same value in every word.
fn equal_bits(pe: &Pe) -> Vec<usize> {
    let mut first: HashMap<Vec<u64>, usize> = HashMap::new();
    let mut equal = Vec::new();
    for lane in pe.reduction.lanes() {
        let encoding = pe.weight_encodings[lane];
        let words: Vec<u64> = pe.weights.iter().map(|w| encoding.encode(w[lane])).collect();
        for bit in 0..encoding.bits {
            equal.push(*first.entry(logic::column(&words, bit)).or_insert(equal.len()));
        }
    }
    equal
}

/// An array, likewise.
pub fn array(array: &Unrolled) -> Cost {
    let last: Vec<Term> = array.outputs.iter().flat_map(|o| o.bits.iter().flatten().copied()).collect();
    let cost = Cost::lut(array.heap.luts() as u64).with_carry(array.heap.carries() as u64);
    shifted(cost.with_ff(array.flip_flops() as u64), &array.heap.chains(&last, &|wire| wire))
}

/// `cost` with shift registers for chains of three registers and more.
fn shifted(cost: Cost, chains: &[usize]) -> Cost {
    let long: Vec<u64> = chains.iter().filter(|n| **n >= 3).map(|&n| n as u64).collect();
    let srl = long.iter().map(|n| n.div_ceil(32)).sum();
    Cost { srl, ff: cost.ff.saturating_sub(long.iter().sum()), ..cost }
}

/// Lowest bits of a product with a constant that are always 0.
fn zeros(pe: &Pe, node: &Node) -> u64 {
    match node.operation {
        Operation::Product { lane } if pe.weights.len() == 1 => u64::from(pe.weights[0][lane].trailing_zeros()),
        _ => 0,
    }
}

fn codes(input: Encoding) -> Operand {
    Operand { bits: input.bits, signed: input.sign != Signedness::Unsigned }
}

fn operand(node: &Node) -> Operand {
    Operand { bits: node.width(), signed: node.signed() }
}

fn product(input: Encoding, weight: Encoding, node: &Node) -> Cost {
    let width = node.width();
    if weight.sign == Signedness::Bipolar {
        if input.sign == Signedness::Bipolar {
            return Cost::lut(1).with_ff(1);
        }
        // The value or its negation: a carry chain of the value's bits, and its sign.
        let bits = u64::from(input.bits) + u64::from(input.sign == Signedness::Signed);
        let carry = if width <= 2 { 0 } else { u64::from(width).div_ceil(4) };
        return Cost::lut(if width <= 2 { 0 } else { bits }).with_ff(u64::from(width)).with_carry(carry);
    }
    if input.sign == Signedness::Bipolar {
        let lut = (2 * u64::from(weight.bits)).saturating_sub(3).max(1);
        return Cost::lut(lut).with_ff(u64::from(width)).with_carry(if width <= 2 { 0 } else { 1 });
    }
    logic::product(input.bits, weight.bits, width)
}

/// A register that waits: three in a row are a shift register, and then the first of them is none either.
fn delay(nodes: &[Node], index: usize) -> Cost {
    let mut before = 0;
    let mut at = index;
    while let Operation::Delay { of } = nodes[at].operation {
        before += 1;
        at = of;
    }
    let ends = !nodes[index + 1..].iter().any(|n| n.operation == Operation::Delay { of: index });
    let width = u64::from(nodes[index].width());
    match (before, ends) {
        (0..=1, _) => Cost::default().with_ff(width),
        // Counted as flip-flops until here.
        (_, true) => Cost { srl: width, ..Cost::default() },
        (_, false) => Cost::default().with_ff(width),
    }
}

/// The weight memory of `bits` bits a word and its output register, from its distinct columns.
fn weights(kept: HashSet<Vec<u64>>, words: usize, bits: u64, memory: WeightMemory) -> Cost {
    let bram = match memory {
        WeightMemory::Auto => logic::block_ram(words as u64, bits),
        WeightMemory::Block if words > 1 && bits > 0 => logic::block_rams(words as u64, bits),
        _ => None,
    };
    if let Some(bram) = bram {
        return Cost { bram, ..Cost::default() };
    }
    let kept: Vec<Vec<u64>> = kept.into_iter().collect();
    Cost::lut(logic::rom(&kept, words)).with_ff(kept.len() as u64)
}

fn thresholds(pe: &Pe, unit: &MatrixVector) -> Cost {
    let Some(search) = unit.search else { return Cost::default() };
    if unit.direct_codes {
        let plan = CodeTables::plan(&pe.words[0], search.bits, pe.reduction.accumulator_bits);
        return Cost::lut(plan.luts()).with_ff(u64::from(search.bits));
    }
    let value = u64::from(pe.reduction.accumulator_bits);
    let mut cost = search_stages(&pe.words, search.bits, pe.word_bits);
    if unit.words_read_ahead {
        // Value, word and count once more behind each read.
        let bits = u64::from(search.bits);
        let words = if pe.words.len() > 1 { bits } else { bits.saturating_sub(1) };
        cost.ff += bits * value + words * u64::from(pe.word_bits) + bits * bits.saturating_sub(1) / 2;
    }
    // The value goes along with the stages but the last.
    cost.ff += value * u64::from(search.bits).saturating_sub(1);
    let (falling, rising) = (pe.words.iter().any(|w| w.falling), pe.words.iter().any(|w| !w.falling));
    if falling && rising {
        cost.lut += u64::from(search.bits) + logic::function(logic::bits_for(pe.words.len() as u64 - 1));
    }
    cost
}

/// The stages of a binary search over the words of one or several channels, with the registers of the count.
pub fn search_stages(channels: &[SearchWords], bits: u32, word_bits: u32) -> Cost {
    let mut cost = Cost::default();
    let channel = if channels.len() > 1 { logic::bits_for(channels.len() as u64 - 1) } else { 0 };
    for k in 0..bits {
        let trial = bits - 1 - k;
        let words: Vec<u64> = channels
            .iter()
            .flat_map(|c| (0..1usize << k).map(move |count| (count << 1 | 1) << trial).map(|r| c.words[r - 1]))
            .map(|w| w as u64 & mask(word_bits))
            .collect();
        cost += logic::threshold_stage(&words, word_bits, channel + u64::from(k));
        cost.ff += u64::from(k) + 1;
    }
    cost
}
