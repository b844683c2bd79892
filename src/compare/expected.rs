//! `--expect`: what somebody else computed, by tensor of the network.

use std::collections::HashMap;
use std::path::Path;

use quantizer::network::{Network, Scale, TensorId};

use super::order;
use crate::console::Console;
use crate::data::{self, Array, DataError, Samples, Wanted, fit, npz};
use crate::error::Error;
use crate::inputs::{InputArgs, Inputs};
use crate::suggest::nearest;

/// One tensor's values for the selected samples, in real units.
pub struct Expected {
    /// Its ONNX name.
    pub name: String,
    samples: Samples,
    scales: Vec<Scale>,
}

impl Expected {
    /// The value as it was given.
    pub fn real(&self, sample: usize, element: usize) -> f64 {
        self.samples.values.float(sample * self.samples.size + element)
    }

    /// Real value of a code.
    pub fn scale(&self, element: usize) -> Scale {
        // One for all, or equal runs of elements with one each.
        self.scales[element * self.scales.len() / self.samples.size.max(1)]
    }

    /// The value in codes.
    pub fn units(&self, sample: usize, element: usize) -> f64 {
        let Scale { factor, offset } = self.scale(element);
        (self.real(sample, element) - offset) / factor
    }

    /// The code that the value stands for, if it is near one: float32 leaves a small distance, in proportion to the value.
    pub fn code(&self, sample: usize, element: usize) -> Option<i64> {
        let units = self.units(sample, element);
        let Scale { factor, offset } = self.scale(element);
        // A sum of rounded products and a large offset each leave errors relative to themselves.
        let size = units.abs() + (offset / factor).abs();
        let tolerance = (0.01 + size * 2f64.powi(-20)).min(0.45);
        ((units - units.round()).abs() <= tolerance && units.abs() < 9e15).then_some(units.round() as i64)
    }

    /// Whether the value is that of `code`.
    pub fn agrees(&self, sample: usize, element: usize, code: i64) -> bool {
        self.code(sample, element) == Some(code)
    }
}

/// Reads `--expect` for the selected samples.
///
/// # Errors
/// If it cannot be read, its shapes or counts do not fit, or nothing in it belongs to the network.
pub fn read(
    path: &Path,
    args: &InputArgs,
    inputs: &Inputs,
    network: &Network,
    console: &Console,
) -> Result<HashMap<TensorId, Expected>, Error> {
    let select = |name: &str, id: TensorId, what: &'static str, place: &Path, array: Array| {
        let tensor = network.tensor(id);
        let wanted = match id == network.output && network.output_channels_last {
            true => Wanted::output(network),
            false => Wanted::plain(&tensor.shape),
        };
        let samples = fit::fit(place, what, array, wanted, None)?;
        let samples = choose(place, args, inputs, samples)?;
        let scales = tensor.scale.clone().filter(|s| !s.is_empty() && s.iter().all(|s| s.factor != 0.0));
        let Some(scales) = scales else {
            console.note(format!("'{name}' is not compared: its codes have no affine meaning in real units"));
            return Ok(None);
        };
        Ok::<_, Error>(Some(Expected { name: name.to_owned(), samples, scales }))
    };
    let Some(arrays) = npz::read(path)? else {
        let array = data::read(path)?;
        let id = network.output;
        let found = select(&network.output_name, id, "output", path, array)?;
        return Ok(found.map(|e| (id, e)).into_iter().collect());
    };
    let mut found = HashMap::new();
    let mut strangers = Vec::new();
    for (name, array) in arrays {
        let by_name = |id: &TensorId| network.tensor(*id).name == name;
        let id = if name == network.output_name { Some(network.output) } else { order(network).find(by_name) };
        match id {
            Some(id) => found.extend(select(&name, id, "tensor", &path.join(&name), array)?.map(|e| (id, e))),
            None => strangers.push(name),
        }
    }
    if !strangers.is_empty() {
        console.note(format!("arrays that are no tensors of the network: {}", strangers.join(", ")));
    }
    if found.is_empty() {
        let names: Vec<&str> = order(network).map(|id| network.tensor(id).name.as_str()).collect();
        let help = match strangers.first().and_then(|s| nearest(s, names.iter().copied())) {
            Some(near) => format!("did you mean '{near}'? The network's tensors: {}", names.join(", ")),
            None => format!("the network's tensors: {}", names.join(", ")),
        };
        let message = format!("{}: no array has the name of a tensor of the network", path.display());
        return Err(Error::Usage { message, help: Some(help) });
    }
    Ok(found)
}

/// The selected samples: out of as many as there are inputs, or out of the first ones where --limit takes no more.
fn choose(path: &Path, args: &InputArgs, inputs: &Inputs, samples: Samples) -> Result<Samples, DataError> {
    let first_ones = args.limit.is_some() && args.seed.is_none();
    if samples.count == inputs.available || (first_ones && samples.count >= inputs.indices.len()) {
        return Ok(samples.take(&inputs.indices));
    }
    Err(DataError::Count {
        path: path.to_path_buf(),
        found: samples.count,
        other: args.inputs.clone(),
        expected: inputs.available,
    })
}
