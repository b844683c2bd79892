//! Every method on a small problem: from floats to integers that keep to their width, come back from their export, and classify alike.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quantizer::certificate::Certificate;
use sim::golden;
use trainer::TrainError;
use trainer::checkpoint;
use trainer::config::Config;
use trainer::graph::Graph;
use trainer::run::train;
use trainer::samples::Samples;
use trainer::state::State;
use trainer::trained::{Trained, codes};

const SIZE: usize = 12;

/// Three overlapping blobs.
fn blobs(seed: u64, count: usize) -> Samples {
    let mut random = fastrand::Rng::with_seed(seed);
    let labels: Vec<usize> = (0..count).map(|i| i % 3).collect();
    let mut values = Vec::new();
    for &class in &labels {
        for d in 0..SIZE {
            let centre = if d % 3 == class { 0.7 } else { 0.3 };
            values.push((centre + 0.8 * (random.f32() - 0.5)).clamp(0.0, 1.0));
        }
    }
    Samples::new(values, SIZE, labels).unwrap()
}

fn config(method: &str, bits: Option<u32>, epochs: usize) -> Config {
    let bits = bits.map_or_else(String::new, |b| format!("bits = {b}\n"));
    Config::parse(&format!(
        "[network]\nhidden = [16, 12]\nweight_bits = 4\nactivation_bits = 3\ninput_bits = 4\n\
         [accumulator]\nmethod = '{method}'\n{bits}\
         [training]\nfloat_epochs = 4\nepochs = {epochs}\nbatch = 32\nlearning_rate = 0.01\nseed = 7\n"
    ))
    .unwrap()
}

fn start(config: &Config) -> (Graph, State) {
    let graph = Graph::new(config, SIZE, 3).unwrap();
    let state = State::new(&graph, config.training.seed);
    (graph, state)
}

#[test]
fn every_method_keeps_to_its_width_and_equals_the_integer_model() {
    let (training, test) = (blobs(1, 600), blobs(2, 300));
    for (method, bits) in [
        ("unconstrained", None),
        ("a2q", Some(10)),
        ("a2q+", Some(9)),
        ("sign-split", Some(8)),
        ("sign-split", Some(7)),
    ] {
        let config = config(method, bits, 6);
        let (graph, mut state) = start(&config);
        train(&config, &graph, &mut state, &training, |_, _| Ok(())).unwrap();
        let trained = Trained::of(&graph, &state);
        let imported = trained.network(None).unwrap();
        for layer in &Certificate::of(&imported.network).unwrap().layers {
            let exact = layer.accumulator.exact;
            assert!(exact <= bits.unwrap_or(64), "{method}: {exact} bits where {bits:?} were asked for");
        }
        let codes = codes(imported.first_quant.as_ref().unwrap(), &test);
        let outputs = golden::run(&imported.network, codes.view()).unwrap();
        let labels = golden::label(outputs.view(), imported.network.label_grid.as_ref().unwrap());
        assert_eq!(labels, trained.classes(&test), "{method} at {bits:?}");
        let right = trained.right(&test);
        assert!(right >= 270, "{method} at {bits:?}: {right} of 300 right");
    }
}

#[test]
fn a_killed_training_goes_on_bit_for_bit() {
    let samples = blobs(3, 200);
    let config = config("sign-split", Some(8), 3);
    let (graph, mut whole) = start(&config);
    let key = checkpoint::key(&config, &whole, &samples);
    train(&config, &graph, &mut whole, &samples, |_, _| Ok(())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for last in 1..=6 {
        let path = folder.path().join(format!("{last}.safetensors"));
        let (_, mut killed) = start(&config);
        let mut epochs = 0;
        let stopped = train(&config, &graph, &mut killed, &samples, |state, _| {
            checkpoint::save(&path, state, &key)?;
            epochs += 1;
            if epochs == last { Err(TrainError::Data("killed".into())) } else { Ok(()) }
        });
        assert!(stopped.is_err());
        let (_, mut resumed) = start(&config);
        assert!(checkpoint::load(&path, &mut resumed, &key).unwrap());
        assert_eq!(resumed.epochs.iter().sum::<usize>(), last);
        train(&config, &graph, &mut resumed, &samples, |_, _| Ok(())).unwrap();
        assert!(resumed == whole, "killed after epoch {last}, another network");
    }
}

#[test]
fn a_checkpoint_of_another_training_is_not_continued() {
    let samples = blobs(3, 60);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let (one, other) = (config("sign-split", Some(8), 3), config("sign-split", Some(9), 3));
    let (_, mut state) = start(&one);
    checkpoint::save(&path, &state, &checkpoint::key(&one, &state, &samples)).unwrap();
    let key = checkpoint::key(&other, &state, &samples);
    assert!(!checkpoint::load(&path, &mut state, &key).unwrap());
    std::fs::write(&path, b"damaged").unwrap();
    let error = checkpoint::load(&path, &mut state, "key").unwrap_err().to_string();
    assert!(error.contains("checkpoint.safetensors"), "{error}");
}
