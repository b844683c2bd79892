//! `snug inspect`, `snug check`, and what holds for every command.

use std::process::Stdio;

use super::tool::Place;

#[test]
fn inspect_json_has_the_keys_of_the_contract() {
    let json = Place::new().json("inspect digits.onnx", 0);
    assert_eq!(json["schema"], "snug.inspect/1");
    let layers: Vec<_> = json["layers"].as_array().unwrap().iter().filter(|l| l["kind"] == "Dense").collect();
    let names: Vec<_> = layers.iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["norm1", "norm2", "fc3"]);
    let width = |key: &str| layers.iter().map(|l| l["accumulator"][key].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(width("exact"), [9, 9, 10]);
    assert_eq!(width("data_type"), [15, 14, 14]);
    assert_eq!(width("l1"), [10, 10, 11]);
    assert_eq!(width("zero_centered"), [9, 9, 10]);
    assert!(layers[0]["accumulator"]["exact_mean"].is_number() && layers[0]["accumulator"]["used"].is_number());
    assert_eq!(layers[0]["input"]["bits"], 4);
    assert_eq!(layers[0]["input"]["signed"], false);
    for key in ["bits", "total", "nonzero", "dead_outputs"] {
        assert!(layers[0]["weights"][key].is_number(), "{key}");
    }
    assert_eq!((layers[0]["inputs"].as_u64(), layers[0]["outputs"].as_u64()), (Some(64), Some(32)));
    // Null, not absent, for a layer without accumulators.
    let threshold = json["layers"].as_array().unwrap().iter().find(|l| l["kind"] == "Threshold").unwrap();
    assert!(threshold["accumulator"].is_null() && threshold.get("accumulator").is_some());
}

#[test]
fn check_without_a_target_says_so_and_with_one_gives_a_witness() {
    let place = Place::new();
    let done = place.snug("check digits.onnx");
    assert_eq!(done.code, 0);
    assert_eq!(
        done.stdout,
        "norm1  exact  9 bits, used  9\n\
         norm2  exact  9 bits, used  9\n\
         fc3    exact 10 bits, used 10\n\
         no target given (--accumulator)\n"
    );
    assert_eq!(place.snug("check digits.onnx --accumulator 9,9,10").code, 0);
    let json = place.json("check digits.onnx --accumulator norm1=9,fc3=9", 1);
    assert_eq!((json["schema"].as_str(), json["ok"].as_bool()), (Some("snug.check/1"), Some(false)));
    for violation in json["violations"].as_array().unwrap() {
        assert_eq!(violation["layer"], "fc3");
        assert_eq!(violation["width_needed"], 10);
        assert_eq!(violation["width_allowed"], 9);
        let reaches = violation["reaches"].as_i64().unwrap();
        assert!(!(-256..256).contains(&reaches), "{reaches} fits 9 bits");
        let witness = violation["worst_input"].as_array().unwrap();
        assert_eq!(witness.len(), 32);
        assert!(witness.iter().all(|code| (0..16).contains(&code.as_i64().unwrap())));
    }
}

#[test]
fn a_certificate_is_written_verified_and_refuted() {
    let place = Place::new();
    assert_eq!(place.snug("check digits.onnx -o certificate.json").code, 0);
    let done = place.snug("check digits.onnx --certificate certificate.json");
    assert_eq!(done.code, 0);
    assert!(done.stdout.ends_with("certificate certificate.json: holds\n"), "{}", done.stdout);
    let text = std::fs::read_to_string(place.path("certificate.json")).unwrap();
    let forged = text.replacen("\"exact\": 9", "\"exact\": 8", 1);
    assert_ne!(text, forged);
    place.write("forged.json", forged);
    let json = place.json("check digits.onnx --certificate forged.json", 1);
    assert_eq!(json["ok"], false);
    let differences = json["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!((&differences[0]["layer"], &differences[0]["claimed"]), (&"norm1".into(), &"8".into()));
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let place = Place::new();
    for args in ["man", "check digits.onnx --json --accumulator 4", "inspect digits.onnx"] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Nobody reads.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{args}");
        // The exit code is the check's, whoever reads along.
        assert_eq!(output.status.code(), Some(i32::from(args.contains("--accumulator"))), "{args}");
    }
}

#[test]
fn completions_and_the_manual_page_come_from_the_same_definition() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let done = place.snug(&format!("completions {shell}"));
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains("simulate"), "{shell}");
    }
    assert!(place.snug("man").stdout.contains(".TH snug 1"));
}

#[test]
fn a_missing_tool_is_exit_3_and_doctor_only_reports() {
    let place = Place::new();
    assert_eq!(place.snug("generate digits.onnx -o out").code, 0);
    let output = place.command("synth out").env("SNUG_YOSYS", "/nowhere/yosys").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("SNUG_YOSYS names `/nowhere/yosys`"), "{stderr}");
    let output = place.command("doctor --json").env("SNUG_YOSYS", "/nowhere/yosys").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let yosys = json["tools"].as_array().unwrap().iter().find(|t| t["tool"] == "yosys").unwrap();
    assert_eq!(yosys["found"], false);
    assert!(yosys["advice"].as_str().unwrap().contains("SNUG_YOSYS"));
}
