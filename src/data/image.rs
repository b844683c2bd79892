//! PNG images: one file is one sample, a folder's files are its samples in the order of their names; a folder of folders holds a class in each.

use std::collections::HashSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

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

/// The PNG files of a folder.
pub struct Listing {
    /// In the order of their names, those of a sub-folder together.
    pub files: Vec<PathBuf>,
    /// The class of each, where every class has a sub-folder; else empty.
    pub labels: Vec<i64>,
    /// The sub-folders with their classes.
    pub classes: Vec<(String, i64)>,
}

/// Lists a folder: PNG files, or a sub-folder of them for each class. Sub-folders that are all called by numbers have these as their classes; other
/// ones are numbered from 0 in the order of their names. What begins with a dot is not looked at.
///
/// # Errors
/// If there is no PNG, there are some beside sub-folders of some, a class has none, or the folder cannot be read.
pub fn list(folder: &Path) -> Result<Listing, DataError> {
    let (files, folders) = entries(folder)?;
    let mut inner = Vec::new();
    for sub in folders {
        inner.push((sub.file_name().unwrap_or_default().to_string_lossy().into_owned(), entries(&sub)?.0));
    }
    let with_images = inner.iter().find(|(_, files)| !files.is_empty());
    match (files.first(), with_images) {
        (Some(_), None) => return Ok(Listing { files, labels: Vec::new(), classes: Vec::new() }),
        (None, Some(_)) => {}
        (Some(file), Some((sub, _))) => {
            let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let reason = format!(
                "'{file}' lies beside the sub-folder '{sub}', which holds PNG files too; either PNG files or a sub-folder of them for each class"
            );
            return Err(malformed(folder, reason));
        }
        (None, None) => {
            let wanted = "PNG files in it, a sub-folder of them for each class, or CIFAR-10's data_batch_*.bin are accepted, but there are none";
            return Err(DataError::Folder { path: folder.to_path_buf(), wanted });
        }
    }
    if let Some((sub, _)) = inner.iter().find(|(_, files)| files.is_empty()) {
        let reason =
            format!("the sub-folder '{sub}' holds no PNG file, while others hold a class each; remove it or fill it");
        return Err(malformed(folder, reason));
    }
    let numbers: Option<Vec<i64>> = inner.iter().map(|(name, _)| name.parse().ok().filter(|n| *n >= 0)).collect();
    // `1` and `01` are two classes.
    let numbers = numbers.filter(|n| n.iter().collect::<HashSet<_>>().len() == n.len());
    let numbers = numbers.unwrap_or_else(|| (0..inner.len() as i64).collect());
    let mut listing = Listing { files: Vec::new(), labels: Vec::new(), classes: Vec::new() };
    for ((name, files), class) in inner.into_iter().zip(numbers) {
        listing.classes.push((name, class));
        listing.labels.extend(files.iter().map(|_| class));
        listing.files.extend(files);
    }
    Ok(listing)
}

/// The PNG files and the folders in a folder, each sorted by name.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), DataError> {
    let unreadable = |source| DataError::Read { path: folder.to_path_buf(), source };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

/// All PNG images of a folder, as [`list`] has them.
///
/// # Errors
/// If there is none, one cannot be read, or two differ in shape.
pub fn read_folder(folder: &Path) -> Result<Array, DataError> {
    let files = list(folder)?.files;
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
    // A listing has a file at least.
    Ok(batch(files.len(), first.unwrap_or_default(), pixels))
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

    fn folder(files: &[(&str, u8)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, png(ColorType::Grayscale, 1, 1, &[*value])).unwrap();
        }
        folder
    }

    #[test]
    fn a_sub_folder_is_a_class() {
        let named = folder(&[("cat/b.png", 2), ("cat/a.png", 1), ("ant/c.png", 3), (".cache/d.png", 4)]);
        let listing = list(named.path()).unwrap();
        assert_eq!((listing.labels, listing.classes), (vec![0, 1, 1], vec![("ant".into(), 0), ("cat".into(), 1)]));
        assert_eq!(read_folder(named.path()).unwrap().values, Values::Bytes(vec![3, 1, 2]));
        // A test set without a 0 still means 2 and 10.
        let numbers = folder(&[("10/a.png", 1), ("2/a.png", 2)]);
        assert_eq!(list(numbers.path()).unwrap().labels, [10, 2]);
    }

    #[test]
    fn folders_of_two_minds_are_refused() {
        let error = |files: &[(&str, u8)], empty: Option<&str>| {
            let folder = folder(files);
            if let Some(empty) = empty {
                std::fs::create_dir(folder.path().join(empty)).unwrap();
            }
            list(folder.path()).err().unwrap().to_string()
        };
        assert!(error(&[("a.png", 1), ("cat/b.png", 2)], None).contains("'a.png' lies beside the sub-folder 'cat'"));
        assert!(error(&[("cat/b.png", 2)], Some("dog")).contains("the sub-folder 'dog' holds no PNG file"));
        assert!(error(&[], Some("dog")).contains("a sub-folder of them for each class"));
    }
}
