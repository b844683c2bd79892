//! Where plots are drawn: the same calls make an SVG and a PNG, with the same font.
//!
//! Everything is drawn [`SCALE`] times as large as a page shows it, since the plotter's coordinates are whole numbers.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::{Chart, ReportError};

/// Drawn pixels for a pixel of the page.
pub const SCALE: u32 = 4;
/// Drawn pixels, each way, that are averaged to one of the PNG.
const SHRINK: u32 = 2;

/// A part of a plot, on either backend.
pub type Area<DB> = DrawingArea<DB, Shift>;
/// What drawing on it may fail with.
pub type Failure<DB> = DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>;

/// Something that can be drawn on any backend; `Out` is what drawing tells, such as where things are.
pub trait Drawing {
    /// What drawing tells.
    type Out;
    /// Width and height in pixels of the page.
    fn size(&self) -> (u32, u32);
    /// Draws it on an area of that size times [`SCALE`].
    ///
    /// # Errors
    /// Those of the backend.
    fn draw<DB: DrawingBackend>(&self, root: &Area<DB>) -> Result<Self::Out, Failure<DB>>;
}

/// Draws both files of a chart. `over` adds SVG elements on top, from what drawing told.
///
/// # Errors
/// [`ReportError::Chart`] if the plotter fails.
pub fn chart<D: Drawing>(
    name: &'static str,
    drawing: &D,
    over: impl FnOnce(D::Out) -> String,
) -> Result<Chart, ReportError> {
    let failed = |reason: String| ReportError::Chart { chart: name, reason };
    if !font() {
        return Err(failed("the font of the plots cannot be read".to_owned()));
    }
    let (width, height) = drawing.size();
    let (wide, high) = (width * SCALE, height * SCALE);
    let mut svg = String::new();
    let out = {
        let root = SVGBackend::with_string(&mut svg, (wide, high)).into_drawing_area();
        let out = drawing.draw(&root).map_err(|e| failed(e.to_string()))?;
        root.present().map_err(|e| failed(e.to_string()))?;
        out
    };
    // The page decides the size, the view box keeps the proportions; alone in a window the plot has its own.
    let fixed = format!("<svg width=\"{wide}\" height=\"{high}\"");
    let svg = svg.replacen(&fixed, &format!("<svg width=\"{width}\" height=\"{height}\""), 1);
    let svg = svg.replacen("</svg>", &format!("{}</svg>", over(out)), 1);
    let mut pixels = vec![255; 3 * wide as usize * high as usize];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, (wide, high)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| failed(e.to_string()))?;
        drawing.draw(&root).map_err(|e| failed(e.to_string()))?;
        root.present().map_err(|e| failed(e.to_string()))?;
    }
    let png = png(&pixels, wide as usize, high as usize).map_err(|e| failed(e.to_string()))?;
    Ok(Chart { name, svg, png })
}

/// Text of so many pixels of the page.
pub fn text(size: u32) -> FontDesc<'static> {
    // The plotter's size is that of a line, 1.24 times that of the letters.
    ("sans-serif", f64::from(size * SCALE) * 1.24).into_font()
}

/// About how many pixels of the page a text of size 13 takes: DejaVu's mean, rounded up.
pub fn text_width(text: &str) -> u32 {
    8 * u32::try_from(text.chars().count()).unwrap_or(u32::MAX / 8)
}

/// Registers the font that goes with snug, once; whether it could be read.
fn font() -> bool {
    static FONT: OnceLock<bool> = OnceLock::new();
    *FONT.get_or_init(|| register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular()).is_ok())
}

/// The picture at half its size each way: edges become smooth.
fn png(pixels: &[u8], wide: usize, high: usize) -> Result<Vec<u8>, png::EncodingError> {
    let shrink = SHRINK as usize;
    let (width, height) = (wide / shrink, high / shrink);
    let mut small = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let at = |i: usize| {
                    let (x, y) = (x * shrink + i % shrink, y * shrink + i / shrink);
                    usize::from(pixels[3 * (y * wide + x) + channel])
                };
                // A mean of bytes is a byte.
                small.push(((0..shrink * shrink).map(at).sum::<usize>() / (shrink * shrink)) as u8);
            }
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, (wide as u32) / SHRINK, (high as u32) / SHRINK);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&small)?;
    Ok(file)
}
