//! The graph of a network without its numbers, as it stands in the file's metadata.

use serde::{Deserialize, Serialize};

use super::input::Input;
use super::integers::damaged;
use super::{Entries, Integers, SCHEMA, StoreError};
use crate::datatype::{DataType, Range};
use crate::import::FirstQuant;
use crate::network::{
    Add, Conv, Dense, DepthToSpace, LabelGrid, Layer, MatrixLayer, Network, Op, Scale, Source, Steps, Table, Tensor,
    TensorId, Threshold, Window,
};

/// What is read first.
#[derive(Deserialize)]
pub(super) struct Schema {
    pub(super) schema: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Graph {
    schema: String,
    name: String,
    source: Source,
    input: TensorId,
    output: TensorId,
    output_name: String,
    output_shape: Vec<usize>,
    label_grid: Result<LabelGrid, String>,
    notes: Vec<String>,
    tensors: Vec<Edge>,
    layers: Vec<Node>,
    /// The input's shape in the source file, where it is not that of the pins with a batch of 1. Optional as what follows is, so that
    /// a network without one has the bytes that it always had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_shape: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    input_channels_last: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    output_channels_last: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_quant: Option<Input>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    name: String,
    shape: Vec<usize>,
    datatype: DataType,
    scale: Option<Vec<Scale>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    name: String,
    node: String,
    inputs: Vec<TensorId>,
    output: TensorId,
    op: Kind,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Kind {
    // In braces: a kind without fields would let unknown ones pass.
    Flatten {},
    Dense { weight_type: DataType },
    Threshold {},
    Conv { weight_type: DataType, groups: usize, window: Window },
    MaxPool { window: Window },
    SumPool { window: Window },
    Add { coefficients: Vec<i64> },
    Table { first: i64 },
    Concat {},
    Upsample { factor: [usize; 2] },
    DepthToSpace(DepthToSpace),
}

/// The shape of a tensor with a batch of 1; that of one that does not exist is for the validation to refuse.
fn with_batch(tensors: &[Tensor], id: TensorId) -> Vec<usize> {
    let shape = tensors.get(id.0).map_or(&[][..], |t| &t.shape[..]);
    [&[1], shape].concat()
}

impl Graph {
    /// The graph of a network, and the entries that hold its numbers.
    pub(super) fn of(network: &Network, first_quant: Option<&FirstQuant>) -> (Self, Vec<(String, Integers)>) {
        let mut entries = Vec::new();
        let tensors = network.tensors.iter().enumerate().map(|(i, t)| {
            let ends: Vec<i64> = t.ranges.iter().flat_map(|r| [r.lo, r.hi]).collect();
            entries.push((ranges_entry(i), Integers::new(vec![t.ranges.len(), 2], &ends)));
            Edge { name: t.name.clone(), shape: t.shape.clone(), datatype: t.datatype, scale: t.scale.clone() }
        });
        let tensors = tensors.collect();
        let layers = network.layers.iter().enumerate().map(|(i, layer)| {
            if let Some(MatrixLayer { weights, .. }) = MatrixLayer::of(layer) {
                let (rows, columns) = weights.dim();
                let weights: Vec<i64> = weights.iter().copied().collect();
                entries.push((layer_entry(i, "weights"), Integers::new(vec![rows, columns], &weights)));
            }
            let op = match &layer.op {
                Op::Flatten => Kind::Flatten {},
                Op::Dense(dense) => Kind::Dense { weight_type: dense.weight_type },
                Op::Conv(Conv { weight_type, groups, window, .. }) => {
                    Kind::Conv { weight_type: *weight_type, groups: *groups, window: *window }
                }
                Op::MaxPool(window) => Kind::MaxPool { window: *window },
                Op::SumPool(window) => Kind::SumPool { window: *window },
                Op::Add(add) => Kind::Add { coefficients: add.coefficients.clone() },
                Op::Table(table) => {
                    let (functions, codes) = table.codes.dim();
                    let values: Vec<i64> = table.codes.iter().copied().collect();
                    entries.push((layer_entry(i, "table"), Integers::new(vec![functions, codes], &values)));
                    Kind::Table { first: table.first }
                }
                Op::Concat => Kind::Concat {},
                Op::Upsample(factor) => Kind::Upsample { factor: *factor },
                Op::DepthToSpace(to) => Kind::DepthToSpace(*to),
                Op::Threshold(threshold) => {
                    entries.extend(step_entries(i, threshold));
                    Kind::Threshold {}
                }
            };
            let Layer { name, node, inputs, output, .. } = layer;
            Node { name: name.clone(), node: node.clone(), inputs: inputs.clone(), output: *output, op }
        });
        let layers = layers.collect();
        let graph = Graph {
            schema: SCHEMA.to_owned(),
            name: network.name.clone(),
            source: network.source.clone(),
            input: network.input,
            output: network.output,
            output_name: network.output_name.clone(),
            output_shape: network.output_shape.clone(),
            label_grid: network.label_grid.clone(),
            notes: network.notes.clone(),
            tensors,
            layers,
            input_shape: Some(&network.input_shape)
                .filter(|s| **s != with_batch(&network.tensors, network.input))
                .cloned(),
            input_channels_last: network.input_channels_last,
            output_channels_last: network.output_channels_last,
            first_quant: first_quant.map(Input::of),
        };
        (graph, entries)
    }

    /// The network of this graph, with its numbers from `entries`, and its input's quantizer; yet to be validated.
    pub(super) fn network(self, entries: &mut Entries<'_>) -> Result<(Network, Option<Input>), StoreError> {
        let tensors = self.tensors.into_iter().enumerate().map(|(i, edge)| {
            let Edge { name, shape, datatype, scale } = edge;
            Ok(Tensor { name, shape, datatype, ranges: ranges(i, entries)?, scale })
        });
        let tensors = tensors.collect::<Result<Vec<_>, StoreError>>()?;
        let layers = self.layers.into_iter().enumerate().map(|(i, layer)| {
            let Node { name, node, inputs, output, op } = layer;
            let op = match op {
                Kind::Flatten {} => Op::Flatten,
                Kind::Dense { weight_type } => {
                    Op::Dense(Dense { weights: entries.matrix(&layer_entry(i, "weights"))?, weight_type })
                }
                Kind::Threshold {} => Op::Threshold(threshold(i, entries)?),
                Kind::Conv { weight_type, groups, window } => {
                    Op::Conv(Conv { weights: entries.matrix(&layer_entry(i, "weights"))?, weight_type, groups, window })
                }
                Kind::MaxPool { window } => Op::MaxPool(window),
                Kind::SumPool { window } => Op::SumPool(window),
                Kind::Add { coefficients } => Op::Add(Add { coefficients }),
                Kind::Table { first } => Op::Table(Table { first, codes: entries.matrix(&layer_entry(i, "table"))? }),
                Kind::Concat {} => Op::Concat,
                Kind::Upsample { factor } => Op::Upsample(factor),
                Kind::DepthToSpace(to) => Op::DepthToSpace(to),
            };
            Ok(Layer { name, node, op, inputs, output })
        });
        let layers = layers.collect::<Result<_, StoreError>>()?;
        let input_shape = self.input_shape.unwrap_or_else(|| with_batch(&tensors, self.input));
        let network = Network {
            input_shape,
            input_channels_last: self.input_channels_last,
            output_channels_last: self.output_channels_last,
            name: self.name,
            source: self.source,
            tensors,
            layers,
            input: self.input,
            output: self.output,
            output_name: self.output_name,
            output_shape: self.output_shape,
            label_grid: self.label_grid,
            notes: self.notes,
        };
        Ok((network, self.first_quant))
    }
}

fn ranges_entry(tensor: usize) -> String {
    format!("tensor.{tensor}.ranges")
}

fn layer_entry(layer: usize, what: &str) -> String {
    format!("layer.{layer}.{what}")
}

fn ranges(tensor: usize, entries: &mut Entries<'_>) -> Result<Vec<Range>, StoreError> {
    let entry = ranges_entry(tensor);
    let ends = entries.matrix(&entry)?;
    let range = |row: ndarray::ArrayView1<'_, i64>| match row.as_slice() {
        Some(&[lo, hi]) => Ok(Range { lo, hi }),
        _ => Err(damaged(&entry, format!("{} values where lo and hi are expected", row.len()))),
    };
    ends.rows().into_iter().map(range).collect()
}

fn step_entries(layer: usize, threshold: &Threshold) -> [(String, Integers); 4] {
    let functions = threshold.channels.len();
    let steps: Vec<i64> = threshold.channels.iter().flat_map(|s| s.steps.iter().copied()).collect();
    let mut offsets = vec![0i64];
    let mut end = 0;
    for function in &threshold.channels {
        // Bytes in memory are fewer than 2^63.
        end += function.steps.len() as i64;
        offsets.push(end);
    }
    let base: Vec<i64> = threshold.channels.iter().map(|s| s.base).collect();
    let falling: Vec<i64> = threshold.channels.iter().map(|s| i64::from(s.falling)).collect();
    [
        (layer_entry(layer, "steps"), Integers::new(vec![steps.len()], &steps)),
        (layer_entry(layer, "offsets"), Integers::new(vec![functions + 1], &offsets)),
        (layer_entry(layer, "base"), Integers::new(vec![functions], &base)),
        (layer_entry(layer, "falling"), Integers::new(vec![functions], &falling)),
    ]
}

fn threshold(layer: usize, entries: &mut Entries<'_>) -> Result<Threshold, StoreError> {
    let steps = entries.list(&layer_entry(layer, "steps"))?;
    let base = entries.list(&layer_entry(layer, "base"))?;
    let falling_entry = layer_entry(layer, "falling");
    let falling = entries.list(&falling_entry)?;
    let offsets_entry = layer_entry(layer, "offsets");
    let offsets = entries.list(&offsets_entry)?;
    if falling.len() != base.len() || offsets.len() != base.len() + 1 {
        let what = format!("{} offsets and {} directions for {} functions", offsets.len(), falling.len(), base.len());
        return Err(damaged(&offsets_entry, what));
    }
    if offsets.first() != Some(&0) || offsets.last().copied() != i64::try_from(steps.len()).ok() {
        return Err(damaged(&offsets_entry, format!("they do not run from 0 to {}", steps.len())));
    }
    let mut channels = Vec::with_capacity(base.len());
    for (function, ends) in offsets.windows(2).enumerate() {
        let slice = match ends {
            &[from, to] => usize::try_from(from).ok().zip(usize::try_from(to).ok()).and_then(|(a, b)| steps.get(a..b)),
            _ => None,
        };
        let Some(slice) = slice else {
            return Err(damaged(&offsets_entry, format!("function {function} does not lie in the steps")));
        };
        let falling = match falling[function] {
            0 => false,
            1 => true,
            other => return Err(damaged(&falling_entry, format!("{other} where 0 or 1 is expected"))),
        };
        channels.push(Steps { base: base[function], steps: slice.to_vec(), falling });
    }
    Ok(Threshold { channels })
}
