//! Prints the input map and its lane.

use hw_templates::{Direction, LanePorts, Map as Context, MapLane, Select, Table};

use super::expression::{counter_bits, pack, resize, type_name, word};
use super::search;
use crate::dataflow::{Map, MapFunction, Stream};
use quantizer::datatype::Signedness;

/// The context of a map whose module is called `name`.
/// `pins`: it reads what the pins carry, and reports codes that their type excludes.
pub fn context(name: &str, map: &Map, input: &Stream, output: &Stream, pins: bool) -> Context {
    let index_bits = index_bits(map);
    let span = |lane: usize, bits: usize| format!("{}:{}", (lane + 1) * bits - 1, lane * bits);
    Context {
        module: name.to_owned(),
        task: task(map),
        pins,
        pipeline: map.pipeline(),
        s_bits: input.width(),
        s_type: type_name(input.encoding),
        m_bits: output.width(),
        m_type: type_name(output.encoding),
        lanes: input.lanes,
        queue: map.queue_depth,
        select: (!map.select.is_empty()).then(|| Select {
            beat_bits: counter_bits(map.select.len() - 1),
            last: map.select.len() - 1,
            bits: index_bits * input.lanes,
            words: map.select.iter().map(|beat| pack(beat.iter().map(|&w| (w as u64, index_bits as u32)))).collect(),
        }),
        lane_module: format!("{name}_lane"),
        lane_ports: (0..input.lanes)
            .map(|l| LanePorts {
                select: if index_bits > 0 { span(l, index_bits) } else { String::new() },
                x: span(l, input.encoding.bits as usize),
                y: span(l, output.encoding.bits as usize),
            })
            .collect(),
        formal: String::new(),
    }
}

/// The context of one lane.
pub fn lane(name: &str, map: &Map, input: &Stream, output: &Stream) -> MapLane {
    let index_bits = index_bits(map);
    let (x_bits, y) = (input.encoding.bits, output.encoding);
    let signed = input.encoding.sign != Signedness::Unsigned;
    let excluded = map.excluded(input.encoding);
    let nearest = if signed { map.legal.lo } else { map.legal.hi };
    let illegal =
        excluded.map_or_else(|| "1'b0".to_owned(), |code| format!("x == {x_bits}'h{}", word(code, x_bits).bits));
    let mut lane = MapLane {
        module: name.to_owned(),
        task: task(map),
        latency: map.pipeline() - 1,
        index_bits,
        x_bits: x_bits as usize,
        y_bits: y.bits as usize,
        illegal,
        clamp: String::new(),
        table: None,
        stages: Vec::new(),
        word_bits: 1,
        value: String::new(),
        direction: None,
        y: String::new(),
    };
    match &map.function {
        MapFunction::Clamp => {
            lane.clamp = if excluded.is_some() {
                format!("illegal ? {x_bits}'h{} : x", word(nearest, x_bits).bits)
            } else {
                "x".into()
            };
        }
        MapFunction::Table(tables) => {
            lane.table = Some(Table {
                address: if index_bits > 0 { "{index, x}".into() } else { "x".into() },
                address_bits: index_bits + x_bits as usize,
                words: tables.iter().flatten().map(|&code| word(y.encode(code) as i64, y.bits)).collect(),
            });
            if let Some(table) = &mut lane.table {
                // The comment shows the code, not its wires.
                table.words.iter_mut().zip(tables.iter().flatten()).for_each(|(w, &code)| w.value = code);
            }
        }
        MapFunction::Search { search, channels, word_bits } => {
            lane.stages =
                search::stages(*search, channels, *word_bits, *word_bits, false, |k| (format!("index{k}"), index_bits));
            lane.word_bits = *word_bits as usize;
            lane.value = resize("x", x_bits, signed, *word_bits);
            let falling = channels.iter().filter(|c| c.falling).count();
            let direction = match falling {
                0 => None,
                n if n == channels.len() => Some("1'b1"),
                _ => {
                    let flags = channels.iter().map(|c| u8::from(c.falling)).collect();
                    lane.direction = Some(Direction { address: format!("index{}", search.bits), flags });
                    Some("falling")
                }
            };
            lane.y = search::code(*search, y, direction);
        }
    }
    lane
}

fn index_bits(map: &Map) -> usize {
    let functions = match &map.function {
        MapFunction::Clamp => 1,
        MapFunction::Table(tables) => tables.len(),
        MapFunction::Search { channels, .. } => channels.len(),
    };
    if map.select.is_empty() { 0 } else { search::channel_bits(functions) }
}

fn task(map: &Map) -> String {
    match &map.function {
        MapFunction::Clamp => format!("the codes {} as they are; any other is read as the nearest", map.legal),
        MapFunction::Table(t) if t.len() == 1 => "every code to its code, by table".to_owned(),
        MapFunction::Table(t) => format!("every code to its code, by one of {} tables", t.len()),
        MapFunction::Search { channels, .. } => {
            format!("every code to its code, by binary search ({} functions)", channels.len())
        }
    }
}
