//! Whether what was proved is what snug writes for the network of the folder, text by text.
//!
//! The claims stand in the Verilog, beside what they speak of: a claim that is missing, weaker or assumed would be believed. So they are
//! written once more, from the network alone, and compared; so are the list of files and all that is not a claim.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use generator::dataflow::{self, Kind, Output};
use serde::Deserialize;

use super::DataflowFile;
use crate::error::Error;
use crate::files::{read_json, read_text};
use crate::folding::{DATAFLOW, FoldingArgs};
use crate::generate::{Design, folder};
use crate::model::ModelArgs;

/// What is needed of `dataflow.json`; the rest is read by the folding's options, which keep those of a generated folder.
#[derive(Deserialize)]
struct Dataflow {
    top: String,
    output: Output,
}

/// What the network of a folder gives, with the folder's options.
pub struct Again {
    /// The hardware.
    pub dataflow: dataflow::Dataflow,
    /// Its Verilog, by path.
    written: BTreeMap<String, String>,
}

/// Generates the network of the folder `dir` once more.
///
/// # Errors
/// If the folder cannot be read, or its network cannot be generated.
pub fn again(dir: &Path) -> Result<Again, Error> {
    let DataflowFile::<Dataflow> { dataflow } = read_json(&dir.join(DATAFLOW))?;
    let model = ModelArgs::of(dir.to_path_buf()).open()?;
    let design = Design::of(&model, &FoldingArgs::default(), Some(&dataflow.top), dataflow.output)?;
    let written = folder::verilog(&model.network, &design.dataflow)?.into_iter().collect();
    Ok(Again { dataflow: design.dataflow, written })
}

/// Where the Verilog in `dir`, of which `listed` was proved, is not what snug writes for the folder's network;
/// at most one line a file.
///
/// # Errors
/// If the folder cannot be read.
pub fn differences(dir: &Path, again: &Again, listed: &BTreeSet<&str>) -> Result<Vec<String>, Error> {
    let written = &again.written;
    let mut found = Vec::new();
    for (name, text) in written {
        if !listed.contains(name.as_str()) {
            found.push(format!("{name} belongs to the accelerator and was not proved: files.f does not list it"));
            continue;
        }
        let stands = read_text(&dir.join(name))?;
        if let Some(line) = first_difference(&stands, text) {
            found.push(format!(
                "{name}, line {line}: not what this version of snug writes for the network of the folder"
            ));
        }
    }
    let strange = listed.iter().filter(|name| !written.contains_key(**name));
    found.extend(strange.map(|name| format!("{name} is no file of this accelerator, and files.f lists it")));
    Ok(found)
}

/// The modules of the dataflow of which nothing was proved: `proved` are those that were, by name.
pub fn left_out(dataflow: &dataflow::Dataflow, proved: &BTreeSet<&str>) -> Vec<String> {
    let top = &dataflow.top;
    let mut due = vec![top.clone()];
    for module in &dataflow.modules {
        let name = format!("{top}_{}", module.name);
        match &module.kind {
            // With files of their own.
            Kind::MatrixVector(unit) => {
                due.extend((0..unit.pe).map(|p| format!("{name}_pe{p}")));
                due.push(name);
            }
            Kind::Map(_) | Kind::LabelSelect(_) => due.push(name),
            // Instances of modules that all designs share.
            _ => due.push(format!("{name}_claims")),
        }
    }
    due.retain(|name| !proved.contains(name.as_str()));
    due.into_iter().map(|name| format!("nothing was proved of {name}")).collect()
}

/// The first line that differs, counted from one.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    let (mut a, mut b) = (a.split('\n'), b.split('\n'));
    let mut line = 1;
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (x, y) if x == y => line += 1,
            _ => return Some(line),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use generator::lower::{LowerOptions, lower};
    use quantizer::datatype::DataType;

    use super::{first_difference, left_out};

    #[test]
    fn every_module_is_due() {
        let types = [DataType::unsigned(4), DataType::signed(3), DataType::unsigned(2)];
        let network = quantizer::testing::mlp(1, &[8, 6, 4], types[0], types[1], types[2]);
        let dataflow = lower(&network, &LowerOptions::default()).unwrap();
        let all = left_out(&dataflow, &BTreeSet::new());
        assert!(all.len() > dataflow.modules.len(), "{all:?}");
        let names: Vec<&str> = all.iter().filter_map(|l| l.strip_prefix("nothing was proved of ")).collect();
        let mut proved: BTreeSet<&str> = names.iter().copied().collect();
        assert!(left_out(&dataflow, &proved).is_empty());
        let element = *names.iter().find(|n| n.ends_with("_pe0")).unwrap();
        proved.remove(element);
        assert_eq!(left_out(&dataflow, &proved), [format!("nothing was proved of {element}")]);
    }

    #[test]
    fn every_byte_counts() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\nb", "a\nb\n"), Some(3));
        assert_eq!(first_difference("", "a"), Some(1));
    }
}
