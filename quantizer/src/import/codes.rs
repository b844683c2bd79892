//! The integer codes of a signal, and what they mean: where a layer reads it, and at the network's end.

use num_traits::{Signed, ToPrimitive, Zero};

use super::build::{self, Builder};
use super::chain::{Link, Param, blocks, functions};
use super::error::Refusal;
use super::function::{Function, compose_affine};
use super::moves::{self, Move};
use super::real::Real;
use super::signal::{Origin, Signal};
use crate::network::{Scale, TensorId};
use crate::rational::{self, Rational};

/// Codes of an integer tensor with the real values `factor * code + offset` per block of elements.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The tensor.
    pub tensor: TensorId,
    /// Factors, blocks as in [`Param`].
    pub factor: Param,
    /// Offsets in as many blocks.
    pub offset: Param,
}

impl Quantized {
    /// The offsets, unless all are 0.
    pub fn offsets(&self) -> Option<&Param> {
        self.offset.values().iter().any(|b| !b.is_zero()).then_some(&self.offset)
    }

    /// Factor and offset of each of so many channels.
    ///
    /// # Errors
    /// If they differ inside a channel.
    pub fn per_channel(&self, channels: usize) -> Result<(Vec<Real>, Vec<Real>), Refusal> {
        if !channels.is_multiple_of(self.factor.blocks()) {
            return Err(Refusal::new(
                format!("it reads {channels} channels, inside which scales differ"),
                "quantize its input with one scale per tensor or channel",
            ));
        }
        let of = |p: &Param| (0..channels).map(|c| p.at(c, channels).clone()).collect();
        Ok((of(&self.factor), of(&self.offset)))
    }

    /// As metadata of a tensor of so many channels; `None` if scales differ inside them.
    pub fn scales_of(&self, channels: usize) -> Option<Vec<Scale>> {
        channels.is_multiple_of(self.factor.blocks()).then(|| {
            build::scales(
                (0..channels).map(|c| (self.factor.at(c, channels).clone(), self.offset.at(c, channels).clone())),
            )
        })?
    }

    /// A signal of these values.
    pub fn signal(self, shape: Vec<usize>, node: &str, output: &str) -> Signal {
        let zero = self.offsets().is_none();
        let signal = Signal::new(Origin::Codes(self.tensor), shape, node);
        let signal = signal.then(node, output, Function::Mul(self.factor), Vec::new());
        if zero { signal } else { signal.then(node, output, Function::Add(self.offset), Vec::new()) }
    }
}

/// The refusal of a graph input of which only real values are known.
pub fn raw() -> Refusal {
    Refusal::new(
        "it reads the graph's input, which is not quantized",
        "say what the pins carry with --input-type, for example --input-type u8/255, or put a Quant node at the input",
    )
}

/// The integer codes of a signal, thresholds built and moves carried out where needed. With `consumer` the signal must
/// be quantized (T3); without it may be an accumulator, at the network's end.
///
/// # Errors
/// If the signal is not quantized, or a function behind the last quantizer is not affine.
pub fn codes(builder: &mut Builder, signal: &Signal, node: &str, consumer: bool) -> Result<Quantized, Refusal> {
    let (quantized, tail) = signal.split();
    let source = match signal.origin {
        Origin::Raw => return Err(raw()),
        Origin::Sum(index) => return Err(builder.sums[index].refusal()),
        Origin::Accumulator(_) if quantized.is_empty() && consumer => {
            return Err(Refusal::new(
                "it reads an activation that is not quantized",
                "put a Quant node in front of it (Brevitas: QuantReLU or QuantIdentity)",
            ));
        }
        Origin::Codes(id) | Origin::Accumulator(id) => id,
    };
    signal.unpadded()?;
    if let Some(link) = tail.iter().find(|l| !l.function.is_affine()) {
        return Err(Refusal::new(
            format!("between the last quantizer and here, node '{}' is not affine", link.node),
            "move it in front of the quantizer, or put another Quant node behind it",
        ));
    }
    rising_before_pools(signal)?;
    let elements: usize = builder.tensors[source.0].shape.iter().product();
    let channels = builder.channels(source);
    let mut tensor = builder.threshold(source, quantized, &signal.reshaped)?;
    if builder.channels(tensor) != channels && !signal.moves.is_empty() {
        return Err(Refusal::new(
            format!("behind '{}' parameters differ inside the channels of an image", signal.moves[0].node),
            "use one number per channel",
        ));
    }
    for pending in &signal.moves {
        tensor = builder.moved(tensor, pending)?;
    }
    // The last quantizer's own values come first.
    let value = quantized.last().map(|l| value_of_codes(&l.function)).unwrap_or_default();
    let link = |function| Link { node: node.into(), output: String::new(), function, sources: Vec::new() };
    let affine: Vec<Link> = value.into_iter().map(link).chain(tail.iter().cloned()).collect();
    let blocks = blocks(&affine);
    let (mut factor, mut offset) = (Vec::with_capacity(blocks), Vec::with_capacity(blocks));
    for b in 0..blocks {
        let functions = functions(&affine, b * (elements / blocks), elements);
        let (a, c) = compose_affine(&functions).ok_or_else(|| {
            Refusal::new(
                "a constant in front of it is a sum of roots, which has no exact inverse here",
                "fold the constants",
            )
        })?;
        factor.push(a);
        offset.push(c);
    }
    let behind = |values| moves::behind(&Param::new(values), &signal.moves, channels).ok_or_else(joined_apart);
    Ok(Quantized { tensor, factor: behind(factor)?, offset: behind(offset)? })
}

/// The refusal of parameters that differ between channels which a move makes one.
fn joined_apart() -> Refusal {
    Refusal::new(
        "in front of it a DepthToSpace joins channels of different scales",
        "quantize with one scale per tensor",
    )
}

/// Refuses a MaxPool that stands behind values which fall as codes rise: its maximum is taken of codes.
fn rising_before_pools(signal: &Signal) -> Result<(), Refusal> {
    let (quantized, tail) = signal.split();
    for pool in signal.moves.iter().filter(|m| matches!(m.what, Move::MaxPool(_))) {
        let before = pool.after.saturating_sub(quantized.len()).min(tail.len());
        if moves::falls_together(&tail[..before]) {
            return Err(Refusal::new(
                format!("between the last quantizer and MaxPool '{}', values fall as codes rise", pool.node),
                "put a Quant node right in front of the pooling, or behind it",
            ));
        }
    }
    Ok(())
}

/// The signal with its thresholds built and its moves carried out on codes; functions behind the last quantizer stay.
///
/// # Errors
/// If the signal is not quantized, or a function cannot be taken behind the moves.
pub fn settle(builder: &mut Builder, signal: &Signal, node: &str) -> Result<Signal, Refusal> {
    rising_before_pools(signal)?;
    let (quantized, tail) = signal.split();
    let channels = signal.tensor().map_or(1, |id| builder.channels(id));
    let mut base = Signal { links: quantized.to_vec(), ..signal.clone() };
    base.moves.iter_mut().for_each(|m| m.after = m.after.min(quantized.len()));
    let output = signal.moves.last().map(|m| m.output.clone()).unwrap_or_default();
    let mut settled = codes(builder, &base, node, true)?.signal(signal.shape.clone(), node, &output);
    for link in tail {
        let mut apart = false;
        let function = link.function.map(|p| {
            moves::behind(p, &signal.moves, channels).unwrap_or_else(|| {
                apart = true;
                p.clone()
            })
        });
        if apart {
            return Err(joined_apart());
        }
        settled.links.push(Link { function, ..link.clone() });
    }
    Ok(settled)
}

/// A quantizer's values as functions of its codes.
pub fn value_of_codes(function: &Function<Param>) -> Vec<Function<Param>> {
    match function {
        Function::Quant(quant) => vec![Function::Mul(quant.scale.clone())],
        Function::MultiThreshold { scale, bias, .. } => {
            let mul = Function::Mul(scale.clone());
            if bias.values()[0].is_zero() { vec![mul] } else { vec![mul, Function::Add(bias.clone())] }
        }
        _ => Vec::new(),
    }
}

/// Factors as whole multiples of one: `factors[i] = multiples[i] * step`. One factor is a multiple of itself; of several,
/// the step is the largest that divides all.
///
/// # Errors
/// If quotients of factors are irrational, or no small whole numbers.
pub fn common_factor(factors: &[Real]) -> Result<(Real, Vec<i64>), Refusal> {
    if let Some(first) = factors.first()
        && factors.iter().all(|f| f == first)
    {
        return Ok((first.clone(), vec![1; factors.len()]));
    }
    let refused = |why: &str| {
        Refusal::new(
            format!("it reads channels of different scales, {why}"),
            "quantize its input with one scale per tensor",
        )
    };
    let unit = factors.iter().find(|f| !f.is_zero()).cloned().unwrap_or_else(|| 1.into());
    let ratios: Option<Vec<Rational>> = factors.iter().map(|f| f.ratio(&unit)).collect();
    let ratios = ratios.ok_or_else(|| refused("whose quotients are irrational"))?;
    let step = ratios.iter().fold(Rational::zero(), |g, r| rational::gcd(&g, r));
    let step = if step.is_positive() { step } else { rational::integer(1) };
    let multiples: Option<Vec<i64>> =
        ratios.iter().map(|r| (r / &step).to_integer().to_i64().filter(|m| m.abs() <= MAX_MULTIPLE)).collect();
    let multiples = multiples.ok_or_else(|| refused("which are no small multiples of one"))?;
    Ok((unit.mul(&step.into()), multiples))
}

/// The largest whole number by which scales may differ: weights and coefficients grow by it.
pub const MAX_MULTIPLE: i64 = 1 << 16;
