//! The fixed modules: parameterized Verilog that every design shares.

/// A hand-written module.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    /// Module name.
    pub name: &'static str,
    /// Its file's text.
    pub text: &'static str,
}

/// All fixed modules, by name.
pub const FIXED: [Fixed; 13] = [
    Fixed { name: "snug_add", text: include_str!("../rtl/snug_add.v") },
    Fixed { name: "snug_concat", text: include_str!("../rtl/snug_concat.v") },
    Fixed { name: "snug_credit", text: include_str!("../rtl/snug_credit.v") },
    Fixed { name: "snug_delay", text: include_str!("../rtl/snug_delay.v") },
    Fixed { name: "snug_fifo", text: include_str!("../rtl/snug_fifo.v") },
    Fixed { name: "snug_fork", text: include_str!("../rtl/snug_fork.v") },
    Fixed { name: "snug_pair", text: include_str!("../rtl/snug_pair.v") },
    Fixed { name: "snug_pool", text: include_str!("../rtl/snug_pool.v") },
    Fixed { name: "snug_sequencer", text: include_str!("../rtl/snug_sequencer.v") },
    Fixed { name: "snug_skid", text: include_str!("../rtl/snug_skid.v") },
    Fixed { name: "snug_upsample", text: include_str!("../rtl/snug_upsample.v") },
    Fixed { name: "snug_width_converter", text: include_str!("../rtl/snug_width_converter.v") },
    Fixed { name: "snug_window", text: include_str!("../rtl/snug_window.v") },
];

/// Rows of a bit heap on 7-series cells, and the models of those cells, which are empty in synthesis.
pub const XC7: [Fixed; 3] = [
    Fixed { name: "LUT6_2", text: include_str!("../rtl/LUT6_2.v") },
    Fixed { name: "CARRY4", text: include_str!("../rtl/CARRY4.v") },
    Fixed { name: "snug_xc7_row", text: include_str!("../rtl/snug_xc7_row.v") },
];
