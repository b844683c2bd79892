//! What can go wrong, as data; the command line renders it.

use thiserror::Error;

/// A datatype that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TypeError {
    /// The bit width is out of range.
    #[error("a datatype of {bits} bits is not supported; 1 to {max} bits are")]
    Bits {
        /// What was asked for.
        bits: u32,
        /// The largest supported.
        max: u32,
    },
    /// A narrow unsigned type of one bit has only the code 0.
    #[error("a narrow unsigned type of one bit has no code but 0")]
    Empty,
}
