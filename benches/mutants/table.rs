//! What became of the mutants, as `docs/mutants.md`.

use std::fmt::Write as _;

use crate::{DRAWN, Mutant, Proof};

/// The page.
pub fn page(mutants: &[Mutant], yosys: &str, seed: u32) -> String {
    let mut page = format!(
        "# Mutants of the digits\n\nWritten by `make mutants`: {} mutations that `mutate -list -seed {seed}` of {yosys} draws from the logic of the digits'\n\
         modules, claims left out: an inverted or constant bit, or one bit that follows another, at a cell's port. Each is given to the\n\
         proof (`snug prove`'s script of its module with at most 3 steps of induction and 60 s, and where it fails a search for a run:\n\
         20 s, 5 s where the simulation has failed already) and to the generated testbench in Icarus (8 frames, 4 stall patterns, a\n\
         reset in mid-frame).\n\n",
        mutants.len()
    );
    let _ = writeln!(
        page,
        "| module | mutants | refuted by a run | not proved | time up | simulation alone | equivalent | survive |\n|---|---|---|---|---|---|---|---|"
    );
    let mut sums = [0; 7];
    for (module, _) in DRAWN {
        let of: Vec<&Mutant> = mutants.iter().filter(|m| m.module == module).collect();
        let counts = counts(&of);
        let _ = writeln!(page, "| {module} | {} |", counts.map(|c| c.to_string()).join(" | "));
        sums.iter_mut().zip(counts).for_each(|(s, c)| *s += c);
    }
    let _ = writeln!(page, "| **all** | {} |", sums.map(|c| c.to_string()).join(" | "));
    let both = mutants.iter().filter(|m| m.proof != Proof::Proved && m.simulation).count();
    let proof = mutants.iter().filter(|m| m.proof != Proof::Proved && !m.simulation).count();
    let _ = writeln!(
        page,
        "\n*Refuted*: a run that breaks a claim was found. *Not proved*: induction fails and no run was found in that time, so that\n\
         `snug prove` does not say *proved*. Proof and simulation both caught {both}, the proof alone {proof}."
    );
    for (title, wanted) in [
        ("Caught by simulation alone", Some(None)),
        (
            "Equivalent: with equal registers and the claims, the next registers and all outputs are equal",
            Some(Some(true)),
        ),
        ("Survivors", Some(Some(false))),
    ] {
        let list: Vec<&Mutant> = mutants
            .iter()
            .filter(|m| {
                m.proof == Proof::Proved && Some(m.equivalent) == wanted && (m.simulation == m.equivalent.is_none())
            })
            .collect();
        if list.is_empty() {
            continue;
        }
        let _ = writeln!(page, "\n## {title}\n");
        for m in list {
            let _ = writeln!(page, "* {} {}: `{}` ({})", m.module, m.number, m.mutation, m.source);
        }
    }
    page
}

/// Mutants; refuted; not proved; stopped; caught by simulation alone; equivalent; survivors.
fn counts(of: &[&Mutant]) -> [usize; 7] {
    let count = |f: &dyn Fn(&Mutant) -> bool| of.iter().filter(|m| f(m)).count();
    [
        of.len(),
        count(&|m| m.proof == Proof::Refuted),
        count(&|m| m.proof == Proof::Unproved),
        count(&|m| m.proof == Proof::Stopped),
        count(&|m| m.proof == Proof::Proved && m.simulation),
        count(&|m| m.equivalent == Some(true)),
        count(&|m| m.equivalent == Some(false)),
    ]
}
