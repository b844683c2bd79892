//! `snug compare`: the network against somebody's own data, layer by layer, in code units.

use std::path::PathBuf;

use ndarray::Array2;
use quantizer::network::{Network, Op, TensorId};
use serde::Serialize;
use sim::golden;

use crate::Outcome;
use crate::codes::position;
use crate::console::Console;
use crate::error::Error;
use crate::inputs::InputArgs;
use crate::model::{Model, ModelArgs};

mod cause;
mod expected;
mod flips;
mod tie;

use expected::Expected;

/// Compare with your own logits or activations, layer by layer
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    inputs: InputArgs,
    /// Logits of the same samples (.npy), or activations (.npz) keyed by ONNX tensor name
    #[arg(long, value_name = "FILE")]
    expect: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    samples: usize,
    /// Float32 ties in all: elements where float32 may decide either way, and decided otherwise.
    ties: usize,
    tensors: Vec<Line>,
    first: Option<First>,
}

/// One tensor compared.
#[derive(Debug, Serialize)]
struct Line {
    tensor: String,
    layer: String,
    /// Samples compared; those with an explained difference in an earlier tensor are set aside.
    samples: usize,
    elements: usize,
    /// Elements that differ.
    differences: usize,
    /// Samples of which all differences follow from float32 ties.
    explained_samples: usize,
    /// Elements at which float32 decided otherwise.
    ties: usize,
}

/// The first difference that nothing explains.
#[derive(Debug, Serialize)]
struct First {
    tensor: String,
    layer: String,
    channel: usize,
    sample: usize,
    element: Vec<usize>,
    /// The network's code.
    got: i64,
    /// Yours, in codes; not an integer where your value is not on the grid.
    expected: f64,
    /// Samples that differ in this tensor.
    samples: usize,
    cause: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// If model or data cannot be used, or the data have nothing in common with the network.
pub fn run(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let model = args.model.open()?;
    let network = &model.network;
    let inputs = args.inputs.read(&model, console)?;
    let expected = expected::read(&args.expect, &args.inputs, &inputs, network, console)?;
    let tensors = golden::run_all(network, inputs.codes.view())?;
    let mut comparison = Comparison {
        model: &model,
        tensors: &tensors,
        aside: vec![false; inputs.codes.nrows()],
        lines: Vec::new(),
        inputs: &inputs,
    };
    let mut first = None;
    for id in order(network) {
        let Some(expected) = expected.get(&id) else { continue };
        first = comparison.tensor(id, expected)?;
        if first.is_some() {
            break;
        }
    }
    let lines = comparison.lines;
    let report = Report {
        ok: first.is_none(),
        samples: inputs.codes.nrows(),
        ties: lines.iter().map(|l| l.ties).sum(),
        tensors: lines,
        first,
    };
    if console.json {
        console.print_json("snug.compare/1", &report)?;
    } else {
        console.print(text(&report, &inputs.indices))?;
    }
    Ok(if report.ok { Outcome::Fine } else { Outcome::Failed })
}

/// The network's tensors in the order in which they are computed.
fn order(network: &Network) -> impl Iterator<Item = TensorId> {
    std::iter::once(network.input).chain(network.layers.iter().map(|l| l.output))
}

struct Comparison<'a> {
    model: &'a Model,
    /// Golden's tensors.
    tensors: &'a [Array2<i64>],
    /// Samples that left the network's path by a float32 tie: later tensors differ by right.
    aside: Vec<bool>,
    lines: Vec<Line>,
    inputs: &'a crate::inputs::Inputs,
}

impl Comparison<'_> {
    /// Compares one tensor; the first difference that nothing explains, if there is one.
    fn tensor(&mut self, id: TensorId, expected: &Expected) -> Result<Option<First>, Error> {
        let network = &self.model.network;
        let codes = &self.tensors[id.0];
        let layer = network.layers.iter().position(|l| l.output == id);
        let mut line = Line {
            tensor: expected.name.clone(),
            layer: layer.map_or("input".to_owned(), |i| network.layers[i].name.clone()),
            samples: 0,
            elements: 0,
            differences: 0,
            explained_samples: 0,
            ties: 0,
        };
        let mut unexplained: Option<usize> = None;
        for sample in 0..codes.nrows() {
            if self.aside[sample] {
                continue;
            }
            line.samples += 1;
            line.elements += codes.ncols();
            let differing: Vec<usize> =
                (0..codes.ncols()).filter(|&e| !expected.agrees(sample, e, codes[[sample, e]])).collect();
            if differing.is_empty() {
                continue;
            }
            line.differences += differing.len();
            // Once one is unexplained the others are only counted.
            let ties = if unexplained.is_none() { self.ties(id, layer, sample, &differing, expected) } else { None };
            match ties {
                Some(ties) => {
                    self.aside[sample] = true;
                    line.explained_samples += 1;
                    line.ties += ties;
                }
                None => unexplained = unexplained.or(Some(sample)),
            }
        }
        let first = match unexplained {
            None => None,
            Some(sample) => Some(self.first(id, &line, sample, expected)?),
        };
        self.lines.push(line);
        Ok(first)
    }

    /// How many float32 ties explain that `sample` differs at these elements, if they do.
    fn ties(
        &self,
        id: TensorId,
        layer: Option<usize>,
        sample: usize,
        differing: &[usize],
        expected: &Expected,
    ) -> Option<usize> {
        let all_here = differing.iter().all(|&e| {
            let code = expected.code(sample, e);
            let alternatives = match layer {
                None => tie::input(self.model, self.inputs, sample, e),
                Some(index) => tie::threshold(self.model, self.tensors, index, sample, e),
            };
            code.zip(alternatives).is_some_and(|(code, (lo, hi))| lo <= code && code <= hi)
        });
        if all_here {
            Some(differing.len())
        } else {
            flips::explain(self.model, self.tensors, self.inputs, id, sample, expected)
        }
    }

    fn first(&self, id: TensorId, line: &Line, sample: usize, expected: &Expected) -> Result<First, Error> {
        let network = &self.model.network;
        let codes = &self.tensors[id.0];
        let shape = &network.tensor(id).shape;
        // There is one: the sample is unexplained because it differs.
        let element = (0..codes.ncols()).find(|&e| !expected.agrees(sample, e, codes[[sample, e]])).unwrap_or(0);
        let channels = shape.first().copied().unwrap_or(1).max(1);
        let differ = |s: &usize| (0..codes.ncols()).any(|e| !expected.agrees(*s, e, codes[[*s, e]]));
        Ok(First {
            tensor: line.tensor.clone(),
            layer: line.layer.clone(),
            channel: element / (codes.ncols() / channels).max(1),
            sample,
            element: position(element, shape),
            got: codes[[sample, element]],
            expected: expected.units(sample, element),
            samples: (0..codes.nrows()).filter(|s| !self.aside[*s]).filter(differ).count(),
            cause: cause::find(self.model, self.inputs, codes, id, expected)?,
        })
    }
}

fn text(report: &Report, indices: &[usize]) -> String {
    let mut lines = Vec::new();
    for l in &report.tensors {
        let verdict = match (l.differences, l.explained_samples) {
            (0, _) => "equal".to_owned(),
            (d, e) => format!("{d} elements differ; {e} samples explained by {} float32 ties", l.ties),
        };
        lines.push(format!("{} ({}): {} samples, {} elements, {verdict}", l.tensor, l.layer, l.samples, l.elements));
    }
    match &report.first {
        Some(f) => {
            lines.push(format!(
                "FIRST DIFFERENCE in layer {}, channel {}, sample {}, element {}: the network computes {}, you expect {} (in codes); {} samples differ",
                f.layer,
                f.channel,
                indices.get(f.sample).copied().unwrap_or(f.sample),
                crate::data::shape(&f.element),
                f.got,
                f.expected,
                f.samples
            ));
            lines.push(match &f.cause {
                Some(cause) => format!("cause: {cause}"),
                None => "cause: unknown".to_owned(),
            });
        }
        None if report.ties > 0 => lines.push(format!(
            "equal but for {} float32 ties, where exact arithmetic and float32 may decide differently",
            report.ties
        )),
        None => lines.push("equal".to_owned()),
    }
    lines.join("\n")
}

/// Whether a layer decides: only there can float32 differ from the exact meaning.
fn decides(op: &Op) -> bool {
    matches!(op, Op::Threshold(_) | Op::Table(_))
}
