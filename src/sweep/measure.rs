//! One point: quantized or trained, run on the samples, certified, estimated, synthesized.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use generator::accumulators::AccumulatorRule;
use generator::dataflow::{Dataflow, Output};
use generator::estimate::estimate;
use generator::memory::WeightMemory;
use generator::target::Backend;
use quantizer::certificate::Certificate;
use quantizer::inspect::inspect;
use rayon::prelude::*;
use serde_json::json;
use sim::tools::{self, Found, Tool};
use sim::yosys::{Job, Synthesis, Target, synthesize};

use super::cache::{self, Cache};
use super::foldings::{self, Folding};
use super::plan::{Task, What};
use super::results::{Layer, Point};
use super::source::{Net, Source, invalid};
use super::{Args, results};
use crate::console::Console;
use crate::error::Error;
use crate::files;
use crate::folding::FoldingArgs;
use crate::generate::Design;
use crate::model::Model;
use crate::progress::Progress;

/// What all points share.
pub struct Sweep<'a> {
    args: &'a Args,
    /// Where networks come from, and what they are measured on.
    pub source: Source,
    yosys: Option<Found>,
    /// What every network is built with.
    pub foldings: Vec<Folding>,
    /// How wide registers are built, but those of the 32-bit reference.
    pub registers: AccumulatorRule,
    /// How sums are built.
    backend: Backend,
    /// What weights are kept in.
    memory: WeightMemory,
    /// What the keys of all points begin with.
    shared: serde_json::Value,
    /// Right answers by network: methods often agree, all of them where the network fits.
    known: Mutex<HashMap<String, usize>>,
}

impl<'a> Sweep<'a> {
    /// Opens model or configuration, samples, labels and, where it is asked for, Yosys. With `--train` the reference is trained here:
    /// foldings are resolved for it.
    ///
    /// # Errors
    /// If any of them cannot be used.
    pub fn open(args: &'a Args, console: &Console) -> Result<Self, Error> {
        let _progress = Progress::start(console, if args.train { "training the reference" } else { "reading" });
        let source = Source::open(args, &args.output_dir, console)?;
        let yosys = if args.synth { Some(tools::find(Tool::Yosys)?) } else { None };
        let folder = if args.train { None } else { args.model.model.is_dir().then(|| args.model.model.clone()) };
        let reference = source.network(source.reference(), None)?;
        let model = Model { folder, ..reference.model() };
        let foldings = foldings::all(&args.foldings, &args.folding, &model)?;
        let registers = args.folding.accumulators(&model)?;
        let backend = args.folding.backend(&model)?;
        let memory = args.folding.weight_memory(&model)?;
        if source.samples() == 0 {
            let message = "there is no sample to measure accuracy on".to_owned();
            return Err(Error::Usage { message, help: Some("--limit takes at least 1".to_owned()) });
        }
        let shared = json!({
            "schema": results::POINT_SCHEMA,
            "snug": env!("CARGO_PKG_VERSION"),
            "source": source.identity()?,
            "backend": backend.to_string(),
            "weight_memory": memory.to_string(),
            "yosys": yosys.as_ref().map(|y| &y.banner),
        });
        Ok(Sweep { args, source, yosys, foldings, registers, backend, memory, shared, known: Mutex::default() })
    }

    /// The Yosys that counts, if one does.
    pub fn yosys(&self) -> Option<&str> {
        self.yosys.as_ref().map(|y| y.banner.as_str())
    }

    /// The name of a point's result: everything that it depends on, hashed.
    pub fn key(&self, what: &What, folding: usize, registers: AccumulatorRule) -> String {
        let folding = &self.foldings[folding];
        cache::key(&json!({
            "shared": self.shared,
            "method": what.method,
            "accumulator": what.accumulator,
            "folding": [&folding.name, &format!("{:?} {:?}", folding.request, folding.memories)],
            "registers": registers.to_string(),
        }))
    }

    /// The points of one network, from the cache or measured. What has no answer is a point with an error.
    ///
    /// # Errors
    /// If a result cannot be written.
    pub fn points(&self, tasks: &[&Task], cache: &Cache, done: &(dyn Fn() + Sync)) -> Result<Vec<Point>, Error> {
        let known: Vec<Option<Point>> = tasks.iter().map(|task| cache.get(&task.key)).collect();
        let Some(first) = tasks.iter().zip(&known).find_map(|(t, k)| k.is_none().then_some(t)) else {
            return Ok(known.into_iter().flatten().collect());
        };
        let net = self.source.network(&first.what.method, first.what.accumulator);
        let measured = tasks.par_iter().zip(known).map(|(task, known)| {
            if let Some(point) = known {
                return Ok(point);
            }
            let mut point = Point::new(task, self.source.samples(), &self.foldings[task.folding].name);
            let measured = net
                .as_ref()
                .map_err(Failure::of)
                .and_then(|net| self.measure(net, task, cache, &mut point).map_err(|error| Failure::of(&error)));
            if let Err(failure) = measured {
                (point.error, point.retry) = (Some(failure.text), !failure.lasting);
            }
            cache.put(&point)?;
            done();
            Ok(point)
        });
        measured.collect()
    }

    fn measure(&self, net: &Net, task: &Task, cache: &Cache, point: &mut Point) -> Result<(), Error> {
        let network = &net.network;
        let certificate = Certificate::of(network).map_err(invalid)?;
        let hash = certificate.network_sha256.clone();
        cache.certify(&hash, &certificate)?;
        let inspection = inspect(network).map_err(Error::Invalid)?;
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
        let correct = self.correct(net, &hash)?;
        point.network_sha256 = Some(hash);
        point.correct = Some(correct);
        point.accuracy = Some(correct as f64 / self.source.samples().max(1) as f64);
        let model = Net { network: network.clone(), first_quant: None }.model();
        let design = self.design(&model, task.folding, task.registers)?;
        point.interval = Some(design.dataflow.interval());
        point.lut_estimate = Some(estimate(&design.dataflow).total.lut_total());
        if self.yosys.is_some() {
            point.lut = Some(self.synthesized(&design.dataflow)?.counts.lut_total());
        }
        Ok(())
    }

    /// A network of the sweep as hardware.
    ///
    /// # Errors
    /// If the generator refuses it.
    pub fn design(&self, model: &Model, folding: usize, registers: AccumulatorRule) -> Result<Design, Error> {
        let own = FoldingArgs {
            backend: Some(self.backend.to_string()),
            accumulator_width: Some(registers.to_string()),
            weight_memory: Some(self.memory.to_string()),
            ..FoldingArgs::default()
        };
        let Folding { request, memories, .. } = &self.foldings[folding];
        let request = request.as_ref().map_err(|why| Error::Usage { message: why.clone(), help: None })?;
        Design::with_memories(model, request, &own, memories.clone(), None, Output::Logits)
    }

    fn correct(&self, net: &Net, hash: &str) -> Result<usize, Error> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&correct) = known().get(hash) {
            return Ok(correct);
        }
        let correct = self.source.correct(net)?;
        known().insert(hash.to_owned(), correct);
        Ok(correct)
    }

    /// What Yosys counts for the whole design, flat, on xc7.
    ///
    /// # Errors
    /// If Yosys is not wanted, or fails.
    pub fn synthesized(&self, dataflow: &Dataflow) -> Result<Synthesis, Error> {
        let yosys = match &self.yosys {
            Some(yosys) => yosys,
            None => &tools::find(Tool::Yosys)?,
        };
        let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
        let mut sources = Vec::new();
        for file in generator::emit::verilog(dataflow, &[])? {
            let path = folder.path().join(&file.name);
            files::write(&path, |out| std::io::Write::write_all(out, file.text.as_bytes()))?;
            sources.push(path);
        }
        let timeout = Duration::from_secs(self.args.timeout);
        let job = Job { timeout, ..Job::new(sources, dataflow.top.clone(), Target::Xc7) };
        Ok(synthesize(yosys, &job)?)
    }
}

/// Why a point has no figures.
struct Failure {
    text: String,
    /// A network without an answer has none the next time; a tool may do better.
    lasting: bool,
}

impl Failure {
    fn of(error: &Error) -> Self {
        let lasting = !matches!(error, Error::Tool(_) | Error::Yosys(_) | Error::Write { .. });
        Failure { text: error.to_string(), lasting }
    }
}
