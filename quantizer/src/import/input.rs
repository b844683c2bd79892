//! What the pins carry, and how real-valued inputs become codes.

use std::str::FromStr;

use num_traits::{One, Zero};
use thiserror::Error;

use super::chain::{Evaluator, Link, Param, functions};
use super::error::Refusal;
use super::function::Function;
use super::real::Real;
use crate::datatype::DataType;
use crate::rational::{self, Rational};

/// A declared input: the pins carry codes of `datatype`, which mean `(code / divisor - mean) / std`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputType {
    /// What the pins carry.
    pub datatype: DataType,
    /// Codes per unit; not 0.
    pub divisor: Rational,
    /// Subtracted: nothing (0), one number, or one per channel.
    pub mean: Vec<Rational>,
    /// Divided by: nothing (1), one number, or one per channel; not 0.
    pub std: Vec<Rational>,
}

/// A text that is no input type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{text}' is no input type: {reason}; write for example u8/255, s16/1024 or u8")]
pub struct InputTypeError {
    /// The text.
    pub text: String,
    /// What is wrong.
    pub reason: String,
}

impl FromStr for InputType {
    type Err = InputTypeError;

    /// `u8/255`: sign and bits, then after a slash a decimal divisor; without it 1. `bipolar` is a type too.
    fn from_str(text: &str) -> Result<Self, InputTypeError> {
        let error = |reason: &str| InputTypeError { text: text.into(), reason: reason.into() };
        let (name, divisor) = text.split_once('/').unwrap_or((text, "1"));
        let bits = |digits: &str| digits.parse::<u32>().map_err(|_| error("the bits are no number"));
        let datatype = match (name, name.strip_prefix('u'), name.strip_prefix('s')) {
            ("bipolar", ..) => Ok(DataType::BIPOLAR),
            (_, Some(digits), _) => DataType::quant(bits(digits)?, false, false),
            (_, _, Some(digits)) => DataType::quant(bits(digits)?, true, false),
            _ => return Err(error("a type begins with u or s")),
        };
        let datatype = datatype.map_err(|e| error(&e.to_string()))?;
        let divisor = rational::from_decimal(divisor).filter(|d| !d.is_zero());
        let divisor = divisor.ok_or_else(|| error("the divisor is no number, or 0"))?;
        Ok(InputType { datatype, divisor, mean: Vec::new(), std: Vec::new() })
    }
}

impl InputType {
    /// The type alone: values are codes.
    pub fn plain(datatype: DataType) -> Self {
        InputType { datatype, divisor: Rational::one(), mean: Vec::new(), std: Vec::new() }
    }

    /// The meaning of the codes as links of a chain, leaving out what does nothing; `Err` tells what is wrong with
    /// the lists for an input of `channels` channels.
    pub(super) fn links(&self, input: &str, channels: usize) -> Result<Vec<Link>, String> {
        for (what, list) in [("mean", &self.mean), ("std", &self.std)] {
            if !matches!(list.len(), 0 | 1) && list.len() != channels {
                return Err(format!("{what} has {} numbers, the input has {channels} channels", list.len()));
            }
        }
        if self.divisor.is_zero() || self.std.iter().any(Zero::is_zero) {
            return Err("the divisor or a standard deviation is 0".into());
        }
        let param = |list: &[Rational]| Param::new(list.iter().cloned().map(Real::from).collect());
        let mut functions = Vec::new();
        if !self.divisor.is_one() {
            functions.push(Function::Div(Param::scalar(self.divisor.clone().into())));
        }
        if self.mean.iter().any(|m| !m.is_zero()) {
            functions.push(Function::Sub(param(&self.mean)));
        }
        if self.std.iter().any(|s| !s.is_one()) {
            functions.push(Function::Div(param(&self.std)));
        }
        let link = |function| Link { node: "input".into(), output: input.into(), function, sources: Vec::new() };
        Ok(functions.into_iter().map(link).collect())
    }
}

/// The graph's first quantizer with what stands before it: how real values become the codes that the pins carry.
#[derive(Clone, Debug)]
pub struct FirstQuant {
    /// Name of the quantizer's node.
    pub node: String,
    /// The graph's preprocessing and then the quantizer.
    pub links: Vec<Link>,
    channels: Vec<Evaluator>,
    lowest: i64,
}

impl FirstQuant {
    /// From links that end in a quantizer, for an input of `channels` channels (the network input's `shape[0]`).
    ///
    /// # Errors
    /// If a function is not one of exact reals, such as Sigmoid.
    pub(crate) fn new(node: String, links: Vec<Link>, channels: usize) -> Result<Self, Refusal> {
        let inexact = links.iter().find(|l| matches!(l.function, Function::Sigmoid | Function::Tanh));
        if let Some(link) = inexact {
            return Err(Refusal::new(
                format!("node '{}' stands before the first quantizer and has no exact values", link.node),
                "give the pins a type of their own with --input-type, or put a Quant node at the input",
            ));
        }
        // Equal parameters for all: one evaluator serves.
        let count = if super::chain::blocks(&links) == 1 { 1 } else { channels };
        let channels: Vec<_> = (0..count).map(|c| Evaluator::new(functions(&links, c, count))).collect();
        let invertible = |f: &Function<Real>| !f.is_affine() || f.affine().is_some();
        if !channels.iter().all(|e| e.functions().iter().all(invertible)) {
            return Err(Refusal::new("a constant before the first quantizer is a sum of roots", "fold the constants"));
        }
        let lowest = links.last().and_then(|l| l.function.codes()).map_or(0, |t| t.range().lo);
        Ok(FirstQuant { node, links, channels, lowest })
    }

    /// The code of an exact value, such as 37/255 of an image. `channel` is the index along the first dimension of the
    /// network's input tensor.
    pub fn code(&self, value: &Rational, channel: usize) -> i64 {
        // One evaluator for all, or one per channel.
        let evaluator = &self.channels[channel.min(self.channels.len() - 1)];
        // `new` has let in only functions that are exact on reals, so there always is a code.
        evaluator.code_of(&value.clone().into()).unwrap_or(self.lowest)
    }
}
