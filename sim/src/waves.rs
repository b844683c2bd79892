//! Waveforms of the cycle-level simulator, as VCD or FST, one scope a layer, with a GTKWave save file beside them.
//!
//! Cycle `c` takes the times `10 c` to `10 c + 9`. What [`Waves::set`] gives for it stands from `10 c` on and is what the
//! rising edge of `aclk` at `10 c + 5` samples. Until it is set a signal is unknown (x).

mod file;
pub mod gtkw;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use thiserror::Error;

use file::File;

/// How a signal is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Radix {
    /// Two's complement, decimal.
    #[default]
    Signed,
    /// Decimal.
    Unsigned,
    /// Hexadecimal.
    Hex,
    /// Binary; for single bits.
    Binary,
}

/// A signal to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Any text; see [`sanitize`].
    pub name: String,
    /// Width, at least 1 (0 is taken as 1).
    pub bits: u32,
    /// How it is shown.
    pub radix: Radix,
}

impl Signal {
    /// A signal of that name, width and look.
    #[must_use]
    pub fn new(name: impl Into<String>, bits: u32, radix: Radix) -> Self {
        Self { name: name.into(), bits, radix }
    }
}

/// The signals of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Any text; see [`sanitize`].
    pub name: String,
    /// Its signals.
    pub signals: Vec<Signal>,
}

/// A signal of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalId(usize);

/// Why waves are not written.
#[derive(Debug, Error)]
pub enum WavesError {
    /// The file cannot be written.
    #[error("cannot write waves to `{}`", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system or the format's writer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Values came for a cycle before the last one.
    #[error("waves of cycle {cycle} came after those of cycle {last}")]
    Backwards {
        /// The cycle given.
        cycle: u64,
        /// The cycle reached.
        last: u64,
    },
}

/// An open waveform file.
#[derive(Debug)]
pub struct Waves {
    path: PathBuf,
    file: File,
    cycle: u64,
    /// Of each signal, in order of declaration: bits as written, highest first.
    values: Vec<Vec<u8>>,
    /// Index of each scope's first signal, and behind the last.
    starts: Vec<usize>,
    /// The new value while it is compared with the old.
    scratch: Vec<u8>,
}

impl Waves {
    /// Creates the file (FST if its name ends in `.fst`, else VCD) with module `top`, its clock `aclk`, and one module a
    /// scope in it; beside it the save file `.gtkw`, one group a scope.
    ///
    /// # Errors
    ///
    /// [`WavesError::File`].
    pub fn create(path: &Path, top: &str, scopes: &[Scope]) -> Result<Self, WavesError> {
        let top = sanitize(top);
        let scopes = unique_names(scopes);
        let save = path.with_extension("gtkw");
        let file = File::create(path, &top, &scopes).map_err(error(path))?;
        gtkw::write(&save, path, &groups(&top, &scopes)).map_err(|e| error(&save)(e.into()))?;
        let mut starts = vec![0];
        let mut values = Vec::new();
        for scope in &scopes {
            values.extend(scope.signals.iter().map(|signal| vec![b'x'; signal.bits as usize]));
            starts.push(values.len());
        }
        let mut waves = Self { path: path.to_owned(), file, cycle: 0, values, starts, scratch: Vec::new() };
        waves.file.clock(0, false).map_err(error(&waves.path))?;
        Ok(waves)
    }

    /// The signal at that place of the lists given to [`Self::create`], if there is one.
    #[must_use]
    pub fn signal(&self, scope: usize, index: usize) -> Option<SignalId> {
        let (&start, &end) = (self.starts.get(scope)?, self.starts.get(scope + 1)?);
        let id = start.checked_add(index)?;
        (id < end).then_some(SignalId(id))
    }

    /// The value of a signal in a cycle: bytes, lowest first, as many as hold its bits; missing ones are zero, spare bits
    /// are not looked at.
    ///
    /// # Errors
    ///
    /// [`WavesError::Backwards`] for a cycle before the last one given, [`WavesError::File`].
    pub fn set(&mut self, cycle: u64, signal: SignalId, value: &[u8]) -> Result<(), WavesError> {
        self.change(cycle, signal, |bit| value.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1))
    }

    /// The same for a number in two's complement; like a register, a signal of fewer bits keeps the low ones.
    ///
    /// # Errors
    ///
    /// As [`Self::set`].
    pub fn set_int(&mut self, cycle: u64, signal: SignalId, value: i128) -> Result<(), WavesError> {
        self.change(cycle, signal, |bit| value >> bit.min(127) & 1 == 1)
    }

    /// Ends the last cycle and the file.
    ///
    /// # Errors
    ///
    /// [`WavesError::File`]: without this call the end of the file may be missing.
    pub fn finish(mut self) -> Result<(), WavesError> {
        self.advance(self.cycle + 1)?;
        let path = self.path;
        self.file.finish().map_err(error(&path))
    }

    fn change(&mut self, cycle: u64, signal: SignalId, bit: impl Fn(usize) -> bool) -> Result<(), WavesError> {
        self.advance(cycle)?;
        // An id of another file: nothing of this one's to change.
        let Some(old) = self.values.get_mut(signal.0) else { return Ok(()) };
        self.scratch.clear();
        self.scratch.extend((0..old.len()).rev().map(|i| if bit(i) { b'1' } else { b'0' }));
        if *old != self.scratch {
            std::mem::swap(old, &mut self.scratch);
            self.file.change(signal.0, old).map_err(error(&self.path))?;
        }
        Ok(())
    }

    /// Ticks the clock up to the beginning of a cycle.
    fn advance(&mut self, cycle: u64) -> Result<(), WavesError> {
        if cycle < self.cycle {
            return Err(WavesError::Backwards { cycle, last: self.cycle });
        }
        while self.cycle < cycle {
            self.file.clock(10 * self.cycle + 5, true).map_err(error(&self.path))?;
            self.cycle += 1;
            self.file.clock(10 * self.cycle, false).map_err(error(&self.path))?;
        }
        Ok(())
    }
}

/// A name that every viewer takes for one identifier: letters, digits, `_` and `$`, not beginning with a digit; anything
/// else becomes `_`.
#[must_use]
pub fn sanitize(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '$' { c } else { '_' };
    let clean: String = name.chars().map(keep).collect();
    if clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { clean } else { format!("_{clean}") }
}

/// The same scopes with names sanitized and made to differ by a number at the end.
fn unique_names(scopes: &[Scope]) -> Vec<Scope> {
    fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
        let clean = sanitize(name);
        let mut candidate = clean.clone();
        let mut number = 2u64;
        while !taken.insert(candidate.clone()) {
            candidate = format!("{clean}_{number}");
            number += 1;
        }
        candidate
    }
    // The clock stands beside the scopes.
    let mut taken = BTreeSet::from([file::CLOCK.to_owned()]);
    scopes
        .iter()
        .map(|scope| {
            let mut inside = BTreeSet::new();
            let signals = scope
                .signals
                .iter()
                .map(|s| Signal { name: unique(&s.name, &mut inside), bits: s.bits.max(1), radix: s.radix })
                .collect();
            Scope { name: unique(&scope.name, &mut taken), signals }
        })
        .collect()
}

fn groups(top: &str, scopes: &[Scope]) -> Vec<gtkw::Group> {
    let clock = gtkw::Entry { path: format!("{top}.{}", file::CLOCK), bits: 1, radix: Radix::Binary };
    let mut groups = vec![gtkw::Group { name: top.to_owned(), entries: vec![clock] }];
    groups.extend(scopes.iter().map(|scope| {
        let entry = |signal: &Signal| gtkw::Entry {
            path: format!("{top}.{}.{}", scope.name, signal.name),
            bits: signal.bits,
            radix: signal.radix,
        };
        gtkw::Group { name: scope.name.clone(), entries: scope.signals.iter().map(entry).collect() }
    }));
    groups
}

fn error(path: &Path) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> WavesError + use<'_> {
    move |source| WavesError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn scopes() -> Vec<Scope> {
        vec![
            Scope {
                name: "features.3".into(),
                signals: vec![Signal::new("acc[0]", 5, Radix::Signed), Signal::new("acc 0 ", 12, Radix::Hex)],
            },
            Scope { name: "features 3".into(), signals: vec![Signal::new("valid", 1, Radix::Binary)] },
        ]
    }

    /// Value of every signal in every cycle as sampled by the rising clock edge, from the VCD's text by the crate's parser.
    fn sampled(path: &Path) -> Vec<Vec<String>> {
        let mut parser = vcd::Parser::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
        let header = parser.parse_header().unwrap();
        let find = |path: &[&str]| header.find_var(path).unwrap_or_else(|| panic!("{path:?}")).code;
        let clock = find(&["net", "aclk"]);
        let codes = [["features_3", "acc_0_"], ["features_3", "acc_0__2"], ["features_3_2", "valid"]]
            .map(|[scope, name]| find(&["net", scope, name]));
        let mut now = vec![String::from("x"); codes.len()];
        let mut rows = Vec::new();
        for command in parser {
            match command.unwrap() {
                vcd::Command::ChangeScalar(code, vcd::Value::V1) if code == clock => rows.push(now.clone()),
                vcd::Command::ChangeScalar(code, value) => {
                    if let Some(i) = codes.iter().position(|&c| c == code) {
                        now[i] = value.to_string();
                    }
                }
                vcd::Command::ChangeVector(code, value) => {
                    let i = codes.iter().position(|&c| c == code).unwrap();
                    now[i] = value.iter().map(|v| v.to_string()).collect();
                }
                _ => {}
            }
        }
        rows
    }

    #[test]
    fn a_reader_sees_at_each_edge_what_was_set() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.vcd");
        let mut waves = Waves::create(&path, "net", &scopes()).unwrap();
        let [acc, wide, valid] = [(0, 0), (0, 1), (1, 0)].map(|(s, i)| waves.signal(s, i).unwrap());
        assert_eq!((waves.signal(0, 2), waves.signal(2, 0)), (None, None));
        waves.set_int(0, acc, -3).unwrap();
        waves.set(1, wide, &[0xab, 0xfc]).unwrap();
        waves.set_int(1, acc, 31).unwrap();
        waves.set_int(3, valid, 1).unwrap();
        assert!(matches!(waves.set_int(2, valid, 0), Err(WavesError::Backwards { cycle: 2, last: 3 })));
        waves.finish().unwrap();
        let rows = sampled(&path);
        let row = |a: &str, w: &str, v: &str| vec![a.to_owned(), w.to_owned(), v.to_owned()];
        let wide = "110010101011";
        assert_eq!(
            rows,
            [row("11101", "x", "x"), row("11111", wide, "x"), row("11111", wide, "x"), row("11111", wide, "1")]
        );
    }

    #[test]
    fn the_save_file_groups_by_layer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.vcd");
        Waves::create(&path, "net", &scopes()).unwrap().finish().unwrap();
        let save = std::fs::read_to_string(folder.path().join("net.gtkw")).unwrap();
        assert!(save.contains("@800200\n-features_3\n@420\nnet.features_3.acc_0_[4:0]\n@22\n"), "{save}");
        assert!(save.contains("@28\nnet.features_3_2.valid\n@1000200\n-features_3_2\n"), "{save}");
    }

    #[test]
    fn fst_files_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.fst");
        let mut waves = Waves::create(&path, "net", &scopes()).unwrap();
        let id = waves.signal(0, 0).unwrap();
        for cycle in 0..100 {
            waves.set_int(cycle, id, i128::from(cycle)).unwrap();
        }
        waves.finish().unwrap();
        // A header block (type 0) of 329 bytes, its end time at offset 17: written only when all else is.
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes[0], u64::from_be_bytes(bytes[1..9].try_into().unwrap())), (0, 329));
        assert_eq!(u64::from_be_bytes(bytes[17..25].try_into().unwrap()), 1000);
    }

    #[test]
    fn names_become_identifiers() {
        assert_eq!(sanitize("a \"b\".c[3]"), "a__b__c_3_");
        assert_eq!((sanitize(""), sanitize("9x"), sanitize("$end")), ("_".into(), "_9x".into(), "_$end".into()));
    }
}
