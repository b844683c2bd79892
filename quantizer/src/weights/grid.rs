//! Scales: from real weights to units of their grid.

use ndarray::{Array2, ArrayView2};

use super::WeightError;
use crate::datatype::DataType;

/// How many scales a layer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// One for all weights.
    Tensor,
    /// One for each output channel.
    Channel,
}

/// The scales that make the largest magnitude the largest positive code: `max |w| / (2^(M-1) - 1)`; 1 where all weights are 0.
pub fn max_scales(weights: ArrayView2<'_, f64>, weight_type: DataType, granularity: Granularity) -> Vec<f64> {
    let largest = |values: &mut dyn Iterator<Item = &f64>| values.fold(0.0, |m: f64, w| m.max(w.abs()));
    let scale = |max: f64| if max > 0.0 { max / weight_type.range().hi as f64 } else { 1.0 };
    match granularity {
        Granularity::Tensor => vec![scale(largest(&mut weights.iter()))],
        Granularity::Channel => weights.rows().into_iter().map(|row| scale(largest(&mut row.iter()))).collect(),
    }
}

/// Weights in units of their scale: one scale for all channels, or one for each.
///
/// # Errors
/// If there is another number of scales, or one is not positive and finite.
pub fn in_units(weights: ArrayView2<'_, f64>, scales: &[f64]) -> Result<Array2<f64>, WeightError> {
    if scales.len() != 1 && scales.len() != weights.nrows() {
        return Err(WeightError::Scales { what: format!("{} scales for {} channels", scales.len(), weights.nrows()) });
    }
    if let Some(s) = scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(WeightError::Scales { what: format!("the scale {s} is not positive and finite") });
    }
    Ok(Array2::from_shape_fn(weights.dim(), |(c, t)| {
        weights[[c, t]] / if scales.len() == 1 { scales[0] } else { scales[c] }
    }))
}
