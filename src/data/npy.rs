//! NumPy's `.npy`: any integer or float type, either byte order, C or Fortran order.

use std::io::Write;
use std::path::Path;

use npyz::{DType, NpyFile, Order, TypeChar, WriterBuilder};

use super::{Array, DataError, Kind, Precision, Values, malformed};

/// The array in the `.npy` file whose bytes are given; `path` is for messages.
///
/// # Errors
/// If the file is damaged or its element type is neither integer nor float.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    check_size(path, bytes)?;
    let damaged = |e: std::io::Error| malformed(path, format!("damaged .npy file ({e})"));
    let file = NpyFile::new(bytes).map_err(damaged)?;
    let shape = file
        .shape()
        .iter()
        .map(|&d| usize::try_from(d))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| malformed(path, "the array is larger than this machine's memory"))?;
    let order = file.order();
    let DType::Plain(element) = file.dtype() else {
        return Err(malformed(path, "records (structured arrays) are not supported; save a plain array"));
    };
    let values = match (element.type_char(), element.size_field()) {
        (TypeChar::Uint, 1) => Values::Bytes(file.into_vec().map_err(damaged)?),
        (TypeChar::Bool, _) => {
            let v: Vec<bool> = file.into_vec().map_err(damaged)?;
            Values::Bytes(v.into_iter().map(u8::from).collect())
        }
        (TypeChar::Int, 1) => integers::<i8>(file).map_err(damaged)?,
        (TypeChar::Int, 2) => integers::<i16>(file).map_err(damaged)?,
        (TypeChar::Int, 4) => integers::<i32>(file).map_err(damaged)?,
        (TypeChar::Int, 8) => integers::<i64>(file).map_err(damaged)?,
        (TypeChar::Uint, 2) => integers::<u16>(file).map_err(damaged)?,
        (TypeChar::Uint, 4) => integers::<u32>(file).map_err(damaged)?,
        (TypeChar::Uint, 8) => {
            let v: Vec<u64> = file.into_vec().map_err(damaged)?;
            let v = v.into_iter().map(i64::try_from).collect::<Result<_, _>>();
            Values::Integers(v.map_err(|_| malformed(path, "an integer does not fit 64 signed bits"))?)
        }
        (TypeChar::Float, 4) => {
            let v: Vec<f32> = file.into_vec().map_err(damaged)?;
            Values::Floats(v.into_iter().map(f64::from).collect(), Precision::Single)
        }
        (TypeChar::Float, 8) => Values::Floats(file.into_vec().map_err(damaged)?, Precision::Double),
        _ => {
            let reason = format!(
                "element type '{element}' is not supported; integers, float32 and float64 are (x.astype(np.float32))"
            );
            return Err(malformed(path, reason));
        }
    };
    let expected: usize = shape.iter().product();
    if values.len() != expected {
        return Err(malformed(path, format!("truncated: {expected} elements announced, {} found", values.len())));
    }
    let values = if order == Order::Fortran { values.gather(row_major(&shape)) } else { values };
    Ok(Array { values, shape, kind: Kind::Numbers })
}

/// Reads every element as one integer type.
fn integers<T: npyz::Deserialize + Into<i64>>(file: NpyFile<&[u8]>) -> std::io::Result<Values> {
    Ok(Values::Integers(file.into_vec::<T>()?.into_iter().map(Into::into).collect()))
}

/// Refuses a header whose shape cannot be true: nothing may be sized after it before it is compared with the file.
fn check_size(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let header = &bytes[..bytes.len().min(65_536)];
    let Some(dims) = header
        .windows(7)
        .position(|w| w == b"'shape'")
        .and_then(|at| header[at..].iter().position(|&b| b == b'(').map(|open| &header[at + open + 1..]))
        .and_then(|rest| rest.iter().position(|&b| b == b')').map(|close| &rest[..close]))
    else {
        // Not even a shape: the reader says what is missing.
        return Ok(());
    };
    let dims = String::from_utf8_lossy(dims);
    let product = dims.split(',').map(str::trim).filter(|d| !d.is_empty()).try_fold(1usize, |product, d| {
        d.trim_end_matches('L').parse::<usize>().ok().and_then(|d| product.checked_mul(d))
    });
    match product {
        Some(elements) if elements <= bytes.len() => Ok(()),
        _ => Err(malformed(
            path,
            format!("the shape ({dims}) announces more elements than the file's {} bytes", bytes.len()),
        )),
    }
}

/// For each element in row-major order, its place in column-major order.
fn row_major(shape: &[usize]) -> impl Iterator<Item = usize> {
    let shape = shape.to_vec();
    (0..shape.iter().product()).map(move |mut i| {
        let mut place = 0;
        let mut below: usize = shape.iter().product();
        for &d in shape.iter().rev() {
            below /= d;
            place += (i % d) * below;
            i /= d;
        }
        place
    })
}

/// Writes `values` as a `.npy` array of `shape` (C order, little endian).
///
/// # Errors
/// If writing fails.
pub fn write<T: npyz::AutoSerialize + Clone>(out: impl Write, shape: &[usize], values: &[T]) -> std::io::Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(out).begin_nd()?;
    writer.extend(values.iter().cloned())?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn fortran_order_becomes_row_major() {
        // np.asfortranarray([[1, 2, 3], [4, 5, 6]]) lies in memory as 1 4 2 5 3 6.
        let bytes = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", &[1, 4, 2, 5, 3, 6]);
        let array = parse(Path::new("a.npy"), &bytes).unwrap();
        assert_eq!(array.values, Values::Bytes(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(array.shape, [2, 3]);
    }

    #[test]
    fn big_endian_and_signs_survive() {
        let bytes = npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", &[0xff, 0xfe, 1, 0]);
        let array = parse(Path::new("a.npy"), &bytes).unwrap();
        assert_eq!(array.values, Values::Integers(vec![-2, 256]));
    }

    #[test]
    fn a_shape_that_the_file_cannot_hold_is_refused_before_anything_is_sized_after_it() {
        for shape in ["(10000000000,)", "(4294967296, 4294967296, 4)", "(99999999999999999999999,)"] {
            let bytes = npy(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n"), &[0; 16]);
            let error = parse(Path::new("a.npy"), &bytes).unwrap_err().to_string();
            assert!(error.contains("announces more elements"), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        write(&mut bytes, &[2, 2], &[1.5f64, -2.0, 0.0, 3.25]).unwrap();
        let array = parse(Path::new("a.npy"), &bytes).unwrap();
        assert_eq!(array.values, Values::Floats(vec![1.5, -2.0, 0.0, 3.25], Precision::Double));
        assert_eq!(array.shape, [2, 2]);
    }

    #[test]
    fn every_prefix_of_a_file_is_an_error_and_no_panic() {
        let mut bytes = Vec::new();
        write(&mut bytes, &[3], &[1i64, 2, 3]).unwrap();
        for n in 6..bytes.len() {
            assert!(parse(Path::new("a.npy"), &bytes[..n]).is_err(), "{n} bytes");
        }
    }
}
