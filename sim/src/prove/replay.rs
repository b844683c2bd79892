//! A counterexample of a module that sums (a processing element, a pool, an addition), replayed by an ordinary simulator: the module
//! with its claims, a testbench that gives it the run's inputs, and a script for Verilator (or Icarus) that prints what went wrong.
//!
//! The solver's run begins at the initial state, where registers that are never reset hold anything: the testbench gives them the
//! run's contents first. From there on only the Verilog computes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::module::Counterexample;
use super::{ProveError, file};
use crate::tools::{self, Run, Tool};

/// Limit on the compilation and on the simulation: a run has a few dozen steps.
const LIMIT: Duration = Duration::from_secs(60);

/// A replay: the script that anybody can run, and what it printed here.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) script: PathBuf,
    /// The simulator and the sentence that it printed; none where neither is installed, or neither shows the run.
    pub(super) printed: Option<(Tool, String)>,
}

/// Writes `<module>_replay.v` and `<module>_replay.sh` into `folder`, and runs them by Verilator, or by Icarus where Verilator does not show
/// the run. `None` if the module sums nothing.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn replay(
    folder: &Path,
    texts: &BTreeMap<String, String>,
    found: &Counterexample,
) -> Result<Option<Replay>, ProveError> {
    let Some(text) = element(texts, found).or_else(|| sums(texts, found)) else { return Ok(None) };
    let bench = folder.join(format!("{}_replay.v", found.module));
    let script = folder.join(format!("{}_replay.sh", found.module));
    fs::write(&bench, text).map_err(file(&bench))?;
    let name = format!("{}_replay", found.module);
    let lines = format!(
        "#!/bin/sh\n# Replays the run that breaks a claim of {}, by Verilator or, where that is missing, by Icarus Verilog.\n\
         cd \"$(dirname \"$0\")\" || exit 1\nif command -v verilator >/dev/null; then\n    \
         verilator {} --Mdir {name}.obj {name}.v >{name}.log && {name}.obj/replay\nelse\n    \
         iverilog {} -o {name}.vvp {name}.v && vvp -n {name}.vvp\nfi\n",
        found.module,
        VERILATOR.join(" "),
        ICARUS.join(" "),
    );
    fs::write(&script, lines).map_err(file(&script))?;
    let by = |tool, log: Option<String>| {
        let said = log?.lines().find_map(|line| line.strip_prefix("REPLAYED: ")).map(str::to_owned)?;
        Some((tool, said))
    };
    let printed = by(Tool::Verilator, verilator(folder, &name)).or_else(|| by(Tool::Iverilog, icarus(folder, &name)));
    Ok(Some(Replay { script, printed }))
}

/// The testbench keeps its own time, and is compiled for one short run. Wires may have names that only SystemVerilog reserves.
const VERILATOR: [&str; 10] = [
    "--language",
    "1364-2005",
    "--binary",
    "--timing",
    "-Wno-fatal",
    "-Wno-lint",
    "-o",
    "replay",
    "--top-module",
    "replay",
];

const ICARUS: [&str; 3] = ["-g2005", "-s", "replay"];

/// What Verilator's program prints; none without Verilator.
fn verilator(folder: &Path, name: &str) -> Option<String> {
    let tool = tools::find(Tool::Verilator).ok()?;
    let objects = tempfile::tempdir().ok()?;
    let source = std::path::absolute(folder.join(format!("{name}.v"))).ok()?;
    let compile = tool.command().args(VERILATOR).args(["--Mdir", "obj"]);
    let quick = ["-MAKEFLAGS", "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"];
    compile.args(quick).arg(source).folder(objects.path()).timeout(LIMIT).output().ok()?;
    let program = objects.path().join("obj").join("replay");
    Some(Run::new(Tool::Verilator, &program).folder(objects.path()).timeout(LIMIT).output().ok()?.stdout)
}

/// What Icarus prints; none without Icarus.
fn icarus(folder: &Path, name: &str) -> Option<String> {
    let (iverilog, vvp) = (tools::find(Tool::Iverilog).ok()?, tools::find(Tool::Vvp).ok()?);
    let (source, program) = (format!("{name}.v"), format!("{name}.vvp"));
    let compile = iverilog.command().args(ICARUS).args(["-o", &program, &source]);
    compile.folder(folder).timeout(LIMIT).output().ok()?;
    Some(vvp.command().args(["-n", &program]).folder(folder).timeout(LIMIT).output().ok()?.stdout)
}

/// The element and what its claims instantiate, and a module `replay`.
fn element(texts: &BTreeMap<String, String>, found: &Counterexample) -> Option<String> {
    let modules = modules(texts);
    let element = *modules.get(found.module.as_str())?;
    let protocol_name = element.split_once(" f_protocol (")?.0.split_whitespace().last()?;
    let protocol = *modules.get(protocol_name)?;
    let mut s = format!(
        "// A run that breaks a claim of {}, found by snug prove. The element and the protocol of its inputs are as they were proved;\n\
         // the statements of the claims are left out, their values are compared below.\n`define FORMAL\n`default_nettype none\n",
        found.module
    );
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    for (text, instance) in [(element, " f_range ("), (protocol, " range (")] {
        needed.extend(text.split_once(instance).and_then(|(before, _)| before.split_whitespace().last()));
    }
    for name in needed {
        s.push_str(modules.get(name)?);
    }
    s.push_str(protocol);
    for line in element.lines().filter(|line| !line.trim_start().starts_with("assert property")) {
        s.push_str(line);
        s.push('\n');
    }
    let started = registers(element).into_iter().map(|r| (r.clone(), r));
    let watched = registers(protocol).into_iter().map(|r| (format!("f_protocol.{r}"), r));
    let held = started.chain(watched.filter(|(_, r)| !has_initial_value(protocol, r))).map(|(name, _)| name);
    // What lost a bit says it best.
    let claim = found.claims.iter().find(|c| c.contains("_exact")).or(found.claims.first())?;
    let end = format!(
        "        if (dut.{claim} !== 1'b0)\n            $display(\"NOT replayed: {claim} holds\");\n        else\n            {}\n",
        sentence(claim)
    );
    s.push_str(&bench(found, &inputs(element), held, "", &end)?);
    Some(s)
}

/// A pool or an addition with its claims and all that they instantiate, and a module `replay`. Its sum beside the module's, which
/// loses nothing, is looked at in each step.
fn sums(texts: &BTreeMap<String, String>, found: &Counterexample) -> Option<String> {
    let mut left = modules(texts);
    let claims = left.remove(found.module.as_str())?;
    let count = (0..).take_while(|n| claims.contains(&format!(" exact{n};"))).count();
    if count == 0 {
        return None;
    }
    let mut s = format!(
        "// A run that breaks a claim of {}, found by snug prove. The module and what its claims stand on are as they were proved;\n\
         // the statements of the claims are left out, their values are compared below.\n`define FORMAL\n`default_nettype none\n",
        found.module
    );
    let mut open = vec![claims];
    while let Some(text) = open.pop() {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        open.extend(words.filter_map(|word| left.remove(word)));
        for line in text.lines().filter(|line| !line.contains("assert property") && !line.contains("assume property")) {
            let statement = ["assert (", "assume ("].iter().find_map(|s| line.find(s)).filter(|_| line.ends_with(';'));
            let line = statement.map_or_else(|| line.to_owned(), |at| format!("{};", &line[..at]));
            // The place of a queue that its claims look at: no sum depends on it.
            s.push_str(&line.replace("$anyconst", "0"));
            s.push('\n');
        }
    }
    let began = if claims.contains(" y_begun") { "dut.y_begun" } else { "dut.flying[2]" };
    let lane = |n: usize| {
        let [exact, y, lo, hi] = ["exact", "y", "lo", "hi"].map(|name| format!("dut.{name}{n}"));
        format!(
            "        if (!shown & dut.live & {began} & ({exact} !== {y})) begin\n            $display(\"REPLAYED: lane {n}: the true %0d became %0d in \
             its register\", {exact}, {y});\n            shown = 1'b1;\n        end\n        if (!shown & dut.live & {began} & (({exact} < {lo}) | ({exact} \
             > {hi}))) begin\n            $display(\"REPLAYED: lane {n}: the sum %0d is outside [%0d, %0d]\", {exact}, {lo}, {hi});\n            \
             shown = 1'b1;\n        end\n"
        )
    };
    let each: String = (0..count).map(lane).collect();
    let end = "        if (!shown)\n            $display(\"NOT replayed: its sums are right\");\n";
    s.push_str(&bench(found, &inputs(claims), std::iter::empty(), &each, end)?);
    Some(s)
}

/// The module `replay`: the run's inputs step by step, what registers `held` at its beginning, `each` at the end of each step, and `end` behind
/// the last one.
fn bench(
    found: &Counterexample,
    inputs: &[(String, usize)],
    held: impl Iterator<Item = String>,
    each: &str,
    end: &str,
) -> Option<String> {
    let steps = found.signals.values().map(Vec::len).max()?;
    let mut s = String::from("\nmodule replay;\n    reg aclk = 1'b0, shown = 1'b0;\n");
    for (name, width) in inputs {
        let _ = writeln!(s, "    reg [{}:0] {name};", width - 1);
    }
    let ties: Vec<String> = inputs.iter().map(|(name, _)| format!(", .{name}({name})")).collect();
    let _ = writeln!(s, "    {} dut (.aclk(aclk){});\n    initial begin", found.module, ties.concat());
    let mut held = held.peekable();
    if held.peek().is_some() {
        s.push_str("        // What registers hold at the beginning: those that the run does not speak of, 0.\n");
    }
    for name in held {
        let value = found.signals.get(&name).and_then(|v| v.first()).map_or_else(|| "0".to_owned(), |v| literal(v));
        let _ = writeln!(s, "        dut.{name} = {value};");
    }
    for step in 0..steps {
        let _ = writeln!(s, "        // Step {}.", step + 1);
        for (name, _) in inputs {
            if let Some(value) = found.signals.get(name).and_then(|v| v.get(step)) {
                let _ = writeln!(s, "        {name} = {};", literal(value));
            } else if step == 0 {
                let _ = writeln!(s, "        {name} = 0;");
            }
        }
        s.push_str("        #5;\n");
        s.push_str(each);
        if step + 1 < steps {
            s.push_str("        aclk = 1'b1; #5; aclk = 1'b0;\n");
        }
    }
    let _ = writeln!(s, "{end}        $finish;\n    end\nendmodule\n`default_nettype wire");
    Some(s)
}

/// The statement that says what is wrong where `claim` is broken.
fn sentence(claim: &str) -> String {
    let node = |prefix: &str| claim.split_once(prefix).map(|(_, node)| node.to_owned());
    let show = |what: &str, values: &[&str]| {
        let values: Vec<String> = values.iter().map(|v| format!("dut.{v}")).collect();
        format!("$display(\"REPLAYED: {what}\", {});", values.join(", "))
    };
    if claim == "sum_exact" {
        return show("the accumulator's true sum %0d became %0d in its register", &["f_sum", "f_held"]);
    }
    if claim == "sum_range" {
        return show("the accumulator holds %0d, outside [%0d, %0d]", &["f_held", "f_sum_lo", "f_sum_hi"]);
    }
    if let Some(n) = node("_exact_") {
        let (wide, held) = (format!("f_{n}"), format!("f_{n}_held"));
        return show(&format!("{n}: the true %0d became %0d in its register"), &[&wide, &held]);
    }
    if let Some(n) = node("_range_") {
        let (held, lo, hi) = (format!("f_{n}_held"), format!("f_{n}_lo"), format!("f_{n}_hi"));
        return show(&format!("{n} holds %0d, outside [%0d, %0d]"), &[&held, &lo, &hi]);
    }
    format!("$display(\"REPLAYED: {claim} is broken\");")
}

/// All modules in the files, by name.
fn modules(texts: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let mut all = BTreeMap::new();
    for text in texts.values() {
        let starts = text.match_indices("module ").map(|(at, _)| at);
        for at in starts.filter(|&at| at == 0 || text.as_bytes()[at - 1] == b'\n') {
            let Some(length) = text[at..].find("\nendmodule\n") else { continue };
            let text = &text[at..at + length + "\nendmodule\n".len()];
            all.extend(text.split([' ', '(']).nth(1).map(|name| (name, text)));
        }
    }
    all
}

/// Input ports without the clock, and their widths.
fn inputs(module: &str) -> Vec<(String, usize)> {
    let ports = module.split("\n);").next().unwrap_or_default();
    let input = |line: &str| {
        let bare = line.split("//").next()?.trim().trim_end_matches(',');
        let name = bare.strip_prefix("input")?.split_whitespace().last()?;
        let high = bare.split_once('[').and_then(|(_, rest)| rest.split(':').next()?.parse::<usize>().ok());
        (name != "aclk").then(|| (name.to_owned(), high.map_or(1, |h| h + 1)))
    };
    ports.lines().filter_map(input).collect()
}

/// Names that a clock edge assigns.
fn registers(module: &str) -> BTreeSet<String> {
    let clocked = |line: &str| {
        let (before, _) = line.split_once(" <= ")?;
        let name = before.split_whitespace().last()?;
        let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (word && !before.contains("wire")).then(|| name.to_owned())
    };
    module.lines().filter_map(clocked).collect()
}

/// Whether a register's declaration gives it a value.
fn has_initial_value(module: &str, register: &str) -> bool {
    module.contains(&format!(" {register} = "))
}

fn literal(bits: &str) -> String {
    format!("{}'b{}", bits.len(), bits.replace('-', "x"))
}
