//! Thresholds against a second, naive meaning: random chains evaluated at every accumulator value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use num_bigint::BigInt;
use num_traits::{One, Signed, Zero};
use proptest::prelude::*;
use proptest::sample::select;
use quantizer::import::{ImportOptions, Imported, import_file, verify};
use quantizer::network::{Op, Threshold};
use quantizer::onnx::build::float;
use quantizer::onnx::file;
use quantizer::onnx::sequence::{QuantSpec, Sequence};
use quantizer::rational::{Rational, from_f32, integer};

/// A function of the chain with parameters for two channels.
#[derive(Clone, Debug)]
enum Step {
    Mul([f32; 2]),
    Div([f32; 2]),
    Add([f32; 2]),
    Sub([f32; 2]),
    SubFrom([f32; 2]),
    Neg,
    /// gain, shift, mean, root of the variance
    BatchNorm([[f32; 2]; 4]),
    Relu,
    LeakyRelu(f32),
    PRelu([f32; 2]),
    Clip(f32, f32),
    HardSigmoid(f32, f32),
    Quant(Quantizer),
    Bipolar(f32),
}

#[derive(Clone, Debug)]
struct Quantizer {
    bits: u32,
    signed: bool,
    narrow: bool,
    mode: &'static str,
    scale: [f32; 2],
}

const MODES: [&str; 9] = ["ROUND", "HALF_EVEN", "ceil", "FLOOR", "UP", "DOWN", "ROUND_TO_ZERO", "HALF_UP", "half_down"];

/// Multiples of 1/4, where ties are, and any floats.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![4 => (-24i32..=24).prop_map(|v| v as f32 / 4.0), 1 => -9.0f32..9.0, 1 => Just(f32::from_bits(3))]
}

fn divisor() -> impl Strategy<Value = f32> {
    number().prop_filter("0", |v| *v != 0.0)
}

fn scale() -> impl Strategy<Value = f32> {
    prop_oneof![select(vec![0.25f32, 0.5, 1.0, 2.0, 4.0]), 0.01f32..8.0]
}

fn quantizer() -> impl Strategy<Value = Quantizer> {
    (1u32..=5, any::<bool>(), any::<bool>(), select(&MODES[..]), scale(), proptest::option::of(scale())).prop_map(
        |(bits, signed, narrow, mode, first, second)| Quantizer {
            bits,
            signed,
            narrow: narrow && bits > 1,
            mode,
            scale: [first, second.unwrap_or(first)],
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let both = || (number(), number()).prop_map(|(a, b)| [a, b]);
    let nonzero = || (divisor(), divisor()).prop_map(|(a, b)| [a, b]);
    prop_oneof![
        both().prop_map(Step::Mul),
        nonzero().prop_map(Step::Div),
        both().prop_map(Step::Add),
        both().prop_map(Step::Sub),
        both().prop_map(Step::SubFrom),
        Just(Step::Neg),
        (both(), both(), both(), select(vec![0.5f32, 1.0, 2.0, 3.0])).prop_map(|(g, s, m, r)| Step::BatchNorm([
            g,
            s,
            m,
            [r, 2.0 * r]
        ])),
        Just(Step::Relu),
        (0.0f32..2.0).prop_map(Step::LeakyRelu),
        (0u8..8, 0u8..8).prop_map(|(a, b)| Step::PRelu([f32::from(a) / 4.0, f32::from(b) / 4.0])),
        (number(), 0u8..20).prop_map(|(lo, d)| Step::Clip(lo, lo + f32::from(d) / 4.0)),
        (0.0f32..1.0, number()).prop_map(|(a, b)| Step::HardSigmoid(a, b)),
        quantizer().prop_map(Step::Quant),
        scale().prop_map(Step::Bipolar),
    ]
}

fn exact(v: f32) -> Rational {
    from_f32(v).unwrap()
}

/// `round` as the rounding modes' names say, written without looking at the library.
fn round(v: &Rational, mode: &str) -> BigInt {
    let half = Rational::new(1.into(), 2.into());
    let magnitude = v.abs();
    let sign = |n: BigInt| if v.is_negative() { -n } else { n };
    match mode.to_uppercase().as_str() {
        "CEIL" => v.ceil().to_integer(),
        "FLOOR" => v.floor().to_integer(),
        "UP" => sign(magnitude.ceil().to_integer()),
        "DOWN" | "ROUND_TO_ZERO" => sign(magnitude.floor().to_integer()),
        "HALF_UP" => sign((magnitude + half).floor().to_integer()),
        "HALF_DOWN" => sign((magnitude - half).ceil().to_integer()),
        _ => {
            let down = v.floor().to_integer();
            let rest = v - integer(down.clone());
            let odd = !(&down % BigInt::from(2)).is_zero();
            if rest > half || (rest == half && odd) { down + 1u32 } else { down }
        }
    }
}

fn code(q: &Quantizer, x: &Rational, c: usize) -> BigInt {
    let t = x / exact(q.scale[c]);
    if q.signed && q.bits == 1 {
        return if t.is_negative() { -BigInt::one() } else { BigInt::one() };
    }
    let top = BigInt::one() << if q.signed { q.bits - 1 } else { q.bits };
    let narrow = BigInt::from(u8::from(q.narrow));
    let (lo, hi) = if q.signed { (-&top + narrow, top - 1u32) } else { (BigInt::zero(), top - 1u32 - narrow) };
    round(&t.clamp(integer(lo), integer(hi)), q.mode)
}

impl Step {
    fn apply(&self, x: Rational, c: usize) -> Rational {
        let zero = Rational::zero();
        match self {
            Step::Mul(p) => x * exact(p[c]),
            Step::Div(p) => x / exact(p[c]),
            Step::Add(p) => x + exact(p[c]),
            Step::Sub(p) => x - exact(p[c]),
            Step::SubFrom(p) => exact(p[c]) - x,
            Step::Neg => -x,
            Step::BatchNorm([gain, shift, mean, root]) => {
                (x - exact(mean[c])) / exact(root[c]) * exact(gain[c]) + exact(shift[c])
            }
            Step::Relu => x.max(zero),
            Step::LeakyRelu(slope) => {
                if x.is_negative() {
                    x * exact(*slope)
                } else {
                    x
                }
            }
            Step::PRelu(slope) => {
                if x.is_negative() {
                    x * exact(slope[c])
                } else {
                    x
                }
            }
            Step::Clip(lo, hi) => x.max(exact(*lo)).min(exact(*hi)),
            Step::HardSigmoid(a, b) => (x * exact(*a) + exact(*b)).max(zero).min(Rational::one()),
            Step::Quant(q) => integer(code(q, &x, c)) * exact(q.scale[c]),
            Step::Bipolar(s) => {
                if x.is_negative() {
                    -exact(*s)
                } else {
                    exact(*s)
                }
            }
        }
    }

    fn add(&self, s: &mut Sequence) {
        match self {
            Step::Mul(p) => s.with("Mul", &[2], p),
            Step::Div(p) => s.with("Div", &[1, 2], p),
            Step::Add(p) => s.with("Add", &[2], p),
            Step::Sub(p) => s.with("Sub", &[1, 2], p),
            Step::SubFrom(p) => {
                let c = s.floats(&[2], p);
                s.node("Sub", &[&c, "@"], vec![])
            }
            Step::Neg => s.node("Neg", &["@"], vec![]),
            Step::BatchNorm([gain, shift, mean, root]) => {
                let variance = root.map(|r| r * r);
                let names = [gain, shift, mean, &variance].map(|p| s.floats(&[2], p));
                let inputs: Vec<&str> = std::iter::once("@").chain(names.iter().map(String::as_str)).collect();
                s.node("BatchNormalization", &inputs, vec![float("epsilon", 0.0)])
            }
            Step::Relu => s.node("Relu", &["@"], vec![]),
            Step::LeakyRelu(slope) => s.node("LeakyRelu", &["@"], vec![float("alpha", *slope)]),
            Step::PRelu(slope) => s.with("PRelu", &[2], slope),
            Step::Clip(lo, hi) => {
                let (lo, hi) = (s.floats(&[], &[*lo]), s.floats(&[], &[*hi]));
                s.node("Clip", &["@", &lo, &hi], vec![])
            }
            Step::HardSigmoid(a, b) => s.node("HardSigmoid", &["@"], vec![float("alpha", *a), float("beta", *b)]),
            Step::Quant(q) => s.quant(QuantSpec {
                bits: q.bits,
                signed: q.signed,
                narrow: q.narrow,
                scale: &q.scale,
                scale_shape: &[1, 2],
                rounding: Some(q.mode),
            }),
            Step::Bipolar(scale) => {
                let scale = s.floats(&[], &[*scale]);
                s.node("BipolarQuant", &["@", &scale], vec![])
            }
        };
    }
}

fn imported(s: &Sequence) -> Imported {
    let file = file::decode(&s.bytes(&[1, 1]), "test.onnx".into(), PathBuf::new()).unwrap();
    let imported = import_file(&file, &ImportOptions::default()).unwrap();
    assert_eq!(imported.network.validate(), Ok(()));
    imported
}

/// Accumulators `[-110, 110]` and `[-330, 330]`, then the steps, a quantizer, and a layer that reads it.
fn network(steps: &[Step], last: &Quantizer) -> Imported {
    let mut s = Sequence::new(&[1, 2]);
    s.quant(QuantSpec { narrow: true, ..QuantSpec::new(7, true, &1.0) });
    s.matmul(&[2, 2], &[1.0, 0.0, 0.0, -3.0], QuantSpec::new(3, true, &1.0));
    // Mul undoes the input's span so that small parameters matter.
    s.with("Mul", &[1], &[0.25]);
    steps.iter().for_each(|step| step.add(&mut s));
    let last = Quantizer { scale: [last.scale[0]; 2], ..last.clone() };
    Step::Quant(last).add(&mut s);
    s.matmul(&[2, 1], &[1.0, 1.0], QuantSpec::new(2, true, &1.0));
    imported(&s)
}

fn threshold(imported: &Imported) -> &Threshold {
    let mut thresholds = imported.network.layers.iter().filter_map(|l| match &l.op {
        Op::Threshold(t) => Some(t),
        _ => None,
    });
    thresholds.next_back().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_chains(steps in proptest::collection::vec(step(), 0..5), last in quantizer()) {
        let imported = network(&steps, &last);
        let dense = imported.network.dense_layers().next().unwrap().0;
        let ranges = &imported.network.tensor(dense.output).ranges;
        let last = Quantizer { scale: [last.scale[0]; 2], ..last };
        for (c, range) in ranges.iter().enumerate() {
            let thresholds = threshold(&imported).channel(c);
            for n in range.lo..=range.hi {
                let x = steps.iter().fold(integer(n) / integer(4), |x, step| step.apply(x, c));
                prop_assert_eq!(BigInt::from(thresholds.apply(n)), code(&last, &x, c), "channel {}, value {}", c, n);
            }
        }
        let total = verify(&imported).total();
        prop_assert_eq!(total.deviations, 0);
    }

}

proptest! {
    // Saturated functions with directed rounding need many bits: fewer cases.
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Sigmoid, Tanh and irrational BatchNorms: no naive exact meaning, but floats are right away from ties.
    #[test]
    fn transcendental_chains(
        a in divisor(), b in number(), variance in 0.1f32..9.0, tanh in any::<bool>(), gain in divisor(), last in quantizer(),
    ) {
        let mut s = Sequence::new(&[1, 1]);
        s.quant(QuantSpec { narrow: true, ..QuantSpec::new(7, true, &1.0) });
        s.matmul(&[1, 1], &[3.0], QuantSpec::new(3, true, &1.0));
        s.with("Div", &[], &[16.0]);
        let names = [a, b, 0.25, variance].map(|p| s.floats(&[1], &[p]));
        let inputs: Vec<&str> = std::iter::once("@").chain(names.iter().map(String::as_str)).collect();
        s.node("BatchNormalization", &inputs, vec![]);
        s.node(if tanh { "Tanh" } else { "Sigmoid" }, &["@"], vec![]);
        s.with("Mul", &[], &[gain]);
        Step::Quant(Quantizer { scale: [last.scale[0]; 2], ..last.clone() }).add_scalar(&mut s);
        s.matmul(&[1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
        let imported = imported(&s);
        let thresholds = threshold(&imported).channel(0);
        for n in -189i64..=189 {
            let x = (n as f64 / 16.0 - 0.25) / (f64::from(variance) + f64::from(1e-5f32)).sqrt() * f64::from(a) + f64::from(b);
            let y = f64::from(gain) * if tanh { x.tanh() } else { 1.0 / (1.0 + (-x).exp()) };
            let t = y / f64::from(last.scale[0]);
            let close = (2.0 * t).round() / 2.0;
            if (t - close).abs() > 1e-9 {
                let v = quantizer::rational::from_f64(y).unwrap();
                prop_assert_eq!(BigInt::from(thresholds.apply(n)), code(&last, &v, 0), "{}", n);
            }
        }
        prop_assert_eq!(verify(&imported).total().deviations, 0);
    }
}

impl Step {
    /// A quantizer with one scale, for tensors of one channel.
    fn add_scalar(&self, s: &mut Sequence) {
        let Step::Quant(q) = self else { panic!("{self:?}") };
        s.quant(QuantSpec {
            bits: q.bits,
            signed: q.signed,
            narrow: q.narrow,
            scale: &q.scale[..1],
            scale_shape: &[],
            rounding: Some(q.mode),
        });
    }
}

#[test]
fn ties_of_roots() {
    // (n - 2) / sqrt(5 + eps) * 3 + 0.5: at n = 2 the root times 0 is exactly 0, a tie that goes to the even 0.
    let mut s = Sequence::new(&[1, 1]);
    s.quant(QuantSpec::new(4, true, &1.0));
    s.matmul(&[1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    let names = [3.0, 0.5, 2.0, 5.0].map(|p| s.floats(&[1], &[p]));
    let inputs: Vec<&str> = std::iter::once("@").chain(names.iter().map(String::as_str)).collect();
    s.node("BatchNormalization", &inputs, vec![]);
    s.quant(QuantSpec::new(2, true, &1.0));
    s.matmul(&[1, 1], &[1.0], QuantSpec::new(2, true, &1.0));
    let imported = imported(&s);
    let codes: Vec<i64> = (-1..=4).map(|n| threshold(&imported).channels[0].apply(n)).collect();
    // n = 1: 0.5 - 1.34 = -0.84; n = 3: 1.84, clamped to 1.
    assert_eq!(codes, [-2, -2, -1, 0, 1, 1]);
    assert_eq!(verify(&imported).total().deviations, 0);
}
