use std::collections::BTreeMap; use std::time::Instant; use std::io::Read;
use generator::dataflow::Output; use generator::folding::{FoldingRequest, LayerFolding}; use generator::lower::{LowerOptions, lower};
use quantizer::import::{ImportOptions, import};
fn main(){
  let t=Instant::now();
  let zoo=std::env::var("SNUG_ZOO").unwrap();
  let im=import(std::path::Path::new(&format!("{zoo}/models/TFC_2W2A.onnx")),&ImportOptions::default()).unwrap();
  println!("import {:?}",t.elapsed());
  let n=im.network;
  for l in &n.layers { println!("{} {}", l.name, l.node); }
  println!("{:?} {:?}", n.label_grid, n.notes);
  let names: Vec<String>=n.dense_layers().map(|(l,_)|l.name.clone()).collect();
  let f: BTreeMap<_,_>=names.iter().cloned().zip([(16,49),(8,8),(8,8),(10,8)].map(|(pe,simd)|LayerFolding{pe,simd})).collect();
  let t=Instant::now();
  let d=lower(&n,&LowerOptions{folding:FoldingRequest::Layers(f),top:Some("tfc".into()),output:Output::Logits}).unwrap();
  let v=generator::emit::verilog(&d,&[]).unwrap();
  println!("lower+emit {:?} {} files {} bytes",t.elapsed(),v.len(),v.iter().map(|f|f.text.len()).sum::<usize>());
  std::fs::create_dir_all("/tmp/tfc").unwrap();
  for f in &v { std::fs::write(format!("/tmp/tfc/{}",f.name),&f.text).unwrap(); }
  for m in &d.modules { println!("{} {:?} cyc {} depth {}",m.name, std::mem::discriminant(&m.kind), m.cycles(&d), m.queue_depth()); }
  let mut raw=Vec::new(); flate2::read::GzDecoder::new(std::fs::File::open(format!("{zoo}/data/mnist/t10k-images-idx3-ubyte.gz")).unwrap()).read_to_end(&mut raw).unwrap();
  let fq=im.first_quant.unwrap();
  let x=ndarray::Array2::from_shape_fn((10000,784),|(i,j)| fq.code(f64::from(f32::from(raw[16+i*784+j])/255.0),0).unwrap());
  let t=Instant::now(); let g=sim::golden::run(&n,x.view()).unwrap(); println!("golden {:?}",t.elapsed());
  let t=Instant::now(); let c=sim::cycle::run(&d,x.view(),&Default::default()).unwrap(); let e=t.elapsed();
  println!("cycle {:?} {} cycles = {:.0} clk/s, equal {} trapped {} interval {:?} latency {:?}",e,c.cycles,c.cycles as f64/e.as_secs_f64(),c.result==g,c.trapped,c.interval(&d),c.latency(&d));

  use sim::cosim::*; use sim::verilator::*; use sim::tools::{find,Tool};
  let tool=find(Tool::Verilator).unwrap();
  for (mode,mon,nimg) in [(Mode::Fast,false,2000),(Mode::Fast,false,4000)] {
    let folder=std::path::PathBuf::from(format!("/tmp/tfcv-{mon}"));
    let comp=Compiled::new(&tool,&d,&folder,CompileOptions{mode,monitor:mon,jobs:2,..Default::default()}).unwrap();
    println!("build {:.1} s",comp.build_seconds());
    for stall in sim::stall::Stall::all(3) {
      let xs=x.slice(ndarray::s![..nimg,..]);
      let (r,res)=comp.run(xs,&RunOptions{stall,seed:5,..RunOptions::new(0)}).unwrap();
      let t=Instant::now();
      let c=sim::cycle::run(&d,xs,&sim::cycle::Options{stall,record:mon,..Default::default()}).unwrap();
      let e=t.elapsed().as_secs_f64();
      println!("{mode:?} verilator {:.0} clk/s cycle {:.0} ratio {:.1} equal {} diff {:?} frame_error {:?}",r.clocks_per_second(),c.cycles as f64/e,(c.cycles as f64/e)/r.clocks_per_second(),res==c.result,difference(&d,&c,&r).map(|d|d.to_string()),r.frame_error);
    }
  }
}
