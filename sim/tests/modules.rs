//! The fixed modules of convolutional networks one by one, in Icarus: sliding window, pool, sum of branches, fork, concatenation, upsampling,
//! width converter and queue, with the parameters that random networks give them. Each gets the beats that came to it in the cycle
//! engine, with and without gaps and stalls, and must let out the beats that left it there, unknown bits included.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use generator::dataflow::{Dataflow, Kind, Module, Stream};
use generator::emit::verilog;
use generator::lower::{LowerOptions, lower};
use quantizer::testing::{Limits, conv_network, inputs};
use sim::cycle::{self, Beat};
use sim::tools::{Tool, find};

const LIMITS: Limits = Limits { layers: 5, width: 6, bits: 4 };
const FRAMES: usize = 3;

/// On a compilation or a simulation.
const LIMIT: Duration = Duration::from_secs(120);

/// Values of a beat as hexadecimal digits, first lane lowest, and which of its bits mean something.
fn digits(stream: &Stream, beat: &Beat) -> (String, String) {
    let bits = stream.encoding.bits as usize;
    let mut wires = vec![(false, false); stream.width()];
    for (lane, &value) in beat.values.iter().enumerate() {
        let word = stream.encoding.encode(value);
        (0..bits).for_each(|b| wires[lane * bits + b] = (word >> b & 1 == 1, true));
    }
    let hex = |pick: fn(&(bool, bool)) -> bool| {
        let nibble = |chunk: &[(bool, bool)]| chunk.iter().rev().fold(0u32, |n, w| n << 1 | u32::from(pick(w)));
        wires.chunks(4).rev().map(|c| char::from_digit(nibble(c), 16).unwrap()).collect::<String>()
    };
    (hex(|w| w.0), hex(|w| w.1))
}

/// The module's name and parameters where it stands in the top.
fn instance<'a>(top: &'a str, module: &Module) -> Option<&'a str> {
    let (before, _) = top.split_once(&format!(") {} (\n", module.name))?;
    let from = before.rfind("\n    ").and_then(|_| before.rfind("_snug_"))?;
    let start = before[..from].rfind('\n')? + 1;
    Some(&before[start..])
}

/// What drives one module: text of the bench, the files it reads.
fn driver(i: usize, dataflow: &Dataflow, module: &Module, run: &cycle::Run, head: &str, folder: &Path) -> String {
    let mut s = String::new();
    let mut ports = String::new();
    let (mut done, mut wrong) = (Vec::new(), Vec::new());
    for (side, ids) in [("s", &module.inputs), ("m", &module.outputs)] {
        for (p, &id) in ids.iter().enumerate() {
            let (stream, beats) = (dataflow.stream(id), &run.streams[id.0]);
            let (width, count) = (stream.width(), beats.len());
            let name = format!("{side}{i}_{p}");
            let axis = if p == 0 { format!("{side}_axis") } else { format!("{side}{p}_axis") };
            let (words, masks): (Vec<String>, Vec<String>) = beats.iter().map(|b| digits(stream, b)).unzip();
            fs::write(folder.join(format!("{name}.hex")), words.join("\n")).unwrap();
            fs::write(folder.join(format!("{name}.mask")), masks.join("\n")).unwrap();
            let _ = write!(
                ports,
                ",\n        .{axis}_tdata({name}_data), .{axis}_tvalid({name}_valid), .{axis}_tready({name}_ready)"
            );
            let _ = write!(
                s,
                "    reg [{high}:0] {name}_beats [0:{last}];\n    reg [{high}:0] {name}_mask [0:{last}];\n    \
                 initial $readmemh(\"{name}.hex\", {name}_beats);\n    initial $readmemh(\"{name}.mask\", {name}_mask);\n    \
                 integer {name}_at = 0;\n",
                high = width - 1,
                last = count - 1,
            );
            if side == "s" {
                let _ = write!(
                    s,
                    "    reg {name}_valid = 0;\n    wire {name}_ready;\n    \
                     wire [{high}:0] {name}_data = {name}_valid ? {name}_beats[{name}_at] : {{{width}{{1'bx}}}};\n    \
                     always @(posedge aclk) if (aresetn) begin\n        \
                     if ({name}_valid & {name}_ready) begin\n            \
                     {name}_at <= {name}_at + 1;\n            {name}_valid <= ({name}_at + 1 < {count}) & (~gaps | $random(seed));\n        \
                     end else if (~{name}_valid)\n            {name}_valid <= ({name}_at < {count}) & (~gaps | $random(seed));\n    end\n",
                    high = width - 1,
                );
            } else {
                let _ = write!(
                    s,
                    "    reg {name}_ready = 0;\n    wire {name}_valid;\n    wire [{high}:0] {name}_data;\n    reg {name}_wrong = 0;\n    \
                     always @(posedge aclk) if (aresetn) begin\n        \
                     {name}_ready <= ~stalls | $random(seed);\n        if ({name}_valid !== 1'b0 & {name}_valid !== 1'b1)\n            {name}_wrong <= 1;\n        \
                     if ({name}_valid & {name}_ready) begin\n            \
                     if (({name}_at >= {count}) | ((({name}_data ^ {name}_beats[{name}_at]) & {name}_mask[{name}_at]) !== {width}'d0))\n                {name}_wrong <= 1;\n            \
                     {name}_at <= {name}_at + 1;\n        end\n    end\n",
                    high = width - 1,
                );
                done.push(format!("({name}_at == {count})"));
                wrong.push(format!("{name}_wrong"));
            }
        }
    }
    let _ = write!(
        s,
        "    {}) dut{i} (\n        .aclk(aclk), .aresetn(aresetn){ports}\n    );\n    wire done{i} = {};\n    wire wrong{i} = {};\n",
        head.trim_start(),
        done.join(" & "),
        wrong.join(" | ")
    );
    s
}

/// What a module is called here, if it is fixed.
fn kind(module: &Module) -> Option<&'static str> {
    Some(match &module.kind {
        Kind::Window(_) => "window",
        Kind::Pool(p) if p.sum => "pool, sum",
        Kind::Pool(_) => "pool, largest",
        Kind::Add(_) => "add",
        Kind::Fork(_) => "fork",
        Kind::Concat(_) => "concat",
        Kind::Upsample(u) if u.split => "depth to space",
        Kind::Upsample(_) => "upsample",
        Kind::WidthConverter(_) => "width converter",
        Kind::Fifo(_) => "queue",
        _ => return None,
    })
}

/// Mistakes that this test must see in some network: kind, file, and what reads otherwise.
const MISTAKES: [(&str, &str, &str, &str); 7] = [
    ("window", "snug_window", "fill_reg ? FILL", "fill_reg ? ~FILL"),
    ("window", "snug_window", "<= mem[read_reg]", "<= mem[next]"),
    ("pool, sum", "snug_pool", "first_reg <= first", "first_reg <= last"),
    ("add", "snug_add", "F0 * wide_0;", "-(F0 * wide_0);"),
    ("fork", "snug_fork", "s_axis_tvalid & ready_1", "s_axis_tvalid"),
    ("upsample", "snug_upsample", "(fire & row_end) ?", "(fire & pass_end) ?"),
    ("queue", "snug_fifo", "<= s_axis_tdata", "<= ~s_axis_tdata"),
];

#[test]
fn each_lets_out_what_it_should() {
    let (Ok(iverilog), Ok(vvp)) = (find(Tool::Iverilog), find(Tool::Vvp)) else {
        eprintln!("SKIPPED: iverilog is not installed (apt-get install iverilog)");
        return;
    };
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut caught: BTreeSet<usize> = BTreeSet::new();
    for seed in 0..40 {
        let network = conv_network(seed, LIMITS);
        let Ok(mut dataflow) = lower(&network, &LowerOptions::default()) else { continue };
        sim::fifo::size(&mut dataflow).unwrap();
        let options = cycle::Options { record: true, ..Default::default() };
        let run = cycle::run(&dataflow, inputs(&network, seed, FRAMES).view(), &options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = verilog(&dataflow, &[]).unwrap();
        let top = &files.iter().find(|f| f.name == format!("{}.v", dataflow.top)).unwrap().text;
        let mut bench = String::from(
            "module bench;\n    reg aclk = 0, aresetn = 0;\n    integer seed = 1;\n    reg gaps, stalls;\n    initial begin\n        \
             gaps = $test$plusargs(\"gaps\");\n        stalls = $test$plusargs(\"stalls\");\n    end\n",
        );
        let mut names = Vec::new();
        for (i, module) in dataflow.modules.iter().enumerate() {
            let Some(kind) = kind(module) else { continue };
            let head = instance(top, module).unwrap_or_else(|| panic!("{} stands in the top", module.name));
            // The same parameters again say nothing new.
            if !seen.entry(kind).or_default().insert(head.replace(&dataflow.top, "")) {
                continue;
            }
            bench.push_str(&driver(i, &dataflow, module, &run, head, folder.path()));
            names.push((i, kind));
        }
        if names.is_empty() {
            continue;
        }
        let limit = 40 * run.cycles + 1000;
        let all =
            |what: &str, join: &str| names.iter().map(|(i, _)| format!("{what}{i}")).collect::<Vec<_>>().join(join);
        let _ = write!(
            bench,
            "    integer cycle;\n    initial begin\n        for (cycle = 0; (cycle < {limit}) & ~({done}); cycle = cycle + 1) begin\n            \
             #1 aclk = 1; #1 aclk = 0;\n            if (cycle == 2) aresetn = 1;\n        end\n        \
             $display(\"done %b wrong %b\", {{{done_list}}}, {{{wrong_list}}});\n        $finish;\n    end\nendmodule\n",
            done = all("done", " & "),
            done_list = all("done", ", "),
            wrong_list = all("wrong", ", "),
        );
        fs::write(folder.path().join("bench.v"), bench).unwrap();
        for file in files.iter().filter(|f| f.name.contains("_snug_")) {
            fs::write(folder.path().join(&file.name), &file.text).unwrap();
        }
        let sources: Vec<_> = files.iter().filter(|f| f.name.contains("_snug_")).map(|f| f.name.as_str()).collect();
        let expected = format!("done {} wrong {}", "1".repeat(names.len()), "0".repeat(names.len()));
        // What each pattern of gaps and stalls says; nothing where the bench does not compile.
        let logs = || -> Vec<String> {
            let compile =
                iverilog.command().args(["-g2005", "-s", "bench", "-o", "bench.vvp", "bench.v"]).args(&sources);
            compile.folder(folder.path()).timeout(LIMIT).output().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            let patterns = [&[][..], &["+gaps"], &["+stalls"], &["+gaps", "+stalls"]];
            let log = |pattern: &[&str]| {
                let run = vvp.command().args(["-n", "bench.vvp"]).args(pattern).folder(folder.path()).timeout(LIMIT);
                run.output().unwrap_or_else(|e| panic!("seed {seed}: {e}")).stdout
            };
            patterns.into_iter().map(log).collect()
        };
        for log in logs() {
            assert!(log.contains(&expected), "seed {seed}, {names:?}: {log}");
        }
        for (m, (kind, module, from, to)) in MISTAKES.iter().enumerate() {
            if caught.contains(&m) || !names.iter().any(|(_, k)| k == kind) {
                continue;
            }
            let file = files.iter().find(|f| f.name == format!("{}_{module}.v", dataflow.top)).unwrap();
            assert!(file.text.contains(from), "'{from}' must occur in {module} for the mistake to be meant");
            fs::write(folder.path().join(&file.name), file.text.replace(from, to)).unwrap();
            if logs().iter().any(|log| !log.contains(&expected)) {
                caught.insert(m);
            }
            fs::write(folder.path().join(&file.name), &file.text).unwrap();
        }
    }
    assert_eq!(caught.len(), MISTAKES.len(), "seen were only the mistakes {caught:?}");
    for (kind, parameters) in &seen {
        eprintln!("{kind}: {} sets of parameters", parameters.len());
    }
    let few: Vec<_> = seen.iter().filter(|(_, p)| p.len() < 2).map(|(k, _)| k).collect();
    assert!(seen.len() == 10 && few.is_empty(), "too few of {few:?} among {:?}", seen.keys());
}
