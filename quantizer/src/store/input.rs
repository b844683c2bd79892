//! How real values become the codes on the pins, as a stored network keeps it.

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::import::FirstQuant;
use crate::import::chain::{Link, blocks};
use crate::import::function::Function;
use crate::network::Tensor;

/// A [`FirstQuant`] in the graph's JSON; its numbers are exact, see [`Real`](crate::import::real::Real).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    node: String,
    links: Vec<Link>,
}

impl Input {
    pub(super) fn of(first: &FirstQuant) -> Self {
        Input { node: first.node.clone(), links: first.links.clone() }
    }

    /// The quantizer in front of `input`, whose codes it must give.
    pub(super) fn first_quant(self, input: &Tensor) -> Result<FirstQuant, StoreError> {
        let damaged = |what: String| StoreError::Input { what };
        let Some((last, before)) = self.links.split_last() else { return Err(damaged("it is empty".into())) };
        if !matches!(&last.function, Function::Quant(quant) if quant.datatype == input.datatype) {
            return Err(damaged(format!("it does not end in a quantizer to {}", input.datatype)));
        }
        if let Some(link) = before.iter().find(|l| l.function.codes().is_some()) {
            return Err(damaged(format!("'{}' is a second quantizer", link.node)));
        }
        let channels = input.shape.first().copied().unwrap_or(1);
        let blocks = blocks(&self.links);
        if !channels.is_multiple_of(blocks) {
            return Err(damaged(format!("parameters for {blocks} channels where there are {channels}")));
        }
        if let Some(link) = self.links.iter().find(|l| !sensible(l)) {
            return Err(damaged(format!("'{}' divides by 0, or takes the root of a negative number", link.node)));
        }
        FirstQuant::new(self.node, self.links, channels).map_err(|e| damaged(e.reason))
    }
}

/// Whether a function has values everywhere, and rises or falls: what import has made sure of.
fn sensible(link: &Link) -> bool {
    match &link.function {
        Function::Div(p) => p.values().iter().all(|v| !v.is_zero()),
        Function::BatchNorm { variance, epsilon, .. } => {
            // Blocks that both agree on.
            let count = num_integer::lcm(variance.blocks(), epsilon.blocks());
            (0..count).all(|i| variance.at(i, count).add(epsilon.at(i, count)).signum() > 0)
        }
        Function::Normalize { deviation, .. } => deviation.values().iter().all(|d| d.signum() > 0),
        Function::LeakyRelu(p) => p.values().iter().all(|v| v.signum() >= 0),
        Function::Quant(quant) => quant.scale.values().iter().all(|s| s.signum() > 0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::datatype::{DataType, Range};
    use crate::rational::Rational;

    fn tensor(channels: usize) -> Tensor {
        let datatype = DataType::unsigned(4);
        let ranges = vec![Range::new(0, 15); channels];
        Tensor { name: "input".into(), shape: vec![channels, 2], datatype, ranges, scale: None }
    }

    fn link(function: serde_json::Value) -> serde_json::Value {
        json!({ "node": "n", "output": "o", "function": function, "sources": [] })
    }

    /// Normalisation of two channels, a BatchNorm whose root is irrational, and a quantizer to u4.
    fn links() -> Vec<serde_json::Value> {
        let norm = json!({ "mean": ["1/2"], "variance": ["2"], "epsilon": ["0"], "gain": ["3"], "shift": ["1/7"] });
        let u4 = json!({ "sign": "unsigned", "bits": 4, "narrow": false });
        vec![
            link(json!({ "sub": ["1/10", "1/5"] })),
            link(json!({ "batch_norm": norm })),
            link(json!("relu")),
            link(json!({ "quant": { "scale": ["1/9"], "datatype": u4, "rounding": "half_even" } })),
        ]
    }

    fn read(links: Vec<serde_json::Value>, channels: usize) -> Result<FirstQuant, String> {
        let input: Input = serde_json::from_value(json!({ "node": "q", "links": links })).map_err(|e| e.to_string())?;
        input.first_quant(&tensor(channels)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_quantizer_comes_back_exactly() {
        let first = read(links(), 2).unwrap();
        let again = serde_json::to_string(&Input::of(&first)).unwrap();
        let again = serde_json::from_str::<Input>(&again).unwrap().first_quant(&tensor(2)).unwrap();
        let mut seen = std::collections::HashSet::new();
        for v in 0..=255 {
            let value = Rational::new(v.into(), 255.into());
            for channel in 0..2 {
                let code = first.code(&value, channel);
                // round(((v - mean) - 1/2) / sqrt(2) * 3 + 1/7) * 9), in floats, which is far from any tie here.
                let mean = [0.1, 0.2][channel];
                let real = ((f64::from(v) / 255.0 - mean - 0.5) / 2f64.sqrt() * 3.0 + 1.0 / 7.0).max(0.0) * 9.0;
                assert_eq!(code, (real.round_ties_even() as i64).min(15), "{v}, channel {channel}");
                assert_eq!(code, again.code(&value, channel));
                seen.insert(code);
            }
        }
        assert!(seen.len() > 8);
    }

    #[test]
    fn made_up_ones_are_refused() {
        let refused = |change: &dyn Fn(&mut Vec<serde_json::Value>), channels: usize, why: &str| {
            let mut links = links();
            change(&mut links);
            let error = read(links, channels).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        refused(&|l| l.clear(), 2, "it is empty");
        refused(&|l| l.truncate(3), 2, "does not end in a quantizer to u4");
        refused(&|l| l[3]["function"]["quant"]["datatype"]["bits"] = json!(5), 2, "does not end in a quantizer to u4");
        refused(&|l| l.insert(0, l[3].clone()), 2, "'n' is a second quantizer");
        refused(&|_| (), 3, "parameters for 2 channels where there are 3");
        refused(&|l| l[0] = link(json!({ "div": ["0"] })), 2, "divides by 0");
        refused(&|l| l[1]["function"]["batch_norm"]["variance"] = json!(["-2"]), 2, "root of a negative number");
        refused(&|l| l[3]["function"]["quant"]["scale"] = json!(["-1"]), 2, "divides by 0");
        refused(&|l| l[0] = link(json!({ "sub": [] })), 2, "without numbers");
        refused(&|l| l[0] = link(json!({ "sub": ["1/0"] })), 2, "no exact number");
        refused(&|l| l[0] = link(json!({ "power": ["2"] })), 2, "unknown variant");
        refused(&|l| l[0] = link(json!("sigmoid")), 2, "no exact values");
    }
}
