//! Every kind of module, printed from random networks, is read without a warning by Verilator, Icarus and Yosys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use generator::dataflow::Output;
use generator::emit::verilog;
use generator::folding::FoldingRequest;
use generator::lower::{LowerOptions, lower};
use generator::target::{Backend, retarget};
use quantizer::testing::{Limits, conv_network, network};

fn available(tool: &str) -> bool {
    let found = Command::new(tool).arg("-V").output().is_ok();
    if !found {
        eprintln!("SKIPPED: {tool} is not installed (apt-get install {tool})");
    }
    found
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{text}");
    text
}

#[test]
fn printed_verilog_is_clean() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lint");
    let mut convolutional = 0;
    let (verilator, icarus, yosys) = (available("verilator"), available("iverilog"), available("yosys"));
    // Perceptrons, then convolutional networks.
    for seed in 0..48u64 {
        let limits = Limits { layers: 5, width: 6, bits: 4 };
        let network = if seed < 24 { network(seed, Limits::default()) } else { conv_network(seed, limits) };
        let folding = match seed % 3 {
            0 => FoldingRequest::Default,
            1 if seed < 24 => FoldingRequest::Interval(4 + seed),
            1 => FoldingRequest::Interval(900),
            _ if seed < 24 => FoldingRequest::Interval(1),
            _ => FoldingRequest::Interval(2500),
        };
        let output = if seed % 2 == 0 && network.label_grid.is_ok() { Output::Label } else { Output::Logits };
        let options = LowerOptions { folding, top: Some(format!("net{seed}")), output };
        let mut dataflow = match lower(&network, &options) {
            Ok(dataflow) => dataflow,
            // What the generator does not build it names.
            Err(e) if seed >= 24 => {
                assert!(e.to_string().contains("layer '") || e.to_string().contains("interval"), "seed {seed}: {e}");
                continue;
            }
            Err(e) => panic!("seed {seed}: {e}"),
        };
        convolutional += usize::from(seed >= 24);
        retarget(&mut dataflow, [Backend::Generic, Backend::Xc7, Backend::Ecp5][seed as usize / 3 % 3]);
        let files = verilog(&dataflow, &[]).unwrap();
        assert_eq!(files, verilog(&dataflow, &[]).unwrap(), "same dataflow, same bytes");
        let folder = folder.join(seed.to_string());
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let paths: Vec<_> = files.iter().map(|f| folder.join(&f.name)).collect();
        for (file, path) in files.iter().zip(&paths) {
            std::fs::write(path, &file.text).unwrap();
        }
        if verilator {
            run(Command::new("verilator").args(["--lint-only", "-Wall", "--top-module", &dataflow.top]).args(&paths));
        }
        if icarus {
            let text = run(Command::new("iverilog").args(["-g2005", "-Wall", "-o", "/dev/null"]).args(&paths));
            assert!(!text.contains("warning"), "seed {seed}: {text}");
        }
        if yosys && seed % 24 < 6 {
            let list: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
            let script = format!(
                "read_verilog -formal {}; hierarchy -check -top {}; proc; check -assert",
                list.join(" "),
                dataflow.top
            );
            let text = run(Command::new("yosys").args(["-q", "-p", &script]));
            assert!(!text.contains("Warning"), "seed {seed}: {text}");
        }
    }
    assert!(convolutional > 12, "only {convolutional} of 24 convolutional networks can be built");
}
