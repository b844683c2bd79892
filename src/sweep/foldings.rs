//! Foldings as a dimension of a sweep: each resolved once, for the network as it came.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use generator::dataflow::Output;
use generator::folding::{FoldingRequest, resolve, unrolled};
use generator::memory::WeightMemory;

use crate::error::Error;
use crate::folding::FoldingArgs;
use crate::model::Model;

/// What every point of a sweep can be built with.
pub struct Folding {
    /// As `--foldings` calls it.
    pub name: String,
    /// PE and SIMD of every layer. All points have those of the network as it came: dead channels of one of them would change
    /// what keeps up, and LUTs at different widths could not be compared. Where no folding does what is asked, why.
    pub request: Result<FoldingRequest, String>,
    /// What the weights of single layers are kept in, by the file of the folding.
    pub memories: BTreeMap<String, WeightMemory>,
}

/// The foldings of `--foldings`, or the one that the other options ask for.
///
/// # Errors
/// If a name is none or stands twice, or a file cannot be read. A rate or a budget that no folding reaches ends a sweep of this one folding;
/// of several its points have the error.
pub fn all(names: &[String], args: &FoldingArgs, model: &Model) -> Result<Vec<Folding>, Error> {
    if names.is_empty() {
        let name = if args.given() { "given" } else { "default" };
        let request = resolved(&args.request(model, Output::Logits)?, model)?;
        let memories = args.layer_memories(model)?;
        return Ok(vec![Folding { name: name.to_owned(), request: Ok(request), memories }]);
    }
    let mut all: Vec<Folding> = Vec::new();
    for name in names {
        let (request, memories) = request(name, args, model)?;
        let name = label(name);
        if all.iter().any(|f| f.name == name) {
            return Err(usage(format!("--foldings: '{name}' stands there twice")));
        }
        let request = request.and_then(|request| resolved(&request, model).map_err(|error| error.to_string()));
        all.push(Folding { name, request, memories });
    }
    Ok(all)
}

/// With the PE and SIMD of every layer, and the interval that was aimed at.
fn resolved(request: &FoldingRequest, model: &Model) -> Result<FoldingRequest, Error> {
    let resolved = resolve(&model.network, request)?;
    Ok(FoldingRequest::Resolved { layers: resolved.layers.into_iter().collect(), interval: resolved.interval })
}

/// What a folding asks for, or why there is none; and what it says of memories.
type Asked = (Result<FoldingRequest, String>, BTreeMap<String, WeightMemory>);

/// What one name asks for.
fn request(name: &str, args: &FoldingArgs, model: &Model) -> Result<Asked, Error> {
    let mut own = args.without_goal();
    let number = |text: &str| {
        let wrong = || usage(format!("--foldings: '{text}' in '{name}' is not a whole number above 0"));
        text.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)
    };
    match name.split_once('=') {
        None if name == "default" => return Ok((Ok(FoldingRequest::Default), BTreeMap::new())),
        None if name == "unrolled" => {
            let layers = model.network.matrix_layers().map(|m| m.layer.name.clone());
            let whole = |name: String| unrolled(&model.network, &name).map(|folding| (name, folding));
            return Ok((Ok(FoldingRequest::Layers(layers.filter_map(whole).collect())), BTreeMap::new()));
        }
        Some(("interval", cycles)) => own.target_interval = Some(number(cycles)?),
        Some(("luts", luts)) => own.max_luts = Some(number(luts)?),
        Some(("fps", rate)) => own.target_fps = Some(rate.to_owned()),
        _ if Path::new(name).is_file() => own.folding = Some(PathBuf::from(name)),
        _ => return Err(usage(format!("--foldings: '{name}' is no folding, and no file"))),
    }
    let memories = own.layer_memories(model)?;
    match own.request(model, Output::Logits) {
        Ok(request) => Ok((Ok(request), memories)),
        Err(Error::Generate(error)) if own.folding.is_none() => Ok((Err(error.to_string()), memories)),
        Err(error) => Err(error),
    }
}

/// A file is called by its name alone, so that results do not depend on where it lies.
fn label(name: &str) -> String {
    let path = Path::new(name);
    match path.file_stem() {
        Some(stem) if path.is_file() => stem.to_string_lossy().into_owned(),
        _ => name.to_owned(),
    }
}

fn usage(message: String) -> Error {
    let help = "default, unrolled, interval=CYCLES, fps=RATE, luts=NUMBER, or a file as --folding takes it";
    Error::Usage { message, help: Some(help.to_owned()) }
}
