//! Integer weights of a layer, and what the scales and offsets of its inputs make of them.

use ndarray::{Array2, s};

use super::chain::{Link, Param};
use super::codes::{self, Quantized};
use super::constant::{Codes, Constant, Data};
use super::error::Refusal;
use super::function::Function;
use super::real::Real;
use crate::datatype::{DataType, Range};
use crate::network::Scale;

/// Weights of a layer: value = code * scale of its row.
pub struct Weights {
    /// `[rows, columns]`.
    pub codes: Array2<i64>,
    /// Their type.
    pub datatype: DataType,
    /// One number, or one per row.
    pub scale: Param,
    /// Initializers that they come from.
    pub sources: Vec<String>,
}

/// What the accumulators of a layer mean: `factor * row scale * accumulator + shift`.
pub struct Meaning {
    /// One factor for all rows, or one per group of rows.
    pub factor: Param,
    /// What constant offsets of the inputs add to each row.
    pub shift: Option<Vec<Real>>,
}

/// The codes of a constant, and its own record of them.
///
/// # Errors
/// If it is not quantized.
pub fn quantized(constant: &Constant) -> Result<&Codes, Refusal> {
    match &constant.data {
        Data::Codes(codes) => Ok(codes),
        _ => Err(Refusal::new(
            "its weights are not quantized",
            "put a Quant (or BipolarQuant) node on them, or annotate them with an integer finn_datatype",
        )),
    }
}

/// The scale of each of so many rows, or of all; rows are along `axis`.
///
/// # Errors
/// If the scale differs inside a row.
pub fn row_scale(own: &Codes, rows: usize, axis: usize) -> Result<Param, Refusal> {
    let scale = Param::new(own.scale.clone());
    if let Some(one) = scale.uniform() {
        return Ok(Param::scalar(one.clone()));
    }
    let other = own.scale_shape.iter().enumerate().any(|(i, &d)| i != axis && d != 1);
    if other || own.scale_shape[axis] != rows {
        return Err(Refusal::new(
            format!(
                "its weights have a scale of shape {:?}, which differs between inputs of one output",
                own.scale_shape
            ),
            "use one scale per tensor, or one per output channel",
        ));
    }
    Ok(scale)
}

impl Weights {
    /// Takes the inputs' scales in. `channels` input channels in `groups` groups; rows and columns are in their order.
    /// Where channels of one group have different scales, their quotients become part of the weights.
    ///
    /// # Errors
    /// If scales of one group are no small whole multiples of one, or the weights would have more than 32 bits.
    pub fn take_in(&mut self, input: &Quantized, channels: usize, groups: usize) -> Result<Meaning, Refusal> {
        let (rows, columns) = self.codes.dim();
        let (factors, offsets) = input.per_channel(channels)?;
        let (each, wide) = (channels / groups, rows / groups);
        let places = columns / each;
        // Before the weights grow: an offset is a real number, and belongs to the weight as the file has it.
        let shift = input.offsets().map(|_| {
            (0..rows)
                .map(|r| self.row_offset(r, &offsets[r / wide * each..][..each]).mul(self.scale.at(r, rows)))
                .collect()
        });
        let mut steps = Vec::with_capacity(groups);
        let mut grown = false;
        for g in 0..groups {
            let (step, multiples) = codes::common_factor(&factors[g * each..][..each])?;
            for (c, &multiple) in multiples.iter().enumerate().filter(|&(_, &m)| m != 1) {
                grown = true;
                // At most 2^32 by the weights' type, times 2^16.
                let mut block = self.codes.slice_mut(s![g * wide..(g + 1) * wide, c * places..(c + 1) * places]);
                block.mapv_inplace(|w| w * multiple);
            }
            steps.push(step);
        }
        if grown {
            let hull = self.codes.iter().fold(Range::ZERO, |h, &w| h.hull(Range::new(w, w)));
            self.datatype = DataType::fitting(hull);
            if self.datatype.bits > DataType::MAX_BITS {
                return Err(Refusal::new(
                    format!(
                        "it reads channels of different scales, which would make weights of {} bits",
                        self.datatype.bits
                    ),
                    "quantize its input with one scale per tensor",
                ));
            }
        }
        let factor = Param::new(steps);
        let factor = factor.uniform().map_or_else(|| factor.clone(), |f| Param::scalar(f.clone()));
        Ok(Meaning { factor, shift })
    }

    /// The sum over a row's columns of weight times its channel's offset.
    fn row_offset(&self, row: usize, offsets: &[Real]) -> Real {
        let places = self.codes.ncols() / offsets.len();
        offsets.iter().enumerate().fold(Real::from(0), |sum, (c, offset)| {
            let codes: i64 = self.codes.slice(s![row, c * places..(c + 1) * places]).sum();
            sum.add(&offset.mul(&codes.into()))
        })
    }

    /// Real values of the accumulators, as metadata.
    pub fn scales(&self, meaning: &Meaning) -> Option<Vec<Scale>> {
        let rows = self.codes.nrows();
        super::build::scales((0..rows).map(|r| {
            let shift = meaning.shift.as_ref().map_or_else(|| 0.into(), |s| s[r].clone());
            (meaning.factor.at(r, rows).mul(self.scale.at(r, rows)), shift)
        }))
    }
}

impl Meaning {
    /// As functions of the accumulator, with the rows' scales.
    pub fn links(self, scale: Param, node: &str, output: &str) -> Vec<Link> {
        let mut functions = vec![Function::Mul(self.factor), Function::Mul(scale)];
        functions.extend(self.shift.map(|shift| Function::Add(Param::new(shift))));
        let link = |function| Link { node: node.into(), output: output.into(), function, sources: Vec::new() };
        functions.into_iter().map(link).collect()
    }
}
