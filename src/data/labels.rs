//! Labels: one class index a sample, from `.npy`, IDX or CSV.

use std::path::Path;

use super::{Array, DataError, Values, malformed, read};

/// The class index of every sample in the file.
///
/// # Errors
/// If the file cannot be read, is not one column of integers, or a label is none of the `classes`.
pub fn labels(path: &Path, classes: usize) -> Result<Vec<usize>, DataError> {
    if path.is_dir() {
        return Err(DataError::Folder { path: path.to_path_buf(), wanted: "labels are one .npy, IDX or CSV file" });
    }
    let Array { values, shape, .. } = read(path)?;
    if shape.iter().skip(1).any(|&d| d != 1) {
        return Err(malformed(path, format!("labels are one integer a sample, but this has shape {shape:?}")));
    }
    let integer = |sample: usize, v: f64| {
        let whole = v.fract() == 0.0 && v.abs() < 9e15;
        if whole {
            Ok(v as i64)
        } else {
            Err(malformed(path, format!("label {v} of sample {sample} is not an integer")))
        }
    };
    let all: Vec<i64> = match values {
        Values::Bytes(v) => v.into_iter().map(i64::from).collect(),
        Values::Integers(v) => v,
        Values::Floats(v, _) => v.into_iter().enumerate().map(|(i, v)| integer(i, v)).collect::<Result<_, _>>()?,
    };
    let class = |(sample, label): (usize, i64)| match usize::try_from(label) {
        Ok(class) if class < classes => Ok(class),
        _ => Err(DataError::Label { path: path.to_path_buf(), sample, label, classes }),
    };
    all.into_iter().enumerate().map(class).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_column_of_classes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, "label\n3\n0\n").unwrap();
        assert_eq!(labels(&path, 4).unwrap(), [3, 0]);
        assert!(matches!(labels(&path, 3), Err(DataError::Label { sample: 0, label: 3, classes: 3, .. })));
        std::fs::write(&path, "1.5\n").unwrap();
        assert!(labels(&path, 4).unwrap_err().to_string().contains("not an integer"));
        std::fs::write(&path, "1,2\n").unwrap();
        assert!(labels(&path, 4).unwrap_err().to_string().contains("shape [1, 2]"));
    }
}
