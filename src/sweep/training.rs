//! The networks of a sweep with `--train`: each trained once, kept by what it depends on.

#[cfg(feature = "train")]
pub use with::Training;
#[cfg(not(feature = "train"))]
pub use without::Training;

#[cfg(feature = "train")]
mod with {
    use std::io::Write;
    use std::path::{Path, PathBuf};

    use ndarray::Array2;
    use quantizer::store;
    use serde_json::{Value, json};
    use trainer::TrainError;
    use trainer::checkpoint;
    use trainer::config::{Bits, Config, Method};
    use trainer::graph::Graph;
    use trainer::run::{Samples, float_right, train};
    use trainer::start;
    use trainer::state::State;
    use trainer::trained::{Trained, codes};

    use crate::error::Error;
    use crate::files;
    use crate::output_dir::sha256;
    use crate::sweep::{cache, source::Net};
    use crate::train::session::{beside, compare, read};

    /// A configuration whose method and width are the sweep's.
    pub struct Training {
        path: PathBuf,
        config: Config,
        /// What the page calls it: the file's name, and its SHA-256.
        name: (String, String),
        training: Samples,
        test: Samples,
        /// SHA-256 of the samples and their classes.
        training_key: String,
        test_key: String,
        /// Where networks are kept.
        folder: PathBuf,
    }

    impl Training {
        /// Reads the configuration at `path` and its data; networks are kept in `folder`.
        ///
        /// # Errors
        /// If either cannot be used, or the folder cannot be made.
        pub fn open(path: &Path, folder: &Path) -> Result<Self, Error> {
            let (config, [training, test]) = read(path)?;
            if test.labels().is_empty() {
                let message = format!("{}: a sweep compares accuracies, and there are no classes", path.display());
                return Err(usage(message));
            }
            let text = files::read_text(path)?;
            let folder = folder.join("networks");
            std::fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let name = (stem, sha256(text.as_bytes()));
            let (path, training_key, test_key) = (path.to_owned(), hash(&training), hash(&test));
            Ok(Training { path, config, name, training, test, training_key, test_key, folder })
        }

        /// All that trained networks and their accuracies depend on.
        pub fn identity(&self) -> Value {
            // What the sweep sets itself, method and widths, is in each point's key; a start from a file is in the networks' own.
            let config = Config { data: None, ..self.config.clone() };
            let start = config
                .training
                .start
                .as_ref()
                .map(|file| std::fs::read(beside(&self.path, file)).map(|b| sha256(&b)).ok());
            json!({ "config": config, "start": start, "training": self.training_key, "test": self.test_key })
        }

        /// The configuration's name and SHA-256.
        pub fn name(&self) -> (String, String) {
            self.name.clone()
        }

        /// Test samples.
        pub fn samples(&self) -> usize {
            self.test.count()
        }

        /// Their classes.
        pub fn labels(&self) -> &[usize] {
            self.test.labels()
        }

        /// Codes of the test samples on the pins of `net`.
        ///
        /// # Errors
        /// If its input has no quantizer: a fault in snug.
        pub fn codes(&self, net: &Net) -> Result<Array2<i64>, Error> {
            let first = net.first_quant.as_ref();
            let first =
                first.ok_or_else(|| usage("the trained network's input lost its Quant: a fault in snug".into()))?;
            Ok(codes(first, &self.test))
        }

        /// The configuration of a point.
        fn config(&self, method: &str, accumulator: Option<u32>) -> Result<Config, Error> {
            let mut config = self.config.clone();
            config.accumulator.method = serde_json::from_value::<Method>(method.into())
                .map_err(|e| usage(format!("--methods: no training by '{method}': {e}")))?;
            config.accumulator.bits = accumulator.map(Bits::One);
            config.check().map_err(|e| fault(&e))?;
            Ok(config)
        }

        /// The network of a method at a width: from the folder, or trained. A training that was stopped goes on after its last whole epoch.
        ///
        /// # Errors
        /// If the width is too narrow, the loss diverges, or a file cannot be written.
        pub fn network(&self, method: &str, accumulator: Option<u32>) -> Result<Net, Error> {
            let config = self.config(method, accumulator)?;
            let (graph, mut state) = self.start(&config)?;
            let key = checkpoint::key(&config, &state, &self.training);
            let name = cache::key(&json!({ "network": key, "snug": env!("CARGO_PKG_VERSION") }));
            let kept = self.folder.join(format!("{name}.safetensors"));
            // What cannot be read is trained again.
            if let Ok(stored) = store::load_stored(&kept) {
                return Ok(Net { network: stored.network, first_quant: stored.first_quant });
            }
            let path = self.folder.join(format!("{name}.checkpoint"));
            if checkpoint::load(&path, &mut state, &key).is_err() {
                (_, state) = self.start(&config)?;
            }
            train(&config, &graph, &mut state, &self.training, |state, _| checkpoint::save(&path, state, &key))
                .map_err(|e| fault(&e))?;
            let trained = Trained::of(&graph, &state);
            let imported = trained.network(None).map_err(|e| fault(&e))?;
            // Sample by sample what training says: else there is no network.
            compare(&trained, &imported, &self.test)?;
            let bytes = store::to_bytes_with(&imported.network, imported.first_quant.as_ref());
            let bytes = bytes.map_err(crate::sweep::source::invalid)?;
            files::write(&kept, |out| out.write_all(&bytes))?;
            // Its work is done; one that cannot be removed only takes room.
            let _ = std::fs::remove_file(&path);
            Ok(Net { network: imported.network, first_quant: imported.first_quant })
        }

        /// Test samples that the float network has right after as many epochs as quantized ones take in all.
        ///
        /// # Errors
        /// If the loss diverges, or a file cannot be written.
        pub fn float(&self) -> Result<usize, Error> {
            let mut config = self.config("unconstrained", None)?;
            let epochs = config.training.float_epochs() + config.training.epochs;
            config.training.float_epochs = Some(epochs);
            let (graph, mut state) = self.start(&config)?;
            let key = checkpoint::key(&config, &state, &self.training);
            let key = cache::key(&json!({ "float": key, "test": self.test_key }));
            let kept = self.folder.join(format!("{key}.float"));
            if let Ok(right) = files::read_json(&kept) {
                return Ok(right);
            }
            let mut right = None;
            let stopped = train(&config, &graph, &mut state, &self.training, |state, epoch| {
                if epoch.quantized || epoch.epoch < epochs {
                    return Ok(());
                }
                right = Some(float_right(&graph, state, &self.test));
                // Codes are not wanted.
                Err(TrainError::Data("the floats are trained".to_owned()))
            });
            let right = match (right, stopped) {
                (Some(right), _) => right,
                (None, Err(e)) => return Err(fault(&e)),
                (None, Ok(())) => return Err(usage("training had no float epoch: a fault in snug".to_owned())),
            };
            files::write(&kept, |out| write!(out, "{right}"))?;
            Ok(right)
        }

        /// Where the training of a configuration starts.
        fn start(&self, config: &Config) -> Result<(Graph, State), Error> {
            let graph = Graph::new(config, self.training.size(), self.training.classes()).map_err(|e| fault(&e))?;
            let mut state = State::new(&graph, config.training.seed);
            if let Some(file) = &config.training.start {
                start::load(&beside(&self.path, file), &graph, &mut state).map_err(|e| fault(&e))?;
            }
            Ok((graph, state))
        }
    }

    /// SHA-256 of samples and their classes.
    fn hash(samples: &Samples) -> String {
        let mut bytes = Vec::new();
        for i in 0..samples.count() {
            bytes.extend((samples.labels()[i] as u64).to_le_bytes());
            samples.row(i).iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        }
        sha256(&bytes)
    }

    fn usage(message: String) -> Error {
        Error::Usage { message, help: None }
    }

    fn fault(error: &TrainError) -> Error {
        usage(error.to_string())
    }
}

#[cfg(not(feature = "train"))]
mod without {
    use std::convert::Infallible;
    use std::path::Path;

    use ndarray::Array2;
    use serde_json::Value;

    use crate::error::Error;
    use crate::sweep::source::Net;

    /// There is none in a snug without training.
    pub struct Training(Infallible);

    impl Training {
        /// Says how to get a snug that trains.
        ///
        /// # Errors
        /// Always.
        pub fn open(path: &Path, _: &Path) -> Result<Self, Error> {
            Err(Error::Usage {
                message: format!("cannot train {}: this snug was built without training", path.display()),
                help: Some("build it with training: cargo build --release --features train".to_owned()),
            })
        }

        pub fn identity(&self) -> Value {
            match self.0 {}
        }

        pub fn name(&self) -> (String, String) {
            match self.0 {}
        }

        pub fn samples(&self) -> usize {
            match self.0 {}
        }

        pub fn labels(&self) -> &[usize] {
            match self.0 {}
        }

        pub fn codes(&self, _: &Net) -> Result<Array2<i64>, Error> {
            match self.0 {}
        }

        pub fn network(&self, _: &str, _: Option<u32>) -> Result<Net, Error> {
            match self.0 {}
        }

        pub fn float(&self) -> Result<usize, Error> {
            match self.0 {}
        }
    }
}
