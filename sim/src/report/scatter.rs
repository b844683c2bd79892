//! Curves of several series as SVG: marker, dashes and legend tell them apart without colour, and hovering names a point.

use std::fmt::Write;

use plotters::prelude::*;

use super::{Chart, ReportError};

const SIZE: (u32, u32) = (720, 400);
/// Room for the legend, right of the plot.
const LEGEND: u32 = 170;

/// Points joined by a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What the legend calls it.
    pub name: String,
    /// Abscissa, ordinate, and what hovering says.
    pub points: Vec<(f64, f64, String)>,
}

/// A plot of curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// File name.
    pub file: &'static str,
    /// Under and beside the axes, with units.
    pub axes: [&'static str; 2],
    /// Each with a marker of its own.
    pub curves: Vec<Curve>,
}

/// Dash pattern and outline of the series; markers are 8 pixels wide around the origin.
const STYLES: [(&str, &str, &str); 6] = [
    ("", "#000000", "M-4-4H4V4H-4Z"),
    ("7 3", "#0060a8", "M0-5L5 4H-5Z"),
    ("2 3", "#a03000", "M-5 0L0-5L5 0L0 5Z"),
    ("9 3 2 3", "#006850", "M0 5L5-4H-5Z"),
    ("12 4", "#803080", "M-4-4L4 4M-4 4L4-4"),
    ("4 2 1 2 1 2", "#505050", "M0-5V5M-5 0H5"),
];

/// Draws it; none where there is no point.
///
/// # Errors
/// [`ReportError::Chart`] if the plotter fails.
pub fn scatter(plot: &Scatter) -> Result<Option<Chart>, ReportError> {
    let all = || plot.curves.iter().flat_map(|c| &c.points);
    if all().next().is_none() {
        return Ok(None);
    }
    let range = |of: fn(&(f64, f64, String)) -> f64| {
        let (low, high) = all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        // A margin, also around a single value.
        let margin = if high > low { 0.06 * (high - low) } else { (0.1 * high.abs()).max(0.5) };
        low - margin..high + margin
    };
    let failed = |reason: String| ReportError::Chart { chart: plot.file, reason };
    let mut svg = String::new();
    let overlay = draw(plot, range(|p| p.0), range(|p| p.1), &mut svg).map_err(|e| failed(e.to_string()))?;
    let fixed = format!("<svg width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1);
    let svg = svg.replacen(&fixed, "<svg", 1).replacen("</svg>", &format!("{overlay}</svg>"), 1);
    Ok(Some(Chart { name: plot.file, svg }))
}

type Failure = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

/// Axes by the plotter; the returned elements, which it has none for, carry the curves.
fn draw(plot: &Scatter, x: std::ops::Range<f64>, y: std::ops::Range<f64>, svg: &mut String) -> Result<String, Failure> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let (left, _) = root.split_horizontally(SIZE.0 - LEGEND);
    let text = ("sans-serif", 13).into_font();
    let mut chart =
        ChartBuilder::on(&left).margin(10).x_label_area_size(42).y_label_area_size(66).build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(224, 224, 224))
        .x_labels(8)
        .y_labels(7)
        .x_desc(plot.axes[0])
        .y_desc(plot.axes[1])
        .label_style(text)
        .draw()?;
    let mut overlay = String::new();
    for (i, curve) in plot.curves.iter().enumerate() {
        let (dash, colour, marker) = STYLES[i % STYLES.len()];
        let stroke = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"");
        let places: Vec<(i32, i32)> = curve.points.iter().map(|p| chart.backend_coord(&(p.0, p.1))).collect();
        let line: Vec<String> = places.iter().map(|(x, y)| format!("{x},{y}")).collect();
        // Writing to a String cannot fail.
        let _ = write!(overlay, "<polyline points=\"{}\" {stroke} stroke-dasharray=\"{dash}\"/>", line.join(" "));
        for ((x, y), (_, _, title)) in places.iter().zip(&curve.points) {
            let _ = writeln!(
                overlay,
                "<g transform=\"translate({x} {y})\"><title>{}</title><circle r=\"8\" fill=\"#fff\" fill-opacity=\"0\"/>\
                 <path d=\"{marker}\" fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"1.5\"/></g>",
                escaped(title)
            );
        }
        let (x, y) = (SIZE.0 - LEGEND, 24 + 24 * i as u32);
        let _ = writeln!(
            overlay,
            "<path d=\"M{x} {y}h34\" {stroke} stroke-dasharray=\"{dash}\"/><path d=\"{marker}\" \
             transform=\"translate({} {y})\" fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"1.5\"/><text x=\"{}\" \
             y=\"{}\" font-family=\"sans-serif\" font-size=\"13\">{}</text>",
            x + 17,
            x + 42,
            y + 4,
            escaped(&curve.name)
        );
    }
    root.present()?;
    Ok(overlay)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn series_differ_without_colour_and_points_say_what_they_are() {
        let curve = |name: &str| Curve {
            name: name.to_owned(),
            points: vec![(8.0, 0.5, format!("{name} <8>")), (9.0, 0.5, "9".into())],
        };
        let plot = Scatter { file: "a.svg", axes: ["bits", "accuracy"], curves: vec![curve("a"), curve("b")] };
        let chart = scatter(&plot).unwrap().unwrap();
        let svg = roxmltree::Document::parse(&chart.svg).unwrap();
        let of = |tag: &str| svg.descendants().filter(|n| n.has_tag_name(tag)).collect::<Vec<_>>();
        let titles: Vec<_> = of("title").iter().filter_map(|t| t.text()).map(str::to_owned).collect();
        assert_eq!(titles, ["a <8>", "9", "b <8>", "9"]);
        let lines = of("polyline");
        let curves: Vec<_> = lines.iter().filter_map(|l| l.attribute("stroke-dasharray")).collect();
        assert_eq!(curves.len(), 2);
        assert_ne!(curves[0], curves[1]);
        assert_eq!(scatter(&Scatter { curves: vec![], ..plot }).unwrap(), None);
    }
}
