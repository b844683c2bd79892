//! Dead channels and unread columns removed, falling rows turned round.
//!
//! A channel is dead if its code never changes, or if no weight that is itself alive reads it. A constant code that is not 0
//! moves into the next layer's thresholds; before a layer without thresholds, or one that reads a padded border (where the
//! constant is absent), it stays as a lane of its own.
//!
//! Of a grouped convolution groups go as a whole, rows and channels together, and only where the layer before can leave those
//! channels out: what is left is a number of equal groups.

use ndarray::Axis;

use quantizer::datatype::Range;
use quantizer::network::{Steps, TensorId};

use crate::stages::{Groups, Matrix, Stages, Work};

/// Removes what `stages` do not need. Of a grouped layer as many groups are left as `together` (how many are worked on at a time,
/// by layer name) divides.
pub fn prune(stages: &mut Stages, together: &dyn Fn(&str) -> usize) {
    // Backwards: a consumer's rows are known to be alive before its producer looks at its columns.
    for producer in (0..stages.stages.len()).rev() {
        let Some(path) = path(stages, producer) else { continue };
        // A grouped layer's channels go when its groups do.
        if groups(stages, path.consumer).is_some() {
            continue;
        }
        if let Some(groups) = groups(stages, producer) {
            remove_groups(stages, producer, &path, groups, together(&stages.stages[producer].layer.name).max(1));
            continue;
        }
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

fn groups(stages: &Stages, at: usize) -> Option<Groups> {
    match &stages.stages[at].work {
        Work::Matrix(matrix) => matrix.groups,
        _ => None,
    }
}

/// Removes from stage `producer` every group that the consumer on `path` needs no row of, the columns that carried them, and the rows of
/// the layer before that make the group's channels. Nothing goes where that layer cannot leave them out.
fn remove_groups(stages: &mut Stages, producer: usize, path: &Path, groups: Groups, together: usize) {
    let before = (0..producer)
        .find(|&i| groups_free(stages, i) && self::path(stages, i).is_some_and(|p| p.consumer == producer));
    let Some(before) = before else { return };
    let ranges = stages.network.tensor(path.last).ranges.clone();
    let mut taken = [before, producer, path.consumer].map(|i| {
        // Put back below.
        std::mem::replace(&mut stages.stages[i].work, Work::Flatten)
    });
    if let [Work::Matrix(feeder), Work::Matrix(own), Work::Matrix(consumer)] = &mut taken {
        let dead = dead_groups(own, consumer, path.columns, &ranges, groups);
        let all = own.rows.len() / groups.rows;
        let left = (all - dead.len()).div_ceil(together).max(1) * together;
        let gone = &dead[..all.saturating_sub(left).min(dead.len())];
        let stays = |position: &usize, each: usize| !gone.contains(&(position / each));
        // Constants move into the consumer's thresholds.
        for position in (0..own.rows.len()).filter(|p| !stays(p, groups.rows)) {
            let code = ranges[own.rows[position]].constant().unwrap_or(0);
            move_constant(consumer, position * path.columns..(position + 1) * path.columns, code);
        }
        let rows: Vec<usize> = (0..own.rows.len()).filter(|p| stays(p, groups.rows)).collect();
        keep_rows(own, &rows);
        keep_columns(consumer, &rows, path.columns);
        let channels: Vec<usize> = (0..all * groups.channels).filter(|p| stays(p, groups.channels)).collect();
        let places = own.places();
        keep_columns(own, &channels, places);
        keep_rows(feeder, &channels);
    }
    for (i, work) in [before, producer, path.consumer].into_iter().zip(taken) {
        stages.stages[i].work = work;
    }
}

fn groups_free(stages: &Stages, at: usize) -> bool {
    matches!(&stages.stages[at].work, Work::Matrix(Matrix { groups: None, .. }))
}

/// The groups of which `consumer` needs no row, `per` columns for each row: nobody reads it, or its code is a constant that can move.
fn dead_groups(own: &Matrix, consumer: &Matrix, per: usize, ranges: &[Range], groups: Groups) -> Vec<usize> {
    let movable = consumer.steps.is_some() && !consumer.padded();
    let needed = |position: usize| {
        let constant = ranges[own.rows[position]].constant();
        let unread = || consumer.weights.slice(ndarray::s![.., position * per..(position + 1) * per]);
        !(constant == Some(0) || constant.is_some() && movable || unread().iter().all(|&w| w == 0))
    };
    let rows = |group: usize| group * groups.rows..(group + 1) * groups.rows;
    (0..own.rows.len() / groups.rows).filter(|&g| !rows(g).any(needed)).collect()
}

/// Takes what columns with the code `code` always add out of the thresholds.
fn move_constant(consumer: &mut Matrix, columns: std::ops::Range<usize>, code: i64) {
    for (row, thresholds) in consumer.steps.iter_mut().flatten().enumerate() {
        let sum: i64 = consumer.weights.slice(ndarray::s![row, columns.clone()]).sum();
        thresholds.steps.iter_mut().for_each(|t| *t -= sum * code);
    }
}

fn keep_rows(matrix: &mut Matrix, live: &[usize]) {
    keep(&mut matrix.rows, live);
    matrix.weights = matrix.weights.select(Axis(0), live);
    matrix.steps = matrix.steps.take().map(|s| live.iter().map(|&i| s[i].clone()).collect::<Vec<Steps>>());
}

/// Keeps the columns of these rows of the layer before, `per` for each.
fn keep_columns(matrix: &mut Matrix, live: &[usize], per: usize) {
    let columns: Vec<usize> = live.iter().flat_map(|&i| i * per..(i + 1) * per).collect();
    matrix.weights = matrix.weights.select(Axis(1), &columns);
    keep(&mut matrix.columns, &columns);
    keep(&mut matrix.inputs, &columns);
}

/// Removes from `producer` every row that `consumer` does not need, and from `consumer` the columns that carried
/// them, `per` for each row; `ranges` are the rows' codes as the consumer reads them. A constant code moves into the
/// consumer's thresholds.
fn remove_dead(producer: &mut Matrix, consumer: &mut Matrix, per: usize, ranges: &[Range]) {
    let movable = consumer.steps.is_some() && !consumer.padded();
    let mut live = Vec::new();
    for position in 0..producer.rows.len() {
        let columns = position * per..(position + 1) * per;
        if consumer.weights.slice(ndarray::s![.., columns.clone()]).iter().all(|&w| w == 0) {
            continue;
        }
        let constant = ranges[producer.rows[position]].constant();
        match (constant, movable) {
            (Some(0), _) => {}
            (Some(code), true) => move_constant(consumer, columns, code),
            _ => live.push(position),
        }
    }
    if live.is_empty() {
        // A stream must carry something: the consumer's clock is its input's.
        live.push(0);
        if ranges[producer.rows[0]].constant().is_some_and(|code| code == 0 || movable) {
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
    keep_rows(producer, &live);
    keep_columns(consumer, &live, per);
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
