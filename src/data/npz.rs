//! NumPy's `.npz`: named arrays in a zip archive.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;

use super::{Array, DataError, bytes_of, malformed, npy};

/// All arrays of an archive by their names, or `None` if the file is no archive.
///
/// # Errors
/// If the file cannot be read, or an array in it is damaged or of an unsupported type.
pub fn read(path: &Path) -> Result<Option<BTreeMap<String, Array>>, DataError> {
    if path.is_dir() {
        return Ok(None);
    }
    let bytes = bytes_of(path)?;
    if !bytes.starts_with(b"PK\x03\x04") {
        return Ok(None);
    }
    let damaged = |e: String| malformed(path, format!("damaged .npz archive ({e})"));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(e.to_string()))?;
    let mut arrays = BTreeMap::new();
    for i in 0..archive.len() {
        let mut member = archive.by_index(i).map_err(|e| damaged(e.to_string()))?;
        // The array named `relu/out` is the member `relu/out.npy`.
        let name = member.name().map_err(|e| damaged(e.to_string()))?;
        let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else { continue };
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(|e| damaged(e.to_string()))?;
        arrays.insert(name.clone(), npy::parse(&path.join(&name), &bytes)?);
    }
    Ok(Some(arrays))
}

/// Writes an archive array by array.
pub struct Writer<W: Write + Seek>(zip::ZipWriter<W>);

impl<W: Write + Seek> Writer<W> {
    /// An empty archive in `out`.
    pub fn new(out: W) -> Self {
        Writer(zip::ZipWriter::new(out))
    }

    /// Adds an array.
    ///
    /// # Errors
    /// If writing fails, or the name is taken.
    pub fn add<T: npyz::AutoSerialize + Clone>(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[T],
    ) -> std::io::Result<()> {
        // A fixed time stamp: same input, same bytes.
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .large_file(true);
        self.0.start_file(format!("{name}.npy"), options).map_err(std::io::Error::other)?;
        npy::write(&mut self.0, shape, values)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(self) -> std::io::Result<()> {
        self.0.finish().map_err(std::io::Error::other)?.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::Values;
    use super::*;

    #[test]
    fn arrays_keep_their_names_and_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acts.npz");
        let mut writer = Writer::new(std::fs::File::create(&path).unwrap());
        writer.add("/features/Relu_output_0", &[2, 1], &[3i64, -4]).unwrap();
        writer.add("logits", &[1], &[7i64]).unwrap();
        writer.finish().unwrap();
        let arrays = read(&path).unwrap().unwrap();
        assert_eq!(arrays.len(), 2);
        assert_eq!(arrays["/features/Relu_output_0"].values, Values::Integers(vec![3, -4]));
        assert_eq!(arrays["/features/Relu_output_0"].shape, [2, 1]);
    }
}
