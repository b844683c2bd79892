//! What of a network needs hardware, stage by stage: thresholds joined with the layer before them.

use std::collections::HashMap;

use ndarray::Array2;

use quantizer::datatype::Range;
use quantizer::network::{DepthToSpace, Layer, Network, Op, Steps, Table, TensorId, Threshold, Window, image};

use crate::error::GenerateError;
use crate::folding::LayerFolding;
use crate::lower::settle;

/// The stages of a network in topological order.
#[derive(Clone, Debug)]
pub struct Stages<'a> {
    /// The network.
    pub network: &'a Network,
    /// The stages.
    pub stages: Vec<Stage<'a>>,
}

/// A step that becomes one or more modules.
#[derive(Clone, Debug)]
pub struct Stage<'a> {
    /// The layer that it serves (of a matrix stage: the one with the weights).
    pub layer: &'a Layer,
    /// Tensors read.
    pub inputs: Vec<TensorId>,
    /// Tensor written.
    pub output: TensorId,
    /// What it does.
    pub work: Work,
}

/// What a stage does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Products with weights, and thresholds behind them.
    Matrix(Matrix),
    /// Thresholds by themselves, one step function per channel.
    Requant(Vec<Steps>),
    /// Codes by look-up.
    Table(Table),
    /// Largest value (or sum) of each window.
    Pool {
        /// How the window moves.
        window: Window,
        /// Whether the sum.
        sum: bool,
    },
    /// Sum with coefficients.
    Add(Vec<i64>),
    /// Channels one after the other.
    Concat,
    /// Pixels several times.
    Upsample([usize; 2]),
    /// Channels become places.
    DepthToSpace(DepthToSpace),
    /// An image becomes a vector.
    Flatten,
}

/// A dense layer or a convolution.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// How the window moves, for a convolution.
    pub window: Option<Window>,
    /// Source rows that are alive, ascending.
    pub rows: Vec<usize>,
    /// Source columns that are alive, ascending. Of a convolution: `channel * places of the window + place`.
    pub columns: Vec<usize>,
    /// Weights of live rows and columns.
    pub weights: Array2<i64>,
    /// What the live columns can carry; 0 is in it where the padded border can be read.
    pub inputs: Vec<Range>,
    /// Step function of each live row, if thresholds follow.
    pub steps: Option<Vec<Steps>>,
    /// Of a grouped convolution that is built group by group; `None` where every row reads the whole vector.
    pub groups: Option<Groups>,
}

/// The groups of a convolution. All that are left have all their rows and channels: row `i` of group `g` is `rows[g * self.rows + i]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Channels that each reads.
    pub channels: usize,
    /// Rows of each.
    pub rows: usize,
}

/// How a folding divides the work of a grouped convolution: `together` groups at a time, and of each so many rows, channels and
/// places. More than one group at a time takes all rows and channels of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFolding {
    /// Groups worked on together.
    pub together: usize,
    /// Rows of each at a time.
    pub rows: usize,
    /// Channels of each at a time.
    pub channels: usize,
    /// Places of the window at a time.
    pub places: usize,
}

impl GroupFolding {
    /// Lanes of a beat of the window, all of one place.
    pub fn lanes(&self) -> usize {
        self.together * self.channels
    }
}

impl Groups {
    /// What PE and SIMD mean for `count` groups and a window of `places`: PE counts rows, SIMD the columns of a row. `None` where
    /// they cut through groups or places.
    pub fn folding(&self, folding: LayerFolding, count: usize, places: usize) -> Option<GroupFolding> {
        let LayerFolding { pe, simd } = folding;
        if pe == 0 || simd == 0 {
            return None;
        }
        let (together, rows) = if self.rows.is_multiple_of(pe) { (1, pe) } else { (pe / self.rows, self.rows) };
        let (channels, at_once) =
            if self.channels.is_multiple_of(simd) { (simd, 1) } else { (self.channels, simd / self.channels) };
        let found = GroupFolding { together, rows, channels, places: at_once };
        let exact = together * rows == pe && channels * at_once == simd;
        let whole = count.is_multiple_of(together) && places.is_multiple_of(at_once);
        (exact && whole && (together == 1 || channels == self.channels)).then_some(found)
    }
}

impl Matrix {
    /// Places of the window: columns of one input channel.
    pub fn places(&self) -> usize {
        self.window.map_or(1, |w| w.kernel[0] * w.kernel[1])
    }

    /// Whether a window can reach beyond the image.
    pub fn padded(&self) -> bool {
        self.window.is_some_and(|w| w.pad_begin != [0, 0] || w.pad_end != [0, 0])
    }
}

/// The stages of `network`.
///
/// # Errors
/// A network without weights, a layer that nothing reads, accumulators that leave and are read as well.
pub fn stages(network: &Network) -> Result<Stages<'_>, GenerateError> {
    let mut readers: HashMap<TensorId, usize> = HashMap::new();
    for id in network.layers.iter().flat_map(|l| &l.inputs) {
        *readers.entry(*id).or_default() += 1;
    }
    if let Some(layer) = network.readers(network.output).next() {
        let reason = "it reads the network's output, which leaves the accelerator; only one of both is supported";
        return Err(unsupported(layer, reason));
    }
    let mut stages: Vec<Stage> = Vec::new();
    for layer in &network.layers {
        if layer.output != network.output && !readers.contains_key(&layer.output) {
            return Err(unsupported(layer, "nothing reads what it computes; remove it"));
        }
        let (input, output) = (network.tensor(layer.input()), network.tensor(layer.output));
        let work = match &layer.op {
            Op::Dense(dense) => Work::Matrix(Matrix {
                window: None,
                rows: (0..dense.weights.nrows()).collect(),
                columns: (0..dense.weights.ncols()).collect(),
                weights: dense.weights.clone(),
                inputs: input.ranges.clone(),
                steps: None,
                groups: None,
            }),
            Op::Conv(conv) => {
                let (channels, _) = image(&input.shape).ok_or_else(|| unsupported(layer, "it reads no image"))?;
                let places = conv.window.kernel[0] * conv.window.kernel[1];
                let mut matrix = Matrix {
                    window: Some(conv.window),
                    rows: (0..conv.weights.nrows()).collect(),
                    columns: (0..channels * places).collect(),
                    weights: ungrouped(conv, channels),
                    inputs: Vec::new(),
                    steps: None,
                    groups: (conv.groups > 1)
                        .then(|| Groups { channels: channels / conv.groups, rows: conv.weights.nrows() / conv.groups }),
                };
                let border = matrix.padded();
                let range = |r: Range| if border { r.hull(Range::ZERO) } else { r };
                matrix.inputs = matrix.columns.iter().map(|c| range(input.ranges[c / places])).collect();
                Work::Matrix(matrix)
            }
            Op::Threshold(threshold) => {
                let steps = channels(threshold, output.shape.first().copied().unwrap_or(1));
                // Thresholds that alone read a layer's accumulators are found by the same module.
                let before = stages.iter_mut().find(|s| s.output == layer.input() && readers[&s.output] == 1);
                if let Some(Stage { work: Work::Matrix(matrix), output, .. }) = before
                    && matrix.steps.is_none()
                {
                    matrix.steps = Some(steps);
                    *output = layer.output;
                    continue;
                }
                Work::Requant(steps)
            }
            Op::MaxPool(window) => Work::Pool { window: *window, sum: false },
            Op::SumPool(window) => Work::Pool { window: *window, sum: true },
            Op::Add(add) => Work::Add(add.coefficients.clone()),
            Op::Table(table) => Work::Table(table.clone()),
            Op::Concat => Work::Concat,
            Op::Upsample(factor) => Work::Upsample(*factor),
            Op::DepthToSpace(d) => Work::DepthToSpace(*d),
            Op::Flatten => Work::Flatten,
        };
        stages.push(Stage { layer, inputs: layer.inputs.clone(), output: layer.output, work });
    }
    if !stages.iter().any(|s| matches!(s.work, Work::Matrix(_))) {
        let reason = "the network has no layer with weights, so there is nothing to build".to_owned();
        return Err(GenerateError::Unsupported { layer: network.name.clone(), reason });
    }
    let mut graph = Stages { network, stages };
    settle(&mut graph);
    Ok(graph)
}

impl Stages<'_> {
    /// How many groups of a grouped layer `folding` works on together; 1 for other layers.
    pub fn together(&self, layer: &str, folding: Option<LayerFolding>) -> usize {
        let matrix = self.stages.iter().find_map(|s| match &s.work {
            Work::Matrix(matrix) if s.layer.name == layer => Some(matrix),
            _ => None,
        });
        let found =
            matrix.zip(folding).and_then(|(m, f)| m.groups?.folding(f, m.rows.len() / m.groups?.rows, m.places()));
        found.map_or(1, |f| f.together)
    }

    /// The stages that read `tensor`, by index.
    pub fn readers(&self, tensor: TensorId) -> Vec<usize> {
        let reads = |s: &Stage| s.inputs.iter().filter(|&&id| id == tensor).count();
        self.stages.iter().enumerate().flat_map(|(i, s)| std::iter::repeat_n(i, reads(s))).collect()
    }
}

pub(crate) fn unsupported(layer: &Layer, reason: &str) -> GenerateError {
    GenerateError::Unsupported { layer: layer.name.clone(), reason: reason.to_owned() }
}

fn channels(threshold: &Threshold, count: usize) -> Vec<Steps> {
    (0..count).map(|c| threshold.channel(c).clone()).collect()
}

/// The weights over all channels: 0 where a row's group does not reach.
fn ungrouped(conv: &quantizer::network::Conv, channels: usize) -> Array2<i64> {
    if conv.groups == 1 {
        return conv.weights.clone();
    }
    let (rows, own) = conv.weights.dim();
    let places = conv.window.kernel[0] * conv.window.kernel[1];
    let mut weights = Array2::zeros((rows, channels * places));
    for (row, values) in conv.weights.rows().into_iter().enumerate() {
        let first = row / (rows / conv.groups) * own;
        weights.slice_mut(ndarray::s![row, first..first + own]).assign(&values);
    }
    weights
}
