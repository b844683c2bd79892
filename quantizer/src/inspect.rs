//! The layer table of a network: what `snug inspect` shows. Its JSON keys are a contract with users.

use num_traits::ToPrimitive;
use serde::Serialize;

use crate::certificate::{LayerBounds, Widths};
use crate::datatype::DataType;
use crate::network::{Dense, Layer, Network, Op, Scale, Source, Tensor, TensorId, Threshold};
use crate::reach::elements;
use crate::validate::Invalid;

/// Version of the table's form.
pub const SCHEMA: &str = "snug.inspect/1";

/// A network at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The network's name.
    pub name: String,
    /// The file that it was imported from.
    pub source: Source,
    /// What the pins carry in.
    pub input: Port,
    /// What leaves.
    pub output: Port,
    /// Why classes cannot be compared on one integer grid; null if they can, and hardware can give the label.
    pub label_refused: Option<String>,
    /// One row for each layer, in order.
    pub layers: Vec<Row>,
    /// Multiplications for one sample, zero weights included.
    pub macs: u64,
    /// What the import had to say.
    pub notes: Vec<String>,
}

/// A tensor at the network's border.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Port {
    /// The tensor's ONNX name.
    pub name: String,
    /// The datatype in short: `u8`, `s2 narrow`, `bipolar`.
    #[serde(rename = "type")]
    pub datatype: String,
    /// Bits of one element.
    pub bits: u32,
    /// Whether there are negative codes.
    pub signed: bool,
    /// Smallest code.
    pub min: i64,
    /// Largest code.
    pub max: i64,
    /// Shape without the batch dimension.
    pub shape: Vec<usize>,
    /// Elements of one sample.
    pub elements: usize,
    /// How elements follow each other: `row-major` (the last dimension fastest) over `shape`.
    pub order: &'static str,
    /// Real value of a code, `factor * code + offset`, per channel or one for all; null where it has none.
    pub scale: Option<Vec<Scale>>,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The layer's name.
    pub name: String,
    /// The ONNX node that it was made from.
    pub node: String,
    /// What it computes.
    pub kind: Kind,
    /// Elements that it reads for one sample.
    pub inputs: usize,
    /// Elements that it writes.
    pub outputs: usize,
    /// Type of what it reads.
    pub input: Type,
    /// Type of what it writes.
    pub output: Type,
    /// Its weights; null if it has none.
    pub weights: Option<Weights>,
    /// Its thresholds; null if it has none.
    pub thresholds: Option<Thresholds>,
    /// Multiplications for one sample, zero weights included.
    pub macs: u64,
    /// Accumulator widths by rule; null if it has no accumulators.
    pub accumulator: Option<Accumulator>,
}

/// What a layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// Another shape.
    Flatten,
    /// A fully connected layer.
    Dense,
    /// Requantization of accumulators.
    Threshold,
    /// The first quantizer as hardware: from what the pins carry to its codes.
    InputMap,
}

/// A datatype.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Type {
    /// Bits.
    pub bits: u32,
    /// Whether there are negative codes.
    pub signed: bool,
    /// In short: `u8`, `s2 narrow`, `bipolar`.
    #[serde(rename = "type")]
    pub datatype: String,
}

/// Weights of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Weights {
    /// Bits of their declared type.
    pub bits: u32,
    /// The type in short.
    #[serde(rename = "type")]
    pub datatype: String,
    /// How many there are.
    pub total: usize,
    /// How many of them are not 0.
    pub nonzero: usize,
    /// Outputs all of whose weights are 0.
    pub dead_outputs: usize,
    /// Outputs with one value only, whatever the network's input; the dead ones among them.
    pub constant_outputs: usize,
}

/// Thresholds of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thresholds {
    /// Step functions: one for each channel, or 1 for all.
    pub functions: usize,
    /// Steps of the longest one.
    pub steps: usize,
    /// Functions that fall.
    pub falling: usize,
    /// Functions without a step: constant channels.
    pub constant: usize,
}

/// Accumulator widths in bits, over the input's declared type but for `used`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accumulator {
    /// What datatypes and length alone demand.
    pub data_type: u32,
    /// A2Q's l1 bound.
    pub l1: u32,
    /// A2Q+'s bound.
    pub zero_centered: u32,
    /// The exact width of the widest channel.
    pub exact: u32,
    /// Mean of the exact widths over channels. A float: it is for people.
    pub exact_mean: f64,
    /// What the hardware gets.
    pub used: u32,
}

impl From<Widths> for Accumulator {
    fn from(w: Widths) -> Self {
        // Both parts of the fraction are small counts, so that it always has a float.
        let exact_mean = w.exact_mean.to_f64().unwrap_or_default();
        let Widths { data_type, l1, zero_centered, exact, used, .. } = w;
        Accumulator { data_type, l1, zero_centered, exact, exact_mean, used }
    }
}

/// The table of `network`.
///
/// # Errors
/// If the network is not valid.
pub fn inspect(network: &Network) -> Result<Inspection, Vec<Invalid>> {
    network.validate()?;
    let mut bounds = LayerBounds::of_network(network).into_iter();
    let layers: Vec<Row> = network
        .layers
        .iter()
        .map(|layer| {
            let accumulator = match layer.op {
                Op::Dense(_) => bounds.next(),
                Op::Flatten | Op::Threshold(_) => None,
            };
            row(network, layer, accumulator)
        })
        .collect();
    Ok(Inspection {
        schema: SCHEMA,
        name: network.name.clone(),
        source: network.source.clone(),
        input: port(network.tensor(network.input), None),
        output: port(network.tensor(network.output), Some(&network.output_name)),
        label_refused: network.label_grid.clone().err(),
        macs: layers.iter().map(|row| row.macs).sum(),
        layers,
        notes: network.notes.clone(),
    })
}

fn row(network: &Network, layer: &Layer, bounds: Option<LayerBounds>) -> Row {
    let (input, output) = (network.tensor(layer.input()), network.tensor(layer.output));
    let (kind, weights, thresholds) = match &layer.op {
        Op::Flatten => (Kind::Flatten, None, None),
        Op::Dense(dense) => (Kind::Dense, Some(weights(dense, bounds.as_ref())), None),
        Op::Threshold(t) if holds_pins(network, layer.input()) => (Kind::InputMap, None, Some(thresholds(t))),
        Op::Threshold(t) => (Kind::Threshold, None, Some(thresholds(t))),
    };
    Row {
        name: layer.name.clone(),
        node: layer.node.clone(),
        kind,
        inputs: size(input),
        outputs: size(output),
        input: datatype(input.datatype),
        output: datatype(output.datatype),
        macs: weights.as_ref().map_or(0, |w| w.total as u64),
        weights,
        thresholds,
        accumulator: bounds.map(|b| b.accumulator.into()),
    }
}

/// Whether a tensor holds what the pins carry, perhaps in another shape.
fn holds_pins(network: &Network, id: TensorId) -> bool {
    let reshaped = |l: &Layer| l.output == id && l.op == Op::Flatten && holds_pins(network, l.input());
    id == network.input || network.layers.iter().any(reshaped)
}

fn weights(dense: &Dense, bounds: Option<&LayerBounds>) -> Weights {
    Weights {
        bits: dense.weight_type.bits,
        datatype: dense.weight_type.to_string(),
        total: dense.weights.len(),
        nonzero: dense.weights.iter().filter(|&&w| w != 0).count(),
        dead_outputs: dense.weights.rows().into_iter().filter(|row| row.iter().all(|&w| w == 0)).count(),
        constant_outputs: bounds.map_or(0, |b| b.channels.iter().filter(|c| c.dead).count()),
    }
}

fn thresholds(threshold: &Threshold) -> Thresholds {
    let count = |of: fn(&crate::network::Steps) -> bool| threshold.channels.iter().filter(|s| of(s)).count();
    Thresholds {
        functions: threshold.channels.len(),
        steps: threshold.channels.iter().map(|s| s.steps.len()).max().unwrap_or(0),
        falling: count(|s| s.falling && !s.steps.is_empty()),
        constant: count(|s| s.steps.is_empty()),
    }
}

fn port(tensor: &Tensor, name: Option<&str>) -> Port {
    let Type { bits, signed, datatype } = datatype(tensor.datatype);
    Port {
        name: name.unwrap_or(&tensor.name).to_owned(),
        datatype,
        bits,
        signed,
        min: tensor.datatype.range().lo,
        max: tensor.datatype.range().hi,
        shape: tensor.shape.clone(),
        elements: size(tensor),
        order: "row-major",
        scale: tensor.scale.clone(),
    }
}

fn datatype(t: DataType) -> Type {
    Type { bits: t.bits, signed: t.is_signed(), datatype: t.to_string() }
}

/// Elements of a valid network's tensor.
fn size(tensor: &Tensor) -> usize {
    elements(&tensor.shape).unwrap_or_default()
}

#[cfg(test)]
mod tests;
