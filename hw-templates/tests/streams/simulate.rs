//! Our Verilog in Icarus, every output compared with the model in every cycle, unknowns included.

use std::fmt::Write as _;

use super::{CREDIT, DEPTHS, FIFO, SKID, WIDTHS};
use crate::handshake::{CreditCycle, StreamCycle, cases, credit_vectors, stream_vectors};
use crate::tools::{have, mutate, run};

/// Reads vectors and compares with `!==`, so that an unknown output is a difference. Data in is unknown while valid is
/// low.
fn stream_bench(module: &str, parameters: &str, width: usize, count: usize) -> String {
    format!(
        "module bench;
    localparam WIDTH = {width};
    reg [2*WIDTH+5:0] vectors [0:{last}];
    reg check, s_valid, m_ready, s_ready_want, m_valid_want, aclk, aresetn;
    reg [WIDTH-1:0] s_data, m_data_want;
    wire s_ready, m_valid;
    wire [WIDTH-1:0] m_data;
    integer step, wrong;

    {module} #({parameters}) dut (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_tdata(s_valid ? s_data : {{WIDTH{{1'bx}}}}), .s_axis_tvalid(s_valid), .s_axis_tready(s_ready),
        .m_axis_tdata(m_data), .m_axis_tvalid(m_valid), .m_axis_tready(m_ready)
    );

    initial begin
        $readmemh(\"vectors.hex\", vectors);
        aclk = 0;
        wrong = 0;
        for (step = 0; step <= {last}; step = step + 1) begin
            {{check, aresetn, s_valid, m_ready, s_ready_want, m_valid_want, s_data, m_data_want}} = vectors[step];
            #1;
            if (check & ((s_ready !== s_ready_want) | (m_valid !== m_valid_want) |
                         (m_valid_want & (m_data !== m_data_want)))) begin
                if (wrong == 0)
                    $display(\"step %0d: ready %b (%b) valid %b (%b) data %h (%h)\", step, s_ready, s_ready_want,
                             m_valid, m_valid_want, m_data, m_data_want);
                wrong = wrong + 1;
            end
            #1 aclk = 1;
            #1 aclk = 0;
        end
        $display(\"%0d wrong\", wrong);
    end
endmodule
",
        last = count - 1
    )
}

fn stream_hex(cycle: &StreamCycle, width: usize) -> String {
    let flags = [cycle.check, cycle.aresetn, cycle.s_valid, cycle.m_ready, cycle.s_ready, cycle.m_valid];
    let flags = flags.iter().fold(0u128, |word, &bit| word << 1 | u128::from(bit));
    format!("{:x}", ((flags << width | u128::from(cycle.s_data)) << width) | u128::from(cycle.m_data))
}

fn credit_bench(credits: usize, count: usize) -> String {
    format!(
        "module bench;
    reg [4:0] vectors [0:{last}];
    reg check, aresetn, take, give, available_want, aclk;
    wire available;
    integer step, wrong;

    snug_credit #(.CREDITS({credits})) dut (
        .aclk(aclk), .aresetn(aresetn), .take(take), .available(available), .give(give)
    );

    initial begin
        $readmemh(\"vectors.hex\", vectors);
        aclk = 0;
        wrong = 0;
        for (step = 0; step <= {last}; step = step + 1) begin
            {{check, aresetn, take, give, available_want}} = vectors[step];
            #1;
            if (check & (available !== available_want)) begin
                if (wrong == 0)
                    $display(\"step %0d: available %b (%b)\", step, available, available_want);
                wrong = wrong + 1;
            end
            #1 aclk = 1;
            #1 aclk = 0;
        end
        $display(\"%0d wrong\", wrong);
    end
endmodule
",
        last = count - 1
    )
}

fn credit_hex(cycle: &CreditCycle) -> String {
    let bits = [cycle.check, cycle.aresetn, cycle.take, cycle.give, cycle.available];
    format!("{:x}", bits.iter().fold(0u8, |word, &bit| word << 1 | u8::from(bit)))
}

/// The vectors of a case under its name.
type Played = (String, Vec<String>);

fn count(played: &[Played]) -> usize {
    played.iter().map(|(_, vectors)| vectors.len()).sum()
}

/// Plays all cases, one after the other, to `module` in `bench`; what the bench says at the end, and in which case the
/// first difference lies.
fn play(module: &str, bench: &str, played: &[Played]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut hex = String::new();
    for (name, vectors) in played {
        writeln!(hex, "// {name}").unwrap();
        for vector in vectors {
            writeln!(hex, "{vector}").unwrap();
        }
    }
    std::fs::write(folder.path().join("vectors.hex"), hex).unwrap();
    std::fs::write(folder.path().join("bench.v"), bench).unwrap();
    std::fs::write(folder.path().join("module.v"), module).unwrap();
    let arguments = ["-g2005", "-Wall", "-s", "bench", "-o", "bench", "bench.v", "module.v"];
    let (ok, text) = run("iverilog", folder.path(), &arguments);
    assert!(ok && text.is_empty(), "{text}");
    let said = run("vvp", folder.path(), &["-n", "bench"]).1;
    let step = said.strip_prefix("step ").and_then(|rest| rest.split(':').next()).and_then(|step| step.parse().ok());
    let Some(mut step): Option<usize> = step else { return said };
    for (name, vectors) in played {
        if step < vectors.len() {
            return format!("case '{name}', cycle {step}: {said}");
        }
        step -= vectors.len();
    }
    said
}

fn all_streams(width: usize, depth: usize) -> Vec<Played> {
    let vectors = |case| stream_vectors(case, width, depth).iter().map(|cycle| stream_hex(cycle, width)).collect();
    cases().streams.iter().map(|case| (case.name.clone(), vectors(case))).collect()
}

fn play_stream(source: &str, module: &str, parameters: &str, width: usize, depth: usize) -> String {
    let vectors = all_streams(width, depth);
    play(source, &stream_bench(module, parameters, width, count(&vectors)), &vectors)
}

#[test]
fn fifo_in_every_case_at_every_shape() {
    if !have("iverilog", "-V") {
        return;
    }
    for width in WIDTHS {
        for depth in DEPTHS {
            let parameters = format!(".WIDTH({width}), .DEPTH({depth})");
            let said = play_stream(FIFO, "snug_fifo", &parameters, width, depth);
            assert_eq!(said, "0 wrong\n", "{width} x {depth}");
        }
    }
}

/// The head of snug_skid says: cycle for cycle a queue of two.
#[test]
fn skid_in_every_case_at_every_width() {
    if !have("iverilog", "-V") {
        return;
    }
    for width in WIDTHS {
        let said = play_stream(SKID, "snug_skid", &format!(".WIDTH({width})"), width, 2);
        assert_eq!(said, "0 wrong\n", "{width}");
    }
}

#[test]
fn credit_in_every_case_at_every_count() {
    if !have("iverilog", "-V") {
        return;
    }
    for credits in DEPTHS {
        let hex = |case| credit_vectors(case, credits).iter().map(credit_hex).collect();
        let vectors: Vec<Played> = cases().credits.iter().map(|case| (case.name.clone(), hex(case))).collect();
        let said = play(CREDIT, &credit_bench(credits, count(&vectors)), &vectors);
        assert_eq!(said, "0 wrong\n", "{credits}");
    }
}

/// The bench can fail: on a module that is wrong, and on one that leaves ready unknown.
#[test]
fn a_wrong_module_is_noticed() {
    if !have("iverilog", "-V") {
        return;
    }
    let dropped = mutate(SKID, "held_next      = 1'b1;", "held_next      = 1'b0;");
    let unknown = mutate(SKID, "            ready_reg <= 1'b0;\n", "            ready_reg <= 1'bx;\n");
    for mutant in [dropped, unknown] {
        let said = play_stream(&mutant, "snug_skid", ".WIDTH(8)", 8, 2);
        assert!(said.starts_with("case '") && !said.contains("\n0 wrong"), "{said}");
    }
}
