//! `snug demo`: everything that snug does, on a network that it brings along.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use generator::dataflow::{Dataflow, Kind, Output};
use ndarray::{Array2, ArrayView2, s};
use quantizer::certificate::LayerBounds;
use sim::cosim::{CompileOptions, Compiled, difference};
use sim::prove::{Options, Verdict};
use sim::report::{Accuracy, Check, Part, Proof, Report, Synthesis};
use sim::stall::Stall;
use sim::tools::{self, Tool};
use sim::verilator::{RunOptions, Trace, waveform};
use sim::yosys::{Job, Target, synthesize};
use sim::{cycle, golden};

use crate::Outcome;
use crate::console::Console;
use crate::data::labels::labels;
use crate::data::{Wanted, fit, read};
use crate::error::Error;
use crate::folding::FoldingArgs;
use crate::generate::vectors::Vectors;
use crate::generate::{Design, folder, page};
use crate::model::{Model, ModelArgs};
use crate::output_dir::{self, Files};
use crate::progress::Progress;
use crate::prove;

/// All of it in two minutes, on the handwritten digits that snug brings along
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write
    #[arg(short, long, value_name = "DIR", default_value = "snug-demo")]
    output_dir: PathBuf,
    /// Narrow one accumulator by a bit, and watch it overflow
    #[arg(long = "break")]
    break_it: bool,
}

/// The example, as `examples/digits` has it.
const EXAMPLE: [(&str, &[u8]); 4] = [
    ("example/digits.onnx", include_bytes!("../examples/digits/digits.onnx")),
    ("example/test_inputs.npy", include_bytes!("../examples/digits/test_inputs.npy")),
    ("example/test_labels.npy", include_bytes!("../examples/digits/test_labels.npy")),
    ("example/brevitas_logits.npy", include_bytes!("../examples/digits/brevitas_logits.npy")),
];

/// How far real-valued logits may lie from Brevitas', which computes in float32.
const TOLERANCE: f64 = 1e-5;
const CLOCK_MHZ: f64 = 100.0;
/// Limit on the proof of a module.
const PROOF_LIMIT: Duration = Duration::from_secs(600);

/// The digits and what is known of them.
struct Digits {
    model: Model,
    /// Codes on the pins, `[360, 64]`.
    codes: Array2<i64>,
    labels: Vec<usize>,
    /// Brevitas' own logits, `[360, 10]`.
    logits: Array2<f64>,
}

/// Runs the command.
///
/// # Errors
/// If a tool is missing or fails, or the folder cannot be written.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let start = Instant::now();
    let digits = Digits::open(console)?;
    if args.break_it {
        return break_it(&digits, console);
    }
    let design = Design::of(&digits.model, &FoldingArgs::default(), Some("digits"), Output::Logits)?;
    let (network, dataflow) = (&digits.model.network, &design.dataflow);
    let mut fine = true;

    let outputs = golden::run(network, digits.codes.view())?;
    let correct = digits.correct(outputs.view());
    let deviation = digits.deviation(&outputs);
    let cycle = cycle::run(dataflow, digits.codes.view(), &cycle::Options::default())?;
    fine &= cycle.result == outputs && cycle.trapped == 0 && deviation <= TOLERANCE;
    let samples = outputs.nrows();
    console.print(format!(
        "network    64-32-32-10, 4 bits, A2Q+, by Brevitas; {samples} held-out digits: {correct} right ({:.1} %)",
        100.0 * correct as f64 / samples as f64
    ))?;
    console.print(format!("widths     {}", widths(network)))?;

    let vectors = Vectors::of(network, Output::Logits, digits.codes.slice(s![..8, ..]).to_owned())?;
    let frames = vectors.checked(dataflow)?;
    let mut files = folder::files(&digits.model, &design, &vectors)?;
    let mut report = page::report(&digits.model, &design, &files, &frames, CLOCK_MHZ)?;
    report.commands = vec!["snug demo".to_owned()];
    report.accuracy = Some(Accuracy { data: "360 held-out digits of scikit-learn's set".into(), samples, correct });
    report.checks.push(Check {
        what: "golden model = Brevitas' logits".to_owned(),
        how: format!("real-valued, within {TOLERANCE:e}; the largest deviation is {deviation:.1e}"),
        samples,
        mismatches: digits.beyond(&outputs),
        ..Check::default()
    });
    console.print(format!(
        "hardware   one frame in {} cycles, latency {}: {:.2} M frames/s at {CLOCK_MHZ} MHz",
        dataflow.interval(),
        frames.latency(dataflow).map_or_else(|| "unknown".into(), |l| l.to_string()),
        CLOCK_MHZ / dataflow.interval() as f64
    ))?;
    fine &= verilator(&digits, dataflow, &outputs, &mut report, console)?;
    yosys(&files, dataflow, &mut report, console)?;
    for (name, bytes) in EXAMPLE {
        files.insert(name.to_owned(), bytes.to_vec());
    }
    page::insert(&report, &mut files)?;
    output_dir::write(&args.output_dir, &files, false)?;
    console.print(format!("wrote      Verilog, certificate, testbench, report: {}", args.output_dir.display()))?;
    let (proved, proof) = proof(&args.output_dir, console)?;
    fine &= proved;
    // Once more, with the verdicts on the page.
    report.proof = Some(proof);
    page::insert(&report, &mut files)?;
    output_dir::write(&args.output_dir, &files, false)?;
    let page = std::path::absolute(args.output_dir.join("report.html"))
        .map_err(|source| Error::Write { path: args.output_dir.clone(), source })?;
    console.print(format!("report     file://{}  ({:.0} s)", page.display(), start.elapsed().as_secs_f64()))?;
    console.print("your own:  snug inspect MODEL.onnx; snug generate MODEL.onnx -o hw; snug simulate MODEL.onnx --inputs X.npy --engine all")?;
    Ok(if fine { Outcome::Fine } else { Outcome::Failed })
}

impl Digits {
    fn open(console: &Console) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
        let path = |name: &str| folder.path().join(Path::new(name).file_name().unwrap_or_default());
        for (name, bytes) in EXAMPLE {
            std::fs::write(path(name), bytes).map_err(|source| Error::Write { path: path(name), source })?;
        }
        let model = ModelArgs::of(path("digits.onnx")).open()?;
        let inputs = crate::inputs::InputArgs::all(path("test_inputs.npy")).read(&model, console)?;
        let file = path("brevitas_logits.npy");
        let logits = fit::fit(&file, "output", read(&file)?, Wanted::plain(&[10]), None)?;
        let labels = labels(&path("test_labels.npy"), 10)?;
        let logits = Array2::from_shape_fn((logits.count, 10), |(n, c)| logits.values.float(n * 10 + c));
        Ok(Digits { model, codes: inputs.codes, labels, logits })
    }

    fn correct(&self, outputs: ArrayView2<i64>) -> usize {
        match &self.model.network.label_grid {
            Ok(grid) => golden::label(outputs, grid).iter().zip(&self.labels).filter(|(a, b)| a == b).count(),
            Err(_) => 0,
        }
    }

    /// Real-valued outputs less Brevitas'.
    fn differences(&self, outputs: &Array2<i64>) -> Array2<f64> {
        let network = &self.model.network;
        let scales = network.tensor(network.output).scale.clone().unwrap_or_default();
        (golden::real(outputs.view(), &scales) - &self.logits).mapv(f64::abs)
    }

    fn deviation(&self, outputs: &Array2<i64>) -> f64 {
        self.differences(outputs).iter().copied().fold(0.0, f64::max)
    }

    fn beyond(&self, outputs: &Array2<i64>) -> usize {
        self.differences(outputs).rows().into_iter().filter(|row| row.iter().any(|&d| d > TOLERANCE)).count()
    }
}

/// `fc1 9 bits (15 by datatype)` of every layer.
fn widths(network: &quantizer::network::Network) -> String {
    let layer =
        |l: &LayerBounds| format!("{} {} bits ({} by datatype)", l.name, l.accumulator.exact, l.accumulator.data_type);
    LayerBounds::of_network(network).iter().map(layer).collect::<Vec<_>>().join(", ")
}

/// All held-out digits through the emitted Verilog under the four stall patterns.
fn verilator(
    digits: &Digits,
    dataflow: &Dataflow,
    outputs: &Array2<i64>,
    report: &mut Report,
    console: &Console,
) -> Result<bool, Error> {
    let tool = tools::find(Tool::Verilator)?;
    let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let options = CompileOptions { monitor: true, jobs: rayon::current_num_threads(), ..CompileOptions::default() };
    let compiled = {
        let _progress = Progress::start(console, "Verilator compiles");
        Compiled::new(&tool, dataflow, folder.path(), options)?
    };
    let seed = 1;
    let (mut wrong, mut beats, mut timing) = (0, 0, None);
    let _progress = Progress::start(console, "Verilator runs 360 digits under four stall patterns");
    for stall in Stall::all(seed) {
        let ours =
            cycle::run(dataflow, digits.codes.view(), &cycle::Options { stall, record: true, ..Default::default() })?;
        let (run, result) = compiled.run(digits.codes.view(), &RunOptions { stall, ..RunOptions::new(0) })?;
        wrong += result.rows().into_iter().zip(outputs.rows()).filter(|(a, b)| a != b).count();
        beats += run.streams.values().map(Vec::len).sum::<usize>();
        timing = timing.or_else(|| difference(dataflow, &ours, &run));
    }
    drop(_progress);
    let samples = 4 * outputs.nrows();
    console.print(format!(
        "RTL        {}: {} of {samples} frames equal to golden and to Brevitas' logits (within {:.0e}: float32), 4 stall patterns",
        tool.banner.split(" rev").next().unwrap_or_default(),
        samples - wrong,
        TOLERANCE
    ))?;
    match &timing {
        None => console.print(format!(
            "           cycle-exact with snug's simulator: {beats} beats on {} streams",
            dataflow.streams.len()
        ))?,
        Some(d) => console.print(format!("           NOT cycle-exact: {d}"))?,
    }
    report.tools.push(tool.banner.clone());
    report.checks.push(Check {
        what: "emitted Verilog in Verilator = golden model".to_owned(),
        how: "no gaps, input gaps, output stalls, both; random initial registers".to_owned(),
        seeds: vec![seed],
        samples,
        mismatches: wrong,
    });
    report.checks.push(Check {
        what: "emitted Verilog is cycle-exact with the cycle engine, on every stream".to_owned(),
        how: format!("{beats} beats compared with their cycles"),
        seeds: vec![seed],
        samples,
        mismatches: usize::from(timing.is_some()),
    });
    Ok(wrong == 0 && timing.is_none())
}

fn yosys(files: &Files, dataflow: &Dataflow, report: &mut Report, console: &Console) -> Result<(), Error> {
    let tool = tools::find(Tool::Yosys)?;
    let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let mut sources = Vec::new();
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("rtl/")) {
        let path = folder.path().join(name.trim_start_matches("rtl/"));
        std::fs::write(&path, bytes).map_err(|source| Error::Write { path: path.clone(), source })?;
        sources.push(path);
    }
    let synthesis = {
        let _progress = Progress::start(console, "Yosys counts LUTs");
        synthesize(&tool, &Job::new(sources, &dataflow.top, Target::Xc7))?
    };
    let c = &synthesis.counts;
    let estimate = generator::estimate::estimate(dataflow);
    console.print(format!(
        "LUTs       {} + {} LUTRAM (estimate {}), {} FF, {} CARRY4, {} BRAM, {} DSP; {}, {}",
        c.lut,
        c.lutram,
        estimate.total.lut + estimate.total.lutram,
        c.ff,
        c.carry,
        c.bram,
        c.dsp,
        synthesis.version,
        synthesis.command
    ))?;
    let part = |name: &str, count| Part { name: name.to_owned(), count };
    report.tools.push(synthesis.version.clone());
    report.synthesis = Some(Synthesis {
        tool: synthesis.version.clone(),
        command: synthesis.command.clone(),
        target: "xc7".to_owned(),
        counts: vec![
            part("LUT", c.lut),
            part("LUTRAM", c.lutram),
            part("SRL", c.srl),
            part("FF", c.ff),
            part("CARRY4", c.carry),
            part("BRAM", c.bram),
            part("DSP", c.dsp),
        ],
    });
    Ok(())
}

/// The claims of the written Verilog, by Yosys.
fn proof(dir: &Path, console: &Console) -> Result<(bool, Proof), Error> {
    let start = Instant::now();
    let found = prove::folder(dir, PROOF_LIMIT, None, false, console)?;
    let modules = &found.report.modules;
    let proved = modules.iter().filter(|m| m.verdict == Verdict::Proved).count();
    console.print(format!(
        "proof      {proved} of {} modules proved in {:.0} s (snug prove {})",
        modules.len(),
        start.elapsed().as_secs_f64(),
        dir.display()
    ))?;
    console.print(format!("           {}", found.statement))?;
    let modules: Vec<_> = modules.iter().cloned().map(Some).collect();
    Ok((found.ok(), prove::proof(&modules, &found.tool)))
}

/// The claims of one processing element of `dataflow`, by Yosys.
fn prove_element(dataflow: &Dataflow, name: &str, console: &Console) -> Result<sim::prove::Module, Error> {
    let yosys = tools::find(Tool::Yosys)?;
    let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let mut names = Vec::new();
    for file in generator::emit::verilog(dataflow, &[])? {
        let path = folder.path().join(&file.name);
        std::fs::write(&path, file.text).map_err(|source| Error::Write { path, source })?;
        names.push(file.name);
    }
    let options = Options {
        jobs: 1,
        timeout: PROOF_LIMIT,
        work: folder.path().to_path_buf(),
        module: Some(name.to_owned()),
        fresh: false,
        witnesses: sim::prove::cover::witnesses(&serde_json::to_value(dataflow).unwrap_or_default())
            .unwrap_or_default(),
    };
    let _progress = Progress::start(console, format!("Yosys proves {name}"));
    let report = sim::prove::prove(&yosys, folder.path(), &names, &options, &|_, _, _| {})?;
    let missing = || Error::Usage { message: format!("there is no module {name}"), help: None };
    report.modules.into_iter().next().ok_or_else(missing)
}

/// Narrows one accumulator, that of the first layer's widest channel, by a bit, and sends the input that needs it.
fn break_it(digits: &Digits, console: &Console) -> Result<Outcome, Error> {
    let network = &digits.model.network;
    let usage = |message: &str| Error::Usage { message: message.to_owned(), help: None };
    let design = Design::of(&digits.model, &FoldingArgs::default(), Some("digits"), Output::Logits)?;
    let layers = LayerBounds::of_network(network);
    let layer = layers.first().ok_or_else(|| usage("the network has no accumulator"))?;
    let widest = layer.channels.iter().enumerate().max_by_key(|(_, c)| c.exact.width);
    let (row, channel) = widest.ok_or_else(|| usage("the layer has no channel"))?;
    let bounds = &channel.exact;
    let witness = channel.inputs(layer.input).map_err(|_| usage("the certificate's witness is damaged"))?;
    // The end that needs the last bit.
    let half = num_bigint::BigInt::from(1) << (bounds.width.max(2) - 2);
    let (extreme, witness) = if bounds.max >= half { (&bounds.max, witness.max) } else { (&bounds.min, witness.min) };
    let frame = Array2::from_shape_vec((1, witness.len()), witness)
        .map_err(|_| usage("the witness has another shape than the input"))?;
    let right = golden::run(network, frame.view())?;
    let whole = cycle::run(&design.dataflow, frame.view(), &cycle::Options::default())?;
    console.print(format!(
        "{}, channel {}: reaches [{}, {}], {} bits; the input that reaches {} gives no overflow ({} traps)",
        layer.name, row, bounds.min, bounds.max, bounds.width, extreme, whole.trapped
    ))?;
    let mut narrow = design.dataflow.clone();
    for module in narrow.modules.iter_mut().filter(|m| m.layer == layer.name) {
        if let Kind::MatrixVector(unit) = &mut module.kind {
            let serves = unit.pes.iter_mut().filter(|pe| pe.rows.contains(&Some(row)));
            serves.for_each(|pe| pe.reduction.accumulator_bits = pe.reduction.accumulator_bits.min(bounds.width - 1));
        }
    }
    let element = design.dataflow.modules.iter().filter(|m| m.layer == layer.name).find_map(|m| match &m.kind {
        Kind::MatrixVector(unit) => {
            let p = unit.pes.iter().position(|pe| pe.rows.contains(&Some(row)))?;
            Some(format!("{}_{}_pe{p}", design.dataflow.top, m.name))
        }
        _ => None,
    });
    let element = element.ok_or_else(|| usage("no processing element serves the channel"))?;
    let broken = prove_element(&narrow, &element, console)?;
    console.print(match (broken.verdict, &broken.reason) {
        (Verdict::Refuted, Some(reason)) => {
            format!("the proof: {element} REFUTED in {:.1} s: {reason}", broken.seconds)
        }
        _ => format!("the proof: {element} NOT refuted, which is a defect of snug"),
    })?;
    if let Some((by, said)) =
        broken.counterexample.as_ref().and_then(|c| c.replayed_by.as_ref().zip(c.replayed.as_ref()))
    {
        console.print(format!("its counterexample, replayed by {by}: {said}"))?;
    }
    let run = cycle::run(&narrow, frame.view(), &cycle::Options::default())?;
    let trap = run.traps.iter().find(|t| t.row == row).or(run.traps.first());
    match trap {
        Some(trap) => console.print(format!("one bit less: {trap}"))?,
        None => console.print("one bit less: NO overflow, which is a defect of snug")?,
    }
    let tool = tools::find(Tool::Verilator)?;
    let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let options = CompileOptions { jobs: rayon::current_num_threads(), trace: Trace::Vcd, ..CompileOptions::default() };
    let compiled = {
        let _progress = Progress::start(console, "Verilator compiles the broken design");
        Compiled::new(&tool, &narrow, folder.path(), options)?
    };
    let waves = folder.path().join("broken.vcd");
    let (_, result) = compiled.run(frame.view(), &RunOptions { waves: Some(waves.clone()), ..RunOptions::new(0) })?;
    let same = result == run.result;
    // What the cycle engine says of the register, by the Verilog itself.
    let held = trap.and_then(|trap| {
        let pe = format!("pe{}", trap.pe);
        let file = std::fs::File::open(&waves).ok()?;
        let values = waveform::values(file, &[&trap.module, &pe], "acc_reg")?;
        let (before, _) = values.iter().zip(values.iter().skip(1)).find(|(_, held)| **held == trap.became)?;
        Some((*before, trap))
    });
    match held {
        Some((before, trap)) => console.print(format!(
            "Verilator, the same design and digit: the accumulator of {element} goes from {before} to {}: {} became {}",
            trap.became, trap.value, trap.became
        ))?,
        None => console.print("Verilator's waveform does NOT show it, which is a defect of snug")?,
    }
    console.print(format!("Verilator, the same design and digit: outputs {}", list(result.view())))?;
    console.print(format!("             right would be: outputs {}", list(right.view())))?;
    console.print(format!(
        "cycle engine and Verilator {} on the wrong integers",
        if same { "agree" } else { "DISAGREE" }
    ))?;
    let restored = prove_element(&design.dataflow, &element, console)?;
    let proved = restored.verdict == Verdict::Proved;
    console.print(format!(
        "with the bit restored: {element} {}",
        if proved { "proved" } else { "NOT proved, which is a defect of snug" }
    ))?;
    let refuted = broken.verdict == Verdict::Refuted;
    Ok(if held.is_some() && same && refuted && proved { Outcome::Fine } else { Outcome::Failed })
}

fn list(outputs: ArrayView2<i64>) -> String {
    outputs.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")
}
