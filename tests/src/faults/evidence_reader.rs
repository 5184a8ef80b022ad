//! Reads the evidence: the whole log by plain SQL, all records of all topics by a plain consumer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use domain::context::BoundedContext as Topic;
use eventstore::topic::KafkaConfig;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Headers as _},
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::log_audit::{AuditedRecord, LogEvent};

/// How long the broker may take to answer or to deliver the next record.
const BROKER_TIMEOUT: Duration = Duration::from_secs(20);

const SELECT_LOG: &str = "
select position, event_id::text as event_id, tenant_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
       coalesce(metadata ->> 'correlation_id', '') as correlation_id, coalesce(metadata ->> 'causation_id', '') as mark
from events order by position";

/// Reads the whole log.
///
/// # Errors
/// If Postgres does not answer.
pub async fn read_log(connection: &mut PgConnection) -> anyhow::Result<Vec<LogEvent>> {
    let rows = sqlx::query(SELECT_LOG).fetch_all(connection).await.context("reading the log")?;
    rows.iter().map(decode_event).collect::<Result<_, _>>().context("decoding the log")
}

fn decode_event(row: &PgRow) -> Result<LogEvent, sqlx::Error> {
    Ok(LogEvent {
        position: row.try_get::<i64, _>("position")?.unsigned_abs(),
        event_id: row.try_get("event_id")?,
        tenant_id: row.try_get("tenant_id")?,
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        correlation_id: row.try_get("correlation_id")?,
        mark: row.try_get("mark")?,
    })
}

/// Reads the log's incarnation.
///
/// # Errors
/// If Postgres does not answer.
pub async fn read_incarnation(connection: &mut PgConnection) -> anyhow::Result<String> {
    sqlx::query_scalar("select id::text from log_incarnation")
        .fetch_one(connection)
        .await
        .context("reading the log's incarnation")
}

/// Reads the last position that the log has assigned.
///
/// # Errors
/// If Postgres does not answer.
pub async fn read_log_end(connection: &mut PgConnection) -> anyhow::Result<u64> {
    let end: i64 = sqlx::query_scalar("select coalesce(pg_sequence_last_value('events_position_seq'), 0)")
        .fetch_one(connection)
        .await
        .context("reading the end of the log")?;
    Ok(end.unsigned_abs())
}

/// Reads all records of all event topics, from the beginning.
///
/// # Errors
/// If the broker does not deliver them.
pub async fn read_topics(config: &KafkaConfig) -> anyhow::Result<Vec<AuditedRecord>> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || read_topics_blocking(&config)).await?
}

fn read_topics_blocking(config: &KafkaConfig) -> anyhow::Result<Vec<AuditedRecord>> {
    let consumer: BaseConsumer = config
        .client_config()
        .set("group.id", "faults-audit")
        .set("enable.auto.commit", "false")
        .create()
        .context("creating a consumer")?;
    let (mut from, mut ends) = (TopicPartitionList::new(), BTreeMap::new());
    for topic in Topic::ALL.map(|context| context.topic(&config.topic_prefix)) {
        for partition in 0..config.partitions {
            let (low, high) = consumer
                .fetch_watermarks(&topic, partition, BROKER_TIMEOUT)
                .with_context(|| format!("reading the watermarks of {topic} partition {partition}"))?;
            if high > low {
                from.add_partition_offset(&topic, partition, Offset::Beginning)?;
                ends.insert((topic.clone(), partition), high);
            }
        }
    }
    consumer.assign(&from)?;
    let (mut records, mut last_arrival) = (Vec::new(), Instant::now());
    while !ends.is_empty() {
        if last_arrival.elapsed() > BROKER_TIMEOUT {
            bail!("no record arrived for {BROKER_TIMEOUT:?}; partitions not read to their ends: {ends:?}");
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let record = decode_record(&message.context("reading a topic")?);
        last_arrival = Instant::now();
        let partition = (record.topic.clone(), record.partition);
        if ends.get(&partition).is_some_and(|end| record.offset + 1 >= *end) {
            ends.remove(&partition);
        }
        records.push(record);
    }
    Ok(records)
}

fn decode_record(message: &BorrowedMessage<'_>) -> AuditedRecord {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(text).unwrap_or_default())).collect()
    });
    AuditedRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(text),
        headers: headers.unwrap_or_default(),
    }
}
