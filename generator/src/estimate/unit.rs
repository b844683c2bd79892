//! Costs of the modules of the stream, and of the top.

use super::coefficients::UNIT;
use super::logic::{self, bits_for, columns, rom};
use super::{Cost, ModuleCost, Part, element, fixed};
use crate::dataflow::{Dataflow, LabelSelect, Map, MapFunction, MatrixVector, Module, Stream, mask};

/// A module with its streams.
pub struct Place<'a> {
    pub top: &'a str,
    pub module: &'a Module,
    pub input: &'a Stream,
    pub output: &'a Stream,
}

impl Place<'_> {
    fn name(&self) -> String {
        format!("{}_{}", self.top, self.module.name)
    }

    /// An instance of a fixed module.
    pub fn fixed(&self, kind: &str, parts: Vec<(Part, Cost)>) -> ModuleCost {
        ModuleCost::new(format!("{}_snug_{kind}", self.top), &self.module.layer, parts)
    }

    fn own(&self, suffix: &str, parts: Vec<(Part, Cost)>) -> ModuleCost {
        ModuleCost::new(format!("{}{suffix}", self.name()), &self.module.layer, parts)
    }

    /// Sequencer, credits and exit queue.
    fn island(&self, folds: (u64, u64, u64), depth: usize, all: &mut Vec<ModuleCost>) {
        all.push(self.fixed("sequencer", fixed::sequencer(folds.0, folds.1, folds.2)));
        all.push(self.fixed("credit", fixed::credit(depth as u64)));
        all.push(self.fixed("fifo", fixed::fifo(self.output.width() as u64, depth as u64)));
    }

    fn delay(&self, width: u64, cycles: usize, reset: bool, all: &mut Vec<ModuleCost>) {
        all.push(self.fixed("delay", fixed::delay(width, cycles as u64, reset)));
    }
}

/// A matrix-vector unit with everything in it.
pub fn matrix_vector(place: &Place, unit: &MatrixVector, all: &mut Vec<ModuleCost>) {
    let width = place.input.width() as u64;
    let (neurons, synapses) = (unit.neuron_folds as u64, unit.synapse_folds as u64);
    let mut memory = Cost::default().with_ff(width);
    if unit.passes() > 1 {
        memory += fixed::memory(width, synapses, 1);
        memory += Cost::lut(width + 1);
    }
    if unit.operands_copied {
        let fold = if neurons * synapses > 1 { bits_for(neurons * synapses - 1) } else { 0 };
        memory = memory.with_ff(unit.pe as u64 * (width + fold));
    }
    all.push(place.own("", vec![(Part::Memory, memory), (Part::Control, Cost::lut(UNIT))]));
    if let Some(array) = &unit.array {
        all.push(place.own("_array", vec![(Part::Tree, element::array(array))]));
    }
    for (p, pe) in unit.pes.iter().enumerate() {
        all.push(place.own(&format!("_pe{p}"), element::parts(pe, unit, place.input.encoding)));
    }
    place.island((neurons, synapses, unit.passes() as u64), unit.queue_depth, all);
    let sum = unit.sum_cycles();
    let value = sum + usize::from(synapses > 1);
    if synapses > 1 {
        place.delay(1, sum, true, all);
        place.delay(1, sum, false, all);
    }
    let bits = unit.search.map_or(0, |s| s.bits);
    if neurons > 1 && bits > 0 {
        let channel = bits_for(neurons - 1);
        place.delay(channel, value, false, all);
        let mixed = unit.pes.iter().any(|p| p.words.iter().any(|w| w.falling != p.words[0].falling));
        (1..bits + u32::from(mixed)).for_each(|_| place.delay(channel, 1, false, all));
    }
    place.delay(1, unit.pipeline(), true, all);
}

/// The input map, its lanes, and the fixed modules in it.
pub fn map(place: &Place, map: &Map, all: &mut Vec<ModuleCost>) {
    let (input, output) = (place.input.encoding, place.output.encoding);
    let lanes = place.input.lanes;
    let functions = match &map.function {
        MapFunction::Clamp => 1,
        MapFunction::Table(tables) => tables.len(),
        MapFunction::Search { channels, .. } => channels.len(),
    };
    let index = if functions > 1 { bits_for(functions as u64 - 1) } else { 0 };
    let mut control = Cost::lut(UNIT + (lanes as u64).div_ceil(5));
    if !map.select.is_empty() {
        let beats = map.select.len();
        let bits = bits_for(beats as u64 - 1);
        let mut kept = Vec::new();
        for lane in 0..lanes {
            let words: Vec<u64> = map.select.iter().map(|b| b.get(lane).copied().unwrap_or(0) as u64).collect();
            kept.extend(columns(&words, index as u32));
        }
        kept.sort_unstable();
        kept.dedup();
        control += Cost::lut(rom(&kept, beats) + bits + 1).with_ff(kept.len() as u64 + bits);
    }
    let memory = Cost::default().with_ff(place.input.width() as u64);
    all.push(place.own("", vec![(Part::Memory, memory), (Part::Control, control)]));
    let bits = u64::from(output.bits);
    let lane = match &map.function {
        // The code that is excluded differs from the nearest in its lowest bit.
        MapFunction::Clamp => Cost::lut(u64::from(map.excluded(input).is_some())).with_ff(bits),
        MapFunction::Table(tables) => {
            let words: Vec<u64> = tables.iter().flatten().map(|&code| output.encode(code)).collect();
            let kept = columns(&words, output.bits);
            Cost::lut(rom(&kept, words.len())).with_ff(kept.len() as u64)
        }
        MapFunction::Search { search, channels, word_bits } => {
            let stages = u64::from(search.bits).saturating_sub(1);
            let mut cost = element::search_stages(channels, search.bits, *word_bits);
            cost.ff += stages * (u64::from(*word_bits) + index);
            cost
        }
    };
    let excluded = map.excluded(input).is_some();
    let illegal = if excluded { Cost::lut(logic::equals(u64::from(input.bits))) } else { Cost::default() };
    for _ in 0..lanes {
        all.push(place.own("_lane", vec![(Part::Thresholds, lane), (Part::Control, illegal)]));
    }
    place.island((1, 1, 1), map.queue_depth, all);
    place.delay(1, 1, true, all);
    place.delay(1, map.pipeline() - 1, true, all);
}

/// The label selector, and the fixed modules in it.
pub fn label_select(place: &Place, select: &LabelSelect, all: &mut Vec<ModuleCost>) {
    let (lanes, beats) = (place.input.lanes, place.input.beats());
    let (bits, index) = (u64::from(select.value_bits), u64::from(place.output.encoding.bits));
    let mut value = Cost::default();
    for lane in 0..lanes {
        let of = |words: &[i64]| -> Vec<i64> { words.iter().skip(lane).step_by(lanes).copied().collect() };
        let (multiplier, offset) = (of(&select.multiplier), of(&select.offset));
        let signed = u32::from(multiplier.iter().any(|&m| m < 0));
        let factor = multiplier.iter().map(|m| 64 - m.unsigned_abs().leading_zeros()).max().unwrap_or(0) + signed;
        let beat = bits_for(beats as u64 - 1) as u32;
        let x = place.input.encoding.bits;
        let constant = multiplier.windows(2).all(|w| w[0] == w[1]);
        let first = multiplier.first().copied().unwrap_or(0);
        let mut product = match (constant, first) {
            (true, 0 | 1) => Cost::default(),
            (true, m) => logic::constant_product(logic::Operand { bits: x, signed: true }, m, select.value_bits),
            // Multiplier and offset are functions of the beat: so is the value, of beat and code.
            (false, _) if x + beat <= 6 => Cost::lut(bits),
            (false, _) if beat < 3 => logic::product(x, factor.min(beat), select.value_bits),
            (false, _) => {
                let word = |w: &[i64]| -> Vec<u64> { w.iter().map(|&v| v as u64 & mask(select.value_bits)).collect() };
                let mut kept = columns(&word(&multiplier), select.value_bits);
                kept.extend(columns(&word(&offset), select.value_bits));
                let mut cost = logic::product(x, factor, select.value_bits);
                cost += Cost::lut(rom(&kept, beats));
                cost
            }
        };
        product.ff = 0;
        value += product;
        // A constant offset goes into the carry chain of a constant product.
        if !constant && x + beat > 6 && offset.iter().any(|&o| o != 0) {
            value += Cost::lut(bits).with_carry(bits.div_ceil(4));
        }
        value = value.with_ff(bits + if beats > 1 { index } else { 0 });
    }
    let mut compare = Cost::default();
    let mut nodes = lanes;
    for _ in 0..select.levels {
        for _ in 0..nodes / 2 {
            compare += logic::compare(bits);
            compare += Cost::lut(bits + index);
        }
        nodes = nodes.div_ceil(2);
        compare = compare.with_ff(nodes as u64 * (bits + index));
    }
    compare += logic::compare(bits);
    compare = compare.with_ff(bits + index);
    let memory =
        Cost::default().with_ff(place.input.width() as u64 + if beats > 1 { bits_for(beats as u64 - 1) } else { 0 });
    all.push(place.own(
        "",
        vec![
            (Part::Thresholds, value),
            (Part::Thresholds, compare),
            (Part::Memory, memory),
            (Part::Control, Cost::lut(UNIT + 1)),
        ],
    ));
    place.island((1, beats as u64, 1), select.queue_depth, all);
    place.delay(1, select.levels + 2, true, all);
    place.delay(1, select.levels + 2, false, all);
    place.delay(1, select.levels + 3, true, all);
}

/// The top: counters of the frame's beats on either side.
pub fn top(dataflow: &Dataflow) -> Cost {
    let counter = |s: &Stream| if s.beats() > 1 { bits_for(s.beats() as u64 - 1) } else { 0 };
    let bits = counter(dataflow.input()) + counter(dataflow.output_stream());
    Cost::lut(2 + bits).with_ff(bits + 1)
}
