//! Verilator's runtime, compiled once in a process: the same few objects are linked into every model of a kind, and take longer to
//! compile than a small model does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Mode, Trace};

/// What the compiler's command line for these objects depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The program, and what it says of its version.
    pub tool: (PathBuf, String),
    /// Optimisation.
    pub mode: Mode,
    /// A define.
    pub trace: Trace,
}

/// Names and contents.
type Objects = Vec<(PathBuf, Vec<u8>)>;

static KEPT: Mutex<Vec<(Kind, Objects)>> = Mutex::new(Vec::new());

/// Puts the objects of an earlier build into `folder`, where make finds them newer than their sources.
///
/// # Errors
///
/// Where they cannot be written.
pub fn put(kind: &Kind, folder: &Path) -> io::Result<()> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((_, objects)) = kept.iter().find(|(k, _)| k == kind) else { return Ok(()) };
    fs::create_dir_all(folder)?;
    objects.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
}

/// Keeps the objects of a build that has succeeded.
///
/// # Errors
///
/// Where they cannot be read.
pub fn keep(kind: &Kind, folder: &Path) -> io::Result<()> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.iter().any(|(k, _)| k == kind) {
        return Ok(());
    }
    let mut objects = Objects::new();
    for entry in fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        let is_runtime = name.to_string_lossy().starts_with("verilated");
        if is_runtime && name.extension().is_some_and(|e| e == "o") {
            objects.push((name.clone(), fs::read(folder.join(&name))?));
        }
    }
    kept.push((kind.clone(), objects));
    Ok(())
}
