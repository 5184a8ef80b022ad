//! The ways in which writers append.

use crate::faults::dice::Dice;

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One statement that commits itself, as typed in psql.
    Autocommit,
    /// The product's own batch append.
    Batch,
    /// The same with hundreds of events, as imports do it.
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
    /// An append that hangs idle in its transaction until its connection is terminated.
    Terminated,
    /// An append whose client vanishes without a word.
    Vanished,
}

/// Each with how often it is chosen among a hundred.
const WAYS: [(Way, u64); 13] = [
    (Way::Autocommit, 19),
    (Way::Batch, 19),
    (Way::Import, 2),
    (Way::LateCommit, 10),
    (Way::EarlyXid, 8),
    (Way::Statements, 8),
    (Way::Copy, 8),
    (Way::Savepoints, 8),
    (Way::Rollback, 5),
    (Way::PreparedCommit, 5),
    (Way::PreparedRollback, 3),
    (Way::Terminated, 3),
    (Way::Vanished, 2),
];

impl Way {
    /// One of them.
    pub(super) fn random(dice: &mut Dice) -> Self {
        dice.weighted(&WAYS)
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
