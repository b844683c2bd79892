//! Euclidean projections of magnitudes onto the sets that budgets describe.
//!
//! All of them are soft thresholds: `u` becomes `max(u - theta, 0)`. Only `theta` is computed here, and always from magnitudes
//! (values of at least 0).

/// The soft threshold that projects onto `{ u >= 0, sum(u) <= radius }`; 0 for magnitudes that are inside.
///
/// Newton's method on the decreasing, convex, piecewise linear sum (Michelot's algorithm): the threshold only rises, the set
/// of magnitudes above it only shrinks, and it ends after finitely many passes, few in practice. No sort.
pub fn simplex_threshold(magnitudes: &[f64], radius: f64) -> f64 {
    let mut theta = 0.0;
    let mut active = usize::MAX;
    loop {
        let (count, sum) = above(magnitudes, theta);
        let count_now = count as usize;
        if count_now == 0 || count_now >= active || (active == usize::MAX && sum <= radius) {
            return theta;
        }
        active = count_now;
        theta = f64::max(theta, (sum - radius) / count);
    }
}

/// How many magnitudes are above `theta`, and their sum. Four lanes without a jump: a single sum would wait for its own last addition every time.
fn above(magnitudes: &[f64], theta: f64) -> (f64, f64) {
    let (chunks, rest) = magnitudes.as_chunks::<4>();
    let (mut counts, mut sums) = ([0.0; 4], [0.0; 4]);
    let mut add = |lane: usize, u: f64| {
        counts[lane] += if u > theta { 1.0 } else { 0.0 };
        sums[lane] += if u > theta { u } else { 0.0 };
    };
    chunks.iter().for_each(|chunk| (0..4).for_each(|lane| add(lane, chunk[lane])));
    rest.iter().enumerate().for_each(|(lane, &u)| add(lane, u));
    (counts.iter().sum(), sums.iter().sum())
}

/// The soft threshold that projects onto `{ 0 <= u <= cap, sum(u) <= radius }`, where clipping to `cap` alone is not enough.
///
/// What is at the cap for some threshold stays there as the threshold falls, and what is there leaves less of the radius to the
/// others: the set at the cap only grows, and the loop ends.
pub fn capped_simplex_threshold(magnitudes: &[f64], cap: f64, radius: f64) -> f64 {
    let mut theta = simplex_threshold(magnitudes, radius);
    let mut at_cap = 0;
    loop {
        // Counted first: most often nothing is there, and nothing needs to be copied.
        let at_cap_now = magnitudes.iter().filter(|&u| u - theta >= cap).count();
        if at_cap_now == at_cap {
            return theta;
        }
        at_cap = at_cap_now;
        let rest: Vec<f64> = magnitudes.iter().copied().filter(|u| u - theta < cap).collect();
        let left = radius - cap * at_cap as f64;
        // Only rounding can make this negative: what is at the cap is within the radius.
        theta = theta.min(simplex_threshold(&rest, left.max(0.0)));
    }
}

/// The same as [`simplex_threshold`], as Duchi et al. (2008) write it: sort, and take the last index where the threshold is
/// below the magnitude. The reference that the faster form is compared with.
pub fn simplex_threshold_by_sorting(magnitudes: &[f64], radius: f64) -> f64 {
    if magnitudes.iter().sum::<f64>() <= radius {
        return 0.0;
    }
    let mut sorted = magnitudes.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut sum, mut theta) = (0.0, 0.0);
    for (j, &u) in sorted.iter().enumerate() {
        sum += u;
        let count = (j + 1) as f64;
        if u * count > sum - radius {
            theta = (sum - radius) / count;
        }
    }
    theta
}

/// The soft thresholds for positive and negative magnitudes that project onto
/// `{ a * alpha + b * beta <= c, b * alpha + a * beta <= d }`, `alpha` and `beta` being the sums of either side.
///
/// By the conditions of optimality the thresholds are `a * l + b * m` and `b * l + a * m` for multipliers `l, m >= 0`: one for
/// each rule, 0 where the rule is slack. First neither rule is tried, then either alone, then both: the corner.
pub fn polygon_thresholds(positive: &[f64], negative: &[f64], [a, b, c, d]: [f64; 4]) -> (f64, f64) {
    let sums = |plus: f64, minus: f64| (excess(positive, plus).1, excess(negative, minus).1);
    let holds = |(alpha, beta): (f64, f64), (p, q, r): (f64, f64, f64)| p * alpha + q * beta <= r * (1.0 + 1e-12);
    let (first, second) = ((a, b, c), (b, a, d));
    let free = sums(0.0, 0.0);
    if holds(free, first) && holds(free, second) {
        return (0.0, 0.0);
    }
    for (rule, other) in [(first, second), (second, first)] {
        let (plus, minus) = line_thresholds(positive, negative, rule);
        if holds(sums(plus, minus), other) {
            return (plus, minus);
        }
    }
    // Both rules are tight. With a = b they are parallel, and one of the two alone has been enough.
    let determinant = a * a - b * b;
    let (alpha, beta) = ((a * c - b * d) / determinant, (a * d - b * c) / determinant);
    (simplex_threshold(positive, alpha.max(0.0)), simplex_threshold(negative, beta.max(0.0)))
}

/// The thresholds `a * l`, `b * l` with the smallest `l >= 0` at which `a * alpha + b * beta <= c`. Newton, as above.
fn line_thresholds(positive: &[f64], negative: &[f64], (a, b, c): (f64, f64, f64)) -> (f64, f64) {
    let mut l = 0.0;
    // Finitely many breakpoints bound the passes; the limit is for the last bit, where rounding may go to and fro.
    for _ in 0..200 {
        let ((n, alpha), (m, beta)) = (excess(positive, a * l), excess(negative, b * l));
        let (over, slope) = (a * alpha + b * beta - c, a * a * n + b * b * m);
        let next = l + over / slope;
        if over <= 0.0 || slope <= 0.0 || next <= l {
            break;
        }
        l = next;
    }
    (a * l, b * l)
}

/// How many magnitudes are above `theta`, and by how much in all.
fn excess(magnitudes: &[f64], theta: f64) -> (f64, f64) {
    magnitudes.iter().fold((0.0, 0.0), |(n, s), &u| if u > theta { (n + 1.0, s + (u - theta)) } else { (n, s) })
}

/// `sign(v) * max(|v| - theta, 0)`.
pub fn soft(v: f64, theta: f64) -> f64 {
    (v.abs() - theta).max(0.0).copysign(v)
}
