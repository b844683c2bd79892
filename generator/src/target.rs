//! Back-ends: how the plan of a sum becomes cells.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use quantizer::datatype::{Range, Signedness};

use crate::class_terms;
use crate::dataflow::{Dataflow, Encoding, Fifo, Kind, MatrixVector, Module, Pe, Stream, StreamId};
use crate::heap::{compress, terms};
use crate::lower::round_trip;
use crate::names::Names;
use crate::reduction::{Reduction, join_levels};
use crate::unrolled::Unrolled;

/// How many shared sums an array puts on one another.
const SHARED_DEPTH: usize = 3;

/// Widest sums whose codes are looked up: a table of 10 bits takes 3 to 7 LUTs a bit of the code, a stage of a search 5 to 9 and the
/// registers of the sum beside it. Each bit more doubles the former.
const DIRECT_BITS: u32 = 10;

/// What sums of products are printed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Products and `+`, a register behind each: any device, any tool.
    #[default]
    Generic,
    /// Bit heaps of `LUT6_2` and `CARRY4`: AMD 7 series and later.
    Xc7,
    /// As `generic`, with more registers: for clocks of 200 MHz on devices with four-input LUTs.
    Ecp5,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Generic => "generic",
            Backend::Xc7 => "xc7",
            Backend::Ecp5 => "ecp5",
        })
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "generic" => Ok(Backend::Generic),
            "xc7" => Ok(Backend::Xc7),
            "ecp5" => Ok(Backend::Ecp5),
            _ => Err(format!("'{text}' is no back-end; there are generic, xc7 and ecp5")),
        }
    }
}

/// Plans the sums of `dataflow` for `backend`, with the depths of the queues that the new latencies ask for. Values, beats
/// and intervals stay as they are.
pub fn retarget(dataflow: &mut Dataflow, backend: Backend) {
    if backend == Backend::Generic {
        return;
    }
    let streams = &dataflow.streams;
    for module in &mut dataflow.modules {
        let input = module.input();
        if let (Kind::LabelSelect(select), Backend::Ecp5) = (&mut module.kind, backend) {
            let stream = &streams[input.0];
            select.steps = Some(class_terms::steps(select, stream.lanes, stream.beats()));
            select.credit_late = true;
            select.queue_depth = round_trip(select.pipeline() + 1, stream.beats());
        }
        if let Kind::MatrixVector(unit) = &mut module.kind {
            match backend {
                Backend::Generic => {}
                Backend::Xc7 => heaps(unit, &streams[input.0]),
                Backend::Ecp5 => pipelined(unit, &streams[input.0]),
            }
            let credit = usize::from(unit.credit_late);
            unit.queue_depth = round_trip(unit.pipeline() + credit, unit.synapse_folds).max(unit.neuron_folds + 1);
        }
    }
    if backend == Backend::Ecp5 {
        slices(dataflow);
    }
}

/// Beats of a LUT RAM of an ECP5: a deeper queue chooses between several.
const BANK_WORDS: usize = 16;

/// Puts a register slice behind every deep queue that another module reads, so that the choice between its memories, the wire to the reader
/// and what the reader does with a beat are not all in one cycle.
fn slices(dataflow: &mut Dataflow) {
    let mut names =
        Names::taken(dataflow.modules.iter().map(|m| &m.name).chain(dataflow.streams.iter().map(|s| &s.name)));
    let mut at = 0;
    while let Some(module) = dataflow.modules.get(at) {
        at += 1;
        let written = module.output();
        let deep = matches!(module.kind, Kind::MatrixVector(_) | Kind::Fifo(_)) && module.queue_depth() > BANK_WORDS;
        // The last stream leaves through the pins: nothing reads it in the same clock.
        if !deep || written.0 + 1 == dataflow.streams.len() {
            continue;
        }
        let (layer, mut stream) = (module.layer.clone(), dataflow.stream(written).clone());
        let name = names.identifier(&format!("{}_slice", module.name));
        stream.name = names.identifier(&format!("{}_slice_s", stream.name));
        // The new stream stands behind the one it repeats; the last stays the one that leaves.
        let read = StreamId(written.0 + 1);
        dataflow.streams.insert(read.0, stream);
        for module in &mut dataflow.modules {
            for id in module.inputs.iter_mut().chain(&mut module.outputs).filter(|id| **id > written) {
                id.0 += 1;
            }
            module.inputs.iter_mut().filter(|id| **id == written).for_each(|id| *id = read);
        }
        let kind = Kind::Fifo(Fifo { depth: 2, slice: true });
        dataflow.modules.insert(at, Module { name, layer, inputs: vec![written], outputs: vec![read], kind });
    }
}

/// More registers: every processing element has fold and beat to itself, words of thresholds are read a cycle before they are compared, credits come back through a register, and products of
/// two factors of more than two bits are made of narrower ones.
fn pipelined(unit: &mut MatrixVector, input: &Stream) {
    unit.words_read_ahead = unit.search.is_some_and(|s| s.bits > 0);
    unit.operands_copied = true;
    unit.credit_late = true;
    if unit.neuron_folds * unit.synapse_folds == 1
        || input.encoding.sign == Signedness::Bipolar
        || input.encoding.bits < 3
    {
        return;
    }
    let split = |pe: &Pe| -> Vec<(u32, bool)> {
        let of = |e: &Encoding| match e.sign {
            Signedness::Bipolar => (0, false),
            sign => (e.bits, sign == Signedness::Signed),
        };
        pe.weight_encodings.iter().map(of).collect()
    };
    let joins = |pe: &Pe| pe.reduction.lanes().map(|l| join_levels(split(pe)[l].0)).max().unwrap_or(0);
    let more = unit.pes.iter().map(joins).max().unwrap_or(0);
    if more == 0 {
        return;
    }
    unit.tree_levels += more;
    let levels = unit.tree_levels;
    // What lies past the vector's end has no weight.
    let range = |i: usize| input.ranges.get(i).copied().unwrap_or(Range::ZERO);
    let folds = unit.neuron_folds * unit.synapse_folds;
    let inputs: Vec<Vec<Range>> =
        (0..folds).map(|f| (0..input.lanes).map(|l| range(unit.beat_of(f) * input.lanes + l)).collect()).collect();
    let synapse_folds = unit.synapse_folds;
    for pe in &mut unit.pes {
        // The accumulator stays as it is: its width may have been asked for.
        let plan = Reduction::plan_split(&pe.weights, &inputs, synapse_folds, &split(pe), more, levels);
        pe.reduction.nodes = plan.nodes;
    }
}

/// Plans the heaps of a unit whose weights come from a memory. Constant weights get an array made for them.
fn heaps(unit: &mut MatrixVector, input: &Stream) {
    if unit.neuron_folds * unit.synapse_folds == 1 {
        array(unit, input);
    } else {
        elements(unit, input);
    }
}

fn elements(unit: &mut MatrixVector, input: &Stream) {
    let accumulate = unit.synapse_folds > 1;
    for pe in &mut unit.pes {
        let bits = pe.reduction.accumulator_bits as usize;
        let (terms, constant) = terms(pe, input.encoding, bits);
        // An element whose weights are all zero adds nothing.
        pe.heap = (!terms.is_empty() || constant != 0).then(|| compress(&terms, constant, bits, accumulate));
    }
    let last = unit.pes.iter().filter_map(|p| p.heap.as_ref()).map(|h| h.last_stage).max().unwrap_or(1);
    for pe in &mut unit.pes {
        if let Some(heap) = &mut pe.heap {
            heap.extend(last);
        }
    }
    // The accumulator is the last row; without one the last row stands where the last adder level was.
    unit.tree_levels = if accumulate { last - 1 } else { last };
}

/// All sums of a unit that takes a whole vector each clock. Sums that are nothing but wires stay as they are.
fn array(unit: &mut MatrixVector, input: &Stream) {
    let mut weights: Vec<Vec<i64>> = unit.pes.iter().map(|pe| pe.weights[0].clone()).collect();
    let mut ranges = input.ranges.clone();
    ranges.resize(input.lanes, Range::ZERO);
    // An input that is always 0 is not read.
    for weights in &mut weights {
        weights.iter_mut().zip(&ranges).filter(|(_, r)| **r == Range::ZERO).for_each(|(w, _)| *w = 0);
    }
    let plan = Unrolled::plan(&weights, input.encoding, &ranges, SHARED_DEPTH);
    if plan.stages > 0 {
        // The array's outputs are registers: those of the last adder level.
        unit.tree_levels = plan.stages - 1;
        unit.array = Some(plan);
        let narrow = unit.pes.iter().all(|pe| pe.reduction.accumulator_bits <= DIRECT_BITS);
        unit.direct_codes = narrow && unit.search.is_some_and(|s| s.bits > 0);
    }
}
