//! Where the relay resumes: reads the last record of every partition from Kafka, checks that it belongs to this log,
//! and adds what the checkpoint covers.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use domain::{context::BoundedContext, envelope::PartitionProgress, partition::partition_for_key};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    error::{LogError, kafka_error, postgres_error},
    log::{LogReplay, ReplayOptions},
    topic::{BROKER_TIMEOUT, KafkaConfig, check_partitions, partition_count, run_blocking},
};

/// The end of each partition, from its last record, by topic and partition. Empty partitions are left out.
pub(crate) type PublishedProgress = HashMap<(String, i32), PartitionProgress>;

/// Reads the ends of all partitions of the event topics.
///
/// # Errors
/// [`LogError::Partitions`] when a topic has too few, [`LogError::MissingLastRecord`] and [`LogError::Kafka`] when
/// the broker does not answer, [`LogError::ForeignRecord`] when a last record was not written by a relay.
pub(crate) async fn read_published_progress(config: &KafkaConfig) -> Result<PublishedProgress, LogError> {
    let config = config.clone();
    run_blocking(move || read_ends_blocking(&config)).await
}

/// Checks that the partitions end with events of this log. A log that was restored from a backup assigns the same
/// positions to other events, which would count as published although they are not.
///
/// # Errors
/// [`LogError::ForeignTopic`] for a partition that ends with another log's event, [`LogError::Postgres`] when the
/// database does not answer.
pub(super) async fn check_published_progress(
    connection: &mut PgConnection,
    incarnation: Uuid,
    ends: &PublishedProgress,
) -> Result<(), LogError> {
    let positions: Vec<i64> =
        ends.values().filter_map(|end| end.last_event).map(|(at, _)| i64::try_from(at).unwrap_or(i64::MAX)).collect();
    let found: Vec<(i64, Uuid)> = sqlx::query_as("select position, event_id from events where position = any($1)")
        .bind(&positions)
        .fetch_all(connection)
        .await
        .map_err(postgres_error("checking the events that the topics end with"))?;
    let found: HashMap<u64, Uuid> = found.into_iter().map(|(at, id)| (at.unsigned_abs(), id)).collect();
    for ((topic, partition), end) in ends {
        let other_log = end.incarnation.is_some_and(|other| other != incarnation);
        let foreign_event = end.last_event.filter(|(position, id)| other_log || found.get(position) != Some(id));
        if other_log || foreign_event.is_some() {
            return Err(LogError::ForeignTopic {
                topic: topic.clone(),
                partition: *partition,
                position: foreign_event.map_or(end.watermark, |(position, _)| position),
                log: incarnation,
            });
        }
    }
    Ok(())
}

/// Advances the ends of partitions that end with a late record: one that a former leader handed to its producer, and that was
/// sent after records of the next leader because the former one had been suspended. Such a record counts fewer events than
/// the partition has. Every event up to the checkpoint is on its partition, so the log has those that follow the record's
/// watermark. Empty partitions have no late record and are left out. Returns the number of advanced partitions.
///
/// # Errors
/// [`LogError`] when the log cannot be read.
pub(super) async fn advance_to_checkpoint(
    pool: &PgPool,
    config: &KafkaConfig,
    answer_timeout: Duration,
    checkpoint: u64,
    ends: &mut PublishedProgress,
) -> Result<usize, LogError> {
    let lagging = ends.values().map(|end| end.watermark).filter(|watermark| *watermark < checkpoint);
    let Some(after) = lagging.min() else { return Ok(0) };
    let options =
        ReplayOptions { after, to: Some(checkpoint), answer_timeout: Some(answer_timeout), ..ReplayOptions::default() };
    let mut replay = LogReplay::start(pool, options).await?;
    let mut advanced = HashSet::new();
    while let Some(batch) = replay.next_batch().await? {
        for event in batch.events {
            let Some(context) = BoundedContext::from_aggregate_type(&event.aggregate_type) else { continue };
            let partition =
                (context.topic(&config.topic_prefix), partition_for_key(&event.aggregate_id, config.partitions));
            let Some(end) = ends.get_mut(&partition).filter(|end| end.watermark < event.position) else { continue };
            end.ordinal = end.ordinal.map(|ordinal| ordinal + 1);
            end.last_event = Some((event.position, event.event_id));
            end.watermark = event.position;
            advanced.insert(partition);
        }
    }
    Ok(advanced.len())
}

fn read_ends_blocking(config: &KafkaConfig) -> Result<PublishedProgress, LogError> {
    let consumer: BaseConsumer = config
        .client_config()
        .set("group.id", "medhub-relay-ends")
        .set("enable.auto.commit", "false")
        .create()
        .map_err(kafka_error("creating a client"))?;
    let mut last_records = TopicPartitionList::new();
    for context in BoundedContext::ALL {
        let topic = context.topic(&config.topic_prefix);
        let found = partition_count(&consumer, &topic)?;
        let expected = usize::try_from(config.partitions).unwrap_or_default();
        check_partitions(&topic, found, expected)?;
        for partition in 0..config.partitions {
            let (low, high) = consumer
                .fetch_watermarks(&topic, partition, BROKER_TIMEOUT)
                .map_err(kafka_error("reading a partition's end"))?;
            if high > low {
                last_records
                    .add_partition_offset(&topic, partition, Offset::Offset(high - 1))
                    .map_err(kafka_error("seeking a partition's end"))?;
            }
        }
    }
    collect_ends(&consumer, &last_records)
}

fn collect_ends(consumer: &BaseConsumer, wanted: &TopicPartitionList) -> Result<PublishedProgress, LogError> {
    consumer.assign(wanted).map_err(kafka_error("reading the ends of the partitions"))?;
    let mut ends = PublishedProgress::new();
    let deadline = Instant::now() + BROKER_TIMEOUT;
    while ends.len() < wanted.count() {
        if Instant::now() > deadline {
            return Err(missing_end_error(wanted, &ends));
        }
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.map_err(kafka_error("reading the end of a partition"))?;
            ends.insert((message.topic().to_owned(), message.partition()), parse_progress(&message)?);
        }
    }
    Ok(ends)
}

fn parse_progress(message: &BorrowedMessage<'_>) -> Result<PartitionProgress, LogError> {
    let header = |name: &str| message.headers()?.iter().find(|header| header.key == name)?.value;
    let mut end = PartitionProgress::from_headers(header).map_err(|source| LogError::ForeignRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        source,
    })?;
    // Releases without ordinals wrote no beacons, so the offset counts the events.
    end.ordinal = end.ordinal.or_else(|| u64::try_from(message.offset() + 1).ok());
    Ok(end)
}

fn missing_end_error(wanted: &TopicPartitionList, ends: &PublishedProgress) -> LogError {
    let elements = wanted.elements();
    let first = elements.iter().find(|element| !ends.contains_key(&(element.topic().to_owned(), element.partition())));
    LogError::MissingLastRecord {
        topic: first.map(|element| element.topic().to_owned()).unwrap_or_default(),
        partition: first.map_or(-1, rdkafka::topic_partition_list::TopicPartitionListElem::partition),
        waited_s: BROKER_TIMEOUT.as_secs(),
    }
}
