//! From a configuration to a graph.

use quantizer::network::Window;
use quantizer::weights::limits::Limits;

use super::{Graph, Id, Matrix, Node, Op, Quantizer};
use crate::TrainError;
use crate::config::{Accumulator, Bits, Config, End, Kind, LayerConfig, Loss, Method, Pair};

/// Values of one layer's result, at most: more is a slip of the pen.
const MOST: usize = 1 << 28;

/// See [`Graph::new`]; what is not known yet of samples is not checked.
///
/// # Errors
/// If layers do not fit together.
pub fn build(config: &Config, size: Option<usize>, classes: Option<usize>) -> Result<Graph, TrainError> {
    let shape = input_shape(config, size)?;
    let layers = match &config.network.hidden {
        Some(hidden) => perceptron(hidden, classes.unwrap_or(1)),
        None => config.layers.clone(),
    };
    let matrices = layers.iter().filter(|l| l.kind.has_weights()).count();
    let quantizers = layers.iter().filter(|l| matches!(l.kind, Kind::Relu | Kind::Identity)).count();
    let n = &config.network;
    counts("network", "weight_bits", &n.weight_bits, matrices, "layers with weights")?;
    counts("network", "activation_bits", &n.activation_bits, quantizers, "relu and identity layers")?;
    if let Some(bits) = &config.accumulator.bits {
        counts("accumulator", "bits", bits, matrices, "layers with weights")?;
    }
    let graph = Graph {
        nodes: vec![Node { name: "input".into(), op: Op::Input, inputs: vec![], shape }],
        method: config.accumulator.method,
        input_bits: n.input_bits,
        bits: vec![],
    };
    let mut builder = Builder { config, graph, matrices, named: vec![("input".into(), 0)] };
    for (i, layer) in layers.iter().enumerate() {
        builder.layer(i, layer, &layers)?;
    }
    let graph = builder.graph;
    finish(config, &graph, matrices, classes)?;
    for (id, matrix) in graph.matrices() {
        room(&graph, id, matrix, &graph.bits)?;
    }
    Ok(graph)
}

/// Refuses a matrix whose accumulators no weight but 0 fits, with these bits of activations.
///
/// # Errors
/// If it is so.
pub fn room(graph: &Graph, id: Id, matrix: &Matrix, bits: &[u32]) -> Result<(), TrainError> {
    let Some(accumulator) = matrix.accumulator else { return Ok(()) };
    let input = graph.input_type(id, bits);
    let fits = |bits: u32| {
        let limits = Limits::new(input, bits);
        limits.hold(1, 0) || limits.hold(0, 1)
    };
    // A weight of 1 fits 64 bits with inputs of 8.
    let smallest = (2..=64).find(|&b| fits(b)).unwrap_or(64);
    if accumulator >= smallest {
        return Ok(());
    }
    Err(TrainError::TooNarrow {
        layer: graph.nodes[id].name.clone(),
        bits: accumulator,
        input: input.to_string(),
        smallest,
    })
}

/// A list has one number for all, or as many as there are layers of that kind.
fn counts(section: &str, key: &str, bits: &Bits, layers: usize, what: &str) -> Result<(), TrainError> {
    match bits {
        Bits::Each(each) if each.len() != layers => Err(TrainError::Value {
            section: section.into(),
            key: key.into(),
            found: format!("{each:?}"),
            accepted: format!("one number, or {layers}: the network has {layers} {what}"),
        }),
        _ => Ok(()),
    }
}

fn input_shape(config: &Config, size: Option<usize>) -> Result<[usize; 3], TrainError> {
    let shape = match config.network.input.as_deref() {
        Some(&[c, h, w]) => [c, h, w],
        Some(&[n]) => [n, 1, 1],
        _ if config
            .layers
            .iter()
            .all(|l| matches!(l.kind, Kind::Dense | Kind::BatchNorm | Kind::Relu | Kind::Identity)) =>
        {
            return Ok([size.unwrap_or(1), 1, 1]);
        }
        _ => {
            return Err(TrainError::Value {
                section: "network".into(),
                key: "input".into(),
                found: "missing".into(),
                accepted: "[channels, height, width] of a sample: the layers need it".into(),
            });
        }
    };
    if let Some(size) = size.filter(|&size| shape.iter().product::<usize>() != size) {
        return Err(TrainError::Value {
            section: "network".into(),
            key: "input".into(),
            found: format!("{:?}", config.network.input.as_deref().unwrap_or_default()),
            accepted: format!("a shape of {size} values: that is what samples have"),
        });
    }
    Ok(shape)
}

/// The layers of a perceptron: `dense`, `batch_norm`, `relu`, and so on, and a `dense` for the classes.
fn perceptron(hidden: &[usize], classes: usize) -> Vec<LayerConfig> {
    let layer = |kind: Kind, name: String, outputs: Option<usize>| LayerConfig {
        kind,
        name: Some(name),
        from: None,
        outputs,
        kernel: None,
        stride: None,
        padding: None,
        groups: None,
        weight_bits: None,
        accumulator: None,
        bits: None,
        with: None,
        block: None,
    };
    let mut layers = Vec::new();
    for (i, &neurons) in hidden.iter().enumerate() {
        layers.push(layer(Kind::Dense, format!("layers.{i}"), Some(neurons)));
        layers.push(layer(Kind::BatchNorm, format!("layers.{i}.norm"), None));
        layers.push(layer(Kind::Relu, format!("layers.{i}.relu"), None));
    }
    layers.push(layer(Kind::Dense, format!("layers.{}", hidden.len()), Some(classes)));
    layers
}

/// What the end of the network has to be.
fn finish(config: &Config, graph: &Graph, matrices: usize, classes: Option<usize>) -> Result<(), TrainError> {
    let last = graph.nodes.last().map_or("", |n| n.name.as_str());
    let outputs = graph.outputs();
    let wrong = |found: String, accepted: String| {
        Err(TrainError::Value { section: format!("layer '{last}'"), key: "outputs".into(), found, accepted })
    };
    if matrices == 0 {
        return wrong("none".into(), "a network has at least one dense or conv".into());
    }
    if let Some(unread) = (0..graph.nodes.len() - 1).find(|i| !graph.nodes.iter().any(|n| n.inputs.contains(i))) {
        return Err(fit(&graph.nodes[unread].name, "nothing reads it", "remove it, or add its branch to the rest"));
    }
    let Some(classes) = classes else { return Ok(()) };
    match config.training.loss {
        Loss::CrossEntropy if outputs < classes => {
            wrong(outputs.to_string(), format!("at least {classes}: the samples have so many classes"))
        }
        Loss::Mse if outputs != classes => {
            wrong(outputs.to_string(), format!("{classes}: the targets have so many values"))
        }
        _ => Ok(()),
    }
}

/// A layer that does not go with the others.
fn fit(layer: &str, reason: &str, accepted: &str) -> TrainError {
    TrainError::Layer { layer: layer.to_owned(), reason: reason.to_owned(), accepted: accepted.to_owned() }
}

struct Builder<'a> {
    config: &'a Config,
    graph: Graph,
    /// Layers with weights that there will be.
    matrices: usize,
    named: Vec<(String, Id)>,
}

impl Builder<'_> {
    fn layer(&mut self, index: usize, layer: &LayerConfig, layers: &[LayerConfig]) -> Result<(), TrainError> {
        let name = layer.name.clone().unwrap_or_else(|| format!("layers.{index}"));
        if self.named.iter().any(|(n, _)| *n == name) {
            return Err(fit(&name, "two layers have this name", "give each a name of its own"));
        }
        let from = match &layer.from {
            Some(from) => self.find(&name, "from", from)?,
            None => self.graph.nodes.len() - 1,
        };
        let shape = self.graph.nodes[from].shape;
        let codes = self.graph.codes(from, &self.graph.bits).is_some();
        let mut inputs = vec![from];
        let (op, shape) = match layer.kind {
            Kind::Dense | Kind::Conv => {
                if !codes {
                    let reason = format!("it reads '{}', which is not quantized", self.graph.nodes[from].name);
                    return Err(fit(&name, &reason, "put a relu or identity between them"));
                }
                self.matrix(&name, layer, from, index, layers)?
            }
            Kind::BatchNorm => {
                if !matches!(self.graph.nodes[from].op, Op::Matrix(_)) {
                    let reason = format!("it reads '{}', which has no sums", self.graph.nodes[from].name);
                    return Err(fit(&name, &reason, "put batch_norm right behind a dense or conv"));
                }
                (Op::Norm, shape)
            }
            Kind::Relu | Kind::Identity => {
                let signed = layer.kind == Kind::Identity;
                let at = self.graph.bits.len();
                let common = self.config.network.activation_bits.of(at).unwrap_or(1);
                let bits = layer.bits.unwrap_or(common);
                if signed && bits < 2 {
                    return Err(fit(&name, "signed codes of 1 bit", "give it bits = 2 or more"));
                }
                self.graph.bits.push(bits);
                (Op::Codes(Quantizer { index: at, signed, scale: self.graph.nodes.len() }), shape)
            }
            Kind::MaxPool | Kind::AveragePool => {
                let max = layer.kind == Kind::MaxPool;
                if !codes {
                    let reason = format!("it reads '{}', which is not quantized", self.graph.nodes[from].name);
                    return Err(fit(&name, &reason, "put a relu or identity between them"));
                }
                let whole = Pair::Each([shape[1], shape[2]]);
                let (window, shape) = window(&name, layer, layer.kernel.unwrap_or(whole), true, shape)?;
                (if max { Op::MaxPool(window) } else { Op::AveragePool(window) }, shape)
            }
            Kind::Add => {
                // Keys are checked before: `with` is there.
                let with = self.find(&name, "with", layer.with.as_deref().unwrap_or(""))?;
                self.join(&name, from, with)?;
                inputs.push(with);
                (Op::Add, shape)
            }
            Kind::DepthToSpace => {
                let block = layer.block.unwrap_or(2);
                if !shape[0].is_multiple_of(block * block) {
                    let reason = format!("{} channels are no multiple of {}", shape[0], block * block);
                    return Err(fit(&name, &reason, "change outputs of the layer before, or block"));
                }
                let [c, h, w] = shape;
                (Op::DepthToSpace(block), [c / (block * block), h * block, w * block])
            }
        };
        if shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).is_none_or(|n| n > MOST) {
            return Err(fit(&name, &format!("a result of {shape:?}"), "make it smaller"));
        }
        self.named.push((name.clone(), self.graph.nodes.len()));
        self.graph.nodes.push(Node { name, op, inputs, shape });
        Ok(())
    }

    fn find(&self, layer: &str, key: &str, name: &str) -> Result<Id, TrainError> {
        let found = self.named.iter().find(|(n, _)| n == name).map(|(_, id)| *id);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.named.iter().map(|(n, _)| n.as_str()).collect();
            crate::config::unknown_name(&format!("layer '{layer}'"), key, name, &names)
        })
    }

    fn matrix(
        &self,
        name: &str,
        layer: &LayerConfig,
        from: Id,
        index: usize,
        layers: &[LayerConfig],
    ) -> Result<(Op, [usize; 3]), TrainError> {
        let shape = self.graph.nodes[from].shape;
        let outputs = layer.outputs.unwrap_or(1);
        let groups = layer.groups.unwrap_or(1);
        let (window, columns, size) = match (layer.kind, layer.kernel) {
            (Kind::Conv, Some(kernel)) => {
                if !shape[0].is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
                    let reason = format!("{groups} groups do not divide {} channels and {outputs} outputs", shape[0]);
                    return Err(fit(name, &reason, "use a divisor of both"));
                }
                let (window, [_, h, w]) = window(name, layer, kernel, false, shape)?;
                let taps = window.kernel[0] * window.kernel[1];
                (Some(window), shape[0] / groups * taps, [h, w])
            }
            _ => (None, shape.iter().product(), [1, 1]),
        };
        let at = self.graph.matrices().count();
        let ends = [(End::First, at == 0), (End::Last, at + 1 == self.matrices)];
        let kept = ends.iter().any(|(end, is)| *is && self.config.accumulator.keep.contains(end));
        let accumulator = match (&layer.accumulator, self.graph.method) {
            (_, Method::Unconstrained) | (Some(Accumulator::Text(_)), _) => None,
            (Some(Accumulator::Bits(bits)), _) => Some(*bits),
            (None, _) if kept => None,
            (None, _) => self.config.accumulator.bits.as_ref().and_then(|b| b.of(at)),
        };
        // A batch norm that reads this layer has the bias in its shift.
        let normed = layers.iter().enumerate().any(|(i, l)| {
            let reads = match &l.from {
                Some(from) => from == name,
                None => i == index + 1,
            };
            l.kind == Kind::BatchNorm && reads
        });
        let common = self.config.network.weight_bits.of(at).unwrap_or(8);
        let bits = layer.weight_bits.unwrap_or(common);
        let matrix = Matrix { columns, window, groups, bits, accumulator, bias: !normed };
        Ok((Op::Matrix(matrix), [outputs, size[0], size[1]]))
    }

    /// Gives the quantizers of both branches one scale.
    fn join(&mut self, name: &str, a: Id, b: Id) -> Result<(), TrainError> {
        let nodes = &self.graph.nodes;
        if nodes[a].shape != nodes[b].shape {
            let reason =
                format!("'{}' is {:?}, '{}' {:?}", nodes[a].name, nodes[a].shape, nodes[b].name, nodes[b].shape);
            return Err(fit(name, &reason, "both branches need one shape; check strides and paddings"));
        }
        let mut owners = Vec::new();
        for branch in [a, b] {
            match self.grid(branch) {
                Some(owner) => owners.push(owner),
                None => {
                    let reason = format!("'{}' is not quantized", nodes[branch].name);
                    return Err(fit(name, &reason, "put an identity or relu at the end of that branch"));
                }
            }
        }
        // The earlier one's: the input's, which is fixed, lends itself.
        let owner = owners.iter().copied().min().unwrap_or(0);
        let other = owners.iter().copied().max().unwrap_or(0);
        for node in &mut self.graph.nodes {
            if let Op::Codes(q) = &mut node.op
                && q.scale == other
            {
                q.scale = owner;
            }
        }
        Ok(())
    }

    /// The node whose scale the codes (or sums of codes) behind `id` have; `None` if they are none.
    fn grid(&self, id: Id) -> Option<Id> {
        let node = &self.graph.nodes[id];
        match &node.op {
            Op::Input => Some(0),
            Op::Codes(q) => Some(q.scale),
            Op::MaxPool(_) | Op::DepthToSpace(_) | Op::Add => self.grid(node.inputs[0]),
            Op::Matrix(_) | Op::Norm | Op::AveragePool(_) => None,
        }
    }
}

/// The window of a convolution or pooling, and the shape behind it.
fn window(
    name: &str,
    layer: &LayerConfig,
    kernel: Pair,
    pooling: bool,
    [channels, height, width]: [usize; 3],
) -> Result<(Window, [usize; 3]), TrainError> {
    let kernel = kernel.get();
    let stride = layer.stride.map_or(if pooling { kernel } else { [1, 1] }, Pair::get);
    let pad = layer.padding.map_or([0, 0], Pair::get);
    let window = Window { kernel, stride, dilation: [1, 1], pad_begin: pad, pad_end: pad };
    if (0..2).any(|a| pad[a] >= kernel[a]) {
        return Err(fit(name, &format!("padding {pad:?} for a kernel of {kernel:?}"), "less padding than kernel"));
    }
    let Some([h, w]) = window.output([height, width]) else {
        let reason = format!("a kernel of {kernel:?} is larger than the padded image of {height} x {width}");
        return Err(fit(name, &reason, "a smaller kernel, or more padding"));
    };
    Ok((window, [channels, h, w]))
}
