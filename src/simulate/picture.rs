//! Outputs of a network that makes images, as PNG.

use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView1};
use png::{BitDepth, ColorType};
use quantizer::datatype::Range;
use quantizer::network::{Network, image};

use crate::error::Error;
use crate::files;

/// Whether `path` asks for PNG.
pub fn asked(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"))
}

/// An image's colours and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    channels: usize,
    height: usize,
    width: usize,
}

/// What an output of `network` is as a picture: its codes are the bytes.
///
/// # Errors
/// If it is no image of one or three channels, or its codes are no bytes.
pub fn format(network: &Network) -> Result<Format, Error> {
    let tensor = network.tensor(network.output);
    let help = || Some("write a .npy file instead".to_owned());
    let refuse = |message: String| Err(Error::Usage { message, help: help() });
    match image(&tensor.shape) {
        Some((channels @ (1 | 3), [height, width])) => {
            if tensor.ranges.iter().any(|r| !Range::new(0, 255).contains(r.lo) || r.hi > 255) {
                return refuse(format!(
                    "the output '{}' is {}: a PNG holds codes from 0 to 255",
                    network.output_name, tensor.datatype
                ));
            }
            Ok(Format { channels, height, width })
        }
        _ => refuse(format!(
            "the output '{}' has shape {:?}: a PNG holds one or three channels",
            network.output_name, tensor.shape
        )),
    }
}

/// Writes each row of `outputs` as a picture: one to `path`, several to files numbered from 0 (`out_0.png`, `out_1.png`, ...).
///
/// # Errors
/// If a file cannot be written.
pub fn write(path: &Path, format: Format, outputs: &Array2<i64>) -> Result<(), Error> {
    for (sample, codes) in outputs.rows().into_iter().enumerate() {
        let file = if outputs.nrows() == 1 { path.to_path_buf() } else { numbered(path, sample) };
        files::write(&file, |out| encode(out, format, codes))?;
    }
    Ok(())
}

fn numbered(path: &Path, sample: usize) -> PathBuf {
    let part = |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!("{}_{sample}.{}", part(path.file_stem()), part(path.extension())))
}

fn encode(out: impl Write, f: Format, codes: ArrayView1<i64>) -> std::io::Result<()> {
    let plane = f.height * f.width;
    // Channels last; `format` has seen that every code is a byte.
    let bytes: Vec<u8> = (0..plane).flat_map(|p| (0..f.channels).map(move |c| codes[c * plane + p] as u8)).collect();
    let side = |n: usize| u32::try_from(n).map_err(|_| std::io::Error::other("the image is too large for a PNG"));
    let mut encoder = png::Encoder::new(out, side(f.width)?, side(f.height)?);
    encoder.set_color(if f.channels == 3 { ColorType::Rgb } else { ColorType::Grayscale });
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(std::io::Error::other)?;
    writer.write_image_data(&bytes).map_err(std::io::Error::other)?;
    writer.finish().map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::data::image::{read_file, read_folder};

    #[test]
    fn pictures_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.png");
        for channels in [1, 3] {
            let format = Format { channels, height: 2, width: 5 };
            let outputs = Array2::from_shape_fn((1, channels * 10), |(_, i)| (i * 83 % 256) as i64);
            write(&path, format, &outputs).unwrap();
            let array = read_file(&path, &std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(array.shape, [1, channels, 2, 5]);
            let crate::data::Values::Bytes(bytes) = array.values else { panic!("no bytes") };
            assert!(bytes.iter().map(|&b| i64::from(b)).eq(outputs.iter().copied()));
        }
        std::fs::remove_file(&path).unwrap();
        let outputs = Array2::from_shape_fn((3, 10), |(s, i)| (s * 100 + i) as i64);
        write(&path, Format { channels: 1, height: 2, width: 5 }, &outputs).unwrap();
        assert_eq!(read_folder(folder.path()).unwrap().shape, [3, 1, 2, 5]);
        assert!(folder.path().join("out_2.png").is_file() && !path.exists());
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let dense = quantizer::testing::mlp(
            1,
            &[8, 6, 4],
            quantizer::datatype::DataType::unsigned(4),
            quantizer::datatype::DataType::signed(3),
            quantizer::datatype::DataType::unsigned(2),
        );
        assert!(format(&dense).unwrap_err().to_string().contains("a PNG holds"));
    }
}
