//! Exact numbers in JSON.

/// Integers of any size as decimal strings: a JSON number would be read as a float by many.
pub(super) mod decimal {
    use num_bigint::BigInt;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Longer than any number that a network in memory can give, and short enough to be parsed at once.
    const MAX_DIGITS: usize = 80;

    pub(in super::super) fn serialize<S: Serializer>(value: &BigInt, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BigInt, D::Error> {
        let text = String::deserialize(d)?;
        if text.len() > MAX_DIGITS {
            return Err(D::Error::custom("an integer of too many digits"));
        }
        text.parse().map_err(|_| D::Error::custom(format!("'{text}' is not an integer")))
    }
}

/// A mean as the fraction that it is.
pub(super) mod fraction {
    use num_rational::Ratio;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer>(value: &Ratio<u64>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Ratio<u64>, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(|_| D::Error::custom(format!("'{text}' is not a fraction")))
    }
}

/// A JSON number where it fits in 64 bits, else a decimal string.
pub(super) mod number {
    use num_bigint::BigInt;
    use num_traits::ToPrimitive;
    use serde::Serializer;

    pub(in super::super) fn serialize<S: Serializer>(value: &BigInt, s: S) -> Result<S::Ok, S::Error> {
        match value.to_i64() {
            Some(word) => s.serialize_i64(word),
            None => s.collect_str(value),
        }
    }
}
