//! The bounds of one layer, channel by channel.

use num_bigint::BigInt;
use num_rational::Ratio;
use serde::{Deserialize, Serialize};

use super::serial::{decimal, fraction};
use crate::bound::{Interval, SignSums, data_type_width, l1_width, mean_width, zero_centered_width};
use crate::datatype::{DataType, Signedness};
use crate::network::{MatrixLayer, Network, Tensor};
use crate::patch::Patches;

/// The accumulators of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerBounds {
    /// The layer's name.
    pub name: String,
    /// The ONNX node that it was made from.
    pub node: String,
    /// Declared type of its inputs.
    pub input: DataType,
    /// Declared type of its weights.
    pub weights: DataType,
    /// The widths that hold for the whole layer.
    pub accumulator: Widths,
    /// One entry for each output.
    pub channels: Vec<ChannelBounds>,
}

/// Accumulator widths of a layer in bits, by rule; see [`bound`](crate::bound). Each is that of the widest channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widths {
    /// What the datatypes and the number of products alone demand.
    pub data_type: u32,
    /// A2Q's l1 bound.
    pub l1: u32,
    /// A2Q+'s bound, for weights that are not zero-centred.
    pub zero_centered: u32,
    /// Smallest width over the input's declared type.
    pub exact: u32,
    /// Mean of the exact widths over all channels.
    #[serde(with = "fraction")]
    pub exact_mean: Ratio<u64>,
    /// What hardware needs: reachable input ranges, live channels only. 0 if no channel is live.
    pub used: u32,
}

/// The accumulator of one output channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelBounds {
    /// Sum of the positive weights.
    #[serde(with = "decimal")]
    pub alpha: BigInt,
    /// Sum of the magnitudes of the negative weights.
    #[serde(with = "decimal")]
    pub beta: BigInt,
    /// Over the input's declared type, or 0: every partial sum in every order lies within.
    pub exact: Bounds,
    /// The same over the ranges that the input channels can reach: what a register holds on its way.
    pub prefix: Bounds,
    /// Whether the final value is the same for every input that can be reached: no register is needed.
    pub dead: bool,
    /// The input at which `exact.max` is attained, a character for each column: `+` the type's largest code, `-` its
    /// smallest, `0` any. With `+` and `-` exchanged it attains `exact.min`.
    pub witness: String,
    /// Of a convolution: where the witness stands. There is a whole window unless the image is too small for it, and then
    /// the columns that are off the image count as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Places>,
}

/// Places of a convolution's output, vertical and horizontal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// Where `exact.max` is attained.
    pub max: [usize; 2],
    /// Where `exact.min` is attained.
    pub min: [usize; 2],
}

/// An interval of accumulator values and its width.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Smallest value.
    #[serde(with = "decimal")]
    pub min: BigInt,
    /// Largest value.
    #[serde(with = "decimal")]
    pub max: BigInt,
    /// Bits of the smallest two's complement register that holds both.
    pub width: u32,
}

impl From<Interval> for Bounds {
    fn from(interval: Interval) -> Self {
        let width = interval.width();
        Bounds { min: interval.lo, max: interval.hi, width }
    }
}

impl LayerBounds {
    /// The bounds of every layer of a valid network that has accumulators.
    pub fn of_network(network: &Network) -> Vec<Self> {
        let of = |matrix: MatrixLayer<'_>| {
            let layer = matrix.layer;
            Self::of(matrix, network.tensor(layer.input()), network.tensor(layer.output))
        };
        network.matrix_layers().map(of).collect()
    }

    fn of(matrix: MatrixLayer<'_>, input: &Tensor, output: &Tensor) -> Self {
        let patches = matrix.patches(input);
        let rows = 0..matrix.weights.nrows();
        let channels: Vec<_> = rows.map(|row| ChannelBounds::of(matrix, row, &patches, input, output)).collect();
        let widest = |of: &dyn Fn(&SignSums) -> u32| {
            let sums = channels.iter().map(|c| SignSums { alpha: c.alpha.clone(), beta: c.beta.clone() });
            sums.map(|sums| of(&sums)).max().unwrap_or(0)
        };
        let accumulator = Widths {
            data_type: data_type_width(matrix.k(), input.datatype, matrix.weight_type),
            l1: widest(&|sums| l1_width(sums, input.datatype)),
            zero_centered: widest(&|sums| zero_centered_width(sums, input.datatype)),
            exact: channels.iter().map(|c| c.exact.width).max().unwrap_or(0),
            exact_mean: mean_width(channels.iter().map(|c| c.exact.width)),
            used: channels.iter().filter(|c| !c.dead).map(|c| c.prefix.width).max().unwrap_or(0),
        };
        LayerBounds {
            name: matrix.layer.name.clone(),
            node: matrix.layer.node.clone(),
            input: input.datatype,
            weights: matrix.weight_type,
            accumulator,
            channels,
        }
    }
}

impl ChannelBounds {
    fn of(matrix: MatrixLayer<'_>, row: usize, patches: &Patches, input: &Tensor, output: &Tensor) -> Self {
        let weights = matrix.weights.row(row);
        let SignSums { alpha, beta } = SignSums::of(weights);
        let exact = matrix.exact(row, patches, input);
        let prefix = matrix.prefix(row, patches, &input.ranges[matrix.channels(row, input)]);
        let witness = weights.iter().map(|w| match w.signum() {
            1 => '+',
            -1 => '-',
            _ => '0',
        });
        ChannelBounds {
            alpha,
            beta,
            exact: Interval::from(exact.ends).into(),
            prefix: Interval::from(prefix.ends).into(),
            // In a valid network, the reachable range.
            dead: output.ranges[row].constant().is_some(),
            witness: witness.collect(),
            at: matrix.window.map(|_| Places { max: exact.hi_at, min: exact.lo_at }),
        }
    }

    /// The inputs, codes of `input`, at which `exact.max` and `exact.min` are attained.
    ///
    /// # Errors
    /// The first character of `witness` that is none of `+`, `-`, `0`.
    pub fn inputs(&self, input: DataType) -> Result<crate::bound::Witness, char> {
        let (lo, hi) = (input.range().lo, input.range().hi);
        let idle = if input.sign == Signedness::Bipolar { hi } else { 0 };
        let mut witness = crate::bound::Witness { max: Vec::new(), min: Vec::new() };
        for sign in self.witness.chars() {
            let (max, min) = match sign {
                '+' => (hi, lo),
                '-' => (lo, hi),
                '0' => (idle, idle),
                other => return Err(other),
            };
            witness.max.push(max);
            witness.min.push(min);
        }
        Ok(witness)
    }
}
