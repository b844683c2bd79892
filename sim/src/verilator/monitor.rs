//! What a monitor prints: the handshakes of streams inside the design.
//!
//! A monitor is a wrapper with the ports of the design. For every handshake it sees on an inner stream it prints, at the
//! rising edge,
//!
//! ```text
//! SNUG <stream> <cycle> <data>
//! ```
//!
//! stream and cycle in decimal (cycle 0 is the first rising edge with `aresetn` high, as everywhere), data in
//! hexadecimal as `%h` prints it. The harness prints `SNUG reset` after each reset; what was printed before it is void.

use std::collections::BTreeMap;

/// A beat that moved over an inner stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The rising edge at which valid and ready were both high.
    pub cycle: u64,
    /// The data, lowest byte first; the last byte is filled up with zeros.
    pub data: Vec<u8>,
}

/// What a run has printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Handshakes by stream index, in the order printed.
    pub streams: BTreeMap<u32, Vec<Handshake>>,
    /// All other lines.
    pub log: Vec<String>,
}

/// Sorts the lines of a simulation's standard output.
///
/// # Errors
///
/// The first line that begins like a monitor's and is none.
pub fn parse(stdout: &str) -> Result<Printed, String> {
    let mut printed = Printed::default();
    for line in stdout.lines() {
        match line.strip_prefix("SNUG ") {
            None => printed.log.push(line.to_owned()),
            Some("reset") => printed.streams.clear(),
            Some(rest) => {
                let (stream, handshake) = handshake(rest).ok_or_else(|| line.to_owned())?;
                printed.streams.entry(stream).or_default().push(handshake);
            }
        }
    }
    Ok(printed)
}

fn handshake(text: &str) -> Option<(u32, Handshake)> {
    let mut words = text.split_ascii_whitespace();
    let stream = words.next()?.parse().ok()?;
    let cycle = words.next()?.parse().ok()?;
    let data = bytes(words.next()?)?;
    words.next().is_none().then_some((stream, Handshake { cycle, data }))
}

/// Hexadecimal digits, highest first, to bytes, lowest first.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.as_bytes().rchunks(2).map(|pair| pair.iter().try_fold(0u8, |byte, &c| Some(byte << 4 | digit(c)?))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn handshakes_are_sorted_by_stream_and_void_before_a_reset() {
        let printed = parse("SNUG 0 5 ff\nSNUG reset\nhello\nSNUG 1 0 abc\nSNUG 0 3 00f0\nSNUG 1 2 1\n").unwrap();
        let at = |cycle, data: &[u8]| Handshake { cycle, data: data.to_vec() };
        assert_eq!(printed.streams[&0], [at(3, &[0xf0, 0x00])]);
        assert_eq!(printed.streams[&1], [at(0, &[0xbc, 0x0a]), at(2, &[0x01])]);
        assert_eq!(printed.log, ["hello"]);
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for line in ["SNUG 0 1", "SNUG x 1 0", "SNUG 0 1 xx", "SNUG 0 -1 0", "SNUG 0 1 0 0"] {
            assert_eq!(parse(line).unwrap_err(), line);
        }
    }
}
