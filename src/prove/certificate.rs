//! What was proved of the Verilog, beside what the certificate says of the network.

use std::collections::BTreeMap;
use std::path::Path;

use generator::dataflow::{Dataflow, Kind};
use num_bigint::BigInt;
use quantizer::certificate::Certificate;
use quantizer::network::{Network, Op, image};
use sim::prove::intervals;

use crate::error::Error;
use crate::files::read_json;

/// What the certificate in `dir` was made of: the network and the file that it came from, by their SHA-256.
///
/// # Errors
/// If it cannot be read.
pub fn origin(dir: &Path) -> Result<String, Error> {
    let certificate: Certificate = read_json(&dir.join("certificate.json"))?;
    let source = &certificate.source;
    let from = if source.sha256.is_empty() {
        String::new()
    } else {
        format!(", from {} (SHA-256 {})", source.file, source.sha256)
    };
    Ok(format!("network {} (SHA-256 {}){from}", certificate.network, certificate.network_sha256))
}

/// The certificate beside the claims of the Verilog.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Where they differ.
    pub differences: Vec<String>,
    /// Layers whose sums are proved to stay in intervals that are wider than the certificate's, for a reason: no window of their image
    /// has all taps on it, and an element's claims look at each tap by itself.
    pub wider: Vec<String>,
}

/// Compares the certificate in `dir` with the claims of the Verilog: `hashes` are those of the files that were proved, `dataflow` is what the
/// folder's network gives.
///
/// Each running sum that a processing element claims must lie within the certificate's interval of its channel, and its
/// register must hold that interval; the certificate must name these very files. Of a channel whose code falls as its sum rises
/// the element may sum the negative, so that its code rises: then the interval is the negative one.
///
/// # Errors
/// If a file cannot be read.
pub fn compare(dir: &Path, hashes: &BTreeMap<String, String>, dataflow: &Dataflow) -> Result<Comparison, Error> {
    let certificate: Certificate = read_json(&dir.join("certificate.json"))?;
    let stored = dir.join(crate::model::STORED);
    let network = quantizer::store::load(&stored).map_err(|source| Error::Store { path: stored.clone(), source })?;
    let derived = quantizer::certificate::verify(&network, &certificate)
        .map_err(|source| Error::Store { path: stored.clone(), source })?;
    let mut found: Vec<String> = derived.iter().map(ToString::to_string).collect();
    let mut wider: Vec<String> = Vec::new();
    for (name, hash) in hashes {
        if certificate.files.get(name) != Some(hash) {
            found.push(format!("{name} is not the file that it names"));
        }
    }
    for module in &dataflow.modules {
        let Kind::MatrixVector(unit) = &module.kind else { continue };
        for (p, element) in unit.pes.iter().enumerate() {
            let name = format!("rtl/{}_{}_pe{p}.v", dataflow.top, module.name);
            let text = crate::files::read_text(&dir.join(&name))?;
            let folds = element.rows.len() * unit.synapse_folds;
            let claims = intervals::claimed(&text, folds).zip(intervals::register_bits(&text));
            let layer = certificate.layers.iter().find(|l| l.name == module.layer);
            let (Some((sums, bits)), Some(layer)) = (claims, layer) else {
                found.push(format!("{name}: nothing to compare with"));
                continue;
            };
            for (fold, row) in element.rows.iter().enumerate() {
                // A lane without a row in the last fold repeats another one.
                let &Some(row) = row else { continue };
                let Some(channel) = layer.channels.get(row) else {
                    found.push(format!("layer '{}' has no channel {row}, and {name} sums it", layer.name));
                    continue;
                };
                let prefixes = &sums[fold * unit.synapse_folds..(fold + 1) * unit.synapse_folds];
                let (min, max) = (&channel.prefix.min, &channel.prefix.max);
                let within = |min: &BigInt, max: &BigInt| {
                    prefixes.iter().all(|r| BigInt::from(r.lo) >= *min && BigInt::from(r.hi) <= *max)
                };
                let inside = within(min, max) || (falls(&network, &module.layer, row) && within(&-max, &-min));
                if !inside && never_whole(&network, &module.layer) {
                    if !wider.contains(&module.layer) {
                        wider.push(module.layer.clone());
                    }
                } else if !inside {
                    found.push(format!(
                        "layer '{}', channel {}: proved is a wider interval than [{}, {}]",
                        layer.name, row, min, max
                    ));
                }
                let holds = prefixes.iter().all(|r| r.signed_width() <= bits);
                if !holds {
                    found.push(format!("{name}: a register of {bits} bits does not hold what it claims"));
                }
            }
        }
    }
    Ok(Comparison { differences: found, wider })
}

/// Whether the code of channel `row` of the layer falls as its sum rises.
fn falls(network: &Network, layer: &str, row: usize) -> bool {
    let sums = network.layers.iter().filter(|l| l.name == layer && matches!(l.op, Op::Dense(_) | Op::Conv(_)));
    let read = |output| network.layers.iter().filter(move |l| l.inputs.contains(&output));
    sums.flat_map(|l| read(l.output)).any(|l| matches!(&l.op, Op::Threshold(t) if t.channel(row).falling))
}

/// Whether the layer is a convolution of whose windows each has taps outside the image.
fn never_whole(network: &Network, layer: &str) -> bool {
    network.layers.iter().filter(|l| l.name == layer).any(|l| {
        let (Op::Conv(conv), Some((_, size))) = (&l.op, image(&network.tensor(l.input()).shape)) else { return false };
        let whole = |axis: usize| {
            conv.window.taps(axis, size[axis]).iter().any(|taps| taps.count() == conv.window.kernel[axis])
        };
        !(whole(0) && whole(1))
    })
}
