//! CIFAR-10's binary form: records of a label and 3 x 32 x 32 pixels, red, green, blue, without a header.
//!
//! There is no magic number, so that the name decides: `.bin` (or `.bin.gz`), unless the bytes are plainly something else.

use std::path::{Path, PathBuf};

use super::{Array, DataError, Kind, Values, bytes_of, idx, malformed};

/// Bytes of a record: the label, then the pixels.
const RECORD: usize = 1 + PIXELS;
const PIXELS: usize = 3 * 32 * 32;
const CLASSES: u8 = 10;

/// Whether a file of this name with these bytes is read as CIFAR-10. Sizes and labels alone would not do: a list of 3,065 labels in IDX has the size of a record.
pub fn looks_like(path: &Path, bytes: &[u8]) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let marks: [&[u8]; 3] = [b"\x93NUMPY", b"\x89PNG", b"PK\x03\x04"];
    let other = marks.iter().any(|m| bytes.starts_with(m)) || idx::parse(path, bytes).is_ok();
    let records = || check(path, bytes).is_ok() || std::str::from_utf8(bytes).is_err();
    (name.ends_with(".bin") || name.ends_with(".bin.gz")) && !other && records()
}

/// The images in the bytes of a file; `path` is for messages.
///
/// # Errors
/// If they are no whole records, or a label is none of the ten.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    check(path, bytes)?;
    let records = bytes.chunks_exact(RECORD);
    let shape = vec![records.len(), 3, 32, 32];
    Ok(Array { values: Values::Bytes(records.flat_map(|r| &r[1..]).copied().collect()), shape, kind: Kind::Image })
}

/// The training batches of an unpacked CIFAR-10 folder, in order; none in any other folder.
///
/// # Errors
/// If the folder cannot be read.
pub fn batches(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Read { path: folder.to_path_buf(), source };
    let mut batches = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("data_batch_") && name.ends_with(".bin") {
            batches.push(entry.path());
        }
    }
    batches.sort();
    Ok(batches)
}

/// All images of some batches.
///
/// # Errors
/// If one cannot be read, or is none.
pub fn read_batches(batches: &[PathBuf]) -> Result<Array, DataError> {
    let mut all = Vec::new();
    for path in batches {
        let bytes = bytes_of(path)?;
        check(path, &bytes)?;
        all.extend(bytes);
    }
    parse(Path::new(""), &all)
}

/// The labels in a file of records, or in the training batches of a folder; `None` if `path` is something else.
///
/// # Errors
/// If it cannot be read, or is called a `.bin` and is none.
pub fn labels(path: &Path) -> Result<Option<Vec<i64>>, DataError> {
    let files = if path.is_dir() { batches(path)? } else { vec![path.to_path_buf()] };
    let mut labels = Vec::new();
    for path in &files {
        let bytes = bytes_of(path)?;
        if !looks_like(path, &bytes) {
            return Ok(None);
        }
        check(path, &bytes)?;
        labels.extend(bytes.chunks_exact(RECORD).map(|r| i64::from(r[0])));
    }
    Ok((!files.is_empty()).then_some(labels))
}

fn check(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let wanted = "a CIFAR-10 .bin file is records of 3073 bytes, a label of 0 to 9 and 3 x 32 x 32 pixels";
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
        return Err(malformed(path, format!("{} bytes are no whole records: {wanted}", bytes.len())));
    }
    match bytes.chunks_exact(RECORD).map(|r| r[0]).enumerate().find(|&(_, label)| label >= CLASSES) {
        Some((record, label)) => Err(malformed(path, format!("record {record} has label {label}: {wanted}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::{labels::labels as read_labels, read};
    use super::*;

    fn record(label: u8, first: u8) -> Vec<u8> {
        let mut record = vec![200; RECORD];
        (record[0], record[1]) = (label, first);
        record
    }

    #[test]
    fn a_batch_is_images_and_labels_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test_batch.bin");
        std::fs::write(&path, [record(3, 1), record(9, 2)].concat()).unwrap();
        let array = read(&path).unwrap();
        assert_eq!((&array.shape[..], array.kind), (&[2, 3, 32, 32][..], Kind::Image));
        assert_eq!((array.values.float(0), array.values.float(1), array.values.float(PIXELS)), (1.0, 200.0, 2.0));
        assert_eq!(read_labels(&path, 10).unwrap(), [3, 9]);
        assert!(matches!(read_labels(&path, 9), Err(DataError::Label { sample: 1, label: 9, .. })));
    }

    #[test]
    fn a_folder_is_its_training_batches_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for (name, label) in [("data_batch_2.bin", 2), ("data_batch_1.bin", 1), ("test_batch.bin", 7)] {
            std::fs::write(folder.path().join(name), record(label, label)).unwrap();
        }
        std::fs::write(folder.path().join("batches.meta.txt"), "airplane\n").unwrap();
        let array = read(folder.path()).unwrap();
        assert_eq!((array.values.float(0), array.values.float(PIXELS)), (1.0, 2.0));
        assert_eq!(read_labels(folder.path(), 10).unwrap(), [1, 2]);
    }

    #[test]
    fn what_is_none_is_refused_by_record() {
        let error = |bytes: &[u8]| parse(Path::new("a.bin"), bytes).unwrap_err().to_string();
        assert!(error(&record(1, 1)[1..]).starts_with("a.bin: 3072 bytes are no whole records"));
        assert!(error(&[record(1, 1), record(10, 1)].concat()).starts_with("a.bin: record 1 has label 10"));
        assert!(error(&[]).contains("0 bytes"));
        let damaged = [record(1, 1), record(10, 1)].concat();
        assert!(looks_like(Path::new("a.bin"), &damaged) && looks_like(Path::new("A.BIN.gz"), &record(1, 1)));
        assert!(!looks_like(Path::new("a.bin"), b"1,2\n") && !looks_like(Path::new("a"), &record(1, 1)));
        // 3,065 labels in IDX: the size and the bytes of a record.
        let labels = [&[0, 0, 8, 1, 0, 0, 0x0b, 0xf9][..], &[3; 3065]].concat();
        assert_eq!(labels.len(), RECORD);
        assert!(!looks_like(Path::new("a.bin"), &labels));
    }
}
