//! Reading a file: sizes are checked before anything is read, other formats are told by their first bytes.

use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::proto::ModelProto;

/// The largest file read, in bytes: protobuf's own limit.
pub const MAX_FILE: u64 = (1 << 31) - 1;

/// An ONNX file in memory.
#[derive(Clone, Debug)]
pub struct OnnxFile {
    /// The message.
    pub model: ModelProto,
    /// File name without folders.
    pub name: String,
    /// SHA-256 of the bytes, lower-case hexadecimal.
    pub sha256: String,
    /// The folder that external tensors must lie in.
    pub folder: PathBuf,
}

/// A file format that is not ONNX but that people have at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherFormat {
    /// A PyTorch checkpoint (`.pt`, `.pth`).
    Torch,
    /// A Keras model (`.keras`, `.h5`).
    Keras,
}

/// Why a file could not be read as ONNX.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file system refused.
    #[error("cannot read '{}': {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// More than [`MAX_FILE`].
    #[error("'{file}' has {bytes} bytes; files of at most {MAX_FILE} bytes are read")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
    },
    /// The file ends inside a field.
    #[error("'{file}' is truncated: a field at byte {offset} says {declared} bytes, {left} are left")]
    Truncated {
        /// The file.
        file: String,
        /// Where the field's content begins.
        offset: usize,
        /// Its declared length.
        declared: u64,
        /// What is there.
        left: usize,
    },
    /// Not an ONNX file.
    #[error("'{file}' is not an ONNX file: {reason}")]
    NotOnnx {
        /// The file.
        file: String,
        /// What gives it away.
        reason: String,
    },
    /// Another framework's format.
    #[error("'{file}' is a {}, not ONNX", match format { OtherFormat::Torch => "PyTorch checkpoint", OtherFormat::Keras => "Keras model" })]
    Other {
        /// The file.
        file: String,
        /// Which.
        format: OtherFormat,
    },
}

/// Reads an ONNX file. External tensors are read later, when they are needed.
///
/// # Errors
/// See [`FileError`].
pub fn read(path: &Path) -> Result<OnnxFile, FileError> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let io = |source| FileError::Io { path: path.to_path_buf(), source };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MAX_FILE {
        return Err(FileError::TooLarge { file: name, bytes });
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    decode(&bytes, name, folder)
}

/// Decodes the bytes of an ONNX file called `name` in `folder`.
///
/// # Errors
/// All of [`FileError`] but the file system's.
pub fn decode(bytes: &[u8], name: String, folder: PathBuf) -> Result<OnnxFile, FileError> {
    if let Some(format) = other_format(bytes) {
        return Err(FileError::Other { file: name, format });
    }
    check_outer(bytes, &name)?;
    let model = ModelProto::decode(bytes)
        .map_err(|e| FileError::NotOnnx { file: name.clone(), reason: format!("its messages do not decode ({e})") })?;
    if model.graph.is_none() {
        return Err(FileError::NotOnnx { file: name, reason: "it holds no graph".into() });
    }
    let sha256 = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    Ok(OnnxFile { model, name, sha256, folder })
}

/// Tells zip archives, pickles and HDF5 by their magic bytes.
fn other_format(bytes: &[u8]) -> Option<OtherFormat> {
    let head = &bytes[..bytes.len().min(4096)];
    let has = |needle: &[u8]| head.windows(needle.len()).any(|w| w == needle);
    if head.starts_with(b"\x89HDF\r\n\x1a\n") {
        Some(OtherFormat::Keras)
    } else if head.starts_with(b"PK\x03\x04") {
        // Both are zip archives: Torch's holds a pickle, Keras' two JSON files and weights in HDF5.
        let keras = has(b"config.json") || has(b"metadata.json") || has(b"model.weights.h5");
        Some(if keras { OtherFormat::Keras } else { OtherFormat::Torch })
    } else if matches!(head, [0x80, 2..=5, ..]) {
        Some(OtherFormat::Torch)
    } else {
        None
    }
}

/// Walks the outermost fields, to tell a truncated file and one that is no ONNX at all from a broken one.
fn check_outer(bytes: &[u8], name: &str) -> Result<(), FileError> {
    let not = |reason: String| FileError::NotOnnx { file: name.into(), reason };
    if bytes.is_empty() {
        return Err(not("it is empty".into()));
    }
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let truncated = |at: usize, declared: u64| FileError::Truncated {
            file: name.into(),
            offset: at,
            declared,
            left: bytes.len() - at,
        };
        let key = varint(bytes, &mut at).ok_or_else(|| truncated(start, 1))?;
        let (field, wire) = (key >> 3, key & 7);
        // ModelProto's fields: numbers and texts below 8, then metadata, training and functions.
        let known = match field {
            1 | 5 => wire == 0,
            2 | 3 | 4 | 6 | 7 | 8 | 14 | 20 | 25 | 26 => wire == 2,
            _ => false,
        };
        if !known {
            return Err(not(format!("field {field} of wire type {wire} at byte {start} is none of ModelProto's")));
        }
        let begin = at;
        let value = varint(bytes, &mut at).ok_or_else(|| truncated(begin, 1))?;
        if wire == 2 {
            if value > (bytes.len() - at) as u64 {
                return Err(truncated(at, value));
            }
            at += value as usize;
        }
    }
    Ok(())
}

/// A base-128 number at `at`, which moves behind it; `None` at the end of the bytes or after ten bytes.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
