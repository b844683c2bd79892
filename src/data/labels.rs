//! Labels: one class index a sample, from `.npy`, IDX or CSV, CIFAR-10 batches, or the sub-folders of PNG files.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Array, DataError, Values, cifar, image, malformed, read};

/// The class index of every sample: in a file of labels, in CIFAR-10 batches, or by the sub-folder that a PNG file lies in.
///
/// # Errors
/// If the file cannot be read, is not one column of integers, or a label is none of the `classes`.
pub fn labels(path: &Path, classes: usize) -> Result<Vec<usize>, DataError> {
    if let Some(all) = cifar::labels(path)? {
        return checked(path, all, classes);
    }
    if path.is_dir() {
        let listing = image::list(path)?;
        if listing.labels.is_empty() {
            let wanted = "labels are one .npy, IDX or CSV file, CIFAR-10 batches, or a folder with a sub-folder of PNG files for each class";
            return Err(DataError::Folder { path: path.to_path_buf(), wanted });
        }
        return checked(path, listing.labels, classes);
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
    checked(path, all, classes)
}

/// The labels of the samples in `samples`, which may be a folder of PNG files whose names stand in the labels file: CSV, a name (with or without
/// `.png`) and a class a line.
///
/// # Errors
/// Those of [`labels`]; and if a file has no line or two, or a line no file.
pub fn labels_of(samples: &Path, path: &Path, classes: usize) -> Result<Vec<usize>, DataError> {
    if !samples.is_dir() || path.is_dir() || !cifar::batches(samples)?.is_empty() {
        return labels(path, classes);
    }
    let bytes = super::bytes_of(path)?;
    match std::str::from_utf8(&bytes).ok().and_then(pairs) {
        Some(pairs) => named(path, &pairs, samples, classes),
        None => labels(path, classes),
    }
}

/// The lines of a CSV text with two columns throughout; `None` if it is something else.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(text.as_bytes());
    let pair = |record: csv::StringRecord| (record.len() == 2).then(|| (record[0].to_owned(), record[1].to_owned()));
    reader.records().map(|record| record.ok().and_then(pair)).collect()
}

fn named(path: &Path, pairs: &[(String, String)], folder: &Path, classes: usize) -> Result<Vec<usize>, DataError> {
    let mut by_name = BTreeMap::new();
    for (line, (name, class)) in pairs.iter().enumerate() {
        let Ok(class) = class.parse::<i64>() else {
            // A heading.
            if line == 0 {
                continue;
            }
            let reason = format!(
                "line {}: the class '{class}' of '{name}' is not an integer; classes are 0, 1, 2 and so on",
                line + 1
            );
            return Err(malformed(path, reason));
        };
        if by_name.insert(stem(name), class).is_some() {
            return Err(malformed(path, format!("line {}: '{name}' has a line already", line + 1)));
        }
    }
    let files = image::list(folder)?.files;
    let mut all = Vec::new();
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Some(class) = by_name.remove(stem(&name)) else {
            return Err(malformed(path, format!("no line for '{name}' of {}", folder.display())));
        };
        all.push(class);
    }
    match by_name.keys().next() {
        Some(name) => Err(malformed(path, format!("'{name}' is no PNG file in {}", folder.display()))),
        None => checked(path, all, classes),
    }
}

/// A file's name without `.png`.
fn stem(name: &str) -> &str {
    let end = name.len().saturating_sub(4);
    match name.get(end..) {
        Some(ending) if ending.eq_ignore_ascii_case(".png") => &name[..end],
        _ => name,
    }
}

fn checked(path: &Path, all: Vec<i64>, classes: usize) -> Result<Vec<usize>, DataError> {
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

    #[test]
    fn files_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        std::fs::create_dir(&images).unwrap();
        for name in ["b.png", "a.PNG"] {
            // Listed, not read.
            std::fs::write(images.join(name), "").unwrap();
        }
        let path = folder.path().join("labels.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            labels_of(&images, &path, 5).map_err(|e| e.to_string().replace(&folder.path().display().to_string(), ""))
        };
        assert_eq!(read("file,class\nb.png,4\na,2\n").unwrap(), [2, 4]);
        assert_eq!(read("3\n1\n").unwrap(), [3, 1]);
        assert!(read("b.png,4\n").unwrap_err().contains("no line for 'a.PNG'"));
        assert!(read("a,1\nb,4\nc,1\n").unwrap_err().contains("'c' is no PNG file"));
        assert!(read("a,1\na.png,4\n").unwrap_err().contains("line 2: 'a.png' has a line already"));
        assert!(read("a,1\nb,cat\n").unwrap_err().contains("the class 'cat' of 'b' is not an integer"));
        assert!(read("a,1\nb,5\n").unwrap_err().contains("label 5 of sample 1"));
    }
}
