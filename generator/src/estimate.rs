//! What a dataflow will cost on xc7, without a synthesizer.
//!
//! One figure per printed module, its children left out (the fixed modules, which are made to measure, per instance), by part. The
//! registers are counted; the logic follows rules about how Yosys maps each form that the templates print, with the fitted
//! numbers in [`coefficients`]. Memories are counted from their words: a column that is constant or equals another costs
//! nothing.

pub mod coefficients;
mod element;
mod fixed;
mod image;
mod logic;
mod unit;

use std::ops::AddAssign;

use serde::Serialize;

use crate::dataflow::{Dataflow, Kind, Module};

/// Cells of a 7-series device, as Yosys names and counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// LUTs that are logic.
    pub lut: u64,
    /// LUTs that are memory.
    pub lutram: u64,
    /// LUTs that are shift registers.
    pub srl: u64,
    /// Flip-flops.
    pub ff: u64,
    /// `CARRY4` cells.
    pub carry: u64,
    /// Block RAMs, in halves of 18 kbit.
    pub bram: u64,
}

impl Cost {
    /// LUTs of all three uses.
    #[must_use]
    pub const fn lut_total(&self) -> u64 {
        self.lut + self.lutram + self.srl
    }

    pub(crate) fn lut(lut: u64) -> Self {
        Cost { lut, ..Cost::default() }
    }

    pub(crate) fn with_ff(self, ff: u64) -> Self {
        Cost { ff: self.ff + ff, ..self }
    }

    pub(crate) fn with_carry(self, carry: u64) -> Self {
        Cost { carry: self.carry + carry, ..self }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.lut += other.lut;
        self.lutram += other.lutram;
        self.srl += other.srl;
        self.ff += other.ff;
        self.carry += other.carry;
        self.bram += other.bram;
    }
}

/// What a part of a module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Weight memory.
    Weights,
    /// Products of weights and inputs.
    Products,
    /// Adders between products.
    Tree,
    /// Accumulator.
    Accumulator,
    /// Threshold words and comparisons; tables and searches of the input map; class values and their comparison.
    Thresholds,
    /// Vector buffers, queues, shift registers of width converters.
    Memory,
    /// Counters, handshakes, delays.
    Control,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Part::Weights => "weight memory",
            Part::Products => "multipliers",
            Part::Tree => "adder tree",
            Part::Accumulator => "accumulators",
            Part::Thresholds => "thresholds",
            Part::Memory => "memory",
            Part::Control => "control",
        })
    }
}

/// The cost of one module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleCost {
    /// Name of the module definition in the Verilog.
    pub name: String,
    /// The network layer it serves; empty for the top.
    pub layer: String,
    /// By part, in the order of [`Part`].
    pub parts: Vec<(Part, Cost)>,
    /// The sum of the parts.
    pub cost: Cost,
}

impl ModuleCost {
    pub(crate) fn new(name: String, layer: &str, parts: Vec<(Part, Cost)>) -> Self {
        let mut cost = Cost::default();
        parts.iter().for_each(|&(_, part)| cost += part);
        ModuleCost { name, layer: layer.to_owned(), parts, cost }
    }
}

/// What a dataflow will cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// All modules added up.
    pub total: Cost,
    /// Every module instance: those of the stream in its order, each with its fixed modules behind it; the top last.
    pub modules: Vec<ModuleCost>,
}

/// Estimates the cost of `dataflow` on xc7.
#[must_use]
pub fn estimate(dataflow: &Dataflow) -> Estimate {
    let mut modules: Vec<ModuleCost> = dataflow.modules.iter().flat_map(|m| module(dataflow, m)).collect();
    modules.push(top(dataflow));
    let mut total = Cost::default();
    modules.iter().for_each(|m| total += m.cost);
    Estimate { total, modules }
}

/// Estimates the top module alone: what connects the others.
#[must_use]
pub fn top(dataflow: &Dataflow) -> ModuleCost {
    ModuleCost::new(dataflow.top.clone(), "", vec![(Part::Control, unit::top(dataflow))])
}

/// Estimates one module of the stream: its definitions, then the fixed modules in it.
#[must_use]
pub fn module(dataflow: &Dataflow, module: &Module) -> Vec<ModuleCost> {
    let (input, output) = (dataflow.stream(module.input()), dataflow.stream(module.output()));
    let place = unit::Place { top: &dataflow.top, module, input, output };
    let mut modules = Vec::new();
    match &module.kind {
        Kind::MatrixVector(m) => unit::matrix_vector(&place, m, &mut modules),
        Kind::Map(m) => unit::map(&place, m, &mut modules),
        Kind::LabelSelect(l) => unit::label_select(&place, l, &mut modules),
        Kind::WidthConverter(w) => modules.push(place.fixed("width_converter", fixed::converter(w, input))),
        Kind::Fifo(f) if f.slice => modules.push(place.fixed("slice", fixed::slice(input.width() as u64))),
        Kind::Fifo(f) => modules.push(place.fixed("fifo", fixed::fifo(input.width() as u64, f.depth as u64))),
        _ => image::parts(&place, &mut modules),
    }
    modules
}

#[cfg(test)]
mod tests;
