//! What can go wrong between the log and Kafka.

use std::fmt::Display;

use crate::reader::{CopyError, LiteralError, RowError};

/// A failure of the log or the relay, named by what was being done.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Postgres did not do what it was asked.
    #[error("{doing} in Postgres")]
    Postgres {
        /// What was asked.
        doing: &'static str,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// The database's schema could not be brought up to date.
    #[error("migrating the Postgres schema")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Kafka did not do what it was asked.
    #[error("{doing} on Kafka")]
    Kafka {
        /// What was asked.
        doing: &'static str,
        /// Why not.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// A topic does not look as it is configured.
    #[error("topic {topic} has {found} partitions, {expected} are configured; change the configuration or the topic")]
    Partitions {
        /// Which topic.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A topic could not be made.
    #[error("creating topic {topic}: {reason}")]
    Topic {
        /// Which topic.
        topic: String,
        /// What the broker said.
        reason: String,
    },
    /// Kafka holds positions that this log has never given out.
    #[error(
        "topic {topic} partition {partition} holds position {found}, but the log ends at {log_end}: the topics carry \
         another log; use another topic prefix, or empty the topics"
    )]
    ForeignTopic {
        /// Which topic.
        topic: String,
        /// Which partition.
        partition: i32,
        /// The position of its last record.
        found: u64,
        /// The last position this log has given out.
        log_end: u64,
    },
    /// The checkpoint was written for another log.
    #[error(
        "the relay's checkpoint belongs to log {checkpoint}, this is log {log}: the database was restored; delete the \
         row of relay_checkpoints to publish this log from its start"
    )]
    ForeignCheckpoint {
        /// The incarnation in the checkpoint.
        checkpoint: uuid::Uuid,
        /// The incarnation of the log.
        log: uuid::Uuid,
    },
    /// The last record of a partition did not arrive in time.
    #[error("reading the last record of {topic} partition {partition}: nothing arrived in {waited_s} s")]
    NoTail {
        /// Which topic.
        topic: String,
        /// Which partition.
        partition: i32,
        /// How long was waited, in seconds.
        waited_s: u64,
    },
    /// Postgres sent something else than a copy of the log.
    #[error("reading the copy of the log that Postgres sends")]
    Copy(#[source] CopyError),
    /// An event of the log has a shape that no event has.
    #[error("reading the event at position {} (event {})", known(position.as_ref()), known(event_id.as_ref()))]
    Unreadable {
        /// Where in the log, if that can be read.
        position: Option<u64>,
        /// Which event, if that can be read.
        event_id: Option<uuid::Uuid>,
        /// What is wrong with it.
        #[source]
        source: RowError,
    },
    /// A filter holds a value that Postgres has no literal for.
    #[error("putting the filter into SQL")]
    Filter(#[source] LiteralError),
    /// An event of an aggregate type that no context owns; it would never reach a topic.
    #[error("event at position {position} has the unknown aggregate type {aggregate_type:?}")]
    UnknownAggregate {
        /// Where in the log.
        position: u64,
        /// The type nobody registered.
        aggregate_type: String,
    },
}

fn known(value: Option<&impl Display>) -> String {
    value.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// For `map_err`: names what was being asked of Postgres.
pub(crate) fn postgres(doing: &'static str) -> impl FnOnce(sqlx::Error) -> LogError {
    move |source| LogError::Postgres { doing, source }
}

/// For `map_err`: names what was being asked of Kafka.
pub(crate) fn kafka(doing: &'static str) -> impl FnOnce(rdkafka::error::KafkaError) -> LogError {
    move |source| LogError::Kafka { doing, source }
}
