//! Fetches partition counts and end offsets from the broker, and commits the offsets that a generation continues from
//! after it was filled from the log.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use super::NextOffsets;
use crate::runtime::{ConsumerConfig, ReadModelGeneration};

const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of partitions by topic.
pub(in crate::runtime) type PartitionCounts = BTreeMap<String, i32>;

/// The offset after the last record, by topic and partition.
pub(in crate::runtime) type EndOffsets = BTreeMap<(String, i32), i64>;

/// The number of partitions of all topics together.
pub(in crate::runtime) fn total_partitions(partitions: &PartitionCounts) -> usize {
    partitions.values().map(|count| usize::try_from(*count).unwrap_or_default()).sum()
}

/// The number of partitions of each topic; 0 for a topic that does not exist.
pub(in crate::runtime) async fn fetch_partition_counts(
    config: &ConsumerConfig,
    topics: Vec<String>,
) -> Result<PartitionCounts, KafkaError> {
    if topics.is_empty() {
        return Ok(PartitionCounts::new());
    }
    let consumer: BaseConsumer = base_client_config(config).create()?;
    run_blocking(move || count_partitions(&consumer, topics)).await
}

/// The end offset of each partition of these topics that carries events.
pub(in crate::runtime) async fn fetch_end_offsets(
    config: &ConsumerConfig,
    topics: Vec<String>,
) -> Result<EndOffsets, KafkaError> {
    if topics.is_empty() {
        return Ok(EndOffsets::new());
    }
    let consumer: BaseConsumer = base_client_config(config).create()?;
    let used_partitions = config.partitions.unwrap_or(i32::MAX);
    run_blocking(move || {
        let mut partitions = TopicPartitionList::new();
        for (topic, count) in count_partitions(&consumer, topics)? {
            for partition in 0..count.min(used_partitions) {
                partitions.add_partition_offset(&topic, partition, Offset::End)?;
            }
        }
        if partitions.count() == 0 {
            return Ok(EndOffsets::new());
        }
        // One request to each broker, with the code for the end instead of a time.
        let found = consumer.offsets_for_times(partitions, BROKER_TIMEOUT)?;
        let mut ends = EndOffsets::new();
        for element in found.elements() {
            element.error()?;
            let Offset::Offset(end) = element.offset() else {
                return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset));
            };
            ends.insert((element.topic().to_owned(), element.partition()), end);
        }
        Ok(ends)
    })
    .await
}

/// Commits these offsets for the consumer group of a generation. The group must have no members.
pub(in crate::runtime) async fn commit_group_offsets(
    config: &ConsumerConfig,
    projection: &str,
    generation: ReadModelGeneration,
    next_offsets: EndOffsets,
) -> Result<(), KafkaError> {
    if next_offsets.is_empty() {
        return Ok(());
    }
    let consumer: BaseConsumer =
        base_client_config(config).set("group.id", config.group_id(projection, generation)).create()?;
    run_blocking(move || consumer.commit(&to_partition_list(&next_offsets)?, CommitMode::Sync)).await
}

fn count_partitions(consumer: &BaseConsumer, topics: Vec<String>) -> Result<PartitionCounts, KafkaError> {
    let mut all = PartitionCounts::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(&topic), BROKER_TIMEOUT)?;
        let count =
            metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |found| found.partitions().len());
        all.insert(topic, i32::try_from(count).unwrap_or(i32::MAX));
    }
    Ok(all)
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(join_error) => std::panic::resume_unwind(join_error.into_panic()),
    }
}

/// The settings that all Kafka clients of the runtime share.
pub(super) fn base_client_config(config: &ConsumerConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers);
    client.set("reconnect.backoff.max.ms", "2000");
    // As for the relay: a client that has forgotten the only broker must ask the addresses of the settings again, and soon.
    client.set("metadata.recovery.strategy", "rebootstrap");
    client.set("metadata.recovery.rebootstrap.trigger.ms", "5000");
    for (key, value) in config.security().client_settings() {
        client.set(key, value);
    }
    client.set_log_level(RDKafkaLogLevel::Error);
    client
}

pub(super) fn to_partition_list(next_offsets: &NextOffsets) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next_offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
