//! What a waveform of a cover run holds.

use std::io::Read;

/// A value of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its bits, at most 64.
    pub value: u64,
    /// How many there are.
    pub bits: usize,
}

impl Word {
    /// Read as two's complement.
    pub fn signed(self) -> i64 {
        generator::dataflow::sign_extend(self.value, self.bits as u32)
    }
}

/// Calls `visit` with the values of the signals `names` of the module `snug_cover` at each time, none where a value is unknown or wider than
/// 64 bits. Nothing comes back if the waveform cannot be read or lacks a signal.
pub fn read(vcd: impl Read, names: &[&str], mut visit: impl FnMut(&[Option<Word>])) -> Option<()> {
    let mut parser = vcd::Parser::new(std::io::BufReader::new(vcd));
    let header = parser.parse_header().ok()?;
    let mut codes = Vec::new();
    for name in names {
        codes.push(header.find_var(&["snug_cover", name])?.code);
    }
    let mut now: Vec<Option<Word>> = vec![None; names.len()];
    let word = |bits: &[vcd::Value]| -> Option<Word> {
        let bit = |word: u64, bit: &vcd::Value| match bit {
            vcd::Value::V0 => Some(word << 1),
            vcd::Value::V1 => Some(word << 1 | 1),
            _ => None,
        };
        let value = bits.iter().try_fold(0u64, bit).filter(|_| bits.len() <= 64)?;
        Some(Word { value, bits: bits.len() })
    };
    for command in parser {
        let (code, value) = match command.ok()? {
            vcd::Command::Timestamp(_) => {
                visit(&now);
                continue;
            }
            vcd::Command::ChangeScalar(code, value) => (code, word(&[value])),
            vcd::Command::ChangeVector(code, value) => (code, word(&value.iter().collect::<Vec<_>>())),
            _ => continue,
        };
        // Signals that are always equal share a code.
        codes.iter().zip(&mut now).filter(|(own, _)| **own == code).for_each(|(_, now)| *now = value);
    }
    visit(&now);
    Some(())
}
