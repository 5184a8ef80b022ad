//! What the end of a commit means.

use crate::faults::append_ledger::AppendOutcome;

/// The outcome of what commits by itself, or of a commit.
pub(super) fn outcome_of<T>(result: Result<T, sqlx::Error>) -> AppendOutcome {
    result.map_or_else(|error| settle(&error), |_| AppendOutcome::Committed)
}

/// What a failed commit means: a refusal is a rollback, a broken connection leaves it open.
pub(super) fn settle(error: &sqlx::Error) -> AppendOutcome {
    if refused(error) && !gave_up(error) { AppendOutcome::RolledBack } else { AppendOutcome::Unknown }
}

/// Whether the server said no, or was never asked.
fn refused(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}

/// 57P01 to 57P05: the server gave up this connection, perhaps after the commit.
fn gave_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("57P"))
}
