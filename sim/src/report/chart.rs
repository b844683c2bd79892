//! Horizontal bar charts as SVG, in black, grey and white, so that paper and every eye can tell the bars apart.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{self, Area, Drawing, Failure, SCALE, text};
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
    let queued: Vec<&super::Module> = modules.iter().filter(|m| m.places > 0).collect();
    let places = |of: fn(&super::Module) -> Option<usize>| queued.iter().map(|m| of(m).map(|n| n as u64)).collect();
    let queues = [
        Series { name: "places", values: places(|m| Some(m.places)), fill: LIGHT },
        Series { name: "most in use", values: places(|m| m.occupied), fill: DARK },
    ];
    let queue_names: Vec<&str> = queued.iter().map(|m| m.name.as_str()).collect();
    let totals = super::schedule::totals(&report.hardware);
    let part_names: Vec<&str> = totals.iter().map(|p| p.name.as_str()).collect();
    let parts = [Series { name: "LUT estimate", values: totals.iter().map(|p| Some(p.count)).collect(), fill: LIGHT }];
    let plots: [(&'static str, &[&str], &[Series]); 5] = [
        ("widths.svg", &layers, &widths),
        ("schedule.svg", &names, &cycles),
        ("queues.svg", &queue_names, &queues),
        ("parts.svg", &part_names, &parts),
        ("luts.svg", &names, &luts),
    ];
    let mut charts = Vec::new();
    for (name, rows, series) in plots {
        // A series without a single figure is not shown, nor a chart without series.
        let series: Vec<&Series> = series.iter().filter(|s| s.values.iter().any(Option::is_some)).collect();
        if !series.is_empty() {
            charts.push(canvas::chart(name, &Bars { labels: rows, series }, |()| String::new())?);
        }
    }
    Ok(charts)
}

/// Rows of bars: one row for each label, in it one bar for each series.
struct Bars<'a> {
    labels: &'a [&'a str],
    series: Vec<&'a Series>,
}

impl Bars<'_> {
    /// Pixels of a row.
    fn row(&self) -> u32 {
        BAR * self.series.len() as u32 + GAP
    }
}

impl Drawing for Bars<'_> {
    type Out = ();

    fn size(&self) -> (u32, u32) {
        (WIDTH, HEAD + FOOT + self.row() * self.labels.len() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, root: &Area<DB>) -> Result<(), Failure<DB>> {
        let pixel = SCALE as i32;
        let (head, body) = root.split_vertically(HEAD * SCALE);
        let beside = |side| text(13).into_text_style(root).pos(Pos::new(side, VPos::Center));
        let (label_style, value_style) = (beside(HPos::Right), beside(HPos::Left));
        for (i, s) in self.series.iter().enumerate() {
            let x = (LABELS as i32 + 160 * i as i32) * pixel;
            bar(&head, [(x, 6 * pixel), (x + 12 * pixel, 18 * pixel)], s.fill)?;
            head.draw(&Text::new(s.name, (x + 18 * pixel, 12 * pixel), &value_style))?;
        }
        let largest = self.series.iter().flat_map(|s| &s.values).flatten().copied().max().unwrap_or(1).max(1);
        let rows = self.labels.len() as f64;
        let mut chart = ChartBuilder::on(&body)
            .margin_right(16 * SCALE)
            .x_label_area_size(FOOT * SCALE)
            .y_label_area_size(LABELS * SCALE)
            .build_cartesian_2d(0u64..largest + (largest / ROOM).max(1), rows..0f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(ShapeStyle::from(RGBColor(224, 224, 224)).stroke_width(SCALE))
            .axis_style(ShapeStyle::from(BLACK).stroke_width(SCALE))
            .set_all_tick_mark_size(5 * SCALE)
            .x_labels(6)
            .y_labels(0)
            .label_style(text(13))
            .draw()?;
        // Bars in pixels: fractions of a row come from them.
        let row = f64::from(self.row());
        for (i, label) in self.labels.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(0, i as f64 + 0.5));
            root.draw(&Text::new(shortened(label), (x - 8 * pixel, y), &label_style))?;
            for (place, s) in self.series.iter().enumerate() {
                let Some(value) = s.values.get(i).copied().flatten() else { continue };
                let part = |pixels: u32| i as f64 + f64::from(pixels) / row;
                let (above, below) = (GAP / 2 + BAR * place as u32 + 1, GAP / 2 + BAR * (place as u32 + 1) - 1);
                let corners = [(0, part(above)), (value, part(below))].map(|corner| chart.backend_coord(&corner));
                bar(root, corners, s.fill)?;
                let (x, y) = (corners[1].0, i32::midpoint(corners[0].1, corners[1].1));
                root.draw(&Text::new(value.to_string(), (x + 5 * pixel, y), &value_style))?;
            }
        }
        Ok(())
    }
}

/// A filled rectangle with a black outline.
fn bar<DB: DrawingBackend>(area: &Area<DB>, corners: [(i32, i32); 2], fill: RGBColor) -> Result<(), Failure<DB>> {
    area.draw(&Rectangle::new(corners, fill.filled()))?;
    area.draw(&Rectangle::new(corners, ShapeStyle::from(BLACK).stroke_width(SCALE)))
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
