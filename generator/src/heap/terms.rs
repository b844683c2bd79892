//! Products as terms of a bit heap.

use quantizer::datatype::Signedness;

use super::{Term, Wire};
use crate::dataflow::{Encoding, Pe};

const AND: u8 = 0b1000;
const XNOR: u8 = 0b1001;
const NOT: u8 = 0b01;

/// The terms of a processing element's sum with their columns, and the constant that completes it, both modulo `2^bits`.
///
/// Weight bits lie in the ROM word lane by lane, lanes without weights left out; a bit that is the same in every fold is no wire.
pub fn terms(pe: &Pe, input: Encoding, bits: usize) -> (Vec<(usize, Term)>, u64) {
    let mut sum = Sum { bits, terms: Vec::new(), constant: 0 };
    let mut low = 0;
    for lane in pe.reduction.lanes() {
        let encoding = pe.weight_encodings[lane];
        let x: Vec<Signal> =
            (0..input.bits as usize).map(|b| Signal::Wire(Wire::X(lane * input.bits as usize + b))).collect();
        let w: Vec<Signal> = (0..encoding.bits as usize)
            .map(|b| {
                let mut values = pe.weights.iter().map(|w| encoding.encode(w[lane]) >> b & 1 == 1);
                let first = values.next().unwrap_or(false);
                if values.all(|v| v == first) { Signal::Constant(first) } else { Signal::Wire(Wire::Weight(low + b)) }
            })
            .collect();
        low += encoding.bits as usize;
        sum.product((&x, input.sign), (&w, encoding.sign));
    }
    let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    (sum.terms, sum.constant & mask)
}

#[derive(Clone, Copy)]
enum Signal {
    Constant(bool),
    Wire(Wire),
}

struct Sum {
    bits: usize,
    terms: Vec<(usize, Term)>,
    /// Modulo 2^64.
    constant: u64,
}

type Factor<'a> = (&'a [Signal], Signedness);

impl Sum {
    fn product(&mut self, x: Factor, w: Factor) {
        match (x.1, w.1) {
            (Signedness::Bipolar, Signedness::Bipolar) => {
                // 2 * (x xnor w) - 1
                self.add(1, x.0[0], w.0[0], XNOR, false);
                self.constant = self.constant.wrapping_sub(1);
            }
            (_, Signedness::Bipolar) => self.negated(x, w.0[0]),
            (Signedness::Bipolar, _) => self.negated(w, x.0[0]),
            _ => {
                for (i, &a) in x.0.iter().enumerate() {
                    for (j, &b) in w.0.iter().enumerate() {
                        let negative = is_sign(x, i) != is_sign(w, j);
                        self.add(i + j, a, b, AND, negative);
                    }
                }
            }
        }
    }

    /// `value` where `positive`, else `-value`. Each bit XNOR `positive` is right but for 1 at each bit of a negated value:
    /// `-(1 - positive) * (weights of the bits)`, whose sum is `2^n - 1`, or -1 if signed.
    fn negated(&mut self, value: Factor, positive: Signal) {
        for (i, &bit) in value.0.iter().enumerate() {
            self.add(i, bit, positive, XNOR, is_sign(value, i));
        }
        if value.1 == Signedness::Signed {
            // + (1 - positive)
            self.single(0, positive, NOT);
        } else {
            // - (2^n - 1) (1 - positive) = 2^n positive + (1 - positive) - 2^n
            let n = value.0.len();
            self.single(n, positive, 0b10);
            self.single(0, positive, NOT);
            self.constant = self.constant.wrapping_sub(1 << n);
        }
    }

    fn single(&mut self, column: usize, a: Signal, table: u8) {
        match a {
            Signal::Constant(v) => {
                self.constant = self.constant.wrapping_add(u64::from(table >> u8::from(v) & 1) << column)
            }
            Signal::Wire(a) => self.push(column, Term::one_wire(a, table)),
        }
    }

    /// Adds `2^column * table(a, b)`, or subtracts it: `-t = (1 - t) - 1`.
    fn add(&mut self, column: usize, a: Signal, b: Signal, table: u8, negative: bool) {
        let table = if negative { !table & 0xf } else { table };
        if negative {
            self.constant = self.constant.wrapping_sub(1 << column);
        }
        match (a, b) {
            (Signal::Constant(a), Signal::Constant(b)) => {
                let value = table >> (u8::from(a) | u8::from(b) << 1) & 1;
                self.constant = self.constant.wrapping_add(u64::from(value) << column);
            }
            (Signal::Wire(a), Signal::Constant(b)) => {
                let table = table >> (2 * u8::from(b)) & 0b11;
                self.reduced(column, a, table);
            }
            (Signal::Constant(a), Signal::Wire(b)) => {
                let at = |v: u8| table >> (u8::from(a) | v << 1) & 1;
                self.reduced(column, b, at(0) | at(1) << 1);
            }
            (Signal::Wire(a), Signal::Wire(b)) => self.push(column, Term::two_wires(a, b, table)),
        }
    }

    fn reduced(&mut self, column: usize, a: Wire, table: u8) {
        match table {
            0 => {}
            0b11 => self.constant = self.constant.wrapping_add(1 << column),
            _ => self.push(column, Term::one_wire(a, table)),
        }
    }

    fn push(&mut self, column: usize, term: Term) {
        if column < self.bits {
            self.terms.push((column, term));
        }
    }
}

/// Whether bit `i` is the sign of a two's complement number.
fn is_sign(factor: Factor, i: usize) -> bool {
    factor.1 == Signedness::Signed && i + 1 == factor.0.len()
}
