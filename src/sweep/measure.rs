//! One point: quantized, run on the samples, certified, estimated, synthesized.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use generator::dataflow::{Dataflow, Output};
use generator::estimate::estimate;
use generator::folding::{FoldingRequest, resolve};
use ndarray::Array2;
use quantizer::certificate::Certificate;
use quantizer::inspect::inspect;
use quantizer::network::{Network, TensorId};
use quantizer::store;
use quantizer::weights::by_name;
use quantizer::weights::network::{quantize_network, quantize_real};
use serde_json::json;
use sim::golden;
use sim::tools::{self, Found, Tool};
use sim::yosys::{Job, Target, synthesize};

use super::cache::{self, Cache};
use super::plan::Task;
use super::results::{Layer, Point};
use super::{Args, results};
use crate::console::Console;
use crate::data::{DataError, labels::labels};
use crate::error::Error;
use crate::files;
use crate::generate::Design;
use crate::inputs::InputArgs;
use crate::model::{Model, ModelArgs};
use crate::progress::Progress;
use crate::quantize::{self, RealWeights};

/// What all points share.
pub struct Sweep<'a> {
    args: &'a Args,
    /// The network as it came.
    pub model: Model,
    real: Option<RealWeights>,
    codes: Array2<i64>,
    labels: Vec<usize>,
    calibration: Option<Array2<i64>>,
    yosys: Option<Found>,
    /// PE and SIMD of every point.
    folding: FoldingRequest,
    /// What the keys of all points begin with.
    shared: serde_json::Value,
    /// Right answers by network: methods often agree, all of them where the network fits.
    known: Mutex<HashMap<String, usize>>,
}

impl<'a> Sweep<'a> {
    /// Opens model, samples, labels and, where it is asked for, Yosys.
    ///
    /// # Errors
    /// If any of them cannot be used.
    pub fn open(args: &'a Args, console: &Console) -> Result<Self, Error> {
        let _progress = Progress::start(console, "reading");
        let calibration = args.calibration.as_ref().map(|inputs| InputArgs {
            inputs: inputs.clone(),
            layout: args.inputs.layout,
            limit: Some(args.calibration_limit.get()),
            seed: None,
        });
        let (model, real) = quantize::open(&args.model, &args.bits, calibration.as_ref())?;
        let network = &model.network;
        if let Err(why) = &network.label_grid {
            let message = format!("no accuracy without classes: {why}");
            return Err(Error::Usage {
                message,
                help: Some("snug quantize takes this network all the same".to_owned()),
            });
        }
        let inputs = args.inputs.read(&model, console)?;
        let all = labels(&args.labels, network.tensor(network.output).shape.iter().product())?;
        if all.len() != inputs.available {
            let (path, other) = (args.labels.clone(), args.inputs.inputs.clone());
            return Err(DataError::Count { path, found: all.len(), other, expected: inputs.available }.into());
        }
        let labels: Vec<usize> = inputs.indices.iter().map(|&i| all[i]).collect();
        let calibration = calibration.map(|c| c.read(&model, console)).transpose()?.map(|c| c.codes);
        let yosys = if args.synth { Some(tools::find(Tool::Yosys)?) } else { None };
        // A wrong name is wrong for every point; so is a wrong folding.
        quantize::keep(network, &args.keep, &mut vec![None; network.matrix_layers().count()])?;
        // All points are folded as the network as it came: dead channels of one of them would change what keeps up, and
        // LUTs at different widths could not be compared.
        let request = args.folding.request(&model, Output::Logits)?;
        let folding: BTreeMap<_, _> = resolve(network, &request).map_err(Error::from)?.layers.into_iter().collect();
        let shared = json!({
            "schema": results::POINT_SCHEMA,
            "snug": env!("CARGO_PKG_VERSION"),
            "network": store::hash(network).map_err(|source| store_error(&args.model, source))?,
            "real_weights": real.as_deref().map(cache::hash_real),
            "samples": cache::hash(&inputs.codes),
            "labels": cache::key(&labels),
            "calibration": calibration.as_ref().map(cache::hash),
            "keep": args.keep,
            "tile": args.tile,
            "folding": folding,
            "backend": format!("{:?}", args.folding.backend(&model)?),
            "yosys": yosys.as_ref().map(|y| &y.banner),
        });
        let codes = inputs.codes;
        let folding = FoldingRequest::Layers(folding);
        Ok(Sweep { args, model, real, codes, labels, calibration, yosys, folding, shared, known: Mutex::default() })
    }

    /// Bits of the widest accumulator of the network as it came.
    pub fn widest(&self) -> u32 {
        let layers = inspect(&self.model.network).map(|i| i.layers).unwrap_or_default();
        layers.iter().filter_map(|l| Some(l.accumulator.as_ref()?.exact)).max().unwrap_or(1)
    }

    /// How many samples every point sees.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// The name of a point's result: everything that it depends on, hashed.
    pub fn key(&self, method: &str, accumulator: Option<u32>) -> String {
        cache::key(&json!({ "shared": self.shared, "method": method, "accumulator": accumulator }))
    }

    /// The point, from the cache or measured. What has no answer is a point with an error.
    ///
    /// # Errors
    /// If the result cannot be written.
    pub fn point(&self, task: &Task, cache: &Cache) -> Result<Point, Error> {
        if let Some(point) = cache.get(&task.key) {
            return Ok(point);
        }
        let mut point = Point::new(task, self.samples());
        match self.measure(task, &mut point) {
            Ok(()) => cache.put(&point)?,
            Err(error) => {
                point.error = Some(error.to_string());
                // A network without an answer has none the next time; a tool may do better.
                if !matches!(error, Error::Tool(_) | Error::Yosys(_) | Error::Write { .. }) {
                    cache.put(&point)?;
                }
            }
        }
        Ok(point)
    }

    fn measure(&self, task: &Task, point: &mut Point) -> Result<(), Error> {
        let network = self.quantized(task)?;
        let certificate = Certificate::of(&network).map_err(|source| store_error(&self.args.model, source))?;
        let hash = certificate.network_sha256;
        let inspection = inspect(&network).map_err(Error::Invalid)?;
        let (mut nonzero, mut total) = (0, 0);
        for row in &inspection.layers {
            let (Some(weights), Some(accumulator)) = (&row.weights, &row.accumulator) else { continue };
            (nonzero, total) = (nonzero + weights.nonzero, total + weights.total);
            point.layers.push(Layer {
                name: row.name.clone(),
                exact: accumulator.exact,
                used: accumulator.used,
                nonzero: weights.nonzero,
                total: weights.total,
            });
        }
        point.exact = point.layers.iter().map(|l| l.exact).max();
        point.sparsity = (total > 0).then(|| (total - nonzero) as f64 / total as f64);
        let correct = self.correct(&network, &hash)?;
        point.network_sha256 = Some(hash);
        point.correct = Some(correct);
        point.accuracy = Some(correct as f64 / self.samples().max(1) as f64);
        let model = Model {
            network,
            chains: vec![],
            first_quant: None,
            input_type: None,
            normalise: crate::codes::Normalise { mean: vec![], std: vec![] },
            folder: self.model.folder.clone(),
            stored: true,
        };
        let design = Design::folded(&model, &self.folding, &self.args.folding, None, Output::Logits)?;
        point.interval = Some(design.dataflow.interval());
        point.lut_estimate = Some(estimate(&design.dataflow).total.lut_total());
        if let Some(yosys) = &self.yosys {
            point.lut = Some(self.synthesized(yosys, &design.dataflow)?);
        }
        Ok(())
    }

    fn quantized(&self, task: &Task) -> Result<Network, Error> {
        let network = &self.model.network;
        let Some(accumulator) = task.accumulator else { return Ok(network.clone()) };
        let mut targets = vec![Some(accumulator); network.matrix_layers().count()];
        quantize::keep(network, &self.args.keep, &mut targets)?;
        let tile = self.args.tile.filter(|_| task.method.starts_with("axe")).map(|t| t as usize);
        let Some(method) = by_name(&task.method, tile) else {
            return Err(Error::Usage { message: format!("there is no method '{}'", task.method), help: None });
        };
        let activations = self.calibration.as_ref().map(|codes| {
            move |network: &Network, TensorId(id): TensorId| {
                let mut tensors = golden::run_all(network, codes.view()).map_err(|e| e.to_string())?;
                Ok(tensors.swap_remove(id))
            }
        });
        let activations = activations.as_ref().map(|a| a as _);
        let result = match &self.real {
            Some(weights) => quantize_real(network, weights, &targets, method.as_ref(), activations),
            None => quantize_network(network, &targets, method.as_ref(), activations),
        };
        Ok(result.map_err(quantize::refused)?.0)
    }

    /// Samples with their largest output at their label, ties to the lowest class.
    fn correct(&self, network: &Network, hash: &str) -> Result<usize, Error> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&correct) = known().get(hash) {
            return Ok(correct);
        }
        let outputs = golden::run(network, self.codes.view())?;
        let grid = network
            .label_grid
            .as_ref()
            .map_err(|why| Error::Usage { message: format!("no accuracy without classes: {why}"), help: None })?;
        let correct = golden::label(outputs.view(), grid).iter().zip(&self.labels).filter(|(a, b)| a == b).count();
        known().insert(hash.to_owned(), correct);
        Ok(correct)
    }

    /// LUTs of all uses that Yosys counts for the whole design, flat, on xc7.
    fn synthesized(&self, yosys: &Found, dataflow: &Dataflow) -> Result<u64, Error> {
        let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
        let mut sources = Vec::new();
        for file in generator::emit::verilog(dataflow, &[])? {
            let path = folder.path().join(&file.name);
            files::write(&path, |out| std::io::Write::write_all(out, file.text.as_bytes()))?;
            sources.push(path);
        }
        let timeout = Duration::from_secs(self.args.timeout);
        let job = Job { timeout, ..Job::new(sources, dataflow.top.clone(), Target::Xc7) };
        Ok(synthesize(yosys, &job)?.counts.lut_total())
    }
}

fn store_error(model: &ModelArgs, source: store::StoreError) -> Error {
    Error::Store { path: model.model.clone(), source }
}
