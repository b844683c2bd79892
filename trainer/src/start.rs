//! Floats from elsewhere: a network that was trained by somebody else, as safetensors or ONNX, taken up by the names of its layers.
//!
//! Names are PyTorch's: `NAME.weight`, `NAME.bias`, and for a batch norm `NAME.running_mean` and `NAME.running_var` too.

use std::collections::HashMap;
use std::path::Path;

use quantizer::onnx::file;
use quantizer::onnx::proto::GraphProto;
use quantizer::onnx::tensor::{Elements, elements};
use safetensors::tensor::{Dtype, SafeTensors};

use crate::TrainError;
use crate::graph::{Graph, Op};
use crate::state::{Role, State};

/// A tensor of the file.
struct Floats {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Takes up the parameters that `path` holds.
///
/// # Errors
/// If the file cannot be read, or lacks a tensor, or has one of another size.
pub fn load(path: &Path, graph: &Graph, state: &mut State) -> Result<(), TrainError> {
    let failed = |reason: String| TrainError::Start { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    let mut file = match SafeTensors::deserialize(&bytes) {
        Ok(tensors) => safetensors(&tensors).map_err(failed)?,
        Err(reason) if path.extension().is_some_and(|e| e == "safetensors") => return Err(failed(reason.to_string())),
        Err(_) => onnx(path).map_err(failed)?,
    };
    for (id, node) in graph.nodes.iter().enumerate() {
        let mut take = |what: &str, wanted: &[usize], needed: bool| -> Result<Option<Vec<f32>>, TrainError> {
            let name = format!("{}.{what}", node.name);
            let Some(tensor) = file.remove(&name) else {
                let mut names: Vec<&str> = file.keys().map(String::as_str).collect();
                names.sort_unstable();
                let reason = format!("there is no '{name}' of shape {wanted:?}; there are {}", names.join(", "));
                return if needed { Err(failed(reason)) } else { Ok(None) };
            };
            let transposed = wanted.len() == 2 && tensor.shape == [wanted[1], wanted[0]] && wanted[0] != wanted[1];
            if tensor.shape != wanted && !transposed {
                return Err(failed(format!("'{name}' has shape {:?}, the network needs {wanted:?}", tensor.shape)));
            }
            if let Some(value) = tensor.values.iter().find(|v| !v.is_finite()) {
                return Err(failed(format!("'{name}' holds {value}")));
            }
            let values = if transposed { transpose(&tensor.values, wanted[1]) } else { tensor.values };
            Ok(Some(values))
        };
        let channels = node.shape[0];
        match &node.op {
            Op::Matrix(matrix) => {
                let source = graph.nodes[node.inputs[0]].shape[0];
                let shape = match &matrix.window {
                    Some(w) => vec![channels, source / matrix.groups, w.kernel[0], w.kernel[1]],
                    None => vec![channels, matrix.columns],
                };
                if let Some(weights) = take("weight", &shape, true)? {
                    state.values_mut(id, Role::Weight).copy_from_slice(&weights);
                }
                let bias = take("bias", &[channels], false)?;
                if let Some(bias) = bias {
                    if matrix.bias {
                        state.values_mut(id, Role::Shift).copy_from_slice(&bias);
                    } else if bias.iter().any(|&b| b != 0.0) {
                        // A batch norm takes a constant out again: its mean has it.
                        let norms = graph.nodes.iter().enumerate().filter(|(_, n)| n.inputs == [id]);
                        for norm in norms.map(|(i, _)| i).collect::<Vec<_>>() {
                            if let Some(running) = state.running.iter_mut().find(|r| r.node == norm) {
                                for (mean, b) in running.mean.iter_mut().zip(&bias) {
                                    *mean -= b;
                                }
                            }
                        }
                    }
                }
            }
            Op::Norm => {
                let shape = [channels];
                if let Some(gain) = take("weight", &shape, true)? {
                    state.values_mut(id, Role::Gain).copy_from_slice(&gain);
                }
                if let Some(shift) = take("bias", &shape, true)? {
                    state.values_mut(id, Role::Shift).copy_from_slice(&shift);
                }
                let (mean, variance) = (take("running_mean", &shape, true)?, take("running_var", &shape, true)?);
                if let Some(running) = state.running.iter_mut().find(|r| r.node == id) {
                    for (r, m) in running.mean.iter_mut().zip(mean.iter().flatten()) {
                        // What a bias of the layer before has left there.
                        *r += m;
                    }
                    running.variance = variance.unwrap_or_default();
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows.max(1);
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

fn safetensors(tensors: &SafeTensors<'_>) -> Result<HashMap<String, Floats>, String> {
    let mut all = HashMap::new();
    for (name, tensor) in tensors.tensors() {
        let data = tensor.data();
        let values: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            // Counters of batches and the like.
            Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL => continue,
            other => return Err(format!("'{name}' is of type {other:?}; F32 and F64 are read")),
        };
        all.insert(name, Floats { shape: tensor.shape().to_vec(), values });
    }
    Ok(all)
}

fn onnx(path: &Path) -> Result<HashMap<String, Floats>, String> {
    let file = file::read(path).map_err(|e| format!("it is neither safetensors nor ONNX: {e}"))?;
    let empty = GraphProto::default();
    let graph = file.model.graph.as_ref().unwrap_or(&empty);
    let mut all = HashMap::new();
    for tensor in &graph.initializer {
        let (shape, values) = elements(tensor, &file.folder).map_err(|e| format!("'{}': {e}", tensor.name))?;
        let values: Vec<f32> = match values {
            Elements::F32(v) => v,
            Elements::F64(v) => v.into_iter().map(|v| v as f32).collect(),
            Elements::I64(_) => continue,
        };
        all.insert(tensor.name.clone(), Floats { shape, values });
    }
    // A square matrix that is read as [inputs, outputs] says so only in its reader.
    for node in &graph.node {
        let transposed = match node.op_type.as_str() {
            "MatMul" => true,
            "Gemm" => node.attribute.iter().find(|a| a.name == "transB").is_none_or(|a| a.i == 0),
            _ => false,
        };
        let weights = node.input.get(1).and_then(|name| all.get_mut(name));
        if let Some(Floats { shape, values }) = weights.filter(|w| transposed && w.shape.len() == 2) {
            *values = transpose(values, shape[0]);
            shape.swap(0, 1);
        }
    }
    Ok(all)
}
