//! PNG images: one file is one sample, a folder's files are its samples in the order of their names.

use std::io::Cursor;
use std::path::Path;

use png::{BitDepth, ColorType, Transformations};

use super::{Array, DataError, Kind, Values, malformed};

/// The pixels of one image, channels first; the shape has no batch dimension.
struct Image {
    shape: [usize; 3],
    pixels: Vec<u8>,
}

/// The image in the PNG file whose bytes are given, as a batch of one; `path` is for messages.
///
/// # Errors
/// If it is damaged, has 16 bits a channel or a transparent pixel.
pub fn read_file(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let image = decode(path, bytes)?;
    Ok(batch(1, image.shape, image.pixels))
}

/// All PNG images of a folder, sorted by name.
///
/// # Errors
/// If there is none, one cannot be read, or two differ in shape.
pub fn read_folder(folder: &Path) -> Result<Array, DataError> {
    let unreadable = |source| DataError::Read { path: folder.to_path_buf(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
            files.push(path);
        }
    }
    files.sort();
    let mut first: Option<[usize; 3]> = None;
    let mut pixels = Vec::new();
    for path in &files {
        let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.clone(), source })?;
        let image = decode(path, &bytes)?;
        let shape = *first.get_or_insert(image.shape);
        if image.shape != shape {
            let reason = format!("an image of shape {:?} among images of shape {shape:?}", image.shape);
            return Err(malformed(path, reason));
        }
        pixels.extend(image.pixels);
    }
    match first {
        Some(shape) => Ok(batch(files.len(), shape, pixels)),
        None => Err(DataError::Folder {
            path: folder.to_path_buf(),
            wanted: "a folder of inputs holds PNG files, this one none",
        }),
    }
}

fn batch(count: usize, [c, h, w]: [usize; 3], pixels: Vec<u8>) -> Array {
    Array { values: Values::Bytes(pixels), shape: vec![count, c, h, w], kind: Kind::Image }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Image, DataError> {
    let damaged = |e: png::DecodingError| malformed(path, format!("damaged PNG file ({e})"));
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    // Palettes and 1, 2 and 4 bit greys become bytes.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let size = reader.output_buffer_size().ok_or_else(|| malformed(path, "the image is larger than memory"))?;
    let mut data = vec![0; size];
    let info = reader.next_frame(&mut data).map_err(damaged)?;
    data.truncate(info.buffer_size());
    if info.bit_depth == BitDepth::Sixteen {
        return Err(malformed(
            path,
            "16 bits a channel are not supported; save the image with 8, or pass a .npy array",
        ));
    }
    let (colours, stored) = match info.color_type {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (1, 2),
        ColorType::Rgb => (3, 3),
        ColorType::Rgba => (3, 4),
        ColorType::Indexed => return Err(malformed(path, "a palette image that cannot be expanded")),
    };
    if stored > colours && data.chunks_exact(stored).any(|p| p[colours] != 255) {
        return Err(malformed(path, "the image has transparent pixels; flatten it onto a background first"));
    }
    let (h, w) = (info.height as usize, info.width as usize);
    let pixels =
        (0..colours).flat_map(|c| (0..h * w).map(move |i| (c, i))).map(|(c, i)| data[i * stored + c]).collect();
    Ok(Image { shape: [colours, h, w], pixels })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn png(colour: ColorType, w: u32, h: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, w, h);
        encoder.set_color(colour);
        encoder.set_depth(BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    #[test]
    fn colours_become_planes_and_an_opaque_alpha_goes() {
        let rgb = png(ColorType::Rgb, 2, 1, &[1, 2, 3, 4, 5, 6]);
        let rgba = png(ColorType::Rgba, 2, 1, &[1, 2, 3, 255, 4, 5, 6, 255]);
        for bytes in [rgb, rgba] {
            let array = read_file(Path::new("a.png"), &bytes).unwrap();
            assert_eq!(array.shape, [1, 3, 1, 2]);
            assert_eq!(array.values, Values::Bytes(vec![1, 4, 2, 5, 3, 6]));
        }
        let clear = png(ColorType::Rgba, 1, 1, &[1, 2, 3, 0]);
        assert!(read_file(Path::new("a.png"), &clear).unwrap_err().to_string().contains("transparent"));
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in [("b.png", 2), ("a.png", 1), ("c.PNG", 3)] {
            std::fs::write(folder.path().join(name), png(ColorType::Grayscale, 1, 1, &[value])).unwrap();
        }
        std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
        let array = read_folder(folder.path()).unwrap();
        assert_eq!((array.values, array.shape), (Values::Bytes(vec![1, 2, 3]), vec![3, 1, 1, 1]));
    }
}
