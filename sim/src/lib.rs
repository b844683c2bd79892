//! The golden model, the cycle-level simulator, the harness for Verilator, waveforms.

pub mod golden;
