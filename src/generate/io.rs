//! `io.json`: what the pins carry, for whoever connects the top module.

use generator::dataflow::{Dataflow, Output, Stream};
use quantizer::datatype::Signedness;
use quantizer::network::{Network, Scale};
use serde::Serialize;

/// A port of the top module.
#[derive(Clone, Debug, Serialize)]
pub struct Port {
    /// Its name.
    pub name: &'static str,
    /// `input` or `output`.
    pub direction: &'static str,
    /// Wires.
    pub bits: usize,
}

/// The ports of the top module, in its own order.
pub fn ports(dataflow: &Dataflow) -> Vec<Port> {
    let port = |name, direction, bits| Port { name, direction, bits };
    let bus = |stream: &Stream| 8 * generator::emit::testbench::bus_bytes(stream);
    vec![
        port("aclk", "input", 1),
        port("aresetn", "input", 1),
        port("s_axis_tdata", "input", bus(dataflow.input())),
        port("s_axis_tvalid", "input", 1),
        port("s_axis_tready", "output", 1),
        port("s_axis_tlast", "input", 1),
        port("m_axis_tdata", "output", bus(dataflow.output_stream())),
        port("m_axis_tvalid", "output", 1),
        port("m_axis_tready", "input", 1),
        port("m_axis_tlast", "output", 1),
        port("frame_error", "output", 1),
    ]
}

/// The whole of `io.json`.
#[derive(Serialize)]
pub struct Io<'a> {
    schema: &'static str,
    top: &'a str,
    ports: Vec<Port>,
    input: End<'a>,
    output: End<'a>,
}

/// One end of the accelerator.
#[derive(Serialize)]
struct End<'a> {
    /// The ONNX tensor.
    name: &'a str,
    /// Its shape in the source file's terms, without the batch; null for a label.
    shape: Option<&'a [usize]>,
    /// `logits`, `label` or `input`.
    carries: &'static str,
    /// The type of one element: `u8`, `s7`, `bipolar` (one wire, 0 meaning -1).
    #[serde(rename = "type")]
    datatype: String,
    /// Wires of one element.
    bits: u32,
    signed: bool,
    /// Real value of a code: `factor * code + offset`, one for all or one per channel.
    scale: Option<&'a [Scale]>,
    /// Elements side by side in a beat, element 0 in the low bits.
    lanes: usize,
    /// Beats of a frame.
    beats: usize,
    /// Elements of a frame.
    elements: usize,
    /// Index of each element, in the order in which the stream carries them, in the row-major source tensor.
    order: Vec<usize>,
}

/// What the ends of `dataflow` carry.
pub fn io<'a>(network: &'a Network, dataflow: &'a Dataflow) -> Io<'a> {
    let end = |stream: &'a Stream, carries| End {
        name: &stream.tensor,
        shape: None,
        carries,
        datatype: match stream.encoding.sign {
            Signedness::Unsigned => format!("u{}", stream.encoding.bits),
            Signedness::Signed => format!("s{}", stream.encoding.bits),
            Signedness::Bipolar => "bipolar".to_owned(),
        },
        bits: stream.encoding.bits,
        signed: stream.encoding.sign != Signedness::Unsigned,
        scale: None,
        lanes: stream.lanes,
        beats: stream.beats(),
        elements: stream.elements(),
        order: stream.frame_order(),
    };
    let (input, output) = (network.tensor(network.input), network.tensor(network.output));
    Io {
        schema: "snug.io/1",
        top: &dataflow.top,
        ports: ports(dataflow),
        input: End {
            shape: Some(&input.shape),
            datatype: input.datatype.to_string(),
            scale: input.scale.as_deref(),
            ..end(dataflow.input(), "input")
        },
        output: match dataflow.output {
            Output::Label => End { name: &network.output_name, ..end(dataflow.output_stream(), "label") },
            Output::Logits => End {
                name: &network.output_name,
                shape: Some(&output.shape),
                scale: output.scale.as_deref(),
                ..end(dataflow.output_stream(), "logits")
            },
        },
    }
}
