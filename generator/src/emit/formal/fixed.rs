//! The claims of convolution's fixed modules: windows, pools, upsampling, forks and joins.

use hw_templates::{
    AddFormal, ConcatFormal, FixedFormal, FormalEntry, FormalExit, FormalIsland, FormalWire, JoinLane, PoolFormal,
    PoolLane, TemplateError, Templates,
};
use quantizer::datatype::Range;

use super::{Tables, beat_bits, queue_module, range_module, vector_range, watch_module, window};
use crate::dataflow::{Add, Concat, Dataflow, Fork, Kind, Module, Pool, Stream};
use crate::emit::expression::{counter_bits, field, word};
use crate::emit::fixed::instance;

/// The claims of `module`; `None` for kinds whose claims stand elsewhere.
///
/// # Errors
/// If a template cannot be filled, which is a defect of snug.
pub fn context(
    templates: &Templates,
    dataflow: &Dataflow,
    module: &Module,
) -> Result<Option<FixedFormal>, TemplateError> {
    let inputs: Vec<&Stream> = module.inputs.iter().map(|&id| dataflow.stream(id)).collect();
    let outputs: Vec<&Stream> = module.outputs.iter().map(|&id| dataflow.stream(id)).collect();
    let top = &dataflow.top;
    let (input, output) = (inputs[0], outputs[0]);
    let beats = module.vector_beats(dataflow);
    let number_bits = counter_bits(beats - 1);
    let island = |pipeline: usize, queue: usize, lemma: &'static str| {
        let range = vector_range(top, output, beats).0;
        Some(FormalIsland { pipeline, beats, number_bits, lanes: output.lanes, range, queue, lemma })
    };
    // Every module with a credit counter shows the same of its queue.
    let exit = |more: &[(&str, usize)]| {
        let data = output.width();
        let queue = [("valid", 1), ("room", 1), ("entry", data), ("credits", 32), ("level", 32), ("inside", 1)];
        let rest = [("ahead", 32), ("chosen", data), ("leaves", 1), ("enters", 1)];
        wires(more.iter().chain(&queue).chain(&rest))
    };
    let (task, wires, body, island) = match &module.kind {
        Kind::Window(w) => (
            "every place of every window is the beat of the image that it names, or the border.",
            exit(&window::WINDOW_WIRES.map(|(name, bits)| (name, if bits == 0 { input.width() } else { bits }))),
            templates.render(&window::window(top, w, input))?,
            island(1, w.queue_depth, "lemma7_range"),
        ),
        Kind::Upsample(u) => (
            "every beat that leaves is the one of the row that it repeats.",
            exit(&window::UPSAMPLE_WIRES.map(|(name, bits)| (name, if bits == 0 { input.width() } else { bits }))),
            templates.render(&window::upsample(top, u, input))?,
            island(1, u.queue_depth, "lemma6_range"),
        ),
        Kind::Pool(p) => (
            "what leaves is that of a whole window, and loses no bit.",
            exit(&[("fire", 1), ("place", 32), ("x", input.width()), ("x_valid", 1), ("x_first", 1), ("y_valid", 2)]),
            templates.render(&pool(top, p, input, output, beats))?,
            island(2, p.queue_depth, ""),
        ),
        Kind::Add(a) => (
            "what leaves is the sum of a beat of each stream, and loses no bit.",
            exit(&[("fire", 1), ("x0", inputs[0].width()), ("x1", inputs[1].width()), ("y_valid", 2)]),
            templates.render(&add(top, a, [inputs[0], inputs[1]], output, beats))?,
            island(2, a.queue_depth, ""),
        ),
        Kind::Concat(c) => {
            let data = output.width();
            let queue = [("beat", 32), ("second", 1), ("valid", 1), ("room", 1), ("entry", data), ("level", 32)];
            let rest = [("inside", 1), ("ahead", 32), ("chosen", data), ("leaves", 1)];
            (
                "each stream's beats leave as they came, in turns.",
                self::wires(queue.iter().chain(&rest)),
                templates.render(&concat(top, c, [inputs[0], inputs[1]], output, beats))?,
                None,
            )
        }
        Kind::Fork(Fork { .. }) => {
            let one = |k: usize| {
                [("level", 32), ("inside", 1), ("ahead", 32), ("chosen", output.width()), ("leaves", 1)]
                    .map(|(name, bits)| (format!("{name}_{k}"), bits))
            };
            (
                "each reader gets every beat once, in order.",
                self::wires(one(0).iter().chain(&one(1)).map(|(name, bits)| (name.as_str(), *bits))),
                held(0, "m_axis") + &held(1, "m1_axis"),
                None,
            )
        }
        Kind::Map(_) | Kind::MatrixVector(_) | Kind::LabelSelect(_) | Kind::Fifo(_) | Kind::WidthConverter(_) => {
            return Ok(None);
        }
    };
    let Some((kind, parameters)) = instance(&module.kind, &inputs, &outputs) else { return Ok(None) };
    // Where a memory is left with one word, only beats that were read from it are known.
    let buffered = matches!(module.kind, Kind::Window(_) | Kind::Upsample(_));
    let forked = matches!(module.kind, Kind::Fork(_));
    let (put, number) = match module.kind {
        Kind::Fork(_) => ("take0", format!("beat0[{}:0]", number_bits - 1)),
        Kind::Concat(_) => ("put", format!("beat[{}:0]", number_bits - 1)),
        _ => ("valid", "entering".to_owned()),
    };
    let exits = outputs.iter().zip(["m_axis", "m1_axis"]).enumerate().map(|(k, (stream, port))| {
        let of = |name: &str| if forked { format!("{name}_{k}") } else { name.to_owned() };
        let known = |name: &str| if buffered { format!("{name} & is_known") } else { of(name) };
        let vectors = stream.vector_beats() / beats;
        FormalExit {
            port,
            bits: stream.width(),
            queue: queue_module(top, stream),
            put: put.to_owned(),
            number: number.clone(),
            number_bits,
            beats,
            vectors,
            vector_bits: counter_bits(vectors.saturating_sub(1)),
            level: of("level"),
            inside: known("inside"),
            ahead: of("ahead"),
            chosen: of("chosen"),
            leaves: known("leaves"),
        }
    });
    let entries = inputs.iter().zip(["s_axis", "s1_axis"]).map(|(stream, port)| FormalEntry {
        port,
        bits: stream.width(),
        watch: watch_module(top, stream),
    });
    Ok(Some(FixedFormal {
        module: format!("{top}_{}_claims", module.name),
        instance: module.name.clone(),
        task: task.to_owned(),
        kind: kind.to_owned(),
        parameters: parameters.iter().map(|p| format!(".{}({})", p.name, p.value)).collect::<Vec<_>>().join(", "),
        inputs: entries.collect(),
        outputs: exits.collect(),
        wires,
        body,
        island,
    }))
}

/// Queue `k` of a fork holds what came in less what left at `port`, counted from the pins.
fn held(k: usize, port: &str) -> String {
    format!(
        "
    reg  [31:0] held_{k};
    always @(posedge aclk) begin
        held_{k} <= held_{k} + {{31'd0, take0}} - {{31'd0, {port}_tvalid & {port}_tready}};
        if (!aresetn)
            held_{k} <= 32'd0;
    end
    always @* if (live)
        assert (level_{k} == held_{k});
"
    )
}

fn wires<'a, T: Into<Wire<'a>>>(list: impl Iterator<Item = T>) -> Vec<FormalWire> {
    let wire = |w: Wire<'_>| FormalWire { port: format!("f_{}", w.0), name: w.0.to_owned(), bits: w.1 };
    list.map(|w| wire(w.into())).collect()
}

/// Name and bits.
struct Wire<'a>(&'a str, usize);

impl<'a> From<(&'a str, usize)> for Wire<'a> {
    fn from((name, bits): (&'a str, usize)) -> Self {
        Wire(name, bits)
    }
}

impl<'a> From<&(&'a str, usize)> for Wire<'a> {
    fn from(&(name, bits): &(&'a str, usize)) -> Self {
        Wire(name, bits)
    }
}

/// Bits, two's complement, for every value of `ranges`.
fn signed_bits(ranges: impl Iterator<Item = Range>) -> usize {
    let all = ranges.fold(Range::ZERO, Range::hull);
    let magnitude = all.hi.unsigned_abs().max(all.lo.unsigned_abs());
    (u64::BITS - magnitude.leading_zeros()) as usize + 2
}

/// Running largest or sum: the interval after place `p` of window `o`, from the ranges of the stream that comes in.
fn pool(top: &str, pool: &Pool, input: &Stream, output: &Stream, windows: usize) -> PoolFormal {
    let places = pool.beats;
    let (place_bits, number_bits) = (counter_bits(places - 1), counter_bits(windows - 1));
    let running = |lane: usize, window: usize| {
        let mut so_far: Option<Range> = None;
        (0..places)
            .map(|p| {
                let range = input.ranges[(window * places + p) * input.lanes + lane];
                let next = match so_far {
                    None => range,
                    Some(r) if pool.sum => Range::new(r.lo + range.lo, r.hi + range.hi),
                    Some(r) => Range::new(r.lo.max(range.lo), r.hi.max(range.hi)),
                };
                so_far = Some(next);
                next
            })
            .collect::<Vec<Range>>()
    };
    let intervals: Vec<Vec<Vec<Range>>> =
        (0..input.lanes).map(|lane| (0..windows).map(|window| running(lane, window)).collect()).collect();
    let all = || intervals.iter().flatten().flatten().copied();
    let wide = signed_bits(all()).max(output.encoding.bits as usize + 1) + 1;
    let mut tables = Tables::default();
    let lane_list = intervals
        .iter()
        .enumerate()
        .map(|(lane, windows)| {
            // Windows alike need no number in the index.
            let alike = windows.windows(2).all(|w| w[0] == w[1]);
            let (index, bits) =
                if alike { ("y_place", place_bits) } else { ("{y_window, y_place}", number_bits + place_bits) };
            let rows = if alike { &windows[..1] } else { &windows[..] };
            let mut lookup = |end: fn(&Range) -> i64| {
                let mut values = Vec::new();
                for row in rows {
                    let first = values.len().next_multiple_of(1 << place_bits);
                    values.resize(first, 0);
                    values.extend(row.iter().map(end));
                }
                tables.lookup(&values, wide, index, bits)
            };
            let (lo, hi) = (lookup(|r| r.lo), lookup(|r| r.hi));
            PoolLane {
                x: field("x", lane * input.encoding.bits as usize, input.encoding, wide as u32),
                y: field("entry", lane * output.encoding.bits as usize, output.encoding, wide as u32),
                lo,
                hi,
            }
        })
        .collect();
    PoolFormal {
        sum: pool.sum,
        what: if pool.sum { "sum" } else { "largest value" },
        places,
        place_bits,
        windows,
        number_bits,
        input_range: range_module(top, input),
        input_beat_bits: beat_bits(input),
        lanes: input.lanes,
        wide,
        tables: tables.finish(),
        lane_list,
    }
}

fn add(top: &str, add: &Add, inputs: [&Stream; 2], output: &Stream, beats: usize) -> AddFormal {
    let lanes = output.lanes;
    let number_bits = counter_bits(beats - 1);
    let term = |k: usize, at: usize| {
        let (r, f) = (inputs[k].ranges[at], add.factors[k]);
        Range::new((r.lo * f).min(r.hi * f), (r.lo * f).max(r.hi * f))
    };
    let interval = |at: usize| {
        let (a, b) = (term(0, at), term(1, at));
        Range::new(a.lo + b.lo, a.hi + b.hi)
    };
    let terms = (0..beats * lanes).flat_map(|at| [term(0, at), term(1, at), interval(at)]);
    let factors = add.factors.iter().map(|&f| Range::new(f, f));
    let widest = inputs.iter().map(|s| s.encoding.bits).chain([output.encoding.bits]).max().unwrap_or(1) as usize;
    let wide = signed_bits(terms.chain(factors)).max(widest + 1);
    let mut tables = Tables::default();
    let lane_list = (0..lanes)
        .map(|lane| {
            let mut lookup = |end: fn(&Range) -> i64| {
                let values: Vec<i64> = (0..beats).map(|b| end(&interval(b * lanes + lane))).collect();
                tables.lookup(&values, wide, "entering", number_bits)
            };
            let (lo, hi) = (lookup(|r| r.lo), lookup(|r| r.hi));
            JoinLane { lo, hi, ..join(lane, inputs, output, wide, ["x0", "x1"]) }
        })
        .collect();
    AddFormal {
        number_bits,
        input_ranges: inputs.map(|s| range_module(top, s)),
        factors: add.factors.map(|f| word(f, wide as u32).bits),
        lanes,
        wide,
        tables: tables.finish(),
        lane_list,
    }
}

fn concat(top: &str, concat: &Concat, inputs: [&Stream; 2], output: &Stream, beats: usize) -> ConcatFormal {
    let widest = inputs.iter().map(|s| s.encoding.bits).chain([output.encoding.bits]).max().unwrap_or(1);
    let wide = widest as usize + 1;
    ConcatFormal {
        beats: concat.beats,
        number_bits: counter_bits(beats - 1),
        range: vector_range(top, output, beats).0,
        lanes: output.lanes,
        wide,
        lane_list: (0..output.lanes)
            .map(|lane| join(lane, inputs, output, wide, ["s_axis_tdata", "s1_axis_tdata"]))
            .collect(),
    }
}

/// Lane `lane` of both streams and of the result, without an interval.
fn join(lane: usize, inputs: [&Stream; 2], output: &Stream, wide: usize, names: [&str; 2]) -> JoinLane {
    let of =
        |name: &str, stream: &Stream| field(name, lane * stream.encoding.bits as usize, stream.encoding, wide as u32);
    JoinLane {
        x0: of(names[0], inputs[0]),
        x1: of(names[1], inputs[1]),
        y: of("entry", output),
        lo: String::new(),
        hi: String::new(),
    }
}
