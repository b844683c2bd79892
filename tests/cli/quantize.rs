//! `snug quantize`, and what `snug check` draws.

use super::tool::Place;

const DIGITS: &str = "quantize digits.onnx --accumulator 8 --method sign-split-grid -o out.safetensors";
const FLOAT: &str =
    "quantize float.onnx --weight-bits 4 --activation-bits 4 --input-bits 4 --calibration test_inputs.npy";

fn right(place: &Place, model: &str) -> u64 {
    let args = format!("simulate {model} --engine golden --inputs test_inputs.npy --labels test_labels.npy");
    place.json(&args, 0)["correct"].as_u64().unwrap()
}

#[test]
fn a_quantized_network_meets_its_targets_and_takes_real_images() {
    let place = Place::new();
    assert_eq!(place.snug("check digits.onnx --accumulator 8").code, 1);
    let done = place.snug(DIGITS);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.starts_with("layer  target  exact  slack   error  zeros  dead\nnorm1       8      8      0"));
    assert!(done.stdout.ends_with("\nout.safetensors written\n"), "{}", done.stdout);
    assert_eq!(place.snug("check out.safetensors --accumulator 8").code, 0);
    // Less than the 351 of before, far more than the 36 of chance.
    let after = right(&place, "out.safetensors");
    assert!((180..351).contains(&after), "{after}");
    // From a snug network, and from a folder, as well; what fits is left as it is.
    let again = place.json("quantize out.safetensors --accumulator 8 --method a2q -o again.safetensors", 0);
    assert!(again["layers"].as_array().unwrap().iter().all(|l| l["changed"] == false));
    assert_eq!(
        std::fs::read(place.path("out.safetensors")).unwrap(),
        std::fs::read(place.path("again.safetensors")).unwrap()
    );
    assert_eq!(place.snug("generate out.safetensors -o folder").code, 0);
    assert_eq!(right(&place, "folder"), after);
    assert_eq!(place.snug("quantize folder --accumulator 7 --method sign-split -o narrower.safetensors").code, 0);
    assert_eq!(place.snug("check narrower.safetensors --accumulator 7").code, 0);
}

#[test]
fn json_has_a_line_for_every_layer() {
    let place = Place::new();
    let json = place.json(&format!("{DIGITS} --keep last"), 0);
    assert_eq!((json["schema"].as_str(), json["method"].as_str()), (Some("snug.quantize/1"), Some("sign-split-grid")));
    let layers = json["layers"].as_array().unwrap();
    let name = |i: usize| layers[i]["name"].as_str().unwrap();
    assert_eq!((layers.len(), name(0), name(2)), (3, "norm1", "fc3"));
    for (i, layer) in layers.iter().enumerate() {
        let kept = i == 2;
        assert_eq!(layer["changed"], !kept);
        assert_eq!(layer["target"].as_u64(), (!kept).then_some(8));
        assert_eq!(layer["before"], [9, 9, 10][i]);
        assert_eq!(layer["exact"], [8, 8, 10][i]);
        assert_eq!(layer["slack"].as_u64(), (!kept).then_some(0));
        assert_eq!(layer["error"].as_f64().unwrap() > 0.0, !kept);
        assert!((0.0..1.0).contains(&layer["sparsity"].as_f64().unwrap()));
    }
}

#[test]
fn every_method_and_every_form_of_targets() {
    let place = Place::new();
    for method in ["a2q", "a2q-ep", "a2q+", "a2q+-ep", "a2q+-ep-centred", "sign-split", "grid-rescale", "de-bruin"] {
        let done =
            place.snug(&format!("quantize digits.onnx --accumulator 8,8,9 --method {method} -o out.safetensors"));
        assert_eq!(done.code, 0, "{method}: {done:?}");
        assert_eq!(place.snug("check out.safetensors --accumulator 8,8,9").code, 0, "{method}");
    }
    for (method, more) in [("axe", ""), ("axe-optq", ""), ("axe-gpfq", ""), ("axe", "--tile 32")] {
        let args = "--accumulator norm1=8,fc3=9 --calibration test_inputs.npy --limit 100 -o out.safetensors";
        let done = place.snug(&format!("quantize digits.onnx --method {method} {more} {args}"));
        assert_eq!(done.code, 0, "{method}: {done:?}");
        assert_eq!(place.snug("check out.safetensors --accumulator 8,9,9").code, 0, "{method}");
    }
    // The reference changes nothing; it says what is there, or refuses.
    let done = place.snug("quantize digits.onnx --method exact -o out.safetensors");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(right(&place, "out.safetensors"), 351);
    assert!(done.stdout.contains("fc3         -     10      -  0.0000"), "{}", done.stdout);
    assert_eq!(place.snug("quantize digits.onnx --method exact --accumulator 10 -o out.safetensors").code, 0);
    assert_eq!(place.snug("quantize digits.onnx --method exact --accumulator 9 -o out.safetensors").code, 2);
}

#[test]
fn a_float_network_becomes_integers() {
    let place = Place::new();
    // The float network has 350 of 360 right.
    let json = place.json(&format!("{FLOAT} --accumulator 20 --method exact -o out.safetensors"), 0);
    let errors: Vec<f64> = json["layers"].as_array().unwrap().iter().map(|l| l["error"].as_f64().unwrap()).collect();
    assert!(errors.iter().all(|e| (1e-4..0.05).contains(e)), "{errors:?}");
    let four = right(&place, "out.safetensors");
    assert!(four >= 345, "{four}");
    let more = FLOAT.replace("-bits 4", "-bits 8");
    assert_eq!(place.snug(&format!("{more} --accumulator 24 --method sign-split -o eight.safetensors")).code, 0);
    assert!((348..=352).contains(&right(&place, "eight.safetensors")));
    // Constrained, with data and without.
    for (method, least) in [("grid-rescale", 330), ("sign-split-grid", 310), ("axe", 180)] {
        assert_eq!(place.snug(&format!("{FLOAT} --accumulator 10 --method {method} -o tight.safetensors")).code, 0);
        assert_eq!(place.snug("check tight.safetensors --accumulator 10").code, 0);
        let right = right(&place, "tight.safetensors");
        assert!((least..=360).contains(&right), "{method}: {right}");
    }
    // With a declared input the quantizer is hardware.
    let typed = "--input-type u8 --accumulator 20 --method exact -o typed.safetensors";
    assert_eq!(place.snug(&format!("{FLOAT} {typed}")).code, 0);
    assert_eq!(right(&place, "typed.safetensors"), four);
    // Hardware from float: generated, and run clock by clock.
    let json = place.json("simulate out.safetensors --inputs test_inputs.npy --limit 10", 0);
    assert_eq!((json["engine"].as_str(), json["mismatches"].as_u64()), (Some("cycle"), Some(0)));
}

#[test]
fn refusals_say_what_is_wrong_and_the_way_out() {
    let place = Place::new();
    let quantize = |rest: &str| format!("quantize digits.onnx -o out.safetensors {rest}");
    place.refuses(
        &quantize("--method sign-split --accumulator 4"),
        "
snug::usage

  × layer 'norm1': 4 accumulator bits are too few for any weight but 0: inputs of type u4 need at least 5
  help: --accumulator norm1=5 is the least; --keep norm1 leaves the layer as it is",
    );
    place.refuses(
        &quantize("--method sign-split --accumulator 65"),
        "
snug::usage

  × '65' is not an accumulator width; 1 to 64 bits are, as in '12', '12,12,16' or 'features.3=12'
  help: --accumulator 12, or 12,12,16 in layer order, or f.10=12,f.13=16 by name",
    );
    place.refuses(
        &quantize("--method sign-split --accumulator nrm1=8"),
        "
snug::layer::unknown

  × no layer with accumulators is called 'nrm1'; did you mean 'norm1'?
  help: `snug inspect` lists the layers",
    );
    place.refuses(
        &quantize("--method sign-split"),
        "
snug::usage

  × --method sign-split needs a width to meet
  help: --accumulator 12, or 12,12,16 in layer order, or f.10=12,f.13=16 by name",
    );
    place.refuses(
        &quantize("--method sign-split --accumulator 8 --keep fc2"),
        "
snug::usage

  × --keep: no layer with accumulators is called 'fc2'
  help: did you mean 'fc3'?",
    );
    place.refuses(
        &quantize("--method axe --accumulator 8"),
        "
snug::usage

  × layer 'norm1': axe needs calibration data
  help: --calibration FILE: some hundred samples will do",
    );
    place.refuses(
        &quantize("--method a2q --accumulator 8 --tile 4"),
        "
snug::usage

  × --tile is for the method axe",
    );
    place.refuses(
        &quantize("--method exact --accumulator 9"),
        "
snug::usage

  × layer 'fc3': channel 0 needs 10 accumulator bits, 9 are allowed
  help: --accumulator fc3=10, or a method that changes weights (sign-split)",
    );
    place.refuses(
        &quantize("--method a2q --accumulator 8 --weight-bits 3"),
        "
snug::usage

  × --weight-bits is for float .onnx files: digits.onnx is quantized
  help: leave it out: weights and activations have their types already",
    );
    place.npy("wrong.npy", &[5, 63], &vec![0.5f32; 5 * 63]);
    place.refuses(
        &quantize("--method axe --accumulator 8 --calibration wrong.npy"),
        "
snug::data::shape

  × wrong.npy: shape [5, 63] does not fit the network's input, [64]
  help: data have the input's shape, with or without a batch dimension in front",
    );
    let done = place.snug(&quantize("--method sign-splt --accumulator 8"));
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("a similar value exists: 'sign-split'"), "{}", done.stderr);
    assert!(!place.path("out.safetensors").exists());
}

#[test]
fn float_networks_say_what_they_lack() {
    let place = Place::new();
    let float = "quantize float.onnx --method sign-split --accumulator 16 -o out.safetensors";
    place.refuses(
        float,
        "
snug::usage

  × 'float.onnx' is a float network: its weights and activations need types
  help: --weight-bits 4 --activation-bits 4 --calibration FILE",
    );
    place.refuses(
        &format!("{float} --weight-bits 4 --activation-bits 4"),
        "
snug::usage

  × 'float.onnx' is a float network: the scales of its activations come from calibration data
  help: --calibration FILE: some hundred samples will do",
    );
    place.npy("wrong.npy", &[5, 63], &vec![0.5f32; 5 * 63]);
    place.refuses(
        &format!("{float} --weight-bits 4 --activation-bits 4 --calibration wrong.npy"),
        "
snug::data::shape

  × wrong.npy: shape [5, 63] does not fit the network's input, [64]
  help: data have the input's shape, with or without a batch dimension in front",
    );
    place.npy("nan.npy", &[1, 64], &vec![f32::NAN; 64]);
    place.refuses(
        &format!("{float} --weight-bits 4 --activation-bits 4 --calibration nan.npy"),
        "
snug::usage

  × 'float.onnx': calibration: 'onnx::Div_0' holds NaN
  help: the samples are the network's inputs, as it was trained on them",
    );
    assert_eq!(place.snug(&format!("{float} --weight-bits 1 --activation-bits 4")).code, 2);
}

#[test]
fn check_draws_the_worst_input() {
    let place = Place::new();
    let json = place.json("check digits.onnx --accumulator 8 --witness-dir pictures", 1);
    let drawn = json["witnesses"].as_array().unwrap();
    let of_first = json["violations"].as_array().unwrap().iter().filter(|v| v["layer"] == "norm1");
    let of_first: Vec<_> = of_first.collect();
    // 64 inputs are 8 x 8 pixels; other layers' inputs are no images.
    assert!(!of_first.is_empty() && drawn.len() == of_first.len());
    for (path, violation) in drawn.iter().zip(of_first) {
        let path = path.as_str().unwrap();
        assert_eq!(path, format!("pictures/norm1_{}.png", violation["channel"]));
        let file = std::io::BufReader::new(std::fs::File::open(place.path(path)).unwrap());
        let mut image = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; image.output_buffer_size().unwrap()];
        image.next_frame(&mut pixels).unwrap();
        assert_eq!((image.info().width, image.info().height), (64, 64));
        for (i, code) in violation["worst_input"].as_array().unwrap().iter().enumerate() {
            // Eight pixels a code, each as bright as the code is large.
            let middle = (i / 8 * 8 + 4) * 64 + i % 8 * 8 + 4;
            assert_eq!(i64::from(pixels[middle]), code.as_i64().unwrap() * 255 / 15);
        }
    }
    assert_eq!(place.snug("check digits.onnx --witness-dir pictures").code, 2);
}
