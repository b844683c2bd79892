//! Networks on images: every layer there is, from training to integers that come back from their export and give the same results, sample by sample.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quantizer::certificate::Certificate;
use quantizer::network::Op;
use sim::golden;
use trainer::TrainError;
use trainer::checkpoint;
use trainer::config::Config;
use trainer::graph::Graph;
use trainer::run::train;
use trainer::samples::Samples;
use trainer::state::State;
use trainer::trained::{Trained, codes};

/// Images of 2 x 6 x 6 with a bright row, column or corner.
fn shapes(seed: u64, count: usize) -> Samples {
    let mut random = fastrand::Rng::with_seed(seed);
    let labels: Vec<usize> = (0..count).map(|i| i % 3).collect();
    let mut values = Vec::new();
    for &class in &labels {
        let at = random.usize(1..5);
        for channel in 0..2 {
            for y in 0..6 {
                for x in 0..6 {
                    let lit = match class {
                        0 => y == at,
                        1 => x == at,
                        _ => y == x,
                    };
                    let level = if lit && channel == 0 { 0.7 } else { 0.2 };
                    values.push((level + 0.3 * random.f32()).clamp(0.0, 1.0));
                }
            }
        }
    }
    Samples::new(values, 72, labels).unwrap()
}

const HEAD: &str = "[network]\ninput = [2, 6, 6]\nweight_bits = 4\nactivation_bits = 4\ninput_bits = 4\n";

/// A stem, a residual block with a shortcut of its own, groups, strides, both poolings.
const RESIDUAL: &str = "
[[layers]]
type = 'conv'
name = 'stem'
outputs = 8
kernel = 3
padding = 1
[[layers]]
type = 'batch_norm'
[[layers]]
type = 'relu'
name = 'first'
[[layers]]
type = 'max_pool'
name = 'pooled'
kernel = [2, 1]
[[layers]]
type = 'conv'
outputs = 8
kernel = [1, 3]
padding = [0, 1]
groups = 4
[[layers]]
type = 'batch_norm'
[[layers]]
type = 'identity'
name = 'branch'
bits = 5
[[layers]]
type = 'conv'
name = 'shortcut'
from = 'pooled'
outputs = 8
kernel = 1
[[layers]]
type = 'identity'
name = 'other'
[[layers]]
type = 'add'
with = 'branch'
[[layers]]
type = 'add'
with = 'pooled'
[[layers]]
type = 'relu'
[[layers]]
type = 'conv'
name = 'down'
outputs = 12
kernel = 3
stride = [1, 2]
accumulator = 11
[[layers]]
type = 'batch_norm'
[[layers]]
type = 'relu'
[[layers]]
type = 'average_pool'
[[layers]]
type = 'relu'
bits = 6
[[layers]]
type = 'dense'
name = 'classes'
outputs = 3
weight_bits = 6
accumulator = 'none'
";

fn config(layers: &str, method: &str, bits: u32, training: &str) -> Config {
    let accumulator = match method {
        "unconstrained" => format!("[accumulator]\nmethod = '{method}'\n"),
        _ => format!("[accumulator]\nmethod = '{method}'\nbits = {bits}\n"),
    };
    Config::parse(&format!("{HEAD}{accumulator}[training]\nbatch = 32\nlearning_rate = 0.01\n{training}\n{layers}"))
        .unwrap()
}

/// Trains, and holds the integers that come back from the export against what training says.
fn check(config: &Config, training: &Samples, test: &Samples) -> (Graph, State, Trained) {
    let graph = Graph::new(config, training.size(), training.classes()).unwrap();
    let mut state = State::new(&graph, config.training.seed);
    train(config, &graph, &mut state, training, |_, _| Ok(())).unwrap();
    let trained = Trained::of(&graph, &state);
    let imported = trained.network(None).unwrap();
    let certificate = Certificate::of(&imported.network).unwrap();
    let names: Vec<&str> = certificate.layers.iter().map(|l| l.name.as_str()).collect();
    for ((id, matrix), layer) in graph.matrices().zip(&certificate.layers) {
        let exact = layer.accumulator.exact;
        let most = matrix.accumulator.unwrap_or(64);
        assert!(exact <= most, "{}: {exact} bits where {most} were asked for", graph.nodes[id].name);
        assert_eq!(layer.name, graph.nodes[id].name, "{names:?}");
    }
    let codes = codes(imported.first_quant.as_ref().unwrap(), test);
    let outputs = golden::run(&imported.network, codes.view()).unwrap();
    let scales = imported.network.tensor(imported.network.output).scale.clone().unwrap();
    let places = outputs.ncols() / graph.nodes.last().unwrap().shape[0];
    for (i, row) in outputs.rows().into_iter().enumerate() {
        for (j, (&code, real)) in row.iter().zip(trained.outputs(test.row(i))).enumerate() {
            let scale = if scales.len() == 1 { &scales[0] } else { &scales[j / places] };
            let integer = scale.factor * code as f64 + scale.offset;
            assert!((integer - real).abs() <= 1e-9 * (1.0 + real.abs()), "sample {i}, output {j}: {integer}, {real}");
        }
    }
    (graph, state, trained)
}

#[test]
fn a_residual_network_equals_the_integer_model() {
    let (training, test) = (shapes(1, 300), shapes(2, 90));
    for (method, bits) in [("sign-split", 10), ("a2q+", 12), ("a2q", 14), ("unconstrained", 0)] {
        let config = config(RESIDUAL, method, bits, "float_epochs = 6\nepochs = 6");
        let (_, _, trained) = check(&config, &training, &test);
        let right = trained.right(&test);
        assert!(right >= 75, "{method} at {bits}: {right} of 90 right");
    }
}

/// Super-resolution: the target is the image, twice as large, blurred.
#[test]
fn a_sub_pixel_network_learns_by_squared_errors() {
    let make = |seed: u64, count: usize| {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut values, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let image: Vec<f32> = (0..16).map(|_| random.f32()).collect();
            for y in 0..8 {
                for x in 0..8 {
                    targets.push(image[y / 2 * 4 + x / 2]);
                }
            }
            values.extend(image);
        }
        Samples::with_targets(values, 16, targets, 64).unwrap()
    };
    let config = Config::parse(
        "[network]\ninput = [1, 4, 4]\nweight_bits = 6\nactivation_bits = 6\ninput_bits = 6\n\
         [accumulator]\nmethod = 'sign-split'\nbits = 14\nkeep = ['last']\n\
         [training]\nloss = 'mse'\noptimizer = 'sgd'\nmomentum = 0.9\nlearning_rate = 0.1\nfloat_learning_rate = 0.1\n\
         schedule = 'step'\nstep_at = [0.5, 0.8]\nstep_factor = 0.3\nbatch = 16\nfloat_epochs = 20\nepochs = 10\n\
         [[layers]]\ntype = 'conv'\noutputs = 8\nkernel = 3\npadding = 1\n\
         [[layers]]\ntype = 'relu'\n\
         [[layers]]\ntype = 'conv'\noutputs = 4\nkernel = 1\n\
         [[layers]]\ntype = 'relu'\nbits = 6\n\
         [[layers]]\ntype = 'depth_to_space'\nblock = 2\n",
    )
    .unwrap();
    let (training, test) = (make(1, 400), make(2, 50));
    let (_, _, trained) = check(&config, &training, &test);
    let error = trained.error(&test);
    assert!(error < 0.01, "mean squared error {error}, of a variance of 0.083");
    let network = trained.network(None).unwrap().network;
    assert!(network.layers.iter().any(|l| matches!(l.op, Op::DepthToSpace(_))));
}

#[test]
fn a_killed_training_of_images_goes_on_bit_for_bit() {
    let samples = shapes(3, 90);
    let config = config(RESIDUAL, "sign-split", 10, "float_epochs = 2\nepochs = 2\nseed = 5");
    let graph = Graph::new(&config, 72, 3).unwrap();
    let start = State::new(&graph, 5);
    let key = checkpoint::key(&config, &start, &samples);
    let mut whole = start.clone();
    train(&config, &graph, &mut whole, &samples, |_, _| Ok(())).unwrap();
    assert!(whole.running.iter().all(|r| r.mean.iter().any(|&m| m != 0.0)), "batch norms remember");
    let folder = tempfile::tempdir().unwrap();
    for last in 1..=4 {
        let path = folder.path().join(format!("{last}.safetensors"));
        let mut epochs = 0;
        let stopped = train(&config, &graph, &mut start.clone(), &samples, |state, _| {
            checkpoint::save(&path, state, &key)?;
            epochs += 1;
            if epochs == last { Err(TrainError::Data("killed".into())) } else { Ok(()) }
        });
        assert!(stopped.is_err());
        let mut resumed = start.clone();
        assert!(checkpoint::load(&path, &mut resumed, &key).unwrap());
        train(&config, &graph, &mut resumed, &samples, |_, _| Ok(())).unwrap();
        assert!(resumed == whole, "killed after epoch {last}, another network");
    }
}

#[test]
fn bits_of_activations_are_searched_for_and_survive_a_kill() {
    let samples = shapes(4, 150);
    let layers = "[search]\nactivation_bits = [1, 2, 4, 8]\nepochs = 1\nhold_out = 0.3\n\
                  [[layers]]\ntype = 'conv'\noutputs = 6\nkernel = 3\n\
                  [[layers]]\ntype = 'batch_norm'\n[[layers]]\ntype = 'relu'\n\
                  [[layers]]\ntype = 'dense'\noutputs = 3\n";
    let config = config(layers, "sign-split", 6, "float_epochs = 2\nepochs = 2");
    let graph = Graph::new(&config, 72, 3).unwrap();
    let start = State::new(&graph, 0);
    let key = checkpoint::key(&config, &start, &samples);
    let mut whole = start.clone();
    train(&config, &graph, &mut whole, &samples, |_, _| Ok(())).unwrap();
    // A dense layer of 6 bits has no room for a weight behind codes of 8.
    assert!(whole.searched && whole.bits.len() == 1 && whole.bits[0] < 8, "{:?}", whole.bits);
    let network = Trained::of(&graph, &whole).network(None).unwrap().network;
    let relu = network.layers.iter().find(|l| matches!(l.op, Op::Threshold(_))).unwrap();
    assert_eq!(network.tensor(relu.output).datatype.bits, whole.bits[0]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut epochs = 0;
    let stopped = train(&config, &graph, &mut start.clone(), &samples, |state, _| {
        checkpoint::save(&path, state, &key)?;
        epochs += 1;
        if epochs == 3 { Err(TrainError::Data("killed".into())) } else { Ok(()) }
    });
    assert!(stopped.is_err());
    let mut resumed = start.clone();
    assert!(checkpoint::load(&path, &mut resumed, &key).unwrap());
    assert_eq!(resumed.bits, whole.bits);
    train(&config, &graph, &mut resumed, &samples, |_, _| Ok(())).unwrap();
    assert!(resumed == whole);
}
