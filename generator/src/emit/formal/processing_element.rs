//! The claims of a processing element: every register holds what it should, at a width that loses nothing.

use hw_templates::{FormalDirect, FormalNode, FormalRead, FormalStage, FormalSum, ProcessingElementFormal};
use quantizer::datatype::Range;

use super::{Tables, protocol, vector_range};
use crate::dataflow::{Encoding, MatrixVector, Pe, SearchWords, Stream};
use crate::emit::expression::{counter_bits, field, resize, word};
use crate::emit::processing_element::{Layout, has_rom, node_name, part_encoding};
use crate::emit::search::less_one_bits;
use crate::reduction::{Node, Operation, fold_intervals};

/// The context of the claims of processing element `index` of the unit called `unit_name`.
pub fn context(
    top: &str,
    unit_name: &str,
    unit: &MatrixVector,
    index: usize,
    input: &Stream,
    output: &Stream,
) -> ProcessingElementFormal {
    let pe = &unit.pes[index];
    let plan = &pe.reduction;
    let folds = pe.weights.len();
    let fold_bits = counter_bits(folds - 1);
    let neuron_bits = counter_bits(unit.neuron_folds - 1);
    let stage_count = unit.search_cycles();
    // What lies past the vector's end may be anything, and has no weight.
    let beats = if unit.parts == 1 { unit.synapse_folds } else { folds };
    let inputs: Vec<Vec<Range>> = (0..beats)
        .map(|fold| {
            let first = unit.beat_of(fold) * input.lanes;
            (first..first + input.lanes).map(|at| input.ranges.get(at).copied().unwrap_or(Range::ZERO)).collect()
        })
        .collect();
    let per_fold = fold_intervals(&plan.nodes, &pe.weights, &inputs);
    let mut tables = Tables::default();
    let heap = pe.heap.is_some() || unit.array.is_some();
    let nodes = if heap { Vec::new() } else { nodes(pe, input, &per_fold, fold_bits, &mut tables) };

    // The sum of each row, prefix by prefix.
    let zero = vec![Range::ZERO; folds];
    let roots = per_fold.last().unwrap_or(&zero);
    let mut prefixes = Vec::with_capacity(folds);
    for row in roots.chunks(unit.synapse_folds) {
        let mut prefix = Range::ZERO;
        for fold in row {
            prefix = Range { lo: prefix.lo + fold.lo, hi: prefix.hi + fold.hi };
            prefixes.push(prefix);
        }
    }
    let totals: Vec<Range> =
        prefixes.iter().copied().skip(unit.synapse_folds - 1).step_by(unit.synapse_folds).collect();
    let hull = prefixes.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
    // At least one bit more than the register and than any value: a wrap shows. The data-type width of the literature
    // is never below the exact one, and more bits would only cost time.
    let sum_bits = (plan.accumulator_bits.max(hull.signed_width()).max(root_bits(&plan.nodes)) + 1) as usize;
    let (lo, hi) = bounds(&mut tables, &prefixes, sum_bits, "f_row_fold", fold_bits);
    let root = match plan.nodes.last() {
        Some(node) => signed(&node_name(&plan.nodes, plan.nodes.len() - 1), node, sum_bits as u32),
        None => format!("{sum_bits}'sd0"),
    };
    let (stages, direct) = if unit.direct_codes {
        (Vec::new(), direct(unit, pe, totals.first().copied().unwrap_or(Range::ZERO)))
    } else {
        (stages(unit, pe, &totals, neuron_bits, &mut tables), None)
    };
    let lane_bits = output.encoding.bits as usize;
    ProcessingElementFormal {
        protocol: format!("{unit_name}_protocol"),
        levels: unit.tree_levels,
        fold_bits,
        neuron_bits,
        stage_count,
        weights: weights(pe, fold_bits, &mut tables),
        fold: if folds > 1 { "fold".into() } else { format!("{fold_bits}'d0") },
        fold_port: folds > 1 && !has_rom(pe),
        x: if unit.array.is_some() { "f_x".into() } else { "x".into() },
        accumulator: unit.synapse_folds > 1,
        channels: protocol::channels(unit),
        folds: (0..=unit.tree_levels).map(|k| k * fold_bits).collect(),
        neurons: (0..=stage_count).map(|k| k * neuron_bits).collect(),
        nodes,
        heap,
        sum: FormalSum {
            comment: if unit.array.is_some() {
                format!(
                    "The sum at {sum_bits} bits. That the array makes the sum of products, and that it lies in its interval, is shown by \
                     bookkeeping on the array's text; here it is free within it."
                )
            } else if heap {
                format!(
                    "The accumulator at {sum_bits} bits. That the bit heap sums the products, and that each prefix of a row lies in \
                     its interval, is shown by bookkeeping on this text; here it is free within it."
                )
            } else {
                format!(
                    "The accumulator at {sum_bits} bits, which loses nothing: its register, {} bits, never differs, and each \
                 prefix of a row lies in its interval.",
                    plan.accumulator_bits
                )
            },
            bits: sum_bits,
            root,
            extend: sum_bits - plan.accumulator_bits as usize,
            lo,
            hi,
        },
        acc_bits: plan.accumulator_bits as usize,
        stages,
        direct,
        index,
        out_lanes: output.lanes,
        out_range: vector_range(top, output, unit.neuron_folds).0,
        out_data: lane_in_beat(index, output.lanes, lane_bits),
        tables: tables.finish(),
    }
}

/// The weights of the fold whose x is there, as they stand in a ROM word; empty if there is no ROM.
fn weights(pe: &Pe, fold_bits: usize, tables: &mut Tables) -> String {
    if !has_rom(pe) {
        return String::new();
    }
    let mut fields: Vec<String> = pe
        .reduction
        .lanes()
        .map(|lane| {
            let encoding = pe.weight_encodings[lane];
            let words: Vec<i64> = pe.weights.iter().map(|w| encoding.encode(w[lane]) as i64).collect();
            tables.lookup(&words, encoding.bits as usize, "f_x_fold", fold_bits)
        })
        .collect();
    // Lane 0 in the low bits.
    fields.reverse();
    format!("{{{}}}", fields.join(", "))
}

/// `y` at its place in a beat whose other lanes are 0.
fn lane_in_beat(index: usize, lanes: usize, bits: usize) -> String {
    let (above, below) = ((lanes - 1 - index) * bits, index * bits);
    let zero = |n: usize| if n == 0 { String::new() } else { format!("{n}'d0") };
    let parts: Vec<String> = [zero(above), "y".into(), zero(below)].into_iter().filter(|p| !p.is_empty()).collect();
    format!("{{{}}}", parts.join(", "))
}

/// Two's complement bits of a node's value.
fn node_bits(node: &Node) -> u32 {
    node.width() + u32::from(!node.signed())
}

fn root_bits(nodes: &[Node]) -> u32 {
    nodes.last().map_or(1, node_bits)
}

/// A node at `bits` bits, which must be more than it has.
fn signed(name: &str, node: &Node, bits: u32) -> String {
    resize(name, node.width(), node.signed(), bits)
}

/// Expressions for both ends of `ranges[index]`.
fn bounds(tables: &mut Tables, ranges: &[Range], bits: usize, index: &str, index_bits: usize) -> (String, String) {
    let ends = |end: fn(&Range) -> i64| ranges.iter().map(end).collect::<Vec<i64>>();
    (tables.lookup(&ends(|r| r.lo), bits, index, index_bits), tables.lookup(&ends(|r| r.hi), bits, index, index_bits))
}

/// The same for the interval of a node. Few intervals occur in many folds (they follow from a few small weights): where it
/// is less, a fold's word holds the number of its interval, and a table of its own the ends. The solver is then left with a
/// quarter of the bits to look up.
fn interval(tables: &mut Tables, ranges: &[Range], bits: usize, index: &str, index_bits: usize) -> (String, String) {
    let mut distinct: Vec<Range> = ranges.to_vec();
    distinct.sort_by_key(|r| (r.lo, r.hi));
    distinct.dedup();
    let number_bits = counter_bits(distinct.len().saturating_sub(1));
    if distinct.len() < 2 || number_bits * ranges.len() + 2 * bits * distinct.len() >= 2 * bits * ranges.len() {
        return bounds(tables, ranges, bits, index, index_bits);
    }
    let number = |r: &Range| distinct.partition_point(|d| (d.lo, d.hi) < (r.lo, r.hi)) as i64;
    let numbers: Vec<i64> = ranges.iter().map(number).collect();
    let field = tables.lookup(&numbers, number_bits, index, index_bits);
    let field = field.trim_start_matches("$signed(").trim_end_matches(')').to_owned();
    bounds(tables, &distinct, bits, &field, number_bits)
}

fn nodes(pe: &Pe, input: &Stream, per_fold: &[Vec<Range>], fold_bits: usize, tables: &mut Tables) -> Vec<FormalNode> {
    let nodes = &pe.reduction.nodes;
    let lanes: Vec<usize> = pe.reduction.lanes().collect();
    let layout = Layout::of(pe, &lanes);
    let mut claims: Vec<FormalNode> = nodes
        .iter()
        .zip(per_fold)
        .enumerate()
        .map(|(i, (node, ranges))| {
            let name = node_name(nodes, i);
            let (operands, value, needed) = match node.operation {
                Operation::Product { lane } => {
                    let weight = pe.weight_encodings[lane];
                    let bits = (wide(input.encoding) + wide(weight)).max(node_bits(node) + 1);
                    let x = field("x", lane * input.encoding.bits as usize, input.encoding, bits);
                    // A weight that is a constant is cut to the product's width: here it is whole.
                    let w = if pe.weights.len() == 1 {
                        format!("{bits}'sh{}", word(pe.weights[0][lane], bits).bits)
                    } else {
                        field("weights_reg", layout.low(lane), weight, bits)
                    };
                    (vec![x, w], format!("f_{name}_0 * f_{name}_1"), bits)
                }
                Operation::Digit { lane, part } => {
                    let bits = (wide(input.encoding) + part.bits + 1).max(node_bits(node) + 1);
                    let x = field("x", lane * input.encoding.bits as usize, input.encoding, bits);
                    let w = field("weights_reg", layout.low(lane) + part.low as usize, part_encoding(part), bits);
                    (vec![x, w], format!("f_{name}_0 * f_{name}_1"), bits)
                }
                Operation::Join { low, high, shift, .. } => {
                    let bits = node_bits(&nodes[low]).max(node_bits(&nodes[high]) + shift).max(node_bits(node)) + 1;
                    let operand = |o: usize| signed(&node_name(nodes, o), &nodes[o], bits);
                    (vec![operand(low), operand(high)], format!("f_{name}_0 + (f_{name}_1 <<< {shift})"), bits)
                }
                Operation::Add { left, right } => {
                    let bits = node_bits(&nodes[left]).max(node_bits(&nodes[right])).max(node_bits(node)) + 1;
                    let operand = |o: usize| signed(&node_name(nodes, o), &nodes[o], bits);
                    (vec![operand(left), operand(right)], format!("f_{name}_0 + f_{name}_1"), bits)
                }
                Operation::Delay { of } => {
                    let bits = node_bits(&nodes[of]).max(node_bits(node)) + 1;
                    (vec![signed(&node_name(nodes, of), &nodes[of], bits)], format!("f_{name}_0"), bits)
                }
            };
            // The true interval fits even where the plan's is wrong.
            let hull = ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
            let bits = needed.max(hull.signed_width());
            let index = format!("f_fold{}", node.stage);
            let (lo, hi) = interval(tables, ranges, bits as usize, &index, fold_bits);
            FormalNode {
                held: signed(&name, node, bits),
                name,
                bits: bits as usize,
                operands,
                value,
                level: node.stage,
                lo,
                hi,
            }
        })
        .collect();
    for (i, node) in nodes.iter().enumerate() {
        if let Operation::Join { .. } = node.operation {
            claims.extend(halves(pe, input, i, &per_fold[i], &layout, fold_bits, tables));
        }
    }
    claims
}

/// The parts of node `index`, which joins them, level by level before it: their sum is the product with the joined part of the weight,
/// and lies in its interval. What each part's interval allows is more than that.
fn halves(
    pe: &Pe,
    input: &Stream,
    index: usize,
    ranges: &[Range],
    layout: &Layout,
    fold_bits: usize,
    tables: &mut Tables,
) -> Vec<FormalNode> {
    let nodes = &pe.reduction.nodes;
    let node = &nodes[index];
    let Operation::Join { lane, part, .. } = node.operation else { return Vec::new() };
    let weight = pe.weight_encodings[lane];
    let hull = ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
    let bits = (wide(input.encoding) + wide(weight) + 2).max(node_bits(node) + 1).max(hull.signed_width() + 1);
    // The registers of level `level` that `at` is made of, with their places.
    fn leaves(nodes: &[Node], at: usize, level: usize, place: u32, found: &mut Vec<(usize, u32)>) {
        if nodes[at].stage == level {
            found.push((at, place));
            return;
        }
        match nodes[at].operation {
            Operation::Join { low, high, shift, .. } => {
                leaves(nodes, low, level, place, found);
                leaves(nodes, high, level, place + shift, found);
            }
            Operation::Delay { of } => leaves(nodes, of, level, place, found),
            _ => {}
        }
    }
    let sum = |level: usize| {
        let mut found = Vec::new();
        leaves(nodes, index, level, 0, &mut found);
        let terms: Vec<String> = found
            .iter()
            .map(|&(at, place)| format!("($signed({}) <<< {place})", signed(&node_name(nodes, at), &nodes[at], bits)))
            .collect();
        terms.join(" + ")
    };
    (0..node.stage)
        .map(|level| {
            let name = format!("{}_at{level}", node_name(nodes, index));
            let (operands, value) = if level == 0 {
                let x = field("x", lane * input.encoding.bits as usize, input.encoding, bits);
                let low = layout.low(lane) + part.low as usize;
                let w = field("weights_reg", low, part_encoding(part), bits);
                (vec![x, w], format!("f_{name}_0 * f_{name}_1"))
            } else {
                (vec![sum(level - 1)], format!("f_{name}_0"))
            };
            let (lo, hi) = bounds(tables, ranges, bits as usize, &format!("f_fold{level}"), fold_bits);
            FormalNode { held: sum(level), name, bits: bits as usize, operands, value, level, lo, hi }
        })
        .collect()
}

/// The count of an element with one row, whose sum is at once the address of a table.
fn direct(unit: &MatrixVector, pe: &Pe, total: Range) -> Option<FormalDirect> {
    let (search, words) = (unit.search?, &pe.words.first()?.words);
    let bits = pe.word_bits.max(pe.reduction.accumulator_bits).max(total.signed_width()) + 1;
    let count = |end: i64| {
        let reached = words.iter().filter(|&&w| w <= end).count();
        format!("{}'d{reached}", search.bits)
    };
    Some(FormalDirect {
        bits: bits as usize,
        value: resize("value0", pe.reduction.accumulator_bits, true, bits),
        words: words.iter().map(|&w| format!("{bits}'sh{}", word(w, bits).bits)).collect(),
        count_bits: search.bits as usize,
        count_lo: count(total.lo),
        count_hi: count(total.hi),
    })
}

/// Two's complement bits of everything that an encoding can carry.
fn wide(encoding: Encoding) -> u32 {
    encoding.bits + 1
}

fn stages(unit: &MatrixVector, pe: &Pe, totals: &[Range], neuron_bits: usize, tables: &mut Tables) -> Vec<FormalStage> {
    let Some(search) = unit.search else { return Vec::new() };
    let several = unit.neuron_folds > 1;
    let hull = totals.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
    let bits = (pe.word_bits.max(pe.reduction.accumulator_bits).max(hull.signed_width()) + 1) as usize;
    // Words that every value of the row has reached, and words that some value reaches.
    let counted = |reached: fn(&SearchWords, Range) -> usize| {
        pe.words.iter().zip(totals).map(|(w, &t)| reached(w, t) as i64).collect::<Vec<i64>>()
    };
    let least = counted(|w, t| w.words.iter().take_while(|&&word| word <= t.lo).count());
    let most = counted(|w, t| w.words.iter().take_while(|&&word| word <= t.hi).count());
    (0..search.bits as usize)
        .map(|k| {
            let trial = search.bits as usize - 1 - k;
            // The cycle of the comparison; with a read before it, what is compared stands in registers behind the read.
            let at = (k + 1) * unit.stage_cycles() - 1;
            let behind = if unit.words_read_ahead { "_read" } else { "" };
            let count = format!("count{k}{behind}");
            let neuron = format!("f_neuron{at}");
            let (lo, hi) = bounds(tables, totals, bits, &neuron, neuron_bits);
            // Addressed by {neuron fold, count so far}; a single neuron fold needs no address.
            let mut words = Vec::new();
            for channel in &pe.words {
                words.extend((0..1usize << k).map(|count| channel.words[((count << 1 | 1) << trial) - 1]));
            }
            let (index, index_bits) = match (several, k) {
                (true, 0) => (neuron.clone(), neuron_bits),
                (true, _) => (format!("{{{neuron}, {count}}}"), neuron_bits + k),
                (false, 0) => ("1'b0".to_owned(), 1),
                (false, _) => (count.clone(), k),
            };
            let next = format!("f_neuron{}", at + 1);
            let prefix = |counts: &[i64]| counts.iter().map(|c| c >> trial).collect::<Vec<i64>>();
            let unsigned = |text: String| text.replace("$signed", "$unsigned").replace("'sh", "'h");
            let several_words = words.len() > 1;
            let read = unit.words_read_ahead.then(|| {
                let at = at - 1;
                let value = resize(&format!("value{k}"), pe.reduction.accumulator_bits, true, bits as u32);
                let (lo, hi) = bounds(tables, totals, bits, &format!("f_neuron{at}"), neuron_bits);
                // The count so far, behind the read: that of the stage before.
                let so_far = |counts: &[i64]| counts.iter().map(|c| c >> (trial + 1)).collect::<Vec<i64>>();
                let (count_lo, count_hi) = if k == 0 {
                    (String::new(), String::new())
                } else {
                    (
                        unsigned(tables.lookup(&so_far(&least), k, &neuron, neuron_bits)),
                        unsigned(tables.lookup(&so_far(&most), k, &neuron, neuron_bits)),
                    )
                };
                let word = if several_words {
                    // It is there less one.
                    let stored = less_one_bits(&pe.words, pe.word_bits);
                    format!("{} + {bits}'sd1", resize(&format!("word{k}_read"), stored, true, bits as u32))
                } else {
                    String::new()
                };
                FormalRead { at, value, lo, hi, word, count_lo, count_hi }
            });
            FormalStage {
                index: k,
                at,
                count,
                came_at: read.as_ref().map_or(at, |r| r.at),
                came: format!("{}{k}", if read.is_some() { "f_enters" } else { "f_value" }),
                read,
                bits,
                value: resize(&format!("value{k}{behind}"), pe.reduction.accumulator_bits, true, bits as u32),
                lo,
                hi,
                word: tables.lookup(&words, bits, &index, index_bits),
                count_lo: unsigned(tables.lookup(&prefix(&least), k + 1, &next, neuron_bits)),
                count_hi: unsigned(tables.lookup(&prefix(&most), k + 1, &next, neuron_bits)),
            }
        })
        .collect()
}
