//! `snug sweep`: what it finds, and that being killed changes nothing of it.

use std::time::Duration;

use super::tool::Place;

const SWEEP: &str = "sweep digits.onnx --inputs test_inputs.npy --labels test_labels.npy --limit 60";

/// How often the sweep is killed.
const KILLS: usize = 20;

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.path(name)).unwrap()
}

/// The points of a workflow.
fn keys(place: &Place, snakefile: &str) -> Vec<String> {
    let text = String::from_utf8(bytes(place, snakefile)).unwrap();
    let key = |line: &str| line.strip_prefix("    \"")?.split('"').next().map(str::to_owned);
    text.lines().filter_map(key).filter(|k| k.len() == 64).collect()
}

#[test]
fn every_point_has_figures_or_a_reason() {
    let place = Place::new();
    let all = place.json(&format!("{SWEEP} --accumulator 4,9..=10 --methods sign-split,axe -o out"), 0);
    let points = all["points"].as_array().unwrap();
    assert_eq!(points.len(), 6);
    let (original, widest) = (&all["references"][0], &points[2]);
    assert_eq!((&original["exact"], &original["method"]), (&10.into(), &"exact".into()));
    for key in ["accuracy", "sparsity", "lut_estimate", "network_sha256"] {
        assert!(!original[key].is_null());
        // What fits is left as it is.
        assert_eq!(original[key], widest[key], "{key}");
    }
    assert!(points[0]["error"].as_str().unwrap().contains("4 accumulator bits are too few"));
    assert!(points[1]["exact"].as_u64().unwrap() <= 9);
    assert!(points[4]["error"].as_str().unwrap().contains("calibration"));
    // Registers of 32 bits cost LUTs and nothing else.
    let wide = &all["references"][1];
    assert_eq!((&wide["registers"], &wide["network_sha256"]), (&"32".into(), &original["network_sha256"]));
    assert!(wide["lut_estimate"].as_u64() > original["lut_estimate"].as_u64());
    let reduction = &all["reduction"];
    assert_eq!((&reduction["by"], &reduction["lut_32_bits"]), (&"estimate".into(), &wide["lut_estimate"]));
    assert!(reduction["ratio"].as_f64().unwrap() > 1.0);
    // The narrowest at 99 % lies there as a folder, and its own page says so.
    assert_eq!(place.snug("generate out/pick -o out/pick --check").code, 0);
    for plot in ["accuracy", "luts", "sparsity", "pick/plots/widths", "pick/plots/parts"] {
        assert_eq!(bytes(&place, &format!("out/{plot}.png"))[1..4], *b"PNG");
        assert!(bytes(&place, &format!("out/{plot}.svg")).starts_with(b"<svg"));
    }
    let page = String::from_utf8(bytes(&place, "out/report.html")).unwrap();
    let parts = [
        "aria-label=\"sign-split, 9 bits",
        "Pareto front",
        "@media print",
        "4 accumulator bits are too few",
        SWEEP,
        "snug prove out/pick",
        "zero-centred",
        "multipliers",
        "accumulators",
        "most in use",
        "Not run",
    ];
    for part in parts {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script"));
    assert_eq!(place.snug(&format!("{SWEEP} --accumulator 9..8 -o out")).code, 2);
}

#[test]
fn a_killed_sweep_goes_on_where_it_was() {
    let place = Place::new();
    let sweep = |out: &str| format!("{SWEEP} --methods a2q,a2q+,sign-split,grid-rescale -o {out}");
    assert_eq!(place.snug(&sweep("whole")).code, 0);
    let mut random = fastrand::Rng::with_seed(8);
    // A whole sweep takes some hundred milliseconds: moments from its start to its end, each in a folder as the kills before left it, or,
    // where nothing was left to do, in a new one.
    let mut killed = 0;
    while killed < KILLS {
        let mut child = place.command(&sweep("killed")).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(1..150)));
        if child.try_wait().unwrap().is_some() {
            std::fs::remove_dir_all(place.path("killed")).unwrap();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        // Whatever is there under its own name is whole.
        for point in std::fs::read_dir(place.path("killed/points")).into_iter().flatten().map(|e| e.unwrap().path()) {
            if point.extension().is_some_and(|e| e == "json") {
                serde_json::from_slice::<serde_json::Value>(&std::fs::read(&point).unwrap()).unwrap();
            }
        }
    }
    // A file that is not whole, as no kill leaves it, is measured again.
    let point = std::fs::read_dir(place.path("whole/points")).unwrap().next().unwrap().unwrap();
    std::fs::create_dir_all(place.path("killed/points")).unwrap();
    std::fs::write(place.path("killed/points").join(point.file_name()), "{\"key\":").unwrap();
    assert_eq!(place.snug(&sweep("killed")).code, 0);
    for file in ["results.json", "results.csv", "accuracy.svg", "accuracy.png"] {
        assert!(bytes(&place, &format!("whole/{file}")) == bytes(&place, &format!("killed/{file}")), "{file}");
    }
}

#[test]
fn the_jobs_of_a_workflow_find_what_one_run_finds() {
    let place = Place::new();
    let sweep = |out: &str| format!("{SWEEP} --accumulator 8..=9 --methods sign-split -o {out}");
    assert_eq!(place.snug(&sweep("whole")).code, 0);
    assert_eq!(place.snug(&format!("{} --workflow snakemake", sweep("jobs"))).code, 0);
    let keys = keys(&place, "jobs/Snakefile");
    assert_eq!(keys.len(), 3);
    for key in keys {
        assert_eq!(place.snug(&format!("{} --point {key}", sweep("jobs"))).code, 0);
        assert!(place.path(&format!("jobs/points/{key}.json")).is_file());
    }
    assert_eq!(place.snug(&sweep("jobs")).code, 0);
    assert!(bytes(&place, "whole/results.json") == bytes(&place, "jobs/results.json"));
    assert_eq!(place.snug(&format!("{} --point 0", sweep("jobs"))).code, 2);
}

#[test]
fn foldings_are_a_dimension() {
    let place = Place::new();
    place.write(
        "wide.json",
        r#"{"norm1": {"pe": 4, "simd": 8}, "norm2": {"pe": 8, "simd": 4}, "fc3": {"pe": 2, "simd": 8}}"#,
    );
    let sweep = format!("{SWEEP} --accumulator 9 --methods sign-split -o out");
    let all = place.json(&format!("{sweep} --foldings default,interval=16,unrolled,wide.json"), 0);
    let points = all["points"].as_array().unwrap();
    let names: Vec<_> = points.iter().map(|p| p["folding"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "interval=16", "unrolled", "wide"]);
    let interval = |i: usize| points[i]["interval"].as_u64().unwrap();
    assert!(interval(0) == 64 && interval(1) <= 16 && interval(2) == 1);
    assert!(points.iter().all(|p| p["network_sha256"] == points[0]["network_sha256"]));
    assert_eq!(all["references"].as_array().unwrap().len(), 8);
    for (foldings, message) in [
        ("interval=0", "not a whole number above 0"),
        ("fast", "'fast' is no folding, and no file"),
        ("default,default", "stands there twice"),
        ("unrolled --target-fps 9", "cannot be used with"),
    ] {
        let refused = place.snug(&format!("{sweep} --foldings {foldings}"));
        assert!(refused.code == 2 && refused.stderr.contains(message), "{foldings}: {refused:?}");
    }
}

/// What is asked of the hardware is built, and a folding that does not exist has points that say so.
#[test]
fn options_reach_every_point() {
    let place = Place::new();
    let sweep =
        |more: &str| format!("{SWEEP} --accumulator 9 --methods sign-split -o out --target-interval 1024{more}");
    let luts = |all: &serde_json::Value| all["references"][0]["lut_estimate"].as_u64().unwrap();
    let plain = place.json(&sweep(""), 0);
    let block = place.json(&sweep(" --weight-memory block"), 0);
    let one = place.json("generate digits.onnx --target-interval 1024 --weight-memory block -o one", 0);
    assert!(luts(&block) < luts(&plain));
    assert_eq!(luts(&block), one["lut_estimate"].as_u64().unwrap(), "as generate builds it");
    // A rate is kept, neighbours' waiting included; a budget that nothing fits ends nothing.
    let all = format!("{SWEEP} --accumulator 9 --methods sign-split -o out --foldings interval=16,luts=10");
    let all = place.json(&all, 0);
    assert!(all["references"][0]["interval"].as_u64().unwrap() <= 16);
    assert!(all["references"][1]["error"].as_str().unwrap().contains("10 LUT"), "{}", all["references"][1]);
    // No sample, and a configuration that is not to be trained: refused, and nothing is left behind.
    for (command, message) in [
        (format!("{SWEEP} -o none").replace("--limit 60", "--limit 0"), "no sample"),
        ("sweep digits.toml --inputs test_inputs.npy --labels test_labels.npy -o none".to_owned(), "--train"),
    ] {
        let refused = place.snug(&command);
        assert!(refused.code == 2 && refused.stderr.contains(message), "{refused:?}");
        assert!(!place.path("none").exists(), "{command}");
    }
}

/// What lies in the folder is believed as far as it is what was written.
#[test]
fn changed_results_are_measured_again() {
    let place = Place::new();
    let sweep = format!("{SWEEP} --accumulator 9 --methods sign-split,a2q -o out");
    assert_eq!(place.snug(&sweep).code, 0);
    let whole = bytes(&place, "out/results.json");
    for entry in std::fs::read_dir(place.path("out/points")).unwrap() {
        let path = entry.unwrap().path();
        let mut point: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        point["accuracy"] = 0.5.into();
        std::fs::write(path, point.to_string()).unwrap();
    }
    assert_eq!(place.snug(&sweep).code, 0);
    assert!(bytes(&place, "out/results.json") == whole);
    // Every network of a point has its certificate there.
    let results: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    for point in results["points"].as_array().unwrap() {
        let hash = point["network_sha256"].as_str().unwrap();
        let certificate: serde_json::Value =
            serde_json::from_slice(&bytes(&place, &format!("out/certificates/{hash}.json"))).unwrap();
        assert_eq!(certificate["network_sha256"], hash);
    }
    // A folder that somebody edited is not replaced, and results and page stay those of before.
    let edited = place.path("out/reference/rtl/digits.v");
    std::fs::write(&edited, std::fs::read_to_string(&edited).unwrap() + "// mine\n").unwrap();
    let less = sweep.replace(",a2q", "");
    let refused = place.snug(&less);
    assert!(refused.code == 2 && refused.stderr.contains("--force"), "{refused:?}");
    assert!(bytes(&place, "out/results.json") == whole);
    assert_eq!(place.snug(&format!("{less} --force")).code, 0);
    assert!(bytes(&place, "out/results.json") != whole);
}

/// A tool that fails is a point's error; the job of a workflow leaves it where the workflow looks for it, and a later run asks again.
#[test]
fn a_tool_that_fails_ends_no_workflow() {
    let place = Place::new();
    place.write("yosys", "#!/bin/sh\n[ \"$1\" = -V ] && echo 'Yosys 0.23 (git sha1 7ce5011c24b)' && exit 0\nexit 1\n");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(place.path("yosys"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let sweep = format!("{SWEEP} --accumulator 9 --methods sign-split --synth -o out");
    let run = |args: &str| place.command(args).env("SNUG_YOSYS", place.path("yosys")).output().unwrap();
    assert!(run(&format!("{sweep} --workflow snakemake")).status.success());
    let keys = keys(&place, "out/Snakefile");
    for key in &keys {
        assert!(run(&format!("{sweep} --point {key}")).status.success());
        let point: serde_json::Value =
            serde_json::from_slice(&bytes(&place, &format!("out/points/{key}.json"))).unwrap();
        assert!(!point["error"].is_null() && point["retry"] == true, "{point}");
    }
    assert!(run(&sweep).status.success());
    let results: serde_json::Value = serde_json::from_slice(&bytes(&place, "out/results.json")).unwrap();
    assert!(!results["points"][0]["error"].is_null());
}

#[cfg(not(feature = "train"))]
#[test]
fn without_training_the_sweep_says_how_to_get_it() {
    let place = Place::new();
    let refused = place.snug("sweep mnist.toml --train --accumulator 8..=9 -o out");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("cargo build --release --features train"), "{refused:?}");
}
