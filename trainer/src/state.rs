//! Everything that training changes: parameters with Adam's moments, running statistics, how far it has come.

/// What a parameter is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Latent weights, `[outputs, inputs]`.
    Weight,
    /// log2 of the weights' scale, `[outputs, 1]`.
    Scale,
    /// log2 of the weights' l1 norm (A2Q, A2Q+), `[outputs, 1]`.
    Norm,
    /// Gain of the batch norm, `[1, outputs]`.
    Gain,
    /// Shift of the batch norm, or bias of the last layer, `[1, outputs]`.
    Shift,
    /// log2 of the scale of activations, `[1, 1]`.
    Activation,
}

/// One tensor that is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Whose: the layer, from 0.
    pub layer: usize,
    /// What for.
    pub role: Role,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Row by row.
    pub values: Vec<f32>,
    /// Adam's running mean of gradients.
    pub mean: Vec<f32>,
    /// Adam's running mean of their squares.
    pub square: Vec<f32>,
}

/// Running statistics of a batch norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Means, one per output.
    pub mean: Vec<f32>,
    /// Unbiased variances.
    pub variance: Vec<f32>,
}

/// A network in training.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Neurons of all layers, inputs first.
    pub widths: Vec<usize>,
    /// All parameters, layer by layer.
    pub parameters: Vec<Parameter>,
    /// One for each hidden layer.
    pub running: Vec<Running>,
    /// Steps that Adam has taken since its moments were last cleared.
    pub steps: u64,
    /// Epochs done, of float training and of quantized training.
    pub epochs: [usize; 2],
}

/// Decay of Adam's means, and what keeps its quotients finite (Kingma and Ba, 2015).
const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

impl State {
    /// A float network: weights uniform within `1 / sqrt(inputs)`, drawn from `seed`.
    pub fn new(widths: &[usize], seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut parameters = Vec::new();
        let layers = widths.len() - 1;
        for (layer, pair) in widths.windows(2).enumerate() {
            let (inputs, outputs) = (pair[0], pair[1]);
            let reach = 1.0 / (inputs as f64).sqrt();
            let weights = (0..inputs * outputs).map(|_| ((2.0 * random.f64() - 1.0) * reach) as f32).collect();
            let mut add = |role, shape: [usize; 2], values: Vec<f32>| {
                let zeros = vec![0.0; values.len()];
                parameters.push(Parameter { layer, role, shape, values, mean: zeros.clone(), square: zeros });
            };
            add(Role::Weight, [outputs, inputs], weights);
            add(Role::Scale, [outputs, 1], vec![0.0; outputs]);
            add(Role::Norm, [outputs, 1], vec![0.0; outputs]);
            if layer + 1 < layers {
                add(Role::Gain, [1, outputs], vec![1.0; outputs]);
            }
            add(Role::Shift, [1, outputs], vec![0.0; outputs]);
            if layer + 1 < layers {
                add(Role::Activation, [1, 1], vec![0.0]);
            }
        }
        let running = widths[1..layers].iter().map(|&n| Running { mean: vec![0.0; n], variance: vec![1.0; n] });
        State { widths: widths.to_vec(), running: running.collect(), parameters, steps: 0, epochs: [0, 0] }
    }

    /// Layers with weights.
    pub fn layers(&self) -> usize {
        self.widths.len() - 1
    }

    /// Where a parameter stands; `None` if the layer has none of this role.
    pub fn position(&self, layer: usize, role: Role) -> Option<usize> {
        self.parameters.iter().position(|p| p.layer == layer && p.role == role)
    }

    /// The values of a parameter; empty if the layer has none of this role.
    pub fn values(&self, layer: usize, role: Role) -> &[f32] {
        self.position(layer, role).map_or(&[], |i| &self.parameters[i].values)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self, layer: usize, role: Role) -> &mut [f32] {
        match self.position(layer, role) {
            Some(i) => &mut self.parameters[i].values,
            None => &mut [],
        }
    }

    /// Forgets Adam's moments: a new phase begins.
    pub fn clear_moments(&mut self) {
        self.steps = 0;
        for p in &mut self.parameters {
            p.mean.fill(0.0);
            p.square.fill(0.0);
        }
    }

    /// One step of Adam. `gradients` stand beside the parameters; those without one stay. Only weights decay.
    pub fn step(&mut self, gradients: &[Option<Vec<f32>>], rate: f64, weight_decay: f64) {
        self.steps += 1;
        // More steps than fit an i32 are more than anybody takes.
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let [first, second] = BETA.map(|beta| 1.0 - beta.powi(steps));
        for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let decay = if parameter.role == Role::Weight { weight_decay } else { 0.0 };
            let moments = parameter.mean.iter_mut().zip(&mut parameter.square);
            for ((value, (mean, square)), &g) in parameter.values.iter_mut().zip(moments).zip(gradient) {
                let g = f64::from(g) + decay * f64::from(*value);
                *mean = (BETA[0] * f64::from(*mean) + (1.0 - BETA[0]) * g) as f32;
                *square = (BETA[1] * f64::from(*square) + (1.0 - BETA[1]) * g * g) as f32;
                let denominator = (f64::from(*square) / second).sqrt() + EPSILON;
                *value -= (rate * (f64::from(*mean) / first) / denominator) as f32;
            }
        }
    }
}
