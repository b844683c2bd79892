//! Integer datatypes and the intervals of codes that they, or a network, can reach.

use serde::{Deserialize, Serialize};

use crate::error::TypeError;

/// How the codes of a [`DataType`] are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signedness {
    /// Codes `0 ..= 2^bits - 1`.
    Unsigned,
    /// Two's complement codes `-2^(bits-1) ..= 2^(bits-1) - 1`.
    Signed,
    /// The two codes -1 and +1, carried on one wire (0 means -1). There is no code 0.
    Bipolar,
}

/// An integer datatype as a quantizer declares it.
///
/// `narrow` follows QONNX: a narrow signed type lacks its most negative code, a narrow unsigned type its
/// largest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DataType {
    /// How the codes are read.
    pub sign: Signedness,
    /// Width in bits, 1 to 32; 1 for bipolar. Accumulators may be wider, see [`reach`](crate::reach).
    pub bits: u32,
    /// Whether one extreme code is left out, see the type's own text.
    pub narrow: bool,
}

impl DataType {
    /// The widest datatype supported, in bits.
    pub const MAX_BITS: u32 = 32;

    /// An unsigned type of `bits` bits.
    pub const fn unsigned(bits: u32) -> Self {
        DataType { sign: Signedness::Unsigned, bits, narrow: false }
    }

    /// A two's complement type of `bits` bits.
    pub const fn signed(bits: u32) -> Self {
        DataType { sign: Signedness::Signed, bits, narrow: false }
    }

    /// The bipolar type {-1, +1}.
    pub const BIPOLAR: DataType = DataType { sign: Signedness::Bipolar, bits: 1, narrow: false };

    /// The type that QONNX `Quant` means by (`bits`, `signed`, `narrow`): one signed bit is bipolar.
    ///
    /// # Errors
    /// If `bits` is 0 or above [`DataType::MAX_BITS`], or if no code but 0 would be left
    /// (narrow unsigned with one bit).
    pub fn quant(bits: u32, signed: bool, narrow: bool) -> Result<Self, TypeError> {
        if bits == 0 || bits > Self::MAX_BITS {
            return Err(TypeError::Bits { bits, max: Self::MAX_BITS });
        }
        match (signed, bits) {
            (true, 1) => Ok(Self::BIPOLAR),
            (false, 1) if narrow => Err(TypeError::Empty),
            (true, _) => Ok(DataType { sign: Signedness::Signed, bits, narrow }),
            (false, _) => Ok(DataType { sign: Signedness::Unsigned, bits, narrow }),
        }
    }

    /// The interval of codes that the type declares.
    pub fn range(self) -> Range {
        let narrow = i64::from(self.narrow);
        match self.sign {
            Signedness::Unsigned => Range { lo: 0, hi: (1 << self.bits) - 1 - narrow },
            Signedness::Signed => Range { lo: -(1 << (self.bits - 1)) + narrow, hi: (1 << (self.bits - 1)) - 1 },
            Signedness::Bipolar => Range { lo: -1, hi: 1 },
        }
    }

    /// Whether `code` is one of the type's codes.
    pub fn holds(self, code: i64) -> bool {
        self.range().contains(code) && (self.sign != Signedness::Bipolar || code != 0)
    }

    /// Whether the type has negative codes.
    pub fn is_signed(self) -> bool {
        self.sign != Signedness::Unsigned
    }

    /// The smallest plain (not narrow) type that holds every code of `range`: unsigned if none is negative.
    pub fn fitting(range: Range) -> Self {
        if range.lo >= 0 { DataType::unsigned(range.width().max(1)) } else { DataType::signed(range.width()) }
    }
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.sign {
            Signedness::Bipolar => return f.write_str("bipolar"),
            Signedness::Unsigned => write!(f, "u{}", self.bits)?,
            Signedness::Signed => write!(f, "s{}", self.bits)?,
        }
        if self.narrow { f.write_str(" narrow") } else { Ok(()) }
    }
}

/// A closed interval of integers, `lo <= hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// Smallest value.
    pub lo: i64,
    /// Largest value.
    pub hi: i64,
}

impl Range {
    /// The interval that holds only 0.
    pub const ZERO: Range = Range { lo: 0, hi: 0 };

    /// The interval from `lo` to `hi`, which the caller has in order.
    pub fn new(lo: i64, hi: i64) -> Self {
        debug_assert!(lo <= hi);
        Range { lo, hi }
    }

    /// Whether `v` lies inside.
    pub fn contains(self, v: i64) -> bool {
        self.lo <= v && v <= self.hi
    }

    /// The smallest interval that holds both.
    pub fn hull(self, other: Range) -> Range {
        Range { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// The only value, if there is just one.
    pub fn constant(self) -> Option<i64> {
        (self.lo == self.hi).then_some(self.lo)
    }

    /// Bits needed on a wire: two's complement if `lo` is negative, else unsigned. 0 bits for `[0, 0]`.
    pub fn width(self) -> u32 {
        let unsigned = |v: i64| 64 - v.leading_zeros();
        if self.lo < 0 { 1 + unsigned(!self.lo).max(unsigned(self.hi.max(0))) } else { unsigned(self.hi) }
    }

    /// Bits of a two's complement register that holds the interval: at least 1.
    pub fn signed_width(self) -> u32 {
        let unsigned = |v: i64| 64 - v.leading_zeros();
        1 + unsigned(if self.lo < 0 { !self.lo } else { self.lo }).max(unsigned(if self.hi < 0 {
            !self.hi
        } else {
            self.hi
        }))
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {}]", self.lo, self.hi)
    }
}
