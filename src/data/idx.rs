//! IDX, the format of MNIST: a magic number with the element type and the number of dimensions, the dimensions, the
//! elements; everything big endian.

use std::path::Path;

use super::{Array, DataError, Kind, Precision, Values, malformed};

/// Whether the first bytes can be those of an IDX file.
pub fn looks_like(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 0x08 | 0x09 | 0x0b | 0x0c | 0x0d | 0x0e, 1..=8, ..])
}

/// The array in the IDX file whose bytes are given; `path` is for messages.
///
/// # Errors
/// If there are fewer or more bytes than the header says.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let truncated = || malformed(path, "truncated IDX file");
    let (&kind, &ndim) = bytes.get(2).zip(bytes.get(3)).ok_or_else(truncated)?;
    let dims = bytes.get(4..4 + 4 * usize::from(ndim)).ok_or_else(truncated)?;
    let shape: Vec<usize> = dims.as_chunks::<4>().0.iter().map(|d| u32::from_be_bytes(*d) as usize).collect();
    let data = &bytes[4 + dims.len()..];
    let size = match kind {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        _ => return Err(malformed(path, format!("unknown IDX element type 0x{kind:02x}"))),
    };
    let expected = shape.iter().try_fold(size, |n: usize, &d| n.checked_mul(d));
    if expected != Some(data.len()) {
        let reason = format!("an IDX array of shape {shape:?} does not have {} bytes of data: truncated?", data.len());
        return Err(malformed(path, reason));
    }
    let values = match kind {
        0x08 => Values::Bytes(data.to_vec()),
        0x09 => Values::Integers(data.iter().map(|&b| i64::from(b as i8)).collect()),
        0x0b => Values::Integers(data.as_chunks::<2>().0.iter().map(|b| i64::from(i16::from_be_bytes(*b))).collect()),
        0x0c => Values::Integers(data.as_chunks::<4>().0.iter().map(|b| i64::from(i32::from_be_bytes(*b))).collect()),
        0x0d => Values::Floats(
            data.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_be_bytes(*b))).collect(),
            Precision::Single,
        ),
        _ => {
            Values::Floats(data.as_chunks::<8>().0.iter().map(|b| f64::from_be_bytes(*b)).collect(), Precision::Double)
        }
    };
    let kind = if matches!(values, Values::Bytes(_)) { Kind::Pixels } else { Kind::Numbers };
    Ok(Array { values, shape, kind })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn bytes_are_pixels_and_shorts_are_numbers() {
        let pixels = parse(Path::new("a"), &[0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 255]).unwrap();
        assert_eq!((pixels.kind, pixels.values), (Kind::Pixels, Values::Bytes(vec![7, 255])));
        let shorts = parse(Path::new("a"), &[0, 0, 11, 1, 0, 0, 0, 1, 0xff, 0xff]).unwrap();
        assert_eq!((shorts.kind, shorts.values), (Kind::Numbers, Values::Integers(vec![-1])));
    }

    #[test]
    fn a_wrong_amount_of_data_is_refused() {
        for bytes in [&[0, 0, 8, 1, 0, 0, 0, 3, 1, 2][..], &[0, 0, 8, 1, 0, 0, 0, 1, 1, 2], &[0, 0, 8, 2, 0, 0, 0, 1]] {
            let error = parse(Path::new("a.idx"), bytes).unwrap_err().to_string();
            assert!(error.contains("truncated"), "{error}");
        }
        let huge = [0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert!(parse(Path::new("a.idx"), &huge).is_err());
    }
}
