//! What exact accumulators save: the same network with registers and thresholds by one rule after the other: `cargo bench
//! --bench widths`. The networks are read from the folder models of `SNUG_ZOO`. Arguments: parts of names; none is everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use generator::accumulators::AccumulatorRule;
use generator::dataflow::{Dataflow, Kind, Output};
use generator::emit::verilog;
use generator::folding::{FoldingRequest, LayerFolding};
use generator::lower::{LowerOptions, lower_with};
use generator::target::{Backend, retarget};
use quantizer::import::{ImportOptions, import};
use sim::tools::{Tool, find};
use sim::yosys::{Counts, Flow, Job, Target, synthesize_all};

/// Networks with PE and SIMD by layer: TFC_2W2A at FINN's published folding, kwsmlp_w3a3 with a quarter of the elements of FINN's (32 in
/// the layers but the last), so that Yosys is done within minutes.
const NETWORKS: [(&str, [(usize, usize); 4]); 2] =
    [("TFC_2W2A", [(16, 49), (8, 8), (8, 8), (10, 8)]), ("kwsmlp_w3a3", [(8, 10), (8, 8), (8, 8), (1, 8)])];

const RULES: [AccumulatorRule; 5] = [
    AccumulatorRule::Bits(32),
    AccumulatorRule::DataType,
    AccumulatorRule::L1,
    AccumulatorRule::Layer,
    AccumulatorRule::Channel,
];

struct Case {
    name: String,
    rule: AccumulatorRule,
    widths: String,
    job: Job,
}

fn main() {
    let Ok(yosys) = find(Tool::Yosys) else {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
        return;
    };
    let Some(zoo) = std::env::var_os("SNUG_ZOO").map(PathBuf::from) else {
        eprintln!("SKIPPED: TFC_2W2A and kwsmlp_w3a3 are in models of the folder SNUG_ZOO; set SNUG_ZOO");
        return;
    };
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for (network, folding) in NETWORKS {
        for backend in [Backend::Xc7, Backend::Generic] {
            let name = format!("{network} {backend}");
            if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
                cases.extend(RULES.map(|rule| case(&zoo, folder.path(), network, &folding, backend, rule)));
            }
        }
    }
    println!("{}; `{}`.\n", yosys.banner, Target::Xc7.command(Flow::Flat));
    println!(
        "| network, back-end | accumulators | bits by layer | LUT | LUT RAM | SRL | CARRY4 | FF | 32 bits take | the data-type bound takes |"
    );
    println!("|---|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for group in cases.chunks(RULES.len()) {
        let jobs: Vec<Job> = group.iter().map(|c| c.job.clone()).collect();
        let counts: Vec<Counts> = synthesize_all(&yosys, &jobs, 2).into_iter().map(|r| r.unwrap().counts).collect();
        let all = |i: usize| counts[i].lut_total() as f64;
        for (i, (case, count)) in group.iter().zip(&counts).enumerate() {
            let Counts { lut, lutram, srl, carry, ff, .. } = count;
            let ratio = |from: usize| if from <= i { format!("{:.2} x", all(from) / all(i)) } else { "-".to_owned() };
            println!(
                "| {} | {} | {} | {lut} | {lutram} | {srl} | {carry} | {ff} | {} | {} |",
                case.name,
                text(case.rule),
                case.widths,
                ratio(0),
                ratio(1)
            );
        }
    }
}

fn text(rule: AccumulatorRule) -> String {
    match rule {
        AccumulatorRule::Bits(bits) => format!("{bits} bits"),
        AccumulatorRule::DataType => "data-type bound".to_owned(),
        AccumulatorRule::L1 => "l1 bound".to_owned(),
        AccumulatorRule::Layer => "exact, a layer".to_owned(),
        AccumulatorRule::Channel => "exact, a channel".to_owned(),
    }
}

fn case(
    zoo: &Path,
    folder: &Path,
    network: &str,
    folding: &[(usize, usize)],
    backend: Backend,
    rule: AccumulatorRule,
) -> Case {
    let path = zoo.join("models").join(format!("{network}.onnx"));
    let imported = import(&path, &ImportOptions::default()).expect("the network imports").network;
    let layers: BTreeMap<String, LayerFolding> = imported
        .dense_layers()
        .zip(folding)
        .map(|((layer, _), &(pe, simd))| (layer.name.clone(), LayerFolding { pe, simd }))
        .collect();
    let top = format!("{}_{backend}_{}", network.to_lowercase(), text(rule).replace([' ', ',', '-'], "_"));
    let options =
        LowerOptions { folding: FoldingRequest::Layers(layers), top: Some(top.clone()), output: Output::Logits };
    let mut dataflow = lower_with(&imported, &options, rule).expect("the folding fits");
    retarget(&mut dataflow, backend);
    let text: String = verilog(&dataflow, &[]).unwrap().into_iter().map(|f| f.text).collect();
    let file = folder.join(format!("{top}.v"));
    std::fs::write(&file, text).unwrap();
    let job = Job { flow: Flow::Flat, ..Job::new(vec![file], top, Target::Xc7) };
    Case { name: format!("{network} {backend}"), rule, widths: widths(&dataflow), job }
}

/// Accumulator bits of every layer: of the narrowest and the widest element where they differ.
fn widths(dataflow: &Dataflow) -> String {
    let units = dataflow.modules.iter().filter_map(|m| match &m.kind {
        Kind::MatrixVector(unit) => Some(unit.pes.iter().map(|p| p.reduction.accumulator_bits)),
        _ => None,
    });
    let layers: Vec<String> = units
        .map(|bits| match (bits.clone().min(), bits.max()) {
            (Some(low), Some(high)) if low < high => format!("{low}-{high}"),
            (_, high) => high.map_or_else(String::new, |h| h.to_string()),
        })
        .collect();
    layers.join(", ")
}
