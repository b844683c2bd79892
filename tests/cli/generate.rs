//! `snug generate` and its folder.

use std::collections::BTreeMap;
use std::path::Path;

use super::tool::Place;

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn same_input_same_bytes() {
    let place = Place::new();
    assert_eq!(place.snug("generate digits.onnx -o a").code, 0);
    assert_eq!(place.snug("generate digits.onnx -o b").code, 0);
    let (a, b) = (contents(&place.path("a")), contents(&place.path("b")));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    assert!(a.iter().all(|(name, bytes)| b[name] == *bytes));
    for name in ["rtl/digits.v", "files.f", "io.json", "dataflow.json", "certificate.json", "network.safetensors"] {
        assert!(a.contains_key(name), "{name}");
    }
    let listed = String::from_utf8(a["files.f"].clone()).unwrap();
    assert_eq!(listed.lines().count(), a.keys().filter(|n| n.starts_with("rtl/")).count());
}

#[test]
fn the_report_has_the_keys_of_the_contract() {
    let place = Place::new();
    let json = place.json("generate digits.onnx -o out --target-interval 32 --clock-mhz 200", 0);
    assert_eq!(json["schema"], "snug.generate/1");
    assert!(json["interval"].as_u64().unwrap() <= 64);
    assert!(json["latency"].as_u64().unwrap() > 0);
    let rate = json["frames_per_second"].as_f64().unwrap();
    assert!((rate - 200e6 / json["interval"].as_f64().unwrap()).abs() < 1.0, "{rate}");
    assert_eq!(json["layers"].as_array().unwrap().len(), 3);
    assert!(json["bottleneck"].is_string());
    assert!(json["ports"].as_array().unwrap().iter().any(|p| p["name"] == "s_axis_tdata"));
}

#[test]
fn the_dataflow_of_a_run_is_a_folding() {
    let place = Place::new();
    place.write(
        "folding.json",
        r#"{"norm1": {"pe": 4, "simd": 8}, "norm2": {"pe": 8, "simd": 4}, "fc3": {"pe": 2, "simd": 8}}"#,
    );
    assert_eq!(place.snug("generate digits.onnx -o a --folding folding.json").code, 0);
    assert_eq!(place.snug("generate digits.onnx -o b --folding a/dataflow.json").code, 0);
    assert_eq!(contents(&place.path("a")), contents(&place.path("b")));
    let json = place.json("generate digits.onnx -o a --folding folding.json --check", 0);
    let pe: Vec<_> = json["layers"].as_array().unwrap().iter().map(|l| l["pe"].as_u64().unwrap()).collect();
    assert_eq!(pe, [4, 8, 2]);
    // Without options the folder itself is asked for its folding.
    assert_eq!(place.snug("generate a -o a --check").code, 0);
}

#[test]
fn check_tells_whether_the_folder_is_up_to_date() {
    let place = Place::new();
    assert_eq!(place.snug("generate digits.onnx -o out").code, 0);
    assert_eq!(place.snug("generate digits.onnx -o out --check").code, 0);
    place.write("out/io.json", "{}");
    std::fs::remove_file(place.path("out/files.f")).unwrap();
    let before = contents(&place.path("out"));
    let json = place.json("generate digits.onnx -o out --check", 1);
    let differences: Vec<_> = json["differences"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
    assert_eq!(differences, ["files.f (missing)", "io.json (differs)"]);
    assert_eq!(contents(&place.path("out")), before);
}

#[test]
fn a_foreign_folder_is_left_alone() {
    let place = Place::new();
    std::fs::create_dir(place.path("mine")).unwrap();
    place.write("mine/thesis.tex", "years of work");
    for force in ["", " --force"] {
        place.refuses(
            &format!("generate digits.onnx -o mine{force}"),
            "
snug::output::foreign

  × mine is not empty, and snug did not write it
  help: name another folder, or empty this one yourself",
        );
    }
    assert_eq!(contents(&place.path("mine")).into_values().collect::<Vec<_>>(), [b"years of work"]);
}

#[test]
fn edits_by_hand_need_force() {
    let place = Place::new();
    assert_eq!(place.snug("generate digits.onnx -o out").code, 0);
    place.write("out/rtl/digits.v", "// mine");
    place.refuses(
        "generate digits.onnx -o out",
        "
snug::output::edited

  × out holds changes that would be lost: rtl/digits.v (edited)
  help: keep a copy of what you need, then --force replaces the folder",
    );
    assert_eq!(std::fs::read(place.path("out/rtl/digits.v")).unwrap(), b"// mine");
    assert_eq!(place.snug("generate digits.onnx -o out --force").code, 0);
    assert_eq!(place.snug("generate digits.onnx -o out --check").code, 0);
}

#[test]
fn a_folder_that_cannot_be_written_leaves_nothing() {
    let place = Place::new();
    let before = contents(&place.path("."));
    // A file stands where a folder is needed: nobody, not even root, can write there.
    place.write("file", "x");
    place.refuses(
        "generate digits.onnx -o file",
        "
snug::output::file

  × file is a file, not a folder",
    );
    let done = place.snug("generate digits.onnx -o file/below");
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("snug::output::write") && done.stderr.contains("file/below"), "{}", done.stderr);
    std::fs::remove_file(place.path("file")).unwrap();
    assert_eq!(contents(&place.path(".")), before);
}

#[test]
fn foldings_that_do_not_fit_are_refused() {
    let place = Place::new();
    place.write("pe.json", r#"{"fc3": {"pe": 3, "simd": 1}}"#);
    place.refuses(
        "generate digits.onnx -o out --folding pe.json",
        "
snug::folding

  × layer 'fc3': PE = 3 does not divide its 10 outputs; accepted: 1, 2, 5, 10",
    );
    place.write("name.json", r#"{"fc33": {"pe": 1, "simd": 1}}"#);
    place.refuses(
        "generate digits.onnx -o out --folding name.json",
        "
snug::layer::unknown

  × the folding names layer 'fc33', which is not in the network; did you mean 'fc3'?
  help: `snug inspect` lists the layers",
    );
    assert!(!place.path("out").exists());
}

#[test]
fn the_solver_keeps_a_rate_and_a_budget() {
    let place = Place::new();
    let run = |options: &str, code| place.json(&format!("generate digits.onnx -o out --force {options}"), code);
    let figures =
        |json: &serde_json::Value| (json["interval"].as_u64().unwrap(), json["lut_estimate"].as_u64().unwrap());
    // 100 MHz and 1.5 million frames a second leave 66 cycles for each.
    let (interval, luts) = figures(&run("--target-fps 1500000", 0));
    assert!(interval <= 66, "{interval}");
    let (fastest, within) = figures(&run(&format!("--max-luts {luts}"), 0));
    assert!(within <= luts && fastest <= interval, "{within} of {luts} LUTs, {fastest} cycles");
    assert_eq!(place.snug("generate out -o out --check").code, 0);
    let refused = place.snug("generate digits.onnx -o none --max-luts 10");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("no folding has 10 LUTs or fewer"), "{}", refused.stderr);
    assert_eq!(place.snug("generate digits.onnx -o none --max-luts 10 --target-fps 1").code, 2);
}
