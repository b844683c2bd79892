//! The elementwise functions that may stand between an accumulator and a quantizer: their meaning, written once for
//! every number domain.

use num_traits::One;
use serde::{Deserialize, Serialize};

use super::number::{Number, Precision, Rounding};
use super::real::Real;
use crate::datatype::{DataType, Signedness};

/// A monotone function of one real number with parameters of type `P`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Function<P> {
    /// `x * p`.
    Mul(P),
    /// `x / p`.
    Div(P),
    /// `x + p`.
    Add(P),
    /// `x - p`.
    Sub(P),
    /// `p - x`.
    SubFrom(P),
    /// `(x - mean) / sqrt(variance + epsilon) * gain + shift`.
    BatchNorm {
        /// Running mean.
        mean: P,
        /// Running variance.
        variance: P,
        /// What keeps the root from 0.
        epsilon: P,
        /// ONNX: `scale`.
        gain: P,
        /// ONNX: `B`.
        shift: P,
    },
    /// [`Function::BatchNorm`] whose root has been taken.
    Normalize {
        /// Running mean.
        mean: P,
        /// `sqrt(variance + epsilon)`.
        deviation: P,
        /// ONNX: `scale`.
        gain: P,
        /// ONNX: `B`.
        shift: P,
    },
    /// `max(x, 0)`.
    Relu,
    /// `x` where `x >= 0`, else `x * p`; `p >= 0`.
    LeakyRelu(P),
    /// `min(max(x, lo), hi)`.
    Clip(Option<P>, Option<P>),
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// QONNX `Quant` or `BipolarQuant`.
    Quant(Quant<P>),
    /// `scale * #{t : x >= t} + bias`; thresholds in any order.
    MultiThreshold {
        /// The thresholds.
        thresholds: Vec<P>,
        /// `out_scale`, positive.
        scale: P,
        /// `out_bias`.
        bias: P,
    },
}

/// `round(clamp(x / scale)) * scale`, or for a bipolar type `x >= 0 ? scale : -scale`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quant<P> {
    /// Value of a step, positive.
    pub scale: P,
    /// The codes.
    pub datatype: DataType,
    /// How integers are made.
    pub rounding: Rounding,
}

impl<N: Number> Quant<N> {
    /// The code of `x`; `None` if this domain cannot tell.
    pub fn code(&self, x: &N) -> Option<i64> {
        let t = x.div(&self.scale)?;
        if self.datatype.sign == Signedness::Bipolar {
            return Some(if t.at_least(&N::from_int(0))? { 1 } else { -1 });
        }
        let range = self.datatype.range();
        t.round(self.rounding, range.lo, range.hi)
    }
}

impl<P> Function<P> {
    /// The codes that come out, if this is a quantizer.
    pub fn codes(&self) -> Option<DataType> {
        match self {
            Function::Quant(quant) => Some(quant.datatype),
            Function::MultiThreshold { thresholds, .. } => {
                Some(DataType::unsigned((usize::BITS - thresholds.len().leading_zeros()).max(1)))
            }
            _ => None,
        }
    }

    /// Whether every result is an affine function of `x`, all parameters alike.
    pub fn is_affine(&self) -> bool {
        use Function::*;
        matches!(self, Mul(_) | Div(_) | Add(_) | Sub(_) | SubFrom(_) | BatchNorm { .. } | Normalize { .. })
    }

    /// The same function with other parameters; `f` sees each parameter once, in the order of the fields.
    pub fn map<Q>(&self, mut f: impl FnMut(&P) -> Q) -> Function<Q> {
        use Function::*;
        match self {
            Mul(p) => Mul(f(p)),
            Div(p) => Div(f(p)),
            Add(p) => Add(f(p)),
            Sub(p) => Sub(f(p)),
            SubFrom(p) => SubFrom(f(p)),
            BatchNorm { mean, variance, epsilon, gain, shift } => {
                BatchNorm { mean: f(mean), variance: f(variance), epsilon: f(epsilon), gain: f(gain), shift: f(shift) }
            }
            Normalize { mean, deviation, gain, shift } => {
                Normalize { mean: f(mean), deviation: f(deviation), gain: f(gain), shift: f(shift) }
            }
            Relu => Relu,
            LeakyRelu(p) => LeakyRelu(f(p)),
            Clip(lo, hi) => Clip(lo.as_ref().map(&mut f), hi.as_ref().map(&mut f)),
            Sigmoid => Sigmoid,
            Tanh => Tanh,
            Quant(q) => Quant(self::Quant { scale: f(&q.scale), datatype: q.datatype, rounding: q.rounding }),
            MultiThreshold { thresholds, scale, bias } => {
                MultiThreshold { thresholds: thresholds.iter().map(&mut f).collect(), scale: f(scale), bias: f(bias) }
            }
        }
    }
}

impl Function<Real> {
    /// The same function in another domain, with BatchNorm's root taken there.
    pub fn compile<N: Number>(&self, precision: Precision) -> Option<Function<N>> {
        let function = self.map(|p| N::from_real(p, precision));
        Some(match function {
            Function::BatchNorm { mean, variance, epsilon, gain, shift } => {
                Function::Normalize { mean, deviation: variance.add(&epsilon)?.sqrt()?, gain, shift }
            }
            other => other,
        })
    }

    /// `(a, b)` with `f(x) = a*x + b`; `None` if the function is not affine or the numbers leave [`Real`].
    pub fn affine(&self) -> Option<(Real, Real)> {
        use Function::*;
        let (zero, one) = (Real::from(0), Real::from(1));
        Some(match self {
            Mul(p) => (p.clone(), zero),
            Div(p) => (p.reciprocal()?, zero),
            Add(p) => (one, p.clone()),
            Sub(p) => (one, p.neg()),
            SubFrom(p) => (Real::from(-1), p.clone()),
            BatchNorm { mean, variance, epsilon, gain, shift } => {
                let a = gain.div(&variance.add(epsilon).sqrt()?)?;
                let b = shift.sub(&a.mul(mean));
                (a, b)
            }
            Normalize { mean, deviation, gain, shift } => {
                let a = gain.div(deviation)?;
                let b = shift.sub(&a.mul(mean));
                (a, b)
            }
            _ => return None,
        })
    }

    /// 1 if the function rises (or is constant), -1 if it falls.
    pub fn direction(&self) -> i32 {
        let sign = |p: &Real| if p.signum() < 0 { -1 } else { 1 };
        match self {
            Function::Mul(p) | Function::Div(p) => sign(p),
            Function::SubFrom(_) => -1,
            Function::BatchNorm { gain, .. } | Function::Normalize { gain, .. } => sign(gain),
            _ => 1,
        }
    }
}

impl<N: Number> Function<N> {
    /// `f(x)`, or `None` if this domain cannot tell.
    pub fn apply(&self, x: &N) -> Option<N> {
        use Function::*;
        match self {
            Mul(p) => x.mul(p),
            Div(p) => x.div(p),
            Add(p) => x.add(p),
            Sub(p) => x.sub(p),
            SubFrom(p) => p.sub(x),
            BatchNorm { mean, variance, epsilon, gain, shift } => {
                x.sub(mean)?.div(&variance.add(epsilon)?.sqrt()?)?.mul(gain)?.add(shift)
            }
            Normalize { mean, deviation, gain, shift } => x.sub(mean)?.div(deviation)?.mul(gain)?.add(shift),
            Relu => x.max(&N::from_int(0)),
            // Rising in x, so an interval around 0 is the hull of both branches: max(x, 0) + p * min(x, 0).
            LeakyRelu(p) => {
                let zero = N::from_int(0);
                x.max(&zero)?.add(&x.min(&zero)?.mul(p)?)
            }
            Clip(lo, hi) => {
                let x = lo.as_ref().map_or_else(|| Some(x.clone()), |lo| x.max(lo))?;
                hi.as_ref().map_or_else(|| Some(x.clone()), |hi| x.min(hi))
            }
            Sigmoid => x.sigmoid(),
            Tanh => x.tanh(),
            Quant(quant) => N::from_int(quant.code(x)?).mul(&quant.scale),
            MultiThreshold { scale, bias, .. } => N::from_int(self.code(x)?).mul(scale)?.add(bias),
        }
    }

    /// The code of `x`, if this is a quantizer and the domain can tell.
    pub fn code(&self, x: &N) -> Option<i64> {
        match self {
            Function::Quant(quant) => quant.code(x),
            Function::MultiThreshold { thresholds, .. } => {
                thresholds.iter().try_fold(0, |n, t| Some(n + i64::from(x.at_least(t)?)))
            }
            _ => None,
        }
    }
}

/// The affine function `a*x + b` that a row of affine functions is, if it is one.
pub fn compose_affine<'a>(functions: impl IntoIterator<Item = &'a Function<Real>>) -> Option<(Real, Real)> {
    let (mut a, mut b) = (Real::from(crate::rational::Rational::one()), Real::from(0));
    for function in functions {
        let (p, q) = function.affine()?;
        a = a.mul(&p);
        b = b.mul(&p).add(&q);
    }
    Some((a, b))
}
