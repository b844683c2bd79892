//! The sweep as independent commands, for an engine that runs them anywhere.

use std::fmt::Write;
use std::path::Path;

use super::Args;
use super::plan::Task;
use crate::Outcome;
use crate::console::Console;
use crate::error::Error;
use crate::files;

/// Writes the workflow of `--workflow snakemake`.
///
/// # Errors
/// If it cannot be written.
pub fn write(args: &Args, tasks: &[Vec<Task>], console: &Console) -> Result<Outcome, Error> {
    let path = args.output_dir.join("Snakefile");
    let text = snakefile(&args.output_dir.display().to_string(), &words(), tasks);
    files::write(&path, |out| std::io::Write::write_all(out, text.as_bytes()))?;
    console.print(format!("{} written: snakemake --cores all --snakefile {0}", path.display()))?;
    Ok(Outcome::Fine)
}

/// The command that makes this sweep, as a shell takes it, and what goes on from there.
pub fn commands(folder: &Path) -> Vec<String> {
    let sweep = words().iter().map(|w| quoted(w)).fold("snug".to_owned(), |all, word| all + " " + &word);
    let prove = format!("snug prove {}", quoted(&folder.join(super::pick::FOLDER).display().to_string()));
    vec![sweep, prove]
}

/// The arguments of this command without those that say which part of the sweep is wanted.
fn words() -> Vec<String> {
    let mut words = Vec::new();
    let mut arguments = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned());
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--workflow" | "--point" => {
                arguments.next();
            }
            w if w.starts_with("--workflow=") || w.starts_with("--point=") => {}
            _ => words.push(word),
        }
    }
    words
}

/// As a POSIX shell takes one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A job for every network, whose output is the result of its first folding (the others come with it); and one that collects them, with the
/// same command as a run without Snakemake: it finds every point measured.
fn snakefile(folder: &str, words: &[String], tasks: &[Vec<Task>]) -> String {
    let arguments: String = words.iter().map(|w| format!(" {}", quoted(w))).collect();
    let file = |name: &str| python(&format!("{folder}/{name}"));
    let mut text = format!(
        "# Written by snug. Every network is a command of its own; run from the folder that paths are relative to:\n\
         #   snakemake --cores all --snakefile {folder}/Snakefile\n\
         # Another snug than that on PATH: --config snug=/path/to/snug\n\n\
         SNUG = config.get(\"snug\", \"snug\")\nSWEEP = {}\nKEYS = {{\n",
        python(&arguments)
    );
    for task in tasks.iter().filter_map(|group| group.first()) {
        let bits = task.what.accumulator.map_or_else(|| "as it came".to_owned(), |p| format!("{p} bits"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    \"{}\",  # {}, {bits}", task.key, task.what.method);
    }
    let _ = write!(
        text,
        "}}\n\nwildcard_constraints:\n    key=\"[0-9a-f]{{64}}\"\n\n\
         rule report:\n    input:\n        expand({points}, key=sorted(KEYS))\n    output:\n        {json}\n    \
         params:\n        snug=SNUG, sweep=SWEEP\n    shell:\n        \"{{params.snug}}{{params.sweep}}\"\n\n\
         rule point:\n    output:\n        {points}\n    params:\n        snug=SNUG, sweep=SWEEP\n    shell:\n        \
         \"{{params.snug}}{{params.sweep}} --point {{wildcards.key}}\"\n",
        // Braces of a path would be wildcards.
        points = python(&format!("{}/points/{{key}}.json", folder.replace('{', "{{").replace('}', "}}"))),
        json = file("results.json"),
    );
    text
}

/// As Python writes a string.
fn python(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn words_of_a_shell() {
        assert_eq!(quoted("a2q+,axe"), "a2q+,axe");
        assert_eq!(quoted("8..=16"), "8..=16");
        assert_eq!(quoted("my model's.onnx"), "'my model'\\''s.onnx'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_snakefile_is_frozen() {
        let task = |method: &str, accumulator, digit: &str| {
            let what = super::super::plan::What { method: method.to_owned(), accumulator };
            vec![Task { what, folding: 0, registers: Default::default(), key: digit.repeat(64) }]
        };
        let words = ["sweep", "m y.onnx", "-o", "out"].map(str::to_owned);
        let text = snakefile("out", &words, &[task("exact", None, "0"), task("a2q+", Some(8), "a")]);
        assert_eq!(text, include_str!("workflow/Snakefile.expected"));
    }
}
