//! Whether a mutant behaves as the original: from equal registers in a state that the claims allow, outputs and next registers
//! are equal. The claims are those of the original, which were proved of it; both see the same inputs.
//!
//! It is lock step from a state that both can be in: contents of an unreset register before it is first loaded may differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use sim::prove::script::Job;

use crate::scripts;

/// A script that builds original and mutant side by side as `miter`, and lists the registers of each in a file.
fn miter(job: &Job, mutation: &str, lists: &Path) -> String {
    let module = &job.module;
    let mut script = format!("{}design -save base\n", scripts::design(job));
    for (side, mutation, claims) in [
        ("gold", String::new(), "-assert2assume"),
        // What is claimed of the mutant must not be assumed of it.
        ("gate", format!("mutate {mutation}\n"), "-assert -remove"),
    ] {
        // `sat` would start from the initial values of registers: any state is meant. What was cut is an input of both.
        let _ = writeln!(
            script,
            "design -load base\n{mutation}{}delete t:$anyconst t:$anyseq\nsetattr -unset init w:*\nsetundef -undriven -expose\n\
             memory_map\nsetundef -undriven -zero\nchformal {claims}\nopt_clean\n\
             tee -o {} select -list {module}/t:$dff %co1:+[Q] {module}/w:* %i\nrename {module} {side}\ndesign -stash {side}",
            scripts::cut(job),
            lists.join(side).display(),
        );
    }
    let _ = writeln!(
        script,
        "design -copy-from gold -as gold gold\ndesign -copy-from gate -as gate gate\n\
         miter -equiv -flatten -make_outputs gold gate miter\nhierarchy -top miter\n\
         tee -o {} select -list miter/w:*",
        lists.join("miter").display()
    );
    script
}

/// Whether the mutant is equivalent; `run` gives the log of a script, or nothing where its time was up.
pub fn holds(job: &Job, mutation: &str, run: &dyn Fn(&str) -> Option<String>) -> bool {
    let lists = tempfile::tempdir().unwrap();
    let miter = miter(job, mutation, lists.path());
    if run(&miter).is_none() {
        return false;
    }
    let text = std::fs::read_to_string(lists.path().join("miter")).unwrap();
    let wires: BTreeSet<&str> = text.lines().filter_map(|l| Some(l.trim().split_once('/')?.1)).collect();
    let (gold, gate) = (registers(&lists.path().join("gold"), "gold"), registers(&lists.path().join("gate"), "gate"));
    let (mut equal, mut proved) = (String::new(), String::new());
    for (name, gold) in &gold {
        // The mutant has no claims, and so not their registers.
        let gate = gate.get(name).filter(|gate| wires.contains(gate.trim_start_matches('\\')));
        if !wires.contains(gold.trim_start_matches('\\')) {
            continue;
        }
        if name.ends_with("live") {
            // The first reset has been.
            let _ = write!(equal, " -set-at 1 {gold} 1");
            if let Some(gate) = gate {
                let _ = write!(equal, " -set-at 1 {gate} 1");
            }
        } else if let Some(gate) = gate {
            let _ = write!(equal, " -set-at 1 {gold} {gate}");
            let _ = write!(proved, " -prove {gold} {gate}");
        }
    }
    let solved = |goal: &str| run(&format!("{miter}sat {goal} -set-assumes{equal} miter\n")).unwrap_or_default();
    let proof = |goal: &str| solved(goal).contains("SAT proof finished - no model found: SUCCESS!");
    // Assumptions that exclude every state would prove all.
    solved("-seq 2").contains("SAT solving finished - model found")
        && proof("-seq 1 -prove trigger 0")
        && proof(&format!("-seq 2 -prove-skip 1{proved}"))
}

/// Registers by the name that both sides share: their names in the miter. Words of memories have a running number at their end.
fn registers(list: &Path, side: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(list).unwrap();
    let names = text.lines().filter_map(|line| line.trim().split_once('/').map(|(_, name)| name));
    names
        .map(|name| {
            let common = match name.rsplit_once('$') {
                Some((front, number)) if number.bytes().all(|b| b.is_ascii_digit()) => front,
                _ => name,
            };
            let place =
                if name.starts_with('$') { format!("$flatten\\{side}.{name}") } else { format!("\\{side}.{name}") };
            (common.to_owned(), place)
        })
        .collect()
}
