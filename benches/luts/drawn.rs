//! The designs that the estimate is calibrated on and judged by, drawn by their seeds. The list (`drawn.txt`: `cargo bench --bench
//! calibrate -- --list`) stood before anything was fitted to it.

use generator::accumulators::AccumulatorRule;
use generator::dataflow::{Dataflow, Kind, Module, Output, Pe};
use generator::folding::{FoldingRequest, LayerFolding, resolve};
use generator::lower::{LowerOptions, lower_with};
use generator::target::{Backend, retarget};
use quantizer::datatype::DataType;
use quantizer::network::Network;
use quantizer::testing::{Limits, Random, conv_network_without_tables, sparse_mlp};

/// Seeds of the list.
pub const SEEDS: std::ops::Range<u64> = 0..72;

/// A quarter of the list is not looked at while fitting.
pub const fn held_out(seed: u64) -> bool {
    seed % 4 == 3
}

/// A design.
pub struct Drawn {
    /// `drawn_<seed>`, also its top.
    pub name: String,
    /// What was drawn, in a few words.
    pub about: String,
    /// The hardware.
    pub dataflow: Dataflow,
}

/// The list as it was committed, a line a design.
const LIST: &str = include_str!("drawn.txt");

/// What the list says of a seed.
fn listed(seed: u64) -> &'static str {
    LIST.lines().find_map(|l| l.strip_prefix(&format!("drawn_{seed}: "))).expect("every seed is on the list")
}

/// The design of a seed: a perceptron with zeros among its weights, or a convolutional network with pools, additions and forks; any
/// folding, either back-end, whole layers unrolled now and then, accumulators by any rule.
///
/// Draws with fewer than 60 or more than 3,000 partial products are drawn again: too small says nothing, too large takes long. So are
/// draws that the list does not name: what can be built has changed since it was drawn. None where no draw is the one on the list.
pub fn drawn(seed: u64) -> Option<Drawn> {
    let random = &mut Random::new(seed.wrapping_mul(0x5851_f42d) + 41);
    let name = format!("drawn_{seed}");
    for _ in 0..64 {
        let backend = if random.one_in(2) { Backend::Xc7 } else { Backend::Generic };
        let rule = match random.size(0, 7) {
            0 => AccumulatorRule::DataType,
            1 => AccumulatorRule::Bits(24),
            _ => AccumulatorRule::Channel,
        };
        let (kind, network, folding) = if seed.is_multiple_of(3) { convolutions(random) } else { perceptron(random) };
        let output = if random.one_in(3) && network.label_grid.is_ok() { Output::Label } else { Output::Logits };
        let options = LowerOptions { folding, top: Some(name.clone()), output };
        let Ok(mut dataflow) = lower_with(&network, &options, rule) else { continue };
        if !(60..3000).contains(&partial_products(&dataflow)) {
            continue;
        }
        let about = format!("{kind}, {backend}, accumulators {rule}, {output:?}");
        if about == listed(seed) {
            retarget(&mut dataflow, backend);
            return Some(Drawn { name, about, dataflow });
        }
    }
    None
}

fn perceptron(random: &mut Random) -> (String, Network, FoldingRequest) {
    let narrow = |bits| DataType { narrow: true, ..DataType::signed(bits) };
    let sizes = [8, 12, 16, 24, 32, 48, 64];
    let mut size = |most: usize| sizes[random.size(0, most)];
    let widths = [size(6), size(5), size(3)];
    let input =
        [DataType::unsigned(2), DataType::unsigned(4), DataType::signed(3), DataType::BIPOLAR, DataType::unsigned(8)]
            [random.size(0, 4)];
    let weights =
        [narrow(2), narrow(3), narrow(4), DataType::BIPOLAR, DataType::signed(4), narrow(6)][random.size(0, 5)];
    let activations =
        [DataType::unsigned(1), DataType::unsigned(2), DataType::unsigned(3), DataType::unsigned(4), DataType::BIPOLAR]
            [random.size(0, 4)];
    let zeros = if weights == DataType::BIPOLAR { 0 } else { [0, 0, 6, 12][random.size(0, 3)] };
    let network = sparse_mlp(random.bits() % 10_000, &widths, [input, weights, activations], zeros);
    let unrolled = random.one_in(6);
    let divisor = |random: &mut Random, n: usize, most: usize| {
        let all: Vec<usize> = (1..=n.min(most)).filter(|d| n.is_multiple_of(*d)).collect();
        all[random.size(0, all.len() - 1)]
    };
    let layers = network
        .dense_layers()
        .map(|(l, d)| {
            let (rows, columns) = d.weights.dim();
            let folding = if unrolled {
                LayerFolding { pe: rows, simd: columns }
            } else {
                LayerFolding { pe: divisor(random, rows, 8), simd: divisor(random, columns, 32) }
            };
            (l.name.clone(), folding)
        })
        .collect();
    let zeros = zeros * 100 / 16;
    (
        format!("mlp {widths:?} {input} x {weights} ({zeros} % zeros) to {activations}"),
        network,
        FoldingRequest::Layers(layers),
    )
}

fn convolutions(random: &mut Random) -> (String, Network, FoldingRequest) {
    loop {
        let network = conv_network_without_tables(random.bits() % 10_000, Limits { layers: 4, width: 12, bits: 4 });
        let pixels: usize = network.tensor(network.input).shape.iter().product();
        let interval = (pixels as u64) << random.size(0, 5);
        let folding = FoldingRequest::Interval(interval);
        if resolve(&network, &folding).is_ok() {
            let kinds: Vec<String> = network.layers.iter().map(|l| l.name.clone()).collect();
            return (format!("conv of {} layers at {interval} cycles", kinds.len()), network, folding);
        }
    }
}

/// Bits of weights times bits of inputs that are multiplied in one clock.
fn partial_products(dataflow: &Dataflow) -> usize {
    let of = |m: &Module| match &m.kind {
        Kind::MatrixVector(unit) => {
            let bits = |pe: &Pe| pe.weight_encodings.iter().map(|e| e.bits as usize).sum::<usize>();
            unit.pes.iter().map(bits).sum::<usize>() * dataflow.stream(m.input()).encoding.bits as usize
        }
        _ => 0,
    };
    dataflow.modules.iter().map(of).sum()
}
