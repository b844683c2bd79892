//! One side of `make bench-train-speed`: trains 784-64-64-64-10 (4-bit weights, activations, input; batches of 256) on random pixels and prints the wall and the CPU
//! seconds of every epoch, each when a line on the standard input asks for it. The first epoch is warm-up. Arguments: method, bits, steps an epoch.

use std::io::{BufRead, Write};
use std::time::Instant;

use trainer::TrainError;
use trainer::config::Config;
use trainer::graph::Graph;
use trainer::run::{Samples, train};
use trainer::state::State;

const BATCH: usize = 256;

fn main() -> Result<(), TrainError> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [method, bits, steps] = &arguments[..] else {
        eprintln!("this is half of a comparison: make bench-train-speed");
        return Ok(());
    };
    let bits = if method == "unconstrained" { String::new() } else { format!("bits = {bits}\n") };
    let config = Config::parse(&format!(
        "[network]\nhidden = [64, 64, 64]\nweight_bits = 4\nactivation_bits = 4\ninput_bits = 4\n[accumulator]\nmethod = '{method}'\n{bits}\
         [training]\nfloat_epochs = 0\nepochs = 100000\nbatch = {BATCH}\nlearning_rate = 0.001\n"
    ))?;
    let steps: usize = steps.parse().map_err(|e| TrainError::Data(format!("steps '{steps}': {e}")))?;
    let mut random = fastrand::Rng::with_seed(0);
    let values = (0..steps * BATCH * 784).map(|_| f32::from(random.u8(..)) / 255.0).collect();
    let labels = (0..steps * BATCH).map(|i| i % 10).collect();
    let samples = Samples::new(values, 784, labels)?;
    let graph = Graph::new(&config, 784, 10)?;
    let mut state = State::new(&graph, 0);
    let mut lines = std::io::stdin().lock().lines();
    let mut began = (Instant::now(), cpu_seconds());
    let ended = train(&config, &graph, &mut state, &samples, |_, _| {
        println!("{} {}", began.0.elapsed().as_secs_f64(), cpu_seconds() - began.1);
        // Whoever has closed the pipe wants no more.
        if std::io::stdout().flush().is_err() || !matches!(lines.next(), Some(Ok(_))) {
            return Err(TrainError::Data(String::new()));
        }
        began = (Instant::now(), cpu_seconds());
        Ok(())
    });
    match ended {
        Err(TrainError::Data(reason)) if reason.is_empty() => Ok(()),
        other => other,
    }
}

/// User and system time of all threads so far, from Linux' clock of 100 ticks a second; 0 elsewhere.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields after the name, which stands in brackets: utime and stime are the 12th and the 13th.
    let ticks = stat.rsplit(')').next().unwrap_or("").split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}
