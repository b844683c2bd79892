//! Runs in which beats leave a module that moves, pools or adds streams: a `valid` that never comes would make its claims vacuous.
//!
//! Every input is valid all the time and every output taken. An input's vectors are made of the largest codes that its stream
//! may carry, or of the smallest: the inputs count through all combinations. What is assumed of the inputs must hold
//! throughout, a beat must leave by each output, and sums must be seen at both ends of their claimed intervals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;

use super::super::script::Job;
use super::{Cover, Coverage, Goal, Witness, constant, wave};

/// Simulations get longer by this factor until beats have left.
const LONGER: usize = 6;
/// The longest simulation, if frames are not longer.
const LONGEST: usize = 20_000;

/// What must be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaves {
    /// Wires that say whether what is assumed holds.
    promises: Vec<String>,
    /// Sums beside the module's, with their intervals: the claims' `exact0`, `lo0`, `hi0` and so on.
    sums: usize,
}

/// One stream of the module: the first part of its ports' names, and what watches it.
struct Input<'a> {
    port: &'a str,
    witness: &'a Witness,
}

/// The cover run of a module whose Verilog stands in `text`.
pub fn cover(job: &Job, text: &str, witnesses: &BTreeMap<String, Witness>) -> Coverage {
    let body = text
        .split_once(&format!("\nmodule {} (\n", job.module))
        .and_then(|(_, rest)| rest.split_once("\nendmodule")?.0.split_once("\n);"));
    let Some((header, rest)) = body else { return Coverage::Unknown("its ports cannot be read".to_owned()) };
    // What the top holds is cut out of its job: nothing is left to run.
    if rest.contains("_watch f_s (") {
        return Coverage::NotNeeded;
    }
    let (mut inputs, mut outputs, mut ties) = (Vec::new(), Vec::new(), Vec::new());
    for line in header.lines() {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        let words: Vec<&str> = code.trim().trim_end_matches(',').split_whitespace().collect();
        let (Some(&direction), Some(&name)) = (words.first(), words.last()) else { continue };
        match (direction, name.rsplit_once('_')) {
            ("input", Some((port, "tdata"))) => match watched(rest, port, witnesses) {
                Some(witness) => inputs.push(Input { port, witness }),
                None => return Coverage::Unknown(format!("nothing is known of what its port {port} carries")),
            },
            ("output", Some((port, "tvalid"))) => outputs.push(port),
            ("input", Some((_, "tvalid" | "tready")) | None) => {}
            // Any other input is 0.
            ("input", Some(_)) => ties.push(format!(".{name}({}'d0)", width(line))),
            _ => {}
        }
    }
    if inputs.is_empty() && outputs.is_empty() {
        return Coverage::NotNeeded;
    }
    if inputs.is_empty() || outputs.is_empty() {
        return Coverage::Unknown("it has streams on one side alone".to_owned());
    }
    let beats = inputs.iter().map(|i| i.witness.largest.len()).max().unwrap_or(0);
    // A window, or a queue in front of another branch, may give nothing before a whole frame has come, in each combination.
    let frames = inputs.iter().map(|i| i.witness.largest.len() * i.witness.vectors).max().unwrap_or(0);
    let longest = LONGEST.max(64 + ((2 * frames) << inputs.len()));
    let sums =
        (0..).take_while(|n| rest.contains(&format!(" exact{n} <= ")) || rest.contains(&format!(" exact{n};"))).count();
    let shortest = 64 + (beats << inputs.len());
    let mut lengths: Vec<usize> =
        std::iter::successors(Some(shortest), |n| n.checked_mul(LONGER)).take_while(|&n| n < longest).collect();
    lengths.push(longest);
    let promise = |name: &str| rest.contains(&format!("    wire {name};")).then(|| format!("dut.{name}"));
    let promises = ["promise", "promise0", "promise1", "f_promise"].into_iter().filter_map(promise).collect();
    let between = job.prepare().split_once("flatten\n").and_then(|(_, rest)| rest.split_once("opt_clean\n"));
    // The cells of the job are in the driver now.
    let cut = between.map_or("", |(cut, _)| cut).to_owned();
    Coverage::Run(Cover {
        driver: driver(job, &inputs, &outputs, &ties),
        lengths,
        module: job.module.clone(),
        files: job.files.clone(),
        cut: format!("{cut}delete t:$assume t:$anyconst t:$anyseq\n"),
        goal: Goal::Leaves(Leaves { promises, sums }),
    })
}

/// What the stream at a port may carry, by the module that watches it.
fn watched<'a>(rest: &str, port: &str, witnesses: &'a BTreeMap<String, Witness>) -> Option<&'a Witness> {
    let at = rest.find(&format!(".tdata({port}_tdata)"))?;
    let instance = rest[..at].rsplit(';').next()?;
    witnesses.get(instance.split_whitespace().find(|word| word.ends_with("_watch"))?)
}

/// Bits of a port.
fn width(line: &str) -> usize {
    let high = line.split_once('[').and_then(|(_, rest)| rest.split(':').next()?.parse::<usize>().ok());
    high.map_or(1, |h| h + 1)
}

/// The module that gives the streams their beats.
fn driver(job: &Job, inputs: &[Input], outputs: &[&str], ties: &[String]) -> String {
    let mut s = String::from(
        "module snug_cover (input wire aclk);\n    reg [31:0] cycle = 32'd0;\n    always @(posedge aclk)\n        cycle <= \
         cycle + 32'd1;\n    wire aresetn = (cycle >= 32'd2);\n",
    );
    let mut ports = vec![".aclk(aclk)".to_owned(), ".aresetn(aresetn)".to_owned()];
    for (i, Input { port, witness }) in inputs.iter().enumerate() {
        let (bits, beats) = (witness.bits, witness.largest.len());
        let _ = write!(
            s,
            "    wire ready{i};\n    reg [31:0] beat{i} = 32'd0, vector{i} = 32'd0;\n    always @(posedge aclk)\n        if (aresetn & ready{i}) \
             begin\n            beat{i} <= (beat{i} == 32'd{last}) ? 32'd0 : beat{i} + 32'd1;\n            if (beat{i} == 32'd{last})\n                \
             vector{i} <= vector{i} + 32'd1;\n        end\n",
            last = beats.saturating_sub(1)
        );
        for (end, words) in [("hi", &witness.largest), ("lo", &witness.smallest)] {
            let _ = if words.windows(2).all(|w| w[0] == w[1]) {
                let word = words.first().map_or_else(|| "1'b0".to_owned(), |w| constant(w));
                writeln!(s, "    wire [{}:0] {end}{i} = {word};", bits.saturating_sub(1))
            } else {
                let all: Vec<bool> = words.iter().flatten().copied().collect();
                writeln!(
                    s,
                    "    localparam [{}:0] {end}{i}_words = {};\n    reg [{high}:0] {end}{i}_rom [0:{last}];\n    integer {end}{i}_at;\n    initial\n        \
                     for ({end}{i}_at = 0; {end}{i}_at < {beats}; {end}{i}_at = {end}{i}_at + 1)\n            {end}{i}_rom[{end}{i}_at] = \
                     {end}{i}_words[{end}{i}_at*{bits} +: {bits}];\n    wire [{high}:0] {end}{i} = {end}{i}_rom[beat{i}];",
                    all.len().saturating_sub(1),
                    constant(&all),
                    high = bits.saturating_sub(1),
                    last = beats.saturating_sub(1)
                )
            };
        }
        // Input 0 changes its end with each vector, input 1 with each second one.
        ports.push(format!(".{port}_tdata(vector{i}[{i}] ? lo{i} : hi{i})"));
        ports.push(format!(".{port}_tvalid(aresetn), .{port}_tready(ready{i})"));
    }
    let high = outputs.len() - 1;
    let _ = writeln!(s, "    wire [{high}:0] leaves;\n    reg [{high}:0] left = {}'d0;", outputs.len());
    let _ = writeln!(s, "    always @(posedge aclk)\n        if (aresetn)\n            left <= left | leaves;");
    let _ = writeln!(s, "    wire all_left = &left;");
    for (o, port) in outputs.iter().enumerate() {
        ports.push(format!(".{port}_tvalid(leaves[{o}]), .{port}_tready(aresetn)"));
    }
    ports.extend_from_slice(ties);
    let _ = writeln!(s, "    {} dut ({});\nendmodule", job.module, ports.join(", "));
    s
}

impl Leaves {
    /// Whether the waveform shows beats that leave by each output, and sums at both ends.
    pub fn seen(&self, vcd: impl Read) -> bool {
        let sum = |n: usize| ["exact", "lo", "hi"].map(|name| format!("dut.{name}{n}"));
        let mut names = vec!["aresetn".to_owned(), "all_left".to_owned()];
        names.extend(self.promises.iter().cloned());
        let first = names.len();
        if self.sums > 0 {
            names.push("dut.flying".to_owned());
            names.extend((0..self.sums).flat_map(sum));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut left, mut kept) = (false, true);
        let mut ends = vec![Ends::default(); self.sums];
        let read = wave::read(vcd, &names, |now| {
            if now[0].is_none_or(|reset| reset.value == 0) {
                return;
            }
            left |= now[1].is_some_and(|w| w.value == 1);
            kept &= now[2..first].iter().all(|promise| promise.is_some_and(|p| p.value == 1));
            // The result is in its register where the last stage holds a beat.
            let Some(Some(flying)) = now.get(first) else { return };
            if flying.value >> (flying.bits - 1) & 1 == 1 {
                for (end, at) in ends.iter_mut().zip(now[first + 1..].chunks(3)) {
                    if let [Some(exact), Some(lo), Some(hi)] = *at {
                        end.note(exact.signed(), lo.signed(), hi.signed());
                    }
                }
            }
        });
        read.is_some() && kept && left && ends.iter().all(Ends::reached)
    }
}

/// Where a sum was seen: the ends of its intervals and of its values.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    claimed: Option<(i64, i64)>,
    seen: Option<(i64, i64)>,
}

impl Ends {
    fn note(&mut self, exact: i64, lo: i64, hi: i64) {
        let hull =
            |hull: Option<(i64, i64)>, (a, b)| hull.map_or((a, b), |(lo, hi): (i64, i64)| (lo.min(a), hi.max(b)));
        self.claimed = Some(hull(self.claimed, (lo, hi)));
        self.seen = Some(hull(self.seen, (exact, exact)));
    }

    fn reached(&self) -> bool {
        self.claimed.is_some() && self.claimed == self.seen
    }
}
