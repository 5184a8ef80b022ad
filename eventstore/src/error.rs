//! What can go wrong between the log and Kafka.

use std::fmt::Display;

use domain::envelope::HeaderError;
use rdkafka::types::RDKafkaErrorCode;
use schemas::{codec::SchemaMismatchError, registry_client::RegistryClientError};
use uuid::Uuid;

use crate::log::{CopyError, EventRowError, LiteralError};

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
    /// Postgres neither answers nor goes away.
    #[error("{doing}: Postgres has not answered for {waited_s} s and keeps the connection open; trying another one")]
    Unresponsive {
        /// What was asked.
        doing: &'static str,
        /// How long was waited, in seconds.
        waited_s: f64,
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
    #[error(
        "topic {topic} has {found} partitions, {expected} are configured; add partitions, or set kafka.partitions to \
         what it has before anything is published"
    )]
    Partitions {
        /// Which topic.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A topic throws events away.
    #[error(
        "topic {topic} has cleanup.policy={policy}: Kafka would keep the last event of each stream and refuses records \
         without a key; set it to delete (kafka-configs --alter --entity-type topics --entity-name {topic} \
         --add-config cleanup.policy=delete), and publishing goes on by itself"
    )]
    Compacted {
        /// Which topic.
        topic: String,
        /// What is set.
        policy: String,
    },
    /// A topic could not be made or deleted.
    #[error("preparing topic {topic}: {reason}")]
    Topic {
        /// Which topic.
        topic: String,
        /// What the broker said.
        reason: String,
    },
    /// A topic ends with an event that this log does not hold.
    #[error(
        "topic {topic} partition {partition} ends at position {position} with an event that this log ({log}) does not \
         hold there: the topics carry another log, or this one was put back from a backup; `medhub recover` empties \
         the topics and publishes this log from its start, another kafka.topic_prefix leaves them alone"
    )]
    ForeignTopic {
        /// Which topic.
        topic: String,
        /// Which partition.
        partition: i32,
        /// The position of its last event.
        position: u64,
        /// The incarnation of the log.
        log: Uuid,
    },
    /// The last record of a topic is none that a relay wrote.
    #[error("topic {topic} partition {partition} offset {offset} is no record of a relay")]
    ForeignRecord {
        /// Which topic.
        topic: String,
        /// Which partition.
        partition: i32,
        /// Which record.
        offset: i64,
        /// What is wrong with it.
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
    /// The lease of who leads was not renewed in time: Postgres was silent, or this process stood still.
    #[error("the relay lost the lead; another one goes on, or this one once it leads again")]
    LeadershipLost,
    /// Something needs the topics for itself while a relay writes to them.
    #[error("a relay is at work; stop it first")]
    RelayRunning,
    /// The log was copied here from another database.
    #[error(
        "log {incarnation} was restored or cloned into this database: what was published of it may not be what it \
         holds; `medhub recover` makes it a log of its own and publishes it from its start"
    )]
    Restored {
        /// The incarnation it says it is.
        incarnation: Uuid,
    },
    /// The last record of a partition did not arrive in time.
    #[error("reading the last record of {topic} partition {partition}: nothing arrived in {waited_s} s")]
    MissingPartitionEnd {
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
    UnreadableEvent {
        /// Where in the log, if that can be read.
        position: Option<u64>,
        /// Which event, if that can be read.
        event_id: Option<Uuid>,
        /// What is wrong with it.
        #[source]
        source: EventRowError,
    },
    /// A filter holds a value that Postgres has no literal for.
    #[error("putting the filter into SQL")]
    Filter(#[source] LiteralError),
    /// An event of an aggregate type that no context owns; it would never reach a topic.
    #[error("event {event_id} at position {position} has the unknown aggregate type {aggregate_type:?}")]
    UnknownAggregate {
        /// Where in the log.
        position: u64,
        /// Which event.
        event_id: Uuid,
        /// The type nobody registered.
        aggregate_type: String,
    },
    /// An event of a type or version that this release does not know.
    #[error(
        "event {event_id} at position {position} is of the unknown kind {event_type} {version}; a release that knows \
         it publishes it"
    )]
    UnknownEvent {
        /// Where in the log.
        position: u64,
        /// Which event.
        event_id: Uuid,
        /// The name it carries.
        event_type: String,
        /// The version it carries.
        version: String,
    },
    /// An event whose payload is not what its schema says.
    #[error("event {event_id} at position {position} does not fit the schema of {event_type} {version}")]
    SchemaMismatch {
        /// Where in the log.
        position: u64,
        /// Which event.
        event_id: Uuid,
        /// The name it carries.
        event_type: String,
        /// The version it carries.
        version: String,
        /// Where and why.
        #[source]
        source: SchemaMismatchError,
    },
    /// The schema registry did not give the id of an event's schema.
    #[error("finding the schema of event {event_id} at position {position}")]
    Registry {
        /// Where in the log.
        position: u64,
        /// Which event.
        event_id: Uuid,
        /// Why not.
        #[source]
        source: Box<RegistryClientError>,
    },
    /// Kafka refused a record.
    #[error("publishing the event at position {position}")]
    Delivery {
        /// Where in the log.
        position: u64,
        /// Why not.
        #[source]
        source: rdkafka::error::KafkaError,
    },
}

impl LogError {
    /// Whether it is an event of the log that is wrong, so that trying again soon is of no use.
    pub(crate) fn is_event_error(&self) -> bool {
        let of_the_log = matches!(
            self,
            Self::UnknownAggregate { .. }
                | Self::UnknownEvent { .. }
                | Self::SchemaMismatch { .. }
                | Self::UnreadableEvent { .. }
        );
        of_the_log || self.is_record_refusal()
    }

    /// Whether Kafka will refuse the record however often it is sent.
    pub(crate) fn is_record_refusal(&self) -> bool {
        let Self::Delivery { source, .. } = self else { return false };
        let refusals = [RDKafkaErrorCode::MessageSizeTooLarge, RDKafkaErrorCode::InvalidRecord];
        source.rdkafka_error_code().is_some_and(|code| refusals.contains(&code))
    }
}

/// An error with all its causes, in one line.
pub(crate) fn format_error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn known(value: Option<&impl Display>) -> String {
    value.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// For `map_err`: names what was being asked of Postgres.
pub(crate) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> LogError {
    move |source| LogError::Postgres { doing, source }
}

/// For `map_err`: names what was being asked of Kafka.
pub(crate) fn kafka_error(doing: &'static str) -> impl FnOnce(rdkafka::error::KafkaError) -> LogError {
    move |source| LogError::Kafka { doing, source }
}
