//! Progress on stderr, where somebody watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::console::Console;

/// A spinner that says what takes time. It draws nothing unless stderr is a terminal, and is gone when dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Starts saying `what`.
    pub fn start(console: &Console, what: impl Into<String>) -> Self {
        // indicatif draws only on a terminal; quiet is ours to honour.
        let bar = if console.quiet || console.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        // The template is a constant that the tests below try.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
            bar.set_style(style);
        }
        bar.set_message(what.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// Says something else.
    pub fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").is_ok());
    }
}
