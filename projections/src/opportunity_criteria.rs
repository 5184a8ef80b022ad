//! Which opportunities a reader wants, in words that every read model understands.

use chrono::{DateTime, Utc};

/// A choice of opportunities. Empty parts do not restrict; several values of one part mean any of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpportunityCriteria {
    /// Agency codes.
    pub agencies: Vec<String>,
    /// Notice types, as published.
    pub notice_types: Vec<String>,
    /// Beginnings of NAICS codes, e.g. `3391`.
    pub naics: Vec<String>,
    /// Set-aside codes.
    pub set_asides: Vec<String>,
    /// When the current notice was published.
    pub posted: TimeRange,
    /// Until when responses are taken.
    pub deadline: TimeRange,
}

/// A span of time; both ends belong to it, an absent end is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Its start.
    pub from: Option<DateTime<Utc>>,
    /// Its end.
    pub to: Option<DateTime<Utc>>,
}

impl TimeRange {
    /// Whether it restricts nothing.
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}
