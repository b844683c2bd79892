//! Residuals whose branches have different scales: the integers that the import finds give every pair of codes the code that its real
//! sum has, computed here in rational numbers from the graph's definition alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use num_traits::{Signed, ToPrimitive, Zero};
use quantizer::import::{ImportOptions, Imported, import_file};
use quantizer::network::{Layer, Network, Op};
use quantizer::onnx::file;
use quantizer::onnx::sequence::{QuantSpec, Sequence};
use quantizer::rational::{Rational, from_f32};
use quantizer::testing::{Random, evaluate};

/// A quantizer of the graph.
#[derive(Clone, Copy, Debug)]
struct Quantizer {
    bits: u32,
    signed: bool,
    scale: f32,
}

impl Quantizer {
    fn spec(&self) -> QuantSpec<'_> {
        QuantSpec::new(self.bits, self.signed, &self.scale)
    }

    fn range(&self) -> (i64, i64) {
        if self.signed { (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1) } else { (0, (1 << self.bits) - 1) }
    }

    /// QONNX: half to even, then clipped.
    fn code(&self, x: &Rational) -> i64 {
        let t = x / rational(self.scale);
        let floor = t.floor().to_integer();
        let rest = &t - Rational::from(floor.clone());
        let half = Rational::new(1.into(), 2.into());
        let odd = (&floor % 2) != num_bigint::BigInt::zero();
        let up = rest > half || rest == half && odd;
        let (lo, hi) = self.range();
        (floor + u8::from(up)).to_i64().map_or(if x.is_negative() { lo } else { hi }, |c| c.clamp(lo, hi))
    }
}

fn rational(v: f32) -> Rational {
    from_f32(v).unwrap()
}

/// `q(relu?(gain[c] * (first ± second)))` of two branches with quantizers of their own, that read an 8-bit input of two channels.
struct Residual {
    branches: [Quantizer; 2],
    minus: bool,
    gain: Option<Vec<f32>>,
    relu: bool,
    output: Quantizer,
    channels: usize,
}

impl Residual {
    fn random(seed: u64, bits: [u32; 3]) -> Self {
        let rng = &mut Random::new(seed);
        let scale = |rng: &mut Random, near: f32| near * (0.6 + rng.size(0, 1 << 22) as f32 / (1 << 22) as f32);
        let quantizer =
            |rng: &mut Random, bits: u32, near: f32| Quantizer { bits, signed: rng.one_in(2), scale: scale(rng, near) };
        let near = 255.0 / f32::from((1u16 << bits[0]) - 1);
        let branches =
            [quantizer(rng, bits[0], near), quantizer(rng, bits[1], 255.0 / f32::from((1u16 << bits[1]) - 1))];
        let channels = rng.size(1, 3);
        let gain = rng
            .one_in(2)
            .then(|| (0..channels).map(|_| scale(rng, 1.0) * if rng.one_in(3) { -1.0 } else { 1.0 }).collect());
        let output = quantizer(rng, bits[2], 400.0 / f32::from((1u16 << bits[2]) - 1));
        Residual { branches, minus: rng.one_in(3), gain, relu: rng.one_in(2), output, channels }
    }

    fn model(&self, pixels: i64) -> Vec<u8> {
        let mut s = Sequence::new(&[1, 2, 1, pixels]);
        s.quant(QuantSpec::new(8, false, &1.0));
        let input = s.last().to_owned();
        let dims = [self.channels as i64, 2, 1, 1];
        let branch = |s: &mut Sequence, which: usize| {
            s.resume(&input);
            let weights: Vec<f32> = (0..2 * self.channels).map(|i| f32::from(u8::from(i % 2 == which))).collect();
            let w = s.weights(&dims, &weights, QuantSpec::new(2, true, &1.0));
            s.node("Conv", &["@", &w], vec![]);
            s.quant(self.branches[which].spec());
            s.last().to_owned()
        };
        let [a, b] = [0, 1].map(|which| branch(&mut s, which));
        s.node(if self.minus { "Sub" } else { "Add" }, &[&a, &b], vec![]);
        if let Some(gain) = &self.gain {
            s.with("Mul", &[1, self.channels as i64, 1, 1], gain);
        }
        if self.relu {
            s.node("Relu", &["@"], vec![]);
        }
        s.quant(self.output.spec());
        s.bytes(&[1, self.channels as i64, 1, pixels])
    }

    /// The code of a pair of codes.
    fn code(&self, channel: usize, a: i64, b: i64) -> i64 {
        let [x, y] =
            [(a, 0), (b, 1)].map(|(code, i)| rational(self.branches[i].scale) * Rational::from_integer(code.into()));
        let mut sum = if self.minus { x - y } else { x + y };
        if let Some(gain) = &self.gain {
            sum *= rational(gain[channel]);
        }
        if self.relu && sum.is_negative() {
            sum = Rational::zero();
        }
        self.output.code(&sum)
    }

    fn import(&self, pixels: i64) -> Imported {
        let file = file::decode(&self.model(pixels), "residual.onnx".into(), PathBuf::new()).unwrap();
        import_file(&file, &ImportOptions::default()).unwrap_or_else(|e| panic!("{e}"))
    }
}

/// The Add of a network, its coefficients, and the Threshold behind it.
fn sum(network: &Network) -> (&Layer, &[i64], &Layer) {
    let (layer, add) = network
        .layers
        .iter()
        .find_map(|l| if let Op::Add(add) = &l.op { Some((l, &add.coefficients[..])) } else { None })
        .unwrap();
    (layer, add, network.readers(layer.output).next().unwrap())
}

/// Checks every pair of codes that can be reached; returns the larger coefficient.
fn every_pair(residual: &Residual, network: &Network, what: &str) -> i64 {
    assert_eq!(network.validate(), Ok(()), "{what}");
    let (add, coefficients, behind) = sum(network);
    let Op::Threshold(threshold) = &behind.op else { panic!("{what}: {:?}", behind.op) };
    for channel in 0..residual.channels {
        let [a, b] = [0, 1].map(|i| network.tensor(add.inputs[i]).ranges[channel]);
        for (x, y) in (a.lo..=a.hi).flat_map(|x| (b.lo..=b.hi).map(move |y| (x, y))) {
            let found = threshold.channel(channel).apply(coefficients[0] * x + coefficients[1] * y);
            assert_eq!(found, residual.code(channel, x, y), "{what}, channel {channel}: {x}, {y} by {coefficients:?}");
        }
    }
    coefficients.iter().map(|k| k.abs()).max().unwrap()
}

#[test]
fn four_bit_codes_of_any_scales_are_exact() {
    let mut largest = Vec::new();
    for seed in 0..150 {
        let residual = Residual::random(seed, [4, 4, 4]);
        let imported = residual.import(3);
        let most = every_pair(&residual, &imported.network, &format!("seed {seed}"));
        // Scales that happen to have a common grid take its coefficients, whatever they are.
        if imported.network.tensor(sum(&imported.network).0.output).scale.is_none() {
            largest.push(most);
        }
        // The whole network on a few samples, by its definition.
        let rng = &mut Random::new(seed);
        let x: Vec<i64> = (0..6).map(|_| rng.within(0, 255)).collect();
        let found = &evaluate(&imported.network, &x)[imported.network.output.0];
        for (channel, pixel) in (0..residual.channels).flat_map(|c| (0..3).map(move |p| (c, p))) {
            let code = |i: usize| residual.branches[i].code(&Rational::from_integer(x[i * 3 + pixel].into()));
            let expected = residual.code(channel, code(0), code(1));
            assert_eq!(found[channel * 3 + pixel], expected.into(), "seed {seed}");
        }
    }
    largest.sort_unstable();
    let most = largest[largest.len() - 1];
    eprintln!("{} networks, coefficients: median {}, largest {most}", largest.len(), largest[largest.len() / 2]);
    assert!(largest.len() > 100 && most <= 64, "{largest:?}");
}

#[test]
fn eight_bit_codes_of_any_scales_are_exact() {
    let mut largest: Vec<i64> = Vec::new();
    for seed in 0..3 {
        let residual = Residual { gain: None, channels: 1, ..Residual::random(1000 + seed, [8, 8, 8]) };
        largest.push(every_pair(&residual, &residual.import(2).network, &format!("seed {seed}")));
    }
    eprintln!("coefficients: {largest:?}");
    assert!(largest.iter().all(|&k| k <= 1023));
}

/// Two readers of one sum share its integers; a scale that is a whole multiple needs no search.
#[test]
fn a_common_grid_comes_first() {
    let quantizer = |scale| Quantizer { bits: 4, signed: false, scale };
    let mut residual = Residual {
        branches: [quantizer(17.0), quantizer(34.0)],
        minus: false,
        gain: None,
        relu: true,
        output: quantizer(50.0),
        channels: 1,
    };
    assert_eq!(sum(&residual.import(2).network).1, [1, 2]);
    residual.branches[1].scale = 34.000_03;
    let imported = residual.import(2);
    assert_eq!(every_pair(&residual, &imported.network, "near 2"), 2);
    assert!(imported.network.tensor(sum(&imported.network).0.output).scale.is_none());
}

fn refused(s: &Sequence, output: &[i64]) -> String {
    let file = file::decode(&s.bytes(output), "residual.onnx".into(), PathBuf::new()).unwrap();
    match import_file(&file, &ImportOptions::default()) {
        Ok(_) => "not refused".into(),
        Err(e) => e.to_string(),
    }
}

/// What no small coefficients make exact, and a sum that no quantizer follows, are refused by name.
#[test]
fn what_cannot_be_exact_is_refused() {
    let mut s = Sequence::new(&[1, 2, 4, 4]);
    s.quant(QuantSpec::new(8, false, &0.017));
    let input = s.last().to_owned();
    let w = s.weights(&[1, 2, 1, 1], &[1.0, -1.0], QuantSpec::new(2, true, &1.0));
    let branch = |s: &mut Sequence, scale: f32, bits: u32| {
        s.resume(&input).node("Conv", &["@", &w], vec![]).quant(QuantSpec::new(bits, true, &scale));
        s.last().to_owned()
    };
    let (a, b) = (branch(&mut s, 0.037_1, 6), branch(&mut s, 0.029_3, 6));
    s.node("Add", &[&a, &b], vec![]);
    // No quantizer behind it.
    let mut conv = s.clone();
    let v = conv.weights(&[1, 1, 1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    conv.node("Conv", &["@", &v], vec![]);
    for (what, message) in [("end", refused(&s, &[1, 1, 4, 4])), ("conv", refused(&conv, &[1, 1, 4, 4]))] {
        assert!(message.contains("no common grid: branch 0"), "{what}: {message}");
        assert!(message.contains("no quantizer follows"), "{what}: {message}");
    }
    // Channels whose scales have very different ratios, and too many pairs for a table.
    let mut s = Sequence::new(&[1, 2, 4, 4]);
    s.quant(QuantSpec::new(8, false, &0.017));
    let input = s.last().to_owned();
    let w = s.weights(&[2, 2, 1, 1], &[1.0, -1.0, 1.0, 1.0], QuantSpec::new(2, true, &1.0));
    let [a, b] = [[0.31_f32, 0.153], [0.124, 0.297]].map(|scales| {
        let spec = QuantSpec { scale: &scales, scale_shape: &[1, 2, 1, 1], ..QuantSpec::new(5, true, &1.0) };
        s.resume(&input).node("Conv", &["@", &w], vec![]).quant(spec);
        s.last().to_owned()
    });
    s.node("Add", &[&a, &b], vec![]).quant(QuantSpec::new(8, true, &0.031));
    let message = refused(&s, &[1, 2, 4, 4]);
    assert!(message.contains("(Add)") && message.contains("no coefficients up to 1023"), "{message}");
    assert!(message.contains("a table of their 960 pairs would have more than 256 entries"), "{message}");
}

/// Scales that differ from channel to channel, each in its own ratio: no two coefficients serve all of them, a table does.
#[test]
fn a_table_serves_where_no_coefficients_do() {
    let mut tables = 0;
    for seed in 0..6 {
        let rng = &mut Random::new(seed);
        let scales =
            |rng: &mut Random| -> Vec<f32> { (0..3).map(|_| 10.0 + rng.size(0, 1 << 20) as f32 / 4e4).collect() };
        let own = [scales(rng), scales(rng)];
        let output = Quantizer { bits: 4, signed: false, scale: 25.3 + seed as f32 / 7.0 };
        let mut s = Sequence::new(&[1, 2, 1, 1]);
        s.quant(QuantSpec::new(8, false, &1.0));
        let input = s.last().to_owned();
        let branch = |s: &mut Sequence, which: usize| {
            s.resume(&input);
            let weights: Vec<f32> = (0..6).map(|i| f32::from(u8::from(i % 2 == which))).collect();
            let w = s.weights(&[3, 2, 1, 1], &weights, QuantSpec::new(2, true, &1.0));
            let spec = QuantSpec { scale: &own[which], scale_shape: &[1, 3, 1, 1], ..QuantSpec::new(4, false, &1.0) };
            s.node("Conv", &["@", &w], vec![]).quant(spec);
            s.last().to_owned()
        };
        let [a, b] = [0, 1].map(|which| branch(&mut s, which));
        s.node("Add", &[&a, &b], vec![]).quant(output.spec());
        let file = file::decode(&s.bytes(&[1, 3, 1, 1]), "residual.onnx".into(), PathBuf::new()).unwrap();
        let network = import_file(&file, &ImportOptions::default()).unwrap_or_else(|e| panic!("{seed}: {e}")).network;
        assert_eq!(network.validate(), Ok(()), "seed {seed}");
        let stored = quantizer::store::to_bytes(&network).unwrap();
        assert_eq!(quantizer::store::from_bytes(&stored).unwrap(), network);
        tables += usize::from(network.layers.iter().any(|l| matches!(l.op, Op::Table(_))));
        for (x, y) in (0..=255).step_by(9).flat_map(|x| (0..=255).step_by(9).map(move |y| (x, y))) {
            let found = &evaluate(&network, &[x, y])[network.output.0];
            for channel in 0..3 {
                let real = |which: usize, v: i64| {
                    let own = Quantizer { bits: 4, signed: false, scale: own[which][channel] };
                    rational(own.scale) * Rational::from_integer(own.code(&Rational::from_integer(v.into())).into())
                };
                assert_eq!(found[channel], output.code(&(real(0, x) + real(1, y))).into(), "seed {seed}, {x}, {y}");
            }
        }
    }
    eprintln!("{tables} of 6 by a table");
    assert!(tables > 2);
}
