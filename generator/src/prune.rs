//! What of a network needs hardware: dead channels and unread columns removed, falling rows turned round.
//!
//! A channel is dead if its code never changes, or if no weight that is itself alive reads it. A constant
//! code that is not 0 moves into the next layer's thresholds; before a layer without thresholds it stays.

use ndarray::Array2;

use quantizer::datatype::Range;
use quantizer::network::{Layer, Network, Op, Steps, TensorId};

use crate::error::GenerateError;

/// The part of a network that needs hardware: an optional map of the pins' codes, then dense stages.
#[derive(Clone, Debug)]
pub struct Pruned<'a> {
    /// Requantization of the pins' codes.
    pub map: Option<&'a Layer>,
    /// Dense layers in order, each with its thresholds.
    pub stages: Vec<Stage<'a>>,
}

/// A dense layer and the thresholds behind it.
#[derive(Clone, Debug)]
pub struct Stage<'a> {
    /// The dense layer.
    pub layer: &'a Layer,
    /// The tensor that leaves the stage.
    pub output: TensorId,
    /// Source rows that are alive, ascending.
    pub rows: Vec<usize>,
    /// Source columns that are alive, ascending.
    pub columns: Vec<usize>,
    /// Weights of live rows and columns.
    pub weights: Array2<i64>,
    /// Reachable codes of the live columns.
    pub inputs: Vec<Range>,
    /// Step function of each live row, if thresholds follow.
    pub steps: Option<Vec<Steps>>,
}

/// Finds the live part of `network`.
///
/// # Errors
/// If the graph is not a chain of an optional map and dense layers with thresholds between them.
pub fn prune(network: &Network) -> Result<Pruned<'_>, GenerateError> {
    let chain = chain(network)?;
    let map = match chain.first() {
        Some(Link { layer, .. }) if matches!(layer.op, Op::Threshold(_)) => Some(*layer),
        _ => None,
    };
    let mut stages = Vec::new();
    let mut links = chain.iter().skip(usize::from(map.is_some())).peekable();
    while let Some(link) = links.next() {
        let Op::Dense(dense) = &link.layer.op else {
            return Err(unsupported(
                link.layer,
                "thresholds behind thresholds are not supported here; merge the quantizers",
            ));
        };
        let mut output = link.layer.output;
        let steps = links.next_if(|next| matches!(next.layer.op, Op::Threshold(_))).map(|next| {
            output = next.layer.output;
            (0..dense.weights.nrows()).map(|r| threshold_of(next.layer, r)).collect::<Vec<Steps>>()
        });
        if steps.is_none() && links.peek().is_some() {
            let reason = "its accumulators feed another layer without a quantizer between; quantize the activations";
            return Err(unsupported(link.layer, reason));
        }
        stages.push(Stage {
            layer: link.layer,
            output,
            rows: (0..dense.weights.nrows()).collect(),
            columns: (0..dense.weights.ncols()).collect(),
            weights: dense.weights.clone(),
            inputs: network.tensor(link.input).ranges.clone(),
            steps,
        });
    }
    if stages.is_empty() {
        let reason = "the network has no dense layer, so there is nothing to build".to_owned();
        return Err(GenerateError::Unsupported { layer: network.name.clone(), reason });
    }
    for stage in &mut stages {
        // Per-position ranges: a tensor that was flattened has one per channel of its source.
        if stage.inputs.len() != stage.columns.len() && stage.columns.len() % stage.inputs.len() == 0 {
            let each = stage.columns.len() / stage.inputs.len();
            stage.inputs = stage.inputs.iter().flat_map(|r| std::iter::repeat_n(*r, each)).collect();
        }
    }
    for i in (1..stages.len()).rev() {
        let (before, after) = stages.split_at_mut(i);
        if let (Some(producer), Some(consumer)) = (before.last_mut(), after.first_mut()) {
            remove_dead(producer, consumer);
        }
    }
    // Constants move forward after the dead columns are known, so that they are moved once.
    stages.iter_mut().for_each(turn_falling_rows);
    Ok(Pruned { map, stages })
}

/// A layer of the chain with the tensor that it reads, flattens looked through.
struct Link<'a> {
    layer: &'a Layer,
    input: TensorId,
}

/// The layers that compute something, in order; refuses a graph that branches.
fn chain(network: &Network) -> Result<Vec<Link<'_>>, GenerateError> {
    let mut links = Vec::new();
    let mut at = network.input;
    loop {
        let mut readers = network.readers(at);
        let Some(layer) = readers.next() else { break };
        if let Some(other) = readers.next() {
            return Err(unsupported(other, "two layers read one tensor; branches are not supported yet"));
        }
        if layer.op != Op::Flatten {
            links.push(Link { layer, input: at });
        }
        at = layer.output;
    }
    Ok(links)
}

fn unsupported(layer: &Layer, reason: &str) -> GenerateError {
    GenerateError::Unsupported { layer: layer.name.clone(), reason: reason.to_owned() }
}

fn threshold_of(layer: &Layer, row: usize) -> Steps {
    match &layer.op {
        Op::Threshold(t) => t.channel(row).clone(),
        _ => Steps { base: 0, steps: Vec::new(), falling: false },
    }
}

/// Removes from `producer` every row that `consumer` does not need, and from `consumer` the columns that carried
/// them. A constant code moves into the consumer's thresholds.
fn remove_dead(producer: &mut Stage, consumer: &mut Stage) {
    let Some(steps) = &producer.steps else { return };
    let mut live = Vec::new();
    for (position, steps) in steps.iter().enumerate() {
        let column = consumer.weights.column(position);
        if column.iter().all(|&w| w == 0) {
            continue;
        }
        let constant = steps.steps.is_empty().then_some(steps.base);
        match (constant, &mut consumer.steps) {
            (Some(0), _) => {}
            (Some(code), Some(thresholds)) => {
                for (row, weight) in column.iter().enumerate() {
                    thresholds[row].steps.iter_mut().for_each(|t| *t -= weight * code);
                }
            }
            _ => live.push(position),
        }
    }
    if live.is_empty() {
        // A stream must carry something: the consumer's clock is its input's.
        live.push(0);
    }
    keep(&mut producer.rows, &live);
    producer.weights = producer.weights.select(ndarray::Axis(0), &live);
    producer.steps = producer.steps.take().map(|s| live.iter().map(|&i| s[i].clone()).collect());
    // A kept column may still belong to a constant that moved (the only one left): its weights must not count twice.
    consumer.weights = consumer.weights.select(ndarray::Axis(1), &live);
    if let Some(steps) = &producer.steps {
        for (position, s) in steps.iter().enumerate() {
            if s.steps.is_empty() && consumer.steps.is_some() {
                consumer.weights.column_mut(position).fill(0);
            }
        }
    }
    keep(&mut consumer.columns, &live);
    keep(&mut consumer.inputs, &live);
}

fn keep<T: Clone>(items: &mut Vec<T>, positions: &[usize]) {
    *items = positions.iter().map(|&i| items[i].clone()).collect();
}

/// Negates every falling row whose width does not grow by it, so that its code rises:
/// `x < t` is `-x >= 1 - t`.
fn turn_falling_rows(stage: &mut Stage) {
    let Some(steps) = &mut stage.steps else { return };
    let bits = |weights: &mut dyn Iterator<Item = i64>| {
        weights.fold(Range::ZERO, |r, w| r.hull(Range::new(w, w))).signed_width()
    };
    let widest = bits(&mut stage.weights.iter().copied());
    for (row, steps) in steps.iter_mut().enumerate().filter(|(_, s)| s.falling) {
        let weights = stage.weights.row(row);
        let negated = bits(&mut weights.iter().map(|w| -w));
        let range = crate::lower::sum_range(weights.iter().copied(), &stage.inputs);
        let grows = Range::new(-range.hi, -range.lo).signed_width() > range.signed_width();
        if negated > widest || grows {
            continue;
        }
        stage.weights.row_mut(row).mapv_inplace(|w| -w);
        steps.steps.iter_mut().for_each(|t| *t = 1 - *t);
        steps.steps.reverse();
        steps.falling = false;
    }
}
