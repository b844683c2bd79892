//! Float32 ties: places where rounding errors of single precision can change a decision.
//!
//! A band of numbers is carried through the functions before a quantizer: every operation widens it by what float32
//! may lose there. Where the quantizer gives different codes at the two ends of the band, float32 may give either.

use ndarray::Array2;
use quantizer::import::Chain;
use quantizer::import::chain::{compile, functions, run};
use quantizer::import::number::{Number, Precision, Rounding};
use quantizer::import::real::Real;
use quantizer::network::{Op, TensorId, image};

use super::decides;
use crate::data::Values;
use crate::inputs::Inputs;
use crate::model::Model;

/// What an operation may lose, relative to its result: four times float32's rounding error, since one operation of
/// a file may be several in an executor (BatchNorm, a division as a product with the reciprocal).
const LOSS: f64 = 4.0 * (f32::EPSILON as f64) / 2.0;

/// Numbers that float32 may have in the place of an exact one; `high` says which end decides.
#[derive(Clone, Copy, Debug)]
struct Band<const HIGH: bool> {
    lo: f64,
    hi: f64,
}

impl<const HIGH: bool> Band<HIGH> {
    fn exact(v: f64) -> Self {
        Band { lo: v, hi: v }
    }

    fn around(v: f64, error: f64) -> Self {
        Band { lo: v - error, hi: v + error }
    }

    fn widened(values: &[f64]) -> Option<Self> {
        let lo = values.iter().copied().fold(f64::INFINITY, f64::min);
        let hi = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let known = values.iter().all(|v| !v.is_nan());
        known.then(|| Band { lo: lo - lo.abs() * LOSS, hi: hi + hi.abs() * LOSS })
    }

    fn end(&self) -> f64 {
        if HIGH { self.hi } else { self.lo }
    }

    /// A rising function of both ends.
    fn rising(&self, f: impl Fn(f64) -> f64) -> Option<Self> {
        Self::widened(&[f(self.lo), f(self.hi)])
    }
}

impl<const HIGH: bool> Number for Band<HIGH> {
    fn from_real(v: &Real, _: Precision) -> Self {
        Self::exact(v.to_f64())
    }

    fn from_int(v: i64) -> Self {
        Self::exact(v as f64)
    }

    fn add(&self, other: &Self) -> Option<Self> {
        Self::widened(&[self.lo + other.lo, self.hi + other.hi])
    }

    fn sub(&self, other: &Self) -> Option<Self> {
        Self::widened(&[self.lo - other.hi, self.hi - other.lo])
    }

    fn mul(&self, other: &Self) -> Option<Self> {
        Self::widened(&[self.lo * other.lo, self.lo * other.hi, self.hi * other.lo, self.hi * other.hi])
    }

    fn div(&self, other: &Self) -> Option<Self> {
        Self::widened(&[self.lo / other.lo, self.lo / other.hi, self.hi / other.lo, self.hi / other.hi])
    }

    fn sqrt(&self) -> Option<Self> {
        self.rising(f64::sqrt)
    }

    fn min(&self, other: &Self) -> Option<Self> {
        Some(Band { lo: self.lo.min(other.lo), hi: self.hi.min(other.hi) })
    }

    fn max(&self, other: &Self) -> Option<Self> {
        Some(Band { lo: self.lo.max(other.lo), hi: self.hi.max(other.hi) })
    }

    fn at_least(&self, other: &Self) -> Option<bool> {
        Some(self.end() >= other.end())
    }

    fn sigmoid(&self) -> Option<Self> {
        self.rising(|v| 1.0 / (1.0 + (-v).exp()))
    }

    fn tanh(&self) -> Option<Self> {
        self.rising(f64::tanh)
    }

    fn round(&self, mode: Rounding, lo: i64, hi: i64) -> Option<i64> {
        Some(mode.apply(self.end().clamp(lo as f64, hi as f64)))
    }
}

/// The codes at both ends of the band that float32 may make of `value`, itself off by `error`.
fn codes(functions: &[quantizer::import::function::Function<Real>], value: f64, error: f64) -> Option<(i64, i64)> {
    let low = run(&compile::<Band<false>>(functions, Precision(53))?, &Band::around(value, error))?;
    let high = run(&compile::<Band<true>>(functions, Precision(53))?, &Band::around(value, error))?;
    Some((low.min(high), low.max(high)))
}

/// The smallest and the largest code that float32 may give at this element behind layer `index`.
///
/// `None` if the layer does not decide anything, or its meaning is not known (a stored network).
pub fn threshold(
    model: &Model,
    tensors: &[Array2<i64>],
    index: usize,
    sample: usize,
    element: usize,
) -> Option<(i64, i64)> {
    let layer = model.network.layers.get(index).filter(|l| decides(&l.op))?;
    let chain: &Chain = model.chains.iter().find(|c| c.index == index)?;
    let value = tensors[layer.input().0][[sample, element]] as f64;
    codes(&functions(&chain.links, element, chain.elements), value, sum_error(model, tensors, index, sample, element))
}

/// What float32 may lose while it adds up the products behind this element: its rounding error relative to the sum of
/// their magnitudes. (Executors add in blocks: the number of roundings on the way of one product is a handful.)
fn sum_error(model: &Model, tensors: &[Array2<i64>], index: usize, sample: usize, element: usize) -> f64 {
    let source = model.network.layers[index].input();
    let Some(layer) = model.network.layers.iter().find(|l| l.output == source) else { return 0.0 };
    let inputs = tensors[layer.input().0].row(sample);
    let magnitude = |(&w, &x): (&i64, &i64)| (w as f64 * x as f64).abs();
    let products: f64 = match &layer.op {
        Op::Dense(dense) => dense.weights.row(element).into_iter().zip(inputs).map(magnitude).sum(),
        Op::Conv(conv) => {
            let shape = |id: TensorId| image(&model.network.tensor(id).shape).unwrap_or((1, [1, 1]));
            let ((channels, [height, width]), (_, [_, columns])) = (shape(layer.input()), shape(layer.output));
            let pixels = model.network.tensor(layer.output).shape.iter().skip(1).product::<usize>();
            let (row, pixel) = (element / pixels, element % pixels);
            let window = &conv.window;
            let first = row / (conv.weights.nrows() / conv.groups) * (channels / conv.groups);
            let places = window.kernel[0] * window.kernel[1];
            let at = |a: usize, out: usize, tap: usize| {
                (out * window.stride[a] + tap * window.dilation[a]).checked_sub(window.pad_begin[a])
            };
            let term = |(column, w): (usize, &i64)| {
                let (channel, place) = (first + column / places, column % places);
                let y = at(0, pixel / columns, place / window.kernel[1]).filter(|&y| y < height)?;
                let x = at(1, pixel % columns, place % window.kernel[1]).filter(|&x| x < width)?;
                Some(magnitude((w, &inputs[(channel * height + y) * width + x])))
            };
            conv.weights.row(row).iter().enumerate().filter_map(term).sum()
        }
        _ => 0.0,
    };
    products * LOSS
}

/// The same for an element of the input behind the first quantizer, from the value that the data give.
pub fn input(model: &Model, inputs: &Inputs, sample: usize, element: usize) -> Option<(i64, i64)> {
    let first = model.first_quant.as_ref()?;
    let samples = &inputs.samples;
    let value = samples.values.float(sample * samples.size + element);
    let pixel = samples.kind.is_pixels() && matches!(samples.values, Values::Bytes(_));
    let value = if pixel { value / 255.0 } else { value };
    let channels = model.network.tensor(model.network.input).shape.first().copied().unwrap_or(1).max(1);
    let channel = element / (samples.size / channels).max(1);
    let value = model.normalise.approximate(value, channel);
    codes(&functions(&first.links, channel, channels), value, value.abs() * LOSS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use quantizer::datatype::DataType;
    use quantizer::import::function::{Function, Quant};
    use quantizer::rational::from_decimal;

    use super::*;

    fn real(text: &str) -> Real {
        from_decimal(text).unwrap().into()
    }

    /// x * 0.1, then a quantizer of step 0.1 to 4 bits: x itself, decided at x.5.
    fn chain() -> Vec<Function<Real>> {
        let quant =
            Quant { scale: real("0.1"), datatype: DataType::unsigned(4), rounding: Rounding::parse("ROUND").unwrap() };
        vec![Function::Mul(real("0.1")), Function::Quant(quant)]
    }

    #[test]
    fn only_near_a_decision_either_code_is_possible() {
        assert_eq!(codes(&chain(), 3.0, 0.0), Some((3, 3)));
        assert_eq!(codes(&chain(), 3.5, 0.0), Some((3, 4)));
        assert_eq!(codes(&chain(), 3.5 + 1e-7, 0.0), Some((3, 4)));
        assert_eq!(codes(&chain(), 3.501, 0.0), Some((4, 4)));
        assert_eq!(codes(&chain(), 3.501, 0.01), Some((3, 4)));
        assert_eq!(codes(&chain(), 99.0, 0.0), Some((15, 15)));
    }

    #[test]
    fn a_falling_chain_gives_ordered_codes() {
        let mut chain = chain();
        chain.insert(0, Function::SubFrom(real("7")));
        assert_eq!(codes(&chain, 3.5, 0.0), Some((3, 4)));
    }
}
