//! Where the weights of a folded layer are kept. (Those of an unrolled one are part of its adders.)

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::dataflow::{Dataflow, Kind};
use crate::error::GenerateError;

/// What a weight memory is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightMemory {
    /// The cheaper one by the synthesizer's rule; the estimate follows that of Yosys.
    #[default]
    Auto,
    /// A read-only memory of LUTs, in which equal and constant bits cost nothing.
    Distributed,
    /// Block RAM.
    Block,
}

impl WeightMemory {
    /// The value of the attribute `rom_style` that asks Yosys for it; none leaves the choice to the synthesizer.
    pub fn style(self) -> &'static str {
        match self {
            WeightMemory::Auto => "",
            WeightMemory::Distributed => "logic",
            WeightMemory::Block => "block",
        }
    }
}

impl fmt::Display for WeightMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WeightMemory::Auto => "auto",
            WeightMemory::Distributed => "distributed",
            WeightMemory::Block => "block",
        })
    }
}

impl FromStr for WeightMemory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(WeightMemory::Auto),
            // A read-only memory of LUTs is logic.
            "logic" | "distributed" => Ok(WeightMemory::Distributed),
            "block" => Ok(WeightMemory::Block),
            _ => Err(format!("'{text}' is no weight memory; there are auto, distributed (or logic) and block")),
        }
    }
}

/// Keeps all weights of `dataflow` in `memory`, but those of the layers that `layers` names.
///
/// # Errors
/// A name in `layers` that is no layer with a matrix-vector unit.
pub fn keep_weights(
    dataflow: &mut Dataflow,
    memory: WeightMemory,
    layers: &BTreeMap<String, WeightMemory>,
) -> Result<(), GenerateError> {
    let mut known = Vec::new();
    for module in &mut dataflow.modules {
        if let Kind::MatrixVector(unit) = &mut module.kind {
            unit.weight_memory = layers.get(&module.layer).copied().unwrap_or(memory);
            known.push(module.layer.clone());
        }
    }
    match layers.keys().find(|name| !known.contains(name)) {
        Some(name) => Err(GenerateError::UnknownLayer { layer: name.clone(), nearest: None, layers: known }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use quantizer::datatype::DataType;
    use quantizer::testing::mlp;

    use super::*;
    use crate::emit::verilog;
    use crate::estimate::estimate;
    use crate::folding::FoldingRequest;
    use crate::lower::{LowerOptions, lower};
    use crate::target::{Backend, retarget};

    #[test]
    fn the_memory_asked_for_is_printed_and_priced() {
        let network = mlp(3, &[24, 12, 6], DataType::unsigned(4), DataType::signed(3), DataType::unsigned(2));
        let options = LowerOptions { folding: FoldingRequest::Interval(24), ..LowerOptions::default() };
        let built = |memory, layers: &[(&str, WeightMemory)]| {
            let mut dataflow = lower(&network, &options).unwrap();
            let layers = layers.iter().map(|(name, m)| ((*name).to_owned(), *m)).collect();
            keep_weights(&mut dataflow, memory, &layers).map(|()| {
                let text: String = verilog(&dataflow, &[]).unwrap().into_iter().map(|f| f.text).collect();
                (text, estimate(&dataflow).total)
            })
        };
        let (auto, by_rule) = built(WeightMemory::Auto, &[]).unwrap();
        let (block, blocks) = built(WeightMemory::Block, &[]).unwrap();
        assert!(!auto.contains("rom_style") && block.contains("(* rom_style = \"block\" *) case (fold)"));
        assert!(by_rule.bram == 0 && blocks.bram > 0 && blocks.lut < by_rule.lut, "{by_rule:?} {blocks:?}");
        let name = network.layers[0].name.as_str();
        let (one, _) = built(WeightMemory::Auto, &[(name, WeightMemory::Distributed)]).unwrap();
        assert!(one.contains("rom_style = \"logic\"") && !one.contains("\"block\""));
        let error = built(WeightMemory::Auto, &[("nothing", WeightMemory::Block)]).unwrap_err().to_string();
        assert!(error.contains("'nothing'"), "{error}");
    }

    #[test]
    fn ecp5_takes_luts_unless_asked_otherwise() {
        let network = mlp(3, &[24, 12, 6], DataType::unsigned(4), DataType::signed(3), DataType::unsigned(2));
        let options = LowerOptions { folding: FoldingRequest::Interval(24), ..LowerOptions::default() };
        for (memory, style) in [(WeightMemory::Auto, "logic"), (WeightMemory::Block, "block")] {
            let mut dataflow = lower(&network, &options).unwrap();
            retarget(&mut dataflow, Backend::Ecp5);
            keep_weights(&mut dataflow, memory, &BTreeMap::new()).unwrap();
            let text: String = verilog(&dataflow, &[]).unwrap().into_iter().map(|f| f.text).collect();
            let asked = text.matches("*) case (fold)").count();
            assert!(asked > 0 && text.matches(&format!("(* rom_style = \"{style}\" *) case (fold)")).count() == asked);
        }
    }

    #[test]
    fn memories_are_read_as_they_are_written() {
        for text in ["auto", "distributed", "block"] {
            assert_eq!(text.parse::<WeightMemory>().unwrap().to_string(), text);
        }
        assert_eq!("logic".parse(), Ok(WeightMemory::Distributed));
        assert!("bram".parse::<WeightMemory>().unwrap_err().contains("block"));
    }
}
