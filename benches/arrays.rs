//! MAC arrays against the best peers: `cargo bench --bench arrays`.
//!
//! Sums of products with run-time weights, one processing element each, and constant matrices unrolled. The matrices are read
//! from the folder data/matrices of `SNUG_ZOO`. Arguments: parts of names; none is everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
#[path = "luts/designs.rs"]
mod designs;

use std::path::{Path, PathBuf};
use std::time::Instant;

use generator::dataflow::{Dataflow, Encoding, Kind};
use generator::emit::{self, heap_sum, unrolled, verilog, xc7_row};
use generator::estimate::estimate;
use generator::folding::{FoldingRequest, LayerFolding};
use generator::heap::Heap;
use generator::lower::{LowerOptions, lower};
use generator::streamed::{self, Shape, Streamed};
use generator::target::{Backend, retarget};
use generator::unrolled::Unrolled;
use ndarray::Array2;
use quantizer::datatype::{DataType, Range, Signedness};
use quantizer::import::{ImportOptions, import};
use quantizer::network::{Network, Op, Steps};
use quantizer::reach::{output_ranges, output_type};
use quantizer::testing::sparse_mlp;
use sim::tools::{Found, Tool, find};
use sim::yosys::{Counts, Flow, Job, Target, synthesize, synthesize_all};

const UNSIGNED: Signedness = Signedness::Unsigned;

/// Levels of shared sums on shared sums.
const DEPTH: usize = 3;

fn main() {
    let Ok(yosys) = find(Tool::Yosys) else {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
        return;
    };
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let named = |name: &str| wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str()));
    println!("{}; `{}`.\n", yosys.banner, Target::Xc7.command(Flow::Flat));
    run_time(&yosys, &named);
    whole_units(&yosys, &named);
    constant(&yosys, &named);
    networks(&yosys, &named);
}

/// Whole networks by either back-end, their matrix units apart, and unrolled throughout.
fn networks(yosys: &Found, named: &dyn Fn(&str) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut jobs = Vec::new();
    let mut names = Vec::new();
    let mut add = |name: String, dataflow: &Dataflow, top: &str| {
        if named(&name) {
            let text: String = verilog(dataflow, &[]).unwrap().into_iter().map(|f| f.text).collect();
            let estimate =
                if top == dataflow.top { estimate(dataflow).total.lut_total().to_string() } else { String::new() };
            jobs.push(job(folder.path(), &name.replace([' ', ':', ','], "_"), top, &text));
            names.push((name, estimate));
        }
    };
    for design in designs::networks() {
        for backend in [Backend::Generic, Backend::Xc7] {
            let mut dataflow = design.dataflow.clone();
            retarget(&mut dataflow, backend);
            add(format!("{} {backend}", design.name), &dataflow, &dataflow.top);
            if design.name.starts_with("tfc") && backend == Backend::Xc7 {
                let units = dataflow.modules.iter().filter(|m| matches!(m.kind, Kind::MatrixVector(_)));
                units.for_each(|m| {
                    add(
                        format!("{} {backend}, unit {}", design.name, m.name),
                        &dataflow,
                        &format!("{}_{}", dataflow.top, m.name),
                    )
                });
            }
        }
    }
    for (name, network) in unrolled_networks() {
        let layers = network
            .dense_layers()
            .map(|(l, d)| (l.name.clone(), LayerFolding { pe: d.weights.nrows(), simd: d.weights.ncols() }))
            .collect();
        let options = LowerOptions { folding: FoldingRequest::Layers(layers), ..LowerOptions::default() };
        for backend in [Backend::Xc7, Backend::Generic] {
            // By `+` they take Yosys many minutes: only where they are asked for.
            let name = format!("{name} unrolled {backend}");
            if backend == Backend::Generic && named("") {
                continue;
            }
            if named(&name) {
                let start = Instant::now();
                let mut dataflow = lower(&network, &options).unwrap();
                retarget(&mut dataflow, backend);
                let total = estimate(&dataflow).total.lut_total();
                let (seconds, interval) = (start.elapsed().as_secs_f64(), dataflow.interval());
                eprintln!("{name}: planned in {seconds:.1} s, interval {interval}, {total} LUTs estimated");
                add(name, &dataflow, &dataflow.top);
            }
        }
    }
    if jobs.is_empty() {
        return;
    }
    println!(
        "\n| network, back-end | LUT | LUT RAM | SRL | MUXF7/8 | CARRY4 | FF | BRAM | DSP | LUTs of all uses, estimated |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for ((name, estimate), job) in names.iter().zip(&jobs) {
        // One by one: they are large.
        let Counts { lut, lutram, srl, mux, carry, ff, bram, dsp, .. } = synthesize(yosys, job).unwrap().counts;
        println!("| {name} | {lut} | {lutram} | {srl} | {mux} | {carry} | {ff} | {bram} | {dsp} | {estimate} |");
    }
}

/// TFC_2W2A, and the sign-split MNIST network of the folder data/matrices with thresholds spread over what each sum reaches.
fn unrolled_networks() -> Vec<(&'static str, Network)> {
    let Some(zoo) = std::env::var_os("SNUG_ZOO").map(PathBuf::from) else { return Vec::new() };
    let mut all = Vec::new();
    if let Ok(tfc) = import(&zoo.join("models/TFC_2W2A.onnx"), &ImportOptions::default()) {
        all.push(("tfc_2w2a", tfc.network));
    }
    let types = [DataType::unsigned(4), DataType::signed(8), DataType::unsigned(4)];
    let mut split = sparse_mlp(1, &[784, 64, 64, 64, 10], types, 0);
    split.name = "split_mnist_p9".to_owned();
    let mut dense = 0;
    for layer in 0..split.layers.len() {
        let (input, output) = (split.layers[layer].input(), split.layers[layer].output);
        let before = split.tensor(input).clone();
        let op = match &mut split.layers[layer].op {
            Op::Dense(d) => {
                dense += 1;
                let rows = read(&zoo.join(format!("data/matrices/split_mnist_p9_layer{dense}.npy")), false);
                d.weights = Array2::from_shape_fn(d.weights.dim(), |(r, c)| rows[r][c]);
                Op::Dense(d.clone())
            }
            Op::Threshold(t) => {
                t.channels = before.ranges.iter().map(|r| spread(*r)).collect();
                Op::Threshold(t.clone())
            }
            other => other.clone(),
        };
        split.tensors[output.0].ranges = output_ranges(&op, &[&before]).unwrap();
        let ranges = split.tensors[output.0].ranges.clone();
        if let Some(datatype) = output_type(&op, &[&before], &ranges) {
            split.tensors[output.0].datatype = datatype;
        }
    }
    all.push(("split_mnist_p9", split));
    all
}

/// Fifteen steps over the upper half of a range, as ReLU has them.
fn spread(range: Range) -> Steps {
    let hi = range.hi.max(16);
    let steps = (1..16).map(|i| (i * hi / 16).clamp(range.lo + 1, range.hi.max(range.lo + 1))).collect();
    if range.constant().is_some() {
        return Steps { base: 0, steps: Vec::new(), falling: false };
    }
    Steps { base: 0, steps, falling: false }
}

/// A processing element whose weights are ports: name, LUTs of the best peer, bar.
fn run_time(yosys: &Found, named: &dyn Fn(&str) -> bool) {
    let cases = [
        ("8x4x4", 8, 4, 14, "129 + 33 + 17 SRL", 150),
        ("16x4x4", 16, 4, 16, "250 + 38 + 21 SRL", 270),
        ("8x3x3", 8, 3, 12, "75 + 27 + 16 SRL", 92),
        ("8x2x2", 8, 2, 10, "38 + 18 + 15 SRL", 50),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Vec::new();
    for (name, lanes, bits, acc, peer, bar) in cases.into_iter().filter(|c| named(c.0)) {
        let heap = element(lanes, bits, acc);
        let text = wrapper(&heap, lanes * bits as usize);
        rows.push((name, acc, peer, bar, heap, job(folder.path(), name, "pe", &text)));
    }
    if rows.is_empty() {
        return;
    }
    let jobs: Vec<Job> = rows.iter().map(|r| r.5.clone()).collect();
    println!(
        "| lanes x weight x input, accumulator | peer: LUT6 + LUT2 + SRL | bar | LUT | SRL | CARRY4 | FF | registers before the accumulator |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    for (row, result) in rows.iter().zip(synthesize_all(yosys, &jobs, 2)) {
        let Counts { lut, srl, carry, ff, .. } = result.unwrap().counts;
        println!(
            "| {}, {} | {} | {} | {lut} | {srl} | {carry} | {ff} | {} |",
            row.0, row.1, row.2, row.3, row.4.last_stage
        );
    }
    println!();
}

fn element(lanes: usize, bits: u32, acc: usize) -> Heap {
    streamed::element(shape(bits, 2 * lanes, 1, 1, lanes), acc)
}

/// Unsigned inputs and signed weights of `bits` each.
fn shape(bits: u32, columns: usize, rows: usize, pe: usize, simd: usize) -> Shape {
    let [input, weight] = [UNSIGNED, Signedness::Signed].map(|sign| Encoding { bits, sign });
    Shape { rows, columns, pe, simd, input, weight }
}

fn wrapper(heap: &Heap, bits: usize) -> String {
    let row = xc7_row();
    format!(
        "{row}\nmodule pe (input wire aclk, input wire [{0}:0] x, input wire [{0}:0] weights_reg, input wire sum_valid, \
         input wire sum_first, output wire [{1}:0] y);\n{2}\nassign y = value0;\nendmodule\n",
        bits - 1,
        heap.bits - 1,
        heap_sum(heap, Range::ZERO).unwrap()
    )
}

/// Whole units with weights on a stream: control, buffer and queue included.
fn whole_units(yosys: &Found, named: &dyn Fn(&str) -> bool) {
    let cases = [("mvu w4a4", 4, 1230, 700), ("mvu w2a2", 2, 394, 250)];
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Vec::new();
    for (name, bits, peer, bar) in cases.into_iter().filter(|c| named(c.0)) {
        let plan = Streamed::plan(name, shape(bits, 64, 32, 4, 8)).unwrap();
        let module = name.replace(' ', "_");
        let text: String = emit::streamed(&module, &plan).unwrap().into_iter().map(|f| f.text).collect();
        rows.push((name, peer, bar, plan.cycles(), job(folder.path(), &module, &module, &text)));
    }
    if rows.is_empty() {
        return;
    }
    let jobs: Vec<Job> = rows.iter().map(|r| r.4.clone()).collect();
    println!(
        "| unit | best peer | bar | logic cells | of it LUT6_2 | LUT | LUT RAM | SRL | MUXF7/8 | CARRY4 | FF | BRAM | DSP | cycles a vector |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (row, result) in rows.iter().zip(synthesize_all(yosys, &jobs, 2)) {
        let result = result.unwrap();
        let Counts { lut, lutram, srl, mux, carry, ff, bram, dsp, .. } = result.counts;
        // Yosys' own estimate does not know the cells that are instantiated.
        let instantiated = result.counts.cells.get("LUT6_2").copied().unwrap_or(0);
        let cells = result.logic_cells.unwrap() + instantiated;
        println!(
            "| {} | {} | {} | {cells} | {instantiated} | {lut} | {lutram} | {srl} | {mux} | {carry} | {ff} | {bram} | {dsp} | {} |",
            row.0, row.1, row.2, row.3
        );
    }
    println!();
}

/// LUTs of da4ml, and whether rows of the file are inputs.
const MATRICES: [(&str, &str, u32, Option<u64>, bool); 13] = [
    ("pm1 u1", "pm1_32x16", 1, Some(301), true),
    ("pm1 u4", "pm1_32x16", 4, Some(747), true),
    ("ternary u2", "ternary_32x16", 2, Some(664), true),
    ("ternary u4", "ternary_32x16", 4, Some(1007), true),
    ("w3 u3", "uniform_w3_32x16", 3, Some(1534), true),
    ("w4 u4", "uniform_w4_32x16", 4, Some(2522), true),
    ("w6 u4", "uniform_w6_32x16", 4, Some(3788), true),
    ("w8 u8", "uniform_w8_32x16", 8, Some(8110), true),
    ("w4 64x32 u4", "uniform_w4_64x32", 4, Some(9340), true),
    ("split 1 u4", "split_mnist_p9_layer1", 4, None, false),
    ("split 2 u4", "split_mnist_p9_layer2", 4, None, false),
    ("split 3 u4", "split_mnist_p9_layer3", 4, None, false),
    ("split 4 u4", "split_mnist_p9_layer4", 4, None, false),
];

fn constant(yosys: &Found, named: &dyn Fn(&str) -> bool) {
    let Some(zoo) = std::env::var_os("SNUG_ZOO").map(PathBuf::from) else {
        eprintln!("SKIPPED: constant matrices are in data/matrices of the folder SNUG_ZOO; set SNUG_ZOO");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Vec::new();
    for (name, file, bits, peer, inputs_first) in MATRICES.into_iter().filter(|m| named(m.0)) {
        let weights = read(&zoo.join("data/matrices").join(format!("{file}.npy")), inputs_first);
        let range = Range::new(0, (1 << bits) - 1);
        let start = cpu_seconds();
        let plan = Unrolled::plan(&weights, Encoding { bits, sign: UNSIGNED }, &vec![range; weights[0].len()], DEPTH);
        let module = name.replace(' ', "_");
        let text = |queue| -> String {
            let files = unrolled(&module, &plan, queue).unwrap();
            files.iter().map(|f| f.text.as_str()).collect()
        };
        let array = text(None);
        let seconds = cpu_seconds() - start;
        // Enough credits for a beat a clock.
        let stream = text(Some(plan.stages + 4));
        let jobs = [
            job(folder.path(), &format!("{module}_array"), &format!("{module}_array"), &array),
            job(folder.path(), &module, &module, &stream),
        ];
        rows.push((name, peer, plan, seconds, jobs));
    }
    if rows.is_empty() {
        return;
    }
    println!(
        "| matrix, inputs | da4ml | LUT | of it | output bits | shared sums | depth | SRL | CARRY4 | FF | with stream shell: LUT + LUT RAM + SRL | snug, CPU time |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let jobs: Vec<Job> = rows.iter().flat_map(|r| r.4.clone()).collect();
    let mut results = synthesize_all(yosys, &jobs, 2).into_iter().map(|r| r.unwrap().counts);
    for (name, peer, plan, seconds, _) in &rows {
        let (array, stream) = (results.next().unwrap(), results.next().unwrap());
        let ratio = peer.map_or("-".to_owned(), |p| format!("{:.0} %", 100.0 * array.lut as f64 / p as f64));
        let peer = peer.map_or("-".to_owned(), |p| p.to_string());
        println!(
            "| {name} | {peer} | {} | {ratio} | {} | {} | {} | {} | {} | {} | {} + {} + {} | {seconds:.2} s |",
            array.lut,
            plan.output_bits(),
            plan.shared,
            plan.stages,
            array.srl,
            array.carry,
            array.ff,
            stream.lut,
            stream.lutram,
            stream.srl
        );
    }
}

/// CPU time of this process, all threads, in seconds; 0 where the system does not tell it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in parentheses; user and system time are fields 14 and 15, in hundredths.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Rows of outputs.
fn read(path: &Path, inputs_first: bool) -> Vec<Vec<i64>> {
    let file = npyz::NpyFile::new(std::fs::File::open(path).unwrap()).unwrap();
    let shape: Vec<usize> = file.shape().iter().map(|&n| n as usize).collect();
    let bytes = |file: npyz::NpyFile<_>| -> Vec<i64> {
        let values: Vec<i8> = file.into_vec().unwrap();
        values.into_iter().map(i64::from).collect()
    };
    let values = bytes(file);
    if inputs_first {
        (0..shape[1]).map(|o| (0..shape[0]).map(|i| values[i * shape[1] + o]).collect()).collect()
    } else {
        values.chunks(shape[1]).map(<[i64]>::to_vec).collect()
    }
}

fn job(folder: &Path, name: &str, top: &str, text: &str) -> Job {
    let path = folder.join(format!("{name}.v"));
    std::fs::write(&path, text).unwrap();
    Job { flow: Flow::Flat, ..Job::new(vec![path], top.to_owned(), Target::Xc7) }
}
