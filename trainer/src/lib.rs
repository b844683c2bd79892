//! Quantization-aware training: networks whose accumulators fit because their weights were trained to.
//!
//! The only crate that knows gradients. A [`Config`](config::Config) and labelled samples go in; out comes a [`Trained`](trained::Trained) network of
//! integers and scales, which writes itself as QONNX and is imported like any other file: what is trained is exactly what is generated.
//!
//! * [`config`]: what a person may ask for, and what is refused; [`graph`]: the layers joined up, and what is refused then.
//! * [`quantizers`]: the integers of a layer while it is trained, and the functions that gradients take instead.
//! * [`state`]: parameters, moments, running statistics; [`checkpoint`] stores and finds them; [`start`] takes floats from elsewhere.
//! * [`model`]: the forward pass; [`run`]: the loop; [`optimizer`]: its steps; [`initial`]: where quantized training starts; [`search`]: bits of activations.

pub mod checkpoint;
pub mod config;
pub mod graph;
pub mod initial;
pub mod model;
pub mod optimizer;
pub mod quantizers;
pub mod run;
pub mod samples;
pub mod search;
pub mod start;
pub mod state;
pub mod trained;

mod error;

pub use error::TrainError;
