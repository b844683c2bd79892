//! What the tables on MNIST have in common: the data, and a table of accuracy against accumulator width.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use quantizer::certificate::Certificate;
use quantizer::import::Imported;
use quantizer::store;
use sim::golden;
use trainer::TrainError;
use trainer::checkpoint;
use trainer::config::Config;
use trainer::graph::Graph;
use trainer::run::train;
use trainer::samples::Samples;
use trainer::state::State;
use trainer::trained::{Trained, codes};

/// A row of a table's methods: name, method, EP-init and learning rate.
pub type Row = (&'static str, &'static str, &'static str, f64);

/// What is trained, as it stands in a configuration.
pub struct Network {
    /// `layers = [...]`; empty for a perceptron.
    pub layers: &'static str,
    /// What stands in `[network]`.
    pub types: &'static str,
}

/// A table.
pub struct Table {
    /// Folder under `target` where results lie.
    pub folder: &'static str,
    /// What is compared.
    pub methods: &'static [Row],
    /// Accumulators.
    pub bits: &'static str,
    /// The network.
    pub network: Network,
    /// What else stands in `[accumulator]`.
    pub accumulator: &'static str,
    /// Epochs with floats and with codes, and seeds.
    pub epochs: [u64; 3],
}

/// Training and test set, if `SNUG_ZOO` names a folder with `data/mnist`; else a loud note.
pub fn mnist() -> Result<Option<(Samples, Samples)>, TrainError> {
    let Some(zoo) = std::env::var_os("SNUG_ZOO").map(PathBuf::from) else {
        eprintln!("SKIPPED: set SNUG_ZOO to the folder that holds data/mnist");
        return Ok(None);
    };
    let mnist = zoo.join("data/mnist");
    let samples = |set: &str| Samples::new(pixels(&mnist, set), 784, labels(&mnist, set));
    Ok(Some((samples("train")?, samples("t10k")?)))
}

/// A comma-separated environment variable.
pub fn list(name: &str, default: &str) -> Vec<String> {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    text.split(',').map(|s| s.trim().to_owned()).collect()
}

/// `target/NAME`, made if it is not there.
pub fn folder(name: &str) -> Result<PathBuf, TrainError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(name);
    std::fs::create_dir_all(&folder).map_err(|e| cannot(&folder, &e))?;
    Ok(folder)
}

pub fn cannot(path: &Path, e: &std::io::Error) -> TrainError {
    TrainError::Data(format!("{}: {e}", path.display()))
}

impl Table {
    /// Trains what is not there yet, prints a line for each network as it is done, and the table's cells.
    ///
    /// `SNUG_BITS=9,8`, `SNUG_METHODS=sign-split`, `SNUG_SEEDS=3`, `SNUG_EPOCHS=20` and `SNUG_FLOAT_EPOCHS=8` choose.
    pub fn run(&self) -> Result<(), TrainError> {
        let Some((training, test)) = mnist()? else { return Ok(()) };
        let (folder, [float_epochs, epochs, seeds]) = (folder(self.folder)?, self.chosen_epochs());
        for bits in self.chosen_bits() {
            for row in self.chosen_methods() {
                let mut figures = Vec::new();
                for seed in 0..seeds {
                    let (width, name) = self.name(row, bits, seed);
                    let done = folder.join(format!("{name}.txt"));
                    if let Ok(line) = std::fs::read_to_string(&done) {
                        println!("{}", line.trim_end());
                        figures.extend(line.split_whitespace().nth(3).and_then(|f| f.parse::<f64>().ok()));
                        continue;
                    }
                    let (line, percent) =
                        self.network(&folder, &name, row, width, [float_epochs, epochs, seed], &training, &test)?;
                    println!("{line}");
                    std::fs::write(&done, &line).map_err(|e| cannot(&done, &e))?;
                    figures.push(percent);
                }
                let mean = figures.iter().sum::<f64>() / figures.len().max(1) as f64;
                let spread = figures.iter().fold(0f64, |m, f| m.max((f - mean).abs()));
                println!("| {bits} | {} | {mean:.2} | +-{spread:.2} |", row.0);
            }
        }
        Ok(())
    }

    fn chosen_bits(&self) -> Vec<u32> {
        list("SNUG_BITS", self.bits).iter().map(|b| b.parse().unwrap_or(16)).collect()
    }

    fn chosen_methods(&self) -> Vec<&Row> {
        let all: Vec<&str> = self.methods.iter().map(|m| m.0).collect();
        let chosen = list("SNUG_METHODS", &all.join(","));
        self.methods.iter().filter(|m| chosen.iter().any(|name| name == m.0)).collect()
    }

    fn chosen_epochs(&self) -> [u64; 3] {
        let number = |name: &str, default: u64| list(name, "")[0].parse().unwrap_or(default);
        let [float_epochs, epochs, seeds] = self.epochs;
        [number("SNUG_FLOAT_EPOCHS", float_epochs), number("SNUG_EPOCHS", epochs), number("SNUG_SEEDS", seeds)]
    }

    /// The width of a network (without a constraint it is no matter: 0) and the name of its files.
    fn name(&self, row: &Row, bits: u32, seed: u64) -> (u32, String) {
        let [float_epochs, epochs, _] = self.chosen_epochs();
        let width = if row.1 == "unconstrained" { 0 } else { bits };
        (width, format!("{}-{width}-{seed}-{epochs}-{float_epochs}", row.0))
    }

    /// Names of the files of all networks that [`Table::run`] trains, each once.
    #[allow(dead_code)] // of the tables only the perceptron's goes to hardware
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for bits in self.chosen_bits() {
            for row in self.chosen_methods() {
                let seeds = 0..self.chosen_epochs()[2];
                names.extend(
                    seeds
                        .map(|seed| self.name(row, bits, seed).1)
                        .filter(|name| !names.contains(name))
                        .collect::<Vec<_>>(),
                );
            }
        }
        names
    }

    #[allow(clippy::too_many_arguments)] // what a cell depends on
    fn network(
        &self,
        folder: &Path,
        name: &str,
        &(method_name, method, ep_init, rate): &Row,
        bits: u32,
        [float_epochs, epochs, seed]: [u64; 3],
        training: &Samples,
        test: &Samples,
    ) -> Result<(String, f64), TrainError> {
        let width = if bits == 0 { String::new() } else { format!("bits = {bits}\n") };
        let config = Config::parse(&format!(
            "{}\n[network]\n{}\n[accumulator]\nmethod = '{method}'\n{width}ep_init = '{ep_init}'\n{}\n\
             [training]\nlearning_rate = {rate}\nfloat_epochs = {float_epochs}\nepochs = {epochs}\nseed = {seed}\n",
            self.network.layers, self.network.types, self.accumulator
        ))?;
        let start = Instant::now();
        let graph = Graph::new(&config, training.size(), training.classes())?;
        let mut state = State::new(&graph, seed);
        // The float network is the same for all methods.
        let float = folder.join(format!("float-{seed}-{float_epochs}.safetensors"));
        let key = format!("float {seed}");
        checkpoint::load(&float, &mut state, &key)?;
        train(&config, &graph, &mut state, training, |state, epoch| match epoch.quantized {
            false if epoch.epoch == epoch.epochs => checkpoint::save(&float, state, &key),
            _ => Ok(()),
        })?;
        let trained = Trained::of(&graph, &state);
        let imported = trained.network(None)?;
        let certificate = Certificate::of(&imported.network).map_err(|e| TrainError::Export(e.to_string()))?;
        let widths: Vec<u32> = certificate.layers.iter().map(|l| l.accumulator.exact).collect();
        let right = right(&trained, &imported, test)?;
        let percent = 100.0 * right as f64 / test.count() as f64;
        let write = |file: String, bytes: &[u8]| {
            let path = folder.join(file);
            std::fs::write(&path, bytes).map_err(|e| cannot(&path, &e))
        };
        write(format!("{name}.onnx"), &trained.onnx_bytes())?;
        let bytes = store::to_bytes_with(&imported.network, imported.first_quant.as_ref())
            .map_err(|e| TrainError::Export(e.to_string()))?;
        write(format!("{name}.safetensors"), &bytes)?;
        let zeros: Vec<String> = trained.sparsity().iter().map(|s| format!("{:.0}", 100.0 * s)).collect();
        let line = format!(
            "{method_name} {bits} {seed} {percent:.2} exact {widths:?} zeros {} % {:.0} s",
            zeros.join("/"),
            start.elapsed().as_secs_f64()
        );
        Ok((line, percent))
    }
}

/// How many test samples are right in integers: those of golden, each with the class that training gives it.
fn right(trained: &Trained, imported: &Imported, test: &Samples) -> Result<usize, TrainError> {
    let fault = |reason: String| TrainError::Export(reason);
    let first = imported.first_quant.as_ref().ok_or_else(|| fault("no first quantizer".into()))?;
    let outputs = golden::run(&imported.network, codes(first, test).view()).map_err(|e| fault(e.to_string()))?;
    let grid = imported.network.label_grid.as_ref().map_err(|reason| fault(reason.clone()))?;
    let labels = golden::label(outputs.view(), grid);
    if let Some(i) = labels.iter().zip(trained.classes(test)).position(|(a, b)| *a != b) {
        return Err(fault(format!("test sample {i} has another class in integers than in training")));
    }
    Ok(labels.iter().zip(test.labels()).filter(|(a, b)| a == b).count())
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| flate2::read::GzDecoder::new(f).read_to_end(&mut bytes));
    if let Err(e) = read {
        eprintln!("{}: {e}", path.display());
    }
    bytes
}

fn pixels(mnist: &Path, set: &str) -> Vec<f32> {
    let bytes = unpacked(&mnist.join(format!("{set}-images-idx3-ubyte.gz")));
    bytes.iter().skip(16).map(|&b| f32::from(b) / 255.0).collect()
}

fn labels(mnist: &Path, set: &str) -> Vec<usize> {
    unpacked(&mnist.join(format!("{set}-labels-idx1-ubyte.gz"))).iter().skip(8).map(|&b| b.into()).collect()
}
