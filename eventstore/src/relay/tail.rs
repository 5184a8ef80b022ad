//! What Kafka already has: the position of the last record of every partition.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use domain::context::Context;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};

use crate::{
    error::{LogError, kafka},
    topic::{ANSWER_WITHIN, KafkaConfig, blocking, partition_count},
};

/// (topic, partition) -> position of the last event there.
pub(super) type Tails = HashMap<(String, i32), u64>;

/// Reads the ends of all partitions. `log_end` is the last position the log has given out: nothing may be beyond it.
pub(super) async fn read(config: &KafkaConfig, log_end: u64) -> Result<Tails, LogError> {
    let config = config.clone();
    let tails = blocking(move || read_blocking(&config)).await?;
    match tails.iter().find(|(_, position)| **position > log_end) {
        Some(((topic, partition), found)) => {
            Err(LogError::ForeignTopic { topic: topic.clone(), partition: *partition, found: *found, log_end })
        }
        None => Ok(tails),
    }
}

fn read_blocking(config: &KafkaConfig) -> Result<Tails, LogError> {
    let consumer: BaseConsumer = config
        .client()
        .set("group.id", "medhub-relay-tail")
        .set("enable.auto.commit", "false")
        .create()
        .map_err(kafka("creating a client"))?;
    let mut last_records = TopicPartitionList::new();
    for context in Context::ALL {
        let topic = context.topic(&config.topic_prefix);
        let found = partition_count(&consumer, &topic)?;
        let expected = usize::try_from(config.partitions).unwrap_or_default();
        if found != expected {
            return Err(LogError::Partitions { topic, found, expected });
        }
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

fn collect(consumer: &BaseConsumer, wanted: &TopicPartitionList) -> Result<Tails, LogError> {
    consumer.assign(wanted).map_err(kafka("reading the ends of the partitions"))?;
    let mut tails = Tails::new();
    let deadline = Instant::now() + ANSWER_WITHIN;
    while tails.len() < wanted.count() {
        if Instant::now() > deadline {
            return Err(missing(wanted, &tails));
        }
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.map_err(kafka("reading the end of a partition"))?;
            tails.insert((message.topic().to_owned(), message.partition()), position(&message));
        }
    }
    Ok(tails)
}

/// The position a record carries; 0 for a record that is not ours.
fn position(message: &BorrowedMessage<'_>) -> u64 {
    message
        .headers()
        .and_then(|headers| headers.iter().find(|header| header.key == "position"))
        .and_then(|header| std::str::from_utf8(header.value?).ok()?.parse().ok())
        .unwrap_or_default()
}

fn missing(wanted: &TopicPartitionList, tails: &Tails) -> LogError {
    let elements = wanted.elements();
    let first = elements.iter().find(|e| !tails.contains_key(&(e.topic().to_owned(), e.partition())));
    LogError::NoTail {
        topic: first.map(|e| e.topic().to_owned()).unwrap_or_default(),
        partition: first.map_or(-1, rdkafka::topic_partition_list::TopicPartitionListElem::partition),
        waited_s: ANSWER_WITHIN.as_secs(),
    }
}
