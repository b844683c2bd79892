//! The intervals that a processing element claims of its accumulator, read from its Verilog.

use quantizer::datatype::Range;

/// The interval of the running sum in each fold: what `sum_range` claims. `None` if the text has no such claim.
#[must_use]
pub fn claimed(text: &str, folds: usize) -> Option<Vec<Range>> {
    let lo = values(text, "f_sum_lo = ", folds)?;
    let hi = values(text, "f_sum_hi = ", folds)?;
    Some(lo.into_iter().zip(hi).map(|(lo, hi)| Range { lo, hi }).collect())
}

/// Bits of the sum that is claimed to lie in them; at most 62, so that a value fits an `i64` with room.
#[must_use]
pub fn claimed_bits(text: &str) -> Option<usize> {
    let high = text.split_once(":0] f_held =")?.0.rsplit('[').next()?;
    high.parse::<usize>().ok().map(|h| h + 1).filter(|&b| b <= 62)
}

/// Bits of the accumulator's register.
#[must_use]
pub fn register_bits(text: &str) -> Option<u32> {
    let high = text.split_once(":0] value0 =")?.0.rsplit('[').next()?;
    high.parse::<u32>().ok().map(|h| h + 1)
}

fn values(text: &str, name: &str, folds: usize) -> Option<Vec<i64>> {
    looked_up(text, text.split_once(name)?.1.split(';').next()?, folds)
}

/// The value of an expression that is a constant or looked up in a table of `text`, for each of so many indices.
pub(super) fn looked_up(text: &str, expression: &str, folds: usize) -> Option<Vec<i64>> {
    if let Some((bits, digits)) = expression.split_once("'sh") {
        let (bits, word) = (bits.parse::<u32>().ok()?, u64::from_str_radix(digits, 16).ok()?);
        return Some(vec![generator::dataflow::sign_extend(word, bits); folds]);
    }
    let (table, slice) = expression.strip_prefix("$signed(")?.strip_suffix("])")?.split_once('[')?;
    let (high, low) = slice.split_once(':')?;
    let (high, low) = (high.parse::<usize>().ok()?, low.parse::<usize>().ok()?);
    let stride = text.split_once(&format!(":0] {table} = "))?.0.rsplit('[').next()?.parse::<usize>().ok()? + 1;
    let words = text.split_once(&format!(":0] {table}_words = "))?.1.split(';').next()?.split_once("'h")?.1;
    let digits: Vec<u8> = words.bytes().rev().collect();
    let bit = |at: usize| -> Option<u64> {
        let digit = digits.get(at / 4).map_or(Some(0), |&d| (d as char).to_digit(16))?;
        Some(u64::from(digit >> (at % 4) & 1))
    };
    let bits = (high + 1).checked_sub(low).filter(|&b| b <= 64)?;
    (0..folds)
        .map(|fold| {
            let word = (0..bits).try_fold(0u64, |word, b| Some(word | bit(fold * stride + low + b)? << b))?;
            Some(generator::dataflow::sign_extend(word, bits as u32))
        })
        .collect()
}
