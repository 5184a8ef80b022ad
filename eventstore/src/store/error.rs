//! How an append or a load fails, so that everybody in its group can be told.

use std::sync::Arc;

use cqrs_es::AggregateError;
use domain::upcast::UpcastError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::append::is_conflict;

/// Why events were not appended, or why nobody knows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Another writer was faster on this stream; nothing was appended.
    #[error("another writer was faster")]
    Conflict,
    /// The database could not be reached; nothing was appended.
    #[error("reaching the event store; nothing was appended")]
    Unreachable(#[source] Arc<sqlx::Error>),
    /// The database refused; nothing was appended.
    #[error("appending events; nothing was appended")]
    Refused(#[source] Arc<sqlx::Error>),
    /// The answer was lost: the events may be on record or not. Loading the stream again tells; repeating the append
    /// as it was cannot append twice, because the places in the stream are unique.
    #[error("appending events: the answer was lost, they may be on record or not")]
    OutcomeUnknown(#[source] Arc<sqlx::Error>),
    /// The task that appends broke off: a defect of this program.
    #[error("appending events: the task broke off, they may be on record or not")]
    TaskFailed,
    /// An event has no form in JSON.
    #[error("writing an event as JSON; nothing was appended")]
    Unserializable(#[source] Arc<serde_json::Error>),
}

impl AppendError {
    /// What the end of the statement means for its events.
    pub(super) fn from_statement_error(error: sqlx::Error) -> Self {
        match as_postgres_error(&error) {
            Some(refusal) if is_conflict(refusal) => Self::Conflict,
            // Postgres rolls back and says so; only a dying backend may have committed before its last words.
            Some(refusal) if refusal.severity() == PgSeverity::Error => Self::Refused(Arc::new(error)),
            _ => Self::OutcomeUnknown(Arc::new(error)),
        }
    }

    /// Whether it may be the fault of a single member of a group: of its place in the stream, of its data, or of a
    /// transaction that holds its stream.
    pub(super) fn may_concern_one_member(&self) -> bool {
        match self {
            Self::Conflict => true,
            Self::Refused(error) => as_postgres_error(error).is_some_and(is_row_error),
            Self::Unreachable(_) | Self::OutcomeUnknown(_) | Self::TaskFailed | Self::Unserializable(_) => false,
        }
    }
}

/// Classes of refusals that are about the rows of a statement: data, constraints, rollbacks, locks not given in time.
fn is_row_error(refusal: &PgDatabaseError) -> bool {
    let code = refusal.code();
    ["22", "23", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}

fn as_postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|error| error.try_downcast_ref())
}

impl<E: std::error::Error> From<AppendError> for AggregateError<E> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::AggregateConflict,
            AppendError::Unreachable(_) | AppendError::Refused(_) => Self::DatabaseConnectionError(error.into()),
            AppendError::OutcomeUnknown(_) | AppendError::TaskFailed | AppendError::Unserializable(_) => {
                Self::UnexpectedError(error.into())
            }
        }
    }
}

/// Why a stream cannot be loaded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The database is away or refused.
    #[error("loading a stream")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// An event does not have the shape that its name and version promise.
    #[error(
        "decoding {event_type} {event_version} of {aggregate_type} {aggregate_id}, sequence {sequence}, position \
         {position}"
    )]
    Undecodable {
        /// The kind of aggregate.
        aggregate_type: &'static str,
        /// The stream.
        aggregate_id: String,
        /// The event's place in the stream.
        sequence: u64,
        /// Its place in the log.
        position: u64,
        /// Its name.
        event_type: String,
        /// The version of its shape.
        event_version: String,
        /// What the decoder found.
        #[source]
        source: Arc<UpcastError>,
    },
    /// The task that loads broke off: a defect of this program.
    #[error("loading a stream: the task broke off")]
    TaskFailed,
}

impl LoadError {
    /// Whether another connection may help, as after a restart of the server.
    pub(super) fn is_connection_lost(error: &sqlx::Error) -> bool {
        as_postgres_error(error).is_none_or(|refusal| refusal.severity() != PgSeverity::Error)
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
