//! Files of the zoo, and how the networks are folded.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use generator::dataflow::{Dataflow, Output};
use generator::folding::{FoldingRequest, LayerFolding};
use generator::lower::{LowerOptions, lower};
use ndarray::Array2;
use quantizer::import::{ImportOptions, Imported, import};
use quantizer::network::Network;
use quantizer::rational::Rational;

/// A file of the zoo, or a loud note that the test was skipped.
pub fn zoo(path: &str) -> Option<PathBuf> {
    let Some(zoo) = std::env::var_os("SNUG_ZOO") else {
        eprintln!("SKIPPED: no test on {path}: set SNUG_ZOO to the folder that holds models/ and data/");
        return None;
    };
    Some(PathBuf::from(zoo).join(path))
}

/// A network of the zoo.
pub fn model(name: &str, input_type: Option<&str>) -> Option<Imported> {
    let path = zoo(&format!("models/{name}"))?;
    let options = ImportOptions { input_type: input_type.map(|t| t.parse().unwrap()), ..Default::default() };
    Some(import(&path, &options).unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// Elements of a gzipped IDX file of bytes, and its dimensions.
fn idx(path: &Path) -> (Vec<u8>, Vec<usize>) {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes[..3], [0, 0, 8], "{} does not hold bytes", path.display());
    let header = 4 + 4 * usize::from(bytes[3]);
    let dimensions = bytes[4..header].chunks(4).map(|d| u32::from_be_bytes(d.try_into().unwrap()) as usize).collect();
    (bytes.split_off(header), dimensions)
}

/// MNIST's 10,000 test images as codes on the pins of `network` (pixel p means p/255), and their labels.
pub fn mnist(network: &Imported) -> Option<(Array2<i64>, Vec<usize>)> {
    let (pixels, dimensions) = idx(&zoo("data/mnist/t10k-images-idx3-ubyte.gz")?);
    let (labels, _) = idx(&zoo("data/mnist/t10k-labels-idx1-ubyte.gz")?);
    assert_eq!((&dimensions[..], labels.len()), (&[10_000, 28, 28][..], 10_000));
    // Pins that carry bytes take the pixels as they are.
    let code = |p: i64| network.first_quant.as_ref().map_or(p, |q| q.code(&Rational::new(p.into(), 255.into()), 0));
    let table: Vec<i64> = (0..256).map(code).collect();
    let codes = pixels.iter().map(|&p| table[usize::from(p)]).collect();
    Some((Array2::from_shape_vec((10_000, 784), codes).unwrap(), labels.into_iter().map(usize::from).collect()))
}

/// Lowers with PE and SIMD given layer by layer, logits out.
pub fn folded(network: &Network, foldings: &[(usize, usize)]) -> Dataflow {
    let names = network.dense_layers().map(|(layer, _)| layer.name.clone());
    let layers: BTreeMap<_, _> = names.zip(foldings.iter().map(|&(pe, simd)| LayerFolding { pe, simd })).collect();
    assert_eq!(layers.len(), foldings.len());
    let folding = FoldingRequest::Layers(layers);
    lower(network, &LowerOptions { folding, top: None, output: Output::Logits }).unwrap()
}

/// FINN's own folding of the TFC networks.
pub const TFC: [(usize, usize); 4] = [(16, 49), (8, 8), (8, 8), (10, 8)];
