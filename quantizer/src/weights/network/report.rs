//! What became of a layer, for people.

use ndarray::Array2;
use serde::Serialize;

use super::super::{Choice, Quantized};
use super::width;
use crate::network::{MatrixLayer, Network};

/// One layer's figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// The layer.
    pub name: String,
    /// Whether its weights were touched.
    pub changed: bool,
    /// Accumulator bits asked for.
    pub target: Option<u32>,
    /// Exact accumulator bits before.
    pub before: u32,
    /// Exact accumulator bits now, over the declared type of the inputs.
    pub exact: u32,
    /// Bits of the target that are not needed.
    pub slack: Option<u32>,
    /// `||q - w||^2 / ||w||^2` in real units.
    pub error: f64,
    /// Share of weights that are 0 now.
    pub sparsity: f64,
    /// Channels without a weight left.
    pub zero_channels: usize,
    /// By how much the grid of the coarsest channel has grown; 1 where the grid was kept.
    pub largest_factor: i64,
}

impl LayerReport {
    /// A layer that was left alone.
    pub(super) fn unchanged(
        network: &Network,
        place: usize,
        target: Option<u32>,
        before: u32,
        real: Option<&Array2<f64>>,
    ) -> Self {
        let layer = &network.layers[place];
        debug_assert_eq!(before, width(network, place));
        let (mut zeros, mut all, mut zero_channels, mut error) = (0, 0, 0, 0.0);
        if let Some(dense) = MatrixLayer::of(layer) {
            all = dense.weights.len();
            if let Some(real) = real {
                let scales: Vec<f64> = network.tensor(layer.output).scale.iter().flatten().map(|s| s.factor).collect();
                let choice = Choice::on_grid(dense.weights.clone(), dense.weight_type);
                error = Quantized { choice, widths: Vec::new() }.relative_error(real.view(), &scales);
            }
            zeros = dense.weights.iter().filter(|&&w| w == 0).count();
            zero_channels = dense.weights.rows().into_iter().filter(|row| row.iter().all(|&w| w == 0)).count();
        }
        LayerReport {
            name: layer.name.clone(),
            changed: false,
            target,
            before,
            exact: before,
            slack: target.and_then(|t| t.checked_sub(before)),
            error,
            sparsity: zeros as f64 / all.max(1) as f64,
            zero_channels,
            largest_factor: 1,
        }
    }
}
