//! Where text goes: results to stdout, notes to stderr, and what `--json`, `-q` and `-v` change about it.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;

use crate::error::Error;

/// The global flags, as every command sees them.
#[derive(Debug)]
pub struct Console {
    /// Results as JSON.
    pub json: bool,
    /// No notes, no progress.
    pub quiet: bool,
    /// Notes even where stderr is no terminal.
    pub verbose: bool,
    closed: Cell<bool>,
    notes: RefCell<Vec<String>>,
}

impl Console {
    /// A console under these flags.
    pub fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        Console { json, quiet, verbose, closed: Cell::new(false), notes: RefCell::default() }
    }

    /// Whether progress and notes are shown.
    pub fn talks(&self) -> bool {
        !self.quiet && (self.verbose || std::io::stderr().is_terminal())
    }

    /// Prints a result. Once the reader has closed the pipe (`| head -1`) what follows is dropped, and the command
    /// goes on: its exit code and the files it writes do not depend on who reads along.
    ///
    /// # Errors
    /// If stdout fails in any other way.
    pub fn print(&self, text: impl Display) -> Result<(), Error> {
        if self.closed.get() {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.closed.set(true);
                Ok(())
            }
            result => result.map_err(Error::Stdout),
        }
    }

    /// Prints a JSON result: `value` (an object) with the key `schema` before and the notes after its own keys.
    ///
    /// # Errors
    /// If stdout fails.
    pub fn print_json(&self, schema: &'static str, value: impl Serialize) -> Result<(), Error> {
        self.print(json(&Document { schema, value, notes: self.notes.borrow().clone() }))
    }

    /// Says on stderr what a person may want to know; kept for [`Console::print_json`] too.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        if self.talks() && !self.json {
            // A note that cannot be written is no reason to stop.
            let _ = writeln!(std::io::stderr(), "note: {text}");
        }
        self.notes.borrow_mut().push(text);
    }
}

#[derive(Serialize)]
struct Document<T> {
    schema: &'static str,
    #[serde(flatten)]
    value: T,
    notes: Vec<String>,
}

/// Pretty JSON. Types of this program serialize without maps of other than string keys, which alone could fail.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"))
}
