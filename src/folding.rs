//! `--folding` and the rates that stand for one: what the generator is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use generator::accumulators::AccumulatorRule;
use generator::dataflow::{Dataflow, Output};
use generator::error::GenerateError;
use generator::folding::{FoldingRequest, LayerFolding, unrolled};
use generator::lower::LowerOptions;
use generator::memory::WeightMemory;
use generator::solve::{Goal, Plan, solve};
use generator::target::Backend;
use num_bigint::BigInt;
use num_traits::ToPrimitive;
use quantizer::network::Network;
use quantizer::rational::{Rational, from_decimal};
use serde::Deserialize;

use crate::data::DataError;
use crate::error::Error;
use crate::files;
use crate::model::Model;

/// The file in a generated folder that holds the folding it was generated with.
pub const DATAFLOW: &str = "dataflow.json";

/// Its key for the cycles between frames that the design aimed at.
const TARGET_INTERVAL: &str = "target_interval";

/// How parallel the hardware is.
#[derive(Debug, clap::Args)]
pub struct FoldingArgs {
    /// PE and SIMD by layer ({"features.3": {"pe": 16, "simd": 49}, "features.7": {"unrolled": true}}), or the dataflow.json of an earlier run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target_interval", "target_fps"])]
    pub folding: Option<PathBuf>,
    /// At most so many clock cycles between frames
    #[arg(long, value_name = "CYCLES", conflicts_with = "target_fps")]
    pub target_interval: Option<u64>,
    /// At least so many frames a second, at --clock-mhz
    #[arg(long, value_name = "F")]
    pub target_fps: Option<String>,
    /// As fast as so many LUTs allow (xc7, as estimated)
    #[arg(long, value_name = "N", conflicts_with_all = ["folding", "target_interval", "target_fps"])]
    pub max_luts: Option<u64>,
    /// How sums are built: generic (`+`, any device), xc7 (bit heaps of LUT6_2 and CARRY4) or ecp5 (as generic, with more registers)
    #[arg(long, value_parser = ["generic", "xc7", "ecp5"])]
    pub backend: Option<String>,
    /// Accumulator bits: channel (exact for each processing element), layer (exact for the widest), l1, data-type, or a number
    #[arg(long, value_name = "RULE")]
    pub accumulator_width: Option<String>,
    /// What weights are kept in: auto (the cheaper by rule), distributed (LUTs; logic is the same) or block (block RAM); the file of
    /// --folding may say it for a layer ("memory": "block")
    #[arg(long, value_name = "MEMORY")]
    pub weight_memory: Option<String>,
    /// The clock that rates are reported for
    #[arg(long, value_name = "C", default_value = "100")]
    pub clock_mhz: String,
}

impl Default for FoldingArgs {
    fn default() -> Self {
        FoldingArgs {
            folding: None,
            target_interval: None,
            target_fps: None,
            max_luts: None,
            backend: None,
            accumulator_width: None,
            weight_memory: None,
            clock_mhz: "100".to_owned(),
        }
    }
}

impl FoldingArgs {
    /// Whether a folding, a rate or a budget is asked for.
    pub fn given(&self) -> bool {
        self.folding.is_some() || self.target_interval.is_some() || self.target_fps.is_some() || self.max_luts.is_some()
    }

    /// The clock in Hz.
    ///
    /// # Errors
    /// If it is no positive number.
    pub fn clock_hz(&self) -> Result<Rational, Error> {
        positive("--clock-mhz", &self.clock_mhz).map(|mhz| mhz * BigInt::from(1_000_000))
    }

    /// The back-end. A generated folder keeps its own unless another is asked for.
    ///
    /// # Errors
    /// If the folder's file cannot be read or names none.
    pub fn backend(&self, model: &Model) -> Result<Backend, Error> {
        kept(&self.backend, model, "backend")
    }

    /// How wide accumulators are. A generated folder keeps its own rule unless another is asked for.
    ///
    /// # Errors
    /// If the folder's file cannot be read or names none.
    pub fn accumulators(&self, model: &Model) -> Result<AccumulatorRule, Error> {
        kept(&self.accumulator_width, model, "accumulators")
    }

    /// What weights are kept in. A generated folder keeps its own choice unless another is made.
    ///
    /// # Errors
    /// If the folder's file cannot be read or names none.
    pub fn weight_memory(&self, model: &Model) -> Result<WeightMemory, Error> {
        kept(&self.weight_memory, model, "weight_memory")
    }

    /// What the weights of single layers are kept in, by the file of `--folding` or that of a generated folder.
    ///
    /// # Errors
    /// If the file cannot be read or names a memory that is none.
    pub fn layer_memories(&self, model: &Model) -> Result<BTreeMap<String, WeightMemory>, Error> {
        let goal = self.goal()?;
        let path = self.folding.clone().or_else(|| model.folder_file(DATAFLOW).filter(|_| goal.is_none()));
        path.map_or_else(|| Ok(BTreeMap::new()), |path| memories(&path, &model.network))
    }

    /// What the folding solver has to reach, if it is asked.
    fn goal(&self) -> Result<Option<Goal>, Error> {
        if let Some(fps) = &self.target_fps {
            let interval = self.clock_hz()? / positive("--target-fps", fps)?;
            return Ok(Some(Goal::Interval(interval.floor().to_integer().to_u64().unwrap_or(u64::MAX))));
        }
        Ok(self.target_interval.map(Goal::Interval).or(self.max_luts.map(Goal::Luts)))
    }

    /// The same with another interval to reach.
    pub fn with_target(&self, cycles: u64) -> Self {
        FoldingArgs { target_interval: Some(cycles), ..self.without_goal() }
    }

    /// The same with neither a folding nor anything to reach.
    pub fn without_goal(&self) -> Self {
        FoldingArgs {
            folding: None,
            target_interval: None,
            target_fps: None,
            max_luts: None,
            backend: self.backend.clone(),
            accumulator_width: self.accumulator_width.clone(),
            weight_memory: self.weight_memory.clone(),
            clock_mhz: self.clock_mhz.clone(),
        }
    }

    /// The most cycles that a frame may take, if a rate is asked for.
    ///
    /// # Errors
    /// If a number is none.
    pub fn most_cycles(&self) -> Result<Option<u64>, Error> {
        Ok(match self.goal()? {
            Some(Goal::Interval(most)) => Some(most),
            _ => None,
        })
    }

    /// What the generator is asked for: the folding of a file, the solver's for a rate or a budget, or the default. A generated folder
    /// keeps its folding unless something else is asked for.
    ///
    /// # Errors
    /// If the file cannot be read, a number is none, or no folding reaches the rate or the budget.
    pub fn request(&self, model: &Model, output: Output) -> Result<FoldingRequest, Error> {
        let goal = self.goal()?;
        let kept = || model.folder_file(DATAFLOW).filter(|_| goal.is_none());
        if let Some(path) = self.folding.clone().or_else(kept) {
            let layers = read(&path, &model.network)?;
            return Ok(match aimed(&path)? {
                Some(interval) => FoldingRequest::Resolved { layers, interval },
                None => FoldingRequest::Layers(layers),
            });
        }
        let Some(goal) = goal else { return Ok(FoldingRequest::Default) };
        let lowering = LowerOptions { output, ..LowerOptions::default() };
        let plan = Plan {
            network: &model.network,
            lowering: &lowering,
            accumulators: self.accumulators(model)?,
            backend: self.backend(model)?,
            memory: self.weight_memory(model)?,
            settle,
        };
        Ok(FoldingRequest::Layers(solve(plan, goal)?.layers))
    }
}

/// Gives branches the queues that they need, and the dataflow the interval that neighbours' waiting makes of it.
///
/// # Errors
/// If a run of the handshakes comes to no end, which is a defect of snug.
pub fn settle(dataflow: &mut Dataflow) -> Result<(), GenerateError> {
    sim::fifo::size(dataflow).map_err(|e| GenerateError::Queues(e.to_string()))
}

/// An option's value: what was asked for, else what a generated folder was made with, else the default.
fn kept<T: FromStr<Err = String> + Default>(asked: &Option<String>, model: &Model, key: &str) -> Result<T, Error> {
    let name = match (asked, model.folder_file(DATAFLOW)) {
        (Some(name), _) => name.clone(),
        (None, Some(path)) => {
            let value: serde_json::Value = files::read_json(&path)?;
            match value.get(key).and_then(serde_json::Value::as_str) {
                Some(name) => name.to_owned(),
                // Folders of before there was a choice name none.
                None => return Ok(T::default()),
            }
        }
        (None, None) => return Ok(T::default()),
    };
    name.parse().map_err(|message| Error::Usage { message, help: None })
}

fn positive(option: &'static str, text: &str) -> Result<Rational, Error> {
    from_decimal(text)
        .filter(|v| *v > Rational::from(BigInt::from(0)))
        .ok_or_else(|| Error::Usage { message: format!("{option}: '{text}' is not a positive number"), help: None })
}

/// PE and SIMD as the file says them, or `"unrolled": true` for all rows and columns at a time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    pe: Option<usize>,
    simd: Option<usize>,
    #[serde(default)]
    unrolled: bool,
    memory: Option<String>,
}

impl Entry {
    /// PE and SIMD for a layer of `size` rows and columns; `None` if the entry says too little or too much, or unrolls what has no weights.
    fn folding(&self, size: Option<LayerFolding>) -> Option<LayerFolding> {
        match (self.unrolled, self.pe, self.simd) {
            (true, None, None) => size,
            (false, Some(pe), Some(simd)) => Some(LayerFolding { pe, simd }),
            _ => None,
        }
    }
}

/// Whether a folding file is the `dataflow.json` of an earlier run: no layer's entry is a text.
fn is_dataflow(value: &serde_json::Value) -> bool {
    value.get("schema").is_some_and(serde_json::Value::is_string)
}

/// The entries of a folding file; layers may be called by their ONNX node.
fn entries(path: &Path, network: &Network) -> Result<BTreeMap<String, Entry>, Error> {
    let malformed = |e: serde_json::Error| DataError::Malformed { path: path.to_path_buf(), reason: e.to_string() };
    let mut value: serde_json::Value = files::read_json(path)?;
    if is_dataflow(&value) {
        value = value.get_mut("folding").map(serde_json::Value::take).unwrap_or_default();
    }
    let entries: BTreeMap<String, Entry> = serde_json::from_value(value).map_err(malformed)?;
    let named = |name: String| {
        let is_name = network.layers.iter().any(|l| l.name == name);
        let by_node = network.dense_layers().find(|(l, _)| !is_name && l.node == name);
        by_node.map_or(name, |(l, _)| l.name.clone())
    };
    Ok(entries.into_iter().map(|(name, entry)| (named(name), entry)).collect())
}

/// Reads what weights are kept in, of the layers that say it.
fn memories(path: &Path, network: &Network) -> Result<BTreeMap<String, WeightMemory>, Error> {
    let memory = |(name, entry): (String, Entry)| {
        let memory: Result<WeightMemory, Error> = entry.memory?.parse().map_err(|reason: String| {
            DataError::Malformed { path: path.to_path_buf(), reason: format!("layer '{name}': {reason}") }.into()
        });
        Some(memory.map(|m| (name, m)))
    };
    entries(path, network)?.into_iter().filter_map(memory).collect()
}

/// The interval that a `dataflow.json` says its design aimed at, where its layers alone do not tell.
fn aimed(path: &Path) -> Result<Option<u64>, Error> {
    let value: serde_json::Value = files::read_json(path)?;
    let Some(interval) = value.get(TARGET_INTERVAL).filter(|_| is_dataflow(&value)) else { return Ok(None) };
    let cycles = interval.as_u64().filter(|&c| c > 0);
    let reason = || format!("\"{TARGET_INTERVAL}\": {interval} is no number of cycles");
    Ok(Some(cycles.ok_or_else(|| DataError::Malformed { path: path.to_path_buf(), reason: reason() })?))
}

/// Reads PE and SIMD by layer.
fn read(path: &Path, network: &Network) -> Result<BTreeMap<String, LayerFolding>, Error> {
    let folding = |(name, entry): (String, Entry)| {
        let size = unrolled(network, &name);
        let complaint = "give \"pe\" and \"simd\", or \"unrolled\": true for a layer with weights";
        let folding = entry.folding(size).ok_or_else(|| DataError::Malformed {
            path: path.to_path_buf(),
            reason: format!("layer '{name}': {complaint}"),
        })?;
        Ok((name, folding))
    };
    entries(path, network)?.into_iter().map(folding).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use quantizer::datatype::DataType;

    use super::*;

    fn plan<'a>(network: &'a Network, lowering: &'a LowerOptions) -> Plan<'a> {
        let (accumulators, backend, memory) = (AccumulatorRule::default(), Backend::default(), WeightMemory::default());
        Plan { network, lowering, accumulators, backend, memory, settle }
    }

    /// Cycles between frames, neighbours' waiting included, and LUTs.
    fn cost(network: &Network, layers: BTreeMap<String, LayerFolding>) -> (u64, u64) {
        let options = LowerOptions { folding: FoldingRequest::Layers(layers), ..LowerOptions::default() };
        let mut dataflow = generator::lower::lower(network, &options).unwrap();
        settle(&mut dataflow).unwrap();
        (dataflow.interval(), generator::estimate::estimate(&dataflow).total.lut_total())
    }

    /// Every folding of `network`, lowered one by one.
    fn all_foldings(network: &Network) -> Vec<(u64, u64)> {
        let mut all = vec![BTreeMap::new()];
        for matrix in network.matrix_layers() {
            let (rows, columns) = matrix.weights.dim();
            let divisors = |n: usize| (1..=n).filter(move |d| n.is_multiple_of(*d));
            let own = || divisors(rows).flat_map(|pe| divisors(columns).map(move |simd| LayerFolding { pe, simd }));
            all = all
                .iter()
                .flat_map(|begun: &BTreeMap<String, LayerFolding>| {
                    own().map(|folding| {
                        let mut begun = begun.clone();
                        begun.insert(matrix.layer.name.clone(), folding);
                        begun
                    })
                })
                .collect();
        }
        all.into_iter().map(|layers| cost(network, layers)).collect()
    }

    #[test]
    fn no_folding_is_cheaper_at_a_rate() {
        for (seed, widths) in [(1, &[6, 4, 3][..]), (2, &[16, 8, 4]), (3, &[8, 8, 4, 2])] {
            let types = [DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2)];
            let network = quantizer::testing::sparse_mlp(seed, widths, types, 40);
            let lowering = LowerOptions::default();
            let plan = plan(&network, &lowering);
            let all = all_foldings(&network);
            let intervals: std::collections::BTreeSet<u64> = all.iter().map(|a| a.0).collect();
            for &interval in &intervals {
                let least = all.iter().filter(|a| a.0 <= interval).map(|a| a.1).min().unwrap();
                let found = solve(plan, Goal::Interval(interval)).unwrap();
                assert!(found.interval <= interval, "seed {seed}, {interval} cycles: {found:?}");
                assert_eq!(found.luts, least, "seed {seed}, {interval} cycles: {found:?}");
            }
            let budgets: Vec<u64> = all.iter().map(|a| a.1).collect();
            for &budget in budgets.iter().step_by(budgets.len() / 6 + 1) {
                let fastest = all.iter().filter(|a| a.1 <= budget).map(|a| a.0).min().unwrap();
                let found = solve(plan, Goal::Luts(budget)).unwrap();
                assert!(found.luts <= budget);
                assert_eq!(found.interval, fastest, "seed {seed}, {budget} LUTs: {found:?}");
            }
        }
    }

    /// Of the digits the layers that are cheapest at 16 cycles wait for each other, and frames come more slowly.
    #[test]
    fn neighbours_that_wait_are_seen() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/digits.onnx");
        let network = crate::model::ModelArgs::of(path).open().unwrap().network;
        let lowering = LowerOptions::default();
        let plan = plan(&network, &lowering);
        let alone = solve(Plan { settle: |_| Ok(()), ..plan }, Goal::Interval(16)).unwrap();
        let [waits, keeps_up] = [
            alone.layers,
            [("norm1", 2, 64), ("norm2", 2, 32), ("fc3", 5, 4)]
                .map(|(name, pe, simd)| (name.to_owned(), LayerFolding { pe, simd }))
                .into(),
        ]
        .map(|layers| cost(&network, layers));
        let found = solve(plan, Goal::Interval(16)).unwrap();
        assert!(waits.0 > 16 && keeps_up.0 == 16, "{waits:?} {keeps_up:?}");
        assert!(found.interval == 16 && found.luts <= keeps_up.1, "{found:?} {keeps_up:?}");
        let found = solve(plan, Goal::Luts(keeps_up.1)).unwrap();
        assert!(found.interval <= 16 && found.luts <= keeps_up.1, "{found:?}");
    }

    #[test]
    fn layers_by_name_or_node_plain_or_from_a_dataflow() {
        let mut network =
            quantizer::testing::mlp(1, &[8, 6, 4], DataType::unsigned(4), DataType::signed(3), DataType::unsigned(2));
        network.layers[0].node = "MatMul_7".to_owned();
        let name = network.layers[0].name.clone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.json");
        for text in [
            r#"{"MatMul_7": {"pe": 2, "simd": 4}}"#.to_owned(),
            format!(r#"{{"{name}": {{"pe": 2, "simd": 4}}}}"#),
            format!(r#"{{"schema": "snug.dataflow/1", "folding": {{"{name}": {{"pe": 2, "simd": 4}}}}}}"#),
        ] {
            std::fs::write(&path, &text).unwrap();
            let read = read(&path, &network).unwrap();
            assert_eq!(read, BTreeMap::from([(name.clone(), LayerFolding { pe: 2, simd: 4 })]), "{text}");
        }
        std::fs::write(&path, r#"{"MatMul_7": {"unrolled": true}}"#).unwrap();
        let whole = BTreeMap::from([(name.clone(), LayerFolding { pe: 6, simd: 8 })]);
        assert_eq!(super::read(&path, &network).unwrap(), whole);
        for text in [
            r#"{"MatMul_7": {"pe": 2, "simd": 4, "unrolled": true}}"#,
            r#"{"MatMul_7": {"pe": 2}}"#,
            r#"{"nothing": {"unrolled": true}}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(super::read(&path, &network).unwrap_err().to_string().contains("unrolled"), "{text}");
        }
        std::fs::write(&path, r#"{"MatMul_7": {"pe": 2, "simd": 4, "memory": "block"}}"#).unwrap();
        assert_eq!(memories(&path, &network).unwrap(), BTreeMap::from([(name, WeightMemory::Block)]));
        std::fs::write(&path, r#"{"MatMul_7": {"pe": 2, "simd": 4, "memory": "bram"}}"#).unwrap();
        assert!(memories(&path, &network).unwrap_err().to_string().contains("'bram' is no weight memory"));
        std::fs::write(&path, r#"{"a": {"PE": 2, "simd": 4}}"#).unwrap();
        assert!(super::read(&path, &network).unwrap_err().to_string().contains("unknown field `PE`"));
    }
}
