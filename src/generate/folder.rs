//! The files of a generated folder. Same model, same options: same bytes.

use std::collections::BTreeMap;

use generator::dataflow::Dataflow;
use generator::emit;
use generator::folding::LayerFolding;
use generator::memory::WeightMemory;
use generator::names::comment;
use generator::target::Backend;
use quantizer::certificate::Certificate;
use quantizer::network::Network;
use quantizer::store;
use serde::Serialize;

use super::vectors::Vectors;
use super::{Design, build_files, io};
use crate::console::json;
use crate::error::Error;
use crate::folding::DATAFLOW;
use crate::model::{Model, STORED};
use crate::output_dir::{Files, sha256};
use crate::prove::scripts;

/// `dataflow.json`: the folding, to be passed to `--folding` again, and the modules that it gave.
#[derive(Serialize)]
struct DataflowFile<'a> {
    schema: &'static str,
    folding: BTreeMap<&'a str, LayerEntry>,
    /// Cycles between frames that were aimed at, where the folding alone does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_interval: Option<u64>,
    backend: Backend,
    accumulators: String,
    weight_memory: WeightMemory,
    dataflow: &'a Dataflow,
}

/// A layer's entry in the folding.
#[derive(Serialize)]
struct LayerEntry {
    #[serde(flatten)]
    folding: LayerFolding,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<WeightMemory>,
}

/// All files of the folder but the manifest and the report.
///
/// # Errors
/// If the generator fails, or the network is not valid.
pub fn files(model: &Model, design: &Design, vectors: &Vectors) -> Result<Files, Error> {
    let (network, dataflow) = (&model.network, &design.dataflow);
    let stored = |source| Error::Store { path: STORED.into(), source };
    let mut files = Files::new();
    let mut rtl = Vec::new();
    for (name, text) in verilog(network, dataflow)? {
        rtl.push(name.clone());
        files.insert(name, text.into_bytes());
    }
    let entry = |name: &str, folding| LayerEntry { folding, memory: design.memories.get(name).copied() };
    let folding = design.folding.iter().map(|(name, f)| (name.as_str(), entry(name, *f))).collect();
    let dataflow_file = DataflowFile {
        schema: "snug.dataflow/1",
        folding,
        target_interval: design.target_interval,
        backend: design.backend,
        accumulators: design.accumulators.to_string(),
        weight_memory: design.weight_memory,
        dataflow,
    };
    let mut certificate = Certificate::of(network).map_err(stored)?;
    certificate.files = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
    scripts::add(&mut files);
    let mut text =
        |name: &str, text: String| files.insert(name.to_owned(), (text.trim_end().to_owned() + "\n").into_bytes());
    text("files.f", rtl.join("\n"));
    text("Makefile", build_files::makefile(&dataflow.top, &rtl));
    text(&format!("{}.core", dataflow.top), build_files::core(&dataflow.top, &rtl));
    text(DATAFLOW, json(&dataflow_file));
    text("certificate.json", json(&certificate));
    text("io.json", json(&io::io(network, dataflow)));
    vectors.files(network, dataflow, &mut files)?;
    files.insert(STORED.to_owned(), store::to_bytes_with(network, model.first_quant.as_ref()).map_err(stored)?);
    Ok(files)
}

/// The Verilog: names relative to the folder, and texts, in the order of `files.f`.
///
/// # Errors
/// If the generator fails.
pub fn verilog(network: &Network, dataflow: &Dataflow) -> Result<Vec<(String, String)>, Error> {
    let files = emit::verilog(dataflow, &about(network, dataflow))?;
    Ok(files.into_iter().map(|file| (format!("rtl/{}", file.name), file.text)).collect())
}

/// What the header of the top module says about its ends.
fn about(network: &Network, dataflow: &Dataflow) -> Vec<String> {
    let (input, output) = (network.tensor(network.input), dataflow.output_stream());
    let scale = match input.scale.as_deref() {
        Some([s]) if s.offset == 0.0 => format!(", a code c means {} * c", s.factor),
        Some([s]) => format!(", a code c means {} * c + {}", s.factor, s.offset),
        Some(_) => ", scales per channel in io.json".to_owned(),
        None => String::new(),
    };
    let lines = [
        format!("Network {}, from {} (SHA-256 {}).", network.name, network.source.file, network.source.sha256),
        format!("s_axis carries '{}', {} {:?}{scale}:", input.name, input.datatype, input.shape),
        format!("{} lanes a beat, {} beats a frame.", dataflow.input().lanes, dataflow.input().beats()),
        format!(
            "m_axis carries '{}': {} lanes a beat, {} beats a frame.",
            network.output_name,
            output.lanes,
            output.beats()
        ),
    ];
    // Names come from the file: none may end the comment.
    lines.iter().map(|line| comment(line)).collect()
}
