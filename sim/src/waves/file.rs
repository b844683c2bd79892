//! The two formats, each by its crate.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::BufWriter;
use std::path::Path;

use fst_writer::{
    FstBodyWriter, FstFileType, FstInfo, FstScopeType, FstSignalId, FstSignalType, FstVarDirection, FstVarType,
};
use vcd::{IdCode, ReferenceIndex, TimescaleUnit, Value, VarType};

use super::{Scope, Signal};
use crate::verilator::Trace;

/// The clock's name in the top module.
pub(super) const CLOCK: &str = "aclk";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
type Out = BufWriter<fs::File>;

/// An open file; names are identifiers, unique in their scope.
pub(super) enum File {
    Vcd { writer: vcd::Writer<Out>, clock: IdCode, signals: Vec<IdCode> },
    Fst { writer: Box<FstBodyWriter<Out>>, clock: FstSignalId, signals: Vec<FstSignalId> },
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vcd { .. } => "Vcd",
            Self::Fst { .. } => "Fst",
        })
    }
}

impl File {
    pub(super) fn create(path: &Path, top: &str, scopes: &[Scope]) -> Result<Self> {
        match Trace::of(path) {
            Trace::Fst => Self::create_fst(path, top, scopes),
            Trace::Vcd | Trace::Off => Self::create_vcd(path, top, scopes),
        }
    }

    fn create_vcd(path: &Path, top: &str, scopes: &[Scope]) -> Result<Self> {
        let mut writer = vcd::Writer::new(BufWriter::new(fs::File::create(path)?));
        writer.timescale(1, TimescaleUnit::NS)?;
        writer.add_module(top)?;
        let clock = writer.add_wire(1, CLOCK)?;
        let mut signals = Vec::new();
        for scope in scopes {
            writer.add_module(&scope.name)?;
            for Signal { name, bits, .. } in &scope.signals {
                let range = i32::try_from(bits - 1).ok().filter(|&high| high > 0).map(|h| ReferenceIndex::Range(h, 0));
                signals.push(writer.add_var(VarType::Wire, *bits, name, range)?);
            }
            writer.upscope()?;
        }
        writer.upscope()?;
        writer.enddefinitions()?;
        Ok(Self::Vcd { writer, clock, signals })
    }

    fn create_fst(path: &Path, top: &str, scopes: &[Scope]) -> Result<Self> {
        let info = FstInfo {
            start_time: 0,
            timescale_exponent: -9,
            version: "snug".to_owned(),
            // No date: the same run gives the same file.
            date: String::new(),
            file_type: FstFileType::Verilog,
        };
        let mut header = fst_writer::open_fst(path, &info)?;
        let var = |header: &mut fst_writer::FstHeaderWriter<Out>, name: &str, bits: u32| {
            let name = if bits > 1 { format!("{name} [{}:0]", bits - 1) } else { name.to_owned() };
            header.var(name, FstSignalType::bit_vec(bits), FstVarType::Wire, FstVarDirection::Implicit, None)
        };
        header.scope(top, "", FstScopeType::Module)?;
        let clock = var(&mut header, CLOCK, 1)?;
        let mut signals = Vec::new();
        for scope in scopes {
            header.scope(&scope.name, "", FstScopeType::Module)?;
            for Signal { name, bits, .. } in &scope.signals {
                signals.push(var(&mut header, name, *bits)?);
            }
            header.up_scope()?;
        }
        header.up_scope()?;
        Ok(Self::Fst { writer: Box::new(header.finish()?), clock, signals })
    }

    /// Moves to a time and sets the clock.
    pub(super) fn clock(&mut self, time: u64, level: bool) -> Result<()> {
        match self {
            Self::Vcd { writer, clock, .. } => {
                writer.timestamp(time)?;
                writer.change_scalar(*clock, level)?;
            }
            Self::Fst { writer, clock, .. } => {
                // Changes are kept in memory until then.
                if writer.size() > 64 << 20 {
                    writer.flush()?;
                }
                writer.time_change(time)?;
                writer.signal_change(*clock, if level { b"1" } else { b"0" })?;
            }
        }
        Ok(())
    }

    /// A signal's new value at the present time: `0` and `1`, highest bit first, as many as it has.
    pub(super) fn change(&mut self, signal: usize, bits: &[u8]) -> Result<()> {
        match self {
            Self::Vcd { writer, signals, .. } => {
                let Some(&id) = signals.get(signal) else { return Ok(()) };
                match bits {
                    [bit] => writer.change_scalar(id, *bit == b'1')?,
                    _ => writer.change_vector(id, bits.iter().map(|&bit| Value::from(bit == b'1')))?,
                }
            }
            Self::Fst { writer, signals, .. } => {
                let Some(&id) = signals.get(signal) else { return Ok(()) };
                writer.signal_change(id, bits)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Vcd { mut writer, .. } => writer.flush()?,
            Self::Fst { writer, .. } => drop(writer.finish()?),
        }
        Ok(())
    }
}
