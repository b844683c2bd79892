//! Rows of a bit heap as polynomials: what each sums, and where its outputs are consumed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::objection::Objection;

/// A wire at the pipeline stage in which a row reads it.
pub type Monomial = BTreeSet<String>;

/// Integers modulo a power of two, by the wires that are multiplied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Polynomial(pub BTreeMap<Monomial, i128>);

impl Polynomial {
    pub fn add(&mut self, monomial: Monomial, value: i128, bits: u32) {
        let sum = self.0.get(&monomial).copied().unwrap_or(0) + value;
        let sum = sum & ((1i128 << bits) - 1);
        if sum == 0 {
            self.0.remove(&monomial);
        } else {
            self.0.insert(monomial, sum);
        }
    }

    /// The same where some wires are known.
    pub fn with(self, known: &BTreeMap<String, bool>, bits: u32) -> Self {
        let mut result = Polynomial::default();
        for (monomial, value) in self.0 {
            if monomial.iter().all(|wire| known.get(wire) != Some(&false)) {
                result.add(monomial.into_iter().filter(|wire| !known.contains_key(wire)).collect(), value, bits);
            }
        }
        result
    }
}

/// A row as it stands in the Verilog.
pub struct Row {
    pub ternary: bool,
    pub init: Vec<u64>,
    /// Pins 0 to 3 of each column.
    pub pins: Vec<[String; 4]>,
    pub carry_in: String,
    pub majority_in: String,
    /// Outputs that a register keeps, from the lowest.
    pub kept: usize,
}

/// Replaces the outputs of row `index` in `total` by what the row sums.
pub fn substitute(net: &Net, total: &mut Polynomial, index: usize, depth: u32) -> Result<(), Objection> {
    let row = &net.rows[index];
    let name = |j: usize| format!("r{index}[{j}]");
    let modulus = 1i128 << depth;
    let coefficient = |j: usize| total.0.get(&Monomial::from([name(j)])).copied().unwrap_or(0);
    let prefix = format!("r{index}[");
    let linear = |m: &Monomial| m.len() == 1 || !m.iter().any(|w| w.starts_with(&prefix));
    if !total.0.keys().all(linear) {
        return Err(format!("an output of row {index} is read as more than a number's bit").into());
    }
    let unit = coefficient(0);
    let width = row.init.len();
    if width + 2 > 60 || row.kept > width + 2 {
        return Err(format!("row {index} keeps {} bits of {width} columns", row.kept).into());
    }
    for j in 0..width + 2 {
        // Above the sum the carry and, in ternary rows, the majority: both of the same weight.
        let counts = (unit << j.min(width)) & (modulus - 1);
        if j < row.kept && coefficient(j) == counts {
            continue;
        }
        // A bit that is dropped must never be 1, or count nothing.
        if (j < row.kept && coefficient(j) != 0) || (counts != 0 && row.can_be_one(index, j)?) {
            return Err(Objection::Wrong(format!("row {index}, bit {j}: it is not consumed once at its weight")));
        }
    }
    for j in 0..row.kept {
        total.0.remove(&Monomial::from([name(j)]));
    }
    net.put_row(total, index, unit, depth)
}

pub struct Net<'a> {
    pub rows: &'a [Row],
    /// What each bit of `d<stage>` waits for, from the lowest; stage 1 first.
    pub delays: &'a [Vec<String>],
    /// The stage that each row reads, where it reads anything but constants.
    pub stages: Vec<Option<usize>>,
}

impl<'a> Net<'a> {
    pub fn of(rows: &'a [Row], delays: &'a [Vec<String>]) -> Result<Self, Objection> {
        let mut net = Net { rows, delays, stages: Vec::new() };
        for (index, row) in rows.iter().enumerate() {
            let mut stage = None;
            for wire in row.pins.iter().flatten().chain([&row.carry_in, &row.majority_in]) {
                let late = wire == "sum_first" || wire.starts_with("acc_reg[");
                let (_, at) = net.source(wire)?;
                if (late && index + 1 != rows.len()) || (at.is_some() && stage.is_some() && at != stage) {
                    return Err(Objection::Wrong(format!("row {index} reads {wire} of another stage")));
                }
                stage = at.or(stage);
            }
            net.stages.push(stage);
        }
        Ok(net)
    }

    /// The wire behind delays, and the stage in which `wire` is there; `None` for a constant or what is there in the last stage alone.
    pub fn source(&self, wire: &str) -> Result<(String, Option<usize>), Objection> {
        let index = |w: &str| w.split_once('[').and_then(|(_, r)| r.trim_end_matches(']').parse::<usize>().ok());
        let number =
            |w: &str, from: char| w.split_once('[').and_then(|(n, _)| n.strip_prefix(from)?.parse::<usize>().ok());
        let unknown = || format!("'{wire}' is no wire of a heap that is there by then");
        if wire.starts_with("1'b") || wire == "sum_first" || wire.starts_with("acc_reg[") {
            return Ok((wire.to_owned(), None));
        }
        if wire.starts_with("x[") || wire.starts_with("weights_reg[") {
            return Ok((wire.to_owned(), Some(0)));
        }
        if let (Some(row), Some(_)) = (number(wire, 'r'), index(wire)) {
            let stage = self.stages.get(row).ok_or_else(unknown)?.unwrap_or(0);
            return Ok((wire.to_owned(), Some(stage + 1)));
        }
        let (stage, bit) = number(wire, 'd').zip(index(wire)).ok_or_else(unknown)?;
        let before = stage.checked_sub(1).and_then(|s| self.delays.get(s)?.get(bit)).ok_or_else(unknown)?;
        if number(before, 'd').is_some_and(|s| s + 1 != stage) {
            return Err(Objection::Wrong(format!("{wire} waits for {before} of another stage")));
        }
        let (name, at) = self.source(before)?;
        match at {
            Some(at) if at + 1 == stage => Ok((name, Some(stage))),
            _ => Err(Objection::Wrong(format!("{wire} waits for {before} of another stage"))),
        }
    }

    /// Adds `unit` times a wire.
    pub fn put(&self, total: &mut Polynomial, wire: &str, unit: i128, depth: u32) -> Result<(), Objection> {
        match wire {
            "1'b0" => {}
            "1'b1" => total.add(Monomial::new(), unit, depth),
            _ => total.add(Monomial::from([self.source(wire)?.0]), unit, depth),
        }
        Ok(())
    }

    /// Adds `unit` times what a row sums.
    pub fn put_row(&self, total: &mut Polynomial, index: usize, unit: i128, depth: u32) -> Result<(), Objection> {
        let row = &self.rows[index];
        for column in 0..row.init.len() {
            let values = row.values(index, column)?;
            let weight = (unit << column) & ((1i128 << depth) - 1);
            // The coefficients of a polynomial in four wires: sums over subsets with alternating signs.
            for set in 0..16usize {
                let subsets = (0..16usize).filter(|s| s & !set == 0);
                let value: i128 =
                    subsets.map(|s| if (set ^ s).count_ones() % 2 == 0 { values[s] } else { -values[s] }).sum();
                if value == 0 {
                    continue;
                }
                let mut monomial = Monomial::new();
                let mut zero = false;
                for pin in (0..4).filter(|p| set >> p & 1 == 1) {
                    match row.pins[column][pin].as_str() {
                        "1'b0" => zero = true,
                        "1'b1" => {}
                        wire => {
                            monomial.insert(self.source(wire)?.0);
                        }
                    }
                }
                if !zero {
                    total.add(monomial, value * weight, depth);
                }
            }
        }
        self.put(total, &row.carry_in, unit, depth)?;
        if row.ternary {
            self.put(total, &row.majority_in, unit, depth)?;
        }
        Ok(())
    }
}

impl Row {
    /// Whether output `j` can be 1; told exactly enough for what lies above the sum, and never denied of the sum itself.
    fn can_be_one(&self, index: usize, j: usize) -> Result<bool, Objection> {
        let width = self.init.len();
        if j < width {
            return Ok(true);
        }
        let mut below = i128::from(self.carry_in != "1'b0") + i128::from(self.ternary && self.majority_in != "1'b0");
        let mut majority = false;
        for column in 0..width {
            let tied = |s: &usize| {
                (0..4).all(|p| match self.pins[column][p].as_str() {
                    "1'b0" => s >> p & 1 == 0,
                    "1'b1" => s >> p & 1 == 1,
                    _ => true,
                })
            };
            let values = self.values(index, column)?;
            let possible: Vec<i128> = (0..16usize).filter(tied).map(|s| values[s]).collect();
            let top = self.ternary && column + 1 == width;
            majority |= top && possible.iter().any(|&v| v >= 2);
            // The highest column's majority is an output of its own.
            below += possible.iter().map(|&v| if top { v & 1 } else { v }).max().unwrap_or(0) << column;
        }
        Ok(if j == width { below >= 1i128 << width } else { majority })
    }

    /// What a column adds for each value of its pins, from all 32 addresses of its LUT.
    fn values(&self, index: usize, column: usize) -> Result<[i128; 16], Objection> {
        let bit = |address: usize| i128::from(self.init[column] >> address & 1);
        let mut values = [0; 16];
        for (pins, value) in values.iter_mut().enumerate() {
            // Address bit 4 is the majority of the column before: of O5 it changes nothing; O6 it turns round in ternary rows.
            let (low, high) = ((bit(pins), bit(pins | 16)), (bit(pins | 32), bit(pins | 48)));
            let turned = if self.ternary { high.0 != high.1 } else { high.0 == high.1 };
            if low.0 != low.1 || !turned {
                return Err(Objection::Wrong(format!("row {index}, column {column}: its LUT is no counter")));
            }
            *value = if self.ternary { 2 * low.0 + high.0 } else { low.0 + (low.0 ^ high.0) };
        }
        Ok(values)
    }
}
