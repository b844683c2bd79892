//! Results that survive: a file for each point, named by what the point depends on, whole or not there.

use std::path::{Path, PathBuf};

use quantizer::certificate::Certificate;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::results::Point;
use crate::console::json;
use crate::error::Error;
use crate::files;

/// The folder of results.
pub struct Cache {
    points: PathBuf,
    certificates: PathBuf,
}

/// The key of a point's file for the hash of all else that it holds.
const SUM: &str = "sha256";

impl Cache {
    /// The results in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let (points, certificates) = (folder.join("points"), folder.join("certificates"));
        for path in [&points, &certificates] {
            std::fs::create_dir_all(path).map_err(|source| Error::Write { path: path.clone(), source })?;
        }
        Ok(Cache { points, certificates })
    }

    /// The point called `key`. A file that cannot be read, or that holds something else, is as good as none: the point is
    /// measured again, and the file replaced. So is a point that failed for want of a tool.
    pub fn get(&self, key: &str) -> Option<Point> {
        let mut value: Value = serde_json::from_slice(&std::fs::read(self.path(key)).ok()?).ok()?;
        let sum = value.as_object_mut()?.remove(SUM)?;
        if sum.as_str() != Some(&self::key(&value)) {
            return None;
        }
        let point: Point = serde_json::from_value(value).ok()?;
        (point.key == key && !point.retry).then_some(point)
    }

    /// Keeps the certificate of the network whose hash is `network`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn certify(&self, network: &str, certificate: &Certificate) -> Result<(), Error> {
        let path = self.certificates.join(format!("{network}.json"));
        let text = json(certificate) + "\n";
        if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        files::write(&path, |out| std::io::Write::write_all(out, text.as_bytes()))
    }

    /// Keeps a point.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(&self, point: &Point) -> Result<(), Error> {
        let mut value = serde_json::to_value(point).unwrap_or_default();
        let sum = key(&value);
        if let Some(fields) = value.as_object_mut() {
            fields.insert(SUM.to_owned(), sum.into());
        }
        let text = json(&value) + "\n";
        files::write(&self.path(&point.key), |out| std::io::Write::write_all(out, text.as_bytes()))
    }

    fn path(&self, key: &str) -> PathBuf {
        self.points.join(format!("{key}.json"))
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
