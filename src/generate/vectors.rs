//! Frames for the testbench of a generated folder, with what must come out.

use generator::dataflow::{Dataflow, Kind, Module, Output};
use generator::emit::testbench::{beat_bytes, hex_lines, testbench};
use ndarray::Array2;
use quantizer::network::Network;
use sim::{cycle, golden};

use crate::data::{Wanted, npy};
use crate::error::Error;
use crate::output_dir::Files;

/// Frames of the generated testbench, if they take no more work than [`WORK`].
pub const FRAMES: usize = 8;

/// Products that the frames may take in all: some seconds of the cycle engine's time.
const WORK: usize = 2_000_000_000;

/// Inputs and what golden says to them.
pub struct Vectors {
    /// Codes on the pins, `[frames, elements]`, row-major source order.
    pub inputs: Array2<i64>,
    /// What leaves: the network's integers, or one label a frame.
    pub expected: Array2<i64>,
}

impl Vectors {
    /// Frames of random codes, the same for the same network, behind one of the smallest and one of the largest: as many as the
    /// cycle engine runs through `dataflow` in some seconds, at least one.
    ///
    /// # Errors
    /// If golden refuses the network.
    pub fn random(network: &Network, dataflow: &Dataflow) -> Result<Self, Error> {
        let frames = (WORK / products(dataflow).max(1)).clamp(1, FRAMES);
        let tensor = network.tensor(network.input);
        let elements = tensor.shape.iter().product();
        let range = tensor.datatype.range();
        let mut random = fastrand::Rng::with_seed(1);
        let inputs = Array2::from_shape_fn((frames, elements), |(frame, _)| match frame {
            0 if frames > 1 => range.lo,
            1 if frames > 2 => range.hi,
            _ => {
                let code = random.i64(range.lo..=range.hi);
                // Bipolar has no 0.
                if tensor.datatype.holds(code) { code } else { range.hi }
            }
        });
        Self::of(network, dataflow.output, inputs)
    }

    /// These frames.
    ///
    /// # Errors
    /// If golden refuses the network or the frames.
    pub fn of(network: &Network, output: Output, inputs: Array2<i64>) -> Result<Self, Error> {
        let outputs = golden::run(network, inputs.view())?;
        let expected = match (output, &network.label_grid) {
            (Output::Label, Ok(grid)) => {
                let labels = golden::label(outputs.view(), grid);
                Array2::from_shape_fn((labels.len(), 1), |(frame, _)| labels[frame] as i64)
            }
            _ => outputs,
        };
        Ok(Vectors { inputs, expected })
    }

    /// Runs the frames through the cycle engine, which must say what golden says.
    ///
    /// # Errors
    /// If it does not: nothing may be written then.
    pub fn checked(&self, dataflow: &Dataflow) -> Result<cycle::Run, Error> {
        let run = cycle::run(dataflow, self.inputs.view(), &cycle::Options::default())?;
        if run.trapped > 0 || run.result != self.expected {
            let what = run.traps.first().map_or_else(|| "an output differs".to_owned(), ToString::to_string);
            return Err(Error::Usage {
                message: format!("snug's own check failed: cycle engine and golden model disagree: {what}"),
                help: Some("this is a defect of snug; please report it with the model".to_owned()),
            });
        }
        Ok(run)
    }

    /// Testbench, its hexadecimal files, and the same frames as .npy.
    ///
    /// # Errors
    /// If the testbench cannot be printed.
    pub fn files(&self, network: &Network, dataflow: &Dataflow, files: &mut Files) -> Result<(), Error> {
        let (input, output) = (dataflow.input(), dataflow.output_stream());
        let beats = |values: &Array2<i64>, stream: &generator::dataflow::Stream| -> Vec<Vec<u8>> {
            let of_frame = |frame: ndarray::ArrayView1<i64>| -> Vec<Vec<u8>> {
                (0..stream.beats())
                    .map(|beat| beat_bytes(stream, stream.sources(beat).map(|element| frame[element])))
                    .collect()
            };
            values.rows().into_iter().flat_map(of_frame).collect()
        };
        let sent = beats(&self.inputs, input);
        let expected = beats(&self.expected, output);
        let mut hex = |name: &str, beats: &[Vec<u8>]| {
            files.insert(name.to_owned(), hex_lines(beats.iter().map(Vec::as_slice)).into_bytes());
        };
        hex("tb/stimulus.hex", &sent);
        hex("tb/expected.hex", &expected);
        files.insert("tb/testbench.v".to_owned(), testbench(dataflow, self.inputs.nrows())?.into_bytes());
        // As the source file has its input and output: what simulate takes and writes by default.
        let mut npy = |name: &str, wanted: Wanted, values: &Array2<i64>| {
            let mut shape = [&[values.nrows()], wanted.shape].concat();
            if shape.iter().product::<usize>() != values.len() {
                // The file's first dimension is no batch.
                shape = values.shape().to_vec();
            }
            files.insert(name.to_owned(), npy_bytes(&shape, &wanted.file_order(values.iter().copied())));
        };
        npy("vectors/inputs.npy", Wanted::input(network), &self.inputs);
        let label = Wanted::plain(&[1]);
        let output = if dataflow.output == Output::Label { label } else { Wanted::output(network) };
        npy("vectors/outputs.npy", output, &self.expected);
        Ok(())
    }
}

/// Products that a frame takes.
fn products(dataflow: &Dataflow) -> usize {
    let of = |module: &Module| match &module.kind {
        Kind::MatrixVector(unit) => {
            unit.neuron_folds * unit.pe * unit.synapse_folds * unit.simd * dataflow.stream(module.input()).vectors
        }
        _ => 0,
    };
    dataflow.modules.iter().map(of).sum()
}

fn npy_bytes(shape: &[usize], values: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = npy::write(&mut bytes, shape, values);
    bytes
}
