//! Codes as hardware finds them: search words, tables, and the wires that carry them.

use quantizer::datatype::{Range, Signedness};
use quantizer::network::Steps;

use crate::dataflow::{Encoding, MapFunction, Search, SearchWords};

/// Codes up to this many bits are mapped by a table, wider ones by a search.
const TABLE_BITS: u32 = 8;

/// Search stages and wires for the codes of these rows.
pub fn search_for(steps: &[Steps]) -> (Search, Encoding) {
    let bipolar = steps.iter().all(|s| {
        let r = s.range();
        [r.lo, r.hi].iter().all(|c| c.abs() == 1) && s.steps.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1])
    });
    if bipolar {
        let encoding = Encoding { bits: 1, sign: Signedness::Bipolar };
        return (Search { bits: 1, base: -1, stride: 2 }, encoding);
    }
    let range = steps.iter().map(Steps::range).reduce(Range::hull).unwrap_or(Range::ZERO);
    let bits = Range::new(0, range.hi - range.lo).width();
    (Search { bits, base: range.lo, stride: 1 }, Encoding::of(range))
}

/// The search words of one row: words that every value reaches, its steps, words that none reaches.
pub fn search_words(search: Search, steps: &Steps, total: Range) -> SearchWords {
    let all = (1usize << search.bits) - 1;
    let own: Vec<i64> = steps.steps.iter().copied().step_by(search.stride as usize).collect();
    let below = ((steps.base - search.base) / search.stride) as usize;
    // A falling code counts from the top: what is above its largest code is always reached.
    let always = if steps.falling { all - below - own.len() } else { below };
    let mut words = vec![total.lo; always];
    words.extend(own);
    words.resize(all, total.hi + 1);
    SearchWords { words, falling: steps.falling }
}

pub fn word_bits<'a>(words: impl Iterator<Item = &'a SearchWords>, value_bits: u32) -> u32 {
    let hull = words.flat_map(|w| &w.words).map(|&w| Range::new(w, w)).reduce(Range::hull);
    hull.map_or(value_bits, |r| r.signed_width().max(value_bits))
}

pub fn weight_encoding(weights: impl Iterator<Item = i64> + Clone) -> Encoding {
    if weights.clone().all(|w| w.abs() == 1) {
        return Encoding { bits: 1, sign: Signedness::Bipolar };
    }
    Encoding::of(weights.fold(Range::ZERO, |r, w| r.hull(Range::new(w, w))))
}

/// The map of the pins' codes, its output wires, and which of its functions each channel uses.
pub fn map_function(channels: &[&Steps], legal: Range, pins: Encoding) -> (MapFunction, Encoding, Vec<usize>) {
    let mut distinct: Vec<Steps> = Vec::new();
    let which = channels
        .iter()
        .map(|s| {
            distinct.iter().position(|d| d == *s).unwrap_or_else(|| {
                distinct.push((*s).clone());
                distinct.len() - 1
            })
        })
        .collect();
    let (mut search, encoding) = search_for(&distinct);
    // A map has at least one stage, even where all codes are one constant.
    search.bits = search.bits.max(1);
    let function = if pins.bits <= TABLE_BITS {
        let code = |s: &Steps, word: u64| s.apply(pins.decode(word).clamp(legal.lo, legal.hi));
        MapFunction::Table(distinct.iter().map(|s| (0..1u64 << pins.bits).map(|w| code(s, w)).collect()).collect())
    } else {
        let channels: Vec<SearchWords> = distinct.iter().map(|s| search_words(search, s, legal)).collect();
        let word_bits = word_bits(channels.iter(), legal.signed_width());
        MapFunction::Search { search, channels, word_bits }
    };
    (function, encoding, which)
}
