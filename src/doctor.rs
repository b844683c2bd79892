//! `snug doctor`: the tools found, their versions, the range tested, what each enables.

use std::path::PathBuf;

use serde::Serialize;
use sim::tools::{self, Found, Standing, Tool, ToolError};

use crate::Outcome;
use crate::console::Console;
use crate::error::Error;

/// Show which outside tools were found, and what each enables
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Report {
    tools: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    tool: &'static str,
    found: bool,
    version: Option<String>,
    path: Option<PathBuf>,
    /// The environment variable that chose it.
    chosen_by: Option<&'static str>,
    /// Oldest and newest version tested; null where none was.
    tested: Option<[String; 2]>,
    standing: Option<Standing>,
    enables: &'static str,
    problem: Option<String>,
    advice: Option<String>,
}

/// Runs the command. A missing tool is a finding, not an error: snug's own engines need none.
///
/// # Errors
/// If stdout cannot be written.
pub fn run(_: &Args, console: &Console) -> Result<Outcome, Error> {
    let report = Report { tools: tools::doctor().into_iter().map(|(tool, found)| line(tool, found)).collect() };
    if console.json {
        console.print_json("snug.doctor/1", &report)?;
    } else {
        console.print(text(&report))?;
    }
    Ok(Outcome::Fine)
}

fn line(tool: Tool, found: Result<Found, ToolError>) -> Line {
    let mut line = Line {
        tool: tool.program(),
        found: found.is_ok(),
        version: None,
        path: None,
        chosen_by: None,
        tested: tool.tested().map(|(a, b)| [tool.write_version(a), tool.write_version(b)]),
        standing: None,
        enables: tool.enables(),
        problem: None,
        advice: None,
    };
    match found {
        Ok(found) => {
            line.standing = Some(found.standing());
            line.version = Some(found.banner);
            line.path = Some(found.path);
            line.chosen_by = found.chosen_by;
        }
        Err(e) => (line.problem, line.advice) = (Some(e.to_string()), e.advice()),
    }
    line
}

fn text(report: &Report) -> String {
    let mut lines = vec!["inspect, check, compare, generate and the golden and cycle engines need no tool.".to_owned()];
    for l in &report.tools {
        lines.push(String::new());
        lines.push(format!("{:14}{}", l.tool, l.version.as_deref().unwrap_or("not found")));
        let mut more = |label: &str, text: &str| lines.push(format!("{:14}{label}: {text}", ""));
        if let Some(path) = &l.path {
            let by = l.chosen_by.map_or(String::new(), |v| format!(" (by {v})"));
            more("path", &format!("{}{by}", path.display()));
        }
        let range = match &l.tested {
            None => "no version".to_owned(),
            Some([oldest, newest]) if oldest == newest => oldest.clone(),
            Some([oldest, newest]) => format!("{oldest} to {newest}"),
        };
        let standing = match l.standing {
            Some(Standing::Newer) => ", this one is newer and expected to work",
            Some(Standing::Older) => ", this one is older and may not work",
            Some(Standing::Unknown) => ", whether this one works is not known",
            Some(Standing::Tested) | None => "",
        };
        more("tested", &format!("{range}{standing}"));
        more("enables", l.enables);
        if let Some(problem) = l.problem.as_ref().filter(|_| l.advice.is_none()) {
            more("problem", problem);
        }
        if let Some(advice) = &l.advice {
            more("get it by", advice);
        }
    }
    lines.join("\n")
}
