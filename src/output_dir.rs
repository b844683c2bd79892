//! The generated folder: whole or not at all, and never over somebody else's files.
//!
//! A folder that snug wrote holds a manifest with the SHA-256 of every file. Such a folder may be replaced, unless files
//! in it were changed or added since; any other folder with something in it is left alone. The new folder is written beside
//! the old one and then takes its place, so that an interruption leaves one of the two and never a mixture.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Name of the manifest.
pub const MANIFEST: &str = "snug.json";
/// The folder that the generated Makefile builds in: not snug's, not the user's, replaced without a word.
pub const BUILD: &str = "build";
/// The folder in it where `snug prove` keeps its results.
pub const PROOFS: &str = "proof";
const SCHEMA: &str = "snug.manifest/1";

/// Relative path (with `/`) to contents.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why a folder is not written.
#[derive(Debug, Error)]
pub enum OutputDirError {
    /// There is something in it that snug did not write.
    #[error("{} is not empty, and snug did not write it", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// It is a file.
    #[error("{} is a file, not a folder", path.display())]
    File {
        /// The file.
        path: PathBuf,
    },
    /// Files that snug wrote were changed, or files were added.
    #[error("{} holds changes that would be lost: {}", folder.display(), changes.join(", "))]
    Edited {
        /// The folder.
        folder: PathBuf,
        /// `rtl/top.v (edited)`, `notes.txt (added)`.
        changes: Vec<String>,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    schema: String,
    generator: String,
    files: BTreeMap<String, String>,
}

/// What stands in the place of the folder.
enum State {
    /// Nothing, or an empty folder.
    Free,
    /// A folder that snug wrote; the files that are not as it wrote them.
    Ours(Vec<String>),
}

/// Writes `files` as the folder `dir`, in place of what snug wrote there before.
///
/// `force` gives up changes made by hand; a foreign folder is refused all the same.
///
/// # Errors
/// See [`OutputDirError`]; `dir` is then as it was.
pub fn write(dir: &Path, files: &Files, force: bool) -> Result<(), OutputDirError> {
    match state(dir)? {
        State::Ours(changes) if !changes.is_empty() && !force => {
            return Err(OutputDirError::Edited { folder: dir.to_path_buf(), changes });
        }
        State::Free | State::Ours(_) => {}
    }
    // A link to the folder, or `.`, stays what it is: what it names is replaced.
    let target =
        if dir.exists() { dir.canonicalize() } else { std::path::absolute(dir) }.map_err(failed("find", dir))?;
    let parent = target.parent().unwrap_or(&target);
    std::fs::create_dir_all(parent).map_err(failed("create", parent))?;
    let staging = Staging::beside(parent)?;
    let fresh = staging.0.join("new");
    std::fs::create_dir(&fresh).map_err(failed("create", &fresh))?;
    let manifest = manifest(files).into_bytes();
    for (name, bytes) in files.iter().map(|(n, b)| (n.as_str(), b)).chain([(MANIFEST, &manifest)]) {
        let path = fresh.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed("create", folder))?;
        }
        std::fs::write(&path, bytes).map_err(failed("write", &path))?;
    }
    let old = staging.0.join("old");
    swap(&target, &fresh, &old)?;
    // Proofs are kept by what they are of: those of unchanged modules hold on. Without them there is nothing but work to be done again.
    let kept = |folder: &Path| folder.join(BUILD).join(PROOFS);
    if kept(&old).is_dir() && std::fs::create_dir_all(target.join(BUILD)).is_ok() {
        let _ = std::fs::rename(kept(&old), kept(&target));
    }
    Ok(())
}

/// How `dir` differs from `files`: `rtl/top.v (differs)`, `io.json (missing)`, `notes.txt (added)`.
///
/// # Errors
/// If the folder cannot be read, or does not exist.
pub fn differences(dir: &Path, files: &Files) -> Result<Vec<String>, OutputDirError> {
    let found = hashes(dir)?;
    let manifest = manifest(files).into_bytes();
    let expected: BTreeMap<&str, String> = files
        .iter()
        .map(|(n, b)| (n.as_str(), b))
        .chain([(MANIFEST, &manifest)])
        .map(|(n, b)| (n, sha256(b)))
        .collect();
    let mut differences: Vec<String> = expected
        .iter()
        .filter_map(|(&name, hash)| match found.get(name) {
            None => Some(format!("{name} (missing)")),
            Some(other) if other != hash => Some(format!("{name} (differs)")),
            Some(_) => None,
        })
        .collect();
    differences.extend(found.keys().filter(|n| !expected.contains_key(n.as_str())).map(|n| format!("{n} (added)")));
    differences.sort();
    Ok(differences)
}

/// Whether `dir` is a folder that snug generated.
pub fn is_ours(dir: &Path) -> bool {
    read_manifest(dir).is_some()
}

fn state(dir: &Path) -> Result<State, OutputDirError> {
    match std::fs::metadata(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::Free),
        Err(e) => return Err(failed("read", dir)(e)),
        Ok(m) if !m.is_dir() => return Err(OutputDirError::File { path: dir.to_path_buf() }),
        Ok(_) => {}
    }
    if std::fs::read_dir(dir).map_err(failed("read", dir))?.next().is_none() {
        return Ok(State::Free);
    }
    let Some(manifest) = read_manifest(dir) else { return Err(OutputDirError::Foreign { folder: dir.to_path_buf() }) };
    let changes = hashes(dir)?
        .into_iter()
        .filter(|(name, _)| name != MANIFEST)
        .filter_map(|(name, hash)| match manifest.files.get(&name) {
            None => Some(format!("{name} (added)")),
            Some(written) if *written != hash => Some(format!("{name} (edited)")),
            Some(_) => None,
        })
        .collect();
    Ok(State::Ours(changes))
}

fn read_manifest(dir: &Path) -> Option<Manifest> {
    let text = std::fs::read(dir.join(MANIFEST)).ok()?;
    serde_json::from_slice::<Manifest>(&text).ok().filter(|m| m.schema == SCHEMA)
}

fn manifest(files: &Files) -> String {
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        generator: format!("snug {}", env!("CARGO_PKG_VERSION")),
        files: files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect(),
    };
    crate::console::json(&manifest) + "\n"
}

/// Lower-case hexadecimal SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 of every file below `dir` but those of the build folder. Links are not followed; they count as files.
fn hashes(dir: &Path) -> Result<BTreeMap<String, String>, OutputDirError> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(dir.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(failed("read", &folder))? {
            let entry = entry.map_err(failed("read", &folder))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(failed("read", &entry.path()))?;
            if kind.is_dir() {
                if name != BUILD {
                    folders.push((entry.path(), name + "/"));
                }
            } else if kind.is_symlink() {
                found.insert(name, "a link".to_owned());
            } else {
                let bytes = std::fs::read(entry.path()).map_err(failed("read", &entry.path()))?;
                found.insert(name, sha256(&bytes));
            }
        }
    }
    Ok(found)
}

/// A folder beside the target, thus on its file system, that disappears when dropped.
struct Staging(PathBuf);

impl Staging {
    fn beside(parent: &Path) -> Result<Self, OutputDirError> {
        for n in 0.. {
            let path = parent.join(format!(".snug-{}-{n}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Staging(path)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed("create a folder in", parent)(e)),
            }
        }
        Err(failed("create a folder in", parent)(io::ErrorKind::AlreadyExists.into()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed is left: the result stands already, or its error is on the way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Puts `fresh` in the place of `target`, which moves to `old`; if that fails half-way, it moves back.
fn swap(target: &Path, fresh: &Path, old: &Path) -> Result<(), OutputDirError> {
    let replaced = target.exists();
    if replaced {
        std::fs::rename(target, old).map_err(failed("replace", target))?;
    }
    std::fs::rename(fresh, target).map_err(|e| {
        if replaced {
            // The first error is the one to report; `old` is removed only after success.
            let _ = std::fs::rename(old, target);
        }
        failed("write", target)(e)
    })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OutputDirError {
    let path = path.to_path_buf();
    move |source| OutputDirError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs.iter().map(|(n, t)| (n.to_string(), t.as_bytes().to_vec())).collect()
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("out");
        (root, dir)
    }

    #[test]
    fn a_folder_of_ours_is_replaced_whole() {
        let (root, dir) = place();
        write(&dir, &files(&[("rtl/a.v", "a"), ("rtl/b.v", "b")]), false).unwrap();
        write(&dir, &files(&[("rtl/a.v", "c")]), false).unwrap();
        assert_eq!(std::fs::read(dir.join("rtl/a.v")).unwrap(), b"c");
        assert!(!dir.join("rtl/b.v").exists());
        // No staging folder is left behind.
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_folder_is_free_and_a_foreign_one_is_refused_even_by_force() {
        let (_root, dir) = place();
        std::fs::create_dir(&dir).unwrap();
        write(&dir, &files(&[("a", "a")]), false).unwrap();
        let (_root, dir) = place();
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("thesis.tex"), "years of work").unwrap();
        for force in [false, true] {
            assert!(matches!(write(&dir, &files(&[("a", "a")]), force), Err(OutputDirError::Foreign { .. })));
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        // Somebody else's snug.json does not make it ours.
        std::fs::write(dir.join(MANIFEST), "{\"schema\": \"ubuntu/1\", \"files\": {}}").unwrap();
        assert!(matches!(write(&dir, &files(&[("a", "a")]), true), Err(OutputDirError::Foreign { .. })));
    }

    #[test]
    fn changes_by_hand_are_named_and_need_force() {
        let (_root, dir) = place();
        write(&dir, &files(&[("rtl/a.v", "a"), ("io.json", "{}")]), false).unwrap();
        std::fs::write(dir.join("rtl/a.v"), "mine").unwrap();
        std::fs::write(dir.join("notes.txt"), "mine").unwrap();
        std::fs::create_dir(dir.join(BUILD)).unwrap();
        std::fs::write(dir.join(BUILD).join("sim.o"), "").unwrap();
        let error = write(&dir, &files(&[("rtl/a.v", "b")]), false).unwrap_err();
        assert!(error.to_string().ends_with("would be lost: notes.txt (added), rtl/a.v (edited)"), "{error}");
        assert_eq!(std::fs::read(dir.join("rtl/a.v")).unwrap(), b"mine");
        write(&dir, &files(&[("rtl/a.v", "b")]), true).unwrap();
        assert_eq!(std::fs::read(dir.join("rtl/a.v")).unwrap(), b"b");
        assert!(!dir.join("notes.txt").exists());
    }

    #[test]
    fn differences_are_named() {
        let (_root, dir) = place();
        let generated = files(&[("a", "1"), ("b", "2")]);
        write(&dir, &generated, false).unwrap();
        assert!(differences(&dir, &generated).unwrap().is_empty());
        std::fs::write(dir.join("a"), "3").unwrap();
        std::fs::remove_file(dir.join("b")).unwrap();
        assert_eq!(differences(&dir, &generated).unwrap(), ["a (differs)", "b (missing)"]);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let (_root, dir) = place();
        std::fs::write(&dir, "x").unwrap();
        assert!(matches!(write(&dir, &files(&[("a", "a")]), true), Err(OutputDirError::File { .. })));
        let below = dir.join("deeper");
        assert!(matches!(write(&below, &files(&[("a", "a")]), true), Err(OutputDirError::Io { .. })));
        assert_eq!(std::fs::read(&dir).unwrap(), b"x");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let (root, dir) = place();
        let link = root.path().join("link");
        write(&dir, &files(&[("a", "1")]), false).unwrap();
        std::os::unix::fs::symlink(&dir, &link).unwrap();
        write(&link, &files(&[("a", "2")]), false).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(dir.join("a")).unwrap(), b"2");
    }
}
