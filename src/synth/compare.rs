//! `snug synth --compare`: the estimate beside the count, module by module.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use generator::estimate::Estimate;
use sim::yosys::Synthesis;

/// A module of the source with all its instances. LUTs of all uses.
pub struct Row {
    name: String,
    instances: u64,
    estimate: u64,
    counted: u64,
    ff_estimate: u64,
    ff: u64,
}

/// One row for each module; fills in the modules' estimates where a module has one definition only.
pub fn rows(estimate: &Estimate, synthesis: &mut Synthesis) -> Vec<Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let empty = |name: &str| {
        let name = name.to_owned();
        Row { name, instances: 0, estimate: 0, counted: 0, ff_estimate: 0, ff: 0 }
    };
    for m in &estimate.modules {
        let row = rows.entry(m.name.clone()).or_insert_with(|| empty(&m.name));
        row.estimate += m.cost.lut_total();
        row.ff_estimate += m.cost.ff;
    }
    let mut definitions: BTreeMap<String, usize> = BTreeMap::new();
    for m in &synthesis.modules {
        let row = rows.entry(m.source.clone()).or_insert_with(|| empty(&m.source));
        row.instances += m.instances;
        row.counted += m.instances * m.counts.lut_total();
        row.ff += m.instances * m.counts.ff;
        *definitions.entry(m.source.clone()).or_default() += 1;
    }
    for m in &mut synthesis.modules {
        if definitions.get(&m.source) == Some(&1) {
            m.lut_estimate = rows.get(&m.source).and_then(|r| r.estimate.checked_div(m.instances));
        }
    }
    let mut rows: Vec<Row> = rows.into_values().filter(|r| r.estimate + r.counted > 0).collect();
    rows.sort_by(|a, b| b.counted.cmp(&a.counted).then_with(|| a.name.cmp(&b.name)));
    rows
}

/// The table, largest module first.
pub fn text(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["module", "instances", "estimate", "Yosys", "error", "FF estimate", "FF Yosys"]);
    let mut sum = Row { name: "all".into(), instances: 0, estimate: 0, counted: 0, ff_estimate: 0, ff: 0 };
    for row in rows {
        table.add_row(cells(row));
        sum.instances += row.instances;
        sum.estimate += row.estimate;
        sum.counted += row.counted;
        sum.ff_estimate += row.ff_estimate;
        sum.ff += row.ff;
    }
    table.add_row(cells(&sum));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    format!("\nLUTs of all uses (logic, memory, shift registers), modules mapped apart:\n{}", lines.join("\n"))
}

fn cells(row: &Row) -> [String; 7] {
    let error = if row.counted == 0 {
        "-".to_owned()
    } else {
        format!("{:+.1} %", 100.0 * (row.estimate as f64 - row.counted as f64) / row.counted as f64)
    };
    let number = |n: u64| n.to_string();
    [
        row.name.clone(),
        number(row.instances),
        number(row.estimate),
        number(row.counted),
        error,
        number(row.ff_estimate),
        number(row.ff),
    ]
}
