//! The layer table of a network: what `snug inspect` shows. Its JSON keys are a contract with users.

use num_traits::ToPrimitive;
use serde::Serialize;

use crate::bound::Interval;
use crate::certificate::{LayerBounds, Widths};
use crate::datatype::{DataType, Range};
use crate::network::{Layer, MatrixLayer, Network, Op, Scale, Source, Tensor, TensorId, Threshold};
use crate::patch::Ends;
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
    /// Elements that it reads for one sample, of all its inputs.
    pub inputs: usize,
    /// Elements that it writes.
    pub outputs: usize,
    /// Type of what it reads, of a join's first input.
    pub input: Type,
    /// Type of what it writes.
    pub output: Type,
    /// Its weights; null if it has none.
    pub weights: Option<Weights>,
    /// Its thresholds; null if it has none.
    pub thresholds: Option<Thresholds>,
    /// Multiplications for one sample, zero weights included.
    pub macs: u64,
    /// Accumulator widths by rule; null for all but Dense and Conv.
    pub accumulator: Option<Accumulator>,
    /// Widths of the sum of a SumPool or an Add; null for all others.
    pub sum: Option<Sum>,
}

/// Bits of a two's complement register that holds a sum without weights, partial sums included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Over the inputs' declared types.
    pub exact: u32,
    /// Over what the inputs can reach.
    pub used: u32,
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
    /// A convolution.
    Conv,
    /// The largest code of a window.
    MaxPool,
    /// The sum of a window's codes: an average, whose division is in the thresholds behind it.
    SumPool,
    /// A sum of tensors.
    Add,
    /// Channels one after the other.
    Concat,
    /// Codes by look-up.
    Table,
    /// Larger by nearest neighbours.
    Upsample,
    /// Channels become places.
    DepthToSpace,
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
            let matrix = MatrixLayer::of(layer);
            let accumulator = matrix.and_then(|_| bounds.next());
            row(network, layer, matrix, accumulator)
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

fn row(network: &Network, layer: &Layer, matrix: Option<MatrixLayer<'_>>, bounds: Option<LayerBounds>) -> Row {
    let (input, output) = (network.tensor(layer.input()), network.tensor(layer.output));
    let inputs = || layer.inputs.iter().map(|&id| network.tensor(id));
    let (kind, thresholds, sum) = match &layer.op {
        Op::Flatten => (Kind::Flatten, None, None),
        Op::Dense(_) => (Kind::Dense, None, None),
        Op::Threshold(t) if holds_pins(network, layer.input()) => (Kind::InputMap, Some(thresholds(t)), None),
        Op::Threshold(t) => (Kind::Threshold, Some(thresholds(t)), None),
        Op::Conv(_) => (Kind::Conv, None, None),
        Op::MaxPool(_) => (Kind::MaxPool, None, None),
        Op::SumPool(window) => {
            let terms = (window.kernel[0] * window.kernel[1]) as i64;
            (Kind::SumPool, None, Some(sum(&[(terms, input)])))
        }
        Op::Add(add) => {
            let terms: Vec<_> = add.coefficients.iter().copied().zip(inputs()).collect();
            (Kind::Add, None, Some(sum(&terms)))
        }
        Op::Table(_) => (Kind::Table, None, None),
        Op::Concat => (Kind::Concat, None, None),
        Op::Upsample(_) => (Kind::Upsample, None, None),
        Op::DepthToSpace(_) => (Kind::DepthToSpace, None, None),
    };
    let macs = matrix.map_or(0, |m| (m.weights.len() as u64).saturating_mul(m.places(output) as u64));
    let weights = matrix.map(|matrix| weights(matrix, bounds.as_ref()));
    Row {
        name: layer.name.clone(),
        node: layer.node.clone(),
        kind,
        inputs: inputs().map(size).sum(),
        outputs: size(output),
        input: datatype(input.datatype),
        output: datatype(output.datatype),
        macs,
        weights,
        thresholds,
        accumulator: bounds.map(|b| b.accumulator.into()),
        sum,
    }
}

/// Bits of a register in which `factor` times every tensor add up, in any order and perhaps not all of them.
fn sum(terms: &[(i64, &Tensor)]) -> Sum {
    let width = |range: &dyn Fn(&Tensor, usize) -> Range, channel: usize| {
        let mut total = Ends::default();
        for &(factor, tensor) in terms {
            let range = range(tensor, channel).hull(Range::ZERO);
            // Far from overflow in a valid network.
            total = total.plus(Ends::of(factor, range)).unwrap_or(total);
        }
        Interval::from(total).width()
    };
    let channels = 0..terms.first().map_or(0, |(_, tensor)| tensor.ranges.len());
    let widest = |range: &dyn Fn(&Tensor, usize) -> Range| channels.clone().map(|c| width(range, c)).max().unwrap_or(1);
    Sum { exact: widest(&|tensor, _| tensor.datatype.range()), used: widest(&|tensor, c| tensor.ranges[c]) }
}

/// Whether a tensor holds what the pins carry, perhaps in another shape.
fn holds_pins(network: &Network, id: TensorId) -> bool {
    let reshaped = |l: &Layer| l.output == id && l.op == Op::Flatten && holds_pins(network, l.input());
    id == network.input || network.layers.iter().any(reshaped)
}

fn weights(matrix: MatrixLayer<'_>, bounds: Option<&LayerBounds>) -> Weights {
    let MatrixLayer { weights, weight_type, .. } = matrix;
    Weights {
        bits: weight_type.bits,
        datatype: weight_type.to_string(),
        total: weights.len(),
        nonzero: weights.iter().filter(|&&w| w != 0).count(),
        dead_outputs: weights.rows().into_iter().filter(|row| row.iter().all(|&w| w == 0)).count(),
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
