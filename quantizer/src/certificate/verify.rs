//! Checking a certificate against the network's integers.

use std::fmt::Display;

use ndarray::ArrayView1;
use num_bigint::BigInt;
use serde::Serialize;

use super::{Bounds, Certificate, ChannelBounds, LayerBounds};
use crate::datatype::DataType;
use crate::network::{Dense, Network};
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
    for ((claimed, derived), (_, dense)) in certificate.layers.iter().zip(&derived.layers).zip(network.dense_layers()) {
        report.layer = Some(derived.name.clone());
        report.channel = None;
        report.layer(claimed, derived, dense);
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

    fn layer(&mut self, claimed: &LayerBounds, derived: &LayerBounds, dense: &Dense) {
        let input = derived.input;
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
            // Of the network's own type, whatever the certificate says.
            self.witness(claimed, dense.weights.row(c), input);
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

    /// Multiplies the witness out: it has to attain both ends that the certificate claims.
    fn witness(&mut self, claimed: &ChannelBounds, row: ArrayView1<'_, i64>, input: DataType) {
        let witness = match claimed.inputs(input) {
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
        let attains = |x: &[i64]| row.iter().zip(x).map(|(&w, &x)| BigInt::from(i128::from(w) * i128::from(x))).sum();
        let (max, min): (BigInt, BigInt) = (attains(&witness.max), attains(&witness.min));
        if max != claimed.exact.max || min != claimed.exact.min {
            let ends = |min: &BigInt, max: &BigInt| format!("attains {min} and {max}");
            self.differ("witness", ends(&claimed.exact.min, &claimed.exact.max), ends(&min, &max));
        }
    }
}
