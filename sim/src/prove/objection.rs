//! Why a check of the printed netlist does not go through.

use std::fmt;

/// What a check by parts says against a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It is not built in the way that the check can follow: nothing is known of it.
    Unread(String),
    /// It was followed, and is not what it should be.
    Wrong(String),
}

impl Objection {
    /// The same, with words in front.
    #[must_use]
    pub fn of(self, what: &str) -> Self {
        match self {
            Objection::Unread(why) => Objection::Unread(format!("{what}: {why}")),
            Objection::Wrong(why) => Objection::Wrong(format!("{what}: {why}")),
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Objection::Unread(why) | Objection::Wrong(why)) = self;
        f.write_str(why)
    }
}

// What a reader of the text complains of: it did not come to an end.
impl From<String> for Objection {
    fn from(why: String) -> Self {
        Objection::Unread(why)
    }
}

impl From<&str> for Objection {
    fn from(why: &str) -> Self {
        Objection::Unread(why.to_owned())
    }
}
