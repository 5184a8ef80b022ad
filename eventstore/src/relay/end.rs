//! What Kafka already has: the end of every partition, and whether it belongs to this log.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use domain::{context::Context, envelope::PartitionEnd};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    error::{LogError, kafka, postgres},
    topic::{ANSWER_WITHIN, KafkaConfig, blocking, check_partitions, partition_count},
};

/// (topic, partition) -> what its last record says. Partitions that hold nothing are left out.
pub(crate) type Ends = HashMap<(String, i32), PartitionEnd>;

/// Reads the ends of all partitions of events.
///
/// # Errors
/// [`LogError::Partitions`] when a topic has too few, [`LogError::NoTail`] and [`LogError::Kafka`] when the
/// broker does not answer, [`LogError::ForeignRecord`] when a last record is none of ours.
pub(crate) async fn read(config: &KafkaConfig) -> Result<Ends, LogError> {
    let config = config.clone();
    blocking(move || read_blocking(&config)).await
}

/// Whether the partitions end with events of this log: a log that was put back from a backup gives the same positions
/// to other events, and would be taken for published where it is not.
pub(super) async fn verify(connection: &mut PgConnection, incarnation: Uuid, ends: &Ends) -> Result<(), LogError> {
    let positions: Vec<i64> =
        ends.values().filter_map(|end| end.last_event).map(|(at, _)| i64::try_from(at).unwrap_or(i64::MAX)).collect();
    let found: Vec<(i64, Uuid)> = sqlx::query_as("select position, event_id from events where position = any($1)")
        .bind(&positions)
        .fetch_all(connection)
        .await
        .map_err(postgres("looking for the events that the topics end with"))?;
    let found: HashMap<u64, Uuid> = found.into_iter().map(|(at, id)| (at.unsigned_abs(), id)).collect();
    for ((topic, partition), end) in ends {
        let other_log = end.incarnation.is_some_and(|other| other != incarnation);
        let stranger = end.last_event.filter(|(position, id)| other_log || found.get(position) != Some(id));
        if other_log || stranger.is_some() {
            return Err(LogError::ForeignTopic {
                topic: topic.clone(),
                partition: *partition,
                position: stranger.map_or(end.watermark, |(position, _)| position),
                log: incarnation,
            });
        }
    }
    Ok(())
}

fn read_blocking(config: &KafkaConfig) -> Result<Ends, LogError> {
    let consumer: BaseConsumer = config
        .client()
        .set("group.id", "medhub-relay-ends")
        .set("enable.auto.commit", "false")
        .create()
        .map_err(kafka("creating a client"))?;
    let mut last_records = TopicPartitionList::new();
    for context in Context::ALL {
        let topic = context.topic(&config.topic_prefix);
        let found = partition_count(&consumer, &topic)?;
        let expected = usize::try_from(config.partitions).unwrap_or_default();
        check_partitions(&topic, found, expected)?;
        for partition in 0..config.partitions {
            let (low, high) = consumer
                .fetch_watermarks(&topic, partition, ANSWER_WITHIN)
                .map_err(kafka("asking for a partition's end"))?;
            if high > low {
                last_records
                    .add_partition_offset(&topic, partition, Offset::Offset(high - 1))
                    .map_err(kafka("pointing at a partition's end"))?;
            }
        }
    }
    collect(&consumer, &last_records)
}

fn collect(consumer: &BaseConsumer, wanted: &TopicPartitionList) -> Result<Ends, LogError> {
    consumer.assign(wanted).map_err(kafka("reading the ends of the partitions"))?;
    let mut ends = Ends::new();
    let deadline = Instant::now() + ANSWER_WITHIN;
    while ends.len() < wanted.count() {
        if Instant::now() > deadline {
            return Err(missing(wanted, &ends));
        }
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.map_err(kafka("reading the end of a partition"))?;
            ends.insert((message.topic().to_owned(), message.partition()), end(&message)?);
        }
    }
    Ok(ends)
}

fn end(message: &BorrowedMessage<'_>) -> Result<PartitionEnd, LogError> {
    let header = |name: &str| message.headers()?.iter().find(|header| header.key == name)?.value;
    let mut end = PartitionEnd::from_headers(header).map_err(|source| LogError::ForeignRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        source,
    })?;
    // Releases that did not number their events wrote nothing but events.
    end.ordinal = end.ordinal.or_else(|| u64::try_from(message.offset() + 1).ok());
    Ok(end)
}

fn missing(wanted: &TopicPartitionList, ends: &Ends) -> LogError {
    let elements = wanted.elements();
    let first = elements.iter().find(|e| !ends.contains_key(&(e.topic().to_owned(), e.partition())));
    LogError::NoTail {
        topic: first.map(|e| e.topic().to_owned()).unwrap_or_default(),
        partition: first.map_or(-1, rdkafka::topic_partition_list::TopicPartitionListElem::partition),
        waited_s: ANSWER_WITHIN.as_secs(),
    }
}
