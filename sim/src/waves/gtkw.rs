//! GTKWave save files: which signals are shown, in which groups, and how.

use std::fs;
use std::io;
use std::path::Path;

use super::Radix;

/// A signal shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its full name in the waveform file, scopes joined by points, without a bit range.
    pub path: String,
    /// Its width.
    pub bits: u32,
    /// How it is shown.
    pub radix: Radix,
}

/// Signals under one heading that opens and closes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The heading.
    pub name: String,
    /// The signals under it.
    pub entries: Vec<Entry>,
}

/// Writes the save file `path` for the waveform file `waves`, which it names by its file name: the two stay together.
///
/// # Errors
///
/// What the system says of `path`.
pub fn write(path: &Path, waves: &Path, groups: &[Group]) -> io::Result<()> {
    fs::write(path, render(waves, groups))
}

fn render(waves: &Path, groups: &[Group]) -> String {
    let name = waves.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut text = format!("[*] written by snug\n[dumpfile] \"{name}\"\n[timestart] 0\n");
    for group in groups {
        // Trace flags as GTKWave writes them: blank line that begins and ends a group.
        text.push_str(&format!("@800200\n-{}\n", group.name));
        for entry in &group.entries {
            let range = if entry.bits > 1 { format!("[{}:0]", entry.bits - 1) } else { String::new() };
            text.push_str(&format!("@{:x}\n{}{range}\n", flags(entry.radix), entry.path));
        }
        text.push_str(&format!("@1000200\n-{}\n", group.name));
    }
    text
}

/// Right-justified (0x20), and the base.
const fn flags(radix: Radix) -> u32 {
    match radix {
        Radix::Signed => 0x420,
        Radix::Unsigned => 0x24,
        Radix::Hex => 0x22,
        Radix::Binary => 0x28,
    }
}
