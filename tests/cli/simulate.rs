//! `snug simulate`.

use super::tool::Place;

const DIGITS: &str = "simulate digits.onnx --inputs test_inputs.npy --labels test_labels.npy";

#[test]
fn golden_and_cycle_agree_on_the_digits() {
    let place = Place::new();
    for engine in ["golden", "cycle"] {
        let json = place.json(&format!("{DIGITS} --engine {engine}"), 0);
        assert_eq!(json["schema"], "snug.simulate/1");
        assert_eq!(json["engine"], engine);
        assert_eq!((json["samples"].as_u64(), json["correct"].as_u64()), (Some(360), Some(351)));
        assert_eq!(json["mismatches"], 0);
        for key in ["cycles", "interval", "latency"] {
            assert_eq!(json[key].is_null(), engine == "golden", "{key}");
        }
    }
    let unlabelled = place.json("simulate digits.onnx --inputs test_inputs.npy --engine golden", 0);
    assert!(unlabelled["correct"].is_null());
}

#[test]
fn outputs_are_brevitas_logits_in_the_onnx_shape() {
    let place = Place::new();
    assert_eq!(place.snug(&format!("{DIGITS} --outputs ours.npy")).code, 0);
    let (shape, ours) = place.read_npy::<f64>("ours.npy");
    let (theirs_shape, theirs) = place.read_npy::<f32>("brevitas_logits.npy");
    assert_eq!((&shape, &shape[..]), (&theirs_shape, &[360, 10][..]));
    let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-5, "{worst}");
    assert_eq!(place.snug(&format!("{DIGITS} --outputs raw.npy --raw --limit 3")).code, 0);
    let (shape, _) = place.read_npy::<i64>("raw.npy");
    assert_eq!(shape, [3, 10]);
}

#[test]
fn a_seed_draws_samples_and_their_labels_together() {
    let place = Place::new();
    let draw = |seed: u32, file: &str| {
        let args = format!("{DIGITS} --engine golden --raw --limit 40 --seed {seed} --outputs {file}");
        let json = place.json(&args, 0);
        assert_eq!(json["samples"], 40);
        (json["correct"].as_u64().unwrap(), place.read_npy::<i64>(file).1)
    };
    let first = draw(1, "a.npy");
    // Labels of other samples would be right once in ten.
    assert!(first.0 >= 35, "{}", first.0);
    assert_eq!(first, draw(1, "b.npy"));
    assert_ne!(first.1, draw(2, "c.npy").1);
}

#[test]
fn stalls_change_the_cycles_and_not_the_outputs() {
    let place = Place::new();
    let cycles = |stall: &str| {
        let json = place.json(&format!("{DIGITS} --limit 20 --stall {stall}"), 0);
        assert_eq!(json["mismatches"], 0, "{stall}");
        json["cycles"].as_u64().unwrap()
    };
    let none = cycles("none");
    for stall in ["input", "output", "both"] {
        assert!(cycles(stall) > none, "{stall}");
    }
}

#[test]
fn a_stored_network_runs_on_codes_and_on_real_values() {
    let place = Place::new();
    assert_eq!(place.snug("generate digits.onnx -o out").code, 0);
    let (_, values) = place.read_npy::<f32>("test_inputs.npy");
    // The first quantizer's codes: levels 0 to 16 in steps of one, saturated at 15.
    let codes: Vec<i64> = values.iter().map(|&v| (v as i64).min(15)).collect();
    place.npy("codes.npy", &[360, 64], &codes);
    for model in ["out", "out/network.safetensors"] {
        // Integers are codes; floats are real values, quantized as the file's first quantizer does.
        for inputs in ["codes.npy", "test_inputs.npy"] {
            let json = place.json(&format!("simulate {model} --inputs {inputs} --labels test_labels.npy"), 0);
            assert_eq!(
                (json["correct"].as_u64(), json["mismatches"].as_u64()),
                (Some(351), Some(0)),
                "{model} {inputs}"
            );
        }
    }
}

#[test]
fn csv_and_npy_give_the_same_outputs() {
    let place = Place::new();
    let (_, values) = place.read_npy::<f32>("test_inputs.npy");
    let rows: Vec<String> = values
        .chunks(64)
        .take(5)
        .map(|row| row.iter().map(|v| (*v as i64).to_string()).collect::<Vec<_>>().join(","))
        .collect();
    place.write("five.csv", rows.join("\n"));
    assert_eq!(place.snug("simulate digits.onnx --engine golden --inputs five.csv --raw --outputs a.npy").code, 0);
    let args = "simulate digits.onnx --engine golden --inputs test_inputs.npy --limit 5 --raw --outputs b.npy";
    assert_eq!(place.snug(args).code, 0);
    assert_eq!(place.read_npy::<i64>("a.npy"), place.read_npy::<i64>("b.npy"));
}

#[test]
fn notes_are_silent_unless_asked_for_and_kept_in_json() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..64).map(|i| i % 16).collect();
    place.npy("bytes.npy", &[1, 64], &bytes);
    let args = "simulate digits.onnx --engine golden --inputs bytes.npy";
    let note = "integer data are taken as real values (with --input-type they would be codes)";
    assert_eq!(place.snug(args).stderr, "");
    assert_eq!(place.snug(&format!("{args} -v")).stderr, format!("note: {note}\n"));
    assert_eq!(place.json(args, 0)["notes"][0], note);
}
