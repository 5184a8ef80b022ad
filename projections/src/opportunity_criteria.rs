//! Criteria for opportunities that every read model supports.

use chrono::{DateTime, Utc};

/// Criteria for opportunities. Empty fields do not restrict; several values of one field match any of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpportunityCriteria {
    /// Agency codes.
    pub agencies: Vec<String>,
    /// Notice types, as published.
    pub notice_types: Vec<String>,
    /// Prefixes of NAICS codes, e.g. `3391`.
    pub naics: Vec<String>,
    /// Set-aside codes.
    pub set_asides: Vec<String>,
    /// When the current notice was published.
    pub posted: TimeRange,
    /// Response deadline.
    pub deadline: TimeRange,
}

/// A time range; both ends are inclusive, an absent end is unbounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Start, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// End, inclusive.
    pub to: Option<DateTime<Utc>>,
}

impl TimeRange {
    /// Whether both ends are unbounded.
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}
