//! `snug`: quantized neural networks become FPGA accelerators whose accumulators are exactly wide enough.
//!
//! This package is the command line: it reads files, calls the crates that know numbers and hardware, and renders what
//! they say. Results go to stdout, everything else to stderr; `--json` makes both machine-readable.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod check;
mod codes;
mod compare;
mod console;
mod data;
mod demo;
mod diagnostic;
mod doctor;
mod error;
mod files;
mod folding;
mod generate;
mod inputs;
mod inspect;
mod model;
mod output_dir;
mod progress;
mod prove;
mod quantize;
mod simulate;
mod suggest;
mod sweep;
mod synth;
mod train;

use console::Console;
use diagnostic::Report;
use error::Error;

/// Quantized neural networks become FPGA accelerators whose every accumulator is exactly as wide as it must be.
#[derive(Debug, Parser)]
#[command(name = "snug", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print results, and errors, as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print notes even where stderr is no terminal
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Threads to use; all processors without it
    #[arg(long, global = true, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Args),
    Check(check::Args),
    Compare(compare::Args),
    Generate(generate::Args),
    Quantize(quantize::Args),
    Train(train::Args),
    Simulate(simulate::Args),
    Prove(prove::Args),
    Synth(synth::Args),
    Sweep(Box<sweep::Args>),
    Demo(demo::Args),
    Doctor(doctor::Args),
    /// Print a shell completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// What a command that went through found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Fine,
    /// A check failed: exit code 1.
    Failed,
    /// A tool could not decide: exit code 3.
    Undecided,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return wrong_usage(&e),
    };
    let console = Console::new(cli.json, cli.quiet, cli.verbose);
    if let Some(jobs) = cli.jobs {
        // Fails only where the pool is built already, and nothing has used it yet.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(jobs.get()).build_global();
    }
    match run(cli.command, &console) {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::Undecided) => ExitCode::from(diagnostic::TOOL),
        Err(e) => {
            let report = Report::from(&e);
            show(&report, &console);
            report.exit_code()
        }
    }
}

fn run(command: Command, console: &Console) -> Result<Outcome, Error> {
    match command {
        Command::Inspect(args) => inspect::run(&args, console),
        Command::Check(args) => check::run(&args, console),
        Command::Train(args) => train::run(&args, console),
        Command::Prove(args) => prove::run(&args, console),
        Command::Synth(args) => synth::run(&args, console),
        Command::Sweep(args) => sweep::run(&args, console),
        Command::Demo(args) => demo::run(&args, console),
        Command::Doctor(args) => doctor::run(&args, console),
        Command::Compare(args) => compare::run(&args, console),
        Command::Generate(args) => generate::run(&args, console),
        Command::Quantize(args) => quantize::run(&args, console),
        Command::Simulate(args) => simulate::run(&args, console),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "snug", &mut script);
            console.print(String::from_utf8_lossy(&script).trim_end())?;
            Ok(Outcome::Fine)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(Error::Stdout)?;
            console.print(String::from_utf8_lossy(&page).trim_end())?;
            Ok(Outcome::Fine)
        }
    }
}

/// Errors are results for a program that asked for JSON, and go to stderr for a person.
fn show(report: &Report, console: &Console) {
    if console.json {
        // If stdout fails too there is nobody left to tell.
        let _ = console.print(report.json());
    } else {
        use std::io::Write;
        let _ = write!(std::io::stderr(), "{}", report.text());
    }
}

/// Help and version are no errors; everything else is wrong usage.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|a| a == "--json") {
        let report = Report::usage(error.render().to_string().trim());
        show(&report, &Console::new(true, false, false));
        return report.exit_code();
    }
    // A closed pipe is no reason to complain.
    let _ = error.print();
    ExitCode::from(error.exit_code().clamp(0, 2) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
