//! The fixed stream modules of `rtl/`: linted, simulated cycle by cycle against their model, and proved.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/handshake.rs"]
mod handshake;
#[path = "../common/tools.rs"]
mod tools;

mod lint;
mod model;
mod prove;
mod simulate;

/// Folder of the Verilog files.
fn rtl() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rtl")
}

const FIFO: &str = include_str!("../../rtl/snug_fifo.v");
const SKID: &str = include_str!("../../rtl/snug_skid.v");
const PAIR: &str = include_str!("../../rtl/snug_pair.v");
const CREDIT: &str = include_str!("../../rtl/snug_credit.v");

/// Depths with all the odd shapes: one beat, powers of two, and their neighbours.
const DEPTHS: [usize; 7] = [1, 2, 3, 4, 5, 16, 17];
/// Widths of a beat: a single bit, a byte, and more than a machine word of 32 bits.
const WIDTHS: [usize; 3] = [1, 8, 33];
