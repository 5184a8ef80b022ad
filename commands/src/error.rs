//! Errors of single commands and of batches.

use cqrs_es::AggregateError;
use domain::event_store::StoreError;

use crate::authorization::RequiredAuthority;

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E: std::error::Error + 'static> {
    /// A rule of the domain forbids it; the reason is meant for the caller.
    #[error("the command was refused")]
    Refused(#[source] E),
    /// The sender lacks the required authority.
    #[error("the sender lacks the authority that the command requires")]
    Forbidden {
        /// The authority that the command requires.
        required: RequiredAuthority,
    },
    /// The aggregate has a version other than those that the caller expects.
    #[error("the aggregate has changed: its version is now {current}")]
    Outdated {
        /// The current version: the sequence of its last event.
        current: u64,
    },
    /// The idempotency key was used for another command.
    #[error("the idempotency key was used for another command")]
    KeyReused,
    /// Every attempt conflicted with a concurrent change of the aggregate; the caller may try again.
    #[error("every attempt to append conflicted with another command on the aggregate")]
    Conflict,
    /// The log is unavailable or has an event that cannot be read; not the caller's fault.
    #[error("executing the command")]
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
    /// The log is unavailable or rejected the batch, or every attempt conflicted with another writer.
    #[error(transparent)]
    Store(StoreError),
    /// An event cannot be decoded or encoded.
    #[error("decoding or encoding event {sequence} of {aggregate_id}")]
    Corrupt {
        /// The stream.
        aggregate_id: String,
        /// The event's sequence in the stream.
        sequence: u64,
        /// The error of the codec.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
