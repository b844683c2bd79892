//! Our Verilog and rust-hdl's, side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../hw-templates/tests/common/handshake.rs"]
mod handshake;
#[path = "../../../hw-templates/tests/common/tools.rs"]
mod tools;

mod cases;
mod equivalence;
mod products;
