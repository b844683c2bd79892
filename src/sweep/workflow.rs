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
    let folder = args.output_dir.display().to_string();
    let words: Vec<Word> = words().into_iter().map(|word| Word::of(word, &folder)).collect();
    let text = snakefile(&folder, &words, tasks);
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

/// The arguments of this command without those that say which part of the sweep is wanted, and by how many threads.
fn words() -> Vec<String> {
    let mut words = Vec::new();
    let mut arguments = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned());
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--workflow" | "--point" | "--jobs" => {
                arguments.next();
            }
            w if ["--workflow=", "--point=", "--jobs="].iter().any(|option| w.starts_with(option)) => {}
            _ => words.push(word),
        }
    }
    words
}

/// A word of the command, as the workflow gives it to a job: files and the folder of results go by what the engine calls them, for it may have
/// fetched them from elsewhere.
enum Word {
    Plain(String),
    /// A file that is read, with what stands in front of its name in the word.
    File(&'static str, String),
    /// Where results go, likewise.
    Folder(&'static str),
}

impl Word {
    fn of(word: String, folder: &str) -> Self {
        if word == folder {
            return Word::Folder("");
        }
        if Path::new(&word).is_file() {
            return Word::File("", word);
        }
        for option in ["--output-dir=", "-o"] {
            if word.strip_prefix(option) == Some(folder) {
                return Word::Folder(option);
            }
        }
        for option in ["--inputs=", "--labels=", "--calibration=", "--folding=", "--foldings="] {
            if let Some(file) = word.strip_prefix(option).filter(|file| Path::new(file).is_file()) {
                return Word::File(option, file.to_owned());
            }
        }
        Word::Plain(word)
    }
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
/// same command as a run without Snakemake: it finds every point measured. The files that the command reads are inputs of all jobs.
fn snakefile(folder: &str, words: &[Word], tasks: &[Vec<Task>]) -> String {
    let mut files: Vec<&str> = Vec::new();
    let mut arguments = String::new();
    for word in words {
        arguments += &match word {
            // Braces would be names of Snakemake's.
            Word::Plain(word) => format!(" {}", quoted(word).replace('{', "{{").replace('}', "}}")),
            Word::Folder(option) => format!(" {option}{{params.folder:q}}"),
            Word::File(option, file) => {
                files.push(file);
                format!(" {option}{{input.f{}:q}}", files.len() - 1)
            }
        };
    }
    let inputs: Vec<String> = files.iter().enumerate().map(|(i, f)| format!("f{i}={}", python(f))).collect();
    let point_inputs =
        if inputs.is_empty() { String::new() } else { format!("    input:\n        {}\n", inputs.join(",\n        ")) };
    let report_inputs: String = inputs.iter().map(|i| format!(",\n        {i}")).collect();
    let file = |name: &str| python(&format!("{folder}/{name}"));
    let mut text = format!(
        "# Written by snug. Every network is a command of its own; run from the folder that paths are relative to:\n\
         #   snakemake --cores all --snakefile {folder}/Snakefile\n\
         # Another snug than that on PATH: --config snug=/path/to/snug; more processors for a job than one: --config threads=N\n\n\
         import os\n\nSNUG = config.get(\"snug\", \"snug\")\nTHREADS = int(config.get(\"threads\", 1))\nKEYS = {{\n",
    );
    for task in tasks.iter().filter_map(|group| group.first()) {
        let bits = task.what.accumulator.map_or_else(|| "as it came".to_owned(), |p| format!("{p} bits"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    \"{}\",  # {}, {bits}", task.key, task.what.method);
    }
    let _ = write!(
        text,
        "}}\n\nwildcard_constraints:\n    key=\"[0-9a-f]{{64}}\"\n\n\
         rule report:\n    input:\n        points=expand({points}, key=sorted(KEYS)){report_inputs}\n    output:\n        results={json},\n        \
         table={csv},\n        page={page}\n    params:\n        snug=SNUG,\n        folder=lambda wildcards, output: os.path.dirname(output.results) or \".\"\n    \
         threads: THREADS\n    shell:\n        {report}\n\n\
         rule point:\n{point_inputs}    output:\n        {points}\n    params:\n        snug=SNUG,\n        \
         folder=lambda wildcards, output: os.path.dirname(os.path.dirname(output[0])) or \".\"\n    threads: THREADS\n    shell:\n        {point}\n",
        // Braces of a path would be wildcards.
        points = python(&format!("{}/points/{{key}}.json", folder.replace('{', "{{").replace('}', "}}"))),
        json = file("results.json"),
        csv = file("results.csv"),
        page = file("report.html"),
        report = python(&format!("{{params.snug:q}}{arguments} --jobs {{threads}}")),
        point = python(&format!("{{params.snug:q}}{arguments} --jobs {{threads}} --point {{wildcards.key}}")),
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
        let words = [
            Word::Plain("sweep".to_owned()),
            Word::File("", "m y.onnx".to_owned()),
            Word::Plain("{".to_owned()),
            Word::File("--inputs=", "x.npy".to_owned()),
            Word::Plain("-o".to_owned()),
            Word::Folder(""),
        ];
        let text = snakefile("out", &words, &[task("exact", None, "0"), task("a2q+", Some(8), "a")]);
        assert_eq!(text, include_str!("workflow/Snakefile.expected"));
    }
}
