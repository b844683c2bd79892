//! The claims of the modules without processing elements: label selector and input map.

use hw_templates::{FormalVectors, IslandFormal};

use super::{beat_bits, queue_module, range_module, vector_range, watch_module};
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
    island.enters = "32'd0".into();
    let levels = select.levels;
    let winner = levels + 2;
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
        // What a lane past the last class holds is not read as a value, but must lose.
        claims.push(format!(
            "if (f_fire[2] & (f_class2_{lane} < 32'd{classes})) assert ({} == f_value{lane});",
            extend(format!("value0_{lane}"))
        ));
    }
    // Each node of the compare tree names a class among its lanes, or has lost already.
    let least = format!("{value_bits}'h{}", word(-(1i64 << (value_bits - 1)), value_bits).bits);
    for level in 0..=levels {
        let stage = level + 2;
        for node in 0..lanes.div_ceil(1 << level) {
            let (from, to) = (node << level, ((node + 1) << level).min(lanes));
            lines.push(format!(
                "wire [31:0] f_class{stage}_{node} = {{{}'d0, f_now{stage}}} * 32'd{lanes} + 32'd{from};",
                32 - bits
            ));
            let index = format!("{{{}'d0, index{level}_{node}}}", 32 - index_bits);
            claims.push(format!(
                "if (f_fire[{stage}] & (f_class{stage}_{node} < 32'd{classes})) assert (({index} >= \
                 f_class{stage}_{node}) & ({index} < f_class{stage}_{node} + 32'd{}) & ({index} < 32'd{classes}));",
                to - from
            ));
            if beats * lanes > classes {
                claims.push(format!(
                    "if (f_fire[{stage}] & (f_class{stage}_{node} >= 32'd{classes})) assert (value{level}_{node} == {least});"
                ));
            }
        }
    }
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
