//! Which operators can be built, and what to say of those that cannot.

use super::elementwise;
use super::error::Refusal;
use super::fold;
use super::join;
use super::layout;
use super::pool;
use super::quant;
use super::resize;
use crate::onnx::proto::NodeProto;

/// Operators that change a signal's shape and no value.
pub const RESHAPING: [&str; 7] = ["Flatten", "Identity", "Dropout", "Reshape", "Squeeze", "Transpose", "Unsqueeze"];

/// Whether an operator of this name and domain can be built in some form.
pub fn is_supported(node: &NodeProto) -> bool {
    let op = node.op_type.as_str();
    let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
    let quantizer = quant::is_quant(op) || matches!(op, "MultiThreshold" | "Trunc" | "QuantAvgPool2d");
    (quantizer && quant::DOMAINS.contains(&node.domain.as_str()))
        || (node.domain == layout::DOMAIN && layout::OPERATORS.contains(&op))
        || (standard
            && (fold::OPERATORS.contains(&op)
                || elementwise::OPERATORS.contains(&op)
                || RESHAPING.contains(&op)
                || pool::OPERATORS.contains(&op)
                || join::OPERATORS.contains(&op)
                || resize::OPERATORS.contains(&op)
                || matches!(op, "MatMul" | "Gemm" | "Shape" | "Conv" | "DepthToSpace" | "Pad")))
}

/// The refusal of an operator that nothing here knows, with the nearest supported form.
pub fn unsupported(node: &NodeProto) -> Refusal {
    let hint = match node.op_type.as_str() {
        "ConvTranspose" => "use Upsample (nearest) or DepthToSpace with a Conv",
        "ArgMax" | "TopK" => "export without it, and generate with --output label",
        "Erf" | "Gelu" | "Exp" | "Abs" | "Sin" | "Softplus" | "Elu" | "Selu" | "HardSwish" | "Mish" => {
            "use Relu, LeakyRelu, PRelu, Clip, HardSigmoid, Sigmoid or Tanh in front of a Quant node"
        }
        "Softmax" | "LogSoftmax" => "inside a network it is not supported; at the end it is dropped",
        "LayerNormalization" | "InstanceNormalization" | "GroupNormalization" => "use BatchNormalization",
        "Split" | "Slice" | "Gather" => "channels and images are read whole: use layers with fewer channels instead",
        "LSTM" | "GRU" | "RNN" | "If" | "Loop" | "Scan" => "recurrence and control flow are not supported",
        _ => {
            "supported are Conv, MatMul, Gemm, pooling, Add, Concat, Upsample, DepthToSpace, elementwise functions that never fall or never rise, reshaping, Quant and BipolarQuant"
        }
    };
    let domain = if node.domain.is_empty() { String::new() } else { format!(" of domain '{}'", node.domain) };
    Refusal::new(format!("operator {}{domain} is not supported", node.op_type), hint)
}
