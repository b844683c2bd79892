//! Signals: tensors that depend on the input, as real functions of an integer tensor.

use super::chain::{Link, Param};
use super::constant::{self, Constant};
use super::error::Refusal;
use super::function::Function;
use super::moves::Pending;
use super::pad::Padding;
use crate::network::TensorId;

/// Parameters that differ inside a channel are spread out; more elements than this are refused.
const MAX_SPREAD: usize = 1 << 20;

/// Where a signal begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The graph's input, of which only real values are known.
    Raw,
    /// Codes: the pins.
    Codes(TensorId),
    /// Sums of products.
    Accumulator(TensorId),
    /// A sum of branches without a common grid, see [`super::sum`]; only its quantizer makes it integers.
    Sum(usize),
}

/// A tensor that depends on the input.
#[derive(Clone, Debug)]
pub struct Signal {
    /// The integers that it is a function of.
    pub origin: Origin,
    /// Its shape in ONNX, batch dimension included (1). Row-major order is the origin's behind the moves.
    pub shape: Vec<usize>,
    /// The functions, first to last, written for the origin's channels and elements.
    pub links: Vec<Link>,
    /// What happens to places and channels, first to last; see [`super::moves`].
    pub moves: Vec<Pending>,
    /// Zeros around the image that are not in `shape`: only a convolution or a pooling takes them.
    pub padding: Option<Padding>,
    /// Whether the graph's tensor is this one with channels last; see [`super::layout`].
    pub channels_last: bool,
    /// Of a vector whose elements the graph has channels last: how many channels there are.
    pub interleaved: Option<usize>,
    /// The node that last changed the shape.
    pub reshaped: String,
}

impl Signal {
    /// The integers `tensor`, as they are.
    pub fn new(origin: Origin, shape: Vec<usize>, node: &str) -> Self {
        Signal {
            origin,
            shape,
            links: Vec::new(),
            moves: Vec::new(),
            padding: None,
            channels_last: false,
            interleaved: None,
            reshaped: node.into(),
        }
    }

    /// What it is a function of, and of how many functions.
    pub fn functions(&self) -> (Option<TensorId>, usize) {
        (self.tensor(), self.links.len())
    }

    /// The integer tensor that it is a function of, if there is one.
    pub fn tensor(&self) -> Option<TensorId> {
        match self.origin {
            Origin::Raw | Origin::Sum(_) => None,
            Origin::Codes(id) | Origin::Accumulator(id) => Some(id),
        }
    }

    /// Its shape as one image: `[channels, height, width]`, or `[channels, length]`.
    ///
    /// # Errors
    /// If there is another number of dimensions, or more than one image.
    pub fn image(&self) -> Result<Vec<usize>, Refusal> {
        match self.shape[..] {
            [1, c, n] => Ok(vec![c, n]),
            [1, c, h, w] => Ok(vec![c, h, w]),
            _ => Err(Refusal::new(
                format!("the data's shape {:?} is not that of one image", self.shape),
                "supported are [1, channels, length] and [1, channels, height, width]",
            )),
        }
    }

    /// Its shape as one image, zeros of a Pad included.
    ///
    /// # Errors
    /// As [`Signal::image`].
    pub fn padded_image(&self) -> Result<Vec<usize>, Refusal> {
        let image = self.image()?;
        Ok(self.padding.as_ref().map_or_else(|| image.clone(), |p| p.around(&image)))
    }

    /// The signal without the zeros of a Pad, and those.
    pub fn without_padding(&self) -> (Signal, Option<Padding>) {
        let mut signal = self.clone();
        let padding = signal.padding.take();
        (signal, padding)
    }

    /// Refuses zeros of a Pad, for readers that cannot take them in.
    ///
    /// # Errors
    /// If there are some.
    pub fn unpadded(&self) -> Result<(), Refusal> {
        match &self.padding {
            None => Ok(()),
            Some(padding) => Err(Refusal::new(
                format!("it reads what Pad '{}' has enlarged", padding.node),
                "put a depthwise 1 x 1 Conv of weight 1 and a Quant of the same type behind the Pad",
            )),
        }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The links up to the last quantizer, and those behind it.
    pub fn split(&self) -> (&[Link], &[Link]) {
        let quantized = self.links.iter().rposition(|l| l.function.codes().is_some()).map_or(0, |i| i + 1);
        self.links.split_at(quantized)
    }

    /// A constant operand as a parameter: one number, one per block of elements, or one per element.
    ///
    /// # Errors
    /// If it does not broadcast to the signal's shape, would enlarge it, or is not finite.
    pub fn param(&self, c: &Constant) -> Result<Param, Refusal> {
        if c.len() == 1 {
            return Ok(Param::scalar(c.real(0)?));
        }
        let fits = constant::broadcast_shape(&c.shape, &self.shape).is_some_and(|s| s == self.shape);
        if !fits || c.len() == 0 {
            return Err(Refusal::new(
                format!("a constant of shape {:?} does not broadcast to the tensor's {:?}", c.shape, self.shape),
                "check the graph's shapes",
            ));
        }
        // Equal blocks: the constant varies along one axis, and those before it are 1.
        let lead = self.shape.len() - c.shape.len();
        let varying: Vec<usize> = (0..c.shape.len()).filter(|&i| c.shape[i] != 1).map(|i| i + lead).collect();
        if let [axis] = varying[..]
            && self.shape[..axis].iter().all(|&d| d == 1)
        {
            return Ok(Param::new(c.to_reals()?));
        }
        if self.elements() > MAX_SPREAD {
            return Err(Refusal::new(
                format!("a constant of shape {:?} differs inside the channels of {:?}", c.shape, self.shape),
                "use one number per channel",
            ));
        }
        let values = constant::broadcast_indices(&c.shape, &self.shape).into_iter().map(|i| c.real(i));
        Ok(Param::new(values.collect::<Result<_, _>>()?))
    }

    /// A vector of one number per channel (dimension 1, or 0 of a vector) as a parameter.
    ///
    /// # Errors
    /// If its length is another, or it is not finite.
    pub fn channel_param(&self, c: &Constant, what: &str) -> Result<Param, Refusal> {
        let channels = self.shape.get(1).or(self.shape.first()).copied().unwrap_or(1);
        if c.len() != channels || channels == 0 {
            return Err(Refusal::new(
                format!("its {what} has {} numbers, the tensor of shape {:?} {channels} channels", c.len(), self.shape),
                "check the graph's shapes",
            ));
        }
        if self.shape.len() > 1 && self.shape[0] != 1 {
            return Err(Refusal::new(
                format!("the tensor of shape {:?} has no batch dimension of 1", self.shape),
                "add one",
            ));
        }
        Ok(Param::new(c.to_reals()?))
    }

    /// The signal with one function more.
    pub fn then(&self, node: &str, output: &str, function: Function<Param>, sources: Vec<String>) -> Signal {
        let mut signal = self.clone();
        signal.links.push(Link { node: node.into(), output: output.into(), function, sources });
        signal
    }

    /// The signal in another shape of as many elements.
    pub fn reshaped(&self, node: &str, shape: Vec<usize>) -> Signal {
        debug_assert_eq!(self.elements(), shape.iter().product::<usize>());
        Signal { shape, reshaped: node.into(), ..self.clone() }
    }
}
