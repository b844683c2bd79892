//! `snug train` in a snug without training: most people's.

use super::tool::Place;

#[cfg(not(feature = "train"))]
#[test]
fn without_training_the_command_says_how_to_get_it() {
    let place = Place::new();
    let refused = place.snug("train mnist.toml -o out");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("cargo build --release --features train"), "{refused:?}");
    assert!(!place.path("out").exists());
}

#[cfg(feature = "train")]
#[test]
fn a_misspelt_key_and_missing_data_are_refused() {
    let place = Place::new();
    let config = "[network]\nhidden = [8]\nweight_bits = 4\nactivation_bits = 4\ninput_bits = 4\n\
                  [accumulator]\nmethod = 'sign-split'\nbits = 9\n[training]\nepochs = 1\n";
    std::fs::write(place.path("good.toml"), config).unwrap();
    std::fs::write(place.path("bad.toml"), config.replace("\nbits", "\nbitts")).unwrap();
    let refused = place.snug("train bad.toml -o out");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("did you mean 'bits'?"), "{refused:?}");
    let refused = place.snug("train good.toml -o out");
    assert!(refused.stderr.contains("there is no [data]"), "{refused:?}");
}
