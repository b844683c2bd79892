//! Samples and their classes, from whatever files people have them in.

use std::path::{Path, PathBuf};

use trainer::config::{Config, DataConfig, Loss};
use trainer::samples::Samples;

use super::session::usage;
use crate::data::{self, DataError, Values, cifar, image, labels};
use crate::error::Error;

/// Labels are small numbers; one beyond is a file that holds something else.
const CLASSES: usize = 1 << 16;

/// Training and test samples.
///
/// # Errors
/// Those of [`samples`]; for target values the same.
pub fn sets(config: &Config, paths: &DataConfig, beside: impl Fn(&Path) -> PathBuf) -> Result<[Samples; 2], Error> {
    let set = |values: &Path, labels: &Option<PathBuf>, targets: &Option<PathBuf>| match (labels, targets) {
        (_, Some(targets)) if config.training.loss == Loss::Mse => with_targets(&beside(values), &beside(targets)),
        (Some(labels), _) => samples(&beside(values), Some(&beside(labels))),
        (None, _) => samples(&beside(values), None),
    };
    Ok([
        set(&paths.train, &paths.train_labels, &paths.train_targets)?,
        set(&paths.test, &paths.test_labels, &paths.test_targets)?,
    ])
}

/// The values of a file: bytes are pixels.
fn values(path: &Path) -> Result<(Vec<f32>, Vec<usize>), Error> {
    let array = data::read(path).map_err(|e| usage(e.to_string(), None))?;
    let values = match &array.values {
        Values::Bytes(v) => v.iter().map(|&b| f32::from(b) / 255.0).collect(),
        Values::Integers(v) => v.iter().map(|&v| v as f32).collect(),
        Values::Floats(v, _) => v.iter().map(|&v| v as f32).collect(),
    };
    Ok((values, array.shape))
}

/// Samples and what they should become.
fn with_targets(path: &Path, targets: &Path) -> Result<Samples, Error> {
    let ((values, shape), (wanted, wanted_shape)) = (self::values(path)?, self::values(targets)?);
    let (count, others) = (shape.first().copied().unwrap_or(0), wanted_shape.first().copied().unwrap_or(0));
    if count != others || count == 0 {
        let (path, targets) = (path.display(), targets.display());
        return Err(usage(format!("{path} has {count} samples, {targets} has {others}"), None));
    }
    let (size, target_size) = (values.len() / count, wanted.len() / count);
    Samples::with_targets(values, size, wanted, target_size)
        .map_err(|e| usage(format!("{} with {}: {e}", path.display(), targets.display()), None))
}

/// Samples with values 0 to 1: bytes are pixels. Without a file of labels `path` must tell them itself: CIFAR-10 batches, or a sub-folder of PNG files
/// for each class.
///
/// # Errors
/// If a file cannot be read, holds another number of samples than of labels, or values outside 0 to 1.
pub fn samples(path: &Path, labels: Option<&Path>) -> Result<Samples, Error> {
    let refuse = |e: DataError| usage(e.to_string(), None);
    if labels.is_none() && !path.is_dir() && cifar::labels(path).map_err(refuse)?.is_none() {
        let help = "train_labels, test_labels; CIFAR-10 batches and folders with a sub-folder of PNG files for each class need none";
        return Err(usage(format!("[data] has no labels for {}", path.display()), Some(help)));
    }
    let labels = labels.unwrap_or(path);
    let classes = labels::labels_of(path, labels, CLASSES).map_err(refuse)?;
    let (values, shape) = values(path)?;
    let found = shape.first().copied().unwrap_or(0);
    if found != classes.len() {
        let (path, other) = (labels.to_path_buf(), path.to_path_buf());
        return Err(refuse(DataError::Count { path, found: classes.len(), other, expected: found }));
    }
    let size = values.len() / classes.len().max(1);
    Samples::new(values, size, classes)
        .map_err(|e| usage(format!("{} with {}: {e}", path.display(), labels.display()), None))
}

/// Refuses two folders whose sub-folders mean different classes: training would teach one thing, and testing ask another.
///
/// # Errors
/// If a sub-folder of the test set has another class in the training set, or none; or a folder cannot be read.
pub fn same_classes(training: &Path, test: &Path) -> Result<(), Error> {
    let classes = |path: &Path| match image::list(path) {
        Ok(listing) if path.is_dir() => listing.classes,
        // No PNG files: other kinds of data have no names of classes.
        _ => Vec::new(),
    };
    let (training_classes, test_classes) = (classes(training), classes(test));
    if training_classes.is_empty() || test_classes.is_empty() {
        return Ok(());
    }
    match test_classes.iter().find(|class| !training_classes.contains(class)) {
        None => Ok(()),
        Some((name, class)) => Err(usage(
            format!(
                "the sub-folder '{name}' of {} would be class {class}, which it is not in {}",
                test.display(),
                training.display()
            ),
            Some("the same sub-folders in both, or numbers for their names"),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn folder(at: &Path, files: &[&str]) {
        for (i, name) in files.iter().enumerate() {
            let path = at.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 2, 1);
            encoder.set_color(png::ColorType::Grayscale);
            encoder.write_header().unwrap().write_image_data(&[i as u8, 255]).unwrap();
        }
    }

    #[test]
    fn folders_and_batches_bring_their_own_classes() {
        let dir = tempfile::tempdir().unwrap();
        folder(&dir.path().join("train"), &["cat/a.png", "ant/b.png"]);
        let read = samples(&dir.path().join("train"), None).unwrap();
        assert_eq!((read.labels(), read.row(0)), (&[0, 1][..], &[1.0 / 255.0, 1.0][..]));
        let batch = dir.path().join("test_batch.bin");
        std::fs::write(&batch, [[7u8; 1].as_slice(), &[51; 3072]].concat()).unwrap();
        let read = samples(&batch, None).unwrap();
        assert_eq!((read.labels(), read.size(), read.row(0)[0]), (&[7][..], 3072, 0.2));
        // Images alone do not say what they show.
        folder(&dir.path().join("flat"), &["a.png"]);
        let error = samples(&dir.path().join("flat"), None).unwrap_err().to_string();
        assert!(error.contains("a sub-folder of PNG files for each class"), "{error}");
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        folder(&dir.path().join("train"), &["cat/a.png", "ant/b.png"]);
        folder(&dir.path().join("test"), &["cat/a.png"]);
        folder(&dir.path().join("more"), &["ant/a.png", "cat/a.png"]);
        let [train, test, more] = ["train", "test", "more"].map(|n| dir.path().join(n));
        let error = same_classes(&train, &test).unwrap_err().to_string();
        assert!(error.contains("the sub-folder 'cat'") && error.contains("would be class 0"), "{error}");
        assert!(same_classes(&train, &more).is_ok());
        let labels = dir.path().join("labels.csv");
        std::fs::write(&labels, "1\n2\n3\n").unwrap();
        folder(&dir.path().join("flat"), &["a.png", "b.png"]);
        let error = samples(&dir.path().join("flat"), Some(&labels)).unwrap_err().to_string();
        assert!(error.contains("has 3 samples, but") && error.ends_with("flat has 2"), "{error}");
    }
}
