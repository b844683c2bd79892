//! How wide accumulators and thresholds are built: exact by default, wider for who wants to see what exactness saves.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use quantizer::certificate::{LayerBounds, Widths};
use quantizer::network::Network;

use crate::dataflow::Pe;
use crate::error::GenerateError;
use crate::lower::word_bits;

/// The rule by which accumulator registers get their bits. None builds a register that could overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccumulatorRule {
    /// Every processing element holds just what its own rows reach.
    #[default]
    Channel,
    /// Every element of a layer holds what the widest of them reaches.
    Layer,
    /// A2Q's l1 bound of the layer's widest row over the input's declared type.
    L1,
    /// What datatypes and the number of products alone demand.
    DataType,
    /// This many bits in every layer.
    Bits(u32),
}

impl fmt::Display for AccumulatorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccumulatorRule::Channel => f.write_str("channel"),
            AccumulatorRule::Layer => f.write_str("layer"),
            AccumulatorRule::L1 => f.write_str("l1"),
            AccumulatorRule::DataType => f.write_str("data-type"),
            AccumulatorRule::Bits(bits) => write!(f, "{bits}"),
        }
    }
}

impl FromStr for AccumulatorRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "channel" => Ok(AccumulatorRule::Channel),
            "layer" => Ok(AccumulatorRule::Layer),
            "l1" => Ok(AccumulatorRule::L1),
            "data-type" => Ok(AccumulatorRule::DataType),
            _ => match text.parse() {
                Ok(bits @ 1..=AccumulatorRule::MAX) => Ok(AccumulatorRule::Bits(bits)),
                _ => Err(format!(
                    "'{text}' is no accumulator width; there are channel, layer, l1, data-type, and 1 to {} bits",
                    AccumulatorRule::MAX
                )),
            },
        }
    }
}

impl AccumulatorRule {
    /// The widest register: values are 64-bit integers with room for one sum.
    pub const MAX: u32 = 62;

    /// Widens the accumulators of a layer's elements, planned at their exact widths, and their threshold words with them.
    ///
    /// # Errors
    /// An asked width that an element's sums do not fit.
    pub(crate) fn apply(self, network: &Network, layer: &str, pes: &mut [Pe]) -> Result<(), GenerateError> {
        let widest = pes.iter().map(|pe| pe.reduction.accumulator_bits).max().unwrap_or(1);
        let asked = match self {
            AccumulatorRule::Channel => return Ok(()),
            AccumulatorRule::Layer => widest,
            AccumulatorRule::L1 => widest.max(bound(network, layer, |w| w.l1)),
            AccumulatorRule::DataType => widest.max(bound(network, layer, |w| w.data_type)),
            AccumulatorRule::Bits(bits) => bits,
        };
        for pe in pes {
            let needed = pe.reduction.accumulator_bits;
            if needed > asked {
                let channels = pe.rows.iter().flatten().copied().collect();
                return Err(GenerateError::Accumulator { layer: layer.to_owned(), channels, needed, asked });
            }
            pe.reduction.accumulator_bits = asked.min(Self::MAX);
            pe.word_bits = word_bits(pe.words.iter(), pe.reduction.accumulator_bits);
        }
        Ok(())
    }
}

/// A width of the layer by the bounds that a certificate lists; 0 where it lists none.
fn bound(network: &Network, layer: &str, of: impl Fn(&Widths) -> u32) -> u32 {
    LayerBounds::of_network(network).iter().find(|b| b.name == layer).map_or(0, |b| of(&b.accumulator))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use quantizer::datatype::DataType;
    use quantizer::testing::mlp;

    use super::*;
    use crate::dataflow::{Dataflow, Kind};
    use crate::folding::FoldingRequest;
    use crate::lower::{LowerOptions, lower_with};

    fn build(rule: AccumulatorRule) -> Result<Dataflow, GenerateError> {
        let network = mlp(3, &[24, 12, 6], DataType::unsigned(4), DataType::signed(3), DataType::unsigned(2));
        let options = LowerOptions { folding: FoldingRequest::Interval(24), ..LowerOptions::default() };
        lower_with(&network, &options, rule)
    }

    fn widths(dataflow: &Dataflow) -> Vec<Vec<u32>> {
        let unit = |kind: &Kind| match kind {
            Kind::MatrixVector(u) => Some(u.pes.iter().map(|p| p.reduction.accumulator_bits).collect()),
            _ => None,
        };
        dataflow.modules.iter().filter_map(|m| unit(&m.kind)).collect()
    }

    #[test]
    fn each_rule_is_at_least_as_wide_as_the_one_before() {
        use AccumulatorRule::*;
        let all: Vec<_> = [Channel, Layer, L1, DataType, Bits(32)].map(|rule| widths(&build(rule).unwrap())).to_vec();
        for pair in all.windows(2) {
            for (narrow, wide) in pair[0].iter().flatten().zip(pair[1].iter().flatten()) {
                assert!(narrow <= wide, "{pair:?}");
            }
        }
        assert!(all[1].iter().all(|layer| layer.iter().all(|w| w == &layer[0])));
        assert!(all[4].iter().flatten().all(|&w| w == 32));
        // 24 products of 0..=15 and -4..=3 need 12 bits.
        assert!(all[3][0].iter().all(|&w| w == 12), "{all:?}");
    }

    #[test]
    fn a_register_that_could_overflow_is_refused() {
        let exact = widths(&build(AccumulatorRule::Layer).unwrap());
        let enough = exact.iter().flatten().copied().max().unwrap();
        build(AccumulatorRule::Bits(enough)).unwrap();
        let error = build(AccumulatorRule::Bits(enough - 1)).unwrap_err();
        assert!(matches!(error, GenerateError::Accumulator { needed, .. } if needed == enough), "{error}");
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for text in ["channel", "layer", "l1", "data-type", "32"] {
            assert_eq!(text.parse::<AccumulatorRule>().unwrap().to_string(), text);
        }
        for text in ["", "0", "63", "-1", "exact"] {
            assert!(text.parse::<AccumulatorRule>().is_err(), "{text}");
        }
    }
}
