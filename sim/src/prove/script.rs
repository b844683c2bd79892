//! The Yosys scripts of a proof, made from the Verilog alone: one for each module that has claims of its own.
//!
//! A script reads the files it needs, by paths relative to the generated folder, cuts what other scripts prove, counts
//! the claims and the assumptions that are left (a proof of nothing, or one with an assumption too many, must not pass), and
//! runs the induction.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use generator::emit::is_fixed;

use super::array;
use super::heap::{ROW, Row};
use super::{stem, unit_of};

/// Longest induction tried for a processing element, whose claims need one or two steps.
const ELEMENT_STEPS: usize = 4;

/// The same for other modules: a search in an input map needs a step for each of its stages.
const CONTROL_STEPS: usize = 12;

/// The same for logic without registers.
const ROW_STEPS: usize = 1;

/// The same for claims in groups, which are made for one step each.
const LEMMA_STEPS: usize = 1;

/// What kind of module a job proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A processing element.
    Element,
    /// Any other module of the design.
    Control,
    /// A row of a bit heap, by itself: logic without registers, proved for all its inputs.
    Row,
}

/// One script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The module.
    pub module: String,
    /// What it is.
    pub kind: Kind,
    /// Paths of the files that are read, as given to [`jobs`].
    pub files: Vec<String>,
    /// The design as Yosys is to build it: everything before the solver.
    prepare: String,
    /// Folds of a row, for the length of a search for counterexamples.
    folds: usize,
    /// Groups of claims that are proved one after the other; 1 where one proof holds all.
    groups: usize,
}

impl Job {
    /// The design with its claims: everything before the solver.
    #[must_use]
    pub fn prepare(&self) -> &str {
        &self.prepare
    }

    /// The proof by induction. `verify` makes Yosys fail where it is not a proof.
    #[must_use]
    pub fn proof(&self, verify: bool) -> String {
        format!("{}{}", self.prepare, self.induction(verify))
    }

    /// What follows the design in [`Job::proof`]: the solver's commands.
    #[must_use]
    pub fn induction(&self, verify: bool) -> String {
        let verify = if verify { " -verify" } else { "" };
        let steps = match self.kind {
            Kind::Element => ELEMENT_STEPS,
            Kind::Control => CONTROL_STEPS,
            Kind::Row => ROW_STEPS,
        };
        let steps = if self.groups > 1 { LEMMA_STEPS } else { steps };
        let sat = format!("sat -tempinduct -prove-asserts -set-assumes -maxsteps {steps}{verify} {}\n", self.module);
        if self.groups == 1 {
            return sat;
        }
        // By induction over time and groups: what comes before a group is known now, what comes after it as of a step ago.
        let mut named = String::from("select -set lemma1 t:$assert");
        (2..=self.groups).for_each(|g| named.push_str(&format!(" c:lemma{g}_* %d")));
        (2..=self.groups).for_each(|g| named.push_str(&format!("\nselect -set lemma{g} c:lemma{g}_*")));
        (1..=self.groups).for_each(|g| named.push_str(&format!("\nselect -assert-min 1 @lemma{g}")));
        let mut script = String::from("design -save whole\n");
        for group in 1..=self.groups {
            let _ = writeln!(script, "design -load whole\n{named}");
            for other in (1..=self.groups).filter(|&g| g != group) {
                let _ = writeln!(script, "chformal -assert2assume @lemma{other}");
                if other > group {
                    let _ = writeln!(script, "chformal -assume -delay 1 @lemma{other}");
                }
            }
            let _ = write!(script, "opt -fine\n{sat}");
        }
        script
    }

    /// Inductions of the proof: so many must succeed.
    #[must_use]
    pub fn inductions(&self) -> usize {
        self.groups
    }

    /// The search for a run that breaks a claim, its ports shown and dumped to the file `vcd`.
    #[must_use]
    pub fn search(&self, vcd: &str) -> String {
        format!(
            "{}sat -tempinduct-baseonly -prove-asserts -set-assumes -maxsteps {} -show-ports -show-public -dump_vcd \"{vcd}\" {}\n",
            self.prepare,
            self.folds + 24,
            self.module
        )
    }
}

/// The jobs that together prove the accelerator whose Verilog is `files`: path, as the scripts shall name it, to text. Empty if no
/// file has claims.
#[must_use]
pub fn jobs(files: &BTreeMap<String, String>) -> Vec<Job> {
    let module = |path: &str| stem(path).to_owned();
    let find = |name: &str| files.keys().find(|p| module(p) == name).cloned();
    // The top holds the promises of the streams.
    let Some((top_path, top)) = files.iter().find(|(_, t)| t.contains("_watch f_s (")) else { return Vec::new() };
    // What all designs share is claimed in modules of the top: its own names alone, a layer may be called anything.
    let is_fixed = |p: &&String| is_fixed(stem(p), stem(top_path));
    let fixed: Vec<String> = files.keys().filter(is_fixed).cloned().collect();
    let row_file = format!("{}_snug_xc7_row", stem(top_path));
    let shared = |own: &str| {
        let mut list = fixed.clone();
        list.extend(find(&format!("{}_lane", module(own))));
        list.push(own.to_owned());
        list.push(top_path.clone());
        list
    };
    let mut jobs = Vec::new();
    let mut shapes = BTreeSet::new();
    let mut written_out = BTreeSet::new();
    for (path, text) in files {
        let name = module(path);
        if fixed.contains(path) {
            continue;
        }
        if text.contains("wire sum_range =") {
            let mut list = vec![path.clone()];
            list.extend(unit_of(text).and_then(find));
            list.push(top_path.clone());
            let mut cut = String::new();
            if text.contains(ROW) {
                // Its rows are proved by themselves, and what they make together by bookkeeping: here the sum is free.
                cut = format!("delete {name}/t:{row_file}\n");
                shapes.extend(rows(text, &row_file));
            }
            jobs.push(job(&name, Kind::Element, list, &cut, body(text, &name), synapse_folds(text)));
        } else if name.ends_with("_array") && !text.contains("`ifdef FORMAL") {
            written_out.extend(array::shapes(&name, text));
        } else if path == top_path {
            // What the top holds is proved in jobs of its own: their outputs are free here.
            jobs.push(job(
                &name,
                Kind::Control,
                vec![path.clone()],
                &format!("delete {name}/t:{name}_*\n"),
                body(text, &name),
                0,
            ));
            for claims in top.split("\nmodule ").skip(1).filter_map(|m| m.split_whitespace().next()) {
                if claims.ends_with("_claims") {
                    jobs.push(job(claims, Kind::Control, shared(path), "", body(text, claims), 0));
                }
            }
        } else if text.contains("_watch f_in (") {
            let mut cut =
                if text.contains("_protocol f_protocol") { format!("delete t:{name}_pe*\n") } else { String::new() };
            if text.contains(&format!("    {name}_array array (")) {
                cut.push_str(&format!("delete t:{name}_array\n"));
            }
            jobs.push(job(&name, Kind::Control, shared(path), &cut, body(text, &name), 0));
        }
    }
    let cells: Vec<String> =
        files.keys().filter(|p| ["LUT6_2", "CARRY4", &row_file].contains(&module(p).as_str())).cloned().collect();
    for (row, width, ternary) in shapes {
        let instance = format!(
            "{row} #(.WIDTH({width}), .TERNARY({}), .INIT({{{width}{{64'h{:016x}}}}})) row (.pins(pins), .carry_in(carry_in), \
             .majority_in(majority_in), .out(out));\n",
            u8::from(ternary),
            any_pair(ternary)
        );
        jobs.push(row_job(&row, width, ternary, cells.clone(), &instance));
    }
    // Those of arrays stand in their files cell by cell.
    let cells: Vec<String> = cells.into_iter().filter(|c| module(c) != row_file).collect();
    for (width, ternary) in written_out {
        let pin = |c: usize| [0, 1, 2, 3].map(|p| format!("pins[{}]", 4 * c + p));
        let row = Row {
            ternary,
            init: vec![any_pair(ternary); width],
            pins: (0..width).map(pin).collect(),
            carry_in: "carry_in".to_owned(),
            majority_in: if ternary { "majority_in" } else { "1'b0" }.to_owned(),
            kept: width + 1 + usize::from(ternary),
        };
        let mut text = array::cells(0, &row).join(";\n    ");
        let _ = writeln!(text, ";\n    assign out = {};", array::outputs(0, &row));
        jobs.push(row_job(&format!("{}_array_row", module(top_path)), width, ternary, cells.clone(), &text));
    }
    jobs
}

/// The shapes of the rows, instances of `module`, of a bit heap: module, columns, whether a column has three terms.
fn rows(text: &str, module: &str) -> BTreeSet<(String, usize, bool)> {
    let number = |part: &str, name: &str| part.split_once(name)?.1.split(')').next()?.parse::<usize>().ok();
    let mut found = BTreeSet::new();
    let mut before = "";
    for part in text.split(" #(") {
        let name = before.split_whitespace().last().unwrap_or_default();
        if name == module {
            let shape = number(part, ".WIDTH(").zip(number(part, ".TERNARY("));
            found.extend(shape.map(|(width, ternary)| (name.to_owned(), width, ternary == 1)));
        }
        before = part;
    }
    found
}

/// The words of LUTs that make any pair of outputs. Pins are the terms; O5: the term, or the majority; O6: the XOR, with the
/// majority of the column before on pin 4.
fn any_pair(ternary: bool) -> u64 {
    if ternary { 0x6969_9696_e8e8_e8e8 } else { 0x6666_6666_aaaa_aaaa }
}

/// The proof of a row `text`: for LUTs that make any pair of outputs, what comes out is the sum of all columns.
fn row_job(row: &str, width: usize, ternary: bool, files: Vec<String>, text: &str) -> Job {
    let terms = if ternary { 3 } else { 2 };
    let name = format!("{row}_{width}x{terms}");
    let total = width + 2;
    let mut s = format!("# {row} with {width} columns of {terms} terms, exhaustively. Run from the folder above.\n");
    for file in &files {
        let _ = writeln!(s, "read_verilog -formal {file}");
    }
    let _ = write!(
        s,
        "read_verilog -formal <<EOT\nmodule {name} (input wire [{}:0] pins, input wire carry_in, input wire majority_in);\n    \
         wire [{}:0] out;\n    {text}",
        4 * width - 1,
        width + 1
    );
    let term = |t: usize| {
        let bits: Vec<String> = (0..width).rev().map(|c| format!("pins[{}]", 4 * c + t)).collect();
        format!("{{2'd0, {}}}", bits.join(", "))
    };
    let mut sum: Vec<String> = (0..terms).map(term).collect();
    let zero = format!("{}'d0", total - 1);
    sum.push(format!("{{{zero}, carry_in}}"));
    let mut value = format!("{{1'b0, out[{width}:0]}}");
    if ternary {
        sum.push(format!("{{{zero}, majority_in}}"));
        value.push_str(&format!(" + {{1'b0, out[{}], {width}'d0}}", width + 1));
    }
    let _ = write!(
        s,
        "    always @* assert ({value} == {});\nendmodule\nEOT\nhierarchy -top {name}\nproc\nflatten\nopt_clean\nselect -assert-count 1 \
         t:$assert\n",
        sum.join(" + ")
    );
    Job { module: name, kind: Kind::Row, files, prepare: s, folds: 0, groups: 1 }
}

fn job(module: &str, kind: Kind, mut files: Vec<String>, cut: &str, body: &str, folds: usize) -> Job {
    files.dedup();
    let mut s =
        format!("# The claims of {module}: docs/proof.md of snug says what they are. Run from the folder above.\n");
    for file in &files {
        let _ = writeln!(s, "read_verilog -formal {file}");
    }
    let _ = writeln!(s, "hierarchy -top {module}\nproc -norom\nflatten\n{cut}opt_clean");
    // A loop prints one statement and makes many claims; assumptions are counted to the last one.
    let _ = writeln!(s, "select -assert-min {} t:$assert", count(body, "assert "));
    let _ = writeln!(s, "select -assert-count {} t:$assume", count(body, "assume "));
    if body.contains("f_address") {
        s.push_str(&one_word(module));
    }
    let _ = writeln!(s, "memory_map\nsetundef -undriven -anyseq\nopt -fine");
    // Labels `lemma2_...: assert` begin with the second group.
    let groups = (2..).find(|g| !body.contains(&format!("lemma{g}_"))).map_or(1, |g| g - 1);
    Job { module: module.to_owned(), kind, files, prepare: s, folds, groups }
}

/// Commands that leave of the buffer `dut.mem` one word, the one at `f_address`: what is read from other places may be anything. Every
/// run of the buffer is one of these, so what is proved holds of the buffer, and the proof does not grow with it. That the
/// address stays the same is claimed too.
fn one_word(module: &str) -> String {
    format!(
        "memory_collect\nselect -assert-count 1 c:dut.mem r:WR_PORTS=1 %i\nchtype -set snug_one_word c:dut.mem\n\
         read_verilog -formal <<EOT\n{}EOT\nhierarchy -top {module}\nproc -norom\nflatten\n\
         cd {module}\nconnect -set dut.mem.chosen f_address\ncd\nopt_clean\n",
        include_str!("one_word.v")
    )
}

/// The statements of one module in a file, without comments.
fn body<'a>(text: &'a str, module: &str) -> &'a str {
    let start = text.find(&format!("\nmodule {module} (")).unwrap_or(0);
    let rest = &text[start..];
    &rest[..rest.find("\nendmodule").unwrap_or(rest.len())]
}

/// Beats of a row, from the head of a processing element.
fn synapse_folds(text: &str) -> usize {
    let number = text.split_once(" neuron x ").and_then(|(_, rest)| rest.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(64)
}

/// Statements that begin with `keyword`, comments left out.
fn count(body: &str, keyword: &str) -> usize {
    body.lines().map(|line| line.split("//").next().unwrap_or_default().matches(keyword).count()).sum()
}
