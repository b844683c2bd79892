//! Random networks for tests, here and in the crates that build on this one. Not part of the interface.
//!
//! The same seed gives the same network on every machine and in every version of the dependencies.

mod conv;
mod reference;
mod resnet;

use ndarray::Array2;

use crate::datatype::{DataType, Range};
use crate::network::{Dense, LabelGrid, Layer, Network, Op, Scale, Source, Steps, Tensor, TensorId, Threshold};
use crate::reach::{elements, output_ranges, output_type};
use crate::shape::output_shape;

pub use conv::{conv_network, conv_network_without_tables, grouped_network};
pub use reference::{assert_promises, evaluate, evaluate_with};
pub use resnet::resnet18;

/// A small generator of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer in `lo ..= hi`.
    pub fn within(&mut self, lo: i64, hi: i64) -> i64 {
        let span = (i128::from(hi) - i128::from(lo) + 1).max(1);
        let offset = i128::from(self.bits()).rem_euclid(span);
        (i128::from(lo) + offset) as i64
    }

    /// A size in `lo ..= hi`.
    pub fn size(&mut self, lo: usize, hi: usize) -> usize {
        self.within(lo as i64, hi as i64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.bits().is_multiple_of(n)
    }

    /// A code of `t`.
    pub fn code(&mut self, t: DataType) -> i64 {
        let Range { lo, hi } = t.range();
        if t == DataType::BIPOLAR { if self.one_in(2) { lo } else { hi } } else { self.within(lo, hi) }
    }

    /// A datatype of at most `max_bits` bits: unsigned, signed, narrow or not, bipolar.
    pub fn datatype(&mut self, max_bits: u32) -> DataType {
        let bits = self.within(1, i64::from(max_bits.max(2))) as u32;
        match self.size(0, 6) {
            0 => DataType::BIPOLAR,
            1 | 2 => DataType { narrow: bits > 1 && self.one_in(3), ..DataType::unsigned(bits) },
            _ => DataType { narrow: self.one_in(2), ..DataType::signed(bits.max(2)) },
        }
    }
}

/// How large random networks get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Dense layers, 1 to this many.
    pub layers: usize,
    /// Widest layer.
    pub width: usize,
    /// Widest activation and weight, in bits.
    pub bits: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { layers: 4, width: 12, bits: 5 }
    }
}

/// A random multi-layer perceptron, valid in the sense of [`Network::validate`].
///
/// It has Dense layers with Thresholds between them, and by chance: an input of three dimensions with a Flatten, an input map (a
/// Threshold named `input`), a Threshold at the end, scales, a label grid; falling, repeated and shared steps; dead
/// channels, zero weights; unsigned, signed, narrow and bipolar types for activations and weights.
pub fn network(seed: u64, limits: Limits) -> Network {
    let random = &mut Random::new(seed);
    let mut network = start(seed, random, limits);
    if random.one_in(3) {
        let datatype = random.datatype(limits.bits);
        push_threshold(&mut network, random, "input", datatype);
    }
    if network.tensor(network.output).shape.len() > 1 {
        push(&mut network, "flatten", Op::Flatten, None);
    }
    let layers = random.size(1, limits.layers.max(1));
    let ends_in_codes = random.one_in(4);
    for i in 0..layers {
        let name = format!("features.{i}");
        let rows = random.size(1, limits.width.max(1));
        push_dense(&mut network, random, &name, rows, limits);
        if i + 1 < layers || ends_in_codes {
            let datatype = random.datatype(limits.bits);
            push_threshold(&mut network, random, &name, datatype);
        }
    }
    finish(&mut network, random);
    network
}

/// A multi-layer perceptron of the given widths (`[inputs, outputs of layer 1, ...]`, at least two): Dense layers of `weights` with
/// Thresholds to `activations` between them, from an input of type `input` to accumulators.
pub fn mlp(seed: u64, widths: &[usize], input: DataType, weights: DataType, activations: DataType) -> Network {
    sparse_mlp(seed, widths, [input, weights, activations], 0)
}

/// The same for the types `[input, weights, activations]`, with about `zeros` of 16 weights zero.
pub fn sparse_mlp(seed: u64, widths: &[usize], types: [DataType; 3], zeros: usize) -> Network {
    let [input, weights, activations] = types;
    let random = &mut Random::new(seed);
    let mut network = bare(seed, vec![widths.first().copied().unwrap_or(1)], input);
    let last = widths.len().saturating_sub(2);
    for (i, &rows) in widths.iter().skip(1).enumerate() {
        let name = format!("features.{i}");
        let columns = elements_of(&network, network.output);
        let mut weight = || if zeros > 0 && random.size(0, 15) < zeros { 0 } else { random.code(weights) };
        let weights = Dense { weights: Array2::from_shape_fn((rows, columns), |_| weight()), weight_type: weights };
        push(&mut network, &name, Op::Dense(weights), None);
        if i < last {
            push_threshold(&mut network, random, &name, activations);
        }
    }
    finish(&mut network, random);
    network
}

/// Random codes for the network's input, `[samples, elements]`. The first samples hold one extreme code everywhere.
pub fn inputs(network: &Network, seed: u64, samples: usize) -> Array2<i64> {
    let random = &mut Random::new(seed);
    let input = network.tensor(network.input);
    let Range { lo, hi } = input.datatype.range();
    Array2::from_shape_fn((samples, elements_of(network, network.input)), |(sample, _)| match sample {
        0 => hi,
        1 => lo,
        _ => random.code(input.datatype),
    })
}

fn start(seed: u64, random: &mut Random, limits: Limits) -> Network {
    let shape = if random.one_in(4) {
        vec![random.size(1, 3), random.size(1, 2), random.size(1, 3)]
    } else {
        vec![random.size(1, limits.width.max(1))]
    };
    let datatype = random.datatype(limits.bits);
    bare(seed, shape, datatype)
}

fn bare(seed: u64, shape: Vec<usize>, datatype: DataType) -> Network {
    let ranges = vec![datatype.range(); shape.first().copied().unwrap_or(0)];
    let scale = Some(vec![Scale { factor: 0.1, offset: 0.0 }]);
    let input_shape = [&[1], &shape[..]].concat();
    Network {
        name: format!("random_{seed}"),
        source: Source { file: format!("random_{seed}.onnx"), sha256: format!("{seed:064x}") },
        tensors: vec![Tensor { name: "input".into(), shape, datatype, ranges, scale }],
        layers: Vec::new(),
        input: TensorId(0),
        input_shape,
        input_channels_last: false,
        output_channels_last: false,
        output: TensorId(0),
        output_name: "output".into(),
        output_shape: Vec::new(),
        label_grid: Err("no grid was made".into()),
        notes: vec!["Made by chance.".into()],
    }
}

fn finish(network: &mut Network, random: &mut Random) {
    let outputs = elements_of(network, network.output);
    network.output_shape = vec![1, outputs];
    let factor = |random: &mut Random| random.within(1, 1000) as f64 / 997.0;
    let channels = network.tensor(network.output).ranges.len();
    let scales = (0..if random.one_in(2) { 1 } else { channels })
        .map(|_| Scale { factor: factor(random), offset: factor(random) - 0.5 })
        .collect();
    let last = network.output;
    if let Some(tensor) = network.tensors.get_mut(last.0) {
        tensor.scale = Some(scales);
    }
    if !random.one_in(4) {
        let mut multiplier = Vec::new();
        for _ in 0..outputs {
            let m = random.within(1, 9);
            multiplier.push(if random.one_in(8) { -m } else { m });
        }
        let offset = (0..outputs).map(|_| random.within(-20, 20)).collect();
        network.label_grid = Ok(LabelGrid { multiplier, offset });
    }
}

fn push_dense(network: &mut Network, random: &mut Random, name: &str, rows: usize, limits: Limits) {
    let columns = elements_of(network, network.output);
    let weight_type = random.datatype(limits.bits);
    let sparse = random.one_in(2);
    let mut weights = Array2::from_shape_fn((rows, columns), |_| random.code(weight_type));
    if weight_type != DataType::BIPOLAR {
        for mut row in weights.rows_mut() {
            if random.one_in(8) {
                row.fill(0);
            } else if sparse {
                row.map_inplace(|w| {
                    if random.one_in(2) {
                        *w = 0
                    }
                });
            }
        }
    }
    push(network, name, Op::Dense(Dense { weights, weight_type }), None);
}

fn push_threshold(network: &mut Network, random: &mut Random, name: &str, codes: DataType) {
    let ranges = network.tensor(network.output).ranges.clone();
    let hull = ranges.iter().copied().reduce(Range::hull).unwrap_or(Range::ZERO);
    let channels = if random.one_in(5) {
        vec![random_steps(random, hull, codes)]
    } else {
        ranges.iter().map(|&range| random_steps(random, range, codes)).collect()
    };
    push(network, name, Op::Threshold(Threshold { channels }), Some(codes));
}

/// Steps over `reached`; most lie in its middle, where most accumulators do.
fn random_steps(random: &mut Random, reached: Range, codes: DataType) -> Steps {
    let Range { lo, hi } = codes.range();
    let falling = random.one_in(3);
    if random.one_in(8) || reached.constant().is_some() {
        return Steps { base: random.code(codes), steps: Vec::new(), falling };
    }
    let eighth = (reached.hi - reached.lo) / 8;
    let middle = reached.lo + (reached.hi - reached.lo) / 2;
    let step = |random: &mut Random| {
        let (a, b) = if random.one_in(4) { (reached.lo, reached.hi) } else { (middle - eighth, middle + eighth) };
        random.within(a, b).clamp(reached.lo + 1, reached.hi)
    };
    if codes == DataType::BIPOLAR {
        let t = step(random);
        return Steps { base: -1, steps: vec![t, t], falling };
    }
    // All codes most of the time, else some: the others are unreachable.
    let count = if random.one_in(3) { random.within(0, hi - lo) } else { hi - lo };
    let mut steps: Vec<i64> = (0..count).map(|_| step(random)).collect();
    steps.sort_unstable();
    Steps { base: random.within(lo, hi - count), steps, falling }
}

/// Appends a layer behind the present output; `codes` is the output's type for a Threshold.
fn push(network: &mut Network, name: &str, op: Op, codes: Option<DataType>) {
    network.output = push_behind(network, name, op, &[network.output], codes);
}

/// Appends a layer behind `inputs`, which go with it. Its output is the result.
fn push_behind(network: &mut Network, name: &str, op: Op, inputs: &[TensorId], codes: Option<DataType>) -> TensorId {
    let tensors: Vec<&Tensor> = inputs.iter().map(|&id| network.tensor(id)).collect();
    let shapes: Vec<&[usize]> = tensors.iter().map(|t| t.shape.as_slice()).collect();
    // Random networks are small: their accumulators are far from the limit, so there always are ranges.
    let ranges = output_ranges(&op, &tensors).unwrap_or_default();
    let shape = output_shape(&op, &shapes).unwrap_or_default();
    let datatype = output_type(&op, &tensors, &ranges).or(codes).unwrap_or(DataType::unsigned(1));
    let output = TensorId(network.tensors.len());
    let kind = match &op {
        Op::Flatten => "Flatten",
        Op::Dense(_) => "MatMul",
        Op::Threshold(_) => "Quant",
        Op::Conv(_) => "Conv",
        Op::MaxPool(_) => "MaxPool",
        Op::SumPool(_) => "AveragePool",
        Op::Add(_) => "Add",
        Op::Table(_) => "Quant",
        Op::Concat => "Concat",
        Op::Upsample(_) => "Resize",
        Op::DepthToSpace(_) => "DepthToSpace",
    };
    let node = format!("{kind}_{}", network.layers.len());
    network.tensors.push(Tensor { name: format!("{node}_out0"), shape, datatype, ranges, scale: None });
    network.layers.push(Layer { name: name.into(), node, op, inputs: inputs.to_vec(), output });
    output
}

fn elements_of(network: &Network, id: TensorId) -> usize {
    elements(&network.tensor(id).shape).unwrap_or(0)
}
