//! The streaming control blocks of `hw-templates`, described a second time in rust-hdl.
//!
//! | Ours (Verilog by hand) | Here                 | How this one is built, on purpose differently            |
//! |------------------------|----------------------|----------------------------------------------------------|
//! | `snug_fifo`            | [`fifo::Fifo`]       | beats fall to place 0; no pointers, no level counter     |
//! | `snug_skid`            | [`skid::Skid`]       | two places used in turn; no fixed output register        |
//! | `snug_credit`          | [`credit::Credit`]   | credits in use as a row of ones; no binary counter       |
//!
//! The tests of this crate let Yosys prove the Verilog that rust-hdl prints equivalent to ours, cycle by cycle and for
//! ever, and run rust-hdl's own simulator through the handshake cases that our Verilog passes. Two descriptions by two
//! ways of thought, in two languages, seldom share a mistake.
//!
//! **No arithmetic comes from rust-hdl**: it compiles signed products wrongly and says nothing. [`product`] holds the
//! smallest example, and a test records what comes out of it.

pub mod credit;
pub mod fifo;
pub mod product;
pub mod skid;

use rust_hdl_core::prelude::*;

/// The Verilog that rust-hdl prints for `block`, with its modules called `name` and `name$...` instead of `top` and
/// `top$...`.
///
/// # Panics
/// Inside rust-hdl, if the block is not fully connected; the blocks of this crate are.
pub fn verilog<B: Block>(mut block: B, name: &str) -> String {
    block.connect_all();
    generate_verilog(&block).replace("module top(", &format!("module {name}(")).replace("top$", &format!("{name}$"))
}
