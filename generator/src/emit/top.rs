//! Prints the top module.

use hw_templates::{Instance, StreamPort, StreamWires, Top};

use super::expression::{counter_bits, type_name};
use super::fixed;
use crate::dataflow::{Dataflow, Kind, Module, Output, Stream, StreamId};
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
    let illegal = dataflow.modules.iter().any(checks_pins);
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

fn instance(dataflow: &Dataflow, module: &Module) -> Instance {
    let streams = |ids: &[StreamId]| -> Vec<&Stream> { ids.iter().map(|&id| dataflow.stream(id)).collect() };
    let (inputs, outputs) = (streams(&module.inputs), streams(&module.outputs));
    let (name, parameters) = match fixed::instance(&module.kind, &inputs, &outputs) {
        Some((name, parameters)) => (name.to_owned(), parameters),
        None => (format!("{}_{}", dataflow.top, module.name), Vec::new()),
    };
    let ports = |names: [&'static str; 2], streams: &[&Stream]| -> Vec<StreamPort> {
        names.iter().zip(streams).map(|(port, s)| StreamPort { port, stream: s.name.clone() }).collect()
    };
    Instance {
        module: name,
        instance: module.name.clone(),
        parameters,
        inputs: ports(["s_axis", "s1_axis"], &inputs),
        outputs: ports(["m_axis", "m1_axis"], &outputs),
        illegal: checks_pins(module),
    }
}

/// Whether the module is the map of the pins' codes, which reports illegal ones.
fn checks_pins(module: &Module) -> bool {
    matches!(module.kind, Kind::Map(_)) && module.input() == StreamId(0)
}
