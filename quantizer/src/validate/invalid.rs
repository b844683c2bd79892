//! The promises that a network can break, as data.

use thiserror::Error;

use crate::datatype::{DataType, Range};

/// A promise that a [`Network`](crate::network::Network) breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// An index outside `Network::tensors`.
    #[error("{user} refers to tensor {id}, but there are {tensors} tensors")]
    NoSuchTensor {
        /// Who refers to it.
        user: String,
        /// The index.
        id: usize,
        /// The number of tensors.
        tensors: usize,
    },
    /// A tensor is read before any layer has written it: not in topological order, or a cycle.
    #[error("layer '{layer}' reads tensor '{tensor}' before it is written")]
    ReadBeforeWritten {
        /// Who reads.
        layer: String,
        /// What.
        tensor: String,
    },
    /// A tensor is written twice, or the input is written.
    #[error("layer '{layer}' writes tensor '{tensor}', which already has a value")]
    WrittenTwice {
        /// The second writer.
        layer: String,
        /// What it writes.
        tensor: String,
    },
    /// A tensor that no layer writes and that is not the input.
    #[error("tensor '{tensor}' is never written")]
    NeverWritten {
        /// The tensor.
        tensor: String,
    },
    /// Two layers of one kind have one name.
    #[error("two layers of one kind are called '{layer}'")]
    SameName {
        /// The name.
        layer: String,
    },
    /// An operation reads another number of tensors than it can.
    #[error("layer '{layer}' reads {inputs} tensors; it can read {}", if *joins { "two or more" } else { "one" })]
    Inputs {
        /// The layer.
        layer: String,
        /// How many tensors it reads.
        inputs: usize,
        /// Whether it joins several tensors.
        joins: bool,
    },
    /// An input that an addition multiplies by 0.
    #[error("layer '{layer}' adds its input {input} 0 times")]
    Coefficient {
        /// The layer.
        layer: String,
        /// The input, counted from 0.
        input: usize,
    },
    /// A shape without dimensions, with an empty one, or with too many elements.
    #[error("tensor '{tensor}' has the shape {shape:?}, which no tensor can have")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Shapes on both sides of a layer that do not go together.
    #[error("layer '{layer}': {what}")]
    Shapes {
        /// The layer.
        layer: String,
        /// Which shapes, and why not.
        what: String,
    },
    /// A datatype that does not exist.
    #[error("'{place}' has a datatype of {} bits that cannot be: {datatype}", datatype.bits)]
    Datatype {
        /// The tensor, or the layer for a weight type.
        place: String,
        /// The type.
        datatype: DataType,
    },
    /// Another datatype than the layer's output has.
    #[error("tensor '{tensor}' is declared {declared}, but its layer's output is {derived}")]
    OutputType {
        /// The tensor.
        tensor: String,
        /// What is declared.
        declared: DataType,
        /// What follows from the layer.
        derived: DataType,
    },
    /// The number of ranges is not the number of channels.
    #[error("tensor '{tensor}' has {ranges} ranges for {channels} channels")]
    RangeCount {
        /// The tensor.
        tensor: String,
        /// Ranges given.
        ranges: usize,
        /// Channels.
        channels: usize,
    },
    /// A declared range is not the one that follows from the layers before.
    #[error("channel {channel} of tensor '{tensor}' is declared to reach {declared}, but it reaches {derived}")]
    Range {
        /// The tensor.
        tensor: String,
        /// The channel.
        channel: usize,
        /// What is declared.
        declared: Range,
        /// What follows.
        derived: Range,
    },
    /// A range that the datatype cannot hold.
    #[error("channel {channel} of tensor '{tensor}' reaches {range}, which {datatype} does not hold")]
    RangeOutsideType {
        /// The tensor.
        tensor: String,
        /// The channel.
        channel: usize,
        /// The range.
        range: Range,
        /// The type.
        datatype: DataType,
    },
    /// An accumulator too wide for this crate's tensors.
    #[error("layer '{layer}' has an accumulator wider than {max} bits")]
    AccumulatorTooWide {
        /// The layer.
        layer: String,
        /// The widest supported.
        max: u32,
    },
    /// A weight that is not one of its type's codes.
    #[error("layer '{layer}', row {row}, column {column}: weight {weight} is no code of {datatype}")]
    Weight {
        /// The layer.
        layer: String,
        /// The output channel.
        row: usize,
        /// The input.
        column: usize,
        /// The weight.
        weight: i64,
        /// The declared type.
        datatype: DataType,
    },
    /// A step function that breaks its rules.
    #[error("layer '{layer}', channel {channel}: {what}")]
    Steps {
        /// The layer.
        layer: String,
        /// The channel.
        channel: usize,
        /// Which rule, and how.
        what: String,
    },
    /// Scales that are not one per channel or a single one, or not finite.
    #[error("tensor '{tensor}': {what}")]
    Scale {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        what: String,
    },
    /// The input's description does not fit the input tensor.
    #[error("the input: {what}")]
    Input {
        /// What is wrong.
        what: String,
    },
    /// The output's description does not fit the output tensor.
    #[error("the output: {what}")]
    Output {
        /// What is wrong.
        what: String,
    },
}
