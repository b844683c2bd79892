//! `snug inspect`: a network at a glance.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use quantizer::inspect::{Inspection, Port, Row, inspect};

use crate::Outcome;
use crate::console::Console;
use crate::error::Error;
use crate::model::ModelArgs;

/// Show layers, datatypes, accumulator widths by five rules, zeros and MACs
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
}

/// Runs the command.
///
/// # Errors
/// If the model cannot be built; the error lists every blocker.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let model = args.model.open()?;
    let inspection = inspect(&model.network).map_err(Error::Invalid)?;
    let pins = model.pins_text();
    if console.json {
        console.print_json(inspection.schema, With { pins, inspection: &inspection })?;
    } else {
        console.print(text(&inspection, &pins))?;
    }
    Ok(Outcome::Fine)
}

#[derive(serde::Serialize)]
struct With<'a> {
    pins: String,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

fn text(i: &Inspection, pins: &str) -> String {
    let mut lines = vec![
        format!("{}, from {}", i.name, i.source.file),
        String::new(),
        format!("pins carry  {}: {pins}", port(&i.input)),
        format!("output      {}", port(&i.output)),
        match &i.label_refused {
            None => "label       can be computed in hardware".to_owned(),
            Some(why) => format!("label       cannot be computed in hardware: {why}"),
        },
        String::new(),
        table(&i.layers),
        String::new(),
    ];
    let (weights, zeros) = i
        .layers
        .iter()
        .filter_map(|l| l.weights.as_ref())
        .fold((0, 0), |(total, zeros), w| (total + w.total, zeros + w.total - w.nonzero));
    lines.push(format!("{} MACs, {weights} weights, {zeros} of them 0", i.macs));
    lines.push(
        "Widths in bits, of the widest channel; mean is over channels, used is what the hardware gets.".to_owned(),
    );
    lines.extend(i.notes.iter().map(|n| format!("note: {n}")));
    lines.join("\n")
}

fn port(p: &Port) -> String {
    format!("{} {} ({} elements, {})", p.datatype, crate::data::shape(&p.shape), p.elements, p.order)
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "layer",
        "kind",
        "in",
        "out",
        "input",
        "weights",
        "zeros",
        "dead",
        "MACs",
        "data-type",
        "l1",
        "zero-centred",
        "exact",
        "mean",
        "used",
    ]);
    for row in rows {
        let w = row.weights.as_ref();
        let a = row.accumulator.as_ref();
        let blank = |text: Option<String>| text.unwrap_or_default();
        table.add_row([
            row.name.clone(),
            format!("{:?}", row.kind),
            row.inputs.to_string(),
            row.outputs.to_string(),
            row.input.datatype.clone(),
            blank(w.map(|w| w.datatype.clone())),
            blank(w.map(|w| percent(w.total - w.nonzero, w.total))),
            blank(w.map(|w| w.dead_outputs.to_string())),
            blank(w.map(|_| row.macs.to_string())),
            blank(a.map(|a| a.data_type.to_string())),
            blank(a.map(|a| a.l1.to_string())),
            blank(a.map(|a| a.zero_centered.to_string())),
            blank(a.map(|a| a.exact.to_string())),
            blank(a.map(|a| format!("{:.1}", a.exact_mean))),
            blank(a.map(|a| a.used.to_string())),
        ]);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        // No cell touches the left edge, and two spaces part the columns.
        column.set_padding((0, 2));
        if !matches!(i, 0 | 1 | 4 | 5) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { String::new() } else { format!("{:.0} %", 100.0 * part as f64 / whole as f64) }
}
