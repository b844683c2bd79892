//! Everything that training changes: parameters with the optimizer's moments, running statistics, how far it has come.

use crate::graph::{Graph, Id, Op};

/// What a parameter is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Latent weights, `[outputs, columns]`.
    Weight,
    /// log2 of the weights' scale, `[outputs, 1]`.
    Scale,
    /// log2 of the weights' l1 norm (A2Q, A2Q+), `[outputs, 1]`.
    Norm,
    /// Gain of a batch norm, `[1, channels]`.
    Gain,
    /// Shift of a batch norm, or bias of a layer without one, `[1, channels]`.
    Shift,
    /// log2 of the scale of activations, `[1, 1]`.
    Activation,
}

/// One tensor that is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Whose: the node of the graph.
    pub node: Id,
    /// What for.
    pub role: Role,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Row by row.
    pub values: Vec<f32>,
    /// Adam's running mean of gradients, or SGD's velocity.
    pub mean: Vec<f32>,
    /// Adam's running mean of their squares.
    pub square: Vec<f32>,
}

/// Running statistics of a batch norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Whose.
    pub node: Id,
    /// Means, one per channel.
    pub mean: Vec<f32>,
    /// Unbiased variances.
    pub variance: Vec<f32>,
}

/// A network in training.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// All parameters, node by node.
    pub parameters: Vec<Parameter>,
    /// One for each batch norm.
    pub running: Vec<Running>,
    /// Bits of every quantizer of activations: the graph's, or what a search has chosen.
    pub bits: Vec<u32>,
    /// Whether the search is over.
    pub searched: bool,
    /// Steps that the optimizer has taken since its moments were last cleared.
    pub steps: u64,
    /// Epochs done, of float training and of quantized training.
    pub epochs: [usize; 2],
}

impl State {
    /// A float network: weights uniform within `1 / sqrt(columns)`, drawn from `seed`.
    pub fn new(graph: &Graph, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut parameters = Vec::new();
        let mut running = Vec::new();
        for (id, node) in graph.nodes.iter().enumerate() {
            let channels = node.shape[0];
            let mut add = |role, shape: [usize; 2], values: Vec<f32>| {
                let zeros = vec![0.0; values.len()];
                parameters.push(Parameter { node: id, role, shape, values, mean: zeros.clone(), square: zeros });
            };
            match &node.op {
                Op::Matrix(matrix) => {
                    let columns = matrix.columns;
                    let reach = 1.0 / (columns as f64).sqrt();
                    let draw = |_| ((2.0 * random.f64() - 1.0) * reach) as f32;
                    add(Role::Weight, [channels, columns], (0..columns * channels).map(draw).collect());
                    add(Role::Scale, [channels, 1], vec![0.0; channels]);
                    add(Role::Norm, [channels, 1], vec![0.0; channels]);
                    if matrix.bias {
                        add(Role::Shift, [1, channels], vec![0.0; channels]);
                    }
                }
                Op::Norm => {
                    add(Role::Gain, [1, channels], vec![1.0; channels]);
                    add(Role::Shift, [1, channels], vec![0.0; channels]);
                    running.push(Running { node: id, mean: vec![0.0; channels], variance: vec![1.0; channels] });
                }
                Op::Codes(quantizer) if quantizer.scale == id => add(Role::Activation, [1, 1], vec![0.0]),
                _ => {}
            }
        }
        State { parameters, running, bits: graph.bits.clone(), searched: false, steps: 0, epochs: [0, 0] }
    }

    /// Where a parameter stands; `None` if the node has none of this role.
    pub fn position(&self, node: Id, role: Role) -> Option<usize> {
        self.parameters.iter().position(|p| p.node == node && p.role == role)
    }

    /// The values of a parameter; empty if the node has none of this role.
    pub fn values(&self, node: Id, role: Role) -> &[f32] {
        self.position(node, role).map_or(&[], |i| &self.parameters[i].values)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self, node: Id, role: Role) -> &mut [f32] {
        match self.position(node, role) {
            Some(i) => &mut self.parameters[i].values,
            None => &mut [],
        }
    }

    /// The running statistics of a batch norm; `None` if the node is none.
    pub fn running(&self, node: Id) -> Option<&Running> {
        self.running.iter().find(|r| r.node == node)
    }

    /// Forgets the optimizer's moments: a new phase begins.
    pub fn clear_moments(&mut self) {
        self.steps = 0;
        for p in &mut self.parameters {
            p.mean.fill(0.0);
            p.square.fill(0.0);
        }
    }
}
