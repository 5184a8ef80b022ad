//! Errors of the log, the relay and the topics.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use domain::envelope::HeaderError;
use rdkafka::types::RDKafkaErrorCode;
use schemas::{codec::SchemaMismatchError, registry_client::RegistryClientError};
use uuid::Uuid;

/// An error of the log, the relay or the topics. `doing` names the operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// An operation on Postgres failed.
    #[error("{doing} in Postgres")]
    Postgres {
        /// The operation.
        doing: &'static str,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// Postgres does not answer and does not close the connection.
    #[error("{doing}: Postgres has not answered for {waited_s} s and keeps the connection open; trying another one")]
    Unresponsive {
        /// The operation.
        doing: &'static str,
        /// Time waited, in seconds.
        waited_s: f64,
    },
    /// The database's schema could not be migrated.
    #[error("migrating the Postgres schema")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// An operation on Kafka failed.
    #[error("{doing} on Kafka")]
    Kafka {
        /// The operation.
        doing: &'static str,
        /// The cause.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// A topic has another number of partitions than configured.
    #[error(
        "topic {topic} has {found} partitions, {expected} are configured; add partitions, or set kafka.partitions to \
         what it has before anything is published"
    )]
    Partitions {
        /// Name of the topic.
        topic: String,
        /// Number of its partitions.
        found: usize,
        /// Configured number of partitions.
        expected: usize,
    },
    /// A topic does not keep all events, because of its `cleanup.policy`.
    #[error(
        "topic {topic} has cleanup.policy={policy}: Kafka would keep only the last event of each stream, and it \
         refuses records without a key; set it to delete (kafka-configs --alter --entity-type topics --entity-name \
         {topic} --add-config cleanup.policy=delete), and the relay resumes"
    )]
    Compacted {
        /// Name of the topic.
        topic: String,
        /// Its `cleanup.policy`.
        policy: String,
    },
    /// A topic could not be created or deleted.
    #[error("preparing topic {topic}: {reason}")]
    Topic {
        /// Name of the topic.
        topic: String,
        /// The broker's reason.
        reason: String,
    },
    /// A partition ends with an event that this log does not hold.
    #[error(
        "topic {topic} partition {partition} ends at position {position} with an event that this log ({log}) does not \
         hold there: the topics hold the events of another log, or this log was restored from a backup; `medhub \
         recover` empties the topics and publishes this log from its start; to keep the topics, configure another \
         kafka.topic_prefix"
    )]
    ForeignTopic {
        /// Name of the topic.
        topic: String,
        /// Number of the partition.
        partition: i32,
        /// The position of its last event.
        position: u64,
        /// The incarnation of the log.
        log: Uuid,
    },
    /// The last record of a partition was not written by a relay.
    #[error("topic {topic} partition {partition} offset {offset} was not written by a relay")]
    ForeignRecord {
        /// Name of the topic.
        topic: String,
        /// Number of the partition.
        partition: i32,
        /// Offset of the record.
        offset: i64,
        /// The cause.
        #[source]
        source: HeaderError,
    },
    /// The checkpoint was written for another log.
    #[error(
        "the relay's checkpoint belongs to log {checkpoint}, this is log {log}: the database was restored; `medhub \
         recover` empties the topics and publishes this log from its start"
    )]
    ForeignCheckpoint {
        /// The incarnation in the checkpoint.
        checkpoint: Uuid,
        /// The incarnation of the log.
        log: Uuid,
    },
    /// The relay's lease was not renewed in time: Postgres did not answer, or this process was suspended.
    #[error("the relay lost its lease; the next leader resumes at the checkpoint")]
    LeadershipLost,
    /// An operation that needs exclusive access to the topics was requested while a relay writes to them.
    #[error("a relay is running; stop it first")]
    RelayRunning,
    /// The log was restored or cloned from another database.
    #[error(
        "log {incarnation} was restored or cloned into this database: its published events may differ from those \
         that it holds; `medhub recover` gives it a new incarnation and publishes it from its start"
    )]
    Restored {
        /// The incarnation of the log that it was copied from.
        incarnation: Uuid,
    },
    /// The last record of a partition did not arrive in time.
    #[error("reading the last record of {topic} partition {partition}: nothing arrived in {waited_s} s")]
    MissingLastRecord {
        /// Name of the topic.
        topic: String,
        /// Number of the partition.
        partition: i32,
        /// Time waited, in seconds.
        waited_s: u64,
    },
    /// Postgres sent bytes that are not a valid `COPY` of the log.
    #[error("decoding the copy of the log that Postgres sends")]
    Copy(#[source] CopyError),
    /// A row of the log cannot be decoded.
    #[error(
        "reading the event at position {} (event {})",
        or_unknown(position.as_ref()),
        or_unknown(event_id.as_ref())
    )]
    UnreadableEvent {
        /// Position in the log, if it can be decoded.
        position: Option<u64>,
        /// Id of the event, if it can be decoded.
        event_id: Option<Uuid>,
        /// The cause.
        #[source]
        source: EventRowError,
    },
    /// A filter has a value that cannot be written as an SQL literal.
    #[error("writing the filter as SQL")]
    Filter(#[source] LiteralError),
    /// An event has an aggregate type that belongs to no context, and therefore no topic.
    #[error("event {event_id} at position {position} has the unknown aggregate type {aggregate_type:?}")]
    UnknownAggregate {
        /// Position in the log.
        position: u64,
        /// Id of the event.
        event_id: Uuid,
        /// The unknown type.
        aggregate_type: String,
    },
    /// An event has a type or version that this release does not know.
    #[error(
        "event {event_id} at position {position} has the unknown type {event_type} {version}; a release that knows \
         this type publishes it"
    )]
    UnknownEvent {
        /// Position in the log.
        position: u64,
        /// Id of the event.
        event_id: Uuid,
        /// Its event type.
        event_type: String,
        /// Its schema version.
        version: String,
    },
    /// An event's payload does not match its schema.
    #[error("event {event_id} at position {position} does not match the schema of {event_type} {version}")]
    SchemaMismatch {
        /// Position in the log.
        position: u64,
        /// Id of the event.
        event_id: Uuid,
        /// Its event type.
        event_type: String,
        /// Its schema version.
        version: String,
        /// Where in the payload, and why.
        #[source]
        source: SchemaMismatchError,
    },
    /// The schema registry did not return the id of an event's schema.
    #[error("finding the schema of event {event_id} at position {position}")]
    Registry {
        /// Position in the log.
        position: u64,
        /// Id of the event.
        event_id: Uuid,
        /// The cause.
        #[source]
        source: Box<RegistryClientError>,
    },
    /// The producer finds no broker although new clients do.
    #[error(
        "the producer has lost the broker while new clients find it; the {records} records that it has not sent are sent \
         by a new producer"
    )]
    LostBroker {
        /// Number of records that Kafka has not acknowledged.
        records: usize,
    },
    /// Kafka refused a record.
    #[error("publishing the event at position {position}")]
    Delivery {
        /// Position in the log.
        position: u64,
        /// The cause.
        #[source]
        source: rdkafka::error::KafkaError,
    },
}

impl LogError {
    /// Whether the cause is an event of the log, so that an early retry fails again.
    pub(crate) fn is_event_error(&self) -> bool {
        let is_unpublishable = matches!(
            self,
            Self::UnknownAggregate { .. }
                | Self::UnknownEvent { .. }
                | Self::SchemaMismatch { .. }
                | Self::UnreadableEvent { .. }
        );
        is_unpublishable || self.is_record_refusal()
    }

    /// Whether Kafka refused a record for a reason that remains when it is sent again.
    pub(crate) fn is_record_refusal(&self) -> bool {
        let Self::Delivery { source, .. } = self else { return false };
        let refusals = [RDKafkaErrorCode::MessageSizeTooLarge, RDKafkaErrorCode::InvalidRecord];
        source.rdkafka_error_code().is_some_and(|code| refusals.contains(&code))
    }
}

fn or_unknown(value: Option<&impl Display>) -> String {
    value.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// For `map_err`: adds the operation to an error of Postgres.
pub(crate) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> LogError {
    move |source| LogError::Postgres { doing, source }
}

/// For `map_err`: adds the operation to an error of Kafka.
pub(crate) fn kafka_error(doing: &'static str) -> impl FnOnce(rdkafka::error::KafkaError) -> LogError {
    move |source| LogError::Kafka { doing, source }
}

/// Why bytes are not a valid binary `COPY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// It does not begin with the signature of the format.
    #[error("the signature is missing")]
    Signature,
    /// The header has critical flags that are not supported.
    #[error("unsupported flags {0:#x}")]
    Flags(u32),
    /// A row has another number of columns than expected.
    #[error("a row has {found} columns instead of {expected}")]
    Columns {
        /// Number of columns in the row.
        found: i16,
        /// Number of columns of the query.
        expected: usize,
    },
    /// The length of a value is negative, but not -1, which stands for NULL.
    #[error("a value has the invalid length {0}")]
    Length(i32),
    /// Bytes follow the trailer. Holds their number.
    #[error("{0} bytes follow the trailer")]
    Trailing(usize),
    /// The trailer is missing. Holds the number of complete rows.
    #[error("the copy is truncated after row {0}")]
    Truncated(u64),
}

/// Why a row of the log cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum EventRowError {
    /// A column that is never null is NULL.
    #[error("{0} is NULL")]
    Null(&'static str),
    /// A value does not have the type of its column, or is out of range.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// The metadata is not a JSON object of strings.
    #[error("decoding the metadata")]
    Metadata(#[source] serde_json::Error),
}

/// A value that Postgres has no literal for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    /// A text in Postgres cannot contain a NUL character.
    #[error("the text {0:?} contains a NUL character")]
    Nul(String),
    /// The year is not between 1 and 9999.
    #[error("the year of {0} is not between 1 and 9999")]
    Year(DateTime<Utc>),
}
