//! How much is in the log and on the topics.

use cqrs_es::Aggregate;
use domain::opportunity::Opportunity;
use sqlx::PgPool;

use crate::{
    error::{LogError, postgres_error},
    relay::partition_ends,
    topic::KafkaConfig,
};

const COUNT_LOG: &str = include_str!("count/log.sql");

/// Events and streams in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCounts {
    /// How many events.
    pub events: u64,
    /// How many aggregates they belong to.
    pub streams: u64,
    /// How many of these are opportunities.
    pub opportunities: u64,
}

/// Counts the log. Walks the whole primary key: meant for people and tests, not for a busy loop.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn count_log(pool: &PgPool) -> Result<LogCounts, LogError> {
    let (events, streams, opportunities): (i64, i64, i64) = sqlx::query_as(COUNT_LOG)
        .bind(Opportunity::TYPE)
        .fetch_one(pool)
        .await
        .map_err(postgres_error("counting events"))?;
    Ok(LogCounts {
        events: events.unsigned_abs(),
        streams: streams.unsigned_abs(),
        opportunities: opportunities.unsigned_abs(),
    })
}

/// Counts the events on the topics, dead letters and beacons not included: the last record of every partition says how
/// many there are.
///
/// # Errors
/// [`LogError::Kafka`] when the broker does not answer, [`LogError::Partitions`] when a topic is not as configured.
pub async fn count_published(config: &KafkaConfig) -> Result<u64, LogError> {
    Ok(partition_ends(config).await?.values().filter_map(|end| end.ordinal).sum())
}
