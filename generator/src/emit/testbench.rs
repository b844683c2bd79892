//! Prints what simulation needs beside the accelerator: monitor, testbench, and its vectors.

use hw_templates::{Monitor, Templates, Testbench};

use crate::dataflow::{Dataflow, Stream};
use crate::error::GenerateError;

/// Name of the monitor module of `dataflow`.
pub fn monitor_name(dataflow: &Dataflow) -> String {
    format!("{}_monitor", dataflow.top)
}

/// Name of the testbench module of `dataflow`.
pub fn testbench_name(dataflow: &Dataflow) -> String {
    format!("{}_tb", dataflow.top)
}

/// Bytes of a bus that carries beats of `stream`.
pub fn bus_bytes(stream: &Stream) -> usize {
    stream.width().div_ceil(8)
}

/// The wrapper that prints the handshakes of every stream.
///
/// # Errors
/// If the template cannot be filled, which is a defect of snug.
pub fn monitor(dataflow: &Dataflow) -> Result<String, GenerateError> {
    let context = Monitor {
        module: monitor_name(dataflow),
        top: dataflow.top.clone(),
        s_bus: bus_bytes(dataflow.input()) * 8,
        m_bus: bus_bytes(dataflow.output_stream()) * 8,
        streams: dataflow.streams.iter().map(|s| s.name.clone()).collect(),
    };
    Ok(format!("{}{}", super::NOTICE, Templates::new()?.render(&context)?))
}

/// The self-checking testbench for `frames` frames.
///
/// # Errors
/// If the template cannot be filled, which is a defect of snug.
pub fn testbench(dataflow: &Dataflow, frames: usize) -> Result<String, GenerateError> {
    let (input, output) = (dataflow.input(), dataflow.output_stream());
    let (in_beats, out_beats) = (frames * input.beats(), frames * output.beats());
    let context = Testbench {
        module: testbench_name(dataflow),
        top: dataflow.top.clone(),
        s_bus: bus_bytes(input) * 8,
        m_bus: bus_bytes(output) * 8,
        frames,
        in_beats,
        out_beats,
        in_frame: input.beats(),
        out_frame: output.beats(),
        // In the middle of the second frame, or of the only one.
        reset_at: (input.beats() + input.beats() / 2).clamp(1, in_beats),
        quiet: 1000 + 20 * dataflow.modules.iter().map(|m| m.cycles(dataflow)).sum::<u64>(),
    };
    Ok(format!("{}{}", super::NOTICE, Templates::new()?.render(&context)?))
}

/// One beat of `stream` on its bus, lowest byte first. Lanes that `values` lacks carry 0.
pub fn beat_bytes(stream: &Stream, values: impl Iterator<Item = i64>) -> Vec<u8> {
    let bits = stream.encoding.bits as usize;
    let mut bytes = vec![0u8; bus_bytes(stream)];
    for (lane, value) in values.enumerate() {
        let word = stream.encoding.encode(value);
        for bit in (0..bits).filter(|b| word >> b & 1 == 1) {
            let place = lane * bits + bit;
            bytes[place / 8] |= 1 << (place % 8);
        }
    }
    bytes
}

/// The first `lanes` values of a beat on the bus.
pub fn beat_values(stream: &Stream, bytes: &[u8], lanes: usize) -> Vec<i64> {
    let bits = stream.encoding.bits as usize;
    (0..lanes)
        .map(|lane| {
            let word = (0..bits).fold(0u64, |word, bit| {
                let place = lane * bits + bit;
                word | u64::from(bytes[place / 8] >> (place % 8) & 1) << bit
            });
            stream.encoding.decode(word)
        })
        .collect()
}

/// Beats as a `$readmemh` file: one word a line, highest digit first.
pub fn hex_lines<'a>(beats: impl Iterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for beat in beats {
        for byte in beat.iter().rev() {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
    }
    text
}
