//! The values of a tensor: from its own fields, its raw bytes or another file, by its element type.
//!
//! The declared shape is compared with the bytes at hand before anything is allocated.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use thiserror::Error;

use super::proto::{TensorProto, data_type as dt};

/// Typed elements in row-major order. Small integers and booleans are widened to `i64`, 16-bit floats to `f32`,
/// which is exact.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Integers.
    I64(Vec<i64>),
}

impl Elements {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Elements::F32(v) => v.len(),
            Elements::F64(v) => v.len(),
            Elements::I64(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a tensor has no values.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TensorError {
    /// A dimension is negative, or their product overflows.
    #[error("its shape {dims:?} is impossible")]
    Shape {
        /// The declared shape.
        dims: Vec<i64>,
    },
    /// The shape and the data disagree.
    #[error("its shape {dims:?} needs {needed} elements, the file holds {held}")]
    Length {
        /// The declared shape.
        dims: Vec<i64>,
        /// Product of the shape.
        needed: u64,
        /// What is there.
        held: u64,
    },
    /// An element type that has no numbers, or that nobody uses here.
    #[error("its element type {data_type} is not supported; float, double, float16, bfloat16 and integers are")]
    Type {
        /// ONNX's number of the type.
        data_type: i32,
    },
    /// An unsigned 64-bit integer above the signed range.
    #[error("element {index} is above 2^63 - 1")]
    Integer {
        /// Flat index.
        index: usize,
    },
    /// An external tensor without a usable `location`, `offset` or `length`.
    #[error("its external data is described wrongly: {reason}")]
    External {
        /// What is wrong.
        reason: String,
    },
    /// An external file outside the model's folder.
    #[error("its external data '{location}' lies outside the model's folder; such files are not opened")]
    Outside {
        /// The path as the file gives it.
        location: String,
    },
    /// An external file that cannot be read.
    #[error("its external data '{location}' cannot be read: {reason}")]
    Unreadable {
        /// The path as the file gives it.
        location: String,
        /// The system's reason.
        reason: String,
    },
}

/// The shape and elements of `tensor`; external data is looked for in `folder`.
///
/// # Errors
/// See [`TensorError`].
pub fn elements(tensor: &TensorProto, folder: &Path) -> Result<(Vec<usize>, Elements), TensorError> {
    let (shape, count) = shape(&tensor.dims)?;
    let length = |held: usize| TensorError::Length { dims: tensor.dims.clone(), needed: count, held: held as u64 };
    let external;
    let raw: &[u8] = if tensor.data_location == 1 {
        let bytes = count.checked_mul(width(tensor.data_type)? as u64).ok_or_else(|| length(0))?;
        external = read_external(tensor, folder, bytes)?;
        &external
    } else {
        &tensor.raw_data
    };
    let elements = if raw.is_empty() { from_fields(tensor)? } else { from_raw(raw, tensor.data_type, &length)? };
    if elements.len() as u64 != count {
        return Err(length(elements.len()));
    }
    Ok((shape, elements))
}

/// The shape in `usize` and its product.
fn shape(dims: &[i64]) -> Result<(Vec<usize>, u64), TensorError> {
    let bad = || TensorError::Shape { dims: dims.to_vec() };
    let shape = dims.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<_>, _>>().map_err(|_| bad())?;
    let count = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64)).ok_or_else(bad)?;
    Ok((shape, count))
}

/// Bytes of an element.
fn width(data_type: i32) -> Result<usize, TensorError> {
    Ok(match data_type {
        dt::UINT8 | dt::INT8 | dt::BOOL => 1,
        dt::UINT16 | dt::INT16 | dt::FLOAT16 | dt::BFLOAT16 => 2,
        dt::FLOAT | dt::INT32 | dt::UINT32 => 4,
        dt::DOUBLE | dt::INT64 | dt::UINT64 => 8,
        _ => return Err(TensorError::Type { data_type }),
    })
}

fn from_fields(tensor: &TensorProto) -> Result<Elements, TensorError> {
    Ok(match tensor.data_type {
        dt::FLOAT => Elements::F32(tensor.float_data.clone()),
        dt::DOUBLE => Elements::F64(tensor.double_data.clone()),
        dt::INT64 => Elements::I64(tensor.int64_data.clone()),
        dt::UINT32 | dt::UINT64 => Elements::I64(unsigned(tensor.uint64_data.iter().copied())?),
        dt::FLOAT16 => Elements::F32(tensor.int32_data.iter().map(|&v| half(v as u16)).collect()),
        dt::BFLOAT16 => Elements::F32(tensor.int32_data.iter().map(|&v| f32::from_bits((v as u32) << 16)).collect()),
        dt::UINT8 | dt::INT8 | dt::BOOL | dt::UINT16 | dt::INT16 | dt::INT32 => {
            Elements::I64(tensor.int32_data.iter().map(|&v| v.into()).collect())
        }
        data_type => return Err(TensorError::Type { data_type }),
    })
}

fn from_raw(raw: &[u8], data_type: i32, length: &dyn Fn(usize) -> TensorError) -> Result<Elements, TensorError> {
    let width = width(data_type)?;
    if !raw.len().is_multiple_of(width) {
        return Err(length(raw.len() / width));
    }
    Ok(match data_type {
        dt::FLOAT => Elements::F32(map(raw, f32::from_le_bytes)),
        dt::DOUBLE => Elements::F64(map(raw, f64::from_le_bytes)),
        dt::FLOAT16 => Elements::F32(map(raw, |b| half(u16::from_le_bytes(b)))),
        dt::BFLOAT16 => Elements::F32(map(raw, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))),
        dt::INT64 => Elements::I64(map(raw, i64::from_le_bytes)),
        dt::UINT64 => Elements::I64(unsigned(map(raw, u64::from_le_bytes).into_iter())?),
        dt::INT32 => Elements::I64(map(raw, |b| i32::from_le_bytes(b).into())),
        dt::UINT32 => Elements::I64(map(raw, |b| u32::from_le_bytes(b).into())),
        dt::INT16 => Elements::I64(map(raw, |b| i16::from_le_bytes(b).into())),
        dt::UINT16 => Elements::I64(map(raw, |b| u16::from_le_bytes(b).into())),
        dt::INT8 => Elements::I64(map(raw, |b| i8::from_le_bytes(b).into())),
        _ => Elements::I64(map(raw, |[b]| i64::from(b))),
    })
}

/// Cuts bytes into words of `N`, which divides their number.
fn map<const N: usize, T>(raw: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|&word| f(word)).collect()
}

fn unsigned(values: impl Iterator<Item = u64>) -> Result<Vec<i64>, TensorError> {
    values.enumerate().map(|(index, v)| i64::try_from(v).map_err(|_| TensorError::Integer { index })).collect()
}

/// An IEEE 754 half as a float, exactly.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0f32 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// Reads exactly `bytes` bytes of the file that the tensor names.
fn read_external(tensor: &TensorProto, folder: &Path, bytes: u64) -> Result<Vec<u8>, TensorError> {
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(v) => v
            .parse::<u64>()
            .map(Some)
            .map_err(|_| TensorError::External { reason: format!("{key} '{v}' is no number of bytes") }),
    };
    let location = entry("location").ok_or_else(|| TensorError::External { reason: "it names no location".into() })?;
    let offset = number("offset")?.unwrap_or(0);
    let declared = number("length")?.unwrap_or(bytes);
    let unreadable = |e: std::io::Error| TensorError::Unreadable { location: location.into(), reason: e.to_string() };
    // The path must stay inside the folder as text, and again after symbolic links are followed.
    let relative = Path::new(location);
    if !relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(TensorError::Outside { location: location.into() });
    }
    let base = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let base = base.canonicalize().map_err(unreadable)?;
    let path = base.join(relative).canonicalize().map_err(unreadable)?;
    if !path.starts_with(&base) {
        return Err(TensorError::Outside { location: location.into() });
    }
    let mut file = std::fs::File::open(&path).map_err(unreadable)?;
    let held = file.metadata().map_err(unreadable)?.len().saturating_sub(offset);
    if declared != bytes || held < bytes {
        let width = width(tensor.data_type)? as u64;
        return Err(TensorError::Length {
            dims: tensor.dims.clone(),
            needed: bytes / width,
            held: declared.min(held) / width,
        });
    }
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    let mut data = vec![0; usize::try_from(bytes).map_err(|_| TensorError::Shape { dims: tensor.dims.clone() })?];
    file.read_exact(&mut data).map_err(unreadable)?;
    Ok(data)
}
