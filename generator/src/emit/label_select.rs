//! Prints the label selector.

use hw_templates::{
    Candidate, ClassAdder, ClassLane, ClassSteps as StepsContext, ClassValue, ClassWord, Compare,
    LabelSelect as Context,
};

use super::expression::{counter_bits, field, resize, type_name, word};
use super::search::difference;
use crate::class_terms::{ClassTerms, DIGIT};
use crate::dataflow::{ClassSteps, LabelSelect, Stream};

/// The context of a label selector whose module is called `name`.
pub fn context(name: &str, select: &LabelSelect, input: &Stream, output: &Stream) -> Context {
    let (lanes, beats, classes) = (input.lanes, input.beats(), input.elements());
    let index_bits = output.encoding.bits as usize;
    let beat_bits = counter_bits(beats - 1);
    let bits = select.value_bits;
    let values = (0..lanes)
        .map(|lane| {
            let word_of = |i: usize| {
                let (m, o) = select.class(i);
                ClassWord { multiplier: word(m, bits), offset: word(o, bits) }
            };
            let mut words: Vec<ClassWord> = (0..beats).map(|b| word_of(b * lanes + lane)).collect();
            if words
                .windows(2)
                .all(|w| w[0].multiplier.bits == w[1].multiplier.bits && w[0].offset.bits == w[1].offset.bits)
            {
                words.clear();
            }
            let one = word_of(lane);
            ClassValue {
                index: lane,
                words,
                multiplier: one.multiplier,
                offset: one.offset,
                x: field("x_reg", lane * input.encoding.bits as usize, input.encoding, bits),
                class: class_index("beat_reg", lane, lanes, beats, beat_bits, index_bits),
            }
        })
        .collect();
    let mut level: Vec<String> = (0..lanes).map(|l| format!("0_{l}")).collect();
    let tree: Vec<Vec<Compare>> = (1..=select.levels)
        .map(|k| {
            let nodes: Vec<Compare> = level
                .chunks(2)
                .enumerate()
                .map(|(i, pair)| Compare {
                    name: format!("{k}_{i}"),
                    left: pair[0].clone(),
                    right: pair.get(1).cloned().unwrap_or_default(),
                    gap: pair.get(1).map_or_else(String::new, |right| {
                        difference(&format!("value{}", pair[0]), &format!("value{right}"), bits)
                    }),
                })
                .collect();
            level = nodes.iter().map(|n| n.name.clone()).collect();
            nodes
        })
        .collect();
    let winner = format!("value{}", level[0]);
    Context {
        module: name.to_owned(),
        classes,
        lanes,
        pipeline: select.pipeline(),
        s_bits: input.width(),
        s_type: type_name(input.encoding),
        index_bits,
        beat_bits,
        beats,
        queue: select.queue_depth,
        credit_late: select.credit_late,
        levels: select.levels,
        winner: select.winner_cycles(),
        value_bits: bits as usize,
        steps: select.steps.map(|steps| class_steps(select, steps, lanes, beats, index_bits)),
        candidate: select.steps.is_some_and(|s| s.candidate).then(|| Candidate {
            gap_candidate: difference("candidate_value_reg", &winner, bits),
            gap_best: difference("best_value_reg", &winner, bits),
        }),
        values,
        root: level[0].clone(),
        tree,
        formal: String::new(),
    }
}

/// `beat * lanes + lane` as an expression of `index_bits` bits. Lanes past the last class may wrap: they lose anyway,
/// because their value is the smallest and the comparison keeps the left operand.
fn class_index(beat: &str, lane: usize, lanes: usize, beats: usize, beat_bits: usize, index_bits: usize) -> String {
    let constant = |v: usize| format!("{index_bits}'d{}", v % (1 << index_bits));
    if beats == 1 {
        return constant(lane);
    }
    let beat = super::expression::resize(beat, beat_bits as u32, false, index_bits as u32);
    match (lanes, lane) {
        (1, _) => beat,
        (_, 0) => format!("{beat} * {}", constant(lanes)),
        _ => format!("{beat} * {} + {}", constant(lanes), constant(lane)),
    }
}

/// The registers that class values go through, lane by lane: terms, products where multipliers differ, adder levels. `x_next` and
/// the multiplier's and offset's registers stand one cycle behind `x_reg`.
fn class_steps(select: &LabelSelect, steps: ClassSteps, lanes: usize, beats: usize, index_bits: usize) -> StepsContext {
    let bits = select.value_bits;
    let beat_bits = counter_bits(beats - 1);
    let value = select.value_cycles();
    let lane = |l: usize| {
        let terms = ClassTerms::of(select, l, lanes, beats);
        let varies = terms.offsets.windows(2).any(|w| w[0] != w[1]);
        // Names of what is added, at the stage before the first adder level; with a product stage all of them are registers behind it.
        let mut leaves: Vec<String> = Vec::new();
        let mut products: Vec<ClassAdder> = Vec::new();
        let mut leaf = |value: String, factor: String| {
            if !steps.products {
                return leaves.push(value);
            }
            let name = format!("term{l}_{}", products.len());
            leaves.push(name.clone());
            products.push(ClassAdder { value: value.replace('%', &name), name, factor });
        };
        for &(shift, complement) in &terms.shifted {
            let wire = shifted(&format!("x_next{l}"), bits, shift);
            leaf(if complement { format!("~{wire}") } else { wire }, String::new());
        }
        for digit in 0..terms.digits() as u32 {
            let (low, high) = (digit * DIGIT, ((digit + 1) * DIGIT).min(terms.multiplier_bits) - 1);
            // The highest one holds the sign.
            let signed = high + 1 == terms.multiplier_bits;
            let part = if high == low {
                format!("multiplier_reg{l}[{low}]")
            } else {
                format!("multiplier_reg{l}[{high}:{low}]")
            };
            let sign = if signed { format!("multiplier_reg{l}[{high}]") } else { "1'b0".to_owned() };
            let wide = bits - 1 - (high - low).min(bits - 1);
            let factor = if wide == 0 { part } else { format!("{{{{{wide}{{{sign}}}}}, {part}}}") };
            leaf(format!("(%_factor * x_next{l}) << {low}"), factor);
        }
        if terms.has_offset() {
            let constant = format!("{bits}'h{}", word(terms.offsets[0], bits).bits);
            leaf(if varies { format!("offset_reg{l}") } else { constant }, String::new());
        }
        if terms.shifted.is_empty() && terms.digits() == 0 && !terms.has_offset() {
            leaf(format!("{bits}'h0"), String::new());
        }
        let levels = (1..=steps.adds)
            .map(|level| {
                let adders: Vec<ClassAdder> = leaves
                    .chunks(2)
                    .enumerate()
                    .map(|(i, pair)| ClassAdder {
                        name: format!("sum{l}_{level}_{i}"),
                        value: pair.join(" + "),
                        factor: String::new(),
                    })
                    .collect();
                leaves = adders.iter().map(|a| a.name.clone()).collect();
                adders
            })
            .collect();
        ClassLane {
            index: l,
            multiplier: terms.multiplier_bits > 0,
            offset: terms.has_offset() && varies,
            // Past the last class a lane whose value is constant reads no code.
            reads: !terms.shifted.is_empty() || terms.multiplier_bits > 0,
            lack: word(terms.shifted.iter().filter(|s| s.1).count() as i64, bits),
            products,
            levels,
            value: leaves[0].clone(),
            class: class_index(&format!("beat{value}"), l, lanes, beats, beat_bits, index_bits),
        }
    };
    let numbered = if beats > 1 { (2..=value).collect() } else { Vec::new() };
    StepsContext { beats: numbered, value, lanes: (0..lanes).map(lane).collect() }
}

/// `name` of `bits` bits, shifted to the left.
fn shifted(name: &str, bits: u32, shift: u32) -> String {
    match shift {
        0 => name.to_owned(),
        s if s < bits => format!("{{{}, {s}'d0}}", resize(name, bits, true, bits - s)),
        _ => format!("{bits}'h0"),
    }
}
