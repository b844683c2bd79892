//! Every backward pass of our own against finite differences, in `f64`, of the function that it claims to be the derivative of.
//!
//! Codes are a step function of the weights; gradients are those of `scale * (surrogate + rounding)`, `rounding` being what the codes differ by at the point.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::tensor::{Device, Tensor};
use quantizer::datatype::DataType;
use quantizer::weights::limits::Limits;
use quantizer::weights::nearest::side_thresholds;
use trainer::config::Method;
use trainer::quantizers::weights::Weights;
use trainer::quantizers::{Rule, activations, constant, integers, scale, to_vec};

const ROWS: usize = 3;
const COLUMNS: usize = 24;
const PENALTY: f64 = 0.37;

/// A layer at a point, and the factors of its loss.
struct Case {
    rule: Rule,
    weights: Vec<f64>,
    /// log2 of scales: integers, so that scales are what they are.
    exponents: Vec<f64>,
    /// log2 of norms.
    norms: Vec<f64>,
    factors: Vec<f64>,
}

impl Case {
    fn new(method: Method, accumulator: Option<u32>, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| f64::from(2.0 * random.f32() - 1.0)).collect() };
        Case {
            rule: Rule {
                method,
                weights: DataType { narrow: true, ..DataType::signed(4) },
                input: DataType::unsigned(4),
                accumulator,
            },
            weights: draw(ROWS * COLUMNS),
            exponents: vec![-3.0, -5.0, -2.0],
            norms: vec![1.0, 2.0, 2.0],
            factors: draw(ROWS * COLUMNS),
        }
    }

    /// The surrogate of a row, in units of its scale.
    fn surrogate(&self, row: &[f64], scale: f64, norm: f64) -> Vec<f64> {
        let cap = self.rule.weights.range().hi as f64;
        let values: Vec<f64> = match (self.rule.method, self.rule.accumulator) {
            (Method::SignSplit, Some(bits)) => {
                let units: Vec<f64> = row.iter().map(|w| w / scale).collect();
                let limits = Limits::new(self.rule.input, bits);
                let (plus, minus) = side_thresholds(&units, self.rule.weights.range(), &limits);
                units.iter().map(|u| (u - plus).max(0.0) - (-u - minus).max(0.0)).collect()
            }
            (Method::A2q | Method::A2qPlus, Some(_)) => {
                let mean =
                    if self.rule.method == Method::A2qPlus { row.iter().sum::<f64>() / row.len() as f64 } else { 0.0 };
                let l1: f64 = row.iter().map(|w| (w - mean).abs()).sum();
                let target = (norm / scale).min(self.rule.budget());
                row.iter().map(|w| (w - mean) * target / l1).collect()
            }
            _ => row.iter().map(|w| w / scale).collect(),
        };
        values.into_iter().map(|v| v.clamp(-cap, cap)).collect()
    }

    fn surrogates(&self, [weights, exponents, norms]: [&[f64]; 3]) -> Vec<f64> {
        (0..ROWS)
            .flat_map(|r| {
                self.surrogate(&weights[r * COLUMNS..(r + 1) * COLUMNS], exponents[r].exp2(), norms[r].exp2())
            })
            .collect()
    }

    /// The loss elsewhere, with the rounding of this point.
    fn loss(&self, at: [&[f64]; 3], rounding: &[f64]) -> f64 {
        let budget = self.rule.budget();
        let penalised = matches!(self.rule.method, Method::A2q | Method::A2qPlus);
        let scales: Vec<f64> = at[1].iter().map(|e| e.exp2()).collect();
        let terms = self.surrogates(at).into_iter().zip(rounding).enumerate();
        let sum: f64 = terms.map(|(i, (v, k))| self.factors[i] * scales[i / COLUMNS] * (v + k)).sum();
        let over = |r: usize| (at[2][r].exp2() - scales[r] * budget).max(0.0);
        sum + if penalised { PENALTY * (0..ROWS).map(over).sum::<f64>() } else { 0.0 }
    }

    fn check(&self, name: &str) {
        let singles = |v: &[f64]| -> Vec<f32> { v.iter().map(|&v| v as f32).collect() };
        let scales: Vec<f32> = self.exponents.iter().map(|&e| scale(e as f32)).collect();
        let chosen = integers(&self.rule, &singles(&self.weights), COLUMNS, &scales, &singles(&self.norms));
        let base: [&[f64]; 3] = [&self.weights, &self.exponents, &self.norms];
        let rounding: Vec<f64> = chosen.codes.iter().zip(self.surrogates(base)).map(|(&q, v)| q as f64 - v).collect();

        let latent = singles(&self.weights);
        let made = Weights::new(self.rule.clone(), &latent, COLUMNS, &singles(&self.exponents), &singles(&self.norms));
        let expected: Vec<f32> =
            chosen.codes.iter().enumerate().map(|(i, &q)| q as f32 * scales[i / COLUMNS]).collect();
        assert_eq!(made.values, expected, "{name}: the forward pass computes with the codes");
        let gradients = made.gradients(&latent, &singles(&self.factors), PENALTY as f32);
        let found = [&gradients.weights, &gradients.exponents, &gradients.norms];
        for (which, found) in found.into_iter().enumerate() {
            for (i, &gradient) in found.iter().enumerate() {
                let step = 1e-6;
                let moved = |by: f64| {
                    let mut values = base[which].to_vec();
                    values[i] += by;
                    let mut at = base;
                    at[which] = &values;
                    self.loss(at, &rounding)
                };
                let difference = (moved(step) - moved(-step)) / (2.0 * step);
                let off = (f64::from(gradient) - difference).abs();
                assert!(
                    off <= 2e-3 * (1.0 + difference.abs()),
                    "{name}: parameter {which}[{i}] has gradient {gradient}, finite differences {difference}"
                );
            }
        }
    }
}

#[test]
fn sign_split_where_both_one_or_no_threshold_binds() {
    for bits in [8, 10, 12, 16] {
        for seed in 0..4 {
            Case::new(Method::SignSplit, Some(bits), seed).check(&format!("sign-split, {bits} bits, seed {seed}"));
        }
    }
}

#[test]
fn sign_split_where_the_sides_compete() {
    // Signed inputs, symmetric ones too: rules that are not parallel and rules that are.
    let narrow = DataType { narrow: true, ..DataType::signed(4) };
    for input in [DataType::signed(4), DataType::signed(2), narrow] {
        for bits in [7, 8, 9, 10, 12, 16] {
            for seed in 0..4 {
                let mut case = Case::new(Method::SignSplit, Some(bits), seed);
                case.rule.input = input;
                case.check(&format!("sign-split, {input}, {bits} bits, seed {seed}"));
            }
        }
    }
}

#[test]
fn a2q_and_a2q_plus_on_both_sides_of_the_budget() {
    for method in [Method::A2q, Method::A2qPlus] {
        for seed in 0..4 {
            let case = Case::new(method, Some(10), seed);
            let reach = |r: usize| case.exponents[r].exp2() * case.rule.budget();
            assert!(case.norms[0].exp2() < reach(0) && case.norms[1].exp2() > reach(1));
            case.check(&format!("{method:?}, seed {seed}"));
        }
    }
}

#[test]
fn unconstrained_weights() {
    Case::new(Method::Unconstrained, None, 1).check("unconstrained");
}

#[test]
fn activations_and_their_scale() {
    // A quantized ReLU, and a quantized identity.
    check_activations(DataType::unsigned(3));
    check_activations(DataType::signed(3));
}

fn check_activations(datatype: DataType) {
    let device = Device::flex().autodiff();
    let exponent = -2f64;
    let range = datatype.range();
    let mut random = fastrand::Rng::with_seed(9);
    let values: Vec<f64> = (0..40).map(|_| f64::from(4.0 * random.f32() - 1.0)).collect();
    let factors: Vec<f64> = (0..40).map(|_| f64::from(random.f32()) - 0.5).collect();
    let clipped = |x: f64, e: f64| (x / e.exp2()).clamp(range.lo as f64, range.hi as f64);
    let rounding: Vec<f64> =
        values.iter().map(|&x| clipped(x, exponent).round_ties_even() - clipped(x, exponent)).collect();
    let loss = |values: &[f64], e: f64| -> f64 {
        (0..40).map(|i| factors[i] * e.exp2() * (clipped(values[i], e) + rounding[i])).sum()
    };
    let singles = |v: &[f64]| -> Vec<f32> { v.iter().map(|&v| v as f32).collect() };
    let x = constant(singles(&values), [1, 40], &device).require_grad();
    let e = constant(vec![exponent as f32], [1, 1], &device).require_grad();
    let y: Tensor<2> = activations(x.clone(), &e, datatype, &device);
    let mut gradients = (y * constant(singles(&factors), [1, 40], &device)).sum().backward();
    let step = 1e-6;
    let found = to_vec(x.grad_remove(&mut gradients).unwrap());
    for i in 0..40 {
        let moved = |by: f64| {
            let mut values = values.clone();
            values[i] += by;
            loss(&values, exponent)
        };
        let difference = (moved(step) - moved(-step)) / (2.0 * step);
        assert!((f64::from(found[i]) - difference).abs() < 1e-3, "value {i}: {} against {difference}", found[i]);
    }
    let found = f64::from(to_vec(e.grad_remove(&mut gradients).unwrap())[0]);
    let difference = (loss(&values, exponent + step) - loss(&values, exponent - step)) / (2.0 * step);
    assert!((found - difference).abs() < 1e-3, "scale: {found} against {difference}");
}
