//! Upsample and Resize: nearest neighbour by whole factors.

use super::build::Builder;
use super::constant::Constant;
use super::error::Refusal;
use super::fold;
use super::graph::Attributes;
use super::moves::{self, Move};
use super::real::Real;
use super::shape;
use super::signal::Signal;
use crate::onnx::proto::NodeProto;
use crate::shape::MAX_WINDOW;

/// The operators that [`apply`] knows.
pub const OPERATORS: [&str; 2] = ["Resize", "Upsample"];

/// The signal behind a `Resize` or `Upsample` node.
///
/// # Errors
/// If it is not the repetition of places by whole factors.
pub fn apply(
    builder: &mut Builder,
    node: &NodeProto,
    signal: &Signal,
    constants: &[Option<&Constant>],
) -> Result<Signal, Refusal> {
    let attributes = Attributes::of(node);
    let image = signal.image()?;
    let mode = attributes.text("mode").unwrap_or_else(|| "nearest".into());
    if mode != "nearest" {
        return Err(Refusal::new(format!("its mode '{mode}' is not supported"), "use nearest"));
    }
    if let Some(policy) = attributes.text("keep_aspect_ratio_policy").filter(|p| !matches!(p.as_str(), "" | "stretch"))
    {
        return Err(Refusal::new(format!("its keep_aspect_ratio_policy '{policy}' is not supported"), "use stretch"));
    }
    let factors = factors(node, &attributes, signal, constants)?;
    if node.op_type == "Resize" && factors.iter().any(|&f| f > 1) {
        repeats(&attributes, &factors)?;
    }
    let [1, 1, places @ ..] = &factors[..] else {
        return Err(Refusal::new(format!("it resizes by {factors:?}"), "batch and channels keep their sizes"));
    };
    let pair = if image.len() == 2 { [1, places[0]] } else { [places[0], places[1]] };
    if pair == [1, 1] {
        return Ok(signal.clone());
    }
    moves::append(builder, signal, node, Move::Upsample(pair))
}

/// The factor of each axis.
fn factors(
    node: &NodeProto,
    attributes: &Attributes,
    signal: &Signal,
    constants: &[Option<&Constant>],
) -> Result<Vec<usize>, Refusal> {
    let own = &signal.shape;
    let input = |i: usize| constants.get(i).copied().flatten().filter(|c| c.len() > 0);
    // The axes that scales and sizes are given for, from operator set 18 on: those left out keep their sizes.
    let axes = attributes.ints("axes").filter(|a| !a.is_empty());
    let axes = axes.map(|a| a.iter().map(|&a| shape::axis(a, signal.shape.len())).collect::<Result<Vec<_>, _>>());
    let axes = axes.transpose()?.unwrap_or_else(|| (0..signal.shape.len()).collect());
    let spread = |given: Vec<usize>| -> Option<Vec<usize>> {
        let mut all = vec![1; signal.shape.len()];
        axes.iter().zip(&given).for_each(|(&axis, &factor)| all[axis] = factor);
        let mut distinct = axes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        (given.len() == axes.len() && distinct.len() == axes.len()).then_some(all)
    };
    let whole = |given: Vec<Real>| -> Option<Vec<usize>> {
        let factors: Vec<usize> = given
            .iter()
            .filter_map(|s| s.as_rational().filter(|r| r.is_integer()))
            .filter_map(|r| usize::try_from(r.to_integer()).ok().filter(|f| (1..=MAX_WINDOW).contains(f)))
            .collect();
        (factors.len() == given.len()).then_some(factors).and_then(spread)
    };
    let refused = |given: String| {
        Refusal::new(format!("it resizes shape {own:?} by {given}"), "use whole factors of at least 1, one per axis")
    };
    // Scales are input 2 of Resize from operator set 11 on, input 1 before and of Upsample, and an attribute of Upsample 7.
    let old = node.op_type == "Upsample" || (node.input.len() == 2 && constants.len() == 2);
    let scales = if old { input(1) } else { input(2) };
    if let Some(scales) = scales {
        let given = scales.to_reals()?;
        let text = format!("{:?}", given.iter().map(Real::to_f64).collect::<Vec<_>>());
        return whole(given).ok_or_else(|| refused(text));
    }
    if let Some(floats) = attributes.get("scales").map(|a| a.floats.clone()).filter(|f| !f.is_empty()) {
        let given: Option<Vec<Real>> = floats.iter().map(|&f| Real::from_f64(f.into())).collect();
        return given.and_then(whole).ok_or_else(|| refused(format!("{floats:?}")));
    }
    let Some(sizes) = input(3) else {
        return Err(Refusal::new("its scales are no constant", "export with constant scales or sizes"));
    };
    let sizes = fold::integers(sizes, "sizes")?;
    let factor = |(&size, &own): (&i64, &usize)| {
        usize::try_from(size).ok().filter(|&s| s > 0 && own > 0 && s.is_multiple_of(own)).map(|s| s / own)
    };
    let factors: Option<Vec<usize>> = sizes.iter().zip(axes.iter().map(|&a| &own[a])).map(factor).collect();
    factors
        .filter(|f| f.len() == sizes.len() && f.iter().all(|&f| f <= MAX_WINDOW))
        .and_then(spread)
        .ok_or_else(|| refused(format!("sizes {sizes:?}")))
}

/// Refuses coordinates whose nearest place is not `index / factor`.
fn repeats(attributes: &Attributes, factors: &[usize]) -> Result<(), Refusal> {
    let transform = attributes.text("coordinate_transformation_mode").unwrap_or_else(|| "half_pixel".into());
    let nearest = attributes.text("nearest_mode").unwrap_or_else(|| "round_prefer_floor".into());
    // Place q * f + r of the result should read place q. asymmetric means q + r/f, whose floor is q, and which is no
    // nearer to q + 1 for f = 2 alone. half_pixel means q + (r + 1/2)/f - 1/2, less than half away from q.
    let same = match (transform.as_str(), nearest.as_str()) {
        ("asymmetric", "floor") => true,
        ("asymmetric", "round_prefer_floor") => factors.iter().all(|&f| f <= 2),
        ("half_pixel" | "half_pixel_symmetric" | "pytorch_half_pixel", "round_prefer_floor" | "round_prefer_ceil") => {
            true
        }
        _ => false,
    };
    if same {
        return Ok(());
    }
    Err(Refusal::new(
        format!("with {transform} and {nearest} it does not repeat every place {factors:?} times"),
        "use coordinate_transformation_mode = asymmetric with nearest_mode = floor",
    ))
}
