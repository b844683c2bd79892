//! Why a layer cannot be quantized, as data.

use thiserror::Error;

use crate::datatype::DataType;

/// Why a layer cannot be quantized as asked.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum WeightError {
    /// A width that no accumulator has.
    #[error("an accumulator of {accumulator} bits is not supported; 1 to {max} bits are")]
    Accumulator {
        /// What was asked for.
        accumulator: u32,
        /// The widest.
        max: u32,
    },
    /// Not even a single weight fits.
    #[error(
        "{accumulator} accumulator bits are too few for any weight but 0: inputs of type {input} need at least {smallest}"
    )]
    TooNarrow {
        /// What was asked for.
        accumulator: u32,
        /// The smallest that works.
        smallest: u32,
        /// Type of the inputs.
        input: DataType,
    },
    /// Weights of -1 and +1 cannot be made smaller.
    #[error("bipolar weights have no 0 and cannot be constrained; take them as ternary (two bits, narrow)")]
    Bipolar,
    /// A datatype that does not exist.
    #[error("there is no datatype of {} bits like {datatype}", datatype.bits)]
    Datatype {
        /// The type.
        datatype: DataType,
    },
    /// A weight that is no number.
    #[error("channel {channel}, tap {tap}: the weight {value} is not finite")]
    NotFinite {
        /// Output channel.
        channel: usize,
        /// Position in the channel.
        tap: usize,
        /// The weight.
        value: f64,
    },
    /// Scales of the wrong number, or not positive and finite.
    #[error("{what}")]
    Scales {
        /// What is wrong with them.
        what: String,
    },
    /// The method looks at data, and there are none.
    #[error("{method} needs calibration data")]
    NoCalibration {
        /// The method.
        method: &'static str,
    },
    /// Calibration data of the wrong shape.
    #[error(
        "calibration data of shape {found:?} do not fit: [samples, {taps}] are needed, with at least one sample and equally many before and after"
    )]
    CalibrationShape {
        /// Samples and columns.
        found: [usize; 2],
        /// Columns needed.
        taps: usize,
    },
    /// Calibration data that the input's type does not have.
    #[error("calibration sample {sample}, tap {tap}: {code} is no code of {input}")]
    CalibrationCode {
        /// Row.
        sample: usize,
        /// Column.
        tap: usize,
        /// The value.
        code: i64,
        /// Type of the inputs.
        input: DataType,
    },
    /// Tiles that cannot be.
    #[error(
        "{tiles} tiles leave an inner accumulator of {inner} bits, too few for any weight but 0; {smallest} are needed"
    )]
    Tiles {
        /// How many tiles there are.
        tiles: usize,
        /// What is left for each.
        inner: i64,
        /// The smallest that works.
        smallest: u32,
    },
    /// No bit width will do.
    #[error(
        "no weight type of at least two bits fits {accumulator} accumulator bits; channel {channel} needs {needed} with ternary weights"
    )]
    NoBitWidth {
        /// What was asked for.
        accumulator: u32,
        /// The channel that misses it by most.
        channel: usize,
        /// What that channel, and with it the layer, needs with the fewest bits.
        needed: u32,
    },
    /// The integers need a wider accumulator.
    #[error("channel {channel} needs {needed} accumulator bits, {allowed} are allowed")]
    Misses {
        /// The widest channel.
        channel: usize,
        /// Its exact width.
        needed: u32,
        /// What was asked for.
        allowed: u32,
    },
    /// A method broke its promise: a fault in this crate.
    #[error("{method} returned {what}; this is a fault in snug")]
    Method {
        /// The method.
        method: &'static str,
        /// What it did.
        what: String,
    },
}
