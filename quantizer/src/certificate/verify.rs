//! Checking a certificate against the network's integers.

use std::fmt::Display;

use num_bigint::BigInt;
use serde::Serialize;

use super::{Bounds, Certificate, ChannelBounds, LayerBounds};
use crate::network::{MatrixLayer, Network, image};
use crate::store::StoreError;

/// A claim of a certificate that the integers do not bear out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The layer, if it is about one.
    pub layer: Option<String>,
    /// The output channel, if it is about one.
    pub channel: Option<usize>,
    /// The field, as it is called in the certificate.
    pub field: &'static str,
    /// What the certificate says.
    pub claimed: String,
    /// What follows from the integers.
    pub derived: String,
}

impl Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(layer) = &self.layer {
            write!(f, "layer '{layer}', ")?;
        }
        if let Some(channel) = self.channel {
            write!(f, "channel {channel}, ")?;
        }
        write!(f, "{}: the certificate says {}, the integers say {}", self.field, self.claimed, self.derived)
    }
}

/// Everything that `certificate` claims and the integers of `network` do not bear out; empty if it holds.
///
/// All bounds are derived again, and every witness is multiplied out: that sum shares no formula with the bounds.
///
/// # Errors
/// If the network is not valid.
pub fn verify(network: &Network, certificate: &Certificate) -> Result<Vec<Difference>, StoreError> {
    let derived = Certificate::of(network)?;
    let mut report = Report { found: Vec::new(), layer: None, channel: None };
    report.compare("schema", &certificate.schema, &derived.schema);
    report.compare("network", &certificate.network, &derived.network);
    report.compare("network_sha256", &certificate.network_sha256, &derived.network_sha256);
    report.compare("source.file", &certificate.source.file, &derived.source.file);
    report.compare("source.sha256", &certificate.source.sha256, &derived.source.sha256);
    report.compare("layers", &certificate.layers.len(), &derived.layers.len());
    for ((claimed, derived), matrix) in certificate.layers.iter().zip(&derived.layers).zip(network.matrix_layers()) {
        report.layer = Some(derived.name.clone());
        report.channel = None;
        report.layer(claimed, derived, matrix, network);
    }
    Ok(report.found)
}

struct Report {
    found: Vec<Difference>,
    layer: Option<String>,
    channel: Option<usize>,
}

impl Report {
    fn compare<T: PartialEq + Display>(&mut self, field: &'static str, claimed: &T, derived: &T) {
        if claimed != derived {
            self.differ(field, claimed.to_string(), derived.to_string());
        }
    }

    fn differ(&mut self, field: &'static str, claimed: String, derived: String) {
        let (layer, channel) = (self.layer.clone(), self.channel);
        self.found.push(Difference { layer, channel, field, claimed, derived });
    }

    fn layer(&mut self, claimed: &LayerBounds, derived: &LayerBounds, matrix: MatrixLayer<'_>, network: &Network) {
        self.compare("name", &claimed.name, &derived.name);
        self.compare("node", &claimed.node, &derived.node);
        self.compare("input", &claimed.input, &derived.input);
        self.compare("weights", &claimed.weights, &derived.weights);
        let (a, b) = (&claimed.accumulator, &derived.accumulator);
        self.compare("accumulator.data_type", &a.data_type, &b.data_type);
        self.compare("accumulator.l1", &a.l1, &b.l1);
        self.compare("accumulator.zero_centered", &a.zero_centered, &b.zero_centered);
        self.compare("accumulator.exact", &a.exact, &b.exact);
        self.compare("accumulator.exact_mean", &a.exact_mean, &b.exact_mean);
        self.compare("accumulator.used", &a.used, &b.used);
        self.compare("channels", &claimed.channels.len(), &derived.channels.len());
        for (c, (claimed, derived)) in claimed.channels.iter().zip(&derived.channels).enumerate() {
            self.channel = Some(c);
            self.channel(claimed, derived);
            self.witness(claimed, matrix, c, network);
        }
    }

    fn channel(&mut self, claimed: &ChannelBounds, derived: &ChannelBounds) {
        self.compare("alpha", &claimed.alpha, &derived.alpha);
        self.compare("beta", &claimed.beta, &derived.beta);
        self.bounds(["exact.min", "exact.max", "exact.width"], &claimed.exact, &derived.exact);
        self.bounds(["prefix.min", "prefix.max", "prefix.width"], &claimed.prefix, &derived.prefix);
        self.compare("dead", &claimed.dead, &derived.dead);
    }

    fn bounds(&mut self, [min, max, width]: [&'static str; 3], claimed: &Bounds, derived: &Bounds) {
        self.compare(min, &claimed.min, &derived.min);
        self.compare(max, &claimed.max, &derived.max);
        self.compare(width, &claimed.width, &derived.width);
    }

    /// Multiplies the witness out: it has to attain both ends that the certificate claims, at the places that it claims.
    fn witness(&mut self, claimed: &ChannelBounds, matrix: MatrixLayer<'_>, channel: usize, network: &Network) {
        let row = matrix.weights.row(channel);
        // Codes of the network's own type, whatever the certificate says.
        let (input, output) = (network.tensor(matrix.layer.input()), network.tensor(matrix.layer.output));
        let witness = match claimed.inputs(input.datatype) {
            Ok(witness) if witness.max.len() == row.len() => witness,
            Ok(witness) => {
                return self.differ(
                    "witness",
                    format!("{} inputs", witness.max.len()),
                    format!("{} inputs", row.len()),
                );
            }
            Err(sign) => return self.differ("witness", format!("'{sign}'"), "'+', '-' or '0'".to_owned()),
        };
        let (max_at, min_at) = match (&claimed.at, matrix.window) {
            (Some(at), Some(_)) => (at.max, at.min),
            (None, None) => ([0, 0], [0, 0]),
            (at, window) => {
                let word = |given: bool| if given { "places" } else { "no places" }.to_owned();
                return self.differ("at", word(at.is_some()), word(window.is_some()));
            }
        };
        let (_, [height, width]) = image(&output.shape).unwrap_or((0, [1, 1]));
        if let Some([i, j]) = [max_at, min_at].into_iter().find(|&[i, j]| i >= height || j >= width) {
            return self.differ("at", format!("[{i}, {j}]"), format!("{height} by {width} places"));
        }
        let attains = |x: &[i64], at| -> BigInt {
            let on_image = matrix.columns_at(at, input);
            let products = row.iter().zip(x).zip(on_image).filter(|&(_, on)| on);
            products.map(|((&w, &x), _)| BigInt::from(i128::from(w) * i128::from(x))).sum()
        };
        let (max, min) = (attains(&witness.max, max_at), attains(&witness.min, min_at));
        if max != claimed.exact.max || min != claimed.exact.min {
            let ends = |min: &BigInt, max: &BigInt| format!("attains {min} and {max}");
            self.differ("witness", ends(&claimed.exact.min, &claimed.exact.max), ends(&min, &max));
        }
    }
}
