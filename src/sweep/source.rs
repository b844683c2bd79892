//! Where a sweep's networks come from: a network that is quantized, or a configuration that is trained.

use std::path::Path;

use ndarray::Array2;
use quantizer::import::FirstQuant;
use quantizer::inspect::inspect;
use quantizer::network::{Network, TensorId};
use quantizer::store;
use quantizer::weights::by_name;
use quantizer::weights::network::{quantize_network, quantize_real};
use serde_json::{Value, json};
use sim::golden;

use super::{Args, EXACT, cache, training::Training};
use crate::console::Console;
use crate::data::{DataError, labels::labels};
use crate::error::Error;
use crate::inputs::InputArgs;
use crate::model::Model;
use crate::quantize::{self, RealWeights};

/// A network, and how real values become its codes.
pub struct Net {
    /// The integers.
    pub network: Network,
    /// What stands in front of the pins.
    pub first_quant: Option<FirstQuant>,
}

impl Net {
    /// As commands take it.
    pub fn model(self) -> Model {
        Model {
            network: self.network,
            chains: vec![],
            first_quant: self.first_quant,
            input_type: None,
            normalise: crate::codes::Normalise { mean: vec![], std: vec![] },
            folder: None,
            stored: true,
        }
    }
}

/// What all networks of a sweep are made from.
pub enum Source {
    /// A network.
    Model(Box<Quantizing>),
    /// A training.
    Config(Box<Training>),
}

/// A network to be quantized, with the samples that it is measured on.
pub struct Quantizing {
    /// The network as it came.
    model: Model,
    real: Option<RealWeights>,
    codes: Array2<i64>,
    labels: Vec<usize>,
    calibration: Option<Array2<i64>>,
    keep: Vec<String>,
    tile: Option<u32>,
}

impl Source {
    /// Opens model or configuration, samples and labels. `folder` keeps what was trained.
    ///
    /// # Errors
    /// If any of them cannot be used.
    pub fn open(args: &Args, folder: &Path, console: &Console) -> Result<Self, Error> {
        if args.train {
            return Ok(Source::Config(Box::new(Training::open(&args.model.model, folder)?)));
        }
        let (Some(inputs), Some(path)) = (&args.inputs, &args.labels) else {
            let message = "accuracy needs samples and their classes: --inputs and --labels".to_owned();
            return Err(Error::Usage { message, help: None });
        };
        let read =
            |inputs: &Path, limit, seed| InputArgs { inputs: inputs.to_owned(), layout: args.layout, limit, seed };
        let calibration = args.calibration.as_ref().map(|c| read(c, Some(args.calibration_limit.get()), None));
        let (model, real) = quantize::open(&args.model, &args.bits, calibration.as_ref())?;
        let network = &model.network;
        if let Err(why) = &network.label_grid {
            let help = Some("snug quantize takes this network all the same".to_owned());
            return Err(Error::Usage { message: format!("no accuracy without classes: {why}"), help });
        }
        let inputs = read(inputs, args.limit, args.seed).read(&model, console)?;
        let all = labels(path, network.tensor(network.output).shape.iter().product())?;
        if all.len() != inputs.available {
            let (path, other) = (path.clone(), inputs.path);
            return Err(DataError::Count { path, found: all.len(), other, expected: inputs.available }.into());
        }
        let labels: Vec<usize> = inputs.indices.iter().map(|&i| all[i]).collect();
        let calibration = calibration.map(|c| c.read(&model, console)).transpose()?.map(|c| c.codes);
        // A wrong name is wrong for every point.
        quantize::keep(network, &args.keep, &mut vec![None; network.matrix_layers().count()])?;
        let (keep, tile) = (args.keep.clone(), args.tile);
        let codes = inputs.codes;
        Ok(Source::Model(Box::new(Quantizing { model, real, codes, labels, calibration, keep, tile })))
    }

    /// All that networks and accuracies depend on.
    ///
    /// # Errors
    /// If the network is not valid.
    pub fn identity(&self) -> Result<Value, Error> {
        match self {
            Source::Model(q) => Ok(json!({
                "network": store::hash(&q.model.network).map_err(invalid)?,
                "real_weights": q.real.as_deref().map(cache::hash_real),
                "samples": cache::hash(&q.codes),
                "labels": cache::key(&q.labels),
                "calibration": q.calibration.as_ref().map(cache::hash),
                "keep": q.keep,
                "tile": q.tile,
            })),
            Source::Config(training) => Ok(training.identity()),
        }
    }

    /// What the network is called, and the SHA-256 of the file that it comes from.
    pub fn name(&self) -> (String, String) {
        match self {
            Source::Model(q) => (q.model.network.name.clone(), q.model.network.source.sha256.clone()),
            Source::Config(training) => training.name(),
        }
    }

    /// The method of the network that others are compared with: as it came, or trained without a constraint.
    pub fn reference(&self) -> &'static str {
        match self {
            Source::Model(_) => EXACT,
            Source::Config(_) => "unconstrained",
        }
    }

    /// Bits of the widest accumulator of the network as it came; none before it is trained.
    pub fn widest(&self) -> Option<u32> {
        let Source::Model(q) = self else { return None };
        let layers = inspect(&q.model.network).map(|i| i.layers).unwrap_or_default();
        Some(layers.iter().filter_map(|l| Some(l.accumulator.as_ref()?.exact)).max().unwrap_or(1))
    }

    /// How many samples accuracies are of.
    pub fn samples(&self) -> usize {
        match self {
            Source::Model(q) => q.labels.len(),
            Source::Config(training) => training.samples(),
        }
    }

    /// Right samples of the network with floats; none where there is none to train.
    ///
    /// # Errors
    /// If training fails.
    pub fn float(&self) -> Result<Option<usize>, Error> {
        match self {
            Source::Model(_) => Ok(None),
            Source::Config(training) => training.float().map(Some),
        }
    }

    /// The network of a method at a width; the reference has none.
    ///
    /// # Errors
    /// If the width is too narrow for any weight, data are missing, or training fails.
    pub fn network(&self, method: &str, accumulator: Option<u32>) -> Result<Net, Error> {
        match self {
            Source::Model(q) => {
                let network = q.network(method, accumulator)?;
                Ok(Net { network, first_quant: q.model.first_quant.clone() })
            }
            Source::Config(training) => training.network(method, accumulator),
        }
    }

    /// Samples with their largest output at their label, ties to the lowest class.
    ///
    /// # Errors
    /// If golden refuses the network.
    pub fn correct(&self, net: &Net) -> Result<usize, Error> {
        let (codes, labels) = match self {
            Source::Model(q) => (&q.codes, &q.labels[..]),
            Source::Config(training) => (&training.codes(net)?, training.labels()),
        };
        let outputs = golden::run(&net.network, codes.view())?;
        let grid = net.network.label_grid.as_ref();
        let grid =
            grid.map_err(|why| Error::Usage { message: format!("no accuracy without classes: {why}"), help: None })?;
        Ok(golden::label(outputs.view(), grid).iter().zip(labels).filter(|(a, b)| a == b).count())
    }
}

impl Quantizing {
    fn network(&self, method: &str, accumulator: Option<u32>) -> Result<Network, Error> {
        let network = &self.model.network;
        let Some(accumulator) = accumulator else { return Ok(network.clone()) };
        let mut targets = vec![Some(accumulator); network.matrix_layers().count()];
        quantize::keep(network, &self.keep, &mut targets)?;
        let tile = self.tile.filter(|_| method.starts_with("axe")).map(|t| t as usize);
        let Some(chosen) = by_name(method, tile) else {
            return Err(Error::Usage { message: format!("there is no method '{method}'"), help: None });
        };
        let activations = self.calibration.as_ref().map(|codes| {
            move |network: &Network, TensorId(id): TensorId| {
                let mut tensors = golden::run_all(network, codes.view()).map_err(|e| e.to_string())?;
                Ok(tensors.swap_remove(id))
            }
        });
        let activations = activations.as_ref().map(|a| a as _);
        let result = match &self.real {
            Some(weights) => quantize_real(network, weights, &targets, chosen.as_ref(), activations),
            None => quantize_network(network, &targets, chosen.as_ref(), activations),
        };
        Ok(result.map_err(quantize::refused)?.0)
    }
}

/// A network that is not valid.
pub fn invalid(source: store::StoreError) -> Error {
    Error::Usage { message: source.to_string(), help: None }
}
