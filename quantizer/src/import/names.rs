//! What layers are called: the module path that their parameters share, else the ONNX node. Names of tensors are told apart.

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};

use super::build::{Builder, Votes};
use crate::network::Op;

/// Endings of parameters that a module owns.
const PARAMETERS: [&str; 4] = [".weight", ".bias", ".running_mean", ".running_var"];

/// Names all layers and the chains of their thresholds; no two tensors keep one name.
pub fn assign(builder: &mut Builder) {
    let mut taken: HashSet<(Discriminant<Op>, String)> = HashSet::new();
    for i in 0..builder.layers.len() {
        let wanted = match (builder.votes.get(&i), builder.behind.get(&i)) {
            (Some(votes), _) => elect(votes).unwrap_or_else(|| builder.layers[i].node.clone()),
            // A Threshold is called like the layer before it, which has its name already.
            (_, Some(&dense)) => builder.layers[dense].name.clone(),
            _ => builder.layers[i].name.clone(),
        };
        let kind = discriminant(&builder.layers[i].op);
        builder.layers[i].name = free(&wanted, |name| taken.insert((kind, name)));
    }
    // Two layers can stand for one ONNX tensor: its codes, and its codes with a Pad's zeros around them.
    // Flattened they are the same codes, and keep the name.
    let same: HashSet<usize> = builder.layers.iter().filter(|l| l.op == Op::Flatten).map(|l| l.output.0).collect();
    let mut taken = HashSet::new();
    for (_, tensor) in builder.tensors.iter_mut().enumerate().filter(|(i, _)| !same.contains(i)) {
        tensor.name = free(&tensor.name, |name| taken.insert(name));
    }
    for chain in &mut builder.chains {
        chain.layer = builder.layers[chain.index].name.clone();
    }
}

/// `wanted`, or with the first number behind it that `take` takes.
fn free(wanted: &str, mut take: impl FnMut(String) -> bool) -> String {
    if take(wanted.to_owned()) {
        return wanted.to_owned();
    }
    let mut n = 2;
    loop {
        let name = format!("{wanted}_{n}");
        if take(name.clone()) {
            return name;
        }
        n += 1;
    }
}

/// The module path with most votes, the first of equals; a layer's own parameters come before those folded behind it.
fn elect(votes: &Votes) -> Option<String> {
    [&votes.own, &votes.behind].into_iter().find_map(|names| {
        let mut count: HashMap<&str, usize> = HashMap::new();
        let paths: Vec<&str> = names.iter().filter_map(|n| module(n)).collect();
        for path in &paths {
            *count.entry(path).or_default() += 1;
        }
        let best = paths.iter().map(|p| count[p]).max()?;
        paths.into_iter().find(|p| count[p] == best).map(str::to_string)
    })
}

/// `features.3` of `features.3.weight`; `None` for names that no module gave.
fn module(name: &str) -> Option<&str> {
    let path = PARAMETERS.into_iter().find_map(|ending| name.strip_suffix(ending))?;
    (!path.is_empty() && !path.contains("lifted_tensor")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_vote() {
        let votes = |own: &[&str], behind: &[&str]| Votes {
            own: own.iter().map(|s| s.to_string()).collect(),
            behind: behind.iter().map(|s| s.to_string()).collect(),
        };
        let bn = ["f.10.weight", "f.10.bias", "f.11.lifted_tensor.weight", "f.10.running_var", "24"];
        assert_eq!(elect(&votes(&["slice_3"], &bn)).as_deref(), Some("f.10"));
        assert_eq!(elect(&votes(&["f.13.bias"], &bn)).as_deref(), Some("f.13"));
        assert_eq!(elect(&votes(&["41"], &["a.bias", "b.bias"])).as_deref(), Some("a"));
        assert_eq!(elect(&votes(&["41", ".weight"], &[])), None);
    }
}
