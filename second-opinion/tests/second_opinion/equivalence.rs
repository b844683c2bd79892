//! Yosys proves that no input sequence, of any length, shows a difference between our module and the one that rust-hdl
//! prints; and finds the difference where we put a mistake into ours.

use std::fmt::Write as _;

use second_opinion::credit::Credit;
use second_opinion::fifo::Fifo;
use second_opinion::skid::Skid;
use second_opinion::verilog;

use crate::tools::{Verdict, have, mutate, prove};

const FIFO: &str = include_str!("../../../hw-templates/rtl/snug_fifo.v");
const SKID: &str = include_str!("../../../hw-templates/rtl/snug_skid.v");
const CREDIT: &str = include_str!("../../../hw-templates/rtl/snug_credit.v");

/// Two modules, the miter around them, and the registers it looks at.
struct Pair {
    ours: &'static str,
    theirs: String,
    miter: &'static str,
    /// Parameters of the miter, for Yosys' `chparam`.
    parameters: String,
    /// Wires of the miter and what they are tied to, most significant part first.
    ties: Vec<(&'static str, Vec<String>)>,
}

impl Pair {
    fn fifo<const WIDTH: usize, const DEPTH: usize, const PLACES: usize>() -> Self {
        let bits_for = |value: usize| (usize::BITS - value.leading_zeros()).max(1);
        let top = WIDTH - 1;
        Self {
            ours: FIFO,
            theirs: verilog(Fifo::<WIDTH, DEPTH, PLACES>::default(), "their_fifo"),
            miter: include_str!("../../miter/fifo.v"),
            parameters: format!(
                "-set WIDTH {WIDTH} -set DEPTH {DEPTH} -set ADDR {} -set LEVEL {}",
                bits_for(DEPTH - 1),
                bits_for(DEPTH)
            ),
            ties: vec![
                ("our_level", vec!["ours.level_reg".into()]),
                ("our_read", vec!["ours.read_reg".into()]),
                ("our_write", vec!["ours.write_reg".into()]),
                ("our_data", (0..DEPTH).rev().map(|i| format!("ours.mem[{i}][{top}:0]")).collect()),
                ("their_data", (0..DEPTH).rev().map(|i| format!("theirs.data${i}$q")).collect()),
                ("their_filled", (0..PLACES).rev().map(|i| format!("theirs.filled${i}$q")).collect()),
            ],
        }
    }

    fn skid<const WIDTH: usize>() -> Self {
        let one = |name: &str| vec![name.to_owned()];
        Self {
            ours: SKID,
            theirs: verilog(Skid::<WIDTH>::default(), "their_skid"),
            miter: include_str!("../../miter/skid.v"),
            parameters: format!("-set WIDTH {WIDTH}"),
            ties: vec![
                ("our_held", one("ours.held_reg")),
                ("our_held_data", one("ours.held_data_reg")),
                ("their_full_a", one("theirs.full_a$q")),
                ("their_full_b", one("theirs.full_b$q")),
                ("their_enter_b", one("theirs.enter_b$q")),
                ("their_leave_b", one("theirs.leave_b$q")),
                ("their_data_a", one("theirs.data_a$q")),
                ("their_data_b", one("theirs.data_b$q")),
            ],
        }
    }

    fn credit<const CREDITS: usize, const PLACES: usize>() -> Self {
        Self {
            ours: CREDIT,
            theirs: verilog(Credit::<CREDITS, PLACES>::default(), "their_credit"),
            miter: include_str!("../../miter/credit.v"),
            parameters: format!("-set CREDITS {CREDITS} -set COUNT {}", usize::BITS - CREDITS.leading_zeros()),
            ties: vec![
                ("our_count", vec!["ours.count_reg".into()]),
                ("our_one", vec!["ours.one_reg".into()]),
                ("our_all", vec!["ours.all_reg".into()]),
                ("their_used", (0..PLACES).rev().map(|i| format!("theirs.used${i}$q")).collect()),
            ],
        }
    }

    /// The script up to the question that `sat` is asked.
    fn script(&self, defines: &str) -> String {
        format!(
            "read_verilog ours.v theirs.v
read_verilog -formal {defines} miter.v
chparam {} miter
hierarchy -check -top miter
proc
flatten
memory -nordff
",
            self.parameters
        )
    }

    fn write(&self, ours: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("ours.v", ours), ("theirs.v", &self.theirs), ("miter.v", self.miter)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// Proof by induction that no difference can be seen from outside. The invariant that carries the induction is
    /// proved along with the claim, so it is no assumption.
    fn equal(&self) -> Verdict {
        let mut script = self.script("-DINVARIANT");
        script.push_str("cd miter\n");
        for (wire, parts) in &self.ties {
            writeln!(script, "connect -set {wire} {}", parts.join(",")).unwrap();
        }
        script.push_str("opt -full\ncheck -assert\nsat -tempinduct -prove-asserts -set-assumes -maxsteps 4\n");
        prove(self.write(self.ours).path(), &script)
    }

    /// Search for a difference that can be seen from outside, with `ours` in the place of our module. The invariant is
    /// left out: a mutant must be caught by what it does, not by how it looks inside.
    fn differ(&self, ours: &str) -> Verdict {
        let mut script = self.script("");
        script.push_str("cd miter\nopt -full\nsat -tempinduct-baseonly -prove-asserts -set-assumes -maxsteps 10\n");
        prove(self.write(ours).path(), &script)
    }
}

fn assert_equal(name: &str, pair: &Pair) {
    let start = std::time::Instant::now();
    assert_eq!(pair.equal(), Verdict::Proven, "{name}");
    eprintln!("{name}: proved in {:.2} s", start.elapsed().as_secs_f64());
}

#[test]
fn fifo() {
    if !have("yosys", "-V") {
        return;
    }
    assert_equal("fifo 8x4", &Pair::fifo::<8, 4, 5>());
    assert_equal("fifo 5x3", &Pair::fifo::<5, 3, 4>());
    assert_equal("fifo 2x2", &Pair::fifo::<2, 2, 3>());
    assert_equal("fifo 1x1", &Pair::fifo::<1, 1, 2>());
}

#[test]
fn skid() {
    if !have("yosys", "-V") {
        return;
    }
    assert_equal("skid 8", &Pair::skid::<8>());
    assert_equal("skid 1", &Pair::skid::<1>());
}

#[test]
fn credit() {
    if !have("yosys", "-V") {
        return;
    }
    assert_equal("credit 1", &Pair::credit::<1, 3>());
    assert_equal("credit 4", &Pair::credit::<4, 6>());
    assert_equal("credit 7", &Pair::credit::<7, 9>());
}

/// The proof can fail, and for the right reason: Yosys finds an input sequence from reset that shows each mistake, and
/// finds none where there is no mistake.
#[test]
fn mistakes_are_refuted() {
    if !have("yosys", "-V") {
        return;
    }
    let fifo = Pair::fifo::<5, 3, 4>();
    let skid = Pair::skid::<8>();
    let credit = Pair::credit::<4, 6>();
    for pair in [&fifo, &skid, &credit] {
        assert_eq!(pair.differ(pair.ours), Verdict::Open);
    }
    let mutants = [
        (&fifo, "(level_reg != BUT_ONE)", "(level_reg != FULL)"),
        (&fifo, "if (push & ~pop)", "if (push)"),
        (&fifo, "write_next = (write_reg == LAST)", "write_next = (write_reg == LAST - 1'b1)"),
        (&fifo, "mem[write_reg] <= s_axis_tdata", "mem[read_reg] <= s_axis_tdata"),
        (&fifo, "            read_reg  <= {ADDR{1'b0}};\n", ""),
        (&skid, "held_next      = 1'b1;", "held_next      = 1'b0;"),
        (&skid, "held_data_next = s_axis_tdata;", "held_data_next = held_data_reg;"),
        (&skid, "ready_next = ~held_next", "ready_next = ~held_reg"),
        (&skid, "            held_reg  <= 1'b0;\n", ""),
        (&credit, "give & ~all_reg", "give"),
        (&credit, "if (taken & ~given)", "if (taken)"),
        (&credit, "count_reg     <= ALL;", "count_reg     <= ALL - 1'b1;"),
    ];
    for (pair, from, to) in mutants {
        assert_eq!(pair.differ(&mutate(pair.ours, from, to)), Verdict::Refuted, "'{from}' -> '{to}'");
    }
}

/// Nor does it matter on whose side the mistake lies.
#[test]
fn a_mistake_in_theirs_is_refuted() {
    if !have("yosys", "-V") {
        return;
    }
    let mut pair = Pair::skid::<8>();
    pair.theirs = mutate(&pair.theirs, "data_b$d = s_axis_tdata;", "data_b$d = data_a$q;");
    assert_eq!(pair.differ(pair.ours), Verdict::Refuted);
    assert_ne!(pair.equal(), Verdict::Proven);
}
