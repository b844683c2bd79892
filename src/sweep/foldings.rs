//! Foldings as a dimension of a sweep: each resolved once, for the network as it came.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use generator::dataflow::Output;
use generator::folding::{FoldingRequest, resolve, unrolled};

use crate::error::Error;
use crate::folding::FoldingArgs;
use crate::model::Model;

/// What every point of a sweep can be built with.
pub struct Folding {
    /// As `--foldings` calls it.
    pub name: String,
    /// PE and SIMD of every layer. All points have those of the network as it came: dead channels of one of them would change
    /// what keeps up, and LUTs at different widths could not be compared.
    pub request: FoldingRequest,
}

/// The foldings of `--foldings`, or the one that the other options ask for.
///
/// # Errors
/// If a name is none or stands twice, a file cannot be read, or no folding reaches a rate or a budget.
pub fn all(names: &[String], args: &FoldingArgs, model: &Model) -> Result<Vec<Folding>, Error> {
    if names.is_empty() {
        let name = if args.given() { "given" } else { "default" };
        return Ok(vec![resolved(name, &args.request(model, Output::Logits)?, model)?]);
    }
    let mut all: Vec<Folding> = Vec::new();
    for name in names {
        let request = request(name, args, model)?;
        let name = label(name);
        if all.iter().any(|f| f.name == name) {
            return Err(usage(format!("--foldings: '{name}' stands there twice")));
        }
        all.push(resolved(&name, &request, model)?);
    }
    Ok(all)
}

fn resolved(name: &str, request: &FoldingRequest, model: &Model) -> Result<Folding, Error> {
    let layers: BTreeMap<_, _> = resolve(&model.network, request)?.layers.into_iter().collect();
    Ok(Folding { name: name.to_owned(), request: FoldingRequest::Layers(layers) })
}

/// What one name asks for.
fn request(name: &str, args: &FoldingArgs, model: &Model) -> Result<FoldingRequest, Error> {
    let mut own = FoldingArgs { clock_mhz: args.clock_mhz.clone(), ..FoldingArgs::default() };
    (own.backend, own.accumulator_width) = (args.backend.clone(), args.accumulator_width.clone());
    let number = |text: &str| {
        let wrong = || usage(format!("--foldings: '{text}' in '{name}' is not a whole number above 0"));
        text.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)
    };
    match name.split_once('=') {
        None if name == "default" => return Ok(FoldingRequest::Default),
        None if name == "unrolled" => {
            let layers = model.network.matrix_layers().map(|m| m.layer.name.clone());
            let whole = |name: String| unrolled(&model.network, &name).map(|folding| (name, folding));
            return Ok(FoldingRequest::Layers(layers.filter_map(whole).collect()));
        }
        Some(("interval", cycles)) => own.target_interval = Some(number(cycles)?),
        Some(("luts", luts)) => own.max_luts = Some(number(luts)?),
        Some(("fps", rate)) => own.target_fps = Some(rate.to_owned()),
        _ if Path::new(name).is_file() => own.folding = Some(PathBuf::from(name)),
        _ => return Err(usage(format!("--foldings: '{name}' is no folding, and no file"))),
    }
    own.request(model, Output::Logits)
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
