//! Hardware: from the integer network to a dataflow, and from the dataflow to Verilog.

pub mod accumulators;
pub mod class_terms;
pub mod code_tables;
pub mod dataflow;
pub mod emit;
pub mod error;
pub mod estimate;
pub mod folding;
pub mod heap;
pub mod lower;
pub mod memory;
pub mod names;
pub mod prune;
pub mod reduction;
pub mod solve;
pub mod stages;
pub mod streamed;
pub mod target;
pub mod unrolled;
