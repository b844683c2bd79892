//! Accuracy against accumulator width on MNIST: 784-64-64-64-10, 4-bit weights, activations and input, Adam, batches of 256, all methods from the same float
//! network. `SNUG_ZOO=FOLDER make bench-mnist` prints a line for each network as it is done, and the table at the end.
//!
//! `SNUG_BITS=9,8`, `SNUG_METHODS=sign-split`, `SNUG_SEEDS=3` and `SNUG_EPOCHS=20` choose; what is done is kept in `target/mnist`, and not done again.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use quantizer::certificate::Certificate;
use trainer::TrainError;
use trainer::checkpoint;
use trainer::config::Config;
use trainer::run::{Samples, train};
use trainer::state::State;
use trainer::trained::Trained;

/// Name, method, EP-init and learning rate.
const METHODS: [(&str, &str, &str, f64); 8] = [
    ("unconstrained", "unconstrained", "none", 1e-3),
    ("a2q", "a2q", "none", 1e-3),
    ("a2q-ep", "a2q", "paper", 1e-3),
    ("a2q+", "a2q+", "none", 1e-3),
    ("a2q+-ep", "a2q+", "paper", 1e-3),
    ("a2q+-ep-centred", "a2q+", "centred", 1e-3),
    ("sign-split", "sign-split", "none", 1e-3),
    ("sign-split-4e-3", "sign-split", "none", 4e-3),
];

fn main() -> Result<(), TrainError> {
    let Some(zoo) = std::env::var_os("SNUG_ZOO").map(PathBuf::from) else {
        eprintln!("SKIPPED: set SNUG_ZOO to the folder that holds data/mnist");
        return Ok(());
    };
    let list = |name: &str, default: &str| -> Vec<String> {
        let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
        text.split(',').map(|s| s.trim().to_owned()).collect()
    };
    let number = |name: &str, default: u64| list(name, "")[0].parse().unwrap_or(default);
    let (seeds, epochs) = (number("SNUG_SEEDS", 3), number("SNUG_EPOCHS", 8));
    let mnist = zoo.join("data/mnist");
    let samples = |set: &str| Samples::new(pixels(&mnist, set), 784, labels(&mnist, set));
    let (training, test) = (samples("train")?, samples("t10k")?);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/mnist");
    let cannot = |e: std::io::Error| TrainError::Data(format!("{}: {e}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(cannot)?;
    let all: Vec<String> = METHODS.iter().map(|m| m.0.to_owned()).collect();
    let methods = list("SNUG_METHODS", &all.join(","));
    let bits = list("SNUG_BITS", "14,13,12,11,10,9,8,7");
    for bits in bits.iter().map(|b| b.parse::<u32>().unwrap_or(16)) {
        for &(name, method, ep_init, rate) in METHODS.iter().filter(|m| methods.iter().any(|name| name == m.0)) {
            let mut figures = Vec::new();
            for seed in 0..seeds {
                // Without a constraint the width is no matter.
                let width = if method == "unconstrained" { 0 } else { bits };
                let done = folder.join(format!("{name}-{width}-{seed}-{epochs}.txt"));
                if let Ok(line) = std::fs::read_to_string(&done) {
                    println!("{}", line.trim_end());
                    figures.extend(line.split_whitespace().nth(3).and_then(|f| f.parse::<f64>().ok()));
                    continue;
                }
                let width = if method == "unconstrained" { String::new() } else { format!("bits = {bits}\n") };
                let config = Config::parse(&format!(
                    "[network]\nhidden = [64, 64, 64]\nweight_bits = 4\nactivation_bits = 4\ninput_bits = 4\n\
                     [accumulator]\nmethod = '{method}'\n{width}ep_init = '{ep_init}'\n\
                     [training]\nlearning_rate = {rate}\nepochs = {epochs}\nseed = {seed}\n"
                ))?;
                let start = Instant::now();
                let mut state = State::new(&config.widths(784, 10), seed);
                // The float network is the same for all methods.
                let float = folder.join(format!("float-{seed}.safetensors"));
                let key = format!("float {seed}");
                checkpoint::load(&float, &mut state, &key)?;
                train(&config, &mut state, &training, |state, epoch| match epoch.quantized {
                    false if epoch.epoch == epoch.epochs => checkpoint::save(&float, state, &key),
                    _ => Ok(()),
                })?;
                let trained = Trained::of(&config, &state);
                let network = trained.network(None)?.network;
                let widths = Certificate::of(&network).map_err(|e| TrainError::Export(e.to_string()))?;
                let widths: Vec<u32> = widths.layers.iter().map(|l| l.accumulator.exact).collect();
                let percent = trained.right(&test) as f64 / 100.0;
                let zeros: Vec<String> = trained.sparsity().iter().map(|s| format!("{:.0}", 100.0 * s)).collect();
                let line = format!(
                    "{name} {bits} {seed} {percent:.2} exact {widths:?} zeros {} % {:.0} s",
                    zeros.join("/"),
                    start.elapsed().as_secs_f64()
                );
                println!("{line}");
                std::fs::write(&done, &line).map_err(cannot)?;
                figures.push(percent);
            }
            let mean = figures.iter().sum::<f64>() / figures.len().max(1) as f64;
            let spread = figures.iter().fold(0f64, |m, f| m.max((f - mean).abs()));
            println!("| {bits} | {name} | {mean:.2} | +-{spread:.2} |");
        }
    }
    Ok(())
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
