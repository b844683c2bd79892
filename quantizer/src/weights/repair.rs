//! Integer repair: makes any integers fit.

use super::limits::{Limits, sign_sums};

/// Takes units from `codes` until they fit `limits`, each from the weight whose magnitude is farthest above that of `values` (what
/// the codes were rounded from), on a side that is in the way. Codes that fit are left alone. Returns how many units were taken.
///
/// This closes the hole of A2Q+ (float noise scaled up to the whole budget), and any that a float error may open elsewhere.
pub fn fit(codes: &mut [i64], values: &[f64], limits: &Limits) -> u64 {
    let (mut alpha, mut beta) = sign_sums(codes);
    let mut taken = 0;
    while !limits.hold(alpha, beta) {
        // With inputs of both signs either side helps; else only the one that is over.
        let over = |side_alone: bool| !limits.is_box() || !side_alone;
        let plus = alpha > 0 && over(limits.hold(alpha, 0));
        let minus = beta > 0 && over(limits.hold(0, beta));
        let above =
            |i: usize| (codes[i].unsigned_abs() as f64) - values.get(i).map_or(0.0, |v| v * codes[i].signum() as f64);
        let candidates = (0..codes.len()).filter(|&i| codes[i] > 0 && plus || codes[i] < 0 && minus);
        // Codes that do not fit are not all 0, so that there is a candidate.
        let Some(i) = candidates.max_by(|&i, &j| above(i).total_cmp(&above(j)).then(j.cmp(&i))) else { break };
        if codes[i] > 0 {
            alpha -= 1
        } else {
            beta -= 1
        }
        codes[i] -= codes[i].signum();
        taken += 1;
    }
    taken
}
