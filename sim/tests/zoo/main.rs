//! Real networks: the QONNX model zoo on MNIST, and the digits example beside Brevitas' own logits.
//!
//! Those of the zoo are not part of this repository: `SNUG_ZOO` names a folder with `models/` and `data/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod convolutions;
mod data;
mod digits;
mod hardware;
mod mnist;
mod mutations;
mod speech;
mod widths;
