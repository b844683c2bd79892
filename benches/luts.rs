//! Estimates against Yosys, module by module: `cargo bench --bench luts`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "luts/designs.rs"]
mod designs;

use std::path::Path;

fn main() {
    let mut all = designs::networks();
    all.extend(designs::SEEDS.map(designs::small));
    for d in &all {
        let folder = Path::new("/tmp/est").join(&d.name);
        std::fs::create_dir_all(&folder).unwrap();
        let t = std::time::Instant::now();
        let e = generator::estimate::estimate(&d.dataflow);
        eprintln!("{} {:?} {:?}", d.name, e.total, t.elapsed());
        std::fs::write(folder.join("estimate.json"), serde_json::to_string(&e).unwrap()).unwrap();
    }
}
