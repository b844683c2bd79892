//! Greedy compression: at each stage the rows that remove most bits a LUT, until the last row can take what is left.

use super::{Heap, Row, Term, Wire};

/// Bits removed per LUT below which a row of a middle stage waits for a better one, in quarters: all are tried.
const PATIENCE: [usize; 4] = [5, 6, 7, 8];

/// Compresses `terms` and `constant` to one sum modulo `2^bits`, added to an accumulator if `accumulate` says so.
///
/// How many products are made by rows of two at the first stage, and how many wait for a ternary row (their wires are delayed), is
/// tried out; the fewest LUTs win, then the fewest stages and carry cells.
pub fn compress(terms: &[(usize, Term)], constant: u64, bits: usize, accumulate: bool) -> Heap {
    let attempt = |most: usize, patience: usize| {
        let arrivals = terms.iter().map(|&(column, term)| (column, term, 0)).collect();
        let plan = Plan::run(0, arrivals, constant, (bits, accumulate), (most, patience));
        let last_stage = plan.stage;
        let (rows, direct) = plan.finish();
        Heap { bits, accumulate, rows, direct, last_stage }
    };
    let mut best = attempt(usize::MAX, PATIENCE[0]);
    let first = best.rows.iter().filter(|r| r.stage == 0 && !r.ternary).count();
    let step = (first / 16).max(1);
    for patience in PATIENCE {
        for held in (0..first).step_by(step).chain([usize::MAX]) {
            let other = attempt(held, patience);
            let key = |h: &Heap| (h.luts(), h.last_stage, h.carries());
            if key(&other) < key(&best) {
                best = other;
            }
        }
    }
    best
}

/// Bits of a finished sum, lowest first (none is 0), and the stage from which on they are there.
pub struct Reduced {
    /// Each is bare.
    pub bits: Vec<Option<Term>>,
    /// Stage at which all of them can be read.
    pub stage: usize,
}

/// Appends to `rows` those that sum `terms` (column, term, stage from which on it is there) and `constant` modulo `2^bits`.
pub fn reduce(rows: &mut Vec<Row>, terms: Vec<(usize, Term, usize)>, constant: u64, bits: usize) -> Reduced {
    let single = |bit: usize| {
        let mut here = terms.iter().filter(|t| t.0 == bit);
        match (here.next(), here.next(), bit < 64 && constant >> bit & 1 == 1) {
            (first, None, false) => Some(first.copied()).filter(|f| f.is_none_or(|t| t.1.bare())),
            (None, None, true) => Some(Some((bit, Term::ONE, 0))),
            _ => None,
        }
    };
    let alone: Option<Vec<_>> = (0..bits).map(single).collect();
    if let Some(alone) = alone {
        let stage = alone.iter().flatten().map(|t| t.2).max().unwrap_or(0);
        return Reduced { bits: alone.into_iter().map(|t| t.map(|t| t.1)).collect(), stage };
    }
    let base = rows.len();
    let attempts = PATIENCE.map(|patience| {
        let plan = Plan::run(base, terms.clone(), constant, (bits, false), (0, patience));
        (plan.stage + 1, plan.finish())
    });
    let luts = |rows: &[Row]| rows.iter().map(Row::width).sum::<usize>();
    let best = attempts.into_iter().min_by_key(|(stage, (rows, _))| (luts(rows), *stage));
    // PATIENCE is not empty.
    let (stage, (new, direct)) = best.unwrap_or_default();
    let width = new.last().map_or(0, Row::width);
    rows.extend(new);
    let index = rows.len().saturating_sub(1);
    let sums = (0..width).map(|column| Some(Term::wire(Wire::Sum { row: index, column })));
    Reduced { bits: direct.into_iter().chain(sums).collect(), stage }
}

struct Plan {
    /// Number of the first row.
    base: usize,
    patience: usize,
    columns: Vec<Vec<Term>>,
    rows: Vec<Row>,
    stage: usize,
    accumulate: bool,
    /// Terms of later stages.
    arrivals: Vec<(usize, Term, usize)>,
}

/// A row that could be built: lowest column, width, form.
#[derive(Clone, Copy)]
struct Candidate {
    low: usize,
    width: usize,
    ternary: bool,
    removed: usize,
}

impl Plan {
    /// Compresses until the last row can take what is left.
    fn run(
        base: usize,
        mut arrivals: Vec<(usize, Term, usize)>,
        constant: u64,
        (bits, accumulate): (usize, bool),
        (most, patience): (usize, usize),
    ) -> Self {
        arrivals.retain(|t| t.0 < bits);
        let mut columns: Vec<Vec<Term>> = vec![Vec::new(); bits];
        for (bit, column) in columns.iter_mut().enumerate() {
            if bit < 64 && constant >> bit & 1 == 1 {
                column.push(Term::ONE);
            }
        }
        // Nothing can be done before the first term is there; a heap on its own has a row before the last.
        let stage = arrivals.iter().map(|t| t.2).min().unwrap_or(0);
        let first = if accumulate { 1 } else { stage };
        let mut plan = Plan { base, patience, columns, rows: Vec::new(), stage, accumulate, arrivals };
        plan.arrive();
        while plan.stage < first || !plan.arrivals.is_empty() || !plan.ready() {
            let next = plan.step(if plan.stage == 0 { most } else { 0 });
            plan.columns.iter_mut().zip(next).for_each(|(column, new)| column.extend(new));
            plan.stage += 1;
            plan.arrive();
        }
        plan
    }

    /// Takes in the terms that are there by now.
    fn arrive(&mut self) {
        let stage = self.stage;
        let (now, later): (Vec<_>, Vec<_>) = self.arrivals.drain(..).partition(|t| t.2 <= stage);
        now.into_iter().for_each(|(column, term, _)| self.columns[column].push(term));
        self.arrivals = later;
    }

    /// Whether the last row can take everything: with the accumulator and its restart two pins of a LUT are taken.
    fn ready(&self) -> bool {
        self.columns.iter().enumerate().all(|(i, c)| {
            let pins: usize = c.iter().map(Term::count).sum();
            // Two bare terms of the lowest column go in by the carries.
            let bare = if i == 0 { c.iter().filter(|t| t.bare()).count().min(2) } else { 0 };
            let (terms, wires) = if self.accumulate { (2, 2) } else { (3, 4) };
            c.len() <= terms + bare && pins <= wires + bare
        })
    }

    /// Builds the rows of a stage, of them at most `pairs` rows of two; returns what they add to the columns.
    fn step(&mut self, pairs: usize) -> Vec<Vec<Term>> {
        let mut out: Vec<Vec<Term>> = vec![Vec::new(); self.columns.len()];
        let mut pairs_left = pairs;
        let mut placed = 0;
        // Products to be made come first; without any, the first stage is like the others.
        let products = self.stage == 0 && self.columns.iter().flatten().any(|t| t.count() == 2);
        let mut patience = if products { 0 } else { self.patience };
        loop {
            if !products && self.ready() && self.arrivals.is_empty() {
                break;
            }
            let allowed = |c: &Candidate| {
                (c.ternary || pairs_left > 0 || patience == 0 && !products) && 4 * c.removed >= patience * c.width
            };
            let best = self
                .candidates()
                .into_iter()
                .filter(allowed)
                // Most removed a LUT, then the longest.
                .max_by(|a, b| (a.removed * b.width, a.width, b.low).cmp(&(b.removed * a.width, b.width, a.low)));
            match best {
                Some(candidate) => {
                    pairs_left = pairs_left.saturating_sub(usize::from(!candidate.ternary));
                    placed += 1;
                    self.place(candidate, &mut out);
                }
                // Nothing good enough, and nothing done: take what there is.
                None if placed == 0 && patience > 0 && self.arrivals.is_empty() => {
                    patience = patience.saturating_sub(2)
                }
                None => break,
            }
        }
        out
    }

    fn candidates(&self) -> Vec<Candidate> {
        let mut all = Vec::new();
        let fits = [true, false].map(|t| self.columns.iter().map(|c| pick(c, t).is_some()).collect::<Vec<bool>>());
        for low in 0..self.columns.len() {
            for (ternary, fits) in [true, false].into_iter().zip(&fits) {
                let width = fits[low..].iter().take_while(|f| **f).count();
                if width == 0 {
                    continue;
                }
                let spare = self.spare(low, ternary);
                for width in [width, width.min(4)] {
                    let outputs = match (ternary, self.columns.len() - low - width) {
                        (_, 0) => width,
                        (true, _) if width > 1 || spare > 0 => width + 2,
                        _ => width + 1,
                    };
                    let inputs = width * if ternary { 3 } else { 2 } + spare;
                    all.push(Candidate { low, width, ternary, removed: inputs.saturating_sub(outputs) });
                }
            }
        }
        all
    }

    /// Bare terms that the lowest column of a row has beside those that it adds, at most as many as carries go in.
    fn spare(&self, low: usize, ternary: bool) -> usize {
        let column = &self.columns[low];
        let picked = pick(column, ternary).unwrap_or_default();
        let bare = column.iter().enumerate().filter(|(i, t)| !picked.contains(i) && t.bare()).count();
        bare.min(if ternary { 2 } else { 1 })
    }

    fn place(&mut self, candidate: Candidate, out: &mut [Vec<Term>]) {
        let Candidate { low, width, ternary, .. } = candidate;
        let columns = (low..low + width)
            .map(|c| {
                let picked = pick(&self.columns[c], ternary).unwrap_or_default();
                remove(&mut self.columns[c], &picked)
            })
            .collect();
        let mut row = Row { stage: self.stage, low, columns, ternary, carry_in: None, majority_in: None };
        row.carry_in = self.take_bare(low);
        if ternary {
            row.majority_in = self.take_bare(low);
        }
        let index = self.base + self.rows.len();
        for column in 0..width {
            out[low + column].push(Term::wire(Wire::Sum { row: index, column }));
        }
        if let Some(above) = out.get_mut(low + width) {
            if row.has_carry() {
                above.push(Term::wire(Wire::Carry { row: index }));
            }
            if row.has_majority() {
                above.push(Term::wire(Wire::Majority { row: index }));
            }
        }
        self.rows.push(row);
    }

    fn take_bare(&mut self, column: usize) -> Option<Term> {
        let at = self.columns[column].iter().position(Term::bare)?;
        Some(self.columns[column].remove(at))
    }

    /// Adds the last row; returns all rows, and the terms that are bits of the result themselves.
    fn finish(mut self) -> (Vec<Row>, Vec<Option<Term>>) {
        let low = if self.accumulate {
            0
        } else {
            // Below the first column with anything to add, terms are the result themselves.
            let single = |c: &Vec<Term>| c.is_empty() || (c.len() == 1 && c[0].bare());
            self.columns.iter().take_while(|c| single(c)).count().min(self.columns.len() - 1)
        };
        let direct: Vec<Option<Term>> = self.columns[..low].iter().map(|c| c.first().copied()).collect();
        let mut columns: Vec<Vec<Term>> = self.columns.drain(..).skip(low).collect();
        if self.accumulate {
            for (bit, column) in columns.iter_mut().enumerate() {
                // The register, unless a row of the matrix starts.
                column.push(Term::two_wires(Wire::Accumulator(bit), Wire::Restart, 0b0010));
            }
        }
        let (mut carry_in, mut majority_in) = (None, None);
        // A bare term of the lowest column goes in by the carry: it may then be a two-term row with three terms there.
        let mut lowest = columns[0].clone();
        let widest = columns[1..].iter().map(Vec::len).max().unwrap_or(0);
        let pins = |c: &[Term]| c.iter().map(Term::count).sum::<usize>();
        while lowest.len() > 3 || pins(&lowest) > 4 || (widest <= 2 && lowest.len() > 2 && carry_in.is_none()) {
            let Some(at) = lowest.iter().position(Term::bare) else { break };
            let place = if carry_in.is_none() { &mut carry_in } else { &mut majority_in };
            *place = Some(lowest.remove(at));
        }
        columns[0] = lowest;
        let ternary = columns.iter().any(|c| c.len() > 2) || majority_in.is_some();
        self.rows.push(Row { stage: self.stage, low, columns, ternary, carry_in, majority_in });
        (self.rows, direct)
    }
}

/// Terms of a column for a row: two, or three with at most four wires. Terms of two wires first, which cost nothing here and a LUT
/// of their own elsewhere.
fn pick(column: &[Term], ternary: bool) -> Option<Vec<usize>> {
    let of =
        |wires: fn(usize) -> bool| column.iter().enumerate().filter(move |(_, t)| wires(t.count())).map(|(i, _)| i);
    let double: Vec<usize> = of(|n| n == 2).collect();
    let narrow: Vec<usize> = of(|n| n < 2).collect();
    let (doubles, wanted) = if ternary { (double.len().min(1), 3) } else { (double.len().min(2), 2) };
    if doubles + narrow.len() < wanted {
        return None;
    }
    // Of the narrow ones those that no carry input could take, first.
    let (complex, bare): (Vec<usize>, Vec<usize>) = narrow.into_iter().partition(|&i| !column[i].bare());
    let mut picked: Vec<usize> = double.into_iter().take(doubles).collect();
    picked.extend(complex.into_iter().chain(bare).take(wanted - doubles));
    Some(picked)
}

fn remove(column: &mut Vec<Term>, picked: &[usize]) -> Vec<Term> {
    let taken = picked.iter().map(|&i| column[i]).collect();
    let mut index = 0;
    column.retain(|_| {
        index += 1;
        !picked.contains(&(index - 1))
    });
    taken
}
