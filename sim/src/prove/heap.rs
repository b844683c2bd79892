//! A bit heap's bookkeeping, read from the emitted Verilog: that each bit is consumed once, at its weight, in its cycle.
//!
//! From its `INIT` each column of a row is a function of at most four pins with values 0 to 3, which has one polynomial with integer
//! coefficients; all 32 addresses are looked at. What a row adds up is then a polynomial as well (that the carry chain makes a row's output
//! of it is proved by Yosys, one proof for each width), and every row's output must be read as a whole: bit `j` with `2^j` times what
//! the lowest counts, nothing twice, nothing dropped that can be 1. Put into each other they give the polynomial of the result in bits of
//! `x`, the weights' word and the accumulator. It must be that of the sum of products, modulo `2^bits` of the register.

mod net;

use std::collections::BTreeMap;

use generator::dataflow::Encoding;
use quantizer::datatype::{Range, Signedness};

use super::intervals::claimed;
use super::objection::Objection;
pub(super) use net::{Monomial, Net, Polynomial, Row, substitute};

/// How a row of a heap begins in the Verilog, behind the name of the top.
pub const ROW: &str = "_snug_xc7_row #(";

/// What a heap is to sum: the lanes that have weights, where they lie in `x` and in the weights' word, and what they can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Lowest bit in `x`, lowest bit in the word of weights, encodings of both.
    pub lanes: Vec<(usize, usize, Encoding, Encoding)>,
    /// Words of weights, bits from the lowest, fold by fold.
    pub words: Vec<Vec<bool>>,
    /// Intervals of the running sum, fold by fold.
    pub prefixes: Vec<Range>,
    /// Of an element with one fold each lane, with a weight or without: lowest bit in `x`, encoding, range.
    pub inputs: Vec<(usize, Encoding, Range)>,
}

/// Bits of weights that are the same in every word: no heap need read them. That the memory holds these words has been seen by [`words`].
fn known(sum: &Sum) -> BTreeMap<String, bool> {
    let Some(first) = sum.words.first() else { return BTreeMap::new() };
    let same = |b: usize| sum.words.iter().all(|w| w.get(b) == first.get(b));
    (0..first.len()).filter(|&b| same(b)).map(|b| (format!("weights_reg[{b}]"), first[b])).collect()
}

/// Whether the element `text` (a processing element whose sum is a bit heap) sums what `sum` says, and its register holds every prefix.
///
/// # Errors
/// What is wrong, or where the text cannot be followed.
pub fn check(text: &str, sum: &Sum) -> Result<(), Objection> {
    let rows = rows(text)?;
    let delays = delays(text)?;
    let last = rows.len().checked_sub(1).ok_or("there is no row")?;
    let (bits, accumulate, direct) = result(text, last)?;
    let depth = bits as u32;
    words(text, sum)?;
    let net = Net::of(&rows, &delays)?;
    let levels = text
        .split_once(" adder level")
        .and_then(|(before, _)| before.split_whitespace().last()?.parse::<usize>().ok())
        .unwrap_or(0);
    if net.stages[last].is_some_and(|stage| stage != levels + usize::from(accumulate)) {
        return Err(Objection::Wrong(format!("the last row does not stand behind {levels} adder levels")));
    }
    let mut total = Polynomial::default();
    for (at, wire) in direct.iter().enumerate() {
        net.put(&mut total, wire, 1i128 << at, depth)?;
    }
    net.put_row(&mut total, last, 1i128 << direct.len(), depth)?;
    for index in (0..last).rev() {
        substitute(&net, &mut total, index, depth)?;
    }
    let known = known(sum);
    let (total, wanted) = (total.with(&known, depth), wanted(sum, accumulate, bits, depth).with(&known, depth));
    if total != wanted {
        let monomials = total.0.keys().chain(wanted.0.keys());
        let differs = monomials.into_iter().find(|m| total.0.get(*m) != wanted.0.get(*m)).cloned().unwrap_or_default();
        let name = if differs.is_empty() {
            "the constant".to_owned()
        } else {
            differs.into_iter().collect::<Vec<_>>().join(" * ")
        };
        return Err(Objection::Wrong(format!("{name} does not count what it should")));
    }
    if let Some(r) = sum.prefixes.iter().find(|r| r.signed_width() > depth) {
        return Err(Objection::Wrong(format!("a sum lies in [{}, {}], and its register has {bits} bits", r.lo, r.hi)));
    }
    let claims = claimed(text, sum.prefixes.len()).ok_or("no interval is claimed of its sum")?;
    match claims.iter().zip(&sum.prefixes).position(|(c, p)| c.lo > p.lo || c.hi < p.hi) {
        Some(fold) => {
            Err(Objection::Wrong(format!("fold {fold}: the sum leaves the interval that its thresholds rely on")))
        }
        None => Ok(()),
    }
}

/// The polynomial of the sum of products, and of the accumulator where it is not the first of a row.
fn wanted(sum: &Sum, accumulate: bool, bits: usize, depth: u32) -> Polynomial {
    // A number as bits: what each counts, and a constant.
    let number = |name: &str, low: usize, encoding: Encoding| -> (Vec<(String, i128)>, i128) {
        let width = encoding.bits as usize;
        let wire = |b: usize| format!("{name}[{}]", low + b);
        match encoding.sign {
            Signedness::Bipolar => (vec![(wire(0), 2)], -1),
            sign => {
                let value = |b: usize| {
                    let power = 1i128 << b;
                    if sign == Signedness::Signed && b + 1 == width { -power } else { power }
                };
                ((0..width).map(|b| (wire(b), value(b))).collect(), 0)
            }
        }
    };
    let mut total = Polynomial::default();
    for &(x, w, x_encoding, w_encoding) in &sum.lanes {
        let (xs, x0) = number("x", x, x_encoding);
        let (ws, w0) = number("weights_reg", w, w_encoding);
        let all = |bits: Vec<(String, i128)>, constant: i128| {
            let with = bits.into_iter().map(|(n, v)| (Some(n), v));
            with.chain([(None, constant)]).filter(|t| t.1 != 0).collect::<Vec<_>>()
        };
        for (a, left) in all(xs, x0) {
            for (b, right) in all(ws.clone(), w0) {
                total.add(a.iter().cloned().chain(b).collect(), left * right, depth);
            }
        }
    }
    for b in 0..if accumulate { bits } else { 0 } {
        let register = format!("acc_reg[{b}]");
        total.add(Monomial::from([register.clone()]), 1i128 << b, depth);
        total.add(Monomial::from([register, "sum_first".to_owned()]), -(1i128 << b), depth);
    }
    total
}

/// The rows, as they are instantiated.
fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (index, part) in text.split(ROW).skip(1).enumerate() {
        let missing = |what: &str| format!("row {index} has no {what}");
        let part = part.split_once(".out(").ok_or_else(|| missing("output"))?.0;
        let field = |name: &str| -> Option<&str> {
            let rest = part.split_once(&format!(".{name}("))?.1;
            let end = if rest.starts_with('{') { rest.find('}')? } else { rest.find(')')? };
            Some(rest[..end].trim_start_matches('{').trim())
        };
        let number = |name: &str| field(name).and_then(|f| f.parse::<usize>().ok()).ok_or_else(|| missing(name));
        let list = |name: &str| -> Result<Vec<String>, String> {
            let field = field(name).ok_or_else(|| missing(name))?;
            Ok(field.split(',').map(|s| s.trim().to_owned()).rev().collect())
        };
        let width = number("WIDTH")?;
        let init = list("INIT")?
            .iter()
            .map(|w| u64::from_str_radix(w.trim_start_matches("64'h"), 16))
            .collect::<Result<Vec<_>, _>>();
        let init = init.map_err(|_| missing("readable INIT"))?;
        let pins: Vec<[String; 4]> = list("pins")?.chunks(4).filter_map(|c| c.to_vec().try_into().ok()).collect();
        let instance = part.split_once(") heap").and_then(|(_, r)| r.split_whitespace().next()?.parse::<usize>().ok());
        if init.len() != width || pins.len() != width || instance != Some(index) {
            return Err(format!(
                "row {index}: {width} columns, {} INIT words, {} groups of pins",
                init.len(),
                pins.len()
            ));
        }
        let register = text
            .split_once(&format!(" r{index} <= row{index}["))
            .and_then(|(_, r)| r.split(':').next()?.parse::<usize>().ok());
        rows.push(Row {
            ternary: number("TERNARY")? == 1,
            init,
            pins,
            carry_in: field("carry_in").ok_or_else(|| missing("carry_in"))?.to_owned(),
            majority_in: field("majority_in").ok_or_else(|| missing("majority_in"))?.to_owned(),
            kept: register.map_or(0, |high| high + 1),
        });
    }
    Ok(rows)
}

/// `d<stage> <= {...}`, from stage 1 on; bits from the lowest.
pub(super) fn delays(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut delays = Vec::new();
    for stage in 1..64 {
        let list = text.split_once(&format!(" d{stage} <= {{")).and_then(|(_, r)| r.split_once('}'));
        let wires = list.map(|(list, _)| list.split(',').map(|s| s.trim().to_owned()).rev().collect());
        delays.push(wires.unwrap_or_default());
    }
    Ok(delays)
}

/// Bits of the result's register, whether it accumulates, and the wires below the last row.
fn result(text: &str, last: usize) -> Result<(usize, bool, Vec<String>), String> {
    let high = |rest: &str| rest.split(':').next().and_then(|h| h.parse::<usize>().ok());
    let declared = |name: &str| {
        let before = text.split_once(&format!(":0] {name};"))?.0;
        before.rsplit('[').next()?.parse::<usize>().ok().map(|h| h + 1)
    };
    if let Some((_, rest)) = text.split_once(&format!("if (sum_valid)\n            acc_reg <= row{last}[")) {
        let bits = declared("acc_reg").ok_or("the accumulator is not declared")?;
        return if high(rest) == Some(bits - 1) && text.contains(" value0 = acc_reg;") {
            Ok((bits, true, Vec::new()))
        } else {
            Err("the accumulator does not take the last row".to_owned())
        };
    }
    let taken =
        text.split_once(&format!("sum_reg <= {{row{last}[")).and_then(|(_, r)| r.split_once('}')).map(|(list, _)| list);
    let list = taken.ok_or("nothing takes the last row")?;
    let bits = declared("sum_reg").ok_or("the sum is not declared")?;
    let mut direct: Vec<String> = list.split(',').map(|s| s.trim().to_owned()).rev().collect();
    // The first in the list, the last here, is the row.
    direct.pop();
    if high(list).map(|h| h + 1 + direct.len()) != Some(bits) || !text.contains(" value0 = sum_reg;") {
        return Err("the sum's register does not take the last row".to_owned());
    }
    Ok((bits, false, direct))
}

/// Whether the memory of weights holds the words that it should.
fn words(text: &str, sum: &Sum) -> Result<(), Objection> {
    // An element without weights has no memory of them.
    for (fold, word) in sum.words.iter().enumerate().filter(|(_, word)| !word.is_empty()) {
        let value = text
            .split_once(&format!("'d{fold}: weights = "))
            .and_then(|(_, r)| r.split(';').next()?.split_once("'h"))
            .map(|(_, digits)| digits)
            .ok_or_else(|| format!("fold {fold} has no weights"))?;
        let digits: Vec<u32> = value.chars().rev().map_while(|c| c.to_digit(16)).collect();
        let bit = |b: usize| digits.get(b / 4).is_some_and(|d| d >> (b % 4) & 1 == 1);
        if digits.len() != value.len() || (0..4 * digits.len()).any(|b| bit(b) != word.get(b).copied().unwrap_or(false))
        {
            return Err(Objection::Wrong(format!("fold {fold}: another weight")));
        }
    }
    Ok(())
}
