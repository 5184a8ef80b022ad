//! Errors of appends and loads. They are cheap to clone, since every member of a group gets a copy.

use std::sync::Arc;

use cqrs_es::AggregateError;
use domain::upcast::UpcastError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::append::is_conflict;

/// Why events were not appended, or why the outcome is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Another writer appended to this stream first; nothing was appended.
    #[error("another writer appended to the stream first")]
    Conflict,
    /// The database could not be reached; nothing was appended.
    #[error("reaching the event store; nothing was appended")]
    Unreachable(#[source] Arc<sqlx::Error>),
    /// The database rejected the statement; nothing was appended.
    #[error("appending events; nothing was appended")]
    Rejected(#[source] Arc<sqlx::Error>),
    /// The answer was lost: the events may or may not be recorded. Loading the stream again shows which. Repeating the
    /// same append cannot record them twice, because sequences are unique within the stream.
    #[error("appending events: the answer was lost, the events may or may not be recorded")]
    OutcomeUnknown(#[source] Arc<sqlx::Error>),
    /// The task that appends ended without an answer: a defect of this program.
    #[error("appending events: the task failed, the events may or may not be recorded")]
    TaskFailed,
    /// An event cannot be serialized as JSON; nothing was appended.
    #[error("serializing an event as JSON; nothing was appended")]
    Unserializable(#[source] Arc<serde_json::Error>),
}

impl AppendError {
    /// Classifies the error of an append statement by what it means for the events.
    pub(super) fn from_statement_error(error: sqlx::Error) -> Self {
        match as_postgres_error(&error) {
            Some(reported) if is_conflict(reported) => Self::Conflict,
            // Severity ERROR means that the statement was rolled back. A server process that terminates (FATAL) may
            // have committed before it reports the error.
            Some(reported) if reported.severity() == PgSeverity::Error => Self::Rejected(Arc::new(error)),
            _ => Self::OutcomeUnknown(Arc::new(error)),
        }
    }

    /// Whether a single member of a group may be the cause: by its sequence, its data, or another transaction that
    /// holds a lock on its stream.
    pub(super) fn may_concern_one_member(&self) -> bool {
        match self {
            Self::Conflict => true,
            Self::Rejected(error) => as_postgres_error(error).is_some_and(is_row_error),
            Self::Unreachable(_) | Self::OutcomeUnknown(_) | Self::TaskFailed | Self::Unserializable(_) => false,
        }
    }
}

/// Whether the error concerns rows of the statement: data, constraints, rollbacks, lock time-outs.
fn is_row_error(error: &PgDatabaseError) -> bool {
    let code = error.code();
    ["22", "23", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}

fn as_postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|error| error.try_downcast_ref())
}

impl<E: std::error::Error> From<AppendError> for AggregateError<E> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::AggregateConflict,
            AppendError::Unreachable(_) | AppendError::Rejected(_) => Self::DatabaseConnectionError(error.into()),
            AppendError::OutcomeUnknown(_) | AppendError::TaskFailed | AppendError::Unserializable(_) => {
                Self::UnexpectedError(error.into())
            }
        }
    }
}

/// Why a stream was not loaded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The database is unavailable or refused the statement.
    #[error("loading a stream")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// An event does not match the schema of its type and version.
    #[error(
        "decoding {event_type} {event_version} of {aggregate_type} {aggregate_id}, sequence {sequence}, position \
         {position}"
    )]
    Undecodable {
        /// Aggregate type of the stream.
        aggregate_type: &'static str,
        /// Aggregate id of the stream.
        aggregate_id: String,
        /// The event's sequence in the stream.
        sequence: u64,
        /// The event's position in the log.
        position: u64,
        /// The event's type.
        event_type: String,
        /// The event's schema version.
        event_version: String,
        /// The cause.
        #[source]
        source: Arc<UpcastError>,
    },
    /// The task that loads ended without an answer: a defect of this program.
    #[error("loading a stream: the task failed")]
    TaskFailed,
}

impl LoadError {
    /// Whether the load may succeed on another connection, as after a restart of the server.
    pub(super) fn is_connection_lost(error: &sqlx::Error) -> bool {
        as_postgres_error(error).is_none_or(|reported| reported.severity() != PgSeverity::Error)
    }
}

impl<E: std::error::Error> From<LoadError> for AggregateError<E> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unavailable(_) => Self::DatabaseConnectionError(error.into()),
            LoadError::Undecodable { .. } => Self::DeserializationError(error.into()),
            LoadError::TaskFailed => Self::UnexpectedError(error.into()),
        }
    }
}
