//! Running networks: golden model, cycle-level simulator, and the outside tools (Verilator, Icarus, Yosys) beside them.

pub mod alone;
pub mod cosim;
pub mod cycle;
pub mod fifo;
pub mod golden;
pub mod icarus;
pub mod nextpnr;
pub mod prove;
pub mod report;
pub mod stall;
pub mod tools;
pub mod verilator;
pub mod waves;
pub mod yosys;
