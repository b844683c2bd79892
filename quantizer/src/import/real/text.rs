//! Exact reals as text, so that they can be stored: `-3/4`, or `1/2 + 3/5*sqrt(7)`.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use num_bigint::BigInt;
use num_traits::Signed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Real;
use crate::rational::Rational;

impl Display for Real {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.rational)?;
        self.surds.iter().try_for_each(|s| write!(f, " + {}*sqrt({})", s.coefficient, s.radicand))
    }
}

impl FromStr for Real {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is no exact number");
        let mut terms = text.split(" + ");
        let rational: Rational = terms.next().and_then(|t| t.parse().ok()).ok_or_else(bad)?;
        let mut real = Real::from(rational);
        for term in terms {
            let (coefficient, rest) = term.split_once("*sqrt(").ok_or_else(bad)?;
            let radicand = rest.strip_suffix(')').and_then(|r| r.parse().ok()).filter(|r: &BigInt| !r.is_negative());
            // Whatever the radicand, this brings the number into its normal form.
            real.add_root(coefficient.parse().map_err(|_| bad())?, radicand.ok_or_else(bad)?);
        }
        Ok(real)
    }
}

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_come_back() {
        let root = |v: i64| Real::from(v).sqrt().unwrap();
        let tenth = Real::from_f64(0.1).unwrap();
        for number in [Real::from(0), tenth.neg(), root(2), root(3).mul(&tenth).add(&root(5)).sub(&7.into())] {
            let text = number.to_string();
            assert_eq!(text.parse::<Real>().unwrap(), number, "{text}");
            assert_eq!(text.parse::<Real>().unwrap().to_string(), text);
        }
        // What is no normal form becomes one.
        assert_eq!("0 + 1*sqrt(9)".parse::<Real>().unwrap(), 3.into());
        for bad in ["", "1/0", "x", "1 + 2", "0 + 1*sqrt(-2)", "0 + 1/0*sqrt(2)", "1 + 2*sqrt(3", "1e3", "NaN"] {
            assert!(bad.parse::<Real>().is_err(), "{bad}");
        }
    }
}
