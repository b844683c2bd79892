//! The digits example: Brevitas' own logits, computed in float32, are what the integers mean.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use generator::lower::{LowerOptions, lower};
use ndarray::Array2;
use npyz::{Deserialize, NpyFile};
use quantizer::import::{ImportOptions, import};
use quantizer::rational::from_f64;
use sim::{cycle, golden};

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/digits").join(name)
}

fn npy<T: Deserialize>(name: &str) -> Vec<T> {
    let file = BufReader::new(File::open(example(name)).unwrap());
    NpyFile::new(file).unwrap().into_vec().unwrap()
}

#[test]
fn logits_are_those_of_brevitas() {
    let imported = import(&example("digits.onnx"), &ImportOptions::default()).unwrap();
    let network = &imported.network;
    let quant = imported.first_quant.as_ref().unwrap();
    let codes =
        npy::<f32>("test_inputs.npy").iter().map(|&v| quant.code(&from_f64(f64::from(v)).unwrap(), 0)).collect();
    let inputs = Array2::from_shape_vec((360, 64), codes).unwrap();

    let outputs = golden::run(network, inputs.view()).unwrap();
    let logits = golden::real(outputs.view(), network.tensor(network.output).scale.as_ref().unwrap());
    let expected = npy::<f32>("brevitas_logits.npy");
    assert_eq!(logits.len(), expected.len());
    let worst = logits.iter().zip(&expected).map(|(a, &b)| (a - f64::from(b)).abs()).fold(0.0, f64::max);
    let labels = npy::<i64>("test_labels.npy");
    let classes = golden::label(outputs.view(), network.label_grid.as_ref().unwrap());
    let right = classes.iter().zip(&labels).filter(|&(&c, &l)| c as i64 == l).count();
    eprintln!("digits: {right} of 360 right, logits within {worst:.1e} of Brevitas'");
    assert_eq!(right, 351);
    assert!(worst <= 1e-5, "{worst}");

    let dataflow = lower(network, &LowerOptions::default()).unwrap();
    let run = cycle::run(&dataflow, inputs.view(), &cycle::Options::default()).unwrap();
    assert_eq!(run.trapped, 0, "{}", run.traps[0]);
    assert_eq!(run.result, outputs);
}
