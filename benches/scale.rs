use generator::lower::{LowerOptions, lower};
use quantizer::import::{ImportOptions, import};
use std::time::Instant;
fn main() {
    let f = std::path::Path::new("/tmp/rn18.onnx");
    let t = Instant::now();
    std::fs::write(f, quantizer::testing::resnet18(1, 64, 224, 1000)).unwrap();
    eprintln!("made {:?}", t.elapsed());
    let t = Instant::now();
    let network = import(f, &ImportOptions::default()).unwrap().network;
    eprintln!("import {:?}", t.elapsed());
    let t = Instant::now();
    let mut dataflow = lower(&network, &LowerOptions::default()).unwrap();
    eprintln!(
        "lower {:?} {} modules, interval {} {:?}",
        t.elapsed(),
        dataflow.modules.len(),
        dataflow.interval(),
        dataflow.bottleneck().map(|m| m.name.clone())
    );
    let t = Instant::now();
    let c = quantizer::certificate::Certificate::of(&network).unwrap();
    eprintln!("cert {:?}", t.elapsed());
    drop(c);
    let t = Instant::now();
    let e = generator::estimate::estimate(&dataflow);
    eprintln!("estimate {:?} {}", t.elapsed(), e.total.lut_total());
    let t = Instant::now();
    let v = generator::emit::verilog(&dataflow, &[]).unwrap();
    eprintln!(
        "emit {:?} {} files {} MB",
        t.elapsed(),
        v.len(),
        v.iter().map(|f| f.text.len()).sum::<usize>() / 1000000
    );
    let x = ndarray::Array2::<i64>::zeros((1, 150528));
    let t = Instant::now();
    let r = sim::golden::run(&network, x.view()).unwrap();
    eprintln!("golden 1 {:?} {}", t.elapsed(), r[[0, 0]]);
    let t = Instant::now();
    sim::fifo::size(&mut dataflow).unwrap();
    eprintln!("fifo {:?}", t.elapsed());
    let t = Instant::now();
    let r = sim::cycle::run(&dataflow, x.view(), &sim::cycle::Options { values: false, ..Default::default() }).unwrap();
    eprintln!("tokens 1 {:?} {}", t.elapsed(), r.cycles);
    let t = Instant::now();
    let r = sim::cycle::run(&dataflow, x.view(), &Default::default()).unwrap();
    eprintln!("cycle 1 {:?} {}", t.elapsed(), r.cycles);
}
