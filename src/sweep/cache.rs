//! Results that survive: a file for each point, named by what the point depends on, whole or not there.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::results::Point;
use crate::console::json;
use crate::error::Error;
use crate::files;

/// The folder of results.
pub struct Cache(PathBuf);

impl Cache {
    /// The results in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let points = folder.join("points");
        std::fs::create_dir_all(&points).map_err(|source| Error::Write { path: points.clone(), source })?;
        Ok(Cache(points))
    }

    /// The point called `key`. A file that cannot be read, or that holds something else, is as good as none: the point is
    /// measured again, and the file replaced.
    pub fn get(&self, key: &str) -> Option<Point> {
        let point: Point = serde_json::from_slice(&std::fs::read(self.path(key)).ok()?).ok()?;
        (point.key == key).then_some(point)
    }

    /// Keeps a point.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(&self, point: &Point) -> Result<(), Error> {
        let text = json(point) + "\n";
        files::write(&self.path(&point.key), |out| std::io::Write::write_all(out, text.as_bytes()))
    }

    fn path(&self, key: &str) -> PathBuf {
        self.0.join(format!("{key}.json"))
    }
}

/// SHA-256 of a value's JSON, in hexadecimal digits.
pub fn key(value: &impl Serialize) -> String {
    hex(&Sha256::digest(json(value)))
}

/// SHA-256 of integers, their shape included.
pub fn hash(values: &ndarray::Array2<i64>) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", values.dim()));
    values.iter().for_each(|v| hash.update(v.to_le_bytes()));
    hex(&hash.finalize())
}

/// SHA-256 of the bits of real weights.
pub fn hash_real(weights: &[ndarray::Array2<f64>]) -> String {
    let mut hash = Sha256::new();
    for matrix in weights {
        hash.update(format!("{:?}", matrix.dim()));
        matrix.iter().for_each(|v| hash.update(v.to_bits().to_le_bytes()));
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
