//! How many cycles a frame keeps each module busy, measured: the module by itself, between a source and a sink that never wait.

use ndarray::Array2;

use generator::dataflow::{Concat, Dataflow, Kind, Module, Output, Stream, StreamId};

use crate::cycle::{self, CycleError, Options, image};

/// Frames that are run; the last two show the interval.
const FRAMES: usize = 4;

/// Cycles between frames of `module` by itself, to be held against [`Module::cycles`]; `None` if no two frames left.
///
/// # Errors
/// If the module never ends a frame.
pub fn interval(dataflow: &Dataflow, module: &Module) -> Result<Option<u64>, CycleError> {
    if let Kind::Concat(unit) = &module.kind {
        return Ok(Some(concat(unit, dataflow.stream(module.output()))));
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
        sustained: None,
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

/// A Concat between a sink and two sources that never wait. One source cannot feed both: its streams take turns.
fn concat(unit: &Concat, output: &Stream) -> u64 {
    let mut machine = image::Concat::new(unit, 0);
    let (mut cycle, mut left, mut ends) = (0u64, 0, Vec::new());
    while ends.len() < FRAMES {
        let beats = [0, 1].map(|port| machine.ready(port).then_some(&[][..]));
        let popped = machine.queue.level > 0;
        machine.step(beats, popped);
        left += usize::from(popped);
        if popped && left.is_multiple_of(output.beats()) {
            ends.push(cycle);
        }
        cycle += 1;
    }
    ends[FRAMES - 1] - ends[FRAMES - 2]
}

/// The stream with its elements numbered as they come: inner streams miss dead channels of their source.
fn numbered(stream: &Stream) -> Stream {
    Stream { order: (0..stream.vector_elements()).collect(), ..stream.clone() }
}
