//! CSV: one sample a line, with or without a header line.

use std::path::Path;

use super::{Array, DataError, Kind, Precision, Values, malformed};

/// The table in the CSV text whose bytes are given; `path` is for messages.
///
/// A first line with anything but numbers in it is a header. Integers stay integers, but a single number with a decimal
/// point or an exponent makes the whole table one of floats.
///
/// # Errors
/// If the text is not UTF-8, a cell is no number, or lines differ in length.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(DataError::Kind {
            path: path.to_path_buf(),
            found: "of no known kind",
            wanted: ".npy, IDX (.gz too), PNG (or a folder of them), CIFAR-10 batches (.bin) and CSV can be read",
        });
    };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut cells: Vec<String> = Vec::new();
    let (mut columns, mut rows) = (None, 0usize);
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|e| malformed(path, format!("damaged CSV ({e})")))?;
        if i == 0 && record.iter().any(|cell| cell.parse::<f64>().is_err()) {
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        if let Some((column, cell)) = record.iter().enumerate().find(|(_, cell)| cell.parse::<f64>().is_err()) {
            return Err(malformed(path, format!("line {line}, column {}: '{cell}' is not a number", column + 1)));
        }
        columns = Some(record.len());
        rows += 1;
        cells.extend(record.iter().map(str::to_owned));
    }
    let Some(columns) = columns else { return Err(malformed(path, "no numbers in this CSV file")) };
    let integers: Result<Vec<i64>, _> = cells.iter().map(|c| c.parse()).collect();
    let values = match integers {
        Ok(integers) => Values::Integers(integers),
        // Every cell was parsed as a float above, so none is left out here.
        Err(_) => Values::Floats(cells.iter().filter_map(|c| c.parse().ok()).collect(), Precision::Double),
    };
    Ok(Array { values, shape: vec![rows, columns], kind: Kind::Table })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_header_is_skipped_and_integers_stay_integers() {
        let table = parse(Path::new("a.csv"), b"x,y\n1, 2\n3,-4\n").unwrap();
        assert_eq!((table.values, table.shape), (Values::Integers(vec![1, 2, 3, -4]), vec![2, 2]));
        let table = parse(Path::new("a.csv"), b"1,2.5\n").unwrap();
        assert_eq!(table.values, Values::Floats(vec![1.0, 2.5], Precision::Double));
    }

    #[test]
    fn errors_name_line_and_column() {
        let error = |text: &[u8]| parse(Path::new("a.csv"), text).unwrap_err().to_string();
        assert_eq!(error(b"1,2\n3,x\n"), "a.csv: line 2, column 2: 'x' is not a number");
        assert!(error(b"1,2\n3\n").contains("line: 2"), "{}", error(b"1,2\n3\n"));
        assert_eq!(error(b"a,b\n"), "a.csv: no numbers in this CSV file");
    }
}
