//! A design small enough to count by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{dut, tool_or_skip};
use sim::tools::{Tool, ToolError};
use sim::yosys::{Flow, Job, Target, YosysError, synthesize, synthesize_all};

fn job(target: Target, flow: Flow) -> Job {
    Job { flow, ..Job::new(vec![dut("tree.v")], "tree", target) }
}

#[test]
fn flat_and_per_module_figures_of_every_target() {
    let Some(yosys) = tool_or_skip(Tool::Yosys) else { return };
    let jobs: Vec<Job> = Target::ALL.into_iter().flat_map(|t| [job(t, Flow::Flat), job(t, Flow::PerModule)]).collect();
    let results = synthesize_all(&yosys, &jobs, 2);
    assert_eq!(results.len(), jobs.len());
    for (job, result) in jobs.iter().zip(results) {
        let synthesis = result.unwrap();
        let (target, counts) = (job.target, &synthesis.counts);
        eprintln!("{target} {:?}: {counts:?} levels {:?} LCs {:?}", job.flow, synthesis.levels, synthesis.logic_cells);
        assert_eq!((synthesis.target, synthesis.flow), (job.target, job.flow));
        assert!(synthesis.version.starts_with("Yosys 0."), "{}", synthesis.version);
        assert_eq!((counts.ff, counts.dsp, counts.bram), (28, 0, 0), "{target}");
        let carry = match target {
            Target::Generic => 0,
            // Four and two bits a cell.
            Target::Xc7 => 2 + 2 + 3,
            Target::Ecp5 => 4 + 4 + 6,
            // One a bit, but for the last, which has no carry out.
            Target::Ice40 => 7 + 7 + 11,
        };
        assert_eq!(counts.carry, carry, "{target}");
        if target == Target::Xc7 {
            // One LUT a bit of sum, one for the parity of six; the eight inverters before an adder stay apart.
            assert_eq!((counts.lut, counts.inv), (8 + 8 + 12 + 1, 8));
        }
        if job.flow == Flow::Flat {
            assert!(synthesis.modules.is_empty());
            assert!(synthesis.levels.unwrap() >= 1);
            assert_eq!(synthesis.logic_cells.is_some(), target == Target::Xc7);
        } else {
            let modules: Vec<_> =
                synthesis.modules.iter().map(|m| (m.source.as_str(), m.instances, m.counts.ff)).collect();
            assert_eq!(modules, [("leaf", 2, 8), ("leaf", 1, 12), ("tree", 1, 0)], "{target}");
            assert_eq!(synthesis.levels, None);
        }
    }
}

#[test]
fn levels_count_cells_between_registers() {
    let Some(yosys) = tool_or_skip(Tool::Yosys) else { return };
    // A LUT and the three CARRY4 of 12 bits.
    assert_eq!(synthesize(&yosys, &job(Target::Xc7, Flow::Flat)).unwrap().levels, Some(4));
}

#[test]
fn json_has_the_documented_keys() {
    let Some(yosys) = tool_or_skip(Tool::Yosys) else { return };
    let synthesis = synthesize(&yosys, &job(Target::Xc7, Flow::PerModule)).unwrap();
    let json = serde_json::to_value(&synthesis).unwrap();
    for key in [
        "tool",
        "version",
        "target",
        "lut",
        "lutram",
        "srl",
        "ff",
        "carry",
        "bram",
        "dsp",
        "levels",
        "fmax_mhz",
        "lut_estimate",
        "modules",
    ] {
        assert!(json.get(key).is_some(), "{key}: {json}");
    }
    assert_eq!((&json["tool"], &json["target"]), (&"yosys".into(), &"xc7".into()));
    for key in ["name", "lut", "lut_estimate"] {
        assert!(json["modules"][0].get(key).is_some(), "{key}: {json}");
    }
}

#[test]
fn failures_name_their_cause() {
    let Some(yosys) = tool_or_skip(Tool::Yosys) else { return };
    let error = synthesize(&yosys, &Job { top: "absent".into(), ..job(Target::Xc7, Flow::Flat) }).unwrap_err();
    assert!(matches!(error, YosysError::Tool(ToolError::Crashed { .. })), "{error}");
    assert!(error.to_string().contains("absent"), "{error}");
    let script = Job { top: "tree; shell rm".into(), ..job(Target::Xc7, Flow::Flat) };
    assert!(matches!(synthesize(&yosys, &script), Err(YosysError::Invalid { what: "module name", .. })));
    let quote = Job { files: vec!["a\".v".into()], ..job(Target::Xc7, Flow::Flat) };
    assert!(matches!(synthesize(&yosys, &quote), Err(YosysError::Invalid { .. })));
    assert!("xc8".parse::<Target>().is_err());
}

/// The models of primitives that simulations and proofs use are those that Yosys has for the device.
#[test]
fn primitives_are_those_of_the_device() {
    let Some(yosys) = tool_or_skip(Tool::Yosys) else { return };
    let ours = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../hw-templates/rtl/{name}.v"));
        path.canonicalize().unwrap().display().to_string()
    };
    let equal = |name: &str, wrapper: &str| {
        let side = |side: &str, read: &str| {
            format!(
                "design -reset\nread_verilog -formal {read}\nread_verilog <<EOT\n{}EOT\nhierarchy -top {side}\nproc\nflatten\nopt_clean\n\
                 design -stash {side}\n",
                wrapper.replace("wrapper", side)
            )
        };
        let script = format!(
            "{}{}design -reset\ndesign -copy-from gold -as gold gold\ndesign -copy-from gate -as gate gate\n\
             miter -equiv -flatten gold gate miter\nhierarchy -top miter\nsat -verify -prove trigger 0 miter\n",
            side("gold", "+/xilinx/cells_sim.v"),
            side("gate", &ours(name))
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("equal.ys");
        std::fs::write(&path, script).unwrap();
        let output = yosys.command().arg("-Q").arg("-s").arg(&path).output();
        output.map(|o| o.stdout.contains("SAT proof finished - no model found: SUCCESS!"))
    };
    // Each of the 64 addresses under words that tell all addresses apart: bit `n` of word `k` is bit `k` of `n`.
    for k in 0..6 {
        let init = (0..64u64).fold(0u64, |word, n| word | (n >> k & 1) << n);
        let lut = format!(
            "module wrapper (input [5:0] i, output o6, output o5);\nLUT6_2 #(.INIT(64'h{init:016x})) lut (.I0(i[0]), .I1(i[1]), .I2(i[2]), \
             .I3(i[3]), .I4(i[4]), .I5(i[5]), .O6(o6), .O5(o5));\nendmodule\n"
        );
        assert!(equal("LUT6_2", &lut).unwrap(), "INIT {init:016x}");
    }
    let carry = "module wrapper (input [3:0] s, input [3:0] d, input ci, input cy, output [3:0] o, output [3:0] co);\nCARRY4 carry (.S(s), \
                 .DI(d), .CI(ci), .CYINIT(cy), .O(o), .CO(co));\nendmodule\n";
    assert!(equal("CARRY4", carry).unwrap());
}
