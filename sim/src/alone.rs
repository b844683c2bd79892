//! How many cycles a frame keeps each module busy, measured: the module by itself, between a source and a sink that never wait.

use ndarray::Array2;

use generator::dataflow::{Dataflow, Kind, Module, Output, Stream, StreamId};

use crate::cycle::{self, CycleError, Options};

/// Frames that are run; the last two show the interval.
const FRAMES: usize = 4;

/// Cycles between frames of `module` by itself, to be held against [`Module::cycles`]. `None` of a Concat, whose streams do not take
/// turns when a source feeds both.
///
/// # Errors
/// If the module never ends a frame.
pub fn interval(dataflow: &Dataflow, module: &Module) -> Result<Option<u64>, CycleError> {
    if matches!(module.kind, Kind::Concat(_)) {
        return Ok(None);
    }
    let ids: Vec<StreamId> = module.inputs.iter().chain(&module.outputs).copied().collect();
    let ends = module.inputs.len();
    let alone = Module {
        inputs: (0..ends).map(StreamId).collect(),
        outputs: (ends..ids.len()).map(StreamId).collect(),
        ..module.clone()
    };
    let alone = Dataflow {
        top: dataflow.top.clone(),
        modules: vec![alone],
        streams: ids.iter().map(|&id| numbered(dataflow.stream(id))).collect(),
        output: Output::Logits,
    };
    let input = alone.input();
    let mut frame = vec![0; input.elements()];
    for beat in 0..input.beats() {
        let ranges = input.ranges.iter().skip(beat % input.vector_beats() * input.lanes);
        for (element, range) in input.sources(beat).zip(ranges) {
            frame[element] = range.lo;
        }
    }
    let frames = Array2::from_shape_fn((FRAMES, frame.len()), |(_, i)| frame[i]);
    let run = cycle::run(&alone, frames.view(), &Options { values: false, ..Options::default() })?;
    Ok(run.interval(&alone))
}

/// The stream with its elements numbered as they come: inner streams miss dead channels of their source.
fn numbered(stream: &Stream) -> Stream {
    Stream { order: (0..stream.vector_elements()).collect(), ..stream.clone() }
}
