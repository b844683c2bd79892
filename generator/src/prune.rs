//! Dead channels and unread columns removed, falling rows turned round.
//!
//! A channel is dead if its code never changes, or if no weight that is itself alive reads it. A constant code that is not 0
//! moves into the next layer's thresholds; before a layer without thresholds, or one that reads a padded border (where the
//! constant is absent), it stays as a lane of its own.

use ndarray::Axis;

use quantizer::datatype::Range;
use quantizer::network::{Steps, TensorId};

use crate::stages::{Matrix, Stages, Work};

/// Removes what `stages` do not need.
pub fn prune(stages: &mut Stages) {
    // Backwards: a consumer's rows are known to be alive before its producer looks at its columns.
    for producer in (0..stages.stages.len()).rev() {
        let Some(path) = path(stages, producer) else { continue };
        let (before, after) = stages.stages.split_at_mut(path.consumer);
        let (Work::Matrix(p), Work::Matrix(c)) = (&mut before[producer].work, &mut after[0].work) else { continue };
        let ranges = &stages.network.tensor(path.last).ranges;
        remove_dead(p, c, path.columns, ranges);
    }
    // Constants move forward after the dead columns are known, so that they are moved once.
    for stage in &mut stages.stages {
        if let Work::Matrix(matrix) = &mut stage.work {
            turn_falling_rows(matrix);
        }
    }
}

/// The way from a matrix stage with thresholds to the only matrix stage that reads its codes.
struct Path {
    consumer: usize,
    /// The last tensor between them whose channels are the producer's rows.
    last: TensorId,
    /// Consumer columns of each channel.
    columns: usize,
}

/// The path behind stage `at`, if its channels can be removed: nothing but pools and upsampling on the way, and no other
/// reader.
fn path(stages: &Stages, at: usize) -> Option<Path> {
    let producer = &stages.stages[at];
    let Work::Matrix(Matrix { steps: Some(_), .. }) = &producer.work else { return None };
    let mut last = producer.output;
    let mut here = producer.output;
    let mut columns = 1;
    loop {
        let [next] = stages.readers(here)[..] else { return None };
        let stage = &stages.stages[next];
        here = stage.output;
        match &stage.work {
            Work::Matrix(matrix) => return Some(Path { consumer: next, last, columns: columns * matrix.places() }),
            Work::Pool { .. } | Work::Upsample(_) => {
                last = here;
            }
            Work::Flatten => columns = stages.network.tensor(last).shape[1..].iter().product(),
            _ => return None,
        }
    }
}

/// Removes from `producer` every row that `consumer` does not need, and from `consumer` the columns that carried
/// them, `per` for each row; `ranges` are the rows' codes as the consumer reads them. A constant code moves into the
/// consumer's thresholds.
fn remove_dead(producer: &mut Matrix, consumer: &mut Matrix, per: usize, ranges: &[Range]) {
    let border = consumer.padded();
    let mut live = Vec::new();
    for position in 0..producer.rows.len() {
        let columns = position * per..(position + 1) * per;
        if consumer.weights.slice(ndarray::s![.., columns.clone()]).iter().all(|&w| w == 0) {
            continue;
        }
        let constant = ranges[producer.rows[position]].constant();
        match (constant, &mut consumer.steps) {
            (Some(0), _) => {}
            (Some(code), Some(thresholds)) if !border => {
                for (row, thresholds) in thresholds.iter_mut().enumerate() {
                    let sum: i64 = consumer.weights.slice(ndarray::s![row, columns.clone()]).sum();
                    thresholds.steps.iter_mut().for_each(|t| *t -= sum * code);
                }
            }
            _ => live.push(position),
        }
    }
    if live.is_empty() {
        // A stream must carry something: the consumer's clock is its input's.
        live.push(0);
        if ranges[producer.rows[0]].constant().is_some_and(|code| code == 0 || (consumer.steps.is_some() && !border)) {
            // Its constant has moved: its weights must not count twice.
            consumer.weights.slice_mut(ndarray::s![.., ..per]).fill(0);
        }
    }
    for &position in &live {
        if ranges[producer.rows[position]].constant().is_some() {
            // Any sum will do: the code is the same.
            let steps = producer.steps.as_ref().map(|s| s[position].steps.is_empty());
            if steps == Some(true) {
                producer.weights.row_mut(position).fill(0);
            }
        }
    }
    if live.len() == producer.rows.len() {
        return;
    }
    keep(&mut producer.rows, &live);
    producer.weights = producer.weights.select(Axis(0), &live);
    producer.steps = producer.steps.take().map(|s| live.iter().map(|&i| s[i].clone()).collect::<Vec<Steps>>());
    let columns: Vec<usize> = live.iter().flat_map(|&i| i * per..(i + 1) * per).collect();
    consumer.weights = consumer.weights.select(Axis(1), &columns);
    keep(&mut consumer.columns, &columns);
    keep(&mut consumer.inputs, &columns);
}

fn keep<T: Clone>(items: &mut Vec<T>, positions: &[usize]) {
    *items = positions.iter().map(|&i| items[i].clone()).collect();
}

/// Negates every falling row whose width does not grow by it, so that its code rises:
/// `x < t` is `-x >= 1 - t`.
fn turn_falling_rows(stage: &mut Matrix) {
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
