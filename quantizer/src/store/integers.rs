//! Integer tensors in the smallest type that holds them, and reading them back.

use std::borrow::Cow;
use std::collections::HashSet;

use ndarray::Array2;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, View};

use super::StoreError;

/// An integer tensor on its way to disk.
pub(super) struct Integers {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Integers {
    pub(super) fn new(shape: Vec<usize>, values: &[i64]) -> Self {
        let all = |fits: fn(i64) -> bool| values.iter().all(|&v| fits(v));
        let (dtype, size) = if all(|v| i8::try_from(v).is_ok()) {
            (Dtype::I8, 1)
        } else if all(|v| i16::try_from(v).is_ok()) {
            (Dtype::I16, 2)
        } else if all(|v| i32::try_from(v).is_ok()) {
            (Dtype::I32, 4)
        } else {
            (Dtype::I64, 8)
        };
        // Two's complement, little endian: the low bytes of the long form are the short form.
        let bytes = values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(size)).collect();
        Integers { dtype, shape, bytes }
    }
}

impl View for Integers {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The tensors of a file, and which of them have been asked for.
pub(super) struct Entries<'a> {
    file: SafeTensors<'a>,
    used: HashSet<String>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(file: SafeTensors<'a>) -> Self {
        Entries { file, used: HashSet::new() }
    }

    /// A list of integers.
    pub(super) fn list(&mut self, entry: &str) -> Result<Vec<i64>, StoreError> {
        let view = self.view(entry)?;
        match view.shape() {
            [_] => integers(entry, &view),
            other => Err(damaged(entry, format!("shape {other:?} where one dimension is expected"))),
        }
    }

    /// A matrix of integers.
    pub(super) fn matrix(&mut self, entry: &str) -> Result<Array2<i64>, StoreError> {
        let view = self.view(entry)?;
        match *view.shape() {
            [rows, columns] => Array2::from_shape_vec((rows, columns), integers(entry, &view)?)
                .map_err(|error| damaged(entry, error.to_string())),
            ref other => Err(damaged(entry, format!("shape {other:?} where two dimensions are expected"))),
        }
    }

    /// Refuses a file with entries that nobody asked for.
    pub(super) fn all_used(&self) -> Result<(), StoreError> {
        // The smallest name, for the same message every time.
        match self.file.names().into_iter().filter(|&name| !self.used.contains(name)).min() {
            Some(entry) => Err(StoreError::Unused { entry: entry.to_owned() }),
            None => Ok(()),
        }
    }

    fn view(&mut self, entry: &str) -> Result<TensorView<'a>, StoreError> {
        self.used.insert(entry.to_owned());
        self.file.tensor(entry).map_err(|_| StoreError::Missing { entry: entry.to_owned() })
    }
}

fn integers(entry: &str, view: &TensorView<'_>) -> Result<Vec<i64>, StoreError> {
    let size = match view.dtype() {
        Dtype::I8 => 1,
        Dtype::I16 => 2,
        Dtype::I32 => 4,
        Dtype::I64 => 8,
        other => return Err(damaged(entry, format!("{other} where integers are expected"))),
    };
    let extend = |bytes: &[u8]| {
        let negative = bytes.last().is_some_and(|&high| high >= 0x80);
        let mut word = if negative { [0xff; 8] } else { [0; 8] };
        word.iter_mut().zip(bytes).for_each(|(to, &byte)| *to = byte);
        i64::from_le_bytes(word)
    };
    Ok(view.data().chunks_exact(size).map(extend).collect())
}

pub(super) fn damaged(entry: &str, what: String) -> StoreError {
    StoreError::Entry { entry: entry.to_owned(), what }
}
