//! Worst-case inputs as pictures, for the layer whose input is one.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use quantizer::certificate::Violation;
use quantizer::datatype::DataType;
use quantizer::network::{Network, Op};

use crate::error::Error;
use crate::files;

/// Side of a square that a code is drawn as, so that small images can be seen.
const SQUARE: usize = 8;

/// What an image looks like: one or three channels of rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Picture {
    channels: usize,
    rows: usize,
    columns: usize,
}

/// Writes the witness of every violation whose layer reads the network's input as an image, one PNG each, to `folder`. The
/// largest code is white, the smallest black. Returns the files.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn write(folder: &Path, network: &Network, violations: &[Violation]) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Write { path: folder.to_path_buf(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut written = Vec::new();
    for violation in violations {
        let Some((picture, datatype)) = image_of(network, &violation.layer) else { continue };
        if picture.channels * picture.rows * picture.columns != violation.worst_input.len() {
            continue;
        }
        // Names of layers may hold what names of files may not.
        let safe = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
        let layer: String = violation.layer.chars().map(safe).collect();
        let path = folder.join(format!("{layer}_{}.png", violation.channel));
        files::write(&path, |out| draw(out, picture, datatype, &violation.worst_input))?;
        written.push(path);
    }
    Ok(written)
}

/// The input as an image: its own rows and columns, or the square that a flat one may be.
fn picture(network: &Network) -> Option<Picture> {
    let input = network.tensor(network.input);
    let (channels, rows, columns) = match input.shape[..] {
        [channels @ (1 | 3), rows, columns] => (channels, rows, columns),
        [rows, columns] => (1, rows, columns),
        [all] => {
            let side = all.isqrt();
            (side * side == all && side > 1).then_some((1, side, side))?
        }
        _ => return None,
    };
    Some(Picture { channels, rows, columns })
}

/// What the layer of this name reads, with the type of its codes, if it is the image: the pins' own codes, or what a map behind the
/// pins makes of each of them. Of a convolution, whose witness is a window, that much of the image.
fn image_of(network: &Network, layer: &str) -> Option<(Picture, DataType)> {
    let matrix = network.matrix_layers().find(|m| m.layer.name == layer)?;
    let layer = matrix.layer;
    let mut tensor = layer.input();
    while tensor != network.input {
        let before = network.layers.iter().find(|l| l.output == tensor)?;
        if !matches!(before.op, Op::Flatten | Op::Threshold(_)) {
            return None;
        }
        tensor = before.input();
    }
    let picture = match matrix.window {
        Some(window) => {
            let [rows, columns] = window.kernel;
            let channels = matrix.k() / (rows * columns).max(1);
            matches!(channels, 1 | 3).then_some(Picture { channels, rows, columns })?
        }
        None => picture(network)?,
    };
    Some((picture, network.tensor(layer.input()).datatype))
}

fn draw(out: &mut BufWriter<std::fs::File>, p: Picture, datatype: DataType, codes: &[i64]) -> std::io::Result<()> {
    let range = datatype.range();
    // A type's range has at most 33 bits, so the product stays far inside 64.
    let shade =
        |code: i64| ((code - range.lo).clamp(0, range.hi - range.lo) * 255 / (range.hi - range.lo).max(1)) as u8;
    let plane = p.rows * p.columns;
    let mut pixels = Vec::with_capacity(p.channels * plane * SQUARE * SQUARE);
    for y in 0..p.rows * SQUARE {
        for x in 0..p.columns * SQUARE {
            let place = y / SQUARE * p.columns + x / SQUARE;
            // A witness of another size, which no violation has, would leave the rest black.
            pixels.extend((0..p.channels).map(|c| codes.get(c * plane + place).map_or(0, |&code| shade(code))));
        }
    }
    let side =
        |n: usize| u32::try_from(n * SQUARE).map_err(|_| std::io::Error::other("the image is too large for a PNG"));
    let mut encoder = png::Encoder::new(out, side(p.columns)?, side(p.rows)?);
    encoder.set_color(if p.channels == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(std::io::Error::other)?;
    writer.write_image_data(&pixels).map_err(std::io::Error::other)?;
    writer.finish().map_err(std::io::Error::other)
}
