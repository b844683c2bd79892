//! Every field is checked; what is refused says where and what would do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use trainer::config::Config;

const GOOD: &str = "[network]\nhidden = [64]\nweight_bits = 4\nactivation_bits = 4\ninput_bits = 4\n\
                    [accumulator]\nmethod = 'sign-split'\nbits = 9\nep_init = 'centred'\n\
                    [training]\nfloat_epochs = 3\nepochs = 8\nbatch = 256\nlearning_rate = 0.001\n\
                    schedule = 'cosine'\nlambda = 0.001\nweight_decay = 0.0\nseed = 1\n";

#[test]
fn what_is_refused() {
    assert!(Config::parse(GOOD).is_ok());
    for (from, to, expected) in [
        ("hidden = [64]", "hidden = [0]", "hidden = 0 in [network]: 1 to 65536"),
        ("weight_bits = 4", "weight_bits = 9", "weight_bits = 9 in [network]: 2 to 8 bits"),
        ("weight_bits = 4", "weight_bits = 1", "weight_bits = 1 in [network]"),
        ("activation_bits = 4", "activation_bits = 0", "activation_bits = 0 in [network]"),
        ("input_bits = 4", "input_bits = 12", "input_bits = 12 in [network]"),
        ("\nepochs = 8", "\nepochs = 0", "epochs = 0 in [training]"),
        ("float_epochs = 3", "float_epochs = 1000000", "float_epochs = 1000000 in [training]"),
        ("batch = 256", "batch = 1", "batch = 1 in [training]: 2 to"),
        ("learning_rate = 0.001", "learning_rate = 0.0", "learning_rate = 0 in [training]: above 0"),
        ("learning_rate = 0.001", "learning_rate = nan", "learning_rate = NaN in [training]"),
        ("lambda = 0.001", "lambda = 2.0", "lambda = 2 in [training]"),
        ("weight_decay = 0.0", "weight_decay = -1.0", "weight_decay = -1 in [training]"),
        ("learning_rate", "learning_rat", "did you mean 'learning_rate'?"),
        ("[accumulator]", "[acumulator]", "did you mean 'accumulator'?"),
        ("hidden = [64]", "layers = [64]", "there is no key 'layers' in [network]"),
        ("'sign-split'", "'signsplit'", "unknown variant `signsplit`"),
        ("'cosine'", "'linear'", "unknown variant `linear`"),
        ("'sign-split'", "'unconstrained'", "leave it out"),
        ("\nbits = 9", "", "the method needs one width"),
        ("\nbits = 9", "\nbits = [9, 9, 9]", "one width, or 2"),
        ("\nbits = 9", "\nbits = 65", "2 to 64 bits"),
        ("\nbits = 9", "\nbits = 4", "layer 'layers.0': an accumulator of 4 bits is too narrow"),
        ("\nbits = 9", "\nbits = [9, 3]", "layer 1: an accumulator of 3 bits"),
        ("[network]", "[network", "the configuration cannot be read"),
        ("seed = 1", "seed = -1", "the configuration cannot be read"),
        ("\nweight_bits = 4", "", "missing field `weight_bits`"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "'{from}' stands there");
        let error = Config::parse(&text).expect_err(to).to_string();
        assert!(error.contains(expected), "'{to}' is refused with '{error}', and not '{expected}'");
    }
}

#[test]
fn too_narrow_says_what_is_wide_enough() {
    let narrow = GOOD.replacen("\nbits = 9", "\nbits = 4", 1);
    assert!(Config::parse(&narrow).unwrap_err().to_string().contains("at least 5 bits"));
    assert!(Config::parse(&GOOD.replacen("\nbits = 9", "\nbits = 5", 1)).is_ok());
}
