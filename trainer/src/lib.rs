//! Quantization-aware training: networks whose accumulators fit because their weights were trained to.
//!
//! The only crate that knows gradients. A [`Config`](config::Config) and labelled samples go in; out comes a [`Trained`](trained::Trained) network of
//! integers and scales, which writes itself as QONNX and is imported like any other file: what is trained is exactly what is generated.
//!
//! * [`config`]: what a person may ask for, and what is refused.
//! * [`quantizers`]: the integers of a layer while it is trained, and the functions that gradients take instead.
//! * [`state`]: parameters, Adam's moments, running statistics; [`checkpoint`] stores and finds them.
//! * [`model`]: the forward pass; [`run`]: the loop; [`initial`]: where quantized training starts.

pub mod checkpoint;
pub mod config;
pub mod initial;
pub mod model;
pub mod quantizers;
pub mod run;
pub mod state;
pub mod trained;

mod error;

pub use error::TrainError;
