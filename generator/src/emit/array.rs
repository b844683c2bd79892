//! Prints an unrolled array, cell by cell.

use hw_templates::{ArrayCell, ArrayNumber, ArrayRow, HeapDelay, UnrolledArray, UnrolledStream};

use super::heap::{Names, concatenation};
use crate::heap::{Row, Term};
use crate::unrolled::Unrolled;

/// The context of the module `name`.
pub fn context(name: &str, plan: &Unrolled) -> UnrolledArray {
    let last: Vec<Term> = plan.outputs.iter().flat_map(|o| o.bits.iter().flatten().copied()).collect();
    let names = Names { heap: &plan.heap, delays: plan.heap.waits(&last) };
    let bits: Vec<String> = plan
        .outputs
        .iter()
        .flat_map(|o| &o.bits)
        .map(|t| t.map_or_else(|| "1'b0".to_owned(), |t| names.bare(t, plan.stages)))
        .collect();
    UnrolledArray {
        module: name.to_owned(),
        inputs: plan.inputs,
        outputs: plan.outputs.len(),
        shared: plan.shared,
        luts: plan.heap.luts(),
        stages: plan.stages,
        x_bits: plan.inputs * plan.input.bits as usize,
        y_bits: bits.len(),
        rows: plan.heap.rows.iter().enumerate().map(|(i, r)| row(&names, i, r)).collect(),
        delays: names
            .delays
            .iter()
            .enumerate()
            .filter(|(_, wires)| !wires.is_empty())
            .map(|(i, wires)| HeapDelay {
                stage: i + 1,
                bits: wires.len(),
                signals: concatenation(wires.iter().map(|&w| names.wire(w, i))),
            })
            .collect(),
        y: concatenation(bits.into_iter()),
        numbers: plan
            .numbers
            .iter()
            .map(|n| ArrayNumber {
                interval: n.interval.to_string(),
                bits: n.bits.iter().rev().map(|t| t.map_or_else(|| "1'b0".to_owned(), |t| names.bare(t, 0))).collect(),
            })
            .collect(),
    }
}

/// The context of the stream around it.
pub fn stream(name: &str, array: &str, plan: &Unrolled, queue: usize) -> UnrolledStream {
    UnrolledStream {
        module: name.to_owned(),
        array: array.to_owned(),
        x_bits: plan.inputs * plan.input.bits as usize,
        y_bits: plan.output_bits(),
        queue,
        cycles: plan.stages + 1,
    }
}

fn row(names: &Names, index: usize, row: &Row) -> ArrayRow {
    let carry = |term: Option<Term>| term.map_or_else(|| "1'b0".to_owned(), |t| names.bare(t, row.stage));
    let majority_in = carry(row.majority_in);
    let before = |c: usize| if c == 0 { majority_in.clone() } else { format!("g{index}_{}", c - 1) };
    let cells = (0..row.width())
        .map(|c| {
            let mut pins: Vec<String> = row.pins(c).into_iter().map(|w| names.wire(w, row.stage)).collect();
            pins.resize(4, "1'b0".to_owned());
            pins.push(if row.ternary { before(c) } else { "1'b0".to_owned() });
            let pins = pins.iter().enumerate().map(|(i, p)| format!(".I{i}({p})")).collect::<Vec<_>>().join(", ");
            ArrayCell { column: c, init: format!("{:016x}", row.init(c)), pins }
        })
        .collect();
    let quad = |name: &dyn Fn(usize) -> String, k: usize| {
        let bit = |c: usize| if c < row.width() { name(c) } else { "1'b0".to_owned() };
        (4 * k..4 * k + 4).rev().map(bit).collect::<Vec<_>>().join(", ")
    };
    let generated = |c: usize| if row.ternary { before(c) } else { format!("g{index}_{c}") };
    let select = |c: usize| format!("p{index}_{c}");
    let carries: Vec<String> = (0..row.width().div_ceil(4))
        .map(|k| {
            let (ci, start) = if k == 0 {
                ("1'b0".to_owned(), carry(row.carry_in))
            } else {
                (format!("c{index}_{}[3]", k - 1), "1'b0".to_owned())
            };
            format!(
                ".CO(c{index}_{k}), .O(s{index}_{k}), .CI({ci}), .CYINIT({start}), .DI({{{}}}), .S({{{}}})",
                quad(&generated, k),
                quad(&select, k)
            )
        })
        .collect();
    let top = row.width() - 1;
    let kept = row.highest(usize::MAX);
    let output = |i: usize| match i.checked_sub(row.width()) {
        None => format!("s{index}_{}[{}]", i / 4, i % 4),
        Some(0) => format!("c{index}_{}[{}]", top / 4, top % 4),
        Some(_) => format!("g{index}_{top}"),
    };
    ArrayRow {
        index,
        stage: row.stage,
        low: row.low,
        high: row.low + top,
        cells,
        carries,
        kept,
        outputs: concatenation((0..=kept).map(output)),
    }
}
