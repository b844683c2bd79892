//! What a network computes, as plainly as the definitions of its layers say it: loops in `i128`, no trick.

use crate::datatype::Range;
use crate::network::{Conv, Network, Op, TensorId, Window, image};

/// Every tensor of `network` for one sample, row-major; entry `i` is `Network::tensors[i]`.
pub fn evaluate(network: &Network, sample: &[i64]) -> Vec<Vec<i128>> {
    evaluate_with(network, sample, |_, _| ())
}

/// As [`evaluate`], each tensor changed by `adjust` before anything reads it.
pub fn evaluate_with(network: &Network, sample: &[i64], adjust: impl Fn(TensorId, &mut Vec<i128>)) -> Vec<Vec<i128>> {
    let mut tensors: Vec<Vec<i128>> = vec![Vec::new(); network.tensors.len()];
    tensors[network.input.0] = sample.iter().map(|&x| i128::from(x)).collect();
    adjust(network.input, &mut tensors[network.input.0]);
    for layer in &network.layers {
        let inputs: Vec<View<'_>> = layer
            .inputs
            .iter()
            .map(|id| {
                let (channels, size) = image(&network.tensor(*id).shape).unwrap_or((0, [0, 0]));
                View { values: &tensors[id.0], channels, size }
            })
            .collect();
        let (_, size) = image(&network.tensor(layer.output).shape).unwrap_or((0, [0, 0]));
        tensors[layer.output.0] = compute(&layer.op, &inputs, size);
        adjust(layer.output, &mut tensors[layer.output.0]);
    }
    tensors
}

/// An image and its values.
#[derive(Clone, Copy)]
struct View<'a> {
    values: &'a [i128],
    channels: usize,
    size: [usize; 2],
}

impl View<'_> {
    /// The value at a place, `None` outside the image.
    fn at(&self, c: usize, i: i128, j: i128) -> Option<i128> {
        let [height, width] = self.size.map(|n| n as i128);
        let inside = 0 <= i && i < height && 0 <= j && j < width;
        inside.then(|| self.values[c * self.size[0] * self.size[1] + (i * width + j) as usize])
    }

    /// The values of a channel that the window at place (i, j) of the result reads, `None` outside the image.
    fn window(&self, window: &Window, c: usize, i: usize, j: usize) -> Vec<Option<i128>> {
        let mut read = Vec::new();
        for u in 0..window.kernel[0] {
            for v in 0..window.kernel[1] {
                let y = (i * window.stride[0] + u * window.dilation[0]) as i128 - window.pad_begin[0] as i128;
                let x = (j * window.stride[1] + v * window.dilation[1]) as i128 - window.pad_begin[1] as i128;
                read.push(self.at(c, y, x));
            }
        }
        read
    }
}

fn compute(op: &Op, inputs: &[View<'_>], [height, width]: [usize; 2]) -> Vec<i128> {
    let x = inputs[0];
    // An output of this many channels, value by value.
    let build = |channels: usize, of: &dyn Fn(usize, usize, usize) -> i128| {
        let mut values = Vec::new();
        for c in 0..channels {
            for i in 0..height {
                for j in 0..width {
                    values.push(of(c, i, j));
                }
            }
        }
        values
    };
    match op {
        Op::Flatten => x.values.to_vec(),
        Op::Dense(dense) => {
            let rows = dense.weights.rows().into_iter();
            rows.map(|row| row.iter().zip(x.values).map(|(&w, x)| i128::from(w) * x).sum()).collect()
        }
        Op::Threshold(threshold) => {
            let code = |(e, &value): (usize, &i128)| {
                let steps = threshold.channel(e * x.channels / x.values.len());
                let counts = |&&t: &&i64| if steps.falling { value < t.into() } else { value >= t.into() };
                i128::from(steps.base) + steps.steps.iter().filter(counts).count() as i128
            };
            x.values.iter().enumerate().map(code).collect()
        }
        Op::Table(table) => {
            let code = |(e, &value): (usize, &i128)| {
                let channel = e * x.channels / x.values.len();
                i128::from(table.row(channel)[usize::try_from(value - i128::from(table.first)).unwrap_or(usize::MAX)])
            };
            x.values.iter().enumerate().map(code).collect()
        }
        Op::Conv(Conv { weights, groups, window, .. }) => {
            let (each, rows) = (x.channels / groups, weights.nrows() / groups);
            build(weights.nrows(), &|r, i, j| {
                let first = r / rows * each;
                let patch = (first..first + each).flat_map(|c| x.window(window, c, i, j));
                patch.zip(weights.row(r)).map(|(x, &w)| x.unwrap_or(0) * i128::from(w)).sum()
            })
        }
        Op::MaxPool(window) => {
            let most = |c, i, j| x.window(window, c, i, j).into_iter().flatten().max().unwrap_or(i128::MIN);
            build(x.channels, &most)
        }
        Op::SumPool(window) => build(x.channels, &|c, i, j| x.window(window, c, i, j).into_iter().flatten().sum()),
        Op::Add(add) => {
            let of = |e: usize| inputs.iter().zip(&add.coefficients).map(|(x, &k)| i128::from(k) * x.values[e]).sum();
            (0..x.values.len()).map(of).collect()
        }
        Op::Concat => inputs.iter().flat_map(|x| x.values.iter().copied()).collect(),
        Op::Upsample(factor) => {
            build(x.channels, &|c, i, j| x.at(c, (i / factor[0]) as i128, (j / factor[1]) as i128).unwrap_or(i128::MIN))
        }
        Op::DepthToSpace(to) => {
            let block = to.block;
            let channels = x.channels / (block * block);
            build(channels, &|c, i, j| {
                let (u, v) = (i % block, j % block);
                let from = if to.column_first { (c * block + u) * block + v } else { (u * block + v) * channels + c };
                x.at(from, (i / block) as i128, (j / block) as i128).unwrap_or(i128::MIN)
            })
        }
    }
}

/// Asserts that every value of [`evaluate`] keeps the promises that its tensor makes.
///
/// # Panics
/// If one does not.
pub fn assert_promises(network: &Network, tensors: &[Vec<i128>]) {
    for (declared, values) in network.tensors.iter().zip(tensors) {
        let each = values.len() / declared.ranges.len();
        assert_eq!(values.len(), declared.shape.iter().product::<usize>(), "{}", declared.name);
        for (e, &value) in values.iter().enumerate() {
            let Range { lo, hi } = declared.ranges[e / each];
            let legal = i128::from(lo) <= value && value <= i128::from(hi) && declared.datatype.holds(value as i64);
            assert!(legal, "tensor '{}', element {e}: {value}", declared.name);
        }
    }
}
