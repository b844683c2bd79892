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
        for f in generator::emit::verilog(&d.dataflow, &[]).unwrap() {
            std::fs::write(folder.join(&f.name), &f.text).unwrap();
        }
        std::fs::write(folder.join("dataflow.json"), serde_json::to_string(&d.dataflow).unwrap()).unwrap();
    }
}
