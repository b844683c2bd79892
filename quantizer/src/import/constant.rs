//! Constant tensors: as the file has them, as exact reals once computed with, or as integer codes with a scale.

use super::error::Refusal;
use super::real::Real;
use crate::datatype::DataType;
use crate::onnx::tensor::Elements;

/// The most elements that a constant computed from others may have.
pub const MAX_ELEMENTS: usize = 1 << 26;

/// A constant tensor.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Shape, empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Data,
    /// Initializers that it was computed from.
    pub sources: Vec<String>,
}

/// Elements of a constant.
#[derive(Clone, Debug)]
pub enum Data {
    /// As in the file.
    Typed(Elements),
    /// Computed, exactly.
    Real(Vec<Real>),
    /// Quantized: value = code * scale.
    Codes(Codes),
}

/// Integer codes with a scale.
#[derive(Clone, Debug)]
pub struct Codes {
    /// The codes.
    pub codes: Vec<i64>,
    /// Their declared type.
    pub datatype: DataType,
    /// Shape of the scale; it has the rank of the codes and broadcasts to their shape.
    pub scale_shape: Vec<usize>,
    /// The scale's elements.
    pub scale: Vec<Real>,
}

impl Constant {
    /// A computed integer tensor.
    pub fn ints(shape: Vec<usize>, values: Vec<i64>, sources: Vec<String>) -> Self {
        Constant { shape, data: Data::Typed(Elements::I64(values)), sources }
    }

    /// A computed real tensor.
    pub fn reals(shape: Vec<usize>, values: Vec<Real>, sources: Vec<String>) -> Self {
        Constant { shape, data: Data::Real(values), sources }
    }

    /// Number of elements.
    #[allow(clippy::len_without_is_empty)] // no caller asks
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Typed(e) => e.len(),
            Data::Real(v) => v.len(),
            Data::Codes(c) => c.codes.len(),
        }
    }

    /// The integers, if the tensor holds nothing else.
    pub fn as_ints(&self) -> Option<&[i64]> {
        match &self.data {
            Data::Typed(Elements::I64(v)) => Some(v),
            _ => None,
        }
    }

    /// Element `i` exactly.
    ///
    /// # Errors
    /// If it is NaN or infinite.
    pub fn real(&self, i: usize) -> Result<Real, Refusal> {
        let float = |v: f64| {
            Real::from_f64(v).ok_or_else(|| {
                let from = self.sources.first().map(|s| format!(" of '{s}'")).unwrap_or_default();
                Refusal::new(
                    format!("element {i}{from} is {v}"),
                    "train or export again: no parameter may be NaN or infinite",
                )
            })
        };
        match &self.data {
            Data::Typed(Elements::F32(v)) => float(v[i].into()),
            Data::Typed(Elements::F64(v)) => float(v[i]),
            Data::Typed(Elements::I64(v)) => Ok(v[i].into()),
            Data::Real(v) => Ok(v[i].clone()),
            Data::Codes(c) => Ok(Real::from(c.codes[i]).mul(&c.scale[broadcast_index(i, &self.shape, &c.scale_shape)])),
        }
    }

    /// All elements exactly.
    ///
    /// # Errors
    /// If one is NaN or infinite.
    pub fn to_reals(&self) -> Result<Vec<Real>, Refusal> {
        (0..self.len()).map(|i| self.real(i)).collect()
    }

    /// The only element exactly; `what` names it in the refusal.
    ///
    /// # Errors
    /// If there is not exactly one, or it is NaN or infinite.
    pub fn scalar(&self, what: &str) -> Result<Real, Refusal> {
        if self.len() != 1 {
            return Err(Refusal::new(
                format!("{what} has shape {:?}, one number is needed", self.shape),
                format!("export with a scalar {what}"),
            ));
        }
        self.real(0)
    }

    /// The elements at `indices`, as a tensor of `shape`. Codes lose their form unless their scale is a single one.
    pub fn take(&self, indices: &[usize], shape: Vec<usize>) -> Result<Constant, Refusal> {
        let data = match &self.data {
            Data::Typed(Elements::F32(v)) => Data::Typed(Elements::F32(indices.iter().map(|&i| v[i]).collect())),
            Data::Typed(Elements::F64(v)) => Data::Typed(Elements::F64(indices.iter().map(|&i| v[i]).collect())),
            Data::Typed(Elements::I64(v)) => Data::Typed(Elements::I64(indices.iter().map(|&i| v[i]).collect())),
            Data::Codes(c) if c.scale.len() == 1 => Data::Codes(Codes {
                codes: indices.iter().map(|&i| c.codes[i]).collect(),
                scale_shape: vec![1; shape.len()],
                ..c.clone()
            }),
            _ => Data::Real(indices.iter().map(|&i| self.real(i)).collect::<Result<_, _>>()?),
        };
        Ok(Constant { shape, data, sources: self.sources.clone() })
    }

    /// Axes permuted as ONNX `Transpose` does; `permutation` is one of all axes.
    pub fn transpose(&self, permutation: &[usize]) -> Result<Constant, Refusal> {
        let shape: Vec<usize> = permutation.iter().map(|&p| self.shape[p]).collect();
        let indices = transposed(&self.shape, permutation);
        if let Data::Codes(c) = &self.data {
            let scale_indices = transposed(&c.scale_shape, permutation);
            let data = Data::Codes(Codes {
                codes: indices.iter().map(|&i| c.codes[i]).collect(),
                datatype: c.datatype,
                scale_shape: permutation.iter().map(|&p| c.scale_shape[p]).collect(),
                scale: scale_indices.iter().map(|&i| c.scale[i].clone()).collect(),
            });
            return Ok(Constant { shape, data, sources: self.sources.clone() });
        }
        self.take(&indices, shape)
    }
}

impl Constant {
    /// The axis `axis`, which counts an image's elements with its `channels` last, counting them channels first.
    ///
    /// # Errors
    /// If an element is NaN or infinite.
    pub fn channels_first(&self, axis: usize, channels: usize) -> Result<Constant, Refusal> {
        let split = |shape: &[usize]| {
            let mut split = shape.to_vec();
            let both = if shape[axis] == 1 { [1, 1] } else { [shape[axis] / channels, channels] };
            split.splice(axis..=axis, both);
            split
        };
        let mut open = Constant { shape: split(&self.shape), ..self.clone() };
        if let Data::Codes(codes) = &mut open.data {
            codes.scale_shape = split(&codes.scale_shape);
        }
        let mut order: Vec<usize> = (0..open.shape.len()).collect();
        order.swap(axis, axis + 1);
        let mut turned = open.transpose(&order)?;
        turned.shape = self.shape.clone();
        if let (Data::Codes(turned), Data::Codes(own)) = (&mut turned.data, &self.data) {
            turned.scale_shape.clone_from(&own.scale_shape);
        }
        Ok(turned)
    }
}

/// Product of a shape; `None` if above [`MAX_ELEMENTS`].
pub fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_ELEMENTS)
}

/// For each element of the transposed tensor, its index in the original.
fn transposed(shape: &[usize], permutation: &[usize]) -> Vec<usize> {
    let strides = strides(shape);
    let shape: Vec<usize> = permutation.iter().map(|&p| shape[p]).collect();
    let strides: Vec<usize> = permutation.iter().map(|&p| strides[p]).collect();
    walk(&shape, &strides)
}

/// Row-major strides.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The offsets met when walking `shape` in row-major order with these strides.
pub fn walk(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let count: usize = shape.iter().product();
    let mut offsets = vec![0; count.min(1)];
    for (&d, &s) in shape.iter().zip(strides) {
        offsets = offsets.iter().flat_map(|&o| (0..d).map(move |i| o + i * s)).collect();
    }
    offsets
}

/// The shape to which both broadcast as numpy does; `None` if they do not.
pub fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |s: &[usize], i: usize| if i + s.len() < rank { 1 } else { s[i + s.len() - rank] };
    (0..rank)
        .map(|i| match (dim(a, i), dim(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// For each element of `target`, the index in a tensor of `shape` that broadcasts to it.
pub fn broadcast_indices(shape: &[usize], target: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    let lead = target.len() - shape.len();
    let strides: Vec<usize> =
        (0..target.len()).map(|i| if i < lead || shape[i - lead] == 1 { 0 } else { own[i - lead] }).collect();
    walk(target, &strides)
}

/// The index in a tensor of `shape`, which broadcasts to `target` and has its rank, of `target`'s element `i`.
fn broadcast_index(mut i: usize, target: &[usize], shape: &[usize]) -> usize {
    let own = strides(shape);
    let mut index = 0;
    for axis in (0..target.len()).rev() {
        let at = i % target[axis];
        i /= target[axis];
        if shape[axis] != 1 {
            index += at * own[axis];
        }
    }
    index
}
