//! The top, and what runs it in simulation.

use serde::Serialize;

use super::template;

template!(Top, "top.v.tera");
template!(Monitor, "monitor.v.tera");
template!(Testbench, "testbench.v.tera");

/// `top.v.tera`: streams, modules, frame counters.
#[derive(Clone, Debug, Serialize)]
pub struct Top {
    /// Module name.
    pub top: String,
    /// One line.
    pub title: String,
    /// Comment lines.
    pub about: Vec<String>,
    /// What `frame_error` means here.
    pub frame_error: String,
    /// Bits of the input bus, whole bytes.
    pub s_bus: usize,
    /// Bits of it that carry data.
    pub s_bits: usize,
    /// Bits of the output bus, whole bytes.
    pub m_bus: usize,
    /// Output data with its padding.
    pub m_data: String,
    /// Streams.
    pub streams: Vec<StreamWires>,
    /// First stream.
    pub input: String,
    /// Last stream.
    pub output: String,
    /// Modules.
    pub modules: Vec<Instance>,
    /// Beats of a frame in.
    pub s_beats: usize,
    /// Bits that count them.
    pub s_count: usize,
    /// Beats of a frame out.
    pub m_beats: usize,
    /// Bits that count them.
    pub m_count: usize,
    /// Whether an input map reports illegal codes.
    pub illegal: bool,
    /// Modules that the claims need, under `ifdef FORMAL`.
    pub formal_modules: String,
    /// Claims, under `ifdef FORMAL`.
    pub formal: String,
}

/// The wires of a stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamWires {
    /// Prefix.
    pub name: String,
    /// Bits of a beat.
    pub width: usize,
    /// What it carries.
    pub comment: String,
}

/// A module in the top.
#[derive(Clone, Debug, Serialize)]
pub struct Instance {
    /// Module name.
    pub module: String,
    /// Instance name.
    pub instance: String,
    /// Parameters, for a fixed module.
    pub parameters: Vec<Parameter>,
    /// Streams read, each with the prefix of its ports.
    pub inputs: Vec<StreamPort>,
    /// Streams written.
    pub outputs: Vec<StreamPort>,
    /// Whether it reports illegal codes.
    pub illegal: bool,
}

/// A stream at a module's ports.
#[derive(Clone, Debug, Serialize)]
pub struct StreamPort {
    /// `s_axis`, `s1_axis`, `m_axis` or `m1_axis`.
    pub port: &'static str,
    /// Name of the stream.
    pub stream: String,
}

/// A parameter of a fixed module.
#[derive(Clone, Debug, Serialize)]
pub struct Parameter {
    /// Name.
    pub name: &'static str,
    /// Value, as Verilog writes it.
    pub value: String,
}

/// `monitor.v.tera`: prints the handshakes of inner streams.
#[derive(Clone, Debug, Serialize)]
pub struct Monitor {
    /// Module name.
    pub module: String,
    /// The accelerator.
    pub top: String,
    /// Bits of the input bus.
    pub s_bus: usize,
    /// Bits of the output bus.
    pub m_bus: usize,
    /// Streams in order.
    pub streams: Vec<String>,
}

/// `testbench.v.tera`: the self-checking testbench.
#[derive(Clone, Debug, Serialize)]
pub struct Testbench {
    /// Module name.
    pub module: String,
    /// The accelerator.
    pub top: String,
    /// Bits of the input bus.
    pub s_bus: usize,
    /// Bits of the output bus.
    pub m_bus: usize,
    /// Frames sent.
    pub frames: usize,
    /// Beats in, all frames.
    pub in_beats: usize,
    /// Beats out, all frames.
    pub out_beats: usize,
    /// Beats in of a frame.
    pub in_frame: usize,
    /// Beats out of a frame.
    pub out_frame: usize,
    /// Beats in after which the first run is reset.
    pub reset_at: usize,
    /// Cycles without a beat that count as a deadlock.
    pub quiet: u64,
}
