//! The trained network in `f64`: sums of products of codes are exact there, and what follows is computed once from them.
//!
//! It shares nothing with the importer, with golden or with training's tensors: that all give the same class is a check of each.

use ndarray::Array2;
use quantizer::network::Window;

use super::{Part, Trained};
use crate::graph::{Matrix, Op};
use crate::model::EPSILON;

/// Values of a node: `units * step / divisor`. Of codes (and of sums of codes) the units are integers, so that a quotient of theirs is rounded once, and is a tie
/// only where it is one.
#[derive(Clone)]
struct Values {
    units: Vec<f64>,
    step: f64,
    divisor: f64,
}

impl Values {
    /// Real values.
    fn real(units: Vec<f64>) -> Self {
        Values { units, step: 1.0, divisor: 1.0 }
    }

    fn get(&self, i: usize) -> f64 {
        self.units[i] * self.step / self.divisor
    }
}

impl Trained {
    /// The outputs for one sample (values 0 to 1) as real numbers.
    pub fn outputs(&self, sample: &[f32]) -> Vec<f64> {
        let nodes = &self.graph.nodes;
        let mut values: Vec<Values> = Vec::with_capacity(nodes.len());
        for (node, part) in nodes.iter().zip(&self.parts) {
            // Every node but the first reads one before it.
            let source = node.inputs.first().map_or(0, |&i| i);
            let shape = nodes[source].shape;
            let value = match (&node.op, part) {
                (Op::Input, Part::Scale(scale)) => {
                    let x = Values::real(sample.iter().map(|&v| f64::from(v)).collect());
                    codes(&x, f64::from(*scale), 0.0, 2f64.powi(self.graph.input_bits as i32) - 1.0)
                }
                (Op::Codes(quantizer), Part::Scale(scale)) => {
                    let range = quantizer.datatype(&self.bits).range();
                    codes(&values[source], f64::from(*scale), range.lo as f64, range.hi as f64)
                }
                (Op::Matrix(matrix), Part::Weights { codes, scales, bias }) => {
                    let x = &values[source];
                    let sums = match &matrix.window {
                        Some(window) => convolution(&x.units, shape, codes, window, matrix, node.shape),
                        None => dense(&x.units, codes),
                    };
                    let place = sums.len() / scales.len().max(1);
                    let real = |(i, sum): (usize, f64)| {
                        let channel = i / place.max(1);
                        let bias = bias.as_ref().map_or(0.0, |b| f64::from(b[channel]));
                        sum * f64::from(scales[channel]) * x.step / x.divisor + bias
                    };
                    Values::real(sums.into_iter().enumerate().map(real).collect())
                }
                (Op::Norm, Part::Norm(parts)) => norm(&values[source], parts),
                (Op::MaxPool(window), _) => pool(&values[source], shape, window, node.shape, true),
                (Op::AveragePool(window), _) => pool(&values[source], shape, window, node.shape, false),
                (Op::Add, _) => add(&values[source], &values[node.inputs[1]]),
                (Op::DepthToSpace(block), _) => depth_to_space(&values[source], node.shape, *block),
                // Parts are made from the graph, one kind for each operation.
                _ => Values::real(Vec::new()),
            };
            values.push(value);
        }
        values.pop().map_or_else(Vec::new, |last| (0..last.units.len()).map(|i| last.get(i)).collect())
    }
}

/// Nearest codes, ties to even. One quotient: products of codes and scales of 8 significant bits are exact.
fn codes(x: &Values, scale: f64, lo: f64, hi: f64) -> Values {
    let divisor = x.divisor * scale;
    let code = |&u: &f64| (u * x.step / divisor).round_ties_even().clamp(lo, hi);
    Values { units: x.units.iter().map(code).collect(), step: scale, divisor: 1.0 }
}

fn dense(x: &[f64], codes: &Array2<i64>) -> Vec<f64> {
    codes.rows().into_iter().map(|row| row.iter().zip(x).map(|(&w, x)| w as f64 * x).sum()).collect()
}

fn convolution(
    x: &[f64],
    [channels, height, width]: [usize; 3],
    codes: &Array2<i64>,
    window: &Window,
    matrix: &Matrix,
    [outputs, h, w]: [usize; 3],
) -> Vec<f64> {
    let mut sums = vec![0.0; outputs * h * w];
    let [kh, kw] = window.kernel;
    let each = channels / matrix.groups;
    for (r, row) in codes.rows().into_iter().enumerate() {
        let first = r / (outputs / matrix.groups) * each;
        let plane = &mut sums[r * h * w..(r + 1) * h * w];
        for (column, &code) in row.iter().enumerate().filter(|(_, code)| **code != 0) {
            let (c, u, v) = (first + column / (kh * kw), column / kw % kh, column % kw);
            let code = code as f64;
            for i in 0..h {
                let Some(y) = (i * window.stride[0] + u).checked_sub(window.pad_begin[0]).filter(|&y| y < height)
                else {
                    continue;
                };
                let line = &x[(c * height + y) * width..(c * height + y + 1) * width];
                for (j, sum) in plane[i * w..(i + 1) * w].iter_mut().enumerate() {
                    let at = (j * window.stride[1] + v).wrapping_sub(window.pad_begin[1]);
                    if let Some(x) = line.get(at) {
                        *sum += code * x;
                    }
                }
            }
        }
    }
    sums
}

fn norm(x: &Values, [gain, shift, mean, variance]: &[Vec<f32>; 4]) -> Values {
    let place = (x.units.len() / gain.len().max(1)).max(1);
    let normal = |i: usize| {
        let c = i / place;
        let spread = (f64::from(variance[c]) + f64::from(EPSILON)).sqrt();
        (x.get(i) - f64::from(mean[c])) / spread * f64::from(gain[c]) + f64::from(shift[c])
    };
    Values::real((0..x.units.len()).map(normal).collect())
}

/// The largest, or the sum (and its divisor), of every window.
fn pool(
    x: &Values,
    [_, height, width]: [usize; 3],
    window: &Window,
    [channels, h, w]: [usize; 3],
    max: bool,
) -> Values {
    let mut units = Vec::with_capacity(channels * h * w);
    for c in 0..channels {
        for i in 0..h {
            for j in 0..w {
                let mut taken = if max { f64::NEG_INFINITY } else { 0.0 };
                for u in 0..window.kernel[0] {
                    for v in 0..window.kernel[1] {
                        let y = (i * window.stride[0] + u).wrapping_sub(window.pad_begin[0]);
                        let z = (j * window.stride[1] + v).wrapping_sub(window.pad_begin[1]);
                        if y < height && z < width {
                            let value = x.units[(c * height + y) * width + z];
                            taken = if max { f64::max(taken, value) } else { taken + value };
                        }
                    }
                }
                units.push(taken);
            }
        }
    }
    let places = if max { 1.0 } else { (window.kernel[0] * window.kernel[1]) as f64 };
    Values { units, step: x.step, divisor: x.divisor * places }
}

/// Both branches have one step.
fn add(a: &Values, b: &Values) -> Values {
    let units = a.units.iter().zip(&b.units).map(|(a, b)| a + b).collect();
    Values { units, step: a.step, divisor: a.divisor }
}

fn depth_to_space(x: &Values, [channels, h, w]: [usize; 3], block: usize) -> Values {
    let (low, wide) = (h / block, w / block);
    let mut units = Vec::with_capacity(channels * h * w);
    for c in 0..channels {
        for i in 0..h {
            for j in 0..w {
                let from = (c * block + i % block) * block + j % block;
                units.push(x.units[(from * low + i / block) * wide + j / block]);
            }
        }
    }
    Values { units, ..x.clone() }
}
