//! What is learned from.

use crate::TrainError;

/// What samples should become.
#[derive(Clone, Debug)]
enum Targets {
    /// A class each.
    Classes(Vec<usize>),
    /// So many values each.
    Values(Vec<f32>, usize),
}

/// Samples: values 0 to 1, `[samples, size]` row by row, and a class or target values for each.
#[derive(Clone, Debug)]
pub struct Samples {
    values: Vec<f32>,
    size: usize,
    targets: Targets,
}

impl Samples {
    /// Samples with classes.
    ///
    /// # Errors
    /// If values and labels do not fit together, there are none, or a value is outside 0 to 1.
    pub fn new(values: Vec<f32>, size: usize, labels: Vec<usize>) -> Result<Self, TrainError> {
        check(&values, size, labels.len())?;
        Ok(Samples { values, size, targets: Targets::Classes(labels) })
    }

    /// Samples with target values, `[samples, target_size]` row by row.
    ///
    /// # Errors
    /// If values and targets do not fit together, there are none, a value is outside 0 to 1, or a target is no number.
    pub fn with_targets(
        values: Vec<f32>,
        size: usize,
        targets: Vec<f32>,
        target_size: usize,
    ) -> Result<Self, TrainError> {
        let count = targets.len().checked_div(target_size).unwrap_or(0);
        if count * target_size != targets.len() {
            return Err(TrainError::Data(format!("{} targets are no multiple of {target_size}", targets.len())));
        }
        check(&values, size, count)?;
        if let Some(at) = targets.iter().position(|t| !t.is_finite()) {
            return Err(TrainError::Data(format!("the target of sample {} holds {}", at / target_size, targets[at])));
        }
        Ok(Samples { values, size, targets: Targets::Values(targets, target_size) })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.values.len() / self.size
    }

    /// Values of a sample.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Classes, one more than the largest label; or values of a target.
    pub fn classes(&self) -> usize {
        match &self.targets {
            Targets::Classes(labels) => labels.iter().max().map_or(0, |&l| l + 1),
            Targets::Values(_, size) => *size,
        }
    }

    /// The classes, sample by sample; none where there are target values.
    pub fn labels(&self) -> &[usize] {
        match &self.targets {
            Targets::Classes(labels) => labels,
            Targets::Values(..) => &[],
        }
    }

    /// The target values of one sample; none where there are classes.
    pub fn target(&self, sample: usize) -> &[f32] {
        match &self.targets {
            Targets::Classes(_) => &[],
            Targets::Values(values, size) => &values[sample * size..(sample + 1) * size],
        }
    }

    /// The values of one sample.
    pub fn row(&self, sample: usize) -> &[f32] {
        &self.values[sample * self.size..(sample + 1) * self.size]
    }

    /// The values of some samples, one after the other.
    pub fn rows(&self, samples: &[usize]) -> Vec<f32> {
        let mut values = Vec::with_capacity(samples.len() * self.size);
        samples.iter().for_each(|&s| values.extend_from_slice(self.row(s)));
        values
    }

    /// Some of the samples.
    pub fn some(&self, samples: &[usize]) -> Samples {
        let targets = match &self.targets {
            Targets::Classes(labels) => Targets::Classes(samples.iter().map(|&s| labels[s]).collect()),
            Targets::Values(_, size) => {
                Targets::Values(samples.iter().flat_map(|&s| self.target(s)).copied().collect(), *size)
            }
        };
        Samples { values: self.rows(samples), size: self.size, targets }
    }
}

fn check(values: &[f32], size: usize, count: usize) -> Result<(), TrainError> {
    if count == 0 || size == 0 || values.len() != size.saturating_mul(count) {
        return Err(TrainError::Data(format!("{} values are not {count} samples of {size}", values.len())));
    }
    if let Some(at) = values.iter().position(|v| !(0.0..=1.0).contains(v)) {
        let (sample, value) = (at / size, values[at]);
        return Err(TrainError::Data(format!(
            "sample {sample} holds {value}; inputs are 0 to 1, such as pixels / 255"
        )));
    }
    Ok(())
}
