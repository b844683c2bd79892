//! Prints a processing element from its plan.

use hw_templates::{Adder, Direction, Lookup, Port, ProcessingElement, Product, Rom};
use quantizer::datatype::Signedness;

use super::expression::{counter_bits, field, pack, resize, word};
use super::heap::reads_all;
use super::search;
use crate::dataflow::{Encoding, MatrixVector, Module, Pe, Search, SearchWords, Stream, sign_extend};
use crate::heap::Wire;
use crate::names::comment;
use crate::reduction::{Node, Operation};

/// The context of processing element `index`.
pub fn context(
    name: String,
    module: &Module,
    unit: &MatrixVector,
    index: usize,
    input: &Stream,
    output: &Stream,
) -> ProcessingElement {
    let pe = &unit.pes[index];
    let folds = pe.weights.len();
    let plan = &pe.reduction;
    let mut unused = Vec::new();
    let lanes: Vec<usize> = plan
        .nodes
        .iter()
        .filter_map(|n| match n.operation {
            Operation::Product { lane } => Some(lane),
            _ => None,
        })
        .collect();
    let layout = Layout::of(pe, &lanes);
    let rom = (folds > 1 && layout.bits > 0).then(|| Rom {
        bits: layout.bits,
        style: unit.weight_memory.style(),
        cases: cases(counter_bits(folds - 1), layout.bits, pe.weights.iter().map(|w| layout.word(w))),
    });
    let mut products: Vec<Product> =
        lanes.iter().enumerate().map(|(i, &lane)| product(pe, &plan.nodes[i], lane, &layout, input.encoding)).collect();
    let mut adders = adders(&plan.nodes, unit.tree_levels);
    // Operands may be cut to their product's width, and lanes without a weight are not read at all.
    let width = |i: usize| plan.nodes[i].width();
    let sum = unit.array.as_ref().map(|a| &a.outputs[index]);
    let mut heap = String::new();
    if let Some(sum) = sum {
        (products, adders) = (Vec::new(), Vec::new());
        let value = resize("x", sum.bits.len() as u32, sum.interval.lo < 0, plan.accumulator_bits);
        let interval = plan.accumulator;
        heap = format!(
            "\n    // The sum comes from the array: it lies in {interval}.\n    wire signed [{}:0] value0 = {value};",
            plan.accumulator_bits - 1
        );
    } else if let Some(heap) = &pe.heap {
        (products, adders) = (Vec::new(), Vec::new());
        if !reads_all(heap, input.width(), |w| if let Wire::X(i) = w { Some(i) } else { None }) {
            unused.push("x");
        }
        if rom.is_some() && !reads_all(heap, layout.bits, |w| if let Wire::Weight(i) = w { Some(i) } else { None }) {
            unused.push("weights_reg");
        }
    } else {
        if lanes.len() < input.lanes || (0..lanes.len()).any(|i| width(i) < input.encoding.bits) {
            unused.push("x");
        }
        if rom.is_some() && lanes.iter().enumerate().any(|(i, &l)| width(i) < pe.weight_encodings[l].bits) {
            unused.push("weights_reg");
        }
    }
    let acc_bits = plan.accumulator_bits;
    let root = match plan.nodes.last() {
        Some(node) => resize(&node_name(&plan.nodes, plan.nodes.len() - 1), node.width(), node.signed(), acc_bits),
        None => format!("{acc_bits}'d0"),
    };
    let neuron_bits = counter_bits(unit.neuron_folds - 1);
    let several = unit.neuron_folds > 1;
    let lookup = unit.search.filter(|_| unit.direct_codes).map(|s| lookup(s, &pe.words[0], acc_bits));
    let stages = unit.search.filter(|_| !unit.direct_codes).map_or_else(Vec::new, |s| {
        search::stages(s, &pe.words, pe.word_bits, acc_bits, unit.words_read_ahead, |k| {
            (format!("channel{k}"), neuron_bits)
        })
    });
    let (direction, y) = result(pe, unit, output.encoding, several);
    let mut ports: Vec<Port> = Vec::new();
    if several {
        ports = (0..stages.len())
            .map(|k| Port {
                name: format!("channel{k}"),
                comment: format!("neuron fold of the value in threshold stage {k}"),
            })
            .collect();
        if unit.search.is_some_and(|s| s.bits > 0) && unit.pes.iter().any(mixed) {
            ports.push(Port { name: "channel_y".into(), comment: "neuron fold of y".into() });
            if direction.is_none() {
                unused.push("channel_y");
            }
        }
    }
    let accumulator = unit.synapse_folds > 1;
    // A sum can be narrower than its operands, where their intervals lie on opposite sides of 0.
    let cut: Vec<String> = (0..plan.nodes.len())
        .filter(|_| pe.heap.is_none() && unit.array.is_none())
        .filter(|&o| plan.nodes.iter().any(|n| reads(n, o) && n.width() < plan.nodes[o].width()))
        .map(|o| node_name(&plan.nodes, o))
        .collect();
    unused.extend(cut.iter().map(String::as_str));
    if unit.search.is_some_and(|s| s.bits == 0) {
        unused.push("value0");
    }
    if (lanes.is_empty() || sum.is_some()) && !accumulator && stages.is_empty() && lookup.is_none() && pe.heap.is_none()
    {
        unused.push("aclk");
    }
    ProcessingElement {
        module: name,
        index,
        layer: comment(&module.layer),
        rows: rows(pe),
        sum: format!(
            "{} of {} lanes have weights, {} folds ({} neuron x {} synapse)",
            lanes.len(),
            input.lanes,
            folds,
            unit.neuron_folds,
            unit.synapse_folds
        ),
        levels: unit.tree_levels,
        latency: unit.pipeline(),
        fold_bits: counter_bits(folds - 1),
        x_bits: sum.map_or(input.width(), |s| s.bits.len()),
        y_bits: output.encoding.bits as usize,
        accumulator,
        channel_bits: neuron_bits,
        channel_ports: ports,
        unused: unused.join(", "),
        fields: if rom.is_some() { layout.comment(pe, &lanes) } else { String::new() },
        rom,
        products,
        heap,
        adders,
        sum_comment: if accumulator {
            format!("Accumulator: prefixes and sums lie in {}, {} bits.", plan.accumulator, acc_bits)
        } else {
            format!("The sum: it lies in {}, {} bits.", plan.accumulator, acc_bits)
        },
        acc_bits: acc_bits as usize,
        root,
        lookup,
        stages,
        word_bits: pe.word_bits as usize,
        direction,
        y,
        formal: String::new(),
        formal_fold: folds > 1 && !has_rom(pe),
    }
}

/// The items of the weight memory's case. Large memories make most of the text: a template's loop would take most of the time.
fn cases(fold_bits: usize, bits: usize, words: impl Iterator<Item = String>) -> String {
    let lines =
        words.enumerate().map(|(fold, word)| format!("\n            {fold_bits}'d{fold}: weights = {bits}'h{word};"));
    lines.collect()
}

/// Whether a module of this element has a `fold` port.
pub fn has_rom(pe: &Pe) -> bool {
    pe.weights.len() > 1 && !pe.reduction.nodes.is_empty()
}

/// Whether some rows rise and some fall.
pub fn mixed(pe: &Pe) -> bool {
    pe.words.iter().any(|w| w.falling) && pe.words.iter().any(|w| !w.falling)
}

/// Where each lane's weight lies in a ROM word.
pub(super) struct Layout {
    /// Lane, lowest bit, encoding.
    fields: Vec<(usize, usize, Encoding)>,
    bits: usize,
}

impl Layout {
    pub(super) fn of(pe: &Pe, lanes: &[usize]) -> Self {
        let mut bits = 0;
        let fields = lanes
            .iter()
            .map(|&lane| {
                let encoding = pe.weight_encodings[lane];
                let low = bits;
                bits += encoding.bits as usize;
                (lane, low, encoding)
            })
            .collect();
        Layout { fields, bits }
    }

    fn word(&self, weights: &[i64]) -> String {
        pack(self.fields.iter().map(|&(lane, _, e)| (e.encode(weights[lane]), e.bits)))
    }

    pub(super) fn low(&self, lane: usize) -> usize {
        self.fields.iter().find(|f| f.0 == lane).map_or(0, |f| f.1)
    }

    fn comment(&self, pe: &Pe, lanes: &[usize]) -> String {
        match lanes {
            [first, .., last] => format!(
                "lane {first} in the low {} bit(s), lane {last} in the high {}",
                pe.weight_encodings[*first].bits, pe.weight_encodings[*last].bits
            ),
            _ => String::new(),
        }
    }
}

fn product(pe: &Pe, node: &Node, lane: usize, layout: &Layout, input: Encoding) -> Product {
    let encoding = pe.weight_encodings[lane];
    let width = node.width();
    let x = field("x", lane * input.bits as usize, input, width);
    let name = format!("p{lane}");
    let constant = pe.weights.len() == 1;
    let low = layout.low(lane);
    let (weight, value) = if constant {
        (format!("{width}'h{}", word(pe.weights[0][lane], width).bits), format!("x{lane} * w{lane}"))
    } else if encoding.sign == Signedness::Bipolar {
        (String::new(), format!("weights_reg[{low}] ? x{lane} : -x{lane}"))
    } else {
        (field("weights_reg", low, encoding, width), format!("x{lane} * w{lane}"))
    };
    // Signed operands let a synthesizer see the sign extension for what it is.
    let signed = node.signed() || input.sign != Signedness::Unsigned || encoding.sign != Signedness::Unsigned;
    let sign = if signed { "signed ".to_owned() } else { String::new() };
    Product { name, lane, sign, width: width as usize, x, weight, value, interval: node.interval.to_string() }
}

fn adders(nodes: &[Node], levels: usize) -> Vec<Vec<Adder>> {
    (1..=levels)
        .map(|level| {
            nodes
                .iter()
                .enumerate()
                .filter(|(_, n)| n.stage == level)
                .map(|(i, n)| {
                    let operand =
                        |o: usize| resize(&node_name(nodes, o), nodes[o].width(), nodes[o].signed(), n.width());
                    let value = match n.operation {
                        Operation::Add { left, right } => format!("{} + {}", operand(left), operand(right)),
                        Operation::Delay { of } => operand(of),
                        Operation::Product { lane } => format!("p{lane}"),
                    };
                    let interval = n.interval.to_string();
                    Adder { name: node_name(nodes, i), width: n.width() as usize, value, interval }
                })
                .collect()
        })
        .filter(|level: &Vec<Adder>| !level.is_empty())
        .collect()
}

fn reads(node: &Node, operand: usize) -> bool {
    match node.operation {
        Operation::Add { left, right } => left == operand || right == operand,
        Operation::Delay { of } => of == operand,
        Operation::Product { .. } => false,
    }
}

/// `p<lane>` for products, `s<level>_<number in level>` for adders.
pub(super) fn node_name(nodes: &[Node], index: usize) -> String {
    match nodes[index].operation {
        Operation::Product { lane } => format!("p{lane}"),
        _ => {
            let stage = nodes[index].stage;
            let number = nodes[..index].iter().filter(|n| n.stage == stage).count();
            format!("s{stage}_{number}")
        }
    }
}

/// The count of reached words as one table a bit, for every pattern of a sum of `bits` bits.
fn lookup(search: Search, words: &SearchWords, bits: u32) -> Lookup {
    let count = |pattern: u64| words.words.partition_point(|&w| w <= sign_extend(pattern, bits)) as u64;
    let table = |bit: u32| pack((0..1u64 << bits).map(|pattern| (count(pattern) >> bit & 1, 1)));
    let read: Vec<String> = (0..search.bits).rev().map(|bit| format!("table{bit}[pattern]")).collect();
    Lookup {
        patterns: 1 << bits,
        bits: search.bits as usize,
        tables: (0..search.bits).map(table).collect(),
        read: format!("{{{}}}", read.join(", ")),
    }
}

/// The expression of the result, and the memory of directions where rows differ.
fn result(pe: &Pe, unit: &MatrixVector, output: Encoding, several: bool) -> (Option<Direction>, String) {
    let Some(search) = unit.search else {
        return (None, resize("value0", pe.reduction.accumulator_bits, true, output.bits));
    };
    if search.bits == 0 {
        return (None, format!("{}'h{}", output.bits, word(search.base, output.bits).bits));
    }
    if several && mixed(pe) {
        let flags = pe.words.iter().map(|w| u8::from(w.falling)).collect();
        let direction = Direction { address: "channel_y".into(), flags };
        return (Some(direction), search::code(search, output, Some("falling")));
    }
    let falling = pe.words.first().is_some_and(|w| w.falling);
    (None, search::code(search, output, falling.then_some("1'b1")))
}

fn rows(pe: &Pe) -> String {
    let rows: Vec<String> = pe.rows.iter().map(|r| r.map_or_else(|| "none".to_owned(), |r| r.to_string())).collect();
    if rows.len() > 24 {
        format!(
            "source rows {}, ... {} ({} rows, one a neuron fold)",
            rows[..20].join(", "),
            rows[rows.len() - 1],
            rows.len()
        )
    } else {
        format!("source row{} {}, one a neuron fold", if rows.len() == 1 { "" } else { "s" }, rows.join(", "))
    }
}
