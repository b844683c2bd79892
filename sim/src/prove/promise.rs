//! The ranges of an element's inputs, read from the Verilog: what bookkeeping takes from the dataflow must be what the protocol asks for.

use generator::dataflow::Encoding;
use quantizer::datatype::{Range, Signedness};

use super::intervals::looked_up;
use super::objection::Objection;

/// What a stream is said to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The module that knows its ranges.
    pub module: String,
    /// Elements of a beat.
    pub lanes: usize,
    /// How each is written.
    pub encoding: Encoding,
    /// Range of each element of the vector.
    pub ranges: Vec<Range>,
}

impl Promise {
    /// Whether the protocol in `unit` asks for no more than these ranges, as the module in `top` has them.
    ///
    /// # Errors
    /// What is wrong, or where the text cannot be followed.
    pub fn check(&self, unit: &str, top: &str) -> Result<(), Objection> {
        let name = &self.module;
        if !unit.contains(&format!("    {name} range (.beat(synapse), .data(x), .ok(lane_ok));")) {
            return Err(format!("its protocol does not ask {name}").into());
        }
        let text = top.split_once(&format!("\nmodule {name} (")).and_then(|(_, r)| r.split("\nendmodule").next());
        let text = text.ok_or_else(|| format!("there is no module {name}"))?;
        let beats = self.ranges.len().div_ceil(self.lanes.max(1));
        for lane in 0..self.lanes {
            let asked = self.asked(text, lane, beats).ok_or_else(|| format!("{name}: lane {lane} is not readable"))?;
            for (beat, asked) in asked.iter().enumerate() {
                // What lies past the vector's end has no weight.
                let Some(said) = self.ranges.get(beat * self.lanes + lane) else { continue };
                if asked.lo < said.lo || asked.hi > said.hi {
                    return Err(Objection::Wrong(format!(
                        "beat {beat}, lane {lane}: {name} lets pass {asked}, and the dataflow says {said}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What the module lets pass on a lane, beat by beat.
    fn asked(&self, text: &str, lane: usize, beats: usize) -> Option<Vec<Range>> {
        let ok = text.split_once(&format!("    assign ok[{lane}] = "))?.1.split(';').next()?;
        let all = codes(self.encoding);
        if ok == "1'b1" {
            return Some(vec![all; beats]);
        }
        let (lo, hi) = ok.strip_prefix(&format!("(value{lane} >= "))?.split_once(&format!(") & (value{lane} <= "))?;
        let value = text.split_once(&format!(":0] value{lane} = "))?.1.split(';').next()?;
        if value != self.value(lane) {
            return None;
        }
        let (lo, hi) = (looked_up(text, lo, beats)?, looked_up(text, hi.strip_suffix(')')?, beats)?);
        Some(lo.into_iter().zip(hi).map(|(lo, hi)| Range { lo: lo.max(all.lo), hi: hi.min(all.hi) }).collect())
    }

    /// A lane's code with one bit more than it has.
    fn value(&self, lane: usize) -> String {
        let bits = self.encoding.bits as usize;
        let (low, high) = (lane * bits, lane * bits + bits - 1);
        let slice = if bits == 1 { format!("data[{low}]") } else { format!("data[{high}:{low}]") };
        match self.encoding.sign {
            Signedness::Bipolar => format!("{{{{1{{~{slice}}}}}, 1'b1}}"),
            Signedness::Unsigned => format!("{{1'd0, {slice}}}"),
            Signedness::Signed => format!("{{{{1{{data[{high}]}}}}, {slice}}}"),
        }
    }
}

/// Everything that wires can carry.
fn codes(encoding: Encoding) -> Range {
    let half = 1i64 << (encoding.bits.max(1) - 1);
    match encoding.sign {
        Signedness::Bipolar => Range { lo: -1, hi: 1 },
        Signedness::Unsigned => Range { lo: 0, hi: 2 * half - 1 },
        Signedness::Signed => Range { lo: -half, hi: half - 1 },
    }
}
