//! How much is in the log and on the topics.

use domain::context::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use sqlx::PgPool;

use crate::{
    error::{LogError, kafka, postgres},
    topic::{ANSWER_WITHIN, KafkaConfig, blocking, partition_count},
};

/// Events and streams in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCounts {
    /// How many events.
    pub events: u64,
    /// How many aggregates they belong to.
    pub streams: u64,
}

/// Counts the log. Walks the whole primary key: meant for people and tests, not for a busy loop.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn log(pool: &PgPool) -> Result<LogCounts, LogError> {
    let (events, streams): (i64, i64) =
        sqlx::query_as("select count(*), count(*) filter (where sequence = 1) from events")
            .fetch_one(pool)
            .await
            .map_err(postgres("counting events"))?;
    Ok(LogCounts { events: events.unsigned_abs(), streams: streams.unsigned_abs() })
}

/// Counts the records on the topics of events, dead letters not included.
///
/// # Errors
/// [`LogError::Kafka`] when the broker does not answer.
pub async fn records(config: &KafkaConfig) -> Result<u64, LogError> {
    let config = config.clone();
    blocking(move || {
        let consumer: BaseConsumer = config.client().create().map_err(kafka("creating a client"))?;
        let mut records = 0_u64;
        for context in Context::ALL {
            let topic = context.topic(&config.topic_prefix);
            for partition in 0..i32::try_from(partition_count(&consumer, &topic)?).unwrap_or(i32::MAX) {
                let (low, high) = consumer
                    .fetch_watermarks(&topic, partition, ANSWER_WITHIN)
                    .map_err(kafka("asking for a partition's end"))?;
                records += high.abs_diff(low);
            }
        }
        Ok(records)
    })
    .await
}
