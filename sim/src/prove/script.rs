//! The Yosys scripts of a proof.

use std::fmt::Write as _;

use super::{Texts, Verdict};

/// A module and how its proof is cut into parts.
pub struct Design {
    /// Files to read.
    files: Vec<String>,
    top: String,
    /// Modules that are left out, their outputs free: a pattern of cell types.
    free: Option<String>,
    pub parts: Vec<Part>,
}

/// Claims that one run of the solver proves.
pub struct Part {
    pub name: String,
    /// Claims to prove, as patterns of wires; all if empty.
    claims: Vec<String>,
    /// Claims of earlier parts that it rests on.
    premises: Vec<String>,
    /// Registers that become free inputs.
    free: Vec<String>,
    /// Longest induction tried.
    steps: usize,
}

/// The design for the module `name`, whose file is number `index`; `None` if it has no claims.
pub fn design(name: &str, texts: &Texts, index: usize) -> Option<Design> {
    let text = &texts[index].1;
    if !text.contains("assert") {
        return None;
    }
    // Every file may hold modules that the claims need; Yosys reads what hierarchy asks for.
    let path = |i: usize| texts[i].0.display().to_string();
    let element = |i: usize| texts[i].1.contains("wire sum_exact =");
    if element(index) {
        let files = (0..texts.len()).filter(|&i| i == index || !element(i)).map(path).collect();
        return Some(Design { files, top: name.to_owned(), free: None, parts: element_parts(text) });
    }
    let files = (0..texts.len()).filter(|&i| !element(i)).map(path).collect();
    let whole = Part { name: "all".into(), claims: vec![], premises: vec![], free: vec![], steps: 40 };
    Some(Design { files, top: name.to_owned(), free: Some(format!("{name}_pe*")), parts: vec![whole] })
}

/// Products one by one, then level by level, the accumulator, the thresholds.
fn element_parts(text: &str) -> Vec<Part> {
    let mut levels: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("wire level") else { continue };
        let Some((level, rest)) = rest.split_once("_range_") else { continue };
        let (Ok(level), Some((node, _))) = (level.parse::<usize>(), rest.split_once(' ')) else { continue };
        levels.resize(levels.len().max(level + 1), Vec::new());
        levels[level].push(node.to_owned());
    }
    let mut parts = Vec::new();
    for (level, nodes) in levels.iter().enumerate() {
        let before = level.checked_sub(1);
        let premises: Vec<String> = before.map(|l| format!("level{l}_range_*")).into_iter().collect();
        let free = before.map_or_else(Vec::new, |l| levels[l].clone());
        if level == 0 {
            parts.extend(nodes.iter().map(|node| Part {
                name: format!("product {node}"),
                claims: vec![format!("level0_exact_{node}"), format!("level0_range_{node}")],
                premises: Vec::new(),
                free: Vec::new(),
                steps: 4,
            }));
        } else {
            let claims = vec![format!("level{level}_*")];
            parts.push(Part { name: format!("adder level {level}"), claims, premises, free, steps: 4 });
        }
    }
    let last = levels.len().checked_sub(1);
    parts.push(Part {
        name: "accumulator".into(),
        claims: vec!["sum_exact".into(), "sum_range".into()],
        premises: last.map(|l| format!("level{l}_range_*")).into_iter().collect(),
        free: last.map_or_else(Vec::new, |l| levels[l].clone()),
        steps: 4,
    });
    // Without an accumulator the sum is the tree's root, which is no register of its own.
    let accumulates = text.contains(" acc_reg;");
    let (premises, free) = match (accumulates, last) {
        (true, _) => (vec!["sum_exact".into(), "sum_range".into()], vec!["acc_reg".into()]),
        (false, Some(l)) => (vec![format!("level{l}_range_*")], levels[l].clone()),
        (false, None) => (vec![], vec![]),
    };
    parts.push(Part { name: "result".into(), claims: vec!["stage*".into(), "out_range".into()], premises, free, steps: 6 });
    parts
}

/// The script that proves `part`.
pub fn text(design: &Design, part: &Part) -> String {
    let mut s = String::new();
    for file in &design.files {
        let _ = writeln!(s, "read_verilog -formal \"{file}\"");
    }
    let _ = writeln!(s, "hierarchy -top {}\nproc\nflatten", design.top);
    if let Some(free) = &design.free {
        let _ = writeln!(s, "delete t:{free}");
    }
    s.push_str("memory -nordff\nopt_clean\n");
    let asserts = |patterns: &[String], between: &str| {
        patterns.iter().map(|p| format!(" w:{p} %co t:$assert %i{between}")).collect::<String>()
    };
    if !part.premises.is_empty() {
        let _ = writeln!(s, "chformal -assert2assume{}", asserts(&part.premises, ""));
    }
    if !part.claims.is_empty() {
        let _ = writeln!(s, "chformal -assert -remove *{}", asserts(&part.claims, " %d"));
    }
    if !part.free.is_empty() {
        let cells: String = part.free.iter().map(|r| format!(" w:{r} %ci t:$dff* %i")).collect();
        let _ = writeln!(s, "delete{cells}");
    }
    let _ = writeln!(s, "opt_clean\nsetundef -undriven -anyseq\nopt -fine");
    let _ = writeln!(s, "sat -tempinduct -prove-asserts -set-assumes -show-public -maxsteps {}", part.steps);
    s
}

/// What the log of `sat` says. A run without a claim proves nothing.
pub fn verdict(log: &str) -> Verdict {
    if !log.contains("Import proof for assert:") {
        Verdict::Unknown
    } else if log.contains("Induction step proven: SUCCESS!") {
        Verdict::Proved
    } else if log.contains("model found for base case: FAIL!") {
        Verdict::Refuted
    } else {
        Verdict::Unknown
    }
}
