//! DepthToSpace in mode CRD where its channels cannot come in the order that it reads: a permutation of channels in front of it.
//!
//! Hardware streams the channels of a pixel one after the other. The layer that computes them can do so in any order, so mode CRD
//! costs nothing behind a convolution. Concat and DepthToSpace fix theirs, and other readers may want another: there a
//! 1 x 1 convolution of ones and zeros permutes the channels, and mode DCR reads them.

use ndarray::Array2;

use super::build::Builder;
use super::error::Refusal;
use crate::datatype::DataType;
use crate::network::{Conv, DepthToSpace, Op, Tensor, TensorId, Window};
use crate::reach::output_type;

/// Puts the permutations in; `output` is what leaves the network.
///
/// # Errors
/// If a permutation would have too many weights.
pub fn settle(builder: &mut Builder, output: TensorId) -> Result<(), Refusal> {
    let mut at = 0;
    while at < builder.layers.len() {
        let layer = &builder.layers[at];
        if let Op::DepthToSpace(d) = layer.op
            && d.column_first
            && !any_order(builder, output, layer.inputs[0], layer.output)
        {
            permute(builder, at, d)?;
            at += 1;
        }
        at += 1;
    }
    Ok(())
}

/// Whether the channels of `tensor` may come in any order, read by the layer that writes `reader`.
fn any_order(builder: &Builder, output: TensorId, tensor: TensorId, reader: TensorId) -> bool {
    let others = builder.layers.iter().filter(|l| l.output != reader && l.inputs.contains(&tensor));
    let indifferent = |op: &Op| matches!(op, Op::Conv(conv) if conv.groups == 1) || matches!(op, Op::Flatten);
    if tensor == output || !others.map(|l| &l.op).all(indifferent) {
        return false;
    }
    let Some(writer) = builder.layers.iter().find(|l| l.output == tensor) else { return true };
    match &writer.op {
        Op::Concat | Op::DepthToSpace(_) | Op::Flatten => false,
        Op::Conv(conv) if conv.groups == 1 || conv.groups != conv.weights.nrows() => true,
        Op::Dense(_) => true,
        _ => {
            // A sum of a tensor and itself asks once: a chain of such sums would be asked two to its length times.
            let mut inputs = writer.inputs.clone();
            inputs.dedup();
            inputs.into_iter().all(|input| any_order(builder, output, input, tensor))
        }
    }
}

/// Puts a permutation in front of layer `at`, DepthToSpace `d`, which reads mode DCR then.
fn permute(builder: &mut Builder, at: usize, d: DepthToSpace) -> Result<(), Refusal> {
    let (node, input) = (builder.layers[at].node.clone(), builder.layers[at].inputs[0]);
    let tensor = &builder.tensors[input.0];
    let (channels, places) = (builder.channels(input), d.block * d.block);
    if channels.saturating_mul(channels) > MAX_WEIGHTS {
        return Err(Refusal::new(
            format!("DepthToSpace '{node}' reads {channels} channels in an order in which they do not come"),
            "use mode DCR, or put a convolution in front of it",
        ));
    }
    // Mode DCR has the places outside, CRD the channels.
    let source = |to: usize| to % (channels / places) * places + to / (channels / places);
    let weights = Array2::from_shape_fn((channels, channels), |(to, from)| i64::from(source(to) == from));
    let scale = tensor.scale.as_ref().map(|s| match s.len() {
        1 => s.clone(),
        _ => (0..channels).map(|to| s[source(to)]).collect(),
    });
    let name = format!("{} in the order of {node}", tensor.name);
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad_begin: [0, 0], pad_end: [0, 0] };
    let conv = Conv { weights, weight_type: DataType::signed(2), groups: 1, window };
    let permuted = builder.layer(&node, &name, Op::Conv(conv), vec![input], scale)?;
    builder.move_last(at);
    let layer = &mut builder.layers[at + 1];
    layer.inputs = vec![permuted];
    layer.op = Op::DepthToSpace(DepthToSpace { column_first: false, ..d });
    // Moves have the type of what they move, which is that of sums now.
    for layer in &builder.layers[at + 1..] {
        let read: Vec<&Tensor> = layer.inputs.iter().map(|i| &builder.tensors[i.0]).collect();
        let ranges = &builder.tensors[layer.output.0].ranges;
        if let Some(datatype) = output_type(&layer.op, &read, ranges) {
            builder.tensors[layer.output.0].datatype = datatype;
        }
    }
    Ok(())
}

/// Weights of a permutation: more are refused.
const MAX_WEIGHTS: usize = 1 << 24;

impl Builder {
    /// Puts the last layer at place `at`; layers are known by their places.
    fn move_last(&mut self, at: usize) {
        let last = self.layers.len() - 1;
        self.layers[at..].rotate_right(1);
        let moved = |i: usize| match i {
            i if i == last => at,
            i if i >= at => i + 1,
            i => i,
        };
        self.votes = std::mem::take(&mut self.votes).into_iter().map(|(i, v)| (moved(i), v)).collect();
        self.behind = self.behind.iter().map(|(&i, &b)| (moved(i), moved(b))).collect();
        self.chains.iter_mut().for_each(|chain| chain.index = moved(chain.index));
    }
}
