//! What can be chosen from a few.

use serde::{Deserialize, Serialize};

/// How weights are kept within their accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// They are not: nearest rounding, and whatever width that takes.
    #[serde(rename = "unconstrained")]
    Unconstrained,
    /// A2Q (arXiv 2308.13504): an l1 budget, weights scaled to it and truncated.
    #[serde(rename = "a2q")]
    A2q,
    /// A2Q+ (arXiv 2401.10432): the larger budget of zero-centred weights.
    #[serde(rename = "a2q+")]
    A2qPlus,
    /// The exact feasible set: projection of either sign onto its own budget, nearest integers in it.
    #[serde(rename = "sign-split")]
    SignSplit,
}

/// Where training of A2Q and A2Q+ starts (Euclidean projection initialisation, A2Q+ section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EpInit {
    /// From the float weights as they are.
    None,
    /// Projected, then centred where the method centres: the authors' order.
    Paper,
    /// Centred, projected, centred again: keeps the zeros of the projection where taps are few.
    #[default]
    Centred,
}

/// A layer that may be left without a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The first layer with weights.
    First,
    /// The last one.
    Last,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a cosine, down to 0.
    #[default]
    Cosine,
    /// By `step_factor` at every share of `step_at`.
    Step,
    /// It does not.
    Constant,
}

/// What is made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Of the samples' classes.
    #[default]
    CrossEntropy,
    /// The mean squared error from the samples' targets.
    Mse,
}

/// Who takes the steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Kingma and Ba, 2015.
    #[default]
    Adam,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// Where tensors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hardware {
    /// The same bits every time.
    #[default]
    Cpu,
    /// Cargo feature `gpu`; sums in another order from run to run.
    Gpu,
}

/// One number for all layers, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bits {
    /// For all.
    One(u32),
    /// In layer order.
    Each(Vec<u32>),
}

impl Bits {
    /// All numbers given.
    pub fn all(&self) -> &[u32] {
        match self {
            Bits::One(bits) => std::slice::from_ref(bits),
            Bits::Each(each) => each,
        }
    }

    /// The number of layer `i`; `None` if there is none.
    pub fn of(&self, i: usize) -> Option<u32> {
        match self {
            Bits::One(bits) => Some(*bits),
            Bits::Each(each) => each.get(i).copied(),
        }
    }
}
