//! Files that cannot be imported: each gets an error that names the place, and none a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use quantizer::import::{Blocker, GraphProblem, ImportError, ImportOptions, Imported, import, import_file};
use quantizer::onnx::build::{encode, floats, ints, node, text, value};
use quantizer::onnx::file::{self, FileError, OtherFormat};
use quantizer::onnx::proto::{ModelProto, NodeProto, StringStringEntryProto, TensorAnnotation, TensorProto, data_type};
use quantizer::onnx::sequence::{QuantSpec, Sequence};

/// 4 inputs, 3 hidden, 2 outputs.
fn good() -> Sequence {
    let mut s = Sequence::new(&[1, 4]);
    s.quant(QuantSpec::new(4, false, &0.25));
    let w = [0.5, -0.5, 1.0, 0.0, 1.5, -1.0, 0.5, 0.5, -1.5, 1.0, 0.0, 0.5];
    s.matmul(&[4, 3], &w, QuantSpec::new(3, true, &0.5));
    s.with("Add", &[3], &[0.25, -1.0, 0.5]);
    s.node("Relu", &["@"], vec![]);
    s.quant(QuantSpec::new(2, false, &1.0));
    s.matmul(&[3, 2], &[0.5, -0.5, 1.0, 1.5, 0.0, -1.0], QuantSpec::new(3, true, &0.5));
    s
}

fn decode(bytes: &[u8]) -> Result<Imported, ImportError> {
    let file = file::decode(bytes, "test.onnx".into(), PathBuf::new())?;
    import_file(&file, &ImportOptions::default())
}

fn of(model: &ModelProto) -> Result<Imported, ImportError> {
    decode(&encode(model))
}

fn blockers(model: &ModelProto) -> Vec<Blocker> {
    match of(model) {
        Err(ImportError::Blocked { blockers, .. }) => blockers,
        other => panic!("{other:?}"),
    }
}

/// The only blocker, whose text must hold all of `parts`.
fn blocked(model: &ModelProto, node: &str, parts: &[&str]) {
    let blockers = blockers(model);
    assert_eq!(blockers.len(), 1, "{blockers:?}");
    assert_eq!(blockers[0].node, node);
    assert!(!blockers[0].hint.is_empty());
    for part in parts {
        assert!(blockers[0].to_string().contains(part), "'{part}' is not in: {}", blockers[0]);
    }
}

fn nodes(model: &mut ModelProto) -> &mut Vec<NodeProto> {
    &mut model.graph.as_mut().unwrap().node
}

/// The initializer that is input `input` of the first node of this operator after `skip` others.
fn initializer<'a>(model: &'a mut ModelProto, op: &str, skip: usize, input: usize) -> &'a mut TensorProto {
    let graph = model.graph.as_mut().unwrap();
    let name = graph.node.iter().filter(|n| n.op_type == op).nth(skip).unwrap().input[input].clone();
    graph.initializer.iter_mut().find(|t| t.name == name).unwrap()
}

fn set(tensor: &mut TensorProto, values: &[f32]) {
    *tensor = floats(&tensor.name.clone(), &tensor.dims.clone(), values);
}

#[test]
fn the_base_is_good() {
    let imported = of(&good().model(&[1, 2])).unwrap();
    assert_eq!(imported.network.validate(), Ok(()));
    assert_eq!(imported.chains.len(), 1);
}

#[test]
fn truncated_anywhere() {
    let bytes = good().bytes(&[1, 2]);
    let mut truncated = 0;
    for n in 0..bytes.len() {
        match decode(&bytes[..n]) {
            Err(ImportError::File(FileError::Truncated { file, .. })) => {
                assert_eq!(file, "test.onnx");
                truncated += 1;
            }
            // The fields before the graph, cut exactly at their ends.
            Err(ImportError::File(FileError::NotOnnx { .. })) => assert!(n < 32, "{n}"),
            // The operator sets come last and may be missing.
            Ok(_) => assert!(n > bytes.len() - 64, "{n}"),
            other => panic!("{n}: {other:?}"),
        }
    }
    assert!(truncated > bytes.len() * 9 / 10);
}

#[test]
fn damaged_anywhere() {
    // Whatever a wrong byte does, it does not panic.
    let bytes = good().bytes(&[1, 2]);
    for n in 0..bytes.len() {
        for value in [0, 0x7f, 0xff, bytes[n] ^ 1, bytes[n] ^ 0x10] {
            let mut damaged = bytes.clone();
            damaged[n] = value;
            if let Ok(imported) = decode(&damaged) {
                assert_eq!(imported.network.validate(), Ok(()));
            }
        }
    }
}

#[test]
fn other_formats() {
    let not_onnx = |bytes: &[u8]| matches!(decode(bytes), Err(ImportError::File(FileError::NotOnnx { .. })));
    assert!(not_onnx(b""));
    assert!(not_onnx(b"hello, this is no model\n"));
    assert!(not_onnx(&[0; 100]));
    assert!(not_onnx(b"\x89PNG\r\n\x1a\n"));
    let other = |bytes: &[u8]| match decode(bytes) {
        Err(ImportError::File(FileError::Other { format, .. })) => format,
        other => panic!("{other:?}"),
    };
    assert_eq!(other(b"PK\x03\x04........archive/data.pkl"), OtherFormat::Torch);
    assert_eq!(other(b"\x80\x02}q\x00."), OtherFormat::Torch);
    assert_eq!(other(b"PK\x03\x04.......metadata.json..."), OtherFormat::Keras);
    assert_eq!(other(b"\x89HDF\r\n\x1a\n"), OtherFormat::Keras);

    let mut s = Sequence::new(&[1, 4]);
    s.with("QuantizeLinear", &[], &[1.0]);
    assert!(matches!(of(&s.model(&[1, 4])), Err(ImportError::Qdq { op, .. }) if op == "QuantizeLinear"));
    let mut s = Sequence::new(&[1, 4]);
    s.with("MatMul", &[4, 1], &[1.0; 4]);
    assert!(matches!(of(&s.model(&[1, 1])), Err(ImportError::Float { .. })));
}

#[test]
fn missing_file() {
    let Err(ImportError::File(FileError::Io { path, .. })) =
        import("nowhere/none.onnx".as_ref(), &ImportOptions::default())
    else {
        panic!("it is there")
    };
    assert_eq!(path, PathBuf::from("nowhere/none.onnx"));
}

#[test]
fn every_blocker_at_once() {
    let mut s = good();
    s.node("Erf", &["@"], vec![]);
    s.node("LayerNormalization", &["@"], vec![]);
    let mut model = s.model(&[1, 2]);
    set(initializer(&mut model, "Quant", 1, 1), &[0.0]);
    let found: Vec<_> = blockers(&model).into_iter().map(|b| (b.node, b.op)).collect();
    let expected = [("Quant_t1", "Quant"), ("Erf_t8", "Erf"), ("LayerNormalization_t9", "LayerNormalization")];
    assert_eq!(found, expected.map(|(n, o)| (n.to_string(), o.to_string())));
}

#[test]
fn a_node_without_a_name_is_called_after_its_output() {
    let mut s = good();
    s.node("Erf", &["@"], vec![]);
    let mut model = s.model(&[1, 2]);
    nodes(&mut model).last_mut().unwrap().name.clear();
    blocked(&model, "t8", &["Erf"]);
}

#[test]
fn bad_scales_and_zero_points() {
    for (value, part) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (0.0, "is 0"), (-0.5, "is -0.5")] {
        for (skip, node) in [(0, "Quant_t0"), (1, "Quant_t1"), (2, "Quant_t5")] {
            let mut model = good().model(&[1, 2]);
            set(initializer(&mut model, "Quant", skip, 1), &[value]);
            blocked(&model, node, &["scale", part]);
        }
    }
    let mut model = good().model(&[1, 2]);
    set(initializer(&mut model, "Quant", 1, 2), &[3.0]);
    // Every other quantizer has a zero point of its own.
    blocked(&model, "Quant_t1", &["zero point is 3"]);
    for bits in [0.0, 2.5, 33.0, -1.0, f32::NAN] {
        let mut model = good().model(&[1, 2]);
        set(initializer(&mut model, "Quant", 2, 3), &[bits]);
        assert_eq!(blockers(&model)[0].node, "Quant_t5");
    }
    let mut model = good().model(&[1, 2]);
    nodes(&mut model)[0].attribute.push(text("rounding_mode", "SIDEWAYS"));
    blocked(&model, "Quant_t0", &["SIDEWAYS"]);
}

#[test]
fn weights_that_are_not_numbers() {
    let mut model = good().model(&[1, 2]);
    let mut w = [0.5; 12];
    w[7] = f32::NAN;
    set(initializer(&mut model, "Quant", 1, 0), &w);
    blocked(&model, "Quant_t1", &["element 7", "NaN"]);
}

#[test]
fn weights_beyond_their_declared_type() {
    let mut s = Sequence::new(&[1, 2]);
    s.quant(QuantSpec::new(2, false, &1.0));
    let w = s.floats(&[2, 2], &[1.0, -2.0, 2.0, 1.0]);
    s.node("MatMul", &["@", &w], vec![]);
    let mut model = s.model(&[1, 2]);
    let annotate = |model: &mut ModelProto, datatype: &str| {
        model.graph.as_mut().unwrap().quantization_annotation = vec![TensorAnnotation {
            tensor_name: w.clone(),
            quant_parameter_tensor_names: vec![StringStringEntryProto {
                key: "finn_datatype".into(),
                value: datatype.into(),
            }],
        }];
    };
    blocked(&model, "MatMul_t1", &["weights are not quantized"]);
    annotate(&mut model, "INT2");
    blocked(&model, "MatMul_t1", &["element 2", "is 2", "s2"]);
    annotate(&mut model, "INT3");
    assert!(of(&model).is_ok());
}

#[test]
fn shapes_that_disagree() {
    let mut s = good();
    s.matmul(&[3, 2], &[0.0; 6], QuantSpec::new(2, true, &1.0));
    blocked(&s.model(&[1, 2]), "MatMul_t9", &["shapes disagree", "[1, 2]", "[3, 2]"]);
    let mut s = good();
    s.with("Add", &[5], &[0.0; 5]);
    blocked(&s.model(&[1, 2]), "Add_t8", &["[5]", "[1, 2]"]);
    let mut s = good();
    s.with("Add", &[2, 1], &[0.0; 2]);
    blocked(&s.model(&[1, 2]), "Add_t8", &["[2, 1]"]);
    let mut model = good().model(&[1, 2]);
    initializer(&mut model, "Quant", 1, 0).dims = vec![4, 4];
    blocked(&model, "Quant_t1", &["16 elements", "holds 12"]);
    let mut model = good().model(&[1, 2]);
    initializer(&mut model, "Quant", 1, 0).dims = vec![-3, -4];
    blocked(&model, "Quant_t1", &["[-3, -4]"]);
}

#[test]
fn ten_gigabytes_in_a_small_file() {
    let huge = [i64::from(i32::MAX), i64::from(i32::MAX)];
    let mut model = good().model(&[1, 2]);
    initializer(&mut model, "Quant", 1, 0).dims = huge.to_vec();
    blocked(&model, "Quant_t1", &["elements"]);
    // Overflow of the product.
    let mut model = good().model(&[1, 2]);
    initializer(&mut model, "Quant", 1, 0).dims = vec![i64::MAX, i64::MAX, 16];
    blocked(&model, "Quant_t1", &["impossible"]);
    let mut model = good().model(&[1, 2]);
    model.graph.as_mut().unwrap().input[0] = value("x", &[1, 50_000, 50_000]);
    assert!(matches!(of(&model), Err(ImportError::Graph { problem: GraphProblem::Huge { .. }, .. })));
    // Constants that broadcast to each other.
    let mut s = good();
    let a = s.floats(&[10_000, 1], &[1.0; 10_000]);
    let b = s.floats(&[1, 10_000], &[1.0; 10_000]);
    let shape = s.constant(ints("", &[2], &[100_000, 100_000]));
    s.push(node("Add", &[&a, &b], "big", vec![]));
    s.push(node("ConstantOfShape", &[&shape], "filled", vec![]));
    s.push(node("Add", &["t7", "big"], "y", vec![]));
    s.push(node("Add", &["y", "filled"], "z", vec![]));
    let found: Vec<_> = blockers(&s.model(&[1, 2])).into_iter().map(|b| b.node).collect();
    assert_eq!(found, ["Add_big", "ConstantOfShape_filled"]);
}

#[test]
fn broken_graphs() {
    let problem = |model: &ModelProto| match of(model) {
        Err(ImportError::Graph { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    let mut model = good().model(&[1, 2]);
    nodes(&mut model)[3].input[0] = "t4".into();
    let GraphProblem::Cycle { nodes: cycle } = problem(&model) else { panic!("{:?}", problem(&model)) };
    assert_eq!(cycle, ["Relu_t4", "Add_t3"]);
    let mut model = good().model(&[1, 2]);
    nodes(&mut model)[3].input[0] = "nobody".into();
    assert_eq!(problem(&model), GraphProblem::Missing { node: "Add_t3".into(), tensor: "nobody".into() });
    let mut model = good().model(&[1, 2]);
    nodes(&mut model)[3].output[0] = "t2".into();
    assert_eq!(problem(&model), GraphProblem::WrittenTwice { tensor: "t2".into(), node: "Add_t3".into() });
    let mut model = good().model(&[1, 2]);
    model.graph.as_mut().unwrap().input.push(value("second", &[1, 2]));
    assert!(matches!(problem(&model), GraphProblem::Ends { what: "input", count: 2, .. }));
    let mut model = good().model(&[1, 2]);
    model.graph.as_mut().unwrap().output.clear();
    assert!(matches!(problem(&model), GraphProblem::Ends { what: "output", count: 0, .. }));
    let mut model = good().model(&[1, 2]);
    nodes(&mut model).resize(200_000, NodeProto::default());
    assert!(matches!(problem(&model), GraphProblem::TooManyNodes { .. }));
}

#[test]
fn a_deep_graph_needs_no_deep_stack() {
    let mut s = good();
    for _ in 0..50_000 {
        s.node("Identity", &["@"], vec![]);
    }
    assert!(of(&s.model(&[1, 2])).is_ok());
}

#[test]
fn dynamic_dimensions() {
    let mut s = Sequence::new(&[0, 0]);
    s.quant(QuantSpec::new(2, false, &1.0));
    s.matmul(&[2, 1], &[1.0, -1.0], QuantSpec::new(2, true, &1.0));
    let file = file::decode(&s.bytes(&[0, 1]), "test.onnx".into(), PathBuf::new()).unwrap();
    let refused = import_file(&file, &ImportOptions::default());
    let Err(ImportError::Graph { problem: GraphProblem::Dynamic { dimensions, example, .. }, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((dimensions, example.as_str()), (vec![1], "2"));
    for shape in [vec![2], vec![1, 2], vec![64, 2]] {
        let options = ImportOptions { input_shape: Some(shape), ..Default::default() };
        let imported = import_file(&file, &options).unwrap();
        assert_eq!(imported.network.output_shape, [1, 1]);
    }
    let options = ImportOptions { input_shape: Some(vec![1, 2, 2]), ..Default::default() };
    let refused = import_file(&file, &options);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "'test.onnx': the input shape given is [1, 2, 2], but input 'x' is [?, ?] in the file (? takes any size)"
    );
}

#[test]
fn activations_without_quantizer() {
    let mut model = good().model(&[1, 2]);
    // The second layer reads Relu's output.
    let matmul = nodes(&mut model).iter_mut().filter(|n| n.op_type == "MatMul").nth(1).unwrap();
    matmul.input[0] = "t4".into();
    blocked(&model, "MatMul_t7", &["not quantized"]);
    let mut model = good().model(&[1, 2]);
    nodes(&mut model).iter_mut().find(|n| n.op_type == "MatMul").unwrap().input[0] = "x".into();
    let blockers = blockers(&model);
    assert!(blockers[0].hint.contains("--input-type u8/255"), "{blockers:?}");
}

#[test]
fn accumulators_beyond_62_bits() {
    let mut s = Sequence::new(&[1, 4]);
    s.quant(QuantSpec::new(32, true, &1.0));
    s.matmul(&[4, 1], &[2e9; 4], QuantSpec::new(32, true, &1.0));
    blocked(&s.model(&[1, 1]), "MatMul_t2", &["62 bits"]);
}

#[test]
fn external_data() {
    let folder = std::env::temp_dir().join(format!("snug-external-{}", std::process::id()));
    let inner = folder.join("model");
    std::fs::create_dir_all(&inner).unwrap();
    let w: Vec<u8> = [0.5f32, -0.5, 1.0, 1.5, 0.0, -1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(inner.join("w.data"), [&[0; 8][..], &w].concat()).unwrap();
    std::fs::write(folder.join("outside.data"), &w).unwrap();
    let file = inner.join("model.onnx");
    let with = |entries: &[(&str, &str)]| {
        let mut model = good().model(&[1, 2]);
        let tensor = initializer(&mut model, "Quant", 3, 0);
        tensor.raw_data.clear();
        tensor.data_location = 1;
        tensor.external_data =
            entries.iter().map(|(k, v)| StringStringEntryProto { key: k.to_string(), value: v.to_string() }).collect();
        std::fs::write(&file, encode(&model)).unwrap();
        import(&file, &ImportOptions::default())
    };
    let refused = |entries: &[(&str, &str)], part: &str| match with(entries) {
        Err(ImportError::Blocked { blockers, .. }) => {
            assert_eq!(blockers[0].node, "Quant_t6");
            assert!(blockers[0].reason.contains(part), "{}", blockers[0]);
        }
        other => panic!("{other:?}"),
    };
    let good = with(&[("location", "w.data"), ("offset", "8"), ("length", "24")]).unwrap();
    assert_eq!(good.network.dense_layers().nth(1).unwrap().1.weights.row(0).to_vec(), [1, 2, 0]);
    assert!(with(&[("location", "./w.data"), ("offset", "8")]).is_ok());
    refused(&[("location", "none.data")], "cannot be read");
    refused(&[("location", "../outside.data")], "outside");
    refused(&[("location", "/etc/passwd")], "outside");
    refused(&[("location", folder.join("outside.data").to_str().unwrap())], "outside");
    refused(&[("location", "w.data"), ("offset", "16")], "needs 6 elements");
    refused(&[("location", "w.data"), ("offset", "18446744073709551615")], "needs 6 elements");
    refused(&[("location", "w.data"), ("offset", "-1")], "no number of bytes");
    refused(&[("location", "w.data"), ("length", "99999999999")], "needs 6 elements");
    refused(&[], "no location");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.join("outside.data"), inner.join("link.data")).unwrap();
        refused(&[("location", "link.data")], "outside");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn names_are_only_names() {
    let names = ["a\"b'c", "  ", "module", "../../etc/passwd", "\u{202e}\0\n", "x".repeat(10_000).leak()];
    let mut model = good().model(&[1, 2]);
    for (n, name) in nodes(&mut model).iter_mut().zip(names.iter().cycle()) {
        n.name = name.to_string();
    }
    let imported = of(&model).unwrap();
    assert_eq!(imported.network.validate(), Ok(()));
}

#[test]
fn types_of_tensors() {
    let mut model = good().model(&[1, 2]);
    initializer(&mut model, "Quant", 1, 0).data_type = data_type::STRING;
    blocked(&model, "Quant_t1", &["element type 8"]);
}
