//! The proof as plain Yosys scripts, for a folder that is proved without snug.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::DataError;
use crate::error::Error;
use crate::output_dir::Files;

/// The Verilog files that `files.f` lists, relative to `dir`.
///
/// # Errors
/// If it cannot be read.
pub fn listed(dir: &Path) -> Result<Vec<String>, Error> {
    let path = dir.join("files.f");
    let text = std::fs::read_to_string(&path).map_err(|source| DataError::Read { path: path.clone(), source })?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Adds a script for each module that has claims of its own: `proof/<module>.ys`.
pub fn add(files: &mut Files) {
    let verilog: BTreeMap<String, String> = files
        .iter()
        .filter(|(name, _)| name.starts_with("rtl/"))
        .map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(bytes).into_owned()))
        .collect();
    for job in sim::prove::script::jobs(&verilog) {
        files.insert(format!("proof/{}.ys", job.module), job.proof(true).into_bytes());
    }
}
