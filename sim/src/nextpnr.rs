//! Place and route for ECP5 with nextpnr: the clock rate that a design reaches, and the path that limits it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::tools::{Found, ToolError};
use crate::yosys::YosysError;

/// A device of the LFE5U family. Clock and pins are not constrained to a board: what is placed is the design alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Thousands of LUTs: 12, 25, 45 or 85.
    pub size: u32,
    /// Speed grade: 6, 7 or 8 (the fastest).
    pub speed: u32,
}

impl Device {
    const SIZES: [u32; 4] = [12, 25, 45, 85];
}

impl FromStr for Device {
    type Err = String;

    /// `25k` or `85k-8`; grade 6 if none is named.
    fn from_str(text: &str) -> Result<Self, String> {
        let (size, speed) = text.split_once('-').unwrap_or((text, "6"));
        let size = size.strip_suffix('k').and_then(|n| n.parse().ok()).filter(|n| Device::SIZES.contains(n));
        let speed = speed.parse().ok().filter(|s| (6..=8).contains(s));
        match (size, speed) {
            (Some(size), Some(speed)) => Ok(Device { size, speed }),
            _ => Err(format!(
                "'{text}' is no device; there are 12k, 25k, 45k and 85k, with a speed grade as in 25k-6, 25k-8"
            )),
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LFE5U-{}F-{}", self.size, self.speed)
    }
}

/// One place and route.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The netlist that Yosys wrote ([`crate::yosys::Job::netlist`]).
    pub netlist: &'a Path,
    /// What to place on.
    pub device: Device,
    /// The clock that the tool works towards, in MHz.
    pub clock_mhz: f64,
    /// Seed of the placer.
    pub seed: u32,
    /// Limit on the run.
    pub timeout: Duration,
}

/// What was reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Routed {
    /// Its version message.
    pub version: String,
    /// What it was placed on.
    pub device: String,
    /// The clock worked towards, in MHz.
    pub asked_mhz: f64,
    /// Placer's seed.
    pub seed: u32,
    /// Clock rate of the slowest path between registers.
    pub fmax_mhz: f64,
    /// That path, hop by hop.
    pub path: Vec<Hop>,
    /// Its delay by instance, in the order in which it goes through them.
    pub by_instance: Vec<Share>,
    /// Cells used and there, by kind; kinds not used are left out.
    pub used: BTreeMap<String, Utilization>,
    /// Wall-clock time of the run.
    pub seconds: f64,
}

/// A delay on the path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    /// The instance in the top module that it belongs to: of a wire the driver's.
    pub instance: String,
    /// `clk-to-q`, `logic`, `routing` or `setup`.
    pub kind: String,
    /// The cell that it starts at.
    pub cell: String,
    /// Nanoseconds.
    pub delay_ns: f64,
}

/// An instance's part in the critical path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The instance; empty for the top itself.
    pub instance: String,
    /// Nanoseconds in cells, setup included.
    pub logic_ns: f64,
    /// Nanoseconds on wires.
    pub routing_ns: f64,
}

/// Cells of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utilization {
    /// On the device.
    pub available: u64,
    /// By the design.
    pub used: u64,
}

#[derive(Deserialize)]
struct Report {
    fmax: BTreeMap<String, Fmax>,
    critical_paths: Vec<Critical>,
    utilization: BTreeMap<String, Utilization>,
}

#[derive(Deserialize)]
struct Fmax {
    achieved: f64,
}

#[derive(Deserialize)]
struct Critical {
    from: String,
    to: String,
    path: Vec<Segment>,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(rename = "type")]
    kind: String,
    delay: f64,
    from: End,
}

#[derive(Deserialize)]
struct End {
    cell: String,
}

/// Places and routes a netlist.
///
/// # Errors
/// [`YosysError::Tool`] where nextpnr fails (a design that does not fit, too), takes too long or writes what cannot be read; `File` where no
/// work folder can be made.
pub fn route(nextpnr: &Found, job: &Job) -> Result<Routed, YosysError> {
    let folder = tempfile::tempdir().map_err(|source| YosysError::File { path: std::env::temp_dir(), source })?;
    // Names without a folder: builds of it for WebAssembly see no other place.
    let design = folder.path().join("design.json");
    fs::copy(job.netlist, &design).map_err(|source| YosysError::File { path: job.netlist.to_owned(), source })?;
    let run = nextpnr
        .command()
        .args(["--json", "design.json", "--report", "report.json", "--out-of-context", "--timing-allow-fail", "-q"])
        .arg(format!("--{}k", job.device.size))
        .args(["--speed", &job.device.speed.to_string(), "--freq", &job.clock_mhz.to_string()])
        .args(["--seed", &job.seed.to_string()])
        .folder(folder.path())
        .timeout(job.timeout)
        .output()?;
    let path = folder.path().join("report.json");
    let text = fs::read_to_string(&path).map_err(|source| YosysError::File { path, source })?;
    let mut routed = read(&text).map_err(|reason| {
        YosysError::from(ToolError::Unreadable { tool: nextpnr.tool, banner: nextpnr.banner.clone(), reason })
    })?;
    routed.version = nextpnr.banner.clone();
    routed.device = job.device.to_string();
    (routed.asked_mhz, routed.seed) = (job.clock_mhz, job.seed);
    routed.seconds = run.duration.as_secs_f64();
    Ok(routed)
}

fn read(text: &str) -> Result<Routed, String> {
    let report: Report = serde_json::from_str(text).map_err(|e| format!("its report: {e}"))?;
    let slowest = report.fmax.iter().min_by(|a, b| a.1.achieved.total_cmp(&b.1.achieved));
    let (clock, fmax) = slowest.ok_or("its report has no clock")?;
    // Among registers of that clock.
    let ours = |c: &&Critical| [&c.from, &c.to].iter().all(|end| end.split(' ').next_back() == Some(clock.as_str()));
    let path: Vec<Hop> = report.critical_paths.iter().find(ours).map_or_else(Vec::new, |c| {
        let hop = |s: &Segment| Hop {
            instance: instance(&s.from.cell),
            kind: s.kind.clone(),
            cell: s.from.cell.clone(),
            delay_ns: s.delay,
        };
        c.path.iter().map(hop).collect()
    });
    Ok(Routed {
        version: String::new(),
        device: String::new(),
        asked_mhz: 0.0,
        seed: 0,
        fmax_mhz: fmax.achieved,
        by_instance: shares(&path),
        path,
        used: report.utilization.into_iter().filter(|(_, u)| u.used > 0).collect(),
        seconds: 0.0,
    })
}

/// The instance of the top module in a flattened name. The tool's own cells (`$nextpnr_...`) belong to none.
fn instance(cell: &str) -> String {
    if cell.starts_with('$') {
        return String::new();
    }
    cell.split_once('.').map_or_else(String::new, |(first, _)| first.to_owned())
}

fn shares(path: &[Hop]) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for hop in path {
        // A carry that the tool split stays with the instance that it interrupts.
        let own = !hop.cell.starts_with('$') || shares.is_empty();
        if own && shares.last().is_none_or(|s| s.instance != hop.instance) {
            shares.push(Share { instance: hop.instance.clone(), logic_ns: 0.0, routing_ns: 0.0 });
        }
        if let Some(last) = shares.last_mut() {
            *(if hop.kind == "routing" { &mut last.routing_ns } else { &mut last.logic_ns }) += hop.delay_ns;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_path_between_registers_is_read_and_told_by_instance() {
        let hop = |kind: &str, cell: &str, delay: f64| serde_json::json!({"type": kind, "delay": delay, "from": {"cell": cell, "port": "Q"}, "to": {"cell": cell, "port": "D"}});
        let report = serde_json::json!({
            "fmax": {"aclk": {"achieved": 210.5, "constraint": 250}},
            "critical_paths": [
                {"from": "async", "to": "posedge aclk", "path": [hop("routing", "s_axis_tvalid$tr_io", 9.0)]},
                {"from": "posedge aclk", "to": "posedge aclk", "path": [
                    hop("clk-to-q", "fc1.pe0.acc", 0.5), hop("routing", "fc1.pe0.acc", 1.0),
                    hop("logic", "$nextpnr_CCU2C_3", 0.25), hop("logic", "fc2.queue.a", 0.5), hop("setup", "fc2.queue.a", 0.0)]}],
            "utilization": {"TRELLIS_FF": {"available": 24288, "used": 12}, "DP16KD": {"available": 56, "used": 0}}
        });
        let routed = read(&report.to_string()).unwrap();
        assert_eq!(routed.fmax_mhz, 210.5);
        assert_eq!(routed.path.len(), 5);
        let share = |instance: &str, logic_ns, routing_ns| Share { instance: instance.into(), logic_ns, routing_ns };
        assert_eq!(routed.by_instance, [share("fc1", 0.75, 1.0), share("fc2", 0.5, 0.0)]);
        assert_eq!(routed.used.keys().collect::<Vec<_>>(), ["TRELLIS_FF"]);
        assert!(read("{}").is_err());
    }

    #[test]
    fn devices_are_named_by_size_and_grade() {
        assert_eq!("25k".parse::<Device>().unwrap().to_string(), "LFE5U-25F-6");
        assert_eq!("85k-8".parse::<Device>().unwrap().to_string(), "LFE5U-85F-8");
        for text in ["", "25", "30k", "25k-9", "25k-"] {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
    }
}
