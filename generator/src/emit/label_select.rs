//! Prints the label selector.

use hw_templates::{ClassValue, ClassWord, Compare, LabelSelect as Context};

use super::expression::{counter_bits, field, type_name, word};
use crate::dataflow::{LabelSelect, Stream};

/// The context of a label selector whose module is called `name`.
pub fn context(name: &str, select: &LabelSelect, input: &Stream, output: &Stream) -> Context {
    let (lanes, beats, classes) = (input.lanes, input.beats(), input.elements());
    let index_bits = output.encoding.bits as usize;
    let beat_bits = counter_bits(beats - 1);
    let bits = select.value_bits;
    // A lane past the last class must lose: the smallest value, and an index that loses ties.
    let class = |i: usize| match i < classes {
        true => (select.multiplier[i], select.offset[i]),
        false => (0, -(1i64 << (bits - 1))),
    };
    let values = (0..lanes)
        .map(|lane| {
            let word_of = |i: usize| {
                let (m, o) = class(i);
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
                class: class_index(lane, lanes, beats, beat_bits, index_bits),
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
                })
                .collect();
            level = nodes.iter().map(|n| n.name.clone()).collect();
            nodes
        })
        .collect();
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
        levels: select.levels,
        value_bits: bits as usize,
        values,
        root: level[0].clone(),
        tree,
        formal: String::new(),
    }
}

/// `beat * lanes + lane` as an expression of `index_bits` bits. Lanes past the last class may wrap: they lose anyway,
/// because their value is the smallest and the comparison keeps the left operand.
fn class_index(lane: usize, lanes: usize, beats: usize, beat_bits: usize, index_bits: usize) -> String {
    let constant = |v: usize| format!("{index_bits}'d{}", v % (1 << index_bits));
    if beats == 1 {
        return constant(lane);
    }
    let beat = super::expression::resize("beat_reg", beat_bits as u32, false, index_bits as u32);
    match (lanes, lane) {
        (1, _) => beat,
        (_, 0) => format!("{beat} * {}", constant(lanes)),
        _ => format!("{beat} * {} + {}", constant(lanes), constant(lane)),
    }
}
