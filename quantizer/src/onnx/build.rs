//! Small constructors for ONNX messages, for tests and generators of networks.

use prost::Message;

use super::proto::*;

/// A float32 tensor of the given shape; the caller has the number of values right.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..Default::default()
    }
}

/// An int64 tensor.
pub fn ints(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::INT64,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

/// A float tensor named and typed without values: a graph input or output. 0 stands for a dynamic dimension.
pub fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&d: &i64| match d {
        0 => DimensionProto { dim_value: None, dim_param: Some("N".into()) },
        d => DimensionProto { dim_value: Some(d), dim_param: None },
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: data_type::FLOAT,
                shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
            }),
        }),
    }
}

/// A node of ONNX's own domain, named after its output.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: format!("{op}_{output}"),
        op_type: op.into(),
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: vec![output.into()],
        attribute: attributes,
        domain: String::new(),
    }
}

/// A QONNX `Quant` node; `inputs` are x, scale, zero point, bit width.
pub fn quant(inputs: &[&str], output: &str, signed: bool, narrow: bool, rounding: Option<&str>) -> NodeProto {
    let mut attributes = vec![int("signed", i64::from(signed)), int("narrow", i64::from(narrow))];
    attributes.extend(rounding.map(|r| text("rounding_mode", r)));
    NodeProto { domain: "qonnx.custom_op.general".into(), ..node("Quant", inputs, output, attributes) }
}

/// An integer attribute.
pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: attribute_type::INT, ..Default::default() }
}

/// A float attribute.
pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f, r#type: attribute_type::FLOAT, ..Default::default() }
}

/// A text attribute.
pub fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: s.as_bytes().to_vec(), r#type: attribute_type::STRING, ..Default::default() }
}

/// An attribute of several integers.
pub fn ints_attribute(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: ints.to_vec(), r#type: attribute_type::INTS, ..Default::default() }
}

/// A model with one input and one output.
pub fn model(
    input: ValueInfoProto,
    output: ValueInfoProto,
    initializer: Vec<TensorProto>,
    node: Vec<NodeProto>,
) -> ModelProto {
    ModelProto {
        ir_version: 8,
        producer_name: "snug".into(),
        producer_version: String::new(),
        opset_import: vec![
            OperatorSetIdProto { domain: String::new(), version: 13 },
            OperatorSetIdProto { domain: "qonnx.custom_op.general".into(), version: 1 },
        ],
        graph: Some(GraphProto {
            name: "graph".into(),
            node,
            initializer,
            input: vec![input],
            output: vec![output],
            ..Default::default()
        }),
    }
}

/// The bytes of the file.
pub fn encode(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}
