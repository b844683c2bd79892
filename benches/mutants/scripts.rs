//! The Yosys scripts of a mutant.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sim::prove::script::Job;

/// Selects what of the mutated module is logic and not claims, as `logic`: all that its outputs, and the inputs of the modules cut
/// from it, depend on.
fn logic(job: &Job) -> String {
    let wire = |pattern: &str| format!("{}/{pattern}", target(job));
    let ends = ["w:fold", "w:x_reg", "w:sum_valid", "w:sum_first", "w:channel*"].map(wire).join(" ");
    format!("select -set seen {} {} %d {ends}\nselect -set logic @seen %ci* t:* %i\n", wire("o:*"), wire("o:f_*"))
}

/// The module that is mutated.
fn target(job: &Job) -> &str {
    if fixed(job) { "$paramod*" } else { &job.module }
}

/// The steps of a job: reading up to `proc`, what is cut after `flatten`, the rest.
fn steps(job: &Job) -> (&str, &str, &str) {
    let (read, rest) = job.prepare().split_once("flatten\n").unwrap();
    let (cut, rest) = rest.split_once("opt_clean\n").unwrap();
    (read, cut, rest)
}

/// A fixed module is mutated in itself, not among the claims that stand for it.
fn fixed(job: &Job) -> bool {
    job.module.ends_with("_claims")
}

/// The design up to the place where it is mutated; what is mutated is the current module.
pub fn design(job: &Job) -> String {
    let (read, _, _) = steps(job);
    format!("{read}{}opt_clean\n", if fixed(job) { "" } else { "flatten\n" })
}

/// What follows the mutation: the claims' own modules dissolved, and what other jobs prove cut.
pub fn cut(job: &Job) -> String {
    format!("{}{}", if fixed(job) { "flatten\n" } else { "" }, steps(job).1)
}

/// Lists `count` mutations in the file `list`.
pub fn draw(job: &Job, count: usize, seed: u32, list: &Path) -> String {
    format!("{}{}mutate -list {count} -seed {seed} -o {} @logic\n", design(job), logic(job), list.display())
}

/// The mutated design, flat, with its claims.
fn mutated(job: &Job, mutation: &str) -> String {
    let mut script = format!("{}mutate {mutation}\n", design(job));
    if fixed(job) {
        let _ = writeln!(script, "flatten\nopt_clean");
    }
    script
}

/// Writes the mutant without its claims to `written`.
pub fn write(job: &Job, mutation: &str, written: &Path) -> String {
    format!(
        "{}mutate {mutation}\ndelete t:$assert t:$assume t:$anyconst t:$anyseq\nopt_clean -purge\nselect {}\n\
         write_verilog -noattr -selected {}\n",
        design(job),
        target(job),
        written.display()
    )
}

/// The induction of `snug prove`, on the mutant.
pub fn proof(job: &Job, mutation: &str) -> String {
    let (_, cut, rest) = steps(job);
    format!("{}{cut}opt_clean\n{rest}{}", mutated(job, mutation), job.induction(false))
}

/// Searches a run that breaks a claim.
pub fn search(job: &Job, mutation: &str) -> String {
    let (_, cut, rest) = steps(job);
    let search = job.search("/dev/null");
    format!("{}{cut}opt_clean\n{rest}{}\n", mutated(job, mutation), search.lines().last().unwrap())
}

/// The file that the mutant takes the place of, and the mutant's text under the name of the original.
pub fn module_file(job: &Job, texts: &BTreeMap<String, String>, written: &str) -> (String, String) {
    let find = |module: &str| texts.keys().find(|f| f.ends_with(&format!("/{module}.v"))).unwrap().clone();
    if !fixed(job) {
        return (find(&job.module), written.to_owned());
    }
    // An instance in the top gives the fixed module parameters; the mutant is what they made of it.
    let (before, after) = written.split_once("module \\$paramod").unwrap();
    let (name, rest) = after.split_once('(').unwrap();
    let (path, original) = texts
        .iter()
        .find(|(path, _)| {
            let module = path.rsplit('/').next().unwrap().trim_end_matches(".v");
            name.trim().ends_with(&format!("\\{module}"))
        })
        .unwrap();
    let module = path.rsplit('/').next().unwrap().trim_end_matches(".v");
    let parameters: Vec<String> = original
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("parameter "))
        .filter_map(|line| line.split('=').next()?.split_whitespace().last())
        .map(|name| format!("parameter {name} = 0"))
        .collect();
    (path.clone(), format!("{before}module {module} #({}) ({rest}", parameters.join(", ")))
}
