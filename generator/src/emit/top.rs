//! Prints the top module.

use hw_templates::{Instance, Parameter, StreamWires, Top};

use super::expression::{counter_bits, type_name};
use crate::dataflow::{Dataflow, Kind, Module, Output, Stream};
use crate::names::comment;

/// The context of the top module.
pub fn context(dataflow: &Dataflow, about: Vec<String>) -> Top {
    let (input, output) = (dataflow.input(), dataflow.output_stream());
    let bytes = |s: &Stream| s.width().div_ceil(8) * 8;
    let m_padding = bytes(output) - output.width();
    let m_data = match m_padding {
        0 => format!("{}_tdata", output.name),
        n => format!("{{{n}'d0, {}_tdata}}", output.name),
    };
    let illegal = dataflow.modules.iter().any(|m| matches!(m.kind, Kind::Map(_)));
    Top {
        top: dataflow.top.clone(),
        title: match dataflow.output {
            Output::Logits => "streaming accelerator, one integer a class out".into(),
            Output::Label => "streaming accelerator, the index of the best class out".into(),
        },
        about,
        frame_error: if illegal { "a misplaced tlast, or a code that its type excludes" } else { "a misplaced tlast" }
            .into(),
        s_bus: bytes(input),
        s_bits: input.width(),
        m_bus: bytes(output),
        m_data,
        streams: dataflow
            .streams
            .iter()
            .map(|s| StreamWires {
                name: s.name.clone(),
                width: s.width(),
                comment: format!(
                    "{} x {}, {} elements: {}",
                    s.lanes,
                    type_name(s.encoding),
                    s.elements(),
                    comment(&s.tensor)
                ),
            })
            .collect(),
        input: input.name.clone(),
        output: output.name.clone(),
        modules: dataflow.modules.iter().map(|m| instance(dataflow, m)).collect(),
        s_beats: input.beats(),
        s_count: counter_bits(input.beats() - 1),
        m_beats: output.beats(),
        m_count: counter_bits(output.beats() - 1),
        illegal,
        formal_modules: String::new(),
        formal: String::new(),
    }
}

/// The fixed module that `module` is and its parameters; `None` for a generated one.
pub(super) fn parameters(dataflow: &Dataflow, module: &Module) -> Option<(&'static str, Vec<Parameter>)> {
    let input = dataflow.stream(module.input);
    let (name, values): (_, Vec<(&'static str, usize)>) = match &module.kind {
        Kind::Fifo(f) => ("snug_fifo", vec![("WIDTH", input.width()), ("DEPTH", f.depth)]),
        Kind::WidthConverter(w) => (
            "snug_width_converter",
            vec![
                ("UNIT_WIDTH", w.unit * input.encoding.bits as usize),
                ("INPUT_UNITS", w.input_units),
                ("LAST_UNITS", w.last_units),
                ("LAST_DATA", w.last_data),
                ("BEATS", w.beats),
                ("OUTPUT_UNITS", w.output_units),
                ("CAPACITY", w.capacity),
            ],
        ),
        Kind::Map(_) | Kind::MatrixVector(_) | Kind::LabelSelect(_) => return None,
    };
    Some((name, values.into_iter().map(|(name, value)| Parameter { name, value }).collect()))
}

fn instance(dataflow: &Dataflow, module: &Module) -> Instance {
    let own = || (format!("{}_{}", dataflow.top, module.name), Vec::new());
    let (name, parameters) = parameters(dataflow, module).map_or_else(own, |(name, p)| (name.to_owned(), p));
    Instance {
        module: name,
        instance: module.name.clone(),
        parameters,
        input: dataflow.stream(module.input).name.clone(),
        output: dataflow.stream(module.output).name.clone(),
        illegal: matches!(module.kind, Kind::Map(_)),
    }
}
