//! "Did you mean": the name that was probably meant.

/// The most similar of `names`, if one is similar at all.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|n| (strsim::jaro_winkler(&name.to_lowercase(), &n.to_lowercase()), n))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_similar() {
        let names = ["TFC_2W2A.onnx", "notes.txt"];
        assert_eq!(nearest("TFC_W2A2.onnx", names.into_iter()).as_deref(), Some("TFC_2W2A.onnx"));
        assert_eq!(nearest("zzz", names.into_iter()), None);
    }
}
