//! Whether a [`Network`] is what its documentation promises. Whoever computes on a valid network may rely on it.

mod invalid;

use std::collections::HashSet;

use crate::datatype::{DataType, Range, Signedness};
use crate::network::{Add, Layer, MatrixLayer, Network, Op, Steps, Table, Tensor, TensorId, Threshold};
use crate::reach::{MAX_ACCUMULATOR_BITS, elements, output_ranges, output_type};
use crate::shape::output_shape;

pub use invalid::Invalid;

impl Network {
    /// Checks every promise of the types in [`network`](crate::network): topology, shapes, datatypes, weights, steps, and that all
    /// ranges are those that follow from the input's declared type.
    ///
    /// # Errors
    /// Everything that is wrong, at most once for each place; what depends on something wrong is not looked at.
    pub fn validate(&self) -> Result<(), Vec<Invalid>> {
        let mut check = Check { network: self, found: Vec::new() };
        // Every later check indexes tensors by shape and by id.
        if check.ids() && check.tensors() {
            check.topology();
            check.layers();
            check.input();
            check.output();
        }
        if check.found.is_empty() { Ok(()) } else { Err(check.found) }
    }
}

struct Check<'a> {
    network: &'a Network,
    found: Vec<Invalid>,
}

impl Check<'_> {
    fn ids(&mut self) -> bool {
        let tensors = self.network.tensors.len();
        let ends = [("the network's input", self.network.input), ("the network's output", self.network.output)];
        let layers = self
            .network
            .layers
            .iter()
            .flat_map(|l| l.inputs.iter().chain(std::iter::once(&l.output)).map(move |&id| (l.name.as_str(), id)));
        for (user, TensorId(id)) in ends.into_iter().chain(layers) {
            if id >= tensors {
                self.found.push(Invalid::NoSuchTensor { user: user.to_owned(), id, tensors });
            }
        }
        self.found.is_empty()
    }

    fn tensors(&mut self) -> bool {
        let all_good = self.network.tensors.iter().all(|t| match tensor(t) {
            Ok(()) => true,
            Err(invalid) => {
                self.found.push(invalid);
                false
            }
        });
        let input = self.network.tensor(self.network.input);
        if all_good && !exists(input.datatype, DataType::MAX_BITS) {
            self.found.push(Invalid::Datatype { place: input.name.clone(), datatype: input.datatype });
            return false;
        }
        if all_good {
            let declared = input.datatype.range();
            self.same_ranges(input, &vec![declared; input.ranges.len()]);
        }
        all_good
    }

    fn topology(&mut self) {
        let name = |id: TensorId| self.network.tensor(id).name.clone();
        let mut written = HashSet::from([self.network.input]);
        let mut names = HashSet::new();
        for layer in &self.network.layers {
            let (inputs, joins) = (layer.inputs.len(), joins(&layer.op));
            if inputs == 0 || joins != (inputs > 1) {
                self.found.push(Invalid::Inputs { layer: layer.name.clone(), inputs, joins });
            }
            for &id in layer.inputs.iter().filter(|id| !written.contains(id)) {
                self.found.push(Invalid::ReadBeforeWritten { layer: layer.name.clone(), tensor: name(id) });
            }
            if !written.insert(layer.output) {
                self.found.push(Invalid::WrittenTwice { layer: layer.name.clone(), tensor: name(layer.output) });
            }
            if !names.insert((std::mem::discriminant(&layer.op), layer.name.as_str())) {
                self.found.push(Invalid::SameName { layer: layer.name.clone() });
            }
        }
        for id in (0..self.network.tensors.len()).map(TensorId).filter(|id| !written.contains(id)) {
            self.found.push(Invalid::NeverWritten { tensor: name(id) });
        }
    }

    fn layers(&mut self) {
        for layer in self.network.layers.iter().filter(|l| (l.inputs.len() > 1) == joins(&l.op) && !l.inputs.is_empty())
        {
            let inputs: Vec<&Tensor> = layer.inputs.iter().map(|&id| self.network.tensor(id)).collect();
            let output = self.network.tensor(layer.output);
            let before = self.found.len();
            self.layer_shapes(layer, &inputs, output);
            if let Some(matrix) = MatrixLayer::of(layer) {
                self.weights(matrix);
            }
            if self.found.len() == before {
                match &layer.op {
                    Op::Threshold(threshold) => self.threshold(layer, threshold, inputs[0], output),
                    Op::Table(table) => self.table(layer, table, inputs[0], output),
                    Op::Add(add) => self.coefficients(layer, add),
                    _ => {}
                }
            }
            if self.found.len() > before {
                continue;
            }
            match output_ranges(&layer.op, &inputs) {
                Some(derived) => {
                    self.same_ranges(output, &derived);
                    // A Threshold declares its own type, which `threshold` has checked.
                    let derived = output_type(&layer.op, &inputs, &derived);
                    if let Some(derived) = derived.filter(|&d| d != output.datatype) {
                        let (tensor, declared) = (output.name.clone(), output.datatype);
                        self.found.push(Invalid::OutputType { tensor, declared, derived });
                    }
                }
                None => self
                    .found
                    .push(Invalid::AccumulatorTooWide { layer: layer.name.clone(), max: MAX_ACCUMULATOR_BITS }),
            }
        }
    }

    fn layer_shapes(&mut self, layer: &Layer, inputs: &[&Tensor], output: &Tensor) {
        let shapes: Vec<&[usize]> = inputs.iter().map(|t| t.shape.as_slice()).collect();
        match output_shape(&layer.op, &shapes) {
            Ok(shape) if shape == output.shape => {}
            Ok(shape) => self.shapes(layer, format!("its output has shape {shape:?}, not {:?}", output.shape)),
            Err(what) => self.shapes(layer, what),
        }
    }

    fn weights(&mut self, matrix: MatrixLayer<'_>) {
        let (layer, datatype) = (matrix.layer.name.clone(), matrix.weight_type);
        if !exists(datatype, DataType::MAX_BITS) {
            self.found.push(Invalid::Datatype { place: layer, datatype });
            return;
        }
        let wrong = matrix.weights.indexed_iter().find(|&(_, &w)| !datatype.holds(w));
        if let Some(((row, column), &weight)) = wrong {
            self.found.push(Invalid::Weight { layer, row, column, weight, datatype });
        }
    }

    fn coefficients(&mut self, layer: &Layer, add: &Add) {
        if let Some(input) = add.coefficients.iter().position(|&k| k == 0) {
            self.found.push(Invalid::Coefficient { layer: layer.name.clone(), input });
        }
    }

    fn table(&mut self, layer: &Layer, table: &Table, input: &Tensor, output: &Tensor) {
        for (channel, &range) in input.ranges.iter().enumerate() {
            let what = match table.range(channel, range) {
                None => format!("some input in {range} has no entry in its table"),
                Some(_) => match table.row(channel).iter().find(|&&code| !output.datatype.holds(code)) {
                    Some(code) => format!("its table holds {code}, which is no code of {}", output.datatype),
                    None => continue,
                },
            };
            self.found.push(Invalid::Steps { layer: layer.name.clone(), channel, what });
        }
    }

    fn threshold(&mut self, layer: &Layer, threshold: &Threshold, input: &Tensor, output: &Tensor) {
        let Some(shared) = input.ranges.iter().copied().reduce(Range::hull) else { return };
        let functions = threshold.channels.len();
        for (channel, steps) in threshold.channels.iter().enumerate() {
            let reached = if functions == 1 { shared } else { input.ranges[channel] };
            if let Err(what) = self::steps(steps, reached, output.datatype) {
                self.found.push(Invalid::Steps { layer: layer.name.clone(), channel, what });
            }
        }
    }

    fn input(&mut self) {
        let Network { input_shape: shape, input, input_channels_last: last, .. } = self.network;
        let tensor = self.network.tensor(*input);
        if elements(shape) != elements(&tensor.shape) || (*last && shape.len() < 3) {
            let order = if *last { ", channels last" } else { "" };
            let what = format!("shape {shape:?} in the source{order}, {:?} here", tensor.shape);
            self.found.push(Invalid::Input { what });
        }
    }

    fn output(&mut self) {
        let network = self.network;
        let tensor = network.tensor(network.output);
        let values = elements(&tensor.shape);
        let last = network.output_channels_last;
        if elements(&network.output_shape) != values || (last && network.output_shape.len() < 3) {
            let order = if last { ", channels last" } else { "" };
            let what = format!("shape {:?} in the source{order}, {:?} here", network.output_shape, tensor.shape);
            self.found.push(Invalid::Output { what });
        }
        if let Ok(grid) = &network.label_grid {
            if Some(grid.multiplier.len()) != values || Some(grid.offset.len()) != values {
                let what = format!(
                    "a label grid of {} multipliers and {} offsets for shape {:?}",
                    grid.multiplier.len(),
                    grid.offset.len(),
                    tensor.shape
                );
                self.found.push(Invalid::Output { what });
            }
            if let Some(class) = grid.multiplier.iter().position(|&m| m == 0) {
                self.found.push(Invalid::Output { what: format!("class {class} has the label multiplier 0") });
            }
        }
    }

    fn same_ranges(&mut self, tensor: &Tensor, derived: &[Range]) {
        if tensor.ranges.len() != derived.len() {
            let (ranges, channels) = (tensor.ranges.len(), derived.len());
            self.found.push(Invalid::RangeCount { tensor: tensor.name.clone(), ranges, channels });
            return;
        }
        let differs = tensor.ranges.iter().zip(derived).enumerate().find(|(_, (a, b))| a != b);
        if let Some((channel, (&declared, &derived))) = differs {
            self.found.push(Invalid::Range { tensor: tensor.name.clone(), channel, declared, derived });
        }
    }

    fn shapes(&mut self, layer: &Layer, what: String) {
        self.found.push(Invalid::Shapes { layer: layer.name.clone(), what });
    }
}

/// Whether an operation reads two or more tensors; all others read one.
fn joins(op: &Op) -> bool {
    matches!(op, Op::Add(_) | Op::Concat)
}

/// What a tensor promises by itself.
fn tensor(t: &Tensor) -> Result<(), Invalid> {
    let name = || t.name.clone();
    // `isize` is what ndarray can index.
    let sensible = elements(&t.shape).is_some_and(|n| 0 < n && isize::try_from(n).is_ok());
    let Some(&channels) = t.shape.first().filter(|_| sensible) else {
        return Err(Invalid::Shape { tensor: name(), shape: t.shape.clone() });
    };
    if !exists(t.datatype, MAX_ACCUMULATOR_BITS) {
        return Err(Invalid::Datatype { place: name(), datatype: t.datatype });
    }
    if t.ranges.len() != channels {
        return Err(Invalid::RangeCount { tensor: name(), ranges: t.ranges.len(), channels });
    }
    // Both ends are codes: for bipolar they are not 0.
    let legal = |r: &Range| r.lo <= r.hi && t.datatype.holds(r.lo) && t.datatype.holds(r.hi);
    if let Some((channel, &range)) = t.ranges.iter().enumerate().find(|(_, r)| !legal(r)) {
        return Err(Invalid::RangeOutsideType { tensor: name(), channel, range, datatype: t.datatype });
    }
    if let Some(scales) = &t.scale {
        if scales.len() != 1 && scales.len() != channels {
            return Err(Invalid::Scale {
                tensor: name(),
                what: format!("{} scales for {channels} channels", scales.len()),
            });
        }
        if let Some(c) = scales.iter().position(|s| !s.factor.is_finite() || !s.offset.is_finite()) {
            return Err(Invalid::Scale { tensor: name(), what: format!("scale {c} is not finite") });
        }
    }
    Ok(())
}

/// Whether a datatype of at most `max` bits can be as declared, with at least two codes.
fn exists(t: DataType, max: u32) -> bool {
    match t.sign {
        Signedness::Bipolar => t.bits == 1 && !t.narrow,
        Signedness::Unsigned | Signedness::Signed => (1..=max).contains(&t.bits) && !(t.narrow && t.bits == 1),
    }
}

/// Checks a step function over inputs in `reached`, with codes of type `codes`.
fn steps(steps: &Steps, reached: Range, codes: DataType) -> Result<(), String> {
    if let Some(i) = steps.steps.windows(2).position(|w| w[0] > w[1]) {
        return Err(format!("step {} is below step {i}", i + 1));
    }
    if let Some(&t) = steps.steps.iter().find(|&&t| t <= reached.lo || t > reached.hi) {
        return Err(format!("no input in {reached} tells step {t} apart"));
    }
    // Codes between repeated steps are never given: a bipolar -1 becomes +1 by two equal steps.
    let jumps =
        (0..=steps.steps.len()).filter(|&n| n == 0 || n == steps.steps.len() || steps.steps[n - 1] < steps.steps[n]);
    for n in jumps {
        let count = if steps.falling { steps.steps.len() - n } else { n };
        let code = i64::try_from(count).ok().and_then(|count| steps.base.checked_add(count));
        match code {
            Some(code) if codes.holds(code) => {}
            Some(code) => return Err(format!("code {code} is no code of {codes}")),
            None => return Err(format!("codes beyond 64 bits from base {}", steps.base)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
