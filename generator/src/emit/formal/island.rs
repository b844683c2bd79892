//! The claims of the modules without processing elements: label selector and input map.

use hw_templates::{FormalVectors, IslandFormal};

use super::{beat_bits, queue_module, range_module, vector_range, watch_module};
use crate::class_terms::ClassTerms;
use crate::dataflow::{LabelSelect, Map, Stream};
use crate::emit::expression::{counter_bits, field, word};

fn island(
    top: &str,
    pipeline: usize,
    queue: usize,
    input: &Stream,
    output: &Stream,
    joined: FormalVectors,
) -> IslandFormal {
    IslandFormal {
        pipeline,
        beats: input.vector_beats(),
        beat_bits: beat_bits(input),
        whole: false,
        input_watch: watch_module(top, input),
        output_queue: queue_module(top, output),
        queue,
        credit_late: false,
        enters: String::new(),
        numbers: (0..=pipeline).map(|k| k * beat_bits(input)).collect(),
        claims: Vec::new(),
        lines: Vec::new(),
        joined,
    }
}

/// The claims of an input map: every code that enters the queue lies in its range.
pub fn map(top: &str, map: &Map, input: &Stream, output: &Stream, joined: FormalVectors) -> IslandFormal {
    let pipeline = map.pipeline();
    let bits = beat_bits(input);
    let range = vector_range(top, output, joined.beats).0;
    let mut island = island(top, pipeline, map.queue_depth, input, output, joined);
    island.enters = format!("{{{}'d0, f_now{pipeline}}}", 32 - bits);
    island.claims = vec![
        "assert (f_x_valid == f_fire[1]);".into(),
        "assert (f_y_valid == f_fire[F_OUT:2]);".into(),
        "if (y_valid) assert (&f_y_in_range);".into(),
    ];
    if !map.select.is_empty() {
        island.claims.push("assert (beat_reg == f_now0);".into());
    }
    island.lines = vec![
        format!("wire [{}:0] f_y_in_range;", output.lanes - 1),
        format!("{range} f_y_range (.beat(f_now{pipeline}), .data(y), .ok(f_y_in_range));"),
    ];
    island
}

/// The claims of a label selector: class values are exact, and the index that leaves is that of a class.
pub fn label(top: &str, select: &LabelSelect, input: &Stream, output: &Stream, joined: FormalVectors) -> IslandFormal {
    let pipeline = select.pipeline();
    let (classes, lanes, beats) = (input.vector_elements(), input.lanes, input.vector_beats());
    let bits = beat_bits(input);
    let index_bits = output.encoding.bits as usize;
    let mut island = island(top, pipeline, select.queue_depth, input, output, joined);
    island.whole = true;
    island.credit_late = select.credit_late;
    island.enters = "32'd0".into();
    let levels = select.levels;
    let (value, winner) = (select.value_cycles(), select.winner_cycles());
    let apart = select.steps.is_some();
    let mut claims = vec![
        format!("assert (f_beat == {{{}'d0, beat}});", 32 - bits),
        format!("assert (f_winner_valid == f_fire[{winner}:1]);"),
        "assert (f_y_valid == f_row[F_OUT:1]);".into(),
        "if (f_fire[1]) assert ((beat_reg == f_now1) & (&f_x_in_range));".into(),
    ];
    for k in 1..=winner {
        claims.push(format!("if (f_fire[{k}]) assert (f_winner_first[{}] == (f_now{k} == {bits}'d0));", k - 1));
    }
    let mut lines = vec![
        format!("wire [{}:0] f_x_in_range;", lanes - 1),
        format!("{} f_x_range (.beat(f_now1), .data(x_reg), .ok(f_x_in_range));", range_module(top, input)),
    ];
    // Class values beside those of the module, at a width that loses nothing.
    let value_bits = select.value_bits;
    let wide = value_bits + input.encoding.bits + 2;
    for lane in 0..lanes {
        let extend = |name: String| format!("{{{{{}{{{name}[{}]}}}}, {name}}}", wide - value_bits, value_bits - 1);
        lines.push(format!("wire signed [{}:0] f_m{lane} = {};", wide - 1, extend(format!("multiplier{lane}"))));
        lines.push(format!("wire signed [{}:0] f_o{lane} = {};", wide - 1, extend(format!("offset{lane}"))));
        let x = field("x_reg", lane * input.encoding.bits as usize, input.encoding, wide);
        lines.push(format!("wire signed [{}:0] f_x{lane} = {x};", wide - 1));
        lines.push(format!("reg  signed [{}:0] f_value{lane};", wide - 1));
        lines.push(format!("always @(posedge aclk) f_value{lane} <= f_m{lane} * f_x{lane} + f_o{lane};"));
        // The value, cycle by cycle until the module has it.
        let truth = |k: usize| if k == 2 { format!("f_value{lane}") } else { format!("f_value{lane}_{k}") };
        for k in 3..=value {
            lines.push(format!("reg  signed [{}:0] {};", wide - 1, truth(k)));
            lines.push(format!("always @(posedge aclk) {} <= {};", truth(k), truth(k - 1)));
        }
        // What a lane past the last class holds is not read as a value, but must lose.
        for k in 2..=value {
            let what = if k == value {
                format!("{} == {}", extend(format!("value0_{lane}")), truth(k))
            } else {
                // What is added up by then makes the value, modulo what its register holds; and the value fits that.
                let low = format!("{}[{}:0]", truth(k), value_bits - 1);
                lines.push(format!("wire [{}:0] f_low{lane}_{k} = {low};", value_bits - 1));
                let whole = format!("{} == {}", extend(format!("f_low{lane}_{k}")), truth(k));
                let sum = terms_at(select, input, lane, k);
                lines.push(format!("wire [{}:0] f_sum{lane}_{k} = {sum};", value_bits - 1));
                format!("(f_sum{lane}_{k} == f_low{lane}_{k}) & ({whole})")
            };
            lines.push(class_number(k, &format!("{k}_v{lane}"), lane, bits, lanes));
            let real = format!("f_fire[{k}] & (f_class{k}_v{lane} < 32'd{classes})");
            claims.push(format!("if ({real}) assert ({what});"));
            if beats * lanes > classes && k < value {
                // Past the last class the value is the least.
                claims.push(format!(
                    "if (f_fire[{k}] & (f_class{k}_v{lane} >= 32'd{classes})) assert (f_sum{lane}_{k} == {value_bits}'h{});",
                    word(-(1i64 << (value_bits - 1)), value_bits).bits
                ));
            }
        }
    }
    if apart && beats > 1 {
        for k in 2..=value {
            claims.push(format!("if (f_fire[{k}]) assert (beat{k} == f_now{k});"));
        }
    }
    // Each node of the compare tree names a class among its lanes, or has lost already.
    let least = format!("{value_bits}'h{}", word(-(1i64 << (value_bits - 1)), value_bits).bits);
    let mut names_class = |stage: usize, span: (usize, usize), value: &str, index: &str| {
        let (from, to) = span;
        let class = format!("f_class{stage}_{value}");
        lines.push(class_number(stage, &format!("{stage}_{value}"), from, bits, lanes));
        let index = format!("{{{}'d0, {index}}}", 32 - index_bits);
        claims.push(format!(
            "if (f_fire[{stage}] & ({class} < 32'd{classes})) assert (({index} >= {class}) & ({index} < {class} + \
             32'd{}) & ({index} < 32'd{classes}));",
            to - from
        ));
        if beats * lanes > classes {
            claims.push(format!("if (f_fire[{stage}] & ({class} >= 32'd{classes})) assert ({value} == {least});"));
        }
    };
    let mut greater = Vec::new();
    for level in 0..=levels {
        let stage = value + level * (1 + usize::from(apart));
        for node in 0..lanes.div_ceil(1 << level) {
            let span = |level: usize, node: usize| (node << level, ((node + 1) << level).min(lanes));
            names_class(stage, span(level, node), &format!("value{level}_{node}"), &format!("index{level}_{node}"));
            if apart && level > 0 {
                let (left, right) = (format!("left{level}_{node}"), format!("right{level}_{node}"));
                let index = |side: &str| format!("{side}_index{level}_{node}");
                names_class(stage - 1, span(level - 1, 2 * node), &left, &index("left"));
                if 2 * node + 1 < lanes.div_ceil(1 << (level - 1)) {
                    names_class(stage - 1, span(level - 1, 2 * node + 1), &right, &index("right"));
                    greater.push(format!(
                        "if (f_fire[{}]) assert (greater{level}_{node} == ({right} > {left}));",
                        stage - 1
                    ));
                }
            }
        }
    }
    if select.steps.is_some_and(|s| s.candidate) {
        names_class(winner, (0, lanes), "candidate_value_reg", "candidate_index_reg");
        greater.push(format!("if (f_fire[{winner}]) assert (above == (candidate_value_reg > best_value_reg));"));
    }
    claims.extend(greater);
    let best = format!("{{{}'d0, best_index_reg}}", 32 - index_bits);
    claims.push(format!(
        "if (f_now{winner} != {bits}'d0) assert ({best} < {{{}'d0, f_now{winner}}} * 32'd{lanes});",
        32 - bits
    ));
    claims.push(format!("if (y_valid) assert ({best} < 32'd{classes});"));
    island.claims = claims;
    island.lines = lines;
    debug_assert_eq!(counter_bits(beats - 1), bits);
    island
}

/// The number of the class of the first lane of a node, in the cycle `stage` after its beat was taken.
fn class_number(stage: usize, name: &str, from: usize, beat_bits: usize, lanes: usize) -> String {
    format!("wire [31:0] f_class{name} = {{{}'d0, f_now{stage}}} * 32'd{lanes} + 32'd{from};", 32 - beat_bits)
}

/// The sum of what lane `lane` holds of its class value `stage` cycles after its beat was taken, modulo what the value's register holds.
fn terms_at(select: &LabelSelect, input: &Stream, lane: usize, stage: usize) -> String {
    let Some(steps) = select.steps else { return String::new() };
    let (lanes, bits) = (input.lanes, select.value_bits);
    let terms = ClassTerms::of(select, lane, lanes, input.vector_beats());
    let before = 2 + usize::from(steps.products);
    let count = terms.count();
    if stage > before || (stage == before && steps.products) {
        let mut left = count;
        let level = stage - before;
        (0..level).for_each(|_| left = left.div_ceil(2));
        let name = |i: usize| if level == 0 { format!("term{lane}_{i}") } else { format!("sum{lane}_{level}_{i}") };
        return (0..left).map(name).collect::<Vec<_>>().join(" + ");
    }
    // Read, and not multiplied yet.
    let varies = terms.offsets.windows(2).any(|w| w[0] != w[1]);
    let mut sum: Vec<String> = terms
        .shifted
        .iter()
        .map(|&(shift, complement)| format!("{}(x_next{lane} << {shift})", if complement { "~" } else { "" }))
        .collect();
    if terms.multiplier_bits > 0 {
        sum.push(format!("(multiplier_reg{lane} * x_next{lane})"));
    }
    if terms.has_offset() {
        let constant = format!("{bits}'h{}", word(terms.offsets[0], bits).bits);
        sum.push(if varies { format!("offset_reg{lane}") } else { constant });
    }
    if sum.is_empty() { format!("{bits}'h0") } else { sum.join(" + ") }
}
