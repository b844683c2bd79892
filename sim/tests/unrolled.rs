//! Unrolled arrays in Icarus: the integers of the matrix, a beat every clock, and none lost while the reader stalls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use generator::dataflow::{Encoding, sign_extend};
use generator::emit::unrolled;
use generator::unrolled::Unrolled;
use quantizer::datatype::{Range, Signedness};
use quantizer::testing::Random;
use sim::tools::{Tool, find};

const VECTORS: usize = 60;

/// Cycle and output words (bit strings) of every beat that leaves; the reader is ready in cycles that `ready` says.
fn simulate(folder: &Path, plan: &Unrolled, x: &[Vec<i64>], stall: bool) -> Vec<(u64, String)> {
    std::fs::create_dir_all(folder).unwrap();
    let mut paths = Vec::new();
    for file in unrolled("dut", plan, Some(plan.stages + 4)).unwrap() {
        let path = folder.join(&file.name);
        std::fs::write(&path, file.text).unwrap();
        paths.push(path);
    }
    let lint = Command::new("verilator").args(["--lint-only", "-Wall", "--top-module", "dut"]).args(&paths).output();
    if let Ok(lint) = lint {
        assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stderr));
    }
    let (x_bits, y_bits) = (plan.inputs * plan.input.bits as usize, plan.output_bits());
    let word = |v: &Vec<i64>| -> String {
        v.iter().rev().map(|&c| format!("{:0w$b}", plan.input.encode(c), w = plan.input.bits as usize)).collect()
    };
    let words: Vec<String> = x.iter().map(word).collect();
    std::fs::write(folder.join("x.txt"), words.join("\n")).unwrap();
    let ready = if stall { "(cycle[2:0] != 3'd3) & ~cycle[4]" } else { "1'b1" };
    let bench = format!(
        "module bench;
    reg clk = 0, resetn = 0;
    reg [{0}:0] mem [0:{1}];
    reg [31:0] cycle = 0, sent = 0, got = 0;
    wire [{2}:0] y;
    wire ready, valid;
    wire take = {ready};
    dut dut (.aclk(clk), .aresetn(resetn), .s_axis_tdata(mem[sent]), .s_axis_tvalid(resetn & (sent <= {1})),
             .s_axis_tready(ready), .m_axis_tdata(y), .m_axis_tvalid(valid), .m_axis_tready(take));
    initial begin
        $readmemb(\"x.txt\", mem);
        repeat (4) begin #1 clk = 1; #1 clk = 0; end
        resetn = 1;
        repeat (2000) begin #1 clk = 1; #1 clk = 0; end
        $finish;
    end
    always @(posedge clk) if (resetn) begin
        cycle <= cycle + 1;
        if (ready & (sent <= {1})) sent <= sent + 1;
        if (valid & take) $display(\"%0d %b\", cycle, y);
    end
endmodule
",
        x_bits - 1,
        x.len() - 1,
        y_bits - 1
    );
    std::fs::write(folder.join("bench.v"), bench).unwrap();
    let run = |command: &mut Command| {
        let output = command.current_dir(folder).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    run(Command::new("iverilog").args(["-g2005", "-s", "bench", "-o", "out", "bench.v"]).args(&paths));
    let beat = |line: &str| {
        let (cycle, word) = line.split_once(' ').unwrap();
        (cycle.parse().unwrap(), word.to_owned())
    };
    run(Command::new("vvp").arg("out")).lines().filter(|l| l.contains(' ') && !l.contains("finish")).map(beat).collect()
}

#[test]
fn arrays_stream_their_products() {
    if find(Tool::Iverilog).is_err() {
        eprintln!("SKIPPED: iverilog is not installed (apt-get install iverilog)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let random = &mut Random::new(17);
    for case in 0..6 {
        let sign = if case % 2 == 0 { Signedness::Unsigned } else { Signedness::Signed };
        let input = Encoding { bits: random.size(1, 5) as u32, sign };
        let (inputs, outputs) = (random.size(2, 20), random.size(1, 10));
        let most = 1i64 << random.size(1, 6);
        let weights: Vec<Vec<i64>> =
            (0..outputs).map(|_| (0..inputs).map(|_| random.within(-most, most - 1)).collect()).collect();
        let (a, b) = (input.decode(1 << (input.bits - 1)), input.decode((1 << input.bits) - 1));
        let range = if sign == Signedness::Signed { Range::new(a, -a - 1) } else { Range::new(0, b) };
        let plan = Unrolled::plan(&weights, input, &vec![range; inputs], 2);
        let x: Vec<Vec<i64>> =
            (0..VECTORS).map(|_| (0..inputs).map(|_| random.within(range.lo, range.hi)).collect()).collect();
        for stall in [false, true] {
            let beats = simulate(&folder.path().join(format!("{case}{stall}")), &plan, &x, stall);
            assert_eq!(beats.len(), VECTORS);
            if !stall {
                assert!(beats.windows(2).all(|w| w[1].0 == w[0].0 + 1), "case {case}: a beat every clock");
                // Credit, input register, array, queue.
                assert_eq!(beats[0].0, 1 + plan.stages as u64 + 2, "case {case}: latency");
            }
            for ((_, word), x) in beats.iter().zip(&x) {
                let bits: Vec<bool> = word.chars().rev().map(|c| c == '1').collect();
                assert!(!word.contains('x'), "case {case}: {word}");
                let mut at = 0;
                for (sum, row) in plan.outputs.iter().zip(&weights) {
                    let width = sum.bits.len();
                    let value = bits[at..at + width].iter().enumerate().fold(0u64, |v, (i, &b)| v | u64::from(b) << i);
                    at += width;
                    let value = if sum.interval.lo < 0 { sign_extend(value, width as u32) } else { value as i64 };
                    assert_eq!(value, row.iter().zip(x).map(|(w, x)| w * x).sum::<i64>(), "case {case}");
                }
            }
        }
    }
}
