//! Derives an append's outcome from the result of its commit.

use crate::faults::append_ledger::AppendOutcome;

/// The outcome of a commit, or of a statement that commits by itself.
pub(super) fn classify_commit<T>(result: Result<T, sqlx::Error>) -> AppendOutcome {
    result.map_or_else(|error| classify_error(&error), |_| AppendOutcome::Committed)
}

/// The outcome of a failed commit: a refusal is a rollback, a broken connection leaves the outcome unknown.
pub(super) fn classify_error(error: &sqlx::Error) -> AppendOutcome {
    if is_refusal(error) && !is_shutdown(error) { AppendOutcome::RolledBack } else { AppendOutcome::Unknown }
}

/// Whether the server refused, or was never reached.
fn is_refusal(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}

/// Codes 57P01 to 57P05: the server ended this connection, perhaps after the commit.
fn is_shutdown(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("57P"))
}
