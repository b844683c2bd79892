//! How wide an accumulator must be: the rules of the literature, and the exact answer.
//!
//! Everything is computed in integers and rationals of any size; no float decides a width. All widths are bits of a
//! two's complement register.
//!
//! | name | function | knows |
//! |---|---|---|
//! | data-type | [`data_type_width`] | the length of the dot product and both datatypes |
//! | l1 (A2Q, arXiv 2308.13504) | [`l1_width`], [`a2q_budget`] | the l1 norm of the weights |
//! | zero-centred (A2Q+, arXiv 2401.10432) | [`zero_centered_width`], [`a2q_plus_budget`] | the larger of the sums of one sign |
//! | exact | [`SignSums::interval`], [`Interval::width`] | the sums of both signs and the range of the input's type |
//! | used | [`prefix_interval`] | the range that each input channel can really reach |
//!
//! **Which input range.** *Exact* takes the range of the declared type with `narrow` respected: a narrow signed type of
//! two bits is {-1, 0, 1}. (Known networks decide this: TFC_2W2A has 10/7/7/7 bits so, and 10/8/8/8 otherwise.)
//! The three older rules know bits and sign alone. An input code 0 is always allowed for, so that *exact* covers every
//! partial sum in every order, folding and zero padding: a bipolar input counts as the interval [-1, 1].
//!
//! **Convolutions.** A row of weights is one dot product, and the table's rules apply to it as they stand. A window that hangs over the
//! image's border lacks some of its products, which a partial sum lacks too: *exact* and *used* cover it. What an output
//! can finally *reach* is another matter: an input channel that is always 3 makes a constant of every whole window, but not of
//! those at a padded border. [`patch`](crate::patch) takes the hull over every set of taps that some window has on the image. Where
//! the image is too small for any whole window, *exact* and *used* are those of the largest sums that windows do have.
//!
//! **Beyond the papers' letter.** The papers treat signed weights and two's complement or unsigned inputs. Here a bipolar
//! tensor counts as one signed bit, but its codes span 2 and not `2^1 - 1`, which is what [`zero_centered_width`] and
//! [`a2q_plus_budget`] use (the letter of the rule would be unsafe); an unsigned weight of M bits counts as M + 1 signed ones.

mod interval;
mod rules;
mod witness;

pub use interval::{Interval, SignSums, prefix_interval, reachable_interval};
pub use rules::{
    a2q_budget, a2q_plus_budget, data_type_width, l1_width, mean_width, sign_split_budget, sign_split_holds,
    zero_centered_width,
};
pub use witness::Witness;

#[cfg(test)]
mod tests;
