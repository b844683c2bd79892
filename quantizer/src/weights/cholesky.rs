//! The one factorization that OPTQ needs.

use ndarray::Array2;

/// For a symmetric positive definite `h`: the upper triangular `u` with `u^T u = h^-1`; `None` if `h` is not positive definite.
///
/// With `h = r r^T`, `r` upper triangular (Cholesky from the last row up), `u` is the inverse of `r`.
pub fn inverse_factor(h: &Array2<f64>) -> Option<Array2<f64>> {
    let n = h.nrows();
    let mut r = Array2::<f64>::zeros((n, n));
    for i in (0..n).rev() {
        for j in (0..=i).rev() {
            // Both rows from column i + 1 on: what later columns have explained already.
            let known: f64 = r.row(i).iter().zip(r.row(j)).skip(i + 1).map(|(a, b)| a * b).sum();
            let rest = h[[j, i]] - known;
            if i == j {
                if !(rest > 0.0 && rest.is_finite()) {
                    return None;
                }
                r[[i, i]] = rest.sqrt();
            } else {
                r[[j, i]] = rest / r[[i, i]];
            }
        }
    }
    // Row by row from below: u[i, j] = -(sum over i < k <= j of r[i, k] u[k, j]) / r[i, i].
    let mut u = Array2::<f64>::zeros((n, n));
    for i in (0..n).rev() {
        let mut row = vec![0.0; n];
        for k in i + 1..n {
            let factor = r[[i, k]];
            for (to, from) in row.iter_mut().zip(u.row(k)).skip(k) {
                *to -= factor * from;
            }
        }
        row[i] = 1.0;
        for (to, value) in u.row_mut(i).iter_mut().zip(&row).skip(i) {
            *to = value / r[[i, i]];
        }
    }
    Some(u)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::testing::Random;

    #[test]
    fn factor_of_the_inverse() {
        let random = &mut Random::new(3);
        let x = Array2::from_shape_fn((40, 9), |_| random.within(-100, 100) as f64 / 100.0);
        let h = x.t().dot(&x);
        let u = inverse_factor(&h).unwrap();
        let identity = u.t().dot(&u).dot(&h);
        for ((i, j), v) in identity.indexed_iter() {
            assert!((v - f64::from(i == j)).abs() < 1e-9, "{i} {j}: {v}");
            assert!(i <= j || u[[i, j]] == 0.0);
        }
        assert!(inverse_factor(&Array2::zeros((2, 2))).is_none());
    }
}
