//! Groups of three inputs whose few signed sums many outputs share.
//!
//! With weights of -1, 0 and 1, three inputs have four sums of all three up to sign, whatever the number of outputs. Each is one row of
//! cells that leaves carries and majorities as they are: no LUT is spent on a number that every output would add to others
//! anyway. Inputs are put together so that few sums are needed.

use std::collections::BTreeMap;

use super::{Digit, Signal, interval};

/// Inputs among which groups are looked for: all triples of more would take long.
const WINDOW: usize = 48;

/// Hundredths of a LUT that a bit less in an output's heap is worth here.
const WORTH: i64 = 55;

/// A row's coefficients of three inputs, the first that is not 0 being 1.
type Form = [i8; 3];

/// Whether all weights are -1, 0 or 1.
pub fn applies(weights: &[Vec<i64>]) -> bool {
    weights.iter().flatten().all(|w| w.abs() <= 1)
}

/// Replaces inputs in `sums` by sums of up to three of them, appended to `signals`; returns the indices of the new ones.
pub fn group(weights: &[Vec<i64>], signals: &mut Vec<Signal>, sums: &mut [Vec<Digit>]) {
    let read: Vec<usize> = (0..signals.len()).filter(|&i| weights.iter().any(|row| row[i] != 0)).collect();
    for window in read.chunks(WINDOW) {
        for inputs in partition(weights, signals, window) {
            for (form, rows) in forms(weights, &inputs) {
                if gain(signals, &inputs, form, rows.len()) > 0 {
                    build(weights, signals, sums, &inputs, form, &rows);
                }
            }
        }
    }
}

/// The forms that rows have in `inputs`, with the rows.
fn forms(weights: &[Vec<i64>], inputs: &[usize]) -> BTreeMap<Form, Vec<usize>> {
    let mut forms: BTreeMap<Form, Vec<usize>> = BTreeMap::new();
    for (row, weights) in weights.iter().enumerate() {
        let mut form = [0i8; 3];
        for (c, &input) in form.iter_mut().zip(inputs) {
            *c = weights[input].signum() as i8;
        }
        if form.iter().filter(|c| **c != 0).count() < 2 {
            continue;
        }
        if form.iter().find(|c| **c != 0) == Some(&-1) {
            form = form.map(|c| -c);
        }
        forms.entry(form).or_default().push(row);
    }
    forms
}

/// Hundredths of a LUT saved by building a form once for `uses` rows.
fn gain(signals: &[Signal], inputs: &[usize], form: Form, uses: usize) -> i64 {
    let parts = inputs.iter().zip(form).filter(|(_, c)| *c != 0);
    let (count, columns, bits) = parts.fold((0, 0, 0), |(count, columns, bits), (&input, _)| {
        let width = signals[input].width() as i64;
        (count + 1, width.max(columns), bits + width)
    });
    // Sums of the columns, then a carry, and of three terms a majority too, but for one column.
    let left = columns + if count == 3 && columns > 1 { 2 } else { 1 };
    let saved = bits - left;
    if uses < 2 || count < 2 { 0 } else { WORTH * saved * uses as i64 - 100 * columns }
}

/// What the forms of `inputs` are worth together. As [`forms`] and [`gain`] have it, but for every triple: so it only counts.
fn worth(weights: &[Vec<i64>], signals: &[Signal], inputs: &[usize]) -> i64 {
    // Forms as numbers of three digits to the base of three; the negation of `f` is `26 - f`.
    let mut uses = [0usize; 27];
    for row in weights {
        let form = (0..3).fold(0, |f, i| 3 * f + (1 + inputs.get(i).map_or(0, |&input| row[input].signum())) as usize);
        uses[form.max(26 - form)] += 1;
    }
    let digit = |form: usize, i: u32| (form / 3usize.pow(2 - i) % 3) as i8 - 1;
    uses.iter()
        .enumerate()
        .filter(|(_, n)| **n > 1)
        .map(|(form, &n)| gain(signals, inputs, [digit(form, 0), digit(form, 1), digit(form, 2)], n).max(0))
        .sum()
}

/// Disjoint groups of at most three of `inputs` that are worth most: the best triples first, then exchanges between groups.
fn partition(weights: &[Vec<i64>], signals: &[Signal], inputs: &[usize]) -> Vec<Vec<usize>> {
    let mut triples = Vec::new();
    for (a, &x) in inputs.iter().enumerate() {
        for (b, &y) in inputs.iter().enumerate().skip(a + 1) {
            for &z in &inputs[b + 1..] {
                triples.push((worth(weights, signals, &[x, y, z]), [x, y, z]));
            }
        }
    }
    triples.sort_by(|x, y| y.0.cmp(&x.0).then(x.1.cmp(&y.1)));
    let mut free = inputs.to_vec();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (_, triple) in triples {
        if triple.iter().all(|i| free.contains(i)) {
            free.retain(|i| !triple.contains(i));
            groups.push(triple.to_vec());
        }
    }
    if !free.is_empty() {
        groups.push(free);
    }
    let mut worths: Vec<i64> = groups.iter().map(|g| worth(weights, signals, g)).collect();
    loop {
        let mut improved = false;
        for a in 0..groups.len() {
            for b in a + 1..groups.len() {
                let (first, second) = (groups[a].len(), groups[b].len());
                for (i, j) in (0..first).flat_map(|i| (0..second).map(move |j| (i, j))) {
                    let (mut left, mut right) = (groups[a].clone(), groups[b].clone());
                    std::mem::swap(&mut left[i], &mut right[j]);
                    let new = (worth(weights, signals, &left), worth(weights, signals, &right));
                    if new.0 + new.1 > worths[a] + worths[b] {
                        (groups[a], groups[b], worths[a], worths[b]) = (left, right, new.0, new.1);
                        improved = true;
                    }
                }
            }
        }
        if !improved {
            return groups;
        }
    }
}

fn build(
    weights: &[Vec<i64>],
    signals: &mut Vec<Signal>,
    sums: &mut [Vec<Digit>],
    inputs: &[usize],
    form: Form,
    rows: &[usize],
) {
    let parts: Vec<(usize, i8)> = inputs.iter().copied().zip(form).filter(|(_, c)| *c != 0).collect();
    let sum: Vec<Digit> = parts.iter().map(|&(signal, c)| Digit { signal, shift: 0, negative: c < 0 }).collect();
    let signal = signals.len();
    signals.push(Signal { interval: interval(signals, &sum), sum, carries: true });
    for &row in rows {
        // The first coefficient of a form is 1.
        let negative = weights[row][parts[0].0] < 0;
        sums[row].retain(|d| !parts.iter().any(|p| p.0 == d.signal));
        sums[row].push(Digit { signal, shift: 0, negative });
    }
}
