//! The bounds of one layer, channel by channel.

use ndarray::ArrayView1;
use num_bigint::BigInt;
use num_rational::Ratio;
use serde::{Deserialize, Serialize};

use super::serial::{decimal, fraction};
use crate::bound::{
    Interval, SignSums, data_type_width, l1_width, mean_width, prefix_interval, reachable_interval, zero_centered_width,
};
use crate::datatype::{DataType, Signedness};
use crate::network::{Dense, Layer, Network, Tensor};

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
        network.dense_layers().map(|(layer, dense)| Self::of(layer, dense, network.tensor(layer.input()))).collect()
    }

    fn of(layer: &Layer, dense: &Dense, input: &Tensor) -> Self {
        let rows = || dense.weights.rows().into_iter();
        let channels: Vec<ChannelBounds> = rows().map(|row| ChannelBounds::of(row, input)).collect();
        let widest = |of: &dyn Fn(&SignSums) -> u32| rows().map(|row| of(&SignSums::of(row))).max().unwrap_or(0);
        let accumulator = Widths {
            data_type: data_type_width(dense.weights.ncols(), input.datatype, dense.weight_type),
            l1: widest(&|sums| l1_width(sums, input.datatype)),
            zero_centered: widest(&|sums| zero_centered_width(sums, input.datatype)),
            exact: channels.iter().map(|c| c.exact.width).max().unwrap_or(0),
            exact_mean: mean_width(channels.iter().map(|c| c.exact.width)),
            used: channels.iter().filter(|c| !c.dead).map(|c| c.prefix.width).max().unwrap_or(0),
        };
        LayerBounds {
            name: layer.name.clone(),
            node: layer.node.clone(),
            input: input.datatype,
            weights: dense.weight_type,
            accumulator,
            channels,
        }
    }
}

impl ChannelBounds {
    fn of(row: ArrayView1<'_, i64>, input: &Tensor) -> Self {
        let sums = SignSums::of(row);
        let exact = sums.interval(input.datatype.range()).into();
        let witness = row.iter().map(|w| match w.signum() {
            1 => '+',
            -1 => '-',
            _ => '0',
        });
        ChannelBounds {
            exact,
            prefix: prefix_interval(row, &input.ranges).into(),
            dead: reachable_interval(row, &input.ranges).is_constant(),
            witness: witness.collect(),
            alpha: sums.alpha,
            beta: sums.beta,
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
