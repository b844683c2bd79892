//! Shapes as ONNX's reshaping operators compute them.

use super::error::Refusal;

fn bad(reason: String) -> Refusal {
    Refusal::new(reason, "check the graph's shapes, or give the input's with --input-shape")
}

/// An axis counted from the end if negative.
pub fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let at = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(at).ok().filter(|&a| a < rank).ok_or_else(|| bad(format!("axis {axis} of a tensor of rank {rank}")))
}

/// `Transpose`'s permutation; none given reverses.
pub fn permutation(given: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, Refusal> {
    let Some(given) = given else { return Ok((0..rank).rev().collect()) };
    let axes = given.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..rank) {
        Ok(axes)
    } else {
        Err(bad(format!("permutation {given:?} of rank {rank}")))
    }
}

/// `Reshape`: 0 keeps a dimension (unless `allow_zero`), -1 takes what is left.
pub fn reshape(shape: &[usize], target: &[i64], allow_zero: bool) -> Result<Vec<usize>, Refusal> {
    let disagree = || bad(format!("a tensor of shape {shape:?} cannot be reshaped to {target:?}"));
    let total: usize = shape.iter().product();
    let mut result = Vec::with_capacity(target.len());
    let mut open = None;
    for (i, &d) in target.iter().enumerate() {
        result.push(match d {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if !allow_zero => *shape.get(i).ok_or_else(disagree)?,
            d => usize::try_from(d).map_err(|_| disagree())?,
        });
    }
    let known = result.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(disagree)?;
    if let Some(i) = open {
        if known == 0 || !total.is_multiple_of(known) {
            return Err(disagree());
        }
        result[i] = total / known;
    } else if known != total {
        return Err(disagree());
    }
    Ok(result)
}

/// `Flatten`: two dimensions, the first being the product of those before `axis`.
pub fn flatten(shape: &[usize], at: i64) -> Result<Vec<usize>, Refusal> {
    let at = if at == shape.len() as i64 { shape.len() } else { axis(at, shape.len())? };
    Ok(vec![shape[..at].iter().product(), shape[at..].iter().product()])
}

/// `Squeeze`: the given dimensions of 1 leave, or all of them.
pub fn squeeze(shape: &[usize], axes: Option<&[i64]>) -> Result<Vec<usize>, Refusal> {
    let drop = match axes {
        None => (0..shape.len()).filter(|&i| shape[i] == 1).collect(),
        Some(axes) => axes.iter().map(|&a| axis(a, shape.len())).collect::<Result<Vec<_>, _>>()?,
    };
    if let Some(&i) = drop.iter().find(|&&i| shape[i] != 1) {
        return Err(bad(format!("dimension {i} of shape {shape:?} is not 1")));
    }
    Ok((0..shape.len()).filter(|i| !drop.contains(i)).map(|i| shape[i]).collect())
}

/// `Unsqueeze`: dimensions of 1 at these places of the result.
pub fn unsqueeze(shape: &[usize], axes: &[i64]) -> Result<Vec<usize>, Refusal> {
    let rank = shape.len() + axes.len();
    let places = axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut rest = shape.iter().copied();
    let result: Vec<usize> = (0..rank).map_while(|i| if places.contains(&i) { Some(1) } else { rest.next() }).collect();
    if result.len() == rank { Ok(result) } else { Err(bad(format!("axes {axes:?} repeat"))) }
}
