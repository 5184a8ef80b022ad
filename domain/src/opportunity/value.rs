//! The words that notices are made of; each checks itself when made, not when read back from an event.

mod award;
mod code;
mod notice;

pub use self::{
    award::{Award, Cents},
    code::{Naics, NoticeId, NoticeType, SetAside},
    notice::{Facts, Notice, NoticeSource, Place},
};

/// A value that cannot be what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// Which value.
        what: &'static str,
    },
    /// More was given than is stored.
    #[error("{what} is longer than {max} characters")]
    TooLong {
        /// Which value.
        what: &'static str,
        /// The limit in characters.
        max: usize,
    },
    /// It has another form.
    #[error("{what} {value:?} is not {expected}")]
    Malformed {
        /// Which value.
        what: &'static str,
        /// What was given, cut short.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl InvalidValue {
    /// A value of the wrong form; quotes at most 60 characters of it.
    pub fn malformed(what: &'static str, value: &str, expected: &'static str) -> Self {
        Self::Malformed { what, value: value.chars().take(60).collect(), expected }
    }
}
