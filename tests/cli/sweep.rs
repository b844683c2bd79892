//! `snug sweep`: what it finds, and that being killed changes nothing of it.

use std::time::Duration;

use super::tool::Place;

const SWEEP: &str = "sweep digits.onnx --inputs test_inputs.npy --labels test_labels.npy --limit 60";

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.path(name)).unwrap()
}

#[test]
fn every_point_has_figures_or_a_reason() {
    let place = Place::new();
    let all = place.json(&format!("{SWEEP} --accumulator 4,9..=10 --methods sign-split,axe -o out"), 0);
    let points = all["points"].as_array().unwrap();
    assert_eq!(points.len(), 6);
    let (original, widest) = (&all["original"], &points[2]);
    assert_eq!((&original["exact"], &original["method"]), (&10.into(), &"exact".into()));
    for key in ["accuracy", "sparsity", "lut_estimate", "network_sha256"] {
        assert!(!original[key].is_null());
        // What fits is left as it is.
        assert_eq!(original[key], widest[key], "{key}");
    }
    assert!(points[0]["error"].as_str().unwrap().contains("4 accumulator bits are too few"));
    assert!(points[1]["exact"].as_u64().unwrap() <= 9);
    assert!(points[4]["error"].as_str().unwrap().contains("calibration"));
    let page = String::from_utf8(bytes(&place, "out/report.html")).unwrap();
    for part in ["<title>sign-split, 9 bits", "@media print", "4 accumulator bits are too few", SWEEP] {
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
    for _ in 0..6 {
        let mut child = place.command(&sweep("killed")).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(1..120)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // A file that is not whole, as no kill leaves it, is measured again.
    let point = std::fs::read_dir(place.path("whole/points")).unwrap().next().unwrap().unwrap();
    std::fs::create_dir_all(place.path("killed/points")).unwrap();
    std::fs::write(place.path("killed/points").join(point.file_name()), "{\"key\":").unwrap();
    assert_eq!(place.snug(&sweep("killed")).code, 0);
    for file in ["results.json", "results.csv"] {
        assert!(bytes(&place, &format!("whole/{file}")) == bytes(&place, &format!("killed/{file}")), "{file}");
    }
}

#[test]
fn the_jobs_of_a_workflow_find_what_one_run_finds() {
    let place = Place::new();
    let sweep = |out: &str| format!("{SWEEP} --accumulator 8..=9 --methods sign-split -o {out}");
    assert_eq!(place.snug(&sweep("whole")).code, 0);
    assert_eq!(place.snug(&format!("{} --workflow snakemake", sweep("jobs"))).code, 0);
    let text = String::from_utf8(bytes(&place, "jobs/Snakefile")).unwrap();
    let keys: Vec<&str> =
        text.lines().filter_map(|l| l.strip_prefix("    \"")?.split('"').next()).filter(|k| k.len() == 64).collect();
    assert_eq!(keys.len(), 3);
    for key in keys {
        assert_eq!(place.snug(&format!("{} --point {key}", sweep("jobs"))).code, 0);
        assert!(place.path(&format!("jobs/points/{key}.json")).is_file());
    }
    assert_eq!(place.snug(&sweep("jobs")).code, 0);
    assert!(bytes(&place, "whole/results.json") == bytes(&place, "jobs/results.json"));
    assert_eq!(place.snug(&format!("{} --point 0", sweep("jobs"))).code, 2);
}
