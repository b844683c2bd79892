//! From data to the codes that the pins carry.
//!
//! A value is never moved: either it becomes a code by the network's own first quantizer, computed exactly, or it is
//! exactly a code already. All arithmetic is rational.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};
use quantizer::datatype::DataType;
use quantizer::rational::{Rational, from_f64, to_f64};
use thiserror::Error;

use crate::data::{Kind, Precision, Samples, Values, shape};

/// What the pins carry.
pub enum Meaning<'a> {
    /// The codes of the network's first quantizer: real values become codes by it. The function takes the value and
    /// its channel.
    Quantized(&'a dyn Fn(&Rational, usize) -> i64),
    /// The same in a network of snug's own: floats and pixels are real values, other integers are codes already.
    Stored(&'a dyn Fn(&Rational, usize) -> i64),
    /// A declared type: the code `c` means `c / divisor`, before any mean and deviation, which the hardware applies.
    Declared {
        /// What codes are divided by.
        divisor: Rational,
    },
    /// Codes of which nothing more is known.
    Codes,
}

/// Mean and standard deviation taken from real values before they are quantized: one for all or one per channel;
/// none means 0 and 1.
#[derive(Clone, Debug, Default)]
pub struct Normalise {
    /// Subtracted first.
    pub mean: Vec<Rational>,
    /// Divided by then.
    pub std: Vec<Rational>,
}

impl Normalise {
    /// Whether there is nothing to do.
    pub fn is_none(&self) -> bool {
        self.mean.is_empty() && self.std.is_empty()
    }

    /// [`Normalise::apply`] in floats: to see how near to a decision a value lies, never to decide.
    pub fn approximate(&self, value: f64, channel: usize) -> f64 {
        match from_f64(value) {
            Some(exact) if !self.is_none() => to_f64(&self.apply(exact, channel)),
            _ => value,
        }
    }

    fn apply(&self, value: Rational, channel: usize) -> Rational {
        let of = |list: &[Rational]| if list.len() > 1 { list.get(channel).cloned() } else { list.first().cloned() };
        let value = of(&self.mean).map_or(value.clone(), |mean| value - mean);
        of(&self.std).map_or(value.clone(), |std| value / std)
    }
}

/// The network's input, as far as data are concerned.
pub struct Pins<'a> {
    /// The type of the codes.
    pub datatype: DataType,
    /// Shape of a sample, channels first.
    pub shape: &'a [usize],
    /// What the codes mean.
    pub meaning: Meaning<'a>,
}

/// Why data cannot become codes.
#[derive(Debug, Error)]
pub enum CodeError {
    /// An integer that the pins' type does not have.
    #[error("{}: sample {sample}, element {}: {code} is no code of {datatype}, which the pins carry", path.display(), shape(.element))]
    NoCode {
        /// The file.
        path: PathBuf,
        /// Which sample.
        sample: usize,
        /// Which element of it.
        element: Vec<usize>,
        /// The integer.
        code: BigInt,
        /// The pins' type.
        datatype: DataType,
    },
    /// A real value between two codes of a declared type.
    #[error("{}: sample {sample}, element {}: {value} is not a code divided by {divisor}", path.display(), shape(.element))]
    OffGrid {
        /// The file.
        path: PathBuf,
        /// Which sample.
        sample: usize,
        /// Which element of it.
        element: Vec<usize>,
        /// The value.
        value: f64,
        /// What codes are divided by.
        divisor: Box<Rational>,
    },
    /// Not a number, or infinite.
    #[error("{}: sample {sample}, element {}: {value} is not a finite number", path.display(), shape(.element))]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Which sample.
        sample: usize,
        /// Which element of it.
        element: Vec<usize>,
        /// The value.
        value: f64,
    },
    /// Mean or deviation, where the hardware (or nobody) applies them.
    #[error("--mean and --std have no meaning here: {reason}")]
    Normalise {
        /// Why.
        reason: &'static str,
    },
    /// Neither one mean (deviation) nor one per channel; or a deviation of 0.
    #[error("{option} has {found} values, but the input has {channels} channels")]
    Channels {
        /// `--mean` or `--std`.
        option: &'static str,
        /// How many were given.
        found: usize,
        /// How many channels there are.
        channels: usize,
    },
    /// Division by zero.
    #[error("a standard deviation of 0")]
    ZeroDeviation,
}

/// Codes for the pins, `[samples, elements]`, and notes for the user on what the data were taken to mean.
///
/// # Errors
/// See [`CodeError`]; nothing is rounded to fit.
pub fn codes(
    path: &Path,
    samples: &Samples,
    pins: &Pins,
    normalise: &Normalise,
) -> Result<(Array2<i64>, Vec<String>), CodeError> {
    let channels = pins.shape.first().copied().unwrap_or(1);
    check(pins, normalise, channels)?;
    let pixels = matches!(samples.values, Values::Bytes(_)) && samples.kind.is_pixels();
    let one = |element: Element, channel: usize| one(element, channel, pixels, pins, normalise);
    let per_channel = (samples.size / channels.max(1)).max(1);
    let mut cache: HashMap<(u64, usize), i64> = HashMap::new();
    let mut table = vec![None; if matches!(samples.values, Values::Bytes(_)) { channels.max(1) * 256 } else { 0 }];
    let mut found = Vec::with_capacity(samples.values.len());
    for i in 0..samples.values.len() {
        let channel = i % samples.size / per_channel;
        let code = match &samples.values {
            Values::Bytes(v) => match table[channel * 256 + usize::from(v[i])] {
                Some(code) => Ok(code),
                None => {
                    let code = one(Element::Integer(i64::from(v[i])), channel);
                    table[channel * 256 + usize::from(v[i])] = code.as_ref().ok().copied();
                    code
                }
            },
            Values::Integers(v) => cached(&mut cache, v[i] as u64, channel, || one(Element::Integer(v[i]), channel)),
            Values::Floats(v, p) => {
                cached(&mut cache, v[i].to_bits(), channel, || one(Element::Float(v[i], *p), channel))
            }
        };
        found.push(code.map_err(|why| explain(path, samples, pins, i, why))?);
    }
    let rows = samples.count;
    // Rows times columns is the number of elements: `Samples` says so, and one code was pushed for each.
    let codes =
        Array2::from_shape_vec((rows, samples.size), found).unwrap_or_else(|_| Array2::zeros((0, samples.size)));
    Ok((codes, notes(samples, pins, normalise, pixels)))
}

fn check(pins: &Pins, normalise: &Normalise, channels: usize) -> Result<(), CodeError> {
    let reason = match pins.meaning {
        Meaning::Quantized(_) | Meaning::Stored(_) => None,
        Meaning::Declared { .. } => Some("the network's input type includes them already"),
        Meaning::Codes => Some("the network's pins carry integer codes, and nothing says what those mean"),
    };
    if let Some(reason) = reason.filter(|_| !normalise.is_none()) {
        return Err(CodeError::Normalise { reason });
    }
    for (option, list) in [("--mean", &normalise.mean), ("--std", &normalise.std)] {
        if list.len() > 1 && list.len() != channels {
            return Err(CodeError::Channels { option, found: list.len(), channels });
        }
    }
    if normalise.std.iter().any(Zero::is_zero) { Err(CodeError::ZeroDeviation) } else { Ok(()) }
}

#[derive(Clone, Copy)]
enum Element {
    Integer(i64),
    Float(f64, Precision),
}

/// Why one element is no code.
enum Why {
    NotFinite(f64),
    OffGrid(f64, Rational),
    NoCode(BigInt),
}

fn one(element: Element, channel: usize, pixels: bool, pins: &Pins, normalise: &Normalise) -> Result<i64, Why> {
    let code = match (&pins.meaning, element) {
        (Meaning::Stored(_), Element::Integer(v)) if !pixels => BigInt::from(v),
        (Meaning::Quantized(quantize) | Meaning::Stored(quantize), element) => {
            let value = match element {
                Element::Integer(v) => Rational::from(BigInt::from(v)),
                Element::Float(v, _) => exactly(v)?,
            };
            let value = if pixels { value / BigInt::from(255) } else { value };
            return Ok(quantize(&normalise.apply(value, channel), channel));
        }
        (Meaning::Declared { divisor }, Element::Float(v, precision)) => {
            let code = (exactly(v)? * divisor).round().to_integer();
            let back = Rational::from(code.clone()) / divisor;
            if !is_nearest(&back, v, precision) {
                return Err(Why::OffGrid(v, divisor.clone()));
            }
            code
        }
        (Meaning::Codes, Element::Float(v, _)) => {
            let value = exactly(v)?;
            if !value.is_integer() {
                return Err(Why::OffGrid(v, Rational::from(BigInt::from(1))));
            }
            value.to_integer()
        }
        (Meaning::Declared { .. } | Meaning::Codes, Element::Integer(v)) => BigInt::from(v),
    };
    code.to_i64().filter(|&c| pins.datatype.holds(c)).ok_or(Why::NoCode(code))
}

fn exactly(v: f64) -> Result<Rational, Why> {
    from_f64(v).ok_or(Why::NotFinite(v))
}

/// Whether `v` is what is left of `exact` in its file's precision: code/255 has no exact float.
///
/// Half the distance to the next float, to either side, is what rounding to nearest may take away.
fn is_nearest(exact: &Rational, v: f64, precision: Precision) -> bool {
    let (below, above) = match precision {
        Precision::Single => (f64::from((v as f32).next_down()), f64::from((v as f32).next_up())),
        Precision::Double => (v.next_down(), v.next_up()),
    };
    let Some(value) = from_f64(v) else { return false };
    let half = |other: f64| from_f64(other).map(|o| (&o + &value) / BigInt::from(2));
    half(below).is_none_or(|b| b <= *exact) && half(above).is_none_or(|a| *exact <= a)
}

fn cached(
    cache: &mut HashMap<(u64, usize), i64>,
    bits: u64,
    channel: usize,
    compute: impl FnOnce() -> Result<i64, Why>,
) -> Result<i64, Why> {
    if let Some(&code) = cache.get(&(bits, channel)) {
        return Ok(code);
    }
    let code = compute()?;
    cache.insert((bits, channel), code);
    Ok(code)
}

fn explain(path: &Path, samples: &Samples, pins: &Pins, i: usize, why: Why) -> CodeError {
    let (path, sample, element) = (path.to_path_buf(), i / samples.size, position(i % samples.size, pins.shape));
    match why {
        Why::NotFinite(value) => CodeError::NotFinite { path, sample, element, value },
        Why::OffGrid(value, divisor) => CodeError::OffGrid { path, sample, element, value, divisor: divisor.into() },
        Why::NoCode(code) => CodeError::NoCode { path, sample, element, code, datatype: pins.datatype },
    }
}

/// The index in each dimension of the row-major index `i`.
pub fn position(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&d| {
            let here = i % d.max(1);
            i /= d.max(1);
            here
        })
        .collect();
    index.reverse();
    index
}

fn notes(samples: &Samples, pins: &Pins, normalise: &Normalise, pixels: bool) -> Vec<String> {
    let integers = !matches!(samples.values, Values::Floats(..));
    match pins.meaning {
        Meaning::Quantized(_) | Meaning::Stored(_) if pixels && normalise.is_none() => {
            vec!["pixel bytes are taken as byte/255 (--input-type, --mean and --std say otherwise)".to_owned()]
        }
        Meaning::Quantized(_) if integers && !pixels && samples.kind != Kind::Table => {
            vec!["integer data are taken as real values (with --input-type they would be codes)".to_owned()]
        }
        Meaning::Stored(_) if pixels => Vec::new(),
        Meaning::Declared { .. } | Meaning::Codes | Meaning::Stored(_) if integers => {
            vec![format!("integer data are taken as the pins' own codes ({})", pins.datatype)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn samples(values: Values, kind: Kind) -> Samples {
        Samples { count: 1, size: values.len(), values, kind }
    }

    fn ratio(n: i64, d: i64) -> Rational {
        Rational::new(n.into(), d.into())
    }

    fn convert(
        s: &Samples,
        meaning: Meaning,
        datatype: DataType,
        normalise: &Normalise,
    ) -> Result<Vec<i64>, CodeError> {
        let shape = [1, s.size];
        let pins = Pins { datatype, shape: &shape, meaning };
        codes(Path::new("x.npy"), s, &pins, normalise).map(|(codes, _)| codes.into_raw_vec_and_offset().0)
    }

    #[test]
    fn pixels_are_quantized_exactly() {
        // A quantizer of step 1/255 rounding down: an exact k/255 gives k, and any float error below it k-1.
        let down = |v: &Rational, _: usize| (v * BigInt::from(255)).floor().to_integer().to_i64().unwrap();
        let all = samples(Values::Bytes((0..=255).collect()), Kind::Pixels);
        let codes = convert(&all, Meaning::Quantized(&down), DataType::unsigned(8), &Normalise::default()).unwrap();
        assert_eq!(codes, (0..=255).collect::<Vec<i64>>());
    }

    #[test]
    fn mean_and_deviation_apply_to_real_values() {
        let value = |v: &Rational, _: usize| (v * BigInt::from(10)).to_integer().to_i64().unwrap();
        let normalise = Normalise { mean: vec![ratio(1, 2)], std: vec![ratio(1, 4)] };
        let two = samples(Values::Floats(vec![1.0, 0.25], Precision::Single), Kind::Numbers);
        assert_eq!(convert(&two, Meaning::Quantized(&value), DataType::signed(8), &normalise).unwrap(), [20, -10]);
        let declared = Meaning::Declared { divisor: ratio(255, 1) };
        let error = convert(&two, declared, DataType::signed(8), &normalise).unwrap_err();
        assert!(matches!(error, CodeError::Normalise { .. }));
    }

    #[test]
    fn floats_that_are_codes_in_their_precision_are_taken_and_others_refused() {
        let declared = || Meaning::Declared { divisor: ratio(255, 1) };
        let single: Vec<f64> = (0..=255u8).map(|b| f64::from(f32::from(b) / 255.0)).collect();
        let s = samples(Values::Floats(single.clone(), Precision::Single), Kind::Numbers);
        let codes = convert(&s, declared(), DataType::unsigned(8), &Normalise::default()).unwrap();
        assert_eq!(codes, (0..=255).collect::<Vec<i64>>());
        // The same numbers as doubles are not the nearest doubles to k/255.
        let s = samples(Values::Floats(single, Precision::Double), Kind::Numbers);
        let error = convert(&s, declared(), DataType::unsigned(8), &Normalise::default()).unwrap_err();
        assert!(error.to_string().contains("is not a code divided by 255"), "{error}");
    }

    #[test]
    fn codes_outside_the_type_name_their_place() {
        let s = samples(Values::Integers(vec![3, 16]), Kind::Numbers);
        let error = convert(&s, Meaning::Codes, DataType::unsigned(4), &Normalise::default()).unwrap_err();
        assert_eq!(error.to_string(), "x.npy: sample 0, element [0, 1]: 16 is no code of u4, which the pins carry");
        let s = samples(Values::Integers(vec![0]), Kind::Numbers);
        assert!(convert(&s, Meaning::Codes, DataType::BIPOLAR, &Normalise::default()).is_err());
        let s = samples(Values::Floats(vec![f64::NAN], Precision::Double), Kind::Numbers);
        let error = convert(&s, Meaning::Codes, DataType::BIPOLAR, &Normalise::default()).unwrap_err();
        assert!(matches!(error, CodeError::NotFinite { .. }));
    }

    #[test]
    fn positions() {
        assert_eq!(position(7, &[2, 2, 3]), [1, 0, 1]);
    }
}
