//! How series are told apart without colour: a marker and a dash pattern for each.

use plotters::prelude::*;

use super::canvas::{Area, Failure, SCALE};

/// How a series looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Outline of its markers, and its line.
    pub colour: RGBColor,
    /// Lengths of dashes and gaps in pixels of the page; empty for a whole line.
    dash: &'static [u32],
    shape: Shape,
    /// Markers are filled with the colour, else with white.
    filled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Square,
    Up,
    Diamond,
    Down,
    Circle,
    Cross,
    Plus,
}

const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 96, 168),
    RGBColor(160, 48, 0),
    RGBColor(0, 104, 80),
    RGBColor(128, 48, 128),
    RGBColor(80, 80, 80),
];
const DASHES: [&[u32]; 6] = [&[], &[7, 3], &[2, 3], &[9, 3, 2, 3], &[12, 4], &[4, 2, 1, 2, 1, 2]];
/// Hollow ones first; crosses have nothing to fill.
const MARKERS: [(Shape, bool); 12] = [
    (Shape::Square, false),
    (Shape::Up, false),
    (Shape::Diamond, false),
    (Shape::Down, false),
    (Shape::Circle, false),
    (Shape::Cross, false),
    (Shape::Square, true),
    (Shape::Up, true),
    (Shape::Diamond, true),
    (Shape::Down, true),
    (Shape::Circle, true),
    (Shape::Plus, false),
];

impl Style {
    /// The look of series number `i`: markers repeat after twelve, marker and dashes together after seventy-two.
    pub fn of(i: usize) -> Self {
        let (shape, filled) = MARKERS[i % MARKERS.len()];
        let dash = DASHES[(i + i / MARKERS.len()) % DASHES.len()];
        Style { colour: COLOURS[i % COLOURS.len()], dash, shape, filled }
    }

    /// Draws the line through `places`.
    pub fn line<DB: DrawingBackend>(&self, area: &Area<DB>, places: &[(i32, i32)]) -> Result<(), Failure<DB>> {
        let style = ShapeStyle::from(self.colour).stroke_width(SCALE + SCALE / 2);
        for piece in dashes(places, self.dash) {
            area.draw(&PathElement::new(piece, style))?;
        }
        Ok(())
    }

    /// Draws a marker.
    pub fn marker<DB: DrawingBackend>(&self, area: &Area<DB>, (x, y): (i32, i32)) -> Result<(), Failure<DB>> {
        let pixel = SCALE as i32;
        let at = |points: &[(i32, i32)]| points.iter().map(|p| (x + p.0, y + p.1)).collect::<Vec<_>>();
        let scaled = |points: &[(i32, i32)]| at(&points.iter().map(|p| (p.0 * pixel, p.1 * pixel)).collect::<Vec<_>>());
        let outline = match self.shape {
            Shape::Square => scaled(&[(-4, -4), (4, -4), (4, 4), (-4, 4)]),
            Shape::Up => scaled(&[(0, -5), (5, 4), (-5, 4)]),
            Shape::Diamond => scaled(&[(0, -6), (6, 0), (0, 6), (-6, 0)]),
            Shape::Down => scaled(&[(0, 5), (5, -4), (-5, -4)]),
            Shape::Circle => at(&circle(5 * pixel)),
            Shape::Cross => return self.strokes(area, [scaled(&[(-4, -4), (4, 4)]), scaled(&[(-4, 4), (4, -4)])]),
            Shape::Plus => return self.strokes(area, [scaled(&[(0, -5), (0, 5)]), scaled(&[(-5, 0), (5, 0)])]),
        };
        let inside = if self.filled { self.colour } else { WHITE };
        area.draw(&Polygon::new(outline.clone(), inside.filled()))?;
        self.strokes(area, [closed(outline)])
    }

    fn strokes<DB: DrawingBackend, const N: usize>(
        &self,
        area: &Area<DB>,
        lines: [Vec<(i32, i32)>; N],
    ) -> Result<(), Failure<DB>> {
        let style = ShapeStyle::from(self.colour).stroke_width(SCALE + SCALE / 2);
        lines.into_iter().try_for_each(|line| area.draw(&PathElement::new(line, style)))
    }
}

/// A ring around a place, in light grey: the point is on the Pareto front.
pub fn ring<DB: DrawingBackend>(area: &Area<DB>, (x, y): (i32, i32)) -> Result<(), Failure<DB>> {
    let outline = closed(circle(10 * SCALE as i32).iter().map(|p| (x + p.0, y + p.1)).collect());
    area.draw(&PathElement::new(outline, ShapeStyle::from(FRONT).stroke_width(2 * SCALE)))
}

/// Grey of the Pareto front.
pub const FRONT: RGBColor = RGBColor(150, 150, 150);

fn circle(radius: i32) -> Vec<(i32, i32)> {
    const CORNERS: usize = 32;
    let corner = |i: usize| {
        let angle = std::f64::consts::TAU * i as f64 / CORNERS as f64;
        let (sine, cosine) = angle.sin_cos();
        ((f64::from(radius) * cosine).round() as i32, (f64::from(radius) * sine).round() as i32)
    };
    (0..CORNERS).map(corner).collect()
}

fn closed(mut outline: Vec<(i32, i32)>) -> Vec<(i32, i32)> {
    outline.extend(outline.first().copied());
    outline
}

/// The pieces of a line that a dash pattern leaves; the pattern runs on around corners.
fn dashes(places: &[(i32, i32)], pattern: &[u32]) -> Vec<Vec<(i32, i32)>> {
    if pattern.is_empty() {
        return vec![places.to_vec()];
    }
    let mut pieces: Vec<Vec<(i32, i32)>> = Vec::new();
    let (mut index, mut left) = (0, f64::from(pattern[0] * SCALE));
    for pair in places.windows(2) {
        let [from, to] = [pair[0], pair[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |d: f64| {
            let part = if length > 0.0 { d / length } else { 0.0 };
            ((from.0 + part * (to.0 - from.0)).round() as i32, (from.1 + part * (to.1 - from.1)).round() as i32)
        };
        let mut done = 0.0;
        while done < length {
            let step = left.min(length - done);
            if index % 2 == 0 {
                let (a, b) = (at(done), at(done + step));
                match pieces.last_mut() {
                    // A dash that goes around the corner.
                    Some(piece) if done == 0.0 && piece.last() == Some(&a) => piece.push(b),
                    _ => pieces.push(vec![a, b]),
                }
            }
            (done, left) = (done + step, left - step);
            if left <= 0.0 {
                index = (index + 1) % pattern.len();
                left = f64::from(pattern[index] * SCALE);
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_series_has_its_own_look_without_colour() {
        let looks: Vec<_> = (0..72).map(Style::of).map(|s| (s.shape, s.filled, s.dash)).collect();
        for (i, look) in looks.iter().enumerate() {
            assert!(!looks[..i].contains(look), "{i}");
        }
        let markers: Vec<_> = (0..12).map(Style::of).map(|s| (s.shape, s.filled)).collect();
        assert!((0..12).all(|i| !markers[..i].contains(&markers[i])));
    }

    #[test]
    fn dashes_cover_their_part_of_the_line() {
        let scale = SCALE as i32;
        let pieces = dashes(&[(0, 0), (10 * scale, 0), (10 * scale, 10 * scale)], &[7, 3]);
        assert_eq!(pieces[0], [(0, 0), (7 * scale, 0)]);
        assert_eq!(pieces[1], [(10 * scale, 0), (10 * scale, 7 * scale)]);
        assert_eq!(pieces.len(), 2);
        let around = dashes(&[(0, 0), (5 * scale, 0), (5 * scale, 5 * scale)], &[7, 3]);
        assert_eq!(around[0], [(0, 0), (5 * scale, 0), (5 * scale, 2 * scale)]);
        assert_eq!(dashes(&[(1, 2), (3, 4)], &[]), [[(1, 2), (3, 4)]]);
    }
}
