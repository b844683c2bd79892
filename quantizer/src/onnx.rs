//! ONNX files: the messages, the reading of a file, the values of its tensors.
//!
//! Nothing here knows what a network means; that is [`crate::import`]. Messages are written by hand with
//! prost derives, so that no protobuf compiler is needed; fields that nobody here reads are skipped.

pub mod build;
pub mod file;
pub mod proto;
pub mod sequence;
pub mod tensor;
