//! Keys that are read, and the nearest of them to one that is not.

use super::layers::Kind;
use crate::TrainError;

const SECTIONS: [(&str, &[&str]); 5] = [
    ("network", &["hidden", "input", "weight_bits", "activation_bits", "input_bits"]),
    ("accumulator", &["method", "bits", "ep_init", "keep"]),
    (
        "training",
        &[
            "float_epochs",
            "epochs",
            "batch",
            "learning_rate",
            "float_learning_rate",
            "schedule",
            "step_at",
            "step_factor",
            "loss",
            "optimizer",
            "momentum",
            "lambda",
            "weight_decay",
            "seed",
            "start",
            "device",
        ],
    ),
    ("search", &["activation_bits", "epochs", "hold_out"]),
    ("data", &["train", "train_labels", "train_targets", "test", "test_labels", "test_targets"]),
];

/// Refuses keys that nothing reads.
///
/// # Errors
/// For the first of them, with the nearest that is read.
pub fn check(table: &toml::Table) -> Result<(), TrainError> {
    let mut sections: Vec<&str> = SECTIONS.iter().map(|s| s.0).collect();
    sections.push("layers");
    for (section, value) in table {
        if section == "layers" {
            check_layers(value)?;
            continue;
        }
        let Some((_, keys)) = SECTIONS.iter().find(|(name, _)| name == section) else {
            return Err(unknown("configuration", section, sections));
        };
        for key in value.as_table().into_iter().flat_map(|t| t.keys()) {
            if !keys.contains(&key.as_str()) {
                return Err(unknown(section, key, keys.to_vec()));
            }
        }
    }
    Ok(())
}

fn check_layers(value: &toml::Value) -> Result<(), TrainError> {
    let Some(layers) = value.as_array() else {
        return Err(TrainError::Toml("layers are written [[layers]], one table for each".into()));
    };
    for (i, layer) in layers.iter().enumerate() {
        let place = place(i, layer.get("name").and_then(toml::Value::as_str));
        let Some(table) = layer.as_table() else {
            return Err(TrainError::Toml(format!("{place} is no table")));
        };
        let kind = match table.get("type") {
            None => return value_error(&place, "type", "missing", &format!("one of {}", Kind::NAMES.join(", "))),
            Some(kind) => kind.as_str().unwrap_or(""),
        };
        let Some(kind) = Kind::named(kind) else {
            return Err(unknown_name(&place, "type", kind, &Kind::NAMES));
        };
        for key in table.keys() {
            if !kind.keys().contains(&key.as_str()) {
                return Err(unknown(&format!("{place}, {}", kind.name()), key, kind.keys()));
            }
        }
        for key in kind.required() {
            if !table.contains_key(*key) {
                return value_error(&place, key, "missing", &format!("{} needs it", kind.name()));
            }
        }
    }
    Ok(())
}

/// What a layer is called in errors.
pub fn place(index: usize, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("layer {index} '{name}'"),
        None => format!("layer {index}"),
    }
}

fn value_error(section: &str, key: &str, found: &str, accepted: &str) -> Result<(), TrainError> {
    within(section, key, found, false, accepted)
}

/// Refuses a value unless it is `ok`.
///
/// # Errors
/// If it is not.
pub fn within(section: &str, key: &str, found: impl ToString, ok: bool, accepted: &str) -> Result<(), TrainError> {
    if ok {
        return Ok(());
    }
    Err(TrainError::Value {
        section: section.to_owned(),
        key: key.to_owned(),
        found: found.to_string(),
        accepted: accepted.to_owned(),
    })
}

/// A value that is none of `names`, with the nearest.
pub fn unknown_name(section: &str, key: &str, found: &str, names: &[&str]) -> TrainError {
    let near = nearest(found, names).map_or_else(String::new, |n| format!("did you mean '{n}'? "));
    TrainError::Value {
        section: section.to_owned(),
        key: key.to_owned(),
        found: format!("'{found}'"),
        accepted: format!("{near}there are {}", names.join(", ")),
    }
}

fn unknown(section: &str, key: &str, keys: Vec<&'static str>) -> TrainError {
    let nearest = nearest(key, &keys).map(str::to_owned);
    TrainError::UnknownKey { section: section.to_owned(), key: key.to_owned(), nearest, keys }
}

fn nearest<'a>(key: &str, keys: &[&'a str]) -> Option<&'a str> {
    let similar = keys.iter().map(|k| (strsim::jaro_winkler(key, k), *k)).max_by(|a, b| a.0.total_cmp(&b.0));
    similar.filter(|s| s.0 > 0.7).map(|s| s.1)
}
