//! Reading the data that people feed to a network: images, arrays, tables, labels.
//!
//! A file's kind is told from its first bytes, not from its name: `.npy`, `.npz`, IDX, PNG, and each of them (but PNG)
//! gzipped; CIFAR-10's binary batches have no mark and are told by their name; what is text is read as CSV. Everything ends up as [`Samples`] in the network's own shape and order.

use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub mod cifar;
pub mod fit;
pub mod idx;
pub mod image;
pub mod labels;
pub mod npy;
pub mod npz;
pub mod select;
pub mod table;

pub use fit::{Layout, Wanted};
pub use select::Selection;

/// The elements of a data file, as they stand there.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Unsigned bytes.
    Bytes(Vec<u8>),
    /// Integers of any other type.
    Integers(Vec<i64>),
    /// Floats; single precision is widened, which is exact.
    Floats(Vec<f64>, Precision),
}

/// The precision in which floats stood in their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    Single,
    /// 64 bits, or decimal text.
    Double,
}

impl Values {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Values::Bytes(v) => v.len(),
            Values::Integers(v) => v.len(),
            Values::Floats(v, _) => v.len(),
        }
    }

    /// The elements at `indices`, in that order; every index is below [`Values::len`].
    pub fn gather(&self, indices: impl Iterator<Item = usize>) -> Values {
        match self {
            Values::Bytes(v) => Values::Bytes(indices.map(|i| v[i]).collect()),
            Values::Integers(v) => Values::Integers(indices.map(|i| v[i]).collect()),
            Values::Floats(v, p) => Values::Floats(indices.map(|i| v[i]).collect(), *p),
        }
    }

    /// Element `i` as a float, for messages and for comparing with logits.
    pub fn float(&self, i: usize) -> f64 {
        match self {
            Values::Bytes(v) => f64::from(v[i]),
            Values::Integers(v) => v[i] as f64,
            Values::Floats(v, _) => v[i],
        }
    }
}

/// What the bytes of a file mean when nobody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pixels of IDX: a byte `b` means `b/255`.
    Pixels,
    /// Pixels of PNG: the same, and channels come first whatever the layout asked for.
    Image,
    /// Numbers that mean what they say.
    Numbers,
    /// A table: rows carry no shape of their own.
    Table,
}

impl Kind {
    /// Whether bytes are pixels.
    pub fn is_pixels(self) -> bool {
        matches!(self, Kind::Pixels | Kind::Image)
    }
}

/// One array as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Elements in row-major order.
    pub values: Values,
    /// All dimensions, the batch's included where there is one.
    pub shape: Vec<usize>,
    /// What kind of file it came from.
    pub kind: Kind,
}

/// Samples in the network's shape, channels first.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// Elements, sample after sample, each in ONNX row-major order.
    pub values: Values,
    /// How many samples.
    pub count: usize,
    /// Elements of one sample.
    pub size: usize,
    /// What kind of file they came from.
    pub kind: Kind,
}

/// What can be wrong with a data file.
#[derive(Debug, Error)]
pub enum DataError {
    /// The file cannot be read at all.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder, where a file is needed.
    #[error("{} is a folder; {wanted}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What would do.
        wanted: &'static str,
    },
    /// The file is damaged, or of an unsupported form.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file's kind is not one that this option takes.
    #[error("{} is {found}; {wanted}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What would do.
        wanted: &'static str,
    },
    /// The shape is not the network's.
    #[error("{}: shape {} does not fit the network's {what}, {}", path.display(), shape(.found), shape(.wanted))]
    Shape {
        /// The file.
        path: PathBuf,
        /// Which end of the network.
        what: &'static str,
        /// The file's shape.
        found: Vec<usize>,
        /// The network's, without batch.
        wanted: Vec<usize>,
        /// The layout in which it would fit.
        layout: Option<Layout>,
    },
    /// Two files that belong together have different numbers of samples.
    #[error("{} has {found} samples, but {} has {expected}", path.display(), other.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// Its samples.
        found: usize,
        /// The file that it belongs to.
        other: PathBuf,
        /// That one's samples.
        expected: usize,
    },
    /// A label is none of the network's classes.
    #[error("{}: label {label} of sample {sample} is none of the network's {classes} classes (0 to {})", path.display(), classes - 1)]
    Label {
        /// The file.
        path: PathBuf,
        /// Which sample.
        sample: usize,
        /// Its label.
        label: i64,
        /// How many classes there are.
        classes: usize,
    },
}

/// A shape as people write it: `[1, 28, 28]`.
pub fn shape(dims: &[usize]) -> String {
    format!("{dims:?}")
}

/// Shorthand of a [`DataError::Malformed`].
fn malformed(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Malformed { path: path.to_path_buf(), reason: reason.into() }
}

/// Reads a whole file, unpacked if it is gzipped.
fn bytes_of(path: &Path) -> Result<Vec<u8>, DataError> {
    let read = |source| DataError::Read { path: path.to_path_buf(), source };
    let bytes = std::fs::read(path).map_err(read)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut unpacked)
        .map_err(|e| malformed(path, format!("damaged gzip file ({e})")))?;
    Ok(unpacked)
}

/// Reads the array in the file (or, for PNG and CIFAR-10, the folder) at `path`.
///
/// # Errors
/// If it cannot be read, is damaged, or is of a kind that is not supported.
pub fn read(path: &Path) -> Result<Array, DataError> {
    if path.is_dir() {
        let batches = cifar::batches(path)?;
        return if batches.is_empty() { image::read_folder(path) } else { cifar::read_batches(&batches) };
    }
    let bytes = bytes_of(path)?;
    match &bytes[..] {
        b if cifar::looks_like(path, b) => cifar::parse(path, b),
        b if b.starts_with(b"\x93NUMPY") => npy::parse(path, b),
        b if b.starts_with(b"\x89PNG") => image::read_file(path, b),
        b if b.starts_with(b"PK\x03\x04") => Err(DataError::Kind {
            path: path.to_path_buf(),
            found: "an archive of arrays (.npz)",
            wanted: "a single array (.npy, IDX, PNG, CSV) is needed here",
        }),
        b if idx::looks_like(b) => idx::parse(path, b),
        b => table::parse(path, b),
    }
}
