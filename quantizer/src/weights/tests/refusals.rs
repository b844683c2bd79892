//! What cannot be done is refused, with the way out.

use ndarray::array;

use super::*;

const M4: DataType = DataType::signed(4);
const U4: DataType = DataType::unsigned(4);

fn refused(p: &Problem<'_>) -> WeightError {
    quantize(p, &SignSplit).unwrap_err()
}

#[test]
fn accumulators_too_narrow_for_any_weight() {
    let w = array![[3.0, -2.0]];
    for (input, smallest) in [
        (U4, 5),
        (DataType::unsigned(1), 1),
        (DataType::unsigned(8), 9),
        (DataType::signed(4), 4),
        (DataType { narrow: true, ..DataType::signed(4) }, 4),
        (DataType::BIPOLAR, 2),
    ] {
        assert_eq!(smallest_accumulator(input, M4), smallest, "{input}");
        if smallest > 1 {
            let error = refused(&problem(w.view(), M4, input, smallest - 1));
            assert_eq!(error, WeightError::TooNarrow { accumulator: smallest - 1, smallest, input });
            assert!(error.to_string().contains(&format!("at least {smallest}")), "{error}");
        }
        // The width that is named works, with a weight.
        let q = quantize(&problem(w.view(), M4, input, smallest), &SignSplit).unwrap();
        assert!(q.choice.codes.iter().any(|&q| q != 0), "{input}");
    }
    // A layer without weights fits anything.
    assert!(quantize(&problem(array![[0.0, 0.0]].view(), M4, U4, 1), &SignSplit).is_ok());
}

#[test]
fn widths_that_no_accumulator_has() {
    let w = array![[1.0]];
    for p in [0, 65, u32::MAX] {
        assert_eq!(refused(&problem(w.view(), M4, U4, p)), WeightError::Accumulator { accumulator: p, max: 64 });
    }
    for method in methods().iter().filter(|m| !m.name().starts_with("axe")) {
        assert!(quantize(&problem(w.view(), M4, U4, 64), method.as_ref()).is_ok(), "{}", method.name());
    }
}

#[test]
fn types_and_numbers_that_make_no_sense() {
    let w = array![[1.0]];
    assert_eq!(refused(&problem(w.view(), DataType::BIPOLAR, U4, 9)), WeightError::Bipolar);
    for bits in [0, 1, 33, 62] {
        assert!(
            matches!(refused(&problem(w.view(), DataType::signed(bits), U4, 9)), WeightError::Datatype { .. }),
            "{bits}"
        );
    }
    // T3: the accumulators of another layer are no quantized input.
    let wide = DataType::signed(40);
    assert_eq!(refused(&problem(w.view(), M4, wide, 60)), WeightError::Datatype { datatype: wide });
    for bad in [f64::NAN, f64::INFINITY] {
        let w = array![[0.0, 1.0], [bad, 0.0]];
        assert!(matches!(refused(&problem(w.view(), M4, U4, 9)), WeightError::NotFinite { channel: 1, tap: 0, .. }));
    }
    // Huge ones are only clipped.
    let w = array![[1e300, -1e300, 1e-300]];
    for method in methods().iter().filter(|m| !m.name().starts_with("axe")) {
        let q = quantize(&problem(w.view(), DataType::signed(8), U4, 12), method.as_ref());
        assert!(matches!(q, Ok(_) | Err(WeightError::NoBitWidth { .. })), "{}: {q:?}", method.name());
    }
}

#[test]
fn calibration_that_does_not_fit() {
    let w = array![[1.0, 2.0]];
    let axe = by_name("axe", None).unwrap();
    let without = problem(w.view(), M4, U4, 9);
    assert_eq!(quantize(&without, axe.as_ref()), Err(WeightError::NoCalibration { method: "axe" }));
    let with = |source: &Array2<i64>, quantized: &Array2<i64>| {
        let calibration = Some(Calibration { source: source.view(), quantized: quantized.view() });
        quantize(&Problem { calibration, ..problem(w.view(), M4, U4, 9) }, axe.as_ref())
    };
    let good = Array2::from_elem((5, 2), 3);
    assert!(with(&good, &good).is_ok());
    for bad in [Array2::zeros((5, 3)), Array2::zeros((0, 2)), Array2::zeros((4, 2))] {
        let error = with(&good, &bad).unwrap_err();
        assert!(matches!(error, WeightError::CalibrationShape { taps: 2, .. }), "{error}");
    }
    let mut outside = good.clone();
    outside[[4, 1]] = 16;
    let error = WeightError::CalibrationCode { sample: 4, tap: 1, code: 16, input: U4 };
    assert_eq!(with(&good, &outside), Err(error));
    // All zero data determine nothing, and are no reason to fail.
    let zero = Array2::zeros((5, 2));
    assert_eq!(with(&zero, &zero).unwrap().choice.codes, array![[1, 2]]);
}

#[test]
fn tiles_that_leave_nothing() {
    let w = Array2::from_elem((1, 64), 1.0);
    let codes = Array2::from_elem((3, 64), 1);
    let calibration = Some(Calibration { source: codes.view(), quantized: codes.view() });
    let problem = Problem { calibration, ..problem(w.view(), M4, U4, 9) };
    let error = quantize(&problem, &Axe { feedback: Feedback::Gpfq, tile: Some(1) }).unwrap_err();
    assert_eq!(error, WeightError::Tiles { tiles: 64, inner: 3, smallest: 11 });
    assert!(
        quantize(&Problem { accumulator: 11, ..problem }, &Axe { feedback: Feedback::Gpfq, tile: Some(1) }).is_ok()
    );
}

#[test]
fn empty_layers() {
    for shape in [(0, 3), (3, 0), (0, 0)] {
        let w = Array2::zeros(shape);
        for method in methods().iter().filter(|m| !m.name().starts_with("axe")) {
            let q = quantize(&problem(w.view(), M4, U4, 9), method.as_ref()).unwrap();
            assert_eq!(q.choice.codes.dim(), shape, "{}", method.name());
        }
    }
}
