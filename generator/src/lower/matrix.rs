//! Dense layers and convolutions: a window for the latter, a width converter where lanes differ, the matrix-vector unit.

use std::collections::HashMap;

use quantizer::datatype::{Range, Signedness};
use quantizer::network::{Layer, Op};

use super::words::{search_for, search_words, weight_encoding, word_bits};
use super::{Builder, divisor_from, padded, round_trip, sum_range};
use crate::dataflow::{Encoding, Kind, MatrixVector, Pe, SearchWords, StreamId};
use crate::error::GenerateError;
use crate::folding::LayerFolding;
use crate::memory::WeightMemory;
use crate::names::sanitize;
use crate::reduction::Reduction;
use crate::stages::{GroupFolding, Groups, Matrix, Stage};

impl Builder<'_> {
    /// The modules of a dense layer or a convolution; an error where the accumulators asked for are too narrow.
    pub(super) fn matrix(
        &mut self,
        stage: &Stage,
        matrix: &Matrix,
        folding: LayerFolding,
        input: StreamId,
    ) -> Result<StreamId, GenerateError> {
        let layer = stage.layer.name.as_str();
        let parts = self.parts(matrix, folding, input);
        let input = match matrix.window {
            Some(window) => {
                let channels = self.streams[input.0].vector_elements();
                let lanes = match &parts {
                    Some(parts) => parts.by.lanes(),
                    None => divisor_from(channels, folding.simd.min(channels)),
                };
                let input = self.convert(input, lanes, layer);
                if window.kernel == [1, 1] && window.stride == [1, 1] && !matrix.padded() {
                    input
                } else {
                    // A part's places come one after the other.
                    self.window(stage, &window, input, parts.is_none(), 0)
                }
            }
            None => input,
        };
        let simd = match &parts {
            Some(parts) => parts.by.lanes() * parts.by.places,
            None => folding.simd.min(self.streams[input.0].vector_elements()),
        };
        let input = self.convert(input, simd, layer);
        let pe = folding.pe.min(matrix.rows.len());
        let neuron_folds = matrix.rows.len().div_ceil(pe);
        let count = parts.as_ref().map_or(1, Parts::count);
        let passes = neuron_folds / count;
        let flattened =
            |l: &Layer| l.op == Op::Flatten && l.output == stage.inputs[0] && l.input() != self.network.input;
        let slow = self.network.layers.iter().any(flattened);
        let input = self.buffer(input, passes, slow, layer);
        // Columns in the order in which the stream brings them.
        let stream = &self.streams[input.0];
        let place: HashMap<usize, usize> = matrix.columns.iter().enumerate().map(|(i, &c)| (c, i)).collect();
        let columns: Vec<usize> = stream.order.iter().filter_map(|source| place.get(source).copied()).collect();
        let weights = matrix.weights.select(ndarray::Axis(1), &columns);
        let synapse_folds = stream.vector_beats() / count;
        let mut inputs: Vec<Vec<Range>> = padded(&stream.ranges, simd, Range::ZERO);
        // The beats that neuron fold `f` goes through.
        let beats = |f: usize| f / passes * synapse_folds..(f / passes + 1) * synapse_folds;
        if count > 1 {
            inputs = (0..neuron_folds).flat_map(|f| inputs[beats(f)].to_vec()).collect();
        }
        let vectors = stream.vectors;

        // Which row each position of the output has, if that is asked for.
        let asked: Option<Vec<usize>> = self.orders.get(stage.output).map(|order| {
            order.iter().filter_map(|channel| matrix.rows.iter().position(|row| row == channel)).collect()
        });
        let lanes = match &parts {
            Some(parts) => parts.assign(matrix),
            None => assign_rows(&weights, &stream.ranges, pe, asked.as_deref()),
        };
        let search = matrix.steps.as_deref().map(search_for);
        let rom: Vec<Vec<Vec<i64>>> = lanes
            .iter()
            .map(|rows| {
                // A lane without a row in the last fold repeats its first one: any value will do there.
                (0..neuron_folds)
                    .flat_map(|f| {
                        let row = *rows.get(f).unwrap_or(&rows[0]);
                        padded(&weights.row(row).to_vec(), simd, 0)[beats(f)].to_vec()
                    })
                    .collect()
            })
            .collect();
        let tree_levels = rom.iter().map(|w| Reduction::levels_needed(w, &inputs)).max().unwrap_or(0);
        let mut pes: Vec<Pe> = lanes
            .iter()
            .zip(rom)
            .map(|(rows, weights)| {
                let reduction = Reduction::plan_parts(&weights, &inputs, synapse_folds, tree_levels);
                let words: Vec<SearchWords> = match (&search, &matrix.steps) {
                    (Some((search, _)), Some(steps)) => (0..neuron_folds)
                        .map(|f| search_words(*search, &steps[*rows.get(f).unwrap_or(&rows[0])], reduction.totals[f]))
                        .collect(),
                    _ => Vec::new(),
                };
                let word_bits = word_bits(words.iter(), reduction.accumulator_bits);
                Pe {
                    rows: (0..neuron_folds).map(|f| rows.get(f).map(|&r| matrix.rows[r])).collect(),
                    weight_encodings: (0..simd).map(|l| weight_encoding(weights.iter().map(|w| w[l]))).collect(),
                    weights,
                    reduction,
                    heap: None,
                    words,
                    word_bits,
                }
            })
            .collect();
        self.accumulators.apply(self.network, layer, &mut pes)?;

        let order: Vec<usize> = (0..matrix.rows.len()).map(|i| matrix.rows[lanes[i % pe][i / pe]]).collect();
        let tensor = self.network.tensor(stage.output);
        let ranges: Vec<Range> = order.iter().map(|&row| tensor.ranges[row]).collect();
        let encoding = match &search {
            Some((_, encoding)) => *encoding,
            None => Encoding {
                bits: pes.iter().map(|p| p.reduction.accumulator_bits).max().unwrap_or(1),
                sign: Signedness::Signed,
            },
        };
        let mut unit = MatrixVector {
            pe,
            simd,
            neuron_folds,
            synapse_folds,
            parts: count,
            pes,
            tree_levels,
            array: None,
            search: search.map(|(s, _)| s),
            words_read_ahead: false,
            operands_copied: false,
            credit_late: false,
            direct_codes: false,
            weight_memory: WeightMemory::Auto,
            queue_depth: 0,
        };
        // A whole vector fits, so that the unit goes on while its reader goes through its neuron folds.
        unit.queue_depth = round_trip(unit.pipeline(), synapse_folds).max(neuron_folds + 1);
        let output = self.stream(&sanitize(layer), &tensor.name, pe, encoding, order, ranges, vectors);
        self.module(layer, layer, vec![input], vec![output], Kind::MatrixVector(unit));
        Ok(output)
    }
}

/// How a grouped convolution's vector is taken part by part.
struct Parts {
    by: GroupFolding,
    groups: Groups,
    /// The live groups in the order in which the stream brings their channels, as positions among them.
    order: Vec<usize>,
}

impl Parts {
    /// How many there are.
    fn count(&self) -> usize {
        self.order.len() / self.by.together
    }

    /// The live rows that each processing element serves, fold by fold: the groups of a part side by side.
    fn assign(&self, matrix: &Matrix) -> Vec<Vec<usize>> {
        debug_assert_eq!(self.order.len() * self.groups.rows, matrix.rows.len());
        let passes = self.groups.rows / self.by.rows;
        let lane = |(group, row): (usize, usize)| {
            let served = self.order.chunks(self.by.together).map(|part| part[group] * self.groups.rows + row);
            served.flat_map(|first| (0..passes).map(move |pass| first + pass * self.by.rows)).collect()
        };
        (0..self.by.together).flat_map(|g| (0..self.by.rows).map(move |r| (g, r))).map(lane).collect()
    }
}

impl Builder<'_> {
    /// The parts of a grouped convolution; `None` where every row reads the whole vector.
    fn parts(&self, matrix: &Matrix, folding: LayerFolding, input: StreamId) -> Option<Parts> {
        let groups = matrix.groups?;
        let by = groups.folding(folding, matrix.rows.len() / groups.rows, matrix.places())?;
        // All channels of a group come together, see `Orders`.
        let channels = &self.streams[input.0].order;
        let live = |channel: usize| {
            let first = channel / groups.channels * groups.rows;
            matrix.rows.iter().position(|&row| row == first).map(|position| position / groups.rows)
        };
        let order: Option<Vec<usize>> = channels.chunks(groups.channels).map(|c| live(c[0])).collect();
        Some(Parts { by, groups, order: order? })
    }
}

/// Which live rows each processing element serves: rows of equal accumulator width together (the next layer
/// permutes its columns), or those that the order asked for puts there.
fn assign_rows(
    weights: &ndarray::Array2<i64>,
    inputs: &[Range],
    pe: usize,
    asked: Option<&[usize]>,
) -> Vec<Vec<usize>> {
    let rows = weights.nrows();
    let full = rows.div_ceil(pe);
    // Lanes 0 .. with_full have a row in every neuron fold, the others one fewer.
    let with_full = if rows.is_multiple_of(pe) { pe } else { rows % pe };
    if let Some(asked) = asked {
        return (0..pe).map(|p| (p..rows).step_by(pe).map(|i| asked[i]).collect()).collect();
    }
    let mut sorted: Vec<usize> = (0..rows).collect();
    sorted.sort_by_key(|&r| std::cmp::Reverse(sum_range(weights.row(r).iter().copied(), inputs).signed_width()));
    let mut rest = sorted.into_iter();
    (0..pe).map(|p| rest.by_ref().take(if p < with_full { full } else { full - 1 }).collect()).collect()
}
