//! Which tensors must come in a given channel order: joins and the output take the source's, depth to space the parts
//! of a pixel one after the other, groups of a convolution the channels of each together, sums of a flattened image its pixels one after
//! the other. Everything else takes its producer's order.

use std::collections::{HashMap, HashSet};

use quantizer::network::{DepthToSpace, TensorId};

use crate::error::GenerateError;
use crate::stages::{Groups, Matrix, Stage, Stages, Work, unsupported};

/// The orders that are asked for; tensors that are not in it are free.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    asked: HashMap<TensorId, Vec<usize>>,
}

impl Orders {
    /// Finds them, from the output backwards.
    ///
    /// # Errors
    /// Two readers of one tensor that ask for different orders.
    pub fn of(graph: &Stages) -> Result<Self, GenerateError> {
        let channels = |t: TensorId| graph.network.tensor(t).shape.first().copied().unwrap_or(1);
        let natural = |t: TensorId| (0..channels(t)).collect::<Vec<usize>>();
        let mut orders = Orders::default();
        orders.asked.insert(graph.network.output, natural(graph.network.output));
        for stage in graph.stages.iter().rev() {
            let asked = orders.asked.get(&stage.output).cloned();
            for &input in &stage.inputs {
                let wanted = match &stage.work {
                    Work::Matrix(matrix) => match matrix.groups {
                        Some(groups) => grouped(stage, groups, asked.as_deref(), &natural(input))?,
                        None => None,
                    },
                    // An image comes pixel by pixel, whatever is asked; where that is it, its channels must be in order.
                    Work::Flatten => {
                        asked.as_deref().filter(|order| *order == by_pixels(graph, input)).map(|_| natural(input))
                    }
                    Work::Requant(_) | Work::Table(_) | Work::Pool { .. } | Work::Upsample(_) => asked.clone(),
                    Work::Add(_) => Some(match flattened(graph, stage)? {
                        Some(image) => by_pixels(graph, image),
                        None => asked.clone().unwrap_or_else(|| natural(input)),
                    }),
                    Work::Concat => match &asked {
                        Some(order) if !order.is_sorted() => {
                            return Err(unsupported(
                                stage.layer,
                                "depth to space (CRD) behind it reads its channels in another order; put a convolution between, or use mode DCR",
                            ));
                        }
                        _ => Some(natural(input)),
                    },
                    Work::DepthToSpace(d) => match &asked {
                        Some(order) if !order.is_sorted() => {
                            return Err(unsupported(
                                stage.layer,
                                "depth to space behind it reads its channels in another order; put a convolution between, or join both in one block",
                            ));
                        }
                        _ => Some(parts(*d, channels(input))),
                    },
                };
                let Some(wanted) = wanted else { continue };
                if orders.asked.get(&input).is_some_and(|other| *other != wanted) {
                    let reason = "its input is read in two orders (of channels, by a join and by depth to space, or of elements, by sums of flattened images); put a convolution in front of the depth to space, or a fully connected layer in front of the sum";
                    return Err(unsupported(stage.layer, reason));
                }
                orders.asked.insert(input, wanted);
            }
        }
        Ok(orders)
    }

    /// The order asked for of `tensor`, as source channels.
    pub fn get(&self, tensor: TensorId) -> Option<&[usize]> {
        self.asked.get(&tensor).map(Vec::as_slice)
    }
}

/// The image of several pixels that is flattened and reaches the sum `stage`, through whatever keeps its elements' order.
///
/// # Errors
/// Two that come in different orders.
fn flattened(graph: &Stages, stage: &Stage) -> Result<Option<TensorId>, GenerateError> {
    let mut found: Option<TensorId> = None;
    if graph.network.tensor(stage.output).shape.len() > 1 {
        return Ok(None);
    }
    let (mut open, mut seen) = (stage.inputs.clone(), HashSet::new());
    while let Some(tensor) = open.pop() {
        let Some(writer) = graph.stages.iter().find(|s| s.output == tensor).filter(|_| seen.insert(tensor)) else {
            continue;
        };
        match &writer.work {
            Work::Flatten if pixels(graph, writer.inputs[0]) > 1 => {
                let image = writer.inputs[0];
                if found.is_some_and(|other| by_pixels(graph, other) != by_pixels(graph, image)) {
                    return Err(unsupported(
                        stage.layer,
                        "it adds flattened images of different shapes, whose elements come in different orders; put a fully connected layer behind one of them",
                    ));
                }
                found = Some(image);
            }
            Work::Requant(_) | Work::Table(_) | Work::Add(_) => open.extend(&writer.inputs),
            _ => {}
        }
    }
    Ok(found)
}

/// Pixels of a tensor.
fn pixels(graph: &Stages, tensor: TensorId) -> usize {
    graph.network.tensor(tensor).shape.iter().skip(1).product()
}

/// The order in which the elements of a flattened image come: pixel by pixel, channels in order.
fn by_pixels(graph: &Stages, image: TensorId) -> Vec<usize> {
    let (channels, pixels) = (graph.network.tensor(image).shape[0], pixels(graph, image));
    (0..channels * pixels).map(|i| i % channels * pixels + i / channels).collect()
}

/// The order that a grouped convolution asks for: its rows come in the order of its channels. A depthwise one takes any, unless an
/// order is asked of itself.
fn grouped(
    stage: &Stage,
    groups: Groups,
    asked: Option<&[usize]>,
    natural: &[usize],
) -> Result<Option<Vec<usize>>, GenerateError> {
    match asked {
        None if groups.channels == 1 => Ok(None),
        Some(order) if !order.is_sorted() && (groups.channels, groups.rows) == (1, 1) => Ok(Some(order.to_vec())),
        Some(order) if !order.is_sorted() => {
            Err(unsupported(stage.layer, "its groups' rows cannot come in the order that depth to space reads"))
        }
        _ => Ok(Some(natural.to_vec())),
    }
}

/// Has grouped convolutions built as one matrix with zeros where the channel orders that they need contradict others: the one that is
/// enough, nearest to the output, else all.
pub fn settle(graph: &mut Stages) {
    if Orders::of(graph).is_ok() {
        return;
    }
    let grouped = |s: &Stage| matches!(&s.work, Work::Matrix(Matrix { groups: Some(_), .. }));
    let all: Vec<usize> = (0..graph.stages.len()).rev().filter(|&i| grouped(&graph.stages[i])).collect();
    let set = |graph: &mut Stages, at: usize, groups: Option<Groups>| match &mut graph.stages[at].work {
        Work::Matrix(matrix) => std::mem::replace(&mut matrix.groups, groups),
        _ => None,
    };
    for &at in &all {
        let groups = set(graph, at, None);
        if Orders::of(graph).is_ok() {
            return;
        }
        set(graph, at, groups);
    }
    for &at in &all {
        set(graph, at, None);
    }
}

/// Source channels so that the places of a block come one after the other, each with its channels in order.
fn parts(d: DepthToSpace, channels: usize) -> Vec<usize> {
    let places = d.block * d.block;
    let out = channels / places;
    let source = |place: usize, c: usize| if d.column_first { c * places + place } else { place * out + c };
    (0..places).flat_map(|place| (0..out).map(move |c| source(place, c))).collect()
}
