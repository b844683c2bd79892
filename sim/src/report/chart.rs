//! Horizontal bar charts as SVG, in black, grey and white, so that paper and every eye can tell the bars apart.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Chart, Report, ReportError};

/// Pixels of the whole chart, of a bar, and around the bars.
const WIDTH: u32 = 720;
const BAR: u32 = 14;
const GAP: u32 = 10;
const HEAD: u32 = 26;
const FOOT: u32 = 24;
const LABELS: u32 = 190;
/// This part of the longest bar is left free right of it, for its number.
const ROOM: u64 = 8;
/// Characters of a label; the tables show names in full.
const LABEL_CHARS: usize = 24;

/// Bars of one kind.
struct Series {
    name: &'static str,
    /// One value a row; none where there is nothing to show.
    values: Vec<Option<u64>>,
    fill: RGBColor,
}

const DARK: RGBColor = RGBColor(32, 32, 32);
const MIDDLE: RGBColor = RGBColor(160, 160, 160);
const LIGHT: RGBColor = RGBColor(255, 255, 255);

/// Every plot that the report has figures for.
pub fn all(report: &Report) -> Result<Vec<Chart>, ReportError> {
    let rows = || report.network.layers.iter().filter_map(|l| Some((l.name.as_str(), l.accumulator.as_ref()?)));
    let bits = |of: fn(&quantizer::inspect::Accumulator) -> u32| rows().map(|(_, a)| Some(u64::from(of(a)))).collect();
    let widths = [
        Series { name: "data-type bound", values: bits(|a| a.data_type), fill: LIGHT },
        Series { name: "exact", values: bits(|a| a.exact), fill: MIDDLE },
        Series { name: "used", values: bits(|a| a.used), fill: DARK },
    ];
    let modules = &report.hardware.modules;
    let names: Vec<&str> = modules.iter().map(|m| m.name.as_str()).collect();
    let cycles =
        [Series { name: "cycles a frame", values: modules.iter().map(|m| Some(m.cycles)).collect(), fill: DARK }];
    let luts = [
        Series { name: "LUT estimate", values: modules.iter().map(super::Module::lut_estimate).collect(), fill: LIGHT },
        Series { name: "LUTs synthesized", values: modules.iter().map(|m| m.lut).collect(), fill: DARK },
    ];
    let layers: Vec<&str> = rows().map(|(name, _)| name).collect();
    let plots: [(&'static str, &[&str], &[Series]); 3] =
        [("widths.svg", &layers, &widths), ("schedule.svg", &names, &cycles), ("luts.svg", &names, &luts)];
    let mut charts = Vec::new();
    for (name, rows, series) in plots {
        // A series without a single figure is not shown, nor a chart without series.
        let series: Vec<&Series> = series.iter().filter(|s| s.values.iter().any(Option::is_some)).collect();
        if !series.is_empty() {
            let svg = bars(rows, &series).map_err(|reason| ReportError::Chart { chart: name, reason })?;
            charts.push(Chart { name, svg });
        }
    }
    Ok(charts)
}

/// One row for each label, in it one bar for each series.
fn bars(labels: &[&str], series: &[&Series]) -> Result<String, String> {
    let row = BAR * series.len() as u32 + GAP;
    let height = HEAD + FOOT + row * labels.len() as u32;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&root, labels, series, row).map_err(|e| e.to_string())?;
        root.present().map_err(|e| e.to_string())?;
    }
    // The size of the page decides, the view box keeps the proportions.
    let fixed = format!("<svg width=\"{WIDTH}\" height=\"{height}\"");
    Ok(svg.replacen(&fixed, "<svg", 1))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(
    root: &Area,
    labels: &[&str],
    series: &[&Series],
    row: u32,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    let text = ("sans-serif", 13).into_font();
    let (head, body) = root.split_vertically(HEAD);
    for (i, s) in series.iter().enumerate() {
        let x = LABELS as i32 + 150 * i as i32;
        swatch(&head, [(x, 6), (x + 12, 18)], s.fill)?;
        head.draw(&Text::new(s.name, (x + 18, 6), text.clone()))?;
    }
    let largest = series.iter().flat_map(|s| &s.values).flatten().copied().max().unwrap_or(1).max(1);
    let rows = labels.len() as f64;
    let mut chart = ChartBuilder::on(&body)
        .margin_right(16)
        .x_label_area_size(FOOT)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(0u64..largest + (largest / ROOM).max(1), rows..0f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(224, 224, 224))
        .x_labels(6)
        .y_labels(0)
        .label_style(text.clone())
        .draw()?;
    // Positions of texts in pixels; fractions of a row come from the bars' pixels.
    let centred = |right| {
        let side = if right { HPos::Right } else { HPos::Left };
        text.clone().into_text_style(root).pos(Pos::new(side, VPos::Center))
    };
    let (label_style, value_style) = (centred(true), centred(false));
    let part = |pixels: u32| f64::from(pixels) / f64::from(row);
    for (i, label) in labels.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(0, i as f64 + 0.5));
        root.draw(&Text::new(shortened(label), (x - 8, y), &label_style))?;
    }
    for (place, s) in series.iter().enumerate() {
        let place = place as u32;
        let above = part(GAP / 2 + BAR * place + 1);
        let below = part(GAP / 2 + BAR * (place + 1) - 1);
        for (i, value) in s.values.iter().enumerate() {
            let Some(value) = *value else { continue };
            let corners = [(0, i as f64 + above), (value, i as f64 + below)];
            for style in [ShapeStyle::from(s.fill).filled(), ShapeStyle::from(BLACK)] {
                chart.draw_series([Rectangle::new(corners, style)])?;
            }
            let (x, y) = chart.backend_coord(&(value, i as f64 + f64::midpoint(above, below)));
            root.draw(&Text::new(value.to_string(), (x + 5, y), &value_style))?;
        }
    }
    Ok(())
}

fn swatch(
    area: &Area,
    corners: [(i32, i32); 2],
    fill: RGBColor,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    area.draw(&Rectangle::new(corners, fill.filled()))?;
    area.draw(&Rectangle::new(corners, BLACK))
}

/// The label, or its beginning and end.
fn shortened(label: &str) -> String {
    let chars: Vec<char> = label.chars().filter(|c| !c.is_control()).collect();
    if chars.len() <= LABEL_CHARS {
        return chars.into_iter().collect();
    }
    let half = (LABEL_CHARS - 1) / 2;
    let (head, tail) = (&chars[..half], &chars[chars.len() - half..]);
    head.iter().chain(&['…']).chain(tail).collect()
}
