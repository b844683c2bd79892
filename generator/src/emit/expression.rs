//! Verilog expressions as text. Every extension is written out; no tool has to guess a width or a sign.

use hw_templates::Word;
use quantizer::datatype::Signedness;

use crate::dataflow::{Encoding, mask};

/// `value` in two's complement with `bits` bits, as a template prints it.
pub fn word(value: i64, bits: u32) -> Word {
    Word { bits: format!("{:x}", value as u64 & mask(bits)), value }
}

/// A named signal of `bits` bits at `to` bits: sign- or zero-extended, or its low bits (arithmetic is modulo `2^to`).
pub fn resize(name: &str, bits: u32, signed: bool, to: u32) -> String {
    match to.cmp(&bits) {
        std::cmp::Ordering::Equal => name.to_owned(),
        std::cmp::Ordering::Less => format!("{name}[{}:0]", to - 1),
        std::cmp::Ordering::Greater if !signed => format!("{{{}'d0, {name}}}", to - bits),
        std::cmp::Ordering::Greater if bits == 1 => format!("{{{to}{{{name}}}}}"),
        std::cmp::Ordering::Greater => format!("{{{{{}{{{name}[{}]}}}}, {name}}}", to - bits, bits - 1),
    }
}

/// A field `name[low +: bits]` at `to` bits, read as `encoding` says. Bipolar needs `to >= 2`, or is cut to its low bit.
pub fn field(name: &str, low: usize, encoding: Encoding, to: u32) -> String {
    let bits = encoding.bits;
    let high = low + bits as usize - 1;
    let slice = |high: usize| if high == low { format!("{name}[{low}]") } else { format!("{name}[{high}:{low}]") };
    if encoding.sign == Signedness::Bipolar {
        // 1 is +1 = 0..01, 0 is -1 = 1..11.
        return if to == 1 { "1'b1".to_owned() } else { format!("{{{{{}{{~{}}}}}, 1'b1}}", to - 1, slice(high)) };
    }
    match to.cmp(&bits) {
        std::cmp::Ordering::Equal => slice(high),
        std::cmp::Ordering::Less => slice(low + to as usize - 1),
        std::cmp::Ordering::Greater if encoding.sign == Signedness::Unsigned => {
            format!("{{{}'d0, {}}}", to - bits, slice(high))
        }
        std::cmp::Ordering::Greater => format!("{{{{{}{{{name}[{high}]}}}}, {}}}", to - bits, slice(high)),
    }
}

/// Bits of a counter that holds `0 ..= last`, at least one.
pub fn counter_bits(last: usize) -> usize {
    (usize::BITS - last.leading_zeros()).max(1) as usize
}

/// What a lane carries, for a comment: `u4`, `s3`, `bipolar`.
pub fn type_name(encoding: Encoding) -> String {
    match encoding.sign {
        Signedness::Unsigned => format!("u{}", encoding.bits),
        Signedness::Signed => format!("s{}", encoding.bits),
        Signedness::Bipolar => "bipolar".to_owned(),
    }
}

/// Packs fields, the first in the low bits, into one hexadecimal number.
pub fn pack(fields: impl Iterator<Item = (u64, u32)>) -> String {
    let bits: Vec<bool> = fields.flat_map(|(value, bits)| (0..bits).map(move |b| value >> b & 1 == 1)).collect();
    let digits: String = bits
        .chunks(4)
        .map(|nibble| nibble.iter().rev().fold(0u32, |n, &b| n << 1 | u32::from(b)))
        .map(|n| char::from_digit(n, 16).unwrap_or('0'))
        .collect::<Vec<char>>()
        .into_iter()
        .rev()
        .collect();
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_pack_low_first() {
        assert_eq!(pack([(3, 2), (0, 1), (5, 3)].into_iter()), "2b");
        assert_eq!(pack([(1, 1); 5].into_iter()), "1f");
        assert_eq!(pack(std::iter::empty()), "0");
    }

    #[test]
    fn sizes_are_written_out() {
        assert_eq!(resize("a", 3, true, 5), "{{2{a[2]}}, a}");
        assert_eq!(resize("a", 3, false, 5), "{2'd0, a}");
        assert_eq!(resize("a", 1, true, 5), "{5{a}}");
        assert_eq!(resize("a", 5, true, 3), "a[2:0]");
        assert_eq!(field("x", 4, Encoding { bits: 1, sign: Signedness::Bipolar }, 2), "{{1{~x[4]}}, 1'b1}");
        assert_eq!(counter_bits(0), 1);
        assert_eq!(counter_bits(8), 4);
    }
}
