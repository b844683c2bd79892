//! Every field is checked; what is refused says where and what would do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use trainer::config::Config;
use trainer::graph::Graph;

const GOOD: &str = "[network]\nhidden = [64]\nweight_bits = 4\nactivation_bits = 4\ninput_bits = 4\n\
                    [accumulator]\nmethod = 'sign-split'\nbits = 9\nep_init = 'centred'\nkeep = []\n\
                    [training]\nfloat_epochs = 3\nepochs = 8\nbatch = 256\nlearning_rate = 0.001\nfloat_learning_rate = 0.002\n\
                    schedule = 'cosine'\nstep_at = [0.5]\nstep_factor = 0.1\nloss = 'cross-entropy'\noptimizer = 'adam'\nmomentum = 0.9\n\
                    lambda = 0.001\nweight_decay = 0.0\nseed = 1\ndevice = 'cpu'\nstart = 'float.onnx'\n\
                    [search]\nactivation_bits = [3, 4]\nepochs = 1\nhold_out = 0.1\n\
                    [data]\ntrain = 'a.npy'\ntrain_labels = 'b.npy'\ntest = 'c.npy'\ntest_labels = 'd.npy'\n";

const LAYERS: &str = "[network]\ninput = [4, 8, 8]\nweight_bits = [4, 4, 8]\nactivation_bits = 4\ninput_bits = 4\n\
                      [accumulator]\nmethod = 'sign-split'\nbits = 9\n[training]\nepochs = 8\n\
                      [[layers]]\ntype = 'conv'\nname = 'stem'\noutputs = 8\nkernel = 3\npadding = 1\ngroups = 2\nstride = 1\n\
                      [[layers]]\ntype = 'batch_norm'\n\
                      [[layers]]\ntype = 'identity'\nname = 'x'\nbits = 5\n\
                      [[layers]]\ntype = 'conv'\noutputs = 8\nkernel = 1\naccumulator = 10\nweight_bits = 3\n\
                      [[layers]]\ntype = 'identity'\nname = 'y'\n\
                      [[layers]]\ntype = 'add'\nname = 'sum'\nwith = 'x'\n\
                      [[layers]]\ntype = 'relu'\nname = 'last'\nbits = 3\n\
                      [[layers]]\ntype = 'max_pool'\nkernel = 2\n\
                      [[layers]]\ntype = 'depth_to_space'\nblock = 2\n\
                      [[layers]]\ntype = 'dense'\nname = 'head'\noutputs = 10\naccumulator = 'none'\n";

fn refused(good: &str, from: &str, to: &str, expected: &str) {
    let text = good.replacen(from, to, 1);
    assert_ne!(text, good, "'{from}' stands there");
    let error = Config::parse(&text).expect_err(to).to_string();
    assert!(error.contains(expected), "'{to}' is refused with '{error}', and not '{expected}'");
}

#[test]
fn what_is_refused() {
    Config::parse(GOOD).unwrap();
    for (from, to, expected) in [
        ("hidden = [64]", "hidden = [0]", "hidden = 0 in [network]: 1 to 65536"),
        ("hidden = [64]", "", "hidden = missing in [network]: neurons of the hidden layers, or [[layers]]"),
        ("hidden = [64]", "hidden = [64]\ninput = [2, 3]", "input = [2, 3] in [network]: [channels, height, width]"),
        ("weight_bits = 4", "weight_bits = 9", "weight_bits = 9 in [network]: 2 to 8 bits"),
        ("weight_bits = 4", "weight_bits = 1", "weight_bits = 1 in [network]"),
        ("weight_bits = 4", "weight_bits = [4, 4, 4]", "weight_bits = [4, 4, 4] in [network]: one number, or 2"),
        ("activation_bits = 4", "activation_bits = 0", "activation_bits = 0 in [network]"),
        ("activation_bits = 4", "activation_bits = [4, 4]", "one number, or 1: the network has 1 relu and identity"),
        ("input_bits = 4", "input_bits = 12", "input_bits = 12 in [network]"),
        ("\nepochs = 8", "\nepochs = 0", "epochs = 0 in [training]"),
        ("float_epochs = 3", "float_epochs = 1000000", "float_epochs = 1000000 in [training]"),
        ("batch = 256", "batch = 1", "batch = 1 in [training]: 2 to"),
        ("learning_rate = 0.001", "learning_rate = 0.0", "learning_rate = 0 in [training]: above 0"),
        ("learning_rate = 0.001", "learning_rate = nan", "learning_rate = NaN in [training]"),
        ("float_learning_rate = 0.002", "float_learning_rate = 2.0", "float_learning_rate = 2 in [training]"),
        ("step_at = [0.5]", "step_at = [1.5]", "step_at = 1.5 in [training]: shares of the training"),
        ("step_factor = 0.1", "step_factor = 0.0", "step_factor = 0 in [training]"),
        ("'cross-entropy'", "'crossentropy'", "unknown variant `crossentropy`"),
        ("'cross-entropy'", "'mse'", "train_labels"),
        ("'adam'", "'adamw'", "unknown variant `adamw`"),
        ("momentum = 0.9", "momentum = 1.0", "momentum = 1 in [training]: 0 to below 1"),
        ("'cpu'", "'tpu'", "unknown variant `tpu`"),
        ("lambda = 0.001", "lambda = 2.0", "lambda = 2 in [training]"),
        ("weight_decay = 0.0", "weight_decay = -1.0", "weight_decay = -1 in [training]"),
        ("\nlearning_rate", "\nlearning_rat", "did you mean 'learning_rate'?"),
        ("start =", "starts =", "did you mean 'start'?"),
        ("[accumulator]", "[acumulator]", "did you mean 'accumulator'?"),
        ("[search]", "[serch]", "did you mean 'search'?"),
        ("hidden = [64]", "layers = [64]", "there is no key 'layers' in [network]"),
        ("'sign-split'", "'signsplit'", "unknown variant `signsplit`"),
        ("'centred'", "'center'", "unknown variant `center`"),
        ("keep = []", "keep = ['middle']", "unknown variant `middle`"),
        ("keep = []", "kept = []", "did you mean 'keep'?"),
        ("'cosine'", "'linear'", "unknown variant `linear`"),
        ("'sign-split'", "'unconstrained'", "leave it out"),
        ("\nbits = 9", "", "the method needs one width"),
        ("\nbits = 9", "\nbits = [9, 9, 9]", "one number, or 2"),
        ("\nbits = 9", "\nbits = 65", "2 to 64 bits"),
        ("\nbits = 9", "\nbits = 4", "layer 'layers.0': an accumulator of 4 bits is too narrow"),
        ("\nbits = 9", "\nbits = [9, 3]", "layer 'layers.1': an accumulator of 3 bits"),
        ("activation_bits = [3, 4]", "activation_bits = []", "activation_bits = [] in [search]"),
        ("activation_bits = [3, 4]", "activation_bits = [9]", "activation_bits = 9 in [search]: 1 to 8 bits"),
        ("epochs = 1\n", "epochs = 0\n", "epochs = 0 in [search]: 1 to 1000"),
        ("hold_out = 0.1", "hold_out = 0.9", "hold_out = 0.9 in [search]: above 0, at most 0.5"),
        ("train_labels", "train_label", "did you mean 'train_labels'?"),
        ("[network]", "[network", "the configuration cannot be read"),
        ("seed = 1", "seed = -1", "the configuration cannot be read"),
        ("\nweight_bits = 4", "", "missing field `weight_bits`"),
    ] {
        refused(GOOD, from, to, expected);
    }
    #[cfg(not(feature = "gpu"))]
    refused(GOOD, "'cpu'", "'gpu'", "device = gpu in [training]: 'cpu': this snug was built without");
}

#[test]
fn what_is_refused_of_layers() {
    let config = Config::parse(LAYERS).unwrap();
    let graph = Graph::new(&config, 256, 10).unwrap();
    assert_eq!(graph.nodes.len(), 11);
    for (from, to, expected) in [
        ("type = 'conv'\nname", "type = 'konv'\nname", "type = 'konv' in [layer 0 'stem']: did you mean 'conv'?"),
        ("type = 'batch_norm'", "name = 'n'", "type = missing in [layer 1 'n']: one of dense, conv"),
        ("kernel = 3\n", "kernl = 3\n", "there is no key 'kernl' in [layer 0 'stem', conv]; did you mean 'kernel'?"),
        ("type = 'batch_norm'", "type = 'batch_norm'\nbits = 3", "there is no key 'bits' in [layer 1, batch_norm]"),
        ("outputs = 8\nkernel = 3", "kernel = 3", "outputs = missing in [layer 0 'stem']: conv needs it"),
        ("outputs = 8", "outputs = 0", "outputs = 0 in [layer 0 'stem']: 1 to 65536"),
        ("kernel = 3", "kernel = 0", "kernel = 0 in [layer 0 'stem']: 1 to 1024"),
        ("kernel = 3", "kernel = 30", "layer 'stem': a kernel of [30, 30] is larger than the padded image of 8 x 8"),
        ("kernel = 3", "kernel = [1, 2, 3]", "the configuration cannot be read"),
        ("padding = 1", "padding = 3", "layer 'stem': padding [3, 3] for a kernel of [3, 3]; less padding"),
        ("stride = 1", "stride = 0", "stride = 0 in [layer 0 'stem']: 1 to 1024"),
        ("groups = 2", "groups = 3", "layer 'stem': 3 groups do not divide 4 channels and 8 outputs; use a divisor"),
        ("groups = 2", "groups = 0", "groups = 0 in [layer 0 'stem']"),
        ("bits = 5", "bits = 1", "bits = 1 in [layer 2 'x']: 2 to 8 bits"),
        ("accumulator = 10", "accumulator = 1", "accumulator = 1 in [layer 3]: 2 to 64 bits, or \"none\""),
        ("accumulator = 10", "accumulator = 'no'", "accumulator = 'no' in [layer 3]"),
        ("accumulator = 10", "accumulator = 4", "layer 'layers.3': an accumulator of 4 bits is too narrow"),
        ("weight_bits = 3", "weight_bits = 12", "weight_bits = 12 in [layer 3]: 2 to 8 bits"),
        ("with = 'x'", "with = 'z'", "with = 'z' in [layer 'sum']"),
        ("with = 'x'", "with = 'stem'", "layer 'sum': 'stem' is not quantized; put an identity or relu"),
        ("with = 'x'", "", "with = missing in [layer 5 'sum']: add needs it"),
        ("name = 'sum'", "name = 'x'", "layer 'x': two layers have this name"),
        ("name = 'sum'", "name = 'a b'", "name = a b in [layer 5 'a b']: letters, digits"),
        ("name = 'last'", "name = 'last'\nfrom = 'lst'", "from = 'lst' in [layer 'last']"),
        ("[[layers]]\ntype = 'relu'\nname = 'last'\nbits = 3\n", "", "layer 'layers.6': it reads 'sum', which is not"),
        (
            "type = 'identity'\nname = 'x'\nbits = 5",
            "type = 'batch_norm'\nname = 'x'",
            "it reads 'layers.1', which has no",
        ),
        ("block = 2", "block = 3", "layer 'layers.8': 8 channels are no multiple of 9"),
        ("block = 2", "block = 1", "block = 1 in [layer 8]: 2 to 16"),
        ("input = [4, 8, 8]\n", "", "input = missing in [network]: [channels, height, width]"),
        ("input = [4", "hidden = [3]\ninput = [4", "hidden = [3] in [network]: leave it out beside [[layers]]"),
        ("weight_bits = [4, 4, 8]", "weight_bits = [4, 4]", "one number, or 3: the network has 3 layers with weights"),
        ("'head'", "'head'\nfrom = 'x'", "layer 'layers.8': nothing reads it; remove it"),
        ("[[layers]]\ntype = 'conv'", "[layers]\ntype = 'conv'", "cannot be read"),
    ] {
        refused(LAYERS, from, to, expected);
    }
    // What only samples show.
    let wrong = |size: usize, classes: usize| Graph::new(&config, size, classes).unwrap_err().to_string();
    assert!(wrong(100, 10).contains("a shape of 100 values"), "{}", wrong(100, 10));
    assert!(wrong(256, 11).contains("outputs = 10 in [layer 'head']: at least 11"), "{}", wrong(256, 11));
}

#[test]
fn too_narrow_says_what_is_wide_enough() {
    let narrow = GOOD.replacen("\nbits = 9", "\nbits = 4", 1);
    assert!(Config::parse(&narrow).unwrap_err().to_string().contains("at least 5 bits"));
    assert!(Config::parse(&GOOD.replacen("\nbits = 9", "\nbits = 5", 1)).is_ok());
}

#[test]
fn first_and_last_layers_can_be_left_alone() {
    let kept =
        GOOD.replacen("keep = []", "keep = ['first', 'last']", 1).replacen("hidden = [64]", "hidden = [64, 32]", 1);
    let config = Config::parse(&kept.replacen("weight_bits = 4", "weight_bits = [8, 4, 8]", 1)).unwrap();
    let graph = Graph::new(&config, 20, 3).unwrap();
    let all: Vec<_> = graph.matrices().map(|(_, m)| (m.bits, m.accumulator)).collect();
    assert_eq!(all, [(8, None), (4, Some(9)), (8, None)]);
}
