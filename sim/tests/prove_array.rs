//! Unrolled arrays in `snug prove`: the bookkeeping accepts what snug prints and nothing else, and whole networks are proved.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use generator::dataflow::{Dataflow, Kind};
use generator::emit::verilog;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use generator::target::{Backend, retarget};
use quantizer::testing::{Limits, network};
use sim::prove::array::{Source, check};
use sim::prove::cover::{Witness, witnesses};
use sim::prove::objection::Objection;
use sim::prove::{Options, Verdict, prove};
use sim::tools::{Tool, find};

type Texts = BTreeMap<String, String>;

/// A random network that takes a vector every clock, on a device with arrays.
fn unrolled(seed: u64, limits: Limits) -> Dataflow {
    let options = LowerOptions { folding: FoldingRequest::Interval(1), ..Default::default() };
    let mut design = lower(&network(seed, limits), &options).unwrap();
    retarget(&mut design, Backend::Xc7);
    design
}

fn texts(design: &Dataflow) -> Texts {
    verilog(design, &[]).unwrap().into_iter().map(|f| (f.name, f.text)).collect()
}

/// The witnesses of the design's processing elements, without those of its streams.
fn elements_of(design: &Dataflow) -> BTreeMap<String, Witness> {
    let all = witnesses(&serde_json::to_value(design).unwrap()).unwrap();
    all.into_iter().filter(|(_, witness)| witness.promise.is_some()).collect()
}

/// What the bookkeeping says of each element whose sum comes from an array.
fn checked(design: &Dataflow, texts: &Texts) -> Vec<(String, Result<(), Objection>)> {
    let witnesses = elements_of(design);
    let of = |(name, witness): (&String, &Witness)| {
        let text = &texts[&format!("{name}.v")];
        let source = Source::of(name, text, texts)?;
        Some((name.clone(), check(text, &source, &witness.sum)))
    };
    witnesses.iter().filter_map(of).collect()
}

#[test]
fn arrays_sum_what_they_should() {
    let (mut elements, mut shared) = (0, 0);
    for seed in 0..40 {
        let limits = [Limits { layers: 3, width: 24, bits: 4 }, Limits { layers: 2, width: 40, bits: 3 }];
        let design = unrolled(seed + 500, limits[seed as usize % 2]);
        let texts = texts(&design);
        for (name, result) in checked(&design, &texts) {
            assert_eq!(result, Ok(()), "seed {seed}, {name}");
            elements += 1;
        }
        for module in &design.modules {
            if let Kind::MatrixVector(unit) = &module.kind {
                shared += unit.array.as_ref().map_or(0, |a| a.numbers.len());
            }
        }
    }
    eprintln!("{elements} elements, {shared} shared sums");
    assert!(elements > 200 && shared > 50);
}

#[test]
fn ranges_are_those_of_the_verilog() {
    let mut narrower = 0;
    for seed in 0..40 {
        let design = unrolled(seed + 500, Limits { layers: 3, width: 16, bits: 3 });
        let files = texts(&design);
        let top = &files[&format!("{}.v", design.top)];
        for (name, witness) in elements_of(&design) {
            let unit = &files[&format!("{}.v", name.rsplit_once("_pe").unwrap().0)];
            let promise = witness.promise.as_ref().unwrap();
            assert_eq!(promise.check(unit, top), Ok(()), "seed {seed}, {name}");
            // A dataflow that says less of some input.
            let mut other = promise.as_ref().clone();
            let Some(range) = other.ranges.iter_mut().find(|r| r.lo < r.hi) else { continue };
            range.hi -= 1;
            assert!(other.check(unit, top).is_err(), "seed {seed}, {name}");
            narrower += 1;
        }
    }
    assert!(narrower > 200, "{narrower}");
}

#[test]
fn mistakes_in_an_array_are_refuted() {
    let limits = Limits { layers: 2, width: 24, bits: 4 };
    let seeded = (0..60).map(|seed| (seed, unrolled(seed + 900, limits)));
    let shares = |d: &Dataflow| {
        d.modules.iter().any(|m| matches!(&m.kind, Kind::MatrixVector(u) if u.array.as_ref().is_some_and(|a| a.numbers.len() > 1 && a.outputs.len() > 2)))
    };
    let (_, design) = seeded.into_iter().find(|(_, d)| shares(d)).expect("one of sixty shares sums");
    let files = texts(&design);
    let array = files.iter().find(|(n, t)| n.ends_with("_array.v") && t.contains("Shared sum 1")).unwrap().0.clone();
    let text = &files[&array];
    let unit = format!("{}.v", array.trim_end_matches("_array.v"));
    let changed = |name: &str, to: String| {
        assert_ne!(files[name], to, "the mutant is none");
        let mut files = files.clone();
        files.insert(name.to_owned(), to);
        files
    };
    let once = |name: &str, from: &str, to: &str| changed(name, files[name].replacen(from, to, 1));
    let init = text.split_once("64'h").unwrap().1[..16].to_owned();
    let flipped = |digit: usize| {
        let mut digits: Vec<char> = init.chars().collect();
        digits[digit] = char::from_digit(digits[digit].to_digit(16).unwrap() ^ 1, 16).unwrap();
        once(&array, &init, &digits.into_iter().collect::<String>())
    };
    let pin = text.split_once(".I0(x[").unwrap().1.split_once(']').unwrap().0.to_owned();
    let carry = text.split_once(".CYINIT(").unwrap().1.split_once(')').unwrap().0.to_owned();
    let turned = if carry == "1'b1" { "1'b0" } else { "1'b1" };
    let second = text.match_indices("x[").map(|(at, _)| text[at + 2..].split_once(']').unwrap().0).find(|p| *p != pin);
    let y = text.split_once("assign y = {").unwrap().1.split_once(',').unwrap().0.to_owned();
    let sums: Vec<String> =
        files[&unit].split(".x(sums[").skip(1).map(|r| format!(".x(sums[{}", r.split_once(')').unwrap().0)).collect();
    let mutants = [
        ("another function, O5", flipped(15)),
        ("another function, O6", flipped(7)),
        ("a term dropped", once(&array, &format!(".I0(x[{pin}])"), ".I0(1'b0)")),
        ("another input", once(&array, &format!(".I0(x[{pin}])"), &format!(".I0(x[{}])", second.unwrap()))),
        ("a carry more or less", once(&array, &format!(".CYINIT({carry})"), &format!(".CYINIT({turned})"))),
        ("an output dropped", once(&array, &format!("assign y = {{{y},"), "assign y = {1'b0,")),
        ("something besides", once(&array, "\n    assign y", "\n    always @(posedge aclk) r0 <= 0;\n\n    assign y")),
        ("another lane's sum", once(&unit, &sums[0], &sums[1])),
        (
            "another beat",
            once(&unit, "        .x(x_reg),\n        .y(sums)", "        .x(s_axis_tdata),\n        .y(sums)"),
        ),
        ("a register less", {
            let row = text.split_once("always @(posedge aclk) r0 <= ").unwrap().1.split_once(';').unwrap().0;
            once(&array, &format!("always @(posedge aclk) r0 <= {row}"), &format!("always @* r0 = {row}"))
        }),
        ("a shared sum that says it has a sign", {
            let at = text.split_once("// Shared sum 1, in [").unwrap().1;
            let (interval, _) = at.split_once(']').unwrap();
            let other = if interval.starts_with('-') {
                interval.trim_start_matches('-').to_owned()
            } else {
                format!("-{interval}")
            };
            once(&array, &format!("Shared sum 1, in [{interval}]"), &format!("Shared sum 1, in [{other}]"))
        }),
    ];
    assert!(checked(&design, &files).iter().all(|(_, r)| r.is_ok()));
    for (what, mutant) in mutants {
        let wrong: Vec<_> = checked(&design, &mutant).into_iter().filter(|(_, r)| r.is_err()).collect();
        assert!(!wrong.is_empty(), "{what}: nothing noticed");
        eprintln!("{what}: {}", wrong[0].1.as_ref().unwrap_err());
    }
    // Another matrix than the array was made for.
    let mut other = design.clone();
    let name = unit.trim_end_matches(".v").trim_start_matches(&format!("{}_", design.top)).to_owned();
    for module in other.modules.iter_mut().filter(|m| m.name == name) {
        if let Kind::MatrixVector(unit) = &mut module.kind {
            let weight = unit.pes.iter_mut().flat_map(|p| &mut p.weights[0]).find(|w| **w != 0).unwrap();
            *weight -= weight.signum();
        }
    }
    assert!(checked(&other, &files).iter().any(|(_, r)| r.is_err()), "another weight: nothing noticed");
}

#[test]
fn unrolled_networks_are_proved() {
    let Ok(yosys) = find(Tool::Yosys) else {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let design = unrolled(503, Limits { layers: 2, width: 10, bits: 3 });
    let texts = texts(&design);
    for (name, text) in &texts {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let options = Options {
        jobs: 2,
        timeout: Duration::from_secs(120),
        work: folder.path().join("proof"),
        module: None,
        fresh: false,
        witnesses: witnesses(&serde_json::to_value(&design).unwrap()).unwrap(),
    };
    let names: Vec<String> = texts.keys().cloned().collect();
    let report = prove(&yosys, folder.path(), &names, &options, &|_, _, _| {}).unwrap();
    for module in &report.modules {
        assert_eq!(module.verdict, Verdict::Proved, "{}: {:?}", module.name, module.reason);
    }
    assert_eq!(report.unpaired, Vec::<String>::new());
    assert!(report.modules.iter().any(|m| m.name.contains("_array_row_")));
}
