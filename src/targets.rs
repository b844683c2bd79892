//! `--accumulator`: the widths that layers may have at most.

use quantizer::network::{Layer, Network};
use thiserror::Error;

/// Why targets do not fit a network.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Text that says no width.
    #[error("--accumulator {text}: '{part}' is not a width in bits (1 to 64)")]
    Width {
        /// All of the text.
        text: String,
        /// The part of it.
        part: String,
    },
    /// Widths in layer order, but not one for each.
    #[error("--accumulator {text} gives {found} widths, but the network has {layers} layers with an accumulator: {}", names.join(", "))]
    Count {
        /// All of the text.
        text: String,
        /// How many widths.
        found: usize,
        /// How many layers.
        layers: usize,
        /// Their names.
        names: Vec<String>,
    },
    /// A layer that is none.
    #[error("--accumulator: there is no layer '{name}'")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
        /// All names.
        names: Vec<String>,
    },
}

/// The target of every layer with an accumulator, in layer order; `None` where there is none.
///
/// `text` is `12` (for all), `12,12,16` (in layer order) or `f.10=12,f.13=16`; layers by their name or their ONNX node.
///
/// # Errors
/// See [`TargetError`].
pub fn targets(text: &str, network: &Network) -> Result<Vec<Option<u32>>, TargetError> {
    let layers: Vec<&Layer> = network.dense_layers().map(|(layer, _)| layer).collect();
    let names = || layers.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
    let width = |part: &str| match part.trim().parse() {
        Ok(bits @ 1..=64) => Ok(bits),
        _ => Err(TargetError::Width { text: text.to_owned(), part: part.trim().to_owned() }),
    };
    if text.contains('=') {
        let mut targets = vec![None; layers.len()];
        for part in text.split(',') {
            // Names may hold '=', widths may not.
            let (name, bits) = part.rsplit_once('=').unwrap_or((part, ""));
            let name = name.trim();
            let Some(at) = layers.iter().position(|l| l.name == name || l.node == name) else {
                let nearest = nearest(name, layers.iter().flat_map(|l| [l.name.as_str(), l.node.as_str()]));
                return Err(TargetError::Unknown { name: name.to_owned(), nearest, names: names() });
            };
            targets[at] = Some(width(bits)?);
        }
        return Ok(targets);
    }
    let widths = text.split(',').map(width).collect::<Result<Vec<u32>, _>>()?;
    match widths[..] {
        [bits] => Ok(vec![Some(bits); layers.len()]),
        _ if widths.len() == layers.len() => Ok(widths.into_iter().map(Some).collect()),
        _ => {
            Err(TargetError::Count { text: text.to_owned(), found: widths.len(), layers: layers.len(), names: names() })
        }
    }
}

/// The most similar of `names`, if one is similar at all.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|n| (strsim::jaro_winkler(&name.to_lowercase(), &n.to_lowercase()), n))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use quantizer::datatype::DataType;

    use super::*;

    /// A network whose Dense layers are called `f.0`, `f.1`.
    fn network() -> Network {
        let mut n = 0;
        let mut network =
            quantizer::testing::mlp(1, &[8, 6, 4], DataType::unsigned(4), DataType::signed(3), DataType::unsigned(2));
        for layer in &mut network.layers {
            if matches!(layer.op, quantizer::network::Op::Dense(_)) {
                (layer.name, layer.node) = (format!("f.{n}"), format!("MatMul_{n}"));
                n += 1;
            }
        }
        network
    }

    #[test]
    fn one_for_all_in_order_or_by_name() {
        let network = network();
        let n = network.dense_layers().count();
        assert_eq!(targets("12", &network).unwrap(), vec![Some(12); n]);
        let list = (0..n).map(|i| (i + 9).to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(targets(&list, &network).unwrap(), (0..n).map(|i| Some(i as u32 + 9)).collect::<Vec<_>>());
        let one = targets("MatMul_0=16", &network).unwrap();
        assert_eq!((one[0], one.iter().flatten().count()), (Some(16), 1));
        assert_eq!(targets("f.0=16", &network).unwrap(), one);
    }

    #[test]
    fn unknown_layers_are_refused_with_the_nearest() {
        let error = targets("f.00=12", &network()).unwrap_err();
        assert!(matches!(error, TargetError::Unknown { nearest: Some(n), .. } if n == "f.0"));
        assert!(matches!(targets("x", &network()), Err(TargetError::Width { .. })));
        assert!(matches!(targets("0", &network()), Err(TargetError::Width { .. })));
        assert!(matches!(targets("8,8,8,8,8,8,8,8,8,8", &network()), Err(TargetError::Count { found: 10, .. })));
    }
}
