//! Errors of projections and of workers.

use domain::error_chain::format_error_chain;

use crate::error::BoxedError;

/// Why events were not applied. The variant decides what the worker does next.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The store or the schema registry is unavailable or failing: the worker retries without limit.
    #[error("reaching the read model's store or the schema registry")]
    Unavailable(#[source] BoxedError),
    /// The store accepts other changes, but not this one: the worker finds the event, parks it and logs an error.
    #[error("the read model's store rejects the change")]
    Rejected(#[source] BoxedError),
    /// The projection cannot interpret the event: the worker parks it, never skips it, and logs an error.
    #[error("the projection cannot interpret the event")]
    Poison(#[source] BoxedError),
}

impl ProjectionError {
    /// Wraps the error of a store that cannot be reached.
    pub fn unavailable(source: impl Into<BoxedError>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Wraps the error of a store that rejects this change while it accepts others.
    pub fn rejected(source: impl Into<BoxedError>) -> Self {
        Self::Rejected(source.into())
    }

    /// Wraps the reason why an event cannot be interpreted.
    pub fn poison(source: impl Into<BoxedError>) -> Self {
        Self::Poison(source.into())
    }
}

/// Whether Postgres rejects a value (SQLSTATE classes 22 and 23), so that it accepts other changes.
pub fn is_rejected_value(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// An error that ends a worker.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The Kafka client rejects the consumer's settings.
    #[error("creating the consumer of projection {projection}")]
    Consumer {
        /// The projection.
        projection: &'static str,
        /// The Kafka client's error.
        #[source]
        source: BoxedError,
    },
    /// The task of a worker panicked or was cancelled: a defect of this program.
    #[error("the worker task of projection {projection} ended unexpectedly")]
    BrokeOff {
        /// The projection.
        projection: String,
        /// How the task ended.
        #[source]
        source: tokio::task::JoinError,
    },
}

/// Maximum length of a message, in characters: some clients list every failed command of a batch.
const MAX_CHAIN_CHARS: usize = 500;

/// An error and its causes on one line, cut after [`MAX_CHAIN_CHARS`] characters.
pub(super) fn format_limited_chain(error: &dyn std::error::Error) -> String {
    let text = format_error_chain(error);
    match text.char_indices().nth(MAX_CHAIN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_is_cut() {
        let text = format_limited_chain(&std::io::Error::other("é".repeat(10_000)));
        assert_eq!(text, format!("{}…", "é".repeat(MAX_CHAIN_CHARS)));
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = ProjectionError::unavailable(std::io::Error::other("connection refused"));
        assert_eq!(
            format_limited_chain(&error),
            "reaching the read model's store or the schema registry: connection refused"
        );
    }
}
