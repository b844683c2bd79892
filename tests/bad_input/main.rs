//! What is wrong with a file is said by name: exit code 2, a message that names the place, and nothing written. Names that
//! a file may have but Verilog and file systems dislike are no error. Wrong options, foldings and folders are in `cli`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod convolutions;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use quantizer::onnx::build::{encode, floats};
use quantizer::onnx::proto::{ModelProto, NodeProto, StringStringEntryProto, TensorAnnotation, TensorProto};
use quantizer::onnx::sequence::{QuantSpec, Sequence};
use sim::tools::Tool;
use tempfile::TempDir;

/// 4 inputs, 3 hidden, 2 outputs: a network that is good.
fn good() -> Sequence {
    let mut s = Sequence::new(&[1, 4]);
    s.quant(QuantSpec::new(4, false, &0.25));
    let w = [0.5, -0.5, 1.0, 0.0, 1.5, -1.0, 0.5, 0.5, -1.5, 1.0, 0.0, 0.5];
    s.matmul(&[4, 3], &w, QuantSpec::new(3, true, &0.5));
    s.node("Relu", &["@"], vec![]);
    s.quant(QuantSpec::new(2, false, &1.0));
    s.matmul(&[3, 2], &[0.5, -0.5, 1.0, 1.5, 0.0, -1.0], QuantSpec::new(3, true, &0.5));
    s
}

fn nodes(model: &mut ModelProto) -> &mut Vec<NodeProto> {
    &mut model.graph.as_mut().unwrap().node
}

/// The initializer that is input `input` of the first `Quant` after `skip` others.
fn parameter(model: &mut ModelProto, skip: usize, input: usize) -> &mut TensorProto {
    let graph = model.graph.as_mut().unwrap();
    let name = graph.node.iter().filter(|n| n.op_type == "Quant").nth(skip).unwrap().input[input].clone();
    graph.initializer.iter_mut().find(|t| t.name == name).unwrap()
}

/// Gives a parameter of a `Quant` one value.
fn set(model: &mut ModelProto, skip: usize, input: usize, value: f32) {
    let tensor = parameter(model, skip, input);
    *tensor = floats(&tensor.name.clone(), &[], &[value]);
}

/// Keeps a weight tensor outside of the file.
fn external(model: &mut ModelProto, location: &str) {
    let tensor = parameter(model, 1, 0);
    tensor.raw_data.clear();
    tensor.data_location = 1;
    tensor.external_data = vec![StringStringEntryProto { key: "location".into(), value: location.into() }];
}

/// A folder with a network in it.
struct Place(TempDir);

impl Place {
    fn new(bytes: &[u8]) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("net.onnx", bytes);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    fn snug(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_snug")).args(arguments).current_dir(self.path()).output().unwrap()
    }

    /// Every file and folder below, with what is in it.
    fn contents(&self) -> BTreeSet<(String, Option<Vec<u8>>)> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.path()).unwrap().display().to_string();
                found.insert((name, std::fs::read(&path).ok()));
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }

    /// What `generate` says, which must refuse and leave the folder as it was.
    fn refusal(&self, arguments: &[&str]) -> String {
        let before = self.contents();
        let all = [&["generate", "net.onnx"], arguments].concat();
        let output = self.snug(&all);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        // The same for a program: one JSON document on stdout.
        let output = self.snug(&[&all[..], &["--json"]].concat());
        assert_eq!(output.status.code(), Some(2));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["schema"], "snug.error/1");
        assert!(!json["error"]["message"].as_str().unwrap().is_empty());
        assert!(before == self.contents(), "something was written: {:?}", self.contents());
        text
    }
}

/// What `generate` says to a file, which it must refuse.
fn refused(bytes: &[u8]) -> String {
    Place::new(bytes).refusal(&["-o", "out"])
}

/// Whether a message is exactly this one, but for spaces at the ends of lines.
#[track_caller]
fn says(message: String, expected: &str) {
    let trim = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned();
    let (message, expected) = (trim(&message), trim(expected));
    assert!(message == expected, "it says:\n{message}\n\nexpected:\n{expected}\n");
}

fn refused_model(change: impl FnOnce(&mut ModelProto)) -> String {
    let mut model = good().model(&[1, 2]);
    change(&mut model);
    refused(&encode(&model))
}

#[test]
fn the_base_is_good() {
    let place = Place::new(&good().bytes(&[1, 2]));
    let output = place.snug(&["generate", "net.onnx", "-o", "out"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.path().join("out/files.f").exists());
}

#[test]
fn truncated_file() {
    let bytes = good().bytes(&[1, 2]);
    says(
        refused(&bytes[..bytes.len() / 2]),
        "
snug::import::truncated

  × 'net.onnx' is truncated: a field at byte 11 says 780 bytes, 401 are left
  help: copy or download the file again",
    );
}

#[test]
fn not_onnx() {
    says(
        refused(b"Dear network,\nplease find attached my weights.\n"),
        "
snug::import::not_onnx

  × 'net.onnx' is not an ONNX file: field 8 of wire type 4 at byte 0 is none of ModelProto's
  help: a model is an .onnx file, a snug network (.safetensors) or a generated folder",
    );
}

#[test]
fn unsupported_operators_are_listed_all_at_once() {
    let mut s = good();
    s.node("Erf", &["@"], vec![]);
    s.node("LayerNormalization", &["@"], vec![]);
    says(
        refused(&s.bytes(&[1, 2])),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 2 things stand in the way
  │   1. node 'Erf_t7' (Erf): operator Erf is not supported
  │      use Relu, LeakyRelu, PRelu, Clip, HardSigmoid, Sigmoid or Tanh in front of a Quant node
  │   2. node 'LayerNormalization_t8' (LayerNormalization): operator LayerNormalization is not supported
  │      use BatchNormalization",
    );
}

#[test]
fn scale_nan() {
    says(
        refused_model(|m| set(m, 1, 1, f32::NAN)),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Quant_t1' (Quant): its scale is not finite: element 0 of 'c4' is NaN
  │      train again with a scale that cannot vanish (Brevitas: scaling_min_val)",
    );
}

#[test]
fn scale_infinite() {
    says(
        refused_model(|m| set(m, 2, 1, f32::INFINITY)),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Quant_t4' (Quant): its scale is not finite: element 0 of 'c7' is inf
  │      train again with a scale that cannot vanish (Brevitas: scaling_min_val)",
    );
}

#[test]
fn scale_zero() {
    says(
        refused_model(|m| set(m, 0, 1, 0.0)),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Quant_t0' (Quant): its scale is 0; scales are positive
  │      train again with a scale that cannot vanish (Brevitas: scaling_min_val)",
    );
}

#[test]
fn zero_point() {
    says(
        refused_model(|m| set(m, 2, 2, 3.0)),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Quant_t4' (Quant): its zero point is 3, only 0 is supported
  │      train with symmetric quantizers (Brevitas: zero_point_impl = ZeroZeroPoint)",
    );
}

#[test]
fn weights_that_need_more_bits_than_declared() {
    let mut s = Sequence::new(&[1, 2]);
    s.quant(QuantSpec::new(2, false, &1.0));
    let weights = s.floats(&[2, 2], &[1.0, -2.0, 2.0, 1.0]);
    s.node("MatMul", &["@", &weights], vec![]);
    let mut model = s.model(&[1, 2]);
    model.graph.as_mut().unwrap().quantization_annotation = vec![TensorAnnotation {
        tensor_name: weights,
        quant_parameter_tensor_names: vec![StringStringEntryProto {
            key: "finn_datatype".into(),
            value: "INT2".into(),
        }],
    }];
    says(
        refused(&encode(&model)),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'MatMul_t1' (MatMul): its tensor 'c3': element 2 is 2, which the declared type s2 does not hold
  │      declare a type with more bits, or quantize again",
    );
}

#[test]
fn shapes_that_disagree() {
    let mut s = good();
    s.matmul(&[3, 2], &[0.0; 6], QuantSpec::new(2, true, &1.0));
    says(
        refused(&s.bytes(&[1, 2])),
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'MatMul_t8' (MatMul): shapes disagree: data [1, 2], weights [3, 2]
  │      a layer needs one vector of as many elements as its weights have inputs; check the graph's shapes",
    );
}

#[test]
fn cyclic_graph() {
    says(
        refused_model(|m| {
            let last = m.graph.as_ref().unwrap().output[0].name.clone();
            nodes(m)[2].input[0] = last;
        }),
        "
snug::import::graph

  × 'net.onnx': the graph has a cycle through 'MatMul_t6', 'Quant_t4', 'Relu_t3', 'MatMul_t2'",
    );
}

#[test]
fn missing_external_data() {
    says(refused_model(|m| external(m, "weights.bin")), "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Quant_t1' (Quant): its tensor 'c3': its external data 'weights.bin' cannot be read: No such file or directory (os error 2)
  │      export again, and keep external files beside it");
}

#[test]
fn external_path_that_leaves_the_folder() {
    says(refused_model(|m| external(m, "../../etc/passwd")), "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Quant_t1' (Quant): its tensor 'c3': its external data '../../etc/passwd' lies outside the model's folder; such files are not opened
  │      export again, and keep external files beside it");
    says(refused_model(|m| external(m, "/etc/passwd")), "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Quant_t1' (Quant): its tensor 'c3': its external data '/etc/passwd' lies outside the model's folder; such files are not opened
  │      export again, and keep external files beside it");
}

#[test]
fn ten_gigabytes_in_a_kilobyte() {
    let weights = refused_model(|m| parameter(m, 1, 0).dims = vec![50_000, 50_000]);
    says(
        weights,
        "
snug::import::blocked

  × 'net.onnx' cannot be built: 1 thing stands in the way
  │   1. node 'Quant_t1' (Quant): its tensor 'c3': its shape [50000, 50000] needs 2500000000 elements, the file holds 12
  │      export again, and keep external files beside it",
    );
    let mut s = Sequence::new(&[1, 50_000, 50_000]);
    s.quant(QuantSpec::new(4, false, &0.25));
    says(
        refused(&s.bytes(&[1, 50_000, 50_000])),
        "
snug::import::graph

  × 'net.onnx': input 'x' has a shape of more than 16777216 elements: [1, 50000, 50000]",
    );
}

#[cfg(unix)]
#[test]
fn output_folder_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new(&good().bytes(&[1, 2]));
    let locked = place.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::create_dir(locked.join("probe")).is_ok() {
        eprintln!("SKIPPED: a folder that cannot be written; permissions do not bind this user");
        return;
    }
    // The path of the temporary folder stands in the message.
    let path = place.path().canonicalize().unwrap().join("locked").display().to_string();
    says(
        place.refusal(&["-o", "locked/out"]).replace(&path, "locked"),
        "
snug::output::write

  × cannot create a folder in locked: Permission denied (os error 13)
  help: nothing was changed",
    );
}

/// Calls a tensor by another name everywhere.
fn rename(model: &mut ModelProto, from: &str, to: &str) {
    let graph = model.graph.as_mut().unwrap();
    let values = graph.input.iter_mut().chain(&mut graph.output).map(|v| &mut v.name);
    let constants = graph.initializer.iter_mut().map(|t| &mut t.name);
    let ends = graph.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
    for name in values.chain(constants).chain(ends).filter(|n| *n == from) {
        *name = to.to_owned();
    }
}

/// Names of layers, tensors and the file itself that would break a quotation, a comment, an identifier or a path.
#[test]
fn names_made_of_anything() {
    const NAMES: [&str; 6] =
        ["a\"b'c `define", "  ", "module", "../../etc/passwd", "*/ endmodule /*", "\u{202e}\0\n\\"];
    for turn in 0..NAMES.len() {
        let mut model = good().model(&[1, 2]);
        for (i, node) in nodes(&mut model).iter_mut().enumerate() {
            node.name = NAMES[(turn + i) % NAMES.len()].to_owned();
        }
        // Parameters that give their layer a module path, input and output.
        let weights = [1, 3].map(|skip| parameter(&mut model, skip, 0).name.clone());
        let output = model.graph.as_ref().unwrap().output[0].name.clone();
        let tensors = [("x", 0, "x"), (&output, 1, "y"), (&weights[0], 2, ".weight"), (&weights[1], 3, ".weight")];
        for (from, which, end) in tensors {
            let name = NAMES[(turn + which) % NAMES.len()];
            rename(&mut model, from, &format!("{name}{end}"));
        }
        let place = Place(tempfile::tempdir().unwrap());
        let file = ["it's \"best\" (v1).onnx", "module.onnx", "-3 $(reboot).onnx"][turn % 3];
        place.write(file, &encode(&model));
        let output = place.snug(&["generate", &format!("./{file}"), "-o", "out", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let top = report["top"].as_str().unwrap();

        // Nothing beside the folder, and no name in it that is not a plain one.
        let beside: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(beside.len(), 2, "{beside:?}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        let names: Vec<_> = place.contents().into_iter().map(|(name, _)| name).filter(|n| n != file).collect();
        assert!(names.iter().all(|n| n.chars().all(plain)), "{names:?}");

        let list = std::fs::read_to_string(place.path().join("out/files.f")).unwrap();
        let files: Vec<_> = list.lines().map(|f| place.path().join("out").join(f)).collect();
        if let Some(verilator) = common::tool(Tool::Verilator) {
            sim::verilator::lint(&verilator, &files, top).unwrap_or_else(|e| panic!("turn {turn}: {e}"));
        }
        if common::program("iverilog", "-V") {
            let args = ["-g2005", "-Wall", "-s", top, "-o", "/dev/null"];
            let output = Command::new("iverilog").args(args).args(&files).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !text.contains("warning"), "turn {turn}: {text}");
        }
        // The folder is a model like any other: its stored network has the names unchanged.
        let output = place.snug(&["inspect", "out", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let check = place.snug(&["generate", &format!("./{file}"), "-o", "out", "--check"]);
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    }
}
