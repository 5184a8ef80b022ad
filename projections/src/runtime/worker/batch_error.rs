//! Why a batch was not taken in. None of these skips anything: the batch is tried again.

use domain::event_store::StoreError;
use uuid::Uuid;

use crate::{
    error::BoxedError,
    runtime::{ControlError, Generation},
};

/// Why a batch was not taken in.
#[derive(Debug, thiserror::Error)]
pub(in crate::runtime) enum BatchError {
    /// The store or the schema registry is away, full or sick.
    #[error("reaching the read model's store or the schema registry")]
    Store(#[source] BoxedError),
    /// Somebody neither answers nor goes away.
    #[error(
        "a batch was not taken in within {waited_s} s (worker.batch_timeout_ms): Postgres, the read model's store or the \
         schema registry keeps its connection open and does not answer"
    )]
    TimedOut {
        /// How long was waited, in seconds.
        waited_s: f64,
    },
    /// What the runtime keeps in Postgres cannot be read or written.
    #[error("keeping what is taken in")]
    Control(#[from] ControlError),
    /// Events that Kafka no longer has cannot be read from the log.
    #[error("reading events from the log that Kafka does not have")]
    Log(#[source] StoreError),
    /// The broker does not say how many partitions there are.
    #[error("asking the broker for partitions")]
    Kafka(#[source] rdkafka::error::KafkaError),
    /// The store says that it has what it does not show.
    #[error(
        "the store acknowledged {events} events and does not show the last of them, at position {position}: it lost or \
         hides what it acknowledged"
    )]
    Unconfirmed {
        /// How many events the batch has.
        events: usize,
        /// The position of the last one.
        position: u64,
    },
    /// The records belong to another log than this generation.
    #[error(
        "records of log {found} reach generation {generation}, which was made from log {expected}: the log was put \
         back from a backup; `medhub rebuild {projection}` makes a generation of the log as it is now"
    )]
    OtherIncarnation {
        /// The projection.
        projection: &'static str,
        /// Its generation.
        generation: Generation,
        /// The log of the records.
        found: Uuid,
        /// The log of the generation.
        expected: Uuid,
    },
    /// So many streams make trouble that parking more would hide the cause.
    #[error(
        "{parked} streams are parked, the limit is {limit} (worker.parked_sequences_max); `medhub dead-letters` lists \
         them by cause; nothing more is taken in until they are dealt with"
    )]
    TooManyParked {
        /// How many streams are parked, with those that would be.
        parked: u64,
        /// How many may be.
        limit: u32,
    },
}
