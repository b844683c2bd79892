//! Whether what was proved is what snug writes for the network of the folder, text by text.
//!
//! The claims stand in the Verilog, beside what they speak of: a claim that is missing, weaker or assumed would be believed. So they are
//! written once more, from the network alone, and compared; so are the list of files and all that is not a claim.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use generator::dataflow::Output;
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

/// Where the Verilog in `dir`, of which `listed` was proved, is not what snug writes for the folder's network with the folder's options;
/// at most one line a file.
///
/// # Errors
/// If the folder cannot be read, or its network cannot be generated.
pub fn differences(dir: &Path, listed: &BTreeSet<&str>) -> Result<Vec<String>, Error> {
    let DataflowFile::<Dataflow> { dataflow } = read_json(&dir.join(DATAFLOW))?;
    let model = ModelArgs::of(dir.to_path_buf()).open()?;
    let design = Design::of(&model, &FoldingArgs::default(), Some(&dataflow.top), dataflow.output)?;
    let written: BTreeMap<String, String> = folder::verilog(&model.network, &design.dataflow)?.into_iter().collect();
    let mut found = Vec::new();
    for (name, text) in &written {
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
    use super::first_difference;

    #[test]
    fn every_byte_counts() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\nb", "a\nb\n"), Some(3));
        assert_eq!(first_difference("", "a"), Some(1));
    }
}
