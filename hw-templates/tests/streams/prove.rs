//! The assertions inside the modules (`ifdef FORMAL`), for every reachable state: levels and handshakes agree, data
//! waits with valid, and the beat that leaves as number i carries the data that entered as number i.

use super::{CREDIT, DEPTHS, FIFO, PAIR, SKID};
use crate::tools::{Verdict, have, mutate, prove};

/// Tries to prove the assertions of `module` in `source`.
fn attempt(source: &str, module: &str, parameters: &str) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("module.v"), source).unwrap();
    prove(
        folder.path(),
        &format!(
            "read_verilog -formal module.v
chparam {parameters} {module}
hierarchy -check -top {module}
proc
memory -nordff
opt -full
check -assert
sat -tempinduct -prove-asserts -set-assumes -maxsteps 24 {module}
"
        ),
    )
}

#[test]
fn fifo() {
    if !have("yosys", "-V") {
        return;
    }
    for depth in DEPTHS {
        for width in [1, 8] {
            let verdict = attempt(FIFO, "snug_fifo", &format!("-set WIDTH {width} -set DEPTH {depth}"));
            assert_eq!(verdict, Verdict::Proven, "{width} x {depth}");
        }
    }
}

#[test]
fn skid() {
    if !have("yosys", "-V") {
        return;
    }
    for width in [1, 8, 33] {
        assert_eq!(attempt(SKID, "snug_skid", &format!("-set WIDTH {width}")), Verdict::Proven, "{width}");
    }
}

#[test]
fn pair() {
    if !have("yosys", "-V") {
        return;
    }
    for width in [1, 8, 33] {
        assert_eq!(attempt(PAIR, "snug_pair", &format!("-set WIDTH {width}")), Verdict::Proven, "{width}");
    }
}

#[test]
fn credit() {
    if !have("yosys", "-V") {
        return;
    }
    for credits in DEPTHS {
        assert_eq!(attempt(CREDIT, "snug_credit", &format!("-set CREDITS {credits}")), Verdict::Proven, "{credits}");
    }
}

/// Each of these mistakes has a run that ends in a broken assertion, and Yosys finds it.
#[test]
fn mistakes_are_refuted() {
    if !have("yosys", "-V") {
        return;
    }
    let mutants = [
        (FIFO, "snug_fifo", "(level_reg != BUT_ONE)", "(level_reg != FULL)"),
        (FIFO, "snug_fifo", "(level_reg != ONE)", "1'b1"),
        (FIFO, "snug_fifo", "if (push & ~pop)", "if (push)"),
        (FIFO, "snug_fifo", "read_next = (read_reg == LAST)", "read_next = (read_reg == LAST - 1'b1)"),
        (FIFO, "snug_fifo", "mem[write_reg] <= s_axis_tdata", "mem[read_reg] <= s_axis_tdata"),
        (FIFO, "snug_fifo", "            level_reg <= {LEVEL{1'b0}};\n", ""),
        (SKID, "snug_skid", "held_next      = 1'b1;", "held_next      = 1'b0;"),
        (SKID, "snug_skid", "held_reg ? held_data_reg : s_axis_tdata", "s_axis_tdata"),
        (SKID, "snug_skid", "m_axis_tready | ~valid_reg", "m_axis_tready"),
        (SKID, "snug_skid", "ready_next = ~held_next", "ready_next = ~held_reg"),
        (PAIR, "snug_pair", "(~second_valid_reg | m_axis_tready);", "~second_valid_reg;"),
        (PAIR, "snug_pair", "first_valid_reg | (second_valid_reg & ~m_axis_tready)", "first_valid_reg"),
        (PAIR, "snug_pair", "if (move)", "if (first_valid_reg)"),
        (CREDIT, "snug_credit", "give & ~all_reg", "give"),
        (CREDIT, "snug_credit", "available_next = ~one_reg", "available_next = 1'b1"),
        (CREDIT, "snug_credit", "if (taken & ~given)", "if (taken)"),
        (CREDIT, "snug_credit", "count_reg     <= ALL;", "count_reg     <= ALL - 1'b1;"),
    ];
    for (source, module, from, to) in mutants {
        let parameters = match module {
            "snug_fifo" => "-set WIDTH 2 -set DEPTH 3",
            "snug_skid" | "snug_pair" => "-set WIDTH 2",
            _ => "-set CREDITS 3",
        };
        let verdict = attempt(&mutate(source, from, to), module, parameters);
        assert_eq!(verdict, Verdict::Refuted, "{module}: '{from}' -> '{to}'");
    }
}
