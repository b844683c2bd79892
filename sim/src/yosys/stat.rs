//! Reads what `stat` and `ltp` write.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::cells::Counts;
use super::{Module, Target};

/// The file of `stat -json`, as much of it as is needed.
#[derive(Deserialize)]
struct Stat {
    modules: BTreeMap<String, StatModule>,
}

#[derive(Deserialize)]
struct StatModule {
    #[serde(default)]
    num_cells_by_type: BTreeMap<String, u64>,
    /// Newer versions of Yosys count instances of modules apart from cells.
    #[serde(default)]
    num_submodules_by_type: BTreeMap<String, u64>,
}

/// A design as counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// All instances added up.
    pub total: Counts,
    /// Module definitions by name; the top is one of them.
    pub modules: Vec<Module>,
}

/// Reads `stat -json`. Cell counts of Yosys stand for one module without its children; instances are multiplied out from
/// the top.
pub(super) fn read(json: &str, top: &str, target: Target) -> Result<Hierarchy, String> {
    let stat: Stat = serde_json::from_str(&only_json(json)).map_err(|error| format!("stat -json: {error}"))?;
    let plain = |name: &str| name.strip_prefix('\\').unwrap_or(name).to_owned();
    let definitions: BTreeMap<String, StatModule> = stat.modules.into_iter().map(|(n, m)| (plain(&n), m)).collect();
    let children = |module: &StatModule| -> Vec<(String, u64)> {
        module
            .num_cells_by_type
            .iter()
            .filter(|(name, _)| definitions.contains_key(&plain(name)))
            .chain(&module.num_submodules_by_type)
            .map(|(name, &count)| (plain(name), count))
            .collect()
    };
    if !definitions.contains_key(top) {
        return Err(format!("stat -json: no module `{top}`"));
    }

    let mut instances: BTreeMap<String, u64> = BTreeMap::new();
    let mut waiting = vec![(top.to_owned(), 1u64, 0usize)];
    while let Some((name, count, depth)) = waiting.pop() {
        // Verilog forbids recursion without an end; a file that shows it was not written by Yosys.
        if depth > definitions.len() {
            return Err(format!("stat -json: module `{name}` contains itself"));
        }
        let known = instances.entry(name.clone()).or_default();
        *known = known.checked_add(count).ok_or("stat -json: too many instances")?;
        for (child, times) in definitions.get(&name).map(children).unwrap_or_default() {
            let count = count.checked_mul(times).ok_or("stat -json: too many instances")?;
            waiting.push((child, count, depth + 1));
        }
    }

    let mut total = Counts::default();
    let mut modules = Vec::new();
    for (name, definition) in &definitions {
        let Some(&instances) = instances.get(name) else { continue };
        let mut counts = Counts::default();
        for (cell, &count) in &definition.num_cells_by_type {
            if !definitions.contains_key(&plain(cell)) {
                counts.add(target, cell, count);
            }
        }
        total += counts.times(instances);
        modules.push(Module {
            name: name.clone(),
            source: source_name(name).to_owned(),
            instances,
            counts,
            lut_estimate: None,
        });
    }
    Ok(Hierarchy { total, modules })
}

/// The file without the table of instances that Yosys 0.23 prints, as text, into the middle of its JSON where a design
/// has more than one module. Lines of JSON begin with a quote or a brace; names in the table never do.
fn only_json(text: &str) -> String {
    text.lines().filter(|line| line.trim_start().starts_with(['"', '{', '}', '[', ']'])).collect::<Vec<_>>().join("\n")
}

/// The name a module has in its file: `$paramod\fifo\DEPTH=s32'0100` and `$paramod$0123abcd\fifo` are `fifo`.
fn source_name(name: &str) -> &str {
    match name.strip_prefix("$paramod") {
        Some(rest) => rest.split('\\').nth(1).unwrap_or(name),
        None => name,
    }
}

/// The figure in `Estimated number of LCs: 42`.
pub(super) fn logic_cells(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("Estimated number of LCs:"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

/// The figure in `Longest topological path in top (length=4):`; -1 stands for a design of registers only.
pub(super) fn levels(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("Longest topological path"))?;
    let length: i64 = line.split("(length=").nth(1)?.split(')').next()?.parse().ok()?;
    u64::try_from(length.max(0)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TWO_DEEP: &str = r#"{"modules": {
        "\\top": {"num_cells_by_type": {"\\mid": 2, "leaf": 1, "LUT2": 5, "INV": 1}},
        "\\mid": {"num_cells_by_type": {"leaf": 3, "RAM32M": 1, "SRL16E": 1, "$paramod\\leaf\\W=s32'01": 1}},
        "$paramod\\leaf\\W=s32'01": {"num_cells_by_type": {"RAMB36E1": 1}},
        "\\leaf": {"num_cells_by_type": {"LUT6": 10, "FDRE": 4, "CARRY4": 2, "IBUF": 9}},
        "\\unused": {"num_cells_by_type": {"LUT6": 1000}}}}"#;

    #[test]
    fn instances_multiply_and_unused_modules_do_not_count() {
        let design = read(TWO_DEEP, "top", Target::Xc7).unwrap();
        let instances: Vec<_> = design.modules.iter().map(|m| (m.source.as_str(), m.instances)).collect();
        assert_eq!(instances, [("leaf", 2), ("leaf", 7), ("mid", 2), ("top", 1)]);
        let total = &design.total;
        assert_eq!((total.lut, total.lutram, total.srl, total.lut_total()), (75, 8, 2, 85));
        assert_eq!((total.ff, total.carry, total.bram), (28, 14, 4));
        assert_eq!(total.cells["IBUF"], 63);
        assert_eq!(design.modules[3].counts.lut, 5, "the top without its children");
    }

    #[test]
    fn the_table_that_yosys_prints_into_its_json_is_skipped() {
        let text = r#"{
            "modules": {
                "\\top": {
                    "num_cells_by_type": {
                        "LUT2": 5,
                        "$paramod\\leaf\\W=s32'01": 2
                    }
                },
                "$paramod\\leaf\\W=s32'01": {
                    "num_cells_by_type": {
                        "LUT6": 1
                    }
                }
            },
            top       1
              $paramod\leaf\W=s32'01      2
            "design": {
            }
        }"#;
        assert_eq!(read(text, "top", Target::Xc7).unwrap().total.lut, 7);
    }

    #[test]
    fn files_that_cannot_be_are_refused() {
        assert!(read("{}", "top", Target::Xc7).unwrap_err().contains("stat -json"));
        assert!(read(TWO_DEEP, "other", Target::Xc7).unwrap_err().contains("no module `other`"));
        let recursive = r#"{"modules": {"\\top": {"num_cells_by_type": {"top": 2}}}}"#;
        assert!(read(recursive, "top", Target::Xc7).unwrap_err().contains("contains itself"));
    }

    #[test]
    fn names_and_figures_are_read_from_text() {
        assert_eq!(source_name("$paramod$8f3a\\fifo"), "fifo");
        assert_eq!(source_name("$paramod\\fifo\\DEPTH=s32'0100"), "fifo");
        assert_eq!(source_name("fifo"), "fifo");
        assert_eq!(logic_cells("...\n   Estimated number of LCs:         42\n"), Some(42));
        assert_eq!(levels("Longest topological path in top (length=4):\n"), Some(4));
        assert_eq!(levels("Longest topological path in top (length=-1):\n"), Some(0));
        assert_eq!(levels(""), None);
    }
}
