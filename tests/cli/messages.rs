//! The words with which bad input is refused: whoever changes one sees it here.

use prost::Message;
use quantizer::onnx::proto::{
    DimensionProto, GraphProto, ModelProto, NodeProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

use super::tool::Place;

/// A graph of nodes in a row, each (operator, name), on an input of 4 numbers.
fn onnx(nodes: &[(&str, &str)]) -> Vec<u8> {
    let value = |name: String| ValueInfoProto {
        name,
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: 1,
                shape: Some(TensorShapeProto {
                    dim: [1, 4].map(|d| DimensionProto { dim_value: Some(d), dim_param: None }).into(),
                }),
            }),
        }),
    };
    let tensor = |i: usize| format!("t{i}");
    let node = |(i, (op, name)): (usize, &(&str, &str))| NodeProto {
        input: vec![tensor(i)],
        output: vec![tensor(i + 1)],
        name: name.to_string(),
        op_type: op.to_string(),
        ..Default::default()
    };
    let graph = GraphProto {
        node: nodes.iter().enumerate().map(node).collect(),
        input: vec![value(tensor(0))],
        output: vec![value(tensor(nodes.len()))],
        ..Default::default()
    };
    ModelProto { ir_version: 8, graph: Some(graph), ..Default::default() }.encode_to_vec()
}

#[test]
fn models_that_are_not_there() {
    let place = Place::new();
    place.refuses(
        "inspect digit.onnx",
        "
snug::model::missing

  × digit.onnx does not exist
  help: did you mean digits.onnx?",
    );
    std::fs::create_dir(place.path("folder")).unwrap();
    place.refuses(
        "inspect folder",
        "
snug::model::folder

  × folder is a folder that snug did not generate
  help: a model is an .onnx file, a snug network (.safetensors) or a generated folder",
    );
}

#[test]
fn files_of_other_kinds() {
    let place = Place::new();
    place.write("model.pt", b"PK\x03\x04 archive/data.pkl");
    place.refuses(
        "inspect model.pt",
        r#"
snug::import::torch

  × 'model.pt' is a PyTorch checkpoint, not ONNX
  help: export a quantized PyTorch model with Brevitas:
            from brevitas.export import export_qonnx
            export_qonnx(model, args=torch.zeros(1, 784), export_path="model.onnx")"#,
    );
    place.write("model.keras", b"PK\x03\x04 config.json model.weights.h5");
    place.refuses(
        "inspect model.keras",
        r#"
snug::import::keras

  × 'model.keras' is a Keras model, not ONNX
  help: export a QKeras model with qonnx:
            from qonnx.converters import from_keras
            from_keras(model, output_path="model.onnx")"#,
    );
    place.write("float.onnx", onnx(&[("MatMul", "MatMul_0")]));
    place.refuses(
        "inspect float.onnx",
        r#"
snug::import::float

  × 'float.onnx' is a float model: it has no Quant, BipolarQuant or MultiThreshold node
  help: quantize it without training:
            snug quantize MODEL --weight-bits 4 --activation-bits 4 --accumulator 16 --method sign-split --calibration DATA -o OUT.safetensors
        or quantize it in training, then export a quantized PyTorch model with Brevitas:
            from brevitas.export import export_qonnx
            export_qonnx(model, args=torch.zeros(1, 784), export_path="model.onnx")"#,
    );
    place.write("qdq.onnx", onnx(&[("QuantizeLinear", "q"), ("DequantizeLinear", "d")]));
    place.refuses(
        "inspect qdq.onnx",
        r#"
snug::import::qdq

  × 'qdq.onnx' is a QDQ model: node 'q' is a QuantizeLinear
  help: convert it with qonnx:
            from qonnx.core.modelwrapper import ModelWrapper
            from qonnx.transformation.qcdq_to_qonnx import QCDQToQuant
            ModelWrapper("qdq.onnx").transform(QCDQToQuant()).save("model.onnx")
        or export QONNX from Brevitas instead: export_qonnx(model, args=example, export_path="model.onnx")"#,
    );
    let whole = std::fs::read(place.path("digits.onnx")).unwrap();
    place.write("half.onnx", &whole[..whole.len() / 2]);
    let done = place.snug("inspect half.onnx");
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("'half.onnx' is truncated"), "{}", done.stderr);
    place.write("damaged.safetensors", [0; 64]);
    let done = place.snug("inspect damaged.safetensors");
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("damaged.safetensors: not a whole safetensors file"), "{}", done.stderr);
}

#[test]
fn inputs_that_do_not_fit() {
    let place = Place::new();
    place.npy("wrong.npy", &[2, 8, 9], &vec![0.0f32; 144]);
    place.refuses(
        "simulate digits.onnx --inputs wrong.npy",
        "
snug::data::shape

  × wrong.npy: shape [2, 8, 9] does not fit the network's input, [64]
  help: data have the input's shape, with or without a batch dimension in front",
    );
    place.refuses(
        "simulate digits.onnx --inputs nothing.npy",
        "
snug::data::read

  × cannot read nothing.npy: No such file or directory (os error 2)",
    );
    std::fs::create_dir(place.path("images")).unwrap();
    place.refuses(
        "simulate digits.onnx --inputs images",
        "
snug::data::folder

  × images is a folder; PNG files in it, a sub-folder of them for each class, or CIFAR-10's data_batch_*.bin are accepted, but there are none",
    );
    place.npy("codes.npy", &[1, 64], &vec![16i64; 64]);
    place.refuses(
        "simulate digits.onnx --input-type u4 --inputs codes.npy",
        "
snug::data::code

  × codes.npy: sample 0, element [0]: 16 is no code of u4, which the pins carry
  help: `snug inspect` shows what the pins carry; integers are such codes for a stored network or a generated folder, floats and pixels are quantized where it knows its first quantizer",
    );
    place.npy("real.npy", &[1, 64], &vec![0.3f32; 64]);
    place.refuses(
        "simulate digits.onnx --input-type u8/255 --inputs real.npy",
        "
snug::data::code

  × real.npy: sample 0, element [0]: 0.30000001192092896 is not a code divided by 255
  help: pass the integer codes, or leave --input-type out so that the network's own quantizer applies",
    );
    place.npy("few.npy", &[3], &[1i64, 2, 3]);
    place.refuses(
        "simulate digits.onnx --inputs test_inputs.npy --labels few.npy",
        "
snug::data::count

  × few.npy has 3 samples, but test_inputs.npy has 360
  help: --limit 3 takes the first 3 samples of both",
    );
    place.npy("labels.npy", &[360], &vec![10i64; 360]);
    place.refuses(
        "simulate digits.onnx --inputs test_inputs.npy --labels labels.npy",
        "
snug::data::label

  × labels.npy: label 10 of sample 0 is none of the network's 10 classes (0 to 9)",
    );
    place.refuses(
        "compare digits.onnx --inputs test_inputs.npy --expect few.npy",
        "
snug::data::shape

  × few.npy: shape [3] does not fit the network's output, [10]
  help: data have the output's shape, with or without a batch dimension in front",
    );
}

#[test]
fn options_that_do_not_fit() {
    let place = Place::new();
    place.refuses(
        "check digits.onnx --accumulator norm3=12",
        "
snug::layer::unknown

  × no layer with accumulators is called 'norm3'; did you mean 'norm2'?
  help: `snug inspect` lists the layers",
    );
    place.refuses(
        "check digits.onnx --accumulator 12,12",
        "
snug::usage

  × 2 accumulator widths for 3 layers: norm1, norm2, fc3
  help: --accumulator 12, or 12,12,16 in layer order, or f.10=12,f.13=16 by name",
    );
    place.refuses(
        "inspect digits.onnx --input-type q8",
        "
snug::usage

  × --input-type: 'q8' is no input type: a type begins with u or s; write for example u8/255, s16/1024 or u8",
    );
    place.refuses(
        "inspect digits.onnx --mean a",
        "
snug::usage

  × --mean: 'a' is not a decimal number",
    );
    place.refuses(
        "generate digits.onnx -o out --top module",
        "
snug::usage

  × 'module' cannot name the top module: a Verilog identifier of letters, digits and underscores is needed, not a keyword and not the name of a module that all designs share",
    );
    assert_eq!(place.snug("generate digits.onnx -o out").code, 0);
    place.refuses(
        "simulate out --inputs test_inputs.npy --input-type u8/255",
        "
snug::model::settled

  × --input-type is for .onnx files: out/network.safetensors says itself what its pins carry
  help: give the option when importing the .onnx file",
    );
}

#[test]
fn errors_are_json_where_results_would_be() {
    let place = Place::new();
    let error = place.json("inspect nothing.onnx", 2);
    assert_eq!(error["schema"], "snug.error/1");
    assert_eq!(error["error"]["code"], "model::missing");
    assert_eq!(error["error"]["message"], "nothing.onnx does not exist");
    let usage = place.json("inspect", 2);
    assert_eq!(usage["error"]["code"], "usage");
    assert!(usage["error"]["message"].as_str().unwrap().contains("<MODEL>"), "{usage}");
}
