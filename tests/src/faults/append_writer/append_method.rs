//! The ways in which writers append.

use crate::faults::seeded_choices::SeededChoices;

/// A way to append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendMethod {
    /// One statement without a transaction block, as typed in psql.
    Autocommit,
    /// The product's own batch append.
    Batch,
    /// The same with hundreds of events, as in imports.
    Import,
    /// A transaction that sleeps between its insert and its commit.
    LateCommit,
    /// A transaction that takes its id, idles, and then appends.
    EarlyXid,
    /// A transaction that appends in several statements.
    Statements,
    /// `COPY`.
    Copy,
    /// Subtransactions, one of them rolled back.
    Savepoints,
    /// A transaction that is rolled back after a while.
    Rollback,
    /// A prepared transaction, committed later.
    PreparedCommit,
    /// A prepared transaction, rolled back later.
    PreparedRollback,
    /// An append that idles in its transaction until its connection is terminated.
    Terminated,
    /// An append whose client disappears without closing the connection.
    Vanished,
}

/// The probability of each, in percent.
const METHOD_WEIGHTS: [(AppendMethod, u64); 13] = [
    (AppendMethod::Autocommit, 19),
    (AppendMethod::Batch, 19),
    (AppendMethod::Import, 2),
    (AppendMethod::LateCommit, 10),
    (AppendMethod::EarlyXid, 8),
    (AppendMethod::Statements, 8),
    (AppendMethod::Copy, 8),
    (AppendMethod::Savepoints, 8),
    (AppendMethod::Rollback, 5),
    (AppendMethod::PreparedCommit, 5),
    (AppendMethod::PreparedRollback, 3),
    (AppendMethod::Terminated, 3),
    (AppendMethod::Vanished, 2),
];

impl AppendMethod {
    /// Chooses one by its weight.
    pub(super) fn random(choices: &mut SeededChoices) -> Self {
        choices.pick_weighted(&METHOD_WEIGHTS)
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Autocommit => "autocommit",
            Self::Batch => "batch",
            Self::Import => "import",
            Self::LateCommit => "late_commit",
            Self::EarlyXid => "early_xid",
            Self::Statements => "statements",
            Self::Copy => "copy",
            Self::Savepoints => "savepoints",
            Self::Rollback => "rollback",
            Self::PreparedCommit => "prepared_commit",
            Self::PreparedRollback => "prepared_rollback",
            Self::Terminated => "terminated",
            Self::Vanished => "vanished",
        }
    }
}
