//! The outcomes of appends as their writers saw them; the audit compares the log with them.

use std::collections::BTreeMap;

use serde::Serialize;

/// How an append ended, as its writer saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppendOutcome {
    /// Postgres acknowledged the commit.
    Committed,
    /// It never committed: rolled back, refused, or cut off before its commit was sent.
    RolledBack,
    /// The connection broke during the commit: the log holds the whole append or nothing of it.
    Unknown,
}

/// One transaction that appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its name: the correlation id of all its events.
    pub id: String,
    /// How it was done, as reports name it.
    pub method: &'static str,
    /// How it ended.
    pub outcome: AppendOutcome,
    /// Marks (causation ids) of the events that a commit keeps.
    pub event_marks: Vec<String>,
    /// Marks of events that were rolled back within the transaction, whatever its outcome.
    pub rolled_back_marks: Vec<String>,
}

/// The number of appends by method and outcome.
pub fn count_outcomes(ledger: &[LedgerEntry]) -> BTreeMap<&'static str, BTreeMap<AppendOutcome, usize>> {
    let mut counts = BTreeMap::<_, BTreeMap<_, _>>::new();
    for append in ledger {
        *counts.entry(append.method).or_default().entry(append.outcome).or_insert(0) += 1;
    }
    counts
}
