//! `snug prove`: what it says, what it keeps, and that nothing can be taken out of the folder unseen.

use std::fs;
use std::path::{Path, PathBuf};

use quantizer::onnx::build::{encode, ints, ints_attribute};
use quantizer::onnx::sequence::{QuantSpec, Sequence};
use serde_json::Value;
use sim::tools::{Tool, find};

use super::tool::Place;

/// An empty folder; none, and a loud note, where Yosys is missing.
fn place() -> Option<Place> {
    if find(Tool::Yosys).is_err() {
        eprintln!("SKIPPED: yosys is not installed (apt-get install yosys)");
        return None;
    }
    Some(Place::new())
}

/// A network of two small layers, generated as `design`.
fn generated() -> Option<Place> {
    let place = place()?;
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/qonnx/frozen/net002.onnx");
    fs::copy(model, place.path("net002.onnx")).unwrap();
    assert_eq!(place.snug("generate net002.onnx -o design").code, 0);
    Some(place)
}

fn rtl(place: &Place, name: &str) -> PathBuf {
    place.path(&format!("design/rtl/net002_{name}.v"))
}

/// Writes the SHA-256 of each file into the certificate again, as somebody would who wants to hide an edit.
fn hide(place: &Place) {
    let path = place.path("design/certificate.json");
    let mut certificate: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (name, hash) in certificate["files"].as_object_mut().unwrap() {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(fs::read(place.path("design").join(name)).unwrap());
        *hash = digest.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
    }
    fs::write(path, certificate.to_string()).unwrap();
}

/// What is done to a text.
type Edit<'a> = &'a dyn Fn(&str) -> String;

/// A 1 x 1 convolution of two channels to two.
fn convolution(s: &mut Sequence, weights: [f32; 4]) {
    let weights = s.weights(&[2, 2, 1, 1], &weights, QuantSpec::new(3, true, &1.0));
    s.node("Conv", &["@", &weights], vec![]);
}

/// A 3 x 3 convolution with a border on an image of 2 x 2, or of 1 x 1: each window has taps outside.
#[test]
fn windows_that_are_never_whole() {
    let Some(place) = place() else { return };
    for size in [1, 2] {
        let mut s = Sequence::new(&[1, 2, size, size]);
        s.quant(QuantSpec::new(2, false, &1.0));
        let values: Vec<f32> = (0..36).map(|n| (n * 5 % 7) as f32 - 3.0).collect();
        let weights = s.weights(&[2, 2, 3, 3], &values, QuantSpec::new(3, true, &1.0));
        s.node("Conv", &["@", &weights], vec![ints_attribute("pads", &[1, 1, 1, 1])]);
        s.quant(QuantSpec::new(3, true, &4.0));
        s.node("Flatten", &["@"], vec![]);
        let columns = 2 * size * size;
        s.matmul(&[columns, 2], &vec![1.0; 2 * columns as usize], QuantSpec::new(2, true, &1.0));
        place.write("border.onnx", encode(&s.model(&[1, 2])));
        assert_eq!(place.snug("generate border.onnx -o border --force").code, 0);
        let report = place.json("prove border", 0);
        assert_eq!((&report["ok"], &report["certificate"]), (&true.into(), &serde_json::json!([])), "{report}");
        let statement = report["statement"].as_str().unwrap();
        assert!(statement.contains("(of Conv_t2, no window of whose image has all taps on it"), "{size}: {statement}");
    }
}

/// A mean over an image with a border: of 25 places 9 are on the image.
#[test]
fn a_pool_over_zeros() {
    let Some(place) = place() else { return };
    let mut s = Sequence::new(&[1, 2, 3, 3]);
    s.quant(QuantSpec::new(4, false, &1.0));
    convolution(&mut s, [1.0, 2.0, -1.0, 1.0]);
    s.quant(QuantSpec::new(4, false, &2.0));
    let pads = s.constant(ints("", &[8], &[0, 0, 1, 1, 0, 0, 1, 1]));
    s.node("Pad", &["@", &pads], vec![]);
    s.node("GlobalAveragePool", &["@"], vec![]);
    s.quant(QuantSpec::new(4, false, &1.0));
    convolution(&mut s, [1.0, -2.0, 1.0, 1.0]);
    place.write("mean.onnx", encode(&s.model(&[1, 2, 1, 1])));
    assert_eq!(place.snug("generate mean.onnx --output logits -o mean").code, 0);
    let report = place.json("prove mean", 0);
    assert_eq!(report["ok"], true, "{report}");
}

/// A pool that takes longer than every layer with weights: its lanes come from the interval that the design aimed at, which the folder
/// keeps, so that it is built the same once more.
#[test]
fn a_pool_slower_than_every_layer() {
    let Some(place) = place() else { return };
    let mut s = Sequence::new(&[1, 2, 3, 3]);
    s.quant(QuantSpec::new(2, true, &1.0));
    s.node("GlobalAveragePool", &["@"], vec![]);
    s.quant(QuantSpec::new(2, true, &1.0));
    convolution(&mut s, [1.0, -2.0, 1.0, 1.0]);
    place.write("pool.onnx", encode(&s.model(&[1, 2, 1, 1])));
    assert_eq!(place.snug("generate pool.onnx --output logits -o pool").code, 0);
    let dataflow: Value = serde_json::from_slice(&fs::read(place.path("pool/dataflow.json")).unwrap()).unwrap();
    assert_eq!(dataflow["target_interval"], 18, "an element a clock");
    assert_eq!(place.json("prove pool", 0)["ok"], true);
    // By the file of its folding as well.
    assert_eq!(place.snug("generate pool.onnx --output logits --folding pool/dataflow.json -o again").code, 0);
    assert_eq!(fs::read(place.path("pool/rtl/pool.v")).unwrap(), fs::read(place.path("again/rtl/pool.v")).unwrap());
    let edited = dataflow.to_string().replace("\"target_interval\":18", "\"target_interval\":0");
    place.write("edited.json", edited);
    let refused = place.snug("generate pool.onnx --output logits --folding edited.json -o third");
    assert!(
        refused.code == 2 && refused.stderr.contains("\"target_interval\": 0 is no number of cycles"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_proof_and_what_it_does_not_believe() {
    let Some(place) = generated() else { return };
    let report = place.json("prove design", 0);
    assert_eq!(report["ok"], true);
    assert!(report["statement"].as_str().unwrap().starts_with("proved: after the first reset"), "{report}");
    let modules = report["modules"].as_array().unwrap();
    assert!(modules.len() > 10 && modules.iter().all(|m| m["verdict"] == "proved" && m["cached"] == false));
    // A second run finds everything kept.
    let again = place.json("prove design", 0);
    assert!(again["modules"].as_array().unwrap().iter().all(|m| m["cached"] == true));
    // One module is not the whole.
    let one = place.json("prove design --module net002_MatMul_0_pe0", 0);
    assert_eq!(one["ok"], false);
    assert!(one["statement"].as_str().unwrap().contains("Not the whole accelerator"));

    let element = rtl(&place, "MatMul_0_pe0");
    let text = fs::read_to_string(&element).unwrap();
    let edits: [(&str, Edit); 3] = [
        ("a claim left out", &|t| t.replacen("    assert property (sum_exact);\n", "", 1)),
        ("an assumption more", &|t| t.replacen("`ifdef FORMAL\n", "`ifdef FORMAL\n    assume property (x != 1);\n", 1)),
        ("a comment", &|t| t.replacen("// ", "//  ", 1)),
    ];
    for (what, edit) in edits {
        let edited = edit(&text);
        assert_ne!(edited, text, "{what}");
        fs::write(&element, edited).unwrap();
        for hidden in [false, true] {
            if hidden {
                hide(&place);
            }
            let report = place.json("prove design", 1);
            assert_eq!(report["ok"], false, "{what}");
            assert!(report["written"][0].as_str().unwrap().starts_with("rtl/net002_MatMul_0_pe0.v, line "), "{what}");
            assert!(report["statement"].as_str().unwrap().starts_with("NOT proved"), "{what}");
        }
        fs::write(&element, &text).unwrap();
        hide(&place);
    }
    // A file that the list does not name is not proved, and is missed.
    let list = place.path("design/files.f");
    let whole = fs::read_to_string(&list).unwrap();
    fs::write(&list, whole.replacen("rtl/net002_MatMul_0_pe3.v\n", "", 1)).unwrap();
    let ran = place.snug("prove design");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("rtl/net002_MatMul_0_pe3.v belongs to the accelerator and was not proved"),
        "{}",
        ran.stdout
    );
    fs::write(&list, whole).unwrap();
    assert_eq!(place.snug("prove design").code, 0);
    // The certificate may not say more than was proved.
    let path = place.path("design/certificate.json");
    let certificate = fs::read_to_string(&path).unwrap();
    let mut narrower: Value = serde_json::from_str(&certificate).unwrap();
    narrower["layers"][0]["channels"][0]["exact"]["max"] = "1".into();
    fs::write(&path, narrower.to_string()).unwrap();
    let ran = place.snug("prove design");
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("certificate: "), "{}", ran.stdout);
}

#[test]
fn time_is_up() {
    let Some(place) = generated() else { return };
    let report = place.json("prove design --timeout 0", 3);
    assert!(report["modules"].as_array().unwrap().iter().all(|m| m["verdict"] == "unknown"));
    assert!(report["modules"][0]["reason"].as_str().unwrap().contains("stopped after 0 s"), "{report}");
    // Verdicts that somebody else wrote into the folder are believed, unless all is asked once more.
    for entry in fs::read_dir(place.path("design/build/proof")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        if path.extension().is_some_and(|e| e == "json") {
            fs::write(&path, text.replace("\"verdict\":\"unknown\"", "\"verdict\":\"proved\"")).unwrap();
        }
    }
    assert_eq!(place.json("prove design --timeout 0", 0)["ok"], true);
    assert_eq!(place.json("prove design --timeout 0 --fresh", 3)["ok"], false);
}

/// Layers, files and top modules may have names that look like those of modules that snug writes.
#[test]
fn names_hide_no_module() {
    let Some(place) = generated() else { return };
    // Which modules there are to prove is told without proving them.
    let plain = place.json("prove design --timeout 0", 3)["modules"].as_array().unwrap().len();
    let onnx = fs::read(place.path("net002.onnx")).unwrap();
    let renamed = |pairs: &[(&str, &str)]| {
        let mut bytes = onnx.clone();
        for (from, to) in pairs {
            assert_eq!(from.len(), to.len());
            let at: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i..].starts_with(from.as_bytes())).collect();
            assert!(!at.is_empty(), "{from}");
            at.into_iter().for_each(|i| bytes[i..i + to.len()].copy_from_slice(to.as_bytes()));
        }
        bytes
    };
    place.write("mlp_snug.onnx", &onnx);
    place.write("layer.onnx", renamed(&[("MatMul_0", "a_snug_0")]));
    place.write("twins.onnx", renamed(&[("MatMul_0", "q_______"), ("Gemm_0", "q_pe0_")]));
    for (name, more) in [("mlp_snug", ""), ("layer", ""), ("twins", ""), ("layer", " --top my_snug_net")] {
        let done = place.snug(&format!("generate {name}.onnx -o {name} --force{more}"));
        assert_eq!(done.code, 0, "{name}{more}: {done:?}");
        let report = place.json(&format!("prove {name} --timeout 0"), 3);
        assert_eq!(report["modules"].as_array().unwrap().len(), plain, "{name}{more}");
        assert_eq!((&report["written"], &report["certificate"]), (&serde_json::json!([]), &serde_json::json!([])));
    }
    let done = place.snug("generate layer.onnx -o other --top snug_fifo");
    assert!(done.code == 2 && done.stderr.contains("the name of a module that all designs share"), "{done:?}");
}

/// Where a channel's code falls as its sum rises, its element sums the negative, whose interval is the negative one.
#[test]
fn falling_codes() {
    let Some(place) = place() else { return };
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/qonnx/frozen/convolutions/cnn031.onnx");
    fs::copy(model, place.path("cnn031.onnx")).unwrap();
    assert_eq!(place.snug("generate cnn031.onnx --output logits -o design").code, 0);
    let report = place.json("prove design", 0);
    assert_eq!((&report["ok"], &report["certificate"]), (&true.into(), &serde_json::json!([])), "{report}");
}
