//! Chains: the real-valued meaning of a tensor as functions of an integer one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::function::Function;
use super::interval::{FloatInterval, RationalInterval};
use super::number::{Number, Precision};
use super::real::Real;
use crate::network::TensorId;

/// A parameter: one number for all elements of a tensor, or equal blocks of elements in row-major order with a
/// number each (channels, or single elements).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Vec<Real>", try_from = "Vec<Real>")]
pub struct Param(Arc<[Real]>);

impl From<Param> for Vec<Real> {
    fn from(param: Param) -> Self {
        param.values().to_vec()
    }
}

impl TryFrom<Vec<Real>> for Param {
    type Error = &'static str;

    fn try_from(values: Vec<Real>) -> Result<Self, Self::Error> {
        if values.is_empty() { Err("a parameter without numbers") } else { Ok(Param(values.into())) }
    }
}

impl Param {
    /// From one number per block; at least one.
    pub fn new(values: Vec<Real>) -> Self {
        debug_assert!(!values.is_empty());
        Param(values.into())
    }

    /// One number for all.
    pub fn scalar(v: Real) -> Self {
        Param(Arc::new([v]))
    }

    /// The numbers, block by block.
    pub fn values(&self) -> &[Real] {
        &self.0
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.0.len()
    }

    /// The number for `element` of `elements`; the number of blocks divides `elements`.
    pub fn at(&self, element: usize, elements: usize) -> &Real {
        &self.0[element / (elements / self.0.len())]
    }

    /// The only number, if all are equal.
    pub fn uniform(&self) -> Option<&Real> {
        let first = &self.0[0];
        self.0.iter().all(|v| v == first).then_some(first)
    }
}

/// A function of a chain and where it comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Name of the ONNX node (of its output, if it has none).
    pub node: String,
    /// The ONNX tensor that it writes.
    pub output: String,
    /// What it computes.
    pub function: Function<Param>,
    /// Initializers that its parameters come from.
    pub sources: Vec<String>,
}

/// The real-valued meaning of the codes behind a Threshold: `links` applied in order to the integer tensor
/// `source`; the last link is a quantizer.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Name of the Threshold layer, see [`crate::network::Layer::name`].
    pub layer: String,
    /// Index of the Threshold layer in the network.
    pub index: usize,
    /// What it reads.
    pub source: TensorId,
    /// Elements of that tensor.
    pub elements: usize,
    /// The functions.
    pub links: Vec<Link>,
}

/// The functions for one element.
pub fn functions(links: &[Link], element: usize, elements: usize) -> Vec<Function<Real>> {
    links.iter().map(|l| l.function.map(|p| p.at(element, elements).clone())).collect()
}

/// The number of blocks that all parameters of the links agree on: the least common multiple of theirs.
pub fn blocks(links: &[Link]) -> usize {
    let mut blocks = 1;
    for link in links {
        // `map` is the one place that knows where parameters are.
        link.function.map(|p| blocks = num_integer::lcm(blocks, p.blocks()));
    }
    blocks
}

/// The functions of one element, ready to run in a domain.
pub fn compile<N: Number>(functions: &[Function<Real>], precision: Precision) -> Option<Vec<Function<N>>> {
    functions.iter().map(|f| f.compile(precision)).collect()
}

/// Runs a chain that ends in a quantizer: the code of `x`.
pub fn run<N: Number>(functions: &[Function<N>], x: &N) -> Option<i64> {
    let (last, others) = functions.split_last()?;
    let mut x = x.clone();
    for f in others {
        x = f.apply(&x)?;
    }
    last.code(&x)
}

/// Significant bits tried one after the other where exact reals cannot follow.
pub const PRECISIONS: [u32; 4] = [64, 256, 1024, 4096];

/// The direct evaluation of one element's chain, exact: float intervals where they decide, exact reals next,
/// rational intervals of growing precision last.
#[derive(Clone, Debug)]
pub struct Evaluator {
    exact: Vec<Function<Real>>,
    float: Option<Vec<Function<FloatInterval>>>,
}

impl Evaluator {
    /// For functions of which the last is a quantizer.
    pub fn new(functions: Vec<Function<Real>>) -> Self {
        let float = compile(&functions, Precision(53));
        Evaluator { exact: functions, float }
    }

    /// The functions.
    pub fn functions(&self) -> &[Function<Real>] {
        &self.exact
    }

    /// The code of an integer; `None` if it stays open at the highest precision.
    pub fn code(&self, n: i64) -> Option<i64> {
        let quick = self.float.as_ref().and_then(|f| run(f, &FloatInterval::from_int(n)));
        quick.or_else(|| self.exact_code(&n.into()))
    }

    /// The code of any number; `None` if it stays open at the highest precision.
    pub fn code_of(&self, x: &Real) -> Option<i64> {
        let quick = self.float.as_ref().and_then(|f| run(f, &FloatInterval::from_real(x, Precision(53))));
        quick.or_else(|| self.exact_code(x))
    }

    /// Without the help of float intervals.
    pub fn exact_code(&self, x: &Real) -> Option<i64> {
        compile(&self.exact, Precision(0)).and_then(|f| run::<Real>(&f, x)).or_else(|| {
            PRECISIONS.into_iter().find_map(|bits| {
                let functions = compile::<RationalInterval>(&self.exact, Precision(bits))?;
                run(&functions, &RationalInterval::from_real(x, Precision(bits)))
            })
        })
    }
}
