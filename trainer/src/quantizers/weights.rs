//! The weights of a layer in a training step: their values, and the gradients of what they are made from.
//!
//! Written out by hand, row by row, for it takes two passes over a row where a tape of tensor operations takes forty: `trainer/tests/gradients.rs` holds it
//! against finite differences. Sums are taken in [`LANES`] lanes, always in the same order: results are the same for any number of threads.

use std::f32::consts::LN_2;

use rayon::prelude::*;

use super::{Codes, Rule, integers, scale};
use crate::config::Method;

/// Partial sums that a processor's vector unit adds up at once.
const LANES: usize = 8;

/// Weights as codes times scales, and what their gradients need beside the latent weights.
pub struct Weights {
    /// In real units, `[rows, columns]`.
    pub values: Vec<f32>,
    rule: Rule,
    columns: usize,
    scales: Vec<f32>,
    /// `2^exponent` before it is rounded to a scale.
    powers: Vec<f32>,
    /// `2^norm`.
    norms: Vec<f32>,
    /// Thresholds and mixtures of sign-split; the codes are in `values`.
    chosen: Codes,
}

/// The derivatives of a loss by what weights are made from.
pub struct Gradients {
    /// By latent weights.
    pub weights: Vec<f32>,
    /// By log2 of scales, one per row.
    pub exponents: Vec<f32>,
    /// By log2 of norms, one per row.
    pub norms: Vec<f32>,
}

impl Weights {
    /// For latent weights (`columns` a row), and log2 of scales and norms, one per row.
    pub fn new(rule: Rule, latent: &[f32], columns: usize, exponents: &[f32], norms: &[f32]) -> Self {
        let scales: Vec<f32> = exponents.iter().map(|&e| scale(e)).collect();
        let mut chosen = integers(&rule, latent, columns, &scales, norms);
        let codes = std::mem::take(&mut chosen.codes);
        let rows = codes.chunks(columns.max(1)).zip(&scales);
        let values = rows.flat_map(|(row, &s)| row.iter().map(move |&q| q as i32 as f32 * s)).collect();
        let power = |exponents: &[f32]| exponents.iter().map(|e| (e * LN_2).exp()).collect();
        Weights { values, powers: power(exponents), norms: power(norms), rule, columns, scales, chosen }
    }

    /// A2Q's regulariser, the sum of `relu(g - s T)` over rows; 0 for other methods.
    pub fn penalty(&self) -> f32 {
        if !self.bounded() {
            return 0.0;
        }
        let budget = self.rule.budget() as f32;
        self.norms.iter().zip(&self.scales).map(|(g, s)| (g - s * budget).max(0.0)).sum()
    }

    /// Whether norms are part of it: A2Q and A2Q+ with an accumulator.
    fn bounded(&self) -> bool {
        matches!(self.rule.method, Method::A2q | Method::A2qPlus) && self.rule.accumulator.is_some()
    }

    /// The gradients of a loss whose derivative by [`Weights::values`] is `gradient`, and of `lambda` times the penalty. `latent` is what they were made from.
    pub fn gradients(&self, latent: &[f32], gradient: &[f32], lambda: f32) -> Gradients {
        let columns = self.columns.max(1);
        let mut weights = vec![0.0; latent.len()];
        let rows: Vec<[f32; 2]> = weights
            .par_chunks_mut(columns)
            .enumerate()
            .map(|(r, out)| {
                let of = r * columns..(r + 1) * columns;
                let row = Row {
                    latent: &latent[of.clone()],
                    gradient: &gradient[of.clone()],
                    values: &self.values[of],
                    scale: self.scales[r],
                    cap: self.rule.cap() as f32,
                };
                let [by_scale, by_norm] = match (self.rule.method, self.rule.accumulator) {
                    (Method::SignSplit, Some(_)) => {
                        let thresholds = [self.chosen.plus[r], self.chosen.minus[r]];
                        if self.chosen.mixtures[0].is_empty() {
                            row.box_projection(thresholds, out)
                        } else {
                            row.polygon_projection(thresholds, self.chosen.mixtures.each_ref().map(|m| m[r]), out)
                        }
                    }
                    (Method::A2q | Method::A2qPlus, Some(_)) => {
                        let centred = self.rule.method == Method::A2qPlus;
                        row.normed(centred, self.norms[r], self.rule.budget() as f32, lambda, out)
                    }
                    _ => row.plain(out),
                };
                // Of 2^exponent and 2^norm.
                [by_scale * LN_2 * self.powers[r], by_norm * LN_2 * self.norms[r]]
            })
            .collect();
        let column = |i: usize| rows.iter().map(|row| row[i]).collect();
        Gradients { weights, exponents: column(0), norms: column(1) }
    }
}

/// One row. With units `u = w / s`, values are `s (y(u) + rounding)`, `y` being the surrogate, clamped to `cap`: each method writes the derivative by latent weights
/// and returns those by scale and norm.
struct Row<'a> {
    latent: &'a [f32],
    gradient: &'a [f32],
    values: &'a [f32],
    scale: f32,
    cap: f32,
}

impl Row<'_> {
    /// Writes what `by_unit` makes of a latent weight and its gradient, the derivative by `u`, and returns that by the scale.
    fn through_units(&self, out: &mut [f32], by_unit: impl Fn(f32, f32) -> f32) -> f32 {
        let s = self.scale;
        for ((out, &w), &g) in out.iter_mut().zip(self.latent).zip(self.gradient) {
            *out = by_unit(w / s, g * s) / s;
        }
        let [by_value, by_unit] =
            sums([self.gradient, self.values, out, self.latent], |[g, value, by_w, w]| [g * value, by_w * w]);
        (by_value - by_unit) / s
    }

    /// Nearest codes: `y = u`.
    fn plain(&self, out: &mut [f32]) -> [f32; 2] {
        let cap = self.cap;
        [self.through_units(out, |u, h| if u.abs() <= cap { h } else { 0.0 }), 0.0]
    }

    /// `y = relu(u - plus) - relu(-u - minus)`. Either threshold is itself a function of the weights strictly between 0 and the cap, for what they sum up to
    /// is given by the budget: it is their mean, less a constant. So what one of them gains the others pay, and a larger scale buys more of all.
    ///
    /// Without that (a constant threshold, the soft threshold's own derivative) scales drift to where nothing fits: at 8 bits 54 % of MNIST's digits instead
    /// of 97 %.
    fn box_projection(&self, [plus, minus]: [f32; 2], out: &mut [f32]) -> [f32; 2] {
        let (s, cap) = (self.scale, self.cap);
        let between = |v: f32| if v > 0.0 && v < cap { 1.0 } else { 0.0 };
        let [n, above, k, below] = sums([self.latent, self.gradient, self.latent, self.gradient], |[w, g, ..]| {
            let u = w / s;
            let (p, m) = (between(u - plus), between(-u - minus));
            [p, p * g * s, m, m * g * s]
        });
        let mean = |sum: f32, count: f32, threshold: f32| if threshold > 0.0 { sum / count.max(1.0) } else { 0.0 };
        let (above, below) = (mean(above, n, plus), mean(below, k, minus));
        let by_unit = |u: f32, h: f32| between(u - plus) * (h - above) + between(-u - minus) * (h - below);
        [self.through_units(out, by_unit), 0.0]
    }

    /// The same where the sides compete: each threshold is a function of both sides' sums, see [`super::mixture`].
    fn polygon_projection(&self, [plus, minus]: [f32; 2], [pp, pm, mp, mm]: [f32; 4], out: &mut [f32]) -> [f32; 2] {
        let (s, cap) = (self.scale, self.cap);
        let one = |is: bool| if is { 1.0 } else { 0.0 };
        let held = |u: f32| ((u - plus).max(0.0) - (-u - minus).max(0.0)).abs() <= cap;
        let sums = sums([self.latent, self.gradient, self.latent, self.gradient], |[w, g, ..]| {
            let (u, h) = (w / s, g * s * one(held(w / s)));
            [h * one(u > plus), h * one(-u > minus), 0.0, 0.0]
        });
        let (by_plus, by_minus) = (-sums[0], sums[1]);
        let (by_alpha, by_beta) = (by_plus * pp + by_minus * mp, by_plus * pm + by_minus * mm);
        let by_unit = |u: f32, h: f32| {
            let (above, below) = (one(u > plus), one(-u > minus));
            h * one(held(u)) * (above + below) + by_alpha * above - by_beta * below
        };
        [self.through_units(out, by_unit), 0.0]
    }

    /// `y = c min(g / s, budget) / |c|`, `c` being the weights, for A2Q+ less their mean, and the penalty `lambda relu(g - s budget)`.
    fn normed(&self, centred: bool, norm: f32, budget: f32, lambda: f32, out: &mut [f32]) -> [f32; 2] {
        let (s, cap, count) = (self.scale, self.cap, self.latent.len() as f32);
        let row = [self.latent, self.gradient, self.values, self.latent];
        let mean = if centred { sums(row, |[w, ..]| [w])[0] / count } else { 0.0 };
        let l1 = sums(row, |[w, ..]| [(w - mean).abs()])[0].max(1e-12);
        let target = (norm / s).min(budget);
        let factor = target / l1;
        let sign = |c: f32| {
            if c > 0.0 {
                1.0
            } else if c < 0.0 {
                -1.0
            } else {
                0.0
            }
        };
        let held = |c: f32| if (c * factor).abs() <= cap { s } else { 0.0 };
        let [by_factor, by_all, signs, by_value] = sums(row, |[w, g, value, _]| {
            let c = w - mean;
            let h = g * held(c);
            [h * c, h, sign(c), g * value]
        });
        // The l1 norm's own derivative; a channel without a norm has none.
        let by_norm = if l1 > 1e-12 { by_factor * factor / l1 } else { 0.0 };
        let shared = if centred { (by_all * factor - signs * by_norm) / count } else { 0.0 };
        for ((out, &w), &g) in out.iter_mut().zip(self.latent).zip(self.gradient) {
            let c = w - mean;
            *out = g * held(c) * factor - sign(c) * by_norm - shared;
        }
        let by_target = by_factor / l1;
        let (mut by_scale, mut by_g) = (by_value / s, 0.0);
        if norm / s < budget {
            by_g += by_target / s;
            by_scale -= by_target * norm / (s * s);
        }
        if norm > s * budget {
            by_g += lambda;
            by_scale -= lambda * budget;
        }
        [by_scale, by_g]
    }
}

/// Sums of what `of` makes of four numbers at a time.
fn sums<const N: usize>(rows: [&[f32]; 4], of: impl Fn([f32; 4]) -> [f32; N]) -> [f32; N] {
    let mut lanes = [[0f32; LANES]; N];
    let chunks = rows.map(|row| row.as_chunks::<LANES>());
    let [a, b, c, d] = chunks.map(|(chunks, _)| chunks);
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        (0..LANES).for_each(|lane| {
            let terms = of([a[lane], b[lane], c[lane], d[lane]]);
            lanes.iter_mut().zip(terms).for_each(|(sum, term)| sum[lane] += term);
        });
    }
    let [a, b, c, d] = chunks.map(|(_, rest)| rest);
    for (lane, (((a, b), c), d)) in a.iter().zip(b).zip(c).zip(d).enumerate() {
        let terms = of([*a, *b, *c, *d]);
        for (sum, term) in lanes.iter_mut().zip(terms) {
            sum[lane] += term;
        }
    }
    lanes.map(|lanes| lanes.iter().sum())
}
