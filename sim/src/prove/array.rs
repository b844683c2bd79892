//! An unrolled array's bookkeeping, read from the emitted Verilog: that each sum which leaves it is that of a matrix row and the beat.
//!
//! Its rows are those of a bit heap, written out cell by cell. What the file says must be word for word what rows, waiting bits and outputs
//! print ([`print`](Array::print)); that such a row adds up its columns is proved by Yosys, one proof for each width ([`super::script`]). From there on it goes as
//! in a heap ([`super::heap`]): rows are put into each other until a sum is a polynomial in bits of the beat, modulo `2^bits` of the sum.
//!
//! Sums that several outputs share are read as numbers with a sign, which rows alone do not tell. A comment of the file names their bits; here it
//! is shown that such a number has coefficients with which it never leaves its bits, so that its bits, with their sign, are its value.

use std::collections::{BTreeMap, BTreeSet};

use generator::dataflow::Encoding;
use quantizer::datatype::{Range, Signedness};

use super::heap::{Monomial, Net, Polynomial, Row, Sum, delays, substitute};
use super::intervals::{claimed, register_bits};
use super::objection::Objection;
use super::pairing::instances;
use super::{text_of, unit_of};

/// The array of an element and where its sum comes from, as the texts of its accelerator say.
pub struct Source<'a> {
    /// Name of the array's module.
    pub array: String,
    /// The array.
    pub text: &'a str,
    /// The unit that has both.
    pub unit: &'a str,
    /// Lowest bit of the sum, and its bits.
    slice: Option<(usize, usize)>,
    /// Adder levels, as the protocol has it.
    levels: Option<usize>,
}

impl<'a> Source<'a> {
    /// Of the element `module`, whose Verilog is `element`; `None` if its sum comes from no array.
    #[must_use]
    pub fn of(module: &str, element: &str, texts: &'a BTreeMap<String, String>) -> Option<Self> {
        if !element.contains("] f_x,") {
            return None;
        }
        let unit = unit_of(element)?;
        let array = format!("{unit}_array");
        let (unit, text) = (text_of(texts, unit)?, text_of(texts, &array)?);
        let net = |name: &str, port: &str| {
            instances(unit).into_iter().find(|i| i.module == name).and_then(|i| i.ports.get(port).copied())
        };
        let tied = net(&array, "x") == Some("x_reg") && net(&array, "y") == Some("sums");
        let slice = net(module, "x").filter(|_| tied && net(module, "f_x") == Some("x_reg")).and_then(|x| {
            let (high, low) = x.strip_prefix("sums[")?.strip_suffix(']')?.split_once(':')?;
            let (high, low) = (high.parse::<usize>().ok()?, low.parse::<usize>().ok()?);
            Some((low, (high + 1).checked_sub(low)?))
        });
        let levels = unit.split_once(":0] tree_ok,").and_then(|(b, _)| b.rsplit('[').next()?.parse::<usize>().ok());
        Some(Source { array, text, unit, slice, levels })
    }
}

/// Whether the sum of the element `text` is what `sum` says, and its register holds it.
///
/// # Errors
/// What is wrong, or where the text cannot be followed.
pub fn check(text: &str, source: &Source, sum: &Sum) -> Result<(), Objection> {
    let (low, bits) = source.slice.ok_or("its sum, or its array's beat, is not tied to what its claims speak of")?;
    let levels = source.levels.ok_or("its unit has no protocol")?;
    let [range] = sum.prefixes.as_slice() else { return Err("it has more than one fold".into()) };
    let array = Array::read(&source.array, source.text)?;
    let net = Net::of(&array.rows, &array.delays)?;
    let wires = array.y.get(low..low + bits).ok_or("its sum lies past the array's end")?;
    let mut total = Polynomial::default();
    for (at, wire) in wires.iter().enumerate() {
        if net.source(wire)?.1.is_some_and(|stage| stage != levels + 1) {
            let why = format!("bit {at} of its sum does not come {} cycles behind the beat", levels + 1);
            return Err(Objection::Wrong(why));
        }
        net.put(&mut total, wire, 1i128 << at, bits as u32)?;
    }
    let numbers = array.numbers(&net, &sum.inputs)?;
    array.expand(&net, &mut total, &numbers, bits as u32)?;
    let total = total.with(&known(&sum.inputs), bits as u32);
    let wanted = wanted(sum, bits as u32)?;
    if total != wanted {
        let monomials = total.0.keys().chain(wanted.0.keys());
        let differs = monomials.into_iter().find(|m| total.0.get(*m) != wanted.0.get(*m)).cloned().unwrap_or_default();
        let name = if differs.is_empty() { "the constant".to_owned() } else { differs.into_iter().collect::<String>() };
        return Err(Objection::Wrong(format!("{name} does not count what it should")));
    }
    let signed = range.lo < 0;
    let register = register_bits(text).ok_or("its sum is not declared")?;
    if !fits(*range, bits as u32, signed) || range.signed_width() > register {
        let why = format!("the sum lies in {range}, and has {bits} bits of the array, {register} in the element");
        return Err(Objection::Wrong(why));
    }
    let extended = match register as usize - bits.min(register as usize) {
        0 => "x".to_owned(),
        more if !signed => format!("{{{more}'d0, x}}"),
        more if bits == 1 => format!("{{{}{{x}}}}", more + 1),
        more => format!("{{{{{more}{{x[{}]}}}}, x}}", bits - 1),
    };
    if (register as usize) < bits || !text.contains(&format!(" value0 = {extended};")) {
        return Err(Objection::Wrong("it does not extend its sum as the interval's sign asks".to_owned()));
    }
    let claims = claimed(text, 1).ok_or("no interval is claimed of its sum")?;
    if claims.iter().any(|c| c.lo > range.lo || c.hi < range.hi) {
        return Err(Objection::Wrong("the sum leaves the interval that its thresholds rely on".to_owned()));
    }
    Ok(())
}

/// Whether a number of so many bits holds everything in `range`.
fn fits(range: Range, bits: u32, signed: bool) -> bool {
    if signed { range.signed_width() <= bits } else { range.lo >= 0 && range.width() <= bits }
}

/// An input's bits with what each counts, and its constant: those that a code in its range needs.
fn input((low, encoding, range): (usize, Encoding, Range)) -> (Vec<(String, i128)>, i128) {
    let wire = |b: usize| format!("x[{}]", low + b);
    if range.lo == range.hi {
        return (Vec::new(), i128::from(range.lo));
    }
    if encoding.sign == Signedness::Bipolar {
        return (vec![(wire(0), 2)], -1);
    }
    let width = range.width().max(1).min(encoding.bits) as usize;
    let counts = |b: usize| if range.lo < 0 && b + 1 == width { -(1i128 << b) } else { 1i128 << b };
    ((0..width).map(|b| (wire(b), counts(b))).collect(), 0)
}

/// Bits of inputs that always have the same code.
fn known(inputs: &[(usize, Encoding, Range)]) -> BTreeMap<String, bool> {
    let fixed = inputs.iter().filter(|(_, _, range)| range.lo == range.hi);
    let bits = |&(low, encoding, range): &(usize, Encoding, Range)| {
        let code = encoding.encode(range.lo);
        (0..encoding.bits as usize).map(move |b| (format!("x[{}]", low + b), code >> b & 1 == 1))
    };
    fixed.flat_map(bits).collect()
}

/// The sum of products of one fold.
fn wanted(sum: &Sum, depth: u32) -> Result<Polynomial, Objection> {
    let mut total = Polynomial::default();
    for &(x, w, _, encoding) in &sum.lanes {
        let of = sum.inputs.iter().find(|i| i.0 == x).ok_or("an input has no range")?;
        let word = (0..encoding.bits as usize)
            .filter(|b| sum.words.first().and_then(|word| word.get(w + b)) == Some(&true))
            .fold(0u64, |word, b| word | 1 << b);
        let weight = i128::from(encoding.decode(word));
        let (bits, constant) = input(*of);
        for (wire, counts) in bits {
            total.add(Monomial::from([wire]), weight * counts, depth);
        }
        total.add(Monomial::new(), weight * constant, depth);
    }
    Ok(total)
}

/// A shared sum whose bits, with their sign, have been shown to be its value.
struct Number {
    /// Its bits, from the lowest, and whether the highest counts negatively.
    bits: Vec<String>,
    signed: bool,
    /// The last row that it comes from.
    row: usize,
    /// Its value in bits of the beat, with exact coefficients.
    value: Vec<(Monomial, i128)>,
}

/// An array as it stands in its file.
struct Array {
    rows: Vec<Row>,
    delays: Vec<Vec<String>>,
    /// Bits of the outputs, from the lowest.
    y: Vec<String>,
    /// What comments say of shared sums: whether it has a sign, bits from the lowest.
    hints: Vec<(bool, Vec<String>)>,
}

impl Array {
    /// Reads the file `text` of the module `name`.
    fn read(name: &str, text: &str) -> Result<Self, String> {
        let statements = statements(text);
        let mut rows: Vec<Row> = Vec::new();
        let mut kept = BTreeMap::new();
        let mut y = Vec::new();
        let list = |s: &str| -> Vec<String> {
            let bits = s.trim_matches(|c| c == '{' || c == '}').split(',');
            bits.map(|bit| bit.trim().to_owned()).rev().collect()
        };
        for s in &statements {
            let pin = |name: &str| s.split_once(&format!(".{name}(")).and_then(|(_, r)| r.split(')').next());
            if let Some((high, row)) = s.strip_prefix("reg [").and_then(|r| r.split_once(":0] r")) {
                let parsed = row.parse::<usize>().ok().zip(high.parse::<usize>().ok());
                kept.extend(parsed.map(|(row, high)| (row, high + 1)));
            } else if let Some(init) = s.strip_prefix("LUT6_2 #(.INIT(64'h") {
                let init = init.split(')').next().and_then(|i| u64::from_str_radix(i, 16).ok());
                let column = s.split_once(") lut").and_then(|(_, r)| {
                    let (row, column) = r.split_whitespace().next()?.split_once('_')?;
                    Some((row.parse::<usize>().ok()?, column.parse::<usize>().ok()?))
                });
                let pins = ["I0", "I1", "I2", "I3"].map(|p| pin(p).unwrap_or_default().to_owned());
                let (Some((index, column)), Some(init)) = (column, init) else {
                    return Err(format!("'{s}' is no LUT"));
                };
                if column == 0 && index == rows.len() {
                    let majority_in = pin("I4").unwrap_or_default().to_owned();
                    let (init, pins, carry_in) = (Vec::new(), Vec::new(), String::new());
                    rows.push(Row { ternary: false, init, pins, carry_in, majority_in, kept: 0 });
                }
                match rows.last_mut() {
                    Some(row) if index + 1 == kept.len().min(index + 1) && row.init.len() == column => {
                        row.init.push(init);
                        row.pins.push(pins);
                    }
                    _ => return Err(format!("LUT {column} of row {index} stands where no such is due")),
                }
            } else if s.starts_with("CARRY4 carry")
                && s.contains("_0 (")
                && let Some((index, row)) = rows.len().checked_sub(1).zip(rows.last_mut())
            {
                row.carry_in = pin("CYINIT").unwrap_or_default().to_owned();
                let lowest = pin("DI").map(list).and_then(|l| l.into_iter().next());
                row.ternary = lowest != Some(format!("g{index}_0"));
            } else if let Some(bits) = s.strip_prefix("assign y = ") {
                y = list(bits);
            }
        }
        for (index, row) in rows.iter_mut().enumerate() {
            row.kept = kept.get(&index).copied().unwrap_or(0);
        }
        let hints = text.lines().filter_map(|line| line.trim().strip_prefix("// Shared sum ")).map(|line| {
            let (interval, bits) = line.split_once(", in ").and_then(|(_, r)| r.split_once(": ")).unwrap_or_default();
            (interval.starts_with("[-"), list(bits))
        });
        let array = Array { hints: hints.collect(), rows, delays: delays(text)?, y };
        let printed = array.print(name, &statements);
        match printed.iter().zip(&statements).find(|(a, b)| a != b) {
            Some((_, found)) => Err(format!("'{found}' is not what such an array has in that place")),
            None if printed.len() != statements.len() => Err("the array has more in it than rows".to_owned()),
            None => Ok(array),
        }
    }

    /// The statements of such an array. The widths of ports are taken over from `statements`.
    fn print(&self, name: &str, statements: &[String]) -> Vec<String> {
        let high = |from: &str| {
            let ports = statements.first().map_or("", String::as_str);
            ports.split_once(from).and_then(|(_, r)| r.split(':').next()?.parse::<usize>().ok()).unwrap_or(0)
        };
        let mut s = vec![format!(
            "module {name} ( input wire aclk, input wire [{}:0] x, output wire [{}:0] y )",
            high("input wire ["),
            self.y.len() - 1
        )];
        let kept = self.rows.iter().enumerate().map(|(i, r)| format!("reg [{}:0] r{i}", r.kept.max(1) - 1));
        s.extend(kept);
        let waiting = || self.delays.iter().enumerate().filter(|(_, d)| !d.is_empty()).map(|(i, d)| (i + 1, d));
        s.extend(waiting().map(|(stage, d)| format!("reg [{}:0] d{stage}", d.len() - 1)));
        for (i, row) in self.rows.iter().enumerate() {
            s.extend(cells(i, row));
            s.push(format!("always @(posedge aclk) r{i} <= {}", outputs(i, row)));
        }
        s.extend(waiting().map(|(stage, d)| format!("always @(posedge aclk) d{stage} <= {}", packed(d))));
        s.push(format!("assign y = {}", packed(&self.y)));
        s.push("endmodule".to_owned());
        s
    }

    /// The shared sums, each with the value that its bits have.
    fn numbers(&self, net: &Net, inputs: &[(usize, Encoding, Range)]) -> Result<Vec<Number>, Objection> {
        let mut numbers: Vec<Number> = Vec::new();
        for (index, (signed, bits)) in self.hints.iter().enumerate() {
            let depth = bits.len() as u32;
            let mut total = Polynomial::default();
            for (at, wire) in bits.iter().enumerate() {
                net.put(&mut total, wire, 1i128 << at, depth)?;
            }
            self.expand(net, &mut total, &numbers, depth)?;
            let total = total.with(&known(inputs), depth);
            let Some(row) = bits.iter().filter_map(|b| row_of(b)).max() else { continue };
            let value = exact(&total, inputs, depth, *signed)
                .ok_or_else(|| Objection::Wrong(format!("shared sum {index} can leave its {depth} bits")))?;
            numbers.push(Number { bits: bits.clone(), signed: *signed, row, value });
        }
        Ok(numbers)
    }

    /// Puts rows and shared sums into `total` until it speaks of the beat alone.
    fn expand(&self, net: &Net, total: &mut Polynomial, numbers: &[Number], depth: u32) -> Result<(), Objection> {
        let rows = |total: &Polynomial| total.0.keys().flatten().filter_map(|w| row_of(w)).collect::<BTreeSet<usize>>();
        let mut open = rows(total);
        while let Some(index) = open.pop_last() {
            for number in numbers.iter().filter(|n| n.row == index) {
                number.put_into(total, depth);
            }
            if total.0.keys().flatten().any(|w| row_of(w) == Some(index)) {
                substitute(net, total, index, depth)?;
                for wire in self.rows[index].pins.iter().flatten().chain([&self.rows[index].carry_in]) {
                    open.extend(row_of(&net.source(wire)?.0));
                }
                open.extend(row_of(&net.source(&self.rows[index].majority_in)?.0));
            }
        }
        Ok(())
    }
}

impl Number {
    /// Where its bits stand in `total` with their weights, its value comes in their place. What is added is 0 for every beat. Low bits may be
    /// those of the beat or of another sum, and stand there for others too: the factor is read from those of the last row.
    fn put_into(&self, total: &mut Polynomial, depth: u32) {
        let modulus = 1i128 << depth;
        let top = self.bits.len() - 1;
        let counts = |at: usize| if self.signed && at == top { -(1i128 << at) } else { 1i128 << at };
        let held = |wire: &String| total.0.get(&Monomial::from([wire.clone()])).copied().unwrap_or(0);
        let own = || self.bits.iter().enumerate().filter(|(_, wire)| row_of(wire) == Some(self.row));
        let Some((lowest, wire)) = own().next() else { return };
        let signs = if counts(lowest) < 0 { -1 } else { 1 };
        let unit = signs * (held(wire) >> lowest);
        if unit == 0 || own().any(|(at, wire)| (unit * counts(at)).rem_euclid(modulus) != held(wire)) {
            return;
        }
        for (at, wire) in self.bits.iter().enumerate() {
            match wire.as_str() {
                "1'b0" => {}
                "1'b1" => total.add(Monomial::new(), -unit * counts(at), depth),
                _ => total.add(Monomial::from([wire.clone()]), -unit * counts(at), depth),
            }
        }
        for (monomial, value) in &self.value {
            total.add(monomial.clone(), unit * value, depth);
        }
    }
}

/// The value of a number of `depth` bits that is `total` modulo `2^depth`, with coefficients with which it never leaves those bits.
fn exact(
    total: &Polynomial,
    inputs: &[(usize, Encoding, Range)],
    depth: u32,
    signed: bool,
) -> Option<Vec<(Monomial, i128)>> {
    let modulus = 1i128 << depth;
    let coefficient = |wire: &str| total.0.get(&Monomial::from([wire.to_owned()])).copied().unwrap_or(0);
    // A coefficient of half the modulus may have either sign.
    [true, false].into_iter().find_map(|positive| {
        let centred = |value: i128| {
            let high = if positive { value * 2 > modulus } else { value * 2 >= modulus };
            if high { value - modulus } else { value }
        };
        let (mut value, mut seen) = (Vec::new(), 0);
        let (mut lo, mut hi) = (0i128, 0i128);
        for &of in inputs {
            let (bits, constant) = input(of);
            // Of an input that is always the same nothing is left but the sum's constant.
            let Some((first, one)) = bits.first() else { continue };
            if bits.iter().all(|(wire, _)| coefficient(wire) == 0) {
                continue;
            }
            // The lowest bit counts 1 (or 2 of a bipolar code, -1 of a single bit with a sign).
            let weight = centred(coefficient(first)) / one;
            for (wire, counts) in &bits {
                if (weight * counts).rem_euclid(modulus) != coefficient(wire) {
                    return None;
                }
                seen += usize::from(coefficient(wire) != 0);
                value.push((Monomial::from([wire.clone()]), weight * counts));
            }
            let (a, b) = (weight * i128::from(of.2.lo), weight * i128::from(of.2.hi));
            // Of the value without the input's constant, which is in the sum's own.
            (lo, hi) = (lo + a.min(b) - weight * constant, hi + a.max(b) - weight * constant);
        }
        let constant = total.0.get(&Monomial::new()).copied().unwrap_or(0);
        if seen + usize::from(constant != 0) != total.0.len() {
            return None;
        }
        let (least, most) = if signed { (-(modulus / 2), modulus / 2 - 1) } else { (0, modulus - 1) };
        // The constant with which the smallest value is the first that the bits hold.
        let constant = constant + (least - lo - constant).div_euclid(modulus) * modulus;
        let constant = if lo + constant < least { constant + modulus } else { constant };
        value.push((Monomial::new(), constant));
        (lo + constant >= least && hi + constant <= most).then_some(value)
    })
}

/// The row that a wire comes from.
fn row_of(wire: &str) -> Option<usize> {
    wire.strip_prefix('r')?.split('[').next()?.parse().ok()
}

/// Bits from the lowest as a concatenation.
fn packed(bits: &[String]) -> String {
    format!("{{{}}}", bits.iter().rev().map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// The cells of row `index` of an array, as statements.
pub fn cells(index: usize, row: &Row) -> Vec<String> {
    let width = row.init.len();
    let before = |c: usize| c.checked_sub(1).map_or_else(|| row.majority_in.clone(), |c| format!("g{index}_{c}"));
    let names = |range: std::ops::Range<usize>, of: &[char]| {
        let one = |c: usize| of.iter().map(|n| format!("{n}{index}_{c}")).collect::<Vec<_>>().join(", ");
        range.map(one).collect::<Vec<_>>().join(", ")
    };
    let mut s = vec![
        format!("wire {}", names(0..width, &['p', 'g'])),
        format!("wire [3:0] {}", names(0..width.div_ceil(4), &['s', 'c'])),
    ];
    for (c, (init, pins)) in row.init.iter().zip(&row.pins).enumerate() {
        let last = if row.ternary { before(c) } else { "1'b0".to_owned() };
        let pins: Vec<String> =
            pins.iter().chain([&last]).enumerate().map(|(i, pin)| format!(".I{i}({pin})")).collect();
        s.push(format!(
            "LUT6_2 #(.INIT(64'h{init:016x})) lut{index}_{c} ( {}, .I5(1'b1), .O5(g{index}_{c}), .O6(p{index}_{c}) )",
            pins.join(", ")
        ));
    }
    let quad = |k: usize, of: &dyn Fn(usize) -> String| {
        let bit = |c: usize| if c < width { of(c) } else { "1'b0".to_owned() };
        packed(&(4 * k..4 * k + 4).map(bit).collect::<Vec<_>>())
    };
    for k in 0..width.div_ceil(4) {
        let (carry, start) = match k.checked_sub(1) {
            None => ("1'b0".to_owned(), row.carry_in.clone()),
            Some(k) => (format!("c{index}_{k}[3]"), "1'b0".to_owned()),
        };
        let generated = |c: usize| if row.ternary { before(c) } else { format!("g{index}_{c}") };
        s.push(format!(
            "CARRY4 carry{index}_{k} ( .CO(c{index}_{k}), .O(s{index}_{k}), .CI({carry}), .CYINIT({start}), .DI({}), .S({}) )",
            quad(k, &generated),
            quad(k, &|c| format!("p{index}_{c}"))
        ));
    }
    s
}

/// What row `index` puts out, packed: sums, the carry, of three terms the highest majority.
pub fn outputs(index: usize, row: &Row) -> String {
    let top = row.init.len() - 1;
    let bit = |i: usize| match i.checked_sub(top + 1) {
        None => format!("s{index}_{}[{}]", i / 4, i % 4),
        Some(0) => format!("c{index}_{}[{}]", top / 4, top % 4),
        Some(_) => format!("g{index}_{top}"),
    };
    packed(&(0..row.kept).map(bit).collect::<Vec<_>>())
}

/// The shapes of an array's rows: columns, whether a column has three terms. Empty if the text is none.
#[must_use]
pub fn shapes(name: &str, text: &str) -> BTreeSet<(usize, bool)> {
    let array = Array::read(name, text);
    array.map_or_else(|_| BTreeSet::new(), |a| a.rows.iter().map(|r| (r.init.len(), r.ternary)).collect())
}

/// The statements of a file, spaces put straight; without comments, and without wires that nothing reads.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let bare: String = lines.filter(|line| !line.starts_with('`')).collect::<Vec<_>>().join(" ");
    let one = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
    bare.split(';').map(one).filter(|s| !s.is_empty() && !s.starts_with("wire unused")).collect()
}
