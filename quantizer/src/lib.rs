//! Integers: datatypes, exact bounds and certificates, the integer [`Network`](network::Network), its import from QONNX.
//!
//! Nothing here knows hardware. Every width, bound and threshold is computed in integers or rationals.

pub mod bound;
pub mod certificate;
pub mod datatype;
pub mod error;
pub mod import;
pub mod inspect;
pub mod network;
pub mod onnx;
pub mod patch;
pub mod rational;
pub mod reach;
pub mod shape;
pub mod store;
#[doc(hidden)]
pub mod testing;
pub mod validate;
pub mod weights;
pub mod window;
