//! Parameters of the fixed modules that stand in the top by themselves.

use hw_templates::Parameter;
use quantizer::datatype::Signedness;

use crate::dataflow::{Encoding, Kind, Stream};

/// The fixed module of `kind` and its parameters; `None` for kinds with a module of their own.
pub fn instance(kind: &Kind, inputs: &[&Stream], outputs: &[&Stream]) -> Option<(&'static str, Vec<Parameter>)> {
    let (input, output) = (*inputs.first()?, *outputs.first()?);
    let parameters = |all: &[(&'static str, usize)]| -> Vec<Parameter> {
        all.iter().map(|&(name, value)| Parameter { name, value: value.to_string() }).collect()
    };
    let bits = |s: &Stream| s.encoding.bits as usize;
    let signed = |s: &Stream| usize::from(s.encoding.sign == Signedness::Signed);
    Some(match kind {
        Kind::Map(_) | Kind::MatrixVector(_) | Kind::LabelSelect(_) => return None,
        Kind::Fifo(f) if f.slice => ("snug_skid", parameters(&[("WIDTH", input.width())])),
        Kind::Fifo(f) => ("snug_fifo", parameters(&[("WIDTH", input.width()), ("DEPTH", f.depth)])),
        Kind::WidthConverter(w) => {
            let all = [
                ("UNIT_WIDTH", w.unit * bits(input)),
                ("INPUT_WIDTH", input.width()),
                ("INPUT_UNITS", w.input_units),
                ("LAST_UNITS", w.last_units),
                ("LAST_WIDTH", w.last_lanes * bits(input)),
                ("BEATS", w.beats),
                ("OUTPUT_UNITS", w.output_units),
                ("CAPACITY", w.capacity),
            ];
            ("snug_width_converter", parameters(&all))
        }
        Kind::Window(w) => {
            let all = [
                ("CHUNKS", w.chunks),
                ("CHUNKS_INNER", usize::from(w.chunks_inner)),
                ("HEIGHT", w.image[0]),
                ("IMAGE_WIDTH", w.image[1]),
                ("OUT_HEIGHT", w.windows[0]),
                ("OUT_WIDTH", w.windows[1]),
                ("KERNEL_Y", w.window.kernel[0]),
                ("KERNEL_X", w.window.kernel[1]),
                ("STRIDE_Y", w.window.stride[0]),
                ("STRIDE_X", w.window.stride[1]),
                ("DILATION_Y", w.window.dilation[0]),
                ("DILATION_X", w.window.dilation[1]),
                ("PAD_Y", w.window.pad_begin[0]),
                ("PAD_X", w.window.pad_begin[1]),
                ("DEPTH", w.depth),
                ("QUEUE", w.queue_depth),
            ];
            let mut all = parameters(&all);
            all.insert(0, Parameter { name: "WIDTH", value: input.width().to_string() });
            all.insert(1, Parameter { name: "FILL", value: repeated(input.encoding, w.fill, input.lanes) });
            ("snug_window", all)
        }
        Kind::Upsample(u) => {
            let all = [
                ("WIDTH", input.width()),
                ("CHUNKS", u.chunks),
                ("OUT_CHUNKS", u.out_chunks()),
                ("SPLIT", usize::from(u.split)),
                ("FACTOR_Y", u.factor[0]),
                ("FACTOR_X", u.factor[1]),
                ("IMAGE_WIDTH", u.width),
                ("DEPTH", u.depth),
                ("QUEUE", u.queue_depth),
            ];
            ("snug_upsample", parameters(&all))
        }
        Kind::Pool(p) => {
            let all = [
                ("LANES", input.lanes),
                ("IN", bits(input)),
                ("OUT", bits(output)),
                ("SIGNED", signed(input)),
                ("SUM", usize::from(p.sum)),
                ("BEATS", p.beats),
                ("QUEUE", p.queue_depth),
            ];
            ("snug_pool", parameters(&all))
        }
        Kind::Fork(f) => {
            let all = [("WIDTH", input.width()), ("DEPTH_0", f.depths[0]), ("DEPTH_1", f.depths[1])];
            ("snug_fork", parameters(&all))
        }
        Kind::Add(a) => {
            let second = *inputs.get(1)?;
            let factor = |value: i64| format!("64'h{:x}", value as u64);
            let mut all = parameters(&[("LANES", input.lanes), ("IN_0", bits(input)), ("SIGNED_0", signed(input))]);
            all.push(Parameter { name: "FACTOR_0", value: factor(a.factors[0]) });
            all.extend(parameters(&[("IN_1", bits(second)), ("SIGNED_1", signed(second))]));
            all.push(Parameter { name: "FACTOR_1", value: factor(a.factors[1]) });
            all.extend(parameters(&[("OUT", bits(output)), ("QUEUE", a.queue_depth)]));
            ("snug_add", all)
        }
        Kind::Concat(c) => {
            let second = *inputs.get(1)?;
            let all = [
                ("LANES", input.lanes),
                ("IN_0", bits(input)),
                ("SIGNED_0", signed(input)),
                ("BEATS_0", c.beats[0]),
                ("IN_1", bits(second)),
                ("SIGNED_1", signed(second)),
                ("BEATS_1", c.beats[1]),
                ("OUT", bits(output)),
            ];
            ("snug_concat", parameters(&all))
        }
    })
}

/// A beat in which every lane carries `code`.
pub fn repeated(encoding: Encoding, code: i64, lanes: usize) -> String {
    let bits = encoding.bits as usize;
    let word = encoding.encode(code);
    if word == 0 {
        return format!("{}'d0", bits * lanes);
    }
    format!("{{{lanes}{{{bits}'h{word:x}}}}}")
}
