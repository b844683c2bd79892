#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Exact round trips, and no panic and no belief in damaged or made-up files.

use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use super::*;
use crate::datatype::DataType;
use crate::testing::{Limits, conv_network, mlp, network};

fn small() -> Network {
    mlp(7, &[5, 4, 3], DataType::unsigned(3), DataType::signed(3), DataType::unsigned(2))
}

proptest! {
    #[test]
    fn round_trip_is_exact_and_bytes_are_stable(seed in any::<u64>()) {
        let network = network(seed, Limits::default());
        let bytes = to_bytes(&network).unwrap();
        let back = from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back, &network);
        prop_assert_eq!(to_bytes(&back).unwrap(), bytes);
    }

    #[test]
    fn round_trip_of_convolutions_is_exact(seed in any::<u64>()) {
        let network = conv_network(seed, Limits::default());
        let bytes = to_bytes(&network).unwrap();
        let back = from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back, &network);
        prop_assert_eq!(to_bytes(&back).unwrap(), bytes);
    }

    /// As below, for windows, groups, coefficients and joins.
    #[test]
    fn a_changed_byte_in_a_convolution_never_panics(seed in any::<u64>(), place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = to_bytes(&conv_network(seed, Limits::default())).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = value;
        if let Ok(network) = from_bytes(&bytes) {
            prop_assert!(network.validate().is_ok());
        }
    }

    /// Scales are floats: every bit of them survives.
    #[test]
    fn scales_survive_to_the_bit(factor in any::<u64>(), offset in any::<u64>()) {
        let (factor, offset) = (f64::from_bits(factor), f64::from_bits(offset));
        prop_assume!(factor.is_finite() && offset.is_finite());
        let mut network = small();
        network.tensors[3].scale = Some(vec![crate::network::Scale { factor, offset }]);
        let back = from_bytes(&to_bytes(&network).unwrap()).unwrap();
        let scale = back.tensors[3].scale.as_ref().unwrap()[0];
        prop_assert_eq!((scale.factor.to_bits(), scale.offset.to_bits()), (factor.to_bits(), offset.to_bits()));
    }

    /// One byte changed anywhere: a typed error, or a network that is valid (a name, a scale or a weight may have changed).
    #[test]
    fn a_changed_byte_never_panics(place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = to_bytes(&small()).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = value;
        if let Ok(network) = from_bytes(&bytes) {
            prop_assert!(network.validate().is_ok());
        }
    }

    #[test]
    fn a_cut_file_is_refused(cut in any::<prop::sample::Index>()) {
        let bytes = to_bytes(&small()).unwrap();
        let cut = cut.index(bytes.len());
        prop_assert!(matches!(from_bytes(&bytes[..cut]), Err(StoreError::Format(_))));
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(from_bytes(&bytes).is_err());
    }
}

#[test]
fn save_and_load() {
    let folder = std::env::temp_dir().join(format!("snug-store-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("network.safetensors");
    let network = small();
    save(&network, &path).unwrap();
    save(&network, &path).unwrap();
    assert_eq!(load(&path).unwrap(), network);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "parts are left behind");
    assert!(matches!(load(&folder.join("none")), Err(StoreError::Io { .. })));
    assert!(matches!(save(&network, &folder.join("none/network.safetensors")), Err(StoreError::Io { .. })));
    assert!(matches!(save(&network, Path::new("/")), Err(StoreError::Io { .. })));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn hash_tells_networks_apart() {
    let network = small();
    let mut other = network.clone();
    assert_eq!(hash(&network).unwrap(), hash(&other).unwrap());
    assert_eq!(hash(&network).unwrap().len(), 64);
    other.notes.push("another".into());
    assert_ne!(hash(&network).unwrap(), hash(&other).unwrap());
}

#[test]
fn invalid_networks_are_not_stored() {
    let mut network = small();
    network.tensors[1].ranges[0].lo -= 1;
    assert!(matches!(to_bytes(&network), Err(StoreError::Invalid(_))));
}

/// The file of [`small`], with its graph and its integers open to change.
struct Forged {
    graph: Value,
    entries: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Forged {
    fn new() -> Self {
        let bytes = to_bytes(&small()).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let graph = serde_json::from_str(&header.metadata().as_ref().unwrap()[KEY]).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let entries = file
            .iter()
            .map(|(name, view)| (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec()))
            .collect();
        Forged { graph, entries }
    }

    fn graph(mut self, pointer: &str, value: Value) -> Self {
        *self.graph.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        self
    }

    fn entry(mut self, name: &str, change: impl FnOnce(&mut (String, Dtype, Vec<usize>, Vec<u8>))) -> Self {
        change(self.entries.iter_mut().find(|e| e.0 == name).unwrap_or_else(|| panic!("no {name}")));
        self
    }

    fn load(self) -> Result<Network, StoreError> {
        let metadata = HashMap::from([(KEY.to_owned(), self.graph.to_string())]);
        let views = self
            .entries
            .iter()
            .map(|(name, dtype, shape, data)| (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
        from_bytes(&safetensors::serialize(views, Some(metadata)).unwrap())
    }
}

#[test]
fn an_unchanged_forgery_is_the_network() {
    assert_eq!(Forged::new().load().unwrap(), small());
}

#[test]
fn hostile_graphs_are_refused() {
    let refused = |pointer: &str, value: Value| Forged::new().graph(pointer, value).load().unwrap_err();
    assert!(
        matches!(refused("/schema", "snug.network/2".into()), StoreError::Schema { found } if found.ends_with("/2"))
    );
    assert!(matches!(refused("/schema", 1.into()), StoreError::Graph(_)));
    assert!(matches!(refused("/input", (-1).into()), StoreError::Graph(_)));
    assert!(matches!(refused("/input", 99.into()), StoreError::Invalid(_)));
    assert!(matches!(refused("/layers/0/inputs", vec![2].into()), StoreError::Invalid(_)));
    assert!(matches!(refused("/layers/0/op/kind", "threshold".into()), StoreError::Graph(_)));
    assert!(matches!(refused("/layers/1/op/kind", "flatten".into()), StoreError::Unused { .. }));
    assert!(matches!(refused("/layers/0/op/weight_type/bits", 2.into()), StoreError::Invalid(_)));
    assert!(matches!(refused("/layers/0/op/weight_type/bits", 4_000_000_000u32.into()), StoreError::Invalid(_)));
    assert!(matches!(refused("/tensors/0/shape", vec![u64::MAX, u64::MAX].into()), StoreError::Invalid(_)));
    assert!(matches!(refused("/tensors/0/shape", Vec::<u64>::new().into()), StoreError::Invalid(_)));
    assert!(matches!(refused("/tensors/0/datatype/bits", 0.into()), StoreError::Invalid(_)));
    assert!(matches!(refused("/tensors/0/datatype/sign", "bipolar".into()), StoreError::Invalid(_)));
    assert!(matches!(refused("/tensors/3/scale/0/factor", Value::Null), StoreError::Graph(_)));
    let nested = "[".repeat(100_000);
    let metadata = HashMap::from([(KEY.to_owned(), nested)]);
    let none: Vec<(String, Integers)> = Vec::new();
    let bytes = safetensors::serialize(none, Some(metadata)).unwrap();
    assert!(matches!(from_bytes(&bytes), Err(StoreError::Graph(_))));
}

#[test]
fn hostile_entries_are_refused() {
    let damaged = |forged: Forged, entry: &str| match forged.load() {
        Err(StoreError::Entry { entry: found, .. }) => assert_eq!(found, entry),
        other => panic!("{other:?}"),
    };
    let dtype = Forged::new().entry("layer.0.weights", |e| e.1 = Dtype::U8);
    damaged(dtype, "layer.0.weights");
    damaged(Forged::new().entry("layer.0.weights", |e| e.2 = vec![20]), "layer.0.weights");
    damaged(Forged::new().entry("tensor.0.ranges", |e| e.2 = vec![2, 5]), "tensor.0.ranges");
    damaged(Forged::new().entry("layer.1.offsets", |e| e.3[1] = 0x80), "layer.1.offsets");
    damaged(Forged::new().entry("layer.1.offsets", |e| e.3[0] = 1), "layer.1.offsets");
    damaged(Forged::new().entry("layer.1.falling", |e| e.3[0] = 2), "layer.1.falling");
    let fewer = |e: &mut (String, Dtype, Vec<usize>, Vec<u8>)| {
        e.2 = vec![e.2[0] - 1];
        e.3.pop();
    };
    damaged(Forged::new().entry("layer.1.base", fewer), "layer.1.offsets");
    damaged(Forged::new().entry("layer.1.steps", fewer), "layer.1.offsets");

    let renamed = |forged: Forged| forged.entry("layer.1.steps", |e| e.0 = "layer.1.stepz".into());
    assert!(matches!(renamed(Forged::new()).load(), Err(StoreError::Missing { entry }) if entry == "layer.1.steps"));
    let swapped = Forged::new().entry("layer.0.weights", |e| e.2 = vec![5, 4]);
    assert!(matches!(swapped.load(), Err(StoreError::Invalid(_))));
    // Another weight: legal by itself, but then the declared ranges are wrong.
    let weight = Forged::new().entry("layer.0.weights", |e| e.3[0] = if e.3[0] == 1 { 2 } else { 1 });
    assert!(matches!(weight.load(), Err(StoreError::Invalid(_))));
}

#[test]
fn foreign_safetensors_are_told_apart() {
    let none: Vec<(String, Integers)> = Vec::new();
    let bytes = safetensors::serialize(none, None).unwrap();
    assert!(matches!(from_bytes(&bytes), Err(StoreError::NotSnug)));
}

/// Integers of every size come back, in the smallest type.
#[test]
fn integers_take_the_smallest_type() {
    for (value, dtype) in [
        (-128, Dtype::I8),
        (128, Dtype::I16),
        (-32769, Dtype::I32),
        (i64::from(i32::MAX), Dtype::I32),
        (1 << 31, Dtype::I64),
        (i64::MIN, Dtype::I64),
    ] {
        let entry = Integers::new(vec![2], &[value, -1]);
        assert_eq!(safetensors::tensor::View::dtype(&entry), dtype, "{value}");
        let bytes = safetensors::serialize([("x", entry)], None).unwrap();
        let mut entries = Entries::new(SafeTensors::deserialize(&bytes).unwrap());
        assert_eq!(entries.list("x").unwrap(), [value, -1]);
    }
}
