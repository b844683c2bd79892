//! Small files of ours: JSON read, anything written whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::data::DataError;
use crate::error::Error;

/// The JSON file at `path`.
///
/// # Errors
/// If it cannot be read, or is not what is wanted.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_path_buf(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|e| DataError::Malformed { path: path.to_path_buf(), reason: e.to_string() }.into())
}

/// The text file at `path`.
///
/// # Errors
/// If it cannot be read.
pub fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| DataError::Read { path: path.to_path_buf(), source }.into())
}

/// Writes a file by way of one beside it, so that there is a whole file or none.
///
/// # Errors
/// If it cannot be written; what was there before is still there.
pub fn write(path: &Path, with: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_path_buf(), source };
    if path.exists() && !path.is_file() {
        // A device or a pipe (/dev/stdout, /dev/null) is written to, not replaced; a folder refuses.
        let mut out = BufWriter::new(File::options().write(true).open(path).map_err(failed)?);
        return with(&mut out).and_then(|()| out.flush()).map_err(failed);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".snug-");
    #[cfg(unix)]
    {
        // As any new file, not private as a temporary one: the system's umask applies.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder.tempfile_in(folder).map_err(failed)?;
    let mut out = BufWriter::new(temporary.as_file().try_clone().map_err(failed)?);
    with(&mut out).and_then(|()| out.flush()).map_err(failed)?;
    temporary.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Removes a file that need not be there.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Write { path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}
