//! Units with streamed weights in Icarus, beat by beat and cycle by cycle, while all three streams stall.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;

use generator::dataflow::{Encoding, sign_extend};
use generator::emit::{VerilogFile, streamed};
use generator::streamed::{Shape, Streamed};
use quantizer::datatype::Signedness::{self, Bipolar, Signed, Unsigned};
use quantizer::testing::Random;
use sim::tools::{Tool, find};

/// Vectors of a run.
const VECTORS: usize = 3;

/// What is offered and taken in a cycle: beat of the vector, beat of weights, sum.
type Willing = [bool; 3];

/// Cycles in which beats leave, by the rules in the heads of the modules.
fn foretold(plan: &Streamed, willing: &[Willing]) -> Vec<usize> {
    let (synapse_folds, neuron_folds) = (plan.synapse_folds(), plan.neuron_folds());
    let (mut x_left, mut w_left) = (VECTORS * synapse_folds, VECTORS * plan.cycles());
    let (mut synapse, mut neuron) = (0, 0);
    let (mut credits, mut available) = (plan.queue_depth, false);
    let mut flying: VecDeque<bool> = vec![false; plan.pipeline()].into();
    let (mut first, mut second, mut level) = (false, false, 0);
    let (mut x_held, mut w_held) = (false, false);
    let mut leaves = Vec::new();
    for (cycle, &[x, w, take]) in willing.iter().enumerate() {
        let (x_valid, w_valid) = (x_left > 0 && (x || x_held), w_left > 0 && (w || w_held));
        let replay = neuron > 0;
        let last = synapse + 1 == synapse_folds;
        let willing = cycle > 0 && (available || !last);
        let x_ready = willing && !replay && w_valid;
        let fire = willing && (replay || x_valid) && w_valid;
        let valid = if plan.pair() { second } else { level > 0 };
        if valid && take {
            leaves.push(cycle);
        }
        (x_held, w_held) = (x_valid && !x_ready, w_valid && !fire);
        x_left -= usize::from(x_valid && x_ready);
        w_left -= usize::from(fire);
        let arrives = flying.pop_back().unwrap();
        flying.push_front(fire && last);
        let moves = first && (!second || take);
        (first, second) = (arrives || (first && !moves), first || (second && !take));
        level = level + usize::from(arrives) - usize::from(valid && take && !plan.pair());
        credits = credits + usize::from(valid && take) - usize::from(fire && last);
        available = credits > 0;
        if fire {
            synapse = if last { 0 } else { synapse + 1 };
            neuron = if last { (neuron + 1) % neuron_folds } else { neuron };
        }
    }
    leaves
}

/// Words of beats, the first value in the low bits.
fn words<'a>(encoding: Encoding, beats: impl Iterator<Item = Vec<i64>> + 'a) -> String {
    let bits = encoding.bits as usize;
    let word = move |beat: Vec<i64>| -> String {
        beat.iter().rev().map(|&c| format!("{:0bits$b}", encoding.encode(c))).chain(["\n".to_owned()]).collect()
    };
    beats.map(word).collect()
}

fn run(command: &mut Command, folder: &Path) -> String {
    let output = command.current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Cycle and word of every beat that leaves.
fn simulate(folder: &Path, files: &[PathBuf], plan: &Streamed, willing: &[Willing]) -> Vec<(usize, String)> {
    let Shape { pe, simd, input, weight, .. } = plan.shape;
    let text: String = willing
        .iter()
        .map(|w| w.iter().rev().map(|&b| if b { '1' } else { '0' }).chain(['\n']).collect::<String>())
        .collect();
    std::fs::write(folder.join("willing.txt"), text).unwrap();
    let bench = format!(
        "module bench;
    reg clk = 0, resetn = 0;
    reg [{x_high}:0] x [0:{x_last}];
    reg [{w_high}:0] w [0:{w_last}];
    reg [2:0] willing [0:{last}];
    integer cycle = 0, x_at = 0, w_at = 0;
    reg x_held = 0, w_held = 0;
    wire [{y_high}:0] y;
    wire x_ready, w_ready, y_valid;
    wire x_valid = resetn & (x_at <= {x_last}) & (willing[cycle][0] | x_held);
    wire w_valid = resetn & (w_at <= {w_last}) & (willing[cycle][1] | w_held);
    wire take = willing[cycle][2];
    dut dut (.aclk(clk), .aresetn(resetn), .s_axis_tdata(x_valid ? x[x_at] : {x_bits}'bx), .s_axis_tvalid(x_valid), .s_axis_tready(x_ready),
             .s1_axis_tdata(w_valid ? w[w_at] : {w_bits}'bx), .s1_axis_tvalid(w_valid), .s1_axis_tready(w_ready),
             .m_axis_tdata(y), .m_axis_tvalid(y_valid), .m_axis_tready(take));
    initial begin
        $readmemb(\"x.txt\", x);
        $readmemb(\"w.txt\", w);
        $readmemb(\"willing.txt\", willing);
        repeat (4) begin #1 clk = 1; #1 clk = 0; end
        resetn = 1;
        repeat ({last}) begin #1 clk = 1; #1 clk = 0; end
        $finish;
    end
    always @(posedge clk) if (resetn) begin
        cycle <= cycle + 1;
        x_held <= x_valid & ~x_ready;
        w_held <= w_valid & ~w_ready;
        if (x_valid & x_ready) x_at <= x_at + 1;
        if (w_valid & w_ready) w_at <= w_at + 1;
        if (y_valid & take) $display(\"beat %0d %b\", cycle, y);
    end
endmodule
",
        x_bits = simd * input.bits as usize,
        x_high = simd * input.bits as usize - 1,
        x_last = VECTORS * plan.synapse_folds() - 1,
        w_bits = pe * simd * weight.bits as usize,
        w_high = pe * simd * weight.bits as usize - 1,
        w_last = VECTORS * plan.cycles() - 1,
        y_high = pe * plan.accumulator_bits as usize - 1,
        last = willing.len() - 1,
    );
    std::fs::write(folder.join("bench.v"), bench).unwrap();
    run(Command::new("iverilog").args(["-g2005", "-s", "bench", "-o", "out", "bench.v"]).args(files), folder);
    let beat = |line: &str| {
        let (cycle, word) = line.strip_prefix("beat ")?.split_once(' ')?;
        Some((cycle.parse().ok()?, word.to_owned()))
    };
    run(Command::new("vvp").arg("out"), folder).lines().filter_map(beat).collect()
}

/// Writes the unit's files; where they lie.
fn write(folder: &Path, plan: &Streamed) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder).unwrap();
    let path = |file: VerilogFile| {
        let path = folder.join(&file.name);
        std::fs::write(&path, file.text).unwrap();
        path
    };
    streamed("dut", plan).unwrap().into_iter().map(path).collect()
}

/// A unit with random inputs and weights under every kind of stall.
fn check(folder: &Path, shape: Shape, random: &mut Random) {
    let plan = Streamed::plan("dut", shape).unwrap();
    let files = write(folder, &plan);
    if find(Tool::Verilator).is_ok() {
        run(Command::new("verilator").args(["--lint-only", "-Wall", "--top-module", "dut"]).args(&files), folder);
    }
    let Shape { rows, columns, pe, simd, input, weight } = shape;
    let (neuron_folds, synapse_folds) = (plan.neuron_folds(), plan.synapse_folds());
    let mut codes = |e: Encoding, n: usize| -> Vec<i64> {
        // Ends of the types more often than chance has it: there accumulators are fullest.
        let word = |r: &mut Random| match r.size(0, 3) {
            0 => e.decode(1 << (e.bits - 1)),
            _ => e.decode(r.size(0, (1 << e.bits) - 1) as u64),
        };
        (0..n).map(|_| word(random)).collect()
    };
    let vectors: Vec<Vec<i64>> = (0..VECTORS).map(|_| codes(input, columns)).collect();
    let matrices: Vec<Vec<Vec<i64>>> =
        (0..VECTORS).map(|_| (0..rows).map(|_| codes(weight, columns)).collect()).collect();
    std::fs::write(
        folder.join("x.txt"),
        words(input, vectors.iter().flat_map(|v| v.chunks(simd).map(<[i64]>::to_vec))),
    )
    .unwrap();
    let fold = |matrix: &[Vec<i64>], n: usize, s: usize| -> Vec<i64> {
        matrix[n * pe..(n + 1) * pe].iter().flat_map(|row| row[s * simd..(s + 1) * simd].to_vec()).collect()
    };
    let folds = |matrix: &Vec<Vec<i64>>| -> Vec<Vec<i64>> {
        (0..neuron_folds)
            .flat_map(|n| (0..synapse_folds).map(move |s| (n, s)))
            .map(|(n, s)| fold(matrix, n, s))
            .collect()
    };
    std::fs::write(folder.join("w.txt"), words(weight, matrices.iter().flat_map(folds))).unwrap();
    // Odds of each stream's will in quarters; the large units with the first and the last alone.
    let odds = [[4, 4, 4], [4, 1, 4], [1, 4, 4], [4, 4, 1], [2, 2, 2]];
    for odds in odds.into_iter().step_by(if columns > 30 { 4 } else { 1 }) {
        let slowest: usize = odds.iter().copied().min().unwrap();
        let cycles = (VECTORS * plan.cycles() + plan.pipeline() + 20) * 8 / slowest + 100;
        let willing: Vec<Willing> = (0..cycles).map(|_| odds.map(|o| random.size(0, 3) < o)).collect();
        let beats = simulate(folder, &files, &plan, &willing);
        let leaves: Vec<usize> = beats.iter().map(|b| b.0).collect();
        assert_eq!(leaves, foretold(&plan, &willing), "{shape:?}, {odds:?}");
        assert_eq!(beats.len(), VECTORS * neuron_folds, "{shape:?}, {odds:?}");
        if odds == [4, 4, 4] {
            // A fold a cycle: the queue is deep enough.
            let last = 1 + VECTORS * plan.cycles() + plan.pipeline() + usize::from(plan.pair());
            assert_eq!(leaves.last(), Some(&last), "{shape:?}");
        }
        for (i, (_, word)) in beats.iter().enumerate() {
            let (vector, n) = (i / neuron_folds, i % neuron_folds);
            let bits = plan.accumulator_bits as usize;
            for p in 0..pe {
                let end = word.len() - p * bits;
                let value = sign_extend(u64::from_str_radix(&word[end - bits..end], 2).unwrap(), bits as u32);
                let row = &matrices[vector][n * pe + p];
                let sum: i64 = row.iter().zip(&vectors[vector]).map(|(w, x)| w * x).sum();
                assert_eq!(value, sum, "{shape:?}, vector {vector}, row {}", n * pe + p);
            }
        }
    }
}

#[test]
fn units_with_streamed_weights_are_exact_in_value_and_cycle() {
    if find(Tool::Iverilog).is_err() {
        eprintln!("SKIPPED: iverilog is not installed (apt-get install iverilog)");
        return;
    }
    let encoding = |bits, sign: Signedness| Encoding { bits, sign };
    let shape = |rows, columns, pe, simd, input, weight| Shape { rows, columns, pe, simd, input, weight };
    let folder = tempfile::tempdir().unwrap();
    let random = &mut Random::new(23);
    let shapes = [
        shape(32, 64, 4, 8, encoding(4, Unsigned), encoding(4, Signed)),
        shape(32, 64, 4, 8, encoding(2, Unsigned), encoding(2, Signed)),
        // One pass over the vector; one beat a vector; both; deep queues.
        shape(3, 12, 3, 2, encoding(3, Signed), encoding(2, Signed)),
        shape(6, 5, 2, 5, encoding(2, Unsigned), encoding(3, Unsigned)),
        shape(2, 4, 2, 4, encoding(1, Unsigned), encoding(4, Signed)),
        shape(4, 27, 1, 9, encoding(1, Bipolar), encoding(1, Bipolar)),
        shape(5, 6, 5, 1, encoding(5, Signed), encoding(1, Bipolar)),
    ];
    for (case, shape) in shapes.into_iter().enumerate() {
        check(&folder.path().join(case.to_string()), shape, random);
    }
}

/// Credits, what flies and what waits add up, and no sum meets a full queue, whatever the streams do.
#[test]
fn control_is_proved() {
    if find(Tool::Yosys).is_err() {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
        return;
    }
    let [input, weight] = [Unsigned, Signed].map(|sign| Encoding { bits: 1, sign });
    // The exit is a pair of registers, then a queue.
    for (columns, pair) in [(4, true), (3, false)] {
        let plan = Streamed::plan("dut", Shape { rows: 4, columns, pe: 2, simd: 1, input, weight }).unwrap();
        assert_eq!(plan.pair(), pair);
        let folder = tempfile::tempdir().unwrap();
        let prove = |files: &[PathBuf]| {
            let reads: String = files.iter().map(|f| format!("read_verilog -formal {}\n", f.display())).collect();
            let script = format!(
                "{reads}hierarchy -check -top dut\nproc\nflatten\nmemory -nordff\nopt -full\ncheck -assert\n\
                 sat -tempinduct -prove-asserts -set-assumes -maxsteps 24 dut\n"
            );
            std::fs::write(folder.path().join("prove.ys"), script).unwrap();
            run(Command::new("yosys").args(["-Q", "-T", "-s", "prove.ys"]), folder.path())
        };
        let files = write(folder.path(), &plan);
        let log = prove(&files);
        assert!(log.contains("Import proof for assert:") && log.contains("Induction step proven: SUCCESS!"), "{log}");
        // Without the credit a sum does meet a full queue.
        let unit = files.iter().find(|f| f.ends_with("dut.v")).unwrap();
        let text = std::fs::read_to_string(unit).unwrap();
        assert!(text.contains("(available | ~last)"));
        std::fs::write(unit, text.replace("(available | ~last)", "1'b1")).unwrap();
        let log = prove(&files);
        assert!(log.contains("model found for base case: FAIL!"), "{log}");
    }
}
