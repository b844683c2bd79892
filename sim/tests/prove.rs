//! The claims of a small accelerator: proved as printed, refuted where something in the Verilog is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use generator::dataflow::{Dataflow, Encoding, Kind, MatrixVector, Output, mask};
use generator::emit::verilog;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::datatype::{DataType, Signedness};
use quantizer::testing::{Limits, mlp, network};
use sim::prove::objection::Objection;
use sim::prove::{Options, Report, Verdict, prove};
use sim::tools::{Found, Tool, find};

fn yosys() -> Option<Found> {
    let found = find(Tool::Yosys).ok();
    if found.is_none() {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
    }
    found
}

/// The first of the random networks that is lowered to a unit of the kind that [`unit`] looks for.
fn dataflow() -> Dataflow {
    let designs = (0..100).filter_map(|seed| {
        let network = network(seed, Limits { layers: 2, width: 8, bits: 3 });
        lower(&network, &LowerOptions { folding: FoldingRequest::Interval(16), ..Default::default() }).ok()
    });
    designs.into_iter().find(|d| d.modules.iter().any(|m| suits(&m.kind))).expect("one of a hundred has it")
}

/// Several folds of both kinds, thresholds, and weights in each processing element.
fn suits(kind: &Kind) -> bool {
    let Kind::MatrixVector(m) = kind else { return false };
    m.synapse_folds > 1
        && m.neuron_folds > 1
        && m.search.is_some_and(|s| s.bits > 1)
        && m.pes[0].reduction.accumulator_bits > 4
}

/// Proves `module`, or everything, after `edit` has changed the files' texts: name, text.
fn proved(
    yosys: &Found,
    folder: &Path,
    design: &Dataflow,
    module: Option<&str>,
    edit: &dyn Fn(&str, String) -> String,
) -> Report {
    let mut names = Vec::new();
    for file in verilog(design, &[]).unwrap() {
        std::fs::write(folder.join(&file.name), edit(&file.name, file.text)).unwrap();
        names.push(file.name);
    }
    let module = module.map(str::to_owned);
    let witnesses = sim::prove::cover::witnesses(&serde_json::to_value(design).unwrap()).unwrap();
    let options = Options {
        jobs: 2,
        timeout: Duration::from_secs(300),
        work: folder.join("proof"),
        module,
        witnesses,
        fresh: false,
    };
    prove(yosys, folder, &names, &options, &|_, _, _| {}).unwrap()
}

fn same(_: &str, text: String) -> String {
    text
}

/// `text` with `from`, which must be there, replaced once.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "'{from}' must occur for the mutant to be meant");
    text.replacen(from, to, 1)
}

/// The first unit with several folds, thresholds and an accumulator: its name, and how to change it.
fn unit(design: &Dataflow) -> (usize, String) {
    let index = design.modules.iter().position(|m| suits(&m.kind)).expect("dataflow() has looked for it");
    (index, format!("{}_{}", design.top, design.modules[index].name))
}

fn changed(design: &Dataflow, index: usize, change: impl Fn(&mut MatrixVector)) -> Dataflow {
    let mut design = design.clone();
    if let Kind::MatrixVector(unit) = &mut design.modules[index].kind {
        change(unit);
    }
    design
}

#[test]
fn a_whole_accelerator_is_proved_and_results_are_kept() {
    let Some(yosys) = yosys() else { return };
    let folder = tempfile::tempdir().unwrap();
    let design = dataflow();
    let report = proved(&yosys, folder.path(), &design, None, &same);
    assert!(report.ok, "{:?} {:?}", report.modules, report.unpaired);
    assert!(report.modules.len() > design.modules.len());
    let again = proved(&yosys, folder.path(), &design, None, &same);
    assert!(again.ok && again.modules.iter().all(|m| m.cached));
    // Another comment in a file is another file.
    let again = proved(&yosys, folder.path(), &design, Some(&unit(&design).1), &|_, text| text + "// changed\n");
    assert!(again.ok && !again.modules[0].cached);
}

/// Each of these mistakes has a run that breaks a claim.
#[test]
fn mistakes_are_refuted() {
    let Some(yosys) = yosys() else { return };
    let design = dataflow();
    let (index, name) = unit(&design);
    let element = format!("{name}_pe0");
    let check = |what: &str, module: &str, design: &Dataflow, edit: &dyn Fn(&str, String) -> String| {
        let folder = tempfile::tempdir().unwrap();
        let report = proved(&yosys, folder.path(), design, Some(module), edit);
        let module = &report.modules[0];
        assert_eq!(module.verdict, Verdict::Refuted, "{what}: {module:?}");
        let counterexample = module.counterexample.as_ref().unwrap();
        assert!(counterexample.waves.is_file() && !counterexample.signals.is_empty(), "{what}");
        let simulators = [Tool::Verilator, Tool::Iverilog].map(|t| (t, find(t).is_ok()));
        if let (true, Some((by, _))) = (module.name.contains("_pe"), simulators.iter().find(|(_, is)| *is)) {
            let said = counterexample.replayed.as_ref().unwrap_or_else(|| panic!("{what}: not replayed"));
            assert_eq!(counterexample.replayed_by.as_deref(), Some(by.program()), "{what}");
            eprintln!("{what}: {said}");
            assert!(!what.starts_with("accumulator") || said.contains("the accumulator's true sum"), "{said}");
        }
    };
    let narrower = changed(&design, index, |u| u.pes[0].reduction.accumulator_bits -= 1);
    check("accumulator one bit narrower", &element, &narrower, &same);
    let planned = changed(&design, index, |u| {
        let plan = &mut u.pes[0].reduction;
        plan.accumulator_bits -= 1;
        let half = 1i64 << (plan.accumulator_bits - 1);
        plan.accumulator.lo = plan.accumulator.lo.max(-half);
        plan.accumulator.hi = plan.accumulator.hi.min(half - 1);
    });
    check("the plan consistently wrong", &element, &planned, &same);
    let words = changed(&design, index, |u| u.pes[0].word_bits -= 1);
    check("threshold words one bit narrower", &element, &words, &same);
    // The ROM of a design with one weight larger by one, the claims of the design as it is.
    let larger = changed(&design, index, |u| {
        let pe = &mut u.pes[0];
        // One that is below the largest that its wires carry, of any fold.
        let most = |e: Encoding| e.decode(mask(e.bits) >> u32::from(e.sign == Signedness::Signed));
        let most: Vec<i64> = pe.weight_encodings.iter().map(|&e| most(e)).collect();
        let all = pe.weights.iter_mut().flat_map(|fold| fold.iter_mut().zip(&most));
        let (weight, _) =
            all.into_iter().find(|(w, most)| **w >= 0 && **w < **most).expect("a weight that can be larger");
        *weight += 1;
    });
    let rom = |design: &Dataflow| {
        let files = verilog(design, &[]).unwrap();
        let text = &files.iter().find(|f| f.name == format!("{element}.v")).unwrap().text;
        let (_, rest) = text.split_once("'d0: weights = ").unwrap();
        rest.split_once("default").unwrap().0.to_owned()
    };
    let (from, to) = (rom(&design), rom(&larger));
    assert_ne!(from, to);
    check("one weight made larger", &element, &design, &|file, text| {
        if file == format!("{element}.v") { replaced(&text, &from, &to) } else { text }
    });
    check("a value changed between threshold stages", &element, &design, &|file, text| {
        if file == format!("{element}.v") {
            replaced(&text, "value1 <= value0;", "value1 <= value0 ^ 1;")
        } else {
            text
        }
    });
    let in_unit = |from: &'static str, to: &'static str| {
        let unit = format!("{name}.v");
        move |file: &str, text: String| if file == unit { replaced(&text, from, to) } else { text }
    };
    check("a dropped valid", &name, &design, &in_unit(".d(fire & last)", ".d(fire & last & s_axis_tvalid)"));
    let depth = design.modules[index].queue_depth();
    let unit_file = format!("{name}.v");
    check("exit queue one place smaller", &name, &design, &|file, text| {
        if file == unit_file {
            replaced(&text, &format!(".DEPTH({depth})"), &format!(".DEPTH({})", depth - 1))
        } else {
            text
        }
    });
}

/// Claims that hold because nothing is ever in order are no proof: the run to the ends of the accumulator is missing. The same
/// where an interval is wider than what can be reached.
#[test]
fn a_vacuous_proof_is_seen() {
    let Some(yosys) = yosys() else { return };
    let design = dataflow();
    let (index, name) = unit(&design);
    let element = format!("{name}_pe0");
    let check = |what: &str, design: &Dataflow, edit: &dyn Fn(&str, String) -> String| {
        let folder = tempfile::tempdir().unwrap();
        let report = proved(&yosys, folder.path(), design, Some(&element), edit);
        let module = &report.modules[0];
        assert_eq!(module.verdict, Verdict::Unknown, "{what}: {module:?}");
        assert!(module.reason.as_ref().unwrap().contains("both ends"), "{what}: {module:?}");
    };
    let unit_file = format!("{name}.v");
    check("inputs never in order", &design, &|file, text| {
        if file == unit_file {
            replaced(&text, "assign x_ok = started &", "assign x_ok = 1'b0 & started &")
        } else {
            text
        }
    });
    let element_file = format!("{element}.v");
    check("a sum that never is valid", &design, &|file, text| {
        if file == element_file { replaced(&text, ".sum_valid(sum_valid)", ".sum_valid(1'b0)") } else { text }
    });
    // One input is less than the plan thinks: what it claims is true, and wider than what can be.
    let stream = match &design.modules[index].kind {
        Kind::MatrixVector(_) => design.modules[index].input(),
        _ => unreachable!("unit() looks for one"),
    };
    let range = format!("{}_{}_range", design.top, design.stream(stream).name);
    check("an interval that is too wide", &design, &|file, text| {
        if file == format!("{}.v", design.top) {
            let (before, module) = text.split_once(&format!("module {range} (")).unwrap();
            let module = replaced(module, "assign ok[0] =", "assign ok[0] = (data[0] == 1'b0) &");
            format!("{before}module {range} ({module}")
        } else {
            text
        }
    });
}

/// Assumptions without a promise are seen, though every module keeps its claims.
#[test]
fn a_crossed_wire_is_seen() {
    let Some(yosys) = yosys() else { return };
    let folder = tempfile::tempdir().unwrap();
    let design = dataflow();
    let (index, name) = unit(&design);
    let (input, first) = (&design.stream(design.modules[index].input()).name, &design.streams[0].name);
    let output = &design.stream(design.modules[index].output()).name;
    let other = if input == first { output } else { first };
    let report = proved(&yosys, folder.path(), &design, Some(&name), &|file, text| {
        if file != format!("{}.v", design.top) {
            return text;
        }
        replaced(&text, &format!(".s_axis_tdata({input}_tdata)"), &format!(".s_axis_tdata({other}_tdata)"))
    });
    assert!(!report.ok && report.unpaired.len() == 1, "{:?}", report.unpaired);
}

/// The same on the back-end of bit heaps, by parts: rows, bookkeeping, and what follows the sum.
fn on_heaps() -> Dataflow {
    let mut design = dataflow();
    generator::target::retarget(&mut design, generator::target::Backend::Xc7);
    design
}

#[test]
fn a_bit_heap_is_proved_by_parts() {
    let Some(yosys) = yosys() else { return };
    let folder = tempfile::tempdir().unwrap();
    let design = on_heaps();
    let report = proved(&yosys, folder.path(), &design, None, &same);
    assert!(report.ok, "{:?} {:?}", report.modules, report.unpaired);
    assert!(report.modules.iter().any(|m| m.name.contains("_snug_xc7_row_")), "rows have proofs of their own");
}

/// A perceptron for ecp5 whose first unit makes its rows one after the other: a queue deep enough for a slice behind it.
fn on_ecp5() -> Dataflow {
    let four = DataType::unsigned(4);
    let network = mlp(505, &[4, 18, 5], four, DataType::signed(3), DataType::unsigned(2));
    let output = if network.label_grid.is_ok() { Output::Label } else { Output::Logits };
    let options = LowerOptions { folding: FoldingRequest::Interval(72), output, ..Default::default() };
    let mut design = lower(&network, &options).unwrap();
    generator::target::retarget(&mut design, generator::target::Backend::Ecp5);
    design
}

/// Slices, late credits, words less one, class values in steps: proved; and what is easily got wrong in them is not.
#[test]
fn ecp5_is_proved_and_its_mistakes_are_not() {
    let Some(yosys) = yosys() else { return };
    let folder = tempfile::tempdir().unwrap();
    let design = on_ecp5();
    let report = proved(&yosys, folder.path(), &design, None, &same);
    assert!(report.ok, "{:?} {:?}", report.modules, report.unpaired);
    let of = |what: &dyn Fn(&Kind) -> bool| {
        let module = design.modules.iter().find(|m| what(&m.kind)).expect("the design is made to have it");
        format!("{}_{}", design.top, module.name)
    };
    let unit = of(&|k| matches!(k, Kind::MatrixVector(u) if u.credit_late && u.words_read_ahead));
    let label = of(&|k| matches!(k, Kind::LabelSelect(l) if l.credit_late && l.steps.is_some()));
    let (top, skid) = (design.top.clone(), format!("{}_snug_skid", design.top));
    of(&|k| matches!(k, Kind::Fifo(f) if f.slice));
    let mutants = [
        ("a credit too many after a reset", &unit, "give <= aresetn & m_axis", "give <= m_axis"),
        ("a credit for every ready", &label, "give <= aresetn & m_axis_tvalid & m", "give <= aresetn & m"),
        ("the best left where it was", &label, "moved_reg ? above_candidate_reg", "moved_reg ? above_best_reg"),
        ("ties to the higher class", &label, "gap_best = {best", "gap_best = {1'b1} + {best"),
        ("a beat lost in the slice", &skid, "held_next      = 1'b1;", "held_next      = 1'b0;"),
    ];
    for (what, module, from, to) in mutants {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("{module}.v");
        // The fixed module is proved where it stands: with its claims in the top's file.
        let claims = if *module == skid { None } else { Some(module.as_str()) };
        let edit = |name: &str, text: String| if name == file { replaced(&text, from, to) } else { text };
        let report = proved(&yosys, folder.path(), &design, claims, &edit);
        assert!(!report.ok, "{what} in {top}: {:?}", report.modules);
    }
    let element = format!("{unit}_pe0");
    let file = format!("{element}.v");
    let folder = tempfile::tempdir().unwrap();
    // The word without its sign.
    let edit = |name: &str, text: String| {
        if name == file { replaced(&text, "= {word1_read[", "= {1'b0 & word1_read[") } else { text }
    };
    let report = proved(&yosys, folder.path(), &design, Some(&element), &edit);
    assert_eq!(report.modules[0].verdict, Verdict::Refuted);
}

/// Another of a row's lowest two bits.
fn other_bit(bit: &str) -> &str {
    if bit == "0" { "1" } else { "0" }
}

/// A term dropped, wired at another weight, consumed twice, another function in a LUT, another weight in the memory, a bit that
/// comes a cycle late, a register too narrow: each is seen by the bookkeeping.
#[test]
fn mistakes_in_a_bit_heap_are_refuted() {
    let design = on_heaps();
    let witnesses = sim::prove::cover::witnesses(&serde_json::to_value(&design).unwrap()).unwrap();
    let (_, name) = unit(&design);
    let name = format!("{name}_pe0");
    let text = verilog(&design, &[]).unwrap().into_iter().find(|f| f.name == format!("{name}.v")).unwrap().text;
    let check = |text: &str| sim::prove::heap::check(text, &witnesses[&name].sum);
    assert_eq!(check(&text), Ok(()));
    // The first pin that is tied to an input, and another column's.
    let pins = text.split_once(".pins({").unwrap().1.split_once('}').unwrap().0;
    let wires: Vec<&str> = pins.split([',', '\n']).map(str::trim).filter(|w| w.starts_with("x[")).collect();
    let (wire, other) = (wires[0], *wires.iter().find(|w| **w != wires[0]).unwrap());
    let in_pins = |to: &str| text.replacen(pins, &pins.replacen(wire, to, 1), 1);
    let init = text.split_once("64'h").unwrap().1[..16].to_owned();
    let flipped = |digit: usize| {
        let mut digits: Vec<char> = init.chars().collect();
        digits[digit] = char::from_digit(digits[digit].to_digit(16).unwrap() ^ 1, 16).unwrap();
        text.replacen(&init, &digits.into_iter().collect::<String>(), 1)
    };
    let (before, rest) = text.split_once("'d0: weights = ").unwrap();
    let (word, after) = rest.split_once(';').unwrap();
    let (bits, digits) = word.split_once("'h").unwrap();
    let weight = u64::from_str_radix(digits, 16).unwrap() ^ 1;
    let output = text.split("r0[").nth(2).map(|r| r.split_once(']').unwrap().0).unwrap_or("0");
    let mutants = [
        ("a term dropped", in_pins("1'b0")),
        ("a term at another weight", in_pins(other)),
        ("another function, O5", flipped(15)),
        ("another function, O6", flipped(7)),
        ("another weight", format!("{before}'d0: weights = {bits}'h{weight:x};{after}")),
        ("a carry more", text.replacen(".carry_in(1'b0)", ".carry_in(1'b1)", 1)),
        ("a row's bit dropped", text.replacen(&format!(" r0[{output}]"), " 1'b0", 1)),
        ("a bit consumed twice", text.replacen(&format!(" r0[{output}]"), &format!(" r0[{}]", other_bit(output)), 1)),
        ("another register", text.replacen(" value0 = acc_reg;", " value0 = acc_reg + 1;", 1)),
    ];
    for (what, mutant) in mutants {
        assert_ne!(mutant, text, "{what}");
        let said = check(&mutant).expect_err(what);
        eprintln!("{what}: {said}");
        // Where the text is not built as a heap is, nothing is known of it; anything else is a mistake that was seen.
        assert_eq!(matches!(said, Objection::Unread(_)), what == "another register", "{what}: {said:?}");
    }
}

/// Other widths, signs and foldings, bipolar codes among them: the bookkeeping closes on each, without a solver.
#[test]
fn the_bookkeeping_closes_on_random_designs() {
    let mut checked = 0;
    for seed in 0..40 {
        let network = network(seed, Limits { layers: 2, width: 12, bits: 4 });
        for interval in [8, 32] {
            let options = LowerOptions { folding: FoldingRequest::Interval(interval), ..Default::default() };
            let Ok(mut design) = lower(&network, &options) else { continue };
            generator::target::retarget(&mut design, generator::target::Backend::Xc7);
            let witnesses = sim::prove::cover::witnesses(&serde_json::to_value(&design).unwrap()).unwrap();
            for file in verilog(&design, &[]).unwrap() {
                let Some(witness) = witnesses.get(file.name.trim_end_matches(".v")) else { continue };
                if file.text.contains(sim::prove::heap::ROW) {
                    assert_eq!(sim::prove::heap::check(&file.text, &witness.sum), Ok(()), "seed {seed}, {}", file.name);
                    checked += 1;
                }
            }
        }
    }
    eprintln!("{checked} elements");
    assert!(checked > 50);
}
