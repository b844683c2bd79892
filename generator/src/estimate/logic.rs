//! Costs of the forms that the templates print: memories, products, adders, comparisons.

use std::collections::HashSet;

use super::Cost;
use super::coefficients::{
    BRAM_COST, COMPARE_4_BITS, CONSTANT_COMPARE_BITS, CONSTANT_PRODUCT, CONSTANT_PRODUCT_BITS, PRODUCT, PRODUCT_BITS,
    ROM_BITS_PER_COST,
};

/// Bits that hold `0 ..= last`, at least one.
pub fn bits_for(last: u64) -> u64 {
    u64::from(64 - last.leading_zeros()).max(1)
}

/// LUTs of one function of `inputs` bits: wider ones than 6 join LUTs by MUXF7 and MUXF8, wider ones than 8 by LUTs.
pub fn function(inputs: u64) -> u64 {
    match inputs {
        0..=1 => 0,
        2..=6 => 1,
        7..=8 => 1 << (inputs - 6),
        _ => 4 * (1 << (inputs.min(24) - 8)) + (1 << (inputs.min(24) - 8)) / 3,
    }
}

/// LUTs of a comparison of `bits` bits with one constant: each LUT but the first joins five bits to what the last one found.
pub fn equals(bits: u64) -> u64 {
    bits.saturating_sub(1).div_ceil(5).max(1)
}

/// One bit of a table of words, by address.
pub fn column(words: &[u64], bit: u32) -> Vec<u64> {
    let mut column = vec![0u64; words.len().div_ceil(64)];
    for (i, word) in words.iter().enumerate() {
        column[i / 64] |= (word >> bit & 1) << (i % 64);
    }
    column
}

/// The columns (bits) of a table of words, each a string of the bit's values by address: those that are neither constant nor
/// equal to another.
pub fn columns(words: &[u64], bits: u32) -> Vec<Vec<u64>> {
    let mut kept: Vec<Vec<u64>> = Vec::new();
    for bit in 0..bits.min(64) {
        let column = column(words, bit);
        let ones: u32 = column.iter().map(|c| c.count_ones()).sum();
        if ones != 0 && ones as usize != words.len() && !kept.contains(&column) {
            kept.push(column);
        }
    }
    kept
}

/// LUTs of a memory with these columns: blocks of 64 words that are constant need none, equal blocks share.
pub fn rom(columns: &[Vec<u64>], words: usize) -> u64 {
    let address = bits_for(words.saturating_sub(1) as u64);
    if address <= 6 {
        return columns.len() as u64 * function(address);
    }
    let blocks: HashSet<u64> = columns.iter().flatten().copied().filter(|&b| b != 0 && b != u64::MAX).collect();
    // MUXF7 and MUXF8 join four blocks; beyond that each column needs a multiplexer of its groups of four.
    let groups = words.div_ceil(256) as u64;
    blocks.len() as u64 + columns.len() as u64 * (groups - 1).div_ceil(2)
}

/// Half block RAMs that Yosys takes for a registered memory of `words` words of `bits` bits, if it takes any: where its cost
/// model puts the logic above them.
pub fn block_ram(words: u64, bits: u64) -> Option<u64> {
    let logic = (words * bits).div_ceil(ROM_BITS_PER_COST);
    block_rams(words, bits).filter(|halves| halves * BRAM_COST < logic)
}

/// Half block RAMs that hold a registered memory; none if it is deeper than they are.
pub fn block_rams(words: u64, bits: u64) -> Option<u64> {
    let address = bits_for(words.saturating_sub(1)).max(9);
    if address > 14 {
        return None;
    }
    // A RAMB18 holds 512 words of 36 bits, 1024 of 18, ...
    let width = [36, 18, 9, 4, 2, 1][(address - 9) as usize];
    Some(bits.div_ceil(width))
}

/// A product of two run-time factors into a register of `width` bits.
pub fn product(a: u32, b: u32, width: u32) -> Cost {
    let width = u64::from(width);
    let (narrow, wide) = (a.min(b).max(1), a.max(b).max(1));
    if width <= 2 {
        return Cost::lut(width).with_ff(width);
    }
    let row = PRODUCT_BITS.iter().rposition(|&n| n <= narrow).unwrap_or(0);
    let (here, next) = (product_lut(row, wide), product_lut((row + 1).min(PRODUCT_BITS.len() - 1), wide));
    let lut = between(&PRODUCT_BITS, row, narrow, here, next);
    // With up to six inputs every bit is one function.
    let lut = if narrow + wide <= 6 { lut.min(width) } else { lut };
    Cost::lut(lut).with_ff(width).with_carry(width.div_ceil(4))
}

/// LUTs in a row of the table at `wide` bits. Beyond the table partial products grow with the width.
fn product_lut(row: usize, wide: u32) -> u64 {
    let wide = wide.max(PRODUCT_BITS[row]);
    let at = PRODUCT_BITS.iter().rposition(|&n| n <= wide).unwrap_or(0);
    match PRODUCT[row].get(at + 1) {
        Some(&next) => between(&PRODUCT_BITS, at, wide, PRODUCT[row][at], next),
        None => PRODUCT[row][at] * u64::from(wide) / u64::from(PRODUCT_BITS[at]),
    }
}

/// Between the figures at two neighbouring widths of those that were `measured`.
fn between(measured: &[u32], at: usize, bits: u32, here: u64, next: u64) -> u64 {
    let Some(&above) = measured.get(at + 1) else { return here };
    let (step, over) = (u64::from(above - measured[at]), u64::from(bits.min(above) - measured[at]));
    here + next.saturating_sub(here) * over / step
}

/// A product with a constant: the measured table for odd parts up to 31. Beyond it every bit is a function of a short code, and a wider one takes an adder for each digit
/// beyond the first, and a negation if the constant is negative.
pub fn constant_product(x: Operand, weight: i64, width: u32) -> Cost {
    let bits = u64::from(x.bits);
    let odd = weight.unsigned_abs() >> weight.trailing_zeros().min(63);
    let ones = u64::from(odd.count_ones());
    let adders = if weight < 0 { ones } else { ones.saturating_sub(1) };
    let lut = if x.bits < CONSTANT_PRODUCT_BITS[0] || (odd > 31 && bits <= 6) {
        constant_functions(x, weight, u64::from(width)) * function(bits)
    } else if odd > 31 {
        adders * (bits + 1)
    } else {
        let at = |row: usize| CONSTANT_PRODUCT[row][usize::from(x.signed)][usize::from(weight < 0)][odd as usize / 2];
        let row = CONSTANT_PRODUCT_BITS.iter().rposition(|&n| n <= x.bits).unwrap_or(0);
        if row + 1 < CONSTANT_PRODUCT.len() {
            between(&CONSTANT_PRODUCT_BITS, row, x.bits, at(row), at(row + 1))
        } else {
            at(row) * bits / u64::from(CONSTANT_PRODUCT_BITS[row])
        }
    };
    let width = u64::from(width);
    let ff = if bits <= 6 { bits.max(width.saturating_sub(u64::from(weight.trailing_zeros()))) } else { width };
    Cost::lut(lut).with_ff(ff).with_carry(adders * width.div_ceil(4))
}

/// Bits of a constant product that need a LUT: those that are neither constant, nor a bit of the code, nor the same as another.
fn constant_functions(x: Operand, weight: i64, width: u64) -> u64 {
    let codes = 1i64 << x.bits;
    let value = |code: i64| if x.signed && 2 * code >= codes { code - codes } else { code };
    let all = if x.bits >= 6 { u64::MAX } else { (1 << codes) - 1 };
    let table = |bit: &dyn Fn(i64) -> bool| (0..codes).fold(0u64, |t, code| t | u64::from(bit(code)) << code);
    let wires: HashSet<u64> = (0..x.bits).map(|b| table(&|code| code >> b & 1 == 1)).collect();
    let functions: HashSet<u64> =
        (0..width.min(63)).map(|b| table(&|code| (value(code) * weight) >> b & 1 == 1)).collect();
    functions.iter().filter(|&&f| f != 0 && f != all && !wires.contains(&f)).count() as u64
}

/// An operand of an adder.
#[derive(Clone, Copy)]
pub struct Operand {
    /// Bits.
    pub bits: u32,
    /// Whether it is sign-extended.
    pub signed: bool,
}

/// The register behind an adder of `width` bits. A LUT is needed where both operands vary; an extended sign shares its LUT.
pub fn adder(a: Operand, b: Operand, width: u32) -> Cost {
    if width <= 2 {
        return Cost::lut(u64::from(width)).with_ff(u64::from(width));
    }
    let reach = |o: Operand| if o.signed { u32::MAX } else { o.bits };
    let both = reach(a).min(reach(b)).min(a.bits.max(b.bits)).min(width);
    Cost::lut(u64::from(both)).with_ff(u64::from(width)).with_carry(u64::from(width).div_ceil(4))
}

/// An accumulator: the adder, and the multiplexer that starts it anew.
pub fn accumulator(root: Operand, width: u32) -> Cost {
    let added = if root.signed { width } else { root.bits.min(width) };
    let carry = if width <= 2 { 0 } else { u64::from(width).div_ceil(4) };
    Cost::lut(u64::from(width + added)).with_ff(u64::from(width)).with_carry(carry)
}

/// A comparison of two run-time numbers.
pub fn compare(bits: u64) -> Cost {
    match bits {
        0..=3 => Cost::lut(1),
        4..=7 => Cost::lut(bits * COMPARE_4_BITS / 4),
        _ => Cost::lut(bits * COMPARE_4_BITS / 4).with_carry(bits.div_ceil(8)),
    }
}

/// A comparison with a constant.
pub fn constant_compare(bits: u64) -> Cost {
    Cost::lut(if bits <= 6 { 1 } else { bits / CONSTANT_COMPARE_BITS })
}

/// A threshold stage: the words' memory and the comparison. Where the address is short a LUT of the carry chain holds a bit of
/// all words beside the value's.
pub fn threshold_stage(words: &[u64], word_bits: u32, address: u64) -> Cost {
    let bits = u64::from(word_bits);
    let kept = columns(words, word_bits);
    if kept.is_empty() {
        return constant_compare(bits);
    }
    if bits + address <= 6 {
        return Cost::lut(1);
    }
    if address <= 5 {
        return Cost::lut(bits + 1).with_carry(bits.div_ceil(4));
    }
    let mut cost = compare(bits);
    cost += Cost::lut(rom(&kept, words.len()));
    cost
}
