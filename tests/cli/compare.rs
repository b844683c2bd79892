//! `snug compare`.

use super::tool::Place;

const DIGITS: &str = "compare digits.onnx --inputs test_inputs.npy";

#[test]
fn brevitas_own_logits_are_equal() {
    let json = Place::new().json(&format!("{DIGITS} --expect brevitas_logits.npy"), 0);
    assert_eq!(
        (json["ok"].as_bool(), json["samples"].as_u64(), json["ties"].as_u64()),
        (Some(true), Some(360), Some(0))
    );
    assert_eq!(json["tensors"][0]["elements"], 3600);
    assert!(json["first"].is_null());
}

#[test]
fn a_dump_is_equal_layer_by_layer() {
    let place = Place::new();
    assert_eq!(
        place.snug("simulate digits.onnx --engine golden --inputs test_inputs.npy --limit 30 --dump acts.npz").code,
        0
    );
    let json = place.json(&format!("{DIGITS} --limit 30 --expect acts.npz"), 0);
    let layers: Vec<_> = json["tensors"].as_array().unwrap().iter().map(|t| t["layer"].as_str().unwrap()).collect();
    assert_eq!(layers, ["input", "norm1", "norm1", "norm2", "norm2", "fc3"]);
}

#[test]
fn one_wrong_value_is_found_with_its_place() {
    let place = Place::new();
    let (_, mut logits) = place.read_npy::<f32>("brevitas_logits.npy");
    logits[7 * 10 + 3] += 1.0;
    place.npy("wrong.npy", &[360, 10], &logits);
    let json = place.json(&format!("{DIGITS} --expect wrong.npy"), 1);
    let first = &json["first"];
    assert_eq!((&first["layer"], &first["sample"], &first["channel"]), (&"fc3".into(), &7.into(), &3.into()));
    assert_eq!(first["samples"], 1);
    assert!(first["cause"].is_null(), "{first}");
    let done = place.snug(&format!("{DIGITS} --expect wrong.npy"));
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("FIRST DIFFERENCE in layer fc3, channel 3, sample 7, element [3]"), "{}", done.stdout);
    assert!(done.stdout.ends_with("cause: unknown\n"), "{}", done.stdout);
}

#[test]
fn causes_are_named() {
    let place = Place::new();
    let (_, logits) = place.read_npy::<f32>("brevitas_logits.npy");
    let cause = |args: &str| place.json(&format!("compare digits.onnx {args}"), 1)["first"]["cause"].clone();

    place.npy("three.npy", &[360, 10], &logits.iter().map(|v| v * 3.0).collect::<Vec<f32>>());
    let scale = cause("--inputs test_inputs.npy --expect three.npy");
    assert_eq!(scale, "scale: the expected values are 3.000000 times the network's");

    let softmax: Vec<f32> = logits
        .chunks(10)
        .flat_map(|row| {
            let sum: f32 = row.iter().map(|v| v.exp()).sum();
            row.iter().map(move |v| v.exp() / sum)
        })
        .collect();
    place.npy("softmax.npy", &[360, 10], &softmax);
    let probabilities = cause("--inputs test_inputs.npy --expect softmax.npy");
    assert!(probabilities.as_str().unwrap().starts_with("the expected values are probabilities"), "{probabilities}");

    let (_, inputs) = place.read_npy::<f32>("test_inputs.npy");
    place.npy("large.npy", &[360, 64], &inputs.iter().map(|v| v * 255.0).collect::<Vec<f32>>());
    let normalisation = cause("--inputs large.npy --expect brevitas_logits.npy");
    assert_eq!(
        normalisation,
        "missing normalisation: the expected values follow if the inputs are divided by 255 (--std 255)"
    );
    // And with what the message says, they do.
    assert_eq!(place.snug("compare digits.onnx --inputs large.npy --expect brevitas_logits.npy --std 255").code, 0);
}

/// Inputs half-way between two codes of the first quantizer: exact arithmetic rounds half to even, and an executor whose
/// value is off by one float goes the other way. That is explained, and nothing else is.
#[test]
fn float32_ties_are_explained() {
    let place = Place::new();
    let (_, inputs) = place.read_npy::<f32>("test_inputs.npy");
    let mut tied = inputs[..64 * 4].to_vec();
    let mut above = tied.clone();
    // A pixel that the first layer reads with weight: 4.5 is a tie (to 4), a float above it is 5.
    let place_of = |sample: usize| sample * 64 + 20;
    for sample in [1, 3] {
        tied[place_of(sample)] = 4.5;
        above[place_of(sample)] = 4.5f32.next_up();
    }
    place.npy("tied.npy", &[4, 64], &tied);
    place.npy("above.npy", &[4, 64], &above);
    assert_eq!(
        place.snug("simulate digits.onnx --engine golden --inputs above.npy --dump acts.npz --outputs logits.npy").code,
        0
    );
    let json = place.json("compare digits.onnx --inputs tied.npy --expect acts.npz", 0);
    assert_eq!((&json["ok"], &json["ties"]), (&true.into(), &2.into()), "{json}");
    assert_eq!((&json["tensors"][0]["layer"], &json["tensors"][0]["ties"]), (&"input".into(), &2.into()));
    // Samples that left the path are not compared further down.
    assert_eq!(json["tensors"][1]["samples"], 2);
    // From the logits alone the ties are found by deciding them the other way.
    assert_eq!(place.json("compare digits.onnx --inputs tied.npy --expect logits.npy", 0)["ok"], true);
    // Half a step away there is no tie to blame.
    for sample in [1, 3] {
        above[place_of(sample)] = 5.0;
        tied[place_of(sample)] = 4.0;
    }
    place.npy("tied.npy", &[4, 64], &tied);
    let json = place.json("compare digits.onnx --inputs tied.npy --expect acts.npz", 1);
    assert_eq!((&json["first"]["layer"], &json["first"]["sample"]), (&"input".into(), &1.into()));
}
