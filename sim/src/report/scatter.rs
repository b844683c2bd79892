//! Curves of several series: marker, dashes and legend tell them apart without colour, and hovering over a point says what it is.

use std::fmt::Write;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{self, Area, Drawing, Failure, SCALE, text, text_width};
use super::markers::{FRONT, Style, ring};
use super::{Chart, ReportError};

/// Pixels of the page: of the plot with its axes, and of a row of the legend under it.
const WIDTH: u32 = 640;
const HEIGHT: u32 = 380;
const ROW: u32 = 22;

/// Points joined by a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What the legend calls it.
    pub name: String,
    /// Abscissa, ordinate, and what hovering says, line by line.
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

/// Which end of an axis is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The left, or the lower.
    Low,
    /// The right, or the upper.
    High,
}

/// Draws it; none where there is no point.
///
/// # Errors
/// [`ReportError::Chart`] if the plotter fails.
pub fn scatter(plot: &Scatter) -> Result<Option<Chart>, ReportError> {
    with_front(plot, Vec::new())
}

/// Draws it with its Pareto front marked: the points that no other is at least as good as on both axes, and better on one.
///
/// # Errors
/// As [`scatter`].
pub fn pareto(plot: &Scatter, better: [Better; 2]) -> Result<Option<Chart>, ReportError> {
    with_front(plot, front(plot, better))
}

fn with_front(plot: &Scatter, front: Vec<(usize, usize)>) -> Result<Option<Chart>, ReportError> {
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
    let picture = Picture { plot, ranges: [range(|p| p.0), range(|p| p.1)], legend: legend(plot, &front), front };
    let chart = canvas::chart(plot.file, &picture, |places| hover(plot, &places, picture.size().1))?;
    Ok(Some(chart))
}

/// The points of the front, by curve and place, from left to right.
fn front(plot: &Scatter, better: [Better; 2]) -> Vec<(usize, usize)> {
    let gain = |v: f64, axis: usize| if better[axis] == Better::High { v } else { -v };
    let all: Vec<((usize, usize), [f64; 2])> = plot
        .curves
        .iter()
        .enumerate()
        .flat_map(|(c, curve)| curve.points.iter().enumerate().map(move |(p, point)| ((c, p), point)))
        .map(|(at, point)| (at, [gain(point.0, 0), gain(point.1, 1)]))
        .collect();
    let beaten = |a: &[f64; 2]| all.iter().any(|(_, b)| b[0] >= a[0] && b[1] >= a[1] && b != a);
    let mut front: Vec<(usize, usize)> = all.iter().filter(|(_, a)| !beaten(a)).map(|&(at, _)| at).collect();
    front.sort_by(|a, b| plot.curves[a.0].points[a.1].0.total_cmp(&plot.curves[b.0].points[b.1].0));
    front
}

/// An entry of the legend: where, in pixels of the page, and what.
struct Entry {
    x: u32,
    y: u32,
    name: String,
    /// None for the front.
    style: Option<Style>,
}

/// The legend, row by row under the plot.
fn legend(plot: &Scatter, front: &[(usize, usize)]) -> Vec<Entry> {
    let names = plot.curves.iter().enumerate().map(|(i, c)| (c.name.clone(), Some(Style::of(i))));
    let mark = (!front.is_empty()).then(|| ("Pareto front".to_owned(), None));
    let (mut x, mut y) = (16, HEIGHT + ROW / 2);
    let mut entries = Vec::new();
    for (name, style) in names.chain(mark) {
        let width = 46 + text_width(&name) + 14;
        if x > 16 && x + width > WIDTH {
            (x, y) = (16, y + ROW);
        }
        entries.push(Entry { x, y, name, style });
        x += width;
    }
    entries
}

struct Picture<'a> {
    plot: &'a Scatter,
    ranges: [std::ops::Range<f64>; 2],
    legend: Vec<Entry>,
    front: Vec<(usize, usize)>,
}

impl Drawing for Picture<'_> {
    /// Where the points of each curve are.
    type Out = Vec<Vec<(i32, i32)>>;

    fn size(&self) -> (u32, u32) {
        (WIDTH, self.legend.last().map_or(HEIGHT, |e| e.y + ROW))
    }

    fn draw<DB: DrawingBackend>(&self, root: &Area<DB>) -> Result<Self::Out, Failure<DB>> {
        let (body, _) = root.split_vertically(HEIGHT * SCALE);
        let [x, y] = self.ranges.clone();
        let mut chart = ChartBuilder::on(&body)
            .margin_top(10 * SCALE)
            .margin_right(16 * SCALE)
            .margin_left(10 * SCALE)
            .x_label_area_size(46 * SCALE)
            .y_label_area_size(74 * SCALE)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(ShapeStyle::from(RGBColor(224, 224, 224)).stroke_width(SCALE))
            .axis_style(ShapeStyle::from(BLACK).stroke_width(SCALE))
            .set_all_tick_mark_size(5 * SCALE)
            .x_labels(8)
            .y_labels(7)
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .x_desc(self.plot.axes[0])
            .y_desc(self.plot.axes[1])
            .label_style(text(13))
            .axis_desc_style(text(13))
            .draw()?;
        let place = |p: &(f64, f64, String)| chart.backend_coord(&(p.0, p.1));
        let places: Vec<Vec<_>> = self.plot.curves.iter().map(|c| c.points.iter().map(place).collect()).collect();
        let front: Vec<(i32, i32)> = self.front.iter().map(|&(c, p)| places[c][p]).collect();
        if front.len() > 1 {
            root.draw(&PathElement::new(front.clone(), ShapeStyle::from(FRONT.mix(0.4)).stroke_width(7 * SCALE)))?;
        }
        for (i, curve) in places.iter().enumerate() {
            Style::of(i).line(root, curve)?;
        }
        for &place in &front {
            ring(root, place)?;
        }
        for (i, curve) in places.iter().enumerate() {
            curve.iter().try_for_each(|&place| Style::of(i).marker(root, place))?;
        }
        let words = text(13).into_text_style(root).pos(Pos::new(HPos::Left, VPos::Center));
        for entry in &self.legend {
            let at = |x: u32| ((x * SCALE) as i32, (entry.y * SCALE) as i32);
            match entry.style {
                Some(style) => {
                    style.line(root, &[at(entry.x), at(entry.x + 34)])?;
                    style.marker(root, at(entry.x + 17))?;
                }
                None => ring(root, at(entry.x + 17))?,
            }
            root.draw(&Text::new(entry.name.as_str(), at(entry.x + 42), &words))?;
        }
        Ok(places)
    }
}

/// What shows while the pointer is over a point, or while it has the focus: no script, and nothing else moves.
fn hover(plot: &Scatter, places: &[Vec<(i32, i32)>], height: u32) -> String {
    let mut all = String::from(
        "<style>.tip{visibility:hidden;pointer-events:none}.pt{outline:none}.pt:hover .tip,.pt:focus .tip{visibility:visible}\
         @media print{.tip{display:none}}</style>",
    );
    let mut at: Vec<((i32, i32), Vec<&str>)> = Vec::new();
    let points = plot.curves.iter().zip(places).flat_map(|(c, p)| c.points.iter().zip(p));
    for ((_, _, title), &place) in points {
        match at.iter_mut().find(|(known, _)| *known == place) {
            Some((_, titles)) => titles.push(title),
            None => at.push((place, vec![title])),
        }
    }
    at.iter().for_each(|(place, titles)| tip(&mut all, *place, &lines(titles), height as i32));
    all
}

/// The lines of all points at one place: where they differ in the first alone, the others stand once.
fn lines<'a>(titles: &[&'a str]) -> Vec<&'a str> {
    let rest = |title: &'a str| title.lines().skip(1).collect::<Vec<_>>();
    let Some(first) = titles.first() else { return vec![] };
    if titles.iter().all(|t| rest(t) == rest(first)) {
        return titles.iter().filter_map(|t| t.lines().next()).chain(rest(first)).collect();
    }
    titles.iter().flat_map(|t| t.lines()).collect()
}

/// One place with its text, beside it on the side where there is room.
fn tip(all: &mut String, (x, y): (i32, i32), lines: &[&str], height: i32) {
    let pixel = SCALE as i32;
    let width = lines.iter().map(|l| text_width(l)).max().unwrap_or(0) as i32 + 12;
    let tall = 18 * lines.len() as i32 + 10;
    let (px, py) = (x / pixel, y / pixel);
    let left = if px + 14 + width > WIDTH as i32 { (px - 14 - width).max(0) } else { px + 14 };
    let top = (py - tall / 2).clamp(0, (height - tall).max(0));
    // Writing to a String cannot fail.
    let _ = write!(
        all,
        "<g class=\"pt\" tabindex=\"0\" role=\"img\" aria-label=\"{}\"><circle cx=\"{x}\" cy=\"{y}\" r=\"{}\" fill=\"#fff\" \
         fill-opacity=\"0\"/><g class=\"tip\" visibility=\"hidden\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" \
         fill=\"#fff\" stroke=\"#000\" stroke-width=\"{pixel}\"/><text font-family=\"sans-serif\" font-size=\"{}\">",
        escaped(&lines.join(", ")),
        9 * pixel,
        left * pixel,
        top * pixel,
        width * pixel,
        tall * pixel,
        13 * pixel
    );
    for (i, line) in (1..).zip(lines) {
        let (tx, ty) = ((left + 6) * pixel, (top + 18 * i) * pixel);
        let _ = write!(all, "<tspan x=\"{tx}\" y=\"{ty}\">{}</tspan>", escaped(line));
    }
    all.push_str("</text></g></g>\n");
}

/// A number at an axis: steps are whole or of few digits.
fn number(value: &f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn plot() -> Scatter {
        let curve = |name: &str, points: &[(f64, f64)]| Curve {
            name: name.to_owned(),
            points: points.iter().map(|&(x, y)| (x, y, format!("{name} <{x}>\nsecond \"line\""))).collect(),
        };
        let curves = vec![
            curve("a", &[(8.0, 0.5), (9.0, 0.9), (10.0, 0.9)]),
            curve("b", &[(8.0, 0.7), (10.0, 0.95), (11.0, 0.4)]),
        ];
        Scatter { file: "a.svg", axes: ["bits", "accuracy"], curves }
    }

    #[test]
    fn points_say_what_they_are() {
        let plot = plot();
        let chart = scatter(&plot).unwrap().unwrap();
        let svg = roxmltree::Document::parse(&chart.svg).unwrap();
        let labels: Vec<_> = svg.descendants().filter_map(|n| n.attribute("aria-label")).collect();
        assert_eq!(labels.len(), 6);
        assert_eq!(lines(&["a, 8\n90 %", "b, 8\n90 %"]), ["a, 8", "b, 8", "90 %"]);
        assert_eq!(lines(&["a, 8\n90 %", "b, 8\n80 %"]), ["a, 8", "90 %", "b, 8", "80 %"]);
        assert_eq!(labels[0], "a <8>, second \"line\"");
        let texts: String = svg.descendants().filter_map(|n| n.text()).collect();
        assert!(texts.contains("b <11>") && !texts.contains("Pareto front"));
        assert_eq!(chart.png[..4], [0x89, b'P', b'N', b'G']);
        assert_eq!(scatter(&Scatter { curves: vec![], ..plot }).unwrap(), None);
    }

    #[test]
    fn axes_have_short_numbers() {
        assert_eq!([5.0, 97.25, 0.1 + 0.2, -0.0, 4000.0].map(|v| number(&v)), ["5", "97.25", "0.3", "0", "4000"]);
    }

    #[test]
    fn the_front_is_what_nothing_beats() {
        let plot = plot();
        assert_eq!(front(&plot, [Better::Low, Better::High]), [(1, 0), (0, 1), (1, 1)]);
        assert_eq!(front(&plot, [Better::High, Better::High]), [(1, 1), (1, 2)]);
        let chart = pareto(&plot, [Better::Low, Better::High]).unwrap().unwrap();
        assert!(chart.svg.contains("Pareto front"));
        // Equal points are both on it.
        let twin = Scatter { curves: vec![plot.curves[0].clone(), plot.curves[0].clone()], ..plot };
        assert_eq!(front(&twin, [Better::Low, Better::High]), [(0, 0), (1, 0), (0, 1), (1, 1)]);
    }
}
