//! The command line as its users meet it: the built program, its exit codes, its files, its words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compare;
mod generate;
mod inspect_check;
mod layout;
mod messages;
mod prove;
mod quantize;
mod simulate;
mod sweep;
mod tool;
mod train;
mod zoo;
