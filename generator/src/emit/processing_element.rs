//! Prints a processing element from its plan.

use hw_templates::{Adder, Direction, Lookup, Port, ProcessingElement, Product, Rom};
use quantizer::datatype::Signedness;

use super::expression::{counter_bits, field, pack, resize, word};
use super::heap::reads_all;
use super::search;
use crate::code_tables::{Choice, CodeTables};
use crate::dataflow::{Encoding, MatrixVector, Module, Pe, Stream};
use crate::heap::Wire;
use crate::names::comment;
use crate::reduction::{Node, Operation, WeightPart};

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
    let lanes: Vec<usize> = plan.lanes().collect();
    let layout = Layout::of(pe, &lanes);
    let rom = (folds > 1 && layout.bits > 0).then(|| Rom {
        bits: layout.bits,
        style: unit.kept_in().style(),
        cases: cases(counter_bits(folds - 1), layout.bits, pe.weights.iter().map(|w| layout.word(w))),
    });
    let mut products: Vec<Product> =
        plan.nodes.iter().filter_map(|node| product(pe, node, &layout, input.encoding)).collect();
    let mut adders = adders(&plan.nodes, unit.tree_levels);
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
        // Operands may be cut to their product's width, and lanes without a weight are not read at all.
        let narrower = |bits: &dyn Fn(usize, Option<WeightPart>) -> u32| {
            plan.nodes.iter().any(|n| match n.operation {
                Operation::Product { lane } => n.width() < bits(lane, None),
                Operation::Digit { lane, part } => n.width() < bits(lane, Some(part)),
                _ => false,
            })
        };
        // One wire for -1 and +1 is two bits as an operand, and the lower one is always 1.
        let bits = |e: Encoding| e.bits + u32::from(e.sign == Signedness::Bipolar);
        if lanes.len() < input.lanes || narrower(&|_, _| bits(input.encoding)) {
            unused.push("x");
        }
        if rom.is_some() && narrower(&|lane, part| part.map_or(bits(pe.weight_encodings[lane]), |p| p.bits)) {
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
    let tables = unit.search.filter(|_| unit.direct_codes).map(|s| CodeTables::plan(&pe.words[0], s.bits, acc_bits));
    if tables.as_ref().is_some_and(|t| !t.unread(acc_bits).is_empty()) {
        unused.push("pattern");
    }
    let lookup = tables.map(|plan| lookup(&plan, acc_bits));
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
        .filter(|&o| plan.nodes.iter().any(|n| read_bits(n, o).is_some_and(|bits| bits < plan.nodes[o].width())))
        .map(|o| node_name(&plan.nodes, o))
        .collect();
    unused.extend(cut.iter().map(String::as_str));
    if unit.search.is_some_and(|s| s.bits == 0) {
        unused.push("value0");
    }
    // Of a difference its sign alone is read.
    let gaps: Vec<String> = stages.iter().filter(|s| s.ahead).map(|s| format!("gap{}", s.index)).collect();
    unused.extend(gaps.iter().map(String::as_str));
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
        beat_bits: if sum.is_some() { input.width() } else { 0 },
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

fn product(pe: &Pe, node: &Node, layout: &Layout, input: Encoding) -> Option<Product> {
    let (lane, part) = match node.operation {
        Operation::Product { lane } => (lane, None),
        Operation::Digit { lane, part } => (lane, Some(part)),
        _ => return None,
    };
    let encoding = part.map_or(pe.weight_encodings[lane], part_encoding);
    let width = node.width();
    let x = field("x", lane * input.bits as usize, input, width);
    let name = product_name(lane, part);
    let suffix = name[1..].to_owned();
    let constant = pe.weights.len() == 1;
    let low = layout.low(lane) + part.map_or(0, |p| p.low as usize);
    let (weight, value) = if constant {
        (format!("{width}'h{}", word(pe.weights[0][lane], width).bits), format!("x{suffix} * w{suffix}"))
    } else if encoding.sign == Signedness::Bipolar {
        (String::new(), format!("weights_reg[{low}] ? x{suffix} : -x{suffix}"))
    } else {
        (field("weights_reg", low, encoding, width), format!("x{suffix} * w{suffix}"))
    };
    // Signed operands let a synthesizer see the sign extension for what it is.
    let signed = node.signed() || input.sign != Signedness::Unsigned || encoding.sign != Signedness::Unsigned;
    let sign = if signed { "signed ".to_owned() } else { String::new() };
    Some(Product { name, suffix, sign, width: width as usize, x, weight, value, interval: node.interval.to_string() })
}

/// How a part of a weight stands in a ROM word.
pub(super) fn part_encoding(part: WeightPart) -> Encoding {
    Encoding { bits: part.bits, sign: if part.signed { Signedness::Signed } else { Signedness::Unsigned } }
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
                        Operation::Join { low, high, shift, .. } => {
                            let node = &nodes[high];
                            let high = resize(
                                &node_name(nodes, high),
                                node.width(),
                                node.signed(),
                                n.width().saturating_sub(shift).max(1),
                            );
                            let high = format!("{{{high}, {shift}'d0}}");
                            // A sum that is narrower than the shift has nothing of the upper part.
                            if n.width() > shift { format!("{} + {high}", operand(low)) } else { operand(low) }
                        }
                        // Those of stage 0, which is no adder level.
                        Operation::Product { .. } | Operation::Digit { .. } => node_name(nodes, i),
                    };
                    let interval = n.interval.to_string();
                    Adder { name: node_name(nodes, i), width: n.width() as usize, value, interval }
                })
                .collect()
        })
        .filter(|level: &Vec<Adder>| !level.is_empty())
        .collect()
}

/// How many bits of `operand` the node reads, if it reads it.
fn read_bits(node: &Node, operand: usize) -> Option<u32> {
    match node.operation {
        Operation::Add { left, right } => (left == operand || right == operand).then(|| node.width()),
        Operation::Delay { of } => (of == operand).then(|| node.width()),
        Operation::Join { low, .. } if low == operand => Some(node.width()),
        Operation::Join { high, shift, .. } => (high == operand).then(|| node.width().saturating_sub(shift)),
        Operation::Product { .. } | Operation::Digit { .. } => None,
    }
}

/// `p<lane>`, with the lowest bit of the weight's part behind it where it is a part.
fn product_name(lane: usize, part: Option<WeightPart>) -> String {
    match part {
        Some(part) => format!("p{lane}_{}", part.low),
        None => format!("p{lane}"),
    }
}

/// Products by [`product_name`], `j<level>_<lane>_<lowest bit>` for what joins them, `s<level>_<number in level>` for the others.
pub(super) fn node_name(nodes: &[Node], index: usize) -> String {
    let stage = nodes[index].stage;
    match nodes[index].operation {
        Operation::Product { lane } => product_name(lane, None),
        Operation::Digit { lane, part } => product_name(lane, Some(part)),
        Operation::Join { lane, part, .. } => format!("j{stage}_{lane}_{}", part.low),
        _ => {
            let number = nodes[..index].iter().filter(|n| n.stage == stage).count();
            format!("s{stage}_{number}")
        }
    }
}

/// The count of reached words by tables over the pattern of a sum.
fn lookup(plan: &CodeTables, sum_bits: u32) -> Lookup {
    let index = if sum_bits > plan.low { format!("pattern[{}:0]", plan.low - 1) } else { "pattern".into() };
    Lookup {
        patterns: 1 << plan.low,
        bits: plan.bits.len(),
        tables: plan.tables.iter().map(|t| format!("{t:x}")).collect(),
        counts: plan.bits.iter().map(|choice| chosen(choice, &index)).collect(),
    }
}

/// The expression of one bit of the count.
fn chosen(choice: &Choice, index: &str) -> String {
    match choice {
        Choice::Constant(bit) => format!("1'b{}", u8::from(*bit)),
        Choice::Table(number) => format!("table{number}[{index}]"),
        Choice::By(bit, both) => {
            let [high, low] = both.each_ref().map(|choice| chosen(choice, index));
            format!("(pattern[{bit}] ? {high} : {low})")
        }
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
