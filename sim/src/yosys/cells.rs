//! What each cell of a technology counts as.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

use super::Target;

/// Cells by kind.
///
/// | target | `lut` | `lutram`, in LUTs | `srl` | `ff` | `carry` | `bram` |
/// |---|---|---|---|---|---|---|
/// | generic | `$lut` of up to 6 inputs | - | - | flip-flops, latches | - | - |
/// | xc7 | `LUT1`..`LUT6`, `LUT6_2` | `RAM32M`, `RAM64M`, `RAM128X1D` 4 each, `RAM32X1D`, `RAM64X1D`, `RAM128X1S` 2, ... | `SRL16E`, `SRLC32E` | `FD*`, `LD*` | `CARRY4` | 18 kbit halves: `RAMB36*` 2 |
/// | ecp5 | `LUT4`, and 2 for each `CCU2C`, which takes two | `TRELLIS_DPR16X4` 4 | - | `TRELLIS_FF` | `CCU2C` | `DP16KD`, `PDPW16KD` |
/// | ice40 | `SB_LUT4` | - | - | `SB_DFF*` | `SB_CARRY` | `SB_RAM40_4K*` |
///
/// Inverters before a carry cell (`INV`, xc7) are counted apart, as Yosys' own estimate leaves them out: place and route
/// mostly takes them into a LUT that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// LUTs that are logic.
    pub lut: u64,
    /// LUTs that are memory.
    pub lutram: u64,
    /// LUTs that are shift registers.
    pub srl: u64,
    /// Flip-flops and latches.
    pub ff: u64,
    /// Carry cells.
    pub carry: u64,
    /// Multiplexers that join LUTs (MUXF7, MUXF8, PFUMX, L6MUX21).
    pub mux: u64,
    /// Block RAMs.
    pub bram: u64,
    /// Multiplier blocks.
    pub dsp: u64,
    /// Inverters that are cells of their own (xc7).
    pub inv: u64,
    /// Every cell type as Yosys named it, buffers and pads too.
    pub cells: BTreeMap<String, u64>,
}

impl Counts {
    /// LUTs of all three uses.
    #[must_use]
    pub const fn lut_total(&self) -> u64 {
        self.lut + self.lutram + self.srl
    }

    /// Adds `count` cells of one type.
    pub(super) fn add(&mut self, target: Target, cell: &str, count: u64) {
        *self.cells.entry(cell.to_owned()).or_default() += count;
        match target {
            Target::Generic => self.add_generic(cell, count),
            Target::Xc7 => self.add_xc7(cell, count),
            Target::Ecp5 => self.add_ecp5(cell, count),
            Target::Ice40 => self.add_ice40(cell, count),
        }
    }

    fn add_generic(&mut self, cell: &str, count: u64) {
        if cell == "$lut" {
            self.lut += count;
        } else if cell.starts_with("$_") && (cell.contains("DFF") || cell.contains("LATCH")) {
            self.ff += count;
        }
    }

    fn add_xc7(&mut self, cell: &str, count: u64) {
        match cell {
            "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6" | "LUT6_2" => self.lut += count,
            "INV" => self.inv += count,
            "SRL16E" | "SRLC16E" | "SRLC32E" => self.srl += count,
            "CARRY4" => self.carry += count,
            "MUXF7" | "MUXF8" => self.mux += count,
            "RAM32X1S" | "RAM64X1S" => self.lutram += count,
            "RAM32X1D" | "RAM64X1D" | "RAM128X1S" | "RAM32X2S" => self.lutram += 2 * count,
            "RAM32M" | "RAM64M" | "RAM128X1D" | "RAM256X1S" => self.lutram += 4 * count,
            _ if cell.starts_with("FD") || cell.starts_with("LDC") || cell.starts_with("LDP") => self.ff += count,
            _ if cell.starts_with("RAMB18") => self.bram += count,
            _ if cell.starts_with("RAMB36") => self.bram += 2 * count,
            _ if cell.starts_with("DSP48") => self.dsp += count,
            _ => {}
        }
    }

    fn add_ecp5(&mut self, cell: &str, count: u64) {
        match cell {
            "LUT4" => self.lut += count,
            "CCU2C" => {
                self.carry += count;
                self.lut += 2 * count;
            }
            "PFUMX" | "L6MUX21" => self.mux += count,
            "TRELLIS_FF" => self.ff += count,
            "TRELLIS_DPR16X4" => self.lutram += 4 * count,
            "DP16KD" | "PDPW16KD" => self.bram += count,
            "MULT18X18D" | "ALU54B" => self.dsp += count,
            _ => {}
        }
    }

    fn add_ice40(&mut self, cell: &str, count: u64) {
        match cell {
            "SB_LUT4" => self.lut += count,
            "SB_CARRY" => self.carry += count,
            "SB_MAC16" => self.dsp += count,
            _ if cell.starts_with("SB_DFF") => self.ff += count,
            _ if cell.starts_with("SB_RAM40_4K") => self.bram += count,
            _ => {}
        }
    }

    /// The same, `factor` times.
    pub(super) fn times(&self, factor: u64) -> Self {
        Self {
            lut: self.lut * factor,
            lutram: self.lutram * factor,
            srl: self.srl * factor,
            ff: self.ff * factor,
            carry: self.carry * factor,
            mux: self.mux * factor,
            bram: self.bram * factor,
            dsp: self.dsp * factor,
            inv: self.inv * factor,
            cells: self.cells.iter().map(|(name, count)| (name.clone(), count * factor)).collect(),
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.lut += other.lut;
        self.lutram += other.lutram;
        self.srl += other.srl;
        self.ff += other.ff;
        self.carry += other.carry;
        self.mux += other.mux;
        self.bram += other.bram;
        self.dsp += other.dsp;
        self.inv += other.inv;
        for (name, count) in other.cells {
            *self.cells.entry(name).or_default() += count;
        }
    }
}

/// Yosys' selection of the cells a path between registers may lead through.
pub(super) const fn combinational(target: Target) -> &'static str {
    match target {
        Target::Generic => "t:$lut",
        Target::Xc7 => "t:LUT* t:INV t:CARRY4 t:MUXF*",
        Target::Ecp5 => "t:LUT4 t:CCU2C t:PFUMX t:L6MUX21",
        Target::Ice40 => "t:SB_LUT4 t:SB_CARRY",
    }
}
