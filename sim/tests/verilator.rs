//! A small design through Verilator under every stall pattern, against a model of it in Rust.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{dut, tool_or_skip};
use sim::stall::Stall;
use sim::tools::Tool;
use sim::verilator::monitor::Handshake;
use sim::verilator::{BuildOptions, End, Mode, Model, OutBeat, Run, RunOptions, Stimulus, Trace, VerilatorError};

const FRAME: usize = 4;

/// Frames of noise.
fn stimulus(lanes: usize, frames: usize) -> Stimulus {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    Stimulus::frames((0..lanes * frames * FRAME).map(|_| next()).collect(), lanes, FRAME)
}

/// tests/dut/accumulate.v clock by clock: accepted cycles, output beats.
fn expected(lanes: usize, out_bytes: usize, stimulus: &Stimulus, stall: Stall) -> (Vec<u64>, Vec<OutBeat>) {
    let (mut accepted, mut outputs) = (Vec::new(), Vec::new());
    let beats: Vec<&[u8]> = stimulus.data.chunks_exact(lanes).collect();
    let (mut next, mut offered, mut sum, mut pending) = (0, false, 0i64, None::<i64>);
    for cycle in 0.. {
        if next == beats.len() && pending.is_none() {
            break;
        }
        offered = offered || (next < beats.len() && !stall.input_gap(cycle));
        let (take, give) = (offered && pending.is_none(), pending.is_some() && !stall.output_stall(cycle));
        if give {
            let mut data = pending.take().unwrap().to_le_bytes().to_vec();
            let sign = if data[7] >= 0x80 { 0xff } else { 0 };
            data.resize(out_bytes, sign);
            outputs.push(OutBeat { cycle, data, last: true });
        }
        if take {
            sum += beats[next].iter().map(|&byte| i64::from(byte as i8)).sum::<i64>();
            accepted.push(cycle);
            next += 1;
            offered = false;
            if next % FRAME == 0 {
                pending = Some(sum);
                sum = 0;
            }
        }
    }
    (accepted, outputs)
}

fn check(run: &Run, expected: &(Vec<u64>, Vec<OutBeat>)) {
    assert_eq!(run.end, End::Complete);
    assert_eq!(run.accepted, expected.0, "cycles of input beats");
    assert_eq!(run.outputs, expected.1, "cycles and data of output beats");
}

#[test]
fn equals_a_model_of_it_in_every_cycle_under_every_stall() {
    let Some(verilator) = tool_or_skip(Tool::Verilator) else { return };
    let folder = tempfile::tempdir().unwrap();
    // Ports of every kind Verilator has: 8 to 64 bits and arrays of words (24 bits follow below); with a space in the work
    // folder's name.
    for (lanes, out_bytes) in [(1, 9), (8, 2), (49, 4)] {
        let mut options = BuildOptions::new(vec![dut("accumulate.v")], "accumulate", lanes, out_bytes);
        options.parameters = vec![("LANES".into(), lanes as u64), ("OUT_BYTES".into(), out_bytes as u64)];
        let model = Model::build(&verilator, &options, &folder.path().join("a b")).unwrap();
        let stimulus = stimulus(lanes, 60);
        for seed in [1, 2, 0xdead_beef_0000_0001] {
            for stall in Stall::all(seed) {
                let run = model.run(&stimulus, &RunOptions { stall, seed, ..RunOptions::new(60) }).unwrap();
                check(&run, &expected(lanes, out_bytes, &stimulus, stall));
                assert_eq!(run.frame_error, None);
                assert!((1..=16).contains(&run.reset_cycles));
            }
        }
    }
}

/// One build of the adder, shared by what follows.
fn adder(folder: &std::path::Path, change: impl FnOnce(&mut BuildOptions)) -> Option<Result<Model, VerilatorError>> {
    let verilator = tool_or_skip(Tool::Verilator)?;
    let mut options = BuildOptions::new(vec![dut("accumulate.v")], "accumulate", 3, 4);
    change(&mut options);
    Some(Model::build(&verilator, &options, folder))
}

#[test]
fn resets_frame_errors_limits_and_waves() {
    let folder = tempfile::tempdir().unwrap();
    let Some(model) = adder(folder.path(), |o| o.trace = Trace::Vcd) else { return };
    let model = model.unwrap();
    assert!(!model.cached);
    let again = adder(folder.path(), |o| o.trace = Trace::Vcd).unwrap().unwrap();
    assert!(again.cached, "same sources, same options");
    let stimulus = stimulus(3, 20);

    // A reset in mid-frame, mid-stall or in idle changes nothing of what follows it.
    for stall in Stall::all(5) {
        for reset_at in [0, 1, 2, 3, 4, 5, 6, 57, 500] {
            let options = RunOptions { stall, reset_at: Some(reset_at), ..RunOptions::new(20) };
            let run = model.run(&stimulus, &options).unwrap();
            check(&run, &expected(3, 4, &stimulus, stall));
            assert_eq!(run.clocks, run.cycles + reset_at);
            assert_eq!(run.frame_error, None);
        }
    }

    // A misplaced tlast is told, with the cycle; reset clears it.
    let mut misplaced = stimulus.clone();
    misplaced.last.swap(5, 7);
    let run = model.run(&misplaced, &RunOptions::new(20)).unwrap();
    assert_eq!(run.frame_error, Some(run.accepted[5] + 1));

    // One beat too few: the run ends by itself and says so. One too many: seen in the drain cycles.
    let run = model.run(&stimulus, &RunOptions { quiet_cycles: 50, ..RunOptions::new(21) }).unwrap();
    assert_eq!((run.end, run.outputs.len()), (End::Quiet, 20));
    let run = model.run(&stimulus, &RunOptions { max_cycles: 10, ..RunOptions::new(20) }).unwrap();
    assert_eq!((run.end, run.cycles), (End::CycleLimit, 10));
    let run = model.run(&stimulus, &RunOptions::new(19)).unwrap();
    assert_eq!((run.end, run.outputs.len()), (End::Complete, 20));

    // Waves: of the kind built for, elsewhere refused.
    let waves = folder.path().join("a b.vcd");
    let run = model.run(&stimulus, &RunOptions { waves: Some(waves.clone()), ..RunOptions::new(20) }).unwrap();
    check(&run, &expected(3, 4, &stimulus, Stall::NONE));
    assert!(std::fs::read_to_string(&waves).unwrap().contains("s_axis_tdata [23:0]"));
    let fst = Some(folder.path().join("a.fst"));
    assert!(matches!(
        model.run(&stimulus, &RunOptions { waves: fst, ..RunOptions::new(20) }),
        Err(VerilatorError::Trace { built: Trace::Vcd, .. })
    ));

    // A stimulus that is no whole number of beats.
    let mut short = stimulus.clone();
    short.data.pop();
    assert!(matches!(model.run(&short, &RunOptions::new(20)), Err(VerilatorError::Stimulus { width: 3, .. })));
}

#[test]
fn a_monitor_shows_the_same_handshakes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(model) = adder(folder.path(), |o| {
        o.files.push(dut("monitor.v"));
        o.top = "monitor".into();
    }) else {
        return;
    };
    let (model, stimulus) = (model.unwrap(), stimulus(3, 30));
    for reset_at in [None, Some(33)] {
        let stall = Stall { input: true, output: true, seed: 9 };
        let run = model.run(&stimulus, &RunOptions { stall, reset_at, ..RunOptions::new(30) }).unwrap();
        check(&run, &expected(3, 4, &stimulus, stall));
        let inputs: Vec<Handshake> = run
            .accepted
            .iter()
            .zip(stimulus.data.chunks_exact(3))
            .map(|(&cycle, data)| Handshake { cycle, data: data.to_vec() })
            .collect();
        let outputs: Vec<Handshake> =
            run.outputs.iter().map(|beat| Handshake { cycle: beat.cycle, data: beat.data.clone() }).collect();
        assert_eq!(run.streams[&0], inputs);
        assert_eq!(run.streams[&1], outputs);
    }
}

#[test]
fn a_failed_assertion_tells_cycle_and_message() {
    let folder = tempfile::tempdir().unwrap();
    let Some(model) = adder(folder.path(), |o| o.defines.push("TRAP".into())) else { return };
    let stimulus = Stimulus::frames(vec![127; 3 * FRAME * 2], 3, FRAME);
    let error = model.unwrap().run(&stimulus, &RunOptions::new(2)).unwrap_err();
    // Three beats of 381 pass 1000 at the third.
    let VerilatorError::Assertion { cycle, messages } = error else { panic!("{error}") };
    assert_eq!(cycle, 2);
    assert!(messages.contains("sum 1143"), "{messages}");
}

#[test]
fn a_width_that_is_not_the_ports_does_not_build() {
    let folder = tempfile::tempdir().unwrap();
    let Some(model) = adder(folder.path(), |o| o.input_bytes = 5) else { return };
    let error = model.unwrap_err();
    assert!(error.to_string().contains("s_axis_tdata is not as wide as snug was told"), "{error}");
}

#[test]
fn lint_finds_what_it_should() {
    let Some(verilator) = tool_or_skip(Tool::Verilator) else { return };
    sim::verilator::lint(&verilator, &[dut("accumulate.v")], "accumulate").unwrap();
    let error = sim::verilator::lint(&verilator, &[dut("tree.v")], "tree").unwrap_err();
    assert!(error.to_string().contains("DECLFILENAME"), "two modules in one file: {error}");
}

#[test]
fn names_that_are_no_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", "a b", "--build", "9", "top;rm"] {
        let Some(model) = adder(folder.path(), |o| o.top = name.into()) else { return };
        assert!(matches!(model, Err(VerilatorError::Invalid { .. })), "{name}");
    }
}

#[test]
fn fast_mode_gives_the_same_and_fst_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(model) = adder(&folder.path().join("fast"), |o| o.mode = Mode::Fast) else { return };
    let (model, frames) = (model.unwrap(), 20_000);
    let stimulus = stimulus(3, frames);
    let run = model.run(&stimulus, &RunOptions::new(frames)).unwrap();
    check(&run, &expected(3, 4, &stimulus, Stall::NONE));
    eprintln!("{:.1} M clocks/s", run.clocks_per_second() / 1e6);
    assert!(run.clocks_per_second() > 1e5);

    let waves = folder.path().join("a.fst");
    let model = adder(&folder.path().join("fst"), |o| o.trace = Trace::of(&waves)).unwrap().unwrap();
    let stimulus = Stimulus { data: stimulus.data[..12].to_vec(), last: stimulus.last[..4].to_vec() };
    let run = model.run(&stimulus, &RunOptions { waves: Some(waves.clone()), ..RunOptions::new(1) }).unwrap();
    assert_eq!(run.end, End::Complete);
    assert!(std::fs::metadata(waves).unwrap().len() > 329);
}
