//! Errors of single commands and of batches.

use cqrs_es::AggregateError;
use domain::event_store::StoreError;

use crate::authorization::RequiredAuthority;

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E: std::error::Error + 'static> {
    /// A business rule forbids it; the reason is meant for the caller.
    #[error("the command was rejected")]
    Refused(#[source] E),
    /// The sender lacks the required authority.
    #[error("the command needs more than its sender may")]
    Forbidden {
        /// The authority that the command requires.
        required: RequiredAuthority,
    },
    /// The caller has seen an older version of the aggregate than it has now.
    #[error("the aggregate has changed since: its version is {current}")]
    Outdated {
        /// The version now: the sequence of its last event.
        current: u64,
    },
    /// The idempotency key was used for another command.
    #[error("the idempotency key belongs to another command")]
    KeyReused,
    /// Every attempt met a concurrent change of the aggregate; the caller may try again.
    #[error("the aggregate kept changing while the command was decided")]
    Conflict,
    /// The log is unavailable or holds something that cannot be read; not the caller's fault.
    #[error("handling the command")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl<E: std::error::Error + 'static> From<AggregateError<E>> for CommandError<E> {
    fn from(error: AggregateError<E>) -> Self {
        match error {
            AggregateError::UserError(reason) => Self::Refused(reason),
            AggregateError::AggregateConflict => Self::Conflict,
            AggregateError::DatabaseConnectionError(source)
            | AggregateError::DeserializationError(source)
            | AggregateError::UnexpectedError(source) => Self::Store(source),
        }
    }
}

impl<E: std::error::Error + 'static> From<StoreError> for CommandError<E> {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            StoreError::Unavailable(source) => Self::Store(source),
        }
    }
}

/// Why a batch was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum BatchAppendError {
    /// The log is unavailable or rejected the batch, or others kept writing to the same streams.
    #[error(transparent)]
    Store(StoreError),
    /// An event does not have the shape it should have.
    #[error("reading or writing event {sequence} of {aggregate_id}")]
    Corrupt {
        /// The stream.
        aggregate_id: String,
        /// The event's place in the stream.
        sequence: u64,
        /// What the codec found.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
