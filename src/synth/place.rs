//! `snug synth --pnr`: the clock rate after place and route, and the layers that its critical path goes through.

use std::collections::BTreeMap;
use std::time::Duration;

use rayon::prelude::*;
use serde::Serialize;
use sim::nextpnr::{self, Device, Routed, Share};
use sim::tools::{self, Found, Tool};
use sim::yosys::{Job, Synthesis, synthesize};

use super::Args;
use crate::Outcome;
use crate::console::Console;
use crate::error::Error;
use crate::files;
use crate::folding::DATAFLOW;
use crate::progress::Progress;

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    synthesis: &'a Synthesis,
    pnr: &'a Routed,
    critical_path: Vec<LayerShare<'a>>,
    /// What each seed came to, `pnr` being the fastest.
    seeds: Vec<Tried>,
}

/// A seed, and the clock rate that it gave.
#[derive(Clone, Copy, Serialize)]
struct Tried {
    seed: u32,
    fmax_mhz: f64,
}

/// A layer's part in the critical path.
#[derive(Serialize)]
struct LayerShare<'a> {
    /// The layer; none for the top itself.
    layer: Option<&'a str>,
    #[serde(flatten)]
    share: &'a Share,
}

/// Maps for ecp5, places and routes.
///
/// # Errors
/// If a tool is missing or fails, or the device is none.
pub fn run(args: &Args, yosys: &Found, mut job: Job, console: &Console) -> Result<Outcome, Error> {
    let usage = |message| Error::Usage { message, help: None };
    let device: Device = args.device.parse().map_err(usage)?;
    if !(args.clock_mhz.is_finite() && args.clock_mhz > 0.0) {
        return Err(usage(format!("--clock-mhz: '{}' is not a positive number", args.clock_mhz)));
    }
    let nextpnr = tools::find(Tool::NextpnrEcp5)?;
    let folder =
        tempfile::tempdir().map_err(|source| sim::yosys::YosysError::File { path: std::env::temp_dir(), source })?;
    let netlist = folder.path().join("netlist.json");
    job.netlist = Some(netlist.clone());
    let (mut synthesis, all) = {
        let _progress = Progress::start(console, format!("{}; {}: {}", yosys.banner, nextpnr.banner, job.top));
        let synthesis = synthesize(yosys, &job)?;
        let route = |seed: u32| {
            let timeout = Duration::from_secs(args.timeout);
            nextpnr::route(
                &nextpnr,
                &nextpnr::Job { netlist: &netlist, device, clock_mhz: args.clock_mhz, seed, timeout },
            )
        };
        let seeds: Vec<u32> = (0..args.seeds).map(|i| args.seed.wrapping_add(i)).collect();
        (synthesis, seeds.into_par_iter().map(route).collect::<Result<Vec<Routed>, _>>()?)
    };
    let seeds: Vec<Tried> = all.iter().map(|r| Tried { seed: r.seed, fmax_mhz: r.fmax_mhz }).collect();
    // The first of equal ones, so that the answer is always the same; there is at least one seed.
    let fastest = all.into_iter().reduce(|a, b| if b.fmax_mhz > a.fmax_mhz { b } else { a });
    let Some(routed) = fastest else { return Err(usage("--seeds: at least 1".to_owned())) };
    synthesis.fmax_mhz = Some(routed.fmax_mhz);
    let layers = layers(args)?;
    if console.json {
        let layer = |instance: &str| layers.get(instance).map(String::as_str);
        let critical_path =
            routed.by_instance.iter().map(|share| LayerShare { layer: layer(&share.instance), share }).collect();
        console.print_json("snug.synth/1", Report { synthesis: &synthesis, pnr: &routed, critical_path, seeds })?;
    } else {
        console.print(super::text(&synthesis))?;
        console.print(text(&synthesis, &routed, &seeds, &layers))?;
    }
    Ok(Outcome::Fine)
}

/// The layer of every instance in the top module.
fn layers(args: &Args) -> Result<BTreeMap<String, String>, Error> {
    let file: serde_json::Value = files::read_json(&args.dir.join(DATAFLOW))?;
    let modules = file.pointer("/dataflow/modules").and_then(serde_json::Value::as_array);
    let text = |m: &serde_json::Value, key: &str| m.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let of = |m: &serde_json::Value| Some((text(m, "name")?, text(m, "layer")?));
    Ok(modules.into_iter().flatten().filter_map(of).collect())
}

fn text(s: &Synthesis, r: &Routed, seeds: &[Tried], layers: &BTreeMap<String, String>) -> String {
    let used = |cell: &str| r.used.get(cell).map_or(0, |u| u.used);
    let mut lines = vec![
        format!("\n{}", r.version),
        format!(
            "{}: {:.1} MHz (worked towards {} MHz, seed {}); Yosys {:.0} s, place and route {:.0} s",
            r.device, r.fmax_mhz, r.asked_mhz, r.seed, s.seconds, r.seconds
        ),
        format!(
            "used: {} TRELLIS_COMB (LUT4, carry, memory), {} TRELLIS_FF, {} DP16KD",
            used("TRELLIS_COMB"),
            used("TRELLIS_FF"),
            used("DP16KD")
        ),
        "critical path between registers:".to_owned(),
    ];
    if seeds.len() > 1 {
        let each: Vec<String> = seeds.iter().map(|t| format!("{} {:.1}", t.seed, t.fmax_mhz)).collect();
        lines.insert(2, format!("the fastest of {} seeds, MHz: {}", seeds.len(), each.join(", ")));
    }
    for share in &r.by_instance {
        let layer = layers.get(&share.instance).map_or_else(String::new, |l| format!("  layer {l}"));
        let name = if share.instance.is_empty() { "(top)" } else { &share.instance };
        lines.push(format!("  {:6.2} ns logic  {:6.2} ns wires  {name}{layer}", share.logic_ns, share.routing_ns));
    }
    if let (Some(first), Some(last)) = (r.path.first(), r.path.last()) {
        lines.push(format!("  from {}\n  to   {}", first.cell, last.cell));
    }
    lines.join("\n")
}
