//! Errors of applying a batch. None of them skips an event: the batch is retried.

use domain::event_store::StoreError;
use uuid::Uuid;

use crate::{
    error::BoxedError,
    runtime::{ControlError, ProjectionError, ReadModelGeneration},
};

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub(in crate::runtime) enum BatchError {
    /// The store or the schema registry is unavailable, full or failing.
    #[error("reaching the read model's store or the schema registry")]
    Store(#[source] BoxedError),
    /// The batch took longer than its timeout.
    #[error(
        "a batch was not applied within {waited_s} s (worker.batch_timeout_ms): Postgres, the read model's store or \
         the schema registry keeps its connection open and does not answer"
    )]
    TimedOut {
        /// The timeout, in seconds.
        waited_s: f64,
    },
    /// The runtime's tables in Postgres cannot be read or written.
    #[error("reading or writing checkpoints and dead letters")]
    Control(#[from] ControlError),
    /// Events that Kafka no longer has cannot be read from the log.
    #[error("reading events from the log that are missing in Kafka")]
    Log(#[source] StoreError),
    /// The broker does not return the partition counts.
    #[error("fetching partition counts from the broker")]
    Kafka(#[source] rdkafka::error::KafkaError),
    /// The store acknowledged a write that it does not return.
    #[error(
        "the store acknowledged {events} events and does not return the last of them, at position {position}: it lost \
         or hides an acknowledged write"
    )]
    Unconfirmed { events: usize, position: u64 },
    /// The records belong to another log than this generation.
    #[error(
        "records of log {found} reach generation {generation}, which was built from log {expected}: the log was \
         restored from a backup; `medhub rebuild {projection}` builds a generation from the restored log"
    )]
    OtherIncarnation {
        projection: &'static str,
        generation: ReadModelGeneration,
        /// Incarnation of the records' log.
        found: Uuid,
        /// Incarnation of the generation's log.
        expected: Uuid,
    },
    /// The batch would exceed the limit of parked streams; more of them would hide their common cause.
    #[error(
        "{parked} streams are parked, the limit is {limit} (worker.parked_streams_max); `medhub dead-letters` lists \
         them by cause; no more events are applied until they are redriven or dropped"
    )]
    TooManyParked {
        /// Parked streams, including this batch's.
        parked: u64,
        limit: u32,
    },
}

impl BatchError {
    /// The error of decoding a record, which fails when the registry does not answer.
    pub(super) fn from_decode_error(error: ProjectionError) -> Self {
        match error {
            ProjectionError::Unavailable(source)
            | ProjectionError::Rejected(source)
            | ProjectionError::Poison(source) => Self::Store(source),
        }
    }
}
