//! What became of the mutants, as `docs/mutants.md`.

use std::fmt::Write as _;

use crate::{DRAWN, Mutant, Proof};

/// What a mutant counts as: one of these each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The proof found a run that breaks a claim.
    Refuted,
    /// The induction fails, no run was found; the testbench fails.
    Unproved,
    /// The induction fails, no run was found, the testbench passes, and it was not shown to behave as the original.
    UnprovedAlone,
    /// The proof says *proved*, or did not end; the testbench fails.
    SimulationAlone,
    /// No run and no testbench tells it from the original, and it was shown to behave as that.
    Equivalent,
    /// The proof did not end, the testbench passes, and it was not shown equivalent.
    Undecided,
    /// Proved, simulated, and different for all that is known.
    Survives,
}

use Outcome::{Equivalent, Refuted, SimulationAlone, Survives, Undecided, Unproved, UnprovedAlone};

/// The columns of the table.
const COLUMNS: [(Outcome, &str); 7] = [
    (Refuted, "refuted by a run"),
    (Unproved, "not proved, and simulation fails"),
    (UnprovedAlone, "not proved alone"),
    (SimulationAlone, "simulation alone"),
    (Equivalent, "equivalent"),
    (Undecided, "undecided"),
    (Survives, "survive"),
];

/// What is listed below it, and under which heading.
const LISTED: [(Outcome, &str); 5] = [
    (
        UnprovedAlone,
        "Not proved alone: the proof refuses them, no run and no testbench shows why, and they were not shown equivalent",
    ),
    (SimulationAlone, "Caught by simulation alone"),
    (Equivalent, "Equivalent: with equal registers and the claims, the next registers and all outputs are equal"),
    (Undecided, "Undecided: time was up for the proof and for the proof of equivalence"),
    (Survives, "Survivors"),
];

fn outcome(mutant: &Mutant) -> Outcome {
    match (mutant.proof, mutant.simulation, mutant.equivalent) {
        (Proof::Refuted, ..) => Refuted,
        (_, false, Some(true)) => Equivalent,
        (Proof::Unproved, true, _) => Unproved,
        (Proof::Unproved, ..) => UnprovedAlone,
        (_, true, _) => SimulationAlone,
        (Proof::Stopped, ..) => Undecided,
        (Proof::Proved, ..) => Survives,
    }
}

/// The page.
pub fn page(mutants: &[Mutant], yosys: &str, seed: u32) -> String {
    let mut page = format!(
        "# Mutants of the digits\n\nWritten by `make mutants`: {} mutations that `mutate -list -seed {seed}` of {yosys} draws from the logic of the digits'\n\
         modules, claims left out: an inverted or constant bit, or one bit that follows another, at a cell's port. Each is given to the\n\
         proof (`snug prove`'s script of its module, {} s; where it fails, a search for a run: {} s, {} s where the simulation\n\
         has failed already) and to the generated testbench in Icarus (8 frames, 4 stall patterns, a reset in mid-frame). What no run\n\
         and no testbench tells from the original is compared with it by induction.\n\n",
        mutants.len(),
        crate::PROOF.as_secs(),
        crate::SEARCH.as_secs(),
        crate::SHORT_SEARCH.as_secs(),
    );
    let _ = writeln!(page, "| module | mutants | {} |", COLUMNS.map(|(_, title)| title).join(" | "));
    let _ = writeln!(page, "|---|---|{}", "---|".repeat(COLUMNS.len()));
    let rows = DRAWN.iter().map(|&(module, _)| (module, Some(module))).chain([("**all**", None)]);
    for (title, module) in rows {
        let of: Vec<&Mutant> = mutants.iter().filter(|m| module.is_none_or(|name| m.module == name)).collect();
        let counts = COLUMNS.map(|(column, _)| of.iter().filter(|m| outcome(m) == column).count().to_string());
        let _ = writeln!(page, "| {title} | {} | {} |", of.len(), counts.join(" | "));
    }
    let caught = |by: &[Outcome], simulation: bool| {
        mutants.iter().filter(|m| by.contains(&outcome(m)) && m.simulation == simulation).count()
    };
    let _ = writeln!(
        page,
        "\n*Refuted*: a run that breaks a claim was found. *Not proved*: induction fails and no run was found in that time, so that\n\
         `snug prove` does not say *proved*. A proof that does not end in time catches nothing here. Proof and simulation both caught\n\
         {}; the proof alone {} ({} by a run, {} not proved).",
        caught(&[Refuted, Unproved], true),
        caught(&[Refuted, UnprovedAlone], false),
        caught(&[Refuted], false),
        caught(&[UnprovedAlone], false)
    );
    for (wanted, title) in LISTED {
        let list: Vec<&Mutant> = mutants.iter().filter(|m| outcome(m) == wanted).collect();
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
