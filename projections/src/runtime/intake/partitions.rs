//! What the broker says about topics: how many partitions they have and where they end; and telling it where a
//! generation that was filled from the log goes on.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
};

use super::{client, offsets};
use crate::runtime::{Generation, KafkaConfig};

/// How long the broker may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How many partitions each topic has.
pub(in crate::runtime) type Partitions = BTreeMap<String, i32>;

/// The offset behind the last record of each partition.
pub(in crate::runtime) type Ends = BTreeMap<(String, i32), i64>;

/// How many partitions the topics have, all together.
pub(in crate::runtime) fn count(partitions: &Partitions) -> usize {
    partitions.values().map(|count| usize::try_from(*count).unwrap_or_default()).sum()
}

/// How many partitions each topic has.
pub(in crate::runtime) async fn partitions(
    config: &KafkaConfig,
    topics: Vec<String>,
) -> Result<Partitions, KafkaError> {
    if topics.is_empty() {
        return Ok(Partitions::new());
    }
    let consumer: BaseConsumer = client(config).create()?;
    blocking(move || count_of(&consumer, topics)).await
}

/// The offset behind the last record of each partition of these topics that carries events.
pub(in crate::runtime) async fn ends(config: &KafkaConfig, topics: Vec<String>) -> Result<Ends, KafkaError> {
    if topics.is_empty() {
        return Ok(Ends::new());
    }
    let consumer: BaseConsumer = client(config).create()?;
    let used = config.partitions.unwrap_or(i32::MAX);
    blocking(move || {
        let mut ends = Ends::new();
        for (topic, partitions) in count_of(&consumer, topics)? {
            for partition in 0..partitions.min(used) {
                let (_, end) = consumer.fetch_watermarks(&topic, partition, ANSWER_WITHIN)?;
                ends.insert((topic.clone(), partition), end);
            }
        }
        Ok(ends)
    })
    .await
}

/// Makes the consumer group of a generation go on at these offsets. The group must have no members.
pub(in crate::runtime) async fn commit_for(
    config: &KafkaConfig,
    projection: &str,
    generation: Generation,
    next: Ends,
) -> Result<(), KafkaError> {
    if next.is_empty() {
        return Ok(());
    }
    let consumer: BaseConsumer = client(config).set("group.id", config.group(projection, generation)).create()?;
    blocking(move || consumer.commit(&offsets(&next)?, CommitMode::Sync)).await
}

fn count_of(consumer: &BaseConsumer, topics: Vec<String>) -> Result<Partitions, KafkaError> {
    let mut all = Partitions::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(&topic), ANSWER_WITHIN)?;
        let count =
            metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |found| found.partitions().len());
        all.insert(topic, i32::try_from(count).unwrap_or(i32::MAX));
    }
    Ok(all)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
