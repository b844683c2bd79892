//! What narrow accumulators save, as one number: LUTs with registers of 32 bits over LUTs with those that the network was made for.

use serde::Serialize;

use super::results::{Body, Point};

/// A point is accurate enough if it has this part of the reference's right samples: A2Q's criterion (99 % of float accuracy).
const ENOUGH: (usize, usize) = (99, 100);

/// A2Q's own headline, up to, from 32-bit accumulators at 99.2 % of float accuracy (arXiv 2308.13504, abstract): LUTs of another flow.
pub const A2Q: f64 = 2.3;

/// The reduction, and the point that has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reduction {
    /// LUTs of the reference with 32-bit registers over those of the point.
    pub ratio: f64,
    /// Whose LUTs: `yosys` or `estimate`.
    pub by: &'static str,
    /// LUTs of the reference with 32-bit registers, in the same folding.
    pub lut_32_bits: u64,
    /// LUTs of the point.
    pub lut: u64,
    /// LUTs of the reference with registers of its exact widths, in the same folding: what the rule alone saves.
    pub lut_exact: Option<u64>,
    /// Its method.
    pub method: String,
    /// Its width.
    pub accumulator: u32,
    /// Its folding.
    pub folding: String,
    /// Its right samples.
    pub correct: usize,
    /// Right samples of what it is measured by.
    pub reference_correct: usize,
    /// What that is: `float`, or the reference's method.
    pub reference: String,
}

impl Reduction {
    /// The largest reduction among points that are accurate enough; none if there is none, or the references have no figures.
    pub fn of(body: &Body) -> Option<Self> {
        let first = body.references.first()?;
        let (reference_correct, reference) = match body.float_correct {
            Some(correct) => (correct, "float".to_owned()),
            None => (first.correct?, first.method.clone()),
        };
        let counted = body.references.iter().chain(&body.points).any(|p| p.lut.is_some());
        let luts = |p: &Point| if counted { p.lut } else { p.lut_estimate };
        let wide = |folding: &str| body.references.iter().find(|p| p.folding == folding && p.registers == "32");
        let enough = |p: &&Point| is_enough(p, reference_correct);
        let all = body.points.iter().filter(enough).filter_map(|p| {
            let (lut, lut_32_bits) = (luts(p)?, luts(wide(&p.folding)?)?);
            Some(Reduction {
                ratio: lut_32_bits as f64 / lut.max(1) as f64,
                by: if counted { "yosys" } else { "estimate" },
                lut_32_bits,
                lut,
                lut_exact: body
                    .references
                    .iter()
                    .find(|r| r.folding == p.folding && r.registers != "32")
                    .and_then(luts),
                method: p.method.clone(),
                accumulator: p.accumulator?,
                folding: p.folding.clone(),
                correct: p.correct?,
                reference_correct,
                reference: reference.clone(),
            })
        });
        // Of equal ones the first.
        all.reduce(|best, next| if next.ratio > best.ratio { next } else { best })
    }

    /// In a sentence.
    pub fn text(&self) -> String {
        let exact = self.lut_exact.map_or_else(String::new, |lut| {
            let ratio = self.lut_32_bits as f64 / lut.max(1) as f64;
            format!("; exact registers alone, of the reference, save {ratio:.2} times")
        });
        let by = if self.by == "yosys" { "by Yosys" } else { "as estimated" };
        format!(
            "{:.2} times fewer LUTs than with 32-bit accumulators ({} for {}, {by}) at {:.2} % of the {} accuracy: {}, {} bits, folding {}{exact}",
            self.ratio,
            self.lut,
            self.lut_32_bits,
            100.0 * self.correct as f64 / self.reference_correct.max(1) as f64,
            if self.reference == "float" { "float" } else { "reference's" },
            self.method,
            self.accumulator,
            self.folding
        )
    }
}

/// Whether a point is accurate enough, in whole samples.
pub fn is_enough(point: &Point, reference_correct: usize) -> bool {
    point.correct.is_some_and(|c| ENOUGH.1 * c >= ENOUGH.0 * reference_correct)
}
