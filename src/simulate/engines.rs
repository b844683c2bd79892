//! The engines behind `--engine`, each with its answer in the network's own terms.

use std::collections::HashMap;

use generator::dataflow::{Dataflow, Output};
use ndarray::{Array2, ArrayView2, s};
use quantizer::network::Network;
use sim::cosim::{self, CompileOptions, Compiled};
use sim::stall::Stall;
use sim::tools::{self, Tool};
use sim::verilator::{self, RunOptions, Trace};
use sim::{cycle, golden};

use super::problem::{Problem, replay};
use super::{Args, Engine, StallArg};
use crate::console::Console;
use crate::error::Error;
use crate::generate::Design;
use crate::inputs::Inputs;
use crate::model::Model;
use crate::progress::Progress;

/// What an engine says.
pub struct Answer {
    pub engine: &'static str,
    /// Output codes, `[samples, elements]`.
    pub outputs: Array2<i64>,
    /// Until the last beat left.
    pub cycles: Option<u64>,
    pub interval: Option<u64>,
    pub latency: Option<u64>,
    pub overflows: Option<u64>,
    pub problems: Vec<Problem>,
}

impl From<StallArg> for Stall {
    fn from(arg: StallArg) -> Self {
        Stall {
            input: matches!(arg, StallArg::Input | StallArg::Both),
            output: matches!(arg, StallArg::Output | StallArg::Both),
            seed: 0,
        }
    }
}

/// Runs the engines asked for; `reference` is golden's answer.
///
/// # Errors
/// If the hardware cannot be generated, an engine refuses, or a tool is missing or fails.
pub fn run(
    args: &Args,
    model: &Model,
    inputs: &Inputs,
    reference: &Array2<i64>,
    console: &Console,
) -> Result<Vec<Answer>, Error> {
    let wants = |engine| args.engine == engine || args.engine == Engine::All;
    if args.waves.is_some() && !wants(Engine::Verilator) {
        return Err(Error::Usage {
            message: "--waves needs the Verilog to run".to_owned(),
            help: Some("--engine verilator (or all)".to_owned()),
        });
    }
    let mut answers = Vec::new();
    if wants(Engine::Golden) {
        answers.push(Answer {
            engine: "golden",
            outputs: reference.clone(),
            cycles: None,
            interval: None,
            latency: None,
            overflows: None,
            problems: vec![],
        });
    }
    if args.engine == Engine::Golden {
        return Ok(answers);
    }
    let design = Design::of(model, &args.folding, None, Output::Logits)?;
    let stall = Stall { seed: args.inputs.seed.unwrap_or(1), ..args.stall.into() };
    let codes = inputs.codes.view();
    let job = Job { network: &model.network, dataflow: &design.dataflow, codes, reference, stall };
    let cycle = {
        // Verilator's beats are compared with it.
        let _progress = Progress::start(console, format!("cycle: {} samples", codes.nrows()));
        cycle::run(job.dataflow, codes, &cycle::Options { stall, ..cycle::Options::default() })?
    };
    if wants(Engine::Cycle) {
        answers.push(Answer {
            engine: "cycle",
            cycles: Some(cycle.cycles),
            interval: cycle.interval(job.dataflow),
            latency: cycle.latency(job.dataflow),
            overflows: Some(cycle.trapped),
            problems: job.cycle_problems(&cycle)?,
            outputs: cycle.result.clone(),
        });
    }
    if wants(Engine::Verilator) {
        answers.push(job.verilator(args, &cycle, console)?);
    }
    Ok(answers)
}

/// What all engines that run hardware share.
struct Job<'a> {
    network: &'a Network,
    dataflow: &'a Dataflow,
    codes: ArrayView2<'a, i64>,
    reference: &'a Array2<i64>,
    stall: Stall,
}

impl Job<'_> {
    fn verilator(&self, args: &Args, cycle: &cycle::Run, console: &Console) -> Result<Answer, Error> {
        let tool = tools::find(Tool::Verilator)?;
        let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
        let options = CompileOptions {
            jobs: rayon::current_num_threads(),
            trace: args.waves.as_deref().map_or(Trace::Off, Trace::of),
            ..CompileOptions::default()
        };
        let compiled = {
            let _progress = Progress::start(console, "verilator: compiling");
            Compiled::new(&tool, self.dataflow, folder.path(), options)?
        };
        let _progress = Progress::start(console, format!("verilator: {} samples", self.codes.nrows()));
        let absolute = |path: &std::path::PathBuf| {
            std::path::absolute(path).map_err(|source| Error::Write { path: path.clone(), source })
        };
        let options = RunOptions {
            stall: self.stall,
            seed: self.stall.seed,
            waves: args.waves.as_ref().map(absolute).transpose()?,
            ..RunOptions::new(0)
        };
        let (run, outputs) = compiled.run(self.codes, &options)?;
        let mut problems: Vec<Problem> = self.output_problem("verilator", &outputs, None).into_iter().collect();
        problems.extend(cosim::difference(self.dataflow, cycle, &run).map(timing));
        let (cycles, interval, latency) = self.figures(&run);
        Ok(Answer { engine: "verilator", outputs, cycles, interval, latency, overflows: None, problems })
    }

    /// Cycles, interval and latency of Verilator's own beats, counted as the cycle engine counts them.
    fn figures(&self, run: &verilator::Run) -> (Option<u64>, Option<u64>, Option<u64>) {
        let beats = self.dataflow.output_stream().beats();
        let out = |i: usize| run.outputs.get(i).map(|b| b.cycle);
        let last = (self.codes.nrows() * beats).checked_sub(1);
        let interval = last.and_then(|last| Some(out(last)? - out(last.checked_sub(beats)?)?));
        let latency = run.accepted.first().and_then(|first| Some(out(beats - 1)? + 1 - first));
        (last.and_then(out).map(|last| last + 1), interval, latency)
    }

    /// What went wrong in a cycle run: the first overflow, and the first value that differs from golden's.
    fn cycle_problems(&self, run: &cycle::Run) -> Result<Vec<Problem>, Error> {
        let mut problems: Vec<Problem> = run.traps.first().map(overflow).into_iter().collect();
        if let Some(at_output) = self.output_problem("cycle", &run.result, Some(run)) {
            problems.push(self.inner_problem(at_output.sample)?.unwrap_or(at_output));
        }
        Ok(problems)
    }

    /// The first output that differs from golden's.
    fn output_problem(&self, engine: &'static str, outputs: &Array2<i64>, run: Option<&cycle::Run>) -> Option<Problem> {
        let ((sample, element), _) =
            outputs.indexed_iter().zip(self.reference).find(|((_, got), expected)| got != expected)?.0;
        let stream = self.dataflow.output_stream();
        let position = stream.frame_order().iter().position(|&source| source == element)?;
        let beat = sample * stream.beats() + position / stream.lanes;
        Some(Problem {
            kind: "mismatch",
            engine,
            cycle: run.and_then(|r| r.outputs.get(beat)).map(|b| b.cycle),
            stream: Some(stream.name.clone()),
            beat: Some(beat),
            lane: Some(position % stream.lanes),
            layer: self.dataflow.modules.last().map(|m| m.layer.clone()),
            channel: Some(element),
            sample,
            got: outputs[[sample, element]].to_string(),
            expected: self.reference[[sample, element]].to_string(),
            replay: replay(),
        })
    }

    /// The first stream of the cycle engine that differs from golden's tensor, in the frames up to `sample`.
    fn inner_problem(&self, sample: usize) -> Result<Option<Problem>, Error> {
        let codes = self.codes.slice(s![..=sample, ..]);
        let options = cycle::Options { stall: self.stall, record: true, ..cycle::Options::default() };
        let run = cycle::run(self.dataflow, codes, &options)?;
        let tensors = golden::run_all(self.network, codes)?;
        let by_name: HashMap<&str, &Array2<i64>> =
            self.network.tensors.iter().map(|t| t.name.as_str()).zip(&tensors).collect();
        for (i, stream) in self.dataflow.streams.iter().enumerate() {
            let (Some(truth), Some(beats)) = (by_name.get(stream.tensor.as_str()), run.streams.get(i)) else {
                continue;
            };
            for (b, beat) in beats.iter().enumerate() {
                let frame = b / stream.beats();
                for (lane, (element, &got)) in stream.sources(b % stream.beats()).zip(&beat.values).enumerate() {
                    let Some(&expected) = truth.get((frame, element)).filter(|&&e| e != got) else { continue };
                    return Ok(Some(Problem {
                        kind: "mismatch",
                        engine: "cycle",
                        cycle: Some(beat.cycle),
                        stream: Some(stream.name.clone()),
                        beat: Some(b),
                        lane: Some(lane),
                        // Stream i leaves module i - 1.
                        layer: i.checked_sub(1).and_then(|m| self.dataflow.modules.get(m)).map(|m| m.layer.clone()),
                        channel: Some(element),
                        sample: frame,
                        got: got.to_string(),
                        expected: expected.to_string(),
                        replay: replay(),
                    }));
                }
            }
        }
        Ok(None)
    }
}

fn overflow(t: &cycle::Trap) -> Problem {
    Problem {
        kind: "overflow",
        engine: "cycle",
        cycle: Some(t.cycle),
        stream: None,
        beat: None,
        lane: Some(t.pe),
        layer: Some(t.layer.clone()),
        channel: Some(t.row),
        sample: usize::try_from(t.frame).unwrap_or(usize::MAX),
        got: t.became.to_string(),
        expected: format!("{} ({} of {} bits)", t.value, t.register, t.bits),
        replay: replay(),
    }
}

fn timing(d: cosim::Difference) -> Problem {
    let show = |beat: &Option<(u64, Vec<i64>)>| match beat {
        Some((cycle, values)) => format!("{values:?} in cycle {cycle}"),
        None => "no such beat".to_owned(),
    };
    Problem {
        kind: "timing",
        engine: "verilator",
        cycle: d.verilator.as_ref().map(|(cycle, _)| *cycle),
        lane: None,
        layer: None,
        channel: None,
        sample: d.frame,
        got: show(&d.verilator),
        expected: format!("{} (cycle engine)", show(&d.cycle)),
        stream: Some(d.stream),
        beat: Some(d.beat),
        replay: replay(),
    }
}
