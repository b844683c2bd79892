//! Training that survives a kill at any moment: the whole state after every epoch, in one file that is replaced in one step.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::config::Config;
use crate::samples::Samples;
use crate::state::State;

/// What a training is: configuration, the parameters that it starts from, and samples. A checkpoint is only continued by the training that wrote it.
pub fn key(config: &Config, start: &State, samples: &Samples) -> String {
    let mut hash = Sha256::new();
    let settings = Config { data: None, ..config.clone() };
    // Numbers, strings and lists: nothing in it that JSON cannot hold.
    hash.update(serde_json::to_vec(&settings).unwrap_or_default());
    for (_, values) in slots(start) {
        for value in values {
            hash.update(value.to_le_bytes());
        }
    }
    for i in 0..samples.count() {
        if let Some(&label) = samples.labels().get(i) {
            hash.update((label as u64).to_le_bytes());
        }
        for value in samples.row(i).iter().chain(samples.target(i)) {
            hash.update(value.to_le_bytes());
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the state: to another name first, then renamed.
///
/// # Errors
/// If the file cannot be written.
pub fn save(path: &Path, state: &State, key: &str) -> Result<(), TrainError> {
    let failed = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
    let tensors: Vec<(String, Vec<u8>)> =
        slots(state).map(|(name, values)| (name, values.iter().flat_map(|v| v.to_le_bytes()).collect())).collect();
    let mut views = Vec::new();
    for (name, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).map_err(|e| failed(e.to_string()))?;
        views.push((name.clone(), view));
    }
    let progress =
        [("steps", state.steps), ("float_epochs", state.epochs[0] as u64), ("epochs", state.epochs[1] as u64)];
    let mut metadata: HashMap<String, String> = progress.map(|(k, v)| (k.to_owned(), v.to_string())).into();
    metadata.insert("key".into(), key.into());
    let bits: Vec<String> = state.bits.iter().map(u32::to_string).collect();
    metadata.insert("activation_bits".into(), bits.join(","));
    metadata.insert("searched".into(), state.searched.to_string());
    let bytes = serialize(views, Some(metadata)).map_err(|e| failed(e.to_string()))?;
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, path)).map_err(|e| failed(e.to_string()))
}

/// Takes up the state that `path` holds, if it is there and of the same training; whether it was.
///
/// # Errors
/// If the file is damaged.
pub fn load(path: &Path, state: &mut State, key: &str) -> Result<bool, TrainError> {
    let failed = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(failed(e.to_string())),
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| failed(e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    if metadata.get("key").map(String::as_str) != Some(key) {
        return Ok(false);
    }
    let number = |name: &str| {
        metadata.get(name).and_then(|v| v.parse::<u64>().ok()).ok_or_else(|| failed(format!("it has no '{name}'")))
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| failed(e.to_string()))?;
    let mut read = HashMap::new();
    for (name, values) in slots(state) {
        let tensor = tensors.tensor(&name).map_err(|e| failed(e.to_string()))?;
        if tensor.dtype() != Dtype::F32 || tensor.data().len() != 4 * values.len() {
            return Err(failed(format!("'{name}' has another size")));
        }
        let floats: Vec<f32> = tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        read.insert(name, floats);
    }
    let mut take = |name: String, values: &mut Vec<f32>| {
        if let Some(read) = read.remove(&name) {
            *values = read;
        }
    };
    for (i, p) in state.parameters.iter_mut().enumerate() {
        take(format!("{i}.values"), &mut p.values);
        take(format!("{i}.mean"), &mut p.mean);
        take(format!("{i}.square"), &mut p.square);
    }
    for (i, r) in state.running.iter_mut().enumerate() {
        take(format!("running.{i}.mean"), &mut r.mean);
        take(format!("running.{i}.variance"), &mut r.variance);
    }
    let text = |name: &str| metadata.get(name).ok_or_else(|| failed(format!("it has no '{name}'")));
    let bits: Vec<u32> = text("activation_bits")?.split(',').filter_map(|b| b.parse().ok()).collect();
    if bits.len() != state.bits.len() || bits.iter().any(|b| !(1..=8).contains(b)) {
        return Err(failed("its 'activation_bits' are damaged".into()));
    }
    state.bits = bits;
    state.searched = text("searched")? == "true";
    state.steps = number("steps")?;
    state.epochs = [number("float_epochs")? as usize, number("epochs")? as usize];
    Ok(true)
}

/// All that is stored, by name.
fn slots(state: &State) -> impl Iterator<Item = (String, &Vec<f32>)> {
    let parameters = state.parameters.iter().enumerate().flat_map(|(i, p)| {
        [("values", &p.values), ("mean", &p.mean), ("square", &p.square)].map(|(what, v)| (format!("{i}.{what}"), v))
    });
    let running = state.running.iter().enumerate().flat_map(|(i, r)| {
        [("mean", &r.mean), ("variance", &r.variance)].map(|(what, v)| (format!("running.{i}.{what}"), v))
    });
    parameters.chain(running)
}
