//! The hardware part of a report, from a dataflow and, where there was one, a run.

use generator::dataflow::{Dataflow, Kind};
use serde::Serialize;

use crate::cycle;

/// What was built, and how fast it is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Hardware {
    /// The clock that rates are given for, in MHz.
    pub clock_mhz: f64,
    /// Cycles between frames when nothing stalls.
    pub interval: u64,
    /// Cycles from the first beat in to the last beat out of the same frame; null before a run.
    pub latency: Option<u64>,
    /// Name of the module that limits the interval.
    pub bottleneck: Option<String>,
    /// Modules in stream order.
    pub modules: Vec<Module>,
    /// LUT estimate of the top module itself, which connects them, by part; empty without one.
    pub top_estimate: Vec<Part>,
}

/// A hardware module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Module {
    /// Instance name.
    pub name: String,
    /// The layer that it serves.
    pub layer: String,
    /// What it does, in words.
    pub kind: &'static str,
    /// Rows and columns in parallel, of a matrix-vector unit.
    pub folding: Option<(usize, usize)>,
    /// Cycles that one frame keeps it busy.
    pub cycles: u64,
    /// Places of its queue, or units in a converter's register.
    pub places: usize,
    /// Most places seen in use; null before a run.
    pub occupied: Option<usize>,
    /// LUT estimate by part; empty without one.
    pub lut_estimate: Vec<Part>,
    /// LUTs counted by synthesis of this module alone.
    pub lut: Option<u64>,
}

/// A named count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What is counted.
    pub name: String,
    /// How many.
    pub count: u64,
}

impl Module {
    /// The whole estimate, if there is one.
    pub fn lut_estimate(&self) -> Option<u64> {
        (!self.lut_estimate.is_empty()).then(|| self.lut_estimate.iter().map(|p| p.count).sum())
    }
}

/// The estimate of the whole by part, in the order in which parts first appear; parts that cost nothing are left out.
pub fn totals(hardware: &Hardware) -> Vec<Part> {
    let mut totals: Vec<Part> = Vec::new();
    for part in hardware.modules.iter().flat_map(|m| &m.lut_estimate).chain(&hardware.top_estimate) {
        match totals.iter_mut().find(|t| t.name == part.name) {
            Some(total) => total.count += part.count,
            None => totals.push(part.clone()),
        }
    }
    totals.retain(|t| t.count > 0);
    totals
}

impl Hardware {
    /// Modules and interval of `dataflow`, for a clock of `clock_mhz`.
    pub fn of(dataflow: &Dataflow, clock_mhz: f64) -> Self {
        let modules = dataflow.modules.iter().map(|m| {
            let (kind, folding, places) = match &m.kind {
                Kind::Map(_) if m.layer == "input" => ("input map", None, m.queue_depth()),
                Kind::Map(_) => ("thresholds", None, m.queue_depth()),
                Kind::Window(_) => ("sliding window", None, m.queue_depth()),
                Kind::Pool(_) => ("pool", None, m.queue_depth()),
                Kind::Upsample(u) => (if u.split { "depth to space" } else { "upsample" }, None, m.queue_depth()),
                Kind::Fork(f) => ("fork", None, f.depths[0].max(f.depths[1])),
                Kind::Add(_) => ("add", None, m.queue_depth()),
                Kind::Concat(_) => ("concat", None, m.queue_depth()),
                Kind::MatrixVector(unit) => ("matrix-vector unit", Some((unit.pe, unit.simd)), m.queue_depth()),
                Kind::WidthConverter(w) => ("width converter", None, w.capacity),
                Kind::Fifo(_) => ("FIFO", None, m.queue_depth()),
                Kind::LabelSelect(_) => ("label select", None, m.queue_depth()),
            };
            let (name, layer, cycles) = (m.name.clone(), m.layer.clone(), m.cycles(dataflow));
            Module { name, layer, kind, folding, cycles, places, ..Module::default() }
        });
        Hardware {
            clock_mhz,
            interval: dataflow.interval(),
            latency: None,
            bottleneck: dataflow.bottleneck().map(|m| m.name.clone()),
            modules: modules.collect(),
            top_estimate: Vec::new(),
        }
    }

    /// Adds what a run of the same dataflow has shown.
    #[must_use]
    pub fn measured(mut self, dataflow: &Dataflow, run: &cycle::Run) -> Self {
        self.latency = run.latency(dataflow);
        for (module, &occupied) in self.modules.iter_mut().zip(&run.occupancy) {
            module.occupied = Some(occupied);
        }
        self
    }

    /// Frames a second at the clock.
    pub fn frames_per_second(&self) -> f64 {
        self.clock_mhz * 1e6 / self.interval.max(1) as f64
    }
}
