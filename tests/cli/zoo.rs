//! Real networks, found by SNUG_ZOO (a folder that holds `models/` and `data/`).

use std::path::PathBuf;

use super::tool::Place;

fn zoo() -> Option<PathBuf> {
    let zoo = std::env::var_os("SNUG_ZOO").map(PathBuf::from);
    if zoo.is_none() {
        eprintln!("SKIPPED: real networks; set SNUG_ZOO to the folder that holds models/ and data/");
    }
    zoo
}

#[test]
fn widths_of_the_model_zoo() {
    let Some(zoo) = zoo() else { return };
    let place = Place::new();
    let widths = |model: &str, options: &str, key: &str| -> Vec<u64> {
        let json = place.json(&format!("inspect {}/models/{model}.onnx {options}", zoo.display()), 0);
        let layers = json["layers"].as_array().unwrap();
        layers.iter().filter_map(|l| l["accumulator"][key].as_u64()).collect()
    };
    for (model, exact, data_type) in [
        ("TFC_2W2A", [10, 7, 7, 7], [13, 10, 10, 10]),
        ("TFC_1W2A", [11, 8, 8, 8], [12, 9, 9, 9]),
        ("kwsmlp_w3a3", [18, 13, 13, 14], [19, 15, 15, 15]),
    ] {
        assert_eq!(widths(model, "", "exact"), exact, "{model}");
        assert_eq!(widths(model, "", "data_type"), data_type, "{model}");
    }
    assert_eq!(widths("qkeras_jettagging", "--input-type s16/1024", "exact")[1..], [15, 15, 16]);
    assert_eq!(widths("qkeras_jettagging", "--input-type s16/1024", "data_type")[1..], [19, 18, 18]);
}

#[test]
fn the_whole_mnist_test_set_in_golden() {
    let Some(zoo) = zoo() else { return };
    let place = Place::new();
    let data = zoo.join("data/mnist");
    for (model, right) in [("TFC_2W2A", 9660), ("TFC_1W2A", 9474)] {
        let json = place.json(
            &format!(
                "simulate {}/models/{model}.onnx --engine golden --inputs {d}/t10k-images-idx3-ubyte.gz --labels {d}/t10k-labels-idx1-ubyte.gz",
                zoo.display(),
                d = data.display()
            ),
            0,
        );
        assert_eq!((&json["samples"], &json["correct"]), (&10_000.into(), &right.into()), "{model}");
        assert_eq!(
            json["notes"][0],
            "pixel bytes are taken as byte/255 (--input-type, --mean and --std say otherwise)"
        );
    }
}

#[test]
fn every_blocker_comes_at_once() {
    let Some(zoo) = zoo() else { return };
    let place = Place::new();
    let error = place.json(&format!("inspect {}/models/qkeras_jettagging.onnx", zoo.display()), 2);
    let blockers = error["error"]["blockers"].as_array().unwrap();
    assert_eq!(blockers.len(), 1);
    assert!(blockers[0]["help"].as_str().unwrap().contains("--input-type"), "{blockers:?}");
}

#[test]
fn a_picture_comes_out_as_png() {
    let Some(zoo) = zoo() else { return };
    let place = Place::new();
    let model = zoo.join("models/espcn_subpixel_w4a4_a2q");
    let json = place.json(
        &format!(
            "simulate {m}.onnx --input-type u8/255 --engine golden --inputs {m}.input_u8.npy --outputs big.png",
            m = model.display()
        ),
        0,
    );
    assert_eq!(json["samples"], 1);
    let file = std::fs::File::open(place.path("big.png")).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height, info.color_type), (256, 256, png::ColorType::Rgb));
    // The recorded floats, channels first: all pixels but four, where they are half a code below exact arithmetic.
    let recorded = std::fs::read(format!("{}.output.npy", model.display())).unwrap();
    let floats = recorded[recorded.len() - 4 * 3 * 256 * 256..].as_chunks::<4>().0;
    let expected = |p: usize| (f32::from_le_bytes(floats[p % 3 * 65536 + p / 3]) * 255.0).round() as u8;
    let differ: Vec<(u8, u8)> =
        (0..pixels.len()).map(|p| (pixels[p], expected(p))).filter(|(ours, theirs)| ours != theirs).collect();
    assert_eq!(differ, [(141, 140); 4]);
}
