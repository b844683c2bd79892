//! The claims of convolution's modules: proved on small random networks as printed, broken where something in the Verilog is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use generator::dataflow::{Dataflow, Kind};
use generator::emit::verilog;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use quantizer::testing::{Limits, conv_network};
use sim::prove::cover::witnesses;
use sim::prove::{Module, Options, Report, Verdict, prove};
use sim::tools::{Found, Tool, find};

fn yosys() -> Option<Found> {
    let found = find(Tool::Yosys).ok();
    if found.is_none() {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
    }
    found
}

/// The design whose module, of those that suit, has the smallest size; and which module that is.
fn smallest(size: impl Fn(&Dataflow, &Kind) -> Option<usize>) -> (Dataflow, usize) {
    let designs = (0..160).filter_map(|seed| {
        let network = conv_network(seed, Limits { layers: 3, width: 6, bits: 3 });
        lower(&network, &LowerOptions { folding: FoldingRequest::Interval(900), ..Default::default() }).ok()
    });
    let sized = |d: Dataflow| {
        let best = (0..d.modules.len()).filter_map(|i| Some((size(&d, &d.modules[i].kind)?, i))).min()?;
        Some((best.0, (d, best.1)))
    };
    designs.filter_map(sized).min_by_key(|(size, _)| *size).expect("one of the designs has such a module").1
}

fn padded_window(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Window(w) = kind else { return None };
    let [rows, columns] = w.windows;
    let moves = rows > 2 && columns > 1 && w.window.pad_begin[1] > 0 && w.window.kernel[0] > 1;
    (moves && w.chunks_inner).then(|| w.frame() * w.beats())
}

fn pool_window(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Window(w) = kind else { return None };
    (w.windows[0] > 1 && w.windows[1] > 1 && !w.chunks_inner && w.chunks > 1).then(|| w.frame() * w.beats())
}

fn sum_pool(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Pool(p) = kind else { return None };
    (p.sum && p.beats > 1).then_some(p.beats)
}

fn max_pool(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Pool(p) = kind else { return None };
    (!p.sum && p.beats > 1).then_some(p.beats)
}

fn add(_: &Dataflow, kind: &Kind) -> Option<usize> {
    matches!(kind, Kind::Add(_)).then_some(1)
}

fn concat(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Concat(c) = kind else { return None };
    (c.beats[0] != c.beats[1]).then_some(c.beats[0] + c.beats[1])
}

fn fork(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Fork(f) = kind else { return None };
    Some(f.depths[0] + f.depths[1])
}

fn repeat(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Upsample(u) = kind else { return None };
    (u.factor[0] > 1 && u.width > 1 && !u.split).then_some(u.depth)
}

fn split(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Upsample(u) = kind else { return None };
    (u.split && u.width > 1).then_some(u.depth)
}

fn grouped(_: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::MatrixVector(m) = kind else { return None };
    (m.parts > 1).then_some(m.neuron_folds * m.synapse_folds)
}

fn thresholds(d: &Dataflow, kind: &Kind) -> Option<usize> {
    let Kind::Map(m) = kind else { return None };
    let behind = d.modules.iter().any(|other| other.input() != d.modules[0].input() && other.kind == *kind);
    (behind && !m.select.is_empty()).then_some(m.select.len())
}

/// Proves the claims of module `index` after `edit` has changed the files' texts: name, text.
fn proved(
    yosys: &Found,
    folder: &Path,
    (design, index): &(Dataflow, usize),
    edit: &dyn Fn(&str, String) -> String,
) -> Report {
    let mut names = Vec::new();
    for file in verilog(design, &[]).unwrap() {
        std::fs::write(folder.join(&file.name), edit(&file.name, file.text)).unwrap();
        names.push(file.name);
    }
    let found = &design.modules[*index];
    // Fixed modules' claims stand in modules of their own.
    let own = matches!(found.kind, Kind::MatrixVector(_) | Kind::Map(_));
    let module = Some(format!("{}_{}{}", design.top, found.name, if own { "" } else { "_claims" }));
    let witnesses = witnesses(&serde_json::to_value(design).unwrap()).unwrap();
    let work = folder.join("proof");
    let options = Options { jobs: 1, timeout: Duration::from_secs(300), work, module, witnesses, fresh: false };
    prove(yosys, folder, &names, &options, &|_, _, _| {}).unwrap()
}

/// Proved as printed.
fn holds(yosys: &Found, what: &str, found: &(Dataflow, usize)) {
    let folder = tempfile::tempdir().unwrap();
    let report = proved(yosys, folder.path(), found, &|_, text| text);
    assert!(report.ok, "{what}: {:?} {:?}\n{:?}", report.modules, report.unpaired, found.0.modules[found.1]);
}

/// Not proved once `from` reads `to` in `<top>_<file>.v`, by a run or because induction fails.
fn breaks(yosys: &Found, what: &str, found: &(Dataflow, usize), file: &str, edits: &[(&str, &str)]) -> Module {
    let folder = tempfile::tempdir().unwrap();
    let name = if file.is_empty() { format!("{}.v", found.0.top) } else { format!("{}_{file}.v", found.0.top) };
    let report = proved(yosys, folder.path(), found, &|this, text| {
        if this != name {
            return text;
        }
        edits.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{what}: '{from}' must occur for the mutant to be meant");
            text.replace(from, to)
        })
    });
    let module = &report.modules[0];
    let reason = module.reason.clone().unwrap_or_default();
    assert!(module.verdict != Verdict::Proved && !reason.starts_with("stopped"), "{what}: {module:?}");
    eprintln!("{what}: {:?}, {reason}, {:.1} s", module.verdict, module.seconds);
    module.clone()
}

/// What a simulator printed of the run that refutes a sum.
fn replayed(what: &str, module: &Module) {
    let found = module.counterexample.as_ref().unwrap_or_else(|| panic!("{what}: {module:?}"));
    if find(Tool::Verilator).is_err() && find(Tool::Iverilog).is_err() {
        eprintln!("SKIPPED: neither verilator nor iverilog is installed; {what} is not replayed");
        return;
    }
    let said = found.replayed.as_ref().unwrap_or_else(|| panic!("{what}: not replayed: {found:?}"));
    assert!(said.contains("the true ") && said.contains(" became "), "{what}: {said}");
    eprintln!("{what}: {:?} prints: {said}", found.replayed_by);
}

#[test]
fn windows_are_proved() {
    let Some(yosys) = yosys() else { return };
    holds(&yosys, "window with a border", &smallest(padded_window));
    holds(&yosys, "window of a pool", &smallest(pool_window));
}

#[test]
#[ignore = "takes minutes: make prove-image"]
fn mistakes_of_windows_are_not_proved() {
    let Some(yosys) = yosys() else { return };
    let window = smallest(padded_window);
    let check = |what: &str, edits: &[(&str, &str)]| breaks(&yosys, what, &window, "snug_window", edits);
    check("buffer a row smaller than its counter", &[("<= DEPTH_WIDE[LEVEL-1:0];", "<= DEPTH_WIDE[LEVEL-1:0] + ROW;")]);
    check("a pixel too early", &[("need_x_reg < write_x_reg", "need_x_reg <= write_x_reg")]);
    // Of so few rows of windows all is freed with the last window: what others free is in no run.
    check(
        "a row freed too much",
        &[("= (HEIGHT - BEFORE_LAST) * ROW - BY_PIXELS", "= (HEIGHT - BEFORE_LAST) * ROW - BY_PIXELS + ROW")],
    );
    check("another place", &[("<= mem[read_reg]", "<= mem[next]")]);
    check("a dropped valid", &[(".d(fire), .q(y_valid)", ".d(fire & s_axis_tvalid), .q(y_valid)")]);
    check("another border", &[("fill_reg ? FILL", "fill_reg ? ~FILL")]);
}

/// Units and maps that convolution uses in ways of its own: a vector in parts, one that several make together, thresholds by
/// themselves.
#[test]
fn units_and_maps_are_proved() {
    let Some(yosys) = yosys() else { return };
    holds(&yosys, "grouped", &smallest(grouped));
    holds(&yosys, "thresholds", &smallest(thresholds));
    let joined = |d: &Dataflow, kind: &Kind| {
        let Kind::MatrixVector(m) = kind else { return None };
        let module = d.modules.iter().find(|o| o.kind == *kind)?;
        let vectors = d.stream(module.output()).vector_beats() / m.neuron_folds;
        (vectors > 1).then_some(vectors * m.synapse_folds)
    };
    holds(&yosys, "vectors joined", &smallest(joined));
}

#[test]
fn upsampling_is_proved_and_its_mistakes_are_not() {
    let Some(yosys) = yosys() else { return };
    let repeat = smallest(repeat);
    holds(&yosys, "upsampling", &repeat);
    holds(&yosys, "depth to space", &smallest(split));
    let check = |what: &str, edits: &[(&str, &str)]| breaks(&yosys, what, &repeat, "snug_upsample", edits);
    check("read before it has come", &[("held_reg >= need_reg", "held_reg + 1 >= need_reg")]);
    check("a row freed too early", &[("(fire & row_end) ?", "(fire & pass_end) ?")]);
}

#[test]
fn pools_and_sums_are_proved_and_their_mistakes_are_not() {
    let Some(yosys) = yosys() else { return };
    let narrower = |(mut design, index): (Dataflow, usize)| {
        let output = design.modules[index].output();
        design.streams[output.0].encoding.bits -= 1;
        (design, index)
    };
    let (sum, largest, added) = (smallest(sum_pool), smallest(max_pool), smallest(add));
    holds(&yosys, "sum", &sum);
    breaks(&yosys, "a window's first beat missed", &sum, "snug_pool", &[("first_reg <= first", "first_reg <= last")]);
    let what = "a pool's sum one bit narrower";
    replayed(what, &breaks(&yosys, what, &narrower(sum), "snug_pool", &[]));
    holds(&yosys, "largest", &largest);
    breaks(&yosys, "the smallest", &largest, "snug_pool", &[("(x_wide ^ SIGN) > (y", "(x_wide ^ SIGN) < (y")]);
    holds(&yosys, "add", &added);
    breaks(&yosys, "the difference", &added, "snug_add", &[("F0 * wide_0;", "-(F0 * wide_0);")]);
    breaks(&yosys, "taken twice", &added, "snug_add", &[("= available & s1_axis_tvalid;", "= available;")]);
    // Nothing is ever taken: every claim holds, of nothing.
    let dead = [
        ("wire fire = available", "wire fire = 1'b0 & available"),
        ("s_axis_tready  = available", "s_axis_tready  = 1'b0 & available"),
        ("s1_axis_tready = available", "s1_axis_tready = 1'b0 & available"),
    ];
    breaks(&yosys, "an add that is dead", &added, "snug_add", &dead);
    let what = "a sum one bit narrower";
    replayed(what, &breaks(&yosys, what, &narrower(added), "snug_add", &[]));
}

#[test]
fn forks_and_joins_are_proved_and_their_mistakes_are_not() {
    let Some(yosys) = yosys() else { return };
    let (mut fork, concat) = (smallest(fork), smallest(concat));
    // Queues as lowered are those of an unsized design: far more places than a proof needs to show its point.
    if let Kind::Fork(f) = &mut fork.0.modules[fork.1].kind {
        f.depths = [3, 2];
    }
    holds(&yosys, "fork", &fork);
    breaks(&yosys, "doubled", &fork, "snug_fork", &[("s_axis_tvalid & ready_1", "s_axis_tvalid")]);
    holds(&yosys, "concat", &concat);
    let check = |what: &str, edits: &[(&str, &str)]| breaks(&yosys, what, &concat, "snug_concat", edits);
    check("the other order", &[("second_reg ? wide_1 : wide_0", "second_reg ? wide_0 : wide_1")]);
    check("a beat more of the first", &[("FIRST_WIDE = BEATS_0 - 1", "FIRST_WIDE = BEATS_0")]);
    // Other parameters in the top than those that were proved.
    let folder = tempfile::tempdir().unwrap();
    let Kind::Fork(f) = &fork.0.modules[fork.1].kind else { unreachable!("it was looked for") };
    let from = format!("        .DEPTH_0({}),\n", f.depths[0]);
    let report = proved(&yosys, folder.path(), &fork, &|file, text| {
        let less = format!("        .DEPTH_0({}),\n", f.depths[0] + 1);
        if file == format!("{}.v", fork.0.top) { text.replace(&from, &less) } else { text }
    });
    assert!(!report.ok && report.unpaired.iter().any(|u| u.contains("other parameters")), "{:?}", report.unpaired);
}
